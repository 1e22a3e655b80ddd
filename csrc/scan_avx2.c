/* The scanners for x86 with AVX2, 32 bytes at a time. Empty elsewhere. scan_sse42.c explains the sets. */
#include "scan.h"

#ifdef PC_CPU_X86
#include <immintrin.h>

#define WIDTH 32

PC_TARGET("avx2") static inline __m256i not_token(__m256i bytes) {
    const __m256i rows = _mm256_broadcastsi128_si256(
        _mm_setr_epi8((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xf8,
                      (char)0xf8, (char)0xf4, 0x54, (char)0xd0, 0x54, (char)0xf4, 0x70));
    const __m256i bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    __m256i row = _mm256_shuffle_epi8(rows, _mm256_and_si256(bytes, nibble));
    __m256i bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
    return _mm256_cmpeq_epi8(_mm256_and_si256(row, bit), _mm256_setzero_si256());
}

PC_TARGET("avx2") static inline __m256i not_target(__m256i bytes) {
    __m256i visible = _mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(0x20));
    __m256i del = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f));
    __m256i query = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('?'));
    __m256i fragment = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('#'));
    __m256i stops = _mm256_or_si256(_mm256_or_si256(query, fragment), del);
    return _mm256_or_si256(stops, _mm256_cmpeq_epi8(visible, _mm256_setzero_si256()));
}

PC_TARGET("avx2") static inline __m256i not_value(__m256i bytes) {
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
    __m256i tab = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\t'));
    __m256i del = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f));
    return _mm256_or_si256(_mm256_andnot_si256(tab, control), del);
}

/* What is left over goes to the 16-byte kernel: the last value of a head would else be walked byte by byte. */
#define PC_SCANNER(function, stops)                                                                                              \
    PC_TARGET("avx2") static const uint8_t *function(const uint8_t *p, const uint8_t *end) {                                     \
        for (; end - p >= WIDTH; p += WIDTH) {                                                                                   \
            unsigned mask = (unsigned)_mm256_movemask_epi8(stops(_mm256_loadu_si256((const __m256i *)(const void *)p)));         \
            if (mask != 0) {                                                                                                     \
                return p + pc_lowest_bit(mask);                                                                                  \
            }                                                                                                                    \
        }                                                                                                                        \
        return pc_scan_sse42.function(p, end);                                                                                   \
    }

PC_SCANNER(token_end, not_token)
PC_SCANNER(target_end, not_target)
PC_SCANNER(value_end, not_value)

const struct pc_scan_kernel pc_scan_avx2 = {"avx2", token_end, target_end, value_end};

#else
typedef int pc_scan_avx2_is_for_x86;
#endif
