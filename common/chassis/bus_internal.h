/* The bus's life, as service.c drives it. */
#pragma once

#include "common/chassis/bus.h"

/* Relay and housekeeping run from here on; consumers do not yet. The app's stores must be there. */
tf_bus *tf_bus_open(struct tf_app *app);
/* After the service's start(): its consumers run. */
void tf_bus_consume(tf_bus *bus);
/* Before the service's stop(): no handler runs any more. */
void tf_bus_stop_consuming(tf_bus *bus);
/* Sends what is there once more, ends. Accepts NULL. */
void tf_bus_close(tf_bus *bus);
