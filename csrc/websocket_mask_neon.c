/* The unmasking kernel for 64-bit ARM, 16 bytes at a time; every such core has NEON. Empty elsewhere. */
#include "websocket_mask.h"

#ifdef PC_CPU_NEON
#include <arm_neon.h>

#define WIDTH 16

/* Through memory, where the mask's order is that of the payload whatever the lanes' is. */
static inline uint8x16_t spread(uint32_t mask) {
    uint8_t bytes[WIDTH];
    for (size_t i = 0; i < WIDTH; i += 4) {
        memcpy(bytes + i, &mask, 4);
    }
    return vld1q_u8(bytes);
}

/* At least WIDTH bytes. */
static inline uint8x16_t unmask_long(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    size_t last = length - WIDTH;
    uint8x16_t wide = spread(mask);
    uint8x16_t tail = veorq_u8(vld1q_u8(src + last), spread(pc_turned(mask, last)));
    uint8x16_t seen = tail;
    for (size_t i = 0; i < last; i += WIDTH) {
        uint8x16_t bytes = veorq_u8(vld1q_u8(src + i), wide);
        vst1q_u8(dst + i, bytes);
        seen = vorrq_u8(seen, bytes);
    }
    vst1q_u8(dst + last, tail);
    return seen;
}

static void unmask(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        pc_unmask_short(dst, src, length, mask);
        return;
    }
    unmask_long(dst, src, length, mask);
}

static int unmask_ascii(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        return (pc_unmask_short(dst, src, length, mask) & PC_HIGH_BITS) == 0;
    }
    return vmaxvq_u8(unmask_long(dst, src, length, mask)) < 0x80;
}

const struct pc_ws_mask_kernel pc_ws_mask_neon = {"neon", unmask, unmask_ascii};

#else
typedef int pc_ws_mask_neon_is_for_arm64;
#endif
