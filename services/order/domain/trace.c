/* Fields separated by blanks. */
#include "services/order/domain/trace.h"

#include <inttypes.h>

static const char *word(tf_arena *arena, const char *text)
{
    char *copy = tf_arena_strdup(arena, *text ? text : "-");

    for (char *c = copy; c && *c; c++)
        if (*c == ' ') *c = '_';
    return copy;
}

char *order_trace_write(tf_arena *arena, const struct order_trace *trace)
{
    const char *request_id = word(arena, trace->request_id), *process = word(arena, trace->process);

    if (!request_id || !process) return NULL;
    return tf_arena_printf(arena, "%s %s %" PRId64 " %" PRId64 " %" PRId64, request_id, process, trace->asked_at,
                           trace->held_at, trace->event_id);
}
