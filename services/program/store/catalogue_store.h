/* The catalogue's rows: organisers, venues, plans, programmes, shows. All calls run in the caller's transaction.
 *
 * Each find answers TF_OK with id 0 when there is no such row. Each put inserts the row of that id or changes it. */
#pragma once

#include "common/pg/pg.h"
#include "services/program/domain/catalogue.h"

/* Imports and publications go one after the other, so that what is read stays true until it is written. */
TF_MUSTCHECK tf_code catalogue_lock(tf_pg_conn *conn, tf_ctx *ctx);

struct found {
    int64_t id; /* 0: there is none */
    unsigned char digest[CATALOGUE_DIGEST];
};

TF_MUSTCHECK tf_code organiser_find(tf_pg_conn *conn, tf_ctx *ctx, const char *ref, struct found *ret_found);
TF_MUSTCHECK tf_code organiser_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, const struct catalogue_organiser *o,
                                   tf_time now);

struct found_venue {
    struct found found;
    const char *time_zone;
    bool has_shows;
};
TF_MUSTCHECK tf_code venue_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref,
                                struct found_venue *ret_found);
TF_MUSTCHECK tf_code venue_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id,
                               const struct catalogue_venue *v, tf_time now);

struct found_plan {
    struct found found;
    int64_t venue_id;
    const char *time_zone; /* of its venue */
    bool has_shows;
    bool in_use; /* a published show has it */
};
TF_MUSTCHECK tf_code plan_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref,
                               struct found_plan *ret_found);
TF_MUSTCHECK tf_code plan_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id, int64_t venue_id,
                              const struct catalogue_plan *p, tf_time now);
/* NULL when there is none. */
TF_MUSTCHECK tf_code plan_document(tf_pg_conn *conn, tf_ctx *ctx, int64_t plan_id, const char **ret_document);

TF_MUSTCHECK tf_code program_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref,
                                  struct found *ret_found);
TF_MUSTCHECK tf_code program_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id,
                                 const struct catalogue_program *p, tf_time now);

struct found_show {
    struct found found;
    int64_t program_id, plan_id;
    struct show_times times; /* local_date NULL */
    int32_t version;
    const char *currency; /* published; else NULL */
};
TF_MUSTCHECK tf_code show_find(tf_pg_conn *conn, tf_ctx *ctx, int64_t organiser_id, const char *ref,
                               struct found_show *ret_found);
TF_MUSTCHECK tf_code show_put(tf_pg_conn *conn, tf_ctx *ctx, int64_t id, int64_t organiser_id, int64_t program_id,
                              int64_t plan_id, const struct catalogue_show *s, const struct show_times *times,
                              tf_time now);

/* Shows of a plan that were never published. */
struct draft_show {
    const char *ref, *document;
};
TF_MUSTCHECK tf_code plan_drafts(tf_pg_conn *conn, tf_ctx *ctx, int64_t plan_id, struct draft_show **ret_drafts,
                                 size_t *ret_n);
/* Published shows of any of these programmes or venues. */
TF_MUSTCHECK tf_code shows_published_of(tf_pg_conn *conn, tf_ctx *ctx, const int64_t *program_ids, size_t n_programs,
                                        const int64_t *venue_ids, size_t n_venues, const int64_t **ret_ids,
                                        size_t *ret_n);
