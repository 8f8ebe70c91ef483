/* Dead letters: events that a service could not handle, parked in its own database with the cause until an operator has
 * them replayed or discards them with a reason.
 *
 * Parking notes the event in the inbox too: later copies of it do nothing, the dead letter alone decides. A replay is
 * asked for in the table and done by the running service, which has the handler and its state. */
#pragma once

#include "common/chassis/bus.h"

enum { TF_DEAD_LETTER_CAUSE_MAX = 500 };

struct tf_parking {
    const char *topic;
    int64_t event_id;
    const char *type; /* "" when the envelope could not be read */
    const void *envelope;
    size_t size;
    const char *cause;
    int attempts;
};
/* Inside a transaction. *ret_parked false: handled or parked before, nothing was done. */
TF_MUSTCHECK tf_code tf_dead_letter_park(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_parking *parking,
                                         bool *ret_parked);

/* Asks for a replay of an open dead letter. topic NULL: whichever has that id (TF_STATE_WRONG when several topics do).
 * TF_NOT_FOUND: none is open by that id. */
TF_MUSTCHECK tf_code tf_dead_letter_replay(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id);
/* Closes it without effect; the reason is kept. */
TF_MUSTCHECK tf_code tf_dead_letter_discard(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id,
                                            const char *reason);

enum tf_dead_letter_state { TF_DEAD_LETTER_OPEN, TF_DEAD_LETTER_ASKED, TF_DEAD_LETTER_RESOLVED };
struct tf_dead_letter {
    const char *topic, *type, *cause;
    int64_t event_id;
    int attempts;
    tf_time parked;
    enum tf_dead_letter_state state;
    const char *resolution; /* NULL while open */
};
/* Open ones, oldest first, at most `most`, in ctx->arena. */
TF_MUSTCHECK tf_code tf_dead_letter_list(tf_ctx *ctx, tf_pg *pg, int most, struct tf_dead_letter **ret_letters,
                                         size_t *ret_n);
/* One of that id, open or resolved; TF_NOT_FOUND. */
TF_MUSTCHECK tf_code tf_dead_letter_get(tf_ctx *ctx, tf_pg *pg, const char *topic, int64_t event_id,
                                        struct tf_dead_letter *ret_letter);

/* Does the replays asked for, by the consumer of their topic (ended by a NULL topic); those of other topics stay. */
TF_MUSTCHECK tf_code tf_dead_letter_work(tf_ctx *ctx, struct tf_app *app, const struct tf_bus_consumer *consumers);
