/* ListParkedMoney: what waits for an operator, longest first. */
#include "common/base/page_token.h"
#include "common/rpc/pb_time.h"
#include "services/pay/handlers/desk_views.h"

enum { PAGE_SIZE = 50, PAGE_SIZE_MAX = 200, TOKEN_KIND = 1, TOKEN_VALUES = 2 };

static void put_choices(tf_ctx *ctx, const struct parked_money *m, ParkedMoney *out)
{
    static const DecisionKind kinds[] = {DECISION_KIND_REFUND, DECISION_KIND_RETRY, DECISION_KIND_SETTLED_ELSEWHERE};

    out->decisions = TF_NEW_ARRAY(ctx->arena, DecisionKind, TF_COUNT(kinds));
    for (size_t i = 0; out->decisions && i < TF_COUNT(kinds); i++)
        if (desk_allows(m->refund_id != 0, m->amount_minor, kinds[i])) out->decisions[out->n_decisions++] = kinds[i];
}

static ParkedMoney *view_parked(tf_ctx *ctx, const struct parked_money *m, tf_time now)
{
    ParkedMoney *out = TF_NEW(ctx->arena, ParkedMoney);

    if (!out) return NULL;
    *out = (ParkedMoney)ParkedMoney_init;
    out->payment_id = m->payment_id;
    out->refund_id = m->refund_id;
    out->order_no = m->order_no;
    out->organiser_id = m->organiser_id;
    out->method = tf_arena_strdup(ctx->arena, m->method ? m->method : "");
    out->currency = tf_arena_strdup(ctx->arena, m->currency ? m->currency : "");
    out->amount_minor = m->amount_minor;
    out->asked_currency = tf_arena_strdup(ctx->arena, m->asked_currency ? m->asked_currency : "");
    out->asked_minor = m->asked_minor;
    out->cause = tf_arena_strdup(ctx->arena, m->cause ? m->cause : "");
    out->parked_time = tf_pb_time(ctx->arena, m->parked_at);
    out->age_seconds = (int32_t)TF_MIN(TF_MAX(now - m->parked_at, 0) / TF_US_PER_S, INT32_MAX);
    out->revision = m->revision;
    out->confirmed = m->confirmed;
    put_choices(ctx, m, out);
    return tf_arena_exhausted(ctx->arena) ? NULL : out;
}

tf_code list_parked_money(tf_ctx *ctx, const ListParkedMoneyRequest *request, ListParkedMoneyResponse *response)
{
    tf_time now = ctx->clock->wall_us(ctx->clock);
    int64_t values[TOKEN_VALUES] = {0};
    struct parked_money *rows;
    size_t n;
    int size;
    tf_code code;

    code = tf_page_size_read(ctx, request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (!code && *request->page_token)
        code = tf_page_token_read(ctx, request->page_token, TOKEN_KIND, values, TOKEN_VALUES);
    if (code) return code;

    code = desk_parked(ctx, desk_scope(&ctx->identity), &(struct parked_position){values[0], values[1]}, size + 1,
                       &rows, &n);
    if (code) return code;

    response->parked = TF_NEW_ARRAY(ctx->arena, ParkedMoney *, n);
    for (size_t i = 0; response->parked && i < TF_MIN(n, (size_t)size); i++)
        response->parked[response->n_parked++] = view_parked(ctx, &rows[i], now);
    if (n > (size_t)size) {
        const struct parked_money *last = &rows[size - 1];

        values[0] = last->parked_at;
        values[1] = last->refund_id ? last->refund_id : last->payment_id;
        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES);
    }
    response->server_time = view_now(ctx);
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
