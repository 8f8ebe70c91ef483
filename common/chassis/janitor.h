/* The event bus's housekeeping: retention of outbox and inbox, trimming of topics, gauges, replays of dead letters. */
#pragma once

#include "common/chassis/engine.h"
#include "common/chassis/relay.h"

typedef struct tf_janitor tf_janitor;

/* All borrowed. */
tf_janitor *tf_janitor_start(struct tf_app *app, tf_engine *engine, tf_relay *relay);
/* From now on replays are done: the service's state is there. */
void tf_janitor_replays(tf_janitor *janitor, bool on);
void tf_janitor_stop(tf_janitor *janitor); /* accepts NULL */
