/* Which files of a directory become pictures, and what is kept of them. */
#include "tests/unit/base/unit.h"

#include "common/base/macros.h"
#include "common/crypto/crypto.h"
#include "gateway/pictures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/tf-pictures-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[300];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void file_put(const char *name, const char *text, off_t size)
{
    int fd = open(path_of(name), O_CREAT | O_WRONLY | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    if (size) assert_int_equal(ftruncate(fd, size), 0); /* a hole: large without being written */
    close(fd);
}

static int directory_make(void **state)
{
    (void)state;
    return tf_crypto_init() && mkdtemp(directory) ? 0 : -1;
}

static int directory_empty(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s", directory, directory);
    return system(command);
}

static int directory_remove(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void names(void **state)
{
    static const struct {
        const char *name, *type;
    } rows[] = {
        {"swan-lake.svg", "image/svg+xml"},
        {"2.png", "image/png"},
        {"a-1.jpg", "image/jpeg"},
        {"b.webp", "image/webp"},
        {"-.svg", "image/svg+xml"},
        {".svg", NULL},
        {"a.gif", NULL},
        {"a.html", NULL},
        {"a.svg.gz", NULL},
        {"a.b.svg", NULL},
        {"A.svg", NULL},
        {"a_b.svg", NULL},
        {"a.SVG", NULL},
        {"a", NULL},
        {"", NULL},
        {"a.", NULL},
        {"../a.svg", NULL},
        {"a/b.svg", NULL},
        {"%61.svg", NULL},
        {"票.svg", NULL},
        {"a.svg ", NULL},
    };
    char longest[PICTURE_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        const char *type = picture_type(rows[i].name);

        if (rows[i].type)
            CHECK_TEXT(rows[i].name, type, rows[i].type);
        else
            CHECK(rows[i].name, type == NULL);
    }
    memset(longest, 'a', sizeof longest);
    memcpy(longest + PICTURE_NAME_MAX - 4, ".svg", 5);
    assert_non_null(picture_type(longest));
    memcpy(longest + PICTURE_NAME_MAX - 3, ".svg", 5);
    longest[PICTURE_NAME_MAX - 4] = 'a';
    assert_null(picture_type(longest));
}

static void what_is_served(void **state)
{
    char svg[2000];
    const struct picture *picture;
    pictures *p;

    (void)state;
    memset(svg, ' ', sizeof svg);
    memcpy(svg, "<svg/>", 6);
    svg[sizeof svg - 1] = '\0';
    file_put("text.svg", svg, 0);
    file_put("tiny.svg", "<svg/>", 0);
    file_put("b.png", "PNG", 0);
    file_put("a.jpg", "JPG", 0);
    file_put("limit.webp", "", PICTURE_BYTES_MAX);
    file_put("over.webp", "", PICTURE_BYTES_MAX + 1);
    file_put("empty.png", "", 0);
    file_put("README.md", "words", 0);
    file_put(".hidden.svg", "<svg/>", 0);
    assert_int_equal(mkfifo(path_of("pipe.png"), 0644), 0);
    assert_int_equal(mkdir(path_of("folder.png"), 0755), 0);
    assert_int_equal(symlink("nowhere", path_of("dangling.png")), 0);
    assert_int_equal(symlink("b.png", path_of("link.png")), 0);
    p = pictures_load(directory);
    assert_non_null(p);
    assert_int_equal(pictures_count(p), 6);

    picture = pictures_find(p, "b.png");
    assert_non_null(picture);
    assert_string_equal(picture->type, "image/png");
    assert_int_equal(picture->plain.size, 3);
    assert_memory_equal(picture->plain.data, "PNG", 3);
    assert_null(picture->gzip.data);
    assert_string_equal(picture->plain.etag, pictures_find(p, "link.png")->plain.etag);
    assert_string_not_equal(picture->plain.etag, pictures_find(p, "a.jpg")->plain.etag);
    assert_null(pictures_find(p, "tiny.svg")->gzip.data); /* would grow */

    picture = pictures_find(p, "text.svg");
    assert_non_null(picture->gzip.data);
    assert_true(picture->gzip.size < 100);
    assert_string_not_equal(picture->plain.etag, picture->gzip.etag);
    assert_int_equal(picture->plain.etag[0], '"');
    assert_int_equal(picture->plain.etag[strlen(picture->plain.etag) - 1], '"');

    assert_int_equal(pictures_find(p, "limit.webp")->plain.size, PICTURE_BYTES_MAX);
    assert_null(pictures_find(p, "over.webp"));
    assert_null(pictures_find(p, "pipe.png"));
    assert_null(pictures_find(p, "README.md"));
    assert_null(pictures_find(p, ""));
    assert_null(pictures_find(p, "../text.svg"));
    pictures_free(p);
}

static void bounded_in_all(void **state)
{
    enum { FULL = PICTURES_BYTES_MAX / PICTURE_BYTES_MAX };
    pictures *p;
    char name[32];

    (void)state;
    for (int i = 0; i < FULL + 2; i++) {
        snprintf(name, sizeof name, "p%02d.png", i);
        file_put(name, "", PICTURE_BYTES_MAX);
    }
    p = pictures_load(directory);
    assert_non_null(p);
    assert_int_equal(pictures_count(p), FULL);
    assert_non_null(pictures_find(p, "p00.png"));
    snprintf(name, sizeof name, "p%02d.png", FULL);
    assert_null(pictures_find(p, name));
    pictures_free(p);
}

static void no_directory(void **state)
{
    pictures *p;

    (void)state;
    assert_null(pictures_load(path_of("nowhere")));
    file_put("a.png", "PNG", 0);
    assert_null(pictures_load(path_of("a.png")));
    unlink(path_of("a.png"));
    p = pictures_load(directory);
    assert_non_null(p);
    assert_null(pictures_find(p, "a.png"));
    pictures_free(p);
    pictures_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test_teardown(what_is_served, directory_empty),
        cmocka_unit_test_teardown(bounded_in_all, directory_empty),
        cmocka_unit_test_teardown(no_directory, directory_empty),
    };

    return cmocka_run_group_tests(tests, directory_make, directory_remove);
}
