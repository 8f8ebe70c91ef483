/* Commands are taken out of the arguments, settings stay. */
#include "tests/unit/base/unit.h"

#include "common/chassis/commands.h"

#include <stdio.h>

static void test_take(void **state)
{
    static const struct {
        const char *row, *arguments, *rest; /* rest: what stays, "-" for a refusal */
        enum tf_command_kind kind;
        const char *topic;
        int64_t event_id;
        const char *reason;
    } cases[] = {
        {"nothing", "", "", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"settings only", "--a=1 --b 2", "--a=1 --b 2 ", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"migrate", "--migrate", "", TF_COMMAND_MIGRATE, NULL, 0, NULL},
        {"migrate among settings", "--a=1 --migrate --b=2", "--a=1 --b=2 ", TF_COMMAND_MIGRATE, NULL, 0, NULL},
        {"list", "--dead-letters list", "", TF_COMMAND_LIST, NULL, 0, NULL},
        {"json", "--dead-letters json --a=1", "--a=1 ", TF_COMMAND_LIST_JSON, NULL, 0, NULL},
        {"list, settings after", "--dead-letters list --a=1", "--a=1 ", TF_COMMAND_LIST, NULL, 0, NULL},
        {"replay", "--dead-letters replay 17 --a=1", "--a=1 ", TF_COMMAND_REPLAY, NULL, 17, NULL},
        {"replay with topic", "--dead-letters replay order/17", "", TF_COMMAND_REPLAY, "order", 17, NULL},
        {"an unreadable one's id", "--dead-letters replay order/-9", "", TF_COMMAND_REPLAY, "order", -9, NULL},
        {"discard", "--a=1 --dead-letters discard 17 obsolete", "--a=1 ", TF_COMMAND_DISCARD, NULL, 17, "obsolete"},
        {"no verb", "--dead-letters", "-", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"unknown verb", "--dead-letters burn", "-", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"no id", "--dead-letters replay", "-", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"no number", "--dead-letters replay x", "-", TF_COMMAND_SERVE, NULL, 0, NULL},
        {"no reason", "--dead-letters discard 17", "-", TF_COMMAND_SERVE, NULL, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        char program[] = "tf-test", copy[128], rest[128] = "", *argv[16] = {program};
        struct tf_command command = {0};
        const char *error = NULL;
        int argc = 1;
        bool taken;

        snprintf(copy, sizeof(copy), "%s", cases[i].arguments);
        for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
            argv[argc++] = word;
        taken = tf_command_take(TF_USES_PG | TF_USES_REDIS | TF_USES_BUS, &argc, argv, &command, &error);
        CHECK(cases[i].row, taken == (strcmp(cases[i].rest, "-") != 0));
        CHECK(cases[i].row, taken || strstr(error, "--dead-letters takes"));
        if (!taken) continue;
        for (int a = 1; a < argc; a++) {
            strcat(rest, argv[a]);
            strcat(rest, " ");
        }
        CHECK(cases[i].row, !argv[argc]);
        CHECK_TEXT(cases[i].row, rest, cases[i].rest);
        CHECK(cases[i].row, command.kind == cases[i].kind && command.event_id == cases[i].event_id);
        CHECK_TEXT(cases[i].row, command.topic ? command.topic : "", cases[i].topic ? cases[i].topic : "");
        CHECK_TEXT(cases[i].row, command.reason ? command.reason : "", cases[i].reason ? cases[i].reason : "");
    }
}

/* What a service does not have is no command, and not listed. */
static void test_uses(void **state)
{
    static const struct {
        const char *row, *argument;
        unsigned uses;
        int n_listed;
        enum tf_command_kind kind;
    } cases[] = {
        {"no stores, migrate", "--migrate", 0, 0, TF_COMMAND_SERVE},
        {"no stores, letters", "--dead-letters", 0, 0, TF_COMMAND_SERVE},
        {"database only, migrate", "--migrate", TF_USES_PG | TF_USES_IDS, 1, TF_COMMAND_MIGRATE},
        {"database only, letters", "--dead-letters", TF_USES_PG | TF_USES_IDS, 1, TF_COMMAND_SERVE},
        {"all, letters", "--dead-letters", TF_USES_PG | TF_USES_REDIS | TF_USES_BUS, 5, TF_COMMAND_LIST},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        char program[] = "tf-test", argument[32], verb[] = "list", *argv[] = {program, argument, verb, NULL};
        struct tf_settings_command listed[TF_COMMANDS_MAX];
        struct tf_command command = {0};
        const char *error = NULL;
        int argc = strcmp(cases[i].argument, "--migrate") == 0 ? 2 : 3, n = 0;

        snprintf(argument, sizeof(argument), "%s", cases[i].argument);
        argv[argc] = NULL;
        CHECK(cases[i].row, tf_command_take(cases[i].uses, &argc, argv, &command, &error));
        CHECK(cases[i].row, command.kind == cases[i].kind);
        CHECK(cases[i].row, (argc == 1) == (cases[i].kind != TF_COMMAND_SERVE)); /* else it is still there */
        tf_command_help(cases[i].uses, listed);
        while (listed[n].form)
            n++;
        CHECK(cases[i].row, n == cases[i].n_listed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_take), cmocka_unit_test(test_uses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
