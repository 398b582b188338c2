/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a call, and what it cost: bytes into the meter as they come, acknowledged once a
 * restarted sidecar could go on from there; at the end a bill, and the bill into the ledger. */
#include "sidecar/orders.h"
#include "sidecar/side_direct.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the answer's head -------------------------------------------------------------------- */

#define HEAD_LINES 16u /* more than callers tell */

struct head {
    int status;
    bool decoded;
    char lines[HEAD_LINES][512];
    const char *headers[HEAD_LINES + 1];
    const char *type, *encoding, *retry_after;
    unsigned count;
};

/* The value of a header line with this name; NULL: another one. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t");
}

static void head_line(struct head *head, const struct wire_value *value)
{
    char *line = head->lines[head->count];

    if (head->count == HEAD_LINES || !wire_text(value, line, sizeof head->lines[0]))
        return;
    head->headers[head->count++] = line;
    if (value_of(line, "content-type") != NULL)
        head->type = value_of(line, "content-type");
    if (value_of(line, "content-encoding") != NULL)
        head->encoding = value_of(line, "content-encoding");
    if (value_of(line, "retry-after") != NULL)
        head->retry_after = value_of(line, "retry-after");
}

bool side_call_response(struct side_call *call, struct wire_reader *r)
{
    struct head head = {0};
    struct wire_value value;
    struct meter_response response;

    while (wire_next(r, &value)) {
        if (value.tag == WIRE_STATUS)
            head.status = (int)wire_number(&value);
        else if (value.tag == WIRE_FLAGS)
            head.decoded = (wire_number(&value) & WIRE_DECODED) != 0;
        else if (value.tag == WIRE_HEADER)
            head_line(&head, &value);
    }
    response =
        (struct meter_response){head.status, head.type, head.encoding, head.decoded, head.headers};
    meter_stream_free(call->stream);
    call->stream = meter_stream_new(&call->request, &response);
    call->stream_lost = call->stream == NULL;
    call->status = head.status;
    call->by_lines = head.type != NULL && strcasestr(head.type, "ndjson") != NULL;
    call->has_events =
        call->by_lines || (head.type != NULL && strcasestr(head.type, "event-stream") != NULL);
    side_cooldown_look(call, head.status, head.retry_after);
    if (call->progress != NULL && call->stream != NULL && call->fed == call->progress->offset)
        meter_stream_resume(call->stream, call->progress);
    else
        call->fed = call->acked = 0; /* the answer of another request of the same transfer */
    if (head.encoding != NULL && !head.decoded) /* the application reads encoded bytes */
        call->has_events = false;
    side_call_cut(call);
    return true;
}

/* ---- the answer's bytes ------------------------------------------------------------------- */

static void on_progress(struct side *side, struct side_op *op)
{
    struct side_call *call = side->calls;
    unsigned char frame[64];
    struct wire_writer w;

    while (call != NULL && memcmp(call->id, op->call_id, sizeof call->id) != 0)
        call = call->next;
    if (call != NULL)
        call->acking = false;
    if (call != NULL && call->conn != NULL && op->result == STORE_OK) {
        call->acked = op->progress->offset;
        wire_begin(&w, frame, sizeof frame, WIRE_ACK);
        wire_put_number(&w, WIRE_OFFSET, op->progress->offset);
        side_conn_send(call->conn, frame, w.used, -1);
    }
    side_op_free(op);
}

static void acknowledge(struct side_call *call)
{
    struct meter_progress *progress;
    struct side_op *op;

    if (call->acking || call->fed < call->acked + SIDE_ACK_BYTES)
        return;
    progress = malloc(sizeof *progress);
    if (progress == NULL || !meter_stream_progress(call->stream, progress)) {
        free(progress);
        return;
    }
    op = side_op_new(SIDE_OP_PROGRESS, call->run, on_progress, NULL);
    if (op == NULL) {
        free(progress);
        return;
    }
    memcpy(op->call_id, call->id, sizeof op->call_id);
    op->progress = progress;
    call->acking = true;
    side_post(call->side, op);
}

bool side_call_data(struct side_call *call, struct wire_reader *r)
{
    uint64_t offset;

    if (r->left < sizeof offset || call->stream == NULL)
        return call->stream_lost;
    memcpy(&offset, r->at, sizeof offset);
    r->at += sizeof offset;
    r->left -= sizeof offset;
    if (offset != call->fed) { /* a hole: what was between was not seen */
        call->stream_lost = true;
        return true;
    }
    if (meter_stream_feed(call->stream, r->at, r->left) == METER_NOMEM)
        call->stream_lost = true;
    call->fed += r->left;
    side_call_cut(call);
    acknowledge(call);
    return true;
}

/* What the application did itself is no failure of the call. */
static bool is_failure(uint64_t curl_code)
{
    return curl_code != CURLE_OK && curl_code != CURLE_WRITE_ERROR &&
           curl_code != CURLE_ABORTED_BY_CALLBACK;
}

bool side_call_end(struct side_call *call, struct wire_reader *r)
{
    struct side_ending ending = {.answered = call->status != 0};
    struct wire_value value;
    uint64_t flags = 0, total = call->fed;

    while (wire_next(r, &value)) {
        if (value.tag == WIRE_FLAGS)
            flags = wire_number(&value);
        else if (value.tag == WIRE_OFFSET)
            total = wire_number(&value);
        else if (value.tag == WIRE_EGRESS)
            ending.egress = wire_number(&value) & INT64_MAX;
        else if (value.tag == WIRE_SENT_MS)
            ending.sent_ms = wire_number(&value);
        else if (value.tag == WIRE_CURL_CODE)
            ending.failed = is_failure(wire_number(&value));
    }
    if ((flags & WIRE_WAS_SENT) != 0)
        call->sent = true;
    ending.broken = (flags & WIRE_BROKEN) != 0;
    ending.tap_lost = (flags & WIRE_TAP_LOST) != 0 || total > call->fed;
    call->conn->call = NULL; /* another may begin on it */
    call->conn = NULL;
    side_call_settle(call, &ending);
    return true;
}

/* ---- the bill ----------------------------------------------------------------------------- */

static enum meter_end end_of(const struct side_call *call, const struct side_ending *ending)
{
    if (!call->sent)
        return METER_END_UNSENT;
    if (ending->tap_lost || call->stream_lost)
        return METER_END_TAP_LOST;
    if (!ending->answered && call->progress == NULL)
        return call->request.stream ? METER_END_BROKEN : METER_END_NO_ANSWER;
    return ending->broken ? METER_END_BROKEN : METER_END_WHOLE;
}

static void bill(struct side_call *call, const struct side_ending *ending,
                 struct meter_usage *usage, struct meter_bill *out)
{
    const struct meter_usage *seen = NULL;
    int64_t when_s = call->admitted_ns / 1000000000;
    struct meter_price fallback;
    struct meter_settling settling;

    if (call->stream != NULL) {
        meter_stream_usage(call->stream, !ending->broken, usage);
        seen = usage;
    } else if (call->progress != NULL) {
        *usage = call->progress->usage;
        seen = usage;
    }
    settling = (struct meter_settling){
        .request = &call->request,
        .usage = seen,
        .book = side_run_book(call->run),
        .when_s = when_s,
        .fallback = side_price_unknown(call, when_s, &fallback) ? &fallback : NULL,
        .end = end_of(call, ending),
        .sent_ms = ending->sent_ms > 0 ? ending->sent_ms
                   : call->sent        ? (uint64_t)(side_now_ms() - call->sent_mono_ms)
                                       : 0,
        .held_tokens = (uint64_t)call->hold_tokens,
        .held_pusd = call->priced ? call->hold_pusd : -1,
        .held_cap = call->cap_held,
    };
    meter_bill_make(&settling, out);
}

/* A sum that does not fit the ledger's numbers is the greatest of them, not a negative one. */
static int64_t fitting(uint64_t count)
{
    return count < INT64_MAX ? (int64_t)count : INT64_MAX;
}

/* An object that can be asked for again is charged with the call that made it, or with the first
 * that asked for it. */
static void object_fill(const struct side_call *call, const struct meter_usage *usage,
                        struct store_consumption *out)
{
    char text[METER_NAME_MAX + METER_MODEL_MAX];
    uint8_t hash[32];

    if (usage->reported.object_id[0] == '\0' || !usage->billable)
        return;
    (void)snprintf(text, sizeof text, "%s/%s", meter_provider_name(call->request.provider),
                   usage->reported.object_id);
    store_sha256(text, strlen(text), hash);
    memcpy(out->object, hash, sizeof out->object);
    out->flags |= call->request.kind == METER_POLLED ? 0 : STORE_MADE;
}

static uint8_t charged_by(const struct meter_bill *made)
{
    if (made->charged_pusd < 0)
        return STORE_BY_NOTHING;
    if (strcmp(made->charged_by, "hold") == 0)
        return STORE_BY_HOLD;
    if (strcmp(made->charged_by, "price") != 0)
        return STORE_BY_PROVIDER;
    return made->charged_pusd == made->cost_pusd ? STORE_BY_PRICE : STORE_BY_CEILING;
}

static void consumption_fill(const struct side_call *call, const struct side_ending *ending,
                             const struct meter_usage *usage, const struct meter_bill *made,
                             struct store_consumption *out)
{
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        out->tokens[i] = fitting(made->tokens[i]);
    for (unsigned i = 0; i < METER_COUNTS; i++)
        out->counts[i] = fitting(usage->counts[i]);
    out->tokens_total = fitting(made->tokens_total);
    out->cost_pusd = made->cost_pusd;
    out->provider_cost_pusd = made->provider_cost_pusd;
    out->charged_pusd = made->charged_pusd > 0 ? made->charged_pusd : 0;
    out->egress_bytes = (int64_t)ending->egress;
    out->duration_ms = side_now_ms() - call->admitted_ms;
    out->flags = (call->request.stream ? STORE_STREAM : 0) |
                 (made->charged_pusd < 0 ? STORE_UNPRICED : 0) |
                 (call->read_only && made->charged_pusd <= 0 ? STORE_READ_ONLY_CALL : 0);
    out->status = call->status;
    out->end = !call->sent ? STORE_RELEASED : made->charged_unknown ? STORE_UNKNOWN : STORE_SETTLED;
    out->provenance = (uint8_t)made->provenance;
    out->charged_by = charged_by(made);
    out->served = (uint8_t)(call->stream != NULL || call->progress != NULL ? usage->tier
                                                                           : call->request.tier);
    out->parts = (uint8_t)usage->part_count;
    object_fill(call, usage, out);
    out->usage_invalid = (usage->warnings & METER_WARN_BAD_USAGE) != 0;
    out->error = usage->error || ending->failed;
    out->warnings = usage->warnings;
    (void)snprintf(out->model, sizeof out->model, "%.95s", usage->reported.model);
    (void)snprintf(out->row, sizeof out->row, "%.95s", made->row);
    (void)snprintf(out->row_from, sizeof out->row_from, "%s", made->row_from);
    (void)snprintf(out->tier, sizeof out->tier, "%.39s", made->tier);
}

static void on_settled(struct side *side, struct side_op *op)
{
    struct side_call *call = op->owner;

    side_notices_tell(side, op);
    side_queries_wake(side);
    side_call_free(call);
    side_op_free(op);
}

/* A report of less than this part of what is usual is of something else than the whole input: of
 * what was not in a cache, say. Nothing is learnt of it. */
#define LEAST_OF_ESTIMATE 4u

/* All of the input was reported: the next request that begins like this one is bounded by it. */
static void learn(struct side_call *call, const struct meter_usage *usage,
                  const struct meter_bill *made)
{
    uint64_t input = 0;

    if (call->lead == NULL || call->request.context_window || usage->error || !usage->complete ||
        usage->reported.input_tokens < 0 || made->provenance != METER_PROVIDER_REPORTED)
        return;
    for (unsigned i = METER_INPUT; i <= METER_IMAGE_IN; i++)
        input += made->tokens[i];
    if (input < call->request.estimated_input_tokens / LEAST_OF_ESTIMATE)
        return;
    side_lead_learn(&call->run->leads, call->lead, &call->request, input);
}

void side_call_settle(struct side_call *call, const struct side_ending *ending)
{
    struct side_op *op = side_op_new(SIDE_OP_SETTLE, call->run, on_settled, call);
    struct meter_usage *usage = calloc(1, sizeof *usage);
    struct meter_bill made;

    call->phase = SIDE_SETTLING;
    if (op == NULL || usage == NULL) { /* the hold stays: counted, not lost */
        side_op_free(op);
        free(usage);
        return;
    }
    memset(&made, 0, sizeof made);
    bill(call, ending, usage, &made);
    if (!call->sent)
        memset(made.tokens, 0, sizeof made.tokens);
    learn(call, usage, &made);
    consumption_fill(call, ending, usage, &made, &op->event.consumption);
    memcpy(op->call_id, call->id, sizeof op->call_id);
    side_op_about(op, &call->request);
    op->verdict.hold[GOV_TOKENS] = call->hold_tokens;
    op->verdict.hold[GOV_COST] = call->hold_pusd;
    free(usage);
    side_post(call->side, op);
}
