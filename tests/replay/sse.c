/* SPDX-License-Identifier: Apache-2.0
 *
 * Where server-sent events end: after a blank line, however the lines are ended (LF, CRLF, CR).
 */
#include <stdlib.h>

#include "tests/replay/replay.h"

/* The offset after the line that starts at `at`. */
static size_t line_end(const unsigned char *body, size_t bytes, size_t at)
{
    while (at < bytes && body[at] != '\n' && body[at] != '\r')
        at++;
    if (at == bytes)
        return bytes;
    return body[at] == '\r' && at + 1 < bytes && body[at + 1] == '\n' ? at + 2 : at + 1;
}

static bool line_is_blank(const unsigned char *body, size_t at)
{
    return body[at] == '\n' || body[at] == '\r';
}

/* With NULL it only counts. Blank lines that follow one another belong to the event before. */
static size_t ends_walk(const unsigned char *body, size_t bytes, size_t *ends)
{
    size_t count = 0, at = 0;

    while (at < bytes) {
        bool blank = false;

        while (at < bytes && (!blank || line_is_blank(body, at))) {
            blank = line_is_blank(body, at);
            at = line_end(body, bytes, at);
        }
        if (ends)
            ends[count] = at;
        count++;
    }
    return count;
}

size_t sse_event_ends(const unsigned char *body, size_t bytes, size_t **ends_out)
{
    size_t count = ends_walk(body, bytes, NULL);

    *ends_out = calloc(count + 1, sizeof **ends_out);
    return *ends_out ? ends_walk(body, bytes, *ends_out) : 0;
}
