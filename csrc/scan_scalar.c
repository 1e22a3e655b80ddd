/* The portable scanners, one byte at a time, and the table of byte classes that says what the others must agree with. */
#include "scan.h"

/* Sums of the PC_CLASS_ bits, 16 bytes a row. csrc/test/test_scan.c states the same classes as rules and compares. */
const uint8_t pc_byte_class[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  4,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     4, 23,  6,  5, 23,  7, 23, 23, 22, 22, 23, 23, 22, 23, 23,  6,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63,  6, 22,  6, 22,  6,  4,
     6, 31, 31, 31, 31, 31, 31, 23, 23, 23, 23, 23, 23, 23, 23, 23,
    23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23,  6,  6,  6,  7, 23,
     7, 31, 31, 31, 31, 31, 31, 23, 23, 23, 23, 23, 23, 23, 23, 23,
    23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23,  6,  7,  6, 23,  0,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
     4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,  4,
};

const uint8_t *pc_scan_tail(const uint8_t *p, const uint8_t *end, uint8_t byte_class) {
    while (p < end && (pc_byte_class[*p] & byte_class) != 0) {
        p++;
    }
    return p;
}

static const uint8_t *token_end(const uint8_t *p, const uint8_t *end) {
    return pc_scan_tail(p, end, PC_CLASS_TOKEN);
}

static const uint8_t *target_end(const uint8_t *p, const uint8_t *end) {
    return pc_scan_tail(p, end, PC_CLASS_TARGET);
}

static const uint8_t *value_end(const uint8_t *p, const uint8_t *end) {
    return pc_scan_tail(p, end, PC_CLASS_VALUE);
}

const struct pc_scan_kernel pc_scan_scalar = {"scalar", token_end, target_end, value_end};
