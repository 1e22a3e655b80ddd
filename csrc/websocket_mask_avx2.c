/* The unmasking kernel for x86 with AVX2, 32 bytes at a time. Empty elsewhere. */
#include "websocket_mask.h"

#ifdef PC_CPU_X86
#include <immintrin.h>

#define WIDTH 32

PC_TARGET("avx2") static inline __m256i load(const uint8_t *at) {
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

PC_TARGET("avx2") static inline void store(uint8_t *at, __m256i bytes) {
    _mm256_storeu_si256((__m256i *)(void *)at, bytes);
}

/* At least WIDTH bytes. */
PC_TARGET("avx2") static inline __m256i unmask_long(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    size_t last = length - WIDTH;
    __m256i wide = _mm256_set1_epi32((int)mask);
    __m256i tail = _mm256_xor_si256(load(src + last), _mm256_set1_epi32((int)pc_turned(mask, last)));
    __m256i seen = tail;
    for (size_t i = 0; i < last; i += WIDTH) {
        __m256i bytes = _mm256_xor_si256(load(src + i), wide);
        store(dst + i, bytes);
        seen = _mm256_or_si256(seen, bytes);
    }
    store(dst + last, tail);
    return seen;
}

/* What one vector does not hold twice goes to the 16-byte kernel. */
PC_TARGET("avx2") static void unmask(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        pc_ws_mask_sse2.unmask(dst, src, length, mask);
        return;
    }
    unmask_long(dst, src, length, mask);
}

PC_TARGET("avx2") static int unmask_ascii(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask) {
    if (length < WIDTH) {
        return pc_ws_mask_sse2.unmask_ascii(dst, src, length, mask);
    }
    return _mm256_movemask_epi8(unmask_long(dst, src, length, mask)) == 0;
}

const struct pc_ws_mask_kernel pc_ws_mask_avx2 = {"avx2", unmask, unmask_ascii};

#else
typedef int pc_ws_mask_avx2_is_for_x86;
#endif
