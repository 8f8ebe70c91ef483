/* Logs that have grown large give way while their parts run. A part keeps its file open (for appending), so what is
 * there is copied to the next generation and the file is emptied: no part has to be told, and none waits for us. */
#include "deploy/local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void generation_path(const char *path, int generation, char *out, size_t size)
{
    snprintf(out, size, "%s.%d", path, generation);
}

/* Copies from `in` to its end, wherever that is by then; the bytes copied, or -1. */
static off_t copy_to_end(int in, int out)
{
    static char bytes[1 << 16];
    off_t copied = 0;
    ssize_t n;

    while ((n = read(in, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0, put; at < n; at += put) {
            put = write(out, bytes + at, (size_t)(n - at));
            if (put <= 0) return -1;
        }
        copied += n;
    }
    return n < 0 ? -1 : copied;
}

/* A line that is written between the last read and the emptying is lost; the file is looked at again right before, so
 * that this is a matter of microseconds. */
static bool copy_and_empty(int in, int out)
{
    off_t copied = 0;

    for (;;) {
        off_t more = copy_to_end(in, out);
        struct stat st;

        if (more < 0 || fstat(in, &st)) return false;
        copied += more;
        if (st.st_size <= copied) return ftruncate(in, 0) == 0;
    }
}

static void rotate(const char *path)
{
    char from[720], to[720];
    int in, out;
    bool ok;

    for (int i = LOG_GENERATIONS; i > 1; i--) {
        generation_path(path, i - 1, from, sizeof from);
        generation_path(path, i, to, sizeof to);
        if (rename(from, to) && errno != ENOENT) perror(to);
    }
    generation_path(path, 1, to, sizeof to);
    in = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0) {
        perror(path);
        return;
    }
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    ok = out >= 0 && copy_and_empty(in, out);
    if (out >= 0) close(out);
    if (!ok) {
        /* A full disk, most likely: a log that cannot be kept must not make it worse. */
        fprintf(stderr, "%s cannot be kept (%s) and is emptied\n", to, strerror(errno));
        unlink(to);
        if (ftruncate(in, 0)) perror(path);
    }
    close(in);
}

static void rotate_if_large(const struct local *l, const char *name)
{
    char path[700];
    struct stat st;

    snprintf(path, sizeof path, "%s/log/%s.log", l->home, name);
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > l->log_bytes) rotate(path);
}

void logs_rotate(struct local *l)
{
    for (struct part *p = NULL; (p = part_next(l, p));)
        rotate_if_large(l, p->name);
    rotate_if_large(l, "supervisor");
    rotate_if_large(l, "prepare");
}
