/* Settings of the sandbox: the struct expanded from config.def. */
#pragma once

#include "common/chassis/settings.h"

struct sandbox_config {
#define TF_INT(name, fallback, min, max, help) int64_t name;
#define TF_BOOL(name, fallback, help)          bool name;
#define TF_TEXT(name, fallback, help)          const char *name;
#include "sandbox/config.def"
#undef TF_INT
#undef TF_BOOL
#undef TF_TEXT
};

extern struct sandbox_config sandbox_config;
