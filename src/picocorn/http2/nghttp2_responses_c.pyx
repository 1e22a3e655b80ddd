# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The responses of the engine over libnghttp2: what is queued on each stream, what leaves, and how streams end.

Knows nothing of what comes in: that is `engine_nghttp2_c.pyx`. No exception may pass through the library's frames: callbacks
remember it and fail, and who called the library raises it. The library is never entered from its callbacks but through
`nghttp2_submit_*` and `nghttp2_session_consume*`, which allow that. A finalizer may run wherever an object is made, so pointers
into objects are taken only when nothing more will be made.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.string cimport memcpy

from ..base.request_head_c cimport RequestHead

from ..base.limits import HIGH_WATER_BYTES as _HIGH_WATER_BYTES
from ..base.limits import LOW_WATER_BYTES as _LOW_WATER_BYTES
from .codes import ENHANCE_YOUR_CALM, GOAWAY, INTERNAL_ERROR
from .codes import NO_ERROR as _NO_ERROR
from .settings import SEND_BYTES as _SEND_BYTES
from .verdicts import engine_error, http2_error

from .frames_c cimport frame as make_frame
from .frames_c cimport uint32
from .nghttp2_streams_c cimport check, free_lines, is_shut, lines_of, set_line

__all__ = ["NGHTTP2Responses"]

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **object, Py_ssize_t size) except -1
    PyObject *PyBytes_New "PyBytes_FromStringAndSize" (const char *, Py_ssize_t) except NULL


DEF WHOLE_BYTES = 4096  # content from this size on is handed on as the very object that was queued, where a frame takes it whole
DEF PIECE_BYTES = 65536  # what is joined is joined into pieces of this size
DEF PIECE_EXTRA_BYTES = 1024  # room for heads

cdef Py_ssize_t HIGH_WATER_BYTES = _HIGH_WATER_BYTES
cdef Py_ssize_t LOW_WATER_BYTES = _LOW_WATER_BYTES
cdef Py_ssize_t SEND_BYTES = _SEND_BYTES
cdef uint32_t NO_ERROR = _NO_ERROR
cdef tuple STATUS_TEXTS = tuple([b"%03d" % status for status in range(1000)])


# -- the library's callbacks -------------------------------------------------------------------------------------------

cdef int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data) noexcept:
    cdef NGHTTP2Responses engine = <NGHTTP2Responses> user_data
    try:
        return engine._stream_closed(stream_id, error_code)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept:
    cdef NGHTTP2Responses engine = <NGHTTP2Responses> user_data
    try:
        return engine._frame_sent(frame)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int lib_error_code, void *user_data) noexcept:
    cdef NGHTTP2Responses engine = <NGHTTP2Responses> user_data
    try:
        return engine._frame_not_sent(frame)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef ssize_t read_data(
    nghttp2_session *session, int32_t stream_id, uint8_t *buffer, size_t length, uint32_t *flags, nghttp2_data_source *source,
    void *user_data
) noexcept:
    cdef NGHTTP2Responses engine = <NGHTTP2Responses> user_data
    if engine._holding or engine._made_bytes >= SEND_BYTES:
        return NGHTTP2_ERR_PAUSE
    try:
        return engine._read_data(<Stream> source.ptr, length, flags)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int send_data(
    nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t length, nghttp2_data_source *source,
    void *user_data
) noexcept:
    cdef NGHTTP2Responses engine = <NGHTTP2Responses> user_data
    try:
        return engine._write_data(<Stream> source.ptr, header, length)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int set_response_callbacks(nghttp2_session_callbacks *callbacks) noexcept:
    """The half of a session's callbacks that is served here."""
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close)
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send)
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data)
    return 0


# -- the session -------------------------------------------------------------------------------------------------------

@cython.no_gc_clear
cdef class NGHTTP2Responses(HTTP2Session):
    """The half of an HTTP2Session that the server's side speaks through."""

    def __cinit__(self, SessionHandler handler not None, limits):
        self._handler = handler
        self._limits = limits
        self._floods = Floods(limits)
        self._max_requests = limits.max_concurrent_streams
        self._out = []

    def __dealloc__(self):
        cdef PyObject *stream = self._streams
        cdef PyObject *following
        while stream != NULL:
            following = (<Stream> stream).next
            Py_DECREF(<Stream> stream)
            stream = following
        Py_XDECREF(self._piece)
        if self._session != NULL:
            nghttp2_session_del(self._session)

    # -- streams -------------------------------------------------------------------------------------------------------

    cdef Stream _add_stream(self, int32_t stream_id):
        cdef Stream stream = Stream.__new__(Stream)
        stream.stream_id = stream_id
        stream.content_left = -1
        check(nghttp2_session_set_stream_user_data(self._session, stream_id, <void *> stream))
        # The list owns it.
        Py_INCREF(stream)
        stream.next = self._streams
        stream.previous = NULL
        if self._streams != NULL:
            (<Stream> self._streams).previous = <PyObject *> stream
        self._streams = <PyObject *> stream
        return stream

    cdef int _remove_stream(self, Stream stream) except -1:
        if stream.previous != NULL:
            (<Stream> stream.previous).next = stream.next
        else:
            self._streams = stream.next
        if stream.next != NULL:
            (<Stream> stream.next).previous = stream.previous
        self._total_bytes -= stream.queued_bytes
        stream.drop()
        if stream.announced:
            self._open -= 1
            if stream.stream_id & 1:
                self._open_requests -= 1
        Py_DECREF(stream)
        return 0

    cdef Stream _stream(self, int32_t stream_id):
        cdef void *found = nghttp2_session_get_stream_user_data(self._session, stream_id)
        return <Stream> found if found != NULL else None

    cdef Stream _open_for_sending(self, int32_t stream_id):
        cdef Stream stream
        if self._ended:
            return None
        stream = self._stream(stream_id)
        if stream is None or stream.dead or stream.end_queued:
            return None
        return stream

    cdef int _stream_closed(self, int32_t stream_id, uint32_t error_code) except -1:
        cdef Stream stream = self._stream(stream_id)
        if stream is None:
            return 0
        nghttp2_session_set_stream_user_data(self._session, stream_id, NULL)
        if stream.unconsumed_bytes:
            self._unread_bytes -= stream.unconsumed_bytes
            nghttp2_session_consume_connection(self._session, stream.unconsumed_bytes)
            stream.unconsumed_bytes = 0
        self._remove_stream(stream)
        if stream.announced:
            self._handler.closed(stream_id, error_code)
        return 0

    # -- ends of streams -----------------------------------------------------------------------------------------------

    cpdef object reset(self, int stream_id, unsigned int error_code):
        """See HTTP2Session."""
        cdef Stream stream = None if self._ended else self._stream(stream_id)
        if stream is None or stream.dead:
            return None
        self._total_bytes -= stream.queued_bytes
        stream.drop()
        check(nghttp2_submit_rst_stream(self._session, NGHTTP2_FLAG_NONE, stream_id, error_code))
        self._remember_reset(stream_id)
        return None

    cdef int _remember_reset(self, int32_t stream_id) noexcept:
        """What was under way to it is no error."""
        self._resets[self._next_reset] = stream_id
        self._next_reset = (self._next_reset + 1) % REMEMBERED_RESETS
        return 0

    cpdef object stop_upload(self, int stream_id):
        """See HTTP2Session."""
        cdef Stream stream = None if self._ended else self._stream(stream_id)
        if stream is None or stream.dead or stream.remote_done:
            return None
        if stream.local_done:
            self.reset(stream_id, NO_ERROR)
        else:
            stream.stop_upload = True
        return None

    cpdef object consume(self, int stream_id, Py_ssize_t size_bytes):
        """See HTTP2Session."""
        cdef Stream stream = None if self._ended else self._stream(stream_id)
        if stream is None:
            return None
        if size_bytes > stream.unconsumed_bytes:
            size_bytes = stream.unconsumed_bytes
        if size_bytes > 0:
            stream.unconsumed_bytes -= size_bytes
            self._unread_bytes -= size_bytes
            nghttp2_session_consume(self._session, stream_id, size_bytes)
        return None

    # -- responses -----------------------------------------------------------------------------------------------------

    cpdef object queue_head(self, int stream_id, int status, list headers, bint end):
        """See HTTP2Session."""
        cdef Stream stream = self._open_for_sending(stream_id)
        if stream is None:
            return None
        stream.status = status
        stream.head = headers
        if end:
            stream.end_queued = True
            self._submit_head(stream, True)
        return None

    cdef int _submit_head(self, Stream stream, bint end) except -1:
        # With where its content is to be taken from, unless `end` says that it ends the stream.
        cdef list headers = stream.head
        cdef nghttp2_nv *lines = lines_of(headers, 1)
        cdef nghttp2_data_provider provider
        cdef int result
        provider.source.ptr = <void *> stream
        provider.read_callback = read_data
        try:
            set_line(&lines[0], b":status", <bytes> STATUS_TEXTS[stream.status])
            result = nghttp2_submit_response(
                self._session, stream.stream_id, lines, 1 + PyList_GET_SIZE(headers), NULL if end else &provider)
        finally:
            free_lines(lines)
        check(result)
        stream.head = None
        stream.submitted = True
        return 0

    cdef int _submit_trailers(self, Stream stream) except -1:
        cdef list headers = stream.trailers
        cdef nghttp2_nv *lines = lines_of(headers, 0)
        cdef int result = nghttp2_submit_trailer(self._session, stream.stream_id, lines, PyList_GET_SIZE(headers))
        free_lines(lines)
        check(result)
        return 0

    cpdef object queue_informational(self, int stream_id, int status, list headers):
        """See HTTP2Session."""
        cdef Stream stream = self._open_for_sending(stream_id)
        if stream is not None:
            self._submit_plain(stream_id, status, headers)
        return None

    cdef int _submit_plain(self, int stream_id, int status, list headers) except -1:
        # A section that neither ends the stream nor brings content.
        cdef nghttp2_nv *lines = lines_of(headers, 1)
        cdef int result
        try:
            set_line(&lines[0], b":status", <bytes> STATUS_TEXTS[status])
            result = nghttp2_submit_headers(
                self._session, NGHTTP2_FLAG_NONE, stream_id, NULL, lines, 1 + PyList_GET_SIZE(headers), NULL)
        finally:
            free_lines(lines)
        return check(result)

    cpdef bint queue_data(self, int stream_id, bytes data, bint end) except -1:
        """See HTTP2Session."""
        cdef Stream stream = self._open_for_sending(stream_id)
        cdef Py_ssize_t size
        if data is None:
            raise TypeError("queue_data() takes bytes, not None")
        if stream is None:
            return False
        size = PyBytes_GET_SIZE(data)
        if size:
            stream.add(data)
            self._total_bytes += size
            if stream.queued_bytes > HIGH_WATER_BYTES:
                stream.above_high = True
        stream.end_queued = end
        if stream.head is not None:
            self._submit_head(stream, end and not stream.queued_bytes)
        elif end and not stream.queued_bytes and is_shut(self._session, stream_id):
            # Not even an empty DATA leaves the library then; an empty trailer section ends the stream as well.
            stream.trailers = []
            self._submit_trailers(stream)
        elif stream.deferred and (size or end):
            stream.deferred = False
            check(nghttp2_session_resume_data(self._session, stream_id))
        return stream.above_high

    cpdef object queue_trailers(self, int stream_id, list headers):
        """See HTTP2Session."""
        cdef Stream stream = self._open_for_sending(stream_id)
        if stream is None:
            return None
        if not headers:
            self.queue_data(stream_id, b"", True)
            return None
        stream.end_queued = True
        stream.trailers = headers
        if stream.head is not None:
            self._submit_plain(stream_id, stream.status, stream.head)
            stream.head = None
            self._submit_trailers(stream)
        elif not stream.queued_bytes:
            # Everything else has left; the content that the library was told of is forgotten when the stream closes.
            self._submit_trailers(stream)
        return None

    cpdef Py_ssize_t queued_bytes(self, int stream_id) except -1:
        """See HTTP2Session."""
        cdef Stream stream = None if self._ended else self._stream(stream_id)
        return 0 if stream is None else stream.queued_bytes

    cpdef Py_ssize_t total_queued_bytes(self) except -1:
        """See HTTP2Session."""
        return 0 if self._ended else self._total_bytes

    cpdef int queue_push(self, int stream_id, RequestHead head, bytes authority, bytes scheme) except -1:
        """See HTTP2Session."""
        cdef nghttp2_nv *lines
        cdef bytes method
        cdef int promised_id
        cdef Stream stream = self._open_for_sending(stream_id)
        if stream is None or not stream_id & 1 or not self.peer_allows_push():
            return 0
        if self._open - self._open_requests >= min(
            <int64_t> self._max_requests,
            <int64_t> nghttp2_session_get_remote_settings(
                self._session, <nghttp2_settings_id> NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
        ):
            return 0
        method = head.method.encode()
        lines = lines_of(head.headers, 4)
        try:
            set_line(&lines[0], b":method", method)
            set_line(&lines[1], b":scheme", scheme)
            set_line(&lines[2], b":authority", authority)
            set_line(&lines[3], b":path", head.target)
            promised_id = nghttp2_submit_push_promise(
                self._session, NGHTTP2_FLAG_NONE, stream_id, lines, 4 + PyList_GET_SIZE(head.headers), NULL)
        finally:
            free_lines(lines)
        if promised_id == NGHTTP2_ERR_NOMEM:
            raise MemoryError
        if promised_id <= 0:
            # No number is left, or the library knows another reason.
            return 0
        stream = self._add_stream(promised_id)
        stream.announced = stream.remote_done = True
        self._open += 1
        return promised_id

    # -- bytes out -----------------------------------------------------------------------------------------------------

    cpdef list send(self):
        """See HTTP2Session."""
        cdef list out
        if not self._ended and nghttp2_session_want_write(self._session):
            self._pump(False)
            if self._failed_code:
                self._end()
        if self._piece != NULL:
            self._close_piece()
        out = self._out
        if PyList_GET_SIZE(out):
            self._out = []
        return out

    cpdef bint wants_send(self) except -1:
        """See HTTP2Session."""
        if self._piece != NULL or PyList_GET_SIZE(self._out):
            return True
        return not self._ended and nghttp2_session_want_write(self._session)

    cdef int _pump(self, bint holding) except -1:
        """Let the library say what it has to say, but for content when `holding`."""
        cdef const uint8_t *data
        cdef ssize_t size
        if self._busy:
            return 0
        self._busy = True
        self._holding = holding
        self._made_bytes = 0
        try:
            while True:
                size = nghttp2_session_mem_send(self._session, &data)
                if size <= 0:
                    break
                memcpy(self._room(size), data, size)
                self._used += size
        finally:
            self._busy = self._holding = False
        if size < 0:
            self._raise(size)
        return 0

    cdef char *_room(self, Py_ssize_t size) except NULL:
        """Where the next `size` bytes are to be written; the caller adds them to `_used`."""
        cdef Py_ssize_t want
        if self._piece != NULL:
            if PyBytes_GET_SIZE(<object> self._piece) - self._used >= size:
                return PyBytes_AS_STRING(<object> self._piece) + self._used
            self._close_piece()
        want = min(self._total_bytes + PIECE_EXTRA_BYTES, PIECE_BYTES)
        self._piece = PyBytes_New(NULL, max(want, size))
        self._used = 0
        return PyBytes_AS_STRING(<object> self._piece)

    cdef int _close_piece(self) except -1:
        cdef PyObject *piece = self._piece
        self._piece = NULL
        if piece != NULL:
            if PyBytes_GET_SIZE(<object> piece) != self._used:
                _PyBytes_Resize(&piece, self._used)
            try:
                self._out.append(<object> piece)
            finally:
                Py_XDECREF(piece)
        return 0

    cdef ssize_t _read_data(self, Stream stream, size_t length, uint32_t *flags) except -1:
        """How much the next frame of content has. The library asks, then has `_write_data` write it."""
        cdef size_t size = stream.queued_bytes
        if size > length:
            flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
            return length
        if stream.end_queued:
            flags[0] |= NGHTTP2_DATA_FLAG_EOF
            if stream.trailers is not None:
                flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
                self._submit_trailers(stream)
        elif size == 0:
            stream.deferred = True
            return NGHTTP2_ERR_DEFERRED
        if size:
            flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
        return size

    cdef int _write_data(self, Stream stream, const uint8_t *header, size_t length) except -1:
        cdef size_t left = length
        cdef size_t size
        cdef char *room
        if stream.offset == 0 and length >= WHOLE_BYTES and <size_t> PyBytes_GET_SIZE(stream.data) == length:
            memcpy(self._room(9), header, 9)
            self._used += 9
            self._close_piece()
            self._out.append(stream.data)
            stream.data = stream.more.popleft() if stream.more else None
        else:
            room = self._room(9 + length)
            memcpy(room, header, 9)
            room += 9
            while left:
                size = min(<size_t> (PyBytes_GET_SIZE(stream.data) - stream.offset), left)
                memcpy(room, PyBytes_AS_STRING(stream.data) + stream.offset, size)
                room += size
                left -= size
                stream.offset += size
                if stream.offset == PyBytes_GET_SIZE(stream.data):
                    stream.offset = 0
                    stream.data = stream.more.popleft() if stream.more else None
            self._used += 9 + length
        stream.queued_bytes -= length
        self._total_bytes -= length
        self._made_bytes += length
        self._floods.sent()
        if stream.above_high and stream.queued_bytes <= LOW_WATER_BYTES:
            stream.above_high = False
            self._handler.drained(stream.stream_id)
        return 0

    cdef int _frame_sent(self, const nghttp2_frame *frame) except -1:
        cdef Stream stream
        if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
            if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
                self._floods.completed()
                stream = self._stream(frame.hd.stream_id)
                if stream is not None:
                    stream.local_done = True
                    if stream.stop_upload and not stream.remote_done:
                        check(nghttp2_submit_rst_stream(self._session, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NO_ERROR))
                        self._remember_reset(frame.hd.stream_id)
        elif frame.hd.type == NGHTTP2_GOAWAY and frame.goaway.error_code != NO_ERROR:
            if self._own_goaways:
                self._own_goaways -= 1
            else:
                self._failed_code = frame.goaway.error_code
                reason = frame.goaway.opaque_data[: frame.goaway.opaque_data_len].decode("latin-1")
                self._failed_reason = f"libnghttp2: {reason or nghttp2_http2_strerror(self._failed_code).decode()}"
        return 0

    cdef int _frame_not_sent(self, const nghttp2_frame *frame) except -1:
        # A head that is too large, as a rule; what is for a stream that is gone does not matter.
        cdef Stream stream
        if frame.hd.type == NGHTTP2_HEADERS:
            stream = self._stream(frame.hd.stream_id)
            if stream is not None and not stream.dead:
                self.reset(frame.hd.stream_id, INTERNAL_ERROR)
        return 0

    cdef int _write_goaway(self, uint32_t error_code) except -1:
        cdef bytes payload = uint32(nghttp2_session_get_last_proc_stream_id(self._session)) + uint32(error_code)
        self._close_piece()
        self._out.append(make_frame(GOAWAY, 0, 0, payload))
        return 0

    cdef int _raise(self, ssize_t result) except -1:
        """End it all, for what a callback or the library has found."""
        cdef object error = self._failure
        self._failure = None
        if error is None and result == NGHTTP2_ERR_NOMEM:
            error = MemoryError()
        if error is not None:
            self._end()
            raise error
        if self._failed_verdict:
            error = http2_error(self._failed_verdict)
        elif result == NGHTTP2_ERR_BAD_CLIENT_MAGIC:
            error = http2_error("PREFACE")
        else:
            reason = f"libnghttp2: {nghttp2_strerror(<int> result).decode()}"
            error = engine_error(ENHANCE_YOUR_CALM if result == NGHTTP2_ERR_FLOODED else INTERNAL_ERROR, reason)
        self._write_goaway(error.error_code)
        self._end()
        raise error

    cdef int _end(self) noexcept:
        self._ended = True
        return 0

    # -- the connection ------------------------------------------------------------------------------------------------

    cpdef object goaway_notice(self):
        """See HTTP2Session."""
        if not self._ended and not self._leaving:
            check(nghttp2_submit_shutdown_notice(self._session))
        return None

    cpdef object goaway(self, unsigned int error_code):
        """See HTTP2Session."""
        if self._ended:
            return None
        self._leaving = True
        if error_code != NO_ERROR:
            self._own_goaways += 1
        check(nghttp2_submit_goaway(
            self._session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(self._session), error_code, NULL, 0))
        # From here on the library ignores streams that it does not name.
        self._pump(True)
        return None

    cpdef bint peer_allows_push(self) except -1:
        """See HTTP2Session."""
        if self._ended or self._leaving or self._peer_leaving:
            return False
        return nghttp2_session_get_remote_settings(self._session, <nghttp2_settings_id> NGHTTP2_SETTINGS_ENABLE_PUSH) == 1

    cpdef int open_streams(self) except -1:
        """See HTTP2Session."""
        return self._open

    cpdef bint is_over(self) except -1:
        """See HTTP2Session."""
        if self._ended:
            return True
        return (self._leaving or self._peer_leaving) and not self._open and not self.wants_send()
