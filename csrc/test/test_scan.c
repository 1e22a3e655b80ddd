/* Every kernel against the rules, byte for byte, and against scalar at every length and alignment between guard pages. */
#include <string.h>

#include "../http1.h"
#include "../scan.h"
#include "check.h"
#include "guard.h"

/* Longer than two of the widest vectors and a tail. */
#define LONGEST 100

static int is_tchar(int byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static int is_target(int byte) {
    return byte >= 0x21 && byte <= 0x7e && byte != '?' && byte != '#';
}

static int is_value(int byte) {
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static int is_unreserved_or_sub_delim(int byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte != 0 && strchr("-._~!$&'()*+,;=", byte) != NULL);
}

static void test_classes(void) {
    for (int byte = 0; byte < 256; byte++) {
        uint8_t class = pc_byte_class[byte];
        CHECK(!!(class & PC_CLASS_TOKEN) == is_tchar(byte), "0x%02x", byte);
        CHECK(!!(class & PC_CLASS_TARGET) == is_target(byte), "0x%02x", byte);
        CHECK(!!(class & PC_CLASS_VALUE) == is_value(byte), "0x%02x", byte);
        CHECK(!!(class & PC_CLASS_HOST) == is_unreserved_or_sub_delim(byte), "0x%02x", byte);
        CHECK(!!(class & PC_CLASS_DIGIT) == (byte >= '0' && byte <= '9'), "0x%02x", byte);
        CHECK(!!(class & PC_CLASS_HEX) == (byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL), "0x%02x", byte);
    }
}

struct scanner {
    pc_scan_fn run;
    int (*belongs)(int byte);
    const char *name;
};

static void test_scanner(const struct pc_scan_kernel *kernel, struct scanner scanner, struct guard *guard) {
    static const char fillers[] = "az09AZ-_~.";
    for (size_t length = 0; length <= LONGEST; length++) {
        uint8_t *bytes = guard_room(guard, length);
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)fillers[i % (sizeof fillers - 1)];
        }
        CHECK(scanner.run(bytes, bytes + length) == bytes + length, "%s %s %zu", kernel->name, scanner.name, length);
        for (size_t at = 0; at < length; at++) {
            uint8_t kept = bytes[at];
            for (int byte = 0; byte < 256; byte++) {
                bytes[at] = (uint8_t)byte;
                const uint8_t *expected = scanner.belongs(byte) ? bytes + length : bytes + at;
                if (scanner.run(bytes, bytes + length) != expected) {
                    CHECK(0, "%s %s: 0x%02x at %zu of %zu", kernel->name, scanner.name, byte, at, length);
                }
            }
            bytes[at] = kept;
        }
    }
}

int main(void) {
    const struct pc_scan_kernel *kernels[4];
    size_t count = pc_scan_available(kernels);
    test_classes();
    for (enum guard_side side = GUARD_BEHIND; side <= GUARD_BEFORE; side++) {
        struct guard guard;
        guard_open(&guard, LONGEST, side);
        for (size_t i = 0; i < count; i++) {
            test_scanner(kernels[i], (struct scanner){kernels[i]->token_end, is_tchar, "token"}, &guard);
            test_scanner(kernels[i], (struct scanner){kernels[i]->target_end, is_target, "target"}, &guard);
            test_scanner(kernels[i], (struct scanner){kernels[i]->value_end, is_value, "value"}, &guard);
        }
        guard_close(&guard);
    }
    printf("kernels:");
    for (size_t i = 0; i < count; i++) {
        printf(" %s", pc_scan_name(kernels[i]));
    }
    CHECK(pc_scan_choose() == kernels[count - 1], "the best kernel is chosen");
    printf("; chosen: %s\n", pc_scan_name(pc_scan_choose()));
    return check_report("scan");
}
