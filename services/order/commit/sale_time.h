/* Sale time: PostgreSQL's clock as this process knows it, with the bound of its error. sale_time_now is in commit.h. */
#pragma once

#include "common/base/clock.h"

#include <stdbool.h>

/* PostgreSQL's clock read `clock` at some moment between the two monotonic times. */
void sale_time_learn(tf_time clock, int64_t sent_us, int64_t answered_us);
/* Own wall clock minus sale time, in microseconds, as far as it is certain (0 when the error bound explains it). False
 * while unknown. */
bool sale_time_offset(const tf_clock *own, int64_t *ret_us);
/* Unknown again (tests). */
void sale_time_forget(void);
