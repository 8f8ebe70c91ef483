/* A purchase as the buyer asks for it, checked against the show: who wants which places for whom.
 *
 * Pure: the sale and the request are values; ctx only carries memory and the error. */
#pragma once

#include "services/order/inventory/inventory.h"
#include "ticketflow/order/v1/order.tf.h"

enum { DRAFT_BODY_HASH_TEXT = 33, DRAFT_NAME_LENGTH_MAX = 50 };

struct draft {
    int64_t show_id, user_id;
    const char *request_id;
    const int32_t *place_nos; /* chosen, in the request's order; NULL with choices */
    struct hold_choice choices[SALE_ORDER_PLACES_MAX];
    int n_choices;
    int n_tickets;
    /* One per ticket, or NULL. Tickets are in the request's order: of place_nos, or of choices and within a choice by
     * place number. */
    const int64_t *attendee_ids;
    const char *const *names;
};

/* Codes: TF_FIELD_INVALID with the path of the field at fault; TF_PLACES_TAKEN when a chosen place is blocked. Strings
 * and arrays stay the request's. */
TF_MUSTCHECK tf_code draft_parse(tf_ctx *ctx, const struct sale *sale, const CreateOrderRequest *request,
                                 struct draft *ret_draft);

/* Gives the places of a decision (in any order) to the draft's tickets. False when they are not what was asked for. */
TF_MUSTCHECK bool draft_assign(const struct draft *draft, const struct sale *sale, const int32_t *place_nos,
                               int n_places, int32_t ret_places[static SALE_ORDER_PLACES_MAX]);

/* "1,2,3" for error parameters; NULL past the arena's ceiling. */
const char *draft_place_list(tf_arena *arena, const int32_t *place_nos, int n);
