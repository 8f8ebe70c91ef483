/* Columns to values, in the order of row_sql.h's lists. */
#include "services/order/store/row_sql.h"

struct order_row row_order(const tf_pg_result *rows, int row)
{
    return (struct order_row){
        .bucket = (int)tf_pg_get_int(rows, row, 0),
        .order_no = tf_pg_get_int(rows, row, 1),
        .show_id = tf_pg_get_int(rows, row, 2),
        .organiser_id = tf_pg_get_int(rows, row, 3),
        .user_id = tf_pg_get_int(rows, row, 4),
        .state = (int)tf_pg_get_int(rows, row, 5),
        .cancel_reason = (int)tf_pg_get_int(rows, row, 6),
        .terms = (int32_t)tf_pg_get_int(rows, row, 7),
        .currency = tf_pg_get_text(rows, row, 8),
        .total_minor = tf_pg_get_int(rows, row, 9),
        .n_tickets = (int)tf_pg_get_int(rows, row, 10),
        .adjacent = tf_pg_get_bool(rows, row, 11),
        .created_at = tf_pg_get_time(rows, row, 12),
        .pay_by_at = tf_pg_get_time(rows, row, 13),
        .paid_at = tf_pg_get_time(rows, row, 14),
        .cancelled_at = tf_pg_get_time(rows, row, 15),
        .payment_id = tf_pg_get_int(rows, row, 16),
    };
}

struct ticket_row row_ticket(const tf_pg_result *rows, int row, int column)
{
    return (struct ticket_row){
        .ticket_id = tf_pg_get_int(rows, row, column),
        .place_no = (int32_t)tf_pg_get_int(rows, row, column + 1),
        .tier = (int)tf_pg_get_int(rows, row, column + 2),
        .price_minor = tf_pg_get_int(rows, row, column + 3),
        .attendee_id = tf_pg_get_int(rows, row, column + 4),
        .attendee_name = tf_pg_get_text(rows, row, column + 5),
        .attendee_id_masked = tf_pg_get_text(rows, row, column + 6),
        .live = tf_pg_get_bool(rows, row, column + 7),
        .issue = (int)tf_pg_get_int(rows, row, column + 8),
        .used_at = tf_pg_get_time(rows, row, column + 9),
    };
}
