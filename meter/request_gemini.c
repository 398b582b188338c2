/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to Gemini's generateContent and streamGenerateContent. The service takes
 * every key in two spellings, and a lone object where a list is meant. */
#include "meter/request.h"

/* clang-format off */
#define SOURCE(path, mime)                                                                         \
    {path, SCAN_BEGIN | SCAN_END, REQUEST_SOURCE},                                                 \
    {path "." mime, SCAN_END, REQUEST_SOURCE_MIME},                                                \
    {path ".data", SCAN_END | SCAN_MUTE, REQUEST_SOURCE_DATA}
/* clang-format on */

/* clang-format off */
#define PARTS(list)                                                                                \
    SOURCE(list "[].inlineData", "mimeType"),                                                      \
    SOURCE(list "[].inline_data", "mime_type"),                                                    \
    {list "[].fileData", SCAN_END, REQUEST_REFERENCE},                                             \
    {list "[].file_data", SCAN_END, REQUEST_REFERENCE}
/* clang-format on */

/* clang-format off */
#define CALLS(list)                                                                                \
    {list "[].functionCall.args", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                            \
    {list "[].function_call.args", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                           \
    {list "[].functionResponse.response", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                    \
    {list "[].function_response.response", SCAN_BEGIN | SCAN_END, REQUEST_JSON}
/* clang-format on */

/* clang-format off */
#define CONFIG(path)                                                                               \
    {path, SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},                                                 \
    {path ".maxOutputTokens", SCAN_END, REQUEST_CAP},                                              \
    {path ".max_output_tokens", SCAN_END, REQUEST_CAP},                                            \
    {path ".mediaResolution", SCAN_END, REQUEST_UNSTEADY},                                         \
    {path ".media_resolution", SCAN_END, REQUEST_UNSTEADY},                                        \
    {path ".responseModalities", SCAN_END, REQUEST_MODALITY},                                      \
    {path ".response_modalities", SCAN_END, REQUEST_MODALITY},                                     \
    {path ".responseModalities[]", SCAN_END, REQUEST_MODALITY},                                    \
    {path ".response_modalities[]", SCAN_END, REQUEST_MODALITY},                                   \
    {path ".candidateCount", SCAN_END, REQUEST_CHOICES},                                           \
    {path ".candidate_count", SCAN_END, REQUEST_CHOICES},                                          \
    {path ".responseSchema", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                                 \
    {path ".response_schema", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                                \
    {path ".responseJsonSchema", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                             \
    {path ".response_json_schema", SCAN_BEGIN | SCAN_END, REQUEST_JSON},                           \
    {path ".thinkingConfig.thinkingBudget", SCAN_END, REQUEST_BUDGET},                             \
    {path ".thinkingConfig.thinking_budget", SCAN_END, REQUEST_BUDGET},                            \
    {path ".thinking_config.thinkingBudget", SCAN_END, REQUEST_BUDGET},                            \
    {path ".thinking_config.thinking_budget", SCAN_END, REQUEST_BUDGET}
/* clang-format on */

static const struct scan_path generate_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    CONFIG("generationConfig"),
    CONFIG("generation_config"),
    {"serviceTier", SCAN_END, REQUEST_TIER},
    {"service_tier", SCAN_END, REQUEST_TIER},
    {"cachedContent", SCAN_END, REQUEST_REFERENCE},
    {"cached_content", SCAN_END, REQUEST_REFERENCE},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].functionDeclarations[]", SCAN_END, REQUEST_FUNCTIONS},
    {"tools[].function_declarations[]", SCAN_END, REQUEST_FUNCTIONS},
    {"tools[].googleSearch", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].google_search", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].googleSearchRetrieval", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].google_search_retrieval", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].googleMaps", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].google_maps", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].enterpriseWebSearch", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].enterprise_web_search", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].retrieval", SCAN_END, REQUEST_SEARCH_TOOL},
    {"tools[].*", SCAN_END, REQUEST_SERVER_TOOL},
    {"contents[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"contents[].role", SCAN_MUTE, REQUEST_TEXT},
    {"contents[].parts[].thoughtSignature", SCAN_MUTE, REQUEST_TEXT},
    {"contents[].parts[].thought_signature", SCAN_MUTE, REQUEST_TEXT},
    {"systemInstruction", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    {"system_instruction", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    PARTS("contents[].parts"),
    CALLS("contents[].parts"),
    PARTS("contents[].parts[].functionResponse.parts"),
    PARTS("contents[].parts[].function_response.parts"),
    PARTS("systemInstruction.parts"),
    PARTS("system_instruction.parts"),
};

const struct request_reader request_generate = {
    .tree = SCAN_TREE_ONCE,
    .paths = generate_paths,
    .path_count = COUNT_OF(generate_paths),
    .quoted_cap = true,
    .cap_prefix = "\"maxOutputTokens\":",
    .config_prefix = "\"generationConfig\":{\"maxOutputTokens\":",
    .null_prefix = "{\"maxOutputTokens\":",
};

/* ---- vectors ------------------------------------------------------------------------------ */

static const struct scan_path embed_content_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"requests[].model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"content", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    {"requests[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    PARTS("content.parts"),
    PARTS("requests[].content.parts"),
};

const struct request_reader request_embed_content = {
    .tree = SCAN_TREE_ONCE,
    .paths = embed_content_paths,
    .path_count = COUNT_OF(embed_content_paths),
    .no_output = true,
    .fixed = true,
};

#define SAMPLES_UNSAID 4u /* pictures */

/* ---- predictions of Vertex ---------------------------------------------------------------- */

static const struct scan_path predict_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"instances[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"instances[].image.bytesBase64Encoded", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},
    {"instances[].image.gcsUri", SCAN_END, REQUEST_REFERENCE},
    {"parameters.sampleCount", SCAN_END, REQUEST_CHOICES},
    {"parameters.sample_count", SCAN_END, REQUEST_CHOICES},
};

static void predict_finish(struct request_read *read)
{
    read->out->counts[METER_IMAGES] = read->choices_said ? read->out->choices : SAMPLES_UNSAID;
    read->out->seconds_open = true;
}

const struct request_reader request_predict = {
    .tree = SCAN_TREE_ONCE,
    .paths = predict_paths,
    .path_count = COUNT_OF(predict_paths),
    .finish = predict_finish,
    .no_output = true,
    .fixed = true,
};

/* ---- interactions ------------------------------------------------------------------------- */

/* clang-format off */
#define CONTENT(list)                                                                              \
    {list "[]", SCAN_BEGIN | SCAN_END, REQUEST_SOURCE},                                            \
    {list "[].mime_type", SCAN_END, REQUEST_SOURCE_MIME},                                          \
    {list "[].data", SCAN_END | SCAN_MUTE, REQUEST_SOURCE_DATA},                                   \
    {list "[].uri", SCAN_END, REQUEST_REFERENCE}
/* clang-format on */

static const struct scan_path interactions_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"agent", SCAN_END | SCAN_MUTE, REQUEST_AGENT},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"generation_config", SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},
    {"generation_config.max_output_tokens", SCAN_END, REQUEST_CAP},
    {"previous_interaction_id", SCAN_END, REQUEST_REFERENCE},
    {"environment", SCAN_END, REQUEST_REFERENCE},
    {"service_tier", SCAN_END, REQUEST_TIER},
    {"response_format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"system_instruction", SCAN_TEXT, REQUEST_CONTENT},
    {"input", SCAN_TEXT, REQUEST_CONTENT},
    CONTENT("input"),
    CONTENT("input[].content"),
};

/* An agent does as many steps as it likes. What is made is kept, and goes on without the caller. */
static void interactions_finish(struct request_read *read)
{
    read->out->hold_if_broken = true;
    read->out->unbounded |= read->agent;
}

const struct request_reader request_interactions = {
    .tree = SCAN_TREE_ONCE,
    .paths = interactions_paths,
    .path_count = COUNT_OF(interactions_paths),
    .finish = interactions_finish,
    .cap_prefix = "\"max_output_tokens\":",
    .config_prefix = "\"generation_config\":{\"max_output_tokens\":",
    .null_prefix = "{\"max_output_tokens\":",
};
