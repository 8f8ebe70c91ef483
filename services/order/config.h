/* Settings of order: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards. */
#pragma once

#include "common/chassis/settings.h"

struct order_config {
#define TF_CONFIG_DEF "services/order/config.def"
#include "common/chassis/config_expand.h"
};

/* Readable from every room of order. Tests set its members directly. */
extern struct order_config order_config;
