/* Stored orders as values: what a handler answers from. */
#pragma once

#include "common/base/ctx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ticket_row {
    int64_t ticket_id;
    int32_t place_no;
    int tier;
    int64_t price_minor;
    int64_t attendee_id;                            /* 0: none */
    const char *attendee_name, *attendee_id_masked; /* NULL: none */
    bool live;
    int issue;
    tf_time used_at; /* INT64_MIN: not yet */
};

struct payment_row {
    int64_t payment_id, amount_minor;
    const char *method, *state;
    tf_time at;
};

struct refund_row {
    int64_t refund_id, payment_id, amount_minor;
    const char *reason, *note, *state; /* note: NULL: none */
    tf_time requested_at, succeeded_at;
};

struct order_row {
    int bucket;
    int64_t order_no, show_id, organiser_id, user_id;
    int state, cancel_reason;
    int32_t terms;
    const char *currency;
    int64_t total_minor;
    bool adjacent;
    tf_time created_at, pay_by_at, paid_at, cancelled_at; /* INT64_MIN: not */
    int64_t payment_id;                                   /* 0: none */
    int n_tickets;                                        /* as ordered, void ones included */
    struct ticket_row *tickets;                           /* by place_no; so long as loaded */
    size_t n_loaded;
    struct payment_row *payments; /* oldest first */
    size_t n_payments;
    struct refund_row *refunds;
    size_t n_refunds;
};
