/* The id generator and the layout of ids. */
#include "common/base/id.h"

#include "common/base/text.h"

enum {
    BUCKET_BITS = 10,
    SEQUENCE_BITS = 10,
    WORKER_BITS = 8,
    TICK_SHIFT = BUCKET_BITS + SEQUENCE_BITS + WORKER_BITS,
    TICK_BITS = 35,
    AHEAD_TICKS_MAX = 1000 / TF_ID_TICK_MS + 1, /* 32: about a second */
};

static const tf_time epoch_us = 1735689600 * (tf_time)TF_US_PER_S; /* 2025-01-01T00:00:00Z */
static const int64_t tick_us = (int64_t)TF_ID_TICK_MS * TF_US_PER_MS;

void tf_idgen_init(tf_idgen *gen, const tf_clock *clock, int worker, int64_t first_tick)
{
    TF_ASSERT(worker >= 0 && worker < TF_ID_WORKERS);
    *gen = (tf_idgen){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .clock = clock,
        .worker = worker,
        .tick = TF_MAX(first_tick, 1), /* tick 0 could make the id 0 */
    };
}

void tf_idgen_reserve(tf_idgen *gen, int64_t reserved_tick)
{
    pthread_mutex_lock(&gen->lock);
    gen->reserved_tick = TF_MAX(gen->reserved_tick, reserved_tick);
    pthread_mutex_unlock(&gen->lock);
}

/* The lock is held. The tick follows the clock forward, never back; a used-up tick borrows the next one while that is
 * at most a second ahead of the clock. */
static tf_code next_place(tf_idgen *gen, int64_t *ret_tick, int *ret_sequence)
{
    int64_t now = tf_tick_of(gen->clock->wall_us(gen->clock));
    int64_t tick = gen->tick;
    int sequence = gen->sequence;

    if (now > tick) {
        tick = now;
        sequence = 0;
    } else if (sequence == TF_ID_SEQUENCES) {
        if (tick + 1 > now + AHEAD_TICKS_MAX) return TF_OVERLOADED;
        tick++;
        sequence = 0;
    }
    if (tick > gen->reserved_tick || tick >> TICK_BITS) return TF_OVERLOADED;
    gen->tick = tick;
    gen->sequence = sequence + 1;
    *ret_tick = tick;
    *ret_sequence = sequence;
    return TF_OK;
}

tf_code tf_idgen_next(tf_idgen *gen, int bucket, int64_t *ret_id)
{
    int64_t tick = 0;
    int sequence = 0;
    tf_code code;

    TF_ASSERT(bucket >= 0 && bucket < TF_BUCKETS);
    pthread_mutex_lock(&gen->lock);
    code = next_place(gen, &tick, &sequence);
    pthread_mutex_unlock(&gen->lock);
    if (code) return code;

    *ret_id = tick << TICK_SHIFT | (int64_t)gen->worker << (BUCKET_BITS + SEQUENCE_BITS) |
              (int64_t)sequence << BUCKET_BITS | bucket;
    return TF_OK;
}

int64_t tf_id_tick(int64_t id)
{
    return (int64_t)((uint64_t)id >> TICK_SHIFT);
}

int tf_id_worker(int64_t id)
{
    return (int)((uint64_t)id >> (BUCKET_BITS + SEQUENCE_BITS) & (TF_ID_WORKERS - 1));
}

int tf_id_bucket(int64_t id)
{
    return (int)((uint64_t)id & (TF_BUCKETS - 1));
}

tf_time tf_id_time(int64_t id)
{
    return epoch_us + tf_id_tick(id) * tick_us;
}

/* Rounds down; times before the epoch give negative ticks. */
int64_t tf_tick_of(tf_time t)
{
    int64_t since;

    if (__builtin_sub_overflow(t, epoch_us, &since)) return INT64_MIN / tick_us;
    return since / tick_us - (since % tick_us < 0);
}

int tf_bucket_of_show(int64_t show_id)
{
    return (int)(tf_mix64((uint64_t)show_id) % TF_BUCKETS);
}
