/* SPDX-License-Identifier: Apache-2.0 */
/* How far two names are apart: for the guess of what a misspelt one was meant to be, never for a
 * lookup. */
#include "meter/meter_int.h"

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Edits between two names (Levenshtein); names beyond 31 bytes count as far. */
unsigned price_edits(const char *a, const char *b)
{
    size_t length = strlen(b);
    unsigned row[32];

    if (length >= COUNT_OF(row) || strlen(a) >= COUNT_OF(row))
        return UINT32_MAX;
    for (unsigned j = 0; j <= length; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        unsigned corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            unsigned above = row[j];

            row[j] = least(row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[length];
}
