/* Connecting, writing, reading, and saying how it ended. */
#include "tools/load/wire.h"

#include "common/base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 16 << 20 };

static void disconnect(struct wire *w)
{
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    w->at = NULL;
    w->wants_out = false;
}

/* The call is over; the wire is free for the next one before anybody is told. */
static void finish(struct wire *w, enum call_end how)
{
    struct wire_end end = {.end = how, .sent_us = w->sent_us, .ended_us = tf_mono_us()};

    loop_timer_clear(w->loop, &w->deadline);
    w->state = WIRE_IDLE;
    if (how == CALL_ANSWERED) {
        end.answer = &w->answer;
        end.body = w->in.data + w->answer.body;
        /* Neither what came beyond the answer nor what is left of the request may meet the next call. */
        if (!w->answer.keep_alive || w->in.size > w->answer.size || w->sent < w->out.size) disconnect(w);
    } else {
        disconnect(w);
    }
    w->done(w->arg, &end);
}

static void on_deadline(void *arg)
{
    struct wire *w = arg;

    finish(w, w->failure);
}

/* Waits for room to write, or no more. */
static bool want_out(struct wire *w, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.ptr = &w->watch};

    if (w->wants_out == wanted) return true;
    w->wants_out = wanted;
    return epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &event) == 0;
}

/* False: the connection is lost. */
static bool write_more(struct wire *w)
{
    while (w->sent < w->out.size) {
        ssize_t n = send(w->fd, w->out.data + w->sent, w->out.size - w->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return want_out(w, true);
        if (n < 0) return false;
        w->sent += (size_t)n;
    }
    return want_out(w, false);
}

/* While no call is in flight nothing may come but the connection's end. */
static void read_idle(struct wire *w)
{
    char byte;
    ssize_t n = recv(w->fd, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    disconnect(w);
}

static void read_more(struct wire *w)
{
    ssize_t n = recv(w->fd, w->loop->scratch, LOOP_SCRATCH_BYTES, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        finish(w, CALL_LOST);
        return;
    }
    tf_buf_append(&w->in, w->loop->scratch, (size_t)n);
    switch (w->in.broken ? ANSWER_BROKEN : answer_read(&w->answer, w->in.data, w->in.size)) {
    case ANSWER_MORE:
        break;
    case ANSWER_WHOLE:
        finish(w, CALL_ANSWERED);
        break;
    case ANSWER_BROKEN:
        finish(w, CALL_BROKEN);
        break;
    }
}

/* True when the connection stands now. */
static bool connected(struct wire *w)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
        w->state = WIRE_CALLING;
        w->failure = CALL_LATE;
        return true;
    }
    finish(w, CALL_UNCONNECTED);
    return false;
}

static void ready(void *arg, uint32_t events)
{
    struct wire *w = arg;

    if (w->fd < 0) return; /* closed since epoll saw it */
    if (w->state == WIRE_IDLE) {
        read_idle(w);
        return;
    }
    if (w->state == WIRE_CONNECTING) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) || !connected(w)) return;
    }
    if ((events & EPOLLOUT) && !write_more(w)) {
        finish(w, CALL_LOST);
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_more(w);
}

void wire_init(struct wire *w, struct loop *loop, wire_done done, void *arg)
{
    *w = (struct wire){.loop = loop, .done = done, .arg = arg, .fd = -1};
    w->watch = (struct loop_watch){.ready = ready, .arg = w};
    w->deadline = (struct timer){.fire = on_deadline, .arg = w};
    tf_buf_init(&w->out, REQUEST_MAX);
    tf_buf_init(&w->in, ANSWER_HEAD_MAX + ANSWER_BODY_MAX + LOOP_SCRATCH_BYTES);
}

void wire_free(struct wire *w)
{
    if (!w->loop) return;
    loop_timer_clear(w->loop, &w->deadline);
    disconnect(w);
    tf_buf_done(&w->out);
    tf_buf_done(&w->in);
    *w = (struct wire){.fd = -1};
}

bool wire_busy(const struct wire *w)
{
    return w->state != WIRE_IDLE;
}

/* The connection is on its way, or false. */
static bool start_connecting(struct wire *w, const struct target *to)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &w->watch};
    int one = 1;

    w->connects++;
    w->fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0) return false;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(w->fd, (const struct sockaddr *)&to->address, to->address_size) && errno != EINPROGRESS) return false;
    w->at = to;
    w->wants_out = true;
    return epoll_ctl(w->loop->epoll, EPOLL_CTL_ADD, w->fd, &event) == 0;
}

void wire_send(struct wire *w, const struct target *to, const void *request, size_t size, int64_t timeout_us)
{
    bool on_its_way;

    TF_ASSERT(w->state == WIRE_IDLE);
    w->sent_us = tf_mono_us();
    w->sent = 0;
    tf_buf_clear(&w->out);
    tf_buf_clear(&w->in);
    tf_buf_append(&w->out, request, size);
    TF_ASSERT(!w->out.broken);
    answer_begin(&w->answer);
    if (w->at != to) disconnect(w);
    if (w->fd >= 0) {
        w->state = WIRE_CALLING;
        on_its_way = write_more(w);
        w->failure = on_its_way ? CALL_LATE : CALL_LOST;
    } else {
        w->state = WIRE_CONNECTING;
        w->failure = CALL_UNCONNECTED;
        on_its_way = start_connecting(w, to);
    }
    loop_timer_set(w->loop, &w->deadline, on_its_way ? w->sent_us + timeout_us : w->sent_us);
}

void wire_give_up(struct wire *w)
{
    if (w->state != WIRE_IDLE) finish(w, w->state == WIRE_CONNECTING ? CALL_UNCONNECTED : CALL_LATE);
}
