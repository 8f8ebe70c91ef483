/* Amounts and currencies. */
#include "services/program/domain/money.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Active codes of ISO 4217 by number of decimals; funds, metals and test codes are left out. */
static const char *const codes_by_decimals[] = {
    [0] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    [1] = "",
    [2] = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY "
          "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
          "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR "
          "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
          "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW ZWG",
    [3] = "BHD IQD JOD KWD LYD OMR TND",
};

int currency_decimals(const char *code)
{
    if (strlen(code) != 3) return -1;
    for (int i = 0; i < 3; i++)
        if (!isupper((unsigned char)code[i])) return -1;
    for (int decimals = 0; decimals < 4; decimals++)
        for (const char *list = codes_by_decimals[decimals]; *list; list += list[3] ? 4 : 3)
            if (memcmp(list, code, 3) == 0) return decimals;
    return -1;
}

bool money_parse(const char *text, int decimals, int64_t *ret_minor)
{
    bool negative = *text == '-', point = false;
    int64_t value = 0;
    int digits = 0, fraction = 0;

    for (const char *s = text + negative; *s; s++) {
        if (*s == '.' && !point && digits > 0) {
            point = true;
            continue;
        }
        if (!isdigit((unsigned char)*s) || digits == MONEY_MINOR_MAX_DIGITS) return false;
        if (point && ++fraction > decimals) return false;
        value = value * 10 + (*s - '0');
        digits++;
    }
    if (digits == 0 || (point && fraction == 0)) return false;
    for (; fraction < decimals; fraction++, digits++)
        value *= 10;
    if (digits > MONEY_MINOR_MAX_DIGITS) return false;
    *ret_minor = negative ? -value : value;
    return true;
}

bool money_of_real(double value, int decimals, int64_t *ret_minor)
{
    char text[64];
    int n;

    /* The shortest decimal that reads back as this number is what stood in the file. */
    if (!(fabs(value) < 1e12)) return false;
    for (int precision = 0; precision <= decimals; precision++) {
        double back;

        n = snprintf(text, sizeof(text), "%.*f", precision, value);
        if (n < 0 || (size_t)n >= sizeof(text) || sscanf(text, "%lf", &back) != 1) return false;
        if (back == value) return money_parse(text, decimals, ret_minor);
    }
    return false;
}
