/* Drives the codec over a stream that comes in pieces, as a caller would, and writes down what comes out.
 *
 * Used by the tests and by the fuzz target. `place` is handed what is left of the stream at each piece and says where the
 * codec shall read it; so offsets that a caller may not keep across pieces would show.
 */
#ifndef PC_TEST_OUTCOME_H
#define PC_TEST_OUTCOME_H

#include "../http1.h"
#include "text.h"

struct pair {
    struct text name;
    struct text value;
};

struct pairs {
    struct pair *items;
    size_t count;
};

void pairs_add(struct pairs *pairs, struct text name, struct text value);

/* What an expectation states; a run states all. */
enum {
    STATES_PATH = 1,
    STATES_FIELDS = 2,
    STATES_FRAMING = 4,
    STATES_KEEP_ALIVE = 8,
    STATES_CONTINUE = 16,
    STATES_UPGRADE = 32
};

struct request {
    int stated;
    int minor_version;
    int chunked;
    int keep_alive;
    int expect_continue;
    int complete;
    int64_t content_length;
    struct text method; /* as sent */
    struct text target;
    struct text path;
    struct text query;
    struct text upgrade;
    struct text body;
    struct pairs fields; /* names lower-cased */
    struct pairs trailers;
};

struct outcome {
    struct request *requests;
    size_t count;
    struct text verdict; /* "need-data", "closed", "error CODE" */
};

struct request *outcome_add(struct outcome *outcome);
void outcome_clear(struct outcome *outcome);
/* Everything in it as text, to compare and to print. */
void outcome_describe(const struct outcome *outcome, struct text *text);

typedef const uint8_t *(*place_fn)(void *context, const uint8_t *bytes, size_t length);

/* base/limits.py's defaults and the kernel of this machine. */
void limits_default(struct pc_http1_limits *limits);

/* Runs the stream in pieces that end at `cuts` (ascending) and at `length`; then, if `eof`, ends it. */
void outcome_run(struct outcome *outcome, const struct pc_http1_limits *limits, const uint8_t *stream, size_t length,
                 const size_t *cuts, size_t cut_count, int eof, place_fn place, void *context);

#endif
