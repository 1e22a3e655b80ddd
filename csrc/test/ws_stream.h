/* Drives the WebSocket codec over a client's stream that comes in pieces, as a caller would, and writes down what comes out.
 *
 * Used by the tests and by the fuzz target. Compressed messages are written down as they came: nothing here inflates.
 */
#ifndef PC_TEST_WS_STREAM_H
#define PC_TEST_WS_STREAM_H

#include "../websocket.h"
#include "text.h"

struct ws_stream_settings {
    const struct pc_ws_mask_kernel *kernel;
    uint64_t max_size_bytes;
    int may_compress;
};

/* Says where the codec shall read these bytes; what an earlier call gave is gone then. */
typedef const uint8_t *(*ws_place_fn)(void *context, const uint8_t *bytes, size_t length);

/* Runs the stream in pieces that end at `cuts` (ascending) and at `length`. Adds a line for each message and control frame to
 * `out`, and the last word: "need-data", "mid-message", "error NAME". */
void ws_stream_run(const struct ws_stream_settings *settings, const uint8_t *stream, size_t length, const size_t *cuts,
                   size_t cut_count, ws_place_fn place, void *context, struct text *out);

#endif
