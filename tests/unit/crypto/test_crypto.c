/* Hashes and signatures against published vectors; passwords and sealed data against tampering. */
#include "tests/unit/base/unit.h"

#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <stdlib.h>

static int start(void **state)
{
    (void)state;
    return tf_crypto_init() && tf_crypto_init() ? 0 : -1;
}

static void sha256_matches_fips180(void **state)
{
    static const struct {
        const char *data, *hex;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        unsigned char out[TF_SHA256_BYTES];
        char hex[65];

        tf_sha256(rows[i].data, strlen(rows[i].data), out);
        tf_hex_encode(out, sizeof(out), hex);
        CHECK_TEXT(rows[i].data, hex, rows[i].hex);
    }
}

static void keyed_hash_matches_rfc4231(void **state)
{
    char long_key[131];
    const struct {
        const char *name, *key;
        size_t key_size;
        const char *data, *hex;
    } rows[] = {
        {"short key", "Jefe", 4, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"20 bytes", "\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v\v", 20, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"longer than a block", long_key, sizeof(long_key), "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };

    (void)state;
    memset(long_key, 0xaa, sizeof(long_key));
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        unsigned char out[TF_SHA256_BYTES];
        char hex[65];

        tf_keyed_hash(rows[i].key, rows[i].key_size, rows[i].data, strlen(rows[i].data), out);
        tf_hex_encode(out, sizeof(out), hex);
        CHECK_TEXT(rows[i].name, hex, rows[i].hex);
    }
}

/* RFC 8032 §7.1, test 3. */
static void signatures_match_rfc8032(void **state)
{
    unsigned char seed[32], want_public[32], want[64], signature[64];
    const unsigned char message[] = {0xaf, 0x82};
    struct tf_sign_public public;
    struct tf_sign_key key;

    (void)state;
    assert_true(tf_hex_decode("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", seed, 32));
    assert_true(tf_hex_decode("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", want_public, 32));
    assert_true(tf_hex_decode("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                              "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
                              want, 64));
    tf_sign_keypair(seed, &key, &public);
    assert_memory_equal(public.bytes, want_public, 32);
    tf_sign(&key, message, sizeof(message), signature);
    assert_memory_equal(signature, want, 64);
    assert_true(tf_sign_verify(&public, message, sizeof(message), signature));
    assert_false(tf_sign_verify(&public, message, 1, signature));
    for (int bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_false(tf_sign_verify(&public, message, sizeof(message), signature));
        signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    tf_sign_keypair(seed, NULL, NULL);
}

static void small_order_keys_sign_nothing(void **state)
{
    struct tf_sign_public identity = {{1}}; /* the neutral point: with it a zero signature fits any message */
    unsigned char signature[64] = {1};

    (void)state;
    assert_false(tf_sign_verify(&identity, "x", 1, signature));
}

static void random_bytes_differ(void **state)
{
    char a[33], b[33];

    (void)state;
    tf_random_hex(a, 16);
    tf_random_hex(b, 16);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_string_not_equal(a, b);
    assert_true(tf_ct_equal("same", "same", 4));
    assert_false(tf_ct_equal("same", "sane", 4));
    assert_true(tf_ct_equal("a", "b", 0));
    tf_wipe(a, sizeof(a));
    assert_int_equal(a[0], 0);
}

static void passwords_are_verified(void **state)
{
    char stored[TF_PASSWORD_TEXT], again[TF_PASSWORD_TEXT], longest[TF_PASSWORD_BYTES_MAX + 2];

    (void)state;
    assert_true(tf_password_hash("correct horse 电池", 0, 0, stored)); /* moved up to the minimum */
    assert_memory_equal(stored, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(tf_password_verify(stored, "correct horse 电池"));
    assert_false(tf_password_verify(stored, "correct horse 电"));
    assert_false(tf_password_verify(stored, ""));
    assert_true(tf_password_hash("correct horse 电池", 0, 0, again));
    assert_string_not_equal(stored, again); /* a salt of its own */

    assert_false(tf_password_needs_rehash(stored, 19456, 2));
    assert_false(tf_password_needs_rehash(stored, 1, 1)); /* nobody gets below the minimum */
    assert_true(tf_password_needs_rehash(stored, 32768, 2));
    assert_true(tf_password_needs_rehash(stored, 19456, 3));
    assert_true(tf_password_needs_rehash("nonsense", 19456, 2));

    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(tf_password_hash(longest, 0, 0, stored));
    assert_false(tf_password_verify(again, longest));
    longest[TF_PASSWORD_BYTES_MAX] = '\0';
    assert_true(tf_password_hash(longest, 0, 0, stored));
    assert_true(tf_password_verify(stored, longest));
}

static void faulty_stored_passwords_never_match(void **state)
{
    static const struct {
        const char *name, *stored;
    } rows[] = {
        {"empty", ""},
        {"another algorithm", "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAA"},
        {"asks for 2 GiB", "$argon2id$v=19$m=2097152,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAA"},
        {"asks for a huge number", "$argon2id$v=19$m=99999999999999999999,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAA"},
        {"asks for many rounds", "$argon2id$v=19$m=19456,t=1000000,p=1$c29tZXNhbHRzb21lc2FsdA$AAAA"},
        {"four lanes", "$argon2id$v=19$m=19456,t=2,p=4$c29tZXNhbHRzb21lc2FsdA$AAAA"},
        {"cut", "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNh"},
        {"plain text", "secret"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(rows[i].name, !tf_password_verify(rows[i].stored, "secret"));
    assert_false(tf_password_verify(NULL, "secret"));
}

static void sealed_data_opens_only_unchanged(void **state)
{
    static const struct tf_seal_key keys[] = {{1, "0123456789abcdef0123456789abcde"},
                                              {7, "fedcba9876543210fedcba987654321"}};
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    const char *text = "11010519491231002X";
    size_t n = strlen(text), size = 0, opened = 0;
    unsigned char *sealed = tf_seal(arena, &keys[1], text, n, "row 5", 5, &size), *again;

    (void)state;
    assert_non_null(sealed);
    assert_int_equal(size, n + TF_SEAL_EXTRA_BYTES);
    assert_int_equal(sealed[0], 7);
    assert_string_equal(tf_open(arena, keys, 2, sealed, size, "row 5", 5, &opened), text);
    assert_int_equal(opened, n);
    again = tf_seal(arena, &keys[1], text, n, "row 5", 5, &size);
    assert_memory_not_equal(again + 1, sealed + 1, 24);

    assert_null(tf_open(arena, keys, 2, sealed, size, "row 6", 5, &opened));
    assert_null(tf_open(arena, keys, 2, sealed, size, NULL, 0, &opened));
    assert_null(tf_open(arena, keys, 1, sealed, size, "row 5", 5, &opened)); /* key not among ours */
    for (size_t i = 0; i < size; i++) {
        assert_null(tf_open(arena, keys, 2, sealed, i, "row 5", 5, &opened));
        sealed[i] ^= 1;
        assert_null(tf_open(arena, keys, 2, sealed, size, "row 5", 5, &opened));
        sealed[i] ^= 1;
    }

    sealed = tf_seal(arena, &keys[0], "", 0, NULL, 0, &size);
    assert_string_equal(tf_open(arena, keys, 2, sealed, size, NULL, 0, &opened), "");
    assert_int_equal(opened, 0);
    assert_false(tf_arena_exhausted(arena));
}

static void sealing_reports_a_full_arena(void **state)
{
    static const struct tf_seal_key key = {1, "0123456789abcdef0123456789abcde"};
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(64);
    char data[64] = {0};
    size_t size;

    (void)state;
    assert_null(tf_seal(arena, &key, data, sizeof(data), NULL, 0, &size));
    assert_true(tf_arena_exhausted(arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_matches_fips180),
        cmocka_unit_test(keyed_hash_matches_rfc4231),
        cmocka_unit_test(signatures_match_rfc8032),
        cmocka_unit_test(small_order_keys_sign_nothing),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(passwords_are_verified),
        cmocka_unit_test(faulty_stored_passwords_never_match),
        cmocka_unit_test(sealed_data_opens_only_unchanged),
        cmocka_unit_test(sealing_reports_a_full_arena),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
