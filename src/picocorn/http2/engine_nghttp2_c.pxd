# Declarations of the engine over libnghttp2. Its twin is engine_h2_py.py.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, uintptr_t

from cpython.object cimport PyObject

from .heads_c cimport HeadBuilder
from .nghttp2 cimport (
    NGHTTP2_DATA, NGHTTP2_ERR_CALLBACK_FAILURE, NGHTTP2_ERR_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_NONE,
    NGHTTP2_GOAWAY, NGHTTP2_HCAT_REQUEST, NGHTTP2_HEADERS, NGHTTP2_PRIORITY_UPDATE, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
    nghttp2_extpri, nghttp2_frame, nghttp2_frame_hd, nghttp2_option, nghttp2_option_new,
    nghttp2_option_set_max_send_header_block_length, nghttp2_option_set_no_auto_window_update,
    nghttp2_option_set_no_closed_streams, nghttp2_option_set_no_http_messaging, nghttp2_option_set_user_recv_extension_type,
    nghttp2_rcbuf, nghttp2_rcbuf_decref, nghttp2_rcbuf_get_buf, nghttp2_rcbuf_incref, nghttp2_session,
    nghttp2_session_callbacks, nghttp2_session_callbacks_new, nghttp2_session_callbacks_set_on_begin_frame_callback,
    nghttp2_session_callbacks_set_on_begin_headers_callback, nghttp2_session_callbacks_set_on_data_chunk_recv_callback,
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback, nghttp2_session_callbacks_set_on_frame_recv_callback,
    nghttp2_session_callbacks_set_on_header_callback2, nghttp2_session_callbacks_set_unpack_extension_callback,
    nghttp2_session_change_extpri_stream_priority, nghttp2_session_consume, nghttp2_session_consume_connection,
    nghttp2_session_get_next_stream_id,
    nghttp2_session_get_stream_user_data, nghttp2_session_mem_recv, nghttp2_session_mem_send, nghttp2_session_server_new2,
    nghttp2_session_set_local_window_size, nghttp2_session_want_write, nghttp2_settings_entry, nghttp2_submit_rst_stream,
    nghttp2_submit_settings, nghttp2_vec,
)
from .nghttp2_responses_c cimport NGHTTP2Responses
from .nghttp2_streams_c cimport Stream
from .session_c cimport SessionHandler


cdef struct KnownField:
    # A line of a field section, as the compression tables hold it: their buffers do not change while somebody counts on them.
    nghttp2_rcbuf *name
    nghttp2_rcbuf *value
    PyObject *field
    int kind
    bint is_in_use


cdef class NGHTTP2Engine(NGHTTP2Responses):
    cdef HeadBuilder _builder
    cdef KnownField *_known
    cdef int32_t _highest
    cdef bytes _update
    cdef int32_t _window_bytes

    cdef bint _was_reset(self, int32_t stream_id) noexcept
    cdef int _begin_section(self, const nghttp2_frame *frame) except -1
    cdef KnownField *_known_place(self, nghttp2_rcbuf *name, nghttp2_rcbuf *value) except NULL
    cdef int _take_field(self, nghttp2_rcbuf *name, nghttp2_rcbuf *value) except -1
    cdef int _take_frame(self, const nghttp2_frame *frame) except -1
    cdef int _take_head(self, const nghttp2_frame *frame) except -1
    cdef int _take_trailers(self, const nghttp2_frame *frame) except -1
    cdef int _take_data(self, int32_t stream_id, const uint8_t *data, size_t size) except -1
    cdef int _take_update(self, int32_t stream_id) except -1
    cdef int _request_done(self, Stream stream) except -1
    cdef int _reset_for_peer(self, int32_t stream_id, uint32_t error_code) except -1
