/* Codes of tickets: what is genuine, and the many things that are not. */
#include "services/order/domain/ticket_code.h"
#include "tests/unit/base/unit.h"

#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEY_ID = 9 };

static const struct ticket_claims claims = {
    .key_id = KEY_ID, .issue = 258, .ticket_id = 0x1122334455667788, .show_id = 4711};

struct keys {
    tf_arena *arena;
    struct tf_sign_key key, other;
    struct tf_sign_public public;
    char *code;
};

static int setup(void **state)
{
    struct keys *keys = calloc(1, sizeof(*keys));
    unsigned char seed[TF_SIGN_SEED_BYTES];

    if (!tf_crypto_init()) return -1;
    for (size_t i = 0; i < sizeof(seed); i++)
        seed[i] = (unsigned char)i; /* docs/ticket-code.md shows the code that this seed signs */
    tf_sign_keypair(seed, &keys->key, &keys->public);
    seed[0] = 1;
    tf_sign_keypair(seed, &keys->other, NULL);
    keys->arena = tf_arena_new(1 << 20);
    keys->code = ticket_code_make(keys->arena, &keys->key, &claims);
    *state = keys;
    return 0;
}

static int teardown(void **state)
{
    struct keys *keys = *state;

    tf_arena_free(keys->arena);
    free(keys);
    return 0;
}

static void test_round(void **state)
{
    struct keys *k = *state;
    struct ticket_claims got;

    assert_true(ticket_code_read(k->arena, k->code, KEY_ID, &k->public, &got));
    assert_int_equal(got.key_id, claims.key_id);
    assert_int_equal(got.issue, claims.issue);
    assert_int_equal(got.ticket_id, claims.ticket_id);
    assert_int_equal(got.show_id, claims.show_id);
    assert_int_equal(strlen(k->code), 118);
}

static void test_documented(void **state)
{
    struct keys *k = *state;

    assert_string_equal(tf_base64_encode(k->arena, k->public.bytes, sizeof(k->public.bytes), true),
                        "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    assert_string_equal(k->code, "TF1.AQkBAhEiM0RVZneIAAAAAAAAEmc.r16uVDP-KArBTndP7i8w4RIY-"
                                 "Bl553SiOFMqvxqSkI4t3ie6vdIoghS0Ho3VW7G8LWunDpjtC-I4KZZmYF5tDg");
}

static void test_forged(void **state)
{
    struct keys *k = *state;
    struct ticket_claims changed = claims, got;
    char *other_key = ticket_code_make(k->arena, &k->other, &claims);
    char *mixed, *flipped;

    changed.ticket_id++;
    /* The claims of another ticket with the signature of this one. */
    mixed = tf_arena_printf(k->arena, "%.31s%s", ticket_code_make(k->arena, &k->key, &changed), k->code + 31);
    const struct {
        const char *name, *code;
        int key_id;
    } rows[] = {
        {"empty", "", KEY_ID},
        {"prefix alone", "TF1.", KEY_ID},
        {"two dots", "TF1..", KEY_ID},
        {"another version", tf_arena_printf(k->arena, "TF2.%s", k->code + 4), KEY_ID},
        {"cut short", tf_arena_strndup(k->arena, k->code, 100), KEY_ID},
        {"one character more", tf_arena_printf(k->arena, "%sA", k->code), KEY_ID},
        {"padding", tf_arena_printf(k->arena, "%s==", k->code), KEY_ID},
        {"a third part", tf_arena_printf(k->arena, "%s.AAAA", k->code), KEY_ID},
        {"signed by another key", other_key, KEY_ID},
        {"another key's number", k->code, KEY_ID + 1},
        {"claims of another ticket", mixed, KEY_ID},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, !ticket_code_read(k->arena, rows[i].code, rows[i].key_id, &k->public, &got));

    /* Every single character counts. */
    for (size_t i = 0; k->code[i]; i++) {
        flipped = tf_arena_strdup(k->arena, k->code);
        flipped[i] = flipped[i] == 'A' ? 'B' : 'A';
        CHECK(flipped, !ticket_code_read(k->arena, flipped, KEY_ID, &k->public, &got));
    }
}

static void test_too_long(void **state)
{
    struct keys *k = *state;
    struct ticket_claims got;
    char code[2000];

    memset(code, 'A', sizeof(code) - 1);
    code[sizeof(code) - 1] = '\0';
    memcpy(code, "TF1.", 4);
    code[1000] = '.';
    assert_false(ticket_code_read(k->arena, code, KEY_ID, &k->public, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_documented),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
