/* The event bus: transactional outbox → relay → engine → consumers, at least once, in order per aggregate.
 *
 * A producer writes events into its own database in the transaction of their effect (tf_outbox_put, or rows inserted by
 * its own SQL in the same shape); the relay sends them. A consumer handles an event inside one transaction of its own
 * database, in which the event's id is noted (inbox), so that a second delivery does nothing. What fails is tried again
 * with backoff, then parked in the consumer's dead_letter table; nothing is dropped. The engine behind is Redis
 * Streams; Kafka fits behind the same functions. */
#pragma once

#include "common/pg/pg.h"

typedef struct tf_bus tf_bus;
struct tf_app;

/* An event as a producer states it; process, request id and trace come from ctx. */
struct tf_event {
    int64_t event_id;  /* from tf_app_id; unique within the topic, which one service publishes */
    int bucket;        /* of the aggregate; first column of the outbox's key */
    const char *topic; /* "order" */
    const char *type;  /* "order.paid" */
    int version;       /* of the payload's meaning; 1 */
    int64_t aggregate_id;
    int64_t organiser_id;
    const void *payload; /* packed message */
    size_t size;         /* at most 256 KiB */
};

/* The packed envelope, in the arena: for producers that insert their outbox rows by SQL of their own. occurred: now. */
TF_MUSTCHECK tf_code tf_event_pack(tf_ctx *ctx, const struct tf_event *event, tf_time occurred,
                                   struct tf_pg_bytes *ret_envelope);
/* Inserts into outbox inside the caller's transaction. Call tf_bus_wake after the commit. */
TF_MUSTCHECK tf_code tf_outbox_put(tf_ctx *ctx, tf_pg_conn *conn, const struct tf_event *event);
/* The relay looks at once instead of at its next heartbeat (1 s). Cheap; any thread. */
void tf_bus_wake(tf_bus *bus);

/* One event as a consumer sees it. */
struct tf_received {
    int64_t event_id, aggregate_id, organiser_id;
    const char *type;
    int version;
    tf_time occurred;
    const char *request_id, *process;
    const void *payload;
    size_t size;
};

/* Runs inside a transaction on conn, after the inbox check; TF_OK commits. Repeatable. Events of types that it does not
 * know: return TF_OK. ctx->app is the app. Codes of weather (UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED in
 * gRPC's terms) are tried again for as long as it takes; every other failure, TF_INTERNAL for an event that cannot be
 * parsed among them, is retried with backoff and then parked. One call at a time per topic, on a thread of the topic's;
 * replays of dead letters run beside it on another thread. Decide by the state that you find: after a failure another
 * instance may have handled a later event of the same aggregate first. */
typedef tf_code (*tf_event_handler)(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event);

struct tf_bus_consumer {
    const char *topic; /* "payment" */
    tf_event_handler handler;
    void (*committed)(struct tf_app *app); /* after each batch that committed anything: wake own workers; may be NULL */
};

/* Dead letters of this service (for `check`, operators): rows of table dead_letter, resolved_at NULL while open; see
 * dead_letter.h. */
