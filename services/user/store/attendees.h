/* Attendees in PostgreSQL: names and numbers sealed, persons as keyed hashes. */
#pragma once

#include "common/base/text.h"
#include "services/user/user.h"
#include "ticketflow/user/v1/user.tf.h"

struct attendee {
    int64_t attendee_id, user_id;
    const char *name, *id_number; /* id_number: in its one spelling; not read back by lists */
    const char *id_masked, *person;
    IdType id_type;
    bool verified;
    tf_time created_at;
};

/* Keyed hash of type and number, hex: the same person whichever account enters it. In the arena. */
const char *attendee_person(tf_ctx *ctx, IdType type, const char *id_number);
/* Inserts unless the account has this person or `max` attendees already; *ret_attendee is the stored one.
 * TF_LIMIT_EXCEEDED at the limit. */
TF_MUSTCHECK tf_code attendee_add(tf_ctx *ctx, const struct attendee *attendee, int max, struct attendee *ret_attendee);
/* Oldest first. */
TF_MUSTCHECK tf_code attendee_list(tf_ctx *ctx, int64_t user_id, struct attendee **ret_attendees, size_t *ret_n);
/* TF_NOT_FOUND unless the user's own. */
TF_MUSTCHECK tf_code attendee_delete(tf_ctx *ctx, int64_t user_id, int64_t attendee_id);
