# Declarations of the streams over libnghttp2, for the rooms that serve them.

from libc.stdint cimport int32_t, uint8_t

from cpython.object cimport PyObject

from .nghttp2 cimport (
    NGHTTP2_ERR_NOMEM, NGHTTP2_NV_FLAG_NONE, nghttp2_nv, nghttp2_session, nghttp2_session_get_remote_window_size,
    nghttp2_session_get_stream_remote_window_size, nghttp2_strerror,
)


# field sections to the library
cdef int set_line(nghttp2_nv *line, bytes name, bytes value) except -1
cdef nghttp2_nv *lines_of(list headers, size_t spare) except NULL
cdef void free_lines(nghttp2_nv *lines) noexcept
cdef int check(int result) except -1
cdef bint is_shut(nghttp2_session *session, int32_t stream_id) noexcept


cdef class Stream:
    cdef int32_t stream_id
    cdef bint announced
    cdef bint remote_done
    cdef bint local_done
    cdef bint dead
    cdef bint stop_upload
    cdef long long content_left
    cdef Py_ssize_t unconsumed_bytes

    # the response that has not left
    cdef int status
    cdef list head
    cdef bint submitted
    cdef bint deferred
    cdef bint end_queued
    cdef bint above_high
    cdef list trailers
    cdef bytes data
    cdef Py_ssize_t offset
    cdef object more
    cdef Py_ssize_t queued_bytes

    # the session's list of streams
    cdef PyObject *next
    cdef PyObject *previous

    cdef int add(self, bytes data) except -1
    cdef int drop(self) noexcept
