/* Guard pages over mmap; see guard.h. */
#define _DEFAULT_SOURCE
#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void guard_open(struct guard *guard, size_t bytes, enum guard_side side) {
    guard->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    guard->room_bytes = (bytes + guard->page_bytes - 1) / guard->page_bytes * guard->page_bytes;
    guard->side = side;
    size_t all = guard->room_bytes + 2 * guard->page_bytes;
    void *pages = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect((uint8_t *)pages + guard->page_bytes, guard->room_bytes, PROT_READ | PROT_WRITE) != 0) {
        perror("guard pages");
        abort();
    }
    guard->pages = pages;
}

void guard_close(struct guard *guard) {
    munmap(guard->pages, guard->room_bytes + 2 * guard->page_bytes);
}

uint8_t *guard_room(struct guard *guard, size_t length) {
    if (length > guard->room_bytes) {
        fprintf(stderr, "guard: no room for %zu bytes\n", length);
        abort();
    }
    uint8_t *room = guard->pages + guard->page_bytes;
    return guard->side == GUARD_BEHIND ? room + guard->room_bytes - length : room;
}

const uint8_t *guard_place(void *context, const uint8_t *bytes, size_t length) {
    uint8_t *room = guard_room(context, length);
    if (length > 0) {
        memcpy(room, bytes, length);
    }
    return room;
}
