/* The purchase story: register, log in, look, take a place, pay, hold a ticket, be refunded. */
#include "tools/story/story.h"

#include "common/crypto/crypto.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAIT_MS = 15000, POLL_MS = 100 };

static const char *string_at(const tf_json *j, const char *outer, const char *name)
{
    return tf_json_string(tf_json_get(outer ? tf_json_get(j, outer) : j, name), "");
}

static bool say(struct story *s, const char *sentence)
{
    if (s->print) printf("\n== %s\n", sentence);
    return true;
}

static bool log_in(struct story *s)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    char email[64], password[33], body[256];
    int n;

    tf_random_hex(email, 8);
    snprintf(email + 16, sizeof email - 16, "@buyer.example");
    tf_random_hex(password, 16);
    n = snprintf(body, sizeof body,
                 "{\"email\":\"%s\",\"password\":\"%s\",\"name\":\"A fresh buyer\",\"language\":\"en\"}", email,
                 password);
    say(s, "A buyer registers and logs in");
    if (!story_call(s, "POST", "/v1/users", NULL, NULL, body, (size_t)n, NULL)) return false;
    n = snprintf(body, sizeof body, "{\"login\":\"%s\",\"password\":\"%s\",\"device\":\"story\"}", email, password);
    if (!story_call(s, "POST", "/v1/sessions", NULL, NULL, body, (size_t)n, &answer)) return false;
    s->token = tf_arena_strdup(s->ctx.arena, string_at(answer, "tokens", "access_token"));
    return true;
}

/* Sees the show, its plan and what is free. A show just imported takes a moment until its inventory stands. */
static bool look(struct story *s, const char *show_id)
{
    char path[96];
    bool ok;

    say(s, "The show, its seat plan, what is free");
    snprintf(path, sizeof path, "/v1/shows/%s", show_id);
    if (!story_call(s, "GET", path, s->token, NULL, NULL, 0, NULL)) return false;
    snprintf(path, sizeof path, "/v1/shows/%s/seat-plan", show_id);
    if (!story_call(s, "GET", path, s->token, NULL, NULL, 0, NULL)) return false;
    snprintf(path, sizeof path, "/v1/shows/%s/availability", show_id);
    for (int waited = 0;; waited += POLL_MS) {
        struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

        s->patient = waited < WAIT_MS;
        ok = story_call(s, "GET", path, s->token, NULL, NULL, 0, NULL);
        if (ok || !s->patient) break;
        nanosleep(&pause, NULL);
    }
    s->patient = false;
    return ok;
}

/* Polls the order until a member has a value. */
static bool await(struct story *s, const char *order_no, const char *member, const char *value, tf_json **ret_order)
{
    struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    bool print = s->print;
    char path[64];

    snprintf(path, sizeof path, "/v1/orders/%s", order_no);
    s->print = false;
    for (int waited = 0; waited < WAIT_MS; waited += POLL_MS) {
        tf_json *answer = NULL;

        if (!story_call(s, "GET", path, s->token, NULL, NULL, 0, &answer)) break;
        if (strcmp(string_at(answer, "order", member), value) == 0) {
            s->print = print;
            tf_json_free(answer);
            return story_call(s, "GET", path, s->token, NULL, NULL, 0, ret_order);
        }
        tf_json_free(answer);
        nanosleep(&pause, NULL);
    }
    s->print = print;
    fprintf(stderr, "order %s: %s is not %s after %d s\n", order_no, member, value, WAIT_MS / 1000);
    return false;
}

static bool pay(struct story *s, const char *order_no)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    char path[96], key[33];

    tf_random_hex(key, 16);
    snprintf(path, sizeof path, "/v1/orders/%s/payments", order_no);
    say(s, "Payment at the sandbox bank");
    if (!story_call(s, "POST", path, s->token, key, "{\"method\":\"sandbox\"}", 20, &answer)) return false;
    return story_press(s, string_at(answer, "payment", "pay_url"));
}

static bool show_ticket(struct story *s, const tf_json *order)
{
    const tf_json *ticket = tf_json_at(tf_json_get(tf_json_get(order, "order"), "tickets"), 0);
    char path[64];

    say(s, "The ticket");
    snprintf(path, sizeof path, "/v1/tickets/%s", string_at(ticket, NULL, "ticket_id"));
    if (!story_call(s, "GET", path, s->token, NULL, NULL, 0, NULL)) return false;
    printf("%sBought: %s, %s, at %s: ticket %s, paid %s %s (minor units).\n", s->print ? "\n" : "  ",
           string_at(order, "order", "title"), string_at(ticket, NULL, "place_text"),
           string_at(order, "order", "venue_name"), string_at(ticket, NULL, "ticket_id"),
           string_at(order, "order", "total_minor"), string_at(order, "order", "currency"));
    return true;
}

static bool refund(struct story *s, const char *order_no)
{
    static const char body[] = "{\"reason\":\"end of the story\"}";
    tf_cleanup(tf_json_freep) tf_json *order = NULL;
    char path[96];

    say(s, "An operator refunds the order");
    snprintf(path, sizeof path, "/v1/admin/orders/%s:refund", order_no);
    if (!story_call(s, "POST", path, s->operator_token, NULL, body, sizeof body - 1, NULL)) return false;
    if (!await(s, order_no, "money_state", "MONEY_STATE_REFUNDED", &order)) return false;
    printf("%sRefunded: order %s.\n", s->print ? "\n" : "  ", order_no);
    return true;
}

bool story_purchase(struct story *s, const char *show_id)
{
    tf_cleanup(tf_json_freep) tf_json *answer = NULL;
    tf_cleanup(tf_json_freep) tf_json *paid = NULL;
    char body[160], key[33];
    const char *order_no;
    int n;

    if (!log_in(s) || !look(s, show_id)) return false;
    tf_random_hex(key, 16);
    n = snprintf(body, sizeof body, "{\"show_id\":\"%s\",\"choices\":[{\"tier\":1,\"count\":1}]}", show_id);
    say(s, "Best available: one place");
    if (!story_call(s, "POST", "/v1/orders", s->token, key, body, (size_t)n, &answer)) return false;
    order_no = string_at(answer, "order", "order_no");
    return pay(s, order_no) && await(s, order_no, "state", "ORDER_STATE_PAID", &paid) && show_ticket(s, paid) &&
           refund(s, order_no);
}
