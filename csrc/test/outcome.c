/* The driver behind outcome.h: what src/picocorn/http1/parser_c.pyx does, without Python. */
#include "outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- lists ---------------------------------------------------------------------------------------------------------- */

static void *grow(void *memory, size_t bytes) {
    void *grown = realloc(memory, bytes);
    if (grown == NULL) {
        perror("realloc");
        abort();
    }
    return grown;
}

void pairs_add(struct pairs *pairs, struct text name, struct text value) {
    pairs->items = grow(pairs->items, (pairs->count + 1) * sizeof *pairs->items);
    pairs->items[pairs->count++] = (struct pair){name, value};
}

static void pairs_clear(struct pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        text_clear(&pairs->items[i].name);
        text_clear(&pairs->items[i].value);
    }
    free(pairs->items);
    *pairs = (struct pairs){0};
}

struct request *outcome_add(struct outcome *outcome) {
    outcome->requests = grow(outcome->requests, (outcome->count + 1) * sizeof *outcome->requests);
    struct request *request = &outcome->requests[outcome->count++];
    *request = (struct request){.content_length = PC_HTTP1_NO_LENGTH};
    return request;
}

void outcome_clear(struct outcome *outcome) {
    for (size_t i = 0; i < outcome->count; i++) {
        struct request *request = &outcome->requests[i];
        text_clear(&request->method);
        text_clear(&request->target);
        text_clear(&request->path);
        text_clear(&request->query);
        text_clear(&request->upgrade);
        text_clear(&request->body);
        pairs_clear(&request->fields);
        pairs_clear(&request->trailers);
    }
    free(outcome->requests);
    text_clear(&outcome->verdict);
    *outcome = (struct outcome){0};
}

/* --- describing ----------------------------------------------------------------------------------------------------- */

static void describe_text(struct text *out, const char *label, const struct text *text) {
    char number[40];
    /* With its length, so that no two outcomes read alike. */
    snprintf(number, sizeof number, "%s[%zu] ", label, text->length);
    text_add_string(out, number);
    text_add(out, text->bytes, text->length);
    text_add_string(out, "\n");
}

static void describe_pairs(struct text *out, const char *label, const struct pairs *pairs) {
    for (size_t i = 0; i < pairs->count; i++) {
        describe_text(out, label, &pairs->items[i].name);
        describe_text(out, "  ", &pairs->items[i].value);
    }
}

void outcome_describe(const struct outcome *outcome, struct text *out) {
    for (size_t i = 0; i < outcome->count; i++) {
        const struct request *request = &outcome->requests[i];
        char line[160];
        snprintf(line, sizeof line, "request 1.%d length=%lld chunked=%d keep-alive=%d continue=%d complete=%d\n",
                 request->minor_version, (long long)request->content_length, request->chunked, request->keep_alive,
                 request->expect_continue, request->complete);
        text_add_string(out, line);
        describe_text(out, "method", &request->method);
        describe_text(out, "target", &request->target);
        describe_text(out, "path", &request->path);
        describe_text(out, "query", &request->query);
        describe_text(out, "upgrade", &request->upgrade);
        describe_text(out, "body", &request->body);
        describe_pairs(out, "field", &request->fields);
        describe_pairs(out, "trailer", &request->trailers);
    }
    describe_text(out, "verdict", &outcome->verdict);
}

/* --- driving -------------------------------------------------------------------------------------------------------- */

void limits_default(struct pc_http1_limits *limits) {
    *limits = (struct pc_http1_limits){
        .scan = pc_scan_choose(),
        .request_line_bytes = 8190,
        .request_fields = 100,
        .request_head_bytes = 65536,
        .leading_empty_lines = 8,
        .chunk_line_bytes = 4096,
        .chunk_extension_total_bytes = 16384,
        .trailer_bytes = 16384,
    };
}

enum place { AT_REQUEST_LINE, AT_FIELDS, AT_CONTENT, AT_CHUNKS };

struct driver {
    const struct pc_http1_limits *limits;
    struct outcome *outcome;
    enum place place;
    const uint8_t *bytes; /* what is left of the pieces so far */
    size_t length;
    uint32_t empty_lines;
    struct pc_http1_request_line line;
    struct pc_http1_section section;
    struct pc_http1_chunked chunks;
    int64_t content_left;
    struct pc_http1_field *fields;
    size_t capacity; /* begins at 0: every growth is tried */
};

static void drop(struct driver *driver, size_t bytes) {
    driver->bytes += bytes;
    driver->length -= bytes;
}

static struct text text_of(const uint8_t *base, struct pc_http1_span span) {
    struct text text = {0};
    text_add(&text, base + span.offset, span.length);
    return text;
}

static struct text name_of(const uint8_t *base, struct pc_http1_span span) {
    struct text name = text_of(base, span);
    uint8_t folded[PC_HTTP1_NAME_BYTES];
    for (size_t i = 0; i < name.length; i++) {
        uint8_t byte = name.bytes[i];
        name.bytes[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
    }
    /* The folding that the callers use has to agree. */
    if (name.length <= PC_HTTP1_NAME_BYTES) {
        pc_http1_lower_name(folded, base + span.offset, span.length);
        if (memcmp(folded, name.bytes, name.length) != 0) {
            fprintf(stderr, "pc_http1_lower_name: %.*s\n", (int)name.length, (const char *)name.bytes);
            abort();
        }
    }
    return name;
}

static void grow_fields(struct driver *driver) {
    driver->capacity++;
    driver->fields = grow(driver->fields, driver->capacity * sizeof *driver->fields);
}

static struct request *current(struct driver *driver) {
    return &driver->outcome->requests[driver->outcome->count - 1];
}

static void take_head(struct driver *driver, const struct pc_http1_framing *framing) {
    const uint8_t *base = driver->bytes;
    const struct pc_http1_request_line *line = &driver->line;
    struct request *request = outcome_add(driver->outcome);
    request->minor_version = line->minor_version;
    request->method = text_of(base, line->method);
    request->target = text_of(base, line->target);
    request->path = text_of(base, line->path);
    request->query = text_of(base, line->query);
    if (line->path.length == 0) {
        text_add_string(&request->path, "/");
    }
    for (uint32_t i = 0; i < driver->section.count; i++) {
        struct text name = name_of(base, driver->fields[i].name);
        int is_replaced = line->form == PC_FORM_ABSOLUTE && (int32_t)i == framing->host;
        struct text value = text_of(base, is_replaced ? line->authority : driver->fields[i].value);
        if (framing->upgrade && name.length == 7 && memcmp(name.bytes, "upgrade", 7) == 0) {
            if (request->upgrade.length > 0) {
                text_add_string(&request->upgrade, ", ");
            }
            text_add(&request->upgrade, value.bytes, value.length);
        }
        pairs_add(&request->fields, name, value);
    }
    request->content_length = framing->content_length;
    request->chunked = framing->chunked;
    request->keep_alive = framing->keep_alive;
    request->expect_continue = framing->expect_continue;
    driver->content_left = framing->content_length > 0 ? framing->content_length : 0;
    driver->place = framing->chunked ? AT_CHUNKS : AT_CONTENT;
    drop(driver, driver->section.line_start);
    driver->chunks = (struct pc_http1_chunked){0};
    driver->line = (struct pc_http1_request_line){0};
    driver->empty_lines = 0;
}

static enum pc_status read_request_line(struct driver *driver) {
    enum pc_status status;
    if (driver->line.scanned == 0) {
        size_t consumed;
        status = pc_http1_skip_empty_lines(driver->limits, &driver->empty_lines, driver->bytes, driver->length, &consumed);
        drop(driver, consumed);
        if (status != PC_OK) {
            return status;
        }
    }
    status = pc_http1_parse_request_line(driver->limits, &driver->line, driver->bytes, driver->length);
    if (status == PC_OK) {
        driver->section = (struct pc_http1_section){.line_start = driver->line.bytes, .scanned = driver->line.bytes};
        driver->place = AT_FIELDS;
    }
    return status;
}

static enum pc_status read_fields(struct driver *driver) {
    struct pc_http1_framing framing;
    enum pc_status status;
    while ((status = pc_http1_parse_fields(driver->limits, &driver->section, driver->bytes, driver->length, driver->fields,
                                           driver->capacity)) == PC_NEED_FIELDS) {
        grow_fields(driver);
    }
    if (status == PC_OK) {
        status = pc_http1_decide_framing(driver->limits, driver->line.minor_version, driver->bytes, driver->fields,
                                         driver->section.count, &framing);
    }
    if (status == PC_OK) {
        take_head(driver, &framing);
    }
    return status;
}

static void finish(struct driver *driver) {
    current(driver)->complete = 1;
    driver->place = AT_REQUEST_LINE;
}

static enum pc_status read_content(struct driver *driver) {
    size_t size = driver->length;
    if (driver->content_left == 0) {
        finish(driver);
        return PC_OK;
    }
    if (size == 0) {
        return PC_NEED_DATA;
    }
    if ((uint64_t)size > (uint64_t)driver->content_left) {
        size = (size_t)driver->content_left;
    }
    text_add(&current(driver)->body, driver->bytes, size);
    driver->content_left -= (int64_t)size;
    drop(driver, size);
    return PC_OK;
}

static enum pc_status read_chunks(struct driver *driver) {
    struct pc_http1_chunk chunk;
    enum pc_status status = pc_http1_next_chunk(driver->limits, &driver->chunks, driver->bytes, driver->length, driver->fields,
                                                driver->capacity, &chunk);
    if (status == PC_OK && chunk.event == PC_CHUNK_DATA) {
        text_add(&current(driver)->body, driver->bytes + chunk.data, chunk.data_length);
    } else if (status == PC_OK) {
        for (uint32_t i = 0; i < driver->chunks.trailers.count; i++) {
            const uint8_t *base = driver->bytes + chunk.data;
            pairs_add(&current(driver)->trailers, name_of(base, driver->fields[i].name), text_of(base, driver->fields[i].value));
        }
        finish(driver);
    }
    drop(driver, chunk.consumed);
    if (status == PC_NEED_FIELDS) {
        grow_fields(driver);
        return PC_OK;
    }
    return status;
}

static enum pc_status drain(struct driver *driver) {
    enum pc_status status;
    do {
        switch (driver->place) {
        case AT_REQUEST_LINE:
            status = read_request_line(driver);
            break;
        case AT_FIELDS:
            status = read_fields(driver);
            break;
        case AT_CONTENT:
            status = read_content(driver);
            break;
        default:
            status = read_chunks(driver);
            break;
        }
    } while (status == PC_OK);
    return status;
}

void outcome_run(struct outcome *outcome, const struct pc_http1_limits *limits, const uint8_t *stream, size_t length,
                 const size_t *cuts, size_t cut_count, int eof, place_fn place, void *context) {
    struct driver driver = {.limits = limits, .outcome = outcome};
    enum pc_status status = PC_NEED_DATA;
    size_t pos = 0;
    for (size_t i = 0; i <= cut_count && status == PC_NEED_DATA; i++) {
        size_t fed = i < cut_count ? cuts[i] : length;
        driver.length = fed - pos;
        driver.bytes = place(context, driver.length > 0 ? stream + pos : (const uint8_t *)"", driver.length);
        status = drain(&driver);
        pos = fed - driver.length;
    }
    int is_between = driver.place == AT_REQUEST_LINE && driver.length == 0;
    if (status != PC_NEED_DATA) {
        text_add_string(&outcome->verdict, "error ");
        text_add_string(&outcome->verdict, pc_status_name(status));
    } else if (eof) {
        text_add_string(&outcome->verdict, is_between ? "closed" : "error INCOMPLETE");
    } else {
        text_add_string(&outcome->verdict, "need-data");
    }
    free(driver.fields);
}
