/* What kernels for one instruction set share: which architecture this is, and what its CPU can run. Private to csrc/. */
#ifndef PC_CPU_H
#define PC_CPU_H

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#define PC_CPU_X86 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define PC_CPU_NEON 1
#endif

/* Function attributes instead of per-file flags: any compile command builds every file right. MSVC needs neither. */
#if defined(__GNUC__)
#define PC_TARGET(isa) __attribute__((target(isa)))
#else
#define PC_TARGET(isa)
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static inline unsigned pc_lowest_bit(unsigned mask) {
    unsigned long index;
    _BitScanForward(&index, mask);
    return (unsigned)index;
}
#else
static inline unsigned pc_lowest_bit(unsigned mask) {
    return (unsigned)__builtin_ctz(mask);
}
#endif

#ifdef PC_CPU_X86
#if defined(_MSC_VER) && !defined(__clang__)
/* CPUID leaves 1 and 7, and XGETBV: the operating system must save the upper halves too. */
static inline int pc_cpu_has_sse2(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    return (leaf[3] >> 26) & 1;
}

static inline int pc_cpu_has_sse42(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    return (leaf[2] >> 20) & 1;
}

static inline int pc_cpu_has_avx2(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    if (((leaf[2] >> 27) & 1) == 0 || (_xgetbv(0) & 6) != 6) {
        return 0;
    }
    __cpuidex(leaf, 7, 0);
    return (leaf[1] >> 5) & 1;
}
#else
static inline int pc_cpu_has_sse2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse2") != 0;
}

static inline int pc_cpu_has_sse42(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
}

static inline int pc_cpu_has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}
#endif
#endif

#endif
