# Types for http_cycle_py.py, which is compiled a second time as http_cycle_c.

cimport cython

from .cycle_c cimport Cycle
from .wire_c cimport Wire

cdef int START
cdef int BODY
cdef int TRAILERS
cdef int COMPLETE
cdef tuple EXPECTED
cdef object KNOWN
cdef object DONE
cdef object logger


cdef class HTTPCycle(Cycle):
    cdef readonly Wire wire
    cdef readonly bint is_head
    cdef public bint started
    cdef readonly Py_ssize_t body_bytes
    cdef readonly bint body_complete
    cdef readonly bint disconnected
    cdef readonly bint eof
    cdef readonly int state
    cdef readonly bint trailers_expected
    cdef list _chunks
    cdef bint _request_sent
    cdef bint _file_sent
    cdef bint _told_disconnect
    cdef list _trailers

    cdef object _open(self, Wire wire, dict scope, bint is_head)
    @cython.locals(chunks=list)
    cpdef object feed_data(self, bytes data)
    cpdef object feed_end(self)
    cpdef object feed_eof(self)
    cpdef object disconnect(self)
    cpdef bint discard_content(self) except -1
    cpdef object application_returned(self, object result)
    cpdef bint application_raised(self, object error) except -1
    cpdef object receive(self)
    @cython.locals(state=int, event=dict)
    cpdef object send(self, object message)
    cpdef bint has_message(self) except -1
    @cython.locals(chunks=list, size=Py_ssize_t, more_body=bint)
    cpdef object take_message(self)
    @cython.locals(trailers=bint)
    cdef object _send_start(self, dict message)
    cdef object _send_body(self, dict message)
    @cython.locals(must_drain=bint)
    cpdef object write_body(self, bytes body, bint more_body)
    @cython.locals(must_drain=bint, trailers=list)
    cdef object _send_trailers(self, dict message)
    cdef object _send_early_hint(self, dict message)
    cdef object _send_push(self, dict message)
    cdef object _send_file(self, object kind, dict message)
    cdef object _end_unfinished(self)


@cython.locals(cycle=HTTPCycle)
cpdef HTTPCycle new_cycle(Wire wire, dict scope, bint is_head)
