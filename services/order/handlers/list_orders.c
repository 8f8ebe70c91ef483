/* ListOrders: the caller's orders, newest first. */
#include "common/base/page_token.h"
#include "common/rpc/pb_time.h"
#include "services/order/domain/window.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"

enum { PAGE_SIZE = 20, PAGE_SIZE_MAX = 50, TOKEN_KIND = 1 };

/* A page begins below an order number, of the same filter as the page before. */
enum { TOKEN_FILTER, TOKEN_BEFORE, TOKEN_VALUES };

static tf_code read_token(tf_ctx *ctx, const ListOrdersRequest *request, int64_t *ret_before)
{
    int64_t values[TOKEN_VALUES];
    tf_code code;

    *ret_before = INT64_MAX;
    if (!*request->page_token) return TF_OK;
    code = tf_page_token_read(ctx, request->page_token, TOKEN_KIND, values, TOKEN_VALUES);
    if (code) return code;
    if (values[TOKEN_FILTER] != (int64_t)request->filter)
        return tf_fail_field(ctx, "page_token", "of a list with another filter");
    *ret_before = values[TOKEN_BEFORE];
    return TF_OK;
}

tf_code list_orders(tf_ctx *ctx, const ListOrdersRequest *request, ListOrdersResponse *response)
{
    tf_time now = order_now(ctx), over_before = now - (tf_time)SHOW_OVER_AFTER_S * TF_US_PER_S;
    struct order_row *orders;
    const int64_t *order_nos;
    size_t n, n_orders;
    int64_t before;
    int size;
    tf_code code;

    if ((int)request->filter < ORDER_FILTER_UNSPECIFIED || (int)request->filter > ORDER_FILTER_CANCELLED)
        return tf_fail_field(ctx, "filter", "not a filter");
    code = tf_page_size_read(ctx, request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (code) return code;

    code = read_token(ctx, request, &before);
    if (code) return code;

    code = orders_of_user(ctx, ctx->identity.user_id, request->filter, before, over_before, size + 1, &order_nos, &n);
    if (code) return code;

    if (n > (size_t)size) { /* there is more */
        const int64_t values[TOKEN_VALUES] = {
            [TOKEN_FILTER] = (int64_t)request->filter, [TOKEN_BEFORE] = order_nos[size - 1]};

        n = (size_t)size;
        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES);
        if (!response->next_page_token) return view_done(ctx);
    }
    response->server_time = tf_pb_time(ctx->arena, now);
    if (n == 0) return TF_OK;

    code = orders_read(ctx, order_nos, n, &orders, &n_orders);
    if (code) return code;

    response->orders = TF_NEW_ARRAY(ctx->arena, Order *, n_orders);
    if (!response->orders) return view_done(ctx);
    for (size_t i = 0; i < n_orders; i++) {
        code = view_order(ctx, &orders[i], now, &response->orders[i]);
        if (code) return code;

        response->n_orders = i + 1;
    }
    return TF_OK;
}
