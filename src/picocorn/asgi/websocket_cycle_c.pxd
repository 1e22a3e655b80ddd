# Types for websocket_cycle_py.py, which is compiled a second time as websocket_cycle_c.

cimport cython

from .cycle_c cimport Cycle
from .websocket_wire_c cimport WebSocketWire

cdef int CONNECTING
cdef int OPEN
cdef int DENIAL
cdef int DENIED
cdef int CLOSED


cdef class WebSocketCycle(Cycle):
    cdef readonly WebSocketWire wire
    cdef readonly int state
    cdef public bint started
    cdef readonly bint accepted
    cdef readonly bint closed
    cdef readonly Py_ssize_t queued_messages
    cdef readonly Py_ssize_t queued_bytes

    cdef object _open(self, WebSocketWire wire, dict scope)
    cpdef object feed_message(self, object data)
    cpdef object wake(self)
    cpdef object feed_close(self, int code, object reason)
    cpdef object disconnect(self, int code)
    cpdef object application_returned(self, object result)
    cpdef bint application_raised(self, object error) except -1
    cpdef object receive(self)
    cpdef object send(self, object message)


@cython.locals(cycle=WebSocketCycle)
cpdef WebSocketCycle new_websocket_cycle(WebSocketWire wire, dict scope)
