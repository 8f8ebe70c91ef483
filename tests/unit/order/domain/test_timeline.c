/* An order's timeline: merged by time, in words, and what an order's row keeps of who made it. */
#include "services/order/domain/timeline.h"
#include "services/order/domain/trace.h"
#include "tests/unit/with_ctx.h"

#include <stdio.h>

enum { ENTRIES_MAX = 8 };

struct stamp {
    int64_t seconds;
    int32_t nanos;
    int64_t id;
    int rank;
};

static size_t make(tf_ctx *ctx, const struct stamp *stamps, HistoryEntry **entries)
{
    size_t n = 0;

    for (; stamps[n].id; n++) {
        entries[n] = TF_NEW(ctx->arena, HistoryEntry);
        *entries[n] = (HistoryEntry)HistoryEntry_init;
        entries[n]->time = TF_NEW(ctx->arena, Google__Protobuf__Timestamp);
        google__protobuf__timestamp__init(entries[n]->time);
        entries[n]->time->seconds = stamps[n].seconds;
        entries[n]->time->nanos = stamps[n].nanos;
        entries[n]->entry_id = stamps[n].id;
        entries[n]->rank = stamps[n].rank;
    }
    return n;
}

static void test_merge(void **state)
{
    static const struct {
        const char *name;
        struct stamp a[ENTRIES_MAX], b[ENTRIES_MAX];
        size_t n;
        const char *ids;
        bool more;
    } rows[] = {
        {"nothing", {{0}}, {{0}}, 3, "", false},
        {"one side is empty", {{1, 0, 7, 0}, {2, 0, 8, 0}}, {{0}}, 3, "7 8 ", false},
        {"the other is", {{0}}, {{1, 0, 7, 0}, {2, 0, 8, 0}}, 3, "7 8 ", false},
        {"in turns", {{1, 0, 1, 0}, {3, 0, 3, 0}}, {{2, 0, 2, 0}, {4, 0, 4, 0}}, 9, "1 2 3 4 ", false},
        {"by less than a second", {{1, 500, 1, 0}}, {{1, 499, 2, 0}}, 9, "2 1 ", false},
        {"at one moment by id", {{1, 0, 5, 9}}, {{1, 0, 4, 9}}, 9, "4 5 ", false},
        {"of one id by rank", {{1, 0, 5, 3}}, {{1, 0, 5, 2}, {1, 0, 6, 0}}, 9, "5 5 6 ", false},
        {"a full page", {{1, 0, 1, 0}, {3, 0, 3, 0}}, {{2, 0, 2, 0}}, 3, "1 2 3 ", false},
        {"more than a page", {{1, 0, 1, 0}, {3, 0, 3, 0}}, {{2, 0, 2, 0}}, 2, "1 2 ", true},
        {"the page ends with one side", {{1, 0, 1, 0}}, {{2, 0, 2, 0}}, 1, "1 ", true},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        HistoryEntry *a[ENTRIES_MAX], *b[ENTRIES_MAX], **entries;
        size_t n_a = make(ctx, rows[i].a, a), n_b = make(ctx, rows[i].b, b), n;
        char ids[ENTRIES_MAX * 4] = "", word[24];
        bool more;

        CHECK(timeline_merge(ctx->arena, a, n_a, b, n_b, rows[i].n, &entries, &n, &more), rows[i].name);
        for (size_t k = 0; k < n; k++) {
            snprintf(word, sizeof(word), "%lld ", (long long)entries[k]->entry_id);
            strcat(ids, word);
        }
        CHECK(strcmp(ids, rows[i].ids) == 0, rows[i].name);
        CHECK(more == rows[i].more, rows[i].name);
    }
}

/* Every kind has words in both languages, and none twice. */
static void test_words(void **state)
{
    static const char *const kinds[] = {
#define TIMELINE(kind, english, chinese) kind,
#include "services/order/domain/timeline_kinds.def"
#undef TIMELINE
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(kinds); i++) {
        const char *english = timeline_text(kinds[i], "en"), *chinese = timeline_text(kinds[i], "zh-CN");

        CHECK(*english && *chinese, kinds[i]);
        CHECK(strcmp(english, kinds[i]) != 0 && strcmp(chinese, english) != 0, kinds[i]);
        CHECK(tf_utf8_valid(chinese, strlen(chinese)), kinds[i]);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(kinds[i], kinds[j]) != 0, kinds[i]);
    }
    assert_string_equal(timeline_text("order.paid", "en"), "The order was paid");
    assert_string_equal(timeline_text("order.paid", "zh-CN"), "订单已支付");
    assert_string_equal(timeline_text("order.paid", "fr"), "The order was paid");
    assert_string_equal(timeline_text("of.tomorrow", "en"), "of.tomorrow");
}

static void test_trace(void **state)
{
    static const struct {
        const char *name;
        struct order_trace trace;
        const char *text;
    } rows[] = {
        {"as always", {"r-1", "order-2", 1, 2, 3}, "r-1 order-2 1 2 3"},
        {"no name", {"", "", 1, 2, 3}, "- - 1 2 3"},
        {"blanks in names", {"a b", "my order", 1, 2, 3}, "a_b my_order 1 2 3"},
        {"large numbers",
         {"r", "p", INT64_MAX, INT64_MAX, INT64_MAX},
         "r p 9223372036854775807 9223372036854775807 9223372036854775807"},
    };
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(rows); i++)
        CHECK(strcmp(order_trace_write(ctx->arena, &rows[i].trace), rows[i].text) == 0, rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_merge), TEST(test_words), TEST(test_trace)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
