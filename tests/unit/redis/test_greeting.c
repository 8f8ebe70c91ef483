/* What a connection says first, and which answers it takes. */
#include "tests/unit/with_ctx.h"

#include "common/redis/link.h"
#include "common/redis/reply.h"

static const struct tf_embedded libraries[] = {
    {"inventory_v1.lua", (const unsigned char *)"#!lua", 5},
    {"other_v2.lua", (const unsigned char *)"x", 1},
    {NULL, NULL, 0},
};

static void greetings_are_written(void **state)
{
    static const struct {
        const char *name;
        struct tf_redis_config config;
        size_t n;
        const char *wire;
    } rows[] = {
        {"bare", {.address = "a:1"}, 1, "*1\r\n$4\r\nPING\r\n"},
        {"password", {.address = "a:1", .password = "pw"}, 2, "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*1\r\n$4\r\nPING\r\n"},
        {"password and libraries",
         {.address = "a:1", .password = "pw", .libraries = libraries},
         4,
         "*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$5\r\n#!lua\r\n"
         "*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        size_t size = tf_redis_greeting_size(&rows[i].config);
        char *out = test_malloc(size);

        CHECK(size == strlen(rows[i].wire), rows[i].name);
        tf_redis_greeting_write(&rows[i].config, out);
        CHECK(memcmp(out, rows[i].wire, size) == 0, rows[i].name);
        CHECK(tf_redis_greetings(&rows[i].config) == rows[i].n, rows[i].name);
        test_free(out);
    }
}

static void answers_are_judged(void **state)
{
    static const struct tf_redis_config config = {.address = "a:1", .password = "pw", .libraries = libraries};
    static const struct {
        const char *name;
        size_t i;
        enum tf_redis_type type;
        const char *text;
        const char *cause; /* NULL: accepted */
        bool refused;      /* the password */
    } rows[] = {
        {"password taken", 0, TF_REDIS_STATUS, "OK", NULL, false},
        {"password wrong", 0, TF_REDIS_ERROR, "WRONGPASS no", "AUTH refused: WRONGPASS no", true},
        {"password not expected", 0, TF_REDIS_ERROR, "ERR AUTH <password> called without any password configured",
         "AUTH refused: ERR AUTH <password> called without any password configured", true},
        {"password not given", 3, TF_REDIS_ERROR, "NOAUTH Authentication required.",
         "PING refused: NOAUTH Authentication required.", true},
        {"no room for us", 0, TF_REDIS_ERROR, "ERR max number of clients reached",
         "AUTH refused: ERR max number of clients reached", false},
        {"library loaded", 1, TF_REDIS_STRING, "inventory_v1", NULL, false},
        {"library there already", 1, TF_REDIS_ERROR, "ERR Library 'inventory_v1' already exists", NULL, false},
        {"library does not compile", 2, TF_REDIS_ERROR, "ERR Error compiling function",
         "other_v2.lua refused: ERR Error compiling function", false},
        {"a replica", 1, TF_REDIS_ERROR, "READONLY You can't write against a read only replica.",
         "inventory_v1.lua refused: READONLY You can't write against a read only replica.", false},
        {"pong", 3, TF_REDIS_STATUS, "PONG", NULL, false},
        {"still loading", 3, TF_REDIS_ERROR, "LOADING Redis is loading the dataset in memory",
         "PING refused: LOADING Redis is loading the dataset in memory", false},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        tf_redis_reply *reply = tf_redis_reply_text(rows[i].type, rows[i].text, strlen(rows[i].text));
        char cause[TF_REDIS_CAUSE_MAX] = "";
        bool refused = false;

        CHECK(tf_redis_greeting_accepts(&config, rows[i].i, reply, cause, &refused) == !rows[i].cause, rows[i].name);
        CHECK(refused == rows[i].refused, rows[i].name);
        CHECK(strcmp(cause, rows[i].cause ? rows[i].cause : "") == 0, rows[i].name);
        tf_redis_reply_free(reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(greetings_are_written), cmocka_unit_test(answers_are_judged)};

    return cmocka_run_group_tests_name("redis greeting", tests, NULL, NULL);
}
