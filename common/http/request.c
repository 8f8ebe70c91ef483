/* What a handler sees of a request, and the way of its answer back to the loop. */
#include "common/http/request.h"

#include "common/base/macros.h"

#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- buffers --------------------------------------------------------------------------------- */

bool tf_http_bytes_grow(struct tf_http_budget *budget, struct tf_http_bytes *bytes, size_t capacity)
{
    char *data;

    if (!tf_http_budget_set(budget, &bytes->share, capacity)) return false;
    data = realloc(bytes->data, capacity);
    if (!data) {
        (void)tf_http_budget_set(budget, &bytes->share, bytes->capacity); /* less than now */
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

void tf_http_bytes_free(struct tf_http_budget *budget, struct tf_http_bytes *bytes)
{
    free(bytes->data);
    tf_http_budget_return(budget, &bytes->share);
    *bytes = (struct tf_http_bytes){0};
}

/* ---- mailbox --------------------------------------------------------------------------------- */

struct tf_http_mailbox *tf_http_mailbox_new(struct tf_http_budget *budget)
{
    struct tf_http_mailbox *mailbox = calloc(1, sizeof *mailbox);

    if (!mailbox) return NULL;
    mailbox->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mailbox->wake < 0) {
        free(mailbox);
        return NULL;
    }
    mailbox->budget = tf_http_budget_ref(budget);
    pthread_mutex_init(&mailbox->lock, NULL);
    atomic_init(&mailbox->refs, 1);
    return mailbox;
}

void tf_http_mailbox_unref(struct tf_http_mailbox *mailbox)
{
    if (!mailbox || atomic_fetch_sub(&mailbox->refs, 1) > 1) return;
    pthread_mutex_destroy(&mailbox->lock);
    close(mailbox->wake);
    tf_http_budget_unref(mailbox->budget);
    free(mailbox);
}

void tf_http_mailbox_wake(struct tf_http_mailbox *mailbox)
{
    ssize_t n = write(mailbox->wake, &(uint64_t){1}, sizeof(uint64_t));

    (void)n; /* fails only when the counter is full: then it is awake */
}

static tf_http_request *take_locked(struct tf_http_mailbox *mailbox)
{
    tf_http_request *first = TF_TAKE(mailbox->first);

    mailbox->last = NULL;
    return first;
}

tf_http_request *tf_http_mailbox_take(struct tf_http_mailbox *mailbox)
{
    uint64_t count;
    ssize_t n = read(mailbox->wake, &count, sizeof count); /* before the list: a later answer wakes again */
    tf_http_request *first;

    (void)n;
    pthread_mutex_lock(&mailbox->lock);
    first = take_locked(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

tf_http_request *tf_http_mailbox_close(struct tf_http_mailbox *mailbox)
{
    tf_http_request *first;

    pthread_mutex_lock(&mailbox->lock);
    mailbox->closed = true;
    first = take_locked(mailbox);
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

static void post(struct tf_http_mailbox *mailbox, tf_http_request *request)
{
    bool closed, was_empty;

    request->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    closed = mailbox->closed;
    was_empty = !mailbox->first;
    if (!closed) {
        if (was_empty)
            mailbox->first = request;
        else
            mailbox->last->next = request;
        mailbox->last = request;
        if (was_empty) tf_http_mailbox_wake(mailbox); /* under the lock: the eventfd lives as long as a request does */
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (closed) tf_http_request_free(request);
}

/* ---- life ------------------------------------------------------------------------------------ */

tf_http_request *tf_http_request_new(struct tf_http_mailbox *mailbox, const char *peer, size_t header_max,
                                     size_t body_max)
{
    tf_http_request *request = calloc(1, sizeof *request);

    if (!request) return NULL;
    atomic_fetch_add(&mailbox->refs, 1);
    request->mailbox = mailbox;
    request->body_max = body_max;
    strncpy(request->peer, peer, sizeof request->peer - 1);
    tf_http_parser_init(&request->parser, header_max, body_max);
    return request;
}

void tf_http_request_reset(tf_http_request *request)
{
    tf_http_parser_init(&request->parser, request->parser.header_max, request->body_max);
    request->bytes.size = 0;
    if (request->bytes.share) tf_http_bytes_free(request->mailbox->budget, &request->bytes);
    request->answered = request->with_handler = false;
    request->context = NULL;
}

void tf_http_request_free(tf_http_request *request)
{
    if (!request) return;
    tf_http_reply_free(request->mailbox->budget, &request->reply);
    tf_http_budget_return(request->mailbox->budget, &request->answer_share);
    tf_http_bytes_free(request->mailbox->budget, &request->bytes);
    tf_http_mailbox_unref(request->mailbox);
    free(request);
}

/* ---- the handler's view ---------------------------------------------------------------------- */

const char *tf_http_method(const tf_http_request *request)
{
    return request->bytes.data + request->parser.method;
}

const char *tf_http_path(const tf_http_request *request)
{
    return request->bytes.data + request->parser.path;
}

const char *tf_http_query(const tf_http_request *request)
{
    return request->bytes.data + request->parser.query;
}

bool tf_http_header_at(const tf_http_request *request, size_t i, struct tf_http_header *ret_header)
{
    if (i >= request->parser.n_headers) return false;
    ret_header->name = request->bytes.data + request->parser.headers[i].name;
    ret_header->value = request->bytes.data + request->parser.headers[i].value;
    return true;
}

const char *tf_http_header_of(const tf_http_request *request, const char *name)
{
    struct tf_http_header header;

    for (size_t i = 0; tf_http_header_at(request, i, &header); i++)
        if (strcasecmp(header.name, name) == 0) return header.value;
    return NULL;
}

const char *tf_http_body(const tf_http_request *request, size_t *ret_size)
{
    *ret_size = request->parser.body_size;
    return request->bytes.data + request->parser.body;
}

const char *tf_http_peer(const tf_http_request *request)
{
    return request->peer;
}

bool tf_http_gone(const tf_http_request *request)
{
    return atomic_load_explicit(&request->gone, memory_order_relaxed);
}

/* Under the lock, so that whoever takes the wish back knows that it is not being fulfilled. */
static void tell_gone(tf_http_request *request)
{
    void (*gone)(void *arg) = TF_TAKE(request->on_gone);

    if (gone) gone(request->on_gone_arg);
}

void tf_http_request_gone(tf_http_request *request)
{
    pthread_mutex_lock(&request->mailbox->lock);
    atomic_store_explicit(&request->gone, true, memory_order_relaxed);
    tell_gone(request);
    pthread_mutex_unlock(&request->mailbox->lock);
}

void tf_http_on_gone(tf_http_request *request, void (*gone)(void *arg), void *arg)
{
    pthread_mutex_lock(&request->mailbox->lock);
    request->on_gone = gone;
    request->on_gone_arg = arg;
    if (tf_http_gone(request)) tell_gone(request);
    pthread_mutex_unlock(&request->mailbox->lock);
}

void tf_http_set_context(tf_http_request *request, void *context)
{
    request->context = context;
}

void *tf_http_context(const tf_http_request *request)
{
    return request->context;
}

static bool is_head(const tf_http_request *request)
{
    return strcmp(tf_http_method(request), "HEAD") == 0;
}

bool tf_http_reserve(tf_http_request *request, size_t size)
{
    return tf_http_budget_set(request->mailbox->budget, &request->answer_share, is_head(request) ? 0 : size);
}

void tf_http_respond(tf_http_request *request, int status, const struct tf_http_header *headers, size_t n_headers,
                     const void *body, size_t size)
{
    struct tf_http_mailbox *mailbox = request->mailbox;
    struct tf_http_reply_kind kind = {
        .head = is_head(request),
        .minor_0 = request->parser.minor_0,
        .keep = request->parser.keep_alive && !atomic_load_explicit(&mailbox->draining, memory_order_relaxed),
    };

    TF_ASSERT(request->with_handler && !request->answered);
    tf_http_on_gone(request, NULL, NULL);
    if (tf_http_reserve(request, size)) {
        request->reply = tf_http_reply_new(kind, status, headers, n_headers, body, size);
        request->reply.share = request->answer_share;
        request->answer_share = 0;
    } else {
        tf_http_budget_return(mailbox->budget, &request->answer_share);
        request->reply = tf_http_reply_bare(503);
        tf_http_count_refusal(503);
    }
    request->answered = true;
    /* Straight on when the handler answers before it returns; otherwise by the mailbox, from our own thread too, so
     * that one connection's answer never runs another connection's next handler inside this one. */
    if (pthread_equal(mailbox->thread, pthread_self()) && mailbox->dispatching == request)
        mailbox->dispatching = NULL;
    else
        post(mailbox, request);
}
