/* Where calls go: "http://host:port", found out once. */
#pragma once

#include "common/base/macros.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { TARGET_TEXT_MAX = 300 };

struct target {
    char url[TARGET_TEXT_MAX];  /* "http://host:port" */
    char host[TARGET_TEXT_MAX]; /* "host:port", for the Host header */
    struct sockaddr_storage address;
    socklen_t address_size;
};

/* Of "http://host[:port][/path…]"; an IPv6 address in brackets. *ret_path points into url at the path, or is "/".
 * False: not such a URL. The name is not looked up yet. */
TF_MUSTCHECK bool target_parse(const char *url, struct target *ret_target, const char **ret_path);
/* Looks the host up, for at most two seconds (a numeric address at once). False when it has no address. */
TF_MUSTCHECK bool target_resolve(struct target *target);
