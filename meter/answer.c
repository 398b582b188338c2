/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a complete event over into the answer. An event that never ends changes nothing: the
 * record is the same wherever the bytes were cut. */
#include "meter/answer.h"

const struct answer_type answer_no_types[] = {{NULL, 0, 0}};

/* ---- the scanner's side ------------------------------------------------------------------- */

static void on_begin(void *ctx, uint8_t id, uint64_t at)
{
    struct answer_reader *reader = ctx;

    (void)at;
    reader->touched = true;
    answer_field_begin(reader, id);
}

static void on_end(void *ctx, uint8_t id, const struct scan_value *value)
{
    struct answer_reader *reader = ctx;

    reader->touched = true;
    answer_field_end(reader, id, value);
}

static void on_text(void *ctx, uint8_t id, bool first, const char *bytes, size_t count)
{
    struct answer_reader *reader = ctx;
    struct answer_event *event = &reader->event;
    bool whole = id == ANSWER_TEXT_WHOLE;

    reader->touched = true;
    if (whole && (event->pieces || reader->answer.pieces))
        return;
    event->text_seen = true;
    event->pieces |= id == ANSWER_TEXT;
    if (first)
        text_begin(&event->text);
    text_add(&event->text, bytes, count);
}

static void on_document(void *ctx)
{
    struct answer_reader *reader = ctx;

    reader->ready = true;
    if (!reader->deferred)
        answer_commit(reader);
}

const struct scan_ops answer_ops = {on_begin, on_end, on_text, on_document};

/* ---- making ------------------------------------------------------------------------------- */

const struct answer_cost answer_no_cost = {.pusd = -1, .upstream_pusd = -1};

static void event_clear(struct answer_event *event)
{
    if (event->counted)
        memset(event->counts, 0, sizeof event->counts);
    if (event->text_seen)
        memset(&event->text, 0, sizeof event->text);
    if (event->costed)
        event->cost = answer_no_cost;
    memset(event, 0, offsetof(struct answer_event, number));
    event->model[0] = event->id[0] = '\0';
    event->part_count = 0;
}

void answer_event_reset(struct answer_reader *reader)
{
    if (reader->touched)
        event_clear(&reader->event);
    reader->touched = reader->ready = false;
}

void answer_init(struct answer_reader *reader, const struct answer_adapter *adapter)
{
    struct answer *answer = &reader->answer;

    memset(reader, 0, sizeof *reader);
    reader->adapter = adapter;
    answer->cost = reader->event.cost = answer_no_cost;
    answer->header_cost_pusd = -1;
    for (unsigned i = 0; i < ANSWER_NUMBERS; i++)
        answer->number[i] = -1;
}

/* ---- headers ------------------------------------------------------------------------------ */

/* Figures that stand in headers. What the body says takes their place. */
static const struct {
    const char *name;
    uint8_t field; /* ANSWER_COST: USD, of a gateway */
} headers[] = {
    {"x-amzn-bedrock-input-token-count", ANSWER_INPUT},
    {"x-amzn-bedrock-output-token-count", ANSWER_OUTPUT},
    {"x-amzn-bedrock-cache-read-input-token-count", ANSWER_CACHED},
    {"x-amzn-bedrock-cache-write-input-token-count", ANSWER_WRITE},
    {"x-prompt-tokens", ANSWER_INPUT},
    {"x-generated-tokens", ANSWER_OUTPUT},
    {"x-litellm-response-cost", ANSWER_COST},
};

void answer_header(struct answer_reader *reader, const char *line)
{
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        size_t bytes = strlen(headers[i].name);
        const char *value = line + bytes + 1;

        if (strncasecmp(line, headers[i].name, bytes) != 0 || line[bytes] != ':')
            continue;
        value += strspn(value, " \t");
        bytes = strcspn(value, " \t\r\n");
        if (headers[i].field == ANSWER_COST)
            (void)meter_usd_parse(value, bytes, &reader->answer.header_cost_pusd);
        else
            (void)meter_count_parse(value, bytes, &reader->answer.number[headers[i].field]);
    }
}

/* ---- taking an event over ----------------------------------------------------------------- */

static void numbers_commit(struct answer_reader *reader)
{
    struct answer *answer = &reader->answer;
    const struct answer_event *event = &reader->event;

    for (unsigned i = 0; i < ANSWER_NUMBERS; i++)
        if (event->seen & 1u << i) {
            if (!reader->adapter->keeps || event->number[i] > 0 || answer->number[i] < 0)
                answer->number[i] = event->number[i];
        } else if (!reader->adapter->merges)
            answer->number[i] = -1;
    if (event->parts_seen) {
        answer->part_count = event->part_count;
        memcpy(answer->parts, event->parts, event->part_count * sizeof event->parts[0]);
    }
    if (event->seen & 1u << ANSWER_OUTPUT && answer->output_begun)
        answer->counted_output = true;
    if (event->seen & 1u << ANSWER_OUTPUT)
        answer->uncounted = false;
}

/* Calls are added up; a list of all of them replaces a smaller sum. */
static void counts_commit(struct answer *answer, const struct answer_event *event, unsigned adds)
{
    for (unsigned i = 0; event->counted && i < METER_COUNTS; i++)
        if (adds & 1u << i)
            answer->counts[i] = meter_add(answer->counts[i], event->counts[i]);
        else if (event->counts[i] > answer->counts[i])
            answer->counts[i] = event->counts[i];
}

static void text_commit(struct answer *answer, const struct answer_event *event)
{
    if (!event->text_seen || event->marks & ANSWER_SILENT)
        return;
    text_merge(&answer->text, &event->text);
    answer->pieces |= event->pieces;
    if (text_empty(&event->text))
        return;
    /* What came before it was not the end, whatever it seemed to be. */
    answer->output_begun = answer->uncounted = true;
    answer->ending = false;
}

static void names_commit(struct answer *answer, const struct answer_event *event)
{
    if (event->model[0] != '\0')
        memcpy(answer->model, event->model, sizeof answer->model);
    if (event->id[0] != '\0')
        memcpy(answer->id, event->id, sizeof answer->id);
    if (event->cost_seen)
        answer->cost = event->cost;
    if (event->tier_seen) {
        answer->tier = event->tier;
        answer->tier_seen = true;
    }
    if (event->geo_seen) {
        answer->regional = event->regional;
        answer->geo_seen = true;
    }
}

static void marks_commit(struct answer_reader *reader)
{
    struct answer *answer = &reader->answer;
    const struct answer_event *event = &reader->event;
    bool figures = reader->adapter->usage_ends && event->seen != 0;

    answer->error |= event->error || event->marks & ANSWER_FAILS;
    answer->cut |= event->error || event->marks & ANSWER_FAILS;
    if (figures)
        answer->cut = false;
    answer->unbilled |= event->unbilled;
    answer->made |= event->made;
    answer->reasoned |= event->reasoned;
    answer->wordless |= event->wordless || event->marks & ANSWER_SILENT;
    answer->ended |= (event->marks & ANSWER_ENDS) != 0;
    answer->ending |= event->marks & ANSWER_ENDING || event->finish || figures;
    answer->pending = event->pending;
    answer->warnings |= event->bad_number ? METER_WARN_BAD_USAGE : 0;
    answer->warnings |= event->other_tokens ? METER_WARN_UNKNOWN_FIELD : 0;
}

void answer_commit(struct answer_reader *reader)
{
    struct answer *answer = &reader->answer;
    const struct answer_event *event = &reader->event;
    bool foreign = event->marks & ANSWER_FOREIGN;

    text_commit(answer, event);
    if (!foreign && (event->seen != 0 || event->parts_seen))
        numbers_commit(reader);
    if (!foreign)
        names_commit(answer, event);
    if (!(event->marks & ANSWER_REPEATED))
        counts_commit(answer, event, event->marks & ANSWER_ADDS ? ~0u : reader->adapter->adds);
    if (!foreign)
        marks_commit(reader);
    answer->documents++;
    reader->committed = true;
    answer_event_reset(reader);
}
