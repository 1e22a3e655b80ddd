/* UTF-8 that comes in pieces (RFC 3629): whether it is valid so far. Knows C11 and bytes, no frames, no strings. */
#ifndef PC_UTF8_H
#define PC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Zero before the first byte of a text. */
struct pc_utf8 {
    uint8_t state;
};

/* Whether these bytes, behind those fed before, can still become valid. False when one of them is the first after which they
 * cannot: an overlong form, a surrogate or a value over U+10FFFF is found at its second byte. It stays false. */
int pc_utf8_feed(struct pc_utf8 *text, const uint8_t *bytes, size_t length);

/* Whether the text may end here. */
static inline int pc_utf8_is_complete(const struct pc_utf8 *text) {
    return text->state == 0;
}

/* The first byte in [at, end) that is not ASCII, or `end`. */
const uint8_t *pc_utf8_skip_ascii(const uint8_t *at, const uint8_t *end);

#endif
