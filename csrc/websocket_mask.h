/* What the unmasking kernels share. Private to csrc/: callers include websocket.h.
 *
 * A kernel has no tail loop: the last vector is read before anything is written, at whatever distance from the end, unmasked with
 * the mask turned to fit, and written last. It overlaps the one before it with the same bytes, in place too.
 */
#ifndef PC_WEBSOCKET_MASK_H
#define PC_WEBSOCKET_MASK_H

#include <string.h>

#include "cpu.h"
#include "websocket.h"

extern const struct pc_ws_mask_kernel pc_ws_mask_scalar;
#ifdef PC_CPU_X86
extern const struct pc_ws_mask_kernel pc_ws_mask_sse2;
extern const struct pc_ws_mask_kernel pc_ws_mask_avx2;
#elif defined(PC_CPU_NEON)
extern const struct pc_ws_mask_kernel pc_ws_mask_neon;
#endif

#define PC_HIGH_BITS 0x8080808080808080u

static inline uint64_t pc_load64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t pc_load32(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* `mask` as memory has it when it begins `bytes` later: the two halves of a doubled mask hold every turn of it. */
static inline uint32_t pc_turned(uint32_t mask, size_t bytes) {
    uint8_t twice[8];
    memcpy(twice, &mask, 4);
    memcpy(twice + 4, &mask, 4);
    return pc_load32(twice + (bytes & 3));
}

static inline uint64_t pc_wide(uint32_t mask) {
    return (uint64_t)mask << 32 | mask;
}

/* Less than 16 bytes. Returns an OR of what was written. */
static inline uint64_t pc_unmask_short(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length >= 8) {
        uint64_t first = pc_load64(src) ^ pc_wide(mask);
        uint64_t last = pc_load64(src + length - 8) ^ pc_wide(pc_turned(mask, length));
        memcpy(dst, &first, 8);
        memcpy(dst + length - 8, &last, 8);
        return first | last;
    }
    if (length >= 4) {
        uint32_t first = pc_load32(src) ^ mask;
        uint32_t last = pc_load32(src + length - 4) ^ pc_turned(mask, length);
        memcpy(dst, &first, 4);
        memcpy(dst + length - 4, &last, 4);
        return first | last;
    }
    uint8_t key[4];
    uint8_t seen = 0;
    memcpy(key, &mask, 4);
    for (size_t i = 0; i < length; i++) {
        dst[i] = src[i] ^ key[i];
        seen |= dst[i];
    }
    return seen;
}

#endif
