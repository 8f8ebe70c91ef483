/* One loop: a thread, its listening socket, its connections. For this room only.
 *
 * Every connection is in exactly one phase, and each phase is a list ordered by deadline, because all its members wait
 * equally long: the tick looks at the heads only. */
#pragma once

#include "common/http/request.h"

#include <event2/event.h>
#include <event2/event_struct.h>

enum tf_http_phase {
    TF_HTTP_HEADER,   /* the header must be whole in time; also a new connection that has sent nothing yet */
    TF_HTTP_BODY,     /* the body must be whole in time */
    TF_HTTP_HANDLING, /* with the handler: no deadline of ours */
    TF_HTTP_WRITE,    /* the client reads slowly: the next piece must leave in time */
    TF_HTTP_IDLE,     /* kept, between requests */
    TF_HTTP_LINGER,   /* answered for the last time; we wait for the client's end, so that the answer is not lost to a
                         reset */
    TF_HTTP_PHASES
};

struct tf_http_connection {
    struct tf_http_loop *loop;
    struct tf_http_connection *prev, *next; /* in its phase's list */
    enum tf_http_phase phase;
    int64_t deadline_us;
    int fd;
    struct event readable, writable;
    bool reads, writes;         /* these events are wanted */
    bool ended;                 /* the client will send no more */
    tf_http_request *request;   /* being read or answered; NULL before the first byte */
    struct tf_http_bytes ahead; /* what came while the request was with the handler */
    struct tf_http_reply reply; /* leaving */
    size_t sent, marked;        /* bytes of it; at the last extension of the deadline */
    char peer[INET6_ADDRSTRLEN];
};

struct tf_http_loop {
    tf_http_server *server;
    struct event_base *base;
    struct tf_http_mailbox *mailbox;
    int listener;
    struct event *accepts, *wakes, *ticks;
    int64_t accept_pause_until_us; /* out of descriptors; 0: accepting */
    struct {
        struct tf_http_connection *first, *last;
        int64_t timeout_us;
    } phases[TF_HTTP_PHASES];
    size_t n_connections;
    bool draining;
    int64_t drain_until_us, idle_until_us; /* idle connections are closed earlier */
    pthread_t thread;
    bool running;
};

struct tf_http_server {
    struct tf_http_server_config config;
    int port;
    struct tf_http_budget *budget;  /* counted */
    atomic_int n_connections;       /* requests that outlived theirs included */
    _Atomic int64_t drain_until_us; /* 0: serving */
    size_t n_loops;
    struct tf_http_loop loops[];
};

/* Binds n sockets to one port. A port in use is an error even though they share it among themselves. */
bool tf_http_listen(const char *address, size_t n, int *ret_listeners, int *ret_port, const char **ret_error);

bool tf_http_loop_init(struct tf_http_loop *loop, tf_http_server *server, int listener);
bool tf_http_loop_start(struct tf_http_loop *loop);
void tf_http_loop_join(struct tf_http_loop *loop);
void tf_http_loop_done(struct tf_http_loop *loop);

/* A connection, or the request that outlived it, has ended. */
void tf_http_connection_forget(tf_http_server *server);
/* Takes the socket. */
void tf_http_connection_open(struct tf_http_loop *loop, int fd, const char *peer);
void tf_http_connection_close(struct tf_http_connection *connection);
/* The answer is there: sends it and goes on. */
void tf_http_connection_answered(struct tf_http_connection *connection);
void tf_http_connection_timeout(struct tf_http_connection *connection);
/* Nothing of a request has come. */
bool tf_http_connection_is_idle(const struct tf_http_connection *connection);
