/* The bus put together: one engine, the relay, the janitor, and a consumer for each topic of the service. */
#include "common/chassis/bus_internal.h"

#include "common/chassis/app_internal.h"
#include "common/chassis/consumer.h"
#include "common/chassis/engine.h"
#include "common/chassis/janitor.h"
#include "common/chassis/relay.h"

struct tf_bus {
    tf_app *app;
    tf_engine *engine;
    tf_relay *relay;
    tf_janitor *janitor;
    tf_consumer **consumers;
    size_t n_consumers;
};

tf_bus *tf_bus_open(tf_app *app)
{
    tf_bus *bus = calloc(1, sizeof(*bus));

    TF_ASSERT(bus && app->pg && app->redis);
    bus->app = app;
    bus->engine = tf_engine_streams_new(app->redis, &app->redis_config);
    bus->relay = tf_relay_start(app, bus->engine);
    bus->janitor = tf_janitor_start(app, bus->engine, bus->relay);
    return bus;
}

void tf_bus_wake(tf_bus *bus)
{
    if (bus) tf_relay_wake(bus->relay);
}

void tf_bus_consume(tf_bus *bus)
{
    const struct tf_bus_consumer *declared = bus->app->service->consumers;
    size_t n = 0;

    while (declared && declared[n].topic)
        n++;
    bus->consumers = calloc(TF_MAX(n, (size_t)1), sizeof(*bus->consumers));
    TF_ASSERT(bus->consumers);
    for (; bus->n_consumers < n; bus->n_consumers++)
        bus->consumers[bus->n_consumers] = tf_consumer_start(bus->app, bus->engine, &declared[bus->n_consumers]);
    tf_janitor_replays(bus->janitor, true);
}

void tf_bus_stop_consuming(tf_bus *bus)
{
    if (!bus) return;
    tf_janitor_replays(bus->janitor, false);
    for (size_t i = 0; i < bus->n_consumers; i++)
        tf_consumer_stop(bus->consumers[i]);
    free(bus->consumers);
    bus->consumers = NULL;
    bus->n_consumers = 0;
}

void tf_bus_close(tf_bus *bus)
{
    if (!bus) return;
    tf_bus_stop_consuming(bus);
    tf_janitor_stop(bus->janitor);
    tf_relay_stop(bus->relay);
    bus->engine->ops->free(bus->engine);
    free(bus);
}
