/* What is compressed comes back, and what is no compressed data is refused. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "common/zip/zip.h"

#include <pthread.h>

enum { ROOM = 4 * 1024 * 1024, LARGE = 1024 * 1024 };

static void *text_new(tf_arena *arena, size_t size)
{
    char *text = tf_arena_alloc(arena, size);

    for (size_t i = 0; i < size; i++)
        text[i] = "{\"show_id\":\"12345\",\"places\":"[(i * i / 7) % 27];
    return text;
}

static void round_trips(void **state)
{
    static const struct {
        const char *name;
        size_t size;
    } rows[] = {
        {"nothing", 0}, {"a byte", 1}, {"a small answer", 900}, {"an answer", 20480}, {"more than a window", LARGE}};
    static const enum tf_gzip_level levels[] = {TF_GZIP_FAST, TF_GZIP_BEST, TF_GZIP_FAST};

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++)
        for (size_t level = 0; level < TF_COUNT(levels); level++) {
            tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ROOM);
            void *text = text_new(arena, rows[i].size), *zip, *back;
            size_t zipped, size;

            zip = tf_gzip(arena, text, rows[i].size, levels[level], &zipped);
            CHECK(rows[i].name, zip != NULL);
            CHECK(rows[i].name, rows[i].size < 900 || zipped < rows[i].size / 2);
            back = tf_gunzip(arena, zip, zipped, LARGE, &size);
            CHECK(rows[i].name, back != NULL && size == rows[i].size && memcmp(back, text, size) == 0);
        }
}

static void same_in_same_out(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ROOM);
    void *text = text_new(arena, 5000), *first, *other, *again;
    size_t n_first, n_other, n_again;

    (void)state;
    first = tf_gzip(arena, text, 5000, TF_GZIP_FAST, &n_first);
    other = tf_gzip(arena, text, 77, TF_GZIP_FAST, &n_other); /* the kept stream forgets what it has seen */
    again = tf_gzip(arena, text, 5000, TF_GZIP_FAST, &n_again);
    assert_true(first && other && again && n_first == n_again);
    assert_memory_equal(first, again, n_first);
}

static void refused(void **state)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ROOM), *small = tf_arena_new(64);
    size_t zipped, size;
    char *zip = tf_gzip(arena, "one line, one line", 18, TF_GZIP_BEST, &zipped), *longer, *text;

    (void)state;
    assert_non_null(zip);
    longer = tf_arena_calloc(arena, zipped + 1, 1);
    memcpy(longer, zip, zipped);
    assert_null(tf_gunzip(arena, longer, zipped + 1, LARGE, &size)); /* something behind it */
    assert_null(tf_gunzip(arena, zip, zipped - 1, LARGE, &size));
    assert_null(tf_gunzip(arena, zip, zipped, 17, &size)); /* larger than was allowed */
    assert_null(tf_gunzip(arena, "no gzip at all, just words", 26, LARGE, &size));
    longer[zipped / 2] ^= 1;
    assert_null(tf_gunzip(arena, longer, zipped, LARGE, &size));
    text = text_new(arena, 900);
    assert_null(tf_gzip(small, text, 900, TF_GZIP_FAST, &size));
    assert_null(tf_gzip(small, text, 900, TF_GZIP_BEST, &size));
    assert_non_null(tf_gzip(arena, text, 900, TF_GZIP_FAST, &size)); /* a failure leaves no mark on the kept stream */
}

static void *compress_much(void *failed)
{
    for (int i = 0; i < 50; i++) {
        tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(ROOM);
        void *text = text_new(arena, 3000), *back;
        size_t zipped, size;
        void *zip = tf_gzip(arena, text, 3000, TF_GZIP_FAST, &zipped);

        back = zip ? tf_gunzip(arena, zip, zipped, 3000, &size) : NULL;
        if (!back || size != 3000 || memcmp(back, text, size) != 0) *(bool *)failed = true;
    }
    return NULL;
}

static void threads_keep_their_own(void **state)
{
    pthread_t threads[4];
    bool failed[4] = {false};

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, compress_much, &failed[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_false(failed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(same_in_same_out),
        cmocka_unit_test(refused),
        cmocka_unit_test(threads_keep_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
