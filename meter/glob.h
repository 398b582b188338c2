/* SPDX-License-Identifier: Apache-2.0 */
/* How the patterns of providers.def are matched, here and in the preloaded object: in full, '*' is
 * any run of bytes. Linear: only the last star is ever gone back to. */
#ifndef FLYBALL_METER_GLOB_H
#define FLYBALL_METER_GLOB_H

#include <stdbool.h>
#include <stddef.h>

static inline bool meter_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *mark = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

#endif
