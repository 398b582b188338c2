/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded exchanges with a provider: what `flyball meter` and `flyball estimate` read.
 *
 * An exchange is a JSON object: request {method, url, headers, body}, response {status, headers,
 * body_text or body_base64, chunk_sizes}; everything else in it is ignored. Provider and API are
 * found from the request's method and URL. Sending time is the response's Date, else the price
 * book's. */
#ifndef FLYBALL_CLI_EXCHANGE_H
#define FLYBALL_CLI_EXCHANGE_H

#include <jansson.h>

#include "meter/meter.h"

/* One exchange as one line of JSON, without a line end; free()
 * it. METER_BAD_EXCHANGE: it is none, or its request cannot be read; *error says why. METER_NOMEM.
 */
METER_MUST_CHECK enum meter_err cli_exchange_meter(const char *json, size_t bytes,
                                                   const struct meter_price_book *book,
                                                   char **line_out, struct meter_error *error);

/* A file of exchanges: one object, a JSON array of them, or one a line. Gives the next object's
 * text, from *at on, and moves *at behind it; start with *at = 0. false: no more. */
bool cli_exchange_next(const char *text, size_t bytes, size_t *at, const char **json_out,
                       size_t *json_bytes_out);

/* For estimates: the request in an exchange, or a bare request object. */
struct cli_request {
    json_t *root; /* owns what the others point into */
    char *body;   /* malloc, or NULL: then the body is in root */
    struct meter_request request;
    bool unread; /* its body could not be read: the request is that of an empty one */
    int64_t when_s;
};
METER_MUST_CHECK enum meter_err cli_request_read(const char *json, size_t bytes,
                                                 const struct meter_price_book *book,
                                                 struct cli_request *out,
                                                 struct meter_error *error);
void cli_request_release(struct cli_request *request); /* half-built and zeroed ones too */

/* Pico-dollars as a JSON string, null below 0. */
json_t *cli_usd_json(int64_t pusd);
/* The price of a model for a request; false: none. */
bool cli_price_find(const struct cli_request *request, const struct meter_price_book *book,
                    const char *model, struct meter_price *out);

#endif
