/* A show's orders with live tickets as one snapshot of PostgreSQL, in the form that a new generation is loaded in. For
 * the inventory room alone. */
#pragma once

#include "services/order/inventory/image.h"

struct live_order {
    int64_t order_no, user_id;
    int64_t due_ms;     /* of a held order; 0: none */
    const char *record; /* field of key h */
    int n_tickets;
    char state; /* 'H', 'S', 'B' */
};

struct live_user {
    int64_t user_id;
    const char *field; /* of key u */
};

struct live_person {
    const char *person;
    int64_t order_no;
};

struct live {
    struct live_order *orders;
    struct live_user *users;
    struct live_person *persons;
    size_t n_orders, n_users, n_persons;
};

/* Reads what is live and takes its places in the image. In ctx->arena. */
TF_MUSTCHECK tf_code live_read(tf_ctx *ctx, int64_t show_id, struct image *image, struct live *ret_live);
