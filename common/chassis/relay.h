/* The relay: one thread that takes unsent events from the outbox to the engine. */
#pragma once

#include "common/chassis/bus.h"
#include "common/chassis/engine.h"

typedef struct tf_relay tf_relay;

enum { TF_RELAY_TOPICS_MAX = 32 };

/* app and engine are borrowed. */
tf_relay *tf_relay_start(struct tf_app *app, tf_engine *engine);
void tf_relay_wake(tf_relay *relay);
/* Tries once more to send what is there, joins, frees. Accepts NULL. */
void tf_relay_stop(tf_relay *relay);
/* Topics that this relay has sent to; the strings live as long as the relay. Thread-safe. */
size_t tf_relay_topics(tf_relay *relay, const char *ret_topics[static TF_RELAY_TOPICS_MAX]);
