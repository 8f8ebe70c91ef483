/* A run: what all of its buyers share, and the buyer. */
#pragma once

#include "common/base/arena.h"
#include "tools/load/load.h"
#include "tools/load/wire.h"

struct run {
    const struct load_options *options;
    struct loop loop;
    struct journal journal;
    struct report report;
    tf_arena *arena; /* of the answer in hand */
    struct load_account *accounts;
    int64_t n_accounts;
    char id[17];           /* part of every key: no two runs share one */
    int64_t next_start_us; /* monotonic; by rate_limit */
    int working;           /* buyers that have not stopped */
    bool stopping;         /* nothing new is begun */
    bool giving_up;        /* nor tried again */
};

/* An order that was acknowledged and neither paid nor cancelled yet. */
struct pending_order {
    const struct load_account *account;
    const char *show_id;
    int64_t order_no;
};
/* What is under way: an operation with one key, however often it is tried. */
struct operation {
    enum op op;
    struct pending_order on; /* order_no 0 while an order is asked for */
    int attempt;
    int64_t began_us, attempt_wall_us; /* monotonic: the first attempt; CLOCK_REALTIME: the latest */
    char key[64];
};

enum { PENDING_MAX = 8, PAY_URL_MAX = 512 };

struct buyer {
    struct run *run;
    int number;
    struct wire gateway, bank;
    struct timer next; /* the next attempt, or the next operation */
    int home, at;      /* gateways */
    int64_t left_home_us;
    int64_t account; /* of the next order */
    uint64_t random;
    uint64_t serial;
    bool busy; /* an operation is under way */
    struct operation doing;
    struct pending_order pending[PENDING_MAX]; /* oldest first */
    int n_pending;
    struct target bank_target;
    char pay_path[PAY_URL_MAX]; /* there */
};

void buyer_init(struct buyer *buyer, struct run *run, int number);
/* Begins its first operation, as soon as the rate limit lets it. */
void buyer_start(struct buyer *buyer);
/* The run is stopping: nothing more if nothing is under way. */
void buyer_stop(struct buyer *buyer);
/* The run is giving up: what is under way ends now, unknown. */
void buyer_give_up(struct buyer *buyer);
void buyer_free(struct buyer *buyer);
