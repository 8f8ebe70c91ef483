/* Are our ports free? Asked before anything is started, so that whoever holds one is named at once. */
#include "deploy/local/local.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool can_bind(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    bool ok;

    if (fd < 0) return true;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
                     sizeof one); /* as the servers do: what TIME_WAIT holds is free */
    ok = bind(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno != EADDRINUSE;
    close(fd);
    return ok;
}

/* Inode of the socket that listens on the port; 0: not found. */
static unsigned long listener_inode(const char *table, int port)
{
    char line[512];
    unsigned local_port, state;
    unsigned long inode, found = 0;
    FILE *f = fopen(table, "re");

    while (f && !found && fgets(line, sizeof line, f))
        if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %lu", &local_port, &state,
                   &inode) == 3 &&
            (int)local_port == port && state == 0x0A)
            found = inode;
    if (f) fclose(f);
    return found;
}

static bool holds_socket(const char *pid, unsigned long inode)
{
    char path[400], target[64], wanted[64];
    struct dirent *entry;
    bool found = false;
    DIR *fds;

    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    fds = opendir(path);
    while (fds && !found && (entry = readdir(fds))) {
        ssize_t n;

        snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s", pid, entry->d_name);
        n = readlink(path, target, sizeof target - 1);
        if (n <= 0) continue;
        target[n] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    if (fds) closedir(fds);
    return found;
}

/* "nginx (pid 123)", as far as we may see it. */
static void port_owner(int port, char *out, size_t size)
{
    unsigned long inode = listener_inode("/proc/net/tcp", port);
    struct dirent *entry;
    DIR *proc;

    snprintf(out, size, "another program");
    if (!inode) inode = listener_inode("/proc/net/tcp6", port);
    if (!inode) return;
    proc = opendir("/proc");
    while (proc && (entry = readdir(proc))) {
        char path[64], comm[32] = "";
        FILE *f;

        if (!isdigit((unsigned char)entry->d_name[0]) || !holds_socket(entry->d_name, inode)) continue;
        snprintf(path, sizeof path, "/proc/%.20s/comm", entry->d_name);
        f = fopen(path, "re");
        if (f && fgets(comm, sizeof comm, f)) comm[strcspn(comm, "\n")] = '\0';
        if (f) fclose(f);
        snprintf(out, size, "%s (pid %.20s)", comm, entry->d_name);
        break;
    }
    if (proc) closedir(proc);
}

static bool port_free(struct local *l, int port, const char *part, const char *purpose)
{
    char owner[96];

    if (can_bind(port)) return true;
    port_owner(port, owner, sizeof owner);
    progress_say(l, "port %d (%s%s) is in use by %s; choose other ports with --base-port", port, part, purpose, owner);
    return false;
}

bool ports_free(struct local *l, const struct part *p)
{
    bool ok = port_free(l, p->port, p->name, "");

    if (p->which == PART_etcd) ok &= port_free(l, p->port + 1, p->name, ", peers");
    if (p->admin_port) ok &= port_free(l, p->admin_port, p->name, ", metrics");
    return ok;
}

bool ports_all_free(struct local *l)
{
    bool ok = true;

    for (struct part *p = NULL; (p = part_next(l, p));)
        if (p->state != PART_EXTERNAL) ok &= ports_free(l, p);
    return ok;
}
