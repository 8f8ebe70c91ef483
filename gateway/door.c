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

/* *ret_unknown: signed with a key that we do not have; then *ret_fresh tells whether the keys are the newest. */
static tf_code read_token(tf_ctx *ctx, struct gateway *gateway, const char *token, struct tf_access_claims *claims,
                          bool *ret_unknown, bool *ret_fresh)
{
    struct tf_access_key keys[TF_ACCESS_KEYS_MAX];
    size_t size = strlen(token), n;
    tf_time now = ctx->clock->wall_us(ctx->clock);
    unsigned generation;
    tf_code code;

    *ret_unknown = false;
    if (size > TF_JWT_BYTES_MAX) return tf_fail(ctx, TF_UNAUTHENTICATED, "token too long");
    if (token_cache_find(gateway->tokens, token, size, now, claims)) return TF_OK;

    generation = token_cache_generation(gateway->tokens);
    n = gateway_keys_get(gateway->keys, keys, ret_fresh);
    code = tf_access_token_read(ctx, token, keys, n, now, claims, ret_unknown);
    if (!code) token_cache_add(gateway->tokens, token, size, claims, generation);
    return code;
}

static tf_code verify(struct exchange *x, const char *token, bool *ret_wait, struct tf_access_claims *claims)
{
    bool unknown, fresh = false;
    tf_code code;

    code = read_token(&x->ctx, x->gateway, token, claims, &unknown, &fresh);
    if (!code || !unknown) return code;

    if (!x->waited) { /* perhaps the key is newer than ours */
        x->waited = true;
        tf_error_clear(&x->ctx);
        if (gateway_keys_await(x->gateway->keys, &x->waiter)) { /* from here on the exchange may be elsewhere */
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

static void identify(tf_ctx *ctx, const struct tf_access_claims *claims)
{
    ctx->identity.user_id = claims->user_id;
    ctx->identity.session_id = claims->session_id;
    ctx->identity.roles = claims->roles;
    ctx->identity.organiser_id = claims->organiser_id;
}

bool door_recognises(struct gateway *gateway, const tf_http_request *http, const struct tf_rpc_method *method)
{
    struct tf_access_claims claims;
    const char *authorization, *token;
    bool unknown, fresh, good;
    tf_ctx ctx;

    token = field_header(http, "Authorization", &authorization) && authorization ? door_bearer(authorization) : NULL;
    if (!token) return false;
    tf_ctx_init(&ctx, "admission", 0);
    good = read_token(&ctx, gateway, token, &claims, &unknown, &fresh) == TF_OK;
    if (good) identify(&ctx, &claims);
    good = good && door_check(&ctx, method) == TF_OK;
    tf_ctx_done(&ctx);
    return good;
}

tf_code door_enter(struct exchange *x, bool *ret_wait)
{
    struct tf_access_claims claims;
    const char *authorization, *token;
    tf_code code;

    *ret_wait = false;
    x->ctx.identity = (struct tf_identity){.caller = "gateway", .address = tf_http_peer(x->http)};
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

        identify(&x->ctx, &claims);
    }
    return door_check(&x->ctx, x->match.route->method);
}
