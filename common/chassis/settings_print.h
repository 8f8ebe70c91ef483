/* What --help and --settings-markdown print; used by settings.c only. */
#pragma once

#include "common/chassis/settings.h"

/* A command is an argument that does something else than serve: {"--migrate", "apply the migrations and exit"}. */
struct tf_settings_command {
    const char *form, *help; /* form NULL ends a list */
};

/* As tf_settings_load, for a program that takes commands: they are listed by --help. The caller has removed them from
 * argv. */
TF_MUSTCHECK tf_code tf_settings_load_with(const char *program, const char *purpose,
                                           const struct tf_settings_command *commands,
                                           const struct tf_settings_table *tables, size_t n_tables, int argc,
                                           char **argv, const char **ret_error);

void tf_settings_print_help(const char *program, const char *purpose, const struct tf_settings_command *commands,
                            const struct tf_settings_table *tables, size_t n_tables);
/* The reference as a table in Markdown, for the documentation. */
void tf_settings_print_markdown(const char *program, const char *purpose, const struct tf_settings_table *tables,
                                size_t n_tables);

/* "TF_PG_DSN" of "pg_dsn", into the caller's array. */
enum { TF_SETTING_NAME_MAX = 64, TF_SETTING_ENV = TF_SETTING_NAME_MAX + 4 };
void tf_setting_env(const char *name, char out[static TF_SETTING_ENV]);
