/* libFuzzer target: the WebSocket codec over one stream, whole and in pieces, with every kernel. The outcome is always the same.
 *
 * The input begins with a few bytes of control: flags, number of cuts, the cuts; what follows is the stream. Every piece is
 * copied into memory of just its size, so that the address sanitizer sees a byte read too far on either side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../csrc/test/ws_stream.h"

#define MAX_CUTS 7
#define SMALL_SIZE_BYTES 20

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
    struct ws_stream_settings settings;
    size_t cuts[MAX_CUTS];
    size_t cut_count;
    size_t consumed;
};

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
    control->settings.may_compress = data[0] & 1;
    control->settings.max_size_bytes = data[0] & 2 ? SMALL_SIZE_BYTES : PC_WS_UNLIMITED;
    control->cut_count = count;
    control->consumed = 2 + 2 * count;
    for (size_t i = 0; i < count; i++) {
        size_t cut = (size_t)data[2 + 2 * i] << 8 | data[3 + 2 * i];
        control->cuts[i] = cut % (stream_bytes + 1);
    }
    qsort(control->cuts, count, sizeof control->cuts[0], compare_cuts);
    return 1;
}

static void expect_same(const struct text *a, const struct text *b, const char *how) {
    if (!text_equal(a, b)) {
        fprintf(stderr, "%s differs\n--- whole, scalar\n%.*s\n--- %s\n%.*s\n", how, (int)a->length, (const char *)a->bytes, how,
                (int)b->length, (const char *)b->bytes);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct control control = {0};
    struct heap heap = {NULL};
    struct text reference = {0};
    const struct pc_ws_mask_kernel *kernels[4];
    size_t kernel_count = pc_ws_mask_available(kernels);
    if (!read_control(&control, data, size)) {
        return -1;
    }
    const uint8_t *stream = data + control.consumed;
    size_t length = size - control.consumed;
    control.settings.kernel = kernels[0];
    ws_stream_run(&control.settings, stream, length, NULL, 0, place_on_heap, &heap, &reference);
    for (size_t i = 0; i < kernel_count; i++) {
        struct text got = {0};
        control.settings.kernel = kernels[i];
        ws_stream_run(&control.settings, stream, length, control.cuts, control.cut_count, place_on_heap, &heap, &got);
        expect_same(&reference, &got, pc_ws_mask_name(kernels[i]));
        text_clear(&got);
    }
    text_clear(&reference);
    free(heap.copy);
    return 0;
}
