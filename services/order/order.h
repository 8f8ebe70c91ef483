/* What the rooms of this process share besides the inventory, the committer and the settler. */
#pragma once

#include "common/chassis/service.h"
#include "common/crypto/crypto.h"

struct attendee_cache;

struct order_process {
    tf_app *app;
    struct tf_sign_key ticket_key;
    struct tf_sign_public ticket_public; /* number: order_config.ticket_key_id */
    struct attendee_cache *attendees;
    tf_periodic *history; /* drops what is too old of it */
    tf_periodic *offers;  /* tells what buyers can do with shows (events/offers.h) */
};

/* For struct tf_service. */
TF_MUSTCHECK tf_code order_start(tf_app *app, const char **ret_error);
void order_stop(tf_app *app);

static inline struct order_process *order_process(const tf_ctx *ctx)
{
    return tf_ctx_state(ctx);
}

/* Sale time for answers: PostgreSQL's clock as far as known, else our own. Decisions take sale_time_now (commit.h). */
tf_time order_now(const tf_ctx *ctx);
