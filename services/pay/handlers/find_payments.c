/* FindPayments: by the provider's number, for order's look-up. */
#include "services/pay/store/history.h"
#include "ticketflow/pay/v1/pay.server.h"

#include <string.h>

enum { NUMBER_MAX = 128, ORDERS_MAX = 20 };

tf_code find_payments(tf_ctx *ctx, const FindPaymentsRequest *request, FindPaymentsResponse *response)
{
    if (!*request->provider_no || strlen(request->provider_no) > NUMBER_MAX)
        return tf_fail_field(ctx, "provider_no", "1 to %d characters", NUMBER_MAX);
    return orders_of_provider_no(ctx, request->provider_no, ORDERS_MAX, &response->order_nos, &response->n_order_nos);
}
