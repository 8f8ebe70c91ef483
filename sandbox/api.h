/* The provider's HTTP interface: for merchants (signed), for payers (a page with a button), for tests (faults). */
#pragma once

#include "common/http/server.h"
#include "sandbox/signature.h"

/* A tf_http_handler; arg is the struct sandbox_key. */
void api_handle(tf_http_request *request, void *key);
