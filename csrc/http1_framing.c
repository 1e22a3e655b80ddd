/* What a field section says about its message: host, length, coding, persistence, expectation, upgrade -> one decision.
 *
 * Knows no buffer state: it is called once, when the head is complete, and judges in the order of http1.h (RFC 9112 3.2, 6).
 */
#include <string.h>

#include "http1_internal.h"

#define LITERAL(text) text, sizeof(text) - 1

int pc_list_next(struct pc_list_cursor *cursor, const uint8_t **member, size_t *length) {
    const uint8_t *at = cursor->next;
    if (at == NULL) {
        return 0;
    }
    const uint8_t *comma = at < cursor->end ? memchr(at, ',', (size_t)(cursor->end - at)) : NULL;
    const uint8_t *end = comma != NULL ? comma : cursor->end;
    cursor->next = comma != NULL ? comma + 1 : NULL;
    while (at < end && pc_is_ows(*at)) {
        at++;
    }
    while (end > at && pc_is_ows(end[-1])) {
        end--;
    }
    *member = at;
    *length = (size_t)(end - at);
    return 1;
}

int pc_http1_list_has(const uint8_t *list, size_t length, const char *lower, size_t lower_length) {
    struct pc_list_cursor cursor = {list, list + length};
    const uint8_t *member;
    size_t member_length;
    while (pc_list_next(&cursor, &member, &member_length)) {
        if (pc_http1_name_is(member, member_length, lower, lower_length)) {
            return 1;
        }
    }
    return 0;
}

enum pc_status pc_http1_parse_content_length(const uint8_t *value, size_t length, int64_t *content_length) {
    uint64_t sum = 0;
    if (length == 0) {
        return PC_ERR_CONTENT_LENGTH;
    }
    for (size_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)(uint8_t)(value[i] - '0');
        if (digit > 9 || sum > (PC_INT63_MAX - digit) / 10) {
            return PC_ERR_CONTENT_LENGTH;
        }
        sum = sum * 10 + digit;
    }
    *content_length = (int64_t)sum;
    return PC_OK;
}

/* What is gathered in one walk over the fields; the judging comes after it, because its order is not that of the fields. */
struct findings {
    int32_t host;
    int32_t content_length;
    uint32_t hosts;
    uint32_t content_lengths;
    uint32_t codings;       /* members of all Transfer-Encoding fields */
    uint32_t transfer_encodings;
    uint32_t upgrades;
    uint8_t last_is_chunked;
    uint8_t coding_error;   /* a member that is no token, or chunked before the end */
    uint8_t expectation;
    uint8_t expectation_error;
    uint8_t close;
    uint8_t upgrade_listed;
    uint8_t forwarded;
};

static void find_codings(struct findings *found, const struct pc_scan_kernel *scan, const uint8_t *value, size_t length) {
    struct pc_list_cursor cursor = {value, value + length};
    const uint8_t *member;
    size_t size;
    found->transfer_encodings++;
    while (pc_list_next(&cursor, &member, &size)) {
        found->coding_error |= found->last_is_chunked;
        found->coding_error |= size == 0 || scan->token_end(member, member + size) != member + size;
        found->last_is_chunked = (uint8_t)pc_http1_name_is(member, size, LITERAL("chunked"));
        found->codings++;
    }
}

/* By the length of the name first: of the names browsers send, few share a length with these. */
static void find(struct findings *found, const struct pc_scan_kernel *scan, const uint8_t *buffer, const struct pc_http1_field *field,
                 int32_t index) {
    const uint8_t *name = buffer + field->name.offset;
    const uint8_t *value = buffer + field->value.offset;
    size_t length = field->name.length;
    switch (length) {
    case 4:
        if (pc_http1_name_is(name, length, LITERAL("host"))) {
            found->host = index;
            found->hosts++;
        }
        break;
    case 6:
        if (pc_http1_name_is(name, length, LITERAL("expect"))) {
            found->expectation = 1;
            found->expectation_error |= !pc_http1_name_is(value, field->value.length, LITERAL("100-continue"));
        }
        break;
    case 7:
        found->upgrades += (uint32_t)pc_http1_name_is(name, length, LITERAL("upgrade"));
        break;
    case 10:
        if (pc_http1_name_is(name, length, LITERAL("connection"))) {
            found->close |= (uint8_t)pc_http1_list_has(value, field->value.length, LITERAL("close"));
            found->upgrade_listed |= (uint8_t)pc_http1_list_has(value, field->value.length, LITERAL("upgrade"));
        }
        break;
    case 14:
        if (pc_http1_name_is(name, length, LITERAL("content-length"))) {
            found->content_length = index;
            found->content_lengths++;
        }
        break;
    case 15:
        found->forwarded |= (uint8_t)pc_http1_name_is(name, length, LITERAL("x-forwarded-for"));
        break;
    case 17:
        found->forwarded |= (uint8_t)pc_http1_name_is(name, length, LITERAL("x-forwarded-proto"));
        if (pc_http1_name_is(name, length, LITERAL("transfer-encoding"))) {
            find_codings(found, scan, value, field->value.length);
        }
        break;
    default:
        break;
    }
}

static enum pc_status judge_host(const struct findings *found, int minor_version, const uint8_t *buffer,
                                 const struct pc_http1_field *fields) {
    if (found->hosts == 0) {
        return minor_version == 1 ? PC_ERR_HOST_MISSING : PC_OK;
    }
    if (found->hosts > 1) {
        return PC_ERR_HOST_DUPLICATE;
    }
    const struct pc_http1_span value = fields[found->host].value;
    /* Empty is what a client sends for a URI without authority (RFC 9112 3.2). */
    return value.length == 0 || pc_http1_is_host(buffer + value.offset, value.length) ? PC_OK : PC_ERR_HOST;
}

static enum pc_status judge_coding(const struct findings *found, int minor_version) {
    if (found->transfer_encodings == 0) {
        return PC_OK;
    }
    if (minor_version == 0) {
        return PC_ERR_TRANSFER_ENCODING_HTTP10;
    }
    if (found->coding_error) {
        return PC_ERR_TRANSFER_ENCODING;
    }
    return found->codings == 1 && found->last_is_chunked ? PC_OK : PC_ERR_TRANSFER_CODING_UNKNOWN;
}

static enum pc_status judge_length(const struct findings *found, const uint8_t *buffer, const struct pc_http1_field *fields,
                                   int64_t *content_length) {
    *content_length = PC_HTTP1_NO_LENGTH;
    if (found->content_lengths == 0) {
        return PC_OK;
    }
    /* Equal values too: whoever repeats a length is not the one who counted (RFC 9112 6.3 leaves the choice). */
    if (found->content_lengths > 1) {
        return PC_ERR_CONTENT_LENGTH_DUPLICATE;
    }
    const struct pc_http1_span value = fields[found->content_length].value;
    enum pc_status status = pc_http1_parse_content_length(buffer + value.offset, value.length, content_length);
    if (status != PC_OK) {
        return status;
    }
    return found->transfer_encodings > 0 ? PC_ERR_TRANSFER_ENCODING_AND_LENGTH : PC_OK;
}

enum pc_status pc_http1_decide_framing(const struct pc_http1_limits *limits, int minor_version, const uint8_t *buffer,
                                       const struct pc_http1_field *fields, size_t count, struct pc_http1_framing *framing) {
    struct findings found = {.host = -1, .content_length = -1};
    enum pc_status status;
    for (size_t i = 0; i < count; i++) {
        find(&found, limits->scan, buffer, &fields[i], (int32_t)i);
    }
    if ((status = judge_host(&found, minor_version, buffer, fields)) != PC_OK ||
        (status = judge_coding(&found, minor_version)) != PC_OK ||
        (status = judge_length(&found, buffer, fields, &framing->content_length)) != PC_OK) {
        return status;
    }
    int is_http11 = minor_version == 1;
    if (is_http11 && found.expectation_error) {
        return PC_ERR_EXPECTATION;
    }
    if (limits->request_body_bytes != 0 && framing->content_length > 0 &&
        (uint64_t)framing->content_length > limits->request_body_bytes) {
        return PC_ERR_BODY_TOO_LARGE;
    }
    framing->host = found.host;
    framing->chunked = found.transfer_encodings > 0;
    /* HTTP/1.0 never persists: the same rule as uvicorn's, and no peer is known to miss it. */
    framing->keep_alive = is_http11 && !found.close;
    framing->expect_continue = is_http11 && found.expectation && (framing->chunked || framing->content_length > 0);
    /* RFC 9110 7.8: ignored in HTTP/1.0, and without the connection option. */
    framing->forwarded = found.forwarded;
    framing->upgrade = is_http11 && found.upgrade_listed && found.upgrades > 0;
    return PC_OK;
}
