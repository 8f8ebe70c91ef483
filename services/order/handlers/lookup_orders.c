/* LookupOrders: exactly one key, to the orders that have it, newest first. What belongs to another organiser answers as
 * what does not exist; each look-up leaves a line in the log that names who looked, not whom for. */
#include "common/base/log.h"
#include "common/base/page_token.h"
#include "common/base/text.h"
#include "common/chassis/service.h"
#include "common/rpc/pb_time.h"
#include "services/order/config.h"
#include "services/order/domain/order_state.h"
#include "services/order/domain/ticket_code.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/lookup.h"
#include "services/order/store/order_read.h"
#include "services/order/store/tickets.h"
#include "ticketflow/order/v1/order.server.h"
#include "ticketflow/pay/v1/pay.tf.h"
#include "ticketflow/user/v1/user.tf.h"

#include <string.h>

enum { PAGE_SIZE = 20, PAGE_SIZE_MAX = 50, TOKEN_KIND = 4, PLACE_LENGTH_MAX = 300 };
enum { TOKEN_KEY, TOKEN_BEFORE, TOKEN_VALUES };

enum key { BY_NONE, BY_MOBILE, BY_EMAIL, BY_ORDER, BY_TICKET, BY_CODE, BY_PROVIDER, BY_PLACE };

struct lookup {
    const LookupOrdersRequest *request;
    enum key key;
    int64_t organiser_id; /* 0: of all; -1: of none */
    int64_t before;       /* a page begins below this number */
    int n;                /* one more than the page has */
    struct order_numbers found;
    const char *subject; /* what was looked for, for the audit log */
    const char *mobile_masked, *email_masked;
};

static tf_code one_number(tf_ctx *ctx, struct lookup *lookup, int64_t order_no)
{
    lookup->found.order_nos = TF_NEW(ctx->arena, int64_t);
    if (!lookup->found.order_nos) return tf_fail(ctx, TF_INTERNAL, "no memory for a number");
    lookup->found.order_nos[0] = order_no;
    lookup->found.n = 1;
    return TF_OK;
}

static tf_code by_login(tf_ctx *ctx, struct lookup *lookup)
{
    FindAccountRequest request = FindAccountRequest_init;
    FindAccountResponse *account;
    tf_code code;

    request.mobile = lookup->request->mobile;
    request.email = lookup->request->email;
    code = call_find_account_internal(ctx, tf_app_client(ctx->app, "user"), &request, &account);
    if (code) return code;

    lookup->subject = account->subject;
    lookup->mobile_masked = account->mobile_masked;
    lookup->email_masked = account->email_masked;
    if (!account->user_id) return TF_OK;
    return lookup_user(ctx, account->user_id, lookup->organiser_id, lookup->before, lookup->n, &lookup->found);
}

static tf_code by_order(tf_ctx *ctx, struct lookup *lookup)
{
    lookup->subject = tf_history_int(ctx, lookup->request->order_no);
    return one_number(ctx, lookup, lookup->request->order_no);
}

static tf_code find_ticket(tf_ctx *ctx, struct lookup *lookup, int64_t ticket_id)
{
    struct ticket_of_order ticket;
    tf_code code;

    lookup->subject = tf_history_int(ctx, ticket_id);
    code = ticket_read(ctx, ticket_id, &ticket);
    if (code == TF_NOT_FOUND) {
        tf_error_clear(ctx);
        return TF_OK;
    }
    return code ? code : one_number(ctx, lookup, ticket.order.order_no);
}

static tf_code by_ticket(tf_ctx *ctx, struct lookup *lookup)
{
    return find_ticket(ctx, lookup, lookup->request->ticket_id);
}

static tf_code by_code(tf_ctx *ctx, struct lookup *lookup)
{
    const struct order_process *process = order_process(ctx);
    struct ticket_claims claims;

    if (strlen(lookup->request->ticket_code) > TICKET_CODE_LENGTH_MAX ||
        !ticket_code_read(ctx->arena, lookup->request->ticket_code, (int)order_config.ticket_key_id,
                          &process->ticket_public, &claims))
        return tf_fail_field(ctx, "ticket_code", "not a code of ours");
    return find_ticket(ctx, lookup, claims.ticket_id);
}

static tf_code by_provider(tf_ctx *ctx, struct lookup *lookup)
{
    FindPaymentsRequest request = FindPaymentsRequest_init;
    FindPaymentsResponse *payments;
    tf_code code;

    request.provider_no = lookup->request->provider_no;
    code = call_find_payments_internal(ctx, tf_app_client(ctx->app, "pay"), &request, &payments);
    if (code) return code;

    lookup->subject = lookup->request->provider_no;
    lookup->found = (struct order_numbers){payments->order_nos, TF_MIN(payments->n_order_nos, (size_t)lookup->n)};
    return TF_OK;
}

static tf_code place_of(tf_ctx *ctx, const LookupOrdersRequest *request, int32_t *ret_place_no)
{
    tf_cleanup(sale_unrefp) struct sale *sale = NULL;
    tf_code code;

    *ret_place_no = request->place_no;
    if (!*request->place) return TF_OK;
    if (strlen(request->place) > PLACE_LENGTH_MAX || !tf_utf8_valid(request->place, strlen(request->place)))
        return tf_fail_field(ctx, "place", "at most %d bytes of text", PLACE_LENGTH_MAX);
    code = sale_find(ctx, request->show_id, &sale);
    return code ? code : sale_place_find(ctx, sale, request->place, ret_place_no);
}

static tf_code by_place(tf_ctx *ctx, struct lookup *lookup)
{
    const LookupOrdersRequest *request = lookup->request;
    int32_t place_no;
    tf_code code;

    if ((request->place_no > 0) == (*request->place != '\0'))
        return tf_fail_field(ctx, "place", "either a place's number or its words");
    code = place_of(ctx, request, &place_no);
    if (code == TF_NOT_FOUND) { /* no such show */
        tf_error_clear(ctx);
        place_no = 0;
    } else if (code) {
        return code;
    }
    lookup->subject = tf_arena_printf(ctx->arena, "%lld/%d", (long long)request->show_id, place_no);
    if (!place_no) return TF_OK;
    return lookup_place(ctx, request->show_id, place_no, lookup->before, lookup->n, &lookup->found);
}

static const struct {
    const char *name;
    tf_code (*find)(tf_ctx *ctx, struct lookup *lookup);
} keys[] = {
    [BY_NONE] = {"none", NULL},       [BY_MOBILE] = {"mobile", by_login},        [BY_EMAIL] = {"email", by_login},
    [BY_ORDER] = {"order", by_order}, [BY_TICKET] = {"ticket", by_ticket},       [BY_CODE] = {"ticket_code", by_code},
    [BY_PLACE] = {"place", by_place}, [BY_PROVIDER] = {"provider", by_provider},
};

/* Exactly one key is given. */
static tf_code read_key(tf_ctx *ctx, const LookupOrdersRequest *request, enum key *ret_key)
{
    const struct {
        enum key key;
        bool given;
    } given[] = {
        {BY_MOBILE, *request->mobile},
        {BY_EMAIL, *request->email},
        {BY_ORDER, request->order_no != 0},
        {BY_TICKET, request->ticket_id},
        {BY_CODE, *request->ticket_code},
        {BY_PROVIDER, *request->provider_no},
        {BY_PLACE, request->show_id || request->place_no || *request->place},
    };
    int n = 0;

    for (size_t i = 0; i < TF_COUNT(given); i++)
        if (given[i].given) *ret_key = given[i].key, n++;
    if (n == 1) return TF_OK;
    return tf_fail_field(ctx, "mobile",
                         "exactly one of mobile, email, order_no, ticket_id, ticket_code, provider_no, show_id with a "
                         "place");
}

static tf_code read_page(tf_ctx *ctx, struct lookup *lookup)
{
    int64_t values[TOKEN_VALUES];
    int size;
    tf_code code;

    code = tf_page_size_read(ctx, lookup->request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (code) return code;

    lookup->n = size + 1;
    lookup->before = INT64_MAX;
    if (!*lookup->request->page_token) return TF_OK;
    code = tf_page_token_read(ctx, lookup->request->page_token, TOKEN_KIND, values, TOKEN_VALUES);
    if (code) return code;
    if (values[TOKEN_KEY] != (int64_t)lookup->key) return tf_fail_field(ctx, "page_token", "of another key");

    lookup->before = values[TOKEN_BEFORE];
    return TF_OK;
}

static tf_code view_found(tf_ctx *ctx, const struct lookup *lookup, const struct order_row *row, FoundOrder **ret_found)
{
    FoundOrder *found = TF_NEW(ctx->arena, FoundOrder);
    Order *order;
    tf_code code;

    if (!found) return tf_fail(ctx, TF_INTERNAL, "no memory for an order");
    code = view_order(ctx, row, order_now(ctx), &order);
    if (code) return code;

    *found = (FoundOrder)FoundOrder_init;
    found->order_no = order->order_no;
    found->state = order->state;
    found->cancel_reason = order->cancel_reason;
    found->money_state = order->money_state;
    found->organiser_id = order->organiser_id;
    found->show_id = order->show_id;
    found->title = order->title;
    found->venue_name = order->venue_name;
    found->local_start = order->local_start;
    found->time_zone = order->time_zone;
    found->places_text = order->places_text;
    found->ticket_count = order->ticket_count;
    found->currency = order->currency;
    found->total_minor = order->total_minor;
    found->create_time = order->create_time;
    found->paid_time = order->paid_time;
    found->cancel_time = order->cancel_time;
    found->user_id = row->user_id;
    if (lookup->mobile_masked) found->mobile_masked = (char *)lookup->mobile_masked;
    if (lookup->email_masked) found->email_masked = (char *)lookup->email_masked;
    *ret_found = found;
    return TF_OK;
}

static tf_code answer(tf_ctx *ctx, struct lookup *lookup, LookupOrdersResponse *response)
{
    size_t size = (size_t)lookup->n - 1, n_rows = 0;
    struct order_row *rows = NULL;
    tf_code code;

    if (lookup->found.n > size) {
        const int64_t values[TOKEN_VALUES] = {
            [TOKEN_KEY] = lookup->key, [TOKEN_BEFORE] = lookup->found.order_nos[size - 1]};

        lookup->found.n = size;
        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES);
        if (!response->next_page_token) return view_done(ctx);
    }
    if (lookup->found.n) {
        code = orders_read(ctx, lookup->found.order_nos, lookup->found.n, &rows, &n_rows);
        if (code) return code;
    }
    response->orders = TF_NEW_ARRAY(ctx->arena, FoundOrder *, n_rows);
    if (!response->orders) return view_done(ctx);
    for (size_t i = 0; i < n_rows; i++) {
        if (!operates_for(&ctx->identity, TF_ROLE_ORGANISER_ADMIN, rows[i].organiser_id)) continue;
        code = view_found(ctx, lookup, &rows[i], &response->orders[response->n_orders]);
        if (code) return code;

        response->n_orders++;
    }
    if (response->n_orders == 0 && n_rows) response->next_page_token = (char *)""; /* nothing of one's own */
    return view_done(ctx);
}

static void audit(tf_ctx *ctx, const struct lookup *lookup, size_t n)
{
    char operator[TF_LOG_INT], organiser[TF_LOG_INT], found[TF_LOG_INT];

    tf_log(TF_LOG_INFO, "audit: orders were looked up", "request_id", ctx->request_id, "operator",
           tf_log_int(operator, ctx->identity.user_id), "organiser", tf_log_int(organiser, lookup->organiser_id), "key",
           keys[lookup->key].name, "subject", lookup->subject, "found", tf_log_int(found, (int64_t)n), NULL);
}

tf_code lookup_orders(tf_ctx *ctx, const LookupOrdersRequest *request, LookupOrdersResponse *response)
{
    struct lookup lookup = {.request = request, .organiser_id = -1};
    tf_code code;

    if (ctx->identity.roles & TF_ROLE_PLATFORM_OPERATOR)
        lookup.organiser_id = 0;
    else if (ctx->identity.organiser_id > 0)
        lookup.organiser_id = ctx->identity.organiser_id;

    code = read_key(ctx, request, &lookup.key);
    if (code) return code;

    code = read_page(ctx, &lookup);
    if (code) return code;

    code = keys[lookup.key].find(ctx, &lookup);
    if (code) return code;

    response->server_time = tf_pb_time(ctx->arena, order_now(ctx));
    code = answer(ctx, &lookup, response);
    if (!code) audit(ctx, &lookup, response->n_orders);
    return code;
}
