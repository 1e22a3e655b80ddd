# Types for http_cycle_py.py, which is compiled a second time as http_cycle_c.

cimport cython

from .awaitables_c cimport Ready, ready
from .wire_c cimport Wire

cdef int START
cdef int BODY
cdef int TRAILERS
cdef int COMPLETE
cdef tuple EXPECTED
cdef object KNOWN
cdef object DONE
cdef object logger


cdef class HTTPCycle:
    cdef readonly Wire wire
    cdef readonly dict scope
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
    cdef list _waiters

    cpdef object feed_data(self, bytes data)
    cpdef object feed_end(self)
    cpdef object feed_eof(self)
    cpdef object disconnect(self)
    cpdef object wake(self)
    cpdef object receive(self)
    @cython.locals(state=int)
    cpdef object send(self, object message)
    @cython.locals(chunks=list, size=Py_ssize_t, more_body=bint)
    cdef dict _next_message(self)
    @cython.locals(trailers=bint)
    cdef object _send_start(self, dict message)
    cdef object _send_body(self, dict message)
    @cython.locals(must_drain=bint)
    cpdef object write_body(self, bytes body, bint more_body)
    @cython.locals(must_drain=bint, trailers=list)
    cdef object _send_trailers(self, dict message)
    cdef object _send_early_hint(self, dict message)
    cdef object _send_file(self, object kind, dict message)
    cdef object _application_raised(self, object error)
    cdef object _end_unfinished(self)
