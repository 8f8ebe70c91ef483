/* GetOrderTimeline: order's part and pay's, merged by time. Pay away: the answer says so and has the rest. */
#include "common/base/log.h"
#include "common/base/page_token.h"
#include "common/chassis/service.h"
#include "common/rpc/pb_time.h"
#include "services/order/domain/order_state.h"
#include "services/order/domain/timeline.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "services/order/store/lookup.h"
#include "services/order/store/order_read.h"
#include "ticketflow/order/v1/order.server.h"
#include "ticketflow/pay/v1/pay.tf.h"

enum { PAGE_SIZE = 100, PAGE_SIZE_MAX = 200, TOKEN_KIND = 3, PAY_US_MAX = 2 * TF_US_PER_S };
enum { TOKEN_TIME, TOKEN_ID, TOKEN_RANK, TOKEN_VALUES };

static tf_code read_token(tf_ctx *ctx, const char *token, struct tf_history_position *ret_after)
{
    int64_t values[TOKEN_VALUES];
    tf_code code;

    *ret_after = (struct tf_history_position){.at = INT64_MIN};
    if (!*token) return TF_OK;
    code = tf_page_token_read(ctx, token, TOKEN_KIND, values, TOKEN_VALUES);
    if (code) return code;
    if (values[TOKEN_RANK] < 0 || values[TOKEN_RANK] > INT8_MAX) return tf_fail_field(ctx, "page_token", "malformed");
    *ret_after = (struct tf_history_position){values[TOKEN_TIME], values[TOKEN_ID], (int)values[TOKEN_RANK]};
    return TF_OK;
}

/* NULL: pay cannot be asked now. */
static ListOrderHistoryResponse *ask_pay(tf_ctx *ctx, int64_t order_no, const struct tf_history_position *after, int n)
{
    ListOrderHistoryRequest request = ListOrderHistoryRequest_init;
    ListOrderHistoryResponse *response = NULL;
    HistoryEntry position = HistoryEntry_init;
    int64_t deadline_us = ctx->deadline_us;
    tf_code code;

    request.order_no = order_no;
    request.size = n;
    if (after->at != INT64_MIN) {
        position.time = tf_pb_time(ctx->arena, after->at);
        position.entry_id = after->id;
        position.rank = after->rank;
        request.after = &position;
    }
    ctx->deadline_us = TF_MIN(deadline_us, tf_mono_us() + PAY_US_MAX);
    code = call_list_order_history_internal(ctx, tf_app_client(ctx->app, "pay"), &request, &response);
    ctx->deadline_us = deadline_us;
    if (!code) return response;

    tf_log(TF_LOG_WARN, "a timeline lacks pay's part", "request_id", ctx->request_id, "cause",
           tf_code_info(code)->reason, NULL);
    tf_error_clear(ctx);
    return NULL;
}

static bool name_missing(tf_ctx *ctx, GetOrderTimelineResponse *response, const char *part)
{
    response->missing_parts = TF_NEW_ARRAY(ctx->arena, char *, 1);
    if (!response->missing_parts) return false;
    response->missing_parts[response->n_missing_parts++] = tf_arena_strdup(ctx->arena, part);
    return true;
}

/* Who looked at whose data. */
static void audit(tf_ctx *ctx, const struct order_row *order)
{
    char operator[TF_LOG_INT], order_no[TF_LOG_INT];

    tf_log(TF_LOG_INFO, "audit: a timeline was read", "request_id", ctx->request_id, "operator",
           tf_log_int(operator, ctx->identity.user_id), "order_no", tf_log_int(order_no, order->order_no), NULL);
}

static tf_code answer(tf_ctx *ctx, const struct order_row *order, const struct tf_history_position *after, int size,
                      GetOrderTimelineResponse *response)
{
    const ListOrderHistoryResponse *pay;
    HistoryEntry **own;
    size_t n_own;
    bool more;
    tf_code code;

    code = timeline_of_order(ctx, order->order_no, after, size + 1, &own, &n_own);
    if (code) return code;

    pay = ask_pay(ctx, order->order_no, after, size + 1);
    if (!pay && !name_missing(ctx, response, "pay")) return view_done(ctx);
    for (size_t i = 0; pay && i < pay->n_entries; i++)
        if (!pay->entries[i]->time) return tf_fail(ctx, TF_INTERNAL, "pay answered an entry without time");
    if (!timeline_merge(ctx->arena, own, n_own, pay ? pay->entries : NULL, pay ? pay->n_entries : 0, (size_t)size,
                        &response->entries, &response->n_entries, &more))
        return view_done(ctx);

    for (size_t i = 0; i < response->n_entries; i++)
        response->entries[i]->text =
            tf_arena_strdup(ctx->arena, timeline_text(response->entries[i]->kind, ctx->language));
    if (more) {
        struct tf_history_position last = tf_history_position_of(response->entries[response->n_entries - 1]);
        const int64_t values[TOKEN_VALUES] = {[TOKEN_TIME] = last.at, [TOKEN_ID] = last.id, [TOKEN_RANK] = last.rank};

        response->next_page_token = tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES);
    }
    return view_done(ctx);
}

tf_code get_order_timeline(tf_ctx *ctx, const GetOrderTimelineRequest *request, GetOrderTimelineResponse *response)
{
    struct tf_history_position after;
    struct order_row order;
    int size;
    tf_code code;

    code = tf_page_size_read(ctx, request->page_size, PAGE_SIZE, PAGE_SIZE_MAX, &size);
    if (code) return code;

    code = read_token(ctx, request->page_token, &after);
    if (code) return code;

    code = order_read(ctx, request->order_no, ORDER_ROW, &order);
    if (code) return code;
    if (!operates_for(&ctx->identity, TF_ROLE_ORGANISER_ADMIN, order.organiser_id))
        return tf_fail(ctx, TF_NOT_FOUND, "order %lld is another organiser's", (long long)order.order_no);

    audit(ctx, &order);
    response->server_time = tf_pb_time(ctx->arena, order_now(ctx));
    return answer(ctx, &order, &after, size, response);
}
