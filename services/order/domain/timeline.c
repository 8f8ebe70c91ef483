/* Merging by time, and the words of the kinds. */
#include "services/order/domain/timeline.h"

#include "common/base/macros.h"

#include <string.h>

static const struct {
    const char *kind, *english, *chinese;
} kinds[] = {
#define TIMELINE(kind, english, chinese) {kind, english, chinese},
#include "services/order/domain/timeline_kinds.def"
#undef TIMELINE
};

/* By time, entry_id, rank: the order in which the pages come. */
static bool before(const HistoryEntry *a, const HistoryEntry *b)
{
    if (a->time->seconds != b->time->seconds) return a->time->seconds < b->time->seconds;
    if (a->time->nanos != b->time->nanos) return a->time->nanos < b->time->nanos;
    if (a->entry_id != b->entry_id) return a->entry_id < b->entry_id;
    return a->rank < b->rank;
}

bool timeline_merge(tf_arena *arena, HistoryEntry *const *a, size_t n_a, HistoryEntry *const *b, size_t n_b, size_t n,
                    HistoryEntry ***ret_entries, size_t *ret_n, bool *ret_more)
{
    HistoryEntry **entries = TF_NEW_ARRAY(arena, HistoryEntry *, TF_MIN(n, n_a + n_b));
    size_t i = 0, j = 0;

    if (!entries) return false;
    while (i + j < n && i + j < n_a + n_b)
        if (j == n_b || (i < n_a && !before(b[j], a[i])))
            entries[i + j] = a[i], i++;
        else
            entries[i + j] = b[j], j++;
    *ret_entries = entries;
    *ret_n = i + j;
    *ret_more = i + j < n_a + n_b;
    return true;
}

const char *timeline_text(const char *kind, const char *language)
{
    for (size_t i = 0; i < TF_COUNT(kinds); i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return strncmp(language, "zh", 2) == 0 ? kinds[i].chinese : kinds[i].english;
    return kind;
}
