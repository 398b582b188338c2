/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of an answer's events, one row each: what a value at a wanted path means, whatever the
 * API. */
#include "meter/answer.h"

/* ---- numbers ------------------------------------------------------------------------------ */

/* More than is kept of a value that spans feeds: such a one is read in no case, so that the record
 * is the same wherever the bytes were cut. */
static bool is_long(const struct scan_value *value)
{
    return value->cut || value->count > SCAN_SHORT_MAX;
}

/* -1: not a usable count. */
static int64_t number_of(struct answer_event *event, const struct scan_value *value)
{
    int64_t number = -1;

    if (value->type == SCAN_NULL)
        return -1;
    if (value->type != SCAN_NUMBER || is_long(value) ||
        !meter_count_parse(value->bytes, value->count, &number))
        event->bad_number = true;
    return number;
}

static void number_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_event *event = &reader->event;
    int64_t number = -1;

    if (id == ANSWER_SECONDS && value->type == SCAN_NUMBER && !is_long(value))
        (void)meter_begun_parse(value->bytes, value->count, &number);
    else
        number = number_of(event, value);
    if (number < 0)
        return;
    event->number[id] = number;
    event->seen |= 1u << id;
}

static void other_tokens_end(struct answer_reader *reader, uint8_t id,
                             const struct scan_value *value)
{
    (void)id;
    if (value->type == SCAN_NUMBER && !(value->count == 1 && *value->bytes == '0'))
        reader->event.other_tokens = true;
}

/* One of several figures of an event that belong together. */
static void add_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    static const uint8_t sums[] = {ANSWER_INPUT, ANSWER_OUTPUT, ANSWER_SEARCHES};
    struct answer_event *event = &reader->event;
    unsigned figure = sums[id - ANSWER_ADD_INPUT];
    int64_t number = number_of(event, value);
    uint64_t sum = event->seen & 1u << figure ? (uint64_t)event->number[figure] : 0;

    if (number < 0)
        return;
    sum = meter_add(sum, (uint64_t)number);
    event->number[figure] = sum < INT64_MAX ? (int64_t)sum : INT64_MAX;
    event->seen |= 1u << figure;
}

/* Of two usage objects in one event the later counts, and nothing of the earlier. */
static void usage_begin(struct answer_reader *reader)
{
    reader->event.seen = 0;
    reader->event.bad_number = false;
    reader->event.parts_seen = false;
    reader->event.cost_seen = false;
    reader->event.cost = answer_no_cost;
    reader->event.part_count = 0;
}

/* ---- names -------------------------------------------------------------------------------- */

static void model_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    const char *known = reader->answer.model;

    (void)id;
    if (value->type != SCAN_STRING || is_long(value))
        return;
    if (value->count < METER_MODEL_MAX && known[value->count] == '\0' &&
        memcmp(known, value->bytes, value->count) == 0 && reader->event.model[0] == '\0')
        return; /* each event of a stream names it again */
    (void)scan_string_copy(value->bytes, value->count, reader->event.model, METER_MODEL_MAX);
}

static void id_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    if (value->type == SCAN_STRING && !is_long(value))
        (void)scan_string_copy(value->bytes, value->count, reader->event.id, METER_MODEL_MAX);
}

/* "auto" is a wish, not what was served. */
static const struct {
    const char *name;
    enum meter_tier tier;
} tiers[] = {
    {"default", METER_TIER_STANDARD},
    {"standard", METER_TIER_STANDARD},
    {"scale", METER_TIER_STANDARD},
    {"priority", METER_TIER_PRIORITY},
    {"flex", METER_TIER_FLEX},
    {"batch", METER_TIER_BATCH},
    {"fast", METER_TIER_PRIORITY},
    {"ultrafast", METER_TIER_FAST},
    {"ON_DEMAND", METER_TIER_STANDARD},
    {"ON_DEMAND_FLEX", METER_TIER_FLEX},
    {"ON_DEMAND_PRIORITY", METER_TIER_PRIORITY},
};

static void tier_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_event *event = &reader->event;

    (void)id;
    for (size_t i = 0; i < COUNT_OF(tiers); i++)
        if (scan_string_is(value, tiers[i].name) &&
            !(event->tier_seen && event->tier == METER_TIER_FAST)) {
            event->tier = tiers[i].tier;
            event->tier_seen = true;
            return;
        }
}

/* Of another vendor, beside its tier. */
static void speed_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    if (!scan_string_is(value, "fast"))
        return;
    reader->event.tier = METER_TIER_FAST;
    reader->event.tier_seen = true;
}

static void status_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    static const char *const unfinished[] = {"queued", "in_progress", "starting", "processing"};

    (void)id;
    for (size_t i = 0; i < COUNT_OF(unfinished); i++)
        reader->event.pending |= scan_string_is(value, unfinished[i]);
}

static bool type_is(const struct scan_value *value, const struct answer_type *type)
{
    if (value->text_bytes != value->count) /* it has escapes, or is not all here */
        return scan_string_is(value, type->name);
    return value->count == type->bytes && memcmp(value->bytes, type->name, type->bytes) == 0;
}

static void type_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    const struct answer_type *type = reader->adapter->types;

    (void)id;
    while (type->name != NULL && !type_is(value, type))
        type++;
    reader->event.marks |= type->marks;
}

static void error_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    reader->event.error |= value->type != SCAN_NULL && value->type != SCAN_FALSE;
}

/* Errors by which a provider says that nothing was made, whatever the status was. */
static const char *const unbilled_errors[] = {
    "insufficient_quota",   "rate_limit_exceeded", "rate_limit_error", "overloaded_error",
    "authentication_error", "permission_error",    "invalid_api_key",  "server_error",
    "internal_error",       "api_error",
};

static void error_code_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    for (size_t i = 0; i < COUNT_OF(unbilled_errors); i++)
        reader->event.unbilled |= scan_string_is(value, unbilled_errors[i]);
}

/* A status of the provider's own beside HTTP's: anything but 0 is an error. */
static void result_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    bool zero = value->type == SCAN_NUMBER && value->count == 1 && *value->bytes == '0';

    (void)id;
    reader->event.error |= value->type != SCAN_NULL && !zero;
}

/* Some say "null" for null. */
static void finish_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    reader->event.finish |= value->type != SCAN_NULL && !scan_string_is(value, "") &&
                            !scan_string_is(value, "null") &&
                            !scan_string_is(value, "not_finished");
}

static void done_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    if (value->type == SCAN_TRUE)
        reader->event.marks |= ANSWER_ENDS;
}

static void metrics_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    if (value->type == SCAN_OBJECT)
        reader->event.marks |= ANSWER_ENDS;
}

/* ---- costs -------------------------------------------------------------------------------- */

static struct answer_cost *cost_of(struct answer_reader *reader)
{
    reader->event.costed = true;
    return &reader->event.cost;
}

/* The figure's own text, and its pico-dollars; nothing of one that cannot be read. */
static void cost_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_cost *cost = cost_of(reader);
    int64_t pusd;

    (void)id;
    if ((value->type != SCAN_NUMBER && value->type != SCAN_STRING) || is_long(value) ||
        !meter_usd_parse(value->bytes, value->count, &pusd))
        return;
    cost->pusd = pusd;
    reader->event.cost_seen = true;
    if (!meter_usd_plain(value->bytes, value->count, cost->text, sizeof cost->text))
        (void)meter_usd_text(pusd, cost->text);
}

/* 10^10 ticks are a dollar. */
static void ticks_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_cost *cost = cost_of(reader);
    int64_t ticks = number_of(&reader->event, value), pusd;

    (void)id;
    if (ticks < 0 || __builtin_mul_overflow(ticks, 100, &pusd))
        return;
    cost->pusd = pusd;
    reader->event.cost_seen = true;
    (void)meter_usd_text(cost->pusd, cost->text);
}

static void geo_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    static const char *const nowhere[] = {"global", "not_available", ""};
    struct answer_event *event = &reader->event;

    (void)id;
    if (value->type != SCAN_STRING)
        return;
    event->geo_seen = event->regional = true;
    for (size_t i = 0; i < COUNT_OF(nowhere); i++)
        if (scan_string_is(value, nowhere[i]))
            event->regional = false;
}

static void upstream_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    int64_t pusd;

    (void)id;
    if (value->type == SCAN_NUMBER && !is_long(value) &&
        meter_usd_parse(value->bytes, value->count, &pusd))
        cost_of(reader)->upstream_pusd = pusd;
}

static void byok_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    cost_of(reader)->byok = value->type == SCAN_TRUE;
}

/* ---- what is counted ----------------------------------------------------------------------- */

static void count_add(struct answer_event *event, unsigned count, unsigned more)
{
    event->counts[count] += more;
    event->counted = true;
}

/* ---- tools -------------------------------------------------------------------------------- */

static void tool_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    bool named = value->type == SCAN_OBJECT || (value->type == SCAN_STRING && value->count > 0);

    (void)id;
    count_add(&reader->event, METER_TOOL_CALLS, named);
}

/* Items of answers that are calls. Searches are billed by number and counted apart. */
static const struct {
    const char *name;
    enum meter_count count;
} items[] = {
    {"function_call", METER_TOOL_CALLS},
    {"custom_tool_call", METER_TOOL_CALLS},
    {"mcp_call", METER_TOOL_CALLS},
    {"computer_call", METER_TOOL_CALLS},
    {"local_shell_call", METER_TOOL_CALLS},
    {"shell_call", METER_TOOL_CALLS},
    {"apply_patch_call", METER_TOOL_CALLS},
    {"tool_search_call", METER_TOOL_CALLS},
    {"code_interpreter_call", METER_TOOL_CALLS},
    {"image_generation_call", METER_TOOL_CALLS},
    {"web_search_call", METER_WEB_SEARCHES},
    {"file_search_call", METER_FILE_SEARCHES},
    {"tool_use", METER_TOOL_CALLS},
    {"mcp_tool_use", METER_TOOL_CALLS},
};

/* Items of reasoning, of which a summary is shown, or nothing. */
static const char *const thoughts[] = {"thinking", "redacted_thinking", "reasoning"};

static void item_begin(struct answer_reader *reader)
{
    reader->event.made = true;
    reader->event.item = METER_COUNTS;
    reader->event.item_counts = true;
}

static void item_type_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    for (size_t i = 0; i < COUNT_OF(items); i++)
        if (scan_string_is(value, items[i].name))
            reader->event.item = (uint8_t)items[i].count;
    for (size_t i = 0; i < COUNT_OF(thoughts); i++)
        reader->event.reasoned |= scan_string_is(value, thoughts[i]);
}

/* A web search may open a page or look in one instead; only searches are billed. */
static void item_action_end(struct answer_reader *reader, uint8_t id,
                            const struct scan_value *value)
{
    (void)id;
    reader->event.item_counts = scan_string_is(value, "search");
}

static void item_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_event *event = &reader->event;
    bool counts = event->item_counts || event->item != METER_WEB_SEARCHES;

    (void)id;
    if (value->type == SCAN_OBJECT && event->item < METER_COUNTS && counts)
        count_add(event, event->item, 1);
}

/* Sound or pictures in an answer of text. */
static void media_begin(struct answer_reader *reader)
{
    reader->event.wordless = true;
}

static void image_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    count_add(&reader->event, METER_IMAGES, value->type == SCAN_OBJECT);
}

static void query_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    count_add(&reader->event, METER_WEB_SEARCHES, value->type == SCAN_STRING && value->count > 0);
}

/* ---- tokens by modality, or by how long they are kept --------------------------------------- */

enum modality { MODALITY_TEXT, MODALITY_IMAGE, MODALITY_AUDIO, MODALITY_HOUR, MODALITIES };

static const struct {
    const char *name, *number; /* the number stands where enums are sent as integers */
    enum modality modality;
} modalities[] = {{"IMAGE", "2", MODALITY_IMAGE}, {"AUDIO", "4", MODALITY_AUDIO},
                  {"image", "", MODALITY_IMAGE},  {"audio", "", MODALITY_AUDIO},
                  {"VIDEO", "3", MODALITY_IMAGE}, {"video", "", MODALITY_IMAGE},
                  {"1h", "", MODALITY_HOUR}};

/* The figure that a modality of a list belongs to; ANSWER_NUMBERS: none of its own. */
static const uint8_t detail_figures[][MODALITIES] = {
    {ANSWER_NUMBERS, ANSWER_IMAGE_IN, ANSWER_AUDIO_IN, ANSWER_NUMBERS},
    {ANSWER_NUMBERS, ANSWER_IMAGE_CACHED, ANSWER_AUDIO_CACHED, ANSWER_NUMBERS},
    {ANSWER_NUMBERS, ANSWER_NUMBERS, ANSWER_NUMBERS, ANSWER_NUMBERS}, /* results of tools: text */
    {ANSWER_NUMBERS, ANSWER_IMAGE_OUT, ANSWER_AUDIO_OUT, ANSWER_NUMBERS},
    {ANSWER_WRITE_5M, ANSWER_WRITE_5M, ANSWER_WRITE_5M, ANSWER_WRITE_1H},
};

static void detail_begin(struct answer_reader *reader)
{
    reader->event.modality = MODALITY_TEXT;
    reader->event.detail_tokens = -1;
}

static void detail_modality_end(struct answer_reader *reader, uint8_t id,
                                const struct scan_value *value)
{
    (void)id;
    for (size_t i = 0; i < COUNT_OF(modalities); i++)
        if (scan_string_is(value, modalities[i].name) ||
            (value->type == SCAN_NUMBER && value->count == 1 &&
             *value->bytes == *modalities[i].number))
            reader->event.modality = (uint8_t)modalities[i].modality;
}

static void detail_tokens_end(struct answer_reader *reader, uint8_t id,
                              const struct scan_value *value)
{
    (void)id;
    reader->event.detail_tokens = number_of(&reader->event, value);
}

static void detail_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_event *event = &reader->event;
    uint8_t figure = detail_figures[id - ANSWER_PROMPT_DETAIL][event->modality];
    uint64_t sum;

    (void)value;
    if (figure == ANSWER_NUMBERS || event->detail_tokens < 0)
        return;
    sum = event->seen & 1u << figure ? (uint64_t)event->number[figure] : 0;
    sum = meter_add(sum, (uint64_t)event->detail_tokens);
    event->number[figure] = sum < INT64_MAX ? (int64_t)sum : INT64_MAX;
    event->seen |= 1u << figure;
}

/* ---- passes that are billed on their own -------------------------------------------------- */

static void parts_begin(struct answer_reader *reader)
{
    reader->event.parts_seen = true;
    reader->event.part_count = 0;
}

static void part_begin(struct answer_reader *reader)
{
    struct answer_part *part = &reader->event.part;

    part->model[0] = '\0';
    part->main = false;
    for (unsigned i = 0; i < ANSWER_NUMBERS; i++)
        part->number[i] = -1;
}

static void part_model_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    if (value->type == SCAN_STRING && !is_long(value))
        (void)scan_string_copy(value->bytes, value->count, reader->event.part.model,
                               METER_MODEL_MAX);
}

/* Messages are in the main figures, everything else (compaction, advisors) is not. */
static void part_type_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    (void)id;
    reader->event.part.main = scan_string_is(value, "message");
}

static void part_number_end(struct answer_reader *reader, uint8_t id,
                            const struct scan_value *value)
{
    reader->event.part.number[id - ANSWER_PART_NUMBER] = number_of(&reader->event, value);
}

static void part_sum(struct answer_part *into, const struct answer_part *from)
{
    for (unsigned i = 0; i < ANSWER_NUMBERS; i++) {
        uint64_t sum = meter_add((uint64_t)answer_or_zero(into->number[i]),
                                 (uint64_t)answer_or_zero(from->number[i]));

        if (into->number[i] >= 0 || from->number[i] >= 0)
            into->number[i] = sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
    }
}

/* Passes of one model are one part; those in the main figures matter only for their model. */
static void part_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    struct answer_event *event = &reader->event;
    const struct answer_part *part = &event->part;
    unsigned at = 0;

    (void)id;
    if (value->type != SCAN_OBJECT || (part->main && part->model[0] == '\0'))
        return;
    while (at < event->part_count && (event->parts[at].main != part->main ||
                                      strcmp(event->parts[at].model, part->model) != 0))
        at++;
    if (at == ANSWER_PARTS_MAX) {
        event->other_tokens = true; /* more models than there is room for: all in the last */
        at--;
    }
    if (at < event->part_count)
        part_sum(&event->parts[at], part);
    else
        event->parts[event->part_count++] = *part;
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct {
    void (*begin)(struct answer_reader *reader);
    void (*end)(struct answer_reader *reader, uint8_t id, const struct scan_value *value);
} fields[ANSWER_PART_NUMBER] = {
    [ANSWER_OTHER_TOKENS] = {NULL, other_tokens_end},
    [ANSWER_USAGE] = {usage_begin, NULL},
    [ANSWER_MODEL] = {NULL, model_end},
    [ANSWER_TIER] = {NULL, tier_end},
    [ANSWER_SPEED] = {NULL, speed_end},
    [ANSWER_STATUS] = {NULL, status_end},
    [ANSWER_TYPE] = {NULL, type_end},
    [ANSWER_ERROR] = {NULL, error_end},
    [ANSWER_ERROR_CODE] = {NULL, error_code_end},
    [ANSWER_RESULT] = {NULL, result_end},
    [ANSWER_FINISH] = {NULL, finish_end},
    [ANSWER_DONE] = {NULL, done_end},
    [ANSWER_METRICS] = {NULL, metrics_end},
    [ANSWER_TOOL] = {NULL, tool_end},
    [ANSWER_GEO] = {NULL, geo_end},
    [ANSWER_MEDIA] = {media_begin, NULL},
    [ANSWER_ITEM] = {item_begin, item_end},
    [ANSWER_ITEM_TYPE] = {NULL, item_type_end},
    [ANSWER_ITEM_ACTION] = {NULL, item_action_end},
    [ANSWER_QUERY] = {NULL, query_end},
    [ANSWER_IMAGE] = {NULL, image_end},
    [ANSWER_ADD_INPUT] = {NULL, add_end},
    [ANSWER_ADD_OUTPUT] = {NULL, add_end},
    [ANSWER_ADD_SEARCHES] = {NULL, add_end},
    [ANSWER_ID] = {NULL, id_end},
    [ANSWER_COST] = {NULL, cost_end},
    [ANSWER_COST_TICKS] = {NULL, ticks_end},
    [ANSWER_COST_UPSTREAM] = {NULL, upstream_end},
    [ANSWER_BYOK] = {NULL, byok_end},
    [ANSWER_PROMPT_DETAIL] = {detail_begin, detail_end},
    [ANSWER_CACHE_DETAIL] = {detail_begin, detail_end},
    [ANSWER_TOOL_DETAIL] = {detail_begin, detail_end},
    [ANSWER_OUTPUT_DETAIL] = {detail_begin, detail_end},
    [ANSWER_WRITE_DETAIL] = {detail_begin, detail_end},
    [ANSWER_DETAIL_MODALITY] = {NULL, detail_modality_end},
    [ANSWER_DETAIL_TOKENS] = {NULL, detail_tokens_end},
    [ANSWER_PARTS] = {parts_begin, NULL},
    [ANSWER_PART] = {part_begin, part_end},
    [ANSWER_PART_MODEL] = {NULL, part_model_end},
    [ANSWER_PART_TYPE] = {NULL, part_type_end},
};

void answer_field_begin(struct answer_reader *reader, uint8_t id)
{
    if (id < ANSWER_PART_NUMBER && fields[id].begin != NULL)
        fields[id].begin(reader);
}

void answer_field_end(struct answer_reader *reader, uint8_t id, const struct scan_value *value)
{
    if (id < ANSWER_NUMBERS)
        number_end(reader, id, value);
    else if (id >= ANSWER_PART_NUMBER)
        part_number_end(reader, id, value);
    else if (fields[id].end != NULL)
        fields[id].end(reader, id, value);
}
