/* One line and a few counters per request. No query values, bodies or names of people: the route's template stands for
 * the path. */
#pragma once

#include "gateway/exchange.h"

void access_log(const struct exchange *x, int status, const char *reason, size_t bytes);
