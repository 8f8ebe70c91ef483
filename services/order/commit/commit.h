/* Group commit of orders in PostgreSQL: one server-side call per batch, idempotent by order number.
 *
 * Handlers queue an order and wait; a committer thread takes whatever has queued (up to a cap), calls commit_orders,
 * and wakes them. A batch without an answer is sent again unchanged until the handlers' deadline. Also keeps sale time:
 * the offset of PostgreSQL's clock, learnt from every answer. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/sale/sale.h"

struct new_ticket {
    int64_t ticket_id;
    int32_t place_no;
    int tier;
    int64_t price_minor;
    int64_t attendee_id;                            /* 0: none */
    const char *attendee_name, *attendee_id_masked; /* NULL: none */
    const char *person;                             /* NULL: none; hex */
};

struct new_order {
    int64_t order_no;
    int kind; /* 1 SALE, 2 BLOCK */
    int bucket;
    int64_t show_id, organiser_id, user_id;
    const char *request_id;
    const char *body_hash; /* hex, 32 characters */
    int64_t epoch;
    int32_t terms;
    const char *currency;
    int64_t total_minor;
    bool adjacent;
    int hold_seconds, pay_margin_seconds; /* the database computes release_at and pay_by_at from its clock */
    const char *trace;                    /* who made it (domain/trace.h) */
    const struct new_ticket *tickets;     /* by place_no ascending */
    int n_tickets;
    struct tf_pg_bytes created_event; /* envelope of order.created */
    int64_t created_event_id;
};

enum commit_result {
    COMMIT_OK,
    COMMIT_DUPLICATE, /* this key made an order before: order_no (maybe another number) */
    COMMIT_KEY_REUSED,
    COMMIT_TOMBSTONE, /* settled as never committed */
    COMMIT_EPOCH,     /* decided by an old generation */
    COMMIT_TERMS,
    COMMIT_PAUSED, /* paused or withdrawn */
    COMMIT_PERSON,
    COMMIT_CONFLICT /* must never happen: alarm */
};

struct commit_answer {
    enum commit_result result;
    int64_t order_no; /* OK, DUPLICATE: of the stored row */
};

/* Queues and waits. TF_OVERLOADED when the queue is full or PostgreSQL is down (asked before Redis by commit_admit),
 * TF_UNKNOWN_OUTCOME at the deadline. */
TF_MUSTCHECK tf_code commit_order(tf_ctx *ctx, const struct new_order *order, struct commit_answer *ret_answer);
/* TF_OK when a new order may be decided now; TF_OVERLOADED, TF_STORE_DOWN otherwise. */
TF_MUSTCHECK tf_code commit_admit(tf_ctx *ctx);

/* Sale time (PostgreSQL's clock), milliseconds: now, and the bound of its error. False while unknown. */
bool sale_time_now(int64_t *ret_now_ms, int64_t *ret_error_ms);

struct tf_app;
TF_MUSTCHECK tf_code commit_start(struct tf_app *app);
void commit_stop(void);
