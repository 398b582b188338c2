/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a request, one row each: what a value at a wanted path means, whatever the API.
 * Where a key stands twice providers differ in which one counts: the dearer reading is taken. */
#include "meter/request.h"

static void fail(struct request_read *read, const struct scan_value *value, const char *text)
{
    if (read->err != METER_OK)
        return;
    read->err = METER_BAD_FIELD;
    read->err_text = text;
    read->err_at = value->at;
}

bool request_given(const struct scan_value *value)
{
    bool empty = value->type == SCAN_ARRAY && value->size == 2;

    return value->type != SCAN_NULL && value->type != SCAN_FALSE && !empty;
}

static void content_begin(struct request_read *read, uint64_t at)
{
    (void)at;
    read->content_depth++;
}

static void content_end(struct request_read *read, const struct scan_value *value)
{
    read->content_depth -= value->type >= SCAN_OBJECT;
}

/* ---- fields ------------------------------------------------------------------------------- */

static void root_begin(struct request_read *read, uint64_t at)
{
    read->root_at = at + 1;
}

static void config_begin(struct request_read *read, uint64_t at)
{
    read->config_at = at + 1;
    read->configs++;
}

static void config_end(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_OBJECT)
        return;
    read->fixed |= value->type != SCAN_NULL;
    read->configs++;
    read->config_null = true;
    read->config_at = value->at;
    read->config_size = value->size;
}

static const char *without_wrapper(const char *model)
{
    return strncmp(model, "models/", 7) == 0 ? model + 7 : model;
}

static void model_end(struct request_read *read, const struct scan_value *value)
{
    char model[METER_MODEL_MAX];

    if (read->model_fixed)
        return;
    if (value->type != SCAN_STRING ||
        !scan_string_copy(value->bytes, value->count, model, sizeof model) || model[0] == '\0')
        fail(read, value, "the model is not a usable name");
    else if (read->out->model[0] != '\0' &&
             strcmp(without_wrapper(read->out->model), without_wrapper(model)) != 0)
        fail(read, value, "two models are named");
    else
        memcpy(read->out->model, model, sizeof model);
    read->out->model_bytes = read->model_seen ? 0 : (size_t)value->size;
    read->out->model_at = (size_t)value->at;
    read->model_seen = true;
}

static void agent_end(struct request_read *read, const struct scan_value *value)
{
    read->agent = true;
    model_end(read, value);
}

/* Of anything but one plain true nobody knows what will come; a path that says so is not asked. */
static void stream_end(struct request_read *read, const struct scan_value *value)
{
    bool by_path = read->out->api != NULL && read->out->api->streams;

    request_mark(read, value);
    read->out->stream = by_path || (value->type == SCAN_TRUE && !read->stream_said);
    read->out->stream_open |= request_given(value);
    read->stream_said = true;
}

bool request_count_read(const struct request_read *read, const struct scan_value *value,
                        int64_t *out)
{
    bool quoted = value->type == SCAN_STRING && read->reader->quoted_cap;

    *out = -1;
    if (value->type == SCAN_NULL)
        return true;
    return (value->type == SCAN_NUMBER || quoted) &&
           meter_count_parse(value->bytes, value->count, out);
}

/* What stands behind these providers takes a cap of 0 for none, or may. */
static bool zero_is_none(const struct request_read *read)
{
    switch (provider_id_of(read->out->provider)) {
    case PROVIDER_GEMINI:
    case PROVIDER_VERTEX:
    case PROVIDER_WATSONX:
    case PROVIDER_OLLAMA:
    case PROVIDER_LITELLM_PROXY:
    case PROVIDER_PORTKEY:
    case PROVIDER_UNKNOWN:
        return read->family != TEXT_ANTHROPIC;
    default:
        return false;
    }
}

static void cap_read(struct request_read *read, unsigned which, const struct scan_value *value)
{
    int64_t cap;

    if (!request_count_read(read, value, &cap)) {
        fail(read, value, "the output cap is not a whole number");
        return;
    }
    if (cap == 0 && zero_is_none(read))
        cap = -1;
    request_mark(read, value);
    read->cap[which].null |= cap < 0;
    if (read->cap[which].seen++ == 0 || cap > read->cap[which].value)
        read->cap[which].value = cap;
    read->cap[which].at = value->at;
    read->cap[which].size = value->size;
}

static void cap_end(struct request_read *read, const struct scan_value *value)
{
    cap_read(read, 0, value);
}

static void cap_old_end(struct request_read *read, const struct scan_value *value)
{
    cap_read(read, 1, value);
}

static void cap_or_none_end(struct request_read *read, const struct scan_value *value)
{
    const struct scan_value none = {.type = SCAN_NULL, .at = value->at, .size = value->size};

    cap_read(read, 0, value->type == SCAN_NUMBER && *value->bytes == '-' ? &none : value);
}

/* What a prediction has wrong is billed as output beyond the cap. */
static void fixed_end(struct request_read *read, const struct scan_value *value)
{
    read->fixed |= request_given(value);
    read->predicted_bytes = meter_add(read->predicted_bytes, value->size);
}

static void choices_end(struct request_read *read, const struct scan_value *value)
{
    int64_t choices;

    if (!request_count_read(read, value, &choices))
        fail(read, value, "the number of choices is not a whole number");
    else if (choices > 0 && (uint64_t)choices > read->out->choices)
        read->out->choices = (uint64_t)choices;
    read->choices_said |= choices > 0;
}

/* A thinking budget; -1 is Gemini's "as you like". */
static void budget_end(struct request_read *read, const struct scan_value *value)
{
    int64_t budget;

    if (value->type == SCAN_NUMBER && value->count == 2 && memcmp(value->bytes, "-1", 2) == 0)
        return;
    if (!request_count_read(read, value, &budget))
        fail(read, value, "the thinking budget is not a whole number");
    else if (budget > read->out->thinking_budget)
        read->out->thinking_budget = budget;
}

static void thinking_end(struct request_read *read, const struct scan_value *value)
{
    read->thinking_said |= value->type != SCAN_NULL;
    read->thinking |= request_given(value);
}

/* How dear a service tier may become; one that nobody here knows is the dearest. */
static const struct {
    const char *name;
    enum meter_tier tier;
} tiers[] = {
    {"default", METER_TIER_STANDARD},  {"standard", METER_TIER_STANDARD},
    {"flex", METER_TIER_STANDARD},     {"batch", METER_TIER_STANDARD},
    {"scale", METER_TIER_STANDARD},    {"auto", METER_TIER_PRIORITY},
    {"priority", METER_TIER_PRIORITY}, {"fast", METER_TIER_PRIORITY},
    {"", METER_TIER_STANDARD},
};

static enum meter_tier tier_of(const struct scan_value *value)
{
    for (size_t i = 0; i < COUNT_OF(tiers); i++)
        if (scan_string_is(value, tiers[i].name))
            return tiers[i].tier;
    return METER_TIER_FAST;
}

static void tier_end(struct request_read *read, const struct scan_value *value)
{
    enum meter_tier tier = value->type == SCAN_NULL ? METER_TIER_STANDARD : tier_of(value);

    read->tier_said |= value->type != SCAN_NULL;
    if (read->out->tier != METER_TIER_FAST && tier != METER_TIER_STANDARD)
        read->out->tier = tier;
}

/* Sound and pictures come in pieces that may be as long as they are. */
static void modality_end(struct request_read *read, const struct scan_value *value)
{
    bool text = scan_string_is(value, "text") || scan_string_is(value, "TEXT");

    read->out->hold_if_broken |= request_given(value) && value->type != SCAN_ARRAY && !text;
}

static void background_end(struct request_read *read, const struct scan_value *value)
{
    read->out->hold_if_broken |= request_given(value);
}

static void speed_end(struct request_read *read, const struct scan_value *value)
{
    if (request_given(value) && !scan_string_is(value, "standard"))
        read->out->tier = METER_TIER_FAST;
}

/* ---- asking for the usage ----------------------------------------------------------------- */

/* ... and what comes with a stored one is not in the body. */
static void models_end(struct request_read *read, const struct scan_value *value)
{
    read->model_open |= request_given(value);
    read->out->context_window |= request_given(value);
}

static void options_begin(struct request_read *read, uint64_t at)
{
    read->ask.twice |= read->ask.seen;
    read->ask.seen = read->ask.object = true;
    read->ask.at = at + 1;
}

static void options_end(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_OBJECT)
        return;
    read->ask.twice |= read->ask.seen;
    read->ask.seen = true;
    read->ask.at = value->at;
    read->ask.size = value->size;
}

static void asked_end(struct request_read *read, const struct scan_value *value)
{
    read->ask.twice |= read->ask.flag;
    read->ask.flag = true;
    read->ask.asked = value->type == SCAN_TRUE;
    read->ask.flag_at = value->at;
    read->ask.flag_size = value->size;
}

/* ---- several things in one request -------------------------------------------------------- */

/* Each of several prompts gets answers of its own; numbers are tokens of one. */
static void prompt_end(struct request_read *read, const struct scan_value *value)
{
    read->prompts += value->type == SCAN_STRING || value->type == SCAN_ARRAY;
}

/* Text as numbers: each has a digit and a mark at least. */
static void numbers_end(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_ARRAY)
        read->number_bytes = meter_add(read->number_bytes, value->size);
}

static void document_end(struct request_read *read, const struct scan_value *value)
{
    content_end(read, value);
    read->documents++;
}

/* It may be read again with each document. */
static void query_end(struct request_read *read, const struct scan_value *value)
{
    content_end(read, value);
    read->query_bytes =
        meter_add(read->query_bytes, value->type == SCAN_STRING ? value->text_bytes : value->size);
}

/* "0-899" may be all of them. */
static void pages_end(struct request_read *read, const struct scan_value *value)
{
    read->pages = meter_add(read->pages, value->type == SCAN_NUMBER ? 1 : REQUEST_PAGES_MOST);
}

static void notes_end(struct request_read *read, const struct scan_value *value)
{
    read->noted |= request_given(value);
}

static void input_cap_end(struct request_read *read, const struct scan_value *value)
{
    int64_t most;

    if (request_count_read(read, value, &most) && most > 0)
        read->input_cap = (uint64_t)most;
}

/* What was reported of such a request says nothing of the next. */
static void unsteady_end(struct request_read *read, const struct scan_value *value)
{
    if (request_given(value) && !scan_string_is(value, "disabled"))
        request_outline_drop(read);
}

static void geo_end(struct request_read *read, const struct scan_value *value)
{
    read->out->regional |= request_given(value) && !scan_string_is(value, "global");
    read->out->regional_open &= !request_given(value);
}

/* ---- messages, and what is written anew as JSON --------------------------------------------- */

static void message_begin(struct request_read *read, uint64_t at)
{
    content_begin(read, at);
    request_message_begin(read, at);
}

static void message_end(struct request_read *read, const struct scan_value *value)
{
    content_end(read, value);
    read->messages++;
    request_message_end(read, value);
}

void request_json_begin(struct request_read *read, uint64_t at)
{
    content_begin(read, at);
    if (read->json_depth++ == 0)
        read->json_strings_at = read->scan.strings_bytes;
}

void request_json_end(struct request_read *read, const struct scan_value *value)
{
    content_end(read, value);
    if (value->type < SCAN_OBJECT || --read->json_depth > 0)
        return;
    read->json_strings += read->scan.strings_bytes - read->json_strings_at;
    read->json_bytes += value->size;
}

/* ---- references, caches ------------------------------------------------------------------- */

static void reference_end(struct request_read *read, const struct scan_value *value)
{
    if (request_given(value))
        request_elsewhere(read);
}

void request_elsewhere(struct request_read *read)
{
    read->out->context_window = read->elsewhere = true;
}

/* Parts of a message that stand in the body as text or as media that are counted. */
static const char *const own_parts[] = {
    "text",         "input_text",          "output_text",
    "summary_text", "image_url",           "input_image",
    "image",        "computer_screenshot", "input_audio",
    "file",         "input_file",          "refusal",
    "thinking",     "reasoning",           "reasoning_text",
    "tool_use",     "tool_result",         "tool_call",
    "document",     "redacted_thinking",   "",
};

static void part_type_end(struct request_read *read, const struct scan_value *value)
{
    bool own = value->type == SCAN_NULL;

    for (size_t i = 0; i < COUNT_OF(own_parts); i++)
        own |= scan_string_is(value, own_parts[i]);
    if (!own)
        request_elsewhere(read);
}

static void cache_end(struct request_read *read, const struct scan_value *value)
{
    read->out->cache_write_5m |= request_given(value);
    request_mark_member(read, "cache_control", value);
}

static void cache_ttl_end(struct request_read *read, const struct scan_value *value)
{
    read->out->cache_write_1h |= request_given(value) && !scan_string_is(value, "5m");
}

/* ---- items that may stand for stored ones ------------------------------------------------- */

/* Items that carry all they mean; reasoning only where it is sealed in them. */
static const char *const own_items[] = {
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "computer_call",
    "computer_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "tool_search_call",
    "tool_search_output",
};

static void item_begin(struct request_read *read, uint64_t at)
{
    message_begin(read, at);
    read->item_named = read->item_sealed = read->item_needs_seal = false;
    read->item_body = read->item_foreign = false;
}

static void item_type_end(struct request_read *read, const struct scan_value *value)
{
    bool own = false;

    if (!request_given(value))
        return;
    for (size_t i = 0; i < COUNT_OF(own_items); i++)
        own |= scan_string_is(value, own_items[i]);
    read->item_named = true;
    if (scan_string_is(value, "reasoning") || scan_string_is(value, "compaction"))
        read->item_needs_seal = true;
    else
        read->item_foreign |= !own;
}

static void item_body_end(struct request_read *read, const struct scan_value *value)
{
    read->item_body |= request_given(value);
}

static void item_sealed_end(struct request_read *read, const struct scan_value *value)
{
    read->item_sealed |= value->type == SCAN_STRING && value->count > 0;
}

static void item_end(struct request_read *read, const struct scan_value *value)
{
    bool missing = !read->item_named && !read->item_body; /* an id alone: a reference */

    message_end(read, value);
    if (value->type == SCAN_OBJECT)
        read->out->context_window |=
            missing || read->item_foreign || (read->item_needs_seal && !read->item_sealed);
}

/* ---- the table ---------------------------------------------------------------------------- */

static void source_begin(struct request_read *read, uint64_t at)
{
    content_begin(read, at);
    request_source_begin(read);
}

static void source_end(struct request_read *read, const struct scan_value *value)
{
    content_end(read, value);
    request_source_end(read);
}

static const struct {
    void (*begin)(struct request_read *read, uint64_t at);
    void (*end)(struct request_read *read, const struct scan_value *value);
} fields[REQUEST_FIELDS] = {
    [REQUEST_ROOT] = {root_begin, NULL},
    [REQUEST_CONFIG] = {config_begin, config_end},
    [REQUEST_MODEL] = {NULL, model_end},
    [REQUEST_STREAM] = {NULL, stream_end},
    [REQUEST_AGENT] = {NULL, agent_end},
    [REQUEST_MODALITY] = {NULL, modality_end},
    [REQUEST_BACKGROUND] = {NULL, background_end},
    [REQUEST_CAP_OR_NONE] = {NULL, cap_or_none_end},
    [REQUEST_CAP] = {NULL, cap_end},
    [REQUEST_CAP_OLD] = {NULL, cap_old_end},
    [REQUEST_FIXED] = {NULL, fixed_end},
    [REQUEST_CHOICES] = {NULL, choices_end},
    [REQUEST_THINKING] = {NULL, thinking_end},
    [REQUEST_BUDGET] = {NULL, budget_end},
    [REQUEST_TIER] = {NULL, tier_end},
    [REQUEST_SPEED] = {NULL, speed_end},
    [REQUEST_MESSAGE] = {message_begin, message_end},
    [REQUEST_JSON] = {request_json_begin, request_json_end},
    [REQUEST_TOOL] = {request_tool_begin, request_tool_end},
    [REQUEST_TOOL_TYPE] = {NULL, request_tool_type_end},
    [REQUEST_TOOL_USES] = {NULL, request_tool_uses_end},
    [REQUEST_FUNCTIONS] = {NULL, request_functions_end},
    [REQUEST_SERVER_TOOL] = {NULL, request_server_tool_end},
    [REQUEST_SEARCH_TOOL] = {NULL, request_search_tool_end},
    [REQUEST_SEARCH_OPTIONS] = {NULL, request_search_options_end},
    [REQUEST_ALL_USES] = {NULL, request_all_uses_end},
    [REQUEST_PLUGIN] = {NULL, request_plugin_end},
    [REQUEST_PLACE] = {NULL, request_place_end},
    [REQUEST_TOOLS] = {NULL, request_tools_end},
    [REQUEST_REFERENCE] = {NULL, reference_end},
    [REQUEST_PART_TYPE] = {NULL, part_type_end},
    [REQUEST_CACHE] = {NULL, cache_end},
    [REQUEST_CACHE_TTL] = {NULL, cache_ttl_end},
    [REQUEST_ITEM] = {item_begin, item_end},
    [REQUEST_ITEM_TYPE] = {NULL, item_type_end},
    [REQUEST_ITEM_BODY] = {NULL, item_body_end},
    [REQUEST_ITEM_SEALED] = {NULL, item_sealed_end},
    [REQUEST_CONTENT] = {content_begin, content_end},
    [REQUEST_MODELS] = {NULL, models_end},
    [REQUEST_OPTIONS] = {options_begin, options_end},
    [REQUEST_ASKED] = {NULL, asked_end},
    [REQUEST_PROMPT] = {NULL, prompt_end},
    [REQUEST_NUMBERS] = {NULL, numbers_end},
    [REQUEST_DOCUMENT] = {content_begin, document_end},
    [REQUEST_QUERY] = {content_begin, query_end},
    [REQUEST_PAGES] = {NULL, pages_end},
    [REQUEST_NOTES] = {NULL, notes_end},
    [REQUEST_INPUT_CAP] = {NULL, input_cap_end},
    [REQUEST_GEO] = {NULL, geo_end},
    [REQUEST_UNSTEADY] = {NULL, unsteady_end},
    [REQUEST_IMAGE_URL] = {NULL, request_image_url},
    [REQUEST_FILE_DATA] = {NULL, request_file_data},
    [REQUEST_AUDIO_DATA] = {NULL, request_audio_data},
    [REQUEST_IMAGE_DATA] = {NULL, request_image_data},
    [REQUEST_SOURCE] = {source_begin, source_end},
    [REQUEST_SOURCE_TYPE] = {NULL, request_source_type},
    [REQUEST_SOURCE_MIME] = {NULL, request_source_mime},
    [REQUEST_SOURCE_DATA] = {NULL, request_source_data},
};

void request_field_begin(struct request_read *read, uint8_t id, uint64_t at)
{
    if (fields[id].begin != NULL)
        fields[id].begin(read, at);
}

void request_field_end(struct request_read *read, uint8_t id, const struct scan_value *value)
{
    if (fields[id].end != NULL)
        fields[id].end(read, value);
}
