/* Who made an order, as its row keeps it (orders.trace): one text, because each commit pays for every column. Pure. */
#pragma once

#include "common/base/ctx.h"

struct order_trace {
    const char *request_id, *process;
    tf_time asked_at, held_at; /* when the request came, when its places were taken */
    int64_t event_id;          /* of order.created */
};

/* In the arena; NULL when it is exhausted. Blanks in the names become "_". store/history.c reads it, in SQL. */
char *order_trace_write(tf_arena *arena, const struct order_trace *trace);
