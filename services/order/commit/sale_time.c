/* The offset to the monotonic clock is kept, so that own wall time may jump. A sample bounds the offset by its round
 * trip; the bound widens with age for the drift of two clocks; a narrower sample replaces it, and so does one that
 * contradicts it (the server's clock was set, or it is another server). */
#include "services/order/commit/commit.h"
#include "services/order/commit/sale_time.h"

#include <pthread.h>
#include <stdlib.h>

enum { DRIFT_PER_MILLION = 200, ERROR_US_MAX = 2 * TF_US_PER_S };

static struct {
    pthread_mutex_t lock;
    bool known;
    int64_t offset_us; /* PostgreSQL's wall time - own monotonic time */
    int64_t error_us, learnt_us;
} sale_time = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t error_at(int64_t mono_us)
{
    return sale_time.error_us + (mono_us - sale_time.learnt_us) * DRIFT_PER_MILLION / 1000000;
}

void sale_time_learn(tf_time clock, int64_t sent_us, int64_t answered_us)
{
    int64_t middle = sent_us + (answered_us - sent_us) / 2;
    int64_t offset = clock - middle, error = (answered_us - sent_us + 1) / 2;

    pthread_mutex_lock(&sale_time.lock);
    if (!sale_time.known || error <= error_at(answered_us) ||
        llabs(offset - sale_time.offset_us) > error + error_at(answered_us)) {
        sale_time.known = true;
        sale_time.offset_us = offset;
        sale_time.error_us = error;
        sale_time.learnt_us = answered_us;
    }
    pthread_mutex_unlock(&sale_time.lock);
}

static bool now_us(int64_t *ret_now, int64_t *ret_error)
{
    bool known;

    pthread_mutex_lock(&sale_time.lock);
    int64_t mono = tf_mono_us();

    known = sale_time.known && error_at(mono) <= ERROR_US_MAX;
    if (known) {
        *ret_now = mono + sale_time.offset_us;
        *ret_error = error_at(mono);
    }
    pthread_mutex_unlock(&sale_time.lock);
    return known;
}

bool sale_time_now(int64_t *ret_now_ms, int64_t *ret_error_ms)
{
    int64_t now, error;

    if (!now_us(&now, &error)) return false;
    *ret_now_ms = now / TF_US_PER_MS;
    *ret_error_ms = (error + TF_US_PER_MS - 1) / TF_US_PER_MS;
    return true;
}

bool sale_time_offset(const tf_clock *own, int64_t *ret_us)
{
    int64_t now, error, difference;

    if (!now_us(&now, &error)) return false;
    difference = own->wall_us(own) - now;
    *ret_us = llabs(difference) <= error ? 0 : difference > 0 ? difference - error : difference + error;
    return true;
}

void sale_time_forget(void)
{
    pthread_mutex_lock(&sale_time.lock);
    sale_time.known = false;
    pthread_mutex_unlock(&sale_time.lock);
}
