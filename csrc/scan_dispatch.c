/* Asks the CPU which scanners it can run. Keeps nothing: the caller stores the answer where it stores its limits. */
#include "http1.h"
#include "scan.h"

size_t pc_scan_available(const struct pc_scan_kernel *out[4]) {
    size_t count = 0;
    out[count++] = &pc_scan_scalar;
#ifdef PC_CPU_X86
    if (pc_cpu_has_sse42()) {
        out[count++] = &pc_scan_sse42;
        if (pc_cpu_has_avx2()) {
            out[count++] = &pc_scan_avx2;
        }
    }
#elif defined(PC_CPU_NEON)
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
