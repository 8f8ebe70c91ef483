/* What buyers see: lists, programmes and shows as published. Withdrawn shows are not there; unlisted ones are found by
 * their id only. */
#pragma once

#include "common/pg/pg.h"
#include "services/program/domain/offer.h"

/* A show as lists and pages need it. Texts are in the asked language already. */
struct listed_show {
    int64_t show_id, program_id;
    const char *name, *city, *venue_name, *venue_address, *time_zone, *local_date;
    tf_time start;
    struct offer_facts offer;
    const char *currency;
    int64_t cheapest_minor;
};
struct listed_program {
    int64_t program_id, organiser_id;
    const char *title, *performers, *picture, *category, *group; /* group NULL: none */
    const char *organiser_name;
    const char *texts; /* JSON: from the name of a rule to its texts */
};

struct program_filter {
    const char *city, *category;     /* NULL: all */
    const char *from_date, *to_date; /* NULL: no bound */
    tf_time now;                     /* shows that end later */
    tf_time after_start;             /* keyset: programmes behind this pair */
    int64_t after_program_id;
    int limit;
};
/* Programmes with a listed show that fits, by the first such show's start. ret_starts: that start. */
struct program_key {
    int64_t program_id;
    tf_time start;
};
TF_MUSTCHECK tf_code programs_list(tf_ctx *ctx, tf_pg *pg, const struct program_filter *filter,
                                   struct program_key **ret_keys, size_t *ret_n);
/* The programmes, in no order. */
TF_MUSTCHECK tf_code programs_get(tf_ctx *ctx, tf_pg *pg, const int64_t *ids, size_t n,
                                  struct listed_program **ret_programs, size_t *ret_n);
/* Listed shows of these programmes that end after now, by programme and start. city NULL: all. */
TF_MUSTCHECK tf_code shows_of_programs(tf_ctx *ctx, tf_pg *pg, const int64_t *program_ids, size_t n, const char *city,
                                       tf_time now, struct listed_show **ret_shows, size_t *ret_n);
/* True when the programme has any published show, listed or not, that is not withdrawn. */
TF_MUSTCHECK tf_code program_visible(tf_ctx *ctx, tf_pg *pg, int64_t program_id, bool *ret_visible);
/* Other programmes of the group. */
TF_MUSTCHECK tf_code programs_of_group(tf_ctx *ctx, tf_pg *pg, int64_t organiser_id, const char *group,
                                       int64_t but_program_id, const int64_t **ret_ids, size_t *ret_n);

/* One published show, listed or not. TF_NOT_FOUND when it is not there or withdrawn. */
struct show_page {
    struct listed_show show;
    int32_t version;
    const char *offered; /* JSON: see domain/offered.h */
};
TF_MUSTCHECK tf_code show_page_get(tf_ctx *ctx, tf_pg *pg, int64_t show_id, struct show_page *ret_page);
