/* The reference of a program's settings, printed from its tables. */
#include "common/chassis/settings_print.h"

#include <stdio.h>
#include <string.h>

static const char *type_name(const struct tf_setting *setting)
{
    switch (setting->type) {
    case TF_SETTING_INT:
        return "integer";
    case TF_SETTING_BOOL:
        return "boolean";
    case TF_SETTING_TEXT:
        break;
    }
    return "text";
}

/* stdbool.h makes 1 and 0 of true and false before the table sees them. */
static const char *fallback_text(const struct tf_setting *setting)
{
    if (setting->type != TF_SETTING_BOOL) return setting->fallback;
    return strcmp(setting->fallback, "1") == 0 || strcmp(setting->fallback, "true") == 0 ? "true" : "false";
}

static const char *range_text(const struct tf_setting *setting, char out[static 64])
{
    out[0] = '\0';
    if (setting->type == TF_SETTING_INT)
        snprintf(out, 64, "%lld to %lld", (long long)setting->min, (long long)setting->max);
    return out;
}

void tf_settings_print_help(const char *program, const char *purpose, const struct tf_settings_command *commands,
                            const struct tf_settings_table *tables, size_t n_tables)
{
    printf("%s %s: %s\n\nUsage: %s [--config FILE] [--NAME=VALUE | --NAME VALUE]...\n", program, TF_VERSION, purpose,
           program);
    if (commands && commands->form) printf("\nInstead of serving:\n");
    for (; commands && commands->form; commands++)
        printf("  %-44s %s\n", commands->form, commands->help);
    printf("\n  %-44s %s\n  %-44s %s\n  %-44s %s\n", "--help", "print this and exit", "--version",
           "print the version and exit", "--settings-markdown", "print the settings as a Markdown table and exit");
    printf(
        "\nSettings, by rising precedence: the file of --config (lines \"name = value\"; a line that begins with # is\n"
        "a comment), the environment, arguments.\n");

    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct tf_setting *setting = &tables[t].rows[i];
            char env[TF_SETTING_ENV], range[64];

            tf_setting_env(setting->name, env);
            range_text(setting, range);
            printf("\n  %-24s %s%s%s; default %s%s%s; %s\n      %s\n", setting->name, type_name(setting),
                   range[0] ? " " : "", range, setting->type == TF_SETTING_TEXT ? "\"" : "", fallback_text(setting),
                   setting->type == TF_SETTING_TEXT ? "\"" : "", env, setting->help);
        }
}

/* Text inside a cell: '|' would end it. */
static void put_cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '|') putchar('\\');
        putchar(*text);
    }
}

void tf_settings_print_markdown(const char *program, const char *purpose, const struct tf_settings_table *tables,
                                size_t n_tables)
{
    printf("## %s\n\n", program);
    put_cell(purpose);
    printf("\n\n| Setting | Environment | Type | Default | Range | Meaning |\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t t = 0; t < n_tables; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct tf_setting *setting = &tables[t].rows[i];
            const char *fallback = fallback_text(setting);
            char env[TF_SETTING_ENV], range[64];

            tf_setting_env(setting->name, env);
            printf("| `%s` | `%s` | %s | ", setting->name, env, type_name(setting));
            if (fallback[0]) {
                putchar('`');
                put_cell(fallback);
                putchar('`');
            }
            printf(" | %s | ", range_text(setting, range));
            put_cell(setting->help);
            printf(" |\n");
        }
}
