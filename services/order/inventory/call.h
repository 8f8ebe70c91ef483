/* Calls of the function library inventory.lua: keys, arguments, answers. For the inventory room, and for tools that
 * look at what it keeps. */
#pragma once

#include "common/chassis/service.h"
#include "services/order/inventory/inventory.h"

/* How long readers wait for Redis: a server that is well answers in a thousandth of it. */
enum { INVENTORY_READ_US_MAX = TF_US_PER_S };

/* Set by inventory_start for the life of the process. */
extern tf_app *inventory_app;

static inline int64_t inventory_version(int64_t epoch, int64_t counter)
{
    return epoch << 32 | counter; /* grows over rebuilds too */
}

/* FCALL of the library's function ("hold", "read", …); keys and arguments follow. */
void inventory_fcall(tf_redis_cmd *cmd, tf_ctx *ctx, const char *function, int n_keys);
/* A key of the show: "m", "new:m", … */
void inventory_key(tf_redis_cmd *cmd, int64_t show_id, const char *name);
/* All five live keys, all five of the generation being loaded. */
void inventory_live_keys(tf_redis_cmd *cmd, int64_t show_id);
void inventory_staging_keys(tf_redis_cmd *cmd, int64_t show_id);
void inventory_request_key(tf_redis_cmd *cmd, int64_t show_id, int64_t user_id, const char *request_id);
void inventory_due_key(tf_redis_cmd *cmd, int partition);

/* An answer read from left to right: a status word, then what the function's comment says. A wrong shape is remembered
 * in `bad`. */
struct inventory_answer {
    const tf_redis_reply *reply;
    const char *status;
    size_t at;
    bool bad;
};

/* Runs the call. Codes besides those of tf_redis_call: TF_STORE_DOWN when the server cannot serve it now (loading,
 * read-only, out of memory, library missing), TF_INTERNAL for a fault of the function. */
TF_MUSTCHECK tf_code inventory_call(tf_ctx *ctx, const tf_redis_cmd *cmd, struct inventory_answer *ret_answer);
/* The same for a function that only reads: within INVENTORY_READ_US_MAX, and a server that does not answer is
 * TF_STORE_DOWN with its hint to come back, whether it got the question or not. */
TF_MUSTCHECK tf_code inventory_ask(tf_ctx *ctx, const tf_redis_cmd *cmd, struct inventory_answer *ret_answer);
/* The same for a reply that came by a pipeline. */
TF_MUSTCHECK tf_code inventory_answer_of(tf_ctx *ctx, const tf_redis_reply *reply, struct inventory_answer *ret_answer);
bool inventory_status_is(const struct inventory_answer *answer, const char *status);
int64_t inventory_answer_int(struct inventory_answer *answer);
size_t inventory_answer_left(const struct inventory_answer *answer);
TF_MUSTCHECK tf_code inventory_answer_check(tf_ctx *ctx, const struct inventory_answer *answer);

/* Drops the connection and resolves the server's name again, at most once a second: what answers there is not
 * the server that it should be. */
void inventory_relink(void);
/* Asks whose version of the function library is in force (inventory_superseded); the first call of a process takes the
 * lead. */
void inventory_look_for_leader(tf_ctx *ctx);
/* TF_STORE_DOWN with its hint to come back. */
TF_MUSTCHECK tf_code inventory_down(tf_ctx *ctx, const char *why);
/* TF_REBUILDING with its hint to come back; starts the rebuild. */
TF_MUSTCHECK tf_code inventory_closed(tf_ctx *ctx, int64_t show_id);
