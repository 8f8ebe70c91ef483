/* Reading secret files, and the database password's way into a connection string. */
#include "common/chassis/secrets.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES_MIN = 32 };

static tf_code refuse(tf_arena *arena, const char **ret_error, const char *path, const char *what)
{
    *ret_error = tf_arena_printf(arena, "%s: %s", path, what);
    return TF_FIELD_INVALID;
}

/* Reads to the end of the file; -1: an error, or more than max bytes. */
static ssize_t read_all(int fd, char *out, size_t max)
{
    size_t n = 0;

    for (;;) {
        ssize_t got = read(fd, out + n, max + 1 - n);

        if (got < 0) return -1;
        if (got == 0) return (ssize_t)n;
        n += (size_t)got;
        if (n > max) return -1;
    }
}

tf_code tf_secret_read(tf_arena *arena, const char *path, char **ret_secret, size_t *ret_size, const char **ret_error)
{
    char *secret = tf_arena_alloc(arena, TF_SECRET_BYTES_MAX + 1);
    struct stat status;
    ssize_t n = -1;
    int fd;

    if (!secret) return refuse(arena, ret_error, path, "no memory");
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        *ret_error = tf_arena_printf(arena, "%s: cannot be read: %m", path);
        return TF_FIELD_INVALID;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return refuse(arena, ret_error, path, "is not a regular file");
    }
    if (status.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) {
        close(fd);
        return refuse(arena, ret_error, path, "is open to others: a secret's mode must be 600");
    }
    n = read_all(fd, secret, TF_SECRET_BYTES_MAX);
    close(fd);
    if (n < 0) return refuse(arena, ret_error, path, "cannot be read, or is larger than 4096 bytes");

    while (n > 0 && (secret[n - 1] == '\n' || secret[n - 1] == '\r'))
        n--;
    secret[n] = '\0';
    if (n == 0) return refuse(arena, ret_error, path, "is empty");
    *ret_secret = secret;
    *ret_size = (size_t)n;
    return TF_OK;
}

tf_code tf_identity_key_read(tf_arena *arena, const char *path, struct tf_identity_key *ret_key, const char **ret_error)
{
    char *secret;
    size_t size;
    tf_code code = tf_secret_read(arena, path, &secret, &size, ret_error);

    if (code) return code;
    if (size < KEY_BYTES_MIN || size > sizeof(ret_key->secret))
        return refuse(arena, ret_error, path, "a key has 32 to 64 bytes");
    *ret_key = (struct tf_identity_key){.size = size};
    memcpy(ret_key->secret, secret, size);
    return TF_OK;
}

/* In a URI everything but unreserved characters is percent-encoded. */
static char *uri_with_password(tf_arena *arena, const char *dsn, const char *password)
{
    size_t n = strlen(dsn);
    char *out = tf_arena_alloc(arena, n + strlen("?password=") + 3 * strlen(password) + 1);
    char *at;

    if (!out) return NULL;
    at = out + sprintf(out, "%s%cpassword=", dsn, strchr(dsn, '?') ? '&' : '?');
    for (; *password; password++) {
        unsigned char c = (unsigned char)*password;

        if (isalnum(c) || strchr("-._~", c))
            *at++ = (char)c;
        else
            at += sprintf(at, "%%%02X", c);
    }
    *at = '\0';
    return out;
}

/* In keyword form quotes and backslashes are escaped inside quotes. */
static char *keywords_with_password(tf_arena *arena, const char *dsn, const char *password)
{
    char *out = tf_arena_alloc(arena, strlen(dsn) + strlen(" password=''") + 2 * strlen(password) + 1);
    char *at;

    if (!out) return NULL;
    at = out + sprintf(out, "%s password='", dsn);
    for (; *password; password++) {
        if (*password == '\'' || *password == '\\') *at++ = '\\';
        *at++ = *password;
    }
    strcpy(at, "'");
    return out;
}

char *tf_dsn_with_password(tf_arena *arena, const char *dsn, const char *password)
{
    bool uri = strncmp(dsn, "postgresql://", 13) == 0 || strncmp(dsn, "postgres://", 11) == 0;

    return uri ? uri_with_password(arena, dsn, password) : keywords_with_password(arena, dsn, password);
}
