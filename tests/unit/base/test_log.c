/* The log: JSON whatever comes in, a ceiling per line, and never a wait. Standard error is replaced while a test runs.
 */
#include "tests/unit/base/unit.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/log_line.h"
#include "common/base/text.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int real_stderr = -1, file = -1;

static void capture(void)
{
    char path[] = "/tmp/tf-test-log-XXXXXX";

    file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    real_stderr = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
}

/* What was written; free it. */
static char *captured(void)
{
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);

    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    assert_int_equal(pread(file, text, (size_t)size, 0), size);
    close(file);
    return text;
}

static void lines_are_escaped(void **state)
{
    static const struct {
        const char *name, *value, *want;
    } rows[] = {
        {"plain", "abc", "{\"v\":\"abc\"}\n"},
        {"null", NULL, "{\"v\":null}\n"},
        {"empty", "", "{\"v\":\"\"}\n"},
        {"quote and backslash", "a\"b\\c", "{\"v\":\"a\\\"b\\\\c\"}\n"},
        {"newline and tab", "a\nb\tc\r", "{\"v\":\"a\\nb\\tc\\u000d\"}\n"},
        {"controls", "\x01\x1f\x7f", "{\"v\":\"\\u0001\\u001f\\u007f\"}\n"},
        {"C1 control", "\xc2\x9b[2J", "{\"v\":\"\\u009b[2J\"}\n"},
        {"Chinese", "演唱会", "{\"v\":\"演唱会\"}\n"},
        {"lone byte",
         "a\xff"
         "b",
         "{\"v\":\"a\xef\xbf\xbd"
         "b\"}\n"},
        {"surrogate", "\xed\xa0\x80", "{\"v\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n"},
        {"cut character at the end", "x\xe6\xbc", "{\"v\":\"x\xef\xbf\xbd\xef\xbf\xbd\"}\n"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(rows); i++) {
        struct tf_log_line line;
        char text[256];

        tf_log_line_begin(&line);
        tf_log_line_pair(&line, "v", rows[i].value);
        tf_log_line_end(&line);
        memcpy(text, line.data, line.size);
        text[line.size] = '\0';
        CHECK_TEXT(rows[i].name, text, rows[i].want);
    }
}

/* Every length around the ceiling: never more than the array, always closed, always whole characters. */
static void long_lines_are_cut(void **state)
{
    static const char end[] = "\",\"truncated\":true}\n";
    static const char *const units[] = {"a", "\"", "\x01", "演", "\xff", "🎫"};
    char *value = calloc(1, 5 * (TF_LOG_LINE_BYTES + 10));

    (void)state;
    for (size_t u = 0; u < TF_COUNT(units); u++)
        for (size_t prefix = 0; prefix < 8; prefix++) {
            struct tf_log_line line;
            size_t n = 0;

            for (; n < prefix; n++)
                value[n] = 'p';
            for (int i = 0; i < TF_LOG_LINE_BYTES; i++, n += strlen(units[u]))
                strcpy(value + n, units[u]);
            tf_log_line_begin(&line);
            tf_log_line_pair(&line, "v", value);
            tf_log_line_pair(&line, "later", "x");
            tf_log_line_end(&line);
            assert_in_range(line.size, TF_LOG_LINE_BYTES - 32, TF_LOG_LINE_BYTES);
            assert_memory_equal(line.data + line.size - strlen(end), end, strlen(end));
            assert_true(tf_utf8_valid(line.data, line.size));
        }
    for (size_t n = TF_LOG_LINE_BYTES - 64; n < TF_LOG_LINE_BYTES + 64; n++) {
        struct tf_log_line line;

        memset(value, 'a', n);
        value[n] = '\0';
        tf_log_line_begin(&line);
        tf_log_line_pair(&line, "v", value);
        tf_log_line_pair(&line, value, "a name too long");
        tf_log_line_pair(&line, "w", NULL);
        tf_log_line_end(&line);
        assert_in_range(line.size, 1, TF_LOG_LINE_BYTES);
        assert_memory_equal(line.data + line.size - 2, "}\n", 2);
    }
    free(value);
}

static void lines_come_in_order(void **state)
{
    char *text, *line, *rest = NULL;
    int i = 0;

    (void)state;
    capture();
    tf_log(TF_LOG_INFO, "direct", NULL);
    tf_log_start("unit", "debug");
    tf_log_start("again", "debug"); /* changes nothing */
    assert_int_equal(tf_log_threshold(), TF_LOG_DEBUG);
    for (int k = 0; k < 1000; k++)
        tf_log(TF_LOG_DEBUG, "line", "k", tf_log_int((char[TF_LOG_INT]){0}, k), NULL);
    tf_log_stop();
    tf_log_stop();
    tf_logf(TF_LOG_WARN, "after %s", "stop");
    text = captured();
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), i++) {
        char want[64];
        tf_time t;

        assert_memory_equal(line, "{\"time\":\"", 9);
        line[9 + strcspn(line + 9, "\"")] = '\0';
        CHECK(line, tf_time_parse(line + 9, &t));
        line += 9 + strlen(line + 9) + 1;
        if (i == 0)
            CHECK_TEXT("first", line, ",\"level\":\"info\",\"process\":\"ticketflow\",\"message\":\"direct\"}");
        else if (i == 1001)
            CHECK_TEXT("last", line, ",\"level\":\"warn\",\"process\":\"unit\",\"message\":\"after stop\"}");
        else {
            snprintf(want, sizeof(want), ",\"message\":\"line\",\"k\":\"%d\"}", i - 1);
            CHECK(line, strstr(line, want));
        }
    }
    assert_int_equal(i, 1002);
    free(text);
}

static void levels_are_kept(void **state)
{
    char *text;

    (void)state;
    capture();
    tf_log_start("unit", "warn");
    tf_log(TF_LOG_INFO, "quiet", NULL);
    tf_log(TF_LOG_ERROR, "loud", NULL);
    tf_log_start("unit", "nonsense"); /* keeps the level */
    assert_int_equal(tf_log_threshold(), TF_LOG_WARN);
    tf_log_stop();
    text = captured();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "\"level\":\"error\""));
    free(text);
}

static void *drain(void *arg)
{
    static char all[16 * 1024 * 1024];
    size_t used = 0;
    ssize_t n;

    while (used + 1 < sizeof(all) && (n = read(*(int *)arg, all + used, sizeof(all) - 1 - used)) > 0)
        used += (size_t)n;
    all[used] = '\0';
    return all;
}

/* Nobody reads standard error: 20,000 lines must not take long, and what is lost is counted and told. */
static void a_stuck_reader_costs_lines_not_time(void **state)
{
    enum { LINES = 20000 };
    int ends[2], kept = 0;
    long dropped;
    pthread_t reader;
    int64_t began;
    char *text, *p;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    real_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);

    tf_log_start("unit", "info");
    began = tf_mono_us();
    for (int i = 0; i < LINES; i++)
        tf_log(TF_LOG_INFO, "flood", "padding", "0123456789012345678901234567890123456789", NULL);
    assert_true(tf_mono_us() - began < 5 * TF_US_PER_S);

    assert_int_equal(pthread_create(&reader, NULL, drain, &ends[0]), 0);
    tf_log_stop();
    dup2(real_stderr, STDERR_FILENO); /* the last writing end closes */
    close(real_stderr);
    pthread_join(reader, (void **)&text);
    close(ends[0]);

    for (p = text; (p = strstr(p, "\"flood\"")); p++)
        kept++;
    p = strstr(text, "\"message\":\"log lines were dropped\",\"count\":\"");
    assert_non_null(p);
    dropped = strtol(p + strlen("\"message\":\"log lines were dropped\",\"count\":\""), NULL, 10);
    assert_int_equal(kept + dropped, LINES);
    assert_true(kept >= 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_escaped),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(lines_come_in_order),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(a_stuck_reader_costs_lines_not_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
