/* What is being done, told to whoever waits for it. */
#include "deploy/local/local.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

enum { LOG_LINES_SHOWN = 3 };

void progress_say(struct local *l, const char *format, ...)
{
    FILE *out = l->progress ? l->progress : stderr;
    va_list args;

    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    fputc('\n', out);
    fflush(out);
}

void progress_note(const char *who, const char *format, ...)
{
    time_t now = time(NULL);
    struct tm utc;
    va_list args;

    gmtime_r(&now, &utc);
    fprintf(stderr, "%04d-%02d-%02dT%02d:%02d:%02dZ %s ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
            utc.tm_min, utc.tm_sec, who);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void progress_say_log(struct local *l, const char *name)
{
    char path[600], bytes[4096];
    size_t n, at;
    FILE *f;

    snprintf(path, sizeof path, "%s/log/%s.log", l->home, name);
    f = fopen(path, "re");
    if (!f) return;
    if (fseek(f, -(long)(sizeof bytes - 1), SEEK_END)) rewind(f);
    n = fread(bytes, 1, sizeof bytes - 1, f);
    fclose(f);
    while (n > 0 && bytes[n - 1] == '\n')
        n--;
    bytes[n] = '\0';
    at = n;
    for (int lines = 0; at > 0; at--)
        if (bytes[at - 1] == '\n' && ++lines == LOG_LINES_SHOWN) break;
    progress_say(l, "  the end of %s:", path);
    for (char *save, *line = strtok_r(bytes + at, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        progress_say(l, "    %s", line);
}
