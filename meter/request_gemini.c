/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to Gemini's generateContent and streamGenerateContent. The service takes
 * every key in two spellings, and a lone object where a list is meant. */
#include "meter/meter_int.h"

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
    {"tools[].*", SCAN_END, REQUEST_SERVER_TOOL},
    {"contents[]", SCAN_END, REQUEST_MESSAGE},
    {"contents[].role", SCAN_MUTE, REQUEST_TEXT},
    PARTS("contents[].parts"),
    CALLS("contents[].parts"),
    PARTS("contents[].parts[].functionResponse.parts"),
    PARTS("systemInstruction.parts"),
    PARTS("system_instruction.parts"),
};

const struct request_reader request_generate = {
    .paths = generate_paths,
    .path_count = COUNT_OF(generate_paths),
    .search_calls = 16,
    .quoted_cap = true,
    .cap_prefix = "\"maxOutputTokens\":",
    .config_prefix = "\"generationConfig\":{\"maxOutputTokens\":",
    .null_prefix = "{\"maxOutputTokens\":",
};
