/* GetProgram: a programme with its texts, its shows and the group's other stops. */
#include "common/chassis/service.h"
#include "services/program/domain/show_time.h"
#include "services/program/handlers/answer.h"
#include "ticketflow/program/v1/program.server.h"

#include <inttypes.h>

static ShowSummary *show_summary_make(tf_ctx *ctx, const struct listed_show *s, tf_time now)
{
    ShowSummary *summary = tf_arena_alloc(ctx->arena, sizeof(*summary));

    if (!summary) return NULL;
    *summary = (ShowSummary)ShowSummary_init;
    summary->show_id = s->show_id;
    summary->name = answer_text(s->name);
    summary->start_time = answer_time(ctx, s->start);
    summary->time_zone = answer_text(s->time_zone);
    summary->local_start = answer_text(tf_time_format_local(ctx->arena, s->start, s->time_zone));
    summary->local_weekday = answer_text(date_weekday(s->local_date));
    summary->state = offer_state(&s->offer, now);
    summary->opens_time = answer_time(ctx, s->offer.opens);
    summary->cheapest_price = answer_money(ctx, s->currency, s->cheapest_minor);
    return summary;
}

static tf_code shows_answer(tf_ctx *ctx, const struct listed_show *shows, size_t n, tf_time now, Program *program)
{
    program->shows = TF_NEW_ARRAY(ctx->arena, ShowSummary *, n);
    if (!program->shows) return answer_done(ctx);
    for (size_t i = 0; i < n; i++) {
        program->shows[i] = show_summary_make(ctx, &shows[i], now);
        if (!program->shows[i]) return answer_done(ctx);
        program->n_shows++;
    }
    if (n > 0) {
        program->city = answer_text(shows[0].city);
        program->venue_name = answer_text(shows[0].venue_name);
        program->venue_address = answer_text(shows[0].venue_address);
    }
    return TF_OK;
}

/* Other programmes of the tour that have a show to come. */
static tf_code stops_answer(tf_ctx *ctx, const struct listed_program *of, tf_time now, Program *program)
{
    tf_pg *pg = tf_app_pg(ctx->app);
    struct listed_show *shows;
    const int64_t *ids;
    size_t n_ids, n_shows;
    tf_code code;

    if (!of->group) return TF_OK;
    code = programs_of_group(ctx, pg, of->organiser_id, of->group, of->program_id, &ids, &n_ids);
    if (code) return code;

    code = shows_of_programs(ctx, pg, ids, n_ids, NULL, now, &shows, &n_shows);
    if (code) return code;

    program->group_stops = TF_NEW_ARRAY(ctx->arena, GroupStop *, n_ids);
    if (!program->group_stops) return answer_done(ctx);
    for (size_t first = 0, count; first < n_shows; first += count) {
        GroupStop *stop = tf_arena_alloc(ctx->arena, sizeof(*stop));
        struct offer_summary sum;

        for (count = 1; first + count < n_shows && shows[first + count].program_id == shows[first].program_id;)
            count++;
        if (!stop) return answer_done(ctx);
        sum = offers_sum(shows + first, count, now);
        *stop = (GroupStop)GroupStop_init;
        stop->program_id = shows[first].program_id;
        stop->city = answer_text(shows[first].city);
        stop->first_local_date = answer_text(sum.first->local_date);
        stop->state = sum.state;
        program->group_stops[program->n_group_stops++] = stop;
    }
    return TF_OK;
}

static tf_code program_answer(tf_ctx *ctx, const struct listed_program *from, tf_time now, GetProgramResponse *response)
{
    Program *program = tf_arena_alloc(ctx->arena, sizeof(*program));
    struct listed_show *shows;
    size_t n;
    tf_code code;

    if (!program) return answer_done(ctx);
    *program = (Program)Program_init;
    program->program_id = from->program_id;
    program->title = answer_text(from->title);
    program->performers = answer_text(from->performers);
    program->picture = answer_text(from->picture);
    program->category = answer_text(from->category);
    program->organiser_name = answer_text(from->organiser_name);
    program->texts = answer_program_texts(ctx, from->texts);
    code = shows_of_programs(ctx, tf_app_pg(ctx->app), &from->program_id, 1, NULL, now, &shows, &n);
    if (code) return code;

    code = shows_answer(ctx, shows, n, now, program);
    if (code) return code;

    code = stops_answer(ctx, from, now, program);
    if (code) return code;

    response->program = program;
    response->server_time = answer_time(ctx, now);
    return answer_done(ctx);
}

tf_code get_program(tf_ctx *ctx, const GetProgramRequest *request, GetProgramResponse *response)
{
    tf_pg *pg = tf_app_pg(ctx->app);
    struct listed_program *programs;
    bool visible;
    size_t n;
    tf_code code;

    code = program_visible(ctx, pg, request->program_id, &visible);
    if (code) return code;

    if (!visible) return tf_fail(ctx, TF_NOT_FOUND, "no published programme %" PRId64, request->program_id);
    code = programs_get(ctx, pg, &request->program_id, 1, &programs, &n);
    if (code) return code;

    if (n == 0) return tf_fail(ctx, TF_NOT_FOUND, "no programme %" PRId64, request->program_id);
    return program_answer(ctx, &programs[0], answer_now(ctx), response);
}
