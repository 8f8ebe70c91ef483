/* What the buffers of all connections of a server may take together. For this room only.
 *
 * The first TF_HTTP_SMALL_BYTES of a buffer are not counted: they are bounded by the number of connections, and so
 * small requests get through, and are answered, while somebody fills the budget with large ones. */
#pragma once

#include "common/http/server.h"

struct tf_http_budget;

/* With one reference; max 0: no bound. NULL: no memory. */
struct tf_http_budget *tf_http_budget_new(size_t max);
struct tf_http_budget *tf_http_budget_ref(struct tf_http_budget *budget);
void tf_http_budget_unref(struct tf_http_budget *budget); /* accepts NULL */

/* Makes *share what a buffer of so many bytes counts. False, and nothing has changed: there is not so much left. Less
 * than before always succeeds, and so does 0. Any thread. */
bool tf_http_budget_set(struct tf_http_budget *budget, size_t *share, size_t bytes);
/* Gives a share back. */
void tf_http_budget_return(struct tf_http_budget *budget, size_t *share);

/* Of all budgets of this process, for the metrics. */
size_t tf_http_budget_in_use(void);
