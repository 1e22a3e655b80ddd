/* What the HTTP/1 files share among themselves. Private to csrc/: callers include http1.h. */
#ifndef PC_HTTP1_INTERNAL_H
#define PC_HTTP1_INTERNAL_H

#include "http1.h"
#include "scan.h"

#define PC_INT63_MAX 0x7fffffffffffffffULL

static inline int pc_has_class(uint8_t byte, uint8_t byte_class) {
    return (pc_byte_class[byte] & byte_class) != 0;
}

static inline int pc_is_ows(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

/* A-Z only: the other tchars must not fold. */
static inline uint8_t pc_lower(uint8_t byte) {
    return (uint8_t)(byte - 'A') < 26 ? (uint8_t)(byte | 0x20) : byte;
}

/* The members of a comma-separated list, without the whitespace around them. Empty members are members. */
struct pc_list_cursor {
    const uint8_t *next; /* NULL when there is no further member */
    const uint8_t *end;
};

int pc_list_next(struct pc_list_cursor *cursor, const uint8_t **member, size_t *length);

/* A field section whose lines may end up to `limit_bytes` behind `buffer` (not behind where the section begins). The empty line
 * that ends it is not held against the limit. */
enum pc_status pc_http1_parse_section(const struct pc_http1_limits *limits, struct pc_http1_section *section, size_t limit_bytes,
                                      const uint8_t *buffer, size_t length, struct pc_http1_field *fields, size_t capacity);

#endif
