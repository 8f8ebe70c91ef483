/* Refusals as problem documents (RFC 9457), from the one table of reasons. Nothing internal gets in. Pure. */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"

#include <stddef.h>

/* {"type":"/errors/SOLD_OUT","title":…,"status":409,"reason":"SOLD_OUT",…}: title in the language ("zh-CN" or "en");
 * field, detail, retry_after_ms and the parameters when the error is that of the code and has them. */
void problem_write(tf_buf *out, tf_code code, const struct tf_error *error, const char *language,
                   const char *request_id);
/* Seconds for Retry-After, rounded up; 0: none. Busy and unavailable answers always say some. */
int problem_retry_after_s(tf_code code, const struct tf_error *error);
