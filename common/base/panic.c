/* The end of a process whose own rules were broken: says where on standard error and aborts. */
#include "common/base/macros.h"

#include <stdio.h>
#include <unistd.h>

void tf_panic(const char *file, int line, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "panic: %s:%d: %s\n", file, line, what);

    if (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, TF_MIN((size_t)n, sizeof(text) - 1));

        (void)written; /* nothing is left to be done about a failure */
    }
    abort();
}
