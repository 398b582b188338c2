/* SPDX-License-Identifier: Apache-2.0 */
/* The charge of a call, by how it ended (docs/METERING.md). Where a figure cannot be had the hold
 * is charged: an unknown cost is never a small one. */
#include "meter/answer.h"

#include <stdio.h>

#define BROKEN_TOKENS 64u /* made by the model and not delivered any more */

const char *meter_provenance_text(enum meter_provenance provenance)
{
    static const char *const texts[] = {
        [METER_PROVIDER_REPORTED] = "provider-reported",
        [METER_MEASURED] = "measured",
        [METER_ESTIMATED] = "estimated",
        [METER_MISSING] = "missing",
    };

    return texts[provenance];
}

/* ---- prices ------------------------------------------------------------------------------- */

static bool any_token(const uint64_t tokens[METER_BUCKETS])
{
    uint64_t any = 0;

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        any |= tokens[i];
    return any != 0;
}

/* The counts that have a fee. A count that can be the price of a call and has none is no price,
 * unless tokens are; one that has a fee is, and *whole_out says so. */
static enum meter_err fees_of(const struct meter_rates *rates, const uint64_t tokens[METER_BUCKETS],
                              const uint64_t counts[METER_COUNTS], uint64_t out[METER_COUNTS],
                              bool *whole_out)
{
    *whole_out = false;
    for (unsigned i = 0; i < METER_COUNTS; i++) {
        bool whole = counts[i] > 0 && price_fee_whole((enum meter_count)i);

        out[i] = rates->count[i] == METER_NO_RATE ? 0 : counts[i];
        if (whole && i != METER_REQUESTS && out[i] == 0 && !any_token(tokens))
            return METER_NO_PRICE;
        *whole_out = *whole_out || (whole && out[i] > 0);
    }
    return METER_OK;
}

/* The cost at these rates. Images without a rate of their own are input like text, which is how all
 * vendors list models that only read them; sound without one has no price. Calls without a fee of
 * their own cost nothing, nor do tokens without a rate where a count is the price of the call. */
static enum meter_err cost_at(const struct meter_rates *rates, const uint64_t tokens[METER_BUCKETS],
                              const uint64_t counts[METER_COUNTS], int64_t *cost_out)
{
    uint64_t priced[METER_BUCKETS], fees[METER_COUNTS];
    bool whole;
    enum meter_err err = fees_of(rates, tokens, counts, fees, &whole);

    if (err != METER_OK)
        return err;
    memcpy(priced, tokens, sizeof priced);
    if (rates->token[METER_IMAGE_IN] == METER_NO_RATE) {
        priced[METER_INPUT] = meter_add(priced[METER_INPUT], priced[METER_IMAGE_IN]);
        priced[METER_IMAGE_IN] = 0;
    }
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        if (whole && rates->token[i] == METER_NO_RATE && rates->token[METER_INPUT] == METER_NO_RATE)
            priced[i] = 0;
    return meter_price_cost(rates, priced, fees, cost_out);
}

static uint64_t prompt_of(const uint64_t tokens[METER_BUCKETS])
{
    uint64_t sum = 0;

    for (unsigned i = METER_INPUT; i <= METER_IMAGE_IN; i++)
        sum = meter_add(sum, tokens[i]);
    return sum;
}

static enum meter_err price_of(const struct meter_settling *settling, const char *model,
                               struct meter_price *out)
{
    if (settling->book == NULL || model[0] == '\0')
        return METER_NO_PRICE;
    return meter_price_find(settling->book, settling->request->provider, model, settling->when_s,
                            out);
}

/* At Azure a name asked for is a deployment's, as its owner likes: it says nothing of a model that
 * was served under another name. */
static bool name_misleads(const struct meter_settling *settling)
{
    const struct meter_usage *usage = settling->usage;

    return usage != NULL && usage->warnings & METER_WARN_MODEL &&
           provider_id_of(settling->request->provider) == PROVIDER_AZURE_OPENAI;
}

static enum meter_err price_served(const struct meter_settling *settling, struct meter_price *out)
{
    const struct meter_usage *usage = settling->usage;
    enum meter_err err = METER_NO_PRICE;

    if (usage != NULL)
        err = price_of(settling, usage->reported.model, out);
    if (err != METER_OK && !name_misleads(settling))
        err = price_of(settling, settling->request->model, out);
    if (err != METER_OK && settling->fallback != NULL) {
        *out = *settling->fallback;
        err = METER_OK;
    }
    return err;
}

static struct meter_price_key key_of(const struct meter_settling *settling,
                                     const uint64_t tokens[METER_BUCKETS])
{
    const struct meter_request *request = settling->request;

    return (struct meter_price_key){
        .prompt_tokens = prompt_of(tokens),
        .tier = settling->usage != NULL ? settling->usage->tier : request->tier,
        .regional = settling->usage != NULL ? settling->usage->regional : request->regional,
        .when_s = settling->when_s,
    };
}

static void text_copy(char *out, size_t room, const char *text)
{
    (void)snprintf(out, room, "%s", text);
}

/* Parts of other models at their own prices; one without a price is charged as the main model. */
static enum meter_err parts_cost(const struct meter_settling *settling,
                                 const struct meter_price *main, int64_t *sum)
{
    static const uint64_t no_counts[METER_COUNTS];
    const struct meter_usage *usage = settling->usage;
    enum meter_err err = METER_OK;

    for (unsigned i = 0; usage != NULL && i < usage->part_count && err == METER_OK; i++) {
        const struct meter_part *part = &usage->parts[i];
        const struct meter_price_key key = key_of(settling, part->tokens);
        struct meter_price price = *main;
        struct meter_rates rates;
        const char *name;
        int64_t cost;

        (void)(price_of(settling, part->model, &price) == METER_OK);
        meter_price_rates(&price, &key, &rates, &name);
        err = cost_at(&rates, part->tokens, no_counts, &cost);
        if (err == METER_OK && __builtin_add_overflow(*sum, cost, sum))
            err = METER_OVERFLOW;
    }
    return err;
}

/* ---- the bill being made ------------------------------------------------------------------ */

struct making {
    const struct meter_settling *settling;
    struct meter_bill *out;
    bool priced;
    struct meter_price price;
    uint64_t main[METER_BUCKETS]; /* without the parts of other models */
    uint64_t counts[METER_COUNTS];
};

static void price_fill(struct making *making)
{
    struct meter_bill *out = making->out;

    if (!making->priced)
        return;
    text_copy(out->row, sizeof out->row, making->price.row);
    text_copy(out->row_from, sizeof out->row_from, making->price.from);
}

static uint64_t sum_of(const uint64_t tokens[METER_BUCKETS])
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        sum = meter_add(sum, tokens[i]);
    return sum;
}

static void tokens_fill(struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;
    struct meter_bill *out = making->out;

    memcpy(out->tokens, making->main, sizeof out->tokens);
    for (unsigned p = 0; usage != NULL && p < usage->part_count; p++)
        for (unsigned i = 0; i < METER_BUCKETS; i++)
            out->tokens[i] = meter_add(out->tokens[i], usage->parts[p].tokens[i]);
    out->tokens_total = sum_of(out->tokens);
}

/* The computed cost of what making says; -1 without a price, the hold where it does not fit. */
static void cost_fill(struct making *making)
{
    const struct meter_settling *settling = making->settling;
    const struct meter_price_key key = key_of(settling, making->main);
    struct meter_bill *out = making->out;
    struct meter_rates rates;
    const char *name;
    enum meter_err err;

    if (!making->priced)
        return;
    meter_price_rates(&making->price, &key, &rates, &name);
    text_copy(out->tier, sizeof out->tier, name);
    making->counts[METER_REQUESTS] = 1; /* a billed call is one, where that has a fee */
    err = cost_at(&rates, making->main, making->counts, &out->cost_pusd);
    if (err == METER_OK)
        err = parts_cost(settling, &making->price, &out->cost_pusd);
    if (err == METER_OVERFLOW)
        out->cost_pusd = INT64_MAX;
    else if (err != METER_OK)
        out->cost_pusd = -1;
}

/* What the ledger books: what the provider says that it took, else tokens at our prices, else what
 * a gateway reckons, else the hold. */
static void charge_fill(struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;
    enum meter_cost told = usage != NULL ? usage->cost : METER_COST_NONE;
    struct meter_bill *out = making->out;

    out->charged_pusd = out->cost_pusd;
    out->charged_by = "price";
    if (told == METER_COST_CHARGED || (told == METER_COST_ESTIMATED && out->cost_pusd < 0)) {
        out->charged_pusd = out->provider_cost_pusd;
        out->charged_by = told == METER_COST_CHARGED ? "provider" : "gateway";
    }
    if (out->charged_pusd < 0) {
        out->charged_pusd = making->settling->held_pusd;
        out->charged_by = "hold";
    }
}

/* "At most the hold", in tokens and money. */
static void hold_ceiling(struct making *making)
{
    const struct meter_settling *settling = making->settling;
    struct meter_bill *out = making->out;

    if (out->tokens_total > settling->held_tokens)
        out->tokens_total = settling->held_tokens;
    if (settling->held_pusd >= 0 && out->charged_pusd > settling->held_pusd)
        out->charged_pusd = settling->held_pusd;
}

/* ---- the cases ---------------------------------------------------------------------------- */

static void bill_nothing(struct making *making, enum meter_provenance provenance)
{
    making->out->provenance = provenance;
    making->out->charged_by = "provider";
    making->out->cost_pusd = 0;
    making->out->charged_pusd = 0;
}

/* What the body does not carry is reckoned at what was held for it, where that was bounded. */
static uint64_t input_estimate(const struct making *making)
{
    const struct meter_settling *settling = making->settling;
    uint64_t output = meter_mul(settling->request->choices, settling->held_cap);
    uint64_t estimated = settling->request->estimated_input_tokens;
    uint64_t held = settling->held_tokens > output ? settling->held_tokens - output : 0;
    bool bounded = settling->held_tokens < METER_ANY_WINDOW;

    return settling->request->context_window && bounded && held > estimated ? held : estimated;
}

/* The tokens of a hold; of one without a bound, of which no limit was in the way, what is usual. */
static uint64_t tokens_held(const struct making *making)
{
    const struct meter_settling *settling = making->settling;
    uint64_t output = meter_mul(settling->request->choices, settling->held_cap);

    if (settling->held_tokens < METER_ANY_WINDOW)
        return settling->held_tokens;
    return meter_add(input_estimate(making), output < METER_ANY_WINDOW ? output : 0);
}

static void bill_hold(struct making *making)
{
    making->out->provenance = METER_MISSING;
    making->out->charged_unknown = true;
    making->out->charged_by = "hold";
    making->out->tokens_total = tokens_held(making);
    making->out->charged_pusd = making->settling->held_pusd;
}

static void input_alone(struct making *making)
{
    memset(making->main, 0, sizeof making->main);
    making->main[METER_INPUT] = input_estimate(making);
}

/* Beside a text that was delivered, a missing or unreadable figure of the output is not none, and
 * one from before its end is not all. */
static bool output_missing(const struct meter_usage *usage, uint64_t *least_out)
{
    int64_t reasoning = usage->reported.reasoning_tokens;

    *least_out = meter_add(usage->delivered_tokens, reasoning > 0 ? (uint64_t)reasoning : 0);
    return usage->delivered_tokens > 0 && *least_out > usage->tokens[METER_OUTPUT] &&
           (usage->reported.output_tokens < 0 || usage->uncounted ||
            usage->warnings & METER_WARN_BAD_USAGE);
}

static void bill_reported(struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;
    uint64_t least;

    making->out->provenance = METER_PROVIDER_REPORTED;
    if (usage->reported.input_tokens < 0) { /* a prompt of nothing is none: the figure is missing */
        making->main[METER_INPUT] = meter_add(making->main[METER_INPUT], input_estimate(making));
        making->out->provenance = METER_ESTIMATED;
    }
    if (output_missing(usage, &least)) {
        making->main[METER_OUTPUT] = least;
        making->out->provenance = METER_ESTIMATED;
    }
    tokens_fill(making);
    cost_fill(making);
    charge_fill(making);
}

/* Whether the model may have reasoned on, with nothing that would tell how much. An API that shows
 * where thoughts are says by that whether there were any. */
static bool is_hidden(const struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;
    const struct meter_api *api = making->settling->request->api;
    bool shows = api != NULL && api->family == TEXT_ANTHROPIC;

    if (!making->priced || making->price.hidden_tokens_per_second == 0)
        return false;
    return usage == NULL || (!usage->counted_output && (!shows || usage->reasoned));
}

static uint64_t broken_output(const struct meter_usage *usage)
{
    uint64_t output = usage != NULL ? usage->delivered_tokens : 0;

    if (usage != NULL && usage->last_output_tokens > 0 &&
        (uint64_t)usage->last_output_tokens > output)
        output = (uint64_t)usage->last_output_tokens;
    return meter_add(output, BROKEN_TOKENS);
}

/* What the model may have made in the time, up to the cap; never less than what was seen of it. */
static uint64_t hidden_output(const struct making *making, uint64_t least)
{
    const struct meter_settling *settling = making->settling;
    meter_wide tokens =
        ((meter_wide)settling->sent_ms * making->price.hidden_tokens_per_second + 999) / 1000;

    if (tokens > settling->held_cap)
        tokens = settling->held_cap;
    return tokens > least ? (uint64_t)tokens : least;
}

static bool is_wordless(const struct meter_settling *settling)
{
    const struct meter_api *api = settling->request->api;

    if (settling->usage != NULL)
        return settling->usage->wordless;
    return api != NULL && api->adapter != NULL && api->adapter->wordless;
}

/* A picture or sound was made, priced by tokens that no text shows. */
static bool output_unknown(const struct making *making)
{
    const struct meter_price_key key = key_of(making->settling, making->main);
    bool priced = false, whole = false;
    struct meter_rates rates;
    const char *name;

    if (!making->priced || !is_wordless(making->settling))
        return false;
    meter_price_rates(&making->price, &key, &rates, &name);
    for (unsigned i = METER_OUTPUT; i <= METER_IMAGE_OUT; i++)
        priced |= rates.token[i] != METER_NO_RATE && rates.token[i] > 0;
    for (unsigned i = 0; i < METER_COUNTS; i++)
        whole |= price_fee_whole((enum meter_count)i) && rates.count[i] != METER_NO_RATE;
    return priced && !whole;
}

static void bill_estimated(struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;

    if (output_unknown(making)) {
        bill_hold(making);
        return;
    }
    input_alone(making);
    making->main[METER_OUTPUT] = usage->delivered_tokens;
    if (is_hidden(making))
        making->main[METER_OUTPUT] = hidden_output(making, usage->delivered_tokens);
    making->out->provenance = METER_ESTIMATED;
    tokens_fill(making);
    cost_fill(making);
    charge_fill(making);
    hold_ceiling(making);
}

static void bill_broken(struct making *making)
{
    const struct meter_usage *usage = making->settling->usage;
    bool hidden = is_hidden(making);

    if (making->settling->request->hold_if_broken || is_wordless(making->settling)) {
        bill_hold(making);
        return;
    }
    if (usage == NULL || usage->reported.input_tokens < 0)
        input_alone(making);
    making->main[METER_AUDIO_OUT] = making->main[METER_IMAGE_OUT] = 0;
    making->main[METER_OUTPUT] = broken_output(usage);
    if (hidden)
        making->main[METER_OUTPUT] = hidden_output(making, making->main[METER_OUTPUT]);
    making->out->provenance = hidden ? METER_ESTIMATED : METER_MEASURED;
    tokens_fill(making);
    cost_fill(making);
    charge_fill(making);
    hold_ceiling(making);
}

/* ---- which case it is: the first row whose condition holds --------------------------------- */

static bool is_unsent(const struct meter_settling *s)
{
    return s->end == METER_END_UNSENT;
}

static bool is_tap_lost(const struct meter_settling *s)
{
    return s->end == METER_END_TAP_LOST;
}

static bool is_free(const struct meter_settling *s)
{
    return s->request->kind == METER_READ_ONLY || (s->usage != NULL && !s->usage->billable);
}

static bool is_strange(const struct meter_settling *s)
{
    return s->usage != NULL && s->usage->strange && !s->usage->usage_seen;
}

static bool is_reported(const struct meter_settling *s)
{
    return s->usage != NULL && s->usage->complete && s->usage->usage_seen;
}

static bool is_silent(const struct meter_settling *s)
{
    return s->usage != NULL && s->usage->complete;
}

static bool is_stream(const struct meter_settling *s)
{
    return s->request->stream || (s->usage != NULL && s->usage->streamed);
}

static bool always(const struct meter_settling *s)
{
    (void)s;
    return true;
}

static void bill_unsent(struct making *making)
{
    bill_nothing(making, METER_MEASURED);
}

static void bill_free(struct making *making)
{
    bill_nothing(making, METER_PROVIDER_REPORTED);
}

static const struct {
    bool (*applies)(const struct meter_settling *settling);
    void (*bill)(struct making *making);
} cases[] = {
    {is_unsent, bill_unsent}, {is_tap_lost, bill_hold},     {is_free, bill_free},
    {is_strange, bill_hold},  {is_reported, bill_reported}, {is_silent, bill_estimated},
    {is_stream, bill_broken}, {always, bill_hold},
};

void meter_bill_make(const struct meter_settling *settling, struct meter_bill *out)
{
    const struct meter_usage *usage = settling->usage;
    struct making making = {.settling = settling, .out = out};
    size_t i = 0;

    memset(out, 0, sizeof *out);
    out->cost_pusd = out->provider_cost_pusd = out->charged_pusd = -1;
    out->charged_by = "hold";
    if (usage != NULL) {
        out->provider_cost_pusd = usage->provider_cost_pusd;
        memcpy(making.main, usage->tokens, sizeof making.main);
        memcpy(making.counts, usage->counts, sizeof making.counts);
    }
    making.priced = price_served(settling, &making.price) == METER_OK;
    price_fill(&making);
    while (!cases[i].applies(settling))
        i++;
    cases[i].bill(&making);
}
