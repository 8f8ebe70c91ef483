/* The server under test, its handler, and the threads that answer for it. */
#pragma once

#include "common/http/server.h"

enum {
    HEADER_MAX = 4096,
    BODY_MAX = 65536,
    HEADER_MS = 1000,
    BODY_MS = 1000,
    IDLE_MS = 1500,
    CONNECTIONS_MAX = 1100,
    WAIT_MS = 6000, /* for what must come */
    BIG_BYTES = 24 * 1024 * 1024,
    /* of the server that start_with_budget makes */
    BUFFER_MAX = 256 * 1024,
    BUDGET_BODY_MS = 4500, /* a busy machine needs some to fill the budget; less than WAIT_MS */
};

#define HOST "Host: a\r\n"

extern int port; /* of the server that the group's tests share */
int set_up(void **state);
int tear_down(void **state);

/* Paths: /later and /slow (200 ms) are answered by other threads, /keep by the test, /big is large, /headers tries to
 * break out of its header, /last closes, /empty is 204, /hog
 * answers shortly, /long?N has N bytes,
 * for which room is reserved or a 503 in words given; the rest echoes the request. */
void handle(tf_http_request *request, void *arg);
/* "declined 413 /path, 0 bytes". */
void decline(tf_http_request *request, int status, void *arg);
/* /small takes bodies of 10 bytes, /unwanted none. */
int admit(const tf_http_request *request, void *arg, size_t *body_max);
tf_http_server *start(int loops);
/* The same with a budget of BUFFER_MAX, and words for what it declines. */
tf_http_server *start_with_budget(int loops);
void respond_text(tf_http_request *request, int status, const char *text);
/* The request of /keep, waited for. */
tf_http_request *wait_kept(void);
