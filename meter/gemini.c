/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Gemini: generateContent and its stream, embeddings, interactions, and what Vertex has
 * beside. Every element of a stream has all figures so far, the last that has any counts; thoughts
 * are beside the output, what tools fetched is beside the input. */
#include "meter/answer.h"

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
    {"embedding", SCAN_END, ANSWER_FINISH},
    {"embeddings", SCAN_END, ANSWER_FINISH},
    {"promptFeedback.blockReason", SCAN_END, ANSWER_FINISH},
    {"candidates[].finishReason", SCAN_END, ANSWER_FINISH},
    {"candidates[].content.parts[].text", SCAN_TEXT, ANSWER_TEXT},
    {"candidates[].content.parts[].executableCode.code", SCAN_TEXT, ANSWER_TEXT},
    {"candidates[].content.parts[].inlineData", SCAN_BEGIN, ANSWER_MEDIA},
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
    {"usageMetadata.trafficType", SCAN_END, ANSWER_TIER},
    {"usageMetadata.pydantic_ai_gateway.cost_estimate", SCAN_END, ANSWER_COST},
    {"usageMetadata.*TokenCount", SCAN_END, ANSWER_OTHER_TOKENS},
    DETAILS("usageMetadata.promptTokensDetails", ANSWER_PROMPT_DETAIL),
    DETAILS("usageMetadata.cacheTokensDetails", ANSWER_CACHE_DETAIL),
    DETAILS("usageMetadata.toolUsePromptTokensDetails", ANSWER_TOOL_DETAIL),
    DETAILS("usageMetadata.candidatesTokensDetails", ANSWER_OUTPUT_DETAIL),
};

const struct answer_adapter answer_generate = {
    .tree = SCAN_TREE_ONCE,
    .paths = generate_paths,
    .path_count = COUNT_OF(generate_paths),
    .types = answer_no_types,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = generate_buckets,
};

/* ---- interactions ------------------------------------------------------------------------- */

/* clang-format off */
#define MODALITIES(path, id)                                                                       \
    {path "[]", SCAN_BEGIN | SCAN_END, id},                                                        \
    {path "[].modality", SCAN_END, ANSWER_DETAIL_MODALITY},                                        \
    {path "[].tokens", SCAN_END, ANSWER_DETAIL_TOKENS}
#define INTERACTION_USAGE(path)                                                                    \
    {path, SCAN_BEGIN, ANSWER_USAGE},                                                              \
    {path ".total_input_tokens", SCAN_END, ANSWER_INPUT},                                          \
    {path ".total_output_tokens", SCAN_END, ANSWER_OUTPUT},                                        \
    {path ".total_tokens", SCAN_END, ANSWER_TOTAL},                                                \
    {path ".total_thought_tokens", SCAN_END, ANSWER_REASONING},                                    \
    {path ".total_cached_tokens", SCAN_END, ANSWER_CACHED},                                        \
    {path ".total_tool_use_tokens", SCAN_END, ANSWER_TOOL_INPUT},                                  \
    MODALITIES(path ".input_tokens_by_modality", ANSWER_PROMPT_DETAIL),                            \
    MODALITIES(path ".cached_tokens_by_modality", ANSWER_CACHE_DETAIL),                            \
    MODALITIES(path ".output_tokens_by_modality", ANSWER_OUTPUT_DETAIL)
#define INTERACTION(path)                                                                          \
    {path "id", SCAN_END, ANSWER_ID},                                                              \
    {path "model", SCAN_END, ANSWER_MODEL},                                                        \
    {path "status", SCAN_END, ANSWER_STATUS},                                                      \
    {path "service_tier", SCAN_END, ANSWER_TIER},                                                  \
    INTERACTION_USAGE(path "usage")
/* clang-format on */

static const struct scan_path interactions_paths[] = {
    {"event_type", SCAN_END, ANSWER_TYPE},
    {"error", SCAN_END, ANSWER_ERROR},
    {"delta.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.content.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.arguments", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
    {"step", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"step.type", SCAN_END, ANSWER_ITEM_TYPE},
    {"steps[]", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"steps[].type", SCAN_END, ANSWER_ITEM_TYPE},
    {"steps[].content[].text", SCAN_TEXT, ANSWER_TEXT_WHOLE},
    {"outputs[].text", SCAN_TEXT, ANSWER_TEXT_WHOLE},
    INTERACTION("interaction."),
    INTERACTION(""),
    INTERACTION_USAGE("metadata.usage"),
};

static const struct answer_type interactions_types[] = {
    TYPE("interaction.completed", ANSWER_ENDS),
    TYPE("interaction.failed", ANSWER_ENDS | ANSWER_FAILS),
    TYPE("step.start", ANSWER_ADDS),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_interactions = {
    .tree = SCAN_TREE_ONCE,
    .paths = interactions_paths,
    .path_count = COUNT_OF(interactions_paths),
    .types = interactions_types,
    .buckets = generate_buckets,
};

/* ---- predictions of Vertex ---------------------------------------------------------------- */

static const struct scan_path predict_paths[] = {
    {"error", SCAN_END, ANSWER_ERROR},
    {"predictions[].embeddings.statistics.token_count", SCAN_END, ANSWER_ADD_INPUT},
    {"predictions[].bytesBase64Encoded", 0, 0},
    {"predictions[]", SCAN_END, ANSWER_IMAGE},
};

/* Pictures, unless they are vectors. */
static void predict_buckets(const struct answer *answer, const struct meter_request *request,
                            struct meter_usage *usage)
{
    generate_buckets(answer, request, usage);
    if (answer->number[ANSWER_INPUT] >= 0)
        usage->counts[METER_IMAGES] = 0;
}

const struct answer_adapter answer_predict = {
    .tree = SCAN_TREE_ONCE,
    .paths = predict_paths,
    .path_count = COUNT_OF(predict_paths),
    .types = answer_no_types,
    .buckets = predict_buckets,
};
