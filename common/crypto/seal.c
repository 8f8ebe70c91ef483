/* Sealed data: version, nonce, ciphertext. The nonce is random; 24 bytes make a repeat impossible in practice. */
#include "common/crypto/crypto.h"

#include <assert.h>
#include <sodium.h>

enum {
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

static_assert(TF_SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "size");
static_assert(TF_SEAL_EXTRA_BYTES == 1 + NONCE_BYTES + TAG_BYTES, "size");

void *tf_seal(tf_arena *arena, const struct tf_seal_key *key, const void *data, size_t n, const void *ad, size_t ad_n,
              size_t *ret_size)
{
    unsigned char *sealed = n <= SIZE_MAX - TF_SEAL_EXTRA_BYTES ? tf_arena_alloc(arena, n + TF_SEAL_EXTRA_BYTES) : NULL;
    int r;

    if (!sealed) return NULL;
    sealed[0] = key->version;
    tf_random(sealed + 1, NONCE_BYTES);
    r = crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + 1 + NONCE_BYTES, NULL, data, n, ad, ad_n, NULL, sealed + 1,
                                                   key->bytes);
    TF_ASSERT(r == 0);
    *ret_size = n + TF_SEAL_EXTRA_BYTES;
    return sealed;
}

void *tf_open(tf_arena *arena, const struct tf_seal_key *keys, size_t n_keys, const void *sealed, size_t n,
              const void *ad, size_t ad_n, size_t *ret_size)
{
    const struct tf_seal_key *key = NULL;
    const unsigned char *p = sealed;
    unsigned char *data;
    int r;

    if (n < TF_SEAL_EXTRA_BYTES) return NULL;
    for (size_t i = 0; i < n_keys && !key; i++)
        if (keys[i].version == p[0]) key = &keys[i];
    if (!key) return NULL;
    data = tf_arena_alloc(arena, n - TF_SEAL_EXTRA_BYTES + 1);
    if (!data) return NULL;
    r = crypto_aead_xchacha20poly1305_ietf_decrypt(data, NULL, NULL, p + 1 + NONCE_BYTES, n - 1 - NONCE_BYTES, ad, ad_n,
                                                   p + 1, key->bytes);
    if (r) return NULL;
    data[n - TF_SEAL_EXTRA_BYTES] = '\0';
    *ret_size = n - TF_SEAL_EXTRA_BYTES;
    return data;
}
