/* Peers that do not follow our rules: a client that sends what it likes, and a server that dies with the request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct raw_request {
    const char *address, *path;
    const void *token; /* metadata tf-identity-bin; NULL: none is sent */
    size_t token_size;
    const char *extra_name, *extra_value; /* one more metadata element; may be NULL */
    const void *payload;
    size_t payload_size;
    int cancel_ms; /* the caller changes its mind after that long; 0: never */
};
struct raw_answer {
    int status;
    bool details; /* grpc-status-details-bin came */
    char text[256];
    char payload[1024];
    size_t payload_size;
    long took_ms;
};
/* With a deadline of five seconds. */
void raw_call(const struct raw_request *request, struct raw_answer *ret_answer);

/* grpc.health.v1 Watch. */
struct raw_watch;
struct raw_watch *raw_watch_open(const char *address, const char *service);
/* The next state; -1: the stream has ended with *ret_status; -2: nothing came in two seconds. */
int raw_watch_next(struct raw_watch *watch, int *ret_status);
void raw_watch_close(struct raw_watch *watch);

/* Accepts connections, takes a request whole and closes the connection without an answer. */
struct raw_dying;
struct raw_dying *raw_dying_start(int port);
int raw_dying_requests(struct raw_dying *dying);
void raw_dying_stop(struct raw_dying *dying);
