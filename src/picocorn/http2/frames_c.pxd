# Types for frames_py.py, which is compiled a second time as frames_c.

cimport cython

cdef int ACK
cdef int CONTINUATION
cdef int DATA
cdef int END_HEADERS
cdef int GOAWAY
cdef int HEADERS
cdef int PADDED
cdef int PRIORITY_FLAG
cdef int PRIORITY_UPDATE
cdef int PUSH_PROMISE
cdef int SETTINGS
cdef int PREFACE_BYTES
cdef int HEADER_BYTES
cdef int PRIORITY_BYTES
cdef int GOAWAY_BYTES
cdef int PRIORITY_UPDATE_BYTES

cpdef bytes uint32(object value)
cpdef bytes frame(int kind, int flags, object stream_id, bytes payload)


cdef class FrameReader:
    # the last frame
    cdef readonly int kind
    cdef readonly int flags
    cdef readonly int stream_id
    cdef readonly bytes payload
    cdef readonly bytes content

    cdef bytearray _buffer
    cdef Py_ssize_t _pos
    cdef int _started
    cdef bytearray _block
    cdef int _block_flags
    cdef int _block_stream

    cpdef object feed(self, bytes data)
    @cython.locals(buffer=bytearray, size=Py_ssize_t, pos=Py_ssize_t, length=Py_ssize_t, end=Py_ssize_t)
    cpdef bint next_frame(self) except -1
    @cython.locals(kind=int)
    cdef object _judge(self, Py_ssize_t length)
    @cython.locals(content=bytes)
    cdef bint _take_block(self) except -1
    @cython.locals(payload=bytes, size=Py_ssize_t)
    cdef bytes _without_padding(self)
