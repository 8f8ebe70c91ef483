/* What both etcd programs share: someone who watches a service and remembers what it was told, and calls past our code.
 */
#pragma once

#include "common/etcd/etcd.h"
#include "tests/integration/fixture.h"

struct watcher {
    char text[1024]; /* addresses as last told, joined by commas */
    int n_told;
};

/* A tf_etcd_changed; arg: struct watcher. */
void watcher_changed(const char *const *addresses, size_t n, void *arg);
/* Waits until the watcher was told exactly these addresses. */
void watcher_expect(struct watcher *watcher, const char *addresses, int timeout_ms);
int watcher_n_told(struct watcher *watcher);

tf_etcd *etcd_at(const char *endpoints);
void expect_registered(tf_etcd *etcd, bool registered, int timeout_ms);

/* POST to etcd's JSON gateway by ourselves: the answer, static memory; fails the test unless status 200. */
const char *etcd_post(const char *endpoint, const char *path, const char *format, ...) TF_PRINTF(3, 4);
/* base64 in static memory (a few at a time). */
const char *b64(const char *text);
