/* Bytes that grow, for expectations and outcomes. Aborts when there is no memory. */
#ifndef PC_TEST_TEXT_H
#define PC_TEST_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
};

void text_add(struct text *text, const void *bytes, size_t length);
void text_add_string(struct text *text, const char *string);
void text_clear(struct text *text);
int text_equal(const struct text *a, const struct text *b);

#endif
