/* ListOrderHistory: what happened to an order's money, for order's timeline. */
#include "services/pay/store/history.h"
#include "ticketflow/pay/v1/pay.server.h"

enum { SIZE_MAX_ENTRIES = 201 };

tf_code list_order_history(tf_ctx *ctx, const ListOrderHistoryRequest *request, ListOrderHistoryResponse *response)
{
    struct tf_history_position after = {.at = INT64_MIN};

    if (request->order_no <= 0) return tf_fail_field(ctx, "order_no", "not an order's number");
    if (request->size < 1 || request->size > SIZE_MAX_ENTRIES)
        return tf_fail_field(ctx, "size", "1 to %d", SIZE_MAX_ENTRIES);
    if (request->after) after = tf_history_position_of(request->after);
    return history_of_order(ctx, request->order_no, &after, request->size, &response->entries, &response->n_entries);
}
