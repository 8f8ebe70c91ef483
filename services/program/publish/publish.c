/* Publishing a show. */
#include "services/program/publish/publish.h"

#include "common/base/text.h"
#include "common/crypto/crypto.h"
#include "common/rpc/rpc.h"
#include "common/zip/zip.h"
#include "services/program/domain/offered.h"
#include "services/program/events/events.h"
#include "services/program/publish/scratch.h"
#include "services/program/store/catalogue_store.h"

#include <inttypes.h>
#include <string.h>

enum {
    SEAT_PLAN_BYTES_MAX = 64 * 1024 * 1024,
    PUBLISH_ARENA_BYTES = 192 * 1024 * 1024, /* of one show */
    ETAG_DIGEST_BYTES = 8,
};

/* ---- plans ------------------------------------------------------------------------------------------------------ */

void plan_shelf_done(struct plan_shelf *shelf)
{
    for (size_t i = 0; i < shelf->n; i++)
        tf_json_free(shelf->plans[i].json);
    *shelf = (struct plan_shelf){0};
}

static tf_code shelf_room(tf_ctx *ctx, struct plan_shelf *shelf)
{
    size_t wanted = TF_MAX((size_t)16, shelf->capacity * 2);
    struct shelved_plan *bigger;

    if (shelf->n < shelf->capacity) return TF_OK;
    bigger = TF_NEW_ARRAY(ctx->arena, struct shelved_plan, wanted);
    if (!bigger) return tf_fail(ctx, TF_TOO_LARGE, "too many plans at once");
    if (shelf->n > 0) memcpy(bigger, shelf->plans, shelf->n * sizeof(*bigger));
    shelf->plans = bigger;
    shelf->capacity = wanted;
    return TF_OK;
}

tf_code plan_shelf_put(tf_ctx *ctx, struct plan_shelf *shelf, int64_t plan_id, const struct plan *plan)
{
    tf_code code = shelf_room(ctx, shelf);

    if (code) return code;
    shelf->plans[shelf->n++] = (struct shelved_plan){.plan_id = plan_id, .plan = plan};
    return TF_OK;
}

tf_code plan_shelf_get(tf_pg_conn *conn, tf_ctx *ctx, struct plan_shelf *shelf, int64_t plan_id,
                       const struct plan **ret_plan)
{
    struct faults faults;
    struct reading r = {.arena = ctx->arena, .faults = &faults};
    const char *document;
    struct plan *plan;
    tf_json *json;
    tf_code code;

    for (size_t i = 0; i < shelf->n; i++)
        if (shelf->plans[i].plan_id == plan_id) {
            *ret_plan = shelf->plans[i].plan;
            return TF_OK;
        }
    code = shelf_room(ctx, shelf);
    if (code) return code;
    code = plan_document(conn, ctx, plan_id, &document);
    if (code) return code;
    if (!document) return tf_fail(ctx, TF_INTERNAL, "no plan %" PRId64, plan_id);

    faults_init(&faults, ctx->arena);
    if (!stored_plan_read(&r, document, &json, &plan)) {
        tf_json_free(json);
        return tf_fail(ctx, TF_INTERNAL, "stored plan %" PRId64 " cannot be read: %s %s", plan_id,
                       faults.n ? faults.list[0].pointer : "", faults.n ? faults.list[0].detail : "");
    }
    shelf->plans[shelf->n++] = (struct shelved_plan){.plan_id = plan_id, .plan = plan, .json = json};
    *ret_plan = plan;
    return TF_OK;
}

/* ---- one show --------------------------------------------------------------------------------------------------- */

static tf_code pack(tf_ctx *ctx, const SaleSnapshot *snapshot, struct tf_pg_bytes *ret_bytes,
                    unsigned char digest[static TF_SHA256_BYTES])
{
    ret_bytes->data = tf_pb_pack(ctx->arena, &snapshot->base, &ret_bytes->size);
    if (!ret_bytes->data) return tf_fail(ctx, TF_TOO_LARGE, "the snapshot of show %" PRId64, snapshot->show_id);
    tf_sha256(ret_bytes->data, ret_bytes->size, digest);
    return TF_OK;
}

static bool same_digest(struct tf_pg_bytes stored, const unsigned char digest[static TF_SHA256_BYTES])
{
    return stored.size == TF_SHA256_BYTES && memcmp(stored.data, digest, TF_SHA256_BYTES) == 0;
}

/* The seat plan ready to be served, and its name for caches. */
static tf_code seat_plan_make(tf_ctx *ctx, const struct publication *publication, struct publication_row *row)
{
    tf_cleanup(tf_buf_done) tf_buf json = {0};
    unsigned char digest[TF_SHA256_BYTES];
    char hex[2 * ETAG_DIGEST_BYTES + 1];

    tf_buf_init(&json, SEAT_PLAN_BYTES_MAX);
    seat_plan_write(&json, publication);
    if (json.broken) return tf_fail(ctx, TF_TOO_LARGE, "the seat plan of show %" PRId64, publication->show_id);
    tf_sha256(json.data, json.size, digest);
    tf_hex_encode(digest, ETAG_DIGEST_BYTES, hex);
    row->etag = tf_arena_printf(ctx->arena, "\"%d-%s\"", (int)publication->version, hex);
    row->seat_plan.data = tf_gzip(ctx->arena, json.data, json.size, TF_GZIP_BEST, &row->seat_plan.size);
    if (!row->etag || !row->seat_plan.data)
        return tf_fail(ctx, TF_TOO_LARGE, "the seat plan of show %" PRId64, publication->show_id);
    return TF_OK;
}

static int64_t cheapest_of(const struct show *show)
{
    int64_t cheapest = show->tiers[0].price_minor;

    for (size_t i = 1; i < show->n_tiers; i++)
        cheapest = TF_MIN(cheapest, show->tiers[i].price_minor);
    return cheapest;
}

/* Stores the version that is to be, and says so. */
static tf_code version_put(tf_pg_conn *conn, tf_ctx *ctx, const struct publication *publication,
                           struct publication_row *row, const unsigned char digest[static TF_SHA256_BYTES], tf_time now)
{
    tf_code code = seat_plan_make(ctx, publication, row);

    if (code) return code;
    row->show_id = publication->show_id;
    row->version = publication->version;
    row->currency = publication->show->currency;
    row->cheapest_minor = cheapest_of(publication->show);
    row->offered = offered_write(ctx->arena, publication);
    if (!row->offered) return tf_fail(ctx, TF_TOO_LARGE, "the tiers of show %" PRId64, publication->show_id);
    code = publication_put(conn, ctx, row, now);
    if (code) return code;

    return show_published_put(ctx, conn, publication->show_id, publication->organiser_id, publication->version, digest);
}

/* Compares with what is published and makes the next version when something differs. */
static tf_code publication_decide(tf_pg_conn *conn, tf_ctx *ctx, struct reading *r, const struct path *at,
                                  const struct show_row *row, struct publication *publication, tf_time now,
                                  struct published *ret_published)
{
    unsigned char digest[TF_SHA256_BYTES], map_digest[TF_SHA256_BYTES];
    struct publication_row next = {.digest = {digest, sizeof(digest)}, .map_digest = {map_digest, sizeof(map_digest)}};
    struct tf_pg_bytes ignored;
    SaleSnapshot *snapshot, *map_part;
    tf_code code;

    publication->version = TF_MAX(row->version, 1);
    snapshot = snapshot_make(ctx->arena, publication);
    map_part = snapshot ? snapshot_map_part(ctx->arena, snapshot) : NULL;
    if (!map_part) return tf_fail(ctx, TF_TOO_LARGE, "the snapshot of show %" PRId64, row->show_id);
    code = pack(ctx, map_part, &ignored, map_digest);
    if (code) return code;
    if (row->map_digest.size > 0 && !same_digest(row->map_digest, map_digest)) {
        fault_add(r->faults, PATH_MEMBER(at, "tiers"),
                  "changes places, tiers of places or blocks of a published show: they stay as they were");
        return TF_FIELD_INVALID;
    }
    code = pack(ctx, snapshot, &next.snapshot, digest);
    if (code) return code;
    if (same_digest(row->digest, digest)) {
        *ret_published = (struct published){.version = row->version, .changed = false};
        return TF_OK;
    }
    if (row->version > 0) {
        publication->version = row->version + 1;
        snapshot->version = publication->version;
        code = pack(ctx, snapshot, &next.snapshot, digest);
        if (code) return code;
    }
    code = version_put(conn, ctx, publication, &next, digest, now);
    if (!code) *ret_published = (struct published){.version = publication->version, .changed = true};
    return code;
}

/* The show as its document says, on its plan. */
static tf_code show_document_publish(tf_pg_conn *conn, tf_ctx *ctx, struct reading *r, const struct path *at,
                                     const struct show_row *row, const struct plan *plan, tf_time now,
                                     struct published *ret_published)
{
    tf_cleanup(tf_json_freep) tf_json *json = NULL;
    struct show *show = TF_NEW(ctx->arena, struct show);
    struct painting painting;
    struct place_map map;
    struct publication publication = {
        .show_id = row->show_id,
        .program_id = row->program_id,
        .organiser_id = row->organiser_id,
        .title = row->title,
        .venue_name = row->venue_name,
        .venue_address = row->venue_address,
        .entry_rule = row->entry_rule,
        .picture = row->picture,
        .time_zone = row->time_zone,
        .show = show,
        .times = &row->times,
        .plan = plan,
        .painting = &painting,
        .map = &map,
    };

    if (!show) return tf_fail(ctx, TF_INTERNAL, "no memory for show %" PRId64, row->show_id);
    if (!stored_show_read(r, row->document, &json, show) || !painting_make(r, at, show, plan, &painting))
        return tf_fail(ctx, TF_INTERNAL, "stored show %" PRId64 " cannot be read: %s %s", row->show_id,
                       r->faults->n ? r->faults->list[0].pointer : "", r->faults->n ? r->faults->list[0].detail : "");
    if (!place_map_make(ctx->arena, plan, show, &painting, &map))
        return tf_fail(ctx, TF_TOO_LARGE, "the places of show %" PRId64, row->show_id);
    return publication_decide(conn, ctx, r, at, row, &publication, now, ret_published);
}

/* In memory that ends with it: a file may publish many large shows. */
static tf_code row_publish(tf_pg_conn *conn, tf_ctx *ctx, struct faults *faults, const struct path *at,
                           const struct show_row *row, const struct plan *plan, tf_time now,
                           struct published *ret_published)
{
    struct reading r = {.faults = faults};
    tf_ctx scratch;
    tf_code code;

    code = scratch_begin(ctx, &scratch, PUBLISH_ARENA_BYTES);
    if (code) return code;

    r.arena = scratch.arena;
    code = show_document_publish(conn, &scratch, &r, at, row, plan, now, ret_published);
    return scratch_end(ctx, &scratch, code);
}

tf_code publish_show_row(tf_pg_conn *conn, tf_ctx *ctx, struct plan_shelf *shelf, struct faults *faults,
                         const struct path *at, int64_t show_id, tf_time now, struct published *ret_published)
{
    const struct plan *plan;
    struct show_row row;
    tf_code code;

    code = show_row_get(conn, ctx, show_id, &row);
    if (code) return code;

    code = plan_shelf_get(conn, ctx, shelf, row.plan_id, &plan);
    if (code) return code;

    return row_publish(conn, ctx, faults, at, &row, plan, now, ret_published);
}
