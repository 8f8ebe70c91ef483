/* The gateway's own state, made at start-up. */
#pragma once

#include "common/chassis/service.h"
#include "common/http/server.h"
#include "gateway/config.h"
#include "gateway/keys.h"
#include "gateway/pictures.h"
#include "gateway/token_cache.h"
#include "gateway/workers.h"

#include <stdatomic.h>

struct exchange_pool;

struct gateway {
    tf_app *app;
    tf_http_server *http;
    token_cache *tokens;
    gateway_keys *keys;
    pictures *pictures; /* NULL: none are served */
    gateway_workers *workers;
    struct exchange_pool *exchanges;
    atomic_int in_flight; /* exchanges begun and not ended */
};
