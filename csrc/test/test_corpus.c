/* The corpus of HTTP/1 cases: every kernel, both guard pages, whole, at every split point and byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "../scan.h"
#include "check.h"
#include "corpus.h"
#include "guard.h"

/* Longer inputs (they are there for their length) are split here and there only. */
#define EVERY_SPLIT_BYTES 1500
#define ROOM_BYTES (1u << 20)

struct context {
    const char *path;
    struct guard behind;
    struct guard before;
};

static void compare(const struct corpus_case *one, struct context *context, const struct text *whole, const size_t *cuts,
                    size_t cut_count, struct guard *guard, const char *how) {
    struct outcome got = {0};
    struct text described = {0};
    outcome_run(&got, &one->limits, one->input.bytes, one->input.length, cuts, cut_count, one->eof, guard_place, guard);
    outcome_describe(&got, &described);
    CHECK(text_equal(&described, whole), "%s: %.*s: %s at %zu:\n%.*s", context->path, (int)one->name.length,
          (const char *)one->name.bytes, how, cut_count > 0 ? cuts[0] : 0, (int)described.length, (const char *)described.bytes);
    text_clear(&described);
    outcome_clear(&got);
}

static void run_splits(const struct corpus_case *one, struct context *context, const struct text *whole) {
    size_t length = one->input.length;
    size_t step = length <= EVERY_SPLIT_BYTES ? 1 : length / 50;
    size_t *cuts = malloc((length + 1) * sizeof *cuts);
    size_t cut_count = 0;
    for (size_t cut = 0; cut <= length; cut += step) {
        compare(one, context, whole, &cut, 1, &context->behind, "split");
        compare(one, context, whole, &cut, 1, &context->before, "split, guard before");
        cuts[cut_count++] = cut;
    }
    compare(one, context, whole, cuts, cut_count, &context->behind, "piece by piece");
    free(cuts);
}

static void visit(const struct corpus_case *one, void *opaque) {
    struct context *context = opaque;
    const struct pc_scan_kernel *kernels[4];
    size_t kernel_count = pc_scan_available(kernels);
    struct outcome got = {0};
    struct text whole = {0};
    outcome_run(&got, &one->limits, one->input.bytes, one->input.length, NULL, 0, one->eof, guard_place, &context->behind);
    outcome_describe(&got, &whole);
    CHECK(corpus_agrees(&one->expected, &got), "%s: %.*s:\n%.*s", context->path, (int)one->name.length,
          (const char *)one->name.bytes, (int)whole.length, (const char *)whole.bytes);
    for (size_t i = 0; i < kernel_count; i++) {
        struct corpus_case with_kernel = *one;
        with_kernel.limits.scan = kernels[i];
        compare(&with_kernel, context, &whole, NULL, 0, &context->behind, kernels[i]->name);
        compare(&with_kernel, context, &whole, NULL, 0, &context->before, kernels[i]->name);
    }
    run_splits(one, context, &whole);
    text_clear(&whole);
    outcome_clear(&got);
}

int main(int argc, char **argv) {
    struct context context = {0};
    long cases = 0;
    guard_open(&context.behind, ROOM_BYTES, GUARD_BEHIND);
    guard_open(&context.before, ROOM_BYTES, GUARD_BEFORE);
    for (int i = 1; i < argc; i++) {
        context.path = argv[i];
        long count = corpus_read(argv[i], visit, &context);
        CHECK(count > 0, "%s: no cases", argv[i]);
        cases += count;
    }
    guard_close(&context.behind);
    guard_close(&context.before);
    printf("corpus: %ld cases in %d files\n", cases, argc - 1);
    return check_report("corpus");
}
