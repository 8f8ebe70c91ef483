/* Replies: copies are deep, whole and the caller's own. */
#include "tests/unit/with_ctx.h"

#include "common/redis/reply.h"

static bool same(const tf_redis_reply *a, const tf_redis_reply *b)
{
    if (a == b || a->type != b->type || a->integer != b->integer || a->size != b->size || a->n_items != b->n_items)
        return false;
    if (!a->text != !b->text || (a->text && (a->text == b->text || memcmp(a->text, b->text, a->size + 1) != 0)))
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (!same(a->items[i], b->items[i])) return false;
    return true;
}

static tf_redis_reply *nil(void)
{
    return tf_redis_reply_new(TF_REDIS_NIL, 0);
}
static tf_redis_reply *integer(void)
{
    return tf_redis_reply_new(TF_REDIS_INT, INT64_MIN);
}
static tf_redis_reply *status(void)
{
    return tf_redis_reply_text(TF_REDIS_STATUS, "OK", 2);
}
static tf_redis_reply *error(void)
{
    return tf_redis_reply_text(TF_REDIS_ERROR, "ERR no", 6);
}
static tf_redis_reply *binary(void)
{
    return tf_redis_reply_text(TF_REDIS_STRING, "a\0b", 3);
}
static tf_redis_reply *empty_text(void)
{
    return tf_redis_reply_text(TF_REDIS_STRING, "", 0);
}
static tf_redis_reply *empty_array(void)
{
    return tf_redis_reply_array(0);
}
static tf_redis_reply *nested(void)
{
    tf_redis_reply *outer = tf_redis_reply_array(3), *inner = tf_redis_reply_array(2);

    inner->items[0] = binary();
    inner->items[1] = nil();
    outer->items[0] = integer();
    outer->items[1] = inner;
    outer->items[2] = empty_array();
    return outer;
}

static const struct {
    const char *name;
    tf_redis_reply *(*make)(void);
} kinds[] = {
    {"nil", nil},       {"integer", integer},       {"status", status},           {"error", error},
    {"binary", binary}, {"empty text", empty_text}, {"empty array", empty_array}, {"nested", nested},
};

static void copies_equal_their_originals(void **state)
{
    tf_ctx *ctx = *state;

    for (size_t i = 0; i < TF_COUNT(kinds); i++) {
        tf_redis_reply *reply = kinds[i].make(), *again = kinds[i].make();
        tf_redis_reply *copy = tf_redis_reply_copy(ctx->arena, reply);

        CHECK(copy && same(copy, reply), kinds[i].name);
        tf_redis_reply_free(reply); /* nothing of the copy goes with it */
        CHECK(same(copy, again), kinds[i].name);
        tf_redis_reply_free(again);
    }
}

static void what_does_not_fit_is_not_copied(void **state)
{
    tf_arena *small = tf_arena_new(256);
    tf_redis_reply *reply = tf_redis_reply_array(100);

    (void)state;
    for (size_t i = 0; i < reply->n_items; i++)
        reply->items[i] = integer();
    assert_null(tf_redis_reply_copy(small, reply));
    tf_redis_reply_free(reply);
    tf_arena_free(small);
}

static void half_an_array_can_be_freed(void **state)
{
    tf_redis_reply *reply = tf_redis_reply_array(3);

    (void)state;
    reply->items[0] = nested();
    tf_redis_reply_free(reply);
    tf_redis_reply_free(NULL);
}

static void arrays_are_bounded(void **state)
{
    (void)state;
    assert_null(tf_redis_reply_array((size_t)TF_REDIS_ITEMS_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_equal_their_originals),
        TEST(what_does_not_fit_is_not_copied),
        TEST(half_an_array_can_be_freed),
        TEST(arrays_are_bounded),
    };

    return cmocka_run_group_tests_name("redis reply", tests, NULL, NULL);
}
