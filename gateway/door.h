/* Who is asking, and whether they may: the bearer token, and the route's access declaration.
 *
 * The services check again; the door refuses early. A token that is given must be good, on public routes too: a client
 * whose session ended should learn it, not be served as a stranger. No header switches any of this off. */
#pragma once

#include "gateway/exchange.h"

/* Fills x->ctx.identity. *ret_wait: the exchange waits for keys; whoever resumes it calls this again. */
TF_MUSTCHECK tf_code door_enter(struct exchange *x, bool *ret_wait);
/* Whether the request carries a good token that opens the method; known keys only, nothing waits. For what must be
 * known before a body is taken. */
bool door_recognises(struct gateway *gateway, const tf_http_request *http, const struct tf_rpc_method *method);
/* Whether this identity may call the method: TF_OK, TF_UNAUTHENTICATED or TF_FORBIDDEN. */
TF_MUSTCHECK tf_code door_check(tf_ctx *ctx, const struct tf_rpc_method *method);
/* The token in an Authorization value; NULL when it is no bearer credential. */
const char *door_bearer(const char *authorization);
