/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of OpenAI's chat completions and responses. Cached, written and audio tokens are inside
 * the input, reasoning is inside the output; other providers of the same shape keep it outside, and
 * only the total tells. */
#include "meter/meter_int.h"

/* ---- buckets ------------------------------------------------------------------------------ */

/* The output, reasoning included. total = in + out: inside. total = in + out + reasoning: outside.
 * Neither: the larger, and a warning. */
static uint64_t output_of(const struct answer *answer, unsigned *warnings)
{
    uint64_t in = (uint64_t)answer_or_zero(answer->number[ANSWER_INPUT]);
    uint64_t out = (uint64_t)answer_or_zero(answer->number[ANSWER_OUTPUT]);
    uint64_t reasoning = (uint64_t)answer_or_zero(answer->number[ANSWER_REASONING]);
    uint64_t total = (uint64_t)answer_or_zero(answer->number[ANSWER_TOTAL]);

    if (answer->number[ANSWER_TOTAL] >= 0 && total == in + out + reasoning)
        return out + reasoning;
    if (reasoning > out)
        *warnings |= METER_WARN_CLAMPED;
    if (answer->number[ANSWER_TOTAL] < 0 || total == in + out)
        return out > reasoning ? out : reasoning;
    *warnings |= METER_WARN_TOTAL;
    return meter_less(total, in) > out ? total - in : out;
}

static void openai_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    uint64_t *tokens = usage->tokens;
    uint64_t output = output_of(answer, &usage->warnings);

    tokens[METER_INPUT] = (uint64_t)answer_or_zero(answer->number[ANSWER_INPUT]);
    tokens[METER_CACHE_READ] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_CACHED], &usage->warnings);
    tokens[METER_CACHE_WRITE_5M] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_WRITE], &usage->warnings);
    tokens[METER_AUDIO_IN] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_AUDIO_IN], &usage->warnings);
    tokens[METER_AUDIO_OUT] =
        answer_take(&output, answer->number[ANSWER_AUDIO_OUT], &usage->warnings);
    tokens[METER_OUTPUT] = output;
    /* A search model of chat completions searches once for each answer, and does not say so. */
    if (request->api != NULL && request->api->adapter == &answer_chat && usage->output_begun &&
        request->counts[METER_WEB_SEARCHES] > 0)
        usage->counts[METER_WEB_SEARCHES] += request->choices;
}

/* ---- chat completions --------------------------------------------------------------------- */

/* clang-format off */
#define CHAT_MESSAGE(path)                                                                         \
    {path ".content", SCAN_TEXT, ANSWER_TEXT},                                                     \
    {path ".content[].text", SCAN_TEXT, ANSWER_TEXT},                                              \
    {path ".refusal", SCAN_TEXT, ANSWER_TEXT},                                                     \
    {path ".reasoning", SCAN_TEXT, ANSWER_TEXT},                                                   \
    {path ".reasoning_content", SCAN_TEXT, ANSWER_TEXT},                                           \
    {path ".audio.transcript", SCAN_TEXT, ANSWER_TEXT},                                            \
    {path ".function_call.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                               \
    {path ".function_call.arguments", SCAN_TEXT, ANSWER_TEXT},                                     \
    {path ".tool_calls[].function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                       \
    {path ".tool_calls[].function.arguments", SCAN_TEXT, ANSWER_TEXT},                             \
    {path ".tool_calls[].custom.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                         \
    {path ".tool_calls[].custom.input", SCAN_TEXT, ANSWER_TEXT}
/* clang-format on */

static const struct scan_path chat_paths[] = {
    {"model", SCAN_END, ANSWER_MODEL},
    {"service_tier", SCAN_END, ANSWER_TIER},
    {"error", SCAN_END, ANSWER_ERROR},
    {"choices[].finish_reason", SCAN_END, ANSWER_FINISH},
    CHAT_MESSAGE("choices[].delta"),
    CHAT_MESSAGE("choices[].message"),
    {"usage", SCAN_BEGIN, ANSWER_USAGE},
    {"usage.prompt_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.completion_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"usage.prompt_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},
    {"usage.prompt_tokens_details.cache_write_tokens", SCAN_END, ANSWER_WRITE},
    {"usage.prompt_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_IN},
    {"usage.completion_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},
    {"usage.completion_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_OUT},
    {"usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS},
};

static const struct answer_type no_types[] = {{NULL, 0}};

const struct answer_adapter answer_chat = {
    .paths = chat_paths,
    .path_count = COUNT_OF(chat_paths),
    .types = no_types,
    .usage_ends = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = openai_buckets,
};

/* ---- responses ---------------------------------------------------------------------------- */

/* The response object, alone or within an event. */
/* clang-format off */
#define RESPONSE(path)                                                                             \
    {path "model", SCAN_END, ANSWER_MODEL},                                                        \
    {path "service_tier", SCAN_END, ANSWER_TIER},                                                  \
    {path "status", SCAN_END, ANSWER_STATUS},                                                      \
    {path "error", SCAN_END, ANSWER_ERROR},                                                        \
    {path "output[]", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},                                         \
    {path "output[].type", SCAN_END, ANSWER_ITEM_TYPE},                                            \
    {path "output[].action.type", SCAN_END, ANSWER_ITEM_ACTION},                                   \
    {path "usage", SCAN_BEGIN, ANSWER_USAGE},                                                      \
    {path "usage.input_tokens", SCAN_END, ANSWER_INPUT},                                           \
    {path "usage.output_tokens", SCAN_END, ANSWER_OUTPUT},                                         \
    {path "usage.total_tokens", SCAN_END, ANSWER_TOTAL},                                           \
    {path "usage.input_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},                    \
    {path "usage.input_tokens_details.cache_write_tokens", SCAN_END, ANSWER_WRITE},                \
    {path "usage.input_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_IN},                   \
    {path "usage.output_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},             \
    {path "usage.output_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_OUT},                 \
    {path "usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS}
/* clang-format on */

static const struct scan_path responses_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"delta", SCAN_TEXT, ANSWER_TEXT},
    {"item", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"item.type", SCAN_END, ANSWER_ITEM_TYPE},
    {"item.action.type", SCAN_END, ANSWER_ITEM_ACTION},
    RESPONSE("response."),
    RESPONSE(""),
    {"output[].content[].text", SCAN_TEXT, ANSWER_TEXT},
    {"output[].content[].refusal", SCAN_TEXT, ANSWER_TEXT},
    {"output[].summary[].text", SCAN_TEXT, ANSWER_TEXT},
    {"output[].arguments", SCAN_TEXT, ANSWER_TEXT},
    {"output[].input", SCAN_TEXT, ANSWER_TEXT},
    {"output[].code", SCAN_TEXT, ANSWER_TEXT},
};

static const struct answer_type responses_types[] = {
    {"response.completed", ANSWER_ENDS},
    {"response.incomplete", ANSWER_ENDS},
    {"response.cancelled", ANSWER_ENDS},
    {"response.failed", ANSWER_ENDS | ANSWER_FAILS},
    {"response.output_item.added", ANSWER_REPEATED},
    {"response.output_item.done", ANSWER_ADDS},
    {"response.audio.delta", ANSWER_SILENT},
    {"response.output_audio.delta", ANSWER_SILENT},
    {"error", ANSWER_FAILS},
    {NULL, 0},
};

const struct answer_adapter answer_responses = {
    .paths = responses_paths,
    .path_count = COUNT_OF(responses_paths),
    .types = responses_types,
    .buckets = openai_buckets,
};
