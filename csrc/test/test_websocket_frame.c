/* Frame headers and close payloads: all first bytes, the bounds of lengths, every prefix, between guard pages. */
#include <string.h>

#include "../websocket.h"
#include "check.h"
#include "guard.h"

static struct guard guard;

static enum pc_ws_status decode(const struct pc_ws_place *place, const uint8_t *bytes, size_t length, struct pc_ws_header *header) {
    return pc_ws_decode_header(place, guard_place(&guard, bytes, length), length, header);
}

/* RFC 6455 5.2, 5.4, 5.5 and RFC 7692 6 as sentences. */
static enum pc_ws_status expected_of_first_byte(const struct pc_ws_place *place, unsigned first) {
    unsigned opcode = first % 16;
    int is_final = first >= 128;
    int begins_message = opcode == 1 || opcode == 2;
    int is_control = opcode == 8 || opcode == 9 || opcode == 10;
    int rsv1 = (first >> 6) % 2 == 1;
    int rsv2_or_rsv3 = (first >> 4) % 4 != 0;
    if (rsv2_or_rsv3 || (rsv1 && !(place->may_compress && begins_message))) {
        return PC_WS_ERR_RSV;
    }
    if (!begins_message && !is_control && opcode != 0) {
        return PC_WS_ERR_OPCODE;
    }
    if (is_control && !is_final) {
        return PC_WS_ERR_CONTROL_FRAGMENTED;
    }
    if (opcode == 0 && !place->in_message) {
        return PC_WS_ERR_CONTINUATION;
    }
    return begins_message && place->in_message ? PC_WS_ERR_INTERLEAVED : PC_WS_NEED_DATA;
}

static enum pc_ws_status expected_of_two_bytes(const struct pc_ws_place *place, unsigned first, unsigned second) {
    enum pc_ws_status status = expected_of_first_byte(place, first);
    int is_control = first % 16 >= 8;
    unsigned length = second % 128;
    if (status != PC_WS_NEED_DATA) {
        return status;
    }
    if (second < 128) {
        return PC_WS_ERR_MASK;
    }
    if (is_control && length > 125) {
        return PC_WS_ERR_CONTROL_LENGTH;
    }
    int is_compressed = (first >> 6) % 2 == 1;
    return !is_control && !is_compressed && length < 126 && length > place->room_bytes ? PC_WS_ERR_TOO_BIG : PC_WS_NEED_DATA;
}

static void test_first_bytes(void) {
    struct pc_ws_header header;
    for (unsigned flags = 0; flags < 8; flags++) {
        struct pc_ws_place place = {
            .room_bytes = flags & 4 ? 17 : PC_WS_UNLIMITED, .in_message = flags & 1, .may_compress = (flags & 2) != 0};
        for (unsigned first = 0; first < 256; first++) {
            uint8_t bytes[2] = {(uint8_t)first, 0};
            CHECK(decode(&place, bytes, 1, &header) == expected_of_first_byte(&place, first), "%02x", first);
            for (unsigned second = 0; second < 256; second++) {
                bytes[1] = (uint8_t)second;
                enum pc_ws_status got = decode(&place, bytes, 2, &header);
                CHECK(got == expected_of_two_bytes(&place, first, second), "%02x %02x: %s", first, second, pc_ws_status_name(got));
            }
        }
    }
    CHECK(decode(&(struct pc_ws_place){0}, (const uint8_t *)"", 0, &header) == PC_WS_NEED_DATA, "nothing");
}

/* A header with the length in so many bits, minimal or not; returns its size. */
static size_t client_header(uint8_t *out, unsigned first, unsigned bits, uint64_t length) {
    size_t bytes = bits == 7 ? 0 : bits / 8;
    out[0] = (uint8_t)first;
    out[1] = (uint8_t)(0x80 | (bits == 7 ? length : bits == 16 ? 126 : 127));
    for (size_t i = 0; i < bytes; i++) {
        out[2 + i] = (uint8_t)(length >> 8 * (bytes - 1 - i));
    }
    memcpy(out + 2 + bytes, "\x11\x22\x33\x44", 4);
    return 6 + bytes;
}

/* Every prefix: `verdict` when `judged_at` bytes have come, until then nothing. */
static void expect_length(unsigned first, unsigned bits, uint64_t length, uint64_t room, enum pc_ws_status verdict, size_t judged_at) {
    struct pc_ws_place place = {.room_bytes = room, .in_message = (first & 0x0f) == 0, .may_compress = 1};
    uint8_t bytes[PC_WS_CLIENT_HEADER_BYTES + 1] = {0};
    size_t size = client_header(bytes, first, bits, length);
    for (size_t have = 0; have <= size + 1; have++) {
        struct pc_ws_header header;
        enum pc_ws_status got = decode(&place, bytes, have, &header);
        enum pc_ws_status expected = have < judged_at ? PC_WS_NEED_DATA : verdict;
        CHECK(got == expected, "%02x, %llu in %u bits, room %llu, %zu bytes: %s", first, (unsigned long long)length, bits,
              (unsigned long long)room, have, pc_ws_status_name(got));
        if (got == PC_WS_OK) {
            CHECK(header.payload_bytes == length && header.bytes == size && memcmp(&header.mask, "\x11\x22\x33\x44", 4) == 0 &&
                      header.opcode == (first & 0x0f) && header.fin == first >> 7 && header.compressed == (first >> 6 & 1),
                  "%02x, %llu in %u bits", first, (unsigned long long)length, bits);
        }
    }
}

static void test_lengths(void) {
    static const struct {
        unsigned bits;
        uint64_t length;
        int is_right;
    } lengths[] = {
        {7, 0, 1}, {7, 1, 1}, {7, 125, 1}, {16, 0, 0}, {16, 125, 0}, {16, 126, 1}, {16, 0xffff, 1}, {64, 0, 0}, {64, 126, 0},
        {64, 0xffff, 0}, {64, 0x10000, 1}, {64, 0x100000000, 1}, {64, INT64_MAX, 1}, {64, (uint64_t)INT64_MAX + 1, 0},
        {64, UINT64_MAX, 0},
    };
    static const unsigned firsts[] = {0x81, 0x01, 0x82, 0x02, 0x80, 0x00, 0xc1, 0x42};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        unsigned bits = lengths[i].bits;
        uint64_t length = lengths[i].length;
        size_t length_ends_at = bits == 7 ? 2 : 2 + bits / 8;
        for (size_t j = 0; j < sizeof firsts / sizeof firsts[0]; j++) {
            unsigned first = firsts[j];
            int is_compressed = (first & 0x40) != 0;
            if (!lengths[i].is_right) {
                expect_length(first, bits, length, PC_WS_UNLIMITED, PC_WS_ERR_LENGTH, length_ends_at);
                expect_length(first, bits, length, 0, PC_WS_ERR_LENGTH, length_ends_at);
                continue;
            }
            expect_length(first, bits, length, PC_WS_UNLIMITED, PC_WS_OK, length_ends_at + 4);
            expect_length(first, bits, length, length, PC_WS_OK, length_ends_at + 4);
            if (length > 0) {
                expect_length(first, bits, length, length - 1, is_compressed ? PC_WS_OK : PC_WS_ERR_TOO_BIG,
                              is_compressed ? length_ends_at + 4 : length_ends_at);
            }
        }
    }
    /* Control frames are no part of a message, and have no room to exceed. */
    for (unsigned opcode = PC_WS_CLOSE; opcode <= PC_WS_PONG; opcode++) {
        expect_length(0x80 | opcode, 7, 125, 0, PC_WS_OK, 6);
    }
}

static void test_encode(void) {
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 0xffff, 0x10000, 0x123456789a, INT64_MAX};
    struct pc_ws_place place = {.room_bytes = PC_WS_UNLIMITED, .may_compress = 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int compressed = 0; compressed <= 1; compressed++) {
            unsigned opcode = i % 2 == 0 ? PC_WS_TEXT : PC_WS_BINARY;
            size_t expected = lengths[i] < 126 ? 2 : lengths[i] <= 0xffff ? 4 : PC_WS_SERVER_HEADER_BYTES;
            uint8_t *out = guard_room(&guard, expected);
            size_t size = pc_ws_encode_header(out, opcode, compressed, lengths[i]);
            CHECK(size == expected && (out[1] & 0x80) == 0, "%zu bytes for %llu", size, (unsigned long long)lengths[i]);
            /* With a mask behind it, it reads as what it was. */
            uint8_t back[PC_WS_CLIENT_HEADER_BYTES] = {0};
            struct pc_ws_header header = {0};
            memcpy(back, out, size);
            back[1] |= 0x80;
            enum pc_ws_status status = decode(&place, back, size + 4, &header);
            CHECK(status == PC_WS_OK && header.payload_bytes == lengths[i] && header.opcode == opcode && header.fin &&
                      header.compressed == compressed,
                  "%llu: %s", (unsigned long long)lengths[i], pc_ws_status_name(status));
        }
    }
    uint8_t ping[2];
    CHECK(pc_ws_encode_header(ping, PC_WS_PING, 0, 5) == 2 && ping[0] == 0x89 && ping[1] == 5, "%02x", ping[0]);
}

static int is_listed(unsigned code) {
    static const unsigned defined[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014};
    for (size_t i = 0; i < sizeof defined / sizeof defined[0]; i++) {
        if (code == defined[i]) {
            return 1;
        }
    }
    return code >= 3000 && code < 5000;
}

static enum pc_ws_status decode_close(const char *payload, size_t length, unsigned *code) {
    return pc_ws_decode_close(guard_place(&guard, (const uint8_t *)payload, length), length, code);
}

static void test_close(void) {
    unsigned code = 0;
    CHECK(decode_close("", 0, &code) == PC_WS_OK && code == PC_WS_NO_CLOSE_CODE, "%u", code);
    CHECK(decode_close("\x03", 1, &code) == PC_WS_ERR_CLOSE_LENGTH, "half a code");
    CHECK(decode_close("\x03\xe8", 2, &code) == PC_WS_OK && code == 1000, "%u", code);
    CHECK(decode_close("\x03\xe9" "away \xe2\x82\xac", 10, &code) == PC_WS_OK && code == 1001, "%u", code);
    CHECK(decode_close("\x03\xe9" "away \xe2\x82", 9, &code) == PC_WS_ERR_CLOSE_UTF8, "cut off");
    CHECK(decode_close("\x03\xe9\xff", 3, &code) == PC_WS_ERR_CLOSE_UTF8, "never right");
    /* The code is judged first. */
    CHECK(decode_close("\x03\xed\xff", 3, &code) == PC_WS_ERR_CLOSE_CODE, "1005");
    for (unsigned number = 0; number <= 0xffff; number++) {
        char payload[2] = {(char)(number >> 8), (char)number};
        enum pc_ws_status status = decode_close(payload, 2, &code);
        CHECK(status == (is_listed(number) ? PC_WS_OK : PC_WS_ERR_CLOSE_CODE) && code == number, "%u", number);
        CHECK(pc_ws_close_code_may_be_sent(number) == is_listed(number), "%u", number);
    }
    CHECK(!pc_ws_close_code_may_be_sent(0x10000u + 1000u), "17 bits");
}

static void test_names(void) {
    CHECK(strcmp(pc_ws_status_name(PC_WS_OK), "OK") == 0, "OK");
    CHECK(strcmp(pc_ws_status_name(PC_WS_NEED_DATA), "NEED_DATA") == 0, "NEED_DATA");
    CHECK(strcmp(pc_ws_status_name(PC_WS_ERR_CONTROL_FRAGMENTED), "CONTROL_FRAGMENTED") == 0, "an error");
    CHECK(strcmp(pc_ws_status_name((enum pc_ws_status)1000), "UNKNOWN") == 0, "no status");
}

int main(void) {
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        guard_open(&guard, 256, side);
        test_first_bytes();
        test_lengths();
        test_encode();
        test_close();
        guard_close(&guard);
    }
    test_names();
    return check_report("websocket_frame");
}
