/* Between the files of this room: the handle, calls to etcd's JSON gateway, waiting. */
#pragma once

#include "common/base/buf.h"
#include "common/etcd/etcd.h"
#include "common/http/client.h"
#include "common/json/json.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    TF_ETCD_CALL_MS = 2000,
    TF_ETCD_TOKEN_MAX = 4096, /* with its NUL; a signed one is a few hundred bytes */
};

struct tf_etcd_registration;
struct tf_etcd_watcher;

struct tf_etcd {
    char **endpoints; /* base URLs */
    size_t n_endpoints;
    _Atomic size_t endpoint; /* in use, modulo n_endpoints */
    char *prefix;
    char *user, *password;      /* NULL: nobody logs in */
    pthread_mutex_t token_lock; /* protects the next two; never held over a call */
    bool has_token;
    char token[TF_ETCD_TOKEN_MAX]; /* "": etcd asks nobody */
    tf_http_client *http;
    atomic_bool stopping;
    pthread_mutex_t lock;                                /* protects watchers and the threads' naps */
    pthread_cond_t woken;                                /* monotonic clock */
    _Atomic(struct tf_etcd_registration *) registration; /* set once */
    struct tf_etcd_watcher *watchers;                    /* list */
};

/* POST /v3/`path`, logged in. TF_NOT_FOUND and TF_STATE_WRONG when etcd says so, TF_UNAUTHENTICATED when it takes no
 * token of ours; any other failure makes the next endpoint the one in use. The answer is the caller's to free. */
TF_MUSTCHECK tf_code tf_etcd_call(tf_ctx *ctx, tf_etcd *etcd, const char *path, const tf_buf *body,
                                  tf_json **ret_answer);
/* The same with a token of the caller's ("": none), once. */
TF_MUSTCHECK tf_code tf_etcd_post(tf_ctx *ctx, tf_etcd *etcd, const char *path, const tf_buf *body, const char *token,
                                  tf_json **ret_answer);
/* The URL of a call at the endpoint in use, in the arena. */
const char *tf_etcd_url(tf_ctx *ctx, tf_etcd *etcd, const char *path, size_t *ret_endpoint);
/* That endpoint failed: others are to use the next one. */
void tf_etcd_next_endpoint(tf_etcd *etcd, size_t failed);

/* auth.c: the token for calls, asked for when there is none; "" where none is needed. Any thread. */
TF_MUSTCHECK tf_code tf_etcd_token(tf_ctx *ctx, tf_etcd *etcd, char ret_token[static TF_ETCD_TOKEN_MAX]);
/* etcd refused that one: the next call asks for another. */
void tf_etcd_token_refused(tf_etcd *etcd, const char *token);
/* The header that carries it; the returned number of headers is 0 for "". */
size_t tf_etcd_token_header(const char *token, struct tf_http_header *ret_header);

/* "key": base64 of text. */
void tf_etcd_put_bytes(tf_arena *arena, tf_json_writer *w, const char *key, const char *text);
/* "key" and "range_end" of all keys that begin with prefix; its last byte is not 0xff. */
void tf_etcd_put_range(tf_arena *arena, tf_json_writer *w, const char *prefix);
/* 64-bit integers come as strings, zero is left out. */
int64_t tf_etcd_int(const tf_json *value);

/* A jittered pause after the n-th failure in a row (from 0), in ms, at most max_ms. */
int tf_etcd_backoff_ms(int failures, int max_ms);
/* Sleeps; returns early when *stop becomes true (and `woken` is signalled). */
void tf_etcd_nap(tf_etcd *etcd, const atomic_bool *stop, int64_t ms);

void tf_etcd_registration_free(tf_etcd *etcd);
/* Joins and frees all; etcd->stopping is set. */
void tf_etcd_watchers_free(tf_etcd *etcd);
