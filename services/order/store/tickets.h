/* One ticket: reading and admitting. */
#pragma once

#include "services/order/store/lists.h"

/* TF_NOT_FOUND for an unknown id. */
TF_MUSTCHECK tf_code ticket_read(tf_ctx *ctx, int64_t ticket_id, struct ticket_of_order *ret_ticket);

/* A code held before a scanner. */
struct scan {
    int64_t ticket_id, show_id; /* the show at whose door it is */
    int issue;
    const char *door; /* "": not said */
    tf_time at;
};
/* VALID → USED, once, with its entry in the order's history. False in *ret_admitted: it is not VALID (any more); read
 * it to see why. */
TF_MUSTCHECK tf_code ticket_admit(tf_ctx *ctx, const struct scan *scan, bool *ret_admitted);
/* Notes in the order's history why a genuine code did not admit; an order keeps its first REFUSED_SCANS_MAX. */
enum { REFUSED_SCANS_MAX = 100 };
TF_MUSTCHECK tf_code ticket_refused(tf_ctx *ctx, const struct scan *scan, tf_code refusal);
