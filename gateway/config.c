/* The one instance of the gateway's settings. */
#include "gateway/config.h"

struct gateway_config gateway_config;
