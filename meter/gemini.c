/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Gemini's generateContent and streamGenerateContent. Every element of a stream has all
 * figures so far, the last that has any counts; thoughts are beside the output, what tools fetched
 * is beside the input. */
#include "meter/meter_int.h"

/* The modality's fresh tokens: those of the prompt less those that came from the cache. */
static int64_t fresh(const struct answer *answer, unsigned all, unsigned cached)
{
    return answer_or_zero(answer_or_zero(answer->number[all]) -
                          answer_or_zero(answer->number[cached]));
}

/* Models before Gemini 3 are billed for each grounded prompt, later ones for each query. */
static bool bills_by_prompt(const char *model)
{
    static const char *const prefixes[] = {"gemini-1", "gemini-2", "models/gemini-1",
                                           "models/gemini-2"};
    bool found = false;

    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        found |= strncmp(model, prefixes[i], strlen(prefixes[i])) == 0;
    return found;
}

/* What the total has beyond its parts; with a part that is not told, that is the output's. */
static uint64_t total_check(const struct answer *answer, unsigned *warnings)
{
    static const uint8_t parts[] = {ANSWER_INPUT, ANSWER_OUTPUT, ANSWER_REASONING,
                                    ANSWER_TOOL_INPUT};
    int64_t total = answer->number[ANSWER_TOTAL];
    uint64_t sum = 0;

    for (size_t i = 0; i < COUNT_OF(parts); i++)
        sum = meter_add(sum, (uint64_t)answer_or_zero(answer->number[parts[i]]));
    if (total < 0 || sum == (uint64_t)total)
        return 0;
    *warnings |= METER_WARN_TOTAL;
    if (answer->number[ANSWER_OUTPUT] >= 0 && answer->number[ANSWER_REASONING] >= 0)
        return 0;
    return meter_less((uint64_t)total, sum);
}

static void generate_buckets(const struct answer *answer, const struct meter_request *request,
                             struct meter_usage *usage)
{
    const char *model = answer->model[0] != '\0' ? answer->model : request->model;
    const int64_t *number = answer->number;
    uint64_t *tokens = usage->tokens;
    uint64_t input = (uint64_t)answer_or_zero(number[ANSWER_INPUT]);
    uint64_t output = (uint64_t)answer_or_zero(number[ANSWER_OUTPUT]);

    tokens[METER_CACHE_READ] = answer_take(&input, number[ANSWER_CACHED], &usage->warnings);
    tokens[METER_AUDIO_IN] =
        answer_take(&input, fresh(answer, ANSWER_AUDIO_IN, ANSWER_AUDIO_CACHED), &usage->warnings);
    tokens[METER_IMAGE_IN] =
        answer_take(&input, fresh(answer, ANSWER_IMAGE_IN, ANSWER_IMAGE_CACHED), &usage->warnings);
    tokens[METER_INPUT] = meter_add(input, (uint64_t)answer_or_zero(number[ANSWER_TOOL_INPUT]));
    tokens[METER_AUDIO_OUT] = answer_take(&output, number[ANSWER_AUDIO_OUT], &usage->warnings);
    tokens[METER_IMAGE_OUT] = answer_take(&output, number[ANSWER_IMAGE_OUT], &usage->warnings);
    tokens[METER_OUTPUT] =
        meter_add(meter_add(output, (uint64_t)answer_or_zero(number[ANSWER_REASONING])),
                  total_check(answer, &usage->warnings));
    if (usage->counts[METER_WEB_SEARCHES] > 1 && bills_by_prompt(model))
        usage->counts[METER_WEB_SEARCHES] = 1;
}

/* clang-format off */
#define DETAILS(path, id)                                                                          \
    {path "[]", SCAN_BEGIN | SCAN_END, id},                                                        \
    {path "[].modality", SCAN_END, ANSWER_DETAIL_MODALITY},                                        \
    {path "[].tokenCount", SCAN_END, ANSWER_DETAIL_TOKENS}
/* clang-format on */

static const struct scan_path generate_paths[] = {
    {"modelVersion", SCAN_END, ANSWER_MODEL},
    {"error", SCAN_END, ANSWER_ERROR},
    {"promptFeedback.blockReason", SCAN_END, ANSWER_FINISH},
    {"candidates[].finishReason", SCAN_END, ANSWER_FINISH},
    {"candidates[].content.parts[].text", SCAN_TEXT, ANSWER_TEXT},
    {"candidates[].content.parts[].executableCode.code", SCAN_TEXT, ANSWER_TEXT},
    {"candidates[].content.parts[].functionCall", SCAN_END, ANSWER_TOOL},
    {"candidates[].content.parts[].functionCall.name", SCAN_TEXT, ANSWER_TEXT},
    {"candidates[].content.parts[].functionCall.args", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
    {"candidates[].groundingMetadata.webSearchQueries[]", SCAN_END, ANSWER_QUERY},
    {"usageMetadata", SCAN_BEGIN, ANSWER_USAGE},
    {"usageMetadata.promptTokenCount", SCAN_END, ANSWER_INPUT},
    {"usageMetadata.candidatesTokenCount", SCAN_END, ANSWER_OUTPUT},
    {"usageMetadata.totalTokenCount", SCAN_END, ANSWER_TOTAL},
    {"usageMetadata.thoughtsTokenCount", SCAN_END, ANSWER_REASONING},
    {"usageMetadata.cachedContentTokenCount", SCAN_END, ANSWER_CACHED},
    {"usageMetadata.toolUsePromptTokenCount", SCAN_END, ANSWER_TOOL_INPUT},
    {"usageMetadata.serviceTier", SCAN_END, ANSWER_TIER},
    {"usageMetadata.*TokenCount", SCAN_END, ANSWER_OTHER_TOKENS},
    DETAILS("usageMetadata.promptTokensDetails", ANSWER_PROMPT_DETAIL),
    DETAILS("usageMetadata.cacheTokensDetails", ANSWER_CACHE_DETAIL),
    DETAILS("usageMetadata.toolUsePromptTokensDetails", ANSWER_TOOL_DETAIL),
    DETAILS("usageMetadata.candidatesTokensDetails", ANSWER_OUTPUT_DETAIL),
};

static const struct answer_type no_types[] = {{NULL, 0}};

const struct answer_adapter answer_generate = {
    .paths = generate_paths,
    .path_count = COUNT_OF(generate_paths),
    .types = no_types,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = generate_buckets,
};

/* ---- APIs that no adapter reads ----------------------------------------------------------- */

static void no_buckets(const struct answer *answer, const struct meter_request *request,
                       struct meter_usage *usage)
{
    (void)answer, (void)request, (void)usage;
}

/* All strings are taken for text, so that an estimate has something to go by. */
static const struct scan_path unknown_paths[] = {
    {"", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
    {"error", SCAN_END, ANSWER_ERROR},
};

const struct answer_adapter answer_unknown = {
    .paths = unknown_paths,
    .path_count = COUNT_OF(unknown_paths),
    .types = no_types,
    .buckets = no_buckets,
};
