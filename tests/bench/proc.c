/* CPU times from /proc. */
#include "tests/bench/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

pid_t proc_part(const struct bench *b, const char *part)
{
    char path[600], line[256], name[32], state[32];
    int pid = 0, found = 0;
    FILE *f;

    snprintf(path, sizeof path, "%s/run/status", b->home);
    f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f))
        if (sscanf(line, "%31s %31s %d", name, state, &pid) == 3 && strcmp(name, part) == 0) found = pid;
    if (f) fclose(f);
    if (!found) bench_die("%s does not run in %s", part, b->home);
    return found;
}

int64_t proc_thread_ns(pid_t pid)
{
    char path[64];
    int64_t ns = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, (int)pid);
    f = fopen(path, "re");
    if (!f || fscanf(f, "%" SCNd64, &ns) != 1) bench_die("%s cannot be read", path);
    fclose(f);
    return ns;
}

/* Its children that ended are counted too: PostgreSQL forks a backend per connection. */
static int64_t tree_ticks(pid_t pid)
{
    char path[64], text[1024], children[8192];
    int64_t user, system, children_user, children_system, ticks = 0;
    const char *at;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (f && fgets(text, sizeof text, f) && (at = strrchr(text, ')')) &&
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
               &user, &system, &children_user, &children_system) == 4)
        ticks = user + system + children_user + children_system;
    if (f) fclose(f);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    f = fopen(path, "re");
    if (f && fgets(children, sizeof children, f))
        for (char *save, *word = strtok_r(children, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
            ticks += tree_ticks(atoi(word));
    if (f) fclose(f);
    return ticks;
}

int64_t proc_tree_us(pid_t pid)
{
    return tree_ticks(pid) * 1000000 / sysconf(_SC_CLK_TCK);
}
