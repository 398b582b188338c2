/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the output cap in a body, and asking for the usage: the bytes around what is changed stay
 * what they were. */
#include "meter/meter_int.h"

#include <stdio.h>

#define CAP_TEXT 32u

/* One change: bytes of the body at an offset become text. */
struct edit {
    size_t at, bytes;
    const char *parts[4]; /* of the text, one after another; NULL ends them */
};

static size_t parts_bytes(const struct edit *edit)
{
    size_t bytes = 0;

    for (size_t i = 0; i < COUNT_OF(edit->parts) && edit->parts[i] != NULL; i++)
        bytes += strlen(edit->parts[i]);
    return bytes;
}

/* number: room for the cap's text. A number in the place of an old one gets blanks behind it, so
 * that the length may stay. */
static struct edit cap_edit(const struct meter_request *request, uint64_t cap,
                            char number[CAP_TEXT])
{
    const char *prefix = request->cap_prefix != NULL ? request->cap_prefix : "";
    const char *suffix = request->cap_suffix != NULL ? request->cap_suffix : "";
    int width = *prefix == '\0' && request->cap_bytes < CAP_TEXT ? (int)request->cap_bytes : 0;

    (void)snprintf(number, CAP_TEXT, "%-*llu", width, (unsigned long long)cap);
    return (struct edit){request->cap_at, request->cap_bytes, {prefix, number, suffix, NULL}};
}

/* The body with edits made: sorted, apart from each other. */
static enum meter_err edits_make(const struct edit *edits, size_t count, const char *body,
                                 size_t body_bytes, char **body_out, size_t *body_bytes_out)
{
    size_t room = body_bytes + 1, from = 0;
    char *copy, *p;

    for (size_t i = 0; i < count; i++) {
        if (edits[i].at < from || edits[i].at + edits[i].bytes > body_bytes)
            return METER_NO_REWRITE;
        from = edits[i].at + edits[i].bytes;
        room += parts_bytes(&edits[i]);
    }
    p = copy = malloc(room);
    if (copy == NULL)
        return METER_NOMEM;
    from = 0;
    for (size_t i = 0; i < count; i++) {
        p = mempcpy(p, body + from, edits[i].at - from);
        for (size_t part = 0; part < COUNT_OF(edits->parts) && edits[i].parts[part] != NULL; part++)
            p = stpcpy(p, edits[i].parts[part]);
        from = edits[i].at + edits[i].bytes;
    }
    p = mempcpy(p, body + from, body_bytes - from);
    *p = '\0';
    *body_out = copy;
    *body_bytes_out = (size_t)(p - copy);
    return METER_OK;
}

static bool is_quoted(const char *body, size_t body_bytes, size_t at, size_t bytes)
{
    return bytes >= 2 && at <= body_bytes && bytes <= body_bytes - at && body[at] == '"' &&
           body[at + bytes - 1] == '"';
}

static void sort(struct edit *edits, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && edits[j].at < edits[j - 1].at; j--) {
            struct edit swapped = edits[j];

            edits[j] = edits[j - 1];
            edits[j - 1] = swapped;
        }
}

enum meter_err meter_request_rewrite(const struct meter_request *request, const void *body,
                                     size_t body_bytes, const struct meter_rewrite *rewrite,
                                     char **body_out, size_t *body_bytes_out)
{
    struct edit edits[3];
    size_t count = 0;
    char number[CAP_TEXT];

    if (rewrite->cap_set && !request->rewritable)
        return METER_NO_REWRITE;
    if (rewrite->model != NULL &&
        !is_quoted(body, body_bytes, request->model_at, request->model_bytes))
        return METER_NO_REWRITE;
    if (rewrite->cap_set)
        edits[count++] = cap_edit(request, rewrite->cap, number);
    if (rewrite->ask_usage && request->ask_text != NULL)
        edits[count++] =
            (struct edit){request->ask_at, request->ask_bytes, {request->ask_text, NULL}};
    if (rewrite->model != NULL)
        edits[count++] = (struct edit){
            request->model_at, request->model_bytes, {"\"", rewrite->model, "\"", NULL}};
    if (count == 0)
        return METER_NO_REWRITE;
    sort(edits, count);
    return edits_make(edits, count, body, body_bytes, body_out, body_bytes_out);
}
