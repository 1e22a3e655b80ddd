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

static int is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

/* The Well-Formed UTF-8 Byte Sequences of RFC 3629 4, by their first byte. */
static int begin(struct pc_utf8 *state, uint8_t lead) {
    state->low = 0x80;
    state->high = 0xbf;
    if (lead < 0xe0) {
        state->missing = 1;
        return lead >= 0xc2;
    }
    if (lead < 0xf0) {
        state->missing = 2;
        if (lead == 0xe0) {
            state->low = 0xa0; /* shorter forms exist below */
        } else if (lead == 0xed) {
            state->high = 0x9f; /* surrogates above */
        }
        return 1;
    }
    state->missing = 3;
    if (lead == 0xf0) {
        state->low = 0x90; /* shorter forms exist below */
    } else if (lead == 0xf4) {
        state->high = 0x8f; /* U+10FFFF is the last */
    }
    return lead <= 0xf4;
}

/* Characters of two and three bytes that lie there whole and have no bounds of their own: nearly all that is not ASCII. */
static const uint8_t *skip_common(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 3) {
        uint8_t lead = at[0];
        if (lead >= 0xc2 && lead < 0xe0 && is_continuation(at[1])) {
            at += 2;
        } else if (lead > 0xe0 && lead < 0xf0 && lead != 0xed && is_continuation(at[1]) && is_continuation(at[2])) {
            at += 3;
        } else if (lead < 0x80 && at[1] >= 0x80) {
            at++; /* a blank or a digit between words */
        } else {
            break;
        }
    }
    return at;
}

int pc_utf8_feed(struct pc_utf8 *state, const uint8_t *bytes, size_t length) {
    struct pc_utf8 now = *state;
    const uint8_t *at = bytes;
    const uint8_t *end = bytes + length;
    while (at < end) {
        if (now.missing == 0) {
            at = skip_common(pc_utf8_skip_ascii(at, end), end);
            if (at == end) {
                break;
            }
            uint8_t lead = *at++;
            if (lead >= 0x80 && !begin(&now, lead)) {
                return 0;
            }
        } else {
            uint8_t byte = *at++;
            if (byte < now.low || byte > now.high) {
                return 0;
            }
            now.low = 0x80;
            now.high = 0xbf;
            now.missing--;
        }
    }
    *state = now;
    return 1;
}
