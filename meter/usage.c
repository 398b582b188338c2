/* SPDX-License-Identifier: Apache-2.0 */
/* The usage record: from what an answer said to disjoint buckets, and whether it is billed. */
#include "meter/answer.h"

#include <stdio.h>

const char *meter_warning_text(enum meter_warning bit)
{
    static const struct {
        enum meter_warning bit;
        const char *text;
    } texts[] = {
        {METER_WARN_TOTAL, "the parts do not add up to the provider's total"},
        {METER_WARN_CLAMPED, "a part was larger than its whole"},
        {METER_WARN_BAD_USAGE, "a usage figure is not a usable number"},
        {METER_WARN_UNDECODABLE, "the body could not be decompressed to its end"},
        {METER_WARN_LONG_LINE, "a line of the stream is longer than 256 KiB"},
        {METER_WARN_UNKNOWN_FIELD, "the usage has a token field that is not known here"},
        {METER_WARN_MODEL, "another model was served than the one asked for"},
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (texts[i].bit == bit)
            return texts[i].text;
    return NULL;
}

int64_t answer_or_zero(int64_t figure)
{
    return figure > 0 ? figure : 0;
}

int64_t answer_cached(const struct answer *answer)
{
    int64_t cached = answer->number[ANSWER_CACHED];

    return cached >= 0 ? cached : answer->number[ANSWER_CACHED_TOO];
}

uint64_t answer_take(uint64_t *whole, int64_t part, unsigned *warnings)
{
    uint64_t want = (uint64_t)answer_or_zero(part);
    uint64_t taken = want < *whole ? want : *whole;

    if (taken < want)
        *warnings |= METER_WARN_CLAMPED;
    *whole -= taken;
    return taken;
}

/* ---- whether it is billed ----------------------------------------------------------------- */

/* Statuses of gateways that gave up waiting: whether the model worked on is not known, unless the
 * provider's own error body says that it is the sender. */
static bool may_be_billed(int status)
{
    static const int statuses[] = {504, 520, 522, 524};
    bool found = false;

    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        found |= statuses[i] == status;
    return found;
}

/* Whether an error within an answer of status 200 is billed is not known, unless its name says that
 * nothing was made: some providers bill the prompt that they looked at. */
static bool is_billed(const struct answer *answer, const struct answer_adapter *adapter,
                      const struct answer_state *state, const struct meter_usage *usage)
{
    bool polled = state->request->kind == METER_POLLED;

    if (state->request->kind == METER_READ_ONLY || adapter->later)
        return false;
    if (polled) /* what it reports before the end is not all */
        return usage->usage_seen && state->complete;
    if (usage->usage_seen || usage->output_begun)
        return true;
    if ((answer->unbilled && !answer->made) || (state->status >= 300 && state->status < 500))
        return false;
    return state->status < 500 || (!answer->error && may_be_billed(state->status));
}

/* ---- models ------------------------------------------------------------------------------- */

/* How names of one model differ: a "-latest" or "-0" that stands for its newest date. */
static size_t without_alias(const char *model)
{
    static const char *const endings[] = {"-latest", "-0"};
    size_t bytes = strlen(model);

    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);

        if (bytes > tail && strcmp(model + bytes - tail, endings[i]) == 0)
            return bytes - tail;
    }
    return bytes;
}

/* "gpt-4o" is served as "gpt-4o-2024-08-06": the same model. */
static bool same_model(const char *asked, const char *served)
{
    static const char ends[] = "-:@";
    size_t bytes;

    if (strncmp(asked, "models/", 7) == 0)
        asked += 7;
    bytes = without_alias(asked);
    return strncmp(asked, served, bytes) == 0 && strchr(ends, served[bytes]) != NULL;
}

/* What an answer has beside its text: marks of its begin and end, and of each call. */
static const struct {
    uint64_t base, call;
} overheads[TEXT_FAMILIES] = {
    [TEXT_OPENAI] = {1, 12},
    [TEXT_ANTHROPIC] = {3, 40},
    [TEXT_GEMINI] = {1, 10},
};

static uint64_t delivered_of(const struct answer *answer, enum text_family family)
{
    uint64_t calls = meter_mul(answer->counts[METER_TOOL_CALLS], overheads[family].call);

    if (!answer->output_begun)
        return 0;
    return meter_add(text_tokens(&answer->text, family), overheads[family].base + calls);
}

/* ---- the record --------------------------------------------------------------------------- */

static void reported_fill(const struct answer *answer, struct meter_reported *out)
{
    /* What a longer text of an earlier event left behind the end of one stays behind. */
    (void)snprintf(out->model, sizeof out->model, "%s", answer->model);
    out->input_tokens = answer->number[ANSWER_INPUT];
    out->output_tokens = answer->number[ANSWER_OUTPUT];
    out->cached_input_tokens = answer_cached(answer);
    out->cache_write_tokens = answer->number[ANSWER_WRITE];
    out->reasoning_tokens = answer->number[ANSWER_REASONING];
    out->total_tokens = answer->number[ANSWER_TOTAL];
    out->provider_cost_pusd = answer->cost.pusd;
    (void)snprintf(out->provider_cost_usd, sizeof out->provider_cost_usd, "%s", answer->cost.text);
    (void)snprintf(out->object_id, sizeof out->object_id, "%s", answer->id);
}

/* ---- the provider's own figure of the cost ------------------------------------------------ */

/* A cost of nothing beside tokens is believed of those who give things away. */
static enum meter_cost cost_kind(const struct meter_request *request, int64_t pusd, bool used)
{
    enum cost_kind kind = request->provider != NULL ? request->provider->cost : COST_ESTIMATE;

    if (kind == COST_FREE_TOO || (kind == COST_CHARGE && (pusd > 0 || !used)))
        return METER_COST_CHARGED;
    return pusd > 0 ? METER_COST_ESTIMATED : METER_COST_NONE;
}

static void cost_fill(const struct answer *answer, const struct meter_request *request,
                      struct meter_usage *out)
{
    int64_t pusd = answer->cost.pusd, upstream = answer->cost.upstream_pusd;

    out->provider_cost_pusd = answer->header_cost_pusd;
    if (pusd < 0) {
        out->cost = answer->header_cost_pusd > 0 ? METER_COST_ESTIMATED : METER_COST_NONE;
        return;
    }
    /* With a key of the user's own the vendor's bill comes on top; untold, it is not known. */
    if (answer->cost.byok && upstream > 0 && __builtin_add_overflow(pusd, upstream, &pusd))
        pusd = INT64_MAX;
    out->provider_cost_pusd = pusd;
    out->cost = answer->cost.byok && upstream < 0 ? METER_COST_NONE
                                                  : cost_kind(request, pusd, out->usage_seen);
}

bool answer_counted(const struct answer *answer)
{
    bool any = false;

    for (unsigned i = 0; i < ANSWER_NUMBERS; i++)
        any |= answer->number[i] > 0;
    return any;
}

bool answer_says(const struct answer *answer)
{
    bool any = answer->error || answer->ended || answer->ending || answer->output_begun ||
               answer->made || answer->wordless;

    for (unsigned i = 0; i < METER_COUNTS; i++)
        any |= answer->counts[i] > 0;
    return any;
}

static void buckets_fill(const struct answer *answer, const struct answer_adapter *adapter,
                         const struct answer_state *state, struct meter_usage *out)
{
    memcpy(out->counts, answer->counts, sizeof out->counts);
    out->last_output_tokens = -1;
    adapter->buckets(answer, state->request, out);
    if (!out->usage_seen)
        return;
    if (answer->number[ANSWER_OUTPUT] >= 0 || answer->number[ANSWER_REASONING] >= 0)
        out->last_output_tokens =
            (int64_t)meter_add(out->tokens[METER_OUTPUT], meter_add(out->tokens[METER_AUDIO_OUT],
                                                                    out->tokens[METER_IMAGE_OUT]));
}

void answer_usage(const struct answer *answer, const struct answer_adapter *adapter,
                  const struct answer_state *state, struct meter_usage *out)
{
    const struct meter_request *request = state->request;
    enum text_family family = request->api != NULL ? request->api->family : TEXT_OPENAI;

    memset(out, 0, sizeof *out);
    reported_fill(answer, &out->reported);
    out->usage_seen = answer_counted(answer);
    out->complete = state->complete;
    out->output_begun = answer->output_begun;
    out->counted_output = answer->counted_output;
    out->uncounted = answer->uncounted;
    out->warnings = answer->warnings;
    out->tier = answer->tier_seen ? answer->tier : request->tier;
    out->regional = answer->geo_seen ? answer->regional : request->regional;
    out->reasoned = answer->reasoned;
    out->wordless = adapter->wordless || answer->wordless || answer->counts[METER_IMAGES] > 0 ||
                    (adapter->opaque && !answer->output_begun);
    out->delivered_tokens = delivered_of(answer, family);
    buckets_fill(answer, adapter, state, out);
    if (adapter->cumulative && out->last_output_tokens >= 0)
        out->delivered_tokens = (uint64_t)out->last_output_tokens;
    cost_fill(answer, request, out);
    out->error = answer->error || state->status >= 400;
    out->billable = is_billed(answer, adapter, state, out);
    if (state->undecodable)
        out->warnings |= METER_WARN_UNDECODABLE;
    if (state->long_line)
        out->warnings |= METER_WARN_LONG_LINE;
    if (answer->model[0] != '\0' && request->model[0] != '\0' &&
        !same_model(request->model, answer->model))
        out->warnings |= METER_WARN_MODEL;
}
