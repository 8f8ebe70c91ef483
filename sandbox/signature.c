/* HMAC signatures over time and body. */
#include "sandbox/signature.h"

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <inttypes.h>
#include <string.h>

enum { SIGNED_BYTES_MAX = 1 << 20 };

static bool digest(const struct sandbox_key *key, int64_t t, const char *prefix, const void *body, size_t size,
                   char hex[2 * TF_SHA256_BYTES + 1])
{
    unsigned char mac[TF_SHA256_BYTES];
    tf_buf text;
    bool ok;

    tf_buf_init(&text, SIGNED_BYTES_MAX);
    tf_buf_printf(&text, "%" PRId64 ".%s", t, prefix ? prefix : "");
    tf_buf_append(&text, body, size);
    ok = !text.broken;
    if (ok) {
        tf_keyed_hash(key->bytes, key->size, text.data, text.size, mac);
        tf_hex_encode(mac, sizeof mac, hex);
    }
    tf_buf_done(&text);
    return ok;
}

char *sandbox_sign(tf_arena *arena, const struct sandbox_key *key, int64_t t, const char *prefix, const void *body,
                   size_t size)
{
    char hex[2 * TF_SHA256_BYTES + 1];

    if (!digest(key, t, prefix, body, size, hex)) return NULL;
    return tf_arena_printf(arena, "t=%" PRId64 ",v1=%s", t, hex);
}

bool sandbox_verify(const struct sandbox_key *key, const char *header, int64_t now, const char *prefix,
                    const void *body, size_t size)
{
    char expected[2 * TF_SHA256_BYTES + 1], number[24];
    const char *comma = header ? strchr(header, ',') : NULL;
    int64_t t;

    if (!comma || strncmp(header, "t=", 2) != 0 || comma - header - 2 >= (ptrdiff_t)sizeof number ||
        strncmp(comma, ",v1=", 4) != 0)
        return false;
    memcpy(number, header + 2, (size_t)(comma - header - 2));
    number[comma - header - 2] = '\0';
    if (!tf_parse_int64(number, &t) || t < now - SIGNATURE_TOLERANCE_S || t > now + SIGNATURE_TOLERANCE_S) return false;
    if (strlen(comma + 4) != 2 * TF_SHA256_BYTES || !digest(key, t, prefix, body, size, expected)) return false;
    return tf_ct_equal(expected, comma + 4, 2 * TF_SHA256_BYTES);
}
