/* URLs of servers and their addresses. */
#include "tools/load/target.h"

#include "common/base/clock.h"
#include "common/base/resolve.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_UP_US = 2 * TF_US_PER_S, PORT_DEFAULT = 80, PORT_MAX = 65535 };

static bool name_valid(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(".-_:%", c)))
            return false;
    }
    return n > 0 && n <= TF_RESOLVE_HOST_MAX;
}

/* Splits "host:port" or "[address]:port"; the port is 0 when it is wrong. */
static int split(const char *host, char name[TARGET_TEXT_MAX])
{
    const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':'), *port;
    size_t n;
    int64_t value = PORT_DEFAULT;

    if (host[0] == '[') {
        if (!end) return 0;
        n = (size_t)(end - ++host);
        port = end + 1;
    } else {
        n = end ? (size_t)(end - host) : strlen(host);
        port = host + n;
    }
    if (!name_valid(host, n) || (*port && (*port != ':' || !tf_parse_int64(port + 1, &value)))) return 0;
    snprintf(name, TARGET_TEXT_MAX, "%.*s", (int)n, host);
    return value > 0 && value <= PORT_MAX ? (int)value : 0;
}

bool target_parse(const char *url, struct target *t, const char **ret_path)
{
    static const char scheme[] = "http://";
    char name[TARGET_TEXT_MAX];
    size_t n;

    if (strncmp(url, scheme, sizeof scheme - 1) != 0) return false;
    n = strcspn(url + sizeof scheme - 1, "/?#");
    if (n + sizeof scheme > sizeof t->url) return false;
    *t = (struct target){0};
    memcpy(t->host, url + sizeof scheme - 1, n);
    memcpy(t->url, url, n + sizeof scheme - 1);
    if (split(t->host, name) == 0) return false;
    *ret_path = url[sizeof scheme - 1 + n] == '/' ? url + sizeof scheme - 1 + n : "/";
    return true;
}

bool target_resolve(struct target *t)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct tf_addresses addresses;
    char name[TARGET_TEXT_MAX];
    int port = split(t->host, name);

    if (port == 0 || tf_resolve_wait(name, tf_mono_us() + LOOK_UP_US, &addresses)) return false;
    if (inet_pton(AF_INET, addresses.text[0], &v4.sin_addr) == 1) {
        v4.sin_port = htons((uint16_t)port);
        t->address_size = sizeof v4;
        memcpy(&t->address, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, addresses.text[0], &v6.sin6_addr) != 1) return false;
    v6.sin6_port = htons((uint16_t)port);
    t->address_size = sizeof v6;
    memcpy(&t->address, &v6, sizeof v6);
    return true;
}
