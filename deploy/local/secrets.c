/* Keys and passwords of an installation: made at first start, mode 600, never changed by us. */
#include "deploy/local/local.h"

#include "common/crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t size; /* random bytes */
    bool text;   /* as hex, for passwords */
} secrets[] = {
    {"internal.key", 32, false},         {"user-signing.key", 32, false}, {"ticket-signing.key", 32, false},
    {"personal-data.key", 32, false},    {"person.key", 32, false},       {"sandbox.key", 32, false},
    {"pg-superuser.password", 16, true}, {"pg-user.password", 16, true},  {"pg-program.password", 16, true},
    {"pg-order.password", 16, true},     {"pg-pay.password", 16, true},   {REDIS_SECRET, 32, true},
    {ETCD_ROOT_SECRET, 16, true},        {ETCD_SECRET, 16, true},
};

/* Whoever reads a secret drops line ends behind it, so a random one must not end in what looks like one. */
static void draw(unsigned char *bytes, size_t size)
{
    do
        tf_random(bytes, size);
    while (bytes[size - 1] == '\n' || bytes[size - 1] == '\r');
}

bool private_file(const char *path, const void *bytes, size_t n)
{
    char temporary[720];
    int fd;
    bool ok;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    ok = write(fd, bytes, n) == (ssize_t)n && fsync(fd) == 0;
    close(fd);
    return ok && rename(temporary, path) == 0;
}

static bool make_one(const char *path, size_t size, bool text)
{
    unsigned char bytes[32];
    char hex[2 * sizeof bytes + 1];

    if (access(path, F_OK) == 0) return true;
    draw(bytes, size);
    if (!text) return private_file(path, bytes, size);
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return private_file(path, hex, 2 * size);
}

bool secrets_make(struct local *l)
{
    char path[700];

    snprintf(path, sizeof path, "%s/secrets", l->home);
    if (mkdir(path, 0700) && errno != EEXIST) {
        progress_say(l, "cannot make %s: %s", path, strerror(errno));
        return false;
    }
    for (size_t i = 0; i < TF_COUNT(secrets); i++) {
        snprintf(path, sizeof path, "%s/secrets/%s", l->home, secrets[i].name);
        if (!make_one(path, secrets[i].size, secrets[i].text)) {
            progress_say(l, "cannot make %s: %s", path, strerror(errno));
            return false;
        }
    }
    return true;
}

bool secret_read(struct local *l, const char *name, char *out, size_t size)
{
    char path[700];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/secrets/%s", l->home, name);
    f = fopen(path, "re");
    if (!f) return false;
    n = fread(out, 1, size - 1, f);
    fclose(f);
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return n > 0;
}
