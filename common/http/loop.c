/* The loop's thread: accepting, answers from elsewhere, deadlines, and the end. */
#include "common/http/loop.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_AT_ONCE = 64, TICK_MS = 25, ACCEPT_PAUSE_MS = 100, LINGER_MS = 1000, IDLE_DRAIN_MS = 500 };

static tf_gauge connections = TF_GAUGE("tf_http_connections", "Open HTTP connections", NULL);
static tf_gauge buffered =
    TF_GAUGE("tf_http_buffered_bytes", "Bytes of large requests and answers in memory, out of the budget", NULL);
static tf_counter refusals =
    TF_COUNTER("tf_http_refused_total", "Requests and connections that the HTTP layer refused by itself", "status");

void tf_http_count_refusal(int status)
{
    char label[16];

    snprintf(label, sizeof label, "%d", status);
    tf_counter_add_label(&refusals, label, 1);
}

/* Of all servers of this process: the metrics know no difference between them. */
static atomic_int n_open;

void tf_http_connection_forget(tf_http_server *server)
{
    atomic_fetch_sub(&server->n_connections, 1);
    atomic_fetch_sub_explicit(&n_open, 1, memory_order_relaxed);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static void peer_text(const struct sockaddr_storage *from, char out[static INET6_ADDRSTRLEN])
{
    const void *bytes = from->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)from)->sin6_addr
                                                    : (const void *)&((const struct sockaddr_in *)from)->sin_addr;

    if (!inet_ntop(from->ss_family, bytes, out, INET6_ADDRSTRLEN)) out[0] = '\0';
}

static void open_connection(struct tf_http_loop *loop, int fd, const struct sockaddr_storage *from)
{
    tf_http_server *server = loop->server;
    char peer[INET6_ADDRSTRLEN];

    if (atomic_fetch_add(&server->n_connections, 1) >= server->config.connections_max) {
        atomic_fetch_sub(&server->n_connections, 1);
        tf_counter_add_label(&refusals, "connections", 1);
        close(fd);
        return;
    }
    atomic_fetch_add_explicit(&n_open, 1, memory_order_relaxed);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    peer_text(from, peer);
    tf_http_connection_open(loop, fd, peer);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
    struct tf_http_loop *loop = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            open_connection(loop, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            event_del(loop->accepts); /* the socket stays ready: without a pause we would spin */
            loop->accept_pause_until_us = tf_mono_us() + (int64_t)ACCEPT_PAUSE_MS * TF_US_PER_MS;
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* other errors are of one connection that died while it waited */
    }
}

/* ---- answers and the end --------------------------------------------------------------------- */

static void stop_accepting(struct tf_http_loop *loop)
{
    if (loop->listener < 0) return;
    on_accept(loop->listener, 0, loop); /* who is in the queue was let in by the kernel already */
    event_del(loop->accepts);
    close(loop->listener);
    loop->listener = -1;
    loop->accept_pause_until_us = 0;
}

/* Who has not asked for anything until now is not waited for. */
static void close_idle(struct tf_http_loop *loop)
{
    static const enum tf_http_phase idle_in[] = {TF_HTTP_HEADER, TF_HTTP_IDLE};

    for (size_t i = 0; i < TF_COUNT(idle_in); i++) {
        struct tf_http_connection *c, *next;

        for (c = loop->phases[idle_in[i]].first; c; c = next) {
            next = c->next;
            if (tf_http_connection_is_idle(c)) tf_http_connection_close(c);
        }
    }
}

/* Idle connections get a moment: a client that is about to use one again would meet its end with a request on the way,
 * and not know what became of it; its next answer tells it to go. */
static void begin_drain(struct tf_http_loop *loop, int64_t until_us)
{
    int64_t now = tf_mono_us();

    stop_accepting(loop);
    loop->draining = true;
    loop->drain_until_us = until_us;
    loop->idle_until_us = now + TF_MIN((int64_t)IDLE_DRAIN_MS * TF_US_PER_MS, TF_MAX(until_us - now, 0) / 2);
    if (!loop->n_connections) event_base_loopbreak(loop->base);
}

/* An answer whose connection is gone ends here. */
static void drop_request(struct tf_http_loop *loop, tf_http_request *request)
{
    tf_http_connection_forget(loop->server);
    tf_http_request_free(request);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct tf_http_loop *loop = arg;
    tf_http_request *request = tf_http_mailbox_take(loop->mailbox), *next;
    int64_t drain_until_us = atomic_load(&loop->server->drain_until_us);

    (void)fd, (void)what;
    for (; request; request = next) {
        next = request->next;
        if (request->connection)
            tf_http_connection_answered(request->connection);
        else
            drop_request(loop, request);
    }
    if (drain_until_us && !loop->draining) begin_drain(loop, drain_until_us);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct tf_http_loop *loop = arg;
    int64_t now = tf_mono_us();

    (void)fd, (void)what;
    for (int phase = 0; phase < TF_HTTP_PHASES; phase++) {
        struct tf_http_connection *first;

        if (phase == TF_HTTP_HANDLING) continue;
        while ((first = loop->phases[phase].first) && first->deadline_us <= now)
            tf_http_connection_timeout(first);
    }
    if (loop->accept_pause_until_us && loop->accept_pause_until_us <= now) {
        loop->accept_pause_until_us = 0;
        event_add(loop->accepts, NULL);
    }
    tf_gauge_set(&connections, atomic_load_explicit(&n_open, memory_order_relaxed));
    tf_gauge_set(&buffered, (double)tf_http_budget_in_use());
    if (loop->draining && now >= loop->idle_until_us) close_idle(loop);
    if (loop->draining && now >= loop->drain_until_us) event_base_loopbreak(loop->base);
}

/* Cuts what the drain did not end. Requests that are with the handler go on alone. */
static void cut_all(struct tf_http_loop *loop)
{
    tf_http_request *request, *next;

    for (int phase = 0; phase < TF_HTTP_PHASES; phase++)
        while (loop->phases[phase].first)
            tf_http_connection_close(loop->phases[phase].first);
    for (request = tf_http_mailbox_close(loop->mailbox); request; request = next) {
        next = request->next;
        drop_request(loop, request);
    }
}

static void *run(void *arg)
{
    struct tf_http_loop *loop = arg;

    loop->mailbox->thread = pthread_self();
    pthread_setname_np(pthread_self(), "tf-http");
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    cut_all(loop);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (!config) return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread only */
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

bool tf_http_loop_init(struct tf_http_loop *loop, tf_http_server *server, int listener)
{
    const struct tf_http_server_config *config = &server->config;
    const int timeouts_ms[TF_HTTP_PHASES] = {
        [TF_HTTP_HEADER] = config->header_timeout_ms,
        [TF_HTTP_BODY] = config->body_timeout_ms,
        [TF_HTTP_WRITE] = config->body_timeout_ms,
        [TF_HTTP_IDLE] = config->idle_timeout_ms,
        [TF_HTTP_LINGER] = LINGER_MS,
    };

    loop->server = server;
    loop->listener = listener;
    for (int phase = 0; phase < TF_HTTP_PHASES; phase++)
        loop->phases[phase].timeout_us = (int64_t)timeouts_ms[phase] * TF_US_PER_MS;
    loop->mailbox = tf_http_mailbox_new(server->budget);
    loop->base = new_base();
    if (!loop->mailbox || !loop->base) return false;

    loop->accepts = event_new(loop->base, listener, EV_READ | EV_PERSIST, on_accept, loop);
    loop->wakes = event_new(loop->base, loop->mailbox->wake, EV_READ | EV_PERSIST, on_wake, loop);
    loop->ticks = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
    return loop->accepts && loop->wakes && loop->ticks && event_add(loop->accepts, NULL) == 0 &&
           event_add(loop->wakes, NULL) == 0 &&
           event_add(loop->ticks, &(struct timeval){.tv_usec = TICK_MS * TF_US_PER_MS}) == 0;
}

bool tf_http_loop_start(struct tf_http_loop *loop)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are the process's business, not ours */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    loop->running = pthread_create(&loop->thread, NULL, run, loop) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return loop->running;
}

void tf_http_loop_join(struct tf_http_loop *loop)
{
    if (!loop->running) return;
    pthread_join(loop->thread, NULL);
    loop->running = false;
}

void tf_http_loop_done(struct tf_http_loop *loop)
{
    if (loop->accepts) event_free(loop->accepts);
    if (loop->wakes) event_free(loop->wakes);
    if (loop->ticks) event_free(loop->ticks);
    if (loop->base) event_base_free(loop->base);
    if (loop->listener >= 0) close(loop->listener);
    tf_http_mailbox_unref(loop->mailbox);
}
