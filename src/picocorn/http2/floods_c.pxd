# Types for floods_py.py, which is compiled a second time as floods_c.

cimport cython

cdef int CONTINUATION
cdef int DATA
cdef int END_HEADERS
cdef int END_STREAM
cdef int HEADERS
cdef int RST_STREAM
cdef int WINDOW_UPDATE
cdef int UPDATES_PER_FRAME
cdef int PREFACE_BYTES
cdef int HEADER_BYTES


cdef class Floods:
    cdef readonly str verdict

    # limits
    cdef Py_ssize_t _max_frame_bytes
    cdef Py_ssize_t _max_block_bytes
    cdef int _max_continuations
    cdef double _control_burst
    cdef double _control_rate
    cdef double _updates_burst
    cdef double _updates_rate
    cdef double _resets_burst
    cdef double _resets_rate

    # the buckets
    cdef double _last_seconds
    cdef double _control
    cdef double _updates
    cdef double _resets

    # place in the bytes
    cdef Py_ssize_t _skip_bytes
    cdef bytes _header
    cdef int _continuations
    cdef Py_ssize_t _block_bytes

    @cython.locals(
        size=Py_ssize_t, pos=Py_ssize_t, start=Py_ssize_t, at=Py_ssize_t, missing=Py_ssize_t, length=Py_ssize_t, header=bytes)
    cpdef Py_ssize_t scan(self, bytes data, double now_seconds) except -1
    cdef object _leak(self, double seconds)
    cdef bint _judge(self, Py_ssize_t length, int kind, int flags) except -1
    cdef object _count_control(self)
    cpdef object sent(self)
    cpdef object completed(self)
    cpdef bint reset(self) except -1
