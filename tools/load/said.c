/* Reading orders, payments and problem documents. */
#include "tools/load/said.h"

#include "common/base/text.h"
#include "common/json/json.h"

enum { DEPTH_MAX = 16, MS_PER_S = 1000 };

static const char *text_of(tf_arena *arena, const tf_json *object, const char *name)
{
    return tf_arena_strdup(arena, tf_json_string(tf_json_get(object, name), NULL));
}

static bool read_order(tf_arena *arena, const tf_json *order, struct said *said)
{
    const tf_json *tickets = tf_json_get(order, "tickets");

    if (!tf_parse_int64(tf_json_string(tf_json_get(order, "order_no"), ""), &said->order_no) || said->order_no <= 0)
        return false;
    said->state = text_of(arena, order, "state");
    said->n_places = tf_json_size(tickets);
    if (!said->state || said->n_places == 0 || said->n_places > PLACES_MAX) return false;
    for (size_t i = 0; i < said->n_places; i++) {
        int64_t place = tf_json_int(tf_json_get(tf_json_at(tickets, i), "place_no"), -1);

        if (place < 0 || place > INT32_MAX) return false;
        said->places[i] = (int32_t)place;
    }
    return true;
}

bool said_ok(tf_arena *arena, enum op op, const char *body, size_t size, struct said *said)
{
    const char *error;
    tf_cleanup(tf_json_freep) tf_json *document = NULL;

    *said = (struct said){0};
    if (op == OP_PRESS) return true; /* a page for people */
    document = tf_json_parse(arena, body, size, DEPTH_MAX, &error);
    if (!document) return false;
    if (op != OP_PAY) return read_order(arena, tf_json_get(document, "order"), said);
    said->pay_url = text_of(arena, tf_json_get(document, "payment"), "pay_url");
    return said->pay_url && *said->pay_url;
}

void said_problem(tf_arena *arena, const char *body, size_t size, int retry_after_s, struct said *said)
{
    const char *error;
    tf_cleanup(tf_json_freep) tf_json *problem = tf_json_parse(arena, body, size, DEPTH_MAX, &error);
    int64_t ms = tf_json_int(tf_json_get(problem, "retry_after_ms"), 0);

    *said = (struct said){.reason = text_of(arena, problem, "reason")};
    said->retry_after_ms = ms > 0 ? ms : (int64_t)retry_after_s * MS_PER_S;
}
