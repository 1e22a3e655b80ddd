# The HTTP/1 request parser over csrc/http1.h. Twin of parser_py.py, whose docstrings say what each member means.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from ..base.request_head_c cimport RequestHead


cdef extern from "http1.h" nogil:
    enum pc_status:
        PC_OK
        PC_NEED_DATA
        PC_NEED_FIELDS
        PC_ERR_VERSION_NOT_SUPPORTED
        PC_ERR_INCOMPLETE

    struct pc_scan_kernel:
        pass

    const pc_scan_kernel *pc_scan_choose()
    const char *pc_scan_name(const pc_scan_kernel *kernel)
    const char *pc_status_name(pc_status status)

    const uint32_t PC_HTTP1_MAX_LIMIT_BYTES
    enum:
        PC_HTTP1_NAME_BYTES

    struct pc_http1_limits:
        const pc_scan_kernel *scan
        uint64_t request_body_bytes
        uint32_t request_line_bytes
        uint32_t request_fields
        uint32_t request_head_bytes
        uint32_t leading_empty_lines
        uint32_t chunk_line_bytes
        uint32_t chunk_extension_total_bytes
        uint32_t trailer_bytes

    struct pc_http1_span:
        uint32_t offset
        uint32_t length

    struct pc_http1_field:
        pc_http1_span name
        pc_http1_span value

    struct pc_http1_section:
        uint32_t line_start
        uint32_t scanned
        uint32_t count

    enum pc_http1_form:
        PC_FORM_ORIGIN
        PC_FORM_ABSOLUTE
        PC_FORM_ASTERISK

    struct pc_http1_request_line:
        uint32_t scanned
        uint32_t bytes
        pc_http1_span method
        pc_http1_span target
        pc_http1_span authority
        pc_http1_span path
        pc_http1_span query
        uint8_t form
        uint8_t minor_version

    struct pc_http1_framing:
        int64_t content_length
        int32_t host
        uint8_t chunked
        uint8_t keep_alive
        uint8_t expect_continue
        uint8_t forwarded
        uint8_t upgrade

    struct pc_http1_chunked:
        uint64_t remaining
        pc_http1_section trailers

    enum pc_http1_chunk_event:
        PC_CHUNK_DATA
        PC_CHUNK_END

    struct pc_http1_chunk:
        pc_http1_chunk_event event
        size_t consumed
        size_t data
        size_t data_length

    pc_status pc_http1_skip_empty_lines(
        const pc_http1_limits *limits, uint32_t *count, const uint8_t *buffer, size_t length, size_t *consumed)
    pc_status pc_http1_parse_request_line(
        const pc_http1_limits *limits, pc_http1_request_line *line, const uint8_t *buffer, size_t length)
    pc_status pc_http1_parse_fields(
        const pc_http1_limits *limits, pc_http1_section *section, const uint8_t *buffer, size_t length,
        pc_http1_field *fields, size_t capacity)
    uint32_t pc_http1_lower_name(uint8_t *lowered, const uint8_t *name, size_t length)
    int pc_http1_name_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length)
    pc_status pc_http1_decide_framing(
        const pc_http1_limits *limits, int minor_version, const uint8_t *buffer, const pc_http1_field *fields, size_t count,
        pc_http1_framing *framing)
    pc_status pc_http1_next_chunk(
        const pc_http1_limits *limits, pc_http1_chunked *state, const uint8_t *buffer, size_t length,
        pc_http1_field *fields, size_t capacity, pc_http1_chunk *chunk)


cdef class _Limits:
    # HTTP1Limits as C numbers; one object serves all connections of a server.
    cdef pc_http1_limits numbers


cdef class RequestParser:
    # the last event
    cdef readonly RequestHead head
    cdef readonly bytes data
    cdef readonly list trailers

    # bytes not yet consumed: [_bytes + _pos, _bytes + _end), inside `_piece` or inside `_own`
    cdef bytes _piece
    cdef uint8_t *_own
    cdef const uint8_t *_bytes
    cdef Py_ssize_t _own_capacity
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _end

    # place in the message
    cdef _Limits _limits
    cdef int _place
    cdef pc_status _error
    cdef bint _eof
    cdef bint _busy
    cdef bint _refused_is_head
    cdef uint32_t _empty_lines
    cdef pc_http1_request_line _line
    cdef pc_http1_section _section
    cdef pc_http1_chunked _chunks
    cdef long long _content_left

    # fields of a section that has not come as a whole
    cdef pc_http1_field *_fields
    cdef size_t _capacity

    # the field section of the previous request
    cdef bytes _known_section
    cdef tuple _known_fields
    cdef pc_http1_framing _known_framing
    cdef int _known_version

    cpdef Py_ssize_t buffered_bytes(self) noexcept
    cpdef bint mid_message(self) noexcept
    cpdef bint begun_is_head(self) noexcept

    # bytes in
    cpdef object feed(self, bytes data)
    cpdef object feed_eof(self)
    cpdef bytes take_rest(self)
    cdef int _reserve(self, Py_ssize_t size) except -1
    cdef int _detach(self) except -1
    cdef void _consume(self, Py_ssize_t size) noexcept

    # events out
    cpdef int next_event(self) except -2
    cdef int _step(self) except -2
    cdef int _stop(self, pc_status status) except -2
    cdef int _fail(self, pc_status status) except -2

    # head
    cdef int _read_head(self) except -2
    cdef int _read_fields(self) except -2
    cdef bint _is_known_section(self) noexcept
    cdef int _take_known_section(self) except -2
    cdef int _take_section(self, const pc_http1_field *fields, const pc_http1_framing *framing) except -2
    cdef int _finish_head(self, list headers, const pc_http1_framing *framing, bytes upgrade) except -2
    cdef int _set_target(self, RequestHead head) except -1
    cdef pc_http1_field *_keep_fields(self, const pc_http1_field *fields, size_t count, size_t capacity) except NULL
    cdef void _drop_fields(self) noexcept

    # content
    cdef int _read_content(self) except -2
    cdef int _read_chunks(self) except -2
    cdef int _take_data(self, Py_ssize_t offset, Py_ssize_t size) except -2
    cdef int _finish_message(self, list trailers) except -2
