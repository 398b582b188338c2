/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the question of a call: which provider and model, what it may cost at most. A large body
 * is read by the worker; then the writer decides. */
#include "sidecar/side_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct side_job job;
    struct side_call *call;
    enum meter_err err;
    struct meter_error error;
};

/* The same question again is known by this: where it goes, and its body; a body with messages is
 * not hashed once more. */
static void hash_question(struct side_call *call, const struct meter_outline *outline)
{
    const uint8_t by_lead = call->lead != NULL;
    struct store_hash hash;

    store_hash_begin(&hash);
    store_hash_add(&hash, call->method, strlen(call->method) + 1);
    store_hash_add(&hash, call->host, strlen(call->host) + 1);
    store_hash_add(&hash, call->path, strlen(call->path) + 1);
    store_hash_add(&hash, &by_lead, sizeof by_lead);
    if (by_lead)
        side_lead_hash(call->lead, outline, call->body, &hash);
    else
        store_hash_add(&hash, call->body, call->body_bytes);
    store_hash_end(&hash, call->hash);
}

_Static_assert(WIRE_TYPE_ROOM == METER_TYPE_MAX + 1, "what is cut is known to be");

/* In the loop, or in the worker: touches nothing of the call that the loop changes meanwhile. */
static enum meter_err read_question(struct side_call *call, struct meter_error *error)
{
    static _Thread_local struct meter_outline outline; /* it is big, and every call needs one */
    enum meter_err err;
    const struct meter_target target = {
        .outline = &outline,
        .method = call->method,
        .host = call->host,
        .path = call->path,
        .content_type = call->content_type[0] != '\0' ? call->content_type : NULL,
        .provider = side_run_provider(call->run, call->host),
    };

    err = meter_request_read(&target, call->body, call->body_bytes, &call->request, error);
    if (err != METER_OK) /* it may go where nothing is a limit */
        meter_request_unread(&target, &call->request);
    else if (outline.usable)
        call->lead = side_lead_read(&outline, call->body, call->body_bytes);
    hash_question(call, &outline);
    return err;
}

/* What is known of the same messages is a better bound than their bytes. */
static void bound_by_lead(struct side_call *call)
{
    uint64_t bound = UINT64_MAX;

    if (call->lead != NULL && !call->request.context_window)
        bound = side_lead_bound(&call->run->leads, call->lead, &call->request);
    if (bound < call->request.input_tokens)
        call->request.input_tokens = bound;
}

/* ---- to the writer ------------------------------------------------------------------------ */

/* The line of a model without a price: unknown, unless the user has said that it may go. */
static void line_unknown(const struct side_call *call, struct meter_hold_line *line)
{
    if (call->request.kind == METER_UNKNOWN)
        line->input_tokens = UINT64_MAX; /* nobody has read the body */
    if (call->run->spec.unknown_model != SIDE_UNKNOWN_WARN)
        return;
    line->priced = true;
    line->input_fusd = 0;
    line->output_rate = 0;
    if (line->input_tokens == UINT64_MAX)
        line->input_tokens = call->body_bytes;
}

static void admission_fill(struct side_call *call, const struct meter_price *price,
                           struct side_op *op)
{
    struct store_admission *admission = &op->event.admission;
    const struct meter_request *request = &call->request;

    side_text_copy(admission->provider, sizeof admission->provider,
                   meter_provider_name(request->provider));
    side_text_copy(admission->api, sizeof admission->api, meter_api_name(request->api));
    side_text_copy(admission->model, sizeof admission->model, request->model);
    side_text_copy(admission->row, sizeof admission->row, price != NULL ? price->row : "");
    admission->cap_asked = request->output_cap >= 0 ? (uint64_t)request->output_cap : UINT64_MAX;
    admission->input_tokens = request->estimated_input_tokens;
    admission->tier = (uint8_t)request->tier;
    admission->choices = (uint8_t)(request->choices < 255 ? request->choices : 255);
    for (unsigned i = 0; i < METER_COUNTS; i++)
        admission->counts[i] =
            (uint32_t)(request->counts[i] < UINT32_MAX ? request->counts[i] : UINT32_MAX);
    admission->pid = call->pid;
    admission->pid_start = call->pid_start;
    memcpy(admission->boot_id, call->side->boot_id, sizeof admission->boot_id);
    admission->flags =
        (request->stream ? STORE_STREAM : 0) | (price == NULL ? STORE_UNPRICED : 0) |
        (request->kind == METER_READ_ONLY || request->kind == METER_POLLED ? STORE_READ_ONLY_CALL
                                                                           : 0) |
        (request->cache_write_5m ? STORE_WRITES_5M : 0) |
        (request->cache_write_1h ? STORE_WRITES_1H : 0) | (request->regional ? STORE_REGIONAL : 0) |
        (request->context_window ? STORE_REFERS : 0) |
        (request->hold_if_broken ? STORE_HOLD_IF_BROKEN : 0);
}

/* ---- other models ------------------------------------------------------------------------- */

static bool candidate_make(const struct side_call *call, struct side_candidate *out, unsigned tier,
                           const char *model)
{
    struct meter_request *request = malloc(sizeof *request);
    struct meter_price price;

    if (request == NULL)
        return false;
    *request = call->request;
    side_text_copy(request->model, sizeof request->model, model);
    side_text_copy(out->model, sizeof out->model, model);
    out->tier = tier;
    out->priced = meter_price_find(side_run_book(call->run), request->provider, model,
                                   side_now_ns() / 1000000000, &price) == METER_OK;
    side_text_copy(out->row, sizeof out->row, out->priced ? price.row : "");
    meter_hold_line_make(request, out->priced ? &price : NULL, &out->line);
    free(request);
    return true;
}

/* The body goes to where it was meant for, so a model stands in for another one of the same
 * provider and API: the first one of a tier, or (id not NULL) the one with this name. NULL: none.
 */
static const struct gov_model *stand_in(const struct side_call *call, unsigned tier, const char *id)
{
    const struct gov_routing *routing = &call->run->routing->gov;
    const struct meter_request *request = &call->request;

    for (size_t i = 0; i < routing->model_count; i++) {
        const struct gov_model *model = &routing->models[i];

        if ((id != NULL ? strcmp(model->id, id) == 0 : model->tier == tier) &&
            strcmp(model->provider, meter_provider_name(request->provider)) == 0 &&
            meter_api_may_be(request->api, request->provider, model->endpoint))
            return model;
    }
    return NULL;
}

/* Whether their provider is blocked only the writer knows. */
static void candidates_make(const struct side_call *call, struct side_op *op)
{
    const struct side_routing *routing = call->run->routing;
    const struct meter_request *request = &call->request;
    const char *local = call->run->spec.quality.local_model;
    const struct gov_model *model;
    const struct gov_task task = {.input_tokens =
                                      (int64_t)(request->estimated_input_tokens & INT64_MAX),
                                  .thinking = request->thinking_budget > 0,
                                  .preferred = call->run->agent.preferred};
    unsigned tier =
        routing != NULL
            ? gov_tier_of(&routing->gov, meter_provider_name(request->provider), request->model)
            : GOV_TIERS;

    op->empty_tier = GOV_TIERS;
    if (tier == GOV_TIERS || request->model_bytes == 0 || (call->flags & WIRE_NO_REWRITE) != 0 ||
        request->kind == METER_READ_ONLY || request->kind == METER_POLLED)
        return;
    op->candidates = calloc(SIDE_LOCAL + 1, sizeof *op->candidates);
    if (op->candidates == NULL || !candidate_make(call, op->candidates, tier, request->model))
        return;
    op->candidate_count = 1;
    gov_select_model(&task, &routing->gov, NULL, NULL, &op->selection);
    op->candidates[0].line = op->call.line; /* as it is priced already */
    op->candidates[0].priced = call->priced;
    while ((tier = gov_tier_below(&routing->gov, tier)) != GOV_TIERS) {
        model = stand_in(call, tier, NULL);
        if (model != NULL)
            op->candidate_count +=
                candidate_make(call, &op->candidates[op->candidate_count], tier, model->id);
        else if (op->empty_tier == GOV_TIERS)
            op->empty_tier = tier;
    }
    model = stand_in(call, GOV_TIERS, local);
    op->has_local = model != NULL && strcmp(local, request->model) != 0 &&
                    candidate_make(call, &op->candidates[SIDE_LOCAL], model->tier, model->id);
}

static void ask_writer(struct side_call *call)
{
    struct side_op *op = side_op_new(SIDE_OP_ADMIT, call->run, side_call_decided, call);
    struct meter_price price;
    bool priced = side_price_of(call, &price);
    int64_t patience_ms = call->run->spec.busy_wait_ms;

    if (op == NULL) {
        side_call_refuse(call, GOV_REASON_LEDGER_READ, "out of memory");
        return;
    }
    bound_by_lead(call);
    memcpy(op->call_id, call->id, sizeof op->call_id);
    memcpy(op->request_hash, call->hash, sizeof op->request_hash);
    meter_hold_line_make(&call->request, priced ? &price : NULL, &op->call.line);
    if (!priced)
        line_unknown(call, &op->call.line);
    op->call.clamp =
        call->run->spec.clamp && call->request.rewritable && (call->flags & WIRE_NO_REWRITE) == 0;
    admission_fill(call, priced ? &price : NULL, op);
    side_op_about(op, &call->request);
    if (call->wait_ms > 0 && call->wait_ms < patience_ms)
        patience_ms = call->wait_ms;
    op->patience_ms = patience_ms;
    op->deadline_ms = side_now_ms() + patience_ms;
    op->refused_status = strcmp(meter_api_name(call->request.api), "responses") == 0 ? 400 : 402;
    call->priced = priced;
    call->read_only = call->request.kind == METER_READ_ONLY || call->request.kind == METER_POLLED;
    candidates_make(call, op);
    call->admitting = op;
    side_answer_prepare(call, &op->answer);
    side_used_look(call->side, call->run);
    side_post(call->side, op);
}

/* ---- what was read ------------------------------------------------------------------------ */

static void question_read(struct side_call *call, enum meter_err err,
                          const struct meter_error *error)
{
    char detail[400];

    if (err == METER_OK || (call->run->spec.meter_only && err != METER_NOMEM)) {
        ask_writer(call);
        return;
    }
    (void)snprintf(detail, sizeof detail, "%s%s%s", meter_strerror(err),
                   error->text[0] != '\0' ? ": " : "", error->text);
    side_call_refuse(call,
                     err == METER_TOO_LARGE ? GOV_REASON_TOO_LARGE
                     : err == METER_NOMEM   ? GOV_REASON_LEDGER_READ
                                            : GOV_REASON_UNREADABLE,
                     detail);
}

static void work_reading(struct side_job *job)
{
    struct reading *reading = (struct reading *)job;

    reading->err = read_question(reading->call, &reading->error);
}

static void done_reading(struct side *side, struct side_job *job)
{
    struct reading *reading = (struct reading *)job;
    struct side_call *call = reading->call;

    (void)side;
    call->reading = NULL;
    if (call->gone)
        side_call_free(call);
    else
        question_read(call, reading->err, &reading->error);
    free(reading);
}

static void read_by_worker(struct side_call *call)
{
    struct reading *reading = calloc(1, sizeof *reading);

    if (reading == NULL) {
        side_call_refuse(call, GOV_REASON_LEDGER_READ, "out of memory");
        return;
    }
    reading->job.work = work_reading;
    reading->job.done = done_reading;
    reading->call = call;
    call->reading = &reading->job;
    side_work(call->side->worker, &reading->job);
}

void side_call_ask(struct side_call *call)
{
    struct meter_error error = {{0}};

    call->shape = (enum refusal_shape)meter_shape_of(
        side_run_provider(call->run, call->host) != NULL ? side_run_provider(call->run, call->host)
                                                         : meter_provider_by_host(call->host),
        call->path);
    if ((call->flags & WIRE_BODY_TOO_LARGE) != 0)
        side_call_refuse(call, GOV_REASON_TOO_LARGE, "the body is larger than 256 MiB");
    else if ((call->flags & WIRE_BODY_UNREADABLE) != 0)
        side_call_refuse(call, GOV_REASON_UNREADABLE,
                         "the program hands its body out piece by piece");
    else if ((call->flags & WIRE_RAW_SOCKET) != 0)
        side_call_refuse(call, GOV_REASON_UNREADABLE, "the program wants the bare connection");
    else if (call->body_bytes > SIDE_WORK_ABOVE)
        read_by_worker(call);
    else
        question_read(call, read_question(call, &error), &error);
}
