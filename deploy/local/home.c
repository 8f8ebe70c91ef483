/* The installation's directory, and the lock by which one supervisor owns it. */
#include "deploy/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    FREE_MIB_FIRST = 512, /* PostgreSQL's files and write-ahead log of a fresh installation, and room to work */
    FREE_MIB_AGAIN = 64,  /* what is there already shall start, so that somebody can make room */
    FILES_MIN = 1024,     /* open files of a process */
};

static bool enough_room(const struct local *l)
{
    char path[600];
    struct statvfs fs;
    unsigned long long mib, needed;

    if (statvfs(l->home, &fs)) return true;
    snprintf(path, sizeof path, "%s/pg/PG_VERSION", l->home);
    needed = access(path, F_OK) ? FREE_MIB_FIRST : FREE_MIB_AGAIN;
    mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20;
    if (mib >= needed) return true;
    fprintf(stderr, "%s has %llu MiB of free disk space; at least %llu MiB are needed\n", l->home, mib, needed);
    return false;
}

/* What a directory may hold that a start was making when it was killed. */
static bool of_a_first_start(const char *name)
{
    static const char *const names[] = {".", "..", "run", "log", "sandbox", "lost+found"};

    for (size_t i = 0; i < TF_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

/* A directory that is there already is an installation of this account's, or empty: nothing is put among the files of
 * others, and root does not take over what an ordinary user began. */
static bool ours_to_use(const char *home)
{
    char path[600];
    struct dirent *entry;
    struct stat st;
    bool ok = true;
    DIR *dir;

    if (stat(home, &st)) return true; /* not there: it will be made */
    if (!S_ISDIR(st.st_mode)) {
        fprintf(stderr, "cannot use %s: it is not a directory\n", home);
        return false;
    }
    if (st.st_uid != geteuid()) {
        const struct passwd *owner = getpwuid(st.st_uid);

        fprintf(stderr, "the directory %s belongs to %s (uid %u): start it as that account, or name another\n", home,
                owner ? owner->pw_name : "somebody else", (unsigned)st.st_uid);
        return false;
    }
    snprintf(path, sizeof path, "%s/run/lock", home);
    dir = access(path, F_OK) ? opendir(home) : NULL;
    while (dir && ok && (entry = readdir(dir))) {
        ok = of_a_first_start(entry->d_name);
        if (!ok)
            fprintf(stderr, "the directory %s holds something else (%s): name one that is empty or not there yet\n",
                    home, entry->d_name);
    }
    if (dir) closedir(dir);
    return ok;
}

/* Children inherit the limit, and every client of the gateway is an open file. */
static bool enough_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files)) return true;
    if (files.rlim_max < FILES_MIN) {
        fprintf(stderr, "a process may open %llu files here; at least %d are needed (ulimit -Hn)\n",
                (unsigned long long)files.rlim_max, FILES_MIN);
        return false;
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files)) perror("limit of open files");
    return true;
}

bool home_make(struct local *l)
{
    static const struct {
        const char *name;
        mode_t mode;
    } dirs[] = {{"", 0755}, {"/run", 0755}, {"/log", 0700}, {"/sandbox", 0700}};
    char path[600], *real;

    if (!ours_to_use(l->home)) return false;
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
    return enough_room(l) && enough_files();
}

static void lock_path(const char *home, char *out, size_t size)
{
    snprintf(out, size, "%s/run/lock", home);
}

/* A record lock: children do not inherit it, it ends with the process however that dies, and anybody may ask who holds
 * it. */
enum lock_result home_lock(struct local *l)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[600];
    int fd;

    lock_path(l->home, path, sizeof path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return LOCK_FAILED;
    if (fcntl(fd, F_SETLK, &lock)) return errno == EACCES || errno == EAGAIN ? LOCK_HELD : LOCK_FAILED;
    /* For the commands: the ports that this installation uses. */
    if (ftruncate(fd, 0) || dprintf(fd, "%d %d\n", (int)getpid(), l->base_port) < 0) return LOCK_FAILED;
    return LOCK_OURS; /* the descriptor stays open with the process */
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
