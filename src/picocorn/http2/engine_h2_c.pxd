# Types for engine_h2_py.py, which is compiled a second time as engine_h2_c.

cimport cython

from ..base.request_head_c cimport RequestHead
from .frames_c cimport FrameReader, frame, uint32
from .h2_responses_c cimport H2Responses, H2Stream
from .heads_c cimport HeadBuilder, judge_field, read_priority
from .session_c cimport HTTP2Session, SessionHandler

cdef int ACK
cdef int DATA
cdef int END_HEADERS
cdef int END_STREAM
cdef int GOAWAY
cdef int HEADERS
cdef int MAX_STREAM_ID
cdef int NO_ERROR
cdef int PING
cdef int PRIORITY_UPDATE
cdef int PROTOCOL_ERROR
cdef int RST_STREAM
cdef int SETTINGS
cdef int WINDOW_UPDATE


cdef class H2Engine(H2Responses):
    cdef FrameReader _reader
    cdef HeadBuilder _builder
    cdef object _decoder
    cdef Py_ssize_t _stray_bytes

    @cython.locals(stream=H2Stream, size_bytes=Py_ssize_t)
    cpdef object drop_unread(self, int stream_id)

    # bytes in
    cdef list _feed(self, int kind, int flags, int stream_id, bytes payload)
    @cython.locals(kind=int, stream=H2Stream)
    cdef object _take_frame(self, FrameReader reader)
    @cython.locals(stream_id=int, end=bint, stream=H2Stream, head=RequestHead, verdict=str)
    cdef object _take_headers(self, FrameReader reader)
    @cython.locals(builder=HeadBuilder, field=tuple)
    cdef object _decode(self, bytes block, bint trailers)
    @cython.locals(verdict=str)
    cdef object _take_trailers(self, H2Stream stream, bytes block, bint end)
    @cython.locals(stream_id=int, content=bytes, stream=H2Stream, end=bint, padding=Py_ssize_t)
    cdef object _take_data(self, FrameReader reader)
    cdef object _credit_stray(self, Py_ssize_t size_bytes)
    cdef object _request_done(self, H2Stream stream)
    @cython.locals(stream_id=int, stream=H2Stream)
    cdef object _take_reset(self, FrameReader reader)
    cdef object _check_begun(self, int stream_id)
    @cython.locals(stream_id=int, increment=int, stream=H2Stream)
    cdef object _take_window_update(self, FrameReader reader)
    @cython.locals(payload=bytes)
    cdef object _take_settings(self, FrameReader reader)

    # ends of streams
    cdef object _reset_unseen(self, int stream_id, unsigned int error_code)
    cdef object _reset_for_peer(self, H2Stream stream, unsigned int error_code)
    cdef object _count_reset(self)
