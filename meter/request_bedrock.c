/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to Amazon Bedrock. Their model stands in the path, and their bodies are
 * signed: no cap is set in them. */
#include "meter/request.h"

/* ---- converse ----------------------------------------------------------------------------- */

/* clang-format off */
#define POINT(path)                                                                                \
    {path ".cachePoint", SCAN_END, REQUEST_CACHE},                                                 \
    {path ".cachePoint.ttl", SCAN_END, REQUEST_CACHE_TTL}
#define BLOCK(path)                                                                                \
    {path ".image.source.bytes", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},                        \
    {path ".document.source.bytes", SCAN_END | SCAN_MUTE, REQUEST_FILE_DATA},                      \
    {path ".audio.source.bytes", SCAN_END | SCAN_MUTE, REQUEST_AUDIO_DATA},                        \
    {path ".image.source.s3Location", SCAN_END, REQUEST_REFERENCE},                                \
    {path ".document.source.s3Location", SCAN_END, REQUEST_REFERENCE},                             \
    {path ".audio.source.s3Location", SCAN_END, REQUEST_REFERENCE},                                \
    {path ".video", SCAN_END, REQUEST_REFERENCE}
/* clang-format on */

static const struct scan_path converse_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"inferenceConfig.maxTokens", SCAN_END, REQUEST_CAP},
    {"additionalModelRequestFields.max_tokens", SCAN_END, REQUEST_CAP_OLD},
    {"additionalModelRequestFields.max_completion_tokens", SCAN_END, REQUEST_CAP_OLD},
    {"additionalModelRequestFields.max_gen_len", SCAN_END, REQUEST_CAP_OLD},
    {"additionalModelRequestFields.inferenceConfig.maxTokens", SCAN_END, REQUEST_CAP_OLD},
    {"additionalModelRequestFields.inferenceConfig.max_new_tokens", SCAN_END, REQUEST_CAP_OLD},
    {"additionalModelRequestFields.thinking.budget_tokens", SCAN_END, REQUEST_BUDGET},
    {"serviceTier.type", SCAN_END, REQUEST_TIER},
    {"performanceConfig.latency", SCAN_END, REQUEST_SPEED},
    {"promptVariables", SCAN_END, REQUEST_REFERENCE}, /* the model is a stored prompt */
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].role", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].toolUse.toolUseId", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].toolResult.toolUseId", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].toolUse.input", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    BLOCK("messages[].content[]"),
    POINT("messages[].content[]"),
    BLOCK("messages[].content[].toolResult.content[]"),
    {"messages[].content[].toolResult.content[].json", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"system[]", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    POINT("system[]"),
    {"toolConfig.tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"toolConfig.tools[].systemTool", SCAN_END, REQUEST_SERVER_TOOL},
    POINT("toolConfig.tools[]"),
};

const struct request_reader request_converse = {
    .tree = SCAN_TREE_ONCE,
    .paths = converse_paths,
    .path_count = COUNT_OF(converse_paths),
    .fixed = true,
};

/* ---- invoke: the body is the vendor's ----------------------------------------------------- */

/* clang-format off */
#define SOURCE(path)                                                                               \
    {path ".source", SCAN_BEGIN | SCAN_END, REQUEST_SOURCE},                                       \
    {path ".source.type", SCAN_END, REQUEST_SOURCE_TYPE},                                          \
    {path ".source.media_type", SCAN_END, REQUEST_SOURCE_MIME},                                    \
    {path ".source.data", SCAN_END | SCAN_MUTE, REQUEST_SOURCE_DATA},                              \
    {path ".cache_control", SCAN_END, REQUEST_CACHE},                                              \
    {path ".cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL}
/* clang-format on */

static const struct scan_path invoke_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"max_tokens", SCAN_END, REQUEST_CAP},
    {"max_completion_tokens", SCAN_END, REQUEST_CAP},
    {"max_tokens_to_sample", SCAN_END, REQUEST_CAP},
    {"max_gen_len", SCAN_END, REQUEST_CAP},
    {"maxTokens", SCAN_END, REQUEST_CAP},
    {"textGenerationConfig.maxTokenCount", SCAN_END, REQUEST_CAP},
    {"inferenceConfig.maxTokens", SCAN_END, REQUEST_CAP},
    {"inferenceConfig.max_new_tokens", SCAN_END, REQUEST_CAP},
    {"n", SCAN_END, REQUEST_CHOICES},
    {"num_generations", SCAN_END, REQUEST_CHOICES},
    {"imageGenerationConfig.numberOfImages", SCAN_END, REQUEST_CHOICES},
    {"thinking.budget_tokens", SCAN_END, REQUEST_BUDGET},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].role", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].input", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    BLOCK("messages[].content[]"),
    {"mediaSource", SCAN_END, REQUEST_REFERENCE}, /* of TwelveLabs */
    SOURCE("messages[].content[]"),
    SOURCE("messages[].content[].content[]"),
    {"prompt", SCAN_TEXT, REQUEST_CONTENT},
    {"inputText", SCAN_TEXT, REQUEST_CONTENT},
    {"query", SCAN_TEXT, REQUEST_CONTENT},
    {"system", SCAN_TEXT, REQUEST_CONTENT},
    {"system[]", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    {"system[].cache_control", SCAN_END, REQUEST_CACHE},
    {"system[].cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"tools[].cache_control", SCAN_END, REQUEST_CACHE},
    {"tools[].cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"toolConfig.tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"inputImage", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},
    {"documents[]", SCAN_BEGIN | SCAN_END, REQUEST_DOCUMENT},
};

static void invoke_finish(struct request_read *read)
{
    request_rerank_units(read);
}

const struct request_reader request_invoke = {
    .tree = SCAN_TREE_ONCE,
    .paths = invoke_paths,
    .path_count = COUNT_OF(invoke_paths),
    .finish = invoke_finish,
    .fixed = true,
};

/* ---- answers from a store of documents ----------------------------------------------------- */

/* clang-format off */
#define KNOWLEDGE "retrieveAndGenerateConfiguration.knowledgeBaseConfiguration"
#define GENERATION KNOWLEDGE ".generationConfiguration.inferenceConfig.textInferenceConfig"
/* clang-format on */

static const struct scan_path knowledge_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"input.text", SCAN_TEXT, REQUEST_CONTENT},
    {KNOWLEDGE, SCAN_END, REQUEST_REFERENCE},
    {KNOWLEDGE ".modelArn", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {GENERATION ".maxTokens", SCAN_END, REQUEST_CAP},
};

const struct request_reader request_knowledge = {
    .tree = SCAN_TREE_ONCE,
    .paths = knowledge_paths,
    .path_count = COUNT_OF(knowledge_paths),
    .fixed = true,
};
