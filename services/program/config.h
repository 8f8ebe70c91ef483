/* Settings of program: the struct expanded from config.def. Filled once at start-up (main.c), read-only afterwards. */
#pragma once

#include "common/chassis/settings.h"

struct program_config {
#define TF_CONFIG_DEF "services/program/config.def"
#include "common/chassis/config_expand.h"
};

extern struct program_config program_config;
