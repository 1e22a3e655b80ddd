# Types for http2_host_py.py, which is compiled a second time as http2_host_c.

from ..base.request_head_c cimport RequestHead
from ..http2.session_c cimport HTTP2Session
from .stream_c cimport StreamConnection


cdef class StreamHost(StreamConnection):
    cdef readonly HTTP2Session session
    cdef readonly dict streams
    cdef readonly set unheard
    cdef public Py_ssize_t abandoned_tasks
    cdef public unsigned long long held_turns
    cdef public Py_ssize_t kept_bytes
    cdef readonly bint is_plain

    cpdef object note(self, object stream)
    cpdef object flush_soon(self)
    cpdef bint holds_window(self) except -1
    cpdef object release(self, Py_ssize_t size_bytes)
    cpdef dict scope_of(self, RequestHead head, bint may_push)
    cpdef object promise(self, int stream_id, RequestHead head, bytes authority)
