/* What no corpus case can say: hosts in bulk, linear work on dribbled bytes, names of every length, and the promise that an error is
 * found without reading on. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "guard.h"
#include "outcome.h"

static void test_hosts(struct guard *guard) {
    static const struct {
        const char *host;
        int is_valid;
    } cases[] = {
        {"a", 1},          {"example.org", 1},  {"example.org:", 1},    {"example.org:80", 1}, {"example.org:65535", 1},
        {"[::1]", 1},      {"[::1]:8000", 1},   {"[::ffff:1.2.3.4]", 1}, {"a%20b", 1},          {"a_b", 1},
        {"127.0.0.1:1", 1}, {"", 0},            {":80", 0},             {"a:65536", 0},        {"a:123456", 0},
        {"a:8o", 0},       {"a:-1", 0},         {"a:1:2", 0},           {"u@a", 0},            {"u:p@a", 0},
        {"a/", 0},         {"a b", 0},          {"a%2", 0},             {"a%zz", 0},           {"[::1", 0},
        {"::1", 0},        {"[1]", 0},          {"[::1]x", 0},          {"[::g]", 0},          {"[fe80::1%25eth0]", 0},
        {"a\\b", 0},       {"a\x80", 0},        {"a?b", 0},             {"a#b", 0},            {"[v1.x]", 0},
        {"a,b", 1},        {"\"a\"", 0},        {"[]", 0},              {"a]", 0},             {"[:", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].host);
        const uint8_t *host = guard_place(guard, (const uint8_t *)cases[i].host, length);
        CHECK(pc_http1_is_host(host, length) == cases[i].is_valid, "'%s'", cases[i].host);
    }
}

static void test_names(struct guard *guard) {
    uint8_t lowered[PC_HTTP1_NAME_BYTES];
    for (int byte = 0x21; byte < 0x7f; byte++) {
        uint8_t expected = (uint8_t)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
        for (size_t length = 1; length <= PC_HTTP1_NAME_BYTES; length++) {
            uint8_t *name = guard_room(guard, length);
            memset(name, byte, length);
            uint32_t hash = pc_http1_lower_name(lowered, name, length);
            memset(name, expected, length);
            CHECK(memcmp(lowered, name, length) == 0, "'%c' * %zu", byte, length);
            CHECK(hash == pc_http1_lower_name(lowered, name, length), "the hash of '%c' * %zu depends on case", byte, length);
        }
    }
}

/* A head that comes byte by byte is looked at byte by byte: `scanned` follows, and the line start does not go back. */
static void test_progress(struct guard *guard) {
    static const char head[] = "GET /path HTTP/1.1\r\nHost: a\r\nX-Long-Name: some value\r\n\r\n";
    struct pc_http1_limits limits;
    struct pc_http1_request_line line = {0};
    struct pc_http1_section section = {0};
    struct pc_http1_field fields[3]; /* one more than come: full means "larger, please" even before the empty line */
    size_t length = 1;
    limits_default(&limits);
    for (; length < sizeof head; length++) {
        const uint8_t *bytes = guard_place(guard, (const uint8_t *)head, length);
        if (pc_http1_parse_request_line(&limits, &line, bytes, length) == PC_OK) {
            break;
        }
        CHECK(line.scanned == length, "%u of %zu", line.scanned, length);
    }
    section.line_start = section.scanned = line.bytes;
    for (length++; length < sizeof head - 1; length++) {
        const uint8_t *bytes = guard_place(guard, (const uint8_t *)head, length);
        CHECK(pc_http1_parse_fields(&limits, &section, bytes, length, fields, 3) == PC_NEED_DATA, "at %zu", length);
        CHECK(section.scanned == length, "%u of %zu", section.scanned, length);
    }
    const uint8_t *bytes = guard_place(guard, (const uint8_t *)head, sizeof head - 1);
    CHECK(pc_http1_parse_fields(&limits, &section, bytes, sizeof head - 1, fields, 3) == PC_OK, "the whole head");
    CHECK(section.count == 2 && section.line_start == sizeof head - 1, "%u fields, %u bytes", section.count, section.line_start);
}

/* The first bytes of other protocols on this port are judged at once: their senders wait for an answer. */
static void test_first_byte(struct guard *guard) {
    struct pc_http1_limits limits;
    limits_default(&limits);
    for (int byte = 0; byte < 256; byte++) {
        uint8_t first = (uint8_t)byte;
        uint32_t count = 0;
        size_t consumed;
        enum pc_status status = pc_http1_skip_empty_lines(&limits, &count, guard_place(guard, &first, 1), 1, &consumed);
        int is_tchar = byte != 0 && (strchr("!#$%&'*+-.^_`|~0123456789", byte) != NULL ||
                                     (byte < 128 && (byte | 32) >= 'a' && (byte | 32) <= 'z'));
        enum pc_status expected = is_tchar ? PC_OK : byte == '\r' ? PC_NEED_DATA : byte == '\n' ? PC_ERR_LINE_ENDING : PC_ERR_METHOD;
        CHECK(status == expected && consumed == 0, "0x%02x: %s", byte, pc_status_name(status));
    }
}

static void test_status_names(void) {
    CHECK(strcmp(pc_status_name(PC_OK), "OK") == 0, "first");
    CHECK(strcmp(pc_status_name(PC_ERR_TRANSFER_ENCODING_AND_LENGTH), "TRANSFER_ENCODING_AND_LENGTH") == 0, "middle");
    CHECK(strcmp(pc_status_name(PC_ERR_INCOMPLETE), "INCOMPLETE") == 0, "last");
    CHECK(strcmp(pc_status_name((enum pc_status)(PC_ERR_INCOMPLETE + 1)), "UNKNOWN") == 0, "beyond");
}

int main(void) {
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        struct guard guard;
        guard_open(&guard, 4096, side);
        test_hosts(&guard);
        test_names(&guard);
        test_progress(&guard);
        test_first_byte(&guard);
        guard_close(&guard);
    }
    test_status_names();
    return check_report("request");
}
