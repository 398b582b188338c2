/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the output cap in a body: the bytes around the number stay what they were. */
#include "meter/meter_int.h"

#include <stdio.h>

#define CAP_TEXT 24u

enum meter_err meter_request_recap(const struct meter_request *request, const void *body,
                                   size_t body_bytes, uint64_t cap, char **body_out,
                                   size_t *body_bytes_out)
{
    const char *prefix = request->cap_prefix != NULL ? request->cap_prefix : "";
    const char *suffix = request->cap_suffix != NULL ? request->cap_suffix : "";
    char number[CAP_TEXT];
    size_t digits = (size_t)snprintf(number, CAP_TEXT, "%llu", (unsigned long long)cap);
    size_t middle = strlen(prefix) + digits + strlen(suffix);
    size_t tail_at = request->cap_at + request->cap_bytes;
    /* A number in the place of an old one gets blanks behind it, so that the length may stay. */
    size_t blanks = *prefix == '\0' ? (size_t)meter_less(request->cap_bytes, digits) : 0;
    char *copy, *p;

    if (!request->rewritable || tail_at > body_bytes)
        return METER_NO_REWRITE;
    copy = malloc(body_bytes - request->cap_bytes + middle + blanks + 1);
    if (copy == NULL)
        return METER_NOMEM;
    p = mempcpy(copy, body, request->cap_at);
    p = mempcpy(p, prefix, strlen(prefix));
    p = mempcpy(p, number, digits);
    p = mempcpy(p, suffix, strlen(suffix));
    memset(p, ' ', blanks);
    p = mempcpy(p + blanks, (const char *)body + tail_at, body_bytes - tail_at);
    *p = '\0';
    *body_out = copy;
    *body_bytes_out = (size_t)(p - copy);
    return METER_OK;
}
