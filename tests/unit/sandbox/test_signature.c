/* Signatures between merchant and provider: right ones pass, everything else does not. */
#include "sandbox/signature.h"

#include "common/base/arena.h"
#include "common/crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1700000000 };

static const struct sandbox_key key = {.bytes = "0123456789abcdef0123456789abcdef", .size = 32},
                                other = {.bytes = "x123456789abcdef0123456789abcdef", .size = 32};

static void table(void **state)
{
    static const char body[] = "{\"a\":1}";
    tf_arena *arena = tf_arena_new(1 << 16);
    char *good = sandbox_sign(arena, &key, NOW, "POST /x\n", body, sizeof body - 1);
    char *forged = sandbox_sign(arena, &other, NOW, "POST /x\n", body, sizeof body - 1);
    char *cut = tf_arena_strndup(arena, good, strlen(good) - 1);
    const struct {
        const char *name, *header, *prefix, *body;
        int64_t now;
        bool right;
    } rows[] = {
        {"as signed", good, "POST /x\n", body, NOW, true},
        {"within the tolerance", good, "POST /x\n", body, NOW + SIGNATURE_TOLERANCE_S, true},
        {"too old", good, "POST /x\n", body, NOW + SIGNATURE_TOLERANCE_S + 1, false},
        {"from the future", good, "POST /x\n", body, NOW - SIGNATURE_TOLERANCE_S - 1, false},
        {"another path", good, "POST /y\n", body, NOW, false},
        {"another body", good, "POST /x\n", "{\"a\":2}", NOW, false},
        {"another key", forged, "POST /x\n", body, NOW, false},
        {"a digit short", cut, "POST /x\n", body, NOW, false},
        {"no header", NULL, "POST /x\n", body, NOW, false},
        {"empty", "", "POST /x\n", body, NOW, false},
        {"no time", "t=,v1=00", "POST /x\n", body, NOW, false},
        {"a time that is none", "t=abc,v1=00", "POST /x\n", body, NOW, false},
        {"an endless time", "t=11111111111111111111111111111111,v1=00", "POST /x\n", body, NOW, false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        if (sandbox_verify(&key, rows[i].header, rows[i].now, rows[i].prefix, rows[i].body, strlen(rows[i].body)) !=
            rows[i].right)
            fail_msg("%s", rows[i].name);
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

    return tf_crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
