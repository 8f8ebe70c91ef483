/* One order on its way through the committer: a copy of its own, because whoever waits for it may leave at his
 * deadline. For the commit room alone. */
#pragma once

#include "services/order/commit/commit.h"

struct commit_entry {
    struct commit_entry *next;      /* in the queue, then in the batch */
    struct commit_entry *same_hash; /* in the table of entries under way */
    struct new_order order;         /* owns everything that it points to */
    int references;                 /* waiters, and one while queued or in a batch */
    int64_t deadline_us;            /* of the last waiter */
    bool done;
    tf_code code; /* TF_OK: answer counts */
    struct commit_answer answer;
};

/* NULL: no memory. One reference. */
struct commit_entry *commit_entry_new(const struct new_order *order);
/* At the last reference frees. */
void commit_entry_unref(struct commit_entry *entry);
