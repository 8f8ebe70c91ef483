/* Shared by the integration tests. */
#include "tests/integration/fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

const char *env_or_fail(const char *name, const char *meaning)
{
    const char *value = getenv(name);

    if (!value || !*value) {
        fprintf(stderr, "This test needs a real server: set %s to %s.\n", name, meaning);
        exit(1);
    }
    return value;
}

const char *redis_password(void)
{
    static char password[256];
    const char *path = getenv("TF_TEST_REDIS_PASSWORD_FILE");
    FILE *f;

    if (!path || !*path) return NULL;
    f = fopen(path, "re");
    if (!f || !fgets(password, sizeof(password), f)) {
        fprintf(stderr, "TF_TEST_REDIS_PASSWORD_FILE: %s cannot be read.\n", path);
        exit(1);
    }
    fclose(f);
    password[strcspn(password, "\n")] = '\0';
    return password;
}

const char *unique_word(void)
{
    static char word[64];

    if (!word[0]) snprintf(word, sizeof(word), "t%d_%lld", (int)getpid(), (long long)(tf_now_us() / TF_US_PER_MS));
    return word;
}

void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&pause, NULL);
}

enum { PORT_FIRST = 30000, PORTS = 2700 }; /* 30000 … 32699 */

int free_port(void)
{
    static int given;

    for (int i = 0; i < PORTS; i++) {
        int port = PORT_FIRST + (int)(((unsigned)getpid() * 37u + (unsigned)given++) % PORTS);
        struct sockaddr_in at = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool free = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

        if (fd >= 0) close(fd);
        if (free) return port;
    }
    fail_msg("no free port from %d on", PORT_FIRST);
    return 0;
}

void wait_until(bool (*check)(void *arg), void *arg, int timeout_ms, const char *what)
{
    int64_t until = tf_mono_us() + (int64_t)timeout_ms * TF_US_PER_MS;

    while (!check(arg)) {
        if (tf_mono_us() > until) fail_msg("not within %d ms: %s", timeout_ms, what);
        sleep_ms(5);
    }
}

void ctx_start(tf_ctx *ctx, int timeout_ms)
{
    tf_ctx_init(ctx, "test", (int64_t)timeout_ms * TF_US_PER_MS);
}
