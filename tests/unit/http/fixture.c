/* The server under test. */
#include "tests/unit/http/fixture.h"

#include "common/base/macros.h"

#include <pthread.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { THREADS = 4, QUEUE_MAX = 4096 };

/* Requests that other threads answer. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    tf_http_request *requests[QUEUE_MAX];
    size_t first, n;
    bool stopping;
    pthread_t threads[THREADS];
} later = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static _Atomic(tf_http_request *) kept; /* by /keep, until a test answers it */

void respond_text(tf_http_request *request, int status, const char *text)
{
    static const struct tf_http_header type = {"Content-Type", "text/plain"};

    tf_http_respond(request, status, &type, 1, text, strlen(text));
}

static void echo(tf_http_request *request)
{
    char text[BODY_MAX + 1024];
    size_t size;
    const char *body = tf_http_body(request, &size);
    const char *mark = tf_http_header_of(request, "X-Mark");

    snprintf(text, sizeof text, "%s %s ? %s [%s] %s", tf_http_method(request), tf_http_path(request),
             tf_http_query(request), mark ? mark : "", tf_http_peer(request));
    size = TF_MIN(size, (size_t)BODY_MAX);
    text[strlen(text) + 1 + size] = '\0';
    memcpy(text + strlen(text) + 1, body, size);
    text[strlen(text)] = ' ';
    respond_text(request, 200, text);
}

static void *answer_later(void *arg)
{
    (void)arg;
    for (;;) {
        tf_http_request *request;

        pthread_mutex_lock(&later.lock);
        while (!later.n && !later.stopping)
            pthread_cond_wait(&later.filled, &later.lock);
        if (!later.n) {
            pthread_mutex_unlock(&later.lock);
            return NULL;
        }
        request = later.requests[later.first++ % QUEUE_MAX];
        later.n--;
        pthread_mutex_unlock(&later.lock);
        if (strcmp(tf_http_path(request), "/slow") == 0) usleep(200000);
        echo(request);
    }
}

void handle(tf_http_request *request, void *arg)
{
    const char *path = tf_http_path(request);

    (void)arg;
    if (strcmp(path, "/later") == 0 || strcmp(path, "/slow") == 0) {
        pthread_mutex_lock(&later.lock);
        TF_ASSERT(later.n < QUEUE_MAX);
        later.requests[(later.first + later.n++) % QUEUE_MAX] = request;
        pthread_cond_signal(&later.filled);
        pthread_mutex_unlock(&later.lock);
    } else if (strcmp(path, "/keep") == 0) {
        atomic_store(&kept, request);
    } else if (strcmp(path, "/big") == 0) {
        char *big = malloc(BIG_BYTES);

        TF_ASSERT(big);
        memset(big, 'b', BIG_BYTES);
        tf_http_respond(request, 200, NULL, 0, big, BIG_BYTES);
        free(big);
    } else if (strcmp(path, "/long") == 0) {
        size_t size = strtoul(tf_http_query(request), NULL, 10);
        char *text = calloc(1, size + 1);

        TF_ASSERT(text);
        memset(text, 'l', size);
        if (tf_http_reserve(request, size))
            respond_text(request, 200, text);
        else
            respond_text(request, 503, "no room");
        free(text);
    } else if (strcmp(path, "/headers") == 0) {
        const struct tf_http_header headers[] = {
            {"X-Echo", "a\r\nInjected: b"}, {"Content-Length", "1"}, {"Date", "x"}};

        tf_http_respond(request, 200, headers, TF_COUNT(headers), "ok", 2);
    } else if (strcmp(path, "/last") == 0) {
        const struct tf_http_header header = {"Connection", "close"};

        tf_http_respond(request, 200, &header, 1, "bye", 3);
    } else if (strcmp(path, "/hog") == 0) {
        respond_text(request, 200, "small");
    } else if (strcmp(path, "/empty") == 0) {
        tf_http_respond(request, 204, NULL, 0, NULL, 0);
    } else {
        echo(request);
    }
}

int admit(const tf_http_request *request, void *arg, size_t *body_max)
{
    (void)arg;
    if (strcmp(tf_http_path(request), "/unwanted") == 0) return 403;
    if (strcmp(tf_http_path(request), "/small") == 0) *body_max = 10;
    return 0;
}

void decline(tf_http_request *request, int status, void *arg)
{
    char text[128];
    size_t size;

    (void)arg;
    tf_http_body(request, &size);
    snprintf(text, sizeof text, "declined %d %s, %zu bytes", status, tf_http_path(request), size);
    respond_text(request, status, text);
}

static tf_http_server *start_server(int loops, size_t buffer_max)
{
    const struct tf_http_server_config config = {
        .address = "127.0.0.1:0",
        .loops = loops,
        .header_max = HEADER_MAX,
        .body_max = BODY_MAX,
        .header_timeout_ms = HEADER_MS,
        .body_timeout_ms = buffer_max ? BUDGET_BODY_MS : BODY_MS,
        .idle_timeout_ms = IDLE_MS,
        .connections_max = CONNECTIONS_MAX,
        .handler = handle,
        .admit = admit,
        .buffer_max = buffer_max,
        .decline = buffer_max ? decline : NULL,
    };
    tf_http_server *server;
    const char *error = "";

    if (tf_http_server_start(&config, &server, &error)) fail_msg("%s", error);
    return server;
}

tf_http_server *start(int loops)
{
    return start_server(loops, 0);
}

tf_http_server *start_with_budget(int loops)
{
    return start_server(loops, BUFFER_MAX);
}

static tf_http_server *server;
int port;

int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < THREADS; i++)
        TF_ASSERT(pthread_create(&later.threads[i], NULL, answer_later, NULL) == 0);
    server = start(2);
    port = tf_http_server_port(server);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    tf_http_server_stop(server, 1000);
    pthread_mutex_lock(&later.lock);
    later.stopping = true;
    pthread_cond_broadcast(&later.filled);
    pthread_mutex_unlock(&later.lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(later.threads[i], NULL);
    return 0;
}

tf_http_request *wait_kept(void)
{
    for (int i = 0; i < WAIT_MS && !atomic_load(&kept); i++)
        usleep(1000);
    assert_non_null(atomic_load(&kept));
    return atomic_exchange(&kept, NULL);
}
