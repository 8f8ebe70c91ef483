/* One line each: time, what happened, where, on which request, what there is to know. */
#include "tools/story/render.h"

#include "common/base/text.h"

#include <string.h>

static const char *member(const tf_json *object, const char *name)
{
    return tf_json_string(tf_json_get(object, name), "");
}

static const char *plain(tf_arena *arena, const char *text)
{
    char *copy = tf_arena_strdup(arena, text);

    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
    return copy ? copy : "";
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);

    return n > k && strcmp(text + n - k, end) == 0;
}

/* "12000" of "amount_minor" as "120.00"; what is no such number stays. */
static const char *value_text(tf_arena *arena, const char *name, const char *value)
{
    int64_t minor;

    if (!ends_with(name, "_minor") || !tf_parse_int64(value, &minor) || minor < 0) return plain(arena, value);
    return tf_arena_printf(arena, "%lld.%02d", (long long)(minor / 100), (int)(minor % 100));
}

static const char *name_text(tf_arena *arena, const char *name)
{
    size_t n = strlen(name);

    if (ends_with(name, "_minor")) n -= strlen("_minor");
    return plain(arena, tf_arena_strndup(arena, name, n));
}

static const char *facts_text(tf_arena *arena, const tf_json *facts)
{
    const char *text = "";

    for (size_t i = 0; text && i < tf_json_size(facts); i++) {
        const char *name = member(tf_json_at(facts, i), "name");

        text = tf_arena_printf(arena, "%s%s%s=%s", text, i ? "  " : "", name_text(arena, name),
                               value_text(arena, name, member(tf_json_at(facts, i), "value")));
    }
    return text ? text : "";
}

char *render_entry(tf_arena *arena, const tf_json *entry)
{
    return tf_arena_printf(arena, "%-27s  %-48s  %-9s  %-34s  %s", plain(arena, member(entry, "time")),
                           plain(arena, member(entry, "text")), plain(arena, member(entry, "process")),
                           plain(arena, member(entry, "request_id")), facts_text(arena, tf_json_get(entry, "facts")));
}

char *render_order(tf_arena *arena, const tf_json *order)
{
    return tf_arena_printf(arena, "%-20s  %-24s  %-25s  %s %s  %s  %s", plain(arena, member(order, "order_no")),
                           plain(arena, member(order, "state")), plain(arena, member(order, "local_start")),
                           value_text(arena, "total_minor", member(order, "total_minor")),
                           plain(arena, member(order, "currency")), plain(arena, member(order, "title")),
                           plain(arena, member(order, "places_text")));
}
