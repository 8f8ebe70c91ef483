/* Published versions of shows: snapshot and seat plan by version, and what a publication is made of. */
#pragma once

#include "common/pg/pg.h"
#include "services/program/domain/catalogue.h"

/* Everything of a show that a publication needs. */
struct show_row {
    int64_t show_id, program_id, organiser_id, plan_id;
    const char *document;
    struct show_times times; /* local_date NULL */
    int32_t version;
    struct tf_pg_bytes digest;     /* of the published snapshot; size 0: none */
    struct tf_pg_bytes map_digest; /* size 0: none */
    const LocalizedTexts *title, *venue_name, *venue_address, *entry_rule;
    const char *picture, *time_zone;
};
/* In the caller's transaction. TF_NOT_FOUND. */
TF_MUSTCHECK tf_code show_row_get(tf_pg_conn *conn, tf_ctx *ctx, int64_t show_id, struct show_row *ret_row);
/* Whose show it is; 0: there is none. */
TF_MUSTCHECK tf_code show_organiser(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int64_t *ret_organiser_id);

struct publication_row {
    int64_t show_id;
    int32_t version;
    struct tf_pg_bytes digest, map_digest, snapshot, seat_plan;
    const char *etag;
    const char *offered; /* JSON: see domain/offered.h */
    const char *currency;
    int64_t cheapest_minor;
};
/* Inserts the version and makes it the show's current one; in the caller's transaction. */
TF_MUSTCHECK tf_code publication_put(tf_pg_conn *conn, tf_ctx *ctx, const struct publication_row *row, tf_time now);

enum { SNAPSHOT_PAGE_MAX = 1024 * 1024 };
/* A page of the snapshot. TF_NOT_FOUND for an unknown version. */
struct snapshot_page {
    struct tf_pg_bytes data, digest;
    int64_t total;
};
TF_MUSTCHECK tf_code snapshot_page_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int32_t version, int64_t offset,
                                       struct snapshot_page *ret_page);

/* The seat plan of a version (0: the newest) of a show that is not withdrawn. TF_NOT_FOUND. */
struct seat_plan_row {
    struct tf_pg_bytes gzip;
    const char *etag;
};
TF_MUSTCHECK tf_code seat_plan_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, int32_t version,
                                   struct seat_plan_row *ret_row);
