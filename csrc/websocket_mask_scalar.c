/* The portable unmasking kernel, 8 bytes at a time: the one that the others must agree with. */
#include "websocket_mask.h"

static inline uint64_t unmask_any(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < 16) {
        return pc_unmask_short(dst, src, length, mask);
    }
    size_t last = length - 8;
    uint64_t wide = pc_wide(mask);
    uint64_t tail = pc_load64(src + last) ^ pc_wide(pc_turned(mask, last));
    uint64_t seen = tail;
    for (size_t i = 0; i < last; i += 8) {
        uint64_t word = pc_load64(src + i) ^ wide;
        memcpy(dst + i, &word, 8);
        seen |= word;
    }
    memcpy(dst + last, &tail, 8);
    return seen;
}

static void unmask(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    unmask_any(dst, src, length, mask);
}

static int unmask_ascii(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    return (unmask_any(dst, src, length, mask) & PC_HIGH_BITS) == 0;
}

const struct pc_ws_mask_kernel pc_ws_mask_scalar = {"scalar", unmask, unmask_ascii};
