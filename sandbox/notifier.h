/* Sends signed notifications to merchants, later and again as faults and missing acknowledgements demand. One thread.
 */
#pragma once

#include "sandbox/books.h"
#include "sandbox/signature.h"

bool notifier_start(const struct sandbox_key *key);
/* Unsent ones are dropped: the merchant asks by himself (that is what its query is for). */
void notifier_stop(void);
/* A charge was paid: notify as the fault says. With settle_at_ms the money itself arrives then. */
void notifier_paid(const struct charge *charge, const struct fault *fault);
