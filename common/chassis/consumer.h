/* A consumer of one topic: each event once in effect, in a transaction of the service's own database. */
#pragma once

#include "common/chassis/bus.h"
#include "common/chassis/engine.h"

typedef struct tf_consumer tf_consumer;

/* All borrowed. Starts at once: the service's state must be there. */
tf_consumer *tf_consumer_start(struct tf_app *app, tf_engine *engine, const struct tf_bus_consumer *declared);
/* The event under way ends, the rest of its batch stays with the engine; joins, frees. Accepts NULL. */
void tf_consumer_stop(tf_consumer *consumer);
