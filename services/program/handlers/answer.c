/* Pieces of answers. */
#include "services/program/handlers/answer.h"

#include "services/program/domain/texts.h"

#include <string.h>

char *answer_text(const char *text)
{
    return (char *)(uintptr_t)(text ? text : ""); /* messages only read */
}

Timestamp *answer_time(tf_ctx *ctx, tf_time t)
{
    Timestamp *timestamp = tf_arena_alloc(ctx->arena, sizeof(*timestamp));
    tf_time us = ((t % TF_US_PER_S) + TF_US_PER_S) % TF_US_PER_S;

    if (!timestamp) return NULL;
    *timestamp = (Timestamp)Timestamp_init;
    timestamp->seconds = (t - us) / TF_US_PER_S;
    timestamp->nanos = (int32_t)us * 1000;
    return timestamp;
}

Money *answer_money(tf_ctx *ctx, const char *currency, int64_t amount_minor)
{
    Money *money = tf_arena_alloc(ctx->arena, sizeof(*money));

    if (!money) return NULL;
    *money = (Money)Money_init;
    money->currency = answer_text(currency);
    money->amount_minor = amount_minor;
    return money;
}

static char *rule_text(tf_ctx *ctx, const tf_json *rules, const char *name)
{
    const LocalizedTexts *texts = texts_from_value(ctx->arena, tf_json_get(rules, name));

    return answer_text(texts_pick(texts, ctx->language));
}

ProgramTexts *answer_program_texts(tf_ctx *ctx, const char *json)
{
    tf_cleanup(tf_json_freep) tf_json *rules = NULL;
    ProgramTexts *texts = tf_arena_alloc(ctx->arena, sizeof(*texts));
    const char *error;

    if (!texts) return NULL;
    if (json) rules = tf_json_parse(ctx->arena, json, strlen(json), 0, &error);
    *texts = (ProgramTexts)ProgramTexts_init;
    texts->detail = rule_text(ctx, rules, "detail");
    texts->notice = rule_text(ctx, rules, "notice");
    texts->refund_rule = rule_text(ctx, rules, "refund_rule");
    texts->real_name_rule = rule_text(ctx, rules, "real_name_rule");
    texts->child_rule = rule_text(ctx, rules, "child_rule");
    texts->delivery = rule_text(ctx, rules, "delivery");
    texts->entry_rule = rule_text(ctx, rules, "entry_rule");
    texts->prohibited_items = rule_text(ctx, rules, "prohibited_items");
    texts->running_time = rule_text(ctx, rules, "running_time");
    texts->invoice = rule_text(ctx, rules, "invoice");
    return texts;
}

tf_time answer_now(const tf_ctx *ctx)
{
    return ctx->clock->wall_us(ctx->clock);
}

struct offer_summary offers_sum(const struct listed_show *shows, size_t n, tf_time now)
{
    struct offer_summary sum = {.state = OFFER_STATE_UNSPECIFIED};

    for (size_t i = 0; i < n; i++) {
        const struct listed_show *s = &shows[i];
        OfferState state = offer_state(&s->offer, now);

        sum.state = offer_better(sum.state, state);
        if (state == OFFER_STATE_SOON && (!sum.opens || s->offer.opens < sum.opens)) sum.opens = s->offer.opens;
        if (!sum.cheapest || s->cheapest_minor < sum.cheapest->cheapest_minor) sum.cheapest = s;
        if (!sum.first || strcmp(s->local_date, sum.first->local_date) < 0) sum.first = s;
        if (!sum.last || strcmp(s->local_date, sum.last->local_date) > 0) sum.last = s;
    }
    return sum;
}

tf_code answer_done(tf_ctx *ctx)
{
    return tf_arena_exhausted(ctx->arena) ? tf_fail(ctx, TF_INTERNAL, "arena exhausted") : TF_OK;
}
