/* Purges what is over: sessions that ended or expired, counted failures. */
#pragma once

#include "common/chassis/service.h"

/* Starts the thread; never NULL. Ends with tf_periodic_stop. */
tf_periodic *janitor_start(tf_app *app);
