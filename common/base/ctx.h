/* The context of one unit of work (a call, an event, a timer's tick): memory, deadline, identity, error.
 *
 * Made by the chassis or the rpc layer, passed first to everything that can fail or block. One thread at a time. */
#pragma once

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Who calls, as the signed internal token says. */
enum tf_role {
    TF_ROLE_PLATFORM_OPERATOR = 1 << 0, /* of the platform: every organiser */
    TF_ROLE_ORGANISER_ADMIN = 1 << 1,   /* of identity.organiser_id */
    TF_ROLE_SCANNER = 1 << 2,           /* may redeem tickets of identity.organiser_id */
};
struct tf_identity {
    const char *caller; /* process that signed: "gateway", "order"; never NULL inside a call */
    int64_t user_id;    /* 0: nobody is logged in */
    int64_t session_id;
    uint32_t roles;       /* enum tf_role */
    int64_t organiser_id; /* of the organiser roles; 0 with the platform role: all */
    bool internal;        /* a service calls on its own behalf */
    const char *address;  /* of the client, as the gateway sees it ("203.0.113.7"); NULL: not told */
};

typedef struct tf_ctx {
    tf_arena *arena;
    const tf_clock *clock;
    int64_t deadline_us; /* monotonic; INT64_MAX: none */
    struct tf_identity identity;
    const char *request_id;  /* never NULL; goes into logs, events and downstream calls */
    const char *language;    /* "zh-CN" or "en" as negotiated; never NULL */
    int attempt;             /* 1: first; more: the client says that it repeats itself */
    const char *traceparent; /* W3C, or NULL */
    void *app;               /* the service's own state */
    void *call;              /* the rpc layer's; NULL outside a call */
    struct tf_error error;   /* first error wins */
} tf_ctx;

/* A context for work that no call started. Ends with tf_ctx_done. timeout_us 0: no deadline. arena ceiling 8 MiB. */
void tf_ctx_init(tf_ctx *ctx, const char *request_id, int64_t timeout_us);
/* Forgets memory and error and sets a new deadline, for a loop's next round. */
void tf_ctx_reset(tf_ctx *ctx, int64_t timeout_us);
void tf_ctx_done(tf_ctx *ctx);

/* Microseconds left, at least 0; INT64_MAX without deadline. */
int64_t tf_ctx_left_us(const tf_ctx *ctx);
/* TF_DEADLINE when it has passed. */
tf_code tf_ctx_check(tf_ctx *ctx);

/* Record the error (first wins) and return its code: return tf_fail(ctx, TF_INTERNAL, "…"); the text goes to the log
 * only. */
tf_code tf_fail(tf_ctx *ctx, tf_code code, const char *internal, ...) TF_PRINTF(3, 4);
/* TF_FIELD_INVALID with the field's path and a sentence for developers of clients. */
tf_code tf_fail_field(tf_ctx *ctx, const char *field, const char *detail, ...) TF_PRINTF(3, 4);
/* Adds a parameter to the recorded error. Copies the value. */
void tf_error_param(tf_ctx *ctx, const char *name, const char *format, ...) TF_PRINTF(3, 4);
void tf_error_retry_after(tf_ctx *ctx, int retry_after_ms);
/* Forgets the error: the failure was expected and handled. */
void tf_error_clear(tf_ctx *ctx);
