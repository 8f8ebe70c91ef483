/* Processes of a part that live although nobody watches them: the kernel asked them to stop when their supervisor was
 * killed, but PostgreSQL may still write a checkpoint, and a backend outlives a postmaster that crashed. Two servers on
 * one data directory, or one that refuses to start, are prevented by waiting. */
#include "deploy/local/local.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000, LIMIT_MS = 30000 };

static bool program_is(const char *pid, const char *name)
{
    char path[300], comm[32] = "";
    FILE *f;

    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    f = fopen(path, "re");
    if (!f) return false;
    if (!fgets(comm, sizeof comm, f)) comm[0] = '\0';
    fclose(f);
    comm[strcspn(comm, "\n")] = '\0';
    return strcmp(comm, name) == 0;
}

/* Every part runs in a directory of its own, so a process tells by its working directory whose it is. */
pid_t leftover_of(struct local *l, const struct part *p)
{
    char directory[600], half_made[620], name[32], path[300], cwd[640];
    struct dirent *entry;
    pid_t found = 0;
    DIR *proc;

    part_directory(l, p, directory, sizeof directory);
    if (p->kind == SERVICE && access(directory, F_OK)) return 0; /* this instance was never started */
    snprintf(half_made, sizeof half_made, "%s" HALF_MADE, directory);
    if (p->kind == STORE)
        snprintf(name, sizeof name, "%.15s", strrchr(store_program(p), '/') + 1);
    else
        snprintf(name, sizeof name, "tf-%.12s", p->service);
    proc = opendir("/proc");
    while (proc && !found && (entry = readdir(proc))) {
        ssize_t n;

        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%.20s/cwd", entry->d_name);
        n = readlink(path, cwd, sizeof cwd - 1);
        if (n <= 0) continue;
        cwd[n] = '\0';
        if ((strcmp(cwd, directory) == 0 || strcmp(cwd, half_made) == 0) && program_is(entry->d_name, name))
            found = atoi(entry->d_name);
    }
    if (proc) closedir(proc);
    return found;
}

bool leftovers_end(struct local *l)
{
    int64_t begun = mono_ms();

    for (int i = ROWS_MAX - 1; i >= 0; i--) { /* also of instances that are wanted no more */
        struct part *p = &l->rows[i];
        bool told = false, ended = false;
        pid_t pid;

        if (p->kind == STORE && p->instance > 1) continue;
        while ((pid = leftover_of(l, p)) != 0) {
            int64_t waited = mono_ms() - begun;

            if (!told) progress_say(l, "Waiting for %s (pid %d) of an earlier start to end", p->name, (int)pid);
            told = true;
            if (waited > PATIENCE_MS && !ended) {
                kill(pid, p->kind == STORE ? store_stop_signal(p) : SIGKILL);
                ended = true;
            }
            if (waited > LIMIT_MS) {
                progress_say(l, "%s (pid %d) of an earlier start does not end; stop it by hand", p->name, (int)pid);
                return false;
            }
            sleep_ms(50);
        }
    }
    return true;
}
