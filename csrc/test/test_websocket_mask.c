/* Every unmasking kernel against one byte at a time: lengths, alignments, turns of the mask, in place, between guard pages. */
#include <string.h>

#include "../websocket.h"
#include "check.h"
#include "guard.h"

/* Longer than four of the widest vectors and a tail. */
#define LONGEST 210
#define WIDEST_VECTOR 32
#define ROOM (LONGEST + 2 * WIDEST_VECTOR)

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0xbd};

/* All values, in an order that no vector width repeats. */
static uint8_t byte_at(size_t index) {
    return (uint8_t)(index * 167 + (index >> 8) + 13);
}

static uint32_t mask_at(size_t phase) {
    uint32_t mask;
    memcpy(&mask, key, sizeof mask);
    return pc_ws_mask_rotate(mask, phase);
}

static int is_unmasked(const uint8_t *got, const uint8_t *masked, size_t length, size_t phase) {
    for (size_t i = 0; i < length; i++) {
        if (got[i] != (masked[i] ^ key[(i + phase) % 4])) {
            return 0;
        }
    }
    return 1;
}

static void fill(uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bytes[i] = byte_at(i);
    }
}

static void test_against_scalar(const struct pc_ws_mask_kernel *kernel, struct guard *from, struct guard *to) {
    uint8_t masked[LONGEST];
    fill(masked, LONGEST);
    for (size_t length = 0; length <= LONGEST; length++) {
        for (size_t phase = 0; phase < 8; phase++) {
            const uint8_t *src = guard_place(from, masked, length);
            uint8_t *dst = guard_room(to, length);
            memset(dst, 0xee, length);
            kernel->unmask(dst, src, length, mask_at(phase));
            CHECK(is_unmasked(dst, masked, length, phase), "%s: %zu bytes, phase %zu", kernel->name, length, phase);
            uint8_t *place = guard_room(to, length);
            memcpy(place, masked, length);
            kernel->unmask(place, place, length, mask_at(phase));
            CHECK(is_unmasked(place, masked, length, phase), "%s: %zu bytes in place, phase %zu", kernel->name, length, phase);
            memcpy(place, masked, length);
            kernel->unmask_ascii(place, place, length, mask_at(phase));
            CHECK(is_unmasked(place, masked, length, phase), "%s: %zu bytes of text in place", kernel->name, length);
        }
    }
}

/* Each alignment of source and destination to each other; what stands around the destination stays. */
static void test_alignments(const struct pc_ws_mask_kernel *kernel) {
    uint8_t masked[ROOM];
    uint8_t out[ROOM];
    fill(masked, ROOM);
    for (size_t length = 0; length <= LONGEST; length += length < 70 ? 1 : 23) {
        for (size_t from = 0; from < WIDEST_VECTOR; from++) {
            for (size_t to = 0; to < WIDEST_VECTOR; to++) {
                memset(out, 0xee, sizeof out);
                kernel->unmask(out + to, masked + from, length, mask_at(to));
                int is_right = is_unmasked(out + to, masked + from, length, to);
                for (size_t i = 0; i < ROOM; i++) {
                    is_right = is_right && (out[i] == 0xee || (i >= to && i < to + length));
                }
                if (!is_right) {
                    CHECK(0, "%s: %zu bytes from %zu to %zu", kernel->name, length, from, to);
                }
            }
        }
        CHECK(1, "counted");
    }
}

/* One byte beyond ASCII at each place, and none. */
static void test_ascii(const struct pc_ws_mask_kernel *kernel, struct guard *from, struct guard *to) {
    uint8_t masked[LONGEST];
    for (size_t length = 0; length <= LONGEST; length++) {
        for (size_t high = 0; high <= length; high++) {
            for (size_t i = 0; i < length; i++) {
                uint8_t plain = i == high ? (uint8_t)(0x80u | length) : (uint8_t)(i & 0x7f);
                masked[i] = plain ^ key[(i + length) % 4];
            }
            const uint8_t *src = guard_place(from, masked, length);
            uint8_t *dst = guard_room(to, length);
            int is_ascii = kernel->unmask_ascii(dst, src, length, mask_at(length));
            if (is_ascii != (high == length) || !is_unmasked(dst, masked, length, length)) {
                CHECK(0, "%s: %zu bytes, beyond ASCII at %zu", kernel->name, length, high);
            }
        }
        CHECK(1, "counted");
    }
}

/* A payload in pieces: the mask goes on where it was. */
static void test_pieces(const struct pc_ws_mask_kernel *kernel) {
    uint8_t masked[LONGEST];
    uint8_t out[LONGEST];
    fill(masked, LONGEST);
    for (size_t first = 0; first <= LONGEST; first++) {
        for (size_t second = 0; first + second <= LONGEST; second += 7) {
            uint32_t mask = mask_at(0);
            kernel->unmask(out, masked, first, mask);
            mask = pc_ws_mask_rotate(mask, first);
            kernel->unmask(out + first, masked + first, second, mask);
            mask = pc_ws_mask_rotate(mask, second);
            kernel->unmask(out + first + second, masked + first + second, LONGEST - first - second, mask);
            if (!is_unmasked(out, masked, LONGEST, 0)) {
                CHECK(0, "%s: cut at %zu and %zu", kernel->name, first, first + second);
            }
        }
        CHECK(1, "counted");
    }
}

int main(void) {
    const struct pc_ws_mask_kernel *kernels[4];
    size_t count = pc_ws_mask_available(kernels);
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        struct guard from;
        struct guard to;
        guard_open(&from, LONGEST, side);
        guard_open(&to, LONGEST, side);
        for (size_t i = 0; i < count; i++) {
            test_against_scalar(kernels[i], &from, &to);
            test_ascii(kernels[i], &from, &to);
        }
        guard_close(&from);
        guard_close(&to);
    }
    printf("kernels:");
    for (size_t i = 0; i < count; i++) {
        test_alignments(kernels[i]);
        test_pieces(kernels[i]);
        printf(" %s", pc_ws_mask_name(kernels[i]));
    }
    CHECK(pc_ws_mask_choose() == kernels[count - 1], "the best kernel is chosen");
    printf("; chosen: %s\n", pc_ws_mask_name(pc_ws_mask_choose()));
    return check_report("websocket_mask");
}
