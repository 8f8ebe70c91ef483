/* tf-order in a world of its own: servers, callees, events, callers. */
#pragma once

#include "common/pg/pg.h"
#include "common/rpc/rpc.h"
#include "services/order/inventory/inventory.h"
#include "tests/integration/fixture.h"
#include "tests/integration/order/service/instance.h"
#include "tests/unit/order/fixture.h"
#include "ticketflow/order/v1/order.tf.h"

/* cmocka group fixtures. TF_TEST_PG_DSN says where a database may be made; redis-server is started here. */
int harness_start(void **state);
int harness_stop(void **state);
/* Kills redis-server without saving and starts it empty. */
void harness_restart_redis(void);
/* Stops redis-server as a debugger would: it lives, takes connections and bytes, and answers nothing. */
void harness_freeze_redis(void);
void harness_thaw_redis(void);

/* A further instance in this world, up when this returns; the test ends it with instance_stop. redis_address, pg_port:
 * where it finds them (a proxy); NULL, 0: where the first one does. */
void harness_instance(struct instance *instance, const char *redis_address, int pg_port);
/* The one that every story starts with. */
struct instance *harness_first(void);
/* "127.0.0.1:port" of the redis-server of this world, and the folder of its files. */
const char *harness_redis(void);
const char *harness_dir(void);
/* Where a proxy finds PostgreSQL; as snprintf. */
int harness_pg_proxy_target(char *out, size_t size);

extern tf_rpc_client *order_client; /* of the first one */
extern tf_pg *order_pg;             /* order's own database, for looking */

/* A show id of this run, never used before. */
int64_t new_show_id(void);
/* A show on sale now for an hour, rule NONE, 6 a buyer. */
struct fixture_show show_on_sale(void);
/* Program publishes: order is told, fetches the snapshot; waits until it sells (or, before the opening, answers). */
void publish(const struct fixture_show *show);
/* The same without waiting for the inventory. */
void announce(const struct fixture_show *show, const char *type);
/* Sends an event of another service. */
void send_event(const char *topic, const char *type, int64_t aggregate_id, const ProtobufCMessage *payload);
/* pay says that money came; in the test's name, so payment ids are the caller's to choose. */
void pay_says(const char *type, int64_t payment_id, int64_t order_no, const char *currency, int64_t amount_minor);
void pay_says_refund(const char *type, int64_t refund_id, int64_t payment_id, int64_t order_no);

/* Callers. End with tf_ctx_done. */
void as_buyer(tf_ctx *ctx, int64_t user_id);
void as_operator(tf_ctx *ctx, uint32_t roles, int64_t organiser_id);
/* The stand-in for user-service: attendees user * 10 + 1 … 9 belong to the user; the last digit is the person, the same
 * in every account; 9 is not verified. */

/* A purchase. places ended by 0; NULL with choices. The answer lives in ctx. */
struct buying {
    const struct instance *at; /* NULL: the first one */
    int64_t show_id;
    const char *key; /* NULL: a new one */
    const int32_t *places;
    const struct hold_choice *choices;
    int n_choices;
    const int64_t *attendees; /* ended by 0 */
};
tf_code buy(tf_ctx *ctx, const struct buying *buying, Order **ret_order);
/* One place of the standing tier at that instance, as the nth attempt with the key (NULL: a new one): the order's
 * number, or 0 and in *ret_code (may be NULL) why. */
enum { STANDING = 3 };
int64_t buy_at(const struct instance *at, int64_t user_id, int64_t show_id, const char *key, int attempt,
               tf_code *ret_code);
/* Buys these places (ended by 0) or fails the test; the number of the order. */
int64_t bought(int64_t user_id, int64_t show_id, const int32_t *places);
/* And pays. */
int64_t paid(int64_t user_id, int64_t show_id, const int32_t *places, int64_t payment_id);
Order *order_of(tf_ctx *ctx, int64_t order_no);
/* Until the buyer's order is in that state. */
void wait_for_state(int64_t user_id, int64_t order_no, int state, int timeout_ms);
/* Status of a place: 0 none or blocked, 1 free, 2 held, 3 sold. */
int place_status(int64_t show_id, int32_t place_no);
void wait_for_place(int64_t show_id, int32_t place_no, int status, int timeout_ms);
/* A single number from order's database; sql is a literal. */
int64_t db_number(const char *sql, int64_t parameter);
/* A metric of the process as operators see it: "tf_x_total{result=\"OK\"}"; 0 while it does not appear. */
int64_t order_metric(const char *name_with_labels);
/* Value of an error's parameter, or NULL. */
const char *error_param(const tf_ctx *ctx, const char *name);
