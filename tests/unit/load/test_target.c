/* URLs of servers by a table. */
#include "tools/load/target.h"

#include "common/base/macros.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *text, *url, *host, *path; /* url NULL: refused */
    int port;
    sa_family_t family; /* 0: not looked up */
} rows[] = {
    {"http://127.0.0.1:17080", "http://127.0.0.1:17080", "127.0.0.1:17080", "/", 17080, AF_INET},
    {"http://127.0.0.1:17090/pay/abc?x=1", "http://127.0.0.1:17090", "127.0.0.1:17090", "/pay/abc?x=1", 17090, AF_INET},
    {"http://127.0.0.1", "http://127.0.0.1", "127.0.0.1", "/", 80, AF_INET},
    {"http://[::1]:8080/p", "http://[::1]:8080", "[::1]:8080", "/p", 8080, AF_INET6},
    {"http://[::1]", "http://[::1]", "[::1]", "/", 80, AF_INET6},
    {"http://shop.example?q", "http://shop.example", "shop.example", "/", 80, 0},
    {"https://127.0.0.1", NULL, NULL, NULL, 0, 0},
    {"127.0.0.1:80", NULL, NULL, NULL, 0, 0},
    {"http://", NULL, NULL, NULL, 0, 0},
    {"http://:80", NULL, NULL, NULL, 0, 0},
    {"http://h:", NULL, NULL, NULL, 0, 0},
    {"http://h:0", NULL, NULL, NULL, 0, 0},
    {"http://h:65536", NULL, NULL, NULL, 0, 0},
    {"http://h:80x", NULL, NULL, NULL, 0, 0},
    {"http://h:-80", NULL, NULL, NULL, 0, 0},
    {"http://[::1", NULL, NULL, NULL, 0, 0},
    {"http://[::1]x", NULL, NULL, NULL, 0, 0},
    {"http://user@h", NULL, NULL, NULL, 0, 0},
    {"http://h\r\nX: y", NULL, NULL, NULL, 0, 0},
    {"http://h h", NULL, NULL, NULL, 0, 0},
};

static int port_of(const struct target *t)
{
    if (t->address.ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)&t->address)->sin_port);
    return ntohs(((const struct sockaddr_in6 *)&t->address)->sin6_port);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct target t;
        const char *path;

        if (target_parse(rows[i].text, &t, &path) != (rows[i].url != NULL)) fail_msg("%s", rows[i].text);
        if (!rows[i].url) continue;
        assert_string_equal(t.url, rows[i].url);
        assert_string_equal(t.host, rows[i].host);
        assert_string_equal(path, rows[i].path);
        if (!rows[i].family) continue;
        assert_true(target_resolve(&t));
        assert_int_equal(t.address.ss_family, rows[i].family);
        assert_int_equal(port_of(&t), rows[i].port);
    }
}

static void test_too_long(void **state)
{
    char url[2 * TARGET_TEXT_MAX] = "http://";
    struct target t;
    const char *path;

    (void)state;
    memset(url + 7, 'a', sizeof url - 8);
    assert_false(target_parse(url, &t, &path));
    url[7 + 255] = '\0';
    assert_true(target_parse(url, &t, &path));
    url[7 + 255] = 'a';
    url[7 + 256] = '\0';
    assert_false(target_parse(url, &t, &path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_too_long)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
