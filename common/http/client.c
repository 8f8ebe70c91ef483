/* HTTP calls over libcurl: handles kept in a pool with their connections, a deadline on each, outcomes told apart. */
#include "common/http/client.h"

#include "common/base/buf.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    POOL_MAX = 32,
    CONNECT_TIMEOUT_MS = 2000,
    HEADER_LINES_MAX = 64,
    HEADER_BYTES_MAX = 32768,
    STREAM_POLL_MS = 100,
    NO_DEADLINE_MS = 24 * 60 * 60 * 1000,
};

struct tf_http_client {
    pthread_mutex_t lock; /* protects idle */
    CURL *idle[POOL_MAX];
    size_t n_idle;
};

/* One call under way. */
struct exchange {
    tf_ctx *ctx;
    const struct tf_http_call *call;
    CURL *handle;
    struct curl_slist *headers;
    char cause[CURL_ERROR_SIZE];
    tf_buf body;
    char *lines[HEADER_LINES_MAX + 1];
    size_t n_lines, line_bytes;
    bool head_done; /* the blank line after the header has come */
    /* of a stream */
    tf_http_on_data on_data;
    void *arg;
    bool stopped; /* on_data said so */
    int64_t heard_us;
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

tf_http_client *tf_http_client_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    tf_http_client *client = calloc(1, sizeof *client);

    pthread_once(&once, global_init);
    if (client) pthread_mutex_init(&client->lock, NULL);
    return client;
}

void tf_http_client_free(tf_http_client *client)
{
    if (!client) return;
    while (client->n_idle > 0)
        curl_easy_cleanup(client->idle[--client->n_idle]);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

static CURL *take_handle(tf_http_client *client)
{
    CURL *handle = NULL;

    pthread_mutex_lock(&client->lock);
    if (client->n_idle > 0) handle = client->idle[--client->n_idle];
    pthread_mutex_unlock(&client->lock);
    return handle ? handle : curl_easy_init();
}

/* curl_easy_reset keeps the connections. */
static void give_handle(tf_http_client *client, CURL *handle)
{
    curl_easy_reset(handle);
    pthread_mutex_lock(&client->lock);
    if (client->n_idle < POOL_MAX) {
        client->idle[client->n_idle++] = handle;
        handle = NULL;
    }
    pthread_mutex_unlock(&client->lock);
    curl_easy_cleanup(handle);
}

/* ---- what comes in --------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;

    (void)size; /* always 1 */
    tf_buf_append(&x->body, data, n);
    return x->body.broken ? 0 : n;
}

static size_t on_stream_body(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    long status = 0;

    (void)size;
    x->heard_us = tf_mono_us();
    curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) return n; /* an error's text; the status says enough */
    if (!x->on_data(data, n, x->arg)) {
        x->stopped = true;
        return 0;
    }
    return n;
}

/* A line of an answer's header, with CR LF. A new status line (after 100, 103) starts over. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    size_t end = n;
    char *line;

    (void)size;
    if (n >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        x->n_lines = 0;
        x->head_done = false;
        return n;
    }
    while (end > 0 && (data[end - 1] == '\r' || data[end - 1] == '\n'))
        end--;
    if (end == 0) {
        x->head_done = true;
        return n;
    }
    x->line_bytes += end;
    if (x->n_lines == HEADER_LINES_MAX || x->line_bytes > HEADER_BYTES_MAX) return 0;
    line = tf_arena_strndup(x->ctx->arena, data, end);
    if (!line) return 0;
    for (char *c = line; *c && *c != ':'; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    x->lines[x->n_lines++] = line;
    return n;
}

/* ---- what goes out --------------------------------------------------------------------------- */

static bool add_header(struct exchange *x, const char *name, const char *value)
{
    /* libcurl drops a header "name:" without value; "name;" is its way to send one */
    const char *line = tf_arena_printf(x->ctx->arena, *value ? "%s: %s" : "%s;", name, value);
    struct curl_slist *longer = line ? curl_slist_append(x->headers, line) : NULL;

    if (!longer) return false;
    x->headers = longer;
    return true;
}

static bool add_headers(struct exchange *x)
{
    const struct tf_http_call *call = x->call;

    x->headers = curl_slist_append(NULL, "Expect:"); /* libcurl's way not to send one */
    if (!x->headers) return false;
    for (size_t i = 0; i < call->n_headers; i++) {
        TF_ASSERT(!strpbrk(call->headers[i].name, "\r\n") && !strpbrk(call->headers[i].value, "\r\n"));
        if (!add_header(x, call->headers[i].name, call->headers[i].value)) return false;
    }
    return true;
}

static long left_ms(const tf_ctx *ctx)
{
    int64_t left = tf_ctx_left_us(ctx);

    if (left == INT64_MAX) return NO_DEADLINE_MS;
    return (long)TF_MAX(TF_MIN(left / TF_US_PER_MS, NO_DEADLINE_MS), 1);
}

static void set_method(struct exchange *x)
{
    const struct tf_http_call *call = x->call;

    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(x->handle, CURLOPT_NOBODY, 1L);
    } else if (call->size || strcmp(call->method, "POST") == 0) {
        curl_easy_setopt(x->handle, CURLOPT_POST, 1L);
        curl_easy_setopt(x->handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->size);
        curl_easy_setopt(x->handle, CURLOPT_POSTFIELDS, call->size ? call->body : "");
        curl_easy_setopt(x->handle, CURLOPT_CUSTOMREQUEST, call->method);
    } else {
        curl_easy_setopt(x->handle, CURLOPT_CUSTOMREQUEST, call->method);
    }
}

/* Nothing comes from the environment or from the peer: no proxy variables, no redirects, no signals. */
static bool set_up(struct exchange *x, tf_http_client *client)
{
    CURL *handle = x->handle = take_handle(client);

    if (!handle || !add_headers(x)) return false;
    curl_easy_setopt(handle, CURLOPT_URL, x->call->url);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L); /* a call that is over does not wait for the name's resolution */
    curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "ticketflow/" TF_VERSION);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, x->cause);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, left_ms(x->ctx));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, TF_MIN(left_ms(x->ctx), (long)CONNECT_TIMEOUT_MS));
    /* libcurl sends a request again by itself when a kept connection turns out dead before any answer. That repeats
     * what may have had an effect, so calls that must not be repeated get a connection of their own. */
    if (!x->call->idempotent) curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, 1L);
    set_method(x);
    return true;
}

static void exchange_done(struct exchange *x, tf_http_client *client)
{
    if (x->handle) give_handle(client, x->handle);
    curl_slist_free_all(x->headers);
    tf_buf_done(&x->body);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

/* Whether a byte of the request may have left. */
static bool was_sent(CURL *handle)
{
    long bytes = 0;

    return curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &bytes) != CURLE_OK || bytes > 0;
}

static tf_code code_of(const struct exchange *x, CURLcode result)
{
    if (result == CURLE_WRITE_ERROR) return TF_TOO_LARGE; /* on_body or on_header refused more */
    if (was_sent(x->handle)) {
        if (!x->call->idempotent) return TF_UNKNOWN_OUTCOME;
        return result == CURLE_OPERATION_TIMEDOUT ? TF_DEADLINE : TF_STORE_DOWN;
    }
    if (result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_URL_MALFORMAT)
        return TF_INTERNAL; /* the caller's URL */
    return TF_STORE_DOWN;
}

static tf_code outcome(struct exchange *x, CURLcode result)
{
    const char *cause = x->cause[0] ? x->cause : curl_easy_strerror(result);

    if (result == CURLE_OK && x->head_done) return TF_OK;
    if (result == CURLE_OK) {
        result = CURLE_RECV_ERROR; /* libcurl takes an answer that was cut in its header for a whole one */
        cause = "the answer was cut in its header";
    }
    return tf_fail(x->ctx, code_of(x, result), "%s %s: %s", x->call->method, x->call->url, cause);
}

static tf_code take_answer(struct exchange *x, struct tf_http_answer *ret_answer)
{
    const char **lines = TF_NEW_ARRAY(x->ctx->arena, const char *, x->n_lines + 1);
    const char *body = tf_arena_strndup(x->ctx->arena, x->body.data ? x->body.data : "", x->body.size);
    const char *type = "";
    long status = 0;

    if (!lines || !body) return tf_fail(x->ctx, TF_TOO_LARGE, "%s: the answer does not fit the arena", x->call->url);
    for (size_t i = 0; i < x->n_lines; i++) {
        lines[i] = x->lines[i];
        if (strncmp(lines[i], "content-type:", 13) == 0) type = lines[i] + 13 + strspn(lines[i] + 13, " \t");
    }
    curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    *ret_answer = (struct tf_http_answer){
        .status = (int)status,
        .body = body,
        .size = x->body.size,
        .content_type = type,
        .header_lines = lines,
    };
    return TF_OK;
}

tf_code tf_http_perform(tf_ctx *ctx, tf_http_client *client, const struct tf_http_call *call,
                        struct tf_http_answer *ret_answer)
{
    struct exchange x = {.ctx = ctx, .call = call};
    tf_code code;

    code = tf_ctx_check(ctx);
    if (code) return code;

    tf_buf_init(&x.body, call->answer_max);
    if (!set_up(&x, client)) {
        exchange_done(&x, client);
        return tf_fail(ctx, TF_STORE_DOWN, "%s: no memory for a request", call->url);
    }
    curl_easy_setopt(x.handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x.handle, CURLOPT_WRITEDATA, &x);
    code = outcome(&x, curl_easy_perform(x.handle));
    if (!code) code = take_answer(&x, ret_answer);
    exchange_done(&x, client);
    return code;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Why the loop below ended. */
enum stream_end { ENDED, STOPPED, SILENT, BROKEN };

static enum stream_end drive(struct exchange *x, CURLM *multi, int idle_ms, const atomic_bool *stop,
                             CURLcode *ret_result)
{
    for (;;) {
        int running = 0, left;
        CURLMsg *message;

        if (curl_multi_perform(multi, &running) != CURLM_OK) return BROKEN;
        if (x->stopped || atomic_load(stop)) return STOPPED;
        message = curl_multi_info_read(multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            *ret_result = message->data.result;
            return ENDED;
        }
        if (tf_mono_us() - x->heard_us > (int64_t)idle_ms * TF_US_PER_MS) return SILENT;
        if (curl_multi_poll(multi, NULL, 0, STREAM_POLL_MS, NULL) != CURLM_OK) return BROKEN;
    }
}

static tf_code stream_outcome(struct exchange *x, enum stream_end end, CURLcode result)
{
    long status = 0;

    curl_easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    if (end == STOPPED) return TF_OK;
    if (end == SILENT) return tf_fail(x->ctx, TF_DEADLINE, "%s: silent", x->call->url);
    if (end == BROKEN) return tf_fail(x->ctx, TF_STORE_DOWN, "%s: libcurl cannot wait", x->call->url);
    if (result || !x->head_done) return outcome(x, result);
    if (status != 200) return tf_fail(x->ctx, TF_STORE_DOWN, "%s: status %ld", x->call->url, status);
    return TF_OK;
}

tf_code tf_http_stream(tf_ctx *ctx, tf_http_client *client, const struct tf_http_call *call, int idle_ms,
                       const atomic_bool *stop, tf_http_on_data on_data, void *arg)
{
    struct exchange x = {.ctx = ctx, .call = call, .on_data = on_data, .arg = arg, .heard_us = tf_mono_us()};
    CURLcode result = CURLE_OK;
    enum stream_end end;
    CURLM *multi;
    tf_code code;

    code = tf_ctx_check(ctx);
    if (code) return code;

    multi = curl_multi_init();
    if (!set_up(&x, client) || !multi) {
        if (multi) curl_multi_cleanup(multi);
        exchange_done(&x, client);
        return tf_fail(ctx, TF_STORE_DOWN, "%s: no memory for a request", call->url);
    }
    curl_easy_setopt(x.handle, CURLOPT_WRITEFUNCTION, on_stream_body);
    curl_easy_setopt(x.handle, CURLOPT_WRITEDATA, &x);
    if (ctx->deadline_us == INT64_MAX) curl_easy_setopt(x.handle, CURLOPT_TIMEOUT_MS, 0L);
    curl_multi_add_handle(multi, x.handle);
    end = drive(&x, multi, idle_ms, stop, &result);
    code = stream_outcome(&x, end, result);
    curl_multi_remove_handle(multi, x.handle);
    exchange_done(&x, client);
    curl_multi_cleanup(multi);
    return code;
}
