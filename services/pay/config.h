/* Settings of pay: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards. */
#pragma once

#include "common/chassis/settings.h"

struct pay_config {
#define TF_CONFIG_DEF "services/pay/config.def"
#include "common/chassis/config_expand.h"
};

extern struct pay_config pay_config;
