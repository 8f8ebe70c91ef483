/* Answers from stored rows: an order and a ticket as people see them, in the asked language. */
#pragma once

#include "services/order/sale/sale.h"
#include "services/order/store/lists.h"
#include "services/order/store/rows.h"
#include "ticketflow/order/v1/order.tf.h"

/* A whole row (tickets and money loaded). now: sale time. */
TF_MUSTCHECK tf_code view_order(tf_ctx *ctx, const struct order_row *order, tf_time now, Order **ret_order);
/* with_code: the caller is the ticket's owner, who may hold its code. */
TF_MUSTCHECK tf_code view_ticket(tf_ctx *ctx, const struct ticket_of_order *ticket, bool with_code,
                                 Ticket **ret_ticket);

/* The order's row and what belongs to it, read and viewed after a change that stands. What cannot be read is never a
 * refusal, which would say that nothing was done: UNKNOWN_OUTCOME instead. */
TF_MUSTCHECK tf_code answer_order(tf_ctx *ctx, int64_t order_no, tf_time now, Order **ret_order);
/* The same with these parts of it (ORDER_…). */
TF_MUSTCHECK tf_code answer_order_parts(tf_ctx *ctx, int64_t order_no, unsigned parts, tf_time now, Order **ret_order);

/* TF_INTERNAL when the answer did not fit the call's memory: the last line of who builds one. */
TF_MUSTCHECK tf_code view_done(tf_ctx *ctx);
