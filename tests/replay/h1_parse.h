/* SPDX-License-Identifier: Apache-2.0
 *
 * A strict reader of HTTP/1.1 request heads: pure, spans into the caller's bytes. What is doubtful
 * (bare LF, folded fields, two lengths) is refused: a double must not hide a client's mistakes.
 */
#ifndef TESTS_REPLAY_H1_PARSE_H
#define TESTS_REPLAY_H1_PARSE_H

#include "tests/replay/replay.h"

struct h1_head {
    char *method;
    char *target;
    int minor; /* HTTP/1.minor */
    struct field fields[REPLAY_FIELDS_MAX];
    size_t field_count;
};

struct h1_framing {
    int64_t length; /* -1: no Content-Length */
    bool chunked;
    bool close;
    bool expects_continue;
    unsigned hosts;
};

/* `text` is NUL-terminated, lines end with CRLF; it is cut into strings in place.
 * 0, or the status that the request deserves. */
int h1_head_parse(char *text, struct h1_head *head_out);
int h1_framing_read(const struct h1_head *head, struct h1_framing *framing_out);
/* The size that a chunk's first line gives, extensions ignored; -1: malformed or too large. */
int64_t h1_chunk_size(const char *line);

#endif
