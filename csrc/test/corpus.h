/* Reads the text files in tests/corpus/http1; tests/corpus_reader.py describes their format. */
#ifndef PC_TEST_CORPUS_H
#define PC_TEST_CORPUS_H

#include "outcome.h"

struct corpus_case {
    struct text name; /* without a NUL */
    struct pc_http1_limits limits;
    struct text input;
    int eof;
    struct outcome expected;
};

/* Calls `visit` for each case of the file; returns how many, or -1 after a message when the file cannot be read. */
long corpus_read(const char *path, void (*visit)(const struct corpus_case *one, void *context), void *context);

/* Whether `got` has all that `expected` states. */
int corpus_agrees(const struct outcome *expected, const struct outcome *got);

#endif
