/* The bytes behind text.h. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_add(struct text *text, const void *bytes, size_t length) {
    if (length == 0) {
        return;
    }
    if (text->length + length > text->capacity) {
        text->capacity = 2 * text->capacity + length;
        uint8_t *grown = realloc(text->bytes, text->capacity);
        if (grown == NULL) {
            perror("realloc");
            abort();
        }
        text->bytes = grown;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

void text_add_string(struct text *text, const char *string) {
    text_add(text, string, strlen(string));
}

void text_clear(struct text *text) {
    free(text->bytes);
    *text = (struct text){0};
}

int text_equal(const struct text *a, const struct text *b) {
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}
