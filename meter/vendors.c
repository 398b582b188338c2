/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of providers with shapes of their own: Cohere and rerankers, Ollama, watsonx, DashScope,
 * Hugging Face's text generation, and of APIs that nobody here knows. */
#include "meter/answer.h"

static uint64_t figure(const struct answer *answer, unsigned which)
{
    return (uint64_t)answer_or_zero(answer->number[which]);
}

/* ---- Cohere, and rerankers ---------------------------------------------------------------- */

/* What is billed is told apart from what the model saw; cached tokens are of the second kind and
 * are no part of the bill. Units of search are what rerankers bill. */
static void cohere_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    uint64_t *tokens = usage->tokens;

    (void)request;
    tokens[METER_INPUT] = figure(answer, ANSWER_INPUT);
    if (answer->number[ANSWER_INPUT] < 0 && answer->number[ANSWER_OUTPUT] < 0)
        tokens[METER_INPUT] = figure(answer, ANSWER_TOTAL);
    tokens[METER_IMAGE_IN] = figure(answer, ANSWER_IMAGE_IN);
    tokens[METER_OUTPUT] = figure(answer, ANSWER_OUTPUT);
    usage->counts[METER_SEARCH_UNITS] = figure(answer, ANSWER_UNITS);
}

/* clang-format off */
#define BILLED_UNITS(path)                                                                         \
    {path, SCAN_BEGIN, ANSWER_USAGE},                                                              \
    {path ".billed_units.input_tokens", SCAN_END, ANSWER_INPUT},                                   \
    {path ".billed_units.output_tokens", SCAN_END, ANSWER_OUTPUT},                                 \
    {path ".billed_units.image_tokens", SCAN_END, ANSWER_IMAGE_IN},                                \
    {path ".billed_units.search_units", SCAN_END, ANSWER_UNITS},                                   \
    {path ".cached_tokens", SCAN_END, ANSWER_CACHED}
/* clang-format on */

static const struct scan_path cohere_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"event_type", SCAN_END, ANSWER_TYPE},
    {"is_finished", SCAN_END, ANSWER_DONE},
    {"model", SCAN_END, ANSWER_MODEL},
    {"finish_reason", SCAN_END, ANSWER_FINISH},
    {"text", SCAN_TEXT, ANSWER_TEXT},
    {"generations[].text", SCAN_TEXT, ANSWER_TEXT},
    {"message.content[].text", SCAN_TEXT, ANSWER_TEXT},
    {"message.content[].thinking", SCAN_TEXT, ANSWER_TEXT},
    {"message.tool_calls[].function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},
    {"message.tool_calls[].function.arguments", SCAN_TEXT, ANSWER_TEXT},
    {"delta.message.content.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.message.content.thinking", SCAN_TEXT, ANSWER_TEXT},
    {"delta.message.tool_plan", SCAN_TEXT, ANSWER_TEXT},
    {"delta.message.tool_calls.function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},
    {"delta.message.tool_calls.function.arguments", SCAN_TEXT, ANSWER_TEXT},
    {"delta.finish_reason", SCAN_END, ANSWER_FINISH},
    {"tool_calls[].name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},
    {"tool_calls[].parameters", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
    {"results[]", SCAN_BEGIN, ANSWER_ITEM},
    BILLED_UNITS("meta"),
    BILLED_UNITS("response.meta"),
    BILLED_UNITS("delta.usage"),
    BILLED_UNITS("usage"),
    /* of other rerankers */
    {"usage.prompt_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"usage.search_units", SCAN_END, ANSWER_UNITS},
    {"usage.cost", SCAN_END, ANSWER_COST},
    {"error", SCAN_END, ANSWER_ERROR},
};

static const struct answer_type cohere_types[] = {
    TYPE("message-end", ANSWER_ENDS), TYPE("stream-end", ANSWER_ENDS), {NULL, 0, 0}};

const struct answer_adapter answer_cohere = {
    .tree = SCAN_TREE_ONCE,
    .paths = cohere_paths,
    .path_count = COUNT_OF(cohere_paths),
    .types = cohere_types,
    .lines_end = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = cohere_buckets,
};

/* ---- Ollama ------------------------------------------------------------------------------- */

static const struct scan_path ollama_paths[] = {
    {"model", SCAN_END, ANSWER_MODEL},
    {"error", SCAN_END, ANSWER_ERROR},
    {"done", SCAN_END, ANSWER_DONE},
    {"response", SCAN_TEXT, ANSWER_TEXT},
    {"thinking", SCAN_TEXT, ANSWER_TEXT},
    {"embedding", SCAN_BEGIN, ANSWER_ITEM},
    {"embeddings", SCAN_BEGIN, ANSWER_ITEM},
    {"message.content", SCAN_TEXT, ANSWER_TEXT},
    {"message.thinking", SCAN_TEXT, ANSWER_TEXT},
    {"message.tool_calls[].function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},
    {"message.tool_calls[].function.arguments", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
    {"prompt_eval_count", SCAN_END, ANSWER_INPUT}, /* not there where the prompt was cached */
    {"eval_count", SCAN_END, ANSWER_OUTPUT},
};

const struct answer_adapter answer_ollama = {
    .tree = SCAN_TREE_ONCE,
    .paths = ollama_paths,
    .path_count = COUNT_OF(ollama_paths),
    .types = answer_no_types,
    .lines_end = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = answer_openai_buckets,
};

/* ---- watsonx ------------------------------------------------------------------------------ */

/* A stream tells the input once and zeros afterwards, the output so far each time. */
static const struct scan_path watsonx_paths[] = {
    {"model_id", SCAN_END, ANSWER_MODEL},
    {"errors", SCAN_END, ANSWER_ERROR},
    {"results", SCAN_BEGIN, ANSWER_USAGE},
    {"results[].generated_text", SCAN_TEXT, ANSWER_TEXT},
    {"results[].input_token_count", SCAN_END, ANSWER_ADD_INPUT},
    {"results[].generated_token_count", SCAN_END, ANSWER_ADD_OUTPUT},
    {"results[].stop_reason", SCAN_END, ANSWER_FINISH},
};

const struct answer_adapter answer_watsonx = {
    .tree = SCAN_TREE_ONCE,
    .paths = watsonx_paths,
    .path_count = COUNT_OF(watsonx_paths),
    .types = answer_no_types,
    .merges = true,
    .keeps = true,
    .buckets = answer_openai_buckets,
};

/* ---- DashScope ---------------------------------------------------------------------------- */

static const struct scan_path dashscope_paths[] = {
    {"code", SCAN_END, ANSWER_ERROR},
    {"output.text", SCAN_TEXT, ANSWER_TEXT},
    {"output.finish_reason", SCAN_END, ANSWER_FINISH},
    {"output.choices[].finish_reason", SCAN_END, ANSWER_FINISH},
    {"output.choices[].message.content", SCAN_TEXT, ANSWER_TEXT},
    {"output.choices[].message.content[].text", SCAN_TEXT, ANSWER_TEXT},
    {"output.choices[].message.reasoning_content", SCAN_TEXT, ANSWER_TEXT},
    {"output.choices[].message.tool_calls[].function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},
    {"output.choices[].message.tool_calls[].function.arguments", SCAN_TEXT, ANSWER_TEXT},
    {"usage", SCAN_BEGIN, ANSWER_USAGE},
    {"usage.input_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.output_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"usage.prompt_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},
    {"usage.prompt_tokens_details.cache_creation_input_tokens", SCAN_END, ANSWER_WRITE},
    {"usage.output_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},
    {"usage.image_tokens", 0, 0}, /* parts of the input */
    {"usage.video_tokens", 0, 0},
    {"usage.audio_tokens", 0, 0},
    {"usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS},
};

const struct answer_adapter answer_dashscope = {
    .tree = SCAN_TREE_ONCE,
    .paths = dashscope_paths,
    .path_count = COUNT_OF(dashscope_paths),
    .types = answer_no_types,
    .cumulative = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = answer_openai_buckets,
};

/* ---- text generation of Hugging Face ------------------------------------------------------ */

static const struct scan_path tgi_paths[] = {
    {"error", SCAN_END, ANSWER_ERROR},
    {"generated_text", SCAN_TEXT | SCAN_END, ANSWER_TEXT_WHOLE},
    {"token.text", SCAN_TEXT, ANSWER_TEXT},
    {"details.finish_reason", SCAN_END, ANSWER_FINISH},
    {"details.generated_tokens", SCAN_END, ANSWER_OUTPUT},
};

const struct answer_adapter answer_tgi = {
    .tree = SCAN_TREE_ONCE,
    .paths = tgi_paths,
    .path_count = COUNT_OF(tgi_paths),
    .types = answer_no_types,
    .merges = true,
    .buckets = answer_openai_buckets,
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
    {"status", SCAN_END, ANSWER_STATUS},
    {"error", SCAN_END, ANSWER_ERROR},
};

const struct answer_adapter answer_unknown = {
    .tree = SCAN_TREE_ONCE,
    .paths = unknown_paths,
    .path_count = COUNT_OF(unknown_paths),
    .types = answer_no_types,
    .buckets = no_buckets,
};
