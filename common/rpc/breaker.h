/* What a caller thinks of one endpoint: whether new calls should rather go elsewhere. For this room only.
 *
 * Closed: calls go. After BREAKER_FAILURES calls in a row that were lost or ran out of time it opens, for a jittered
 * time that doubles from BREAKER_OPEN_MS to BREAKER_OPEN_MS_MAX. Then one call at a time may try; its success closes,
 * its failure opens for longer. Any answer closes: it proves life. An endpoint that owes answers and has given none for
 * BREAKER_SILENT_MS (a stopped process, a cut line) is avoided too, before the first time-out says so.
 *
 * It is advice: the picker prefers others and still uses this endpoint when there is no better one, so that the last
 * endpoint of a service is never closed off. Not thread-safe (the endpoint's lock); time is an argument. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_FAILURES = 3,
    BREAKER_OPEN_MS = 1000,
    BREAKER_OPEN_MS_MAX = 15000,
    BREAKER_SILENT_MS = 1000,
};

/* How a call ended, for the breaker. */
enum breaker_verdict {
    BREAKER_GOOD,    /* it answered, whatever */
    BREAKER_BAD,     /* lost midway, or no answer in time */
    BREAKER_NEITHER, /* cancelled by us, never sent, or too short to tell */
};

/* Zeroed: closed, nothing in flight. */
struct breaker {
    int in_flight;
    int failures;          /* in a row */
    int open_ms;           /* of the present opening, without jitter; 0: closed */
    int64_t open_until_us; /* then one call may try */
    int64_t heard_us;      /* the last answer, or when the first of the calls in flight began */
    bool probing;          /* that one call is under way */
};

/* Whether a new call is welcome now. */
bool breaker_welcomes(const struct breaker *breaker, int64_t now_us);
/* A call begins. True: it is the one that tries an open endpoint. */
bool breaker_begin(struct breaker *breaker, int64_t now_us);
/* It ended; probe: what breaker_begin said; dice: any number, for the jitter. True: the endpoint is avoided from now on
 * and was not before. */
bool breaker_end(struct breaker *breaker, bool probe, enum breaker_verdict verdict, int64_t now_us, uint64_t dice);
