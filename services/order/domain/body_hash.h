/* The fingerprint of a purchase, by which a repeated key with another body is told from an honest repeat. */
#pragma once

#include "services/order/domain/draft.h"

/* First 16 bytes of SHA-256 over the canonical form, hex. The same purchase written in another order (places with their
 * attendees, choices with theirs) has the same hash. */
void body_hash(const struct draft *draft, char out[static DRAFT_BODY_HASH_TEXT]);
