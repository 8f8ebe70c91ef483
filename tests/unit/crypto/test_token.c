/* Access tokens: ours verify, everything else is refused for the right reason. */
#include "tests/unit/base/unit.h"

#include "common/base/text.h"
#include "common/crypto/token.h"

#include <stdio.h>

static struct tf_sign_key key, foreign_key;
static struct tf_jwt_key keys[2];
static tf_arena *arena;

static int start(void **state)
{
    static const unsigned char seed[32] = "seed of the first key, 32 bytes",
                               other[32] = "seed of another key entirely...";
    struct tf_sign_key second;

    (void)state;
    if (!tf_crypto_init()) return -1;
    arena = tf_arena_new(4 << 20);
    strcpy(keys[0].kid, "old_1");
    strcpy(keys[1].kid, "2026-11");
    tf_sign_keypair(other, &second, &keys[0].key);
    tf_sign_keypair(seed, &key, &keys[1].key);
    tf_sign_keypair((const unsigned char *)"nobody knows this one...........", &foreign_key, NULL);
    tf_wipe(&second, sizeof(second));
    return arena ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    tf_arena_freep(&arena);
    return 0;
}

static enum tf_jwt_result verify(const char *token)
{
    const char *claims;
    size_t size;

    return tf_jwt_verify_parts(arena, token, strlen(token), keys, TF_COUNT(keys), &claims, &size);
}

/* A token with any header, signed by any key. */
static char *token_of(const char *header, const char *claims, const struct tf_sign_key *signer)
{
    char *text = tf_arena_printf(arena, "%s.%s", tf_base64_encode(arena, header, strlen(header), true),
                                 tf_base64_encode(arena, claims, strlen(claims), true));
    unsigned char signature[TF_SIGN_BYTES];

    tf_sign(signer, text, strlen(text), signature);
    return tf_arena_printf(arena, "%s.%s", text, tf_base64_encode(arena, signature, sizeof(signature), true));
}

static void our_tokens_verify(void **state)
{
    const char *json = "{\"sub\":\"42\",\"name\":\"演\"}", *claims = NULL;
    char *token = tf_jwt_sign(arena, json, "2026-11", &key), *longer;
    size_t size = 0;

    (void)state;
    assert_non_null(token);
    assert_int_equal(tf_jwt_verify_parts(arena, token, strlen(token), keys, 2, &claims, &size), TF_JWT_OK);
    assert_string_equal(claims, json);
    assert_int_equal(size, strlen(json));
    longer = tf_arena_printf(arena, "%sXYZ", token); /* inside a larger text: n decides */
    assert_int_equal(tf_jwt_verify_parts(arena, longer, strlen(token), keys, 2, &claims, &size), TF_JWT_OK);
    assert_ptr_equal(strstr(token, "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjYtMTEifQ."), token);
}

static void foreign_headers_are_refused(void **state)
{
    static const struct {
        const char *name, *header;
        enum tf_jwt_result result;
    } rows[] = {
        {"ours", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"2026-11\"}", TF_JWT_OK},
        {"alg none", "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"HS256", "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"other case", "{\"alg\":\"eddsa\",\"typ\":\"JWT\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"other type", "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"other order", "{\"typ\":\"JWT\",\"alg\":\"EdDSA\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"blank", "{\"alg\":\"EdDSA\", \"typ\":\"JWT\",\"kid\":\"2026-11\"}", TF_JWT_MALFORMED},
        {"no kid", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", TF_JWT_MALFORMED},
        {"empty kid", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"\"}", TF_JWT_MALFORMED},
        {"kid with a quote", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"a\",\"crit\":\"b\"}", TF_JWT_MALFORMED},
        {"member after", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"2026-11\",\"b64\":false}", TF_JWT_MALFORMED},
        {"unknown kid", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"2027-01\"}", TF_JWT_KEY_UNKNOWN},
        {"the other key's kid", "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"old_1\"}", TF_JWT_FORGED},
        {"empty", "", TF_JWT_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, verify(token_of(rows[i].header, "{}", &key)) == rows[i].result);
}

static void tampered_tokens_are_refused(void **state)
{
    char *token = tf_jwt_sign(arena, "{\"sub\":\"42\"}", "2026-11", &key);
    size_t n = strlen(token);

    (void)state;
    assert_int_equal(verify(tf_jwt_sign(arena, "{}", "2026-11", &foreign_key)), TF_JWT_FORGED);
    for (size_t i = 0; i < n; i++) {
        char was = token[i];
        const char *claims;
        size_t size;

        token[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(token), TF_JWT_OK);
        token[i] = was;
        assert_int_not_equal(tf_jwt_verify_parts(arena, token, i, keys, 2, &claims, &size), TF_JWT_OK);
    }
    assert_int_equal(verify(token), TF_JWT_OK);
}

static void malformed_tokens_are_refused(void **state)
{
    static const char *const rows[] = {"", ".", "..", "...", "a.b.c", "a.b", "eyJhbGciOiJFZERTQSJ9.e30.", "é.é.é"};
    char *token = tf_jwt_sign(arena, "{}", "2026-11", &key);
    char huge[TF_JWT_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i], verify(rows[i]) == TF_JWT_MALFORMED);
    assert_int_equal(verify(tf_arena_printf(arena, "%s=", token)), TF_JWT_MALFORMED);
    assert_int_equal(verify(tf_arena_printf(arena, "%s.", token)), TF_JWT_MALFORMED);
    assert_int_equal(verify(tf_arena_printf(arena, " %s", token)), TF_JWT_MALFORMED);
    memset(huge, 'a', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    assert_int_equal(verify(huge), TF_JWT_MALFORMED);
}

static void signing_keeps_the_bounds(void **state)
{
    char claims[TF_JWT_BYTES_MAX + 1];
    static const char *const kids[] = {"",  "a b", "a\"",
                                       "é", "a.b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(kids); i++)
        CHECK(kids[i], tf_jwt_sign(arena, "{}", kids[i], &key) == NULL);
    assert_null(tf_jwt_sign(arena, "{}", NULL, &key));
    memset(claims, 'a', sizeof(claims));
    claims[TF_JWT_BYTES_MAX] = '\0';
    assert_null(tf_jwt_sign(arena, claims, "k", &key));
    claims[TF_JWT_BYTES_MAX - 100] = '\0'; /* its base64 is too long */
    assert_null(tf_jwt_sign(arena, claims, "k", &key));
    claims[5000] = '\0';
    assert_non_null(tf_jwt_sign(arena, claims, "k", &key));
}

static void a_full_arena_is_reported(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *small = tf_arena_new(128);
    char *token = tf_jwt_sign(arena, "{\"sub\":\"42\"}", "2026-11", &key);
    const char *claims;
    size_t size;

    (void)state;
    assert_int_equal(tf_jwt_verify_parts(small, token, strlen(token), keys, 2, &claims, &size), TF_JWT_NO_MEMORY);
    assert_null(tf_jwt_sign(small, "{\"sub\":\"42\"}", "2026-11", &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_tokens_verify),           cmocka_unit_test(foreign_headers_are_refused),
        cmocka_unit_test(tampered_tokens_are_refused), cmocka_unit_test(malformed_tokens_are_refused),
        cmocka_unit_test(signing_keeps_the_bounds),    cmocka_unit_test(a_full_arena_is_reported),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
