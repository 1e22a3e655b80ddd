# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""What the engine over libnghttp2 knows of a stream, and how field sections are handed to the library. Knows no session."""

from collections import deque

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc

DEF SCRATCH_FIELDS = 48  # of a response; more go to the heap


# -- field sections to the library -------------------------------------------------------------------------------------

cdef nghttp2_nv _scratch[SCRATCH_FIELDS]


cdef int set_line(nghttp2_nv *line, bytes name, bytes value) except -1:
    if name is None or value is None:
        raise TypeError("a field is two bytes objects")
    line.name = <uint8_t *> PyBytes_AS_STRING(name)
    line.namelen = PyBytes_GET_SIZE(name)
    line.value = <uint8_t *> PyBytes_AS_STRING(value)
    line.valuelen = PyBytes_GET_SIZE(value)
    line.flags = NGHTTP2_NV_FLAG_NONE
    return 0


cdef nghttp2_nv *lines_of(list headers, size_t spare) except NULL:
    # The lines of a section as the library wants them, behind room for `spare` more: pointers into the objects of `headers`, to
    # be given to the library at once, and then to `free_lines`.
    cdef Py_ssize_t size = PyList_GET_SIZE(headers)
    cdef nghttp2_nv *lines = _scratch
    cdef Py_ssize_t i
    cdef tuple field
    if size + spare > SCRATCH_FIELDS:
        lines = <nghttp2_nv *> PyMem_Malloc((size + spare) * sizeof(nghttp2_nv))
        if lines == NULL:
            raise MemoryError
    try:
        for i in range(size):
            field = <tuple?> (<object> PyList_GET_ITEM(headers, i))
            if len(field) != 2:
                raise TypeError("a field is two bytes objects")
            set_line(&lines[spare + i], <bytes?> field[0], <bytes?> field[1])
    except BaseException:
        free_lines(lines)
        raise
    return lines


cdef void free_lines(nghttp2_nv *lines) noexcept:
    if lines != _scratch:
        PyMem_Free(lines)


cdef int check(int result) except -1:
    if result == NGHTTP2_ERR_NOMEM:
        raise MemoryError
    if result < 0:
        raise RuntimeError(f"libnghttp2: {nghttp2_strerror(result).decode()}")
    return result


cdef bint is_shut(nghttp2_session *session, int32_t stream_id) noexcept:
    # Whether the peer's windows let nothing through (RFC 9113 6.9.1: content, that is; its end needs none).
    return (
        nghttp2_session_get_stream_remote_window_size(session, stream_id) <= 0
        or nghttp2_session_get_remote_window_size(session) <= 0
    )


# -- streams -----------------------------------------------------------------------------------------------------------

@cython.final
@cython.freelist(64)
@cython.no_gc
cdef class Stream:
    # One stream: what its request may still send, and what of its response has not left.

    cdef int add(self, bytes data) except -1:
        if self.data is None:
            self.data = data
            self.offset = 0
        else:
            if self.more is None:
                self.more = deque()
            self.more.append(data)
        self.queued_bytes += PyBytes_GET_SIZE(data)
        return 0

    cdef int drop(self) noexcept:
        self.dead = True
        self.data = None
        self.more = None
        self.head = None
        self.trailers = None
        self.queued_bytes = 0
        return 0
