/* Attendees: at most `max` an account, enforced under the account's row lock. */
#include "services/user/store/attendees.h"

#include <string.h>

#define COLUMNS "attendee_id, name_sealed, id_type, id_masked, person, verified, created_at"
static const struct tf_pg_stmt lock_account = {"lock_account",
                                               "SELECT 1 FROM account WHERE user_id = $1 FOR NO KEY UPDATE", true};
static const struct tf_pg_stmt count_attendees = {"count_attendees", "SELECT count(*) FROM attendee WHERE user_id = $1",
                                                  false};
static const struct tf_pg_stmt insert_attendee = {
    "insert_attendee",
    "INSERT INTO attendee (attendee_id, user_id, name_sealed, id_type, id_sealed, id_masked, person, verified, "
    "created_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    true};
static const struct tf_pg_stmt by_person = {
    "attendee_by_person", "SELECT " COLUMNS " FROM attendee WHERE user_id = $1 AND person = $2", false};
static const struct tf_pg_stmt list_stmt = {
    "list_attendees", "SELECT " COLUMNS " FROM attendee WHERE user_id = $1 ORDER BY attendee_id LIMIT 100", false};
static const struct tf_pg_stmt delete_stmt = {"delete_attendee",
                                              "DELETE FROM attendee WHERE user_id = $1 AND attendee_id = $2", true};

static const char ad_name[] = "attendee.name", ad_id[] = "attendee.id";

const char *attendee_person(tf_ctx *ctx, IdType type, const char *id_number)
{
    const struct user_state *state = user_state(ctx);
    unsigned char hash[TF_SHA256_BYTES];
    char *text = tf_arena_printf(ctx->arena, "person:%d:%s", (int)type, id_number);
    char *hex = tf_arena_alloc(ctx->arena, 2 * sizeof hash + 1);

    if (!text || !hex) return NULL;
    tf_keyed_hash(state->person_key, state->person_key_size, text, strlen(text), hash);
    tf_hex_encode(hash, sizeof hash, hex);
    return hex;
}

static tf_code read_row(tf_ctx *ctx, const tf_pg_result *r, int row, int64_t user_id, struct attendee *a)
{
    struct tf_pg_bytes sealed = tf_pg_get_bytes(r, row, 1);
    size_t n;

    *a = (struct attendee){
        .attendee_id = tf_pg_get_int(r, row, 0),
        .user_id = user_id,
        .name = tf_open(ctx->arena, &user_state(ctx)->personal_key, 1, sealed.data, sealed.size, ad_name,
                        sizeof ad_name, &n),
        .id_type = (IdType)tf_pg_get_int(r, row, 2),
        .id_masked = tf_pg_get_text(r, row, 3),
        .person = tf_pg_get_text(r, row, 4),
        .verified = tf_pg_get_bool(r, row, 5),
        .created_at = tf_pg_get_time(r, row, 6),
    };
    if (!a->name)
        return tf_fail(ctx, TF_INTERNAL, "attendee %lld does not open: wrong personal-data key?",
                       (long long)a->attendee_id);
    return TF_OK;
}

struct addition {
    const struct attendee *attendee;
    int max;
    struct attendee *stored;
};

/* The account's row lock makes count and insert one decision. */
static tf_code add_in_tx(tf_pg_conn *conn, tf_ctx *ctx, void *arg)
{
    struct addition *add = arg;
    const struct attendee *a = add->attendee;
    const struct tf_seal_key *key = &user_state(ctx)->personal_key;
    tf_pg_params p, user;
    tf_pg_result *r;
    void *name, *id;
    size_t name_n, id_n;
    tf_code code;

    tf_pg_params_init(&user, ctx);
    tf_pg_int8(&user, a->user_id);
    code = tf_pg_exec(conn, ctx, &lock_account, &user, NULL);
    if (code) return code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, a->user_id);
    tf_pg_text(&p, a->person);
    code = tf_pg_exec(conn, ctx, &by_person, &p, &r);
    if (code) return code;
    if (tf_pg_rows(r) == 1) return read_row(ctx, r, 0, a->user_id, add->stored);

    code = tf_pg_exec(conn, ctx, &count_attendees, &user, &r);
    if (code) return code;
    if (tf_pg_get_int(r, 0, 0) >= add->max) {
        tf_fail(ctx, TF_LIMIT_EXCEEDED, "attendees of one account");
        tf_error_param(ctx, "limit", "ATTENDEES");
        tf_error_param(ctx, "max", "%d", add->max);
        return TF_LIMIT_EXCEEDED;
    }

    name = tf_seal(ctx->arena, key, a->name, strlen(a->name), ad_name, sizeof ad_name, &name_n);
    id = tf_seal(ctx->arena, key, a->id_number, strlen(a->id_number), ad_id, sizeof ad_id, &id_n);
    if (!name || !id) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, a->attendee_id);
    tf_pg_int8(&p, a->user_id);
    tf_pg_bytes(&p, name, name_n);
    tf_pg_int2(&p, (int16_t)a->id_type);
    tf_pg_bytes(&p, id, id_n);
    tf_pg_text(&p, a->id_masked);
    tf_pg_text(&p, a->person);
    tf_pg_bool(&p, a->verified);
    tf_pg_time(&p, a->created_at);
    code = tf_pg_exec(conn, ctx, &insert_attendee, &p, NULL);
    if (code) return code;

    *add->stored = *a;
    return TF_OK;
}

tf_code attendee_add(tf_ctx *ctx, const struct attendee *a, int max, struct attendee *ret_attendee)
{
    struct addition add = {.attendee = a, .max = max, .stored = ret_attendee};

    return tf_pg_tx(ctx, tf_app_pg(ctx->app), add_in_tx, &add);
}

tf_code attendee_list(tf_ctx *ctx, int64_t user_id, struct attendee **ret_attendees, size_t *ret_n)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;
    size_t n;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, user_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &list_stmt, &p, &r);
    if (code) return code;

    n = (size_t)tf_pg_rows(r);
    *ret_attendees = TF_NEW_ARRAY(ctx->arena, struct attendee, n);
    if (!*ret_attendees) return tf_fail(ctx, TF_INTERNAL, "arena exhausted");
    for (size_t i = 0; i < n; i++) {
        code = read_row(ctx, r, (int)i, user_id, &(*ret_attendees)[i]);
        if (code) return code;
    }
    *ret_n = n;
    return TF_OK;
}

tf_code attendee_delete(tf_ctx *ctx, int64_t user_id, int64_t attendee_id)
{
    tf_pg_params p;
    tf_pg_result *r;
    tf_code code;

    tf_pg_params_init(&p, ctx);
    tf_pg_int8(&p, user_id);
    tf_pg_int8(&p, attendee_id);
    code = tf_pg_query(ctx, tf_app_pg(ctx->app), &delete_stmt, &p, &r);
    if (code) return code;

    return tf_pg_affected(r) ? TF_OK : tf_fail(ctx, TF_NOT_FOUND, "not an attendee of this user");
}
