/* Places in words, in the language that was asked for. */
#include "services/order/sale/sale.h"

#include <string.h>

enum { BARE_LABEL_MAX = 6 };

static bool chinese(const tf_ctx *ctx)
{
    return strncmp(ctx->language, "zh", 2) == 0;
}

const char *sale_text(const tf_ctx *ctx, const LocalizedTexts *texts)
{
    if (!texts || texts->n_texts == 0) return "";
    for (size_t i = 0; i < texts->n_texts; i++)
        if (strcmp(texts->texts[i]->language, ctx->language) == 0) return texts->texts[i]->text;
    for (size_t i = 0; i < texts->n_texts; i++) /* "en-GB" for "en" */
        if (strncmp(texts->texts[i]->language, ctx->language, 2) == 0) return texts->texts[i]->text;
    return texts->texts[0]->text;
}

/* "12", "A", "B7": a mere label, to which we add the word; "Row 12" and "12排" are the venue's own words. */
static bool bare(const char *label)
{
    size_t n = strlen(label);

    if (n == 0 || n > BARE_LABEL_MAX) return false;
    for (size_t i = 0; i < n; i++)
        if (!((label[i] >= '0' && label[i] <= '9') || (label[i] >= 'A' && label[i] <= 'Z') ||
              (label[i] >= 'a' && label[i] <= 'z')))
            return false;
    return true;
}

static const char *seat_label(tf_ctx *ctx, const SaleSegment *segment, int32_t place_no)
{
    int32_t i = place_no - segment->first_place_no;

    if (segment->n_labels) return tf_arena_strdup(ctx->arena, (size_t)i < segment->n_labels ? segment->labels[i] : "");
    return tf_arena_printf(ctx->arena, "%lld", (long long)segment->label_first + (long long)i * segment->label_step);
}

static const char *text_zh(tf_ctx *ctx, const struct place_words *words, bool standing)
{
    const char *row_word = bare(words->row) ? "排" : "";
    const char *seat_word = bare(words->seat) ? (standing ? "号" : "座") : "";

    return tf_arena_printf(ctx->arena, "%s %s%s%s%s", words->section, words->row, row_word, words->seat, seat_word);
}

static const char *text_en(tf_ctx *ctx, const struct place_words *words, bool standing)
{
    const char *row_word = bare(words->row) ? "row " : "";
    const char *seat_word = bare(words->seat) ? (standing ? "no. " : "seat ") : "";

    return tf_arena_printf(ctx->arena, "%s%s%s%s%s%s", words->section, *words->row ? ", " : "", row_word, words->row,
                           *words->seat ? ", " : "", tf_arena_printf(ctx->arena, "%s%s", seat_word, words->seat));
}

tf_code sale_place_words(tf_ctx *ctx, const struct sale *sale, int32_t place_no, struct place_words *ret_words)
{
    const SaleSegment *segment = sale_segment_of(sale, place_no);
    const struct sale_tier *tier = sale_tier_of(sale, place_no);
    const SaleSection *section;
    struct place_words words;

    if (!segment || !tier)
        return tf_fail(ctx, TF_INTERNAL, "show %lld has no place %d", (long long)sale->show_id, place_no);
    section = sale->snapshot->sections[segment->section];

    /* Copies: an answer outlives the caller's reference to the sale. */
    words.section = tf_arena_strdup(ctx->arena, sale_text(ctx, section->name));
    words.entrance = tf_arena_strdup(ctx->arena, sale_text(ctx, section->entrance));
    words.tier_name = tf_arena_strdup(ctx->arena, sale_text(ctx, tier->source->name));
    words.row = tf_arena_strdup(ctx->arena, segment->row);
    words.seat = seat_label(ctx, segment, place_no);
    if (!words.section || !words.entrance || !words.tier_name || !words.row || !words.seat)
        return tf_fail(ctx, TF_INTERNAL, "no memory for a place in words");
    words.text = (chinese(ctx) ? text_zh : text_en)(ctx, &words, tier->standing);
    if (!words.text) return tf_fail(ctx, TF_INTERNAL, "no memory for a place in words");

    *ret_words = words;
    return TF_OK;
}

/* Whether the text begins with the section's name in one of its languages: the others' places need not be spelled. */
static bool names_section(const SaleSection *section, const char *text)
{
    for (size_t i = 0; section->name && i < section->name->n_texts; i++)
        if (strncmp(text, section->name->texts[i]->text, strlen(section->name->texts[i]->text)) == 0) return true;
    return false;
}

/* ctx: with an arena of its own, emptied for each place, and the language to speak. */
static tf_code find_in(tf_ctx *ctx, const struct sale *sale, const char *text, int32_t *ret_place_no)
{
    struct place_words words;

    for (size_t i = 0; i < sale->snapshot->n_segments; i++) {
        const SaleSegment *segment = sale->snapshot->segments[i];

        if (!names_section(sale->snapshot->sections[segment->section], text) || !strstr(text, segment->row)) continue;
        for (int32_t place = segment->first_place_no; place < segment->first_place_no + segment->count; place++) {
            tf_code code;

            tf_arena_reset(ctx->arena);
            code = sale_place_words(ctx, sale, place, &words);
            if (code) return code;
            if (strcmp(words.text, text) == 0) {
                *ret_place_no = place;
                return TF_OK;
            }
        }
    }
    return TF_OK;
}

tf_code sale_place_find(tf_ctx *ctx, const struct sale *sale, const char *text, int32_t *ret_place_no)
{
    static const char *const languages[] = {"en", "zh-CN"};
    tf_cleanup(tf_ctx_done) tf_ctx words;
    tf_code code = TF_OK;

    *ret_place_no = 0;
    tf_ctx_init(&words, ctx->request_id, 0);
    for (size_t i = 0; i < TF_COUNT(languages) && !*ret_place_no && !code; i++) {
        words.language = languages[i];
        code = find_in(&words, sale, text, ret_place_no);
    }
    return code ? tf_fail(ctx, code, "the places of show %lld cannot be spelled", (long long)sale->show_id) : TF_OK;
}
