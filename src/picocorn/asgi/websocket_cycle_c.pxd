# Types for websocket_cycle_py.py, which is compiled a second time as websocket_cycle_c.

cimport cython

from .cycle_c cimport Cycle
from .websocket_wire_c cimport WebSocketWire

cdef int CONNECTING
cdef int OPEN
cdef int DENIAL
cdef int DENIED
cdef int CLOSED
cdef tuple UNEXPECTED
cdef object KNOWN
cdef object DONE
cdef int NORMAL_CLOSURE
cdef int ABNORMAL_CLOSURE
cdef int INTERNAL_ERROR
cdef int SERVICE_RESTART
cdef object logger


cdef class WebSocketCycle(Cycle):
    cdef readonly WebSocketWire wire
    cdef readonly int state
    cdef public bint started
    cdef readonly bint accepted
    cdef readonly bint closed
    cdef bint _connect_told
    cdef int _close_code
    cdef object _close_reason
    cdef readonly Py_ssize_t queued_messages
    cdef readonly Py_ssize_t queued_bytes
    cdef object _oldest
    cdef list _incoming
    cdef list _outgoing

    cdef object _open(self, WebSocketWire wire, dict scope)
    @cython.locals(incoming=list)
    cpdef object feed_message(self, object data)
    cpdef object feed_close(self, int code, object reason)
    cpdef object disconnect(self, int code)
    cpdef object application_returned(self, object result)
    cpdef bint application_raised(self, object error) except -1
    cpdef object receive(self)
    @cython.locals(state=int, event=dict)
    cpdef object send(self, object message)
    cpdef bint has_message(self) except -1
    cpdef object take_message(self)
    @cython.locals(outgoing=list)
    cdef object _next_data(self)
    cdef object _send_accept(self, dict event)
    cdef object _send_message(self, dict event)
    cdef object _send_close(self, dict event)
    cdef object _send_response_start(self, dict event)
    @cython.locals(more_body=bint)
    cdef object _send_response_body(self, dict event)
    cdef object _write_body(self, bytes body, bint more_body)
    cdef object _end(self, int state, int code, object reason)
    @cython.locals(state=int)
    cdef object _end_unfinished(self, int code)


@cython.locals(cycle=WebSocketCycle)
cpdef WebSocketCycle new_websocket_cycle(WebSocketWire wire, dict scope)
