/* The response writer: what it writes, what it refuses, and that it keeps to the room it was promised. */
#include <stdlib.h>
#include <string.h>

#include "../http1.h"
#include "../scan.h"
#include "check.h"
#include "guard.h"

static struct guard guard;

static void expect_field(const struct pc_scan_kernel *scan, const char *name, size_t name_length, const char *value,
                         size_t value_length, enum pc_status expected) {
    size_t room = name_length + value_length + PC_HTTP1_FIELD_OVERHEAD;
    uint8_t *out = guard_room(&guard, room);
    size_t written = 0;
    enum pc_status status = pc_http1_write_field(scan, out, (const uint8_t *)name, name_length, (const uint8_t *)value,
                                                 value_length, &written);
    CHECK(status == expected && written == room, "%s: '%.*s: %.*s'", pc_status_name(status), (int)name_length, name,
          (int)value_length, value);
    CHECK(pc_http1_check_field(scan, (const uint8_t *)name, name_length, (const uint8_t *)value, value_length) == expected,
          "check '%.*s: %.*s'", (int)name_length, name, (int)value_length, value);
    CHECK(memcmp(out, name, name_length) == 0 && memcmp(out + name_length, ": ", 2) == 0 &&
              memcmp(out + name_length + 2, value, value_length) == 0 && memcmp(out + room - 2, "\r\n", 2) == 0,
          "'%.*s' is not what was written", (int)name_length, name);
}

/* Each byte in the middle of names and values of each length up to two vectors. */
static void test_every_byte(const struct pc_scan_kernel *scan) {
    char text[70];
    for (size_t length = 1; length <= sizeof text; length++) {
        memset(text, 'a', sizeof text);
        for (int byte = 0; byte < 256; byte++) {
            size_t at = length / 2;
            text[at] = (char)byte;
            int is_name = at >= length || (byte != 0 && strchr("!#$%&'*+-.^_`|~0123456789", byte) != NULL) ||
                          ((byte | 32) >= 'a' && (byte | 32) <= 'z' && byte < 128);
            int is_value = at >= length || byte == '\t' || (byte >= 0x20 && byte != 0x7f);
            expect_field(scan, text, length, "v", 1, is_name ? PC_OK : PC_ERR_FIELD_NAME);
            expect_field(scan, "n", 1, text, length, is_value ? PC_OK : PC_ERR_FIELD_VALUE);
        }
    }
}

static void test_fields(const struct pc_scan_kernel *scan) {
    expect_field(scan, "content-type", 12, "text/plain", 10, PC_OK);
    expect_field(scan, "x", 1, "", 0, PC_OK);
    expect_field(scan, "", 0, "v", 1, PC_ERR_FIELD_NAME);
    /* A colon in the name must not be taken for the one behind it. */
    expect_field(scan, "a:b", 3, "v", 1, PC_ERR_FIELD_NAME);
    expect_field(scan, "a: b\r\nset-cookie", 16, "v", 1, PC_ERR_FIELD_NAME);
    /* A whole line end in the value must not be taken for the one behind it. */
    expect_field(scan, "a", 1, "b\r\nset-cookie: c", 16, PC_ERR_FIELD_VALUE);
    expect_field(scan, "a", 1, "b\r\n", 3, PC_ERR_FIELD_VALUE);
    expect_field(scan, "a", 1, "b\r", 2, PC_ERR_FIELD_VALUE);
}

static void test_status_line(const struct pc_scan_kernel *scan) {
    static const struct {
        unsigned status;
        const char *reason;
        const char *expected;
        enum pc_status verdict;
    } cases[] = {
        {200, "OK", "HTTP/1.1 200 OK\r\n", PC_OK},
        {299, "", "HTTP/1.1 299 \r\n", PC_OK},
        {103, "Early Hints", "HTTP/1.1 103 Early Hints\r\n", PC_OK},
        {404, "Not\r\nFound", "HTTP/1.1 404 Not\r\nFound\r\n", PC_ERR_FIELD_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t room = strlen(cases[i].reason) + PC_HTTP1_STATUS_OVERHEAD;
        uint8_t *out = guard_room(&guard, room);
        size_t written = 0;
        enum pc_status status = pc_http1_write_status_line(scan, out, cases[i].status, (const uint8_t *)cases[i].reason,
                                                           strlen(cases[i].reason), &written);
        CHECK(status == cases[i].verdict && written == room && memcmp(out, cases[i].expected, room) == 0, "%s",
              cases[i].expected);
    }
    size_t written;
    uint8_t *out = guard_room(&guard, PC_HTTP1_STATUS_OVERHEAD);
    CHECK(pc_http1_write_status_line(scan, out, 99, NULL, 0, &written) != PC_OK, "two digits");
    CHECK(pc_http1_write_status_line(scan, out, 1000, NULL, 0, &written) != PC_OK, "four digits");
}

static void test_chunk_prefix(void) {
    static const struct {
        uint64_t size;
        const char *expected;
    } cases[] = {{1, "1\r\n"}, {15, "f\r\n"}, {16, "10\r\n"}, {65536, "10000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t room = strlen(cases[i].expected);
        uint8_t *out = guard_room(&guard, room);
        CHECK(pc_http1_write_chunk_prefix(out, cases[i].size) == room && memcmp(out, cases[i].expected, room) == 0, "%s",
              cases[i].expected);
        CHECK(room <= PC_HTTP1_CHUNK_PREFIX_BYTES, "%s", cases[i].expected);
    }
}

static void test_framing_fields(void) {
    CHECK(pc_http1_response_field((const uint8_t *)"Content-Length", 14) == PC_FIELD_CONTENT_LENGTH, "length");
    CHECK(pc_http1_response_field((const uint8_t *)"TRANSFER-encoding", 17) == PC_FIELD_TRANSFER_ENCODING, "coding");
    CHECK(pc_http1_response_field((const uint8_t *)"connection", 10) == PC_FIELD_CONNECTION, "connection");
    CHECK(pc_http1_response_field((const uint8_t *)"connectiom", 10) == PC_FIELD_OTHER, "other");
    CHECK(pc_http1_list_has((const uint8_t *)"a,\tClose ,b", 11, "close", 5), "member");
    CHECK(!pc_http1_list_has((const uint8_t *)"closed", 6, "close", 5), "not a member");
    CHECK(!pc_http1_list_has((const uint8_t *)"", 0, "close", 5), "empty list");
    static const struct {
        const char *value;
        int64_t expected; /* -1: refused */
    } lengths[] = {{"0", 0},   {"00012", 12}, {"9223372036854775807", INT64_MAX}, {"9223372036854775808", -1}, {"", -1}, {"+1", -1},
                   {"1 ", -1}, {"0x1", -1},   {"99999999999999999999", -1}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int64_t length = -1;
        enum pc_status status =
            pc_http1_parse_content_length((const uint8_t *)lengths[i].value, strlen(lengths[i].value), &length);
        CHECK(lengths[i].expected < 0 ? status == PC_ERR_CONTENT_LENGTH : status == PC_OK && length == lengths[i].expected, "'%s'",
              lengths[i].value);
    }
}

int main(void) {
    const struct pc_scan_kernel *kernels[4];
    size_t count = pc_scan_available(kernels);
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        guard_open(&guard, 4096, side);
        for (size_t i = 0; i < count; i++) {
            test_fields(kernels[i]);
            test_status_line(kernels[i]);
            test_every_byte(kernels[i]);
        }
        test_chunk_prefix();
        guard_close(&guard);
    }
    test_framing_fields();
    return check_report("response");
}
