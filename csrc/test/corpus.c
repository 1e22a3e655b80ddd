/* The corpus reader behind corpus.h. A malformed line is an error, not a case that checks nothing. */
#include "corpus.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 65536

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Adds what [from, end) stands for. 0 for an unknown escape. */
static int unescape(struct text *text, const char *from, const char *end) {
    static const char names[] = "rnt0\\";
    static const char bytes[] = "\r\n\t\0\\";
    for (const char *at = from; at < end; at++) {
        if (*at != '\\') {
            text_add(text, at, 1);
            continue;
        }
        if (++at == end) {
            return 0;
        }
        const char *name = strchr(names, *at);
        if (name != NULL && *at != '\0') {
            text_add(text, bytes + (name - names), 1);
        } else if (*at == 'x' && end - at > 2 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            uint8_t byte = (uint8_t)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
            text_add(text, &byte, 1);
            at += 2;
        } else {
            return 0;
        }
    }
    return 1;
}

static int unescape_repeated(struct text *text, const char *from, const char *end, long times) {
    struct text once = {0};
    int is_valid = unescape(&once, from, end);
    for (long i = 0; i < times; i++) {
        text_add(text, once.bytes, once.length);
    }
    text_clear(&once);
    return is_valid;
}

static int read_limit(struct pc_http1_limits *limits, const char *name, size_t length, unsigned long long value) {
    const struct {
        const char *name;
        uint32_t *limit;
    } known[] = {
        {"request_line_bytes", &limits->request_line_bytes},
        {"request_fields", &limits->request_fields},
        {"request_head_bytes", &limits->request_head_bytes},
        {"leading_empty_lines", &limits->leading_empty_lines},
        {"chunk_line_bytes", &limits->chunk_line_bytes},
        {"chunk_extension_total_bytes", &limits->chunk_extension_total_bytes},
        {"trailer_bytes", &limits->trailer_bytes},
    };
    if (length == 18 && memcmp(name, "request_body_bytes", length) == 0) {
        limits->request_body_bytes = value;
        return 1;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0) {
            *known[i].limit = (uint32_t)value;
            return 1;
        }
    }
    return 0;
}

static int read_limits(struct pc_http1_limits *limits, char *value) {
    for (char *word = strtok(value, " "); word != NULL; word = strtok(NULL, " ")) {
        char *equals = strchr(word, '=');
        if (equals == NULL || !read_limit(limits, word, (size_t)(equals - word), strtoull(equals + 1, NULL, 10))) {
            return 0;
        }
    }
    return 1;
}

/* "name" or "name*200"; 0 if `key` is something else. */
static long times_of(const char *key, const char *name) {
    size_t length = strlen(name);
    if (strncmp(key, name, length) != 0) {
        return 0;
    }
    return key[length] == '\0' ? 1 : key[length] == '*' ? strtol(key + length + 1, NULL, 10) : 0;
}

/* The first word of `value`, which then points behind the space after it. */
static char *next_word(char **value) {
    char *word = *value;
    char *space = strchr(word, ' ');
    *value = space != NULL ? space + 1 : word + strlen(word);
    if (space != NULL) {
        *space = '\0';
    }
    return word;
}

static int read_pair(struct pairs *pairs, char *value) {
    struct text name = {0};
    struct text content = {0};
    char *word = next_word(&value);
    int is_valid = unescape(&name, word, word + strlen(word)) && unescape(&content, value, value + strlen(value));
    pairs_add(pairs, name, content);
    return is_valid;
}

static int read_expected_head(struct outcome *expected, char *value) {
    struct request *request = outcome_add(expected);
    text_add_string(&request->method, next_word(&value));
    char *target = next_word(&value);
    request->minor_version = strcmp(value, "1.1") == 0;
    return unescape(&request->target, target, target + strlen(target));
}

static int read_yes(const char *value) {
    return strcmp(value, "yes") == 0;
}

static int read_expected_fact(struct request *request, const char *word, char *value) {
    char *end = value + strlen(value);
    if (strcmp(word, "path") == 0) {
        char *path = next_word(&value);
        request->stated |= STATES_PATH;
        return unescape(&request->path, path, path + strlen(path)) && unescape(&request->query, value, value + strlen(value));
    }
    if (strcmp(word, "field") == 0) {
        request->stated |= STATES_FIELDS;
        return read_pair(&request->fields, value);
    }
    if (strcmp(word, "framing") == 0) {
        request->stated |= STATES_FRAMING;
        request->chunked = strcmp(value, "chunked") == 0;
        if (strncmp(value, "length ", 7) == 0) {
            request->content_length = strtoll(value + 7, NULL, 10);
            return 1;
        }
        return request->chunked || strcmp(value, "none") == 0;
    }
    if (strcmp(word, "keep-alive") == 0) {
        request->stated |= STATES_KEEP_ALIVE;
        request->keep_alive = read_yes(value);
        return 1;
    }
    if (strcmp(word, "continue") == 0) {
        request->stated |= STATES_CONTINUE;
        request->expect_continue = read_yes(value);
        return 1;
    }
    if (strcmp(word, "upgrade") == 0) {
        request->stated |= STATES_UPGRADE;
        return unescape(&request->upgrade, value, end);
    }
    if (strcmp(word, "trailer") == 0) {
        return read_pair(&request->trailers, value);
    }
    if (strcmp(word, "end") == 0) {
        request->complete = 1;
        return 1;
    }
    long times = times_of(word, "body");
    return times > 0 && unescape_repeated(&request->body, value, end, times);
}

static int read_expected(struct outcome *expected, char *value) {
    char *word = next_word(&value);
    if (strcmp(word, "head") == 0) {
        return read_expected_head(expected, value);
    }
    if (strcmp(word, "need-data") == 0 || strcmp(word, "closed") == 0) {
        text_add_string(&expected->verdict, word);
        return 1;
    }
    if (strcmp(word, "error") == 0) {
        /* The status is verdicts.py's business. */
        text_add_string(&expected->verdict, "error ");
        text_add_string(&expected->verdict, next_word(&value));
        return 1;
    }
    return expected->count > 0 && read_expected_fact(&expected->requests[expected->count - 1], word, value);
}

static int read_line(struct corpus_case *one, char *key, char *value) {
    if (strcmp(key, "rule") == 0) {
        return 1;
    }
    if (strcmp(key, "limits") == 0) {
        return read_limits(&one->limits, value);
    }
    if (strcmp(key, "eof") == 0) {
        one->eof = read_yes(value);
        return 1;
    }
    if (strcmp(key, "expect") == 0) {
        return read_expected(&one->expected, value);
    }
    long times = times_of(key, "input");
    return times > 0 && unescape_repeated(&one->input, value, value + strlen(value), times);
}

static void case_clear(struct corpus_case *one) {
    text_clear(&one->name);
    text_clear(&one->input);
    outcome_clear(&one->expected);
    *one = (struct corpus_case){0};
}

static int finish_case(struct corpus_case *one, void (*visit)(const struct corpus_case *, void *), void *context) {
    int is_whole = one->expected.verdict.length > 0;
    if (is_whole) {
        visit(one, context);
    }
    case_clear(one);
    return is_whole;
}

long corpus_read(const char *path, void (*visit)(const struct corpus_case *one, void *context), void *context) {
    static char line[LINE_BYTES];
    struct corpus_case one = {0};
    long count = 0;
    long number = 0;
    int is_valid = 1;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    while (is_valid && fgets(line, sizeof line, file) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        char *value = strchr(line, ':');
        if (value == NULL) {
            is_valid = 0;
            break;
        }
        *value++ = '\0';
        value += *value == ' ';
        if (strcmp(line, "case") == 0) {
            is_valid = count++ == 0 || finish_case(&one, visit, context);
            text_add_string(&one.name, value);
            limits_default(&one.limits);
        } else {
            is_valid = count > 0 && read_line(&one, line, value);
        }
    }
    fclose(file);
    if (is_valid && count > 0) {
        is_valid = finish_case(&one, visit, context);
    }
    case_clear(&one);
    if (!is_valid) {
        fprintf(stderr, "%s:%ld: malformed case\n", path, number);
        return -1;
    }
    return count;
}

static int pairs_agree(const struct pairs *a, const struct pairs *b) {
    if (a->count != b->count) {
        return 0;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!text_equal(&a->items[i].name, &b->items[i].name) || !text_equal(&a->items[i].value, &b->items[i].value)) {
            return 0;
        }
    }
    return 1;
}

/* Methods are handed on in upper case by the twins, and as sent by the C. */
static int methods_agree(const struct text *expected, const struct text *got) {
    if (expected->length != got->length) {
        return 0;
    }
    for (size_t i = 0; i < got->length; i++) {
        if (expected->bytes[i] != (uint8_t)toupper(got->bytes[i])) {
            return 0;
        }
    }
    return 1;
}

static int request_agrees(const struct request *expected, const struct request *got) {
    int stated = expected->stated;
    return methods_agree(&expected->method, &got->method) && text_equal(&expected->target, &got->target) &&
           expected->minor_version == got->minor_version && expected->complete == got->complete &&
           text_equal(&expected->body, &got->body) && pairs_agree(&expected->trailers, &got->trailers) &&
           (!(stated & STATES_PATH) || (text_equal(&expected->path, &got->path) && text_equal(&expected->query, &got->query))) &&
           (!(stated & STATES_FIELDS) || pairs_agree(&expected->fields, &got->fields)) &&
           (!(stated & STATES_FRAMING) ||
            (expected->chunked == got->chunked && expected->content_length == got->content_length)) &&
           (!(stated & STATES_KEEP_ALIVE) || expected->keep_alive == got->keep_alive) &&
           (!(stated & STATES_CONTINUE) || expected->expect_continue == got->expect_continue) &&
           (!(stated & STATES_UPGRADE) || text_equal(&expected->upgrade, &got->upgrade));
}

int corpus_agrees(const struct outcome *expected, const struct outcome *got) {
    if (!text_equal(&expected->verdict, &got->verdict) || expected->count != got->count) {
        return 0;
    }
    for (size_t i = 0; i < expected->count; i++) {
        if (!request_agrees(&expected->requests[i], &got->requests[i])) {
            return 0;
        }
    }
    return 1;
}
