/* GetShow: everything a buyer needs before the seat map. */
#include "common/chassis/service.h"
#include "services/program/domain/offered.h"
#include "services/program/handlers/answer.h"
#include "ticketflow/program/v1/program.server.h"

#include <inttypes.h>

/* What to have ready before the opening. */
static tf_code prepare_answer(tf_ctx *ctx, Show *show)
{
    show->prepare = TF_NEW_ARRAY(ctx->arena, char *, 2);
    if (!show->prepare) return answer_done(ctx);
    show->prepare[show->n_prepare++] = answer_text("LOG_IN");
    if (show->attendee_rule == ATTENDEE_RULE_REAL_NAME) show->prepare[show->n_prepare++] = answer_text("ATTENDEES");
    return TF_OK;
}

static tf_code show_answer(tf_ctx *ctx, const struct show_page *page, const struct listed_program *program, tf_time now,
                           Show *show)
{
    const struct listed_show *s = &page->show;

    if (!offered_read(ctx->arena, page->offered, ctx->language, s->currency, show))
        return tf_fail(ctx, TF_INTERNAL, "the offered terms of show %" PRId64 " cannot be read", s->show_id);
    show->show_id = s->show_id;
    show->program_id = s->program_id;
    show->title = answer_text(program->title);
    show->name = answer_text(s->name);
    show->picture = answer_text(program->picture);
    show->venue_name = answer_text(s->venue_name);
    show->venue_address = answer_text(s->venue_address);
    show->city = answer_text(s->city);
    show->start_time = answer_time(ctx, s->start);
    show->time_zone = answer_text(s->time_zone);
    show->local_start = answer_text(tf_time_format_local(ctx->arena, s->start, s->time_zone));
    show->opens_time = answer_time(ctx, s->offer.opens);
    show->closes_time = answer_time(ctx, s->offer.closes);
    show->state = offer_state(&s->offer, now);
    show->texts = answer_program_texts(ctx, program->texts);
    show->version = page->version;
    show->seat_plan_path = answer_text(
        tf_arena_printf(ctx->arena, "/v1/shows/%" PRId64 "/seat-plan?version=%d", s->show_id, (int)page->version));
    return prepare_answer(ctx, show);
}

tf_code get_show(tf_ctx *ctx, const GetShowRequest *request, GetShowResponse *response)
{
    tf_pg *pg = tf_app_pg(ctx->app);
    tf_time now = answer_now(ctx);
    struct listed_program *programs;
    struct show_page page;
    Show *show;
    size_t n;
    tf_code code;

    code = show_page_get(ctx, pg, request->show_id, &page);
    if (code) return code;

    code = programs_get(ctx, pg, &page.show.program_id, 1, &programs, &n);
    if (code) return code;

    show = tf_arena_alloc(ctx->arena, sizeof(*show));
    if (!show) return answer_done(ctx);
    *show = (Show)Show_init;
    if (n == 0) return tf_fail(ctx, TF_INTERNAL, "show %" PRId64 " without its programme", request->show_id);
    code = show_answer(ctx, &page, &programs[0], now, show);
    if (code) return code;

    response->show = show;
    response->server_time = answer_time(ctx, now);
    return answer_done(ctx);
}
