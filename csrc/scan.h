/* Byte scanners: the one kernel signature that every instruction set implements. Private to csrc/.
 *
 * A scanner returns the first byte in [p, end) that does not belong, or `end`. It reads nothing outside [p, end).
 *   token_end   belongs: tchar (RFC 9110 5.6.2)
 *   target_end  belongs: 0x21-0x7E but "?" and "#" (RFC 3986 3.3, as loose as peers are about the rest)
 *   value_end   belongs: HTAB, 0x20-0x7E, 0x80-0xFF (RFC 9110 5.5)
 */
#ifndef PC_SCAN_H
#define PC_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

typedef const uint8_t *(*pc_scan_fn)(const uint8_t *p, const uint8_t *end);

struct pc_scan_kernel {
    const char *name;
    pc_scan_fn token_end;
    pc_scan_fn target_end;
    pc_scan_fn value_end;
};

/* Bits of pc_byte_class. */
#define PC_CLASS_TOKEN 1u
#define PC_CLASS_TARGET 2u
#define PC_CLASS_VALUE 4u
#define PC_CLASS_HEX 8u
#define PC_CLASS_HOST 16u /* unreserved / sub-delims of RFC 3986 */
#define PC_CLASS_DIGIT 32u

extern const uint8_t pc_byte_class[256];
/* For kernels: what is left when fewer bytes remain than a vector holds. */
const uint8_t *pc_scan_tail(const uint8_t *p, const uint8_t *end, uint8_t byte_class);

extern const struct pc_scan_kernel pc_scan_scalar;

#ifdef PC_CPU_X86
extern const struct pc_scan_kernel pc_scan_sse42;
extern const struct pc_scan_kernel pc_scan_avx2;
#elif defined(PC_CPU_NEON)
extern const struct pc_scan_kernel pc_scan_neon;
#endif

/* Fills `out` with the kernels that this CPU can run, scalar first, best last; returns how many. `out` holds at least 4. */
size_t pc_scan_available(const struct pc_scan_kernel *out[4]);

#endif
