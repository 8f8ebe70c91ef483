/* Reads orders, their tickets, payments and refunds. Blocks and tombstones are never found. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/store/rows.h"

enum order_parts {
    ORDER_ROW = 0, /* the row alone */
    ORDER_TICKETS = 1 << 0,
    ORDER_MONEY = 1 << 1, /* payments and refunds */
    ORDER_WHOLE = ORDER_TICKETS | ORDER_MONEY,
};

/* TF_NOT_FOUND for an unknown number. */
TF_MUSTCHECK tf_code order_read(tf_ctx *ctx, int64_t order_no, unsigned parts, struct order_row *ret_order);
/* The row alone, inside a transaction. TF_NOT_FOUND for an unknown number. */
TF_MUSTCHECK tf_code order_read_in(tf_pg_conn *conn, tf_ctx *ctx, int64_t order_no, struct order_row *ret_order);
/* Several orders in the order asked for, whole; unknown numbers are left out. At most 100. */
TF_MUSTCHECK tf_code orders_read(tf_ctx *ctx, const int64_t *order_nos, size_t n, struct order_row **ret_orders,
                                 size_t *ret_n);
/* The order that a key made; TF_NOT_FOUND (no error recorded) when there is none. */
TF_MUSTCHECK tf_code order_find_key(tf_ctx *ctx, int64_t show_id, int64_t user_id, const char *request_id,
                                    int64_t *ret_order_no, const char **ret_body_hash);
/* The user's newest unpaid order in the show; 0: none. */
TF_MUSTCHECK tf_code order_find_pending(tf_ctx *ctx, int64_t show_id, int64_t user_id, int64_t *ret_order_no);
/* Tickets of the user in the show that count against the limit, as PostgreSQL knows them. */
TF_MUSTCHECK tf_code order_count_used(tf_ctx *ctx, int64_t show_id, int64_t user_id, int *ret_used);
