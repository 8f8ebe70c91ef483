/* One attempt at storing a file that was read: inside a transaction, repeatable. */
#pragma once

#include "services/program/publish/import.h"
#include "services/program/publish/publish.h"

struct import_tx {
    const struct catalogue *catalogue; /* set by the caller, with faults empty */
    bool validate_only;                /* set by the caller: to be rolled back */
    struct faults faults;

    /* Set by each attempt. */
    bool rehearsed; /* validate_only: the attempt went well and was rolled back */
    tf_pg_conn *conn;
    tf_ctx *ctx;
    tf_time now;
    struct plan_shelf shelf;
    int64_t own_organiser_id; /* of the caller's role; 0: the platform's, all */
    size_t n_imported;
    struct imported *imported;

    int64_t *program_ids;           /* of catalogue->programs; 0: faulty */
    int64_t *program_organiser_ids; /* the same */
    size_t n_changed_programs, n_changed_venues;
    int64_t *changed_programs, *changed_venues; /* their published shows may need a new version */
    size_t n_publish;
    struct to_publish {
        int64_t show_id;
        const struct catalogue_show *show; /* NULL: not of the file */
    } * publish;
    size_t n_published;
};

/* Faults of the file go into import->faults (then the returned code does not matter); other failures are returned. */
TF_MUSTCHECK tf_code import_tx_run(tf_pg_conn *conn, tf_ctx *ctx, struct import_tx *import);
