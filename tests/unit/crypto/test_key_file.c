/* Key files: what is refused, and that a made file is private, whole and not overwritten. */
#include "tests/unit/base/unit.h"

#include "common/crypto/crypto.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char path[128];

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/tf-test-key-XXXXXX");
    if (!mkdtemp(directory)) return -1;
    snprintf(path, sizeof(path), "%s/key", directory);
    return tf_crypto_init() ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory); /* fails when a draft was left behind */
}

static void write_key(size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char bytes[256];

    assert_true(fd >= 0 && size <= sizeof(bytes));
    memset(bytes, 'k', sizeof(bytes));
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void reading_checks_mode_and_size(void **state)
{
    static const struct {
        const char *name;
        size_t size;
        mode_t mode;
        tf_code code;
        const char *message; /* part of it */
    } rows[] = {
        {"exact", 32, 0600, TF_OK, NULL},
        {"read-only", 32, 0400, TF_OK, NULL},
        {"longer, fits", 64, 0600, TF_OK, NULL},
        {"group reads", 32, 0640, TF_FORBIDDEN, "mode 0640"},
        {"others read", 32, 0604, TF_FORBIDDEN, "mode 0604"},
        {"others write", 32, 0602, TF_FORBIDDEN, "mode 0602"},
        {"short", 31, 0600, TF_INTERNAL, "at least 32"},
        {"empty", 0, 0600, TF_INTERNAL, "at least 32"},
        {"too long", 65, 0600, TF_INTERNAL, "at most 64"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_cleanup(tf_ctx_done) tf_ctx ctx;
        unsigned char out[64] = {0};
        size_t size = 99;

        write_key(rows[i].size, rows[i].mode);
        tf_ctx_init(&ctx, rows[i].name, 0);
        CHECK(rows[i].name, tf_key_read(&ctx, path, 32, out, sizeof(out), &size) == rows[i].code);
        CHECK(rows[i].name, size == (rows[i].code ? 99 : rows[i].size));
        CHECK(rows[i].name, out[0] == (rows[i].code ? 0 : 'k'));
        if (rows[i].message) CHECK(rows[i].name, strstr(ctx.error.internal, rows[i].message));
        if (rows[i].message) CHECK(rows[i].name, strstr(ctx.error.internal, path));
        unlink(path);
    }
}

static void reading_names_what_is_no_file(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;
    unsigned char out[64];
    size_t size;

    (void)state;
    tf_ctx_init(&ctx, "r", 0);
    assert_int_equal(tf_key_read(&ctx, path, 32, out, sizeof(out), &size), TF_NOT_FOUND);
    tf_error_clear(&ctx);
    assert_int_equal(tf_key_read(&ctx, directory, 32, out, sizeof(out), &size), TF_INTERNAL);
    assert_non_null(strstr(ctx.error.internal, "not a plain file"));
    tf_error_clear(&ctx);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(tf_key_read(&ctx, path, 32, out, sizeof(out), &size), TF_INTERNAL);
    unlink(path);
}

static void a_made_key_is_private_and_stays(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;
    unsigned char first[64], second[64];
    size_t size = 0;
    struct stat st;
    mode_t mask = umask(0777); /* the worst one */

    (void)state;
    tf_ctx_init(&ctx, "r", 0);
    assert_int_equal(tf_key_make(&ctx, path, 48), TF_OK);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(tf_key_read(&ctx, path, 32, first, sizeof(first), &size), TF_OK);
    assert_int_equal(size, 48);

    assert_int_equal(tf_key_make(&ctx, path, 48), TF_ALREADY_EXISTS);
    tf_error_clear(&ctx);
    assert_int_equal(tf_key_read(&ctx, path, 32, second, sizeof(second), &size), TF_OK);
    assert_memory_equal(first, second, 48);

    unlink(path);
    assert_int_equal(tf_key_make(&ctx, path, 48), TF_OK);
    assert_int_equal(tf_key_read(&ctx, path, 32, second, sizeof(second), &size), TF_OK);
    assert_memory_not_equal(first, second, 48);
}

static void making_fails_cleanly_without_a_directory(void **state)
{
    tf_cleanup(tf_ctx_done) tf_ctx ctx;

    (void)state;
    tf_ctx_init(&ctx, "r", 0);
    assert_int_equal(tf_key_make(&ctx, "/nonexistent-directory/key", 32), TF_INTERNAL);
    assert_non_null(strstr(ctx.error.internal, "/nonexistent-directory/key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_checks_mode_and_size),
        cmocka_unit_test(reading_names_what_is_no_file),
        cmocka_unit_test(a_made_key_is_private_and_stays),
        cmocka_unit_test(making_fails_cleanly_without_a_directory),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
