/* The one instance of pay's settings. */
#include "services/pay/config.h"

struct pay_config pay_config;
