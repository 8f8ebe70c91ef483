/* Authentication and access at the door. */
#include "gateway/door.h"

#include "common/crypto/token.h"
#include "gateway/fields.h"

#include <string.h>
#include <strings.h>

enum { KEYS_RETRY_MS = 1000 };

const char *door_bearer(const char *authorization)
{
    static const char scheme[] = "Bearer";
    size_t n = sizeof scheme - 1;

    if (strncasecmp(authorization, scheme, n) != 0 || authorization[n] != ' ') return NULL;
    authorization += n;
    authorization += strspn(authorization, " ");
    return *authorization && !strpbrk(authorization, " \t") ? authorization : NULL;
}

tf_code door_check(tf_ctx *ctx, const struct tf_rpc_method *method)
{
    const struct tf_identity *who = &ctx->identity;

    if (method->access & TF_ACCESS_PUBLIC) return TF_OK;
    if (!who->user_id) return tf_fail(ctx, TF_UNAUTHENTICATED, "%s without a token", method->name);
    if (method->access & TF_ACCESS_BUYER) return TF_OK;
    if (method->access & TF_ACCESS_OPERATOR && who->roles & method->roles) return TF_OK;
    return tf_fail(ctx, TF_FORBIDDEN, "%s needs a role", method->name);
}

static tf_code verify(struct exchange *x, const char *token, bool *ret_wait, struct tf_access_claims *claims)
{
    struct gateway *gateway = x->gateway;
    struct tf_access_key keys[TF_ACCESS_KEYS_MAX];
    size_t size = strlen(token), n;
    tf_time now = x->ctx.clock->wall_us(x->ctx.clock);
    bool fresh, unknown;
    unsigned generation;
    tf_code code;

    if (size > TF_JWT_BYTES_MAX) return tf_fail(&x->ctx, TF_UNAUTHENTICATED, "token too long");
    if (token_cache_find(gateway->tokens, token, size, now, claims)) return TF_OK;

    generation = token_cache_generation(gateway->tokens);
    n = gateway_keys_get(gateway->keys, keys, &fresh);
    code = tf_access_token_read(&x->ctx, token, keys, n, now, claims, &unknown);
    if (!code) token_cache_add(gateway->tokens, token, size, claims, generation);
    if (!code || !unknown) return code;

    /* Signed with a key that we do not have; perhaps not yet. */
    if (!x->waited) {
        x->waited = true;
        tf_error_clear(&x->ctx);
        if (gateway_keys_await(gateway->keys, &x->waiter)) { /* from here on the exchange may be elsewhere */
            *ret_wait = true;
            return TF_OK;
        }
        return verify(x, token, ret_wait, claims);
    }
    if (fresh) return code;
    tf_error_clear(&x->ctx);
    code = tf_fail(&x->ctx, TF_STORE_DOWN, "no signing keys from user");
    tf_error_retry_after(&x->ctx, KEYS_RETRY_MS);
    return code;
}

tf_code door_enter(struct exchange *x, bool *ret_wait)
{
    struct tf_access_claims claims;
    const char *authorization, *token;
    tf_code code;

    *ret_wait = false;
    x->ctx.identity = (struct tf_identity){.caller = "gateway"};
    if (!field_header(x->http, "Authorization", &authorization)) {
        x->token_bad = true;
        return tf_fail(&x->ctx, TF_UNAUTHENTICATED, "two Authorization headers");
    }
    if (authorization) {
        token = door_bearer(authorization);
        code = token ? verify(x, token, ret_wait, &claims) : tf_fail(&x->ctx, TF_UNAUTHENTICATED, "no bearer token");
        if (*ret_wait) return TF_OK;
        x->token_bad = code == TF_UNAUTHENTICATED;
        if (code) return code;

        x->ctx.identity.user_id = claims.user_id;
        x->ctx.identity.session_id = claims.session_id;
        x->ctx.identity.roles = claims.roles;
        x->ctx.identity.organiser_id = claims.organiser_id;
    }
    return door_check(&x->ctx, x->match.route->method);
}
