/* The UTF-8 check against code points: every sequence of three bytes, the bounds of four, every split, between guard pages. */
#include <string.h>

#include "../utf8.h"
#include "check.h"
#include "guard.h"

enum { IMPOSSIBLE = -1, INCOMPLETE = 0, COMPLETE = 1 };

/* Whether a code point from `low` to `high` has its shortest form in `length` bytes. */
static int exists(uint32_t low, uint32_t high, size_t length) {
    static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint32_t last[] = {0, 0x7f, 0x7ff, 0xffff, 0x10ffff};
    low = low > first[length] ? low : first[length];
    high = high < last[length] ? high : last[length];
    int are_all_surrogates = low >= 0xd800 && high <= 0xdfff;
    return low <= high && !are_all_surrogates;
}

/* RFC 3629 by arithmetic: what [at, end) is. Another road than utf8.c's, which knows only the bounds of bytes. */
static int reference(const uint8_t *at, const uint8_t *end) {
    while (at < end) {
        size_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
        if (length == 0) {
            return IMPOSSIBLE;
        }
        uint32_t value = length == 1 ? *at : *at & (0x7fu >> length);
        size_t have = 1;
        for (; have < length && at + have < end; have++) {
            if (at[have] >> 6 != 2) {
                return IMPOSSIBLE;
            }
            value = value << 6 | (at[have] & 0x3fu);
        }
        size_t missing_bits = 6 * (length - have);
        uint32_t low = value << missing_bits;
        if (!exists(low, low | ((1u << missing_bits) - 1), length)) {
            return IMPOSSIBLE;
        }
        if (have < length) {
            return INCOMPLETE;
        }
        at += length;
    }
    return COMPLETE;
}

static int judge(const uint8_t *bytes, size_t length) {
    struct pc_utf8 state = {0};
    if (!pc_utf8_feed(&state, bytes, length)) {
        return IMPOSSIBLE;
    }
    return pc_utf8_is_complete(&state) ? COMPLETE : INCOMPLETE;
}

static void expect_as_reference(const uint8_t *bytes, size_t length) {
    int expected = reference(bytes, bytes + length);
    int got = judge(bytes, length);
    if (got != expected) {
        CHECK(0, "%02x %02x %02x %02x (%zu bytes): %d, not %d", bytes[0], bytes[1], bytes[2], bytes[3], length, got, expected);
    }
}

static void test_all_short_sequences(void) {
    uint8_t bytes[4] = {0};
    for (unsigned first = 0; first < 256; first++) {
        bytes[0] = (uint8_t)first;
        expect_as_reference(bytes, 1);
        for (unsigned second = 0; second < 256; second++) {
            bytes[1] = (uint8_t)second;
            expect_as_reference(bytes, 2);
            for (unsigned third = 0; third < 256; third++) {
                bytes[2] = (uint8_t)third;
                expect_as_reference(bytes, 3);
            }
        }
        CHECK(1, "counted");
    }
}

static void test_four_bytes(void) {
    static const uint8_t bounds[] = {0x00, 0x20, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
    uint8_t bytes[4];
    for (unsigned first = 0xe0; first < 256; first++) {
        bytes[0] = (uint8_t)first;
        for (unsigned second = 0; second < 256; second++) {
            bytes[1] = (uint8_t)second;
            for (size_t i = 0; i < sizeof bounds; i++) {
                bytes[2] = bounds[i];
                for (size_t j = 0; j < sizeof bounds; j++) {
                    bytes[3] = bounds[j];
                    expect_as_reference(bytes, 4);
                }
            }
        }
        CHECK(1, "counted");
    }
}

/* Of the kinds that Autobahn's 6.* are made of: whole texts, characters cut off, first and last of each length, noncharacters,
 * continuation bytes alone, bytes that are never right, overlong forms, surrogates alone and in pairs, beyond the end. */
static const char *const texts[] = {
    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80" "edited",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80" "edited",
    "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    "\xf8\x88\x80\x80\x80",
    "\xfc\x84\x80\x80\x80\x80",
    "\xf7\xbf\xbf\xbf",
    "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbd",
    "\x80",
    "\xbf",
    "\x80\xbf\x80",
    "\xc0 \xc1 \xdf ",
    "\xe0 \xef ",
    "\xf0 \xf7 ",
    "\xfe",
    "\xff",
    "\xc0\xaf",
    "\xc1\xbf",
    "\xe0\x80\xaf",
    "\xe0\x9f\xbf",
    "\xf0\x80\x80\xaf",
    "\xf0\x8f\xbf\xbf",
    "\xed\xa0\x80",
    "\xed\xad\xbf\xed\xb0\x80",
    "\xed\xbf\xbf",
    "\xef\xbf\xbe\xf0\x9f\xbf\xbf\xf1\x8f\xbf\xbe\xf3\xbf\xbf\xbf",
    "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xe4\xb8\x96\xe7\x95\x8c! \xf0\x9f\x90\x8d\xf0\x9f\x90\x8d ok",
};

/* The text behind `before` bytes of ASCII and with `after` behind it, cut in three. */
static void test_cuts(const char *text, size_t before, size_t after, struct guard *guard) {
    uint8_t bytes[256];
    size_t text_length = strlen(text);
    size_t length = before + text_length + after;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes + before, text, text_length);
    for (size_t first = 0; first <= length; first++) {
        size_t step = before + after == 0 ? 1 : 5;
        for (size_t second = first; second <= length; second += step) {
            const size_t cuts[] = {0, first, second, length};
            struct pc_utf8 state = {0};
            int is_possible = 1;
            for (size_t i = 0; i < 3; i++) {
                size_t size = cuts[i + 1] - cuts[i];
                is_possible = is_possible && pc_utf8_feed(&state, guard_place(guard, bytes + cuts[i], size), size);
                /* At each piece's end the verdict is that on all that has come. */
                int expected = reference(bytes, bytes + cuts[i + 1]);
                if (is_possible != (expected != IMPOSSIBLE) || (is_possible && pc_utf8_is_complete(&state) != expected)) {
                    CHECK(0, "%s behind %zu, before %zu, cut at %zu and %zu", text, before, after, first, second);
                }
            }
        }
    }
    CHECK(1, "counted");
}

/* Each text at each offset from the vectors that skip ASCII. */
static void test_texts(struct guard *guard) {
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_cuts(texts[i], 0, 0, guard);
        for (size_t before = 1; before < 36; before += before < 18 ? 1 : 8) {
            test_cuts(texts[i], before, 0, guard);
            test_cuts(texts[i], before, 33 - before % 16, guard);
        }
    }
}

static void test_skip_ascii(struct guard *guard) {
    for (size_t length = 0; length <= 100; length++) {
        uint8_t *bytes = guard_room(guard, length);
        memset(bytes, 0x7f, length);
        for (size_t high = 0; high <= length; high++) {
            if (high < length) {
                bytes[high] = 0x80;
            }
            CHECK(pc_utf8_skip_ascii(bytes, bytes + length) == bytes + high, "%zu of %zu", high, length);
            if (high < length) {
                bytes[high] = 0;
            }
        }
    }
}

int main(void) {
    test_all_short_sequences();
    test_four_bytes();
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        struct guard guard;
        guard_open(&guard, 256, side);
        test_texts(&guard);
        test_skip_ascii(&guard);
        guard_close(&guard);
    }
    return check_report("utf8");
}
