/* Settings of the sandbox: the struct expanded from config.def. */
#pragma once

#include "common/chassis/settings.h"

struct sandbox_config {
#define TF_CONFIG_DEF "sandbox/config.def"
#include "common/chassis/config_expand.h"
};

extern struct sandbox_config sandbox_config;
