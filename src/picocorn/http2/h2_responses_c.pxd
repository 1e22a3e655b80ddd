# Types for h2_responses_py.py, which is compiled a second time as h2_responses_c.

cimport cython

from ..base.request_head_c cimport RequestHead
from .floods_c cimport Floods
from .frames_c cimport frame, uint32
from .session_c cimport HTTP2Session, SessionHandler

cdef Py_ssize_t HIGH_WATER_BYTES
cdef Py_ssize_t LOW_WATER_BYTES
cdef int GOAWAY
cdef int MAX_STREAM_ID
cdef int NO_ERROR
cdef int REMEMBERED_RESETS
cdef Py_ssize_t SEND_BYTES


cdef class H2Stream:
    cdef int stream_id
    cdef bint remote_done
    cdef bint local_done
    cdef long long content_left
    cdef Py_ssize_t unconsumed_bytes
    cdef list head
    cdef object queue
    cdef Py_ssize_t offset
    cdef Py_ssize_t queued_bytes
    cdef bint above_high
    cdef bint end_queued
    cdef list trailers
    cdef bint stop_upload
    cdef int urgency
    cdef bint incremental


cdef class H2Responses(HTTP2Session):
    cdef SessionHandler _handler
    cdef object _limits
    cdef Floods _floods
    cdef object _conn
    cdef list _out
    cdef dict _streams
    cdef dict _ready
    cdef dict _blocked
    cdef dict _resets
    cdef int _highest
    cdef int _last_promised
    cdef int _pushed
    cdef Py_ssize_t _total_bytes
    cdef Py_ssize_t _made_bytes
    cdef Py_ssize_t _unread_bytes
    cdef bint _ended
    cdef bint _leaving
    cdef bint _peer_leaving

    cdef object _write(self, bytes data)
    cdef object _flush(self)
    cdef object _end(self)
    cdef object _unblock(self)

    # ends of streams
    cdef object _remember_reset(self, int stream_id)
    @cython.locals(stream_id=int)
    cdef object _forget(self, H2Stream stream, unsigned int error_code)

    # responses and bytes out
    @cython.locals(stream=H2Stream)
    cdef H2Stream _open_for_sending(self, int stream_id)
    @cython.locals(stream=H2Stream, promised_id=int)
    cpdef int queue_push(self, int stream_id, RequestHead head, bytes authority, bytes scheme) except -1
    @cython.locals(turns=list, again=list, stream=H2Stream, urgency=int, more=bint)
    cdef object _pump(self)
    @cython.locals(stream_id=int, ends=bint, data=bytes, left=Py_ssize_t, size=Py_ssize_t)
    cdef bint _send_some(self, H2Stream stream) except -1
    cdef object _sent(self, H2Stream stream, Py_ssize_t size_bytes)
    cdef object _response_done(self, H2Stream stream)

    @cython.locals(stream=H2Stream)
    cpdef object reset(self, int stream_id, unsigned int error_code)
    @cython.locals(stream=H2Stream)
    cpdef object stop_upload(self, int stream_id)
    @cython.locals(stream=H2Stream)
    cpdef object consume(self, int stream_id, Py_ssize_t size_bytes)
    @cython.locals(stream=H2Stream)
    cpdef object queue_head(self, int stream_id, int status, list headers, bint end)
    @cython.locals(stream=H2Stream)
    cpdef object queue_informational(self, int stream_id, int status, list headers)
    @cython.locals(stream=H2Stream)
    cpdef bint queue_data(self, int stream_id, bytes data, bint end) except -1
    @cython.locals(stream=H2Stream)
    cpdef object queue_trailers(self, int stream_id, list headers)
    @cython.locals(stream=H2Stream)
    cpdef Py_ssize_t queued_bytes(self, int stream_id) except -1


@cython.locals(stream=H2Stream)
cpdef tuple _turn(H2Stream stream)
