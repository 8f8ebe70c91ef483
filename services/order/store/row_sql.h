/* How rows of orders (alias o) and tickets (alias t) are read; for this room's files only. */
#pragma once

#include "common/pg/pg.h"
#include "services/order/store/rows.h"

#define ORDER_COLUMNS                                                                                                  \
    "o.bucket, o.order_no, o.show_id, o.organiser_id, o.user_id, o.state, o.cancel_reason, o.terms, o.currency,"       \
    " o.total_minor, o.n_tickets, o.adjacent, o.created_at, o.pay_by_at, o.paid_at, o.cancelled_at, o.payment_id"
#define TICKET_COLUMNS                                                                                                 \
    "t.ticket_id, t.place_no, t.tier, t.price_minor, t.attendee_id, t.attendee_name, t.attendee_id_masked, t.live,"    \
    " t.issue, t.used_at"
enum { ROW_ORDER_COLUMNS = 17, ROW_TICKET_COLUMNS = 10 };

/* Neither a block nor a tombstone. */
#define ORDER_IS_SALE "o.kind = 1 AND o.state BETWEEN 1 AND 5"

/* From the row's first column, or from `column` on. */
struct order_row row_order(const tf_pg_result *rows, int row);
struct ticket_row row_ticket(const tf_pg_result *rows, int row, int column);
