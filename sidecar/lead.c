/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that begin like earlier ones. A token is at least a byte, so bytes bound tokens, four
 * times too high for prose; an agent's loop sends the same messages again and again, with some more
 * at the end. What a provider reported of the same messages is a far better bound of them. Kept are
 * hashes and counts alone: nothing of the text, per run, in memory. */
#include "sidecar/side_int.h"

#include <stdlib.h>
#include <string.h>

#define HASH_BYTES  32u
#define ROOM_TOKENS 16u /* for what a template may do at the seam */

/* The first so many messages of a request: their hash, and what all the others are at most. */
struct beginning {
    uint8_t hash[HASH_BYTES];
    uint64_t rest_tokens;
};

struct side_lead {
    uint8_t head[HASH_BYTES]; /* of all that is no message */
    unsigned count;
    struct beginning beginnings[]; /* [i]: of i + 1 messages */
};

/* ---- hashing ------------------------------------------------------------------------------ */

struct hashing {
    struct store_hash hash;
    const struct meter_outline *outline;
    const unsigned char *body;
    unsigned mark; /* the next one */
};

static void add_bytes(struct hashing *hashing, size_t from, size_t to)
{
    if (to > from)
        store_hash_add(&hashing->hash, hashing->body + from, to - from);
}

/* Bytes of the body without the marks in them. */
static void add_span(struct hashing *hashing, size_t from, size_t to)
{
    const struct meter_outline *outline = hashing->outline;

    for (; hashing->mark < outline->mark_count; hashing->mark++) {
        const struct meter_mark *mark = &outline->marks[hashing->mark];

        if (mark->at >= to)
            break;
        add_bytes(hashing, from, mark->at);
        from = (size_t)mark->at + mark->bytes;
    }
    add_bytes(hashing, from, to);
}

/* The next mark is not in front of here. */
static void skip_marks(struct hashing *hashing, size_t at)
{
    const struct meter_outline *outline = hashing->outline;

    while (hashing->mark < outline->mark_count && outline->marks[hashing->mark].at < at)
        hashing->mark++;
}

/* Each beginning's hash goes into the next. */
static void hash_messages(struct hashing *hashing, struct side_lead *lead)
{
    static const uint8_t none[HASH_BYTES];
    const struct meter_outline *outline = hashing->outline;
    const uint8_t *before = none;

    for (unsigned i = 0; i < outline->count; i++) {
        const struct meter_message *message = &outline->messages[i];

        skip_marks(hashing, message->at);
        store_hash_begin(&hashing->hash);
        store_hash_add(&hashing->hash, before, HASH_BYTES);
        add_span(hashing, message->at, (size_t)message->at + message->bytes);
        store_hash_end(&hashing->hash, lead->beginnings[i].hash);
        before = lead->beginnings[i].hash;
    }
}

static void hash_head(struct hashing *hashing, struct side_lead *lead, size_t bytes)
{
    const struct meter_outline *outline = hashing->outline;
    const struct meter_message *first = &outline->messages[0];
    const struct meter_message *last = &outline->messages[outline->count - 1];

    hashing->mark = 0;
    store_hash_begin(&hashing->hash);
    add_span(hashing, 0, first->at);
    skip_marks(hashing, (size_t)last->at + last->bytes);
    add_span(hashing, (size_t)last->at + last->bytes, bytes);
    store_hash_end(&hashing->hash, lead->head);
}

static void rests_fill(const struct meter_outline *outline, struct side_lead *lead)
{
    uint64_t rest = 0;

    for (unsigned i = outline->count; i-- > 0;) {
        lead->beginnings[i].rest_tokens = rest;
        rest += outline->messages[i].tokens;
    }
}

struct side_lead *side_lead_read(const struct meter_outline *outline, const void *body,
                                 size_t bytes)
{
    struct hashing hashing = {.outline = outline, .body = body};
    struct side_lead *lead = calloc(1, sizeof *lead + outline->count * sizeof lead->beginnings[0]);

    if (lead == NULL)
        return NULL;
    lead->count = outline->count;
    hash_messages(&hashing, lead);
    hash_head(&hashing, lead, bytes);
    rests_fill(outline, lead);
    return lead;
}

/* Where the messages and the marks stand is in it, so that no two bodies can share their pieces. */
void side_lead_hash(const struct side_lead *lead, const struct meter_outline *outline,
                    const void *body, struct store_hash *hash)
{
    const struct meter_message *message = outline->messages;
    const unsigned char *bytes = body;
    size_t end = message[0].at;

    store_hash_add(hash, &outline->count, sizeof outline->count);
    store_hash_add(hash, &outline->mark_count, sizeof outline->mark_count);
    for (unsigned i = 0; i < outline->count; i++) {
        const uint32_t place[] = {message[i].at, message[i].bytes};

        store_hash_add(hash, place, sizeof place);
        if (message[i].at > end)
            store_hash_add(hash, bytes + end, message[i].at - end);
        end = (size_t)message[i].at + message[i].bytes;
    }
    store_hash_add(hash, outline->marks, outline->mark_count * sizeof outline->marks[0]);
    store_hash_add(hash, lead->head, HASH_BYTES);
    store_hash_add(hash, lead->beginnings[lead->count - 1].hash, HASH_BYTES);
    for (unsigned i = 0; i < outline->mark_count; i++)
        store_hash_add(hash, bytes + outline->marks[i].at, outline->marks[i].bytes);
}

/* ---- remembering -------------------------------------------------------------------------- */

static bool is_of(const struct side_known *known, const struct meter_request *request)
{
    return known->provider == request->provider && strcmp(known->model, request->model) == 0;
}

uint64_t side_lead_bound(const struct side_leads *leads, const struct side_lead *lead,
                         const struct meter_request *request)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < SIDE_LEADS; i++) {
        const struct side_known *known = &leads->known[i];
        unsigned at = known->messages - 1;
        uint64_t bound;

        if (known->messages == 0 || known->messages > lead->count || !is_of(known, request) ||
            memcmp(known->head, lead->head, HASH_BYTES) != 0 ||
            memcmp(known->hash, lead->beginnings[at].hash, HASH_BYTES) != 0)
            continue;
        bound = known->input_tokens + lead->beginnings[at].rest_tokens + ROOM_TOKENS;
        best = bound < best ? bound : best;
    }
    return best;
}

void side_lead_learn(struct side_leads *leads, const struct side_lead *lead,
                     const struct meter_request *request, uint64_t input_tokens)
{
    struct side_known *known = &leads->known[leads->next++ % SIDE_LEADS];

    known->provider = request->provider;
    memcpy(known->model, request->model, sizeof known->model);
    memcpy(known->hash, lead->beginnings[lead->count - 1].hash, HASH_BYTES);
    memcpy(known->head, lead->head, HASH_BYTES);
    known->messages = lead->count;
    known->input_tokens = input_tokens;
}
