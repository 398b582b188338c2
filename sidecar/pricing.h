/* SPDX-License-Identifier: Apache-2.0 */
/* What a call is priced at: by the book of its run, else as the user wants a model to be priced
 * that the book does not have. */
#ifndef FLYBALL_SIDECAR_PRICING_H
#define FLYBALL_SIDECAR_PRICING_H

#include "meter/meter.h"

struct side_call;

/* What a run's book said last, which most of its calls ask it again: of a caller that was silent
 * for a while the search is a tenth of all that is done before the ledger. The loop's. */
struct side_priced {
    const struct meter_provider *provider; /* NULL: nothing yet */
    char model[METER_MODEL_MAX];
    struct meter_price price;
};

/* In the loop: the price of a call that is asked about now. False: it has none. */
bool side_price_of(const struct side_call *call, struct meter_price *out);
/* What the user wants a model to be priced at that the book does not have (unknown_model: a row, or
 * the dearest of its provider). False: nothing. */
bool side_price_unknown(const struct side_call *call, int64_t when_s, struct meter_price *out);

#endif
