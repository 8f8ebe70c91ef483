/* The published version's facts for a page. */
#include "services/program/domain/offered.h"

#include "services/program/domain/texts.h"

#include <string.h>

enum { OFFERED_BYTES_MAX = 1024 * 1024 };

static void put_int(tf_json_writer *w, const char *name, int64_t value)
{
    tf_json_key(w, name);
    tf_json_put_int(w, value);
}

static void tier_write(tf_json_writer *w, const struct publication *p, size_t i)
{
    const struct show_tier *tier = &p->show->tiers[i];

    tf_json_begin_object(w);
    tf_json_key(w, "name");
    texts_write(w, tier->name);
    put_int(w, "kind", p->painting->kinds[i]);
    tf_json_key(w, "color");
    tf_json_put_string(w, tier_color(p, i));
    put_int(w, "capacity", p->painting->capacities[i]);
    tf_json_key(w, "lines");
    tf_json_begin_array(w);
    for (size_t k = 0; k < tier->n_lines; k++) {
        tf_json_begin_object(w);
        put_int(w, "kind", tier->lines[k].kind);
        put_int(w, "amount", tier->lines[k].amount_minor);
        tf_json_end_object(w);
    }
    tf_json_end_array(w);
    tf_json_end_object(w);
}

const char *offered_write(tf_arena *arena, const struct publication *p)
{
    tf_cleanup(tf_buf_done) tf_buf out = {0};
    tf_json_writer w = {.out = &out};

    tf_buf_init(&out, OFFERED_BYTES_MAX);
    tf_json_begin_object(&w);
    put_int(&w, "attendee_rule", p->show->attendee_rule);
    put_int(&w, "account_limit", p->show->account_limit);
    put_int(&w, "order_limit", p->show->order_limit);
    put_int(&w, "hold_seconds", p->show->hold_seconds);
    put_int(&w, "choice_allowed", p->show->choice_allowed);
    tf_json_key(&w, "tiers");
    tf_json_begin_array(&w);
    for (size_t i = 0; i < p->show->n_tiers; i++)
        tier_write(&w, p, i);
    tf_json_end_array(&w);
    tf_json_end_object(&w);
    return out.broken ? NULL : tf_arena_strndup(arena, out.data, out.size);
}

static bool lines_read(tf_arena *arena, const tf_json *lines, Tier *tier)
{
    size_t n = TF_MIN(tf_json_size(lines), (size_t)PRICE_LINES_MAX);

    tier->price_lines = TF_NEW_ARRAY(arena, PriceLine *, n);
    if (!tier->price_lines) return false;
    for (size_t i = 0; i < n; i++) {
        const tf_json *value = tf_json_at(lines, i);
        PriceLine *line = tf_arena_alloc(arena, sizeof(*line));

        if (!line) return false;
        *line = (PriceLine)PriceLine_init;
        line->kind = (PriceKind)tf_json_int(tf_json_get(value, "kind"), 0);
        line->amount_minor = tf_json_int(tf_json_get(value, "amount"), 0);
        tier->price_lines[tier->n_price_lines++] = line;
        tier->price->amount_minor += line->amount_minor;
    }
    return true;
}

static Tier *tier_read(tf_arena *arena, const tf_json *value, int32_t number, const char *language,
                       const char *currency)
{
    Tier *tier = tf_arena_alloc(arena, sizeof(*tier));
    LocalizedTexts *name = texts_from_value(arena, tf_json_get(value, "name"));

    if (!tier || !name) return NULL;
    *tier = (Tier)Tier_init;
    tier->tier = number;
    tier->name = tf_arena_strdup(arena, texts_pick(name, language));
    tier->kind = (TierKind)tf_json_int(tf_json_get(value, "kind"), 0);
    tier->color = tf_arena_strdup(arena, tf_json_string(tf_json_get(value, "color"), ""));
    tier->capacity = (int32_t)tf_json_int(tf_json_get(value, "capacity"), 0);
    tier->price = tf_arena_alloc(arena, sizeof(*tier->price));
    if (!tier->price) return NULL;
    *tier->price = (Money)Money_init;
    tier->price->currency = tf_arena_strdup(arena, currency);
    return lines_read(arena, tf_json_get(value, "lines"), tier) ? tier : NULL;
}

bool offered_read(tf_arena *arena, const char *json, const char *language, const char *currency, Show *show)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    const tf_json *tiers;
    const char *error;
    size_t n;

    if (json) document = tf_json_parse(arena, json, strlen(json), 0, &error);
    if (!document) return false;
    show->attendee_rule = (AttendeeRule)tf_json_int(tf_json_get(document, "attendee_rule"), 0);
    show->account_limit = (int32_t)tf_json_int(tf_json_get(document, "account_limit"), 0);
    show->order_limit = (int32_t)tf_json_int(tf_json_get(document, "order_limit"), 0);
    show->hold_seconds = (int32_t)tf_json_int(tf_json_get(document, "hold_seconds"), 0);
    show->choice_allowed = tf_json_int(tf_json_get(document, "choice_allowed"), 0) != 0;
    tiers = tf_json_get(document, "tiers");
    n = TF_MIN(tf_json_size(tiers), (size_t)SHOW_TIERS_MAX);
    show->tiers = TF_NEW_ARRAY(arena, Tier *, n);
    if (!show->tiers) return false;
    for (size_t i = 0; i < n; i++) {
        show->tiers[i] = tier_read(arena, tf_json_at(tiers, i), (int32_t)i + 1, language, currency);
        if (!show->tiers[i]) return false;
        show->n_tiers++;
    }
    return !tf_arena_exhausted(arena);
}
