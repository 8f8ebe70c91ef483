/* The circuit breaker of one endpoint: counting, opening, trying. */
#include "common/rpc/breaker.h"

#include "common/base/clock.h"
#include "common/base/macros.h"

static bool silent(const struct breaker *breaker, int64_t now_us)
{
    return breaker->in_flight > 0 && now_us - breaker->heard_us > (int64_t)BREAKER_SILENT_MS * TF_US_PER_MS;
}

bool breaker_welcomes(const struct breaker *breaker, int64_t now_us)
{
    if (breaker->open_ms) return now_us >= breaker->open_until_us && !breaker->probing;
    return !silent(breaker, now_us);
}

bool breaker_begin(struct breaker *breaker, int64_t now_us)
{
    bool probe = breaker->open_ms && breaker_welcomes(breaker, now_us);

    if (breaker->in_flight++ == 0) breaker->heard_us = now_us;
    if (probe) breaker->probing = true;
    return probe;
}

/* Between three quarters and five quarters of it: callers that were cut off together do not come back together. */
static int64_t jittered_us(int ms, uint64_t dice)
{
    int64_t us = (int64_t)ms * TF_US_PER_MS;

    return us * 3 / 4 + (int64_t)(dice % (uint64_t)(us / 2));
}

bool breaker_end(struct breaker *breaker, bool probe, enum breaker_verdict verdict, int64_t now_us, uint64_t dice)
{
    bool opens;

    breaker->in_flight--;
    if (probe) breaker->probing = false;
    if (verdict == BREAKER_GOOD) {
        breaker->failures = 0;
        breaker->open_ms = 0;
        breaker->heard_us = now_us;
    }
    if (verdict != BREAKER_BAD) return false;

    breaker->failures++;
    /* What was sent before it opened fails later, and says nothing new. */
    opens = probe || (!breaker->open_ms && breaker->failures >= BREAKER_FAILURES);
    if (!opens) return false;
    breaker->open_ms = breaker->open_ms ? TF_MIN(breaker->open_ms * 2, (int)BREAKER_OPEN_MS_MAX) : BREAKER_OPEN_MS;
    breaker->open_until_us = now_us + jittered_us(breaker->open_ms, dice);
    return !probe;
}
