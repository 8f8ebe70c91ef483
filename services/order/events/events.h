/* What order hears: topics "show" (program) and "payment" (pay). */
#pragma once

#include "common/chassis/bus.h"

/* For struct tf_service; ended by a NULL topic. */
extern const struct tf_bus_consumer order_consumers[];

/* A show was published or changed: fetch, check and store its snapshot; the inventory is rebuilt after the commit. */
TF_MUSTCHECK tf_code show_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event);
void show_events_committed(struct tf_app *app);

/* Payments and refunds as they end. */
TF_MUSTCHECK tf_code payment_event(tf_pg_conn *conn, tf_ctx *ctx, const struct tf_received *event);
void payment_events_committed(struct tf_app *app);
