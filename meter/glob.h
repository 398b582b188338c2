/* SPDX-License-Identifier: Apache-2.0 */
/* What the meter and the preloaded object have to do alike: which spellings of a path are the same,
 * and how the patterns of providers.def are matched. */
#ifndef FLYBALL_METER_GLOB_H
#define FLYBALL_METER_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Takes out what names nothing (RFC 3986, 5.2.4): "." and ".." segments, doubled and trailing
 * slashes. In place; path is percent-decoded and has no query. */
static inline void meter_path_flatten(char *path)
{
    char *to = path;
    const char *from = path;

    while (*from != '\0') {
        size_t length;

        from += strspn(from, "/");
        length = strcspn(from, "/");
        if (length == 2 && memcmp(from, "..", 2) == 0) {
            while (to > path && *--to != '/')
                ;
        } else if (length > 0 && !(length == 1 && *from == '.')) {
            if (to < from)
                *to++ = '/';
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    if (to == path && from > path)
        *to++ = '/';
    *to = '\0';
}

/* In full; '*' is any run of bytes. Linear: only the last star is ever gone back to. */
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
