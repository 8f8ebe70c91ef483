/* What a service's program does instead of serving: --migrate, --dead-letters. */
#pragma once

#include "common/chassis/app_internal.h"
#include "common/chassis/settings_print.h"

enum tf_command_kind {
    TF_COMMAND_SERVE,
    TF_COMMAND_MIGRATE,
    TF_COMMAND_LIST,
    TF_COMMAND_LIST_JSON,
    TF_COMMAND_REPLAY,
    TF_COMMAND_DISCARD
};
struct tf_command {
    enum tf_command_kind kind;
    const char *topic; /* NULL: not said */
    int64_t event_id;
    const char *reason;
};

/* For --help: the commands of a service that uses that (TF_USES_…). */
enum { TF_COMMANDS_MAX = 8 };
void tf_command_help(unsigned uses, struct tf_settings_command ret_commands[static TF_COMMANDS_MAX]);

/* Takes the command out of the arguments; what stays are settings. Changes argv's strings ("TOPIC/ID"). False:
 * malformed, *ret_error says how. A command that a service of these uses does not have is left where it is: it is
 * refused like any unknown setting. */
bool tf_command_take(unsigned uses, int *argc, char **argv, struct tf_command *ret_command, const char **ret_error);
/* Runs it (not SERVE); prints to standard output. On failure *ret_error has a sentence. */
TF_MUSTCHECK tf_code tf_command_run(tf_app *app, const struct tf_command *command, const char **ret_error);
