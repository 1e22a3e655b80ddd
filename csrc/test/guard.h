/* A buffer between two pages that cannot be touched: one byte too far, before or behind, is a crash. */
#ifndef PC_TEST_GUARD_H
#define PC_TEST_GUARD_H

#include <stddef.h>
#include <stdint.h>

enum guard_side { GUARD_BEHIND, GUARD_BEFORE };

struct guard {
    uint8_t *pages;
    size_t page_bytes;
    size_t room_bytes;
    enum guard_side side;
};

/* Room for `bytes`, ending (GUARD_BEHIND) or beginning (GUARD_BEFORE) at a guard page. Aborts when there is no memory. */
void guard_open(struct guard *guard, size_t bytes, enum guard_side side);
void guard_close(struct guard *guard);

/* A copy of the bytes against the guard page; whatever was there before is gone. For `struct outcome`'s callback. */
const uint8_t *guard_place(void *guard, const uint8_t *bytes, size_t length);
/* Writable room of just that length against the guard page. */
uint8_t *guard_room(struct guard *guard, size_t length);

#endif
