/* Randomness, hashes, signatures, passwords, sealed data and key files; the one room that knows libsodium.
 *
 * No algorithm is chosen by a caller or by data: each purpose has one. All functions are thread-safe and, where not
 * said otherwise, cannot fail. Keys are plain structs that their owner keeps and wipes (tf_wipe). */
#pragma once

#include "common/base/arena.h"
#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before anything else here and before other threads; again is harmless. False: the system has no randomness, and
 * the process must not go on. */
TF_MUSTCHECK bool tf_crypto_init(void);

/* --- randomness and comparison --- */

/* From the kernel's generator; aborts rather than return weak bytes. */
void tf_random(void *out, size_t n);
/* 2 * n lower-case hex digits of n random bytes, NUL-terminated; out takes 2 * n + 1 bytes; n at most 64. */
void tf_random_hex(char *out, size_t n);
/* Time does not depend on where the bytes differ. */
bool tf_ct_equal(const void *a, const void *b, size_t n);
/* Zeroes; never optimised away. */
void tf_wipe(void *data, size_t n);

/* --- hashes --- */

enum { TF_SHA256_BYTES = 32 };

void tf_sha256(const void *data, size_t n, unsigned char out[static TF_SHA256_BYTES]);
/* HMAC-SHA-256 with a key of any length: look-ups by secret hash, signatures between two who share the key. */
void tf_keyed_hash(const void *key, size_t key_size, const void *data, size_t n,
                   unsigned char out[static TF_SHA256_BYTES]);

/* --- signatures: Ed25519 --- */

enum { TF_SIGN_SEED_BYTES = 32, TF_SIGN_BYTES = 64, TF_SIGN_PUBLIC_BYTES = 32 };

struct tf_sign_key { /* secret */
    unsigned char bytes[64];
};
struct tf_sign_public {
    unsigned char bytes[TF_SIGN_PUBLIC_BYTES];
};

/* The key pair of a seed (the content of a key file). Either result may be NULL. */
void tf_sign_keypair(const unsigned char seed[static TF_SIGN_SEED_BYTES], struct tf_sign_key *ret_key,
                     struct tf_sign_public *ret_public);
void tf_sign(const struct tf_sign_key *key, const void *data, size_t n, unsigned char out[static TF_SIGN_BYTES]);
TF_MUSTCHECK bool tf_sign_verify(const struct tf_sign_public *key, const void *data, size_t n,
                                 const unsigned char signature[static TF_SIGN_BYTES]);

/* --- passwords: argon2id, version 1.3, one lane, the standard encoded string ($argon2id$v=19$m=…,t=…,p=1$…$…) --- */

enum {
    TF_PASSWORD_TEXT = 128,       /* encoded string with its NUL */
    TF_PASSWORD_BYTES_MAX = 1024, /* longer passwords are refused */
    TF_PASSWORD_M_KIB_MIN = 19456,
    TF_PASSWORD_M_KIB_MAX = 1024 * 1024,
    TF_PASSWORD_T_MIN = 2,
    TF_PASSWORD_T_MAX = 16,
};

/* Takes tens of milliseconds and m_kib of memory: run it where that is allowed. Parameters below or above the bounds
 * are moved to them. False: password too long, or no memory. */
TF_MUSTCHECK bool tf_password_hash(const char *password, int m_kib, int t, char out[static TF_PASSWORD_TEXT]);
/* As costly as the stored string says; strings that ask for more than the bounds or that are malformed never match. */
TF_MUSTCHECK bool tf_password_verify(const char *stored, const char *password);
/* True when the stored string was made with other parameters (or is malformed): hash again at the next log-in. */
bool tf_password_needs_rehash(const char *stored, int m_kib, int t);

/* --- sealed data: XChaCha20-Poly1305 --- */

/* Sealed form: 1 byte version of the key, 24 bytes random nonce, ciphertext with its 16 bytes of tag. */
enum { TF_SEAL_KEY_BYTES = 32, TF_SEAL_EXTRA_BYTES = 1 + 24 + 16 };

struct tf_seal_key { /* secret */
    uint8_t version; /* unique among the keys in use; the newest seals, all open */
    unsigned char bytes[TF_SEAL_KEY_BYTES];
};

/* ad: bound to the data but not in it (table, column and row: a sealed value moved to another row does not open); the
 * same must be given to tf_open. NULL when the arena is exhausted. *ret_size = n + TF_SEAL_EXTRA_BYTES. */
void *tf_seal(tf_arena *arena, const struct tf_seal_key *key, const void *data, size_t n, const void *ad, size_t ad_n,
              size_t *ret_size);
/* Finds the key by the version. A NUL follows the data, which *ret_size does not count. NULL: not sealed by one of
 * these keys with this ad, damaged, or the arena is exhausted (tf_arena_exhausted tells). */
void *tf_open(tf_arena *arena, const struct tf_seal_key *keys, size_t n_keys, const void *sealed, size_t n,
              const void *ad, size_t ad_n, size_t *ret_size);

/* --- key files: raw bytes, for their owner alone --- */

enum { TF_KEY_BYTES_MAX = 4096 };

/* Reads a whole key file into out (capacity bytes); *ret_size says how many. The reason is recorded in ctx, naming the
 * path: TF_NOT_FOUND no such file; TF_FORBIDDEN group or others may read or write it, or it belongs to somebody else;
 * TF_INTERNAL not a plain file, shorter than min_size, longer than capacity, or unreadable. Nothing of a refused file
 * stays in out. */
TF_MUSTCHECK tf_code tf_key_read(tf_ctx *ctx, const char *path, size_t min_size, void *out, size_t capacity,
                                 size_t *ret_size);
/* Makes a file of random bytes, mode 0600, durable before this returns, and never half written: it appears whole or not
 * at all. TF_ALREADY_EXISTS when the path exists (it is left alone). size 1 … TF_KEY_BYTES_MAX. */
TF_MUSTCHECK tf_code tf_key_make(tf_ctx *ctx, const char *path, size_t size);
