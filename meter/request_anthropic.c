/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to Anthropic's messages. */
#include "meter/request.h"

/* A content block, of a message and of what a tool gave. */
/* clang-format off */
#define BLOCK(path)                                                                                \
    {path ".cache_control", SCAN_END, REQUEST_CACHE},                                              \
    {path ".cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},                                      \
    {path ".file_id", SCAN_END, REQUEST_REFERENCE},                                                \
    {path ".source", SCAN_BEGIN | SCAN_END, REQUEST_SOURCE},                                       \
    {path ".source.type", SCAN_END, REQUEST_SOURCE_TYPE},                                          \
    {path ".source.media_type", SCAN_END, REQUEST_SOURCE_MIME},                                    \
    {path ".source.data", SCAN_END | SCAN_MUTE, REQUEST_SOURCE_DATA},                              \
    {path ".source.url", SCAN_END, REQUEST_REFERENCE},                                             \
    {path ".source.file_id", SCAN_END, REQUEST_REFERENCE}
/* clang-format on */

static const struct scan_path messages_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"max_tokens", SCAN_END, REQUEST_CAP},
    {"thinking.budget_tokens", SCAN_END, REQUEST_BUDGET},
    {"speed", SCAN_END, REQUEST_SPEED},
    {"fallbacks", SCAN_END, REQUEST_MODELS},
    REQUEST_ROUTED,
    {"inference_geo", SCAN_END, REQUEST_GEO},
    {"context_management", SCAN_END, REQUEST_UNSTEADY},
    {"container", SCAN_END, REQUEST_REFERENCE},
    {"mcp_servers", SCAN_END, REQUEST_REFERENCE},
    {"output_format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"output_config.format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"cache_control", SCAN_END, REQUEST_CACHE},
    {"cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"system", SCAN_TEXT, REQUEST_CONTENT},
    {"system[]", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    {"system[].type", SCAN_MUTE, REQUEST_TEXT},
    {"system[].cache_control", SCAN_END, REQUEST_CACHE},
    {"system[].cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"tools[].max_uses", SCAN_END, REQUEST_TOOL_USES},
    {"tools[].cache_control", SCAN_END, REQUEST_CACHE},
    {"tools[].cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].role", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].type", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].id", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].tool_use_id", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].signature", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].cache_control.type", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].tool.definition", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"messages[].content[].tool.definition.type", SCAN_END, REQUEST_TOOL_TYPE},
    {"messages[].content[].tool.definition.max_uses", SCAN_END, REQUEST_TOOL_USES},
    {"messages[].content[].tool.definition.cache_control", SCAN_END, REQUEST_CACHE},
    {"messages[].content[].tool.definition.cache_control.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"messages[].content[].input", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    BLOCK("messages[].content[]"),
    BLOCK("messages[].content[].content[]"),
    BLOCK("messages[].content[].source.content[]"),
    BLOCK("messages[].content[].content[].source.content[]"),
};

const struct request_reader request_messages = {
    .tree = SCAN_TREE_ONCE,
    .paths = messages_paths,
    .path_count = COUNT_OF(messages_paths),
    .search_calls = 10, /* the provider's own bound of one loop */
    .cap_prefix = "\"max_tokens\":",
};

/* ---- what came before: complete ----------------------------------------------------------- */

static const struct scan_path complete_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},         {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},   {"max_tokens_to_sample", SCAN_END, REQUEST_CAP},
    {"prompt", SCAN_TEXT, REQUEST_CONTENT},
};

const struct request_reader request_complete = {
    .tree = SCAN_TREE_ONCE,
    .paths = complete_paths,
    .path_count = COUNT_OF(complete_paths),
    .cap_prefix = "\"max_tokens_to_sample\":",
};
