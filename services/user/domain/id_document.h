/* Identity documents: their form, their one spelling, their mask. Pure. */
#pragma once

#include "common/base/arena.h"
#include "ticketflow/user/v1/user.tf.h"

#include <stdbool.h>

/* The number in its one spelling (upper case, no blanks), in the arena; NULL when the form is wrong.
 * ID_TYPE_CN_RESIDENT: 18 characters, a real date of birth, the check character of GB 11643-1999 (ISO 7064 MOD 11-2).
 * ID_TYPE_PASSPORT: 5 to 20 letters and digits. */
char *id_document_normal(tf_arena *arena, IdType type, const char *number);
/* Whether the form proves anything: the checksum of ID_TYPE_CN_RESIDENT does. */
bool id_document_verified(IdType type);
/* "1101**********1234"; passports keep the first and the last two characters. */
char *id_document_mask(tf_arena *arena, IdType type, const char *normal);
