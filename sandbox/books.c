/* Charges and refunds: hash tables under one lock, and a journal of one JSON line per change, synced before it is
 * answered. */
#include "sandbox/books.h"

#include "common/base/text.h"
#include "common/json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The default hash falls through its switch by comments, which clang does not read. */
#define HASH_FUNCTION(key, size, hash) HASH_FNV(key, size, hash)
#include <uthash.h>

enum { FAULTS_MAX = 4096, LINE_MAX_BYTES = 8192 }; /* a line: every text escaped at its longest */

struct charge_node {
    struct charge charge;
    UT_hash_handle hh;
};
struct refund_node {
    char id[CHARGE_ID_MAX], charge_id[CHARGE_ID_MAX];
    int64_t amount_minor, at_ms;
    UT_hash_handle hh;
};

static struct {
    pthread_mutex_t lock;
    struct charge_node *charges;
    struct refund_node *refunds;
    struct fault faults[FAULTS_MAX];
    size_t n_faults;
    int64_t last_no;
    int fd;
    off_t size;  /* of the journal's whole lines */
    bool broken; /* a torn line could not be cut off: nothing more is written behind it */
} books = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static const char *const state_names[] = {"WAITING", "IN_FLIGHT", "SUCCEEDED", "CLOSED"};

const char *charge_state_name(enum charge_state state)
{
    return state_names[state];
}

int64_t charge_money(const struct charge *charge)
{
    return charge->received_minor ? charge->received_minor : charge->amount_minor;
}

static void put_charge(tf_json_writer *w, const struct charge *c)
{
    tf_json_begin_object(w);
    tf_json_key(w, "charge_id");
    tf_json_put_string(w, c->id);
    tf_json_key(w, "provider_no");
    tf_json_put_int_string(w, c->provider_no);
    tf_json_key(w, "state");
    tf_json_put_string(w, charge_state_name(c->state));
    tf_json_key(w, "amount_minor");
    tf_json_put_int(w, c->amount_minor);
    tf_json_key(w, "received_minor");
    tf_json_put_int(w, c->received_minor);
    tf_json_key(w, "refunded_minor");
    tf_json_put_int(w, c->refunded_minor);
    tf_json_key(w, "currency");
    tf_json_put_string(w, c->currency);
    tf_json_key(w, "subject");
    tf_json_put_string(w, c->subject);
    tf_json_key(w, "notify_url");
    tf_json_put_string(w, c->notify_url);
    tf_json_key(w, "created_ms");
    tf_json_put_int(w, c->created_ms);
    tf_json_key(w, "expires_ms");
    tf_json_put_int(w, c->expires_ms);
    tf_json_key(w, "paid_ms");
    tf_json_put_int(w, c->paid_ms);
    tf_json_end_object(w);
}

static void put_refund(tf_json_writer *w, const struct refund_node *r)
{
    tf_json_begin_object(w);
    tf_json_key(w, "refund_id");
    tf_json_put_string(w, r->id);
    tf_json_key(w, "charge_id");
    tf_json_put_string(w, r->charge_id);
    tf_json_key(w, "amount_minor");
    tf_json_put_int(w, r->amount_minor);
    tf_json_key(w, "at_ms");
    tf_json_put_int(w, r->at_ms);
    tf_json_end_object(w);
}

/* Appends a line and syncs; the caller holds the lock. Without a file the books live in memory only. What was not
 * written whole and synced is cut off again: it is not answered, so it must not be there after a restart. */
static bool journal(const struct charge *charge, const struct refund_node *refund)
{
    tf_buf line;
    tf_json_writer w = {.out = &line};
    bool ok;

    if (books.fd < 0) return true;
    if (books.broken) return false;
    tf_buf_init(&line, LINE_MAX_BYTES);
    if (charge)
        put_charge(&w, charge);
    else
        put_refund(&w, refund);
    tf_buf_putc(&line, '\n');
    ok = !line.broken && write(books.fd, line.data, line.size) == (ssize_t)line.size && fdatasync(books.fd) == 0;
    if (ok)
        books.size += (off_t)line.size;
    else
        books.broken = ftruncate(books.fd, books.size) != 0;
    tf_buf_done(&line);
    return ok;
}

static struct charge_node *find_charge(const char *id)
{
    struct charge_node *node;

    HASH_FIND_STR(books.charges, id, node);
    return node;
}

static struct refund_node *find_refund(const char *id)
{
    struct refund_node *node;

    HASH_FIND_STR(books.refunds, id, node);
    return node;
}

static struct charge_node *add_charge(const struct charge *c)
{
    struct charge_node *node = calloc(1, sizeof *node);

    if (!node) return NULL;
    node->charge = *c;
    HASH_ADD_STR(books.charges, charge.id, node);
    return node;
}

static struct refund_node *add_refund(const char *id, const char *charge_id, int64_t amount, int64_t at_ms)
{
    struct refund_node *node = calloc(1, sizeof *node);

    if (!node) return NULL;
    snprintf(node->id, sizeof node->id, "%s", id);
    snprintf(node->charge_id, sizeof node->charge_id, "%s", charge_id);
    node->amount_minor = amount;
    node->at_ms = at_ms;
    HASH_ADD_STR(books.refunds, id, node);
    return node;
}

static void copy_text(char *out, size_t size, const tf_json *value)
{
    snprintf(out, size, "%s", tf_json_string(value, ""));
}

/* One line of the journal; the last line of a charge holds its state. */
static bool replay(tf_arena *arena, const char *line, size_t size)
{
    const char *error;
    tf_cleanup(tf_json_freep) tf_json *j = tf_json_parse(arena, line, size, 4, &error);
    struct charge c = {0};
    struct charge_node *node;

    if (!j) return false;
    if (tf_json_get(j, "refund_id")) {
        const char *charge_id = tf_json_string(tf_json_get(j, "charge_id"), "");
        int64_t amount = tf_json_int(tf_json_get(j, "amount_minor"), 0);

        node = find_charge(charge_id);
        if (!node || !add_refund(tf_json_string(tf_json_get(j, "refund_id"), ""), charge_id, amount,
                                 tf_json_int(tf_json_get(j, "at_ms"), 0)))
            return false;
        node->charge.refunded_minor += amount;
        return true;
    }
    copy_text(c.id, sizeof c.id, tf_json_get(j, "charge_id"));
    copy_text(c.currency, sizeof c.currency, tf_json_get(j, "currency"));
    copy_text(c.subject, sizeof c.subject, tf_json_get(j, "subject"));
    copy_text(c.notify_url, sizeof c.notify_url, tf_json_get(j, "notify_url"));
    c.amount_minor = tf_json_int(tf_json_get(j, "amount_minor"), 0);
    c.received_minor = tf_json_int(tf_json_get(j, "received_minor"), 0);
    c.created_ms = tf_json_int(tf_json_get(j, "created_ms"), 0);
    c.expires_ms = tf_json_int(tf_json_get(j, "expires_ms"), 0);
    c.paid_ms = tf_json_int(tf_json_get(j, "paid_ms"), 0);
    if (!tf_parse_int64(tf_json_string(tf_json_get(j, "provider_no"), ""), &c.provider_no)) return false;
    for (size_t i = 0; i < TF_COUNT(state_names); i++)
        if (strcmp(tf_json_string(tf_json_get(j, "state"), ""), state_names[i]) == 0) c.state = (enum charge_state)i;
    if (c.state == CHARGE_SUCCEEDED && !c.received_minor) c.received_minor = c.amount_minor; /* an older journal's */
    books.last_no = TF_MAX(books.last_no, c.provider_no);
    node = find_charge(c.id);
    if (!node) return add_charge(&c);
    c.refunded_minor = node->charge.refunded_minor; /* the sum of the refund lines */
    node->charge = c;
    return true;
}

/* Reads the journal's whole lines; books.size says where they end. */
static bool read_journal(FILE *f, const char *path, char *error, size_t size)
{
    tf_cleanup(tf_arena_freep) tf_arena *arena = tf_arena_new(1 << 20);
    char *line = NULL;
    size_t capacity = 0;
    bool ok = arena != NULL;
    ssize_t n;

    while (ok && (n = getline(&line, &capacity, f)) > 0) {
        if (line[n - 1] != '\n') break; /* a torn last line was never answered */
        tf_arena_reset(arena);
        ok = replay(arena, line, (size_t)n);
        books.size += n;
    }
    free(line);
    if (!ok) snprintf(error, size, "%s holds a line that is not ours", path);
    return ok;
}

bool books_open(const char *path, char *error, size_t size)
{
    FILE *f;
    bool ok;

    if (!*path) return true;
    books.size = 0;
    books.broken = false;
    f = fopen(path, "re");
    ok = !f || read_journal(f, path, error, size);
    if (f) fclose(f);
    if (!ok) return false;
    books.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (books.fd >= 0 && ftruncate(books.fd, books.size) == 0) return true; /* the torn line is cut off */
    snprintf(error, size, "cannot write %s: %s", path, strerror(errno));
    return false;
}

void books_close(void)
{
    struct charge_node *c, *next_c;
    struct refund_node *r, *next_r;

    if (books.fd >= 0) close(books.fd);
    books.fd = -1;
    HASH_ITER(hh, books.charges, c, next_c)
    {
        HASH_DEL(books.charges, c);
        free(c);
    }
    HASH_ITER(hh, books.refunds, r, next_r)
    {
        HASH_DEL(books.refunds, r);
        free(r);
    }
    books.n_faults = 0;
}

static bool same_charge(const struct charge *a, const struct charge *b)
{
    return a->amount_minor == b->amount_minor && strcmp(a->currency, b->currency) == 0;
}

enum books_result books_charge(const struct charge *c, struct charge *ret_charge)
{
    enum books_result result = BOOKS_OK;
    struct charge_node *node;
    struct charge made = *c;

    pthread_mutex_lock(&books.lock);
    node = find_charge(c->id);
    if (node) {
        result = same_charge(&node->charge, c) ? BOOKS_AGAIN : BOOKS_CONFLICT;
        *ret_charge = node->charge;
    } else if (HASH_COUNT(books.charges) >= CHARGES_MAX) {
        result = BOOKS_FULL;
    } else {
        made.provider_no = ++books.last_no;
        made.state = CHARGE_WAITING;
        if (!journal(&made, NULL))
            result = BOOKS_DISK;
        else if (!add_charge(&made))
            result = BOOKS_FULL;
        *ret_charge = made;
    }
    pthread_mutex_unlock(&books.lock);
    return result;
}

enum books_result books_find(const char *id, struct charge *ret_charge)
{
    struct charge_node *node;

    pthread_mutex_lock(&books.lock);
    node = find_charge(id);
    if (node) *ret_charge = node->charge;
    pthread_mutex_unlock(&books.lock);
    return node ? BOOKS_OK : BOOKS_UNKNOWN;
}

/* Moves a charge to a state, journaled first; the caller holds the lock. received: what the payer sends, noted while it
 * is under way. */
static enum books_result move(struct charge_node *node, enum charge_state state, int64_t received, int64_t paid_ms)
{
    struct charge next = node->charge;

    next.state = state;
    next.received_minor = received;
    next.paid_ms = paid_ms;
    if (!journal(&next, NULL)) return BOOKS_DISK;
    node->charge = next;
    return BOOKS_OK;
}

/* The fault ordered for this charge (else for the next one), of a payment or of a refund, taken off the list. */
static struct fault take_fault(const char *id, bool of_refund)
{
    struct fault none = {0};

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < books.n_faults; i++)
            if (books.faults[i].refuse_refund == of_refund && strcmp(books.faults[i].charge_id, pass ? "*" : id) == 0) {
                struct fault found = books.faults[i];

                memmove(&books.faults[i], &books.faults[i + 1], (books.n_faults - i - 1) * sizeof found);
                books.n_faults--;
                return found;
            }
    return none;
}

enum books_result books_pay(const char *id, int64_t now_ms, struct charge *ret_charge, struct fault *ret_fault)
{
    enum books_result result = BOOKS_UNKNOWN;
    struct charge_node *node;

    pthread_mutex_lock(&books.lock);
    node = find_charge(id);
    if (node) {
        if (node->charge.state == CHARGE_WAITING && now_ms >= node->charge.expires_ms)
            (void)move(node, CHARGE_CLOSED, 0, 0);
        if (node->charge.state != CHARGE_WAITING) {
            result = node->charge.state == CHARGE_CLOSED ? BOOKS_STATE : BOOKS_AGAIN;
        } else {
            int64_t received;

            *ret_fault = take_fault(id, false);
            received = ret_fault->received_minor ? ret_fault->received_minor : node->charge.amount_minor;
            if (ret_fault->decline)
                result = BOOKS_DECLINED;
            else if (ret_fault->settle_at_ms)
                result = move(node, CHARGE_IN_FLIGHT, received, 0);
            else
                result = move(node, CHARGE_SUCCEEDED, received, now_ms);
        }
        *ret_charge = node->charge;
    }
    pthread_mutex_unlock(&books.lock);
    return result;
}

enum books_result books_settle(const char *id, int64_t now_ms, struct charge *ret_charge)
{
    enum books_result result = BOOKS_UNKNOWN;
    struct charge_node *node;

    pthread_mutex_lock(&books.lock);
    node = find_charge(id);
    if (node) {
        result = node->charge.state == CHARGE_IN_FLIGHT
                     ? move(node, CHARGE_SUCCEEDED, node->charge.received_minor, now_ms)
                     : BOOKS_STATE;
        *ret_charge = node->charge;
    }
    pthread_mutex_unlock(&books.lock);
    return result;
}

enum books_result books_close_charge(const char *id, struct charge *ret_charge)
{
    enum books_result result = BOOKS_UNKNOWN;
    struct charge_node *node;

    pthread_mutex_lock(&books.lock);
    node = find_charge(id);
    if (node) {
        if (node->charge.state == CHARGE_WAITING)
            result = move(node, CHARGE_CLOSED, 0, 0);
        else
            result = node->charge.state == CHARGE_CLOSED ? BOOKS_AGAIN : BOOKS_STATE;
        *ret_charge = node->charge;
    }
    pthread_mutex_unlock(&books.lock);
    return result;
}

enum books_result books_refund(const char *refund_id, const char *charge_id, int64_t amount, int64_t now_ms)
{
    enum books_result result = BOOKS_OK;
    struct refund_node *again;
    struct charge_node *node;

    pthread_mutex_lock(&books.lock);
    again = find_refund(refund_id);
    node = find_charge(charge_id);
    if (again)
        result =
            again->amount_minor == amount && strcmp(again->charge_id, charge_id) == 0 ? BOOKS_AGAIN : BOOKS_CONFLICT;
    else if (!node)
        result = BOOKS_UNKNOWN;
    else if (node->charge.state != CHARGE_SUCCEEDED)
        result = BOOKS_STATE;
    else if (amount <= 0 || amount > node->charge.received_minor - node->charge.refunded_minor)
        result = BOOKS_CONFLICT;
    else if (take_fault(charge_id, true).refuse_refund)
        result = BOOKS_REFUSED;
    if (!again && result == BOOKS_OK) {
        struct refund_node *made = add_refund(refund_id, charge_id, amount, now_ms);

        if (made && journal(NULL, made)) {
            node->charge.refunded_minor += amount;
        } else {
            if (made) HASH_DEL(books.refunds, made);
            free(made);
            result = BOOKS_DISK;
        }
    }
    pthread_mutex_unlock(&books.lock);
    return result;
}

int64_t books_refunded(const char *refund_id)
{
    struct refund_node *node;
    int64_t amount;

    pthread_mutex_lock(&books.lock);
    node = find_refund(refund_id);
    amount = node ? node->amount_minor : 0;
    pthread_mutex_unlock(&books.lock);
    return amount;
}

bool books_fault(const struct fault *fault)
{
    bool room;

    pthread_mutex_lock(&books.lock);
    room = books.n_faults < FAULTS_MAX;
    if (room) books.faults[books.n_faults++] = *fault;
    pthread_mutex_unlock(&books.lock);
    return room;
}

void books_render(tf_buf *out)
{
    tf_json_writer w = {.out = out};
    struct charge_node *c, *next_c;
    struct refund_node *r, *next_r;

    pthread_mutex_lock(&books.lock);
    tf_json_begin_object(&w);
    tf_json_key(&w, "charges");
    tf_json_begin_array(&w);
    HASH_ITER(hh, books.charges, c, next_c)
    put_charge(&w, &c->charge);
    tf_json_end_array(&w);
    tf_json_key(&w, "refunds");
    tf_json_begin_array(&w);
    HASH_ITER(hh, books.refunds, r, next_r)
    put_refund(&w, r);
    tf_json_end_array(&w);
    tf_json_end_object(&w);
    pthread_mutex_unlock(&books.lock);
}

bool books_next_in_flight(struct charge *ret_charge)
{
    struct charge_node *c, *next;
    bool found = false;

    pthread_mutex_lock(&books.lock);
    HASH_ITER(hh, books.charges, c, next)
    if (!found && c->charge.state == CHARGE_IN_FLIGHT) {
        *ret_charge = c->charge;
        found = true;
    }
    pthread_mutex_unlock(&books.lock);
    return found;
}
