/* Settings of the gateway: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards.
 */
#pragma once

#include "common/chassis/settings.h"

struct gateway_config {
#define TF_INT(name, fallback, min, max, help) int64_t name;
#define TF_BOOL(name, fallback, help)          bool name;
#define TF_TEXT(name, fallback, help)          const char *name;
#include "gateway/config.def"
#undef TF_INT
#undef TF_BOOL
#undef TF_TEXT
};

extern struct gateway_config gateway_config;
