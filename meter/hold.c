/* SPDX-License-Identifier: Apache-2.0 */
/* The upper bound of a call as a line in its output cap. Every step errs towards more. */
#include "meter/meter_int.h"

#define THINKING_ROOM 1024u /* what an answer needs beside its thinking budget */
#define NO_SUM        (~(meter_wide)0)
#define CLOCK_S       60 /* how far the provider's clock may be from ours */

/* Whether a larger prompt, or another hour, is charged at other rates. */
static bool has_cliffs(const struct meter_price *price)
{
    const struct price_row *rows = price->rows;

    for (unsigned i = 0; rows != NULL && i < price->row_count; i++)
        if (rows[i].prompt_from > 0 || rows[i].hours != 0)
            return true;
    return false;
}

/* Tiers are cliffs, up or down: the dearer of the smallest prompt and this one, at the tier that
 * may be served and at the standard one. So are hours: what is sent now may count as of a minute
 * earlier or later. */
static void rates_bound(const struct meter_price *price, const struct meter_request *request,
                        uint64_t prompt_tokens, struct meter_rates *out)
{
    const enum meter_tier tiers[] = {METER_TIER_STANDARD, request->tier, request->tier_open};
    const uint64_t prompts[] = {0, prompt_tokens};
    static const int64_t clocks[] = {0, -CLOCK_S, CLOCK_S};
    struct meter_price_key key = {.regional = request->regional || request->regional_open};
    size_t cases = has_cliffs(price) ? COUNT_OF(prompts) * COUNT_OF(clocks) : 1;
    struct meter_rates rates;
    const char *name;

    key.when_s = price->when_s;
    meter_price_rates(price, &key, out, &name);
    for (size_t t = 0; t < COUNT_OF(tiers); t++)
        for (size_t i = 0; i < cases; i++) {
            if (t > 0 && tiers[t] == METER_TIER_STANDARD)
                break;
            key.tier = tiers[t];
            key.prompt_tokens = prompts[i % COUNT_OF(prompts)];
            key.when_s = price->when_s + clocks[i / COUNT_OF(prompts)];
            meter_price_rates(price, &key, &rates, &name);
            price_rates_raise(out, &rates);
        }
}

/* factor quarters of a rate, rounded up, where the row has none of its own. */
static uint64_t write_rate(const struct meter_request *request, uint64_t own, uint64_t input,
                           unsigned quarters)
{
    bool defaults = request->api != NULL && request->api->family == TEXT_ANTHROPIC;

    if (own != METER_NO_RATE || !defaults || input == METER_NO_RATE)
        return own;
    return meter_add(meter_mul(input / 4, quarters), quarters);
}

/* The dearest that a token of the prompt can cost. */
static uint64_t input_rate(const struct meter_request *request, const struct meter_rates *rates)
{
    uint64_t input = rates->token[METER_INPUT], rate = input;

    rate = price_dearer(rate, rates->token[METER_CACHE_READ]);
    rate = price_dearer(rate, rates->token[METER_IMAGE_IN]);
    if (request->cache_write_5m)
        rate =
            price_dearer(rate, write_rate(request, rates->token[METER_CACHE_WRITE_5M], input, 5));
    if (request->cache_write_1h)
        rate =
            price_dearer(rate, write_rate(request, rates->token[METER_CACHE_WRITE_1H], input, 8));
    return rate;
}

static uint64_t output_rate(const struct meter_rates *rates)
{
    uint64_t rate = price_dearer(rates->token[METER_OUTPUT], rates->token[METER_AUDIO_OUT]);

    return price_dearer(rate, rates->token[METER_IMAGE_OUT]);
}

static void sum_add(meter_wide *sum, uint64_t count, uint64_t rate)
{
    meter_wide product = (meter_wide)count * rate;

    if (count == 0 || *sum == NO_SUM)
        return;
    if (rate == METER_NO_RATE || *sum > NO_SUM - product)
        *sum = NO_SUM;
    else
        *sum += product;
}

/* Searches cost something everywhere, with a free model too: where the price has no fee of them,
 * and none of the call that they may be part of, nobody can say how much. */
static bool fee_is_missing(const struct meter_price *price, const struct meter_rates *rates,
                           unsigned count)
{
    return (count == METER_WEB_SEARCHES || count == METER_FILE_SEARCHES) &&
           (price->free || (rates->count[count] == METER_NO_RATE &&
                            rates->count[METER_REQUESTS] == METER_NO_RATE));
}

/* The call itself, where it has a fee, and what else the request may be billed for by number;
 * whole_out: one of them can be the price of the call, so that tokens without a rate cost nothing.
 * false: some of it has no bound. */
static bool counts_price(const struct meter_request *request, const struct meter_price *price,
                         const struct meter_rates *rates, meter_wide *sum, bool *whole_out)
{
    bool bounded = true;

    *whole_out = false;
    for (unsigned i = 0; i < METER_COUNTS; i++) {
        uint64_t count = i == METER_REQUESTS ? 1 : request->counts[i];
        bool open = i == METER_SECONDS && request->seconds_open;

        if (count == 0 && !open)
            continue;
        bounded = bounded && !fee_is_missing(price, rates, i);
        if (rates->count[i] == METER_NO_RATE)
            continue;
        bounded = bounded && !open;
        sum_add(sum, count, rates->count[i]);
        *whole_out = *whole_out || price_fee_whole((enum meter_count)i);
    }
    return bounded;
}

/* More than any limit. What it costs stays the guess that it was, for runs without one, but is not
 * nothing. */
static void unbound(struct meter_hold_line *line)
{
    line->input_tokens = UINT64_MAX;
    if (line->input_fusd == 0)
        line->input_fusd = 1;
}

static void line_price(const struct meter_request *request, const struct meter_price *price,
                       struct meter_hold_line *out)
{
    uint64_t audio = request->audio_input_tokens, rate;
    struct meter_rates rates;
    bool bounded, whole;

    rates_bound(price, request, out->input_tokens, &rates);
    bounded = counts_price(request, price, &rates, &out->input_fusd, &whole);
    rate = input_rate(request, &rates);
    if (whole && rate == METER_NO_RATE)
        rate = 0;
    if (audio > out->input_tokens)
        audio = out->input_tokens;
    out->priced = true;
    sum_add(&out->input_fusd, out->input_tokens - audio, rate);
    sum_add(&out->input_fusd, audio, price_dearer(rate, rates.token[METER_AUDIO_IN]));
    out->output_rate = output_rate(&rates);
    if (whole && out->output_rate == METER_NO_RATE)
        out->output_rate = 0;
    if (!bounded)
        unbound(out);
}

static uint64_t window_of(const struct meter_price *price)
{
    return price != NULL && price->context_tokens > 0 ? price->context_tokens : UINT64_MAX;
}

/* Reasoning that the cap does not count is bounded by the model alone, and no cap that is set would
 * change that. */
static bool reasons_beyond(const struct meter_request *request, const struct meter_price *price)
{
    return request->cap_of_text &&
           (request->thinks || price == NULL || price->hidden_tokens_per_second > 0);
}

static uint64_t reasoning_bound(const struct meter_request *request,
                                const struct meter_price *price, uint64_t own)
{
    if (!reasons_beyond(request, price))
        return 0;
    if (!request->thinks)
        return own;
    return request->thinking_budget > 0 ? (uint64_t)request->thinking_budget : window_of(price);
}

static uint64_t output_bound(const struct meter_request *request, const struct meter_price *price)
{
    uint64_t own = price != NULL && price->output_tokens > 0 ? price->output_tokens : UINT64_MAX;

    uint64_t reasoning = reasoning_bound(request, price, own);

    if (request->output_cap < 0)
        return request->thinks ? meter_add(own, reasoning) : own;
    return meter_add((uint64_t)request->output_cap, reasoning);
}

void meter_hold_line_make(const struct meter_request *request, const struct meter_price *price,
                          struct meter_hold_line *out)
{
    bool filled = request->context_window || request->input_tokens >= METER_ANY_WINDOW;
    uint64_t window = window_of(price), least = THINKING_ROOM;
    struct meter_hold_line line = {.choices = request->choices, .rewritable = request->rewritable};

    line.input_tokens = request->input_tokens;
    if (!request->several && (filled || line.input_tokens > window))
        line.input_tokens = window;
    line.full_cap = output_bound(request, price);
    if (request->thinking_budget > 0)
        least = meter_add(least, (uint64_t)request->thinking_budget);
    line.smallest_cap = line.full_cap < least ? line.full_cap : least;
    if (reasons_beyond(request, price)) {
        line.rewritable = false;
        line.smallest_cap = line.full_cap;
    }
    if (price != NULL)
        line_price(request, price, &line);
    /* Several inputs may fill a window each, of nobody knows how many. */
    if (request->unbounded || (request->several && filled))
        unbound(&line);
    *out = line;
}

int64_t meter_hold_cost(const struct meter_hold_line *line, uint64_t cap)
{
    meter_wide sum = line->input_fusd;
    uint64_t output = meter_mul(line->choices, cap);
    int64_t pusd;

    if (!line->priced)
        return INT64_MAX;
    if (output == UINT64_MAX && line->output_rate > 0)
        return INT64_MAX;
    sum_add(&sum, output, line->output_rate);
    if (sum == NO_SUM || !money_pusd_from_fusd(sum, &pusd))
        return INT64_MAX;
    return pusd;
}

uint64_t meter_hold_tokens(const struct meter_hold_line *line, uint64_t cap)
{
    return meter_add(line->input_tokens, meter_mul(line->choices, cap));
}
