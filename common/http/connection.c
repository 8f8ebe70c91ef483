/* One connection: reading a request, handing it out, sending the answer, going on or ending well. */
#include "common/http/loop.h"

#include "common/base/clock.h"
#include "common/base/macros.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES_MIN = 4096,
    AHEAD_BYTES_MAX = TF_HTTP_SMALL_BYTES, /* taken of what is pipelined behind a request */
    WRITE_PIECE = 65536,                   /* must leave within a deadline of TF_HTTP_WRITE */
    DISCARD_BYTES = 16384,
};

/* ---- phases ---------------------------------------------------------------------------------- */

static void leave_phase(struct tf_http_connection *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->loop->phases[c->phase].first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        c->loop->phases[c->phase].last = c->prev;
}

/* Also starts the deadline anew when the phase is the present one. */
static void enter_phase(struct tf_http_connection *c, enum tf_http_phase phase)
{
    c->phase = phase;
    c->deadline_us = tf_mono_us() + c->loop->phases[phase].timeout_us;
    c->prev = c->loop->phases[phase].last;
    c->next = NULL;
    if (c->prev)
        c->prev->next = c;
    else
        c->loop->phases[phase].first = c;
    c->loop->phases[phase].last = c;
}

static void set_phase(struct tf_http_connection *c, enum tf_http_phase phase)
{
    leave_phase(c);
    enter_phase(c, phase);
}

static void want_reads(struct tf_http_connection *c, bool want)
{
    if (c->reads == want) return;
    c->reads = want;
    if (want)
        event_add(&c->readable, NULL);
    else
        event_del(&c->readable);
}

static void want_writes(struct tf_http_connection *c, bool want)
{
    if (c->writes == want) return;
    c->writes = want;
    if (want)
        event_add(&c->writable, NULL);
    else
        event_del(&c->writable);
}

static struct tf_http_budget *budget_of(const struct tf_http_connection *c)
{
    return c->loop->mailbox->budget;
}

/* ---- end ------------------------------------------------------------------------------------- */

void tf_http_connection_close(struct tf_http_connection *c)
{
    struct tf_http_loop *loop = c->loop;
    tf_http_request *request = c->request;

    leave_phase(c);
    event_del(&c->readable);
    event_del(&c->writable);
    close(c->fd);
    if (request && request->with_handler) { /* lives on until answered, and counts until then */
        request->connection = NULL;
        tf_http_request_gone(request);
    } else {
        tf_http_request_free(request);
        tf_http_connection_forget(loop->server);
    }
    tf_http_bytes_free(budget_of(c), &c->ahead);
    tf_http_reply_free(budget_of(c), &c->reply);
    free(c);
    loop->n_connections--;
    if (loop->draining && !loop->n_connections) event_base_loopbreak(loop->base);
}

/* Closing at once with unread bytes in the socket would make the kernel reset the connection, and the client might
 * never see the answer. So: our end first, then the client's, for a short while. */
static void linger(struct tf_http_connection *c)
{
    if (c->ended || shutdown(c->fd, SHUT_WR) != 0) {
        tf_http_connection_close(c);
        return;
    }
    tf_http_request_free(TF_TAKE(c->request));
    c->ahead.size = 0;
    set_phase(c, TF_HTTP_LINGER);
    want_reads(c, true);
}

static void discard(struct tf_http_connection *c)
{
    char bytes[DISCARD_BYTES];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) tf_http_connection_close(c);
}

/* ---- answering ------------------------------------------------------------------------------- */

/* The answer has left: on to the next request, of which bytes may be here already. */
static void go_on(struct tf_http_connection *c)
{
    if (c->ahead.size) {
        struct tf_http_bytes spare = c->request->bytes;

        c->request->bytes = c->ahead;
        c->ahead = spare;
    }
    if (!c->ended) want_reads(c, true);
}

/* Sends what the socket takes. True when all has left and the connection goes on; otherwise it waits or is no more. */
static bool flush(struct tf_http_connection *c)
{
    bool closes;

    while (c->sent < c->reply.size) {
        ssize_t n = send(c->fd, c->reply.bytes + c->sent, c->reply.size - c->sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) {
            tf_http_connection_close(c);
            return false;
        }
        if (n > 0) c->sent += (size_t)n;
        if (c->sent == c->reply.size) break;
        if (c->phase != TF_HTTP_WRITE || c->sent - c->marked >= WRITE_PIECE) {
            c->marked = c->sent;
            set_phase(c, TF_HTTP_WRITE);
        }
        want_writes(c, true);
        return false;
    }
    closes = c->reply.close;
    tf_http_reply_free(budget_of(c), &c->reply);
    want_writes(c, false);
    if (closes) {
        linger(c);
        return false;
    }
    go_on(c);
    return true;
}

static bool send_reply(struct tf_http_connection *c, struct tf_http_reply reply)
{
    if (!reply.bytes) { /* no memory */
        tf_http_connection_close(c);
        return false;
    }
    c->reply = reply;
    c->sent = c->marked = 0;
    return flush(c);
}

static bool deliver(struct tf_http_connection *c)
{
    struct tf_http_reply reply = c->request->reply;

    c->request->reply = (struct tf_http_reply){0};
    tf_http_request_reset(c->request); /* its memory need not wait for a client that reads slowly */
    return send_reply(c, reply);
}

/* Hands a request to the handler, or to `decline` with a status. True when it was answered at once and the connection
 * goes on. */
static bool hand_out(struct tf_http_connection *c, int declined)
{
    const struct tf_http_server_config *config = &c->loop->server->config;
    struct tf_http_mailbox *mailbox = c->loop->mailbox;
    tf_http_request *request = c->request;
    bool answered;

    request->connection = c;
    request->with_handler = true;
    atomic_store_explicit(&request->gone, c->ended, memory_order_relaxed);
    set_phase(c, TF_HTTP_HANDLING);
    mailbox->dispatching = request;
    if (declined)
        config->decline(request, declined, config->arg);
    else
        config->handler(request, config->arg);
    answered = !mailbox->dispatching; /* not asked of the request: another thread may have it by now */
    mailbox->dispatching = NULL;
    return answered && deliver(c);
}

/* The last on this connection: in the server's own words where the header is good and only the body is not taken. */
static void refuse(struct tf_http_connection *c, int status)
{
    struct tf_http_parser *parser = c->request ? &c->request->parser : NULL;
    bool framing = status == 400 || status == 408 || status == 431; /* of the body: nobody's words but ours */

    tf_http_count_refusal(status);
    if (!parser || !parser->head_done || framing || !c->loop->server->config.decline) {
        send_reply(c, tf_http_reply_bare(status));
        return;
    }
    parser->keep_alive = false;
    parser->body_size = 0;
    c->ahead.size = 0;
    hand_out(c, status);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Room for at least one byte more, at most `most` in all. */
static bool make_room(struct tf_http_connection *c, struct tf_http_bytes *bytes, size_t most)
{
    size_t capacity = TF_MAX(bytes->capacity * 2, (size_t)READ_BYTES_MIN);

    if (bytes->size < bytes->capacity) return true;
    return tf_http_bytes_grow(budget_of(c), bytes, TF_MIN(capacity, TF_MAX(most, bytes->size + 1)));
}

/* Bytes behind the request belong to the next one. They are few: read_request takes no more than AHEAD_BYTES_MAX at
 * once where it does not know the request's end. */
static bool set_ahead(struct tf_http_connection *c)
{
    struct tf_http_bytes *bytes = &c->request->bytes;
    size_t rest = bytes->size - c->request->parser.at;

    if (rest > c->ahead.capacity && !tf_http_bytes_grow(budget_of(c), &c->ahead, rest)) return false;
    c->ahead.size = rest;
    if (rest) memcpy(c->ahead.data, bytes->data + c->request->parser.at, rest);
    bytes->size = c->request->parser.at;
    return true;
}

/* Hands a whole request to the handler. True when it was answered at once and the connection goes on. */
static bool serve(struct tf_http_connection *c)
{
    if (!set_ahead(c)) {
        tf_http_connection_close(c);
        return false;
    }
    return hand_out(c, 0);
}

/* The body begins: whether it is wanted. False: it was refused. */
static bool admit(struct tf_http_connection *c)
{
    const struct tf_http_server_config *config = &c->loop->server->config;
    struct tf_http_parser *parser = &c->request->parser;
    int status = config->admit ? config->admit(c->request, config->arg, &parser->body_max) : 0;

    if (!status && parser->body_size + parser->left > parser->body_max) status = 413;
    if (status) refuse(c, status);
    return !status;
}

static void await_more(struct tf_http_connection *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct tf_http_parser *parser = &c->request->parser;

    if (!parser->head_done) {
        if (c->phase != TF_HTTP_HEADER) set_phase(c, TF_HTTP_HEADER);
        return;
    }
    if (c->phase != TF_HTTP_BODY) {
        if (!admit(c)) return;
        set_phase(c, TF_HTTP_BODY);
    }
    if (parser->expects_continue && c->request->bytes.size == parser->at) {
        ssize_t n = send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL);

        (void)n; /* nothing else is under way, so there is room; an error shows at the next read */
    }
    parser->expects_continue = false;
}

/* Goes on with what has been read, request after request. */
static void advance(struct tf_http_connection *c)
{
    while (c->request->bytes.size) {
        switch (tf_http_parse(&c->request->parser, c->request->bytes.data, &c->request->bytes.size)) {
        case TF_HTTP_REFUSED:
            refuse(c, c->request->parser.status);
            return;
        case TF_HTTP_DONE:
            if (!serve(c)) return;
            break;
        case TF_HTTP_MORE:
            if (c->ended)
                tf_http_connection_close(c);
            else
                await_more(c);
            return;
        }
    }
    if (c->ended)
        tf_http_connection_close(c);
    else
        set_phase(c, TF_HTTP_IDLE);
}

/* How many bytes the request may have with what we read of it at once. */
static size_t bytes_most(const struct tf_http_parser *parser)
{
    if (!parser->head_done) return parser->header_max + AHEAD_BYTES_MAX;
    if (parser->chunked) return parser->body + parser->body_max + parser->header_max + AHEAD_BYTES_MAX; /* trailers */
    return parser->body + (size_t)parser->left;
}

static void read_request(struct tf_http_connection *c)
{
    const struct tf_http_server_config *config = &c->loop->server->config;
    const struct tf_http_parser *parser;
    struct tf_http_bytes *bytes;
    size_t most;
    ssize_t n;

    if (!c->request) c->request = tf_http_request_new(c->loop->mailbox, c->peer, config->header_max, config->body_max);
    if (!c->request) {
        tf_http_connection_close(c);
        return;
    }
    bytes = &c->request->bytes;
    parser = &c->request->parser;
    most = bytes_most(parser);
    if (!make_room(c, bytes, most)) {
        refuse(c, 503);
        return;
    }
    most = TF_MIN(bytes->capacity, most) - bytes->size;
    if (!parser->head_done || parser->chunked) most = TF_MIN(most, (size_t)AHEAD_BYTES_MAX);
    n = recv(c->fd, bytes->data + bytes->size, most, 0);
    if (n > 0) {
        bytes->size += (size_t)n;
        advance(c);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        tf_http_connection_close(c);
    }
}

/* While a request is with the handler or its answer is leaving: the client's end is noticed, and a few bytes of what it
 * pipelines are taken; then reading stops. */
static void read_ahead(struct tf_http_connection *c)
{
    ssize_t n;

    if (c->ahead.size >= AHEAD_BYTES_MAX || !make_room(c, &c->ahead, AHEAD_BYTES_MAX)) {
        want_reads(c, false);
        return;
    }
    n = recv(c->fd, c->ahead.data + c->ahead.size, c->ahead.capacity - c->ahead.size, 0);
    if (n > 0) {
        c->ahead.size += (size_t)n;
    } else if (n == 0) {
        c->ended = true;
        want_reads(c, false);
        tf_http_request_gone(c->request);
    } else if (errno != EAGAIN && errno != EINTR) {
        tf_http_connection_close(c);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct tf_http_connection *c = arg;

    (void)fd, (void)what;
    switch (c->phase) {
    case TF_HTTP_LINGER:
        discard(c);
        break;
    case TF_HTTP_HANDLING:
    case TF_HTTP_WRITE:
        read_ahead(c);
        break;
    default:
        read_request(c);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct tf_http_connection *c = arg;

    (void)fd, (void)what;
    if (flush(c)) advance(c);
}

void tf_http_connection_open(struct tf_http_loop *loop, int fd, const char *peer)
{
    struct tf_http_connection *c = calloc(1, sizeof *c);

    if (!c) {
        close(fd);
        tf_http_connection_forget(loop->server);
        return;
    }
    c->loop = loop;
    c->fd = fd;
    strncpy(c->peer, peer, sizeof c->peer - 1);
    event_assign(&c->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    loop->n_connections++;
    enter_phase(c, TF_HTTP_HEADER);
    want_reads(c, true);
}

void tf_http_connection_answered(struct tf_http_connection *c)
{
    if (deliver(c)) advance(c);
}

bool tf_http_connection_is_idle(const struct tf_http_connection *c)
{
    return c->phase == TF_HTTP_IDLE || (c->phase == TF_HTTP_HEADER && (!c->request || !c->request->bytes.size));
}

void tf_http_connection_timeout(struct tf_http_connection *c)
{
    if (c->phase == TF_HTTP_BODY || (c->phase == TF_HTTP_HEADER && !tf_http_connection_is_idle(c)))
        refuse(c, 408);
    else
        tf_http_connection_close(c);
}
