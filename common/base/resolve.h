/* Host names to addresses, within a deadline.
 *
 * getaddrinfo knows no deadline: with a name server away it holds its caller for many seconds. Here threads of our own
 * ask it; callers wait no longer than they want to, or not at all and call again. Answers are kept for
 * TF_RESOLVE_FRESH_S; an older one is still given when the system does not answer within TF_RESOLVE_GRACE_MS or cannot
 * tell, so that a name server's outage does not become ours. All functions are thread-safe. */
#pragma once

#include "common/base/error.h"
#include "common/base/macros.h"

#include <stddef.h>
#include <stdint.h>

enum {
    TF_RESOLVE_ADDRESSES_MAX = 8, /* further ones are left out */
    TF_RESOLVE_TEXT = 64,         /* of an address, with its NUL; an IPv6 one may carry "%interface" */
    TF_RESOLVE_HOST_MAX = 255,    /* bytes of a name */
    TF_RESOLVE_FRESH_S = 10,
    TF_RESOLVE_GRACE_MS = 200,
};

struct tf_addresses {
    size_t n;
    /* Numeric: "192.0.2.7", "2001:db8::7"; in the system's order. */
    char text[TF_RESOLVE_ADDRESSES_MAX][TF_RESOLVE_TEXT];
};

/* The addresses (one or more) of a name; of a numeric address, itself, at once. until_us: on the monotonic clock
 * (tf_mono_us); one in the past only begins the search. TF_FIELD_INVALID: empty or too long. TF_NOT_FOUND: no such
 * name. TF_DEADLINE: no answer in time; the search goes on, so that a later call may find its answer. TF_STORE_DOWN: no
 * name server could tell. TF_OVERLOADED: too many names are being looked for. */
TF_MUSTCHECK tf_code tf_resolve_wait(const char *host, int64_t until_us, struct tf_addresses *ret_addresses);
