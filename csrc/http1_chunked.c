/* Chunked content (RFC 9112 7.1): size lines with extensions, data, trailers. Knows no head.
 *
 * Extensions are checked and dropped; trailers are given as fields of their own and must never be merged into the head's (RFC 9110
 * 6.5.1): a trailer that became a request field would let a client set what a proxy in front has checked.
 */
#include <string.h>

#include "http1_internal.h"

enum { SIZE_LINE, CHUNK_BYTES, AFTER_CHUNK, TRAILERS, DONE };

#define MAX_SIZE_DIGITS 16

static const uint8_t *skip_ows(const uint8_t *at, const uint8_t *end) {
    while (at < end && pc_is_ows(*at)) {
        at++;
    }
    return at;
}

/* Behind the closing quote, or NULL (RFC 9110 5.6.4). */
static const uint8_t *skip_quoted_string(const uint8_t *at, const uint8_t *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && ++at == end) {
            return NULL;
        }
        if (!pc_has_class(*at, PC_CLASS_VALUE)) {
            return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

/* *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) (RFC 9112 7.1.1) */
static int is_extension(const struct pc_scan_kernel *scan, const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        at = skip_ows(at, end);
        if (at == end || *at != ';') {
            return 0;
        }
        const uint8_t *name = skip_ows(at + 1, end);
        at = scan->token_end(name, end);
        if (at == name) {
            return 0;
        }
        const uint8_t *equals = skip_ows(at, end);
        if (equals == end || *equals != '=') {
            continue;
        }
        const uint8_t *value = skip_ows(equals + 1, end);
        if (value < end && *value == '"') {
            at = skip_quoted_string(value, end);
        } else {
            at = scan->token_end(value, end);
        }
        if (at == NULL || at == value) {
            return 0;
        }
    }
    return 1;
}

/* The whole size line is there: [line, end) and, if `has_cr`, CRLF. */
static enum pc_status judge_size_line(const struct pc_http1_limits *limits, struct pc_http1_chunked *state, const uint8_t *line,
                                      const uint8_t *end, int has_cr) {
    const uint8_t *at = line;
    uint64_t size = 0;
    while (at < end && pc_has_class(*at, PC_CLASS_HEX) && at - line <= MAX_SIZE_DIGITS) {
        size = (size << 4) | (uint64_t)((*at & 0x0f) + (*at > '9' ? 9 : 0));
        at++;
    }
    int is_delimited = at == end || *at == ';' || pc_is_ows(*at);
    if (!has_cr || at == line || at - line > MAX_SIZE_DIGITS || size > PC_INT63_MAX || !is_delimited) {
        return PC_ERR_CHUNK_SIZE;
    }
    if (!is_extension(limits->scan, at, end)) {
        return PC_ERR_CHUNK_EXTENSION;
    }
    state->extension_bytes += (uint32_t)(end - at);
    if (state->extension_bytes > limits->chunk_extension_total_bytes) {
        return PC_ERR_CHUNK_EXTENSION_TOO_LARGE;
    }
    /* Cannot wrap: all but this last summand has been received. */
    state->body_bytes += size;
    if (limits->request_body_bytes != 0 && state->body_bytes > limits->request_body_bytes) {
        return PC_ERR_BODY_TOO_LARGE;
    }
    state->remaining = size;
    state->phase = size != 0 ? CHUNK_BYTES : TRAILERS;
    return PC_OK;
}

static enum pc_status next_size_line(const struct pc_http1_limits *limits, struct pc_http1_chunked *state, const uint8_t *line,
                                     size_t length, size_t *line_bytes) {
    /* A line as long as the limit has its CRLF inside this. */
    size_t limit = (size_t)limits->chunk_line_bytes + 2;
    size_t visible = length < limit ? length : limit;
    const uint8_t *newline = state->scanned < visible ? memchr(line + state->scanned, '\n', visible - state->scanned) : NULL;
    if (newline == NULL) {
        state->scanned = (uint32_t)visible;
        return visible == limit ? PC_ERR_CHUNK_EXTENSION_TOO_LARGE : PC_NEED_DATA;
    }
    int has_cr = newline > line && newline[-1] == '\r';
    const uint8_t *end = newline - has_cr;
    *line_bytes = (size_t)(newline + 1 - line);
    state->scanned = 0;
    return judge_size_line(limits, state, line, end, has_cr);
}

static enum pc_status skip_crlf(const uint8_t *at, size_t length) {
    if (length > 0 && at[0] != '\r') {
        return PC_ERR_CHUNK_DATA;
    }
    if (length > 1 && at[1] != '\n') {
        return PC_ERR_CHUNK_DATA;
    }
    return length > 1 ? PC_OK : PC_NEED_DATA;
}

static enum pc_status next_trailers(const struct pc_http1_limits *limits, struct pc_http1_chunked *state, const uint8_t *buffer,
                                    size_t length, struct pc_http1_field *fields, size_t capacity) {
    enum pc_status status =
        pc_http1_parse_section(limits, &state->trailers, limits->trailer_bytes, buffer, length, fields, capacity);
    switch (status) {
    case PC_OK:
    case PC_NEED_DATA:
    case PC_NEED_FIELDS:
        return status;
    case PC_ERR_HEAD_TOO_LARGE:
    case PC_ERR_TOO_MANY_FIELDS:
        return PC_ERR_TRAILER_TOO_LARGE;
    default:
        return PC_ERR_TRAILER;
    }
}

static void give_data(struct pc_http1_chunked *state, size_t at, size_t length, struct pc_http1_chunk *chunk) {
    size_t available = length - at;
    size_t size = state->remaining < available ? (size_t)state->remaining : available;
    state->remaining -= size;
    state->phase = state->remaining != 0 ? CHUNK_BYTES : AFTER_CHUNK;
    chunk->event = PC_CHUNK_DATA;
    chunk->data = at;
    chunk->data_length = size;
    chunk->consumed = at + size;
}

enum pc_status pc_http1_next_chunk(const struct pc_http1_limits *limits, struct pc_http1_chunked *state, const uint8_t *buffer,
                                   size_t length, struct pc_http1_field *fields, size_t capacity, struct pc_http1_chunk *chunk) {
    enum pc_status status;
    size_t line_bytes = 0;
    size_t at = 0;
    chunk->consumed = 0;
    for (;;) {
        chunk->consumed = at;
        switch (state->phase) {
        case SIZE_LINE:
            status = next_size_line(limits, state, buffer + at, length - at, &line_bytes);
            at += line_bytes;
            break;
        case CHUNK_BYTES:
            if (at == length) {
                return PC_NEED_DATA;
            }
            give_data(state, at, length, chunk);
            return PC_OK;
        case AFTER_CHUNK:
            status = skip_crlf(buffer + at, length - at);
            if (status == PC_OK) {
                at += 2;
                state->phase = SIZE_LINE;
            }
            break;
        case TRAILERS:
            status = next_trailers(limits, state, buffer + at, length - at, fields, capacity);
            if (status == PC_OK) {
                state->phase = DONE;
                chunk->event = PC_CHUNK_END;
                chunk->data = at;
                chunk->data_length = 0;
                chunk->consumed = at + state->trailers.line_start;
            }
            return status;
        default:
            return PC_ERR_CHUNK_DATA;
        }
        if (status != PC_OK) {
            return status;
        }
    }
}
