/* What an answer says, as far as a buyer wants to know. */
#pragma once

#include "common/base/arena.h"
#include "tools/load/load.h"

/* Texts and places are in the arena. */
struct said {
    const char *reason;     /* of a problem document; NULL: none */
    int64_t retry_after_ms; /* 0: none */
    int64_t order_no;
    const char *state; /* of the order, "ORDER_STATE_…" */
    int32_t places[PLACES_MAX];
    size_t n_places;
    const char *pay_url; /* NULL: none */
};

/* An acknowledgement (2xx) of the operation. False when it does not say what it must: it cannot be understood. */
TF_MUSTCHECK bool said_ok(tf_arena *arena, enum op op, const char *body, size_t size, struct said *ret_said);
/* Any other answer. */
void said_problem(tf_arena *arena, const char *body, size_t size, int retry_after_s, struct said *ret_said);
