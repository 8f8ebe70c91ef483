/* Counting bytes that are held, over all threads. */
#include "common/http/budget.h"

#include "common/base/macros.h"

#include <stdatomic.h>
#include <stdlib.h>

struct tf_http_budget {
    size_t max;
    atomic_size_t held;
    atomic_int refs;
};

static atomic_size_t in_use;

struct tf_http_budget *tf_http_budget_new(size_t max)
{
    struct tf_http_budget *budget = calloc(1, sizeof *budget);

    if (!budget) return NULL;
    budget->max = max ? max : SIZE_MAX;
    atomic_init(&budget->refs, 1);
    return budget;
}

struct tf_http_budget *tf_http_budget_ref(struct tf_http_budget *budget)
{
    atomic_fetch_add(&budget->refs, 1);
    return budget;
}

void tf_http_budget_unref(struct tf_http_budget *budget)
{
    if (!budget || atomic_fetch_sub(&budget->refs, 1) > 1) return;
    TF_ASSERT(atomic_load(&budget->held) == 0);
    free(budget);
}

/* Never past the bound, not even for a moment: another thread would be refused for bytes that nobody gets. */
static bool take(struct tf_http_budget *budget, size_t bytes)
{
    size_t held = atomic_load(&budget->held);

    do {
        if (bytes > budget->max - held) return false;
    } while (!atomic_compare_exchange_weak(&budget->held, &held, held + bytes));
    atomic_fetch_add_explicit(&in_use, bytes, memory_order_relaxed);
    return true;
}

static void give(struct tf_http_budget *budget, size_t bytes)
{
    atomic_fetch_sub(&budget->held, bytes);
    atomic_fetch_sub_explicit(&in_use, bytes, memory_order_relaxed);
}

bool tf_http_budget_set(struct tf_http_budget *budget, size_t *share, size_t bytes)
{
    size_t wanted = bytes > TF_HTTP_SMALL_BYTES ? bytes - TF_HTTP_SMALL_BYTES : 0;

    if (wanted > *share && !take(budget, wanted - *share)) return false;
    if (wanted < *share) give(budget, *share - wanted);
    *share = wanted;
    return true;
}

void tf_http_budget_return(struct tf_http_budget *budget, size_t *share)
{
    if (*share) give(budget, *share);
    *share = 0;
}

size_t tf_http_budget_in_use(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}
