# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""HTTP2Session over libnghttp2: frames, windows and compression are the library's, the rules for requests our own.

Its twin is `engine_h2_py.py`, which also says what each rule is for; the heads come from the same text (`heads_py.py`), so the
library's own checks of messages are off. What goes out is in `nghttp2_responses_c.pyx`, with the law of callbacks. Knows no
asyncio and no ASGI.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.ref cimport Py_DECREF, Py_INCREF

from ..base.request_head_c cimport RequestHead

from .codes import MAX_STREAM_ID, SETTINGS
from .codes import PROTOCOL_ERROR as _PROTOCOL_ERROR
from .settings import initial_settings
from .verdicts import REFUSALS, STREAM_VERDICTS, engine_error

from .frames_c cimport frame as make_frame
from .frames_c cimport uint32
from .heads_c cimport judge_field, read_priority
from .nghttp2_responses_c cimport REMEMBERED_RESETS, set_response_callbacks
from .nghttp2_streams_c cimport check

__all__ = ["NGHTTP2Engine"]

cdef extern from *:
    """
    /* Not in every version that we build against; where they are missing there is nothing to set. */
    #if defined(__GNUC__)
    extern void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *, uint64_t, uint64_t) __attribute__((weak));
    extern void nghttp2_option_set_max_continuations(nghttp2_option *, size_t) __attribute__((weak));
    static void pc_leave_floods_to_us(nghttp2_option *option)
    {
        if (nghttp2_option_set_stream_reset_rate_limit)
            nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
        if (nghttp2_option_set_max_continuations)
            nghttp2_option_set_max_continuations(option, 1 << 20);
    }
    #else
    static void pc_leave_floods_to_us(nghttp2_option *option) { (void)option; }
    #endif
    """
    void pc_leave_floods_to_us(nghttp2_option *option) nogil


DEF KNOWN_FIELDS = 32  # a power of two, and more than the fields of a browser's request
DEF KNOWN_SHIFT = 27  # leaves as many bits as number them
DEF KNOWN_PLACES = 8  # where one may be: behind each other, from the one that its buffers' addresses name
DEF KNOWN_FIELD_BYTES = 256  # larger ones are not remembered: they would cost every idle connection
DEF MAX_HEAD_BYTES = 1048576

cdef uint32_t PROTOCOL_ERROR = _PROTOCOL_ERROR


# -- the library's callbacks -------------------------------------------------------------------------------------------

cdef int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *header, void *user_data) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    if header.type != NGHTTP2_HEADERS or not header.stream_id & 1:
        return 0
    if header.stream_id > engine._highest:
        engine._highest = header.stream_id
        return 0
    if engine._leaving or nghttp2_session_get_stream_user_data(session, header.stream_id) != NULL:
        return 0
    if engine._was_reset(header.stream_id):
        return 0
    # RFC 9113 5.1.1. The library ignores it, for fear of what was under way to a stream that had been reset.
    engine._failed_verdict = "STREAM_CLOSED"
    return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        return engine._begin_section(frame)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_header(
    nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
    void *user_data
) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        return engine._take_field(name, value)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        return engine._take_frame(frame)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_data_chunk_recv(
    nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t size, void *user_data
) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        return engine._take_data(stream_id, data, size)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_extension_chunk_recv(
    nghttp2_session *session, const nghttp2_frame_hd *header, const uint8_t *data, size_t size, void *user_data
) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        engine._update += PyBytes_FromStringAndSize(<const char *> data, size)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE
    return 0


cdef int unpack_extension(
    nghttp2_session *session, void **payload, const nghttp2_frame_hd *header, void *user_data
) noexcept:
    cdef NGHTTP2Engine engine = <NGHTTP2Engine> user_data
    try:
        return engine._take_update(header.stream_id)
    except BaseException as error:
        engine._failure = error
        return NGHTTP2_ERR_CALLBACK_FAILURE


cdef nghttp2_session_callbacks *_callbacks = NULL
cdef nghttp2_option *_option = NULL


cdef int _prepare() except -1:
    # For ever: sessions copy them when they are made.
    if nghttp2_session_callbacks_new(&_callbacks) != 0 or nghttp2_option_new(&_option) != 0:
        raise MemoryError
    nghttp2_session_callbacks_set_on_begin_frame_callback(_callbacks, on_begin_frame)
    nghttp2_session_callbacks_set_on_begin_headers_callback(_callbacks, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback2(_callbacks, on_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(_callbacks, on_frame_recv)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(_callbacks, on_data_chunk_recv)
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(_callbacks, on_extension_chunk_recv)
    nghttp2_session_callbacks_set_unpack_extension_callback(_callbacks, unpack_extension)
    set_response_callbacks(_callbacks)
    # Credit is given for what the application has read.
    nghttp2_option_set_no_auto_window_update(_option, 1)
    nghttp2_option_set_no_http_messaging(_option, 1)
    nghttp2_option_set_no_closed_streams(_option, 1)
    # Ours to read: 1.52 writes to streams that are gone, where one was heard of in this frame before its request.
    nghttp2_option_set_user_recv_extension_type(_option, NGHTTP2_PRIORITY_UPDATE)
    nghttp2_option_set_max_send_header_block_length(_option, MAX_HEAD_BYTES)
    # Where the library counts glitches as well, it goes on doing so; what our counters bound is theirs to bound.
    pc_leave_floods_to_us(_option)
    return 0


_prepare()


# -- the session -------------------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc_clear
cdef class NGHTTP2Engine(NGHTTP2Responses):
    """See HTTP2Session."""

    def __cinit__(self, SessionHandler handler not None, limits):
        self._builder = HeadBuilder(limits)
        self._update = b""
        self._window_bytes = limits.connection_window_bytes
        check(nghttp2_session_server_new2(&self._session, _callbacks, <void *> self, _option))

    def __dealloc__(self):
        cdef int i
        if self._known != NULL:
            for i in range(KNOWN_FIELDS):
                if self._known[i].field != NULL:
                    nghttp2_rcbuf_decref(self._known[i].name)
                    nghttp2_rcbuf_decref(self._known[i].value)
                    Py_DECREF(<tuple> self._known[i].field)
            PyMem_Free(self._known)

    cpdef object start(self):
        """See HTTP2Session."""
        cdef nghttp2_settings_entry entries[16]
        cdef const uint8_t *data
        cdef list settings = initial_settings(self._limits)
        cdef int count = 0
        for code, value in settings:
            entries[count].settings_id = code
            # How many streams there may be is our business: the library would end the connection.
            entries[count].value = MAX_STREAM_ID if code == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS else value
            count += 1
        check(nghttp2_submit_settings(self._session, NGHTTP2_FLAG_NONE, entries, count))
        check(nghttp2_session_mem_send(self._session, &data))
        # So what it makes of them is not what is sent.
        payload = b"".join([(<int> code).to_bytes(2, "big") + uint32(value) for code, value in settings])
        self._out.append(make_frame(SETTINGS, 0, 0, payload))
        check(nghttp2_session_set_local_window_size(
            self._session, NGHTTP2_FLAG_NONE, 0, self._window_bytes))

    cpdef object receive(self, bytes data, double now_seconds):
        """See HTTP2Session."""
        cdef ssize_t result
        cdef Py_ssize_t good
        if data is None:
            raise TypeError("receive() takes bytes, not None")
        if self._ended:
            return None
        if self._busy:
            raise RuntimeError("receive() called while the session is at work")
        good = self._floods.scan(data, now_seconds)
        self._busy = True
        result = nghttp2_session_mem_recv(self._session, <const uint8_t *> PyBytes_AS_STRING(data), good)
        self._busy = False
        if result < 0:
            self._raise(result)
        if nghttp2_session_want_write(self._session):
            # What the library has to say about what has come; content waits for send(), or a peer that reads nothing and asks
            # much could have it all moved here.
            self._pump(True)
        if self._failed_code:
            self._end()
            raise engine_error(self._failed_code, self._failed_reason)
        if self._floods.verdict:
            self._failed_verdict = self._floods.verdict
            self._raise(NGHTTP2_ERR_CALLBACK_FAILURE)
        return None

    cpdef object drop_unread(self, int stream_id):
        """See HTTP2Session."""
        cdef Stream stream = None if self._ended else self._stream(stream_id)
        if stream is not None and stream.unconsumed_bytes:
            self._unread_bytes -= stream.unconsumed_bytes
            nghttp2_session_consume_connection(self._session, stream.unconsumed_bytes)
            stream.unconsumed_bytes = 0
        return None

    cpdef Py_ssize_t unread_bytes(self) except -1:
        """See HTTP2Session."""
        return self._unread_bytes

    cpdef object widen_window(self, int size_bytes):
        """See HTTP2Session."""
        if not self._ended:
            self._window_bytes += size_bytes
            check(nghttp2_session_set_local_window_size(self._session, NGHTTP2_FLAG_NONE, 0, self._window_bytes))
        return None

    cdef bint _was_reset(self, int32_t stream_id) noexcept:
        cdef int i
        for i in range(REMEMBERED_RESETS):
            if self._resets[i] == stream_id:
                return True
        return False

    cdef int _begin_section(self, const nghttp2_frame *frame) except -1:
        self._builder.begin(frame.headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0

    cdef KnownField *_known_place(self, nghttp2_rcbuf *name, nghttp2_rcbuf *value) except NULL:
        """Where a line of these buffers is kept, or is to be kept: then another may be there, or none."""
        cdef uint32_t mixed = <uint32_t> ((<uintptr_t> value >> 4) + 3 * (<uintptr_t> name >> 4)) * 2654435761U
        cdef int first = <int> (mixed >> KNOWN_SHIFT)
        cdef KnownField *known
        cdef int i
        if self._known == NULL:
            self._known = <KnownField *> PyMem_Calloc(KNOWN_FIELDS, sizeof(KnownField))
            if self._known == NULL:
                raise MemoryError
        for i in range(KNOWN_PLACES):
            known = &self._known[(first + i) % KNOWN_FIELDS]
            if known.field == NULL or (known.value == value and known.name == name):
                return known
        # Each gets a second chance: lines that come with every request are not pushed out by those that come once.
        for i in range(2 * KNOWN_PLACES):
            known = &self._known[(first + i % KNOWN_PLACES) % KNOWN_FIELDS]
            if not known.is_in_use:
                break
            known.is_in_use = False
        return known

    cdef int _take_field(self, nghttp2_rcbuf *name, nghttp2_rcbuf *value) except -1:
        # What stands in the compression tables comes as the same buffers again: one look-up instead of two objects to make and
        # two to judge, for nearly every line after a connection's first request.
        cdef KnownField *known = self._known_place(name, value)
        cdef KnownField old = known[0]
        cdef nghttp2_vec text
        cdef bytes name_text
        cdef bytes value_text
        cdef tuple field
        cdef int kind
        cdef bint good
        if old.value == value and old.name == name:
            known.is_in_use = True
            good = self._builder.add(<tuple> old.field, old.kind)
        else:
            text = nghttp2_rcbuf_get_buf(name)
            name_text = PyBytes_FromStringAndSize(<const char *> text.base, text.len)
            text = nghttp2_rcbuf_get_buf(value)
            value_text = PyBytes_FromStringAndSize(<const char *> text.base, text.len)
            kind = judge_field(name_text, value_text)
            field = (name_text, value_text)
            if PyBytes_GET_SIZE(name_text) + PyBytes_GET_SIZE(value_text) <= KNOWN_FIELD_BYTES:
                nghttp2_rcbuf_incref(name)
                nghttp2_rcbuf_incref(value)
                Py_INCREF(field)
                known.name = name
                known.value = value
                known.field = <PyObject *> field
                known.kind = kind
                known.is_in_use = False
                if old.field != NULL:
                    nghttp2_rcbuf_decref(old.name)
                    nghttp2_rcbuf_decref(old.value)
                    Py_DECREF(<tuple> old.field)
            good = self._builder.add(field, kind)
        if good:
            return 0
        self._failed_verdict = "HEAD_MUCH_TOO_LARGE"
        return NGHTTP2_ERR_CALLBACK_FAILURE

    cdef int _take_frame(self, const nghttp2_frame *frame) except -1:
        cdef Stream stream
        if frame.hd.type == NGHTTP2_HEADERS:
            return self._take_head(frame) if frame.headers.cat == NGHTTP2_HCAT_REQUEST else self._take_trailers(frame)
        if frame.hd.type == NGHTTP2_DATA:
            if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
                stream = self._stream(frame.hd.stream_id)
                if stream is not None and not stream.dead:
                    if stream.content_left > 0:
                        return self._reset_for_peer(frame.hd.stream_id, PROTOCOL_ERROR)
                    return self._request_done(stream)
        elif frame.hd.type == NGHTTP2_GOAWAY:
            self._peer_leaving = True
            self._handler.goaway(frame.goaway.error_code, frame.goaway.last_stream_id)
        return 0

    cdef int _take_head(self, const nghttp2_frame *frame) except -1:
        cdef int32_t stream_id = frame.hd.stream_id
        cdef bint end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0
        cdef HeadBuilder builder = self._builder
        cdef RequestHead head = builder.finish(end)
        cdef nghttp2_extpri priority
        cdef Stream stream
        if head is None:
            if builder.verdict not in REFUSALS:
                return self._reset_for_peer(stream_id, STREAM_VERDICTS[builder.verdict][0])
            stream = self._add_stream(stream_id)
            stream.remote_done = end
            stream.stop_upload = stream.end_queued = True
            stream.status = REFUSALS[builder.verdict]
            stream.head = [(b"content-length", b"0")]
            self._submit_head(stream, True)
            return 0
        if self._open_requests >= self._max_requests:
            return self._reset_for_peer(stream_id, STREAM_VERDICTS["TOO_MANY_STREAMS"][0])
        stream = self._add_stream(stream_id)
        stream.announced = True
        stream.remote_done = end
        stream.content_left = head.content_length
        self._open += 1
        self._open_requests += 1
        if builder.urgency != 3 or builder.incremental:
            priority.urgency = builder.urgency
            priority.inc = builder.incremental
            nghttp2_session_change_extpri_stream_priority(self._session, stream_id, &priority, 0)
        self._handler.request(stream_id, head, builder.protocol, builder.authority_present, end)
        return 0

    cdef int _take_trailers(self, const nghttp2_frame *frame) except -1:
        cdef Stream stream = self._stream(frame.hd.stream_id)
        cdef str verdict = self._builder.finish_trailers((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        if stream is None or stream.dead:
            return 0
        if not verdict and stream.content_left > 0:
            verdict = "CONTENT_LENGTH_MISMATCH"
        if verdict:
            return self._reset_for_peer(frame.hd.stream_id, STREAM_VERDICTS[verdict][0])
        return self._request_done(stream)

    cdef int _take_data(self, int32_t stream_id, const uint8_t *data, size_t size) except -1:
        cdef Stream stream = self._stream(stream_id)
        if stream is None or stream.dead or not stream.announced:
            nghttp2_session_consume(self._session, stream_id, size)
            return 0
        if stream.content_left >= 0:
            stream.content_left -= size
            if stream.content_left < 0:
                nghttp2_session_consume(self._session, stream_id, size)
                return self._reset_for_peer(stream_id, PROTOCOL_ERROR)
        stream.unconsumed_bytes += size
        self._unread_bytes += size
        self._handler.data(stream_id, PyBytes_FromStringAndSize(<const char *> data, size))
        return 0

    cdef int _take_update(self, int32_t stream_id) except -1:
        cdef bytes update = self._update
        cdef nghttp2_extpri priority
        cdef int32_t about
        self._update = b""
        if len(update) < 4:
            self._failed_verdict = "FRAME_LENGTH"
            return NGHTTP2_ERR_CALLBACK_FAILURE
        about = int.from_bytes(update[:4], "big") & MAX_STREAM_ID
        if stream_id or not about:
            self._failed_verdict = "FRAME_STREAM"
            return NGHTTP2_ERR_CALLBACK_FAILURE
        if not about & 1 and <uint32_t> about >= nghttp2_session_get_next_stream_id(self._session):
            # RFC 9218 7.1: what has not been promised cannot be urgent.
            self._failed_verdict = "STREAM_IDLE"
            return NGHTTP2_ERR_CALLBACK_FAILURE
        if self._stream(about) is not None:
            priority.urgency, priority.inc = read_priority(update[4:])
            nghttp2_session_change_extpri_stream_priority(self._session, about, &priority, 0)
        return NGHTTP2_ERR_CANCEL

    cdef int _request_done(self, Stream stream) except -1:
        stream.remote_done = True
        if stream.announced:
            self._handler.end(stream.stream_id)
        return 0

    cdef int _reset_for_peer(self, int32_t stream_id, uint32_t error_code) except -1:
        """Reset a stream for what the peer has done to it."""
        cdef Stream stream = self._stream(stream_id)
        if stream is not None:
            self._total_bytes -= stream.queued_bytes
            stream.drop()
        check(nghttp2_submit_rst_stream(self._session, NGHTTP2_FLAG_NONE, stream_id, error_code))
        self._remember_reset(stream_id)
        if self._floods.reset():
            return 0
        self._failed_verdict = self._floods.verdict
        return NGHTTP2_ERR_CALLBACK_FAILURE
