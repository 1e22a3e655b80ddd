/* The HTTP/1 codec: the only header a caller includes. Knows C11 and RFC 9110/9112; no Python, no sockets, no clock.
 *
 * Return contract. Every function that can meet foreign bytes returns an `enum pc_status`:
 *   PC_OK           done; the out parameters are set
 *   PC_NEED_DATA    call again with the same bytes and more behind them; what was looked at is not looked at again
 *   PC_NEED_FIELDS  `fields` is full: call again with a larger copy of it
 *   PC_ERR_*        final; the message cannot be read any further
 * Nothing is allocated and nothing is kept but what stands in the caller's structs, so a caller may move its buffer between
 * two calls: all results are offsets into the buffer handed in, which may be empty but not NULL.
 *
 * The same bytes give the same verdict however they are split: a line is judged when its LF is there, or as soon as it is longer
 * than its limit.
 */
#ifndef PC_HTTP1_H
#define PC_HTTP1_H

#include <stddef.h>
#include <stdint.h>

/* In the order in which they are judged; the names are those of src/picocorn/http1/verdicts.py. */
#define PC_HTTP1_ERRORS(X)                                                                                                       \
    X(REQUEST_LINE_TOO_LONG)                                                                                                     \
    X(LINE_ENDING)                                                                                                               \
    X(LEADING_EMPTY_LINES)                                                                                                       \
    X(METHOD)                                                                                                                    \
    X(METHOD_TOO_LONG)                                                                                                           \
    X(REQUEST_LINE)                                                                                                              \
    X(VERSION)                                                                                                                   \
    X(VERSION_NOT_SUPPORTED)                                                                                                     \
    X(CONNECT_REFUSED)                                                                                                           \
    X(TARGET)                                                                                                                    \
    X(HEAD_TOO_LARGE)                                                                                                            \
    X(TOO_MANY_FIELDS)                                                                                                           \
    X(OBS_FOLD)                                                                                                                  \
    X(FIELD_NAME)                                                                                                                \
    X(FIELD_VALUE)                                                                                                               \
    X(HOST_MISSING)                                                                                                              \
    X(HOST_DUPLICATE)                                                                                                            \
    X(HOST)                                                                                                                      \
    X(TRANSFER_ENCODING_HTTP10)                                                                                                  \
    X(TRANSFER_ENCODING)                                                                                                         \
    X(TRANSFER_CODING_UNKNOWN)                                                                                                   \
    X(CONTENT_LENGTH_DUPLICATE)                                                                                                  \
    X(CONTENT_LENGTH)                                                                                                            \
    X(TRANSFER_ENCODING_AND_LENGTH)                                                                                              \
    X(EXPECTATION)                                                                                                               \
    X(BODY_TOO_LARGE)                                                                                                            \
    X(CHUNK_SIZE)                                                                                                                \
    X(CHUNK_EXTENSION)                                                                                                           \
    X(CHUNK_EXTENSION_TOO_LARGE)                                                                                                 \
    X(CHUNK_DATA)                                                                                                                \
    X(TRAILER)                                                                                                                   \
    X(TRAILER_TOO_LARGE)                                                                                                         \
    X(INCOMPLETE)

enum pc_status {
    PC_OK,
    PC_NEED_DATA,
    PC_NEED_FIELDS,
#define PC_X(name) PC_ERR_##name,
    PC_HTTP1_ERRORS(PC_X)
#undef PC_X
};

/* "OK", "NEED_DATA", ... and for errors the bare code: "TRANSFER_ENCODING_AND_LENGTH". Never NULL. */
const char *pc_status_name(enum pc_status status);

/* --- scanning ------------------------------------------------------------------------------------------------------- */

/* A set of byte scanners for one instruction set; see scan.h. Choose once and keep the pointer in the limits. */
struct pc_scan_kernel;
const struct pc_scan_kernel *pc_scan_choose(void);
const char *pc_scan_name(const struct pc_scan_kernel *kernel);

/* --- limits --------------------------------------------------------------------------------------------------------- */

/* base/limits.py says what each one bounds. A value beyond PC_HTTP1_MAX_LIMIT_BYTES must be cut down to it by the caller:
 * offsets are 32 bits wide. */
#define PC_HTTP1_MAX_LIMIT_BYTES 0x7fffffffu

struct pc_http1_limits {
    const struct pc_scan_kernel *scan;
    uint64_t request_body_bytes; /* 0: unlimited */
    uint32_t request_line_bytes;
    uint32_t request_fields;
    uint32_t request_head_bytes;
    uint32_t leading_empty_lines;
    uint32_t chunk_line_bytes;
    uint32_t chunk_extension_total_bytes;
    uint32_t trailer_bytes;
};

/* --- request head --------------------------------------------------------------------------------------------------- */

struct pc_http1_span {
    uint32_t offset;
    uint32_t length;
};

struct pc_http1_field {
    struct pc_http1_span name;  /* as sent: case kept */
    struct pc_http1_span value; /* without the whitespace around it */
};

/* Progress in a field section, of a head or of trailers. `line_start` is set by the caller to where the section begins; after
 * PC_OK it is the offset behind the final empty line. */
struct pc_http1_section {
    uint32_t line_start;
    uint32_t scanned; /* no LF in [line_start, scanned) */
    uint32_t count;
};

enum pc_http1_form { PC_FORM_ORIGIN, PC_FORM_ABSOLUTE, PC_FORM_ASTERISK };

struct pc_http1_request_line {
    uint32_t scanned; /* zero before the first call; no LF before it */
    uint32_t bytes;   /* the whole line with its CRLF */
    struct pc_http1_span method;
    struct pc_http1_span target;
    struct pc_http1_span authority; /* absolute-form only */
    struct pc_http1_span path;      /* may be empty in absolute-form: means "/" */
    struct pc_http1_span query;
    uint8_t form;          /* enum pc_http1_form */
    uint8_t minor_version; /* HTTP/1.<this>: 0 or 1 */
};

/* Skips the empty lines before a request (RFC 9112 2.2) and judges its first byte. `*count` is zero before the first call of a
 * message; `*consumed` bytes are to be dropped by the caller, whatever the verdict. PC_OK: a request line begins there. */
enum pc_status pc_http1_skip_empty_lines(const struct pc_http1_limits *limits, uint32_t *count, const uint8_t *buffer, size_t length,
                                         size_t *consumed);

/* `buffer` begins with the request line. Zero `*line` before the first call. */
enum pc_status pc_http1_parse_request_line(const struct pc_http1_limits *limits, struct pc_http1_request_line *line,
                                           const uint8_t *buffer, size_t length);

/* `buffer` begins with the request line too (request_head_bytes counts it). Before the first call: `section->line_start` and
 * `section->scanned` = `line->bytes`, `count` = 0. `fields` holds `capacity` entries and is kept by the caller between calls. */
enum pc_status pc_http1_parse_fields(const struct pc_http1_limits *limits, struct pc_http1_section *section, const uint8_t *buffer,
                                     size_t length, struct pc_http1_field *fields, size_t capacity);

/* Whether these bytes are uri-host [ ":" port ] with a non-empty host (RFC 9110 7.2, RFC 3986 3.2.2). */
int pc_http1_is_host(const uint8_t *host, size_t length);

/* Longest field name that `pc_http1_lower_name` folds; longer ones are none of the common names anyway. */
#define PC_HTTP1_NAME_BYTES 32u

/* Writes the ASCII-lower-cased name into `lowered`, zero-padded, and returns a hash of it. `length` <= PC_HTTP1_NAME_BYTES. */
uint32_t pc_http1_lower_name(uint8_t lowered[PC_HTTP1_NAME_BYTES], const uint8_t *name, size_t length);

/* --- framing -------------------------------------------------------------------------------------------------------- */

#define PC_HTTP1_NO_LENGTH (-1)

struct pc_http1_framing {
    int64_t content_length; /* PC_HTTP1_NO_LENGTH without the field */
    int32_t host;           /* index of the Host field, -1 without one */
    uint8_t chunked;
    uint8_t keep_alive;
    uint8_t expect_continue;
    uint8_t forwarded; /* there is an X-Forwarded-For or X-Forwarded-Proto field: somebody may want to look */
    uint8_t upgrade; /* there is an Upgrade field, and Connection lists it, on HTTP/1.1 */
};

/* One decision for the whole head, or the first rule it breaks (RFC 9112 3.2, 6.1, 6.3; RFC 9110 10.1.1). */
enum pc_status pc_http1_decide_framing(const struct pc_http1_limits *limits, int minor_version, const uint8_t *buffer,
                                       const struct pc_http1_field *fields, size_t count, struct pc_http1_framing *framing);

/* Whether a field is called `lower` (lower-case letters and "-"), whatever its case. */
int pc_http1_name_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length);

/* --- chunked content ------------------------------------------------------------------------------------------------ */

enum pc_http1_chunk_event { PC_CHUNK_DATA, PC_CHUNK_END };

/* Zero before the first call of a message. */
struct pc_http1_chunked {
    uint64_t remaining;   /* of the current chunk */
    uint64_t body_bytes;  /* announced so far */
    uint32_t extension_bytes;
    uint32_t scanned;     /* of the current size line */
    struct pc_http1_section trailers;
    uint8_t phase;
};

struct pc_http1_chunk {
    enum pc_http1_chunk_event event;
    size_t consumed; /* drop so many bytes, whatever the verdict */
    size_t data;     /* PC_CHUNK_DATA: where the content is; PC_CHUNK_END: what the offsets of trailer fields count from */
    size_t data_length;
};

/* The next piece of content (PC_CHUNK_DATA), or the end of the message (PC_CHUNK_END: `state->trailers.count` entries of
 * `fields` are set). The caller keeps `fields` between calls once the trailers have begun. */
enum pc_status pc_http1_next_chunk(const struct pc_http1_limits *limits, struct pc_http1_chunked *state, const uint8_t *buffer,
                                   size_t length, struct pc_http1_field *fields, size_t capacity, struct pc_http1_chunk *chunk);

/* --- response ------------------------------------------------------------------------------------------------------- */

/* Bytes of "name: value\r\n" around name and value. */
#define PC_HTTP1_FIELD_OVERHEAD 4u
/* "HTTP/1.1 200 " and CRLF around the reason phrase. */
#define PC_HTTP1_STATUS_OVERHEAD 15u
/* At most 16 hexadecimal digits and CRLF. */
#define PC_HTTP1_CHUNK_PREFIX_BYTES 18u

/* Each writes at `out`, which has room (the sums above), and sets `*written`. They refuse what would let a value become a
 * second line: PC_ERR_FIELD_NAME for what is not a token, PC_ERR_FIELD_VALUE for a control other than HTAB. */
enum pc_status pc_http1_write_status_line(const struct pc_scan_kernel *scan, uint8_t *out, unsigned status, const uint8_t *reason,
                                          size_t reason_length, size_t *written);
enum pc_status pc_http1_write_field(const struct pc_scan_kernel *scan, uint8_t *out, const uint8_t *name, size_t name_length,
                                    const uint8_t *value, size_t value_length, size_t *written);
/* The same verdicts without writing. */
enum pc_status pc_http1_check_field(const struct pc_scan_kernel *scan, const uint8_t *name, size_t name_length, const uint8_t *value,
                                    size_t value_length);
/* Size in hexadecimal and CRLF; returns how many bytes that took, up to PC_HTTP1_CHUNK_PREFIX_BYTES. */
size_t pc_http1_write_chunk_prefix(uint8_t *out, uint64_t size);

/* What the response's own framing fields say; the policy is the caller's. */
enum pc_http1_response_field { PC_FIELD_OTHER, PC_FIELD_CONTENT_LENGTH, PC_FIELD_TRANSFER_ENCODING, PC_FIELD_CONNECTION };
enum pc_http1_response_field pc_http1_response_field(const uint8_t *name, size_t length);
/* 1*DIGIT up to 2^63-1, else PC_ERR_CONTENT_LENGTH. */
enum pc_status pc_http1_parse_content_length(const uint8_t *value, size_t length, int64_t *content_length);
/* Whether a comma-separated list holds `lower`, whatever its case. */
int pc_http1_list_has(const uint8_t *list, size_t length, const char *lower, size_t lower_length);

#endif
