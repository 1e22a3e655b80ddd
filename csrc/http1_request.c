/* Request line and field section -> offsets into the caller's buffer. Knows lines and fields, not what the fields mean.
 *
 * Every line is tried by an optimistic pass first, which accepts only what is plainly right and found complete. Whatever it does
 * not accept goes to a judge that sees the complete line and applies the rules in the order of http1.h: so there is one place
 * for verdicts, and the order in which the optimistic pass happens to look at bytes never shows.
 */
#include <string.h>

#include "http1_internal.h"

#define METHOD_BYTES 32u

const char *pc_status_name(enum pc_status status) {
    static const char *const names[] = {
        "OK", "NEED_DATA", "NEED_FIELDS",
#define PC_X(name) #name,
        PC_HTTP1_ERRORS(PC_X)
#undef PC_X
    };
    return (size_t)status < sizeof names / sizeof names[0] ? names[status] : "UNKNOWN";
}

static struct pc_http1_span span_between(const uint8_t *buffer, const uint8_t *from, const uint8_t *to) {
    return (struct pc_http1_span){(uint32_t)(from - buffer), (uint32_t)(to - from)};
}

static int same_folded(const uint8_t *bytes, size_t length, const char *lower, size_t lower_length) {
    if (length != lower_length) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (pc_lower(bytes[i]) != (uint8_t)lower[i]) {
            return 0;
        }
    }
    return 1;
}

int pc_http1_name_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length) {
    return same_folded(name, length, lower, lower_length);
}

/* --- before the request line ---------------------------------------------------------------------------------------- */

enum pc_status pc_http1_skip_empty_lines(const struct pc_http1_limits *limits, uint32_t *count, const uint8_t *buffer, size_t length,
                                         size_t *consumed) {
    size_t at = 0;
    enum pc_status status = PC_NEED_DATA;
    while (at < length) {
        if (buffer[at] == '\r') {
            if (length - at < 2) {
                break;
            }
            if (buffer[at + 1] != '\n') {
                /* A line that begins with a bare CR: judged as a line. */
                status = PC_OK;
                break;
            }
            at += 2;
            if (++*count > limits->leading_empty_lines) {
                status = PC_ERR_LEADING_EMPTY_LINES;
                break;
            }
        } else if (pc_has_class(buffer[at], PC_CLASS_TOKEN)) {
            status = PC_OK;
            break;
        } else {
            /* At once, not at the end of the line: a TLS hello has no line end, and its sender waits for an answer. */
            status = buffer[at] == '\n' ? PC_ERR_LINE_ENDING : PC_ERR_METHOD;
            break;
        }
    }
    *consumed = at;
    return status;
}

/* --- request line --------------------------------------------------------------------------------------------------- */

/* The byte behind uri-host, or NULL if there is none (RFC 3986 3.2.2). */
static const uint8_t *end_of_host(const uint8_t *at, const uint8_t *end) {
    const uint8_t *first = at;
    if (at < end && *at == '[') {
        unsigned colons = 0;
        for (at++; at < end && (pc_has_class(*at, PC_CLASS_HEX) || *at == ':' || *at == '.'); at++) {
            colons += *at == ':';
        }
        /* No IPvFuture and no zone identifiers (RFC 9110 4.2.5): frameworks build URLs from this value. */
        return at < end && *at == ']' && colons >= 2 && at - first <= 46 ? at + 1 : NULL;
    }
    while (at < end) {
        if (*at == '%' && end - at >= 3 && pc_has_class(at[1], PC_CLASS_HEX) && pc_has_class(at[2], PC_CLASS_HEX)) {
            at += 3;
        } else if (pc_has_class(*at, PC_CLASS_HOST)) {
            at++;
        } else {
            break;
        }
    }
    return at == first ? NULL : at;
}

int pc_http1_is_host(const uint8_t *host, size_t length) {
    const uint8_t *end = host + length;
    const uint8_t *at = end_of_host(host, end);
    if (at == NULL || at == end) {
        return at != NULL;
    }
    if (*at++ != ':' || end - at > 5) {
        return 0;
    }
    unsigned long port = 0;
    for (; at < end; at++) {
        if (!pc_has_class(*at, PC_CLASS_DIGIT)) {
            return 0;
        }
        port = port * 10 + (unsigned long)(*at - '0');
    }
    return port <= 65535;
}

/* Path and query of origin-form; `from` is at the path. */
static void set_path(struct pc_http1_request_line *line, const uint8_t *buffer, const uint8_t *from, const uint8_t *end) {
    const uint8_t *mark = from < end ? memchr(from, '?', (size_t)(end - from)) : NULL;
    line->path = span_between(buffer, from, mark != NULL ? mark : end);
    line->query = mark != NULL ? span_between(buffer, mark + 1, end) : span_between(buffer, end, end);
}

static enum pc_status judge_absolute_form(struct pc_http1_request_line *line, const uint8_t *buffer, const uint8_t *target,
                                          const uint8_t *end) {
    size_t length = (size_t)(end - target);
    size_t scheme = length >= 7 && same_folded(target, 7, "http://", 7) ? 7 : 0;
    if (length >= 8 && same_folded(target, 8, "https://", 8)) {
        scheme = 8;
    }
    if (scheme == 0) {
        return PC_ERR_TARGET;
    }
    const uint8_t *authority = target + scheme;
    const uint8_t *at = authority;
    while (at < end && *at != '/' && *at != '?') {
        at++;
    }
    /* Userinfo is refused with it: "@" is in no host (RFC 9110 4.2.4). */
    if (!pc_http1_is_host(authority, (size_t)(at - authority))) {
        return PC_ERR_TARGET;
    }
    line->form = PC_FORM_ABSOLUTE;
    line->authority = span_between(buffer, authority, at);
    set_path(line, buffer, at, end);
    return PC_OK;
}

static enum pc_status judge_target(const struct pc_http1_limits *limits, struct pc_http1_request_line *line, const uint8_t *buffer) {
    const uint8_t *target = buffer + line->target.offset;
    const uint8_t *end = target + line->target.length;
    const uint8_t *at = target;
    while ((at = limits->scan->target_end(at, end)) < end && *at == '?') {
        at++;
    }
    if (at < end || target == end) {
        return PC_ERR_TARGET;
    }
    if (*target == '/') {
        line->form = PC_FORM_ORIGIN;
        set_path(line, buffer, target, end);
        return PC_OK;
    }
    if (*target == '*') {
        int is_options = same_folded(buffer + line->method.offset, line->method.length, "options", 7);
        line->form = PC_FORM_ASTERISK;
        line->path = line->target;
        line->query = span_between(buffer, end, end);
        return end - target == 1 && is_options ? PC_OK : PC_ERR_TARGET;
    }
    return judge_absolute_form(line, buffer, target, end);
}

static enum pc_status judge_version(const uint8_t *version, const uint8_t *end, uint8_t *minor) {
    if (end - version != 8 || memcmp(version, "HTTP/", 5) != 0 || !pc_has_class(version[5], PC_CLASS_DIGIT) || version[6] != '.' ||
        !pc_has_class(version[7], PC_CLASS_DIGIT)) {
        return PC_ERR_VERSION;
    }
    *minor = (uint8_t)(version[7] - '0');
    return version[5] == '1' && *minor <= 1 ? PC_OK : PC_ERR_VERSION_NOT_SUPPORTED;
}

/* The whole line is there: [buffer, end) and CRLF. */
static enum pc_status judge_request_line(const struct pc_http1_limits *limits, struct pc_http1_request_line *line,
                                         const uint8_t *buffer, const uint8_t *end) {
    const uint8_t *space = memchr(buffer, ' ', (size_t)(end - buffer));
    if (space == NULL) {
        return PC_ERR_REQUEST_LINE;
    }
    if (space == buffer || limits->scan->token_end(buffer, space) != space) {
        return PC_ERR_METHOD;
    }
    if ((size_t)(space - buffer) > METHOD_BYTES) {
        return PC_ERR_METHOD_TOO_LONG;
    }
    const uint8_t *target = space + 1;
    const uint8_t *version = memchr(target, ' ', (size_t)(end - target));
    if (version == NULL || memchr(version + 1, ' ', (size_t)(end - version - 1)) != NULL) {
        return PC_ERR_REQUEST_LINE;
    }
    line->method = span_between(buffer, buffer, space);
    line->target = span_between(buffer, target, version);
    enum pc_status status = judge_version(version + 1, end, &line->minor_version);
    if (status != PC_OK) {
        return status;
    }
    if (same_folded(buffer, line->method.length, "connect", 7)) {
        return PC_ERR_CONNECT_REFUSED;
    }
    return judge_target(limits, line, buffer);
}

/* The optimistic pass: origin-form, complete, nothing unusual. 0 if not so. */
static int plain_request_line(const struct pc_http1_limits *limits, struct pc_http1_request_line *line, const uint8_t *buffer,
                              const uint8_t *end) {
    const uint8_t *at = buffer;
    while (at < end && pc_has_class(*at, PC_CLASS_TOKEN)) {
        at++;
    }
    size_t method_length = (size_t)(at - buffer);
    if (end - at < 2 || *at != ' ' || at[1] != '/' || method_length > METHOD_BYTES ||
        same_folded(buffer, method_length, "connect", 7)) {
        return 0;
    }
    const uint8_t *target = at + 1;
    const uint8_t *path_end = limits->scan->target_end(target, end);
    at = path_end;
    while (at < end && *at == '?') {
        at = limits->scan->target_end(at + 1, end);
    }
    if (end - at < 11 || memcmp(at, " HTTP/1.", 8) != 0 || (at[8] & 0xfe) != '0' || at[9] != '\r' || at[10] != '\n') {
        return 0;
    }
    line->method = span_between(buffer, buffer, target - 1);
    line->target = span_between(buffer, target, at);
    line->path = span_between(buffer, target, path_end);
    line->query = span_between(buffer, path_end == at ? at : path_end + 1, at);
    line->form = PC_FORM_ORIGIN;
    line->minor_version = (uint8_t)(at[8] - '0');
    line->bytes = (uint32_t)(at + 11 - buffer);
    return 1;
}

enum pc_status pc_http1_parse_request_line(const struct pc_http1_limits *limits, struct pc_http1_request_line *line,
                                           const uint8_t *buffer, size_t length) {
    /* A line as long as the limit has its CRLF inside this. */
    size_t limit = (size_t)limits->request_line_bytes + 2;
    size_t visible = length < limit ? length : limit;
    if (line->scanned == 0 && plain_request_line(limits, line, buffer, buffer + visible)) {
        return PC_OK;
    }
    const uint8_t *newline = line->scanned < visible ? memchr(buffer + line->scanned, '\n', visible - line->scanned) : NULL;
    if (newline == NULL) {
        line->scanned = (uint32_t)visible;
        return visible == limit ? PC_ERR_REQUEST_LINE_TOO_LONG : PC_NEED_DATA;
    }
    int has_cr = newline > buffer && newline[-1] == '\r';
    const uint8_t *end = newline - has_cr;
    if (!has_cr || memchr(buffer, '\r', (size_t)(end - buffer)) != NULL) {
        return PC_ERR_LINE_ENDING;
    }
    line->bytes = (uint32_t)(newline + 1 - buffer);
    return judge_request_line(limits, line, buffer, end);
}

/* --- field section -------------------------------------------------------------------------------------------------- */

static void set_value(struct pc_http1_field *field, const uint8_t *buffer, const uint8_t *value, const uint8_t *end) {
    while (end > value && pc_is_ows(end[-1])) {
        end--;
    }
    field->value = span_between(buffer, value, end);
}

/* The optimistic pass over one field line; the byte behind its CRLF, or NULL. */
static const uint8_t *plain_field(const struct pc_scan_kernel *scan, struct pc_http1_field *field, const uint8_t *buffer,
                                  const uint8_t *line, const uint8_t *end) {
    const uint8_t *colon = scan->token_end(line, end);
    if (colon == end || colon == line || *colon != ':') {
        return NULL;
    }
    const uint8_t *value = colon + 1;
    while (value < end && pc_is_ows(*value)) {
        value++;
    }
    const uint8_t *value_end = scan->value_end(value, end);
    if (end - value_end < 2 || value_end[0] != '\r' || value_end[1] != '\n') {
        return NULL;
    }
    field->name = span_between(buffer, line, colon);
    set_value(field, buffer, value, value_end);
    return value_end + 2;
}

/* The whole line is there, its LF included, and it is not empty. */
static enum pc_status judge_field_line(const struct pc_scan_kernel *scan, struct pc_http1_field *field, const uint8_t *buffer,
                                       const uint8_t *line, const uint8_t *newline) {
    if (newline == line || newline[-1] != '\r') {
        return PC_ERR_LINE_ENDING;
    }
    const uint8_t *end = newline - 1;
    if (end > line && memchr(line, '\r', (size_t)(end - line)) != NULL) {
        return PC_ERR_LINE_ENDING;
    }
    if (pc_is_ows(*line)) {
        return PC_ERR_OBS_FOLD;
    }
    const uint8_t *colon = scan->token_end(line, end);
    if (colon == line || colon == end || *colon != ':') {
        return PC_ERR_FIELD_NAME;
    }
    const uint8_t *value = colon + 1;
    while (value < end && pc_is_ows(*value)) {
        value++;
    }
    if (scan->value_end(value, end) != end) {
        return PC_ERR_FIELD_VALUE;
    }
    field->name = span_between(buffer, line, colon);
    set_value(field, buffer, value, end);
    return PC_OK;
}

/* What has been seen of a section, and how much of it may be looked at. */
struct view {
    const uint8_t *buffer;
    size_t length;
    size_t limit;
    const uint8_t *end; /* where the bytes or the limit end, whichever is first */
};

/* No LF before the end of the view. A single CR may still become the empty line, which is not held against the limit. */
static enum pc_status judge_incomplete(const struct view *view, size_t line_start) {
    size_t begun = view->length - line_start;
    int may_be_empty_line = begun == 0 || (begun == 1 && view->buffer[line_start] != '\n');
    return !may_be_empty_line && view->length >= view->limit ? PC_ERR_HEAD_TOO_LARGE : PC_NEED_DATA;
}

/* One line that the optimistic pass did not take. `field` is NULL when there may be no further one. */
static enum pc_status slow_field(const struct pc_scan_kernel *scan, struct pc_http1_section *section, const struct view *view,
                                 struct pc_http1_field *field, const uint8_t **next) {
    const uint8_t *from = view->buffer + section->scanned;
    const uint8_t *newline = from < view->end ? memchr(from, '\n', (size_t)(view->end - from)) : NULL;
    if (newline == NULL) {
        if (from < view->end) {
            section->scanned = (uint32_t)(view->end - view->buffer);
        }
        return judge_incomplete(view, section->line_start);
    }
    if (field == NULL) {
        return PC_ERR_TOO_MANY_FIELDS;
    }
    *next = newline + 1;
    return judge_field_line(scan, field, view->buffer, view->buffer + section->line_start, newline);
}

enum pc_status pc_http1_parse_section(const struct pc_http1_limits *limits, struct pc_http1_section *section, size_t limit_bytes,
                                      const uint8_t *buffer, size_t length, struct pc_http1_field *fields, size_t capacity) {
    const struct view view = {buffer, length, limit_bytes, buffer + (length < limit_bytes ? length : limit_bytes)};
    for (;;) {
        const uint8_t *line = buffer + section->line_start;
        if (length - section->line_start >= 2 && line[0] == '\r' && line[1] == '\n') {
            section->line_start += 2;
            return PC_OK;
        }
        int is_allowed = section->count < limits->request_fields;
        if (is_allowed && section->count >= capacity) {
            return PC_NEED_FIELDS;
        }
        struct pc_http1_field *field = is_allowed ? &fields[section->count] : NULL;
        const uint8_t *next = NULL;
        if (is_allowed && section->scanned == section->line_start && line < view.end) {
            next = plain_field(limits->scan, field, buffer, line, view.end);
        }
        if (next == NULL) {
            enum pc_status status = slow_field(limits->scan, section, &view, field, &next);
            if (status != PC_OK) {
                return status;
            }
        }
        section->count++;
        section->line_start = section->scanned = (uint32_t)(next - buffer);
    }
}

enum pc_status pc_http1_parse_fields(const struct pc_http1_limits *limits, struct pc_http1_section *section, const uint8_t *buffer,
                                     size_t length, struct pc_http1_field *fields, size_t capacity) {
    return pc_http1_parse_section(limits, section, limits->request_head_bytes, buffer, length, fields, capacity);
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

/* A-Z in all eight bytes at once; bytes >= 0x80 are no tchars and cannot come here, but would be left alone. */
static uint64_t lower_word(uint64_t word) {
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t heptets = word & (ones * 0x7f);
    uint64_t above_z = heptets + ones * (0x7f - 'Z');
    uint64_t from_a = heptets + ones * (0x80 - 'A');
    uint64_t upper = (from_a ^ above_z) & ~word & (ones * 0x80);
    return word | (upper >> 2);
}

uint32_t pc_http1_lower_name(uint8_t lowered[PC_HTTP1_NAME_BYTES], const uint8_t *name, size_t length) {
    uint64_t words[PC_HTTP1_NAME_BYTES / 8] = {0};
    uint64_t hash = length;
    memcpy(words, name, length);
    for (size_t i = 0; i * 8 < length; i++) {
        words[i] = lower_word(words[i]);
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    }
    memcpy(lowered, words, sizeof words);
    return (uint32_t)(hash >> 32);
}
