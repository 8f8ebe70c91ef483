/* What a show's page needs of its published version (tiers, prices, limits, rules), as kept in the show's row. */
#pragma once

#include "services/program/domain/publication.h"

/* JSON in the arena; NULL without memory. */
const char *offered_write(tf_arena *arena, const struct publication *publication);
/* Fills tiers, attendee_rule, limits, hold_seconds and choice_allowed of a show. False: not what offered_write wrote.
 */
bool offered_read(tf_arena *arena, const char *json, const char *language, const char *currency, Show *show);
