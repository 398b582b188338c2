/* SPDX-License-Identifier: Apache-2.0 */
/* Explaining a hold. The lines add up to it: the parts of the input's bound, what the context
 * window changes in them, fees, and the output at the cap. */
#include "cli/estimate.h"
#include "cli/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPICAL_OUTPUT 1024u /* tokens of an answer that nobody is surprised by */

struct estimate {
    struct cli_request request;
    bool priced;
    struct meter_price price;
    struct meter_hold_line hold;
    struct meter_hold_line typical;
    uint64_t typical_cap;
    json_t *lines;
};

/* ---- figures ------------------------------------------------------------------------------ */

/* The cost of some of the input alone, or of output alone; -1: no price. */
static int64_t cost_of(const struct estimate *estimate, uint64_t input, uint64_t output)
{
    struct meter_request part = estimate->request.request;
    struct meter_hold_line line;
    int64_t whole, rest;

    if (!estimate->priced)
        return -1;
    line = estimate->hold;
    if (output > 0) {
        line.input_fusd = 0;
        line.choices = 1;
        return meter_hold_cost(&line, output);
    }
    /* At the rates of the whole prompt: the difference that these tokens make. */
    memset(part.counts, 0, sizeof part.counts);
    part.context_window = part.unbounded = false;
    part.audio_input_tokens = 0;
    part.input_tokens = estimate->hold.input_tokens;
    meter_hold_line_make(&part, &estimate->price, &line);
    whole = meter_hold_cost(&line, 0);
    if (estimate->hold.input_tokens == 0 || whole == INT64_MAX)
        return whole;
    rest = (int64_t)((__extension__(unsigned __int128)(uint64_t) whole * input +
                      estimate->hold.input_tokens - 1) /
                     estimate->hold.input_tokens);
    return rest;
}

static uint64_t output_of(const struct meter_hold_line *line, uint64_t cap)
{
    struct meter_hold_line output = *line;

    output.input_tokens = 0;
    return meter_hold_tokens(&output, cap);
}

static json_t *tokens_json(uint64_t tokens)
{
    return tokens > INT64_MAX ? json_null() : json_integer((json_int_t)tokens);
}

static json_t *cost_json(const struct estimate *estimate, const struct meter_hold_line *line,
                         uint64_t cap)
{
    int64_t cost = meter_hold_cost(line, cap);

    return !estimate->priced || cost == INT64_MAX || line->input_tokens == UINT64_MAX
               ? json_null()
               : cli_usd_json(cost);
}

/* ---- lines -------------------------------------------------------------------------------- */

static void line_add(struct estimate *estimate, const char *what, const char *why, uint64_t tokens,
                     int64_t cost)
{
    json_t *line = json_object();

    (void)json_object_set_new(line, "what", json_string(what));
    (void)json_object_set_new(line, "tokens", tokens_json(tokens));
    (void)json_object_set_new(line, "cost_usd",
                              cost == INT64_MAX ? json_null() : cli_usd_json(cost));
    (void)json_object_set_new(line, "why", json_string(why));
    (void)json_array_append_new(estimate->lines, line);
}

static void window_line(struct estimate *estimate)
{
    uint64_t window = estimate->hold.input_tokens;
    const char *why = estimate->request.request.unbounded
                          ? "something that is billed besides, and that nothing bounds"
                      : window == UINT64_MAX
                          ? "content that the body does not carry, and no window is known"
                          : "content that the body does not carry: the whole window";

    line_add(estimate, "context window", why, window, cost_of(estimate, window, 0));
}

static void input_lines(struct estimate *estimate)
{
    const struct meter_request *request = &estimate->request.request;

    if (request->context_window || request->input_tokens >= METER_ANY_WINDOW) {
        window_line(estimate);
        return;
    }
    for (unsigned i = 0; i < request->line_count; i++) {
        uint64_t tokens = (uint64_t)request->lines[i].tokens;

        line_add(estimate, request->lines[i].what, request->lines[i].why, tokens,
                 cost_of(estimate, tokens, 0));
    }
    if (estimate->hold.input_tokens < request->input_tokens)
        line_add(estimate, "never above the context window", "all of the input together",
                 estimate->hold.input_tokens, cost_of(estimate, estimate->hold.input_tokens, 0));
}

static void output_line(struct estimate *estimate)
{
    const struct meter_hold_line *hold = &estimate->hold;
    uint64_t tokens = output_of(hold, hold->full_cap);
    int64_t cap = estimate->request.request.output_cap;
    const char *why = cap >= 0 && hold->full_cap > (uint64_t)cap
                          ? "the cap, and the model's own for the reasoning, which the cap spares"
                      : cap >= 0 ? "the cap that the request sets"
                      : hold->full_cap != UINT64_MAX
                          ? "no cap in the request: the model's own"
                          : "no cap in the request, and none is known of the model";

    if (hold->choices > 1)
        why = "the cap, for each choice";
    if (hold->full_cap == UINT64_MAX)
        tokens = UINT64_MAX;
    line_add(estimate, "output", why, tokens,
             tokens == UINT64_MAX ? INT64_MAX : cost_of(estimate, 0, tokens));
}

/* What is billed by number: the difference that each kind of it makes. */
static void fee_lines(struct estimate *estimate)
{
    int64_t with = meter_hold_cost(&estimate->hold, 0);

    for (unsigned i = 0; i < METER_COUNTS; i++) {
        struct meter_request without = estimate->request.request;
        struct meter_hold_line line;
        int64_t fee;

        if (without.counts[i] == 0 || !estimate->priced || with == INT64_MAX)
            continue;
        without.counts[i] = 0;
        meter_hold_line_make(&without, &estimate->price, &line);
        fee = with - meter_hold_cost(&line, 0);
        if (fee > 0)
            line_add(estimate, meter_count_name((enum meter_count)i),
                     "the fee of each that the request allows", UINT64_MAX, fee);
    }
}

/* ---- the two forms ------------------------------------------------------------------------ */

static json_t *figures_json(const struct estimate *estimate, const struct meter_hold_line *line,
                            uint64_t cap)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "input_tokens", tokens_json(line->input_tokens));
    (void)json_object_set_new(object, "output_tokens",
                              tokens_json(cap == UINT64_MAX ? cap : output_of(line, cap)));
    (void)json_object_set_new(object, "cost_usd", cost_json(estimate, line, cap));
    return object;
}

static json_t *estimate_json(const struct estimate *estimate)
{
    const struct meter_request *request = &estimate->request.request;
    json_t *object = json_object();

    (void)json_object_set_new(object, "provider",
                              json_string(meter_provider_name(request->provider)));
    (void)json_object_set_new(object, "api",
                              request->api != NULL ? json_string(meter_api_name(request->api))
                                                   : json_null());
    (void)json_object_set_new(
        object, "model", request->model[0] != '\0' ? json_string(request->model) : json_null());
    (void)json_object_set_new(object, "stream", json_boolean(request->stream));
    (void)json_object_set_new(object, "hold",
                              figures_json(estimate, &estimate->hold, estimate->hold.full_cap));
    (void)json_object_set_new(object, "typical",
                              figures_json(estimate, &estimate->typical, estimate->typical_cap));
    (void)json_object_set(object, "lines", estimate->lines);
    return object;
}

/* A JSON figure as text; "?" for null. */
static const char *text_of(const json_t *value, char out[METER_USD_TEXT])
{
    if (json_is_string(value))
        return json_string_value(value);
    if (!json_is_integer(value))
        return "?";
    (void)snprintf(out, METER_USD_TEXT, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return out;
}

static void figures_print(FILE *out, const char *label, const json_t *figures)
{
    char in[METER_USD_TEXT], made[METER_USD_TEXT], cost[METER_USD_TEXT];

    (void)fprintf(out, "%s: $%s (%s tokens in, %s out)\n", label,
                  text_of(json_object_get(figures, "cost_usd"), cost),
                  text_of(json_object_get(figures, "input_tokens"), in),
                  text_of(json_object_get(figures, "output_tokens"), made));
}

static char *text_make(const json_t *object)
{
    char *text = NULL;
    size_t bytes = 0, i;
    const json_t *line;
    FILE *out = open_memstream(&text, &bytes);

    if (out == NULL)
        return NULL;
    (void)fprintf(out, "%s %s %s\n", json_string_value(json_object_get(object, "provider")),
                  json_is_null(json_object_get(object, "api"))
                      ? "(unknown API)"
                      : json_string_value(json_object_get(object, "api")),
                  json_is_null(json_object_get(object, "model"))
                      ? "(no model named)"
                      : json_string_value(json_object_get(object, "model")));
    figures_print(out, "held at most", json_object_get(object, "hold"));
    figures_print(out, "typically   ", json_object_get(object, "typical"));
    json_array_foreach((json_t *)(uintptr_t)json_object_get(object, "lines"), i, line)
    {
        char tokens[METER_USD_TEXT], cost[METER_USD_TEXT];

        (void)fprintf(out, "  %-30s %12s  $%-14s %s\n",
                      json_string_value(json_object_get(line, "what")),
                      text_of(json_object_get(line, "tokens"), tokens),
                      text_of(json_object_get(line, "cost_usd"), cost),
                      json_string_value(json_object_get(line, "why")));
    }
    return fclose(out) == 0 ? text : NULL;
}

/* ---- entry -------------------------------------------------------------------------------- */

static void holds_make(struct estimate *estimate)
{
    const struct meter_price *price = estimate->priced ? &estimate->price : NULL;
    struct meter_request typical = estimate->request.request;

    meter_hold_line_make(&estimate->request.request, price, &estimate->hold);
    typical.input_tokens = typical.estimated_input_tokens;
    typical.context_window = typical.cache_write_5m = typical.cache_write_1h = false;
    typical.regional_open = false;
    typical.unbounded = false;
    if (typical.audio_input_tokens == UINT64_MAX)
        typical.audio_input_tokens = 0;
    typical.tier = typical.tier_open = METER_TIER_STANDARD;
    memset(typical.counts, 0, sizeof typical.counts);
    meter_hold_line_make(&typical, price, &estimate->typical);
    estimate->typical_cap =
        estimate->hold.full_cap < TYPICAL_OUTPUT ? estimate->hold.full_cap : TYPICAL_OUTPUT;
}

static enum meter_err forms_make(struct estimate *estimate, char **json_out, char **text_out)
{
    json_t *object = estimate_json(estimate);
    char *json = json_dumps(object, JSON_COMPACT), *text = text_make(object);

    json_decref(object);
    if (json == NULL || text == NULL) {
        free(json);
        free(text);
        return METER_NOMEM;
    }
    *json_out = json;
    *text_out = text;
    return METER_OK;
}

enum meter_err cli_estimate(const char *json, size_t bytes, const struct meter_price_book *book,
                            char **json_out, char **text_out, struct meter_error *error)
{
    struct estimate estimate = {.lines = json_array()};
    enum meter_err err = cli_request_read(json, bytes, book, &estimate.request, error);

    if (err == METER_OK) {
        estimate.priced = cli_price_find(&estimate.request, book, estimate.request.request.model,
                                         &estimate.price);
        holds_make(&estimate);
        input_lines(&estimate);
        fee_lines(&estimate);
        output_line(&estimate);
        err = forms_make(&estimate, json_out, text_out);
    }
    json_decref(estimate.lines);
    cli_request_release(&estimate.request);
    return err;
}
