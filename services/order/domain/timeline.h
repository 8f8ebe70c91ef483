/* A page of an order's timeline out of the pages of those who have a part in it. Pure. */
#pragma once

#include "common/base/arena.h"
#include "ticketflow/event/v1/history.tf.h"

/* The first n of both, by time; each comes sorted. *ret_entries in the arena, *ret_n of them; *ret_more: some are left.
 * False: the arena is exhausted. */
TF_MUSTCHECK bool timeline_merge(tf_arena *arena, HistoryEntry *const *a, size_t n_a, HistoryEntry *const *b,
                                 size_t n_b, size_t n, HistoryEntry ***ret_entries, size_t *ret_n, bool *ret_more);
/* A kind in words, "zh…" in Chinese, else in English; an unknown kind is its own word. */
const char *timeline_text(const char *kind, const char *language);
