/* The rules that contracts must obey; see contracts_read. */
#pragma once

#include "contracts.h"

/* One line on `errors`; *failed becomes true. */
__attribute__((format(printf, 3, 4))) void contracts_complain(FILE *errors, bool *failed, const char *format, ...);
/* Every offence is written, not only the first. */
bool contracts_check(const struct contracts *contracts, FILE *errors);
