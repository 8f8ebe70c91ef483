/* ListMoneyDecisions: what operators decided about parked money, newest first. */
#include "common/base/page_token.h"
#include "services/pay/handlers/desk_views.h"

enum { PAGE_SIZE = 50, PAGE_SIZE_MAX = 200, TOKEN_KIND = 2 };

tf_code list_money_decisions(tf_ctx *ctx, const ListMoneyDecisionsRequest *request,
                             ListMoneyDecisionsResponse *response)
{
    int64_t before = INT64_MAX;
    struct money_decision *rows;
    size_t n;
    int size;
    tf_code code;

    code = tf_page_size_read(ctx, request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (!code && *request->page_token) code = tf_page_token_read(ctx, request->page_token, TOKEN_KIND, &before, 1);
    if (code) return code;

    code = desk_decisions(ctx, desk_scope(&ctx->identity), before, size + 1, &rows, &n);
    if (code) return code;

    response->decisions = TF_NEW_ARRAY(ctx->arena, MoneyDecision *, n);
    for (size_t i = 0; response->decisions && i < TF_MIN(n, (size_t)size); i++)
        response->decisions[response->n_decisions++] = view_decision(ctx, &rows[i]);
    if (n > (size_t)size)
        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, &rows[size - 1].decision_id, 1);
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
