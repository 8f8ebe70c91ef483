/* Validation of CreateOrder's request; every fault names its field. */
#include "services/order/domain/draft.h"

#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST_ID_MIN = 8, REQUEST_ID_MAX = 64 };

static bool request_id_valid(const char *id)
{
    size_t n = strlen(id);

    if (n < REQUEST_ID_MIN || n > REQUEST_ID_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

const char *draft_place_list(tf_arena *arena, const int32_t *place_nos, int n)
{
    enum { DIGITS_MAX = 12 }; /* of an int32, its sign and the comma */
    char *list = tf_arena_alloc(arena, (size_t)n * DIGITS_MAX + 1);
    size_t used = 0;

    if (!list) return NULL;
    list[0] = '\0';
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(list + used, DIGITS_MAX, "%s%d", i ? "," : "", place_nos[i]);
    return list;
}

/* Chosen places: known, distinct, within the limit; those that are not for sale are reported together. */
static tf_code parse_places(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request,
                            struct draft *draft)
{
    int32_t blocked[SALE_ORDER_PLACES_MAX];
    int n_blocked = 0;

    if (!sale->choice_allowed)
        return tf_fail_field(ctx, "place_nos", "places of this show cannot be chosen one by one; use choices");
    if (request->n_place_nos > (size_t)sale->order_limit)
        return tf_fail_field(ctx, "place_nos", "at most %d places an order", sale->order_limit);
    for (size_t i = 0; i < request->n_place_nos; i++) {
        const char *field = tf_arena_printf(ctx->arena, "place_nos[%zu]", i);

        if (!sale_tier_of(sale, request->place_nos[i]))
            return tf_fail_field(ctx, field, "the show has no place %d", request->place_nos[i]);
        for (size_t j = 0; j < i; j++)
            if (request->place_nos[j] == request->place_nos[i])
                return tf_fail_field(ctx, field, "place %d is named twice", request->place_nos[i]);
        if (sale_is_blocked(sale, request->place_nos[i])) blocked[n_blocked++] = request->place_nos[i];
    }
    if (n_blocked) {
        tf_code code = tf_fail(ctx, TF_PLACES_TAKEN, "chosen places are blocked");

        tf_error_param(ctx, "place_nos", "%s", draft_place_list(ctx->arena, blocked, n_blocked));
        return code;
    }
    draft->place_nos = request->place_nos;
    draft->n_tickets = (int)request->n_place_nos;
    return TF_OK;
}

static tf_code parse_choices(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request,
                             struct draft *draft)
{
    if (request->n_choices > (size_t)sale->order_limit)
        return tf_fail_field(ctx, "choices", "at most %d places an order", sale->order_limit);
    for (size_t i = 0; i < request->n_choices; i++) {
        const TierChoice *choice = request->choices[i];

        if (!sale_tier(sale, choice->tier))
            return tf_fail_field(ctx, tf_arena_printf(ctx->arena, "choices[%zu].tier", i), "the show has no tier %d",
                                 choice->tier);
        for (size_t j = 0; j < i; j++)
            if (request->choices[j]->tier == choice->tier)
                return tf_fail_field(ctx, tf_arena_printf(ctx->arena, "choices[%zu].tier", i),
                                     "tier %d is named twice; add the counts", choice->tier);
        if (choice->count < 1 || choice->count > sale->order_limit - draft->n_tickets)
            return tf_fail_field(ctx, tf_arena_printf(ctx->arena, "choices[%zu].count", i),
                                 "1 to %d places an order, all choices together", sale->order_limit);
        draft->choices[draft->n_choices++] =
            (struct hold_choice){.tier = choice->tier, .count = choice->count, .allow_split = choice->allow_split};
        draft->n_tickets += choice->count;
    }
    return TF_OK;
}

static tf_code parse_attendees(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request,
                               struct draft *draft)
{
    if (sale->attendee_rule != ATTENDEE_RULE_REAL_NAME) {
        if (request->n_attendee_ids) return tf_fail_field(ctx, "attendee_ids", "this show takes no attendees");
        return TF_OK;
    }
    if (request->n_attendee_ids != (size_t)draft->n_tickets)
        return tf_fail_field(ctx, "attendee_ids", "one attendee per place: %d are needed", draft->n_tickets);
    for (size_t i = 0; i < request->n_attendee_ids; i++) {
        const char *field = tf_arena_printf(ctx->arena, "attendee_ids[%zu]", i);

        if (request->attendee_ids[i] <= 0) return tf_fail_field(ctx, field, "not the id of an attendee");
        for (size_t j = 0; j < i; j++)
            if (request->attendee_ids[j] == request->attendee_ids[i])
                return tf_fail_field(ctx, field, "an attendee is named twice");
    }
    draft->attendee_ids = request->attendee_ids;
    return TF_OK;
}

static tf_code parse_names(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request, struct draft *draft)
{
    if (sale->attendee_rule != ATTENDEE_RULE_NAME) {
        if (request->n_names) return tf_fail_field(ctx, "names", "this show takes no names");
        return TF_OK;
    }
    if (request->n_names != (size_t)draft->n_tickets)
        return tf_fail_field(ctx, "names", "one name per place: %d are needed", draft->n_tickets);
    for (size_t i = 0; i < request->n_names; i++) {
        const char *field = tf_arena_printf(ctx->arena, "names[%zu]", i);
        const char *name = request->names[i];
        size_t length;

        if (!tf_utf8_valid(name, strlen(name)) || tf_has_control(name))
            return tf_fail_field(ctx, field, "not plain text");
        length = tf_utf8_length(name);
        if (length < 1 || length > DRAFT_NAME_LENGTH_MAX || strspn(name, " ") == strlen(name))
            return tf_fail_field(ctx, field, "1 to %d characters", DRAFT_NAME_LENGTH_MAX);
    }
    draft->names = (const char *const *)request->names;
    return TF_OK;
}

tf_code draft_parse(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request, struct draft *ret_draft)
{
    struct draft draft = {
        .show_id = sale->show_id, .user_id = ctx->identity.user_id, .request_id = request->request_id};
    tf_code code;

    if (!request_id_valid(request->request_id))
        return tf_fail_field(ctx, "request_id", "%d to %d characters of A-Z, a-z, 0-9, _ and -", REQUEST_ID_MIN,
                             REQUEST_ID_MAX);
    if (request->n_place_nos && request->n_choices)
        return tf_fail_field(ctx, "choices", "either place_nos or choices, not both");
    if (!request->n_place_nos && !request->n_choices)
        return tf_fail_field(ctx, "place_nos", "place_nos or choices is needed");

    code = request->n_place_nos ? parse_places(ctx, sale, request, &draft) : parse_choices(ctx, sale, request, &draft);
    if (code) return code;

    code = parse_attendees(ctx, sale, request, &draft);
    if (code) return code;

    code = parse_names(ctx, sale, request, &draft);
    if (code) return code;

    *ret_draft = draft;
    return TF_OK;
}

static int compare_places(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

bool draft_assign(const struct draft *draft, const struct sale *sale, const int32_t *place_nos, int n_places,
                  int32_t ret_places[static SALE_ORDER_PLACES_MAX])
{
    int32_t sorted[SALE_ORDER_PLACES_MAX];
    int n = 0;

    if (n_places != draft->n_tickets || n_places > SALE_ORDER_PLACES_MAX) return false;
    memcpy(sorted, place_nos, (size_t)n_places * sizeof(*sorted));
    qsort(sorted, (size_t)n_places, sizeof(*sorted), compare_places);

    if (draft->place_nos) {
        for (int i = 0; i < n_places; i++) {
            if (!bsearch(&draft->place_nos[i], sorted, (size_t)n_places, sizeof(*sorted), compare_places)) return false;
            ret_places[i] = draft->place_nos[i];
        }
        return true;
    }
    for (int c = 0; c < draft->n_choices; c++) {
        int first = n;

        for (int i = 0; i < n_places; i++) {
            const struct sale_tier *tier = sale_tier_of(sale, sorted[i]);

            if (tier && tier->tier == draft->choices[c].tier) ret_places[n++] = sorted[i];
        }
        if (n - first != draft->choices[c].count) return false;
    }
    return n == n_places;
}
