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

/* Whether text may match a pattern whose literal end has at least four bytes: most do not. size: of
 * the pattern, without its NUL. A row of a table is told from the others by this in a moment. */
static inline bool meter_glob_may(const char *pattern, size_t size, const char *text, size_t length)
{
    return length >= 4 && memcmp(pattern + size - 4, text + length - 4, 4) == 0;
}

/* A pattern with a port is meant for whole ("host:port"), any other for the name alone. */
static inline bool meter_host_matches(const char *pattern, const char *whole, const char *name)
{
    return meter_glob(pattern, strchr(pattern, ':') != NULL ? whole : name);
}

#endif
