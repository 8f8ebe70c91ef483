/* How many instances of each part are wanted: read from "order=2 gateway=2", kept in the home for the next start. */
#include "deploy/local/local.h"

#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 512, PORT_MAX = 65535 };

static int part_named(const char *name)
{
    for (int i = 0; i < PARTS; i++)
        if (strcmp(part_service(i), name) == 0) return i;
    return -1;
}

static bool word_parse(const struct local *l, char *word, int counts[PARTS], char *error, size_t size)
{
    char *equals = strchr(word, '=');
    int64_t n = 0;
    int which;

    if (!equals) {
        snprintf(error, size, "\"%.40s\" is not PART=N", word);
        return false;
    }
    *equals = '\0';
    which = part_named(word);
    if (which < 0 || !part_scales(which)) {
        snprintf(error, size, "there is no part \"%.40s\" with instances; there are user, program, order, pay, gateway",
                 word);
        return false;
    }
    if (!tf_parse_int64(equals + 1, &n) || n < 1 || n > INSTANCES_MAX) {
        snprintf(error, size, "%s=%.40s: a part has 1 to %d instances", word, equals + 1, INSTANCES_MAX);
        return false;
    }
    if (l->base_port + PORT_HIGHEST + (n - 1) * INSTANCE_PORTS > PORT_MAX) {
        snprintf(error, size, "%s=%d: there are no ports for that above base port %d", word, (int)n, l->base_port);
        return false;
    }
    counts[which] = (int)n;
    return true;
}

bool scale_parse(const struct local *l, const char *text, int counts[PARTS], char *error, size_t size)
{
    char copy[TEXT_MAX];
    int wanted[PARTS];

    memcpy(wanted, counts, sizeof wanted);
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) {
        snprintf(error, size, "too many words");
        return false;
    }
    for (char *save, *word = strtok_r(copy, " ,\n", &save); word; word = strtok_r(NULL, " ,\n", &save))
        if (!word_parse(l, word, wanted, error, size)) return false;
    memcpy(counts, wanted, sizeof wanted);
    return true;
}

static void kept_path(const struct local *l, char *out, size_t size)
{
    snprintf(out, size, "%s/run/scale", l->home);
}

void scale_read(struct local *l)
{
    char path[600], text[TEXT_MAX], error[200];
    size_t n;
    FILE *f;

    for (int i = 0; i < PARTS; i++)
        l->counts[i] = 1;
    kept_path(l, path, sizeof path);
    f = fopen(path, "re");
    if (!f) return; /* never scaled */
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    if (!scale_parse(l, text, l->counts, error, sizeof error)) fprintf(stderr, "%s: %s\n", path, error);
}

bool scale_keep(const struct local *l)
{
    char path[600], text[TEXT_MAX];
    int n = 0;

    kept_path(l, path, sizeof path);
    for (int i = 0; i < PARTS; i++)
        if (part_scales(i)) n += snprintf(text + n, sizeof text - (size_t)n, "%s=%d\n", part_service(i), l->counts[i]);
    return private_file(path, text, (size_t)n);
}
