/* Arena and buffer: ceilings, alignment, what is kept and what is forgotten. */
#include "tests/unit/base/unit.h"

#include "common/base/arena.h"
#include "common/base/buf.h"

static void arena_allocates_aligned_and_separate(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 4000, 4096, 70000, 300000, 3};
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    unsigned char *p[TF_COUNT(sizes)];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(sizes); i++) {
        p[i] = tf_arena_alloc(arena, sizes[i]);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < TF_COUNT(sizes); i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(p[i][k], i + 1);
    assert_false(tf_arena_exhausted(arena));
}

static void arena_stops_at_its_ceiling(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1024);

    (void)state;
    assert_non_null(tf_arena_alloc(arena, 1000));
    assert_int_equal(tf_arena_used(arena), 1008);
    assert_null(tf_arena_alloc(arena, 17));
    assert_true(tf_arena_exhausted(arena));
    assert_non_null(tf_arena_alloc(arena, 16)); /* what fits still fits */
    assert_null(tf_arena_alloc(arena, 0));      /* takes its place too */
    assert_true(tf_arena_exhausted(arena));

    tf_arena_reset(arena);
    assert_false(tf_arena_exhausted(arena));
    assert_int_equal(tf_arena_used(arena), 0);
    assert_non_null(tf_arena_alloc(arena, 1024));
}

static void arena_refuses_sizes_that_overflow(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(SIZE_MAX);
    volatile size_t huge = SIZE_MAX; /* hides the constant from the compiler's own warning */

    (void)state;
    assert_null(tf_arena_alloc(arena, huge));
    assert_null(tf_arena_alloc(arena, huge - 14));
    assert_null(tf_arena_calloc(arena, huge / 2, 3));
    assert_null(tf_arena_strndup(arena, "x", huge));
    assert_true(tf_arena_exhausted(arena));
}

static void arena_copies_texts(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(64 * 1024);
    char *zeros, *big;

    (void)state;
    assert_null(tf_arena_strdup(arena, NULL));
    assert_string_equal(tf_arena_strdup(arena, ""), "");
    assert_string_equal(tf_arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(tf_arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    big = tf_arena_printf(arena, "%1000d|", 1); /* longer than the first try */
    assert_int_equal(strlen(big), 1001);
    zeros = tf_arena_calloc(arena, 100, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(zeros[i], 0);
    assert_null(tf_arena_printf(arena, "%70000d", 1));
    assert_true(tf_arena_exhausted(arena));
}

static void arena_free_accepts_null(void **state)
{
    tf_arena *none = NULL;

    (void)state;
    tf_arena_free(NULL);
    tf_arena_freep(&none);
}

static void arena_serves_many_rounds(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);

    (void)state;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 500; i++)
            memset(tf_arena_alloc(arena, (size_t)i * 3), round, (size_t)i * 3);
        tf_arena_reset(arena);
    }
}

static void buffer_grows_and_ends_with_nul(void **state)
{
    tf_cleanup(tf_buf_done) tf_buf buf;

    (void)state;
    tf_buf_init(&buf, 100000);
    for (int i = 0; i < 1000; i++)
        tf_buf_printf(&buf, "%04d ", i);
    tf_buf_puts(&buf, "end");
    tf_buf_putc(&buf, '!');
    tf_buf_append(&buf, "\0x", 2);
    assert_false(buf.broken);
    assert_int_equal(buf.size, 5000 + 6);
    assert_memory_equal(buf.data + 4990, "0998 0999 end!\0x", 17 - 1 + 0);
    assert_int_equal(buf.data[buf.size], 0);
}

static void buffer_breaks_at_its_ceiling(void **state)
{
    tf_cleanup(tf_buf_done) tf_buf buf;

    (void)state;
    tf_buf_init(&buf, 10);
    tf_buf_puts(&buf, "0123456789");
    assert_false(buf.broken);
    assert_string_equal(buf.data, "0123456789");
    tf_buf_putc(&buf, 'x');
    assert_true(buf.broken);
    tf_buf_clear(&buf);
    assert_string_equal(buf.data, "");
    tf_buf_puts(&buf, "abc");
    tf_buf_printf(&buf, "%s", "too long for it");
    assert_true(buf.broken);
    assert_string_equal(buf.data, "abc"); /* all or nothing */
    tf_buf_puts(&buf, "d");
    assert_string_equal(buf.data, "abc"); /* nothing after a failure */
}

static void buffer_is_reusable_after_done(void **state)
{
    tf_buf buf, zeroed = {0};

    (void)state;
    tf_buf_init(&buf, 300);
    tf_buf_puts(&buf, "");
    assert_string_equal(buf.data, "");
    tf_buf_done(&buf);
    assert_null(buf.data);
    for (int i = 0; i < 300; i++)
        tf_buf_putc(&buf, 'a');
    assert_false(buf.broken);
    tf_buf_putc(&buf, 'a');
    assert_true(buf.broken);
    tf_buf_done(&buf);
    tf_buf_done(&buf);
    tf_buf_done(&zeroed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_allocates_aligned_and_separate),
        cmocka_unit_test(arena_stops_at_its_ceiling),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arena_copies_texts),
        cmocka_unit_test(arena_free_accepts_null),
        cmocka_unit_test(arena_serves_many_rounds),
        cmocka_unit_test(buffer_grows_and_ends_with_nul),
        cmocka_unit_test(buffer_breaks_at_its_ceiling),
        cmocka_unit_test(buffer_is_reusable_after_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
