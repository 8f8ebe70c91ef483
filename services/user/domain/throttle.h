/* Who waits how long after wrong passwords. Pure. */
#pragma once

#include <stdbool.h>

/* Seconds to wait after `failures` wrong passwords in a row, of which `free_failures` cost nothing: 1, 2, 4 … up to
 * 300. */
static inline int login_wait_s(int failures, int free_failures)
{
    int over = failures - free_failures;

    if (over < 0) return 0;
    return over >= 9 ? 300 : (1 << over) < 300 ? 1 << over : 300;
}

/* The client addresses that are counted as one, in text: an IPv4 address alone (mapped into IPv6 or not), of an IPv6
 * address its network of 64 bits, which one subscriber has whole. False: `address` is none. */
enum { THROTTLE_NETWORK_TEXT = 64 };
bool throttle_network(const char *address, char out[static THROTTLE_NETWORK_TEXT]);
