/* Reading the pictures of a directory, and finding one. */
#include "gateway/pictures.h"

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/macros.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"
#include "common/zip/zip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ETAG_DIGEST_BYTES = 16, SCRATCH_BYTES = 8 * 1024 * 1024 };

struct pictures {
    tf_arena *arena;
    struct picture *all; /* by name */
    size_t n, capacity;
    size_t bytes; /* of the files */
};

static const struct {
    const char *ending, *type;
    bool text; /* compresses well; the others are compressed already */
} types[] = {
    {"svg", "image/svg+xml", true},
    {"png", "image/png", false},
    {"jpg", "image/jpeg", false},
    {"webp", "image/webp", false},
};

const char *picture_type(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (n == 0 || name[n] != '.' || strlen(name) > PICTURE_NAME_MAX) return NULL;
    for (size_t i = 0; i < TF_COUNT(types); i++)
        if (strcmp(name + n + 1, types[i].ending) == 0) return types[i].type;
    return NULL;
}

static bool is_text(const char *type)
{
    for (size_t i = 0; i < TF_COUNT(types); i++)
        if (strcmp(types[i].type, type) == 0) return types[i].text;
    return false;
}

/* ---- one file --------------------------------------------------------------------------------------------------- */

/* NULL, and *ret_why in words. left: bytes that all pictures together may still take. */
static void *read_bytes(int fd, tf_arena *arena, size_t left, size_t *ret_size, const char **ret_why)
{
    struct stat st;
    char *data;

    *ret_why = "no file";
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return NULL;
    *ret_why = "empty";
    if (st.st_size == 0) return NULL;
    *ret_why = "too large";
    if (st.st_size > PICTURE_BYTES_MAX) return NULL;
    *ret_why = "the pictures are too large together";
    if ((size_t)st.st_size > left) return NULL;
    data = tf_arena_alloc(arena, (size_t)st.st_size);
    if (!data) return NULL;
    *ret_why = "cannot be read";
    for (size_t at = 0; at < (size_t)st.st_size;) {
        ssize_t n = read(fd, data + at, (size_t)st.st_size - at);

        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return NULL;
        at += (size_t)n;
    }
    *ret_size = (size_t)st.st_size;
    return data;
}

static void *read_file(int directory, const char *name, tf_arena *arena, size_t left, size_t *ret_size,
                       const char **ret_why)
{
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe must not hold the start */
    void *data;

    *ret_why = "cannot be opened";
    if (fd < 0) return NULL;
    data = read_bytes(fd, arena, left, ret_size, ret_why);
    close(fd);
    return data;
}

/* Tags name the bytes that travel, so the compressed form has one of its own. */
static void name_versions(struct picture *picture)
{
    unsigned char digest[TF_SHA256_BYTES];
    char hex[2 * ETAG_DIGEST_BYTES + 1];

    tf_sha256(picture->plain.data, picture->plain.size, digest);
    tf_hex_encode(digest, ETAG_DIGEST_BYTES, hex);
    snprintf(picture->plain.etag, sizeof picture->plain.etag, "\"%s\"", hex);
    snprintf(picture->gzip.etag, sizeof picture->gzip.etag, "\"%s-gz\"", hex);
}

static void compress(tf_arena *arena, struct picture *picture)
{
    tf_cleanup(tf_arena_freep) tf_arena *scratch = tf_arena_new(SCRATCH_BYTES);
    size_t size;
    void *zip = scratch ? tf_gzip(scratch, picture->plain.data, picture->plain.size, TF_GZIP_BEST, &size) : NULL;

    if (!zip || size >= picture->plain.size) return;
    picture->gzip.data = tf_arena_memdup(arena, zip, size);
    picture->gzip.size = size;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static void leave_out(const char *name, const char *why)
{
    tf_log(TF_LOG_WARN, "picture not served", "name", name, "cause", why, NULL);
}

static void add(pictures *p, int directory, const char *name)
{
    struct picture picture = {.type = picture_type(name)};
    const char *why;

    if (p->n == PICTURES_MAX) {
        leave_out(name, "too many pictures");
        return;
    }
    picture.plain.data = read_file(directory, name, p->arena, PICTURES_BYTES_MAX - p->bytes, &picture.plain.size, &why);
    if (!picture.plain.data) {
        leave_out(name, why);
        return;
    }
    picture.name = tf_arena_strdup(p->arena, name);
    if (!picture.name) {
        leave_out(name, "no memory");
        return;
    }
    if (is_text(picture.type)) compress(p->arena, &picture);
    name_versions(&picture);
    if (p->n == p->capacity) {
        p->capacity = p->capacity ? 2 * p->capacity : 32;
        p->all = realloc(p->all, p->capacity * sizeof *p->all);
        TF_ASSERT(p->all);
    }
    p->all[p->n++] = picture;
    p->bytes += picture.plain.size;
}

static int is_picture(const struct dirent *entry)
{
    return picture_type(entry->d_name) != NULL;
}

/* The C library's alphasort follows the locale; the search below does not. */
static int by_entry(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

pictures *pictures_load(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n;
    struct dirent **entries = NULL;
    pictures *p;

    n = fd < 0 ? -1 : scandirat(fd, ".", &entries, is_picture, by_entry);
    if (n < 0) {
        tf_log(TF_LOG_WARN, "pictures not served: the directory cannot be read", "directory", directory, "cause",
               strerror(errno), NULL);
        if (fd >= 0) close(fd);
        return NULL;
    }
    p = calloc(1, sizeof *p);
    TF_ASSERT(p);
    /* Each picture plain and, at worst nearly as large, compressed; and the names. */
    p->arena = tf_arena_new(2 * (size_t)PICTURES_BYTES_MAX + SCRATCH_BYTES);
    TF_ASSERT(p->arena);
    for (int i = 0; i < n; i++) {
        add(p, fd, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    close(fd);
    tf_log(TF_LOG_INFO, "pictures read", "pictures", tf_log_int((char[TF_LOG_INT]){0}, (int64_t)p->n), "bytes",
           tf_log_int((char[TF_LOG_INT]){0}, (int64_t)p->bytes), NULL);
    return p;
}

void pictures_free(pictures *p)
{
    if (!p) return;
    tf_arena_free(p->arena);
    free(p->all);
    free(p);
}

size_t pictures_count(const pictures *p)
{
    return p->n;
}

static int by_name(const void *name, const void *picture)
{
    return strcmp(name, ((const struct picture *)picture)->name);
}

const struct picture *pictures_find(const pictures *p, const char *name)
{
    return p->n ? bsearch(name, p->all, p->n, sizeof *p->all, by_name) : NULL;
}
