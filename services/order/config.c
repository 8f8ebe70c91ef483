/* The one instance of order's settings. */
#include "services/order/config.h"

struct order_config order_config;
