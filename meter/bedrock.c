/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Amazon Bedrock: converse, and invoke, whose bodies are those of each model's vendor.
 */
#include "meter/answer.h"

/* ---- converse ----------------------------------------------------------------------------- */

/* Both spellings of the cache's counts come in one object, with the same number. */
/* clang-format off */
#define CONVERSE_USAGE(path)                                                                       \
    {path, SCAN_BEGIN, ANSWER_USAGE},                                                              \
    {path ".inputTokens", SCAN_END, ANSWER_INPUT},                                                 \
    {path ".outputTokens", SCAN_END, ANSWER_OUTPUT},                                               \
    {path ".totalTokens", SCAN_END, ANSWER_TOTAL},                                                 \
    {path ".cacheReadInputTokens", SCAN_END, ANSWER_CACHED},                                       \
    {path ".cacheReadInputTokenCount", SCAN_END, ANSWER_CACHED},                                   \
    {path ".cacheWriteInputTokens", SCAN_END, ANSWER_WRITE},                                       \
    {path ".cacheWriteInputTokenCount", SCAN_END, ANSWER_WRITE},                                   \
    {path ".cacheDetails[]", SCAN_BEGIN | SCAN_END, ANSWER_WRITE_DETAIL},                          \
    {path ".cacheDetails[].ttl", SCAN_END, ANSWER_DETAIL_MODALITY},                                \
    {path ".cacheDetails[].inputTokens", SCAN_END, ANSWER_DETAIL_TOKENS},                          \
    {path ".pydantic_ai_gateway.cost_estimate", SCAN_END, ANSWER_COST},                            \
    {path ".*Tokens", SCAN_END, ANSWER_OTHER_TOKENS}
#define CONTENT(path)                                                                              \
    {path ".text", SCAN_TEXT, ANSWER_TEXT},                                                        \
    {path ".reasoningContent.reasoningText.text", SCAN_TEXT, ANSWER_TEXT},                         \
    {path ".toolUse.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                                     \
    {path ".toolUse.input", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT}
/* clang-format on */

static const struct scan_path converse_paths[] = {
    {"serviceTier.type", SCAN_END, ANSWER_TIER},
    CONTENT("output.message.content[]"),
    CONTENT("start"),
    {"delta.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.reasoningContent.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.toolUse.input", SCAN_TEXT, ANSWER_TEXT},
    CONVERSE_USAGE("usage"),
};

const struct answer_adapter answer_converse = {
    .tree = SCAN_TREE_ONCE,
    .paths = converse_paths,
    .path_count = COUNT_OF(converse_paths),
    .types = answer_no_types,
    .usage_ends = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = answer_anthropic_buckets,
};

/* ---- invoke ------------------------------------------------------------------------------- */

static bool of_vendor(const struct meter_request *request, const char *vendor)
{
    return strstr(request->model, vendor) != NULL;
}

/* The counts follow the rules of the model's vendor, whoever reports them. */
static void invoke_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    if (of_vendor(request, "anthropic.") || of_vendor(request, "amazon.nova"))
        answer_anthropic_buckets(answer, request, usage);
    else
        answer_openai_buckets(answer, request, usage);
}

/* clang-format off */
#define METRICS "amazon-bedrock-invocationMetrics"
/* clang-format on */

static const struct scan_path invoke_paths[] = {
    /* of the service, in the last piece of a stream */
    {METRICS, SCAN_END, ANSWER_METRICS},
    {METRICS ".inputTokenCount", SCAN_END, ANSWER_INPUT},
    {METRICS ".outputTokenCount", SCAN_END, ANSWER_OUTPUT},
    {METRICS ".cacheReadInputTokenCount", SCAN_END, ANSWER_CACHED},
    {METRICS ".cacheWriteInputTokenCount", SCAN_END, ANSWER_WRITE},
    /* Meta */
    {"generation", SCAN_TEXT, ANSWER_TEXT},
    {"prompt_token_count", SCAN_END, ANSWER_INPUT},
    {"generation_token_count", SCAN_END, ANSWER_OUTPUT},
    /* Titan */
    {"inputTextTokenCount", SCAN_END, ANSWER_INPUT},
    {"totalOutputTextTokenCount", SCAN_END, ANSWER_OUTPUT},
    {"results[].tokenCount", SCAN_END, ANSWER_ADD_OUTPUT},
    {"results[].outputText", SCAN_TEXT, ANSWER_TEXT},
    {"outputText", SCAN_TEXT, ANSWER_TEXT},
    /* Cohere */
    {"generations[].text", SCAN_TEXT, ANSWER_TEXT},
    {"text", SCAN_TEXT, ANSWER_TEXT},
    /* Mistral */
    {"outputs[].text", SCAN_TEXT, ANSWER_TEXT},
    /* Nova, as in converse */
    CONTENT("output.message.content[]"),
    CONTENT("contentBlockStart.start"),
    {"contentBlockDelta.delta.text", SCAN_TEXT, ANSWER_TEXT},
    {"contentBlockDelta.delta.toolUse.input", SCAN_TEXT, ANSWER_TEXT},
    {"metadata.usage.inputTokens", SCAN_END, ANSWER_INPUT},
    {"metadata.usage.outputTokens", SCAN_END, ANSWER_OUTPUT},
    {"metadata.usage.cacheReadInputTokenCount", SCAN_END, ANSWER_CACHED},
    {"metadata.usage.cacheWriteInputTokenCount", SCAN_END, ANSWER_WRITE},
    {"usage.inputTokens", SCAN_END, ANSWER_INPUT},
    {"usage.outputTokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.totalTokens", SCAN_END, ANSWER_TOTAL},
    {"usage.cacheReadInputTokenCount", SCAN_END, ANSWER_CACHED},
    {"usage.cacheWriteInputTokenCount", SCAN_END, ANSWER_WRITE},
};

static const struct answer_type invoke_types[] = {
    TYPE("content_block_start", ANSWER_ADDS),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_invoke = {
    .tree = SCAN_TREE_ONCE,
    .paths = invoke_paths,
    .path_count = COUNT_OF(invoke_paths),
    .also = {&answer_messages, &answer_chat},
    .types = invoke_types,
    .merges = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = invoke_buckets,
};
