/* A buyer: orders, pays, cancels, reads, one call at a time, and repeats a call with its key until it knows.
 *
 * Each answer goes through on_end: it is understood, judged and written down before anything else is done with it. */
#include "tools/load/run.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "tools/load/said.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* HOME_AGAIN_US: a buyer whose gateway failed stays with the next one for so long. */
enum { REQUEST_BYTES_MAX = 16 << 10, BODY_BYTES_MAX = 256, HOME_AGAIN_US = 2 * TF_US_PER_S };

static void next_operation(struct buyer *b, int64_t wait_ms);

static uint64_t random_next(struct buyer *b)
{
    b->random += 0x9e3779b97f4a7c15u;
    return tf_mix64(b->random);
}

/* ---- what to do ---- */

static enum op draw_op(struct buyer *b)
{
    const struct load_options *o = b->run->options;
    int64_t sum = 0, drawn;

    if (o->pay) return b->n_pending ? OP_PAY : OP_ORDER;
    for (int op = 0; op < OPS; op++)
        sum += o->mix[op];
    drawn = (int64_t)(random_next(b) % (uint64_t)sum);
    for (int op = 0; op < OPS; op++) {
        if (drawn < o->mix[op]) return b->n_pending ? (enum op)op : OP_ORDER;
        drawn -= o->mix[op];
    }
    return OP_ORDER;
}

/* Accounts go round among the orders of a connection; no two connections share one. */
static struct pending_order new_order(struct buyer *b)
{
    struct run *run = b->run;
    struct pending_order order = {.account = &run->accounts[b->account],
                                  .show_id = run->options->shows[random_next(b) % (uint64_t)run->options->n_shows]};

    b->account += run->options->connections;
    if (b->account >= run->n_accounts) b->account = b->number;
    return order;
}

static void drop_oldest(struct buyer *b)
{
    b->n_pending--;
    memmove(b->pending, b->pending + 1, (size_t)b->n_pending * sizeof *b->pending);
}

/* The oldest order for an operation on one. It leaves the list unless it is only looked at: once it was asked to be
 * paid or cancelled, nothing else is asked of it. */
static struct pending_order pick_order(struct buyer *b, enum op op)
{
    struct pending_order order = b->pending[0];

    if (op != OP_GET) drop_oldest(b);
    return order;
}

/* ---- attempts ---- */

static int write_body(const struct buyer *b, char body[BODY_BYTES_MAX])
{
    const struct load_options *o = b->run->options;

    switch (b->doing.op) {
    case OP_ORDER:
        return snprintf(body, BODY_BYTES_MAX,
                        "{\"show_id\":\"%s\",\"choices\":[{\"tier\":%" PRId64 ",\"count\":%" PRId64 "%s}]}",
                        b->doing.on.show_id, o->tier, o->places, o->split ? ",\"allow_split\":true" : "");
    case OP_PAY:
        return snprintf(body, BODY_BYTES_MAX, "{\"method\":\"sandbox\"}");
    case OP_CANCEL:
        return snprintf(body, BODY_BYTES_MAX, "{}");
    default:
        body[0] = '\0';
        return 0;
    }
}

static void write_path(const struct buyer *b, char *path, size_t size)
{
    static const char *const tails[OPS] = {[OP_PAY] = "/payments", [OP_CANCEL] = ":cancel", [OP_GET] = ""};

    if (b->doing.op == OP_ORDER)
        snprintf(path, size, "/v1/orders");
    else if (b->doing.op == OP_PRESS)
        snprintf(path, size, "%s", b->pay_path);
    else
        snprintf(path, size, "/v1/orders/%" PRId64 "%s", b->doing.on.order_no, tails[b->doing.op]);
}

/* The whole request into `out`; its size. */
static size_t write_request(const struct buyer *b, const struct target *to, char out[REQUEST_BYTES_MAX])
{
    const struct operation *doing = &b->doing;
    char path[PAY_URL_MAX + 1], body[BODY_BYTES_MAX];
    int n_body = write_body(b, body), n;

    write_path(b, path, sizeof path);
    n = snprintf(out, REQUEST_BYTES_MAX, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept-Language: en\r\n",
                 doing->op == OP_GET ? "GET" : "POST", path, to->host);
    if (doing->op != OP_PRESS)
        n += snprintf(out + n, REQUEST_BYTES_MAX - (size_t)n, "Authorization: Bearer %s\r\n", doing->on.account->token);
    if (doing->op == OP_ORDER || doing->op == OP_PAY)
        n += snprintf(out + n, REQUEST_BYTES_MAX - (size_t)n, "Idempotency-Key: %s\r\nIdempotency-Attempt: %d\r\n",
                      doing->key, doing->attempt);
    if (n_body) n += snprintf(out + n, REQUEST_BYTES_MAX - (size_t)n, "Content-Type: application/json\r\n");
    if (doing->op != OP_GET) n += snprintf(out + n, REQUEST_BYTES_MAX - (size_t)n, "Content-Length: %d\r\n", n_body);
    n += snprintf(out + n, REQUEST_BYTES_MAX - (size_t)n, "\r\n%s", body);
    TF_ASSERT(n_body < BODY_BYTES_MAX && n < REQUEST_BYTES_MAX);
    return (size_t)n;
}

static const struct target *target_of(const struct buyer *b)
{
    return b->doing.op == OP_PRESS ? &b->bank_target : &b->run->options->gateways[b->at];
}

static void attempt(struct buyer *b)
{
    const struct target *to = target_of(b);
    char request[REQUEST_BYTES_MAX];
    size_t size;

    /* Without an address the wire cannot connect, and says so. */
    if (b->doing.op == OP_PRESS && !to->address_size) (void)!target_resolve(&b->bank_target);
    b->doing.attempt++;
    size = write_request(b, to, request);
    b->doing.attempt_wall_us = tf_now_us();
    wire_send(b->doing.op == OP_PRESS ? &b->bank : &b->gateway, to, request, size,
              b->run->options->timeout_ms * TF_US_PER_MS);
}

static void begin(struct buyer *b, enum op op, struct pending_order on)
{
    int64_t now_us = tf_mono_us();

    b->busy = true;
    b->doing = (struct operation){.op = op, .on = on, .began_us = now_us};
    snprintf(b->doing.key, sizeof b->doing.key, "load-%s-%d-%" PRIu64, b->run->id, b->number, ++b->serial);
    if (b->at != b->home && now_us - b->left_home_us >= HOME_AGAIN_US) b->at = b->home;
    attempt(b);
}

static void to_next_gateway(struct buyer *b)
{
    if (b->at == b->home) b->left_home_us = tf_mono_us();
    b->at = (b->at + 1) % b->run->options->n_gateways;
}

/* ---- ends ---- */

static void rest(struct buyer *b)
{
    b->busy = false;
    b->run->working--;
}

/* Pressing "Pay" at the bank's page belongs to paying: it has the same key in the journal. */
static void press(struct buyer *b, const char *pay_url)
{
    struct operation pressing = {.op = OP_PRESS, .on = b->doing.on, .began_us = tf_mono_us()};
    struct target bank;
    const char *path;

    TF_ASSERT(target_parse(pay_url, &bank, &path)); /* acknowledges() has looked */
    snprintf(b->pay_path, sizeof b->pay_path, "%s", path);
    if (strcmp(bank.url, b->bank_target.url) != 0) {
        b->run->report.connects += b->bank.connects;
        wire_free(&b->bank);
        wire_init(&b->bank, &b->run->loop, b->gateway.done, b);
        b->bank_target = bank;
    }
    strcpy(pressing.key, b->doing.key);
    b->doing = pressing;
    attempt(b);
}

/* The operation is decided, or given up. */
static void ended(struct buyer *b, const struct said *said, const struct verdict *verdict, int64_t ended_us)
{
    struct run *run = b->run;
    struct operation *doing = &b->doing;

    histogram_record(&run->report.ended[doing->op][verdict->outcome], ended_us - doing->began_us);
    if (verdict->outcome == OUTCOME_OK && doing->op == OP_ORDER) {
        if (!run->stopping) run->report.orders_in_time++;
        if (b->n_pending == PENDING_MAX) drop_oldest(b); /* nobody pays it: it expires */
        doing->on.order_no = said->order_no;
        b->pending[b->n_pending++] = doing->on;
    }
    if (verdict->outcome == OUTCOME_OK && doing->op == OP_PAY && !run->giving_up) {
        press(b, said->pay_url);
        return;
    }
    next_operation(b, verdict->wait_ms);
}

static void try_again(struct buyer *b, const struct verdict *verdict)
{
    int64_t wait_us = verdict->wait_ms * TF_US_PER_MS;

    b->run->report.retries++;
    if (b->doing.op != OP_PRESS) to_next_gateway(b);
    if (wait_us == 0)
        attempt(b);
    else
        loop_timer_set(&b->run->loop, &b->next,
                       tf_mono_us() + wait_us + (int64_t)(random_next(b) % (uint64_t)(wait_us / 2)));
}

static void write_down(struct buyer *b, const struct wire_end *end, const struct said *said,
                       const struct verdict *verdict)
{
    const struct operation *doing = &b->doing;

    journal_write(&b->run->journal,
                  &(struct journal_entry){.t_us = tf_now_us(),
                                          .began_us = doing->attempt_wall_us,
                                          .latency_us = end->ended_us - end->sent_us,
                                          .op = doing->op,
                                          .key = doing->key,
                                          .user_id = doing->on.account->user_id,
                                          .gateway = target_of(b)->url,
                                          .show_id = doing->on.show_id,
                                          .attempt = doing->attempt,
                                          .outcome = verdict->outcome,
                                          .status = end->answer ? end->answer->status : 0,
                                          .reason = verdict->reason,
                                          .state = said->state ? said->state : "",
                                          .order_no = said->order_no ? said->order_no : doing->on.order_no,
                                          .places = said->places,
                                          .n_places = said->n_places});
}

static bool pay_url_good(const char *url)
{
    struct target bank;
    const char *path;

    return strlen(url) < PAY_URL_MAX && strcspn(url, " \r\n\t") == strlen(url) && target_parse(url, &bank, &path);
}

/* An acknowledgement that does not say what it acknowledges, or speaks of another order, is none. */
static bool acknowledges(struct buyer *b, const struct wire_end *end, struct said *said)
{
    const struct operation *doing = &b->doing;
    const struct load_options *o = b->run->options;
    bool ok = said_ok(b->run->arena, doing->op, end->body, end->answer->body_size, said);

    if (ok && doing->op == OP_ORDER) ok = said->n_places == (size_t)o->places;
    if (ok && (doing->op == OP_CANCEL || doing->op == OP_GET)) ok = said->order_no == doing->on.order_no;
    if (ok && doing->op == OP_PAY) ok = pay_url_good(said->pay_url);
    if (!ok) *said = (struct said){0};
    return ok;
}

static void on_end(void *arg, const struct wire_end *end)
{
    struct buyer *b = arg;
    struct run *run = b->run;
    enum call_end how = end->end;
    int status = end->answer ? end->answer->status : 0;
    struct said said = {0};
    struct verdict verdict;

    tf_arena_reset(run->arena);
    if (how == CALL_ANSWERED && status < 300) {
        if (!acknowledges(b, end, &said)) how = CALL_BROKEN;
    } else if (how == CALL_ANSWERED) {
        said_problem(run->arena, end->body, end->answer->body_size, end->answer->retry_after_s, &said);
    }
    verdict = retry_judge(how, status, said.reason, said.retry_after_ms, b->doing.attempt,
                          run->giving_up ? 0 : (int)run->options->tries);
    write_down(b, end, &said, &verdict);
    report_call(&run->report, b->doing.op, verdict.outcome, verdict.reason);
    if (verdict.again)
        try_again(b, &verdict);
    else
        ended(b, &said, &verdict, end->ended_us);
}

/* ---- the loop that is closed ---- */

static void begin_next(struct buyer *b)
{
    enum op op = draw_op(b);

    begin(b, op, op == OP_ORDER ? new_order(b) : pick_order(b, op));
}

/* When the rate limit lets the next operation begin. Time that went by unused is not made up for. */
static int64_t turn_us(struct run *run, int64_t now_us)
{
    int64_t turn;

    if (!run->options->rate_limit) return now_us;
    turn = TF_MAX(run->next_start_us, now_us);
    run->next_start_us = turn + TF_US_PER_S / run->options->rate_limit;
    return turn;
}

static void next_operation(struct buyer *b, int64_t wait_ms)
{
    int64_t now_us = tf_mono_us(), at_us;

    if (b->run->stopping) {
        rest(b);
        return;
    }
    b->busy = false;
    at_us = turn_us(b->run, now_us);
    at_us = TF_MAX(at_us, now_us + wait_ms * TF_US_PER_MS);
    if (at_us > now_us)
        loop_timer_set(&b->run->loop, &b->next, at_us);
    else
        begin_next(b);
}

static void on_timer(void *arg)
{
    struct buyer *b = arg;

    if (b->busy)
        attempt(b);
    else if (b->run->stopping)
        rest(b);
    else
        begin_next(b);
}

void buyer_init(struct buyer *b, struct run *run, int number)
{
    *b = (struct buyer){.run = run,
                        .number = number,
                        .home = number % run->options->n_gateways,
                        .at = number % run->options->n_gateways,
                        .account = number,
                        .random = tf_mix64((uint64_t)run->options->seed) ^ tf_mix64((uint64_t)number + 1),
                        .next = {.fire = on_timer, .arg = b}};
    wire_init(&b->gateway, &run->loop, on_end, b);
    wire_init(&b->bank, &run->loop, on_end, b);
}

void buyer_start(struct buyer *b)
{
    b->run->working++;
    next_operation(b, 0);
}

void buyer_stop(struct buyer *b)
{
    if (b->busy || !b->next.place) return;
    loop_timer_clear(&b->run->loop, &b->next);
    rest(b);
}

void buyer_give_up(struct buyer *b)
{
    struct verdict unknown = {.outcome = OUTCOME_UNKNOWN};
    struct said nothing = {0};

    if (wire_busy(&b->gateway)) {
        wire_give_up(&b->gateway);
    } else if (wire_busy(&b->bank)) {
        wire_give_up(&b->bank);
    } else if (b->busy) { /* between two attempts */
        loop_timer_clear(&b->run->loop, &b->next);
        ended(b, &nothing, &unknown, tf_mono_us());
    }
}

void buyer_free(struct buyer *b)
{
    b->run->report.connects += b->gateway.connects + b->bank.connects;
    loop_timer_clear(&b->run->loop, &b->next);
    wire_free(&b->gateway);
    wire_free(&b->bank);
}
