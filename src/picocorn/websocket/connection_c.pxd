# Types for connection_py.py, which is compiled a second time as connection_c.

cimport cython

from .reader_c cimport MessageReader
from .writer_c cimport encode_close, encode_frame, encode_text

cdef int BINARY
cdef int CLOSE
cdef int NEED_DATA
cdef int NO_STATUS_RECEIVED
cdef int PING
cdef int PONG
cdef int TEXT
cdef Py_ssize_t DEFLATE_THRESHOLD_BYTES
cdef Py_ssize_t MAX_CONTROL_BYTES


cdef class WebSocketConnection:
    # the last event
    cdef readonly object message
    cdef readonly bytes payload
    cdef readonly int close_code
    cdef readonly str close_reason

    # the close handshake
    cdef readonly bint close_sent
    cdef readonly bint close_received

    cdef MessageReader _reader
    cdef object _deflater

    # bytes in, events out
    cpdef object feed(self, bytes data)
    @cython.locals(reader=MessageReader, event=int)
    cpdef int next_event(self) except -2
    cpdef Py_ssize_t buffered_bytes(self) except -1
    cpdef bint mid_message(self) except -1

    # messages in, bytes out
    cpdef list send_message(self, object data)
    cpdef bytes send_ping(self, bytes payload)
    cpdef bytes send_pong(self, bytes payload)
    @cython.locals(frame=bytes)
    cpdef bytes send_close(self, int code, str reason)


cdef bytes _control(int opcode, bytes payload)
cdef bytes _utf8(str text)
