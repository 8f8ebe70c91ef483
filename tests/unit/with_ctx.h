/* What the tests of the store adapters share: a context for each test, and comparisons that name the row. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/ctx.h"
#include "common/base/text.h"

#include <string.h>

static inline int ctx_setup(void **state)
{
    static tf_ctx ctx;

    tf_ctx_init(&ctx, "test", 0);
    *state = &ctx;
    return 0;
}

static inline int ctx_teardown(void **state)
{
    tf_ctx_done(*state);
    return 0;
}

#define CHECK(cond, name)                                                                                              \
    do {                                                                                                               \
        if (!(cond)) fail_msg("%s: %s", (name), #cond);                                                                \
    } while (0)
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, ctx_setup, ctx_teardown)
