/* Settings of order: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards. */
#pragma once

#include "common/chassis/settings.h"

struct order_config {
#define TF_INT(name, fallback, min, max, help) int64_t name;
#define TF_BOOL(name, fallback, help)          bool name;
#define TF_TEXT(name, fallback, help)          const char *name;
#include "services/order/config.def"
#undef TF_INT
#undef TF_BOOL
#undef TF_TEXT
};

/* Readable from every room of order. Tests set its members directly. */
extern struct order_config order_config;
