/* What integration tests share: where the servers are, names of the test's own, contexts, and waiting for what happens
 * soon. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/ctx.h"

#include <stdbool.h>
#include <string.h>

/* The variable's value; fails the test when it is missing. */
const char *env_or_fail(const char *name, const char *meaning);
/* Password of the Redis at TF_TEST_REDIS, from the file that TF_TEST_REDIS_PASSWORD_FILE names; NULL without one.
 * Static memory. */
const char *redis_password(void);
/* A word that no other run uses: "t1234_5". Static memory; the same for the whole program. */
const char *unique_word(void);

/* A port of the loopback that nobody listens on, never given twice by one program. Below the range from which the
 * system takes ports for outgoing connections: there a client that polls for a server may be given the very port, and
 * meet itself. */
int free_port(void);

/* Waits until check(arg) holds; fails with `what` after timeout_ms. */
void wait_until(bool (*check)(void *arg), void *arg, int timeout_ms, const char *what);
void sleep_ms(int ms);

/* A context with that much time; end with tf_ctx_done. */
void ctx_start(tf_ctx *ctx, int timeout_ms);

/* Fails with the context's own words. */
#define ASSERT_OK(ctx, call)                                                                                           \
    do {                                                                                                               \
        tf_code ok_code_ = (call);                                                                                     \
        if (ok_code_)                                                                                                  \
            fail_msg("%s: %s: %s", #call, tf_code_info(ok_code_)->reason,                                              \
                     (ctx)->error.internal ? (ctx)->error.internal : "");                                              \
    } while (0)
#define ASSERT_CODE(ctx, call, expected)                                                                               \
    do {                                                                                                               \
        tf_code is_code_ = (call);                                                                                     \
        if (is_code_ != (expected))                                                                                    \
            fail_msg("%s: %s instead of %s: %s", #call, tf_code_info(is_code_)->reason,                                \
                     tf_code_info(expected)->reason, (ctx)->error.internal ? (ctx)->error.internal : "");              \
        tf_error_clear(ctx);                                                                                           \
    } while (0)
