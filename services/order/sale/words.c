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
