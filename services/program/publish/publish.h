/* Publishing a show: snapshot, seat plan, event; in one transaction of the caller. */
#pragma once

#include "services/program/domain/catalogue.h"
#include "services/program/store/publications.h"

/* Plans already read in this transaction, by id, so that many shows of one plan read it once. */
struct plan_shelf {
    size_t n, capacity;
    struct shelved_plan {
        int64_t plan_id;
        const struct plan *plan;
        tf_json *json; /* owner of the plan's strings when it came from the database; else NULL */
    } * plans;
};
/* Frees what was read from the database and forgets all. */
void plan_shelf_done(struct plan_shelf *shelf);
/* Puts a plan of the file at hand there. */
TF_MUSTCHECK tf_code plan_shelf_put(tf_ctx *ctx, struct plan_shelf *shelf, int64_t plan_id, const struct plan *plan);
/* The plan, from the shelf or the database. */
TF_MUSTCHECK tf_code plan_shelf_get(tf_pg_conn *conn, tf_ctx *ctx, struct plan_shelf *shelf, int64_t plan_id,
                                    const struct plan **ret_plan);

struct published {
    int32_t version;
    bool changed;
};
/* Makes the show's next version if it differs from the published one, with its event. The caller holds catalogue_lock
 * and wakes the bus after the commit. TF_FIELD_INVALID with faults (relative to the show) when the places of a
 * published show would change; the caller names them. */
TF_MUSTCHECK tf_code publish_show_row(tf_pg_conn *conn, tf_ctx *ctx, struct plan_shelf *shelf, struct faults *faults,
                                      const struct path *at, int64_t show_id, tf_time now,
                                      struct published *ret_published);
