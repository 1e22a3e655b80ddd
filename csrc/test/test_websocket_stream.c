/* Streams of frames, right and nearly right, from a seed: every kernel, guard pages, whole, cut at every byte, byte by byte. */
#include <string.h>

#include "check.h"
#include "guard.h"
#include "ws_stream.h"

#define STREAMS 400
#define MOST_FRAMES 6
#define LONGEST_PAYLOAD 300
#define LONGEST_STREAM (MOST_FRAMES * (LONGEST_PAYLOAD + PC_WS_CLIENT_HEADER_BYTES))

/* xorshift: the same streams on every machine. */
static uint32_t seed = 0x2545f491;

static uint32_t random_below(uint32_t bound) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % bound;
}

static size_t random_payload_bytes(int is_control) {
    static const size_t common[] = {0, 1, 2, 3, 4, 7, 15, 16, 17, 31, 33, 64, 125, 126, 127, LONGEST_PAYLOAD};
    return common[random_below(is_control ? 13 : 16)];
}

static void fill_payload(uint8_t *payload, size_t length) {
    static const char utf8[] = "ascii \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8d ";
    uint32_t style = random_below(4);
    for (size_t i = 0; i < length; i++) {
        payload[i] = style == 0 ? (uint8_t)random_below(256) : style == 1 ? (uint8_t)utf8[i % (sizeof utf8 - 1)] : (uint8_t)('a' + i % 26);
    }
}

/* Mostly what a client may send next; returns its size. */
static size_t add_frame(uint8_t *out, int *in_message) {
    static const unsigned controls[] = {PC_WS_PING, PC_WS_PONG, PC_WS_CLOSE};
    int is_control = random_below(4) == 0;
    int is_final = is_control || random_below(2) == 0;
    unsigned opcode = is_control ? controls[random_below(10) == 0 ? 2 : random_below(2)]
                      : *in_message ? PC_WS_CONTINUATION
                                    : PC_WS_TEXT + random_below(2);
    if (!is_control) {
        *in_message = !is_final;
    }
    size_t length = random_payload_bytes(is_control);
    size_t at = 2;
    out[0] = (uint8_t)((is_final ? 0x80u : 0) | opcode);
    out[1] = (uint8_t)(0x80u | (length < 126 ? length : 126));
    if (length >= 126) {
        out[at++] = (uint8_t)(length >> 8);
        out[at++] = (uint8_t)length;
    }
    if (random_below(12) == 0) {
        out[random_below(2)] ^= (uint8_t)(1u << random_below(8));
    }
    uint8_t *mask = out + at;
    for (size_t i = 0; i < 4; i++) {
        mask[i] = (uint8_t)random_below(256);
    }
    uint8_t *payload = mask + 4;
    fill_payload(payload, length);
    if (opcode == PC_WS_CLOSE && length >= 2) {
        memcpy(payload, "\x03\xe8", 2);
    }
    for (size_t i = 0; i < length; i++) {
        payload[i] ^= mask[i % 4];
    }
    return at + 4 + length;
}

static size_t random_stream(uint8_t *out) {
    uint32_t frames = 1 + random_below(MOST_FRAMES);
    int in_message = 0;
    size_t length = 0;
    for (uint32_t i = 0; i < frames; i++) {
        length += add_frame(out + length, &in_message);
    }
    return length;
}

struct expectation {
    const uint8_t *stream;
    size_t length;
    struct text whole;
};

static void expect_same(const struct expectation *expected, const struct ws_stream_settings *settings, const size_t *cuts,
                        size_t cut_count, struct guard *guard) {
    struct text got = {0};
    ws_stream_run(settings, expected->stream, expected->length, cuts, cut_count, guard_place, guard, &got);
    if (!text_equal(&got, &expected->whole)) {
        CHECK(0, "%s, %zu cuts from %zu on\n%.*s\n--- whole, scalar:\n%.*s", settings->kernel->name, cut_count,
              cut_count > 0 ? cuts[0] : 0, (int)got.length, (const char *)got.bytes, (int)expected->whole.length,
              (const char *)expected->whole.bytes);
    }
    text_clear(&got);
}

/* Whether its last line is that of an error. */
static int is_error(const struct text *outcome) {
    size_t line = outcome->length;
    while (line > 0 && outcome->bytes[line - 1] != '\n') {
        line--;
    }
    return outcome->length - line > 6 && memcmp(outcome->bytes + line, "error ", 6) == 0;
}

static void test_stream(struct guard guards[2], long tally[2]) {
    static uint8_t stream[LONGEST_STREAM];
    static size_t all_cuts[LONGEST_STREAM];
    const struct pc_ws_mask_kernel *kernels[4];
    size_t kernel_count = pc_ws_mask_available(kernels);
    struct expectation expected = {.stream = stream, .length = random_stream(stream)};
    struct ws_stream_settings settings = {.kernel = kernels[0],
                                          .max_size_bytes = random_below(3) == 0 ? 200 : PC_WS_UNLIMITED,
                                          .may_compress = random_below(2) == 0};
    ws_stream_run(&settings, stream, expected.length, NULL, 0, guard_place, &guards[0], &expected.whole);
    tally[is_error(&expected.whole)]++;
    for (size_t i = 0; i < expected.length; i++) {
        all_cuts[i] = i + 1;
    }
    for (size_t i = 0; i < kernel_count; i++) {
        settings.kernel = kernels[i];
        for (size_t side = 0; side < 2; side++) {
            expect_same(&expected, &settings, NULL, 0, &guards[side]);
            for (size_t cut = 0; cut < expected.length; cut++) {
                expect_same(&expected, &settings, &all_cuts[cut], 1, &guards[side]);
            }
            expect_same(&expected, &settings, all_cuts, expected.length, &guards[side]);
        }
    }
    CHECK(expected.whole.length > 0, "something came out");
    text_clear(&expected.whole);
}

int main(void) {
    struct guard guards[2];
    long tally[2] = {0, 0};
    guard_open(&guards[0], LONGEST_STREAM, GUARD_BEHIND);
    guard_open(&guards[1], LONGEST_STREAM, GUARD_BEFORE);
    for (int i = 0; i < STREAMS; i++) {
        test_stream(guards, tally);
    }
    guard_close(&guards[0]);
    guard_close(&guards[1]);
    /* A generator that is always right, or always wrong, would test half of it. */
    CHECK(tally[0] > STREAMS / 5 && tally[1] > STREAMS / 5, "%ld right, %ld wrong", tally[0], tally[1]);
    return check_report("websocket_stream");
}
