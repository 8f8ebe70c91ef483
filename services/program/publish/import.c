/* Taking an organiser's file.
 *
 * The file is read and checked alone first (domain/catalogue.h); then, in one transaction, its objects are resolved
 * against what is stored, checked again, written where their digest differs, and shows are published. A fault anywhere
 * rolls everything back. Imports and publications run one after the other (catalogue_lock). */
#include "services/program/publish/import.h"

#include "common/chassis/service.h"
#include "services/program/publish/import_tx.h"
#include "services/program/publish/scratch.h"
#include "services/program/publish/turns.h"

#include <stdio.h>
#include <string.h>

enum {
    IMPORT_ARENA_BYTES = 256 * 1024 * 1024,
    /* Errors travel in gRPC metadata, which is bounded; a few faults say enough. */
    FAULTS_TEXT_MAX = 3000,
};

/* The faults as an error: the first one as the field, all of them as a parameter. */
static tf_code faults_fail(tf_ctx *ctx, const struct faults *faults)
{
    tf_cleanup(tf_buf_done) tf_buf all = {0};
    tf_code code;

    code = tf_fail_field(ctx, faults->list[0].pointer, "%s", faults->list[0].detail);
    tf_buf_init(&all, FAULTS_TEXT_MAX);
    for (size_t i = 0; i < faults->n; i++) {
        const struct fault *fault = &faults->list[i];

        if (all.size + strlen(fault->pointer) + strlen(fault->detail) + 4 > FAULTS_TEXT_MAX) break;
        tf_buf_printf(&all, "%s%s: %s", i ? "\n" : "", fault->pointer, fault->detail);
    }
    if (all.data) tf_error_param(ctx, "faults", "%s", all.data);
    return code;
}

static tf_code import_attempt(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct import_tx *import = arg;
    tf_code code = import_tx_run(conn, ctx, import);

    plan_shelf_done(&import->shelf);
    if (import->faults.n > 0) {
        tf_error_clear(ctx); /* what followed from the fault is not the cause */
        return faults_fail(ctx, &import->faults);
    }
    if (code || !import->validate_only) return code;
    import->rehearsed = true;
    return TF_INTERNAL; /* any code rolls back; document_import knows that this one is no failure */
}

/* Strings of the result into the caller's memory. */
static tf_code result_copy(tf_ctx *ctx, const struct import_tx *import, struct import_result *ret_result)
{
    struct imported *objects = TF_NEW_ARRAY(ctx->arena, struct imported, import->n_imported);

    if (!objects) return tf_fail(ctx, TF_INTERNAL, "no memory for the result");
    for (size_t i = 0; i < import->n_imported; i++) {
        objects[i] = import->imported[i];
        if (import->validate_only && objects[i].outcome == OUTCOME_CREATED) objects[i].id = 0;
        objects[i].ref = tf_arena_strdup(ctx->arena, objects[i].ref);
        if (!objects[i].ref) return tf_fail(ctx, TF_INTERNAL, "no memory for the result");
    }
    *ret_result = (struct import_result){
        .n = import->n_imported, .objects = objects, .published = import->n_published > 0 && !import->validate_only};
    return TF_OK;
}

static tf_code document_import(tf_ctx *ctx, tf_ctx *scratch, const void *data, size_t size, int64_t hold_floor_s,
                               bool validate_only, struct import_result *ret_result)
{
    tf_cleanup(tf_json_freep) tf_json *document = NULL;
    struct catalogue catalogue;
    struct import_tx import = {.catalogue = &catalogue, .validate_only = validate_only};
    struct reading r = {.arena = scratch->arena, .faults = &import.faults};
    const char *error = NULL;
    tf_code code;

    if (!catalogue_values_few(data, size))
        return tf_fail_field(scratch, "", "has more than %d values", CATALOGUE_VALUES_MAX);
    document = tf_json_parse(scratch->arena, data, size, 0, &error);
    if (!document) {
        if (!error) error = "";
        return tf_fail_field(scratch, "", "is not valid JSON: %.*s", (int)utf8_cut(error, FAULT_DETAIL_MAX), error);
    }

    faults_init(&import.faults, scratch->arena);
    if (!catalogue_read(&r, document, hold_floor_s, &catalogue)) return faults_fail(scratch, &import.faults);

    code = tf_pg_tx(scratch, tf_app_pg(ctx->app), import_attempt, &import);
    if (code && !import.rehearsed) return code;

    return result_copy(ctx, &import, ret_result);
}

static tf_code import_in_turn(tf_ctx *ctx, const void *data, size_t size, int64_t hold_floor_s, bool validate_only,
                              struct import_result *ret_result)
{
    tf_ctx scratch;
    tf_code code = scratch_begin(ctx, &scratch, IMPORT_ARENA_BYTES);

    if (code) return code;
    code = document_import(ctx, &scratch, data, size, hold_floor_s, validate_only, ret_result);
    return scratch_end(ctx, &scratch, code);
}

tf_code import_run(tf_ctx *ctx, const void *data, size_t size, int64_t hold_floor_s, bool validate_only,
                   struct import_result *ret_result)
{
    tf_code code;

    if (size > CATALOGUE_BYTES_MAX) return tf_fail(ctx, TF_TOO_LARGE, "a file of %zu bytes", size);
    code = turn_take(ctx, size);
    if (code) return code;

    code = import_in_turn(ctx, data, size, hold_floor_s, validate_only, ret_result);
    turn_give();
    return code;
}
