/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a catalogue that was written by way of doubles: 2.4999999999999998e-06. */
#include "meter/meter_int.h"

#include <stdio.h>

#define FEMTO_DECIMALS 15u
#define SIGNIFICANT    15u /* digits that survive a double */
#define EXPONENT_MOST  400 /* beyond any double; keeps the sum below in range */

/* A number as digits x 10^exponent, with at most SIGNIFICANT digits. */
struct figure {
    uint64_t digits;
    int exponent;
};

/* Reads the digits before an exponent; the digit behind the last that is kept rounds. */
static const char *digits_read(const char *p, const char *end, struct figure *out)
{
    unsigned kept = 0;
    bool point = false, rounded = false;

    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (kept < SIGNIFICANT) {
            out->digits = out->digits * 10 + (uint64_t)(*p - '0');
            kept += out->digits != 0;
            out->exponent -= point;
        } else {
            out->digits += !rounded && *p >= '5';
            rounded = true;
            out->exponent += !point;
        }
    }
    return p;
}

bool import_figure(const char *text, size_t bytes, uint64_t *fusd_out, bool *lost_out,
                   const char **why_out)
{
    const char *p = text, *end = text + bytes;
    struct figure figure = {0, 0};
    uint64_t ignored;
    char plain[48];
    int used;

    /* Its grammar is that of all decimals; magnitude is looked at below. */
    switch (money_parse(text, bytes, 0, &ignored)) {
    case MONEY_NOT_A_NUMBER:
        *why_out = "is not a number";
        return false;
    case MONEY_NEGATIVE:
        *why_out = "is negative";
        return false;
    default:
        break;
    }
    p = digits_read(p, end, &figure);
    for (int sign = 1, exponent = 0; p < end; p++) {
        if (*p == '-')
            sign = -1;
        else if (*p >= '0' && *p <= '9' && exponent < EXPONENT_MOST)
            exponent = exponent * 10 + (*p - '0');
        if (p + 1 == end)
            figure.exponent += sign * exponent;
    }
    used = snprintf(plain, sizeof plain, "%llue%d", (unsigned long long)figure.digits,
                    figure.exponent);
    switch (money_parse(plain, (size_t)used, FEMTO_DECIMALS, fusd_out)) {
    case MONEY_EXACT:
        *lost_out = false;
        return true;
    case MONEY_ROUNDED_UP:
        *lost_out = true;
        return true;
    default:
        *why_out = "is too large";
        return false;
    }
}
