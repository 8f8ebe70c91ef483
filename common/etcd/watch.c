/* Watching one service: the whole list first, then changes from the next revision on; after any doubt (compaction, a
 * lost or silent stream, another endpoint) the whole list again. */
#include "common/etcd/internal.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/etcd/members.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    IDLE_MS = 30000, /* a stream silent so long is opened again, with a fresh list: a frozen peer looks the same */
    BACKOFF_MAX_MS = 5000,
    BODY_MAX = 65536,
    LINE_MAX_BYTES = 4 * 1024 * 1024,
    SCRATCH_MAX = 8 * 1024 * 1024,
};

struct tf_etcd_watcher {
    tf_etcd *etcd;
    struct tf_etcd_watcher *next;
    char *prefix; /* "/ticketflow/order/" */
    tf_etcd_changed changed;
    void *arg;
    pthread_t thread;
    struct tf_etcd_members members;
    struct tf_etcd_members told; /* as last given to `changed` */
    bool has_told;
    int64_t revision; /* of the list */
    tf_buf line;      /* of the stream, until its end comes */
    tf_arena *scratch;
    bool lost; /* the stream cannot go on: list anew */
    bool said_down;
};

/* ---- telling --------------------------------------------------------------------------------- */

static bool same_addresses(const struct tf_etcd_members *a, const struct tf_etcd_members *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->members[i].key, b->members[i].key) != 0 ||
            strcmp(a->members[i].address, b->members[i].address) != 0)
            return false;
    return true;
}

static void tell(struct tf_etcd_watcher *w)
{
    const char **addresses;
    size_t n;

    if (w->has_told && same_addresses(&w->members, &w->told)) return;
    tf_etcd_members_done(&w->told);
    for (size_t i = 0; i < w->members.n; i++)
        tf_etcd_members_set(&w->told, w->members.members[i].key, w->members.members[i].address);
    w->has_told = true;
    addresses = tf_etcd_members_addresses(&w->members, &n);
    w->changed(addresses, n, w->arg);
    free(addresses);
}

/* ---- reading keys ---------------------------------------------------------------------------- */

static char *decode(tf_arena *arena, const tf_json *text)
{
    const char *s = tf_json_string(text, "");
    size_t n;
    char *bytes = tf_base64_decode(arena, s, strlen(s), false, &n);

    if (!bytes || memchr(bytes, '\0', n)) return NULL;
    return tf_arena_strndup(arena, bytes, n);
}

/* What is not of our layout is left out: others may write under the prefix. */
static void take_put(tf_arena *arena, struct tf_etcd_members *members, const tf_json *kv)
{
    tf_cleanup(tf_json_freep) tf_json *value = NULL;
    const char *key = decode(arena, tf_json_get(kv, "key"));
    const char *text = decode(arena, tf_json_get(kv, "value"));
    const char *address, *error;

    if (!key) return;
    value = text ? tf_json_parse(arena, text, strlen(text), 0, &error) : NULL;
    address = tf_json_string(tf_json_get(value, "Addr"), "");
    if (!*address)
        tf_etcd_members_remove(members, key);
    else if (!tf_etcd_members_set(members, key, address))
        tf_log(TF_LOG_WARN, "more instances in etcd than we follow", "key", key, NULL);
}

static void take_event(struct tf_etcd_watcher *w, const tf_json *event)
{
    const tf_json *kv = tf_json_get(event, "kv");
    const char *key;

    if (strcmp(tf_json_string(tf_json_get(event, "type"), "PUT"), "DELETE") != 0) {
        take_put(w->scratch, &w->members, kv);
        return;
    }
    key = decode(w->scratch, tf_json_get(kv, "key"));
    if (key) tf_etcd_members_remove(&w->members, key);
}

/* ---- the list -------------------------------------------------------------------------------- */

static tf_code list(tf_ctx *ctx, struct tf_etcd_watcher *w)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer writer = {.out = &body};
    const tf_json *kvs;
    tf_code code;

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&writer);
    tf_etcd_put_range(ctx->arena, &writer, w->prefix);
    tf_json_end_object(&writer);
    code = tf_etcd_call(ctx, w->etcd, "kv/range", &body, &answer);
    if (code) return code;

    tf_etcd_members_done(&w->members);
    kvs = tf_json_get(answer, "kvs");
    for (size_t i = 0; i < tf_json_size(kvs); i++)
        take_put(ctx->arena, &w->members, tf_json_at(kvs, i));
    w->revision = tf_etcd_int(tf_json_get(tf_json_get(answer, "header"), "revision"));
    tell(w);
    return TF_OK;
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* {"result":{"events":[…]}}; "canceled" after compaction or for a token that ran out; {"error":…} from the gateway. */
static void take_line(struct tf_etcd_watcher *w, const char *line, size_t size)
{
    tf_cleanup(tf_json_freep) tf_json *message = NULL;
    const tf_json *result, *events;
    const char *error;

    message = tf_json_parse(w->scratch, line, size, 0, &error);
    result = tf_json_get(message, "result");
    if (!result || tf_json_bool(tf_json_get(result, "canceled"), false)) {
        w->lost = true;
        return;
    }
    events = tf_json_get(result, "events");
    for (size_t i = 0; i < tf_json_size(events); i++)
        take_event(w, tf_json_at(events, i));
    if (tf_json_size(events)) tell(w);
}

static bool on_data(const void *data, size_t size, void *arg)
{
    struct tf_etcd_watcher *w = arg;
    const char *line, *end;

    tf_buf_append(&w->line, data, size);
    if (w->line.broken) w->lost = true;
    for (line = w->line.data; !w->lost && (end = memchr(line, '\n', w->line.size - (size_t)(line - w->line.data)));
         line = end + 1) {
        take_line(w, line, (size_t)(end - line));
        tf_arena_reset(w->scratch);
    }
    if (w->lost) return false;
    w->line.size -= (size_t)(line - w->line.data);
    memmove(w->line.data, line, w->line.size);
    return true;
}

static tf_code follow(tf_ctx *ctx, struct tf_etcd_watcher *w, const char *token)
{
    tf_cleanup(tf_buf_done) tf_buf body;
    tf_json_writer writer = {.out = &body};
    struct tf_http_header header;
    struct tf_http_call call = {
        .method = "POST",
        .headers = &header,
        .n_headers = tf_etcd_token_header(token, &header),
        .idempotent = true,
    };
    size_t endpoint;
    tf_code code;

    tf_buf_init(&body, BODY_MAX);
    tf_json_begin_object(&writer);
    tf_json_key(&writer, "create_request");
    tf_json_begin_object(&writer);
    tf_etcd_put_range(ctx->arena, &writer, w->prefix);
    tf_json_key(&writer, "start_revision");
    tf_json_put_int_string(&writer, w->revision + 1);
    tf_json_end_object(&writer);
    tf_json_end_object(&writer);
    call.body = body.data;
    call.size = body.size;
    call.url = tf_etcd_url(ctx, w->etcd, "watch", &endpoint);
    if (!call.url || body.broken) return tf_fail(ctx, TF_INTERNAL, "etcd watch: the request does not fit");

    tf_buf_clear(&w->line);
    w->lost = false;
    code = tf_http_stream(ctx, w->etcd->http, &call, IDLE_MS, &w->etcd->stopping, on_data, w);
    if (code && code != TF_DEADLINE) tf_etcd_next_endpoint(w->etcd, endpoint);
    return code;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void say_down(tf_ctx *ctx, struct tf_etcd_watcher *w)
{
    if (!w->said_down)
        tf_log(TF_LOG_WARN, "etcd does not tell the members; the last known ones stay in use", "prefix", w->prefix,
               "cause", ctx->error.internal, NULL);
    w->said_down = true;
}

static void *run(void *arg)
{
    struct tf_etcd_watcher *w = arg;
    const atomic_bool *stop = &w->etcd->stopping;
    int failures = 0;
    tf_ctx ctx;

    tf_ctx_init(&ctx, "etcd-watch", 0);
    while (!atomic_load(stop)) {
        char token[TF_ETCD_TOKEN_MAX];
        tf_code code;

        tf_ctx_reset(&ctx, TF_ETCD_CALL_MS * TF_US_PER_MS);
        code = list(&ctx, w);
        if (!code) code = tf_etcd_token(&ctx, w->etcd, token);
        if (code) {
            say_down(&ctx, w);
            tf_etcd_nap(w->etcd, stop, tf_etcd_backoff_ms(failures++, BACKOFF_MAX_MS));
            continue;
        }
        failures = 0;
        w->said_down = false;
        tf_ctx_reset(&ctx, 0);
        code = follow(&ctx, w, token); /* a token that is refused here cancels the stream: the next list gets another */
        /* Silence needs no pause: only a fresh list and stream. */
        if (code != TF_DEADLINE) tf_etcd_nap(w->etcd, stop, tf_etcd_backoff_ms(0, BACKOFF_MAX_MS));
    }
    tf_ctx_done(&ctx);
    return NULL;
}

void tf_etcd_watch(tf_etcd *etcd, const char *service, tf_etcd_changed changed, void *arg)
{
    struct tf_etcd_watcher *w = calloc(1, sizeof *w);
    sigset_t all, before;

    TF_ASSERT(w);
    w->etcd = etcd;
    w->changed = changed;
    w->arg = arg;
    TF_ASSERT(asprintf(&w->prefix, "%s/%s/", etcd->prefix, service) > 0);
    w->scratch = tf_arena_new(SCRATCH_MAX);
    TF_ASSERT(w->scratch);
    tf_buf_init(&w->line, LINE_MAX_BYTES);
    pthread_mutex_lock(&etcd->lock);
    w->next = etcd->watchers;
    etcd->watchers = w;
    pthread_mutex_unlock(&etcd->lock);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    TF_ASSERT(pthread_create(&w->thread, NULL, run, w) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void tf_etcd_watchers_free(tf_etcd *etcd)
{
    struct tf_etcd_watcher *w = TF_TAKE(etcd->watchers), *next;

    for (; w; w = next) {
        next = w->next;
        pthread_join(w->thread, NULL);
        tf_etcd_members_done(&w->members);
        tf_etcd_members_done(&w->told);
        tf_buf_done(&w->line);
        tf_arena_free(w->scratch);
        free(w->prefix);
        free(w);
    }
}
