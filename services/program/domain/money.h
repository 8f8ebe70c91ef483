/* Amounts as organisers write them (major units: 580, 79.9, "79.90") → minor units, exactly. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { MONEY_MINOR_MAX_DIGITS = 12 };

/* Decimals of the currency (ISO 4217), or -1 for a code that is none. */
int currency_decimals(const char *code);
/* "-12.5" → -1250 at two decimals. False: no decimal number, more decimals than the currency has, or beyond 12 digits.
 */
bool money_parse(const char *text, int decimals, int64_t *ret_minor);
/* A JSON number that is not whole: the decimal that people meant. The same bounds. */
bool money_of_real(double value, int decimals, int64_t *ret_minor);
