/* The tally behind check.h. */
#include "check.h"

int check_failures = 0;
long check_count = 0;

int check_report(const char *name) {
    printf("%s: %ld checks, %d failures\n", name, check_count, check_failures);
    return check_failures != 0 || check_count == 0;
}
