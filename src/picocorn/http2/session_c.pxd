# C function tables for session_py.py, which is compiled a second time as session_c.

from ..base.request_head_c cimport RequestHead


cdef class SessionHandler:
    cpdef object request(self, int stream_id, RequestHead head, bytes protocol, bint authority_present, bint end)
    cpdef object data(self, int stream_id, bytes data)
    cpdef object end(self, int stream_id)
    cpdef object closed(self, int stream_id, unsigned int error_code)
    cpdef object drained(self, int stream_id)
    cpdef object goaway(self, unsigned int error_code, int last_stream_id)


cdef class HTTP2Session:
    # bytes in, bytes out
    cpdef object start(self)
    cpdef object receive(self, bytes data, double now_seconds)
    cpdef list send(self)
    cpdef bint wants_send(self) except -1

    # responses
    cpdef object queue_head(self, int stream_id, int status, list headers, bint end)
    cpdef object queue_informational(self, int stream_id, int status, list headers)
    cpdef bint queue_data(self, int stream_id, bytes data, bint end) except -1
    cpdef object queue_trailers(self, int stream_id, list headers)
    cpdef Py_ssize_t queued_bytes(self, int stream_id) except -1
    cpdef Py_ssize_t total_queued_bytes(self) except -1
    cpdef int queue_push(self, int stream_id, RequestHead head, bytes authority, bytes scheme) except -1

    # ends and credit
    cpdef object reset(self, int stream_id, unsigned int error_code)
    cpdef object stop_upload(self, int stream_id)
    cpdef object consume(self, int stream_id, Py_ssize_t size_bytes)
    cpdef object drop_unread(self, int stream_id)
    cpdef Py_ssize_t unread_bytes(self) except -1
    cpdef object widen_window(self, int size_bytes)

    # the connection
    cpdef object goaway_notice(self)
    cpdef object goaway(self, unsigned int error_code)
    cpdef bint peer_allows_push(self) except -1
    cpdef int open_streams(self) except -1
    cpdef bint is_over(self) except -1


cdef class _NoSession(HTTP2Session):
    pass
