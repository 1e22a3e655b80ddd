/* Asks the CPU which scanners it can run. Keeps nothing: the caller stores the answer where it stores its limits. */
#include "http1.h"
#include "scan.h"

#ifdef PC_SCAN_X86
#if defined(_MSC_VER) && !defined(__clang__)
/* CPUID leaves 1 and 7, and XGETBV: the operating system must save the upper halves too. */
static int has_sse42(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    return (leaf[2] >> 20) & 1;
}

static int has_avx2(void) {
    int leaf[4];
    __cpuid(leaf, 1);
    if (((leaf[2] >> 27) & 1) == 0 || (_xgetbv(0) & 6) != 6) {
        return 0;
    }
    __cpuidex(leaf, 7, 0);
    return (leaf[1] >> 5) & 1;
}
#else
static int has_sse42(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
}

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}
#endif
#endif

size_t pc_scan_available(const struct pc_scan_kernel *out[4]) {
    size_t count = 0;
    out[count++] = &pc_scan_scalar;
#ifdef PC_SCAN_X86
    if (has_sse42()) {
        out[count++] = &pc_scan_sse42;
        if (has_avx2()) {
            out[count++] = &pc_scan_avx2;
        }
    }
#elif defined(PC_SCAN_NEON)
    out[count++] = &pc_scan_neon;
#endif
    return count;
}

const struct pc_scan_kernel *pc_scan_choose(void) {
    const struct pc_scan_kernel *kernels[4];
    return kernels[pc_scan_available(kernels) - 1];
}

const char *pc_scan_name(const struct pc_scan_kernel *kernel) {
    return kernel->name;
}
