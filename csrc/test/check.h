/* A failed CHECK is printed and counted; the program goes on and ends with 1. Knows nothing of what is checked. */
#ifndef PC_TEST_CHECK_H
#define PC_TEST_CHECK_H

#include <stdio.h>

extern int check_failures;
extern long check_count;

#define CHECK(condition, ...)                                                                                                    \
    do {                                                                                                                         \
        check_count++;                                                                                                           \
        if (!(condition)) {                                                                                                      \
            check_failures++;                                                                                                    \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                      \
            fprintf(stderr, __VA_ARGS__);                                                                                        \
            fputc('\n', stderr);                                                                                                 \
        }                                                                                                                        \
    } while (0)

/* For the end of main: prints the tally, returns the exit status. A program that checked nothing has failed. */
int check_report(const char *name);

#endif
