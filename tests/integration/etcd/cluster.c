/* Shared by the etcd tests. */
#include "tests/integration/etcd/cluster.h"

#include "common/base/text.h"
#include "common/http/client.h"

#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all watchers */

void watcher_changed(const char *const *addresses, size_t n, void *arg)
{
    struct watcher *watcher = arg;

    pthread_mutex_lock(&lock);
    watcher->n_told++;
    watcher->text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (i) strncat(watcher->text, ",", sizeof watcher->text - strlen(watcher->text) - 1);
        strncat(watcher->text, addresses[i], sizeof watcher->text - strlen(watcher->text) - 1);
    }
    pthread_mutex_unlock(&lock);
}

void watcher_expect(struct watcher *watcher, const char *addresses, int timeout_ms)
{
    char seen[sizeof watcher->text] = "";
    bool right = false;

    for (int waited = 0; waited < timeout_ms && !right; waited += 5) {
        pthread_mutex_lock(&lock);
        right = watcher->n_told > 0 && strcmp(watcher->text, addresses) == 0;
        memcpy(seen, watcher->text, sizeof seen);
        pthread_mutex_unlock(&lock);
        sleep_ms(5);
    }
    if (!right) fail_msg("not within %d ms: \"%s\", but \"%s\"", timeout_ms, addresses, seen);
}

int watcher_n_told(struct watcher *watcher)
{
    int n;

    pthread_mutex_lock(&lock);
    n = watcher->n_told;
    pthread_mutex_unlock(&lock);
    return n;
}

tf_etcd *etcd_at(const char *endpoints)
{
    char prefix[80];
    struct tf_etcd_config config = {.endpoints = endpoints, .prefix = prefix};

    snprintf(prefix, sizeof prefix, "/%s", unique_word());
    return tf_etcd_new(&config);
}

void expect_registered(tf_etcd *etcd, bool registered, int timeout_ms)
{
    for (int waited = 0; tf_etcd_registered(etcd) != registered; waited += 5) {
        if (waited > timeout_ms) fail_msg("not within %d ms: %sregistered", timeout_ms, registered ? "" : "not ");
        sleep_ms(5);
    }
}

const char *etcd_post(const char *endpoint, const char *path, const char *format, ...)
{
    static char text[65536];
    tf_http_client *client = tf_http_client_new();
    struct tf_http_call call = {.method = "POST", .answer_max = sizeof text - 1, .idempotent = true};
    struct tf_http_answer answer;
    va_list args;
    tf_ctx ctx;

    ctx_start(&ctx, 2000);
    va_start(args, format);
    call.body = tf_arena_vprintf(ctx.arena, format, args);
    va_end(args);
    call.size = strlen(call.body);
    call.url = tf_arena_printf(ctx.arena, "http://%s/v3/%s", endpoint, path);
    ASSERT_OK(&ctx, tf_http_perform(&ctx, client, &call, &answer));
    snprintf(text, sizeof text, "%s", answer.body);
    if (answer.status != 200) fail_msg("%s: %d %s", path, answer.status, text);
    tf_ctx_done(&ctx);
    tf_http_client_free(client);
    return text;
}

const char *b64(const char *text)
{
    static char ring[8][512];
    static int next;
    tf_arena *arena = tf_arena_new(4096);
    char *out = ring[next++ % 8];

    snprintf(out, sizeof ring[0], "%s", tf_base64_encode(arena, text, strlen(text), false));
    tf_arena_free(arena);
    return out;
}
