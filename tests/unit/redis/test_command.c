/* Commands on the wire, byte by byte. */
#include "tests/unit/with_ctx.h"

#include "common/redis/command.h"

static void ping(tf_redis_cmd *cmd)
{
    tf_redis_arg(cmd, "PING");
}
static void set(tf_redis_cmd *cmd)
{
    tf_redis_arg(cmd, "SET");
    tf_redis_arg_printf(cmd, "show:%d", 7);
    tf_redis_arg_int(cmd, INT64_MIN);
}
static void binary(tf_redis_cmd *cmd)
{
    tf_redis_arg_bytes(cmd, "\0\r\n", 3);
    tf_redis_arg(cmd, "");
    tf_redis_arg_bytes(cmd, NULL, 0);
}
static void twelve(tf_redis_cmd *cmd)
{
    for (int i = 0; i < 12; i++)
        tf_redis_arg_int(cmd, i);
}

#define WIRE(text) (text), sizeof(text) - 1

static void commands_are_written(void **state)
{
    static const struct {
        const char *name;
        void (*make)(tf_redis_cmd *);
        const char *wire;
        size_t size;
    } rows[] = {
        {"one word", ping, WIRE("*1\r\n$4\r\nPING\r\n")},
        {"formatted and integer", set, WIRE("*3\r\n$3\r\nSET\r\n$6\r\nshow:7\r\n$20\r\n-9223372036854775808\r\n")},
        {"NUL, line ends, empty", binary, WIRE("*3\r\n$3\r\n\0\r\n\r\n$0\r\n\r\n$0\r\n\r\n")},
        {"more than a first helping", twelve,
         WIRE("*12\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$"
              "1\r\n8\r\n$1\r\n9\r\n$2\r\n10\r\n$2\r\n11\r\n")},
    };

    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        char *out = test_malloc(rows[i].size);
        tf_redis_cmd cmd;

        tf_redis_cmd_init(&cmd, *state);
        rows[i].make(&cmd);
        CHECK(!cmd.broken, rows[i].name);
        CHECK(tf_redis_wire_size(&cmd) == rows[i].size, rows[i].name);
        CHECK(tf_redis_wire_write(&cmd, out) == out + rows[i].size, rows[i].name);
        CHECK(memcmp(out, rows[i].wire, rows[i].size) == 0, rows[i].name);
        test_free(out);
    }
}

static void arguments_are_copied(void **state)
{
    char text[] = "before";
    tf_redis_cmd cmd;

    tf_redis_cmd_init(&cmd, *state);
    tf_redis_arg(&cmd, text);
    text[0] = 'X';
    assert_string_equal(cmd.args[0], "before");
}

static void memory_that_runs_out_is_remembered(void **state)
{
    tf_ctx *ctx = *state;
    size_t size = 1 << 20;
    char *data = tf_arena_alloc(ctx->arena, size);
    tf_redis_cmd cmd;

    assert_non_null(data);
    memset(data, 'x', size);
    tf_redis_cmd_init(&cmd, ctx);
    for (int i = 0; i < 10; i++)
        tf_redis_arg_bytes(&cmd, data, size);
    assert_true(cmd.broken);
    assert_true(cmd.n < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_are_written),
        TEST(arguments_are_copied),
        TEST(memory_that_runs_out_is_remembered),
    };

    return cmocka_run_group_tests_name("redis command", tests, NULL, NULL);
}
