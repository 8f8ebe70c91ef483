/* What runs: written by the supervisor as a small text file, read by `tf-local status`. */
#include "deploy/local/local.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const state_names[] = {"stopped", "starting", "running", "backoff", "external"};

/* One line a part: name state pid port admin_port since restarts; whoever reads it never sees half of it. */
void status_write(struct local *l)
{
    char path[600], temporary[600];
    FILE *f;

    snprintf(path, sizeof path, "%s/run/status", l->home);
    snprintf(temporary, sizeof temporary, "%s/run/status.new", l->home);
    f = fopen(temporary, "we");
    if (!f) return;
    fprintf(f, "supervisor running %d 0 0 %lld 0\n", (int)getpid(), (long long)time(NULL));
    for (int i = 0; i < PARTS; i++) {
        const struct part *p = &l->parts[i];

        fprintf(f, "%s %s %d %d %d %lld %d\n", p->name, state_names[p->state], (int)p->pid, p->port, p->admin_port,
                (long long)p->since, p->restarts);
    }
    if (fclose(f) == 0 && rename(temporary, path)) perror(path);
}

/* Proportional set size of a process and its children (PostgreSQL's), in KiB; 0 when it is gone. */
static long pss_kib(int pid)
{
    char path[64], line[256], children[4096];
    long kib = 0, n;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %ld", &n) == 1) kib += n;
    if (f) fclose(f);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    f = fopen(path, "re");
    if (f && fgets(children, sizeof children, f))
        for (char *save, *word = strtok_r(children, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
            kib += pss_kib(atoi(word));
    if (f) fclose(f);
    return kib;
}

static const char *version_of(const char *name)
{
    if (strcmp(name, "pg") == 0) return "PostgreSQL 15";
    if (strcmp(name, "redis") == 0) return "Redis 7.0";
    if (strcmp(name, "etcd") == 0) return "etcd 3.4";
    return TF_VERSION;
}

int status_print(const char *home, bool json)
{
    char path[600], line[256], name[32], state[32];
    int pid, port, admin, restarts, rows = 0, bad = 0;
    long long since;
    FILE *f;

    snprintf(path, sizeof path, "%s/run/status", home);
    f = fopen(path, "re");
    if (!f) {
        puts(json ? "{\"running\": false, \"parts\": []}" : "TicketFlow is not running.");
        return 3;
    }
    if (json) printf("{\"running\": true, \"home\": \"%s\", \"parts\": [", home);
    else printf("%-11s %-9s %8s  %-16s %9s %9s  %s\n", "PART", "STATE", "PID", "ADDRESS", "MEMORY", "RESTARTS", "VERSION");
    while (fgets(line, sizeof line, f)) {
        char address[32] = "-";
        long kib;

        if (sscanf(line, "%31s %31s %d %d %d %lld %d", name, state, &pid, &port, &admin, &since, &restarts) != 7) continue;
        if (port) snprintf(address, sizeof address, "127.0.0.1:%d", port);
        kib = pid > 0 && strcmp(name, "supervisor") != 0 ? pss_kib(pid) : 0;
        if (strcmp(state, "running") != 0 && strcmp(state, "external") != 0) bad++;
        if (json)
            printf("%s\n  {\"part\": \"%s\", \"state\": \"%s\", \"pid\": %d, \"address\": \"%s\", \"memory_kib\": %ld, \"restarts\": %d, "
                   "\"since\": %lld, \"admin_port\": %d, \"version\": \"%s\"}",
                   rows ? "," : "", name, state, pid, address, kib, restarts, since, admin, version_of(name));
        else
            printf("%-11s %-9s %8d  %-16s %7.1f M %9d  %s\n", name, state, pid, address, (double)kib / 1024, restarts, version_of(name));
        rows++;
    }
    fclose(f);
    if (json) puts("\n]}");
    return bad ? 1 : 0;
}
