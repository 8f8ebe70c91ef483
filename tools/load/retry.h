/* What an attempt's end says, and what the client does next. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How a call ended. */
enum call_end {
    CALL_ANSWERED,    /* its answer was read whole */
    CALL_UNCONNECTED, /* no connection came about: it was not sent */
    CALL_LOST,        /* the connection ended before the answer did */
    CALL_LATE,        /* no whole answer before its deadline */
    CALL_BROKEN,      /* an answer that cannot be understood */
};

enum outcome {
    OUTCOME_OK,      /* acknowledged: a 2xx answer, read whole */
    OUTCOME_REFUSED, /* this attempt had no effect, says the answer */
    OUTCOME_UNKNOWN, /* may or may not have had its effect */
};
enum { OUTCOMES = OUTCOME_UNKNOWN + 1 };

/* "ok", "refused", "unknown". */
const char *outcome_name(enum outcome outcome);

struct verdict {
    enum outcome outcome;
    const char *reason; /* static: of the problem document when it is one of ours, "HTTP_<n>xx" when not, else the end's
                           own: UNCONNECTED, LOST, LATE, BROKEN; "" when ok */
    bool again;         /* the same key once more, on the next gateway */
    int64_t wait_ms;    /* before that; when not again: before anything else is asked for (the answer's Retry-After) */
};

enum { RETRY_WAIT_MAX_MS = 2000 };

/* status, reason (may be NULL or any text) and retry_after_ms (0: none) of the answer, when there was one. attempt
 * counts from 1; `tries` is the most there may be. The first repetition comes at once, unless the answer asks to wait;
 * later ones wait 100 ms, doubled up to RETRY_WAIT_MAX_MS (callers spread them). */
struct verdict retry_judge(enum call_end end, int status, const char *reason, int64_t retry_after_ms, int attempt,
                           int tries);
