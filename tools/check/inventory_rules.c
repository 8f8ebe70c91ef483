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

/* Redis' view, from the header and its bitmaps (inventory_v1.lua tells the layout). A show without inventory is CLOSED:
 * nothing to compare until it is rebuilt. */
static bool read_redis(struct check *c, const struct sale *sale, unsigned char *out, bool *ret_closed)
{
    tf_redis_reply *reply;
    const unsigned char *area;
    tf_redis_cmd cmd;
    uint32_t npos, bits;

    *ret_closed = false;
    tf_redis_cmd_init(&cmd, &c->ctx);
    tf_redis_arg(&cmd, "GET");
    tf_redis_arg_printf(&cmd, "tf:{%d}:%lld:m", inventory_partition(sale->bucket), (long long)sale->show_id);
    if (tf_redis_call(&c->ctx, c->redis, &cmd, &reply)) {
        rule_failed(c, "Redis");
        return false;
    }
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
    area = (const unsigned char *)reply->text + HEAD_BYTES;
    for (int32_t n = 0; n < sale->npos; n++) {
        if (!sale_segment_of(sale, n))
            out[n] = bit(area, (size_t)n) ? PLACE_FREE : PLACE_NONE;
        else if (bit(area, (size_t)n))
            out[n] = PLACE_FREE;
        else if (bit(area + bits / 8, (size_t)n))
            out[n] = PLACE_SOLD;
        else if (bit(area + 2 * (size_t)(bits / 8), (size_t)n))
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
    unsigned char *first_pg = calloc(4, (size_t)sale->npos), *first_redis = first_pg + sale->npos,
                  *pg = first_redis + sale->npos, *redis = pg + sale->npos;
    struct timespec pause = {.tv_sec = AGAIN_AFTER_S};
    bool closed;

    if (!first_pg) return;
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

/* Capacities add up in both stores: every place has exactly one status by construction of read_*, so the sum per tier
 * is compared with the plan's. */
static void check_capacity(struct check *c, const struct sale *sale)
{
    unsigned char *pg = calloc(1, (size_t)sale->npos);
    int64_t sums[SALE_TIERS_MAX] = {0};

    if (pg && read_pg(c, sale, pg, false)) {
        for (int32_t n = 0; n < sale->npos; n++) {
            const struct sale_tier *tier = pg[n] ? sale_tier_of(sale, n) : NULL;

            if (tier) sums[tier->tier - 1]++;
        }
        for (int t = 0; t < sale->n_tiers; t++)
            if (sums[t] != sale->tiers[t].capacity)
                rule_offender("show %lld tier %d: sold + held + blocked + free = %lld, capacity %d",
                              (long long)sale->show_id, t + 1, (long long)sums[t], sale->tiers[t].capacity);
    }
    free(pg);
}

static void check_limit(struct check *c, const struct sale *sale)
{
    tf_pg_params p;
    tf_pg_result *r;

    tf_pg_params_init(&p, &c->ctx);
    tf_pg_int2(&p, (int16_t)sale->bucket);
    tf_pg_int8(&p, sale->show_id);
    tf_pg_int4(&p, sale->account_limit);
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
