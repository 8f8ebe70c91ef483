/* Localised texts. */
#include "services/program/domain/texts.h"

#include <string.h>
#include <strings.h>

enum { TEXTS_BYTES_MAX = 1024 * 1024 };

static int language_rank(const char *language)
{
    if (strcmp(language, "zh-CN") == 0) return 0;
    return strcmp(language, "en") == 0 ? 1 : 2;
}

static int texts_compare(const void *a, const void *b)
{
    const LocalizedText *left = *(LocalizedText *const *)a, *right = *(LocalizedText *const *)b;
    int by_rank = language_rank(left->language) - language_rank(right->language);

    return by_rank ? by_rank : strcmp(left->language, right->language);
}

void texts_sort(LocalizedTexts *texts)
{
    if (texts->n_texts > 1) qsort(texts->texts, texts->n_texts, sizeof(texts->texts[0]), texts_compare);
}

static size_t primary_length(const char *language)
{
    return strcspn(language, "-");
}

const char *texts_pick(const LocalizedTexts *texts, const char *language)
{
    size_t primary = primary_length(language);

    if (!texts || texts->n_texts == 0) return "";
    for (size_t i = 0; i < texts->n_texts; i++)
        if (strcasecmp(texts->texts[i]->language, language) == 0) return texts->texts[i]->text;
    for (size_t i = 0; i < texts->n_texts; i++) {
        const char *candidate = texts->texts[i]->language;

        if (primary_length(candidate) == primary && strncasecmp(candidate, language, primary) == 0)
            return texts->texts[i]->text;
    }
    return texts->texts[0]->text;
}

/* Room for n texts; n_texts stays 0. */
static LocalizedTexts *texts_new(tf_arena *arena, size_t n)
{
    LocalizedTexts *texts = tf_arena_alloc(arena, sizeof(*texts));

    if (!texts) return NULL;
    *texts = (LocalizedTexts)LocalizedTexts_init;
    texts->texts = TF_NEW_ARRAY(arena, LocalizedText *, n);
    return texts->texts ? texts : NULL;
}

static bool texts_append(tf_arena *arena, LocalizedTexts *texts, const char *language, const char *value)
{
    LocalizedText *text = tf_arena_alloc(arena, sizeof(*text));

    if (!text) return false;
    *text = (LocalizedText)LocalizedText_init;
    text->language = tf_arena_strdup(arena, language);
    text->text = tf_arena_strdup(arena, value);
    if (!text->language || !text->text) return false;
    texts->texts[texts->n_texts++] = text;
    return true;
}

LocalizedTexts *texts_plain(tf_arena *arena, const char *text)
{
    LocalizedTexts *texts = texts_new(arena, 1);

    return texts && texts_append(arena, texts, "und", text) ? texts : NULL;
}

bool texts_equal(const LocalizedTexts *a, const LocalizedTexts *b)
{
    size_t n = a ? a->n_texts : 0;

    if (n != (b ? b->n_texts : 0)) return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(a->texts[i]->language, b->texts[i]->language) != 0 ||
            strcmp(a->texts[i]->text, b->texts[i]->text) != 0)
            return false;
    return true;
}

void texts_write(tf_json_writer *w, const LocalizedTexts *texts)
{
    tf_json_begin_object(w);
    for (size_t i = 0; texts && i < texts->n_texts; i++) {
        tf_json_key(w, texts->texts[i]->language);
        tf_json_put_string(w, texts->texts[i]->text);
    }
    tf_json_end_object(w);
}

const char *texts_to_json(tf_arena *arena, const LocalizedTexts *texts)
{
    tf_cleanup(tf_buf_done) tf_buf out = {0};
    tf_json_writer w = {.out = &out};

    tf_buf_init(&out, TEXTS_BYTES_MAX);
    texts_write(&w, texts);
    return out.broken ? NULL : tf_arena_strndup(arena, out.data, out.size);
}

LocalizedTexts *texts_from_value(tf_arena *arena, const tf_json *value)
{
    bool is_object = tf_json_type(value) == TF_JSON_OBJECT;
    size_t n = is_object ? TF_MIN(tf_json_size(value), (size_t)TEXT_LANGUAGES_MAX) : 0;
    LocalizedTexts *texts = texts_new(arena, n);

    if (!texts) return NULL;
    for (size_t i = 0; i < n; i++) {
        const tf_json *text;
        const char *language = tf_json_member(value, i, &text);

        if (tf_json_type(text) != TF_JSON_STRING) continue;
        if (!texts_append(arena, texts, language, tf_json_string(text, ""))) return NULL;
    }
    texts_sort(texts);
    return texts;
}

LocalizedTexts *texts_from_json(tf_arena *arena, const char *json)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    const char *error;

    if (json) document = tf_json_parse(arena, json, strlen(json), 0, &error);
    return texts_from_value(arena, document);
}
