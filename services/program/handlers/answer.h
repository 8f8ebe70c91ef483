/* Pieces of answers that several handlers share. All in ctx->arena. */
#pragma once

#include "services/program/store/listing.h"

/* A string for a message: NULL becomes "". */
char *answer_text(const char *text);
/* NULL only when the arena is exhausted; the rpc layer then answers. */
Timestamp *answer_time(tf_ctx *ctx, tf_time t);
Money *answer_money(tf_ctx *ctx, const char *currency, int64_t amount_minor);
/* From the stored JSON, in the caller's language. */
ProgramTexts *answer_program_texts(tf_ctx *ctx, const char *json);

/* Now, by the context's clock. */
tf_time answer_now(const tf_ctx *ctx);
/* What the shows of one programme come to. */
struct offer_summary {
    OfferState state;
    tf_time opens; /* the soonest opening when the state is SOON */
    const struct listed_show *cheapest;
    const struct listed_show *first, *last; /* by local date */
};
struct offer_summary offers_sum(const struct listed_show *shows, size_t n, tf_time now);
/* TF_INTERNAL when the arena is exhausted: for the end of a handler that built many small things. */
tf_code answer_done(tf_ctx *ctx);
