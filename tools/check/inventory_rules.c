/* Redis against PostgreSQL, show by show and place by place: which places are free, held, sold, blocked; capacities;
 * account limits; due times.
 *
 * While orders run the two are never read at one moment: places that differ are read again after 5 s, and only a
 * difference that stands counts. */
#include "tools/check/check.h"

#include "common/base/id.h"
#include "services/order/inventory/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SHOWS_MAX = 100000,
    HEAD_BYTES = 64,
    AGAIN_AFTER_S = 5,
    PLACE_NONE = 0,
    PLACE_FREE,
    PLACE_HELD,
    PLACE_SOLD,
    PLACE_BLOCKED
};

static const struct tf_pg_stmt list_shows = {
    "check_shows",
    "SELECT DISTINCT ON (i.show_id) i.show_id, i.epoch, s.data FROM inventory i JOIN sale_snapshot s USING (bucket, "
    "show_id) WHERE i.show_id > $1 AND s.version = i.terms "
    "ORDER BY i.show_id LIMIT 1",
    false};
static const struct tf_pg_stmt live_places = {
    "check_places",
    "SELECT t.place_no, o.kind, o.state, t.tier FROM tickets t JOIN orders o USING (bucket, order_no) WHERE t.bucket = "
    "$1 AND t.show_id = $2 AND t.live ORDER BY t.place_no",
    false};
static const struct tf_pg_stmt over_limit = {
    "check_limit",
    "SELECT format('show %s user %s: %s tickets, limit %s', $2::int8, o.user_id, count(*), $3::int4) FROM tickets t "
    "JOIN orders o USING (bucket, order_no) "
    "WHERE t.bucket = $1 AND t.show_id = $2 AND t.live AND o.kind = 1 GROUP BY o.user_id HAVING count(*) > $3 LIMIT "
    "100",
    false};

static const char *const status_names[] = {"no place", "free", "held", "sold", "blocked"};

static bool bit(const unsigned char *map, size_t i)
{
    return map[i / 8] >> (7 - i % 8) & 1;
}

static uint32_t u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
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

/* The bitmaps of an inventory (inventory_v1.lua tells the layout). */
struct bitmaps {
    const unsigned char *free, *sold, *blocked;
};

/* A show without inventory is CLOSED: nothing to compare until it is rebuilt. */
static bool read_bitmaps(struct check *c, const struct sale *sale, struct bitmaps *ret_bitmaps, bool *ret_closed)
{
    const tf_redis_reply *reply = ask_redis(c, sale, "GET", "m");
    uint32_t npos, bits;

    *ret_closed = false;
    if (!reply) return false;
    if (reply->type != TF_REDIS_STRING || reply->size < HEAD_BYTES) {
        *ret_closed = true;
        return true;
    }
    npos = u32(reply->text + 24);
    bits = u32(reply->text + 28);
    if (npos != (uint32_t)sale->npos || reply->size < HEAD_BYTES + 3 * (size_t)bits / 8) {
        rule_offender("show %lld: Redis has %u place numbers, the snapshot %d", (long long)sale->show_id, npos,
                      sale->npos);
        return false;
    }
    ret_bitmaps->free = (const unsigned char *)reply->text + HEAD_BYTES;
    ret_bitmaps->sold = ret_bitmaps->free + bits / 8;
    ret_bitmaps->blocked = ret_bitmaps->sold + bits / 8;
    return true;
}

/* Redis' view, place by place. */
static bool read_redis(struct check *c, const struct sale *sale, unsigned char *out, bool *ret_closed)
{
    struct bitmaps maps;

    if (!read_bitmaps(c, sale, &maps, ret_closed)) return false;
    for (int32_t n = 0; n < sale->npos && !*ret_closed; n++) {
        if (!sale_segment_of(sale, n))
            out[n] = bit(maps.free, (size_t)n) ? PLACE_FREE : PLACE_NONE;
        else if (bit(maps.free, (size_t)n))
            out[n] = PLACE_FREE;
        else if (bit(maps.sold, (size_t)n))
            out[n] = PLACE_SOLD;
        else if (bit(maps.blocked, (size_t)n))
            out[n] = PLACE_BLOCKED;
        else
            out[n] = PLACE_HELD;
    }
    return true;
}

static size_t differences(const struct sale *sale, const unsigned char *pg, const unsigned char *redis)
{
    size_t n = 0;

    for (int32_t i = 0; i < sale->npos; i++)
        n += pg[i] != redis[i];
    return n;
}

static void check_places(struct check *c, const struct sale *sale)
{
    unsigned char *first_pg = calloc(4, (size_t)sale->npos), *first_redis, *pg, *redis;
    struct timespec pause = {.tv_sec = AGAIN_AFTER_S};
    bool closed;

    if (!first_pg) {
        rule_failed(c, "no memory");
        return;
    }
    first_redis = first_pg + sale->npos;
    pg = first_redis + sale->npos;
    redis = pg + sale->npos;
    rule_looked_at(sale->n_places);
    if (read_pg(c, sale, first_pg, true) && read_redis(c, sale, first_redis, &closed) && !closed &&
        differences(sale, first_pg, first_redis)) {
        nanosleep(&pause, NULL);
        if (read_pg(c, sale, pg, false) && read_redis(c, sale, redis, &closed) && !closed)
            for (int32_t n = 0; n < sale->npos; n++)
                if (first_pg[n] != first_redis[n] && pg[n] != redis[n])
                    rule_offender("show %lld place %d: PostgreSQL says %s, Redis says %s", (long long)sale->show_id, n,
                                  status_names[pg[n]], status_names[redis[n]]);
    }
    free(first_pg);
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
static bool tally_redis(struct check *c, const struct sale *sale, struct tally *tallies, bool *ret_closed)
{
    const tf_redis_reply *records;
    struct bitmaps maps;

    if (!read_bitmaps(c, sale, &maps, ret_closed)) return false;
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
static void check_capacity(struct check *c, const struct sale *sale)
{
    struct tally pg[SALE_TIERS_MAX] = {0}, redis[SALE_TIERS_MAX] = {0};
    struct timespec pause = {.tv_sec = AGAIN_AFTER_S};
    bool closed;

    rule_looked_at(sale->n_tiers);
    if (tally_pg(c, sale, pg)) report_tallies(sale, "PostgreSQL", pg);
    if (!tally_redis(c, sale, redis, &closed) || closed || tallies_right(sale, redis)) return;
    nanosleep(&pause, NULL);
    check_reset(c);
    memset(redis, 0, sizeof(redis));
    if (tally_redis(c, sale, redis, &closed) && !closed) report_tallies(sale, "Redis", redis);
}

static void check_limit(struct check *c, const struct sale *sale)
{
    tf_pg_params p;
    tf_pg_result *r;

    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)sale->bucket);
    tf_pg_int8(&p, sale->show_id);
    tf_pg_int4(&p, sale->account_limit);
    rule_looked_at(1);
    r = check_query(c, DB_ORDER, &over_limit, &p);
    for (int i = 0; r && i < tf_pg_rows(r); i++)
        rule_offender("%s", tf_pg_get_text(r, i, 0));
}

/* Runs `each` for every show, in the order of their ids. */
static void for_each_show(struct check *c, void (*each)(struct check *c, const struct sale *sale))
{
    int64_t last = 0;

    for (int i = 0; i < SHOWS_MAX; i++) {
        struct tf_pg_bytes data;
        struct sale *sale;
        tf_pg_params p;
        tf_pg_result *r;

        check_reset(c);
        tf_pg_params_init(&p, &c->ctx);
        tf_pg_int8(&p, last);
        r = check_query(c, DB_ORDER, &list_shows, &p);
        if (!r || tf_pg_rows(r) == 0) return;
        last = tf_pg_get_int(r, 0, 0);
        data = tf_pg_get_bytes(r, 0, 2);
        if (sale_decode(&c->ctx, data.data, data.size, &sale)) {
            rule_failed(c, "sale snapshot");
            continue;
        }
        each(c, sale);
        sale_unref(sale);
    }
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
    rule_begin("places_equal", "PostgreSQL and Redis agree on every place");
    for_each_show(c, check_places);
    rule_begin("capacity", "sold + held + blocked + free = capacity in every tier");
    for_each_show(c, check_capacity);
    rule_begin("account_limit", "no account has more tickets of a show than its limit");
    for_each_show(c, check_limit);
    check_due(c);
}
