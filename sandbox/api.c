/* Routes of the sandbox provider. Small enough to answer on the loop's thread: memory and one synced journal line. */
#include "sandbox/api.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/json/json.h"
#include "sandbox/books.h"
#include "sandbox/notifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAGE_MAX = 64 << 10,
    BOOKS_MAX = 512 << 20,
    ANSWER_MAX = 4096,
    HOST_MAX = 100,
    DELAY_MS_MAX = 86400000,
    COPIES_MAX = 100
};

static void answer(tf_http_request *request, int status, const char *type, const char *body, size_t size)
{
    struct tf_http_header headers[] = {
        {"Content-Type", type},
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy",
         "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"},
    };

    tf_http_respond(request, status, headers, TF_COUNT(headers), body, size);
}

static void answer_error(tf_http_request *request, int status, const char *reason)
{
    char body[160];
    int n = snprintf(body, sizeof body, "{\"error\":\"%s\"}", reason);

    answer(request, status, "application/json", body, (size_t)n);
}

static void refuse(tf_http_request *request, enum books_result result)
{
    static const struct {
        int status;
        const char *reason;
    } table[] = {
        [BOOKS_UNKNOWN] = {404, "unknown"}, [BOOKS_CONFLICT] = {409, "conflict"}, [BOOKS_STATE] = {409, "state"},
        [BOOKS_FULL] = {503, "full"},       [BOOKS_DECLINED] = {402, "declined"}, [BOOKS_DISK] = {503, "disk"},
        [BOOKS_REFUSED] = {409, "refused"},
    };

    answer_error(request, table[result].status, table[result].reason);
}

/* Answers the JSON that a writer put into `out`, and frees it. */
static void answer_json(tf_http_request *request, tf_buf *out)
{
    if (out->broken)
        answer_error(request, 503, "full");
    else
        answer(request, 200, "application/json", out->data, out->size);
    tf_buf_done(out);
}

static void answer_charge(tf_http_request *request, const struct charge *c)
{
    const char *host = tf_http_header_of(request, "host");
    char url[HOST_MAX + CHARGE_ID_MAX + 16];
    tf_buf out;
    tf_json_writer w = {.out = &out};

    snprintf(url, sizeof url, "http://%.*s/pay/%s", HOST_MAX, host ? host : "", c->id);
    tf_buf_init(&out, ANSWER_MAX);
    tf_json_begin_object(&w);
    tf_json_key(&w, "charge_id");
    tf_json_put_string(&w, c->id);
    tf_json_key(&w, "provider_no");
    tf_json_put_int_string(&w, c->provider_no);
    tf_json_key(&w, "state");
    tf_json_put_string(&w, charge_state_name(c->state));
    tf_json_key(&w, "amount_minor");
    tf_json_put_int(&w, charge_money(c));
    tf_json_key(&w, "refunded_minor");
    tf_json_put_int(&w, c->refunded_minor);
    tf_json_key(&w, "currency");
    tf_json_put_string(&w, c->currency);
    tf_json_key(&w, "paid_ms");
    tf_json_put_int(&w, c->paid_ms);
    tf_json_key(&w, "pay_url");
    tf_json_put_string(&w, url);
    tf_json_end_object(&w);
    answer_json(request, &out);
}

/* ---- merchants --------------------------------------------------------------------------------------------------- */

static bool signed_by_merchant(tf_http_request *request, const struct sandbox_key *key)
{
    char prefix[400];
    size_t size;
    const char *body = tf_http_body(request, &size);

    if (snprintf(prefix, sizeof prefix, "%s %s\n", tf_http_method(request), tf_http_path(request)) >=
        (int)sizeof prefix)
        return false;
    return sandbox_verify(key, tf_http_header_of(request, "sandbox-signature"), tf_now_us() / TF_US_PER_S, prefix, body,
                          size);
}

static bool read_text(const tf_json *object, const char *name, char *out, size_t size)
{
    const char *text = tf_json_string(tf_json_get(object, name), "");

    if (!*text || strlen(text) >= size || tf_has_control(text)) return false;
    snprintf(out, size, "%s", text);
    return true;
}

static bool id_valid(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return n > 0 && n < CHARGE_ID_MAX && id[n] == '\0';
}

static void create_charge(tf_http_request *request, const tf_json *j)
{
    struct charge c = {.created_ms = tf_now_us() / TF_US_PER_MS}, stored;
    enum books_result result;

    c.amount_minor = tf_json_int(tf_json_get(j, "amount_minor"), 0);
    c.expires_ms = tf_json_int(tf_json_get(j, "expires_ms"), 0);
    if (!read_text(j, "charge_id", c.id, sizeof c.id) || !id_valid(c.id) ||
        !read_text(j, "currency", c.currency, sizeof c.currency) ||
        !read_text(j, "subject", c.subject, sizeof c.subject) ||
        !read_text(j, "notify_url", c.notify_url, sizeof c.notify_url) || c.amount_minor <= 0 || c.expires_ms <= 0) {
        answer_error(request, 400, "field");
        return;
    }
    result = books_charge(&c, &stored);
    if (result == BOOKS_OK || result == BOOKS_AGAIN)
        answer_charge(request, &stored);
    else
        refuse(request, result);
}

static void answer_refund(tf_http_request *request, const char *refund_id, int64_t amount)
{
    char body[160];
    int n = snprintf(body, sizeof body, "{\"refund_id\":\"%s\",\"state\":\"SUCCEEDED\",\"amount_minor\":%" PRId64 "}",
                     refund_id, amount);

    answer(request, 200, "application/json", body, (size_t)n);
}

static void show_refund(tf_http_request *request, const char *refund_id)
{
    int64_t amount = books_refunded(refund_id);

    if (amount)
        answer_refund(request, refund_id, amount);
    else
        answer_error(request, 404, "unknown");
}

static void create_refund(tf_http_request *request, const tf_json *j)
{
    char refund_id[CHARGE_ID_MAX], charge_id[CHARGE_ID_MAX];
    int64_t amount = tf_json_int(tf_json_get(j, "amount_minor"), 0);
    enum books_result result;

    if (!read_text(j, "refund_id", refund_id, sizeof refund_id) || !id_valid(refund_id) ||
        !read_text(j, "charge_id", charge_id, sizeof charge_id)) {
        answer_error(request, 400, "field");
        return;
    }
    result = books_refund(refund_id, charge_id, amount, tf_now_us() / TF_US_PER_MS);
    if (result == BOOKS_OK || result == BOOKS_AGAIN)
        answer_refund(request, refund_id, amount);
    else
        refuse(request, result);
}

static void close_charge(tf_http_request *request, const char *id)
{
    struct charge c;
    enum books_result result = books_close_charge(id, &c);

    if (result == BOOKS_UNKNOWN || result == BOOKS_DISK)
        refuse(request, result);
    else
        answer_charge(request, &c); /* its state says whether it is closed */
}

static void show_books(tf_http_request *request)
{
    tf_buf out;

    tf_buf_init(&out, BOOKS_MAX);
    books_render(&out);
    answer_json(request, &out);
}

static void merchant(tf_http_request *request, const char *path, const struct sandbox_key *key)
{
    const char *method = tf_http_method(request), *error = NULL,
               *charge = strncmp(path, "/charges/", 9) == 0 ? path + 9 : NULL;
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    size_t size;
    const char *body = tf_http_body(request, &size);
    bool post = strcmp(method, "POST") == 0;
    tf_cleanup(tf_json_freep) tf_json *j = arena && post && size ? tf_json_parse(arena, body, size, 4, &error) : NULL;
    char id[CHARGE_ID_MAX + 8];
    struct charge c;

    if (!signed_by_merchant(request, key)) {
        answer_error(request, 401, "signature");
    } else if (post && strcmp(path, "/charges") == 0) {
        create_charge(request, j);
    } else if (post && strcmp(path, "/refunds") == 0) {
        create_refund(request, j);
    } else if (!post && strcmp(path, "/books") == 0) {
        show_books(request);
    } else if (!post && strncmp(path, "/refunds/", 9) == 0) {
        show_refund(request, path + 9);
    } else if (charge && snprintf(id, sizeof id, "%s", charge) < (int)sizeof id) {
        size_t n = strlen(id);

        if (post && n > 6 && strcmp(id + n - 6, ":close") == 0) {
            id[n - 6] = '\0';
            close_charge(request, id);
        } else if (!post && books_find(id, &c) == BOOKS_OK) {
            answer_charge(request, &c);
        } else {
            answer_error(request, 404, "unknown");
        }
    } else {
        answer_error(request, 404, "unknown");
    }
}

/* ---- payers ------------------------------------------------------------------------------------------------------ */

static void html_text(tf_buf *out, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '<':
            tf_buf_puts(out, "&lt;");
            break;
        case '&':
            tf_buf_puts(out, "&amp;");
            break;
        case '"':
            tf_buf_puts(out, "&quot;");
            break;
        default:
            tf_buf_putc(out, *s);
        }
}

static void page(tf_http_request *request, int status, const struct charge *c, const char *sentence)
{
    tf_buf out;

    tf_buf_init(&out, PAGE_MAX);
    tf_buf_puts(&out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
                      "content=\"width=device-width\"><title>Sandbox bank</title>"
                      "<style>body{font:1.1rem system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 "
                      "1rem}button{font:inherit;padding:.7rem 2rem}"
                      ".amount{font-size:2rem}</style><h1>Sandbox bank</h1><p>No real money moves here.</p>");
    if (c) {
        tf_buf_puts(&out, "<p>");
        html_text(&out, c->subject);
        tf_buf_printf(&out, "</p><p class=\"amount\">%s %" PRId64 ".%02d</p>", c->currency, c->amount_minor / 100,
                      (int)(c->amount_minor % 100));
    }
    if (c && c->state == CHARGE_WAITING && !sentence)
        tf_buf_printf(&out, "<form method=\"post\" action=\"/pay/%s\"><button>Pay</button></form>", c->id);
    if (sentence) tf_buf_printf(&out, "<p role=\"status\">%s</p>", sentence);
    tf_buf_puts(&out, "</html>\n");
    answer(request, status, "text/html; charset=utf-8", out.data, out.size);
    tf_buf_done(&out);
}

static void press(tf_http_request *request, const char *id)
{
    struct fault fault = {0};
    struct charge c;

    switch (books_pay(id, tf_now_us() / TF_US_PER_MS, &c, &fault)) {
    case BOOKS_OK:
        notifier_paid(&c, &fault);
        page(request, 200, &c,
             c.state == CHARGE_IN_FLIGHT ? "The payment is under way." : "Paid. You may go back to the shop.");
        break;
    case BOOKS_AGAIN:
        page(request, 200, &c, "This was paid before.");
        break;
    case BOOKS_STATE:
        page(request, 409, &c, "The time to pay is over.");
        break;
    case BOOKS_DECLINED:
        page(request, 402, &c, "Your bank declined the payment. You may try again.");
        break;
    case BOOKS_DISK:
        page(request, 503, &c, "The bank cannot write its books. Try again later.");
        break;
    default:
        page(request, 404, NULL, "There is no such payment.");
    }
}

static void payer(tf_http_request *request, const char *id)
{
    struct charge c;

    if (strcmp(tf_http_method(request), "POST") == 0)
        press(request, id);
    else if (books_find(id, &c) != BOOKS_OK)
        page(request, 404, NULL, "There is no such payment.");
    else
        page(request, 200, &c,
             c.state == CHARGE_WAITING  ? NULL
             : c.state == CHARGE_CLOSED ? "The time to pay is over."
                                        : "Paid.");
}

/* ---- faults, for tests and demonstrations -------------------------------------------------------------------------
 */

static void order_fault(tf_http_request *request)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    size_t size;
    const char *body = tf_http_body(request, &size), *error = NULL;
    tf_cleanup(tf_json_freep) tf_json *j = arena ? tf_json_parse(arena, body, size, 4, &error) : NULL;
    struct fault f = {
        .delay_ms = tf_json_int(tf_json_get(j, "delay_ms"), 0),
        .notify_at_ms = tf_json_int(tf_json_get(j, "notify_at_ms"), 0),
        .settle_at_ms = tf_json_int(tf_json_get(j, "settle_at_ms"), 0),
        .copies = (int)tf_json_int(tf_json_get(j, "copies"), 0),
        .lose = tf_json_bool(tf_json_get(j, "lose"), false),
        .forge = tf_json_bool(tf_json_get(j, "forge"), false),
        .wrong_amount = tf_json_bool(tf_json_get(j, "wrong_amount"), false),
        .reorder = tf_json_bool(tf_json_get(j, "reorder"), false),
        .received_minor = tf_json_int(tf_json_get(j, "received_minor"), 0),
        .refuse_refund = tf_json_bool(tf_json_get(j, "refuse_refund"), false),
        .decline = tf_json_bool(tf_json_get(j, "decline"), false),
    };

    const char *charge = tf_json_string(tf_json_get(j, "charge_id"), "*");

    if (!j || f.delay_ms < 0 || f.delay_ms > DELAY_MS_MAX || f.notify_at_ms < 0 || f.settle_at_ms < 0 ||
        f.received_minor < 0 || f.copies < 0 || f.copies > COPIES_MAX ||
        (strcmp(charge, "*") != 0 && !id_valid(charge))) {
        answer_error(request, 400, "field");
        return;
    }
    snprintf(f.charge_id, sizeof f.charge_id, "%s", charge);
    if (books_fault(&f))
        answer(request, 200, "application/json", "{}", 2);
    else
        answer_error(request, 503, "full");
}

static const char front_page[] =
    "This is the sandbox payment provider: a bank in which no real money moves.\n\n"
    "GET  /pay/{charge}      the payer's page; POST presses the button\n"
    "POST /charges           merchants, signed: make a charge; GET /charges/{id}; POST /charges/{id}:close\n"
    "POST /refunds           merchants, signed; GET /refunds/{id}\n"
    "GET  /books             merchants, signed: all charges and refunds\n"
    "POST /faults            {\"charge_id\":\"*\", \"delay_ms\":…, \"notify_at_ms\":…, \"settle_at_ms\":…, "
    "\"copies\":…, \"lose\":true,\n"
    "                        \"forge\":true, \"wrong_amount\":true, \"reorder\":true, \"decline\":true,\n"
    "                        \"received_minor\":…}: what goes wrong with the next payment; {\"refuse_refund\":true}: "
    "with the next refund\n";

void api_handle(tf_http_request *request, void *arg)
{
    const char *path = tf_http_path(request), *method = tf_http_method(request);
    bool get = strcmp(method, "GET") == 0, post = strcmp(method, "POST") == 0;

    if (!get && !post)
        answer_error(request, 405, "method");
    else if (get && strcmp(path, "/") == 0)
        answer(request, 200, "text/plain; charset=utf-8", front_page, sizeof front_page - 1);
    else if (strncmp(path, "/pay/", 5) == 0)
        payer(request, path + 5);
    else if (post && strcmp(path, "/faults") == 0)
        order_fault(request);
    else
        merchant(request, path, arg);
}
