/* Secret files: who may read them, their sizes; and the password's way into a connection string. */
#include "tests/unit/base/unit.h"

#include "common/chassis/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/tf-test-secret-XXXXXX";
static tf_arena *arena;

static int file_make(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    arena = tf_arena_new(1024 * 1024);
    if (fd < 0 || !arena) return -1;
    return close(fd);
}

static int file_remove(void **state)
{
    (void)state;
    tf_arena_free(arena);
    return unlink(path);
}

static void file_write(const void *content, size_t size, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_secret(void **state)
{
    static const struct {
        const char *row, *content;
        mode_t mode;
        const char *secret, *error;
    } cases[] = {
        {"plain", "geheim", 0600, "geheim", NULL},
        {"newline at the end", "geheim\n", 0600, "geheim", NULL},
        {"newlines at the end", "geheim\r\n\n", 0400, "geheim", NULL},
        {"inner newline", "a\nb\n", 0600, "a\nb", NULL},
        {"a group may read", "geheim", 0640, "geheim", NULL},
        {"a group may write", "geheim", 0620, NULL, "is open to others"},
        {"all may read", "geheim", 0604, NULL, "is open to others"},
        {"empty", "", 0600, NULL, "is empty"},
        {"newline only", "\n", 0600, NULL, "is empty"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        const char *error = NULL;
        char *secret = NULL;
        size_t size = 0;
        tf_code code;

        file_write(cases[i].content, strlen(cases[i].content), cases[i].mode);
        code = tf_secret_read(arena, path, &secret, &size, &error);
        if (cases[i].secret) {
            CHECK(cases[i].row, code == TF_OK && size == strlen(cases[i].secret));
            CHECK_TEXT(cases[i].row, secret, cases[i].secret);
        } else {
            CHECK(cases[i].row, code == TF_FIELD_INVALID && strstr(error, cases[i].error) && strstr(error, path));
        }
    }
}

static void test_secret_places(void **state)
{
    static char large[TF_SECRET_BYTES_MAX + 1];
    const char *error = NULL;
    char *secret;
    size_t size;

    (void)state;
    memset(large, 'x', sizeof(large));
    file_write(large, sizeof(large), 0600);
    assert_int_equal(tf_secret_read(arena, path, &secret, &size, &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "larger than"));
    file_write(large, sizeof(large) - 1, 0600);
    assert_int_equal(tf_secret_read(arena, path, &secret, &size, &error), TF_OK);
    assert_int_equal(size, TF_SECRET_BYTES_MAX);

    assert_int_equal(tf_secret_read(arena, "/nonexistent", &secret, &size, &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "/nonexistent: cannot be read"));
    assert_int_equal(tf_secret_read(arena, "/dev/null", &secret, &size, &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "is not a regular file"));
}

static void test_identity_key(void **state)
{
    static const struct {
        const char *row;
        size_t size;
        bool good;
    } cases[] = {{"31 bytes", 31, false}, {"32 bytes", 32, true}, {"64 bytes", 64, true}, {"65 bytes", 65, false}};
    char content[80];

    (void)state;
    memset(content, 'k', sizeof(content));
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        struct tf_identity_key key = {.size = 0};
        const char *error = NULL;

        file_write(content, cases[i].size, 0600);
        CHECK(cases[i].row, (tf_identity_key_read(arena, path, &key, &error) == TF_OK) == cases[i].good);
        CHECK(cases[i].row, key.size == (cases[i].good ? cases[i].size : 0));
        CHECK(cases[i].row, !cases[i].good || memcmp(key.secret, content, cases[i].size) == 0);
    }
}

static void test_dsn(void **state)
{
    static const struct {
        const char *row, *dsn, *password, *result;
    } cases[] = {
        {"keywords", "host=h dbname=d", "geheim", "host=h dbname=d password='geheim'"},
        {"quote and backslash", "host=h", "a'b\\c", "host=h password='a\\'b\\\\c'"},
        {"blank", "host=h", "a b", "host=h password='a b'"},
        {"URI", "postgresql://u@h/d", "geheim", "postgresql://u@h/d?password=geheim"},
        {"URI with parameters", "postgres://u@h/d?sslmode=require", "x", "postgres://u@h/d?sslmode=require&password=x"},
        {"URI, special characters", "postgresql:///d", "a&b=c/%\xc3\xa4~",
         "postgresql:///d?password=a%26b%3Dc%2F%25%C3%A4~"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++)
        CHECK_TEXT(cases[i].row, tf_dsn_with_password(arena, cases[i].dsn, cases[i].password), cases[i].result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_secret_places),
        cmocka_unit_test(test_identity_key),
        cmocka_unit_test(test_dsn),
    };

    return cmocka_run_group_tests(tests, file_make, file_remove);
}
