/* A payment provider behind one interface. Each call is bounded by ctx's deadline and says plainly what is known
 * afterwards.
 *
 * The payment id is the idempotency key of a charge, the refund id that of a refund: every call may be repeated. */
#pragma once

#include "common/base/ctx.h"
#include "ticketflow/http/v1/body.tf.h"

enum charge_outcome {
    CHARGE_OPEN, /* waits for the payer, or the money is under way */
    CHARGE_PAID,
    CHARGE_CLOSED,  /* no money, and none will come */
    CHARGE_UNKNOWN, /* the provider has never heard of it */
};

struct charge_request {
    int64_t payment_id, amount_minor;
    const char *currency, *subject;
    tf_time expires_at;
};
struct charge_answer {
    enum charge_outcome outcome;
    const char *provider_no, *pay_url; /* in ctx->arena; may be NULL */
    int64_t amount_minor;
    const char *currency;
    tf_time paid_at; /* PAID */
};

/* What a verified notification says. */
struct provider_notice {
    int64_t payment_id;
    struct charge_answer charge;
};

enum refund_outcome {
    REFUND_DONE,
    REFUND_REFUSED, /* for good: an operator decides */
    REFUND_UNKNOWN, /* the provider has never made it (an answer to query_refund alone) */
};

struct provider {
    const char *method; /* "sandbox" */
    const char *name_en, *name_zh;
    /* All: TF_PROVIDER_DOWN when not reached or not understood; nothing may be concluded then. */
    tf_code (*create)(tf_ctx *ctx, const struct charge_request *request, struct charge_answer *ret_answer);
    tf_code (*query)(tf_ctx *ctx, int64_t payment_id, struct charge_answer *ret_answer);
    /* Ends a charge that nobody paid; the answer says what it is afterwards. */
    tf_code (*close)(tf_ctx *ctx, int64_t payment_id, struct charge_answer *ret_answer);
    tf_code (*refund)(tf_ctx *ctx, int64_t refund_id, int64_t payment_id, int64_t amount_minor,
                      enum refund_outcome *ret_outcome, const char **ret_cause);
    /* Whether it paid back: REFUND_DONE or REFUND_UNKNOWN. */
    tf_code (*query_refund)(tf_ctx *ctx, int64_t refund_id, enum refund_outcome *ret_outcome);
    /* TF_UNAUTHENTICATED when forged, TF_FIELD_INVALID when signed but not understood. */
    tf_code (*verify)(tf_ctx *ctx, const RawBody *notification, struct provider_notice *ret_notice);
    /* Body that acknowledges. */
    const char *acknowledgement;
};

/* The provider of a method ("" gives the default); NULL when it is not offered. */
const struct provider *provider_find(const char *method);
/* i-th offered provider; NULL past the end. */
const struct provider *provider_at(size_t i);

/* Reads keys, makes the client. */
TF_MUSTCHECK tf_code providers_start(tf_ctx *ctx);
void providers_stop(void);
