/* Settings from one table per process: name, type, default, range, help; --help and the reference are printed from it.
 * Rows stand in config.def (form as in common/chassis/config.def); config_expand.h makes struct and table of it. */
#pragma once

#include "common/base/error.h"
#include "common/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tf_setting_type { TF_SETTING_INT, TF_SETTING_BOOL, TF_SETTING_TEXT };

struct tf_setting {
    const char *name;
    enum tf_setting_type type;
    size_t offset;        /* of int64_t, bool or const char * in the config struct */
    const char *fallback; /* the default as text */
    int64_t min, max;     /* INT */
    const char *help;
};

/* One row; for config_expand.h. */
#define TF_SETTING_ROW_INT(type, name, fallback, min, max, help)                                                       \
    {#name, TF_SETTING_INT, offsetof(type, name), #fallback, (min), (max), (help)},
#define TF_SETTING_ROW_BOOL(type, name, fallback, help)                                                                \
    {#name, TF_SETTING_BOOL, offsetof(type, name), #fallback, 0, 1, (help)},
#define TF_SETTING_ROW_TEXT(type, name, fallback, help)                                                                \
    {#name, TF_SETTING_TEXT, offsetof(type, name), (fallback), 0, 0, (help)},

/* Fills the structs from file, environment and arguments. Unknown names in the file or arguments, and values out of
 * type or range, are errors: the sentence names the setting and its source. The environment may be shared by processes
 * with other settings: what it holds beyond ours is no error (see tf_settings_unknown). Strings live as long as the
 * process. tables: {common, own}. Returns: TF_OK; TF_FIELD_INVALID with *ret_error. --help prints all settings and
 * exits the process with 0; --version likewise. */
struct tf_settings_table {
    const struct tf_setting *rows;
    size_t n;
    void *target; /* the struct */
};
TF_MUSTCHECK tf_code tf_settings_load(const char *program, const char *purpose, const struct tf_settings_table *tables,
                                      size_t n_tables, int argc, char **argv, const char **ret_error);
/* Calls seen for the name of each variable TF_… of the environment that no row of the tables has: it is misspelt, or
 * another process's. */
void tf_settings_unknown(const struct tf_settings_table *tables, size_t n_tables, void (*seen)(const char *name));
