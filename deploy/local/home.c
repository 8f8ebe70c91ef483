/* The installation's directory, and the lock by which one supervisor owns it. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FREE_MIB_MIN = 512 }; /* PostgreSQL's files and write-ahead log of a fresh installation, and room to work */

static bool enough_room(const struct local *l)
{
    struct statvfs fs;
    unsigned long long mib;

    if (statvfs(l->home, &fs)) return true;
    mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    if (mib >= FREE_MIB_MIN) return true;
    fprintf(stderr, "%s has %llu MiB of free disk space; at least %d MiB are needed\n", l->home, mib, FREE_MIB_MIN);
    return false;
}

bool home_make(struct local *l)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"", 0755}, {"/run", 0755}, {"/log", 0700}, {"/sandbox", 0700}};
    char path[600], *real;

    for (size_t i = 0; i < TF_COUNT(dirs); i++) {
        snprintf(path, sizeof path, "%s%s", l->home, dirs[i].name);
        if (mkdir(path, dirs[i].mode) == 0 || (errno == EEXIST && access(path, W_OK | X_OK) == 0)) continue;
        fprintf(stderr, "cannot use the directory %s: %s\n", path, strerror(errno));
        return false;
    }
    real = realpath(l->home, NULL);
    if (!real || strlen(real) >= sizeof l->home) {
        fprintf(stderr, "cannot use the directory %s\n", l->home);
        free(real);
        return false;
    }
    snprintf(l->home, sizeof l->home, "%s", real);
    free(real);
    return enough_room(l);
}

static void lock_path(const char *home, char *out, size_t size)
{
    snprintf(out, size, "%s/run/lock", home);
}

/* A record lock: children do not inherit it, it ends with the process however that dies, and anybody may ask who holds
 * it. */
bool home_lock(struct local *l)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[600];
    int fd;

    lock_path(l->home, path, sizeof path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || fcntl(fd, F_SETLK, &lock)) return false;
    /* For the commands: the ports that this installation uses. */
    if (ftruncate(fd, 0) || dprintf(fd, "%d %d\n", (int)getpid(), l->base_port) < 0) perror(path);
    return true; /* the descriptor stays open with the process */
}

pid_t home_supervisor(const char *home)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[600];
    int fd;
    bool asked;

    lock_path(home, path, sizeof path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    asked = fcntl(fd, F_GETLK, &lock) == 0;
    close(fd);
    return asked && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}
