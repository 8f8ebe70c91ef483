/* The signed code on a ticket (docs/ticket-code.md): made here, read by any scanner that has the public key. Pure. */
#pragma once

#include "common/crypto/crypto.h"

enum { TICKET_CODE_LENGTH_MAX = 256 };

struct ticket_claims {
    int key_id; /* 1–255 */
    int issue;  /* grows when a ticket is issued anew; older codes are void then; 1–65535 */
    int64_t ticket_id, show_id;
};

/* NULL past the arena's ceiling. */
char *ticket_code_make(tf_arena *arena, const struct tf_sign_key *key, const struct ticket_claims *claims);
/* False: not a code of ours (malformed, another key, or the signature does not fit). */
TF_MUSTCHECK bool ticket_code_read(tf_arena *arena, const char *code, int key_id, const struct tf_sign_public *key,
                                   struct ticket_claims *ret_claims);
