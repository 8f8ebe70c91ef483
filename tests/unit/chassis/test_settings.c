/* Settings: precedence of the sources, and every kind of bad input with the sentence that names it. */
#include "tests/unit/base/unit.h"

#include "common/chassis/service.h"
#include "common/chassis/settings_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct config {
    int64_t size;
    bool loud;
    const char *name, *place;
};

static const struct tf_setting rows[] = {TF_SETTING_ROW_INT(struct config, size, 10, -5, 100, "How large")
                                             TF_SETTING_ROW_BOOL(struct config, loud, false, "Whether it is heard")};
static const struct tf_setting more_rows[] = {TF_SETTING_ROW_TEXT(struct config, name, "nobody", "Who | what")
                                                  TF_SETTING_ROW_TEXT(struct config, place, "", "Where")};

static char path[] = "/tmp/tf-test-settings-XXXXXX";

static int file_make(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0) return -1;
    return close(fd);
}

static int file_remove(void **state)
{
    (void)state;
    return unlink(path);
}

static void file_write(const char *content, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* arguments: separated by blanks; FILE stands for --config and the file's path. */
static tf_code load(struct config *config, const char *arguments, const char **ret_error)
{
    const struct tf_settings_table tables[] = {{rows, TF_COUNT(rows), config},
                                               {more_rows, TF_COUNT(more_rows), config}};
    static char copy[16384], program[] = "tf-test", option[] = "--config";
    char *argv[16] = {program};
    int argc = 1;

    snprintf(copy, sizeof(copy), "%s", arguments);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        if (strcmp(word, "FILE") == 0) argv[argc++] = option;
        argv[argc++] = strcmp(word, "FILE") == 0 ? path : word;
    }
    return tf_settings_load("tf-test", "is tested", tables, TF_COUNT(tables), argc, argv, ret_error);
}

static void environment_set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void test_precedence(void **state)
{
    static const struct {
        const char *row, *file, *env_size, *env_name, *arguments;
        int64_t size;
        bool loud;
        const char *name;
    } cases[] = {
        {"defaults", NULL, NULL, NULL, "", 10, false, "nobody"},
        {"a file", "size = 20\nname=from file\n", NULL, NULL, "FILE", 20, false, "from file"},
        {"comments, blanks and no last newline", "# size = 1\n\n  \t\n   size   =   21  ", NULL, NULL, "FILE", 21,
         false, "nobody"},
        {"CR LF", "size = 22\r\nloud = yes\r\n", NULL, NULL, "FILE", 22, true, "nobody"},
        {"# belongs to a value", "name = a#b # c", NULL, NULL, "FILE", 10, false, "a#b # c"},
        {"= belongs to a value", "name = host=a port=b", NULL, NULL, "FILE", 10, false, "host=a port=b"},
        {"the last line of a file wins", "size = 20\nsize = 30\n", NULL, NULL, "FILE", 30, false, "nobody"},
        {"an empty value", "name =\n", NULL, NULL, "FILE", 10, false, ""},
        {"the environment", NULL, "40", "env", "", 40, false, "env"},
        {"the environment over the file", "size = 20\nname = file\n", "41", NULL, "FILE", 41, false, "file"},
        {"an empty variable is a value", NULL, NULL, "", "", 10, false, ""},
        {"arguments", NULL, NULL, NULL, "--size=50 --loud=true --name=arg", 50, true, "arg"},
        {"a value by itself", NULL, NULL, NULL, "--size 51 --loud on", 51, true, "nobody"},
        {"arguments over all", "size = 20\n", "40", NULL, "--size=52 FILE", 52, false, "nobody"},
        {"the last argument wins", NULL, NULL, NULL, "--size=1 --size=2", 2, false, "nobody"},
        {"least and negative", NULL, NULL, NULL, "--size=-5", -5, false, "nobody"},
        {"greatest", NULL, NULL, NULL, "--size=100", 100, false, "nobody"},
        {"an empty argument", NULL, NULL, NULL, "--name=", 10, false, ""},
        {"a dashed value", NULL, NULL, NULL, "--name --x", 10, false, "--x"},
        {"false", NULL, NULL, NULL, "--loud=1 --loud=0", 10, false, "nobody"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        struct config config = {.place = "untouched"};
        const char *error = NULL;

        if (cases[i].file) file_write(cases[i].file, strlen(cases[i].file));
        environment_set("TF_SIZE", cases[i].env_size);
        environment_set("TF_NAME", cases[i].env_name);
        if (load(&config, cases[i].arguments, &error)) fail_msg("%s: %s", cases[i].row, error);
        CHECK(cases[i].row, config.size == cases[i].size);
        CHECK(cases[i].row, config.loud == cases[i].loud);
        CHECK_TEXT(cases[i].row, config.name, cases[i].name);
        CHECK_TEXT(cases[i].row, config.place, "");
    }
    environment_set("TF_SIZE", NULL);
    environment_set("TF_NAME", NULL);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *row, *file, *env_size, *arguments, *error;
    } cases[] = {
        {"not a number", NULL, NULL, "--size=ten", "size (argument --size): \"ten\" is not a whole number"},
        {"a fraction", NULL, NULL, "--size=1.5", "\"1.5\" is not a whole number"},
        {"empty number", NULL, NULL, "--size=", "\"\" is not a whole number"},
        {"more than 64 bits", NULL, NULL, "--size=99999999999999999999", "is not a whole number"},
        {"too small", NULL, NULL, "--size=-6", "-6 is not between -5 and 100"},
        {"too large, from the environment", NULL, "101", "", "size (TF_SIZE): 101 is not between -5 and 100"},
        {"not a boolean", NULL, NULL, "--loud=perhaps", "\"perhaps\" is neither true nor false"},
        {"unknown argument", NULL, NULL, "--colour=red", "argument \"--colour=red\": there is no such setting"},
        {"a prefix of a name", NULL, NULL, "--siz=1", "there is no such setting"},
        {"not an option", NULL, NULL, "size=1", "not of the form --name=value"},
        {"value missing", NULL, NULL, "--size", "the value is missing"},
        {"file name missing", NULL, NULL, "--config", "the value is missing"},
        {"no such file", NULL, NULL, "--config=/nonexistent/file", "/nonexistent/file: cannot be read"},
        {"a directory", NULL, NULL, "--config=/tmp", "/tmp: cannot be read"},
        {"unknown name in the file", "size = 1\ncolour = red\n", NULL, "FILE",
         ", line 2: there is no setting \"colour\""},
        {"no equals sign", "size\n", NULL, "FILE", ", line 1: not of the form name = value"},
        {"bad value in the file", "\nsize = x\n", NULL, "FILE", ", line 2): \"x\" is not a whole number"},
        {"not UTF-8", "name = \xff\n", NULL, "FILE", "not a line of UTF-8 text"},
        {"a control character", "name = a\001b\n", NULL, "FILE", "not a line of UTF-8 text"},
    };

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        struct config config = {.size = 77};
        const char *error = NULL;

        if (cases[i].file) file_write(cases[i].file, strlen(cases[i].file));
        environment_set("TF_SIZE", cases[i].env_size);
        CHECK(cases[i].row, load(&config, cases[i].arguments, &error) == TF_FIELD_INVALID);
        if (!error || !strstr(error, cases[i].error)) fail_msg("%s: got '%s'", cases[i].row, error ? error : "(null)");
        CHECK(cases[i].row, config.size == 77); /* untouched on failure */
    }
    environment_set("TF_SIZE", NULL);
}

static void test_large_input(void **state)
{
    static char content[300 * 1024];
    struct config config;
    const char *error = NULL;

    (void)state;
    memset(content, '#', sizeof(content));
    file_write(content, sizeof(content));
    assert_int_equal(load(&config, "FILE", &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "larger than"));

    memset(content, 'a', sizeof(content));
    memcpy(content, "name = ", 7);
    file_write(content, 9000);
    assert_int_equal(load(&config, "FILE", &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "longer than"));

    file_write("name = a\0b\n", 11);
    assert_int_equal(load(&config, "FILE", &error), TF_FIELD_INVALID);
    assert_non_null(strstr(error, "zero byte"));
}

/* Runs the program's answer in a child, whose standard output comes back. */
static void answer_of(const char *argument, char *out, size_t max)
{
    struct config config;
    const char *error;
    size_t n = 0;
    ssize_t got;
    int fds[2], status;
    pid_t child;

    assert_int_equal(pipe(fds), 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        (void)!load(&config, argument, &error); /* exits */
        _exit(99);
    }
    close(fds[1]);
    while (n + 1 < max && (got = read(fds[0], out + n, max - n - 1)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_answers(void **state)
{
    static const struct {
        const char *row, *argument, *contains;
    } cases[] = {
        {"help: purpose", "--help", "is tested"},
        {"help: range and environment", "--help", "integer -5 to 100; default 10; TF_SIZE"},
        {"help: boolean's default", "--help", "boolean; default false; TF_LOUD"},
        {"help: text's default", "--help", "text; default \"nobody\"; TF_NAME"},
        {"help: wins over faults", "--colour=1 --help", "How large"},
        {"version", "--version", "tf-test " TF_VERSION "\n"},
        {"markdown: a row", "--settings-markdown", "| `size` | `TF_SIZE` | integer | `10` | -5 to 100 | How large |\n"},
        {"markdown: cells are escaped", "--settings-markdown", "| Who \\| what |"},
        {"markdown: an empty default", "--settings-markdown", "| `place` | `TF_PLACE` | text |  |  | Where |"},
    };
    static char out[32768];

    (void)state;
    for (size_t i = 0; i < TF_COUNT(cases); i++) {
        answer_of(cases[i].argument, out, sizeof(out));
        if (!strstr(out, cases[i].contains)) fail_msg("%s: got '%s'", cases[i].row, out);
    }
}

static int n_seen;
static char seen_name[128];

static void note_seen(const char *name)
{
    n_seen++;
    snprintf(seen_name, sizeof(seen_name), "%s", name);
}

/* What the environment holds beyond our settings is named, whole names only. */
static void test_unknown_in_the_environment(void **state)
{
    struct config config;
    const struct tf_settings_table tables[] = {{rows, TF_COUNT(rows), &config}};
    int before;

    (void)state;
    n_seen = 0;
    tf_settings_unknown(tables, TF_COUNT(tables), note_seen); /* whatever runs the tests may have some */
    before = n_seen;
    setenv("TF_SIZE", "20", 1);
    setenv("OTHER_SIZ", "20", 1);
    n_seen = 0;
    tf_settings_unknown(tables, TF_COUNT(tables), note_seen);
    assert_int_equal(n_seen, before);
    unsetenv("TF_SIZE");
    setenv("TF_SIZ", "20", 1);
    n_seen = 0;
    tf_settings_unknown(tables, TF_COUNT(tables), note_seen);
    assert_int_equal(n_seen, before + 1);
    if (before == 0) assert_string_equal(seen_name, "TF_SIZ");
    unsetenv("TF_SIZ");
    unsetenv("OTHER_SIZ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_in_the_environment),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_large_input),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, file_make, file_remove);
}
