/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of Anthropic's messages. Input, cache reads and cache writes stand beside each other; a
 * stream's figures are cumulative, and each replaces the one of the same name before, but for
 * zeros: some who speak this API tell the input at the beginning and none at the end. */
#include "meter/answer.h"

#include <stdio.h>

/* Cache writes by how long they last. What the split does not tell goes to five minutes, unless the
 * request asked for an hour alone. */
static void writes_fill(const int64_t number[ANSWER_NUMBERS], const struct meter_request *request,
                        uint64_t tokens[METER_BUCKETS], unsigned *warnings)
{
    uint64_t rest = (uint64_t)answer_or_zero(number[ANSWER_WRITE]);
    uint64_t hour = (uint64_t)answer_or_zero(number[ANSWER_WRITE_1H]);
    uint64_t minutes = (uint64_t)answer_or_zero(number[ANSWER_WRITE_5M]);
    bool hour_alone = request->cache_write_1h && !request->cache_write_5m;

    if (number[ANSWER_WRITE] < 0)
        rest = meter_add(hour, minutes);
    tokens[METER_CACHE_WRITE_1H] = answer_take(&rest, (int64_t)hour, warnings);
    tokens[METER_CACHE_WRITE_5M] = answer_take(&rest, (int64_t)minutes, warnings);
    tokens[hour_alone ? METER_CACHE_WRITE_1H : METER_CACHE_WRITE_5M] += rest;
}

static void tokens_fill(const int64_t number[ANSWER_NUMBERS], const struct meter_request *request,
                        uint64_t tokens[METER_BUCKETS], unsigned *warnings)
{
    memset(tokens, 0, METER_BUCKETS * sizeof *tokens);
    tokens[METER_INPUT] = (uint64_t)answer_or_zero(number[ANSWER_INPUT]);
    tokens[METER_CACHE_READ] = (uint64_t)answer_or_zero(number[ANSWER_CACHED]);
    tokens[METER_OUTPUT] = (uint64_t)answer_or_zero(number[ANSWER_OUTPUT]);
    writes_fill(number, request, tokens, warnings);
}

/* A pass that the main figures contain but another model made: it leaves them. */
static void part_take(uint64_t main[METER_BUCKETS], const uint64_t part[METER_BUCKETS],
                      unsigned *warnings)
{
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        (void)answer_take(&main[i], (int64_t)part[i], warnings);
}

void answer_anthropic_buckets(const struct answer *answer, const struct meter_request *request,
                              struct meter_usage *usage)
{
    tokens_fill(answer->number, request, usage->tokens, &usage->warnings);
    for (unsigned i = 0; i < answer->part_count; i++) {
        const struct answer_part *from = &answer->parts[i];
        struct meter_part *part = &usage->parts[usage->part_count];

        if (from->main && strcmp(from->model, answer->model) == 0)
            continue;
        tokens_fill(from->number, request, part->tokens, &usage->warnings);
        /* Without what a longer name left behind its end: the record is the same whenever read. */
        (void)snprintf(part->model, sizeof part->model, "%s",
                       from->model[0] != '\0' ? from->model : answer->model);
        part->in_reported = from->main;
        part->unnamed = from->model[0] == '\0';
        if (from->main)
            part_take(usage->tokens, part->tokens, &usage->warnings);
        usage->part_count++;
    }
    if (answer->number[ANSWER_SEARCHES] >= 0)
        usage->counts[METER_WEB_SEARCHES] = (uint64_t)answer->number[ANSWER_SEARCHES];
    /* Priority capacity is bought apart; its calls are priced as the standard ones. */
    if (usage->tier == METER_TIER_PRIORITY)
        usage->tier = METER_TIER_STANDARD;
}

/* clang-format off */
#define COUNTS(path, first)                                                                        \
    {path ".input_tokens", SCAN_END, (first) + ANSWER_INPUT},                                      \
    {path ".output_tokens", SCAN_END, (first) + ANSWER_OUTPUT},                                    \
    {path ".cache_read_input_tokens", SCAN_END, (first) + ANSWER_CACHED},                          \
    {path ".cache_creation_input_tokens", SCAN_END, (first) + ANSWER_WRITE},                       \
    {path ".cache_creation.ephemeral_5m_input_tokens", SCAN_END, (first) + ANSWER_WRITE_5M},       \
    {path ".cache_creation.ephemeral_1h_input_tokens", SCAN_END, (first) + ANSWER_WRITE_1H}
/* clang-format on */

/* clang-format off */
#define USAGE(path)                                                                                \
    {path, SCAN_BEGIN, ANSWER_USAGE},                                                              \
    COUNTS(path, 0),                                                                               \
    {path ".output_tokens_details.thinking_tokens", SCAN_END, ANSWER_REASONING},                   \
    {path ".server_tool_use.web_search_requests", SCAN_END, ANSWER_SEARCHES},                      \
    {path ".service_tier", SCAN_END, ANSWER_TIER},                                                 \
    {path ".speed", SCAN_END, ANSWER_SPEED},                                                       \
    {path ".inference_geo", SCAN_END, ANSWER_GEO},                                                 \
    {path ".iterations", SCAN_BEGIN, ANSWER_PARTS},                                                \
    {path ".iterations[]", SCAN_BEGIN | SCAN_END, ANSWER_PART},                                    \
    {path ".iterations[].type", SCAN_END, ANSWER_PART_TYPE},                                       \
    {path ".iterations[].model", SCAN_END, ANSWER_PART_MODEL},                                     \
    COUNTS(path ".iterations[]", ANSWER_PART_NUMBER),                                              \
    {path ".pydantic_ai_gateway.cost_estimate", SCAN_END, ANSWER_COST},                            \
    {path ".*_tokens", SCAN_END, ANSWER_OTHER_TOKENS}
/* clang-format on */

static const struct scan_path messages_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"error", SCAN_END, ANSWER_ERROR},
    {"error.type", SCAN_END, ANSWER_ERROR_CODE},
    {"completion", SCAN_TEXT, ANSWER_TEXT}, /* of the API before messages */
    {"stop_reason", SCAN_END, ANSWER_FINISH},
    {"model", SCAN_END, ANSWER_MODEL},
    {"message.model", SCAN_END, ANSWER_MODEL},
    USAGE("usage"),
    USAGE("message.usage"),
    {"delta.text", SCAN_TEXT, ANSWER_TEXT},
    {"delta.thinking", SCAN_TEXT, ANSWER_TEXT},
    {"delta.partial_json", SCAN_TEXT, ANSWER_TEXT},
    {"content_block", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"content_block.type", SCAN_END, ANSWER_ITEM_TYPE},
    {"content_block.text", SCAN_TEXT, ANSWER_TEXT},
    {"content_block.thinking", SCAN_TEXT, ANSWER_TEXT},
    {"content_block.name", SCAN_TEXT, ANSWER_TEXT},
    {"content[]", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"content[].type", SCAN_END, ANSWER_ITEM_TYPE},
    {"content[].text", SCAN_TEXT, ANSWER_TEXT},
    {"content[].thinking", SCAN_TEXT, ANSWER_TEXT},
    {"content[].name", SCAN_TEXT, ANSWER_TEXT},
    {"content[].input", SCAN_TEXT | SCAN_DEEP, ANSWER_TEXT},
};

static const struct answer_type messages_types[] = {
    TYPE("message_stop", ANSWER_ENDS),
    TYPE("message_delta", ANSWER_ENDING),
    TYPE("content_block_start", ANSWER_ADDS),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_messages = {
    .tree = SCAN_TREE_ONCE,
    .paths = messages_paths,
    .path_count = COUNT_OF(messages_paths),
    .types = messages_types,
    .merges = true,
    .keeps = true,
    .buckets = answer_anthropic_buckets,
};
