/* Streams: rests between deliveries, entries and pending rows out of replies. */
#include "tests/unit/with_ctx.h"

#include "common/redis/reply.h"
#include "common/redis/stream_batch.h"

static void rests_double_up_to_a_minute(void **state)
{
    static const struct {
        int base, deliveries;
        int64_t rest;
    } rows[] = {
        {500, 1, 500}, {500, 2, 1000},    {500, 3, 2000},    {500, 8, 60000},
        {500, 0, 500}, {60000, 1, 60000}, {90000, 1, 60000}, {1, INT32_MAX, 60000},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        assert_int_equal(tf_stream_rest_ms(rows[i].base, rows[i].deliveries), rows[i].rest);
}

/* ---- building replies ------------------------------------------------------------------------------------------ */

static tf_redis_reply *text(const char *s)
{
    return tf_redis_reply_text(TF_REDIS_STRING, s, strlen(s));
}
static tf_redis_reply *number(int64_t n)
{
    return tf_redis_reply_new(TF_REDIS_INT, n);
}
static tf_redis_reply *list(size_t n, tf_redis_reply **items)
{
    tf_redis_reply *reply = tf_redis_reply_array(n);

    memcpy(reply->items, items, n * sizeof(items[0]));
    return reply;
}
#define LIST(...)                                                                                                      \
    list(sizeof((tf_redis_reply *[]){__VA_ARGS__}) / sizeof(tf_redis_reply *), (tf_redis_reply *[]){__VA_ARGS__})

static void entries_are_read(void **state)
{
    tf_redis_reply *reply = LIST(LIST(
        text("s"), LIST(LIST(text("1-0"), LIST(text("d"), text("one"))),                       /* ours */
                        LIST(text("2-0"), LIST(text("x"), text("y"), text("d"), text("two"))), /* another field first */
                        tf_redis_reply_new(TF_REDIS_NIL, 0),                                   /* deleted */
                        LIST(text("3-0"), tf_redis_reply_new(TF_REDIS_NIL, 0)),                /* without fields */
                        LIST(text("4-0"), LIST(text("d"), text("four"))))));
    static const struct {
        const char *id, *data;
    } expected[] = {{"1-0", "one"}, {"2-0", "two"}, {"3-0", ""}, {"4-0", "four"}};
    struct tf_stream_entry entries[8];
    const tf_redis_reply *read = tf_stream_read_list(reply);
    size_t n;

    (void)state;
    assert_non_null(read);
    n = tf_stream_entries(read, 3, entries, 0, TF_COUNT(entries));
    assert_int_equal(n, TF_COUNT(expected));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(entries[i].id, expected[i].id);
        assert_string_equal(entries[i].data, expected[i].data);
        assert_int_equal(entries[i].size, strlen(expected[i].data));
        assert_int_equal(entries[i].deliveries, 3);
    }
    assert_int_equal(tf_stream_entries(read, 1, entries, 6, TF_COUNT(entries)), 8); /* no more than there is room for */
    tf_redis_reply_free(reply);
}

static void nothing_read_is_no_list(void **state)
{
    tf_redis_reply *replies[] = {tf_redis_reply_new(TF_REDIS_NIL, 0), tf_redis_reply_array(0), LIST(text("odd")),
                                 LIST(LIST(text("s")))};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(replies); i++) {
        assert_null(tf_stream_read_list(replies[i]));
        tf_redis_reply_free(replies[i]);
    }
}

static void pending_rows_are_read(void **state)
{
    tf_redis_reply *reply = LIST(LIST(text("1-0"), text("me"), number(1500), number(2)), LIST(text("odd")),
                                 LIST(text("2-0"), text("other"), number(0), number(INT64_MAX)));
    struct tf_stream_pending rows[4];

    (void)state;
    assert_int_equal(tf_stream_pendings(reply, rows, TF_COUNT(rows)), 2);
    assert_string_equal(rows[0].id, "1-0");
    assert_string_equal(rows[0].consumer, "me");
    assert_int_equal(rows[0].idle_ms, 1500);
    assert_int_equal(rows[0].deliveries, 2);
    assert_int_equal(rows[1].deliveries, INT32_MAX - 1);
    assert_int_equal(tf_stream_pendings(reply, rows, 1), 1);
    tf_redis_reply_free(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rests_double_up_to_a_minute),
        cmocka_unit_test(entries_are_read),
        cmocka_unit_test(nothing_read_is_no_list),
        cmocka_unit_test(pending_rows_are_read),
    };

    return cmocka_run_group_tests_name("redis stream", tests, NULL, NULL);
}
