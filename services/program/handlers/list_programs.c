/* ListPrograms: what is on, soonest first, a page at a time. */
#include "common/base/page_token.h"
#include "common/chassis/service.h"
#include "services/program/domain/show_time.h"
#include "services/program/handlers/answer.h"
#include "ticketflow/program/v1/program.server.h"

#include <string.h>

enum { PAGE_DEFAULT = 20, PAGE_MAX = 100, FILTER_MAX = 200, TOKEN_KIND = 1 };

/* ---- page tokens: where the last row stands ---------------------------------------------------------------------- */

enum { TOKEN_START, TOKEN_PROGRAM, TOKEN_VALUES };

static tf_code token_read(tf_ctx *ctx, const char *token, struct program_filter *filter)
{
    int64_t values[TOKEN_VALUES] = {0}; /* no show is planned before 1970 */
    tf_code code = *token ? tf_page_token_read(ctx, token, TOKEN_KIND, values, TOKEN_VALUES) : TF_OK;

    if (code) return code;
    if (values[TOKEN_START] < 0 || values[TOKEN_START] > INT64_MAX / 4)
        return tf_fail_field(ctx, "page_token", "is not a token of this list");
    filter->after_start = values[TOKEN_START];
    filter->after_program_id = values[TOKEN_PROGRAM];
    return TF_OK;
}

static char *token_write(tf_ctx *ctx, const struct program_key *last)
{
    const int64_t values[TOKEN_VALUES] = {[TOKEN_START] = last->start, [TOKEN_PROGRAM] = last->program_id};

    return answer_text(tf_page_token_make(ctx->arena, TOKEN_KIND, values, TOKEN_VALUES));
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

static tf_code date_read(tf_ctx *ctx, const char *field, const char *text, const char **ret_date)
{
    *ret_date = *text ? text : NULL;
    if (*text && !date_valid(text)) return tf_fail_field(ctx, field, "must be a date such as 2026-12-24");
    return TF_OK;
}

static tf_code filter_read(tf_ctx *ctx, const ListProgramsRequest *request, struct program_filter *filter)
{
    tf_code code;

    *filter = (struct program_filter){.now = answer_now(ctx)};
    if (strlen(request->city) > FILTER_MAX) return tf_fail_field(ctx, "city", "is too long");
    if (strlen(request->category) > FILTER_MAX) return tf_fail_field(ctx, "category", "is too long");
    filter->city = *request->city ? request->city : NULL;
    filter->category = *request->category ? request->category : NULL;
    code = tf_page_size_read(ctx, request->page_size, PAGE_DEFAULT, PAGE_MAX, &filter->limit);
    if (code) return code;

    code = date_read(ctx, "from_date", request->from_date, &filter->from_date);
    if (code) return code;

    code = date_read(ctx, "to_date", request->to_date, &filter->to_date);
    if (code) return code;

    if (filter->from_date && filter->to_date && strcmp(filter->from_date, filter->to_date) > 0)
        return tf_fail_field(ctx, "to_date", "is before from_date");
    return token_read(ctx, request->page_token, filter);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

/* A row from the programme and its shows; NULL when its last show vanished between the two reads. */
static ProgramSummary *summary_make(tf_ctx *ctx, const struct listed_program *program, const struct listed_show *shows,
                                    size_t n, tf_time now)
{
    struct offer_summary sum = offers_sum(shows, n, now);
    ProgramSummary *row;

    if (n == 0) return NULL;
    row = tf_arena_alloc(ctx->arena, sizeof(*row));
    if (!row) return NULL;
    *row = (ProgramSummary)ProgramSummary_init;
    row->program_id = program->program_id;
    row->title = answer_text(program->title);
    row->performers = answer_text(program->performers);
    row->picture = answer_text(program->picture);
    row->category = answer_text(program->category);
    row->city = answer_text(shows[0].city);
    row->venue_name = answer_text(shows[0].venue_name);
    row->time_zone = answer_text(shows[0].time_zone);
    row->first_local_date = answer_text(sum.first->local_date);
    row->last_local_date = answer_text(sum.last->local_date);
    row->cheapest_price = answer_money(ctx, sum.cheapest->currency, sum.cheapest->cheapest_minor);
    row->state = sum.state;
    if (sum.state == OFFER_STATE_SOON) row->opens_time = answer_time(ctx, sum.opens);
    return row;
}

/* Rows in the order of the keys. */
static tf_code rows_make(tf_ctx *ctx, const struct program_filter *filter, const struct program_key *keys, size_t n,
                         ListProgramsResponse *response)
{
    tf_pg *pg = tf_app_pg(ctx->app);
    int64_t *ids = TF_NEW_ARRAY(ctx->arena, int64_t, n);
    struct listed_program *programs;
    struct listed_show *shows;
    size_t n_programs, n_shows;
    tf_code code;

    response->programs = TF_NEW_ARRAY(ctx->arena, ProgramSummary *, n);
    if (!ids || !response->programs) return answer_done(ctx);
    for (size_t i = 0; i < n; i++)
        ids[i] = keys[i].program_id;
    code = programs_get(ctx, pg, ids, n, &programs, &n_programs);
    if (code) return code;

    code = shows_of_programs(ctx, pg, ids, n, filter->city, filter->now, &shows, &n_shows);
    if (code) return code;

    for (size_t i = 0; i < n; i++) {
        size_t p = 0, first = 0, count = 0;
        ProgramSummary *row;

        while (p < n_programs && programs[p].program_id != ids[i])
            p++;
        while (first < n_shows && shows[first].program_id != ids[i])
            first++;
        while (first + count < n_shows && shows[first + count].program_id == ids[i])
            count++;
        if (p == n_programs) continue;
        row = summary_make(ctx, &programs[p], shows + first, count, filter->now);
        if (row) response->programs[response->n_programs++] = row;
    }
    return answer_done(ctx);
}

tf_code list_programs(tf_ctx *ctx, const ListProgramsRequest *request, ListProgramsResponse *response)
{
    struct program_filter filter;
    struct program_key *keys;
    size_t n, page;
    tf_code code;

    code = filter_read(ctx, request, &filter);
    if (code) return code;

    page = (size_t)filter.limit;
    filter.limit++; /* one more tells whether there is a next page */
    code = programs_list(ctx, tf_app_pg(ctx->app), &filter, &keys, &n);
    if (code) return code;

    if (n > page) {
        n = page;
        response->next_page_token = token_write(ctx, &keys[n - 1]);
    }
    response->server_time = answer_time(ctx, filter.now);
    return n > 0 ? rows_make(ctx, &filter, keys, n, response) : answer_done(ctx);
}
