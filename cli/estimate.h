/* SPDX-License-Identifier: Apache-2.0 */
/* What a request would be held at, explained line by line: `flyball estimate`. */
#ifndef FLYBALL_CLI_ESTIMATE_H
#define FLYBALL_CLI_ESTIMATE_H

#include "meter/meter.h"

/* json: a recorded exchange, or a bare request object {method, url, headers, body}. *json_out: the
 * answer on one line without its end; *text_out: the same
 * for people, with line ends. Both to be freed. METER_BAD_EXCHANGE: it is no request; else what
 * meter_request_read says; *error has the reason. METER_NOMEM. */
METER_MUST_CHECK enum meter_err cli_estimate(const char *json, size_t bytes,
                                             const struct meter_price_book *book, char **json_out,
                                             char **text_out, struct meter_error *error);

#endif
