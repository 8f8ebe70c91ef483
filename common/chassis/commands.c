/* Migrations and dead letters from the command line. */
#include "common/chassis/commands.h"

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/chassis/dead_letter.h"
#include "common/chassis/stores.h"
#include "common/json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CALL_TIMEOUT_S = 10, LIST_MAX = 1000, REPLAY_WAIT_S = 15, REPLAY_POLL_MS = 200, LINE_MAX_BYTES = 16384 };

static const struct {
    struct tf_settings_command command;
    unsigned needs;
} helps[] = {
    {{"--migrate", "apply the database's migrations and exit"}, TF_USES_PG},
    {{"--dead-letters list", "list the open dead letters"}, TF_USES_BUS},
    {{"--dead-letters json", "the same, one JSON object a line"}, TF_USES_BUS},
    {{"--dead-letters replay ID", "have one handled again by the running service (ID or TOPIC/ID)"}, TF_USES_BUS},
    {{"--dead-letters discard ID REASON", "close one without effect"}, TF_USES_BUS},
};

void tf_command_help(unsigned uses, struct tf_settings_command ret_commands[static TF_COMMANDS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < TF_COUNT(helps); i++)
        if (uses & helps[i].needs) ret_commands[n++] = helps[i].command;
    ret_commands[n] = (struct tf_settings_command){NULL, NULL};
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum tf_command_kind kind;
    int n_arguments;
} verbs[] = {
    {"list", TF_COMMAND_LIST, 0},
    {"json", TF_COMMAND_LIST_JSON, 0},
    {"replay", TF_COMMAND_REPLAY, 1},
    {"discard", TF_COMMAND_DISCARD, 2},
};

static bool id_parse(char *text, struct tf_command *command)
{
    char *slash = strrchr(text, '/');

    if (slash) {
        *slash = '\0';
        command->topic = text;
        text = slash + 1;
    }
    return tf_parse_int64(text, &command->event_id);
}

/* argv[0] is the verb, n words follow "--dead-letters". *ret_used: how many belong to it. */
static bool dead_letters_parse(int n, char **argv, struct tf_command *command, int *ret_used)
{
    for (size_t i = 0; n > 0 && i < TF_COUNT(verbs); i++) {
        if (strcmp(argv[0], verbs[i].word) != 0) continue;
        if (n - 1 < verbs[i].n_arguments) return false;
        command->kind = verbs[i].kind;
        *ret_used = 1 + verbs[i].n_arguments;
        if (verbs[i].n_arguments > 1) command->reason = argv[2];
        return verbs[i].n_arguments == 0 || id_parse(argv[1], command);
    }
    return false;
}

bool tf_command_take(unsigned uses, int *argc, char **argv, struct tf_command *ret_command, const char **ret_error)
{
    struct tf_command command = {.kind = TF_COMMAND_SERVE};
    int n = 1;

    for (int i = 1; i < *argc; i++) {
        int used = 0;

        if ((uses & TF_USES_PG) && strcmp(argv[i], "--migrate") == 0) {
            command.kind = TF_COMMAND_MIGRATE;
        } else if ((uses & TF_USES_BUS) && strcmp(argv[i], "--dead-letters") == 0) {
            if (!dead_letters_parse(*argc - i - 1, argv + i + 1, &command, &used)) {
                *ret_error = "--dead-letters takes: list, json, replay ID, or discard ID REASON";
                return false;
            }
            i += used;
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[n] = NULL;
    *argc = n;
    *ret_command = command;
    return true;
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

static const char *age_text(tf_ctx *ctx, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}};

    for (size_t i = 0; i < TF_COUNT(units); i++)
        if (seconds >= 2 * units[i].seconds)
            return tf_arena_printf(ctx->arena, "%" PRId64 " %s", seconds / units[i].seconds, units[i].unit);
    return tf_arena_printf(ctx->arena, "%" PRId64 " s", seconds);
}

/* tools read it: the first three members stay first. */
static void letter_print_json(tf_app *app, const struct tf_dead_letter *letter, int64_t age_s)
{
    char parked[TF_TIME_TEXT];
    tf_json_writer w;
    tf_buf line;

    tf_time_write(parked, letter->parked);
    tf_buf_init(&line, LINE_MAX_BYTES);
    w = (tf_json_writer){.out = &line};
    tf_json_begin_object(&w);
    tf_json_key(&w, "service");
    tf_json_put_string(&w, app->service->name);
    tf_json_key(&w, "topic");
    tf_json_put_string(&w, letter->topic);
    tf_json_key(&w, "event_id");
    tf_json_put_int_string(&w, letter->event_id);
    tf_json_key(&w, "type");
    tf_json_put_string(&w, letter->type);
    tf_json_key(&w, "cause");
    tf_json_put_string(&w, letter->cause);
    tf_json_key(&w, "attempts");
    tf_json_put_int(&w, letter->attempts);
    tf_json_key(&w, "parked_time");
    tf_json_put_string(&w, parked);
    tf_json_key(&w, "age_seconds");
    tf_json_put_int(&w, age_s);
    tf_json_key(&w, "replay_asked");
    tf_json_put_bool(&w, letter->state == TF_DEAD_LETTER_ASKED);
    tf_json_end_object(&w);
    printf("%.*s\n", (int)line.size, (const char *)line.data);
    tf_buf_done(&line);
}

static tf_code letters_list(tf_ctx *ctx, tf_app *app, bool json)
{
    tf_time now = tf_now_us();
    struct tf_dead_letter *letters;
    tf_code code;
    size_t n;

    code = tf_dead_letter_list(ctx, app->pg, LIST_MAX, &letters, &n);
    if (code) return code;
    for (size_t i = 0; i < n; i++) {
        int64_t age_s = TF_MAX(now - letters[i].parked, 0) / TF_US_PER_S;
        char parked[TF_TIME_TEXT];

        if (json) {
            letter_print_json(app, &letters[i], age_s);
            continue;
        }
        tf_time_write(parked, letters[i].parked);
        printf("%s/%" PRId64 "  %s  parked %s ago (%s) after %d attempts%s\n    %s\n", letters[i].topic,
               letters[i].event_id, letters[i].type[0] ? letters[i].type : "(unreadable)", age_text(ctx, age_s), parked,
               letters[i].attempts, letters[i].state == TF_DEAD_LETTER_ASKED ? ", replay asked for" : "",
               letters[i].cause);
    }
    if (!json) printf("%zu open dead letter%s%s\n", n, n == 1 ? "" : "s", n == LIST_MAX ? " (or more)" : "");
    return TF_OK;
}

/* The running service does it; here we wait for its word. */
static tf_code letter_replay(tf_ctx *ctx, tf_app *app, const struct tf_command *command)
{
    struct tf_dead_letter letter;
    int64_t until = tf_mono_us() + (int64_t)REPLAY_WAIT_S * TF_US_PER_S;
    tf_code code = tf_dead_letter_replay(ctx, app->pg, command->topic, command->event_id);

    while (!code && tf_mono_us() < until) {
        tf_ctx_reset(ctx, (int64_t)CALL_TIMEOUT_S * TF_US_PER_S);
        code = tf_dead_letter_get(ctx, app->pg, command->topic, command->event_id, &letter);
        if (code) return code;
        if (letter.state == TF_DEAD_LETTER_RESOLVED) {
            printf("%s/%" PRId64 ": %s\n", letter.topic, letter.event_id, letter.resolution);
            return TF_OK;
        }
        if (letter.state == TF_DEAD_LETTER_OPEN)
            return tf_fail(ctx, TF_STATE_WRONG, "the replay failed: %s", letter.cause);
        if (tf_app_stop_within(REPLAY_POLL_MS)) break;
    }
    if (!code) printf("the replay is asked for; tf-%s does it when it runs\n", app->service->name);
    return code;
}

static tf_code letter_discard(tf_ctx *ctx, tf_app *app, const struct tf_command *command)
{
    tf_code code;

    if (!command->reason[0] || strlen(command->reason) > TF_DEAD_LETTER_CAUSE_MAX ||
        !tf_utf8_valid(command->reason, strlen(command->reason)))
        return tf_fail(ctx, TF_FIELD_INVALID, "a reason of 1 to %d bytes is needed", TF_DEAD_LETTER_CAUSE_MAX);
    code = tf_dead_letter_discard(ctx, app->pg, command->topic, command->event_id, command->reason);
    if (!code) printf("%" PRId64 ": discarded\n", command->event_id);
    return code;
}

static tf_code letters_run(tf_app *app, const struct tf_command *command, const char **ret_error)
{
    tf_ctx ctx;
    tf_code code;

    tf_app_ctx(app, &ctx, "dead-letters", (int64_t)CALL_TIMEOUT_S * TF_US_PER_S);
    if (command->kind == TF_COMMAND_LIST)
        code = letters_list(&ctx, app, false);
    else if (command->kind == TF_COMMAND_LIST_JSON)
        code = letters_list(&ctx, app, true);
    else if (command->kind == TF_COMMAND_REPLAY)
        code = letter_replay(&ctx, app, command);
    else
        code = letter_discard(&ctx, app, command);
    if (code)
        *ret_error = tf_arena_strdup(app->arena, ctx.error.internal ? ctx.error.internal : tf_code_info(code)->reason);
    tf_ctx_done(&ctx);
    return code;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

tf_code tf_command_run(tf_app *app, const struct tf_command *command, const char **ret_error)
{
    tf_code code;

    code = tf_app_pg_open(app, ret_error);
    if (code) return code;
    if (command->kind != TF_COMMAND_MIGRATE) {
        code = tf_app_schema_check(app, ret_error);
        return code ? code : letters_run(app, command, ret_error);
    }
    code = tf_app_schema_migrate(app, ret_error);
    if (!code) printf("tf-%s: the schema is up to date\n", app->service->name);
    return code;
}
