/* Canonical form: version, show, then per group (a chosen place by number, or a choice by tier) its numbers, attendees
 * and names; names carry their length, so that no two purchases write alike. */
#include "services/order/domain/body_hash.h"

#include "common/base/buf.h"
#include "common/base/text.h"
#include "common/crypto/crypto.h"

#include <string.h>

enum { HASH_BYTES = 16, CANONICAL_BYTES_MAX = 64 * 1024 };

/* Tickets first … first + count - 1 of the draft belong together. */
struct group {
    int key; /* place number, or tier */
    int count, first;
    bool allow_split;
};

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    return (x->key > y->key) - (x->key < y->key);
}

void body_hash(const struct draft *draft, char out[static DRAFT_BODY_HASH_TEXT])
{
    tf_cleanup(tf_buf_done) tf_buf text;
    unsigned char digest[TF_SHA256_BYTES];
    struct group groups[SALE_ORDER_PLACES_MAX];
    int n_groups = 0;

    if (draft->place_nos) {
        for (int i = 0; i < draft->n_tickets; i++)
            groups[n_groups++] = (struct group){.key = draft->place_nos[i], .count = 1, .first = i};
    } else {
        for (int i = 0, first = 0; i < draft->n_choices; first += draft->choices[i].count, i++)
            groups[n_groups++] = (struct group){.key = draft->choices[i].tier,
                                                .count = draft->choices[i].count,
                                                .first = first,
                                                .allow_split = draft->choices[i].allow_split};
    }
    qsort(groups, (size_t)n_groups, sizeof(*groups), compare_groups);

    tf_buf_init(&text, CANONICAL_BYTES_MAX);
    tf_buf_printf(&text, "1 %lld %s", (long long)draft->show_id, draft->place_nos ? "places" : "choices");
    for (int i = 0; i < n_groups; i++) {
        tf_buf_printf(&text, "\n%d %d %d", groups[i].key, groups[i].count, groups[i].allow_split);
        for (int t = groups[i].first; t < groups[i].first + groups[i].count; t++) {
            if (draft->attendee_ids) tf_buf_printf(&text, " a%lld", (long long)draft->attendee_ids[t]);
            if (draft->names) tf_buf_printf(&text, " n%zu:%s", strlen(draft->names[t]), draft->names[t]);
        }
    }
    TF_ASSERT(!text.broken); /* a draft's bounds keep it below the ceiling */

    tf_sha256(text.data, text.size, digest);
    tf_hex_encode(digest, HASH_BYTES, out);
}
