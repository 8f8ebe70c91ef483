/* Tells program what buyers can do with a show (topic "stock", type "show.offer") whenever that changes: once a second,
 * and at once when woken. Reading the availability of shows about to open also has their inventories built before. */
#pragma once

#include "common/chassis/service.h"

/* NULL: no thread. Stop with tf_periodic_stop. */
tf_periodic *offers_start(tf_app *app);
/* Looks at once; for who changed a sale's state. Does nothing before the start. */
void offers_wake(tf_app *app);
