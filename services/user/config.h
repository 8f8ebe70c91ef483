/* Settings of user: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards. */
#pragma once

#include "common/chassis/settings.h"

struct user_config {
#define TF_CONFIG_DEF "services/user/config.def"
#include "common/chassis/config_expand.h"
};

extern struct user_config user_config;
