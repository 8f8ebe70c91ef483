/* The internal identity token: who calls, signed by the calling process for one callee and half a minute. */
#include "common/rpc/rpc.h"

#include "common/crypto/crypto.h"
#include "ticketflow/options/v1/options.pb-c.h"

#include <string.h>

typedef Ticketflow__Options__V1__Identity identity_message;
typedef Ticketflow__Options__V1__Role role;

enum {
    LIFE_MS = 30 * 1000,
    TOLERANCE_MS = 5 * 1000, /* clocks differ; both ways */
    TOKEN_MAX = 1024,        /* names are short: more is not ours */
    ROLES = TICKETFLOW__OPTIONS__V1__ROLE__ROLE_SCANNER,
};

void *tf_identity_seal(tf_arena *arena, const struct tf_identity_key *key, const struct tf_identity *identity,
                       const char *audience, tf_time now, size_t *ret_size)
{
    identity_message message = TICKETFLOW__OPTIONS__V1__IDENTITY__INIT;
    role roles[ROLES];
    size_t size;
    uint8_t *token;

    TF_ASSERT(key->size > 0 && key->size <= sizeof(key->secret));
    message.caller = (char *)(uintptr_t)identity->caller;
    message.audience = (char *)(uintptr_t)audience;
    message.expires_unix_ms = now / TF_US_PER_MS + LIFE_MS;
    message.user_id = identity->user_id;
    message.session_id = identity->session_id;
    message.organiser_id = identity->organiser_id;
    message.internal = identity->internal;
    if (identity->address) message.address = (char *)(uintptr_t)identity->address;
    message.roles = roles;
    for (int i = 0; i < ROLES; i++)
        if (identity->roles & (UINT32_C(1) << i)) roles[message.n_roles++] = (role)(i + 1);

    size = protobuf_c_message_get_packed_size(&message.base);
    token = tf_arena_alloc(arena, size + TF_SHA256_BYTES);
    if (!token) return NULL;
    protobuf_c_message_pack(&message.base, token);
    tf_keyed_hash(key->secret, key->size, token, size, token + size);
    *ret_size = size + TF_SHA256_BYTES;
    return token;
}

static bool plausible(const identity_message *message, const char *audience, int64_t now_ms)
{
    if (!message->caller[0] || strcmp(message->audience, audience) != 0) return false;
    if (message->user_id < 0 || message->organiser_id < 0) return false;
    if (message->internal && message->user_id) return false; /* on its own behalf or on a user's, not both */
    return message->expires_unix_ms + TOLERANCE_MS >= now_ms &&
           message->expires_unix_ms <= now_ms + LIFE_MS + TOLERANCE_MS;
}

tf_code tf_identity_open(tf_arena *arena, const struct tf_identity_key *key, const void *token, size_t size,
                         const char *audience, tf_time now, struct tf_identity *ret_identity)
{
    const unsigned char *bytes = token;
    unsigned char expected[TF_SHA256_BYTES];
    const identity_message *message;
    uint32_t roles = 0;

    TF_ASSERT(key->size > 0 && key->size <= sizeof(key->secret));
    if (!token || size <= TF_SHA256_BYTES || size > TOKEN_MAX) return TF_UNAUTHENTICATED;
    size -= TF_SHA256_BYTES;
    tf_keyed_hash(key->secret, key->size, bytes, size, expected);
    if (!tf_ct_equal(expected, bytes + size, sizeof(expected))) return TF_UNAUTHENTICATED;

    message = (identity_message *)tf_pb_unpack(arena, &ticketflow__options__v1__identity__descriptor, bytes, size);
    if (!message || !plausible(message, audience, now / TF_US_PER_MS)) return TF_UNAUTHENTICATED;
    for (size_t i = 0; i < message->n_roles; i++)
        if (message->roles[i] >= 1 && (int)message->roles[i] <= ROLES) roles |= UINT32_C(1) << (message->roles[i] - 1);

    *ret_identity = (struct tf_identity){
        .caller = message->caller,
        .user_id = message->user_id,
        .session_id = message->session_id,
        .roles = roles,
        .organiser_id = message->organiser_id,
        .internal = message->internal,
        .address = *message->address ? message->address : NULL,
    };
    return TF_OK;
}
