/* Reads <home>/run/<service>/settings: lines of TF_NAME=value, as the process has them in its environment. */
#include "tools/told.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SETTINGS_MAX = 64 << 10 };

char *told_setting(tf_arena *arena, const char *home, const char *service, const char *setting)
{
    char *path = tf_arena_printf(arena, "%s/run/%s/settings", home, service);
    char *text = tf_arena_alloc(arena, SETTINGS_MAX);
    size_t length = strlen(setting), n;
    FILE *f;

    TF_ASSERT(path && text);
    f = fopen(path, "re");
    if (!f) return NULL;
    n = fread(text, 1, SETTINGS_MAX - 1, f);
    fclose(f);
    text[n] = '\0';
    for (char *rest = text, *line; (line = strtok_r(rest, "\n", &rest));)
        if (strncmp(line, "TF_", 3) == 0 && strncasecmp(line + 3, setting, length) == 0 && line[3 + length] == '=')
            return line + 3 + length + 1;
    return NULL;
}
