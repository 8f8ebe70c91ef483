/* The greeting: password, function libraries, and a ping that a server still loading its data refuses. Before it is
 * answered no user's command goes out, so that no function is ever missing. */
#include "common/redis/command.h"
#include "common/redis/link.h"

#include <stdio.h>
#include <string.h>

enum { ARGS_MAX = 3 };

struct greeting {
    const char *name; /* for the cause of a failure */
    bool is_library;
    const char *args[ARGS_MAX];
    size_t sizes[ARGS_MAX];
    tf_redis_cmd cmd; /* over the two arrays */
};

static size_t libraries(const struct tf_redis_config *config)
{
    size_t n = 0;

    while (config->libraries && config->libraries[n].name)
        n++;
    return n;
}

size_t tf_redis_greetings(const struct tf_redis_config *config)
{
    return (config->password ? 1 : 0) + libraries(config) + 1;
}

static void add(struct greeting *greeting, const void *data, size_t size)
{
    greeting->args[greeting->cmd.n] = data;
    greeting->sizes[greeting->cmd.n] = size;
    greeting->cmd.n++;
}

/* The i-th command. */
static void greeting_at(const struct tf_redis_config *config, size_t i, struct greeting *out)
{
    size_t passwords = config->password ? 1 : 0;

    *out = (struct greeting){.cmd = {.args = out->args, .sizes = out->sizes}};
    if (i < passwords) {
        out->name = "AUTH";
        add(out, "AUTH", 4);
        add(out, config->password, strlen(config->password));
    } else if (i - passwords < libraries(config)) {
        const struct tf_embedded *library = &config->libraries[i - passwords];

        out->name = library->name;
        out->is_library = true;
        add(out, "FUNCTION", 8);
        add(out, "LOAD", 4);
        add(out, library->data, library->size);
    } else {
        out->name = "PING";
        add(out, "PING", 4);
    }
}

size_t tf_redis_greeting_size(const struct tf_redis_config *config)
{
    struct greeting greeting;
    size_t size = 0;

    for (size_t i = 0; i < tf_redis_greetings(config); i++) {
        greeting_at(config, i, &greeting);
        size += tf_redis_wire_size(&greeting.cmd);
    }
    return size;
}

void tf_redis_greeting_write(const struct tf_redis_config *config, char *to)
{
    struct greeting greeting;

    for (size_t i = 0; i < tf_redis_greetings(config); i++) {
        greeting_at(config, i, &greeting);
        to = tf_redis_wire_write(&greeting.cmd, to);
    }
}

/* Wrong; missing; or given to a server that expects none. */
static bool is_about_password(const char *error)
{
    static const char *const beginnings[] = {"WRONGPASS", "NOAUTH", "ERR AUTH"};

    for (size_t i = 0; i < TF_COUNT(beginnings); i++)
        if (strncmp(error, beginnings[i], strlen(beginnings[i])) == 0) return true;
    return false;
}

bool tf_redis_greeting_accepts(const struct tf_redis_config *config, size_t i, const tf_redis_reply *reply,
                               char cause[static TF_REDIS_CAUSE_MAX], bool *ret_refused)
{
    struct greeting greeting;

    if (reply->type != TF_REDIS_ERROR) return true;
    greeting_at(config, i, &greeting);
    /* The name carries the version: the same library, loaded by another connection or process. */
    if (greeting.is_library && strstr(reply->text, "already exists")) return true;
    *ret_refused = is_about_password(reply->text);
    snprintf(cause, TF_REDIS_CAUSE_MAX, "%s refused: %s", greeting.name, reply->text);
    return false;
}
