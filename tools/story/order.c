/* An order's story for whoever runs the installation: found by what a caller has, printed as a table or as JSON. */
#include "common/base/buf.h"
#include "tools/story/render.h"
#include "tools/story/story.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 5000, MOBILE_DIGITS = 11, JSON_MAX = 16 << 20 };

static const char *escaped(tf_arena *arena, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = tf_arena_alloc(arena, 3 * strlen(text) + 1), *to = out;

    if (!out) return "";
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        *to++ = '%';
        *to++ = digits[*c >> 4];
        *to++ = digits[*c & 15];
    }
    *to = '\0';
    return out;
}

static bool all_digits(const char *text)
{
    return *text && !text[strspn(text, "0123456789")];
}

/* Which parameters of the look-up a key may be, the likeliest first; ended by NULL. */
static void names_of(const char *key, const char *names[static 4])
{
    size_t n = 0;

    if (strchr(key, '@')) {
        names[n++] = "email";
    } else if (*key == '+' || (all_digits(key) && strlen(key) == MOBILE_DIGITS)) {
        names[n++] = "mobile";
    } else if (strchr(key, '.')) {
        names[n++] = "ticket_code";
    } else {
        if (all_digits(key) && strlen(key) < 20) {
            names[n++] = "order_no";
            names[n++] = "ticket_id";
        }
        names[n++] = "provider_no";
    }
    names[n] = NULL;
}

/* Asks for each meaning of the key until one finds something. *ret_found is freed by the caller. */
static bool look_up(struct story *s, const char *key, const char *show, tf_json **ret_found)
{
    const char *names[4] = {all_digits(key) && strlen(key) < 7 ? "place_no" : "place", NULL};

    if (!show) names_of(key, names);
    for (size_t i = 0; names[i]; i++) {
        const char *path =
            tf_arena_printf(s->ctx.arena, "/v1/admin/orders:lookup?%s=%s%s%s", names[i], escaped(s->ctx.arena, key),
                            show ? "&show_id=" : "", show ? escaped(s->ctx.arena, show) : "");

        tf_json_freep(ret_found);
        *ret_found = NULL;
        if (!path || !story_call(s, "GET", path, s->operator_token, NULL, NULL, 0, ret_found)) return false;
        if (tf_json_size(tf_json_get(*ret_found, "orders"))) return true;
    }
    return true;
}

static void put_json(tf_buf *out, tf_arena *arena, const tf_json *value, bool first)
{
    size_t size;
    const char *text = tf_json_canonical(arena, value, &size);

    if (!first) tf_buf_putc(out, ',');
    tf_buf_append(out, text ? text : "null", text ? size : 4);
}

/* One page; *ret_next in the arena, "" at the end. */
static bool print_page(struct story *s, const char *order_no, const char *token, tf_buf *json, size_t *n, bool *whole,
                       const char **ret_next)
{
    tf_cleanup(tf_json_freep) tf_json *page = NULL;
    const char *path = tf_arena_printf(s->ctx.arena, "/v1/admin/orders/%s/timeline?page_size=200%s%s", order_no,
                                       *token ? "&page_token=" : "", escaped(s->ctx.arena, token));
    const tf_json *entries;

    if (!path || !story_call(s, "GET", path, s->operator_token, NULL, NULL, 0, &page)) return false;
    entries = tf_json_get(page, "entries");
    for (size_t i = 0; i < tf_json_size(entries); i++, (*n)++) {
        if (json)
            put_json(json, s->ctx.arena, tf_json_at(entries, i), *n == 0);
        else
            puts(render_entry(s->ctx.arena, tf_json_at(entries, i)));
    }
    if (tf_json_size(tf_json_get(page, "missing_parts"))) *whole = false;
    *ret_next = tf_arena_strdup(s->ctx.arena, tf_json_string(tf_json_get(page, "next_page_token"), ""));
    return *ret_next != NULL;
}

static bool print_timeline(struct story *s, const char *order_no, tf_buf *json, bool *ret_whole)
{
    const char *token = "";
    size_t n = 0;

    *ret_whole = true;
    do {
        if (!print_page(s, order_no, token, json, &n, ret_whole, &token)) return false;
    } while (*token && n < ENTRIES_MAX);
    if (*token) *ret_whole = false;
    return true;
}

static bool print_one(struct story *s, const tf_json *order, tf_buf *json)
{
    const char *order_no = tf_json_string(tf_json_get(order, "order_no"), "");
    bool whole, ok;

    if (json) {
        tf_buf_puts(json, "{\"order\":");
        put_json(json, s->ctx.arena, order, true);
        tf_buf_puts(json, ",\"entries\":[");
    } else {
        printf("%s\n\n", render_order(s->ctx.arena, order));
    }
    ok = print_timeline(s, order_no, json, &whole);
    if (json) tf_buf_printf(json, "],\"whole\":%s}", whole ? "true" : "false");
    if (ok && !whole) fputs("a part of the story is missing; ask again\n", stderr);
    return ok && whole;
}

bool story_order(struct story *s, const char *key, const char *show, bool as_json)
{
    tf_cleanup(tf_json_freep) tf_json *found = NULL;
    tf_cleanup(tf_buf_done) tf_buf json;
    const tf_json *orders;
    bool ok = true;
    size_t n;

    tf_buf_init(&json, JSON_MAX);
    if (!story_operator(s) || !look_up(s, key, show, &found)) return false;
    orders = tf_json_get(found, "orders");
    n = tf_json_size(orders);
    if (n == 0) {
        fprintf(stderr, "no order is found by '%s'\n", key);
        return false;
    }
    if (n == 1) {
        ok = print_one(s, tf_json_at(orders, 0), as_json ? &json : NULL);
    } else if (as_json) {
        tf_buf_puts(&json, "{\"orders\":");
        put_json(&json, s->ctx.arena, orders, true);
        tf_buf_puts(&json, "}");
    } else {
        for (size_t i = 0; i < n; i++)
            puts(render_order(s->ctx.arena, tf_json_at(orders, i)));
        if (*tf_json_string(tf_json_get(found, "next_page_token"), "")) puts("… and older ones");
    }
    if (as_json && json.size) printf("%.*s\n", (int)json.size, json.data);
    return ok;
}
