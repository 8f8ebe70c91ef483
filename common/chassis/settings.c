/* Settings: values come from a file, then the environment, then arguments; each is checked where it is read, so that
 * the sentence can name the source. The structs are filled only when everything was right. */
#include "common/chassis/settings.h"

#include "common/base/arena.h"
#include "common/base/text.h"
#include "common/chassis/settings_print.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 256 * 1024, VALUE_BYTES_MAX = 8 * 1024, SETTINGS_MAX = 256, STRINGS_BYTES = 4 * 1024 * 1024 };

/* Strings of settings live as long as the process; reached from here, they are no leak. */
static tf_arena *strings;

struct row {
    const struct tf_setting *setting;
    void *target;
    const char *text; /* the last that was said, or the default */
};

struct loader {
    struct row rows[SETTINGS_MAX];
    size_t n;
    const char *file; /* of --config */
    const char *error;
};

TF_PRINTF(2, 3) static tf_code refuse(struct loader *loader, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    loader->error = tf_arena_vprintf(strings, format, args);
    va_end(args);
    if (!loader->error) loader->error = "the settings are too large";
    return TF_FIELD_INVALID;
}

void tf_setting_env(const char *name, char out[static TF_SETTING_ENV])
{
    size_t n = strlen(name);

    TF_ASSERT(n < TF_SETTING_NAME_MAX);
    memcpy(out, "TF_", 3);
    for (size_t i = 0; i <= n; i++)
        out[3 + i] = (char)toupper((unsigned char)name[i]);
}

static struct row *row_find(struct loader *loader, const char *name, size_t n)
{
    for (size_t i = 0; i < loader->n; i++) {
        const char *known = loader->rows[i].setting->name;

        if (strlen(known) == n && memcmp(known, name, n) == 0) return &loader->rows[i];
    }
    return NULL;
}

static void rows_collect(struct loader *loader, const struct tf_settings_table *tables, size_t n_tables)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct tf_setting *setting = &tables[t].rows[i];

            TF_ASSERT(loader->n < SETTINGS_MAX);
            TF_ASSERT(!row_find(loader, setting->name, strlen(setting->name))); /* one name, one setting */
            loader->rows[loader->n++] = (struct row){setting, tables[t].target, setting->fallback};
        }
}

static bool bool_parse(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < TF_COUNT(yes); i++) {
        if (strcmp(text, yes[i]) == 0) return *ret_value = true, true;
        if (strcmp(text, no[i]) == 0) return *ret_value = false, true;
    }
    return false;
}

/* Checks one value and remembers it. The text is copied. */
static tf_code row_set(struct loader *loader, struct row *row, const char *text, size_t size, const char *source)
{
    const struct tf_setting *setting = row->setting;
    char *copy;
    int64_t number;
    bool flag;

    if (size > VALUE_BYTES_MAX || memchr(text, '\0', size))
        return refuse(loader, "%s (%s): longer than %d bytes, or with a zero byte", setting->name, source,
                      VALUE_BYTES_MAX);
    copy = tf_arena_strndup(strings, text, size);
    if (!copy) return refuse(loader, "the settings are too large");
    if (!tf_utf8_valid(copy, size) || tf_has_control(copy))
        return refuse(loader, "%s (%s): not a line of UTF-8 text", setting->name, source);

    switch (setting->type) {
    case TF_SETTING_INT:
        if (!tf_parse_int64(copy, &number))
            return refuse(loader, "%s (%s): \"%s\" is not a whole number", setting->name, source, copy);
        if (number < setting->min || number > setting->max)
            return refuse(loader, "%s (%s): %s is not between %lld and %lld", setting->name, source, copy,
                          (long long)setting->min, (long long)setting->max);
        break;
    case TF_SETTING_BOOL:
        if (!bool_parse(copy, &flag))
            return refuse(loader, "%s (%s): \"%s\" is neither true nor false", setting->name, source, copy);
        break;
    case TF_SETTING_TEXT:
        break;
    }
    row->text = copy;
    return TF_OK;
}

/* The struct's member from the text, which was checked when it came in; defaults are checked here, by our own tests. */
static void row_store(const struct row *row)
{
    void *member = (char *)row->target + row->setting->offset;

    switch (row->setting->type) {
    case TF_SETTING_INT:
        TF_ASSERT(tf_parse_int64(row->text, (int64_t *)member));
        TF_ASSERT(*(int64_t *)member >= row->setting->min && *(int64_t *)member <= row->setting->max);
        break;
    case TF_SETTING_BOOL:
        TF_ASSERT(bool_parse(row->text, (bool *)member));
        break;
    case TF_SETTING_TEXT:
        *(const char **)member = row->text;
        break;
    }
}

/* ---- the three sources ------------------------------------------------------------------------------------------- */

static void trim(const char **text, size_t *n)
{
    while (*n && isspace((unsigned char)**text))
        (*text)++, (*n)--;
    while (*n && isspace((unsigned char)(*text)[*n - 1]))
        (*n)--;
}

/* "name = value"; an empty line or one that begins with '#' says nothing ('#' later belongs to the value: passwords
 * have it). */
static tf_code line_read(struct loader *loader, const char *line, size_t n, int number)
{
    const char *name = line, *value, *equals;
    const char *source;
    struct row *row;
    size_t n_name, n_value;

    trim(&name, &n);
    if (n == 0 || name[0] == '#') return TF_OK;
    source = tf_arena_printf(strings, "%s, line %d", loader->file, number);
    if (!source) return refuse(loader, "the settings are too large");
    equals = memchr(name, '=', n);
    if (!equals) return refuse(loader, "%s: not of the form name = value", source);

    n_name = (size_t)(equals - name);
    value = equals + 1;
    n_value = n - n_name - 1;
    trim(&name, &n_name);
    trim(&value, &n_value);
    row = row_find(loader, name, n_name);
    if (!row) return refuse(loader, "%s: there is no setting \"%.*s\"", source, (int)TF_MIN(n_name, 64), name);
    return row_set(loader, row, value, n_value, source);
}

static tf_code content_read(struct loader *loader, const char *content, size_t n)
{
    tf_code code = TF_OK;
    int number = 0;

    for (size_t begin = 0; begin < n && !code;) {
        const char *newline = memchr(content + begin, '\n', n - begin);
        size_t size = newline ? (size_t)(newline - content) - begin : n - begin;

        code = line_read(loader, content + begin, size, ++number);
        begin += size + 1;
    }
    return code;
}

static tf_code file_read(struct loader *loader)
{
    FILE *file = fopen(loader->file, "re");
    char *content = malloc(FILE_BYTES_MAX + 1);
    tf_code code;
    size_t n;

    TF_ASSERT(content);
    n = file ? fread(content, 1, FILE_BYTES_MAX + 1, file) : 0;
    if (!file || ferror(file))
        code = refuse(loader, "%s: cannot be read: %m", loader->file);
    else if (n > FILE_BYTES_MAX)
        code = refuse(loader, "%s: larger than %d bytes", loader->file, FILE_BYTES_MAX);
    else
        code = content_read(loader, content, n);
    if (file) fclose(file);
    free(content);
    return code;
}

static tf_code environment_read(struct loader *loader)
{
    for (size_t i = 0; i < loader->n; i++) {
        char name[TF_SETTING_ENV];
        const char *value;
        tf_code code;

        tf_setting_env(loader->rows[i].setting->name, name);
        value = getenv(name);
        if (!value) continue;
        code = row_set(loader, &loader->rows[i], value, strlen(value), name);
        if (code) return code;
    }
    return TF_OK;
}

/* The value of the argument at *i, which is "--name=value" or "--name" followed by it; moves *i on. NULL: missing. */
static const char *argument_value(int argc, char **argv, int *i, size_t *ret_n_name)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');

    *ret_n_name = equals ? (size_t)(equals - name) : strlen(name);
    if (equals) return equals + 1;
    if (*i + 1 >= argc) return NULL;
    return argv[++*i];
}

/* Twice over the arguments: first for the file's name, which is read before they count. */
static tf_code arguments_read(struct loader *loader, int argc, char **argv, bool for_file)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i], *value;
        struct row *row;
        size_t n_name;
        bool is_file;
        tf_code code;

        if (strncmp(argument, "--", 2) != 0)
            return refuse(loader, "argument \"%s\": not of the form --name=value; see --help", argument);
        value = argument_value(argc, argv, &i, &n_name);
        is_file = n_name == strlen("config") && memcmp(argument + 2, "config", n_name) == 0;
        row = row_find(loader, argument + 2, n_name);
        if (!is_file && !row) return refuse(loader, "argument \"%s\": there is no such setting; see --help", argument);
        if (!value) return refuse(loader, "argument \"%s\": the value is missing", argument);
        if (is_file && for_file) loader->file = value;
        if (is_file || for_file) continue;

        code =
            row_set(loader, row, value, strlen(value), tf_arena_printf(strings, "argument --%s", row->setting->name));
        if (code) return code;
    }
    return TF_OK;
}

static tf_code sources_read(struct loader *loader, int argc, char **argv)
{
    tf_code code = arguments_read(loader, argc, argv, true);

    if (!code && loader->file) code = file_read(loader);
    if (!code) code = environment_read(loader);
    if (!code) code = arguments_read(loader, argc, argv, false);
    return code;
}

/* --help, --version and --settings-markdown win over everything else, wherever they stand. */
static void answer_and_exit(const char *program, const char *purpose, const struct tf_settings_command *commands,
                            const struct tf_settings_table *tables, size_t n_tables, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            tf_settings_print_help(program, purpose, commands, tables, n_tables);
        else if (strcmp(argv[i], "--version") == 0)
            printf("%s %s\n", program, TF_VERSION);
        else if (strcmp(argv[i], "--settings-markdown") == 0)
            tf_settings_print_markdown(program, purpose, tables, n_tables);
        else
            continue;
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
}

tf_code tf_settings_load_with(const char *program, const char *purpose, const struct tf_settings_command *commands,
                              const struct tf_settings_table *tables, size_t n_tables, int argc, char **argv,
                              const char **ret_error)
{
    struct loader loader = {0};
    tf_code code;

    answer_and_exit(program, purpose, commands, tables, n_tables, argc, argv);
    if (!strings) strings = tf_arena_new(STRINGS_BYTES);
    TF_ASSERT(strings);

    rows_collect(&loader, tables, n_tables);
    code = sources_read(&loader, argc, argv);
    if (code) {
        *ret_error = loader.error;
        return code;
    }
    for (size_t i = 0; i < loader.n; i++)
        row_store(&loader.rows[i]);
    return TF_OK;
}

tf_code tf_settings_load(const char *program, const char *purpose, const struct tf_settings_table *tables,
                         size_t n_tables, int argc, char **argv, const char **ret_error)
{
    return tf_settings_load_with(program, purpose, NULL, tables, n_tables, argc, argv, ret_error);
}

static bool environment_names(const char *variable, size_t n, const struct tf_settings_table *tables, size_t n_tables)
{
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            char name[TF_SETTING_ENV];

            tf_setting_env(tables[t].rows[i].name, name);
            if (strlen(name) == n && memcmp(name, variable, n) == 0) return true;
        }
    return false;
}

void tf_settings_unknown(const struct tf_settings_table *tables, size_t n_tables, void (*seen)(const char *name))
{
    for (char **variable = environ; variable && *variable; variable++) {
        size_t n = strcspn(*variable, "=");
        char name[TF_SETTING_ENV];

        if (strncmp(*variable, "TF_", 3) != 0 || environment_names(*variable, n, tables, n_tables)) continue;
        snprintf(name, sizeof(name), "%.*s", (int)TF_MIN(n, sizeof(name) - 1), *variable);
        seen(name);
    }
}
