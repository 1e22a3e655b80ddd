/* The scanners for 64-bit ARM, 16 bytes at a time; every such core has NEON. Empty elsewhere. scan_sse42.c explains the sets. */
#include "scan.h"

#ifdef PC_CPU_NEON
#include <arm_neon.h>

#define WIDTH 16

static const uint8_t token_rows[16] = {0xe8, 0xfc, 0xf8, 0xfc, 0xfc, 0xfc, 0xfc, 0xfc, 0xf8, 0xf8, 0xf4, 0x54, 0xd0, 0x54, 0xf4, 0x70};
static const uint8_t token_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0};

static inline uint8x16_t not_token(uint8x16_t bytes) {
    uint8x16_t row = vqtbl1q_u8(vld1q_u8(token_rows), vandq_u8(bytes, vdupq_n_u8(0x0f)));
    uint8x16_t bit = vqtbl1q_u8(vld1q_u8(token_bits), vshrq_n_u8(bytes, 4));
    return vceqq_u8(vandq_u8(row, bit), vdupq_n_u8(0));
}

static inline uint8x16_t not_target(uint8x16_t bytes) {
    uint8x16_t invisible = vorrq_u8(vcleq_u8(bytes, vdupq_n_u8(0x20)), vcgeq_u8(bytes, vdupq_n_u8(0x7f)));
    uint8x16_t marks = vorrq_u8(vceqq_u8(bytes, vdupq_n_u8('?')), vceqq_u8(bytes, vdupq_n_u8('#')));
    return vorrq_u8(invisible, marks);
}

static inline uint8x16_t not_value(uint8x16_t bytes) {
    uint8x16_t control = vandq_u8(vcltq_u8(bytes, vdupq_n_u8(0x20)), vmvnq_u8(vceqq_u8(bytes, vdupq_n_u8('\t'))));
    return vorrq_u8(control, vceqq_u8(bytes, vdupq_n_u8(0x7f)));
}

/* NEON has no movemask: narrowing by a nibble leaves 4 bits a byte in one 64-bit word. */
static inline uint64_t nibble_mask(uint8x16_t stops) {
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(stops), 4)), 0);
}

static inline unsigned lowest_byte(uint64_t mask) {
    uint32_t low = (uint32_t)mask;
    return low != 0 ? pc_lowest_bit(low) >> 2 : 8 + (pc_lowest_bit((uint32_t)(mask >> 32)) >> 2);
}

#define PC_SCANNER(function, stops, byte_class)                                                                                  \
    static const uint8_t *function(const uint8_t *p, const uint8_t *end) {                                                       \
        for (; end - p >= WIDTH; p += WIDTH) {                                                                                   \
            uint64_t mask = nibble_mask(stops(vld1q_u8(p)));                                                                     \
            if (mask != 0) {                                                                                                     \
                return p + lowest_byte(mask);                                                                                    \
            }                                                                                                                    \
        }                                                                                                                        \
        return pc_scan_tail(p, end, byte_class);                                                                                 \
    }

PC_SCANNER(token_end, not_token, PC_CLASS_TOKEN)
PC_SCANNER(target_end, not_target, PC_CLASS_TARGET)
PC_SCANNER(value_end, not_value, PC_CLASS_VALUE)

const struct pc_scan_kernel pc_scan_neon = {"neon", token_end, target_end, value_end};

#else
typedef int pc_scan_neon_is_for_arm64;
#endif
