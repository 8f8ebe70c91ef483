/* Settings of the gateway: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards.
 */
#pragma once

#include "common/chassis/settings.h"

struct gateway_config {
#define TF_CONFIG_DEF "gateway/config.def"
#include "common/chassis/config_expand.h"
};

extern struct gateway_config gateway_config;
