/* The unmasking kernel for x86 with SSE2, 16 bytes at a time. Empty elsewhere. */
#include "websocket_mask.h"

#ifdef PC_CPU_X86
#include <emmintrin.h>

#define WIDTH 16

PC_TARGET("sse2") static inline __m128i load(const uint8_t *at) {
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

PC_TARGET("sse2") static inline void store(uint8_t *at, __m128i bytes) {
    _mm_storeu_si128((__m128i *)(void *)at, bytes);
}

/* At least WIDTH bytes. */
PC_TARGET("sse2") static inline __m128i unmask_long(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    size_t last = length - WIDTH;
    __m128i wide = _mm_set1_epi32((int)mask);
    __m128i tail = _mm_xor_si128(load(src + last), _mm_set1_epi32((int)pc_turned(mask, last)));
    __m128i seen = tail;
    for (size_t i = 0; i < last; i += WIDTH) {
        __m128i bytes = _mm_xor_si128(load(src + i), wide);
        store(dst + i, bytes);
        seen = _mm_or_si128(seen, bytes);
    }
    store(dst + last, tail);
    return seen;
}

PC_TARGET("sse2") static void unmask(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        pc_unmask_short(dst, src, length, mask);
        return;
    }
    unmask_long(dst, src, length, mask);
}

PC_TARGET("sse2") static int unmask_ascii(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        return (pc_unmask_short(dst, src, length, mask) & PC_HIGH_BITS) == 0;
    }
    return _mm_movemask_epi8(unmask_long(dst, src, length, mask)) == 0;
}

const struct pc_ws_mask_kernel pc_ws_mask_sse2 = {"sse2", unmask, unmask_ascii};

#else
typedef int pc_ws_mask_sse2_is_for_x86;
#endif
