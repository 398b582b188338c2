/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: reading a request that ends at an unreadable page. */
#ifndef FLYBALL_TESTS_REQUESTS_H
#define FLYBALL_TESTS_REQUESTS_H

#include "meter/meter_int.h"
#include "tests/unit/guard.h"

#define CHAT       "/v1/chat/completions"
#define RESP       "/v1/responses"
#define MESS       "/v1/messages"
#define GEMI       "/v1beta/models/gemini-2.5-flash:generateContent"
#define PNG_1X1    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
#define PNG_8K     "iVBORw0KGgoAAAANSUhEUgAAIAAAACAACAYAAAAfFcSJ" /* 8192 x 8192 */
#define MP3_BASE64 "//uQRAAAAAAA"                                 /* 128 kbit/s */
#define PDF        "JVBERi0xLjQKJcOkw7zDtsOf"

static inline enum meter_err read_at(const char *host, const char *method, const char *path,
                                     const char *body, size_t bytes, struct meter_request *out,
                                     struct meter_error *error)
{
    struct meter_target target = {.method = method, .host = host, .path = path};
    struct guarded copy = guarded_copy(body, bytes);
    enum meter_err err = meter_request_read(&target, copy.bytes, bytes, out, error);

    guarded_free(&copy);
    return err;
}

static inline enum meter_err read_body(const char *path, const char *body,
                                       struct meter_request *out, struct meter_error *error)
{
    return read_at("example.com", "POST", path, body, strlen(body), out, error);
}

/* Sets the output cap alone. */
static inline enum meter_err recap(const struct meter_request *request, const char *body,
                                   size_t bytes, uint64_t cap, char **body_out, size_t *bytes_out)
{
    const struct meter_rewrite rewrite = {.cap_set = true, .cap = cap};

    return meter_request_rewrite(request, body, bytes, &rewrite, body_out, bytes_out);
}

#endif
