/* cmocka with what it wants included before it, and short names for what these tests share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* Checks that name the row of a table which fails. */
#define CHECK(row, cond)                                                                                               \
    do {                                                                                                               \
        if (!(cond)) fail_msg("%s: %s", (row), #cond);                                                                 \
    } while (0)
#define CHECK_TEXT(row, got, want)                                                                                     \
    do {                                                                                                               \
        const char *got_ = (got), *want_ = (want);                                                                     \
        if (!got_ || strcmp(got_, want_) != 0)                                                                         \
            fail_msg("%s: got '%s', want '%s'", (row), got_ ? got_ : "(null)", want_);                                 \
    } while (0)
