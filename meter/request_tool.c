/* SPDX-License-Identifier: Apache-2.0 */
/* Tools of a request: which of them run at the provider, and how often they may be billed. */
#include "meter/request.h"

/* A tool of the vendor's that the client runs: its text is not in the body. */
#define BUILT_IN_TOOL 2048u
#define SEARCH_CALLS  16u /* of a search that names no bound, where the reader knows none */

/* TOOL_DEARER: billed besides, by what no price has: containers, pictures within an answer. */
enum tool_class {
    TOOL_CLIENT,
    TOOL_BUILT_IN,
    TOOL_SERVER,
    TOOL_WEB_SEARCH,
    TOOL_FILE_SEARCH,
    TOOL_DEARER
};

/* By the beginning of the type's name. Whatever is not here runs at the provider. What has a fee
 * per call of at most a search's counts as one. */
static const struct {
    const char *prefix;
    enum tool_class class;
} tool_types[] = {
    {"function", TOOL_CLIENT},
    {"custom", TOOL_CLIENT},
    {"namespace", TOOL_CLIENT},
    {"bash_", TOOL_BUILT_IN},
    {"text_editor_", TOOL_BUILT_IN},
    {"memory_", TOOL_BUILT_IN},
    {"local_shell", TOOL_BUILT_IN},
    {"apply_patch", TOOL_BUILT_IN},
    {"web_search", TOOL_WEB_SEARCH},
    {"x_search", TOOL_WEB_SEARCH},
    {"google_search", TOOL_WEB_SEARCH},
    {"google_maps", TOOL_WEB_SEARCH},
    {"browser_search", TOOL_WEB_SEARCH},
    {"builtin_function", TOOL_WEB_SEARCH}, /* of Moonshot */
    {"collections_search", TOOL_WEB_SEARCH},
    {"attachment_search", TOOL_WEB_SEARCH},
    {"code_execution_", TOOL_SERVER}, /* Anthropic's: without a fee per call */
    {"code_execution", TOOL_WEB_SEARCH},
    {"openrouter:web_search", TOOL_WEB_SEARCH},
    {"file_search", TOOL_FILE_SEARCH},
    {"openrouter:", TOOL_DEARER},
    {"image_generation", TOOL_DEARER},
    {"code_interpreter", TOOL_DEARER},
};

static enum tool_class tool_class_of(const struct scan_value *value)
{
    char type[64];

    if (value->type == SCAN_NULL)
        return TOOL_CLIENT;
    if (value->type != SCAN_STRING ||
        !scan_string_copy(value->bytes, value->count, type, sizeof type))
        return TOOL_SERVER;
    for (size_t i = 0; i < COUNT_OF(tool_types); i++)
        if (strncmp(type, tool_types[i].prefix, strlen(tool_types[i].prefix)) == 0)
            return tool_types[i].class;
    return TOOL_SERVER;
}

void request_tool_begin(struct request_read *read, uint64_t at)
{
    request_json_begin(read, at);
    read->tool_search = METER_COUNTS;
    read->tool_server = false;
    read->tool_uses = 0;
}

void request_tool_type_end(struct request_read *read, const struct scan_value *value)
{
    enum tool_class class = tool_class_of(value);

    read->tool_server |= class >= TOOL_SERVER;
    read->out->unbounded |= class == TOOL_DEARER;
    if (class == TOOL_WEB_SEARCH || class == TOOL_FILE_SEARCH)
        read->tool_search = class == TOOL_FILE_SEARCH ? METER_FILE_SEARCHES : METER_WEB_SEARCHES;
    if (class == TOOL_BUILT_IN)
        read->fixed_tokens += BUILT_IN_TOOL;
}

void request_tool_uses_end(struct request_read *read, const struct scan_value *value)
{
    int64_t uses;

    if (request_count_read(read, value, &uses) && uses > 0)
        read->tool_uses = (uint64_t)uses;
}

void request_searches(struct request_read *read, enum meter_count which, uint64_t uses)
{
    read->out->context_window = read->out->hold_if_broken = true;
    read->search_uses[which] = meter_add(read->search_uses[which], uses);
}

void request_tool_end(struct request_read *read, const struct scan_value *value)
{
    uint64_t calls = read->reader->search_calls != 0 ? read->reader->search_calls : SEARCH_CALLS;

    request_json_end(read, value);
    read->tools++;
    read->out->context_window |= read->tool_server;
    read->out->hold_if_broken |= read->tool_server;
    if (read->tool_search < METER_COUNTS)
        request_searches(read, read->tool_search, read->tool_uses != 0 ? read->tool_uses : calls);
}

/* A list of tools, though it may be empty. */
void request_tools_end(struct request_read *read, const struct scan_value *value)
{
    read->tools_said |= value->type == SCAN_ARRAY || value->type == SCAN_OBJECT;
}

/* Where a shell runs: elsewhere than with the client it has a container. */
void request_place_end(struct request_read *read, const struct scan_value *value)
{
    read->out->unbounded |= request_given(value) && !scan_string_is(value, "local");
}

void request_functions_end(struct request_read *read, const struct scan_value *value)
{
    (void)value;
    read->tools++;
}

void request_server_tool_end(struct request_read *read, const struct scan_value *value)
{
    read->tool_server |= request_given(value);
}

void request_search_tool_end(struct request_read *read, const struct scan_value *value)
{
    read->tool_server |= request_given(value);
    if (request_given(value))
        read->tool_search = METER_WEB_SEARCHES;
}

/* A search that is asked for without a tool: one for each answer. */
void request_search_options_end(struct request_read *read, const struct scan_value *value)
{
    if (request_given(value))
        request_searches(read, METER_WEB_SEARCHES, 1);
}

/* Plugins of OpenRouter that are free; one that searches names results, not searches. */
static const char *const free_plugins[] = {"response-healing", "context-compression", "moderation"};

void request_plugin_end(struct request_read *read, const struct scan_value *value)
{
    bool known = false;

    for (size_t i = 0; i < COUNT_OF(free_plugins); i++)
        known |= scan_string_is(value, free_plugins[i]);
    if (scan_string_is(value, "web"))
        request_searches(read, METER_WEB_SEARCHES, SEARCH_CALLS);
    else
        read->out->unbounded |= !known;
}

void request_all_uses_end(struct request_read *read, const struct scan_value *value)
{
    int64_t uses;

    if (request_count_read(read, value, &uses) && uses > 0 && (uint64_t)uses > read->all_uses)
        read->all_uses = (uint64_t)uses;
}
