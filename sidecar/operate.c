/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator changes about calls that have ended: corrections by hand, and by another price
 * book than the one of their time. */
#include "sidecar/json.h"
#include "sidecar/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the price of before, by another book -------------------------------------------------- */

void side_request_restore(struct meter_request *request, const struct store_admission *admission)
{
    memset(request, 0, sizeof *request);
    request->provider = meter_provider_by_name(admission->provider);
    if (request->provider == NULL)
        request->provider = meter_provider_by_name("unknown");
    request->api = meter_api_by_name(admission->api);
    request->kind = request->api != NULL ? meter_api_kind(request->api) : METER_UNKNOWN;
    (void)wire_text(&(struct wire_value){0, admission->model,
                                         strnlen(admission->model, sizeof admission->model)},
                    request->model, sizeof request->model);
    request->stream = (admission->flags & STORE_STREAM) != 0;
    request->output_cap = admission->cap_held <= INT64_MAX ? (int64_t)admission->cap_held : -1;
    request->thinking_budget = -1;
    request->tier = (enum meter_tier)admission->tier;
    request->choices = admission->choices;
    for (unsigned i = 0; i < METER_COUNTS; i++)
        request->counts[i] = admission->counts[i];
    request->cache_write_5m = (admission->flags & STORE_WRITES_5M) != 0;
    request->cache_write_1h = (admission->flags & STORE_WRITES_1H) != 0;
    request->regional = (admission->flags & STORE_REGIONAL) != 0;
    request->context_window = (admission->flags & STORE_REFERS) != 0;
    request->hold_if_broken = (admission->flags & STORE_HOLD_IF_BROKEN) != 0;
    request->estimated_input_tokens = admission->input_tokens;
}

/* The record's own words; 0 bytes at its end at the latest. */
static void text_of(char *out, size_t size, const char *text, size_t text_size)
{
    (void)snprintf(out, size, "%.*s", (int)strnlen(text, text_size), text);
}

static int64_t reprice(const struct store_event *asked, const struct store_consumption *used,
                       const struct meter_price_book *book, char row[METER_ROW_MAX])
{
    struct meter_usage *usage = calloc(1, sizeof *usage);
    struct meter_request request;
    struct meter_bill bill = {.charged_pusd = -1};
    const struct meter_settling settling = {
        .request = &request,
        .usage = usage,
        .book = book,
        .when_s = asked->head.ts_ns / 1000000000,
        .end = METER_END_WHOLE,
        .held_pusd = -1,
        .held_tokens = UINT64_MAX,
        .held_cap = UINT64_MAX,
    };

    if (usage == NULL)
        return -1;
    side_request_restore(&request, &asked->admission);
    usage->usage_seen = usage->complete = usage->billable = true;
    usage->tier = (enum meter_tier)used->served;
    usage->provider_cost_pusd = -1;
    memcpy(usage->tokens, used->tokens, sizeof usage->tokens);
    for (unsigned i = 0; i < METER_COUNTS; i++)
        usage->counts[i] = used->counts[i];
    text_of(usage->reported.model, sizeof usage->reported.model, used->model, sizeof used->model);
    meter_bill_make(&settling, &bill);
    memcpy(row, bill.row, sizeof bill.row);
    free(usage);
    return bill.charged_pusd;
}

/* Why the price book is not what the charge comes from; NULL: it is. */
static const char *not_by_price(const struct store_consumption *used,
                                const struct store_corrected *last)
{
    static const char *const texts[] = {
        [STORE_BY_PROVIDER] = "the provider said what it costs",
        [STORE_BY_HOLD] = "charged its hold",
        [STORE_BY_CEILING] = "charged at most its hold",
    };

    if (last->cause == STORE_BY_HAND)
        return "corrected by hand";
    if (used->parts > 0)
        return "parts of it have prices of their own";
    if (used->charged_by < sizeof texts / sizeof texts[0] && texts[used->charged_by] != NULL)
        return texts[used->charged_by];
    if (used->charged_by == STORE_BY_UNKNOWN &&
        (used->provider_cost_pusd >= 0 || used->end != STORE_SETTLED ||
         (used->cost_pusd >= 0 && used->cost_pusd != used->charged_pusd)))
        return "an older Flyball did not note what it was charged by";
    return NULL;
}

static bool has_charge(const struct store_consumption *used)
{
    return used->end != STORE_RELEASED && (used->flags & STORE_READ_ONLY_CALL) == 0 &&
           (used->flags & STORE_COUNTED) == 0 && used->tokens_total > 0;
}

static void post_reprice(struct side_query *query, const struct store_call *call, int64_t from,
                         int64_t to, const char *row)
{
    struct side_op *op = side_op_new(SIDE_OP_CORRECT, NULL, NULL, NULL);
    struct store_corrected *corrected;

    if (op == NULL)
        return;
    memcpy(op->call_id, call->call_id, sizeof op->call_id);
    corrected = &op->event.corrected;
    corrected->from_pusd = from;
    corrected->to_pusd = to;
    corrected->cause = STORE_REPRICED;
    (void)snprintf(corrected->actor, sizeof corrected->actor, "%s",
                   json_string_value(json_object_get(query->request, "actor")));
    (void)snprintf(corrected->row, sizeof corrected->row, "%.95s", row);
    (void)snprintf(corrected->reason, sizeof corrected->reason, "%s",
                   json_string_value(json_object_get(query->request, "reason")));
    side_post(query->conn->side, op);
}

static json_t *reprice_json(struct side_query *query, const struct store_call *call,
                            const struct store_event events[3])
{
    const struct store_consumption *used = &events[1].consumption;
    const struct store_corrected *last = &events[2].corrected;
    int64_t from = call->later_seq != 0 ? last->to_pusd : used->charged_pusd, to = from;
    const char *why = not_by_price(used, last);
    char row[METER_ROW_MAX] = "", id[37], when[32], provider[25], model[97];

    if (why == NULL) {
        to = reprice(&events[0], used, query->book, row);
        why = to < 0 ? "the price book does not have its model" : NULL;
        to = to < 0 ? from : to;
    }
    if (to != from && json_is_true(json_object_get(query->request, "apply")))
        post_reprice(query, call, from, to, row);
    client_uuid_text(call->call_id, id);
    text_of(provider, sizeof provider, events[0].admission.provider,
            sizeof events[0].admission.provider);
    text_of(model, sizeof model, used->model[0] != '\0' ? used->model : events[0].admission.model,
            sizeof used->model);
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:s*,s:s*}", "call_id", id, "ts",
                     side_time_text(events[0].head.ts_ns, when), "provider", provider, "model",
                     model, "from_usd", side_usd_json(from), "to_usd", side_usd_json(to),
                     "price_row", row[0] != '\0' ? row : NULL, "why_not", why);
}

json_t *side_line_reprice(struct side_query *query, struct store_view *view, bool *more,
                          char **text_out)
{
    struct store_event *events;
    struct store_call call;
    json_t *line = NULL;

    (void)text_out;
    *more = side_next_call(query, view, &call);
    if (!*more || call.state != STORE_CALL_ENDED)
        return NULL;
    events = calloc(3, sizeof *events);
    if (events != NULL && store_view_event(view, call.admission_seq, &events[0]) == STORE_OK &&
        events[0].head.ts_ns >= query->since_ns &&
        store_view_event(view, call.consumption_seq, &events[1]) == STORE_OK &&
        (call.later_seq == 0 || store_view_event(view, call.later_seq, &events[2]) == STORE_OK) &&
        has_charge(&events[1].consumption))
        line = reprice_json(query, &call, events);
    free(events);
    return line;
}

bool side_reprice_ready(struct side_query *query)
{
    const char *path = json_string_value(json_object_get(query->request, "prices"));
    struct side_error error = {{0}};

    if (path != NULL)
        query->own_book = side_book_read(path, &error);
    if (path != NULL && query->own_book == NULL)
        side_conn_done(query->conn, 2, error.text);
    query->book = query->own_book != NULL ? query->own_book : meter_price_book_shipped();
    query->all = true;
    return path == NULL || query->own_book != NULL;
}

/* ---- by hand --------------------------------------------------------------------------------- */

/* The one call whose id begins so. False: none, or several; the other end has been told. */
static bool find_call(struct side_query *query, struct store_view *view, struct store_call *out)
{
    const char *text = json_string_value(json_object_get(query->request, "call"));
    struct store_call next;
    uint8_t id[16];
    char full[37], why[120];
    bool found = text != NULL && side_id_before(text, id) &&
                 store_view_next_call(view, NULL, id, out) == STORE_OK;

    if (found) {
        client_uuid_text(out->call_id, full);
        found = strncmp(full, text, strlen(text)) == 0;
    }
    if (!found) {
        (void)snprintf(
            why, sizeof why,
            "no call has an id that begins with '%.40s'; `flyball calls --all --json` has them",
            text);
        side_conn_done(query->conn, 1, why);
        return false;
    }
    if (store_view_next_call(view, NULL, out->call_id, &next) != STORE_OK)
        return true;
    client_uuid_text(next.call_id, full);
    if (strncmp(full, text, strlen(text)) != 0)
        return true;
    (void)snprintf(why, sizeof why,
                   "more than one call has an id that begins with '%.40s'; give more of it", text);
    side_conn_done(query->conn, 1, why);
    return false;
}

static void on_corrected(struct side *side, struct side_op *op)
{
    const struct side_query *query = side_query_named(side, op->owner);
    const struct store_corrected *corrected = &op->event.corrected;
    char id[37];

    side_queries_wake(side);
    if (query != NULL) {
        client_uuid_text(op->call_id, id);
        if (op->result == STORE_OK || op->result == STORE_DUPLICATE)
            side_reply_json(query->conn, json_pack("{s:s,s:o,s:o}", "call_id", id, "from_usd",
                                                   side_usd_json(corrected->from_pusd), "to_usd",
                                                   side_usd_json(corrected->to_pusd)));
        if (op->result == STORE_CONFLICT)
            side_conn_done(query->conn, 1,
                           "only what was sent, and has ended, can be charged something else");
        else if (op->result != STORE_OK && op->result != STORE_DUPLICATE)
            side_conn_done(query->conn, 3, store_strerror(op->result));
        else
            side_conn_done(query->conn, 0, NULL);
    }
    side_op_free(op);
}

void side_begin_correct(struct side_query *query, struct store_view *view)
{
    const char *cost = json_string_value(json_object_get(query->request, "cost_usd"));
    const char *reason = json_string_value(json_object_get(query->request, "reason"));
    const char *actor = json_string_value(json_object_get(query->request, "actor"));
    struct store_call call;
    struct side_op *op;
    int64_t to_pusd;

    if (cost == NULL || !meter_usd_parse(cost, strlen(cost), &to_pusd) || to_pusd < 0 ||
        reason == NULL || actor == NULL) {
        side_conn_done(query->conn, 2, "a correction has a cost, a reason and an actor");
        return;
    }
    if (!find_call(query, view, &call))
        return;
    op = side_op_new(SIDE_OP_CORRECT, NULL, on_corrected, side_query_name(query));
    if (op == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return;
    }
    memcpy(op->call_id, call.call_id, sizeof op->call_id);
    op->event.corrected.from_pusd = -1;
    op->event.corrected.to_pusd = to_pusd;
    op->event.corrected.cause = STORE_BY_HAND;
    (void)snprintf(op->event.corrected.actor, sizeof op->event.corrected.actor, "%s", actor);
    (void)snprintf(op->event.corrected.reason, sizeof op->event.corrected.reason, "%s", reason);
    side_post(query->conn->side, op);
}

/* ---- the clock ------------------------------------------------------------------------------- */

static void on_clock(struct side *side, struct side_op *op)
{
    const struct side_query *query = side_query_named(side, op->owner);

    side_queries_wake(side);
    if (query != NULL)
        side_conn_done(query->conn, op->result == STORE_OK ? 0 : 3,
                       op->result == STORE_OK ? NULL : store_strerror(op->result));
    side_op_free(op);
}

void side_begin_clock(struct side_query *query, struct store_view *view)
{
    const char *reason = json_string_value(json_object_get(query->request, "reason"));
    const char *actor = json_string_value(json_object_get(query->request, "actor"));
    struct side_op *op = side_op_new(SIDE_OP_CLOCK, NULL, on_clock, side_query_name(query));

    (void)view;
    if (op == NULL || actor == NULL) {
        side_op_free(op);
        side_conn_done(query->conn, 2, "somebody has to say so");
        return;
    }
    (void)snprintf(op->event.clock.actor, sizeof op->event.clock.actor, "%s", actor);
    (void)snprintf(op->event.clock.reason, sizeof op->event.clock.reason, "%s",
                   reason != NULL ? reason : "");
    side_post(query->conn->side, op);
}
