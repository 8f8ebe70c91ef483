/* Key files: read with suspicion, made so that a crash leaves either the whole file or none. */
#include "common/crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
}

/* The descriptor's facts, not the path's: what is checked is what is read. */
static tf_code check_file(tf_ctx *ctx, const char *path, int fd, size_t min_size, size_t capacity, size_t *ret_size)
{
    struct stat st;

    if (fstat(fd, &st)) return tf_fail(ctx, TF_INTERNAL, "key file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return tf_fail(ctx, TF_INTERNAL, "key file %s is not a plain file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return tf_fail(ctx, TF_FORBIDDEN, "key file %s has mode %04o: group or others have access; chmod 600 it", path,
                       (unsigned)(st.st_mode & 07777));
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return tf_fail(ctx, TF_FORBIDDEN, "key file %s belongs to user %u, not to the user of this process (%u)", path,
                       (unsigned)st.st_uid, (unsigned)geteuid());
    if ((size_t)st.st_size < min_size)
        return tf_fail(ctx, TF_INTERNAL, "key file %s has %zu bytes; at least %zu are needed", path, (size_t)st.st_size,
                       min_size);
    if ((size_t)st.st_size > capacity)
        return tf_fail(ctx, TF_INTERNAL, "key file %s has %zu bytes; at most %zu are expected", path,
                       (size_t)st.st_size, capacity);
    *ret_size = (size_t)st.st_size;
    return TF_OK;
}

/* Reads exactly n bytes; 0 or the errno. */
static int read_all(int fd, void *out, size_t n)
{
    unsigned char *p = out;

    while (n > 0) {
        ssize_t got = read(fd, p, n);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return EIO; /* became shorter meanwhile */
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

tf_code tf_key_read(tf_ctx *ctx, const char *path, size_t min_size, void *out, size_t capacity, size_t *ret_size)
{
    tf_cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t size = 0;
    tf_code code;
    int error;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return tf_fail(ctx, TF_NOT_FOUND, "key file %s does not exist", path);
    if (fd < 0) return tf_fail(ctx, TF_INTERNAL, "key file %s: %s", path, strerror(errno));

    code = check_file(ctx, path, fd, min_size, capacity, &size);
    if (code) return code;

    error = read_all(fd, out, size);
    if (error) {
        tf_wipe(out, size);
        return tf_fail(ctx, TF_INTERNAL, "key file %s: %s", path, strerror(error));
    }
    *ret_size = size;
    return TF_OK;
}

static int write_all(int fd, const void *data, size_t n)
{
    const unsigned char *p = data;

    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* A new file of random bytes on the disk; 0 or the errno. */
static int make_draft(const char *path, size_t size)
{
    tf_cleanup(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    unsigned char bytes[TF_KEY_BYTES_MAX];
    int error;

    if (fd < 0) return errno;
    tf_random(bytes, size);
    error = write_all(fd, bytes, size);
    tf_wipe(bytes, sizeof(bytes));
    if (!error && fchmod(fd, 0600)) error = errno; /* whatever the umask took away */
    if (!error && fsync(fd)) error = errno;
    if (error) unlink(path);
    return error;
}

/* Makes a new name in the directory of path durable; 0 or the errno. */
static int sync_directory(tf_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = !slash ? tf_arena_strdup(arena, ".")
                             : tf_arena_strndup(arena, path, slash == path ? 1 : (size_t)(slash - path));
    tf_cleanup(close_fd) int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (!directory) return ENOMEM;
    if (fd < 0) return errno;
    return fsync(fd) ? errno : 0;
}

/* Written under a name of its own and linked to the path: link, unlike rename, refuses an existing one. */
tf_code tf_key_make(tf_ctx *ctx, const char *path, size_t size)
{
    char suffix[17], *draft;
    int error;

    TF_ASSERT(size >= 1 && size <= TF_KEY_BYTES_MAX);
    tf_random_hex(suffix, 8);
    draft = tf_arena_printf(ctx->arena, "%s.%s", path, suffix);
    if (!draft) return tf_fail(ctx, TF_INTERNAL, "key file %s: no memory", path);

    error = make_draft(draft, size);
    if (error) return tf_fail(ctx, TF_INTERNAL, "key file %s: %s", path, strerror(error));

    error = link(draft, path) ? errno : 0;
    unlink(draft);
    if (error == EEXIST) return tf_fail(ctx, TF_ALREADY_EXISTS, "key file %s exists already", path);
    if (error) return tf_fail(ctx, TF_INTERNAL, "key file %s: %s", path, strerror(error));

    error = sync_directory(ctx->arena, path);
    if (error) return tf_fail(ctx, TF_INTERNAL, "key file %s: cannot make it durable: %s", path, strerror(error));
    return TF_OK;
}
