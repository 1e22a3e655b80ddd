/* The streaming UTF-8 check. ASCII is skipped 16 bytes at a time with what every CPU of an architecture has, so nothing needs to be
 * chosen at run time: SSE2 on x86-64, NEON on 64-bit ARM, 8 bytes in a general register elsewhere. */
#include "utf8.h"

#include <string.h>

#include "cpu.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define PC_UTF8_SSE2 1
#elif defined(PC_CPU_NEON)
#include <arm_neon.h>
#endif

/* Bytes between two looks for ASCII that could be skipped. */
#define BLOCK 32

#define HIGH_BITS 0x8080808080808080u

const uint8_t *pc_utf8_skip_ascii(const uint8_t *at, const uint8_t *end) {
#if defined(PC_UTF8_SSE2)
    for (; end - at >= 16; at += 16) {
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
        if (mask != 0) {
            return at + pc_lowest_bit(mask);
        }
    }
#elif defined(PC_CPU_NEON)
    for (; end - at >= 16 && vmaxvq_u8(vld1q_u8(at)) < 0x80; at += 16) {
    }
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if ((word & HIGH_BITS) != 0) {
            break;
        }
    }
    while (at < end && *at < 0x80) {
        at++;
    }
    return at;
}

/* The states of a text, as how far a row of transitions is shifted to get to its column. */
enum {
    BETWEEN = 0,
    MISSING_1 = 6,
    MISSING_2 = 12,
    MISSING_3 = 18,
    BEHIND_E0 = 24, /* 80-9F would be an overlong form */
    BEHIND_ED = 30, /* A0-BF would be a surrogate */
    BEHIND_F0 = 36, /* 80-8F would be an overlong form */
    BEHIND_F4 = 42, /* 90-BF would be beyond U+10FFFF */
    IMPOSSIBLE = 48
};

#define STATE_BITS 0x3fu

/* 0: ASCII; 1 to 3: continuation bytes 80-8F, 90-9F, A0-BF; then first bytes: 4: C2-DF; 5: E0; 6: E1-EC, EE-EF; 7: ED; 8: F0;
 * 9: F1-F3; 10: F4; 11: what stands nowhere. 16 bytes a row. */
static const uint8_t byte_class[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,
     3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,  3,
    11, 11,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     5,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  7,  6,  6,
     8,  9,  9,  9, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
};

/* A column for each state: where a byte leads from there. A text that is impossible stays so. */
#define ROW(between, missing_1, missing_2, missing_3, e0, ed, f0, f4)                                                            \
    ((uint64_t)(between) << BETWEEN | (uint64_t)(missing_1) << MISSING_1 | (uint64_t)(missing_2) << MISSING_2 |                  \
     (uint64_t)(missing_3) << MISSING_3 | (uint64_t)(e0) << BEHIND_E0 | (uint64_t)(ed) << BEHIND_ED |                            \
     (uint64_t)(f0) << BEHIND_F0 | (uint64_t)(f4) << BEHIND_F4 | (uint64_t)IMPOSSIBLE << IMPOSSIBLE)
#define BEGIN(state) ROW(state, NO, NO, NO, NO, NO, NO, NO)
#define NO IMPOSSIBLE

/* The Well-Formed UTF-8 Byte Sequences of RFC 3629 4. */
static const uint64_t transitions[12] = {
    BEGIN(BETWEEN),
    ROW(NO, BETWEEN, MISSING_1, MISSING_2, NO, MISSING_1, NO, MISSING_2),
    ROW(NO, BETWEEN, MISSING_1, MISSING_2, NO, MISSING_1, MISSING_2, NO),
    ROW(NO, BETWEEN, MISSING_1, MISSING_2, MISSING_1, NO, MISSING_2, NO),
    BEGIN(MISSING_1),
    BEGIN(BEHIND_E0),
    BEGIN(MISSING_2),
    BEGIN(BEHIND_ED),
    BEGIN(BEHIND_F0),
    BEGIN(MISSING_3),
    BEGIN(BEHIND_F4),
    BEGIN(NO),
};

/* No branch depends on what a byte is: text in most scripts mixes lengths in a way that no CPU predicts. */
int pc_utf8_feed(struct pc_utf8 *text, const uint8_t *bytes, size_t length) {
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + length;
    uint64_t state = text->state;
    while (at < end) {
        if ((state & STATE_BITS) == BETWEEN) {
            at = pc_utf8_skip_ascii(at, end);
        }
        const uint8_t *stop = end - at > BLOCK ? at + BLOCK : end;
        for (; at < stop; at++) {
            state = transitions[byte_class[*at]] >> (state & STATE_BITS);
        }
    }
    text->state = (uint8_t)(state & STATE_BITS);
    return text->state != IMPOSSIBLE;
}
