/* The table of topics. */
#include "services/order/events/events.h"

const struct tf_bus_consumer order_consumers[] = {
    {.topic = "show", .handler = show_event, .committed = show_events_committed},
    {.topic = "payment", .handler = payment_event, .committed = payment_events_committed},
    {.topic = NULL},
};
