/* Redis against PostgreSQL, show by show and place by place: which places are free, held, sold, blocked; capacities;
 * account limits; due times.
 *
 * While orders run the two are never read at one moment: places that differ are read again after 5 s, and only a
 * difference that stands counts. */
#include "tools/check/check.h"

#include "common/base/id.h"
#include "services/order/inventory/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGAIN_AFTER_S = 5, PLACE_NONE = 0, PLACE_FREE, PLACE_HELD, PLACE_SOLD, PLACE_BLOCKED };

static const struct tf_pg_stmt list_shows = {
    .name = "check_shows",
    .sql = "SELECT show_id, bucket, coalesce(sale_state = 1 AND opens_at <= clock_timestamp()"
           " AND closes_at > clock_timestamp(), false) FROM inventory ORDER BY show_id",
};
static const struct tf_pg_stmt read_snapshot = {
    .name = "check_snapshot",
    .sql = "SELECT s.data, i.epoch FROM inventory i JOIN sale_snapshot s ON s.bucket = i.bucket"
           " AND s.show_id = i.show_id AND s.version = i.terms WHERE i.bucket = $1 AND i.show_id = $2",
};
static const struct tf_pg_stmt all_snapshots = {
    .name = "check_snapshots",
    .sql = "SELECT data FROM sale_snapshot WHERE bucket = $1 AND show_id = $2",
};
static const struct tf_pg_stmt live_places = {
    "check_places",
    "SELECT t.place_no, o.kind, o.state, t.tier FROM tickets t JOIN orders o USING (bucket, order_no) WHERE t.bucket = "
    "$1 AND t.show_id = $2 AND t.live ORDER BY t.place_no",
    false};
static const struct tf_pg_stmt over_limit = {
    .name = "check_limit",
    .sql = "SELECT o.user_id, count(*) FROM tickets t JOIN orders o USING (bucket, order_no)"
           " WHERE t.bucket = $1 AND t.show_id = $2 AND t.live AND o.kind = 1 GROUP BY o.user_id"
           " HAVING count(*) > $3 ORDER BY 2 DESC LIMIT 1000",
};

/* A show, and what differed in it at the first reading. */
struct suspect {
    int64_t show_id;
    int bucket;
    bool on_sale, closed;
    int32_t *places;
    size_t n_places;
};

static struct suspect *shows;
static size_t n_shows;

static const char *const status_names[] = {"no place", "free", "held", "sold", "blocked"};

static bool bit(const unsigned char *map, size_t i)
{
    return map[i / 8] >> (7 - i % 8) & 1;
}

/* PostgreSQL's view. A ticket on a number that is no place, or of another tier, is an offence of its own. */
static bool read_pg(struct check *c, const struct sale *sale, unsigned char *out, bool report)
{
    tf_pg_params p;
    tf_pg_result *r;

    for (int32_t n = 0; n < sale->npos; n++)
        out[n] = !sale_segment_of(sale, n) ? PLACE_NONE : sale_is_blocked(sale, n) ? PLACE_BLOCKED : PLACE_FREE;
    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)sale->bucket);
    tf_pg_int8(&p, sale->show_id);
    r = check_query(c, DB_ORDER, &live_places, &p);
    if (!r) return false;
    for (int i = 0; i < tf_pg_rows(r); i++) {
        int64_t place = tf_pg_get_int(r, i, 0);
        const struct sale_tier *tier = place > 0 && place < sale->npos ? sale_tier_of(sale, (int32_t)place) : NULL;

        if (!tier || tier->tier != tf_pg_get_int(r, i, 3)) {
            if (report)
                rule_offender("show %lld: a live ticket on place %lld of tier %lld, which is not there",
                              (long long)sale->show_id, (long long)place, (long long)tf_pg_get_int(r, i, 3));
            continue;
        }
        out[place] = tf_pg_get_int(r, i, 1) == 2   ? PLACE_BLOCKED
                     : tf_pg_get_int(r, i, 2) == 1 ? PLACE_HELD
                                                   : PLACE_SOLD;
    }
    return true;
}

/* What Redis keeps of a show under one of its keys; NULL after rule_failed. */
static const tf_redis_reply *ask_redis(struct check *c, const struct sale *sale, const char *command, const char *key)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;

    tf_redis_cmd_init(&cmd, &c->ctx);
    tf_redis_arg(&cmd, command);
    tf_redis_arg_printf(&cmd, "tf:{%d}:%lld:%s", inventory_partition(sale->bucket), (long long)sale->show_id, key);
    if (tf_redis_call(&c->ctx, c->redis, &cmd, &reply) == TF_OK) return reply;
    rule_failed(c, "Redis");
    return NULL;
}

/* The bitmaps of an inventory (inventory.lua tells the layout). */
struct bitmaps {
    const unsigned char *free, *sold, *blocked;
};

/* By Redis' own reading function, which answers CLOSED after a restart and for a generation that is not open there. A
 * generation older than the fence's is closed too: nothing that it decides can commit. */
static bool read_bitmaps(struct check *c, const struct sale *sale, int64_t epoch, struct bitmaps *ret_bitmaps,
                         bool *ret_closed)
{
    tf_redis_reply *reply;
    tf_redis_cmd cmd;
    size_t bytes;

    inventory_fcall(&cmd, &c->ctx, "read", 2);
    inventory_key(&cmd, sale->show_id, "m");
    inventory_due_key(&cmd, inventory_partition(sale->bucket));
    tf_redis_arg_int(&cmd, sale->show_id);
    tf_redis_arg_int(&cmd, 0);
    tf_redis_arg_int(&cmd, 0);
    if (tf_redis_call(&c->ctx, c->redis, &cmd, &reply)) {
        rule_failed(c, "Redis");
        return false;
    }
    *ret_closed = reply->type != TF_REDIS_ARRAY || reply->n_items < 7 || strcmp(reply->items[0]->text, "OK") != 0 ||
                  reply->items[1]->integer != epoch; /* an error too: the library is not loaded */
    if (*ret_closed) return true;
    bytes = reply->items[6]->size / 3;
    if (bytes * 8 < (size_t)sale->npos) {
        rule_offender("show %lld: Redis has %zu place numbers, the snapshot %d", (long long)sale->show_id, bytes * 8,
                      sale->npos);
        return false;
    }
    ret_bitmaps->free = (const unsigned char *)reply->items[6]->text;
    ret_bitmaps->sold = ret_bitmaps->free + bytes;
    ret_bitmaps->blocked = ret_bitmaps->sold + bytes;
    return true;
}

/* Redis' view, place by place. */
static bool read_redis(struct check *c, const struct sale *sale, int64_t epoch, unsigned char *out, bool *ret_closed)
{
    struct bitmaps maps;

    if (!read_bitmaps(c, sale, epoch, &maps, ret_closed)) return false;
    for (int32_t n = 0; n < sale->npos && !*ret_closed; n++) {
        if (bit(maps.free, (size_t)n))
            out[n] = PLACE_FREE;
        else if (!sale_segment_of(sale, n))
            out[n] = PLACE_NONE;
        else if (bit(maps.sold, (size_t)n))
            out[n] = PLACE_SOLD;
        else if (bit(maps.blocked, (size_t)n))
            out[n] = PLACE_BLOCKED;
        else
            out[n] = PLACE_HELD;
    }
    return true;
}

/* The show at its terms of now, for sale_unref; NULL after an offence. */
static struct sale *load_sale(struct check *c, const struct suspect *show, int64_t *ret_epoch)
{
    struct tf_pg_bytes data;
    struct sale *sale;
    tf_pg_params p;
    tf_pg_result *r;

    check_reset(c);
    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)show->bucket);
    tf_pg_int8(&p, show->show_id);
    r = check_query(c, DB_ORDER, &read_snapshot, &p);
    if (!r) return NULL;
    if (tf_pg_rows(r) == 0) {
        rule_offender("show %lld: there is no snapshot of its terms", (long long)show->show_id);
        return NULL;
    }
    data = tf_pg_get_bytes(r, 0, 0);
    *ret_epoch = tf_pg_get_int(r, 0, 1);
    if (sale_decode(&c->ctx, data.data, data.size, &sale)) {
        rule_failed(c, "sale snapshot");
        return NULL;
    }
    return sale;
}

static bool load_shows(struct check *c)
{
    tf_pg_result *r;

    check_reset(c);
    r = check_query(c, DB_ORDER, &list_shows, NULL);
    if (!r) return false;
    n_shows = (size_t)tf_pg_rows(r);
    shows = calloc(n_shows + 1, sizeof *shows);
    for (size_t i = 0; shows && i < n_shows; i++)
        shows[i] = (struct suspect){.show_id = tf_pg_get_int(r, (int)i, 0),
                                    .bucket = (int)tf_pg_get_int(r, (int)i, 1),
                                    .on_sale = tf_pg_get_bool(r, (int)i, 2)};
    return shows != NULL;
}

static void note_differences(struct suspect *show, const struct sale *sale, const unsigned char *pg,
                             const unsigned char *redis)
{
    size_t n = 0;

    for (int32_t i = 0; i < sale->npos; i++)
        n += pg[i] != redis[i];
    show->places = n ? calloc(n, sizeof *show->places) : NULL;
    for (int32_t i = 0; show->places && i < sale->npos; i++)
        if (pg[i] != redis[i]) show->places[show->n_places++] = i;
}

/* Places that differed at the first reading and differ still. */
static void report_differences(const struct suspect *show, const struct sale *sale, const unsigned char *pg,
                               const unsigned char *redis)
{
    for (size_t i = 0; i < show->n_places; i++) {
        int32_t n = show->places[i];

        if (n < sale->npos && pg[n] != redis[n])
            rule_offender("show %lld place %d: PostgreSQL says %s, Redis says %s", (long long)show->show_id, n,
                          status_names[pg[n]], status_names[redis[n]]);
    }
}

static void compare_show(struct check *c, struct suspect *show, bool again)
{
    unsigned char *pg = NULL, *redis = NULL;
    struct sale *sale;
    int64_t epoch;
    bool closed = false;

    sale = load_sale(c, show, &epoch);
    if (!sale) return;
    pg = calloc(2, (size_t)sale->npos + 1);
    redis = pg ? pg + sale->npos : NULL;
    if (!again) rule_looked_at(sale->n_places);
    if (pg && read_pg(c, sale, pg, !again) && read_redis(c, sale, epoch, redis, &closed)) {
        if (closed && again && show->closed && show->on_sale)
            rule_offender("show %lld is on sale and has been CLOSED in Redis for %d s", (long long)show->show_id,
                          AGAIN_AFTER_S);
        else if (closed && again)
            rule_note("show %lld is CLOSED in Redis and not compared", (long long)show->show_id);
        else if (closed)
            show->closed = true;
        else if (again)
            report_differences(show, sale, pg, redis);
        else
            note_differences(show, sale, pg, redis);
    }
    free(pg);
    sale_unref(sale);
}

static void check_places(struct check *c)
{
    const struct timespec pause = {.tv_sec = AGAIN_AFTER_S};
    bool suspects = false;

    for (size_t i = 0; i < n_shows; i++) {
        compare_show(c, &shows[i], false);
        suspects |= shows[i].closed || shows[i].n_places;
    }
    if (suspects) nanosleep(&pause, NULL);
    for (size_t i = 0; i < n_shows; i++)
        if (shows[i].closed || shows[i].n_places) compare_show(c, &shows[i], true);
}

/* Places of a tier by status. */
struct tally {
    int64_t counts[PLACE_BLOCKED + 1];
};

static int64_t tally_sum(const struct tally *t)
{
    return t->counts[PLACE_FREE] + t->counts[PLACE_HELD] + t->counts[PLACE_SOLD] + t->counts[PLACE_BLOCKED];
}

static struct tally *tally_of(struct tally *tallies, const struct sale *sale, int64_t place)
{
    const struct sale_tier *tier = place > 0 && place < sale->npos ? sale_tier_of(sale, (int32_t)place) : NULL;

    return tier ? &tallies[tier->tier - 1] : NULL;
}

/* Live tickets one by one, and the places that have none: a place with two tickets counts twice. */
static bool tally_pg(struct check *c, const struct sale *sale, struct tally *tallies)
{
    bool *ticketed = TF_NEW_ARRAY(c->ctx.arena, bool, (size_t)sale->npos);
    tf_pg_params p;
    tf_pg_result *r;

    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)sale->bucket);
    tf_pg_int8(&p, sale->show_id);
    r = check_query(c, DB_ORDER, &live_places, &p);
    if (!r || !ticketed) return false;
    for (int i = 0; i < tf_pg_rows(r); i++) {
        int64_t place = tf_pg_get_int(r, i, 0);
        struct tally *t = tally_of(tallies, sale, place);

        if (!t) continue; /* places_equal tells */
        ticketed[place] = true;
        t->counts[tf_pg_get_int(r, i, 1) == 2   ? PLACE_BLOCKED
                  : tf_pg_get_int(r, i, 2) == 1 ? PLACE_HELD
                                                : PLACE_SOLD]++;
    }
    for (int32_t n = 0; n < sale->npos; n++) {
        struct tally *t = ticketed[n] ? NULL : tally_of(tallies, sale, n);

        if (t) t->counts[sale_is_blocked(sale, n) ? PLACE_BLOCKED : PLACE_FREE]++;
    }
    return true;
}

/* The places that a record holds: "H user body-hash places persons". */
static void tally_record(const struct sale *sale, const char *record, struct tally *tallies)
{
    const char *places = record;

    if (*record != 'H') return;
    for (int spaces = 0; spaces < 3; spaces++) {
        places = strchr(places, ' ');
        if (!places) return;
        places++;
    }
    for (char *end; *places >= '0' && *places <= '9'; places = *end == ',' ? end + 1 : end) {
        struct tally *t = tally_of(tallies, sale, strtoll(places, &end, 10));

        if (t) t->counts[PLACE_HELD]++;
    }
}

/* Free, sold and blocked by the bitmaps, held by the orders' records: a place that nobody has is missing. */
static bool tally_redis(struct check *c, const struct sale *sale, int64_t epoch, struct tally *tallies,
                        bool *ret_closed)
{
    const tf_redis_reply *records;
    struct bitmaps maps;

    if (!read_bitmaps(c, sale, epoch, &maps, ret_closed)) return false;
    if (*ret_closed) return true;
    records = ask_redis(c, sale, "HVALS", "h");
    if (!records) return false;
    for (int32_t n = 0; n < sale->npos; n++) {
        struct tally *t = tally_of(tallies, sale, n);

        if (!t) continue;
        t->counts[PLACE_FREE] += bit(maps.free, (size_t)n);
        t->counts[PLACE_SOLD] += bit(maps.sold, (size_t)n);
        t->counts[PLACE_BLOCKED] += bit(maps.blocked, (size_t)n);
    }
    for (size_t i = 0; records->type == TF_REDIS_ARRAY && i < records->n_items; i++)
        tally_record(sale, records->items[i]->text, tallies);
    return true;
}

static bool tallies_right(const struct sale *sale, const struct tally *tallies)
{
    for (int i = 0; i < sale->n_tiers; i++)
        if (tally_sum(&tallies[i]) != sale->tiers[i].capacity) return false;
    return true;
}

static void report_tallies(const struct sale *sale, const char *store, const struct tally *tallies)
{
    for (int i = 0; i < sale->n_tiers; i++)
        if (tally_sum(&tallies[i]) != sale->tiers[i].capacity)
            rule_offender("show %lld tier %d: %s has %lld sold, %lld held, %lld blocked, %lld free; capacity %d",
                          (long long)sale->show_id, i + 1, store, (long long)tallies[i].counts[PLACE_SOLD],
                          (long long)tallies[i].counts[PLACE_HELD], (long long)tallies[i].counts[PLACE_BLOCKED],
                          (long long)tallies[i].counts[PLACE_FREE], sale->tiers[i].capacity);
}

/* Each store by its own counting. Redis' two keys are not read at one moment, so that a difference there must stand. */
static void check_capacity(struct check *c, const struct suspect *show)
{
    const struct timespec pause = {.tv_sec = AGAIN_AFTER_S};
    struct tally pg[SALE_TIERS_MAX] = {0}, redis[SALE_TIERS_MAX] = {0};
    struct sale *sale;
    int64_t epoch;
    bool closed;

    sale = load_sale(c, show, &epoch);
    if (!sale) return;
    rule_looked_at(sale->n_tiers);
    if (tally_pg(c, sale, pg)) report_tallies(sale, "PostgreSQL", pg);
    if (tally_redis(c, sale, epoch, redis, &closed) && !closed && !tallies_right(sale, redis)) {
        nanosleep(&pause, NULL);
        check_reset(c);
        memset(redis, 0, sizeof(redis));
        if (tally_redis(c, sale, epoch, redis, &closed) && !closed) report_tallies(sale, "Redis", redis);
    }
    sale_unref(sale);
}

/* The widest limit that the show ever had: tickets bought under it stay. */
static int widest_limit(struct check *c, const struct suspect *show, int limit)
{
    tf_pg_params p;
    tf_pg_result *r;

    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)show->bucket);
    tf_pg_int8(&p, show->show_id);
    r = check_query(c, DB_ORDER, &all_snapshots, &p);
    for (int i = 0; r && i < tf_pg_rows(r); i++) {
        struct tf_pg_bytes data = tf_pg_get_bytes(r, i, 0);
        struct sale *sale;

        if (sale_decode(&c->ctx, data.data, data.size, &sale)) continue;
        limit = TF_MAX(limit, sale->account_limit);
        sale_unref(sale);
    }
    return limit;
}

static void check_limit(struct check *c, const struct suspect *show)
{
    int64_t epoch;
    struct sale *sale = load_sale(c, show, &epoch);
    tf_pg_params p;
    tf_pg_result *r;
    int limit;

    if (!sale) return;
    limit = sale->account_limit;
    sale_unref(sale);
    rule_looked_at(1);
    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)show->bucket);
    tf_pg_int8(&p, show->show_id);
    tf_pg_int4(&p, limit);
    r = check_query(c, DB_ORDER, &over_limit, &p);
    if (!r || tf_pg_rows(r) == 0) return;
    limit = widest_limit(c, show, limit);
    for (int i = 0; i < tf_pg_rows(r); i++)
        if (tf_pg_get_int(r, i, 1) > limit)
            rule_offender("show %lld user %lld: %lld tickets, limit %d", (long long)show->show_id,
                          (long long)tf_pg_get_int(r, i, 0), (long long)tf_pg_get_int(r, i, 1), limit);
}

/* Due entries come to be settled within their lease; a minute is much longer than any. */
static void check_due(struct check *c)
{
    int64_t now_ms = tf_now_us() / TF_US_PER_MS;

    rule_begin("due_entries_move", "no due entry is overdue by more than 60 s");
    check_reset(c);
    for (int p = 0; p < INVENTORY_PARTITIONS; p++) {
        tf_redis_reply *reply;
        tf_redis_cmd cmd;

        tf_redis_cmd_init(&cmd, &c->ctx);
        tf_redis_arg(&cmd, "ZRANGEBYSCORE");
        tf_redis_arg_printf(&cmd, "tf:{%d}:due", p);
        tf_redis_arg(&cmd, "-inf");
        tf_redis_arg_int(&cmd, now_ms - 60000);
        if (tf_redis_call(&c->ctx, c->redis, &cmd, &reply)) {
            rule_failed(c, "Redis");
            return;
        }
        for (size_t i = 0; reply->type == TF_REDIS_ARRAY && i < reply->n_items; i++)
            rule_offender("%s", reply->items[i]->text);
        rule_looked_at(1);
    }
}

void check_inventory_rules(struct check *c)
{
    rule_begin("places_equal", "PostgreSQL and Redis agree on every place, and shows on sale are open");
    if (!load_shows(c)) return;
    check_places(c);
    rule_begin("capacity", "sold + held + blocked + free = capacity in every tier of both stores");
    for (size_t i = 0; i < n_shows; i++)
        check_capacity(c, &shows[i]);
    rule_begin("account_limit", "no account has more tickets of a show than its limit");
    for (size_t i = 0; i < n_shows; i++)
        check_limit(c, &shows[i]);
    for (size_t i = 0; i < n_shows; i++)
        free(shows[i].places);
    free(shows);
    check_due(c);
}
