/* What an SQLSTATE means to the caller, in one table; for this room only. */
#pragma once

#include "common/base/error.h"

#include <stdbool.h>

struct tf_pg_meaning {
    tf_code code;
    bool retryable; /* the same transaction may well succeed now */
    bool closes;    /* the session is over, or leads to the wrong server: connect anew */
    bool unsure;    /* the session ended from outside: a statement in flight may have committed just before */
};

/* Never fails: what is not in the table is TF_INTERNAL. */
struct tf_pg_meaning tf_pg_meaning_of(const char *sqlstate);
