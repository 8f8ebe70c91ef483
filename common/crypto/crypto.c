/* Randomness, comparison, hashes and signatures. */
#include "common/crypto/crypto.h"

#include "common/base/text.h"

#include <assert.h>
#include <sodium.h>

static_assert(TF_SHA256_BYTES == crypto_hash_sha256_BYTES, "size");
static_assert(TF_SHA256_BYTES == crypto_auth_hmacsha256_BYTES, "size");
static_assert(TF_SIGN_SEED_BYTES == crypto_sign_ed25519_SEEDBYTES, "size");
static_assert(TF_SIGN_BYTES == crypto_sign_ed25519_BYTES, "size");
static_assert(TF_SIGN_PUBLIC_BYTES == crypto_sign_ed25519_PUBLICKEYBYTES, "size");
static_assert(sizeof(struct tf_sign_key) == crypto_sign_ed25519_SECRETKEYBYTES, "size");

bool tf_crypto_init(void)
{
    return sodium_init() >= 0;
}

void tf_random(void *out, size_t n)
{
    randombytes_buf(out, n);
}

void tf_random_hex(char *out, size_t n)
{
    unsigned char bytes[64];

    TF_ASSERT(n <= sizeof(bytes));
    tf_random(bytes, n);
    tf_hex_encode(bytes, n, out);
    tf_wipe(bytes, sizeof(bytes));
}

bool tf_ct_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

void tf_wipe(void *data, size_t n)
{
    sodium_memzero(data, n);
}

void tf_sha256(const void *data, size_t n, unsigned char out[static TF_SHA256_BYTES])
{
    crypto_hash_sha256(out, data, n);
}

void tf_keyed_hash(const void *key, size_t key_size, const void *data, size_t n,
                   unsigned char out[static TF_SHA256_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_size);
    crypto_auth_hmacsha256_update(&state, data, n);
    crypto_auth_hmacsha256_final(&state, out);
    tf_wipe(&state, sizeof(state));
}

void tf_sign_keypair(const unsigned char seed[static TF_SIGN_SEED_BYTES], struct tf_sign_key *ret_key,
                     struct tf_sign_public *ret_public)
{
    struct tf_sign_public public;
    struct tf_sign_key key;
    int r = crypto_sign_ed25519_seed_keypair(public.bytes, key.bytes, seed);

    TF_ASSERT(r == 0);
    if (ret_key) *ret_key = key;
    if (ret_public) *ret_public = public;
    tf_wipe(&key, sizeof(key));
}

void tf_sign(const struct tf_sign_key *key, const void *data, size_t n, unsigned char out[static TF_SIGN_BYTES])
{
    int r = crypto_sign_ed25519_detached(out, NULL, data, n, key->bytes);

    TF_ASSERT(r == 0);
}

bool tf_sign_verify(const struct tf_sign_public *key, const void *data, size_t n,
                    const unsigned char signature[static TF_SIGN_BYTES])
{
    return crypto_sign_ed25519_verify_detached(signature, data, n, key->bytes) == 0;
}
