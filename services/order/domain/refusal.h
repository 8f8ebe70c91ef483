/* From a decision that gave nothing to the answer that tells the buyer why and what next. Pure: ctx only carries the
 * error. */
#pragma once

#include "services/order/domain/draft.h"

/* Records the reason with its parameters (README: refusals) and returns its code. random spreads retries. Not for
 * TAKEN, AGAIN and TERMS. */
tf_code refusal_of_hold(tf_ctx *ctx, const struct sale *sale, const struct hold *hold, tf_time now, uint32_t random);

/* What readers see says already that Redis would refuse this draft: the sale is paused or withdrawn, or all that is
 * asked for is sold or blocked. *ret_hold then, as Redis would answer. */
bool refusal_foreseen(const struct sale *sale, const struct draft *draft, const struct availability *seen,
                      struct hold *ret_hold);

/* The single refusals, for those who learn them elsewhere. */
tf_code refuse_not_open(tf_ctx *ctx, const struct sale *sale, tf_time now, uint32_t random);
tf_code refuse_ended(tf_ctx *ctx);
tf_code refuse_paused(tf_ctx *ctx, uint32_t random);
tf_code refuse_rebuilding(tf_ctx *ctx, uint32_t random);
/* index: of the attendee who has a ticket already; -1: not known. */
tf_code refuse_person(tf_ctx *ctx, int index);
