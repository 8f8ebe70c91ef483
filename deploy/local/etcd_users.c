/* Authentication in the private etcd: root, who administers, and one user for the services, who reads and writes. */
#include "deploy/local/local.h"

#include <stdio.h>

enum { BODY_MAX = 400 };

/* Does etcd ask for passwords, and is this one right? */
static bool knows(int port, const char *user, const char *password)
{
    char body[BODY_MAX];

    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"}", user, password);
    return probe_http_post(port, "/v3/auth/authenticate", body);
}

static void add_user(int port, const char *user, const char *password, const char *role)
{
    char body[BODY_MAX];

    snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"%s\"}", user, password);
    /* There already, from a start that did not come to its end: it may have had another password. */
    if (!probe_http_post(port, "/v3/auth/user/add", body)) probe_http_post(port, "/v3/auth/user/changepw", body);
    snprintf(body, sizeof body, "{\"name\":\"%s\"}", role);
    probe_http_post(port, "/v3/auth/role/add", body);
    snprintf(body, sizeof body, "{\"user\":\"%s\",\"role\":\"%s\"}", user, role);
    probe_http_post(port, "/v3/auth/user/grant", body);
}

bool etcd_users_make(struct local *l, int port)
{
    char root[128], user[128];

    if (!secret_read(l, ETCD_ROOT_SECRET, root, sizeof root) || !secret_read(l, ETCD_SECRET, user, sizeof user))
        return false;
    if (knows(port, ETCD_USER, user)) return true;
    /* What is there already is refused again, so single answers say nothing: the end decides. Enabling comes last,
     * because from then on only root may do any of this. */
    add_user(port, "root", root, "root");
    add_user(port, ETCD_USER, user, "services");
    probe_http_post(
        port, "/v3/auth/role/grant",
        "{\"name\":\"services\",\"perm\":{\"permType\":\"READWRITE\",\"key\":\"AA==\",\"range_end\":\"AA==\"}}");
    probe_http_post(port, "/v3/auth/enable", "{}");
    return knows(port, ETCD_USER, user);
}
