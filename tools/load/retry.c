/* The decision table: first what an end means, then whether and when to try again. */
#include "tools/load/retry.h"

#include "common/base/error.h"
#include "common/base/macros.h"

#include <string.h>

enum { BACKOFF_FIRST_MS = 100, BACKOFF_DOUBLINGS_MAX = 10 };

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {"ok", "refused", "unknown"};

    return names[outcome];
}

/* The reason as codes.def has it; NULL when it is none of ours. */
static const struct tf_code_info *reason_info(const char *reason)
{
    const struct tf_code_info *info = reason ? tf_code_info(tf_code_by_reason(reason)) : NULL;

    return info && strcmp(info->reason, reason) == 0 ? info : NULL;
}

static const char *bare_status(int status)
{
    static const char *const names[] = {"HTTP_2xx", "HTTP_3xx", "HTTP_4xx", "HTTP_5xx"};

    return names[TF_MIN(TF_MAX(status / 100, 2), 5) - 2];
}

/* An answer other than 2xx. Refused for want of capacity, it was not worked on; any other 5xx, and whatever codes.def
 * marks SAME, leaves open whether it was. A 4xx decides, but too early a goodbye does not. */
static struct verdict judge_answer(int status, const char *reason)
{
    const struct tf_code_info *info = reason_info(reason);
    struct verdict v = {.outcome = OUTCOME_REFUSED, .reason = info ? info->reason : bare_status(status)};

    if (info == tf_code_info(TF_OVERLOADED) || status == 429) {
        v.again = true;
    } else if (status >= 500 || status == 408 || (info && info->retry == TF_RETRY_SAME)) {
        v.outcome = OUTCOME_UNKNOWN;
        v.again = true;
    }
    return v;
}

static struct verdict judge_end(enum call_end end)
{
    static const char *const reasons[] = {[CALL_ANSWERED] = "",
                                          [CALL_UNCONNECTED] = "UNCONNECTED",
                                          [CALL_LOST] = "LOST",
                                          [CALL_LATE] = "LATE",
                                          [CALL_BROKEN] = "BROKEN"};

    return (struct verdict){.outcome = OUTCOME_UNKNOWN, .reason = reasons[end], .again = true};
}

static int64_t backoff_ms(int attempt)
{
    if (attempt <= 1) return 0;
    return TF_MIN((int64_t)BACKOFF_FIRST_MS << TF_MIN(attempt - 2, BACKOFF_DOUBLINGS_MAX), (int64_t)RETRY_WAIT_MAX_MS);
}

struct verdict retry_judge(enum call_end end, int status, const char *reason, int64_t retry_after_ms, int attempt,
                           int tries)
{
    struct verdict v;

    if (end == CALL_ANSWERED && status >= 200 && status < 300)
        return (struct verdict){.outcome = OUTCOME_OK, .reason = ""};
    v = end == CALL_ANSWERED ? judge_answer(status, reason) : judge_end(end);
    if (attempt >= tries) v.again = false;
    v.wait_ms = TF_MIN(TF_MAX(v.again ? backoff_ms(attempt) : 0, retry_after_ms), (int64_t)RETRY_WAIT_MAX_MS);
    return v;
}
