/* Expands a config.def, the list of a process's settings (form: common/chassis/config.def). Included in the middle of a
 * declaration, as often as wanted; no pragma once.
 *
 *   struct order_config {                               the members
 *   #define TF_CONFIG_DEF "services/order/config.def"
 *   #include "common/chassis/config_expand.h"
 *   };
 *   static const struct tf_setting settings[] = {       the rows; with the struct's type
 *   #define TF_CONFIG_DEF  "services/order/config.def"
 *   #define TF_CONFIG_TYPE struct order_config
 *   #include "common/chassis/config_expand.h"
 *   };
 *
 * Both macros are undefined afterwards. Whoever includes it includes common/chassis/settings.h before. */
#ifdef TF_CONFIG_TYPE
#define TF_INT(name, fallback, min, max, help) TF_SETTING_ROW_INT(TF_CONFIG_TYPE, name, fallback, min, max, help)
#define TF_BOOL(name, fallback, help)          TF_SETTING_ROW_BOOL(TF_CONFIG_TYPE, name, fallback, help)
#define TF_TEXT(name, fallback, help)          TF_SETTING_ROW_TEXT(TF_CONFIG_TYPE, name, fallback, help)
#else
#define TF_INT(name, fallback, min, max, help) int64_t name;
#define TF_BOOL(name, fallback, help)          bool name;
#define TF_TEXT(name, fallback, help)          const char *name;
#endif
#include TF_CONFIG_DEF
#undef TF_INT
#undef TF_BOOL
#undef TF_TEXT
#undef TF_CONFIG_DEF
#undef TF_CONFIG_TYPE
