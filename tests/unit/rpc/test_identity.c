/* The identity token: what opens, and what does not. */
#include "tests/unit/rpc/echo.h"

#include "common/crypto/crypto.h"

static const struct tf_identity buyer = {.caller = "gateway", .user_id = 42, .session_id = 7, .address = "2001:db8::1"};
static const struct tf_identity admin = {
    .caller = "gateway", .user_id = 43, .roles = TF_ROLE_ORGANISER_ADMIN | TF_ROLE_SCANNER, .organiser_id = 9};
static const struct tf_identity nobody = {.caller = "gateway"};
static const struct tf_identity process = {.caller = "order", .internal = true};

enum { NOW_S = 1700000000 };

static tf_time at(double s)
{
    return (tf_time)NOW_S * TF_US_PER_S + (tf_time)(s * TF_US_PER_S);
}

static void what_was_sealed_opens(void **state)
{
    static const struct {
        const char *name;
        const struct tf_identity *identity;
    } rows[] = {{"buyer", &buyer}, {"operator", &admin}, {"nobody", &nobody}, {"process", &process}};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_arena *arena = tf_arena_new(65536);
        struct tf_identity got;
        size_t size;
        void *token = tf_identity_seal(arena, &echo_key, rows[i].identity, "order", at(0), &size);

        CHECK(rows[i].name, tf_identity_open(arena, &echo_key, token, size, "order", at(1), &got) == TF_OK);
        CHECK_TEXT(rows[i].name, got.caller, rows[i].identity->caller);
        CHECK(rows[i].name, got.user_id == rows[i].identity->user_id);
        CHECK(rows[i].name, got.session_id == rows[i].identity->session_id);
        CHECK(rows[i].name, got.roles == rows[i].identity->roles);
        CHECK(rows[i].name, got.organiser_id == rows[i].identity->organiser_id);
        CHECK(rows[i].name, got.internal == rows[i].identity->internal);
        CHECK(rows[i].name, (got.address != NULL) == (rows[i].identity->address != NULL));
        if (got.address) CHECK_TEXT(rows[i].name, got.address, rows[i].identity->address);
        tf_arena_free(arena);
    }
}

static void only_its_audience_and_half_a_minute(void **state)
{
    static const struct {
        const char *name, *audience;
        double later_s;
        tf_code code;
    } rows[] = {
        {"at once", "order", 0, TF_OK},
        {"just before its end", "order", 29.9, TF_OK},
        {"within the tolerance", "order", 34.9, TF_OK},
        {"expired", "order", 35.1, TF_UNAUTHENTICATED},
        {"long expired", "order", 86400, TF_UNAUTHENTICATED},
        {"the signer's clock is a little ahead", "order", -4.9, TF_OK},
        {"from the future", "order", -5.1, TF_UNAUTHENTICATED},
        {"another audience", "pay", 0, TF_UNAUTHENTICATED},
        {"no audience", "", 0, TF_UNAUTHENTICATED},
    };
    tf_arena *arena = tf_arena_new(65536);
    struct tf_identity got;
    size_t size;
    void *token = tf_identity_seal(arena, &echo_key, &buyer, "order", at(0), &size);

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, tf_identity_open(arena, &echo_key, token, size, rows[i].audience, at(rows[i].later_s),
                                             &got) == rows[i].code);
    tf_arena_free(arena);
}

static void no_byte_may_change(void **state)
{
    tf_arena *arena = tf_arena_new(1024 * 1024);
    struct tf_identity got = {.user_id = -1};
    size_t size;
    unsigned char *token = tf_identity_seal(arena, &echo_key, &buyer, "order", at(0), &size);

    (void)state;
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            token[i] ^= (unsigned char)(1 << bit);
            assert_int_equal(tf_identity_open(arena, &echo_key, token, size, "order", at(0), &got), TF_UNAUTHENTICATED);
            token[i] ^= (unsigned char)(1 << bit);
        }
    for (size_t n = 0; n < size; n++) /* truncated anywhere */
        assert_int_equal(tf_identity_open(arena, &echo_key, token, n, "order", at(0), &got), TF_UNAUTHENTICATED);
    assert_int_equal(tf_identity_open(arena, &echo_key, NULL, 0, "order", at(0), &got), TF_UNAUTHENTICATED);
    assert_int_equal(got.user_id, -1); /* untouched */
    tf_arena_free(arena);
}

/* Signed with the right key, and still not to be believed. */
static void sealed_nonsense_does_not_open(void **state)
{
    static const struct tf_identity_key other = {.secret = "some other installation's key...", .size = 32};
    static const struct tf_identity rows[] = {
        {.caller = "", .user_id = 1},
        {.caller = "order", .user_id = 1, .internal = true},
        {.caller = "gateway", .user_id = -1},
        {.caller = "gateway", .user_id = 1, .organiser_id = -1},
    };
    tf_arena *arena = tf_arena_new(65536);
    struct tf_identity got;
    unsigned char garbage[64 + TF_SHA256_BYTES];
    size_t size;
    void *token;

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        token = tf_identity_seal(arena, &echo_key, &rows[i], "order", at(0), &size);
        assert_int_equal(tf_identity_open(arena, &echo_key, token, size, "order", at(0), &got), TF_UNAUTHENTICATED);
    }
    token = tf_identity_seal(arena, &other, &buyer, "order", at(0), &size);
    assert_int_equal(tf_identity_open(arena, &echo_key, token, size, "order", at(0), &got), TF_UNAUTHENTICATED);

    memset(garbage, 0xff, sizeof(garbage));
    tf_keyed_hash(echo_key.secret, echo_key.size, garbage, 64, garbage + 64);
    assert_int_equal(tf_identity_open(arena, &echo_key, garbage, sizeof(garbage), "order", at(0), &got),
                     TF_UNAUTHENTICATED);
    tf_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(only_its_audience_and_half_a_minute),
        cmocka_unit_test(no_byte_may_change),
        cmocka_unit_test(sealed_nonsense_does_not_open),
    };

    return tf_crypto_init() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
