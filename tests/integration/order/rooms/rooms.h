/* The sale's heart in one process: committer, inventory and settler on a schema and a redis-server of the test's own;
 * PostgreSQL is also reached through a proxy that misbehaves, and only by the rooms. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/commit/commit.h"
#include "services/order/config.h"
#include "services/order/inventory/inventory.h"
#include "services/order/settle/settle.h"
#include "tests/integration/fixture.h"
#include "tests/integration/proxy.h"

#include <pthread.h>

struct tf_app;
extern struct tf_app *rooms_app;
extern _Atomic int64_t rooms_clock_shift_us; /* of the process's own wall clock */
extern struct proxy *rooms_proxy;            /* between the rooms and PostgreSQL */

/* What rooms_start sets order_config to; a program whose tests need other values changes it before. */
extern struct order_config rooms_config;
/* For cmocka's groups: everything runs. Intents last 1 s, the safety net looks every second. */
int rooms_start(void **state);
int rooms_stop(void **state);
/* Kills redis-server; with keep the next one finds the data (AOF), else it starts empty. */
void rooms_redis_stop(void);
void rooms_redis_start(bool keep);

/* A context as of a handler; end with tf_ctx_done. */
void rooms_ctx(tf_ctx *ctx, int timeout_ms);

/* ---- a show
 * ---------------------------------------------------------------------------------------------------------- */

struct test_show {
    int rows, row_places; /* seated, tier 1 */
    int standing;         /* places of tier 2; 0: no such tier */
    int account_limit, order_limit, hold_seconds;
    bool one_pending_order, real_name;
    int blocked; /* the first places of row 1 */
    int32_t version;
};
/* Publishes version 1 of a new show and opens its inventory; the sale belongs to the test's end. */
struct sale *show_new(const struct test_show *show);
/* Another version of it: fence and snapshot change, the inventory is not told. */
struct sale *show_change(const struct sale *sale, const struct test_show *show);

/* ---- buying
 * ---------------------------------------------------------------------------------------------------------- */

struct purchase_try {
    int64_t user_id;
    const char *key;       /* NULL: a new one */
    int count;             /* best available of tier 1 */
    const int32_t *places; /* instead; n_places of them */
    int n_places;
    const char *const *persons; /* one per ticket */
};
/* Only the hold. */
tf_code try_hold(tf_ctx *ctx, const struct sale *sale, const struct purchase_try *purchase, struct hold *ret_hold);
/* The order that commits a hold; in ctx->arena. */
struct new_order *order_of_hold(tf_ctx *ctx, const struct sale *sale, const struct purchase_try *purchase,
                                const struct hold *hold);
/* Hold and commit; fails the test unless COMMIT_OK. Its number; *ret_place (may be NULL): its first place. */
int64_t buy_now(const struct sale *sale, const struct purchase_try *purchase, int32_t *ret_place);

/* ---- looking
 * --------------------------------------------------------------------------------------------------------- */

/* A number from the test's own straight connection; printf-like. */
int64_t sql_number(const char *format, ...) TF_PRINTF(1, 2);
void sql_do(const char *format, ...) TF_PRINTF(1, 2);
/* Status of a place as readers see it: 0 blocked, 1 free, 2 held, 3 sold. -1: not to be had now. Not older than the
 * call. */
int place_status(const struct sale *sale, int32_t place);
void wait_status(const struct sale *sale, int32_t place, int status, int timeout_ms);
/* Redis and PostgreSQL agree place by place; no entry of the show is due that should not be. Fails the test else. */
void check_agreement(const struct sale *sale);
/* A metric as operators see it: "tf_x_total{result=\"OK\"}"; 0 while it does not appear. */
int64_t metric_value(const char *name_with_labels);
/* A Redis command of words ended by NULL: integer, length of text, or number of items; -1: nil or error. */
int64_t redis_number(const char *word, ...) __attribute__((sentinel));
