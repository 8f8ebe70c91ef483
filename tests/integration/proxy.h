/* A TCP proxy that misbehaves on demand, between the code under test and a real server: the only way to lose exactly an
 * answer. */
#pragma once

struct proxy;

enum proxy_mode {
    PROXY_PASS,
    PROXY_MUTE,   /* requests reach the server, its answers wait in the proxy until PASS */
    PROXY_FREEZE, /* nothing moves; connections are accepted by the kernel only (a stopped process) */
    PROXY_REFUSE, /* all connections are cut and new ones refused (a dead process) */
};

/* target: "host:port" or the path of a Unix socket. */
struct proxy *proxy_start(const char *target);
void proxy_stop(struct proxy *proxy);
int proxy_port(const struct proxy *proxy);
/* Returns when it holds. */
void proxy_set(struct proxy *proxy, enum proxy_mode mode);
/* New connections lead to another target from now on; those there are stay where they are. */
void proxy_aim(struct proxy *proxy, const char *target);
/* Closes the connections there are, unsent answers with them. */
void proxy_cut(struct proxy *proxy);
