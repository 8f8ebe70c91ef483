/* ListTicketKeys: what a scanner needs to verify codes by itself. */
#include "common/base/text.h"
#include "services/order/config.h"
#include "services/order/handlers/views.h"
#include "services/order/order.h"
#include "ticketflow/order/v1/order.server.h"

tf_code list_ticket_keys(tf_ctx *ctx, const ListTicketKeysRequest *request, ListTicketKeysResponse *response)
{
    const struct tf_sign_public *public = &order_process(ctx)->ticket_public;
    TicketKey *key = TF_NEW(ctx->arena, TicketKey);
    char *encoded = tf_base64_encode(ctx->arena, public->bytes, sizeof(public->bytes), true);

    (void)request;
    response->keys = TF_NEW_ARRAY(ctx->arena, TicketKey *, 1);
    if (!key || !encoded || !response->keys) return view_done(ctx);
    *key = (TicketKey)TicketKey_init;
    key->key_id = (int32_t)order_config.ticket_key_id;
    key->algorithm = (char *)"Ed25519";
    key->public_key = encoded;
    response->keys[0] = key;
    response->n_keys = 1;
    return TF_OK;
}
