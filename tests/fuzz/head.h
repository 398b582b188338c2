/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzzers of requests and answers: what stands before the body of an input.
 *
 *   two bytes, which each fuzzer uses its own way
 *   METHOD HOST/PATH STATUS CONTENT-ENCODING\n
 *   header lines, each with \n
 *   \n
 *   the body
 *
 * tests/fuzz/run makes such inputs of the recorded exchanges. */
#ifndef FLYBALL_TESTS_FUZZ_HEAD_H
#define FLYBALL_TESTS_FUZZ_HEAD_H

#include <stdio.h>
#include <stdlib.h>

#include "meter/meter_int.h"

#define HEAD_LINES 16u

struct head {
    uint8_t flags, step;
    char text[2048];
    struct meter_target target;
    char host[256];
    int status;
    const char *encoding; /* NULL: none */
    const char *lines[HEAD_LINES + 1];
    const uint8_t *body;
    size_t bytes;
};

static inline void check(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* The next word up to a blank, which becomes its end. */
static inline char *head_word(char **at)
{
    char *word = *at;
    size_t bytes = strcspn(word, " ");

    *at = word + bytes + (word[bytes] != '\0');
    word[bytes] = '\0';
    return word;
}

static inline void head_first(struct head *out, char *line)
{
    char *url, *path;

    out->target.method = head_word(&line);
    url = head_word(&line);
    out->status = atoi(head_word(&line));
    out->encoding = *line != '\0' && *line != '-' ? line : NULL;
    path = strchr(url, '/');
    (void)snprintf(out->host, sizeof out->host, "%.*s",
                   path != NULL ? (int)(path - url) : (int)strlen(url), url);
    out->target.host = out->host;
    out->target.path = path != NULL ? path : "/";
}

/* False: this input has no head. */
static inline bool head_read(struct head *out, const uint8_t *data, size_t size)
{
    size_t room = size < 2 + sizeof out->text - 1 ? size - 2 : sizeof out->text - 1;
    char *line = out->text, *end;
    unsigned count = 0;

    memset(out, 0, sizeof *out);
    if (size < 3)
        return false;
    memcpy(out->text, data + 2, room);
    end = strstr(out->text, "\n\n");
    if (end == NULL)
        return false;
    *end = '\0';
    out->flags = data[0];
    out->step = data[1];
    out->body = data + 2 + (end - out->text) + 2;
    out->bytes = (size_t)(data + size - out->body);
    for (char *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (line == out->text)
            head_first(out, line);
        else if (count < HEAD_LINES)
            out->lines[count++] = line;
    }
    return true;
}

/* A copy of exactly that size, so that a sanitizer sees any byte beyond; the caller frees it. */
static inline char *exact_copy(const void *bytes, size_t count)
{
    char *copy = malloc(count > 0 ? count : 1);

    check(copy != NULL, "out of memory");
    memcpy(copy, bytes, count);
    return copy;
}

#endif
