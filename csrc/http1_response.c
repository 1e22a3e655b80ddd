/* Status line, field lines and chunk prefix -> the caller's buffer. Knows the grammar, not which fields a response should have.
 *
 * A field is written first and checked where it stands: behind it are the colon and the CRLF that the scanners stop at, so short
 * names and values are scanned a vector at a time without reading past what was written.
 */
#include <string.h>

#include "http1_internal.h"

#define LITERAL(text) text, sizeof(text) - 1

enum pc_status pc_http1_write_status_line(const struct pc_scan_kernel *scan, uint8_t *out, unsigned status, const uint8_t *reason,
                                          size_t reason_length, size_t *written) {
    uint8_t *at = out;
    /* Three digits (RFC 9112 4); 1xx is for the caller to allow. */
    if (status < 100 || status > 999) {
        return PC_ERR_REQUEST_LINE;
    }
    memcpy(at, "HTTP/1.1 ", 9);
    at += 9;
    *at++ = (uint8_t)('0' + status / 100);
    *at++ = (uint8_t)('0' + status / 10 % 10);
    *at++ = (uint8_t)('0' + status % 10);
    /* Also before an empty reason phrase (RFC 9112 4). */
    *at++ = ' ';
    uint8_t *phrase = at;
    if (reason_length > 0) {
        memcpy(at, reason, reason_length);
        at += reason_length;
    }
    *at++ = '\r';
    *at++ = '\n';
    *written = (size_t)(at - out);
    return scan->value_end(phrase, at) == at - 2 ? PC_OK : PC_ERR_FIELD_VALUE;
}

enum pc_status pc_http1_write_field(const struct pc_scan_kernel *scan, uint8_t *out, const uint8_t *name, size_t name_length,
                                    const uint8_t *value, size_t value_length, size_t *written) {
    uint8_t *at = out;
    memcpy(at, name, name_length);
    at += name_length;
    const uint8_t *colon = at;
    *at++ = ':';
    *at++ = ' ';
    const uint8_t *written_value = at;
    memcpy(at, value, value_length);
    at += value_length;
    *at++ = '\r';
    *at++ = '\n';
    *written = (size_t)(at - out);
    if (name_length == 0 || scan->token_end(out, at) != colon) {
        return PC_ERR_FIELD_NAME;
    }
    return scan->value_end(written_value, at) == at - 2 ? PC_OK : PC_ERR_FIELD_VALUE;
}

enum pc_status pc_http1_check_field(const struct pc_scan_kernel *scan, const uint8_t *name, size_t name_length, const uint8_t *value,
                                    size_t value_length) {
    if (name_length == 0 || scan->token_end(name, name + name_length) != name + name_length) {
        return PC_ERR_FIELD_NAME;
    }
    return scan->value_end(value, value + value_length) == value + value_length ? PC_OK : PC_ERR_FIELD_VALUE;
}

size_t pc_http1_write_chunk_prefix(uint8_t *out, uint64_t size) {
    static const char digits[] = "0123456789abcdef";
    uint8_t reversed[16];
    size_t count = 0;
    do {
        reversed[count++] = (uint8_t)digits[size & 0x0f];
        size >>= 4;
    } while (size != 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = reversed[count - 1 - i];
    }
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}

enum pc_http1_response_field pc_http1_response_field(const uint8_t *name, size_t length) {
    switch (length) {
    case 10:
        return pc_http1_name_is(name, length, LITERAL("connection")) ? PC_FIELD_CONNECTION : PC_FIELD_OTHER;
    case 14:
        return pc_http1_name_is(name, length, LITERAL("content-length")) ? PC_FIELD_CONTENT_LENGTH : PC_FIELD_OTHER;
    case 17:
        return pc_http1_name_is(name, length, LITERAL("transfer-encoding")) ? PC_FIELD_TRANSFER_ENCODING : PC_FIELD_OTHER;
    default:
        return PC_FIELD_OTHER;
    }
}
