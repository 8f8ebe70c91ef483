/* "TF1." base64url(claims) "." base64url(signature of all that stands before the last dot).
 *
 * Claims, big-endian: version u8 = 1, key id u8, issue u16, ticket id u64, show id u64. */
#include "services/order/domain/ticket_code.h"

#include "common/base/text.h"

#include <string.h>

enum { CLAIMS_VERSION = 1, CLAIMS_BYTES = 20 };

static const char prefix[] = "TF1.";

static void put_be(unsigned char *out, uint64_t value, int n)
{
    for (int i = n - 1; i >= 0; i--, value >>= 8)
        out[i] = (unsigned char)value;
}

static uint64_t get_be(const unsigned char *in, int n)
{
    uint64_t value = 0;

    for (int i = 0; i < n; i++)
        value = value << 8 | in[i];
    return value;
}

char *ticket_code_make(tf_arena *arena, const struct tf_sign_key *key, const struct ticket_claims *claims)
{
    unsigned char raw[CLAIMS_BYTES], signature[TF_SIGN_BYTES];
    const char *body, *signed_text, *signature_text;

    raw[0] = CLAIMS_VERSION;
    raw[1] = (unsigned char)claims->key_id;
    put_be(raw + 2, (uint64_t)claims->issue, 2);
    put_be(raw + 4, (uint64_t)claims->ticket_id, 8);
    put_be(raw + 12, (uint64_t)claims->show_id, 8);

    body = tf_base64_encode(arena, raw, sizeof(raw), true);
    if (!body) return NULL;
    signed_text = tf_arena_printf(arena, "%s%s", prefix, body);
    if (!signed_text) return NULL;
    tf_sign(key, signed_text, strlen(signed_text), signature);
    signature_text = tf_base64_encode(arena, signature, sizeof(signature), true);
    if (!signature_text) return NULL;
    return tf_arena_printf(arena, "%s.%s", signed_text, signature_text);
}

bool ticket_code_read(tf_arena *arena, const char *code, int key_id, const struct tf_sign_public *key,
                      struct ticket_claims *ret_claims)
{
    size_t prefix_size = sizeof(prefix) - 1, raw_size = 0, signature_size = 0;
    const unsigned char *raw, *signature;
    struct ticket_claims claims;
    const char *dot;

    if (strlen(code) > TICKET_CODE_LENGTH_MAX || strncmp(code, prefix, prefix_size) != 0) return false;
    dot = strchr(code + prefix_size, '.');
    if (!dot) return false;

    raw = tf_base64_decode(arena, code + prefix_size, (size_t)(dot - code) - prefix_size, true, &raw_size);
    if (!raw || raw_size != CLAIMS_BYTES || raw[0] != CLAIMS_VERSION) return false;
    signature = tf_base64_decode(arena, dot + 1, strlen(dot + 1), true, &signature_size);
    if (!signature || signature_size != TF_SIGN_BYTES) return false;

    claims = (struct ticket_claims){.key_id = raw[1],
                                    .issue = (int)get_be(raw + 2, 2),
                                    .ticket_id = (int64_t)get_be(raw + 4, 8),
                                    .show_id = (int64_t)get_be(raw + 12, 8)};
    if (claims.key_id != key_id || claims.ticket_id <= 0 || claims.show_id <= 0) return false;
    if (!tf_sign_verify(key, code, (size_t)(dot - code), signature)) return false;

    *ret_claims = claims;
    return true;
}
