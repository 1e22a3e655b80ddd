/* Asks the CPU which unmasking kernels it can run. Keeps nothing: the caller stores the answer. */
#include "websocket_mask.h"

size_t pc_ws_mask_available(const struct pc_ws_mask_kernel *out[4]) {
    size_t count = 0;
    out[count++] = &pc_ws_mask_scalar;
#ifdef PC_CPU_X86
    if (pc_cpu_has_sse2()) {
        out[count++] = &pc_ws_mask_sse2;
        if (pc_cpu_has_avx2()) {
            out[count++] = &pc_ws_mask_avx2;
        }
    }
#elif defined(PC_CPU_NEON)
    out[count++] = &pc_ws_mask_neon;
#endif
    return count;
}

const struct pc_ws_mask_kernel *pc_ws_mask_choose(void) {
    const struct pc_ws_mask_kernel *kernels[4];
    return kernels[pc_ws_mask_available(kernels) - 1];
}

const char *pc_ws_mask_name(const struct pc_ws_mask_kernel *kernel) {
    return kernel->name;
}

uint32_t pc_ws_mask_rotate(uint32_t mask, size_t bytes) {
    return pc_turned(mask, bytes);
}
