/* What runs: written by the supervisor as a small text file, read by `tf-local status`. */
#include "deploy/local/local.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const state_names[] = {"absent",   "stopped", "starting", "running",
                                          "stopping", "backoff", "external"};

static void status_path(const char *home, const char *suffix, char *out, size_t size)
{
    snprintf(out, size, "%s/run/status%s", home, suffix);
}

/* One line a part: name state pid port admin_port since restarts version; whoever reads it never sees half of it. */
void status_write(struct local *l)
{
    char path[600], temporary[600];
    FILE *f;

    status_path(l->home, "", path, sizeof path);
    status_path(l->home, ".new", temporary, sizeof temporary);
    f = fopen(temporary, "we");
    if (!f) return;
    fprintf(f, "supervisor running %d 0 0 %lld 0 %s\n", (int)getpid(), (long long)time(NULL), TF_VERSION);
    for (const struct part *p = NULL; (p = part_next(l, p));) {
        fprintf(f, "%s %s %d %d %d %lld %d %s\n", p->name, state_names[p->state], (int)p->pid,
                p->state == PART_EXTERNAL ? 0 : p->port, p->admin_port, (long long)p->since, p->restarts,
                p->version[0] ? p->version : "-");
    }
    if (fclose(f) == 0 && rename(temporary, path)) perror(path);
}

void status_forget(const struct local *l)
{
    char path[600];

    status_path(l->home, "", path, sizeof path);
    unlink(path);
}

/* Proportional set size of a process in KiB; 0 when it is gone. The kernel walks all its pages for it. */
static long pss_kib(int pid)
{
    char path[64], line[256];
    long kib = 0, n;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %ld", &n) == 1) kib += n;
    if (f) fclose(f);
    return kib;
}

struct tree {
    long own_pages, shared_pages; /* of each alone; the most that one of them shares */
    int processes;
};

/* The process and its children, by counters that the kernel keeps. */
static void tree_add(struct tree *tree, int pid)
{
    char path[64], children[16384];
    long size, resident, shared;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    f = fopen(path, "re");
    if (f && fscanf(f, "%ld %ld %ld", &size, &resident, &shared) == 3) {
        tree->own_pages += TF_MAX(resident - shared, 0L);
        tree->shared_pages = TF_MAX(tree->shared_pages, shared);
        tree->processes++;
    }
    if (f) fclose(f);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    f = fopen(path, "re");
    if (f && fgets(children, sizeof children, f))
        for (char *save, *word = strtok_r(children, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
            tree_add(tree, atoi(word));
    if (f) fclose(f);
}

/* Memory of a part in KiB. PostgreSQL is hundreds of processes on one large block: to walk that block for each of them
 * would take seconds on a busy machine, so what they share is counted once. */
static long memory_kib(int pid, bool children_too)
{
    struct tree tree = {0};

    if (children_too) tree_add(&tree, pid);
    if (tree.processes <= 1) return pss_kib(pid);
    return (tree.own_pages + tree.shared_pages) * (sysconf(_SC_PAGESIZE) / 1024);
}

static void print_json_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

int status_print(const char *home, bool json)
{
    char path[600], line[256], name[32], state[32], version[64];
    int pid, port, admin, restarts, rows = 0, bad = 0;
    long long since;
    FILE *f = NULL;

    status_path(home, "", path, sizeof path);
    if (home_supervisor(home)) f = fopen(path, "re"); /* without its writer the file tells of the past */
    if (!f) {
        puts(json ? "{\"running\": false, \"parts\": []}" : "TicketFlow is not running.");
        return 3;
    }
    if (json) {
        fputs("{\"running\": true, \"home\": ", stdout);
        print_json_text(home);
        fputs(", \"parts\": [", stdout);
    } else {
        printf("%-11s %-9s %8s  %-16s %9s %9s  %s\n", "PART", "STATE", "PID", "ADDRESS", "MEMORY", "RESTARTS",
               "VERSION");
    }
    while (fgets(line, sizeof line, f)) {
        char address[32] = "-";
        long kib;

        if (sscanf(line, "%31s %31s %d %d %d %lld %d %63s", name, state, &pid, &port, &admin, &since, &restarts,
                   version) != 8)
            continue;
        if (port) snprintf(address, sizeof address, "127.0.0.1:%d", port);
        /* The supervisor's children are the other rows. */
        kib = pid > 0 ? memory_kib(pid, strcmp(name, "supervisor") != 0) : 0;
        if (strcmp(state, "running") != 0 && strcmp(state, "external") != 0) bad++;
        if (json)
            printf("%s\n  {\"part\": \"%s\", \"state\": \"%s\", \"pid\": %d, \"address\": \"%s\", \"memory_kib\": %ld, "
                   "\"restarts\": %d, "
                   "\"since\": %lld, \"admin_port\": %d, \"version\": \"%s\"}",
                   rows ? "," : "", name, state, pid, address, kib, restarts, since, admin, version);
        else
            printf("%-11s %-9s %8d  %-16s %7.1f M %9d  %s\n", name, state, pid, address, (double)kib / 1024, restarts,
                   version);
        rows++;
    }
    fclose(f);
    if (json) puts("\n]}");
    return bad ? 1 : 0;
}
