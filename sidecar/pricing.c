/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pricing.h"

#include <string.h>

#include "sidecar/side_int.h"

#define DAY_S 86400

/* The row that the user named, "provider/model". */
static bool price_of_row(const struct side_call *call, int64_t when_s, struct meter_price *out)
{
    const char *row = call->run->spec.unknown_row, *slash = strchr(row, '/');
    char provider[METER_NAME_MAX];

    if (slash == NULL || (size_t)(slash - row) >= sizeof provider)
        return false;
    memcpy(provider, row, (size_t)(slash - row));
    provider[slash - row] = '\0';
    return meter_price_find_named(side_run_book(call->run), provider, slash + 1, when_s, out) ==
           METER_OK;
}

bool side_price_unknown(const struct side_call *call, int64_t when_s, struct meter_price *out)
{
    if (call->request.kind == METER_UNKNOWN) /* nobody has read the body */
        return false;
    if (call->run->spec.unknown_model == SIDE_UNKNOWN_ROW)
        return price_of_row(call, when_s, out);
    return call->run->spec.unknown_model == SIDE_UNKNOWN_CAP &&
           meter_price_cap(side_run_book(call->run), call->request.provider, when_s, out) ==
               METER_OK;
}

/* Prices begin at midnight, UTC. */
static bool is_that(const struct side_priced *last, const struct meter_request *request,
                    int64_t now_s)
{
    return last->provider != NULL && last->provider == request->provider &&
           last->price.when_s / DAY_S == now_s / DAY_S && strcmp(last->model, request->model) == 0;
}

static bool price_of_book(struct side_run *run, const struct meter_request *request, int64_t now_s,
                          struct meter_price *out)
{
    struct side_priced *last = &run->priced;

    if (is_that(last, request, now_s)) {
        *out = last->price;
        out->when_s = now_s;
        return true;
    }
    if (meter_price_find(side_run_book(run), request->provider, request->model, now_s, out) !=
        METER_OK)
        return false;
    last->provider = request->provider;
    memcpy(last->model, request->model, sizeof last->model);
    last->price = *out;
    return true;
}

bool side_price_of(const struct side_call *call, struct meter_price *out)
{
    int64_t now_s = side_now_ns() / 1000000000;

    return (call->request.kind != METER_UNKNOWN &&
            price_of_book(call->run, &call->request, now_s, out)) ||
           side_price_unknown(call, now_s, out);
}
