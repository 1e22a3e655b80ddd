/* libFuzzer target: the HTTP/1 codec over one stream, whole and in pieces. Whatever the pieces, the outcome is the same.
 *
 * The input begins with a few bytes of control: flags, number of cuts, the cuts; what follows is the stream. Every piece is
 * copied into memory of just its size, so that the address sanitizer sees a byte read too far on either side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../csrc/scan.h"
#include "../csrc/test/outcome.h"

#define MAX_CUTS 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heap {
    uint8_t *copy;
};

static const uint8_t *place_on_heap(void *context, const uint8_t *bytes, size_t length) {
    struct heap *heap = context;
    /* The old piece goes first: a pointer kept from it would be found out. */
    free(heap->copy);
    heap->copy = malloc(length > 0 ? length : 1);
    if (heap->copy == NULL) {
        abort();
    }
    memcpy(heap->copy, bytes, length);
    return heap->copy;
}

struct control {
    struct pc_http1_limits limits;
    size_t cuts[MAX_CUTS];
    size_t cut_count;
    int eof;
    size_t consumed;
};

/* Small limits half of the time: the defaults are out of reach of a fuzzer's short inputs. */
static void read_limits(struct control *control, uint8_t flags) {
    limits_default(&control->limits);
    if (flags & 2) {
        control->limits.request_line_bytes = 24;
        control->limits.request_fields = 3;
        control->limits.request_head_bytes = 60;
        control->limits.request_body_bytes = 12;
        control->limits.leading_empty_lines = 1;
        control->limits.chunk_line_bytes = 10;
        control->limits.chunk_extension_total_bytes = 14;
        control->limits.trailer_bytes = 20;
    }
}

static int compare_cuts(const void *a, const void *b) {
    size_t x = *(const size_t *)a;
    size_t y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static int read_control(struct control *control, const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    size_t count = data[1] % (MAX_CUTS + 1);
    if (size < 2 + 2 * count) {
        return 0;
    }
    size_t stream_bytes = size - 2 - 2 * count;
    read_limits(control, data[0]);
    control->eof = data[0] & 1;
    control->cut_count = count;
    control->consumed = 2 + 2 * count;
    for (size_t i = 0; i < count; i++) {
        size_t cut = (size_t)data[2 + 2 * i] << 8 | data[3 + 2 * i];
        control->cuts[i] = cut % (stream_bytes + 1);
    }
    qsort(control->cuts, count, sizeof control->cuts[0], compare_cuts);
    return 1;
}

static void describe(struct text *text, const struct control *control, const struct pc_scan_kernel *scan, const uint8_t *stream,
                     size_t length, int is_cut) {
    struct pc_http1_limits limits = control->limits;
    struct outcome outcome = {0};
    struct heap heap = {NULL};
    limits.scan = scan;
    outcome_run(&outcome, &limits, stream, length, control->cuts, is_cut ? control->cut_count : 0, control->eof, place_on_heap, &heap);
    outcome_describe(&outcome, text);
    outcome_clear(&outcome);
    free(heap.copy);
}

static void expect_same(const struct text *a, const struct text *b, const char *how) {
    if (!text_equal(a, b)) {
        fprintf(stderr, "%s differs\n--- whole, scalar\n%.*s--- %s\n%.*s", how, (int)a->length, (const char *)a->bytes, how,
                (int)b->length, (const char *)b->bytes);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct control control = {0};
    const struct pc_scan_kernel *kernels[4];
    size_t kernel_count = pc_scan_available(kernels);
    if (!read_control(&control, data, size)) {
        return -1;
    }
    const uint8_t *stream = data + control.consumed;
    size_t length = size - control.consumed;
    struct text reference = {0};
    describe(&reference, &control, kernels[0], stream, length, 0);
    for (size_t i = 0; i < kernel_count; i++) {
        struct text got = {0};
        describe(&got, &control, kernels[i], stream, length, 1);
        expect_same(&reference, &got, kernels[i]->name);
        text_clear(&got);
    }
    text_clear(&reference);
    return 0;
}
