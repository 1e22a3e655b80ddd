# libnghttp2 as far as the engine uses it: what versions 1.52 to 1.70 have in common.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t


cdef extern from "nghttp2/nghttp2.h":
    enum:
        NGHTTP2_ERR_WOULDBLOCK
        NGHTTP2_ERR_DEFERRED
        NGHTTP2_ERR_PAUSE
        NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        NGHTTP2_ERR_CALLBACK_FAILURE
        NGHTTP2_ERR_CANCEL
        NGHTTP2_ERR_NOMEM
        NGHTTP2_ERR_BAD_CLIENT_MAGIC
        NGHTTP2_ERR_FLOODED
    enum:
        NGHTTP2_FLAG_NONE
        NGHTTP2_FLAG_END_STREAM
        NGHTTP2_FLAG_ACK
    enum:
        NGHTTP2_DATA
        NGHTTP2_HEADERS
        NGHTTP2_GOAWAY
        NGHTTP2_PRIORITY_UPDATE
    enum:
        NGHTTP2_DATA_FLAG_EOF
        NGHTTP2_DATA_FLAG_NO_END_STREAM
        NGHTTP2_DATA_FLAG_NO_COPY
    enum:
        NGHTTP2_NV_FLAG_NONE
    enum:
        NGHTTP2_SETTINGS_ENABLE_PUSH
        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS

    ctypedef enum nghttp2_settings_id:
        pass
    ctypedef enum nghttp2_headers_category:
        NGHTTP2_HCAT_REQUEST

    struct nghttp2_session:
        pass
    struct nghttp2_session_callbacks:
        pass
    struct nghttp2_option:
        pass
    struct nghttp2_rcbuf:
        pass

    ctypedef struct nghttp2_vec:
        uint8_t *base
        size_t len

    ctypedef struct nghttp2_nv:
        uint8_t *name
        uint8_t *value
        size_t namelen
        size_t valuelen
        uint8_t flags

    ctypedef struct nghttp2_settings_entry:
        int32_t settings_id
        uint32_t value

    ctypedef struct nghttp2_frame_hd:
        size_t length
        int32_t stream_id
        uint8_t type
        uint8_t flags

    ctypedef struct nghttp2_headers:
        nghttp2_frame_hd hd
        nghttp2_headers_category cat

    ctypedef struct nghttp2_goaway:
        nghttp2_frame_hd hd
        int32_t last_stream_id
        uint32_t error_code
        uint8_t *opaque_data
        size_t opaque_data_len

    ctypedef union nghttp2_frame:
        nghttp2_frame_hd hd
        nghttp2_headers headers
        nghttp2_goaway goaway

    ctypedef struct nghttp2_extpri:
        uint32_t urgency
        int inc

    ctypedef union nghttp2_data_source:
        void *ptr

    ctypedef ssize_t (*nghttp2_data_source_read_callback)(
        nghttp2_session *session, int32_t stream_id, uint8_t *buf, size_t length, uint32_t *data_flags,
        nghttp2_data_source *source, void *user_data) noexcept

    ctypedef struct nghttp2_data_provider:
        nghttp2_data_source source
        nghttp2_data_source_read_callback read_callback

    ctypedef int (*nghttp2_send_data_callback)(
        nghttp2_session *session, nghttp2_frame *frame, const uint8_t *framehd, size_t length, nghttp2_data_source *source,
        void *user_data) noexcept
    ctypedef int (*nghttp2_on_frame_recv_callback)(
        nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept
    ctypedef int (*nghttp2_on_data_chunk_recv_callback)(
        nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len, void *user_data) noexcept
    ctypedef int (*nghttp2_on_frame_send_callback)(
        nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept
    ctypedef int (*nghttp2_on_frame_not_send_callback)(
        nghttp2_session *session, const nghttp2_frame *frame, int lib_error_code, void *user_data) noexcept
    ctypedef int (*nghttp2_on_stream_close_callback)(
        nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user_data) noexcept
    ctypedef int (*nghttp2_on_begin_frame_callback)(
        nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data) noexcept
    ctypedef int (*nghttp2_on_begin_headers_callback)(
        nghttp2_session *session, const nghttp2_frame *frame, void *user_data) noexcept
    ctypedef int (*nghttp2_on_extension_chunk_recv_callback)(
        nghttp2_session *session, const nghttp2_frame_hd *hd, const uint8_t *data, size_t len, void *user_data) noexcept
    ctypedef int (*nghttp2_unpack_extension_callback)(
        nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd, void *user_data) noexcept
    ctypedef int (*nghttp2_on_header_callback2)(
        nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
        void *user_data) noexcept

    void nghttp2_rcbuf_incref(nghttp2_rcbuf *rcbuf)
    void nghttp2_rcbuf_decref(nghttp2_rcbuf *rcbuf)
    nghttp2_vec nghttp2_rcbuf_get_buf(nghttp2_rcbuf *rcbuf)

    int nghttp2_session_callbacks_new(nghttp2_session_callbacks **callbacks)
    void nghttp2_session_callbacks_set_on_frame_recv_callback(nghttp2_session_callbacks *, nghttp2_on_frame_recv_callback)
    void nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        nghttp2_session_callbacks *, nghttp2_on_data_chunk_recv_callback)
    void nghttp2_session_callbacks_set_on_frame_send_callback(nghttp2_session_callbacks *, nghttp2_on_frame_send_callback)
    void nghttp2_session_callbacks_set_on_frame_not_send_callback(
        nghttp2_session_callbacks *, nghttp2_on_frame_not_send_callback)
    void nghttp2_session_callbacks_set_on_stream_close_callback(nghttp2_session_callbacks *, nghttp2_on_stream_close_callback)
    void nghttp2_session_callbacks_set_on_begin_frame_callback(nghttp2_session_callbacks *, nghttp2_on_begin_frame_callback)
    void nghttp2_session_callbacks_set_on_begin_headers_callback(
        nghttp2_session_callbacks *, nghttp2_on_begin_headers_callback)
    void nghttp2_session_callbacks_set_on_header_callback2(nghttp2_session_callbacks *, nghttp2_on_header_callback2)
    void nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(
        nghttp2_session_callbacks *, nghttp2_on_extension_chunk_recv_callback)
    void nghttp2_session_callbacks_set_unpack_extension_callback(
        nghttp2_session_callbacks *, nghttp2_unpack_extension_callback)
    void nghttp2_session_callbacks_set_send_data_callback(nghttp2_session_callbacks *, nghttp2_send_data_callback)

    int nghttp2_option_new(nghttp2_option **option)
    void nghttp2_option_set_no_auto_window_update(nghttp2_option *option, int val)
    void nghttp2_option_set_no_http_messaging(nghttp2_option *option, int val)
    void nghttp2_option_set_no_closed_streams(nghttp2_option *option, int val)
    void nghttp2_option_set_user_recv_extension_type(nghttp2_option *option, uint8_t type)
    void nghttp2_option_set_max_send_header_block_length(nghttp2_option *option, size_t val)

    int nghttp2_session_server_new2(
        nghttp2_session **session, const nghttp2_session_callbacks *callbacks, void *user_data, const nghttp2_option *option)
    void nghttp2_session_del(nghttp2_session *session)
    ssize_t nghttp2_session_mem_send(nghttp2_session *session, const uint8_t **data)
    ssize_t nghttp2_session_mem_recv(nghttp2_session *session, const uint8_t *data, size_t length)
    int nghttp2_session_resume_data(nghttp2_session *session, int32_t stream_id)
    int nghttp2_session_want_write(nghttp2_session *session)
    void *nghttp2_session_get_stream_user_data(nghttp2_session *session, int32_t stream_id)
    int nghttp2_session_set_stream_user_data(nghttp2_session *session, int32_t stream_id, void *data)
    int nghttp2_session_set_local_window_size(nghttp2_session *session, uint8_t flags, int32_t stream_id, int32_t size)
    int32_t nghttp2_session_get_last_proc_stream_id(nghttp2_session *session)
    int32_t nghttp2_session_get_stream_remote_window_size(nghttp2_session *session, int32_t stream_id)
    int32_t nghttp2_session_get_remote_window_size(nghttp2_session *session)
    uint32_t nghttp2_session_get_next_stream_id(nghttp2_session *session)
    uint32_t nghttp2_session_get_remote_settings(nghttp2_session *session, nghttp2_settings_id id)
    int nghttp2_session_consume(nghttp2_session *session, int32_t stream_id, size_t size)
    int nghttp2_session_consume_connection(nghttp2_session *session, size_t size)
    int nghttp2_session_change_extpri_stream_priority(
        nghttp2_session *session, int32_t stream_id, const nghttp2_extpri *extpri, int ignore_client_signal)

    int nghttp2_submit_settings(nghttp2_session *, uint8_t flags, const nghttp2_settings_entry *iv, size_t niv)
    int nghttp2_submit_response(
        nghttp2_session *, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen, const nghttp2_data_provider *data_prd)
    int32_t nghttp2_submit_headers(
        nghttp2_session *, uint8_t flags, int32_t stream_id, const void *pri_spec, const nghttp2_nv *nva, size_t nvlen,
        void *stream_user_data)
    int nghttp2_submit_trailer(nghttp2_session *, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen)
    int nghttp2_submit_data(nghttp2_session *, uint8_t flags, int32_t stream_id, const nghttp2_data_provider *data_prd)
    int nghttp2_submit_rst_stream(nghttp2_session *, uint8_t flags, int32_t stream_id, uint32_t error_code)
    int32_t nghttp2_submit_push_promise(
        nghttp2_session *, uint8_t flags, int32_t stream_id, const nghttp2_nv *nva, size_t nvlen, void *stream_user_data)
    int nghttp2_submit_goaway(
        nghttp2_session *, uint8_t flags, int32_t last_stream_id, uint32_t error_code, const uint8_t *data, size_t length)
    int nghttp2_submit_shutdown_notice(nghttp2_session *)
    const char *nghttp2_strerror(int lib_error_code)
    const char *nghttp2_http2_strerror(uint32_t error_code)
