# Types for connection_py.py, which is compiled a second time as connection_c.

cimport cython

from ..base.request_head_c cimport RequestHead
from .parser_c cimport RequestParser
from .writer_c cimport chunk, content_length_line, encode_fields, encode_head, join_message

cdef int DATA
cdef int END
cdef int HEAD
cdef int NOTHING
cdef int LENGTH
cdef int CHUNKED
cdef int UNTIL_CLOSE
cdef int CONNECTION_CLOSE
cdef Py_ssize_t JOIN_BYTES
cdef Py_ssize_t DISCARD_BYTES
cdef bytes CONTINUE
cdef bytes SWITCHING_PROTOCOLS
cdef bytes LAST_CHUNK


cdef class HTTP1Connection:
    cdef readonly RequestParser parser
    cdef readonly RequestHead head
    cdef public bint keep_alive
    cdef readonly bint request_complete
    cdef readonly bint response_complete
    cdef readonly bint response_started
    cdef readonly bint continue_pending
    cdef readonly bint http10
    cdef readonly bint is_head
    cdef bytes _block
    cdef int _flags
    cdef int _framing
    cdef long long _remaining_bytes
    cdef int _status
    cdef bint _trailers

    cpdef object feed(self, bytes data)
    cpdef object feed_eof(self)
    @cython.locals(event=int)
    cpdef int next_event(self) except -2
    @cython.locals(head=RequestHead)
    cdef object _begin(self)
    cpdef object begin_refusal(self)
    @cython.locals(block=bytes, content_length="long long", flags=int)
    cpdef object write_head(self, int status, object headers, bytes default_fields, bint trailers=*)
    cpdef bint discard_head(self) except -1
    cpdef bint ends_by_close(self) except -1
    @cython.locals(size=Py_ssize_t, block=bytes)
    cpdef list write_data(self, bytes data, bint end)
    @cython.locals(fields=bytes, out=list)
    cpdef list write_trailers(self, list headers)
    cpdef bytes write_informational(self, int status, list headers)
    cpdef bytes write_continue(self)
    @cython.locals(head=bytes)
    cpdef bytes write_upgrade(self, list headers, bytes default_fields)
    @cython.locals(declared="long long", framing=int, extra=bytes)
    cdef list _first_data(self, bytes block, bytes data, Py_ssize_t size, bint end)
    @cython.locals(status=int)
    cdef tuple _choose_framing(self, Py_ssize_t size, bint end)
    cdef bint _may_keep_alive(self, bint end) except -1
    @cython.locals(head=RequestHead)
    cdef bint _may_discard(self) except -1
    @cython.locals(remaining="long long")
    cdef object _count(self, Py_ssize_t size, bint end)
    cdef list _chunked(self, bytes data, Py_ssize_t size, bint end)
    cdef object _finish(self)
