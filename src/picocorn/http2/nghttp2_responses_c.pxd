# Declarations of the responses over libnghttp2, for the engine.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from cpython.object cimport PyObject

from .floods_c cimport Floods
from .nghttp2 cimport (
    NGHTTP2_DATA, NGHTTP2_DATA_FLAG_EOF, NGHTTP2_DATA_FLAG_NO_COPY, NGHTTP2_DATA_FLAG_NO_END_STREAM,
    NGHTTP2_ERR_BAD_CLIENT_MAGIC, NGHTTP2_ERR_CALLBACK_FAILURE, NGHTTP2_ERR_DEFERRED, NGHTTP2_ERR_FLOODED, NGHTTP2_ERR_NOMEM,
    NGHTTP2_ERR_PAUSE, NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_NONE, NGHTTP2_GOAWAY, NGHTTP2_HEADERS,
    NGHTTP2_SETTINGS_ENABLE_PUSH, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, nghttp2_data_provider, nghttp2_data_source,
    nghttp2_frame, nghttp2_http2_strerror, nghttp2_nv, nghttp2_session, nghttp2_session_callbacks,
    nghttp2_session_callbacks_set_on_frame_not_send_callback, nghttp2_session_callbacks_set_on_frame_send_callback,
    nghttp2_session_callbacks_set_on_stream_close_callback, nghttp2_session_callbacks_set_send_data_callback,
    nghttp2_session_consume, nghttp2_session_consume_connection, nghttp2_session_del, nghttp2_session_get_last_proc_stream_id,
    nghttp2_session_get_remote_settings, nghttp2_session_get_stream_user_data, nghttp2_session_mem_send,
    nghttp2_session_resume_data, nghttp2_session_set_stream_user_data, nghttp2_session_want_write, nghttp2_settings_id,
    nghttp2_strerror, nghttp2_submit_goaway, nghttp2_submit_headers, nghttp2_submit_push_promise, nghttp2_submit_response,
    nghttp2_submit_rst_stream, nghttp2_submit_shutdown_notice, nghttp2_submit_trailer,
)
from .nghttp2_streams_c cimport Stream
from .session_c cimport HTTP2Session, SessionHandler


cdef enum:
    REMEMBERED_RESETS = 64

cdef int set_response_callbacks(nghttp2_session_callbacks *callbacks) noexcept


cdef class NGHTTP2Responses(HTTP2Session):
    cdef nghttp2_session *_session
    cdef SessionHandler _handler
    cdef object _limits
    cdef Floods _floods
    cdef PyObject *_streams
    cdef int _open
    cdef int _open_requests
    cdef int _max_requests
    cdef Py_ssize_t _total_bytes
    cdef Py_ssize_t _made_bytes
    cdef Py_ssize_t _unread_bytes
    cdef bint _busy
    cdef bint _holding
    cdef bint _ended
    cdef bint _leaving
    cdef bint _peer_leaving
    cdef int32_t _resets[REMEMBERED_RESETS]
    cdef int _next_reset

    # why it ends
    cdef object _failure
    cdef str _failed_verdict
    cdef uint32_t _failed_code
    cdef str _failed_reason
    cdef int _own_goaways

    # bytes that have not been asked for
    cdef list _out
    cdef PyObject *_piece
    cdef Py_ssize_t _used

    # streams
    cdef Stream _add_stream(self, int32_t stream_id)
    cdef int _remove_stream(self, Stream stream) except -1
    cdef Stream _stream(self, int32_t stream_id)
    cdef Stream _open_for_sending(self, int32_t stream_id)
    cdef int _remember_reset(self, int32_t stream_id) noexcept
    cdef int _stream_closed(self, int32_t stream_id, uint32_t error_code) except -1

    # what goes out
    cdef ssize_t _read_data(self, Stream stream, size_t length, uint32_t *flags) except -1
    cdef int _write_data(self, Stream stream, const uint8_t *header, size_t length) except -1
    cdef int _frame_sent(self, const nghttp2_frame *frame) except -1
    cdef int _frame_not_sent(self, const nghttp2_frame *frame) except -1
    cdef int _submit_head(self, Stream stream, bint end) except -1
    cdef int _submit_trailers(self, Stream stream) except -1
    cdef int _submit_plain(self, int stream_id, int status, list headers) except -1
    cdef int _pump(self, bint holding) except -1
    cdef char *_room(self, Py_ssize_t size) except NULL
    cdef int _close_piece(self) except -1

    # the end
    cdef int _write_goaway(self, uint32_t error_code) except -1
    cdef int _raise(self, ssize_t result) except -1
    cdef int _end(self) noexcept
