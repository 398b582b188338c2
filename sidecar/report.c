/* SPDX-License-Identifier: Apache-2.0 */
/* Events, calls and runs as JSON, with the names of the contract. An unknown value is null. */
#include "sidecar/orders.h"
#include "sidecar/side_direct.h"

#include <stdlib.h>
#include <string.h>

/* ---- small things ------------------------------------------------------------------------- */
#define TEXT_JSON(field) side_text_json(field, sizeof(field))

static json_t *hash_json(const uint8_t hash[32])
{
    char text[65];

    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return json_string(text);
}

static json_t *usd_json(int64_t pusd)
{
    char text[METER_USD_TEXT];

    return pusd >= 0 ? json_string(meter_usd_text(pusd, text)) : json_null();
}

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static uint64_t sum(const uint64_t tokens[METER_BUCKETS], bool output)
{
    uint64_t total = 0;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        if ((bucket >= METER_OUTPUT) == output)
            total += tokens[bucket];
    return total;
}
_Static_assert(METER_OUTPUT < METER_AUDIO_OUT && METER_IMAGE_IN < METER_OUTPUT,
               "buckets of the answer come last");

static json_t *reasons_json(const uint16_t *reasons, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count && i < GOV_CODES_MAX; i++)
        (void)json_array_append_new(list,
                                    json_string(gov_reason_text((enum gov_reason)reasons[i])));
    return list;
}

/* ---- events ------------------------------------------------------------------------------- */

static void allocation_json(json_t *out, const struct store_event *event)
{
    static const uint8_t none[16];
    const struct store_allocation *allocation = &event->allocation;
    json_t *policies = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (allocation->limits[dim] > 0)
            set(policies, gov_dim_name((enum gov_dim)dim),
                json_string(gov_policy_name((enum gov_policy)allocation->policies[dim])));
    set(out, "limits", side_amounts_json(allocation->limits));
    set(out, "policies", policies);
    set(out, "session_limits", side_amounts_json(allocation->session_limits));
    set(out, "policy", TEXT_JSON(allocation->policy));
    set(out, "parent",
        memcmp(allocation->parent, none, sizeof none) != 0 ? side_id_json(allocation->parent)
                                                           : json_null());
    set(out, "argv0", TEXT_JSON(allocation->argv0));
    set(out, "uid", json_integer(allocation->uid));
    set(out, "pid", json_integer(allocation->pid));
    set(out, "cwd", TEXT_JSON(allocation->cwd));
    set(out, "labels", side_labels_json(allocation));
    set(out, "level", TEXT_JSON(allocation->level));
    set(out, "by_hand", json_boolean(allocation->by_hand));
    set(out, "meter_only", json_boolean(allocation->meter_only));
}

static json_t *cap_json(uint64_t cap)
{
    return cap <= INT64_MAX ? json_integer((json_int_t)cap) : json_null();
}

static json_t *seen_json(const struct store_scope_seen *seen)
{
    json_t *out = json_pack("{s:s,s:s}", "scope", gov_scope_name(seen->key.kind), "window",
                            gov_window_name(seen->key.window));

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        set(out, gov_dim_name((enum gov_dim)dim),
            json_pack("{s:o,s:o,s:o}", "spent",
                      side_amount_json((enum gov_dim)dim, seen->spent[dim]), "held",
                      side_amount_json((enum gov_dim)dim, seen->held[dim]), "limit",
                      seen->limit[dim] > 0 ? side_amount_json((enum gov_dim)dim, seen->limit[dim])
                                           : json_null()));
    return out;
}

static void admission_json(json_t *out, const struct store_event *event)
{
    const struct store_admission *admission = &event->admission;
    json_t *hold = json_object(), *scopes = json_array();

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        set(hold, gov_dim_name((enum gov_dim)dim),
            side_amount_json((enum gov_dim)dim, admission->hold[dim]));
    for (unsigned i = 0; i < event->head.scope_count; i++)
        (void)json_array_append_new(scopes, seen_json(&event->scopes[i]));
    set(out, "call_id", side_id_json(event->head.call_id));
    set(out, "provider", TEXT_JSON(admission->provider));
    set(out, "api", TEXT_JSON(admission->api));
    set(out, "model", TEXT_JSON(admission->model));
    set(out, "hold", hold);
    set(out, "output_cap_asked", cap_json(admission->cap_asked));
    set(out, "output_cap_held", cap_json(admission->cap_held));
    set(out, "price_row", TEXT_JSON(admission->row));
    set(out, "directive", side_admitted_json(admission));
    set(out, "scopes", scopes);
    set(out, "pid", json_integer(admission->pid));
}

static void refusal_json(json_t *out, const struct store_event *event)
{
    const struct store_refusal *refusal = &event->refusal;
    bool limit = refusal->dim < GOV_DIMS;
    enum gov_dim dim = (enum gov_dim)refusal->dim;

    set(out, "call_id", side_id_json(event->head.call_id));
    set(out, "provider", TEXT_JSON(refusal->provider));
    set(out, "api", TEXT_JSON(refusal->api));
    set(out, "model", TEXT_JSON(refusal->model));
    set(out, "reasons", reasons_json(refusal->reasons, refusal->reason_count));
    set(out, "count", json_integer(refusal->count));
    set(out, "scope", limit ? json_string(gov_scope_name(refusal->scope_kind)) : json_null());
    set(out, "dimension", limit ? json_string(gov_dim_name(dim)) : json_null());
    set(out, "spent", limit ? side_amount_json(dim, refusal->spent) : json_null());
    set(out, "held", limit ? side_amount_json(dim, refusal->held) : json_null());
    set(out, "limit", limit ? side_amount_json(dim, refusal->limit) : json_null());
    set(out, "status", json_integer(refusal->status));
}

static void consumption_json(json_t *out, const struct store_event *event,
                             const struct store_admission *asked)
{
    const struct store_consumption *used = &event->consumption;
    json_t *remaining = json_object();
    char capability[96];

    (void)snprintf(capability, sizeof capability, "llm:%.23s/%.31s", asked->provider, asked->api);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        set(remaining, gov_dim_name((enum gov_dim)dim),
            used->remaining[dim] >= 0 ? side_amount_json((enum gov_dim)dim, used->remaining[dim])
                                      : json_null());
    set(out, "step_id", side_id_json(event->head.call_id));
    set(out, "capability_id", json_string(capability));
    set(out, "resources",
        json_pack("{s:I,s:I,s:o,s:I,s:n,s:I,s:I}", "llm_input_tokens",
                  (json_int_t)sum(used->tokens, false), "llm_output_tokens",
                  (json_int_t)sum(used->tokens, true), "cost_usd", usd_json(used->charged_pusd),
                  "network_egress_bytes", (json_int_t)used->egress_bytes, "storage_write_bytes",
                  "tool_calls", (json_int_t)used->counts[METER_TOOL_CALLS], "duration_ms",
                  (json_int_t)used->duration_ms));
    set(out, "remaining", remaining);
    set(out, "provenance",
        json_string(meter_provenance_text((enum meter_provenance)used->provenance)));
    set(out, "released", json_boolean(used->end == STORE_RELEASED));
}

/* What a run used without a call of its own: the same event, with a capability of its own. */
static void used_json(json_t *out, const struct store_used *used)
{
    json_t *remaining = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (used->remaining[dim] >= 0)
            set(remaining, gov_dim_name((enum gov_dim)dim),
                side_amount_json((enum gov_dim)dim, used->remaining[dim]));
    set(out, "capability_id",
        json_string(used->added[GOV_EGRESS] != 0 ? "network:libcurl" : "process:tree"));
    set(out, "resources",
        json_pack("{s:i,s:i,s:s,s:I,s:I,s:i,s:n}", "llm_input_tokens", 0, "llm_output_tokens", 0,
                  "cost_usd", "0", "network_egress_bytes", (json_int_t)used->added[GOV_EGRESS],
                  "storage_write_bytes", (json_int_t)used->added[GOV_WRITES], "tool_calls", 0,
                  "duration_ms"));
    set(out, "remaining", remaining);
    set(out, "provenance", json_string("measured"));
}

static void threshold_json(json_t *out, const struct store_threshold *threshold, bool exhausted)
{
    enum gov_dim dim = (enum gov_dim)threshold->dim;

    set(out, "dimension", json_string(gov_dim_name(dim)));
    set(out, "scope", json_string(gov_scope_name(threshold->key.kind)));
    set(out, "window", json_string(gov_window_name(threshold->key.window)));
    if (exhausted)
        set(out, "policy", json_string(gov_policy_name((enum gov_policy)threshold->policy)));
    else
        set(out, "percent", json_integer(threshold->percent));
    set(out, "consumed", side_amount_json(dim, threshold->consumed));
    set(out, "limit", side_amount_json(dim, threshold->limit));
    if (!exhausted)
        set(out, "guidance", json_string(gov_guidance(dim)));
}

static void completed_json(json_t *out, const struct store_completed *completed, bool measured)
{
    set(out, "state", json_string(gov_state_name((enum gov_state)completed->state)));
    set(out, "final_consumption",
        json_pack("{s:I,s:I,s:o,s:I,s:I,s:o}", "total_steps",
                  (json_int_t)completed->total[GOV_STEPS], "total_llm_tokens",
                  (json_int_t)completed->total[GOV_TOKENS], "total_cost_usd",
                  usd_json(completed->total[GOV_COST]), "total_duration_ms",
                  (json_int_t)completed->duration_ms, "total_network_bytes",
                  (json_int_t)completed->total[GOV_EGRESS], "total_storage_bytes",
                  measured ? json_integer((json_int_t)completed->total[GOV_WRITES]) : json_null()));
    set(out, "exit", completed->exit >= 0 ? json_integer(completed->exit) : json_null());
}

static void overrun_json(json_t *out, const struct store_event *event)
{
    set(out, "call_id", side_id_json(event->head.call_id));
    set(out, "from", usd_json(event->overrun.held_pusd));
    set(out, "to", usd_json(event->overrun.charged_pusd));
    set(out, "reason", json_string("the provider billed beyond the hold"));
}

static void corrected_json(json_t *out, const struct store_event *event)
{
    const struct store_corrected *corrected = &event->corrected;

    set(out, "call_id", side_id_json(event->head.call_id));
    set(out, "from", usd_json(corrected->from_pusd));
    set(out, "to", usd_json(corrected->to_pusd));
    set(out, "cause", json_string(corrected->cause == STORE_REPRICED ? "reprice" : "correct"));
    set(out, "price_row", TEXT_JSON(corrected->row));
    set(out, "reason", TEXT_JSON(corrected->reason));
    set(out, "actor", TEXT_JSON(corrected->actor));
}

static void checkpoint_json(json_t *out, const struct store_checkpoint *checkpoint)
{
    set(out, "upto", json_integer((json_int_t)checkpoint->upto));
    set(out, "pruned", json_integer((json_int_t)checkpoint->pruned));
    set(out, "before", side_when_json(checkpoint->before_ns));
    set(out, "head", hash_json(checkpoint->head));
    set(out, "base", hash_json(checkpoint->base));
}

static void body_json(struct store_view *view, json_t *out, const struct store_event *event,
                      const struct store_run *run)
{
    struct store_event *admission;
    struct store_call call;

    switch (event->head.type) {
    case STORE_ALLOCATION:
        allocation_json(out, event);
        break;
    case STORE_ADMISSION:
        admission_json(out, event);
        break;
    case STORE_REFUSAL:
        refusal_json(out, event);
        break;
    case STORE_CONSUMPTION:
        admission = calloc(1, sizeof *admission);
        if (admission != NULL) {
            if (store_view_call(view, event->head.call_id, &call) == STORE_OK)
                (void)store_view_event(view, call.admission_seq, admission);
            consumption_json(out, event, &admission->admission);
        }
        free(admission);
        break;
    case STORE_WARNING:
    case STORE_EXHAUSTED:
        threshold_json(out, &event->threshold, event->head.type == STORE_EXHAUSTED);
        break;
    case STORE_COMPLETED:
        completed_json(out, &event->completed, !run->allocation.by_hand);
        break;
    case STORE_USED:
        used_json(out, &event->used);
        break;
    case STORE_OVERRUN:
        overrun_json(out, event);
        break;
    case STORE_RUN_ENDED:
        set(out, "reasons", reasons_json(event->run_ended.reasons, event->run_ended.reason_count));
        break;
    case STORE_CORRECTED:
        corrected_json(out, event);
        break;
    case STORE_CHECKPOINT:
        checkpoint_json(out, &event->checkpoint);
        break;
    case STORE_CLOCK:
        side_clock_json(out, &event->clock);
        break;
    case STORE_BEGUN:
        side_begun_json(out, &event->begun);
        break;
    default:
        side_directed_json(out, event);
        side_order_json(out, event);
        break;
    }
}

json_t *side_event_json(struct store_view *view, const struct store_event *event)
{
    static const uint8_t none[16];
    const char *name = side_event_name(event->head.type);
    struct store_run run = {0};
    bool known = store_view_run(view, event->head.run_id, &run) == STORE_OK;
    json_t *out = json_object();

    set(out, "seq", json_integer((json_int_t)event->head.seq));
    set(out, "ts", side_when_json(event->head.ts_ns));
    set(out, "run_id",
        memcmp(event->head.run_id, none, sizeof none) != 0 ? side_id_json(event->head.run_id)
                                                           : json_null());
    set(out, "session_id", known ? TEXT_JSON(run.allocation.session) : json_null());
    name = name != NULL ? name : side_order_name(event);
    set(out, "event", name != NULL ? json_string(name) : json_null());
    body_json(view, out, event, &run);
    return out;
}

/* ---- calls -------------------------------------------------------------------------------- */

static json_t *buckets_json(const uint64_t tokens[METER_BUCKETS])
{
    json_t *map = json_object();

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        set(map, meter_bucket_name((enum meter_bucket)bucket),
            json_integer((json_int_t)tokens[bucket]));
    return map;
}

static const char *settlement_of(const struct store_call *call,
                                 const struct store_admission *admission,
                                 const struct store_consumption *used)
{
    if (call->state != STORE_CALL_ENDED)
        return call->state == STORE_CALL_REFUSED ? "refused" : NULL;
    if (call->later_seq != 0)
        return "corrected";
    if (used->end == STORE_RELEASED)
        return "released";
    if (used->end == STORE_UNKNOWN)
        return "charged_unknown";
    return used->charged_pusd > admission->hold[GOV_COST] ||
                   used->tokens_total > admission->hold[GOV_TOKENS]
               ? ((admission->flags & STORE_READ_ONLY_CALL) != 0 ? "settled" : "overrun")
               : "settled";
}

static json_t *refused_call_json(const struct store_call *call, const struct store_event *event)
{
    json_t *out = json_object();
    const struct store_refusal *refusal = &event->refusal;

    set(out, "call_id", side_id_json(call->call_id));
    set(out, "run_id", side_id_json(call->run_id));
    set(out, "ts", side_when_json(event->head.ts_ns));
    set(out, "provider", TEXT_JSON(refusal->provider));
    set(out, "api", TEXT_JSON(refusal->api));
    set(out, "model", json_null());
    set(out, "requested_model", TEXT_JSON(refusal->model));
    set(out, "status", json_integer(refusal->status));
    set(out, "streaming", json_null());
    set(out, "tokens", json_null());
    set(out, "cost_usd", json_string("0"));
    set(out, "held_usd", json_string("0"));
    set(out, "egress_bytes", json_integer(0));
    set(out, "duration_ms", json_null());
    set(out, "provenance", json_null());
    set(out, "settlement", json_string("refused"));
    set(out, "reasons", reasons_json(refusal->reasons, refusal->reason_count));
    set(out, "pid", json_integer(refusal->pid));
    set(out, "door", json_string("libcurl"));
    return out;
}

static json_t *held_call_json(const struct store_call *call, const struct store_event *asked,
                              const struct store_event *ended, const struct store_event *corrected)
{
    const struct store_admission *admission = &asked->admission;
    const struct store_consumption *used = &ended->consumption;
    int64_t charged = call->later_seq != 0 ? corrected->corrected.to_pusd : used->charged_pusd;
    bool over = call->state == STORE_CALL_ENDED;
    bool priced = over ? (used->flags & STORE_UNPRICED) == 0 || call->later_seq != 0
                       : (admission->flags & STORE_UNPRICED) == 0;
    const char *settlement = settlement_of(call, admission, used);
    json_t *out = json_object();

    set(out, "call_id", side_id_json(call->call_id));
    set(out, "run_id", side_id_json(call->run_id));
    set(out, "ts", side_when_json(asked->head.ts_ns));
    set(out, "provider", TEXT_JSON(admission->provider));
    set(out, "api", TEXT_JSON(admission->api));
    set(out, "model", over && used->model[0] != '\0' ? TEXT_JSON(used->model) : json_null());
    set(out, "requested_model",
        admission->requested_model[0] != '\0' ? TEXT_JSON(admission->requested_model)
                                              : TEXT_JSON(admission->model));
    set(out, "status", over && used->status > 0 ? json_integer(used->status) : json_null());
    set(out, "streaming", json_boolean((admission->flags & STORE_STREAM) != 0));
    set(out, "tokens", over ? buckets_json(used->tokens) : json_null());
    set(out, "cost_usd", over && priced ? usd_json(charged) : json_null());
    set(out, "held_usd", usd_json(admission->hold[GOV_COST]));
    set(out, "egress_bytes", over ? json_integer(used->egress_bytes) : json_null());
    set(out, "duration_ms", over ? json_integer(used->duration_ms) : json_null());
    set(out, "provenance",
        over ? json_string(meter_provenance_text((enum meter_provenance)used->provenance))
             : json_null());
    set(out, "settlement", settlement != NULL ? json_string(settlement) : json_null());
    set(out, "output_cap_asked", cap_json(admission->cap_asked));
    set(out, "output_cap_held", cap_json(admission->cap_held));
    set(out, "price_row", over ? TEXT_JSON(used->row) : TEXT_JSON(admission->row));
    set(out, "pid", json_integer(admission->pid));
    set(out, "door", json_string("libcurl"));
    return out;
}

json_t *side_call_json(struct store_view *view, const struct store_call *call)
{
    struct store_event *events = calloc(3, sizeof *events);
    struct store_run run;
    bool known = store_view_run(view, call->run_id, &run) == STORE_OK;
    json_t *out = NULL;

    if (events == NULL)
        return NULL;
    if (call->consumption_seq != 0)
        (void)store_view_event(view, call->consumption_seq, &events[1]);
    if (call->state == STORE_CALL_REFUSED) {
        out = refused_call_json(call, &events[1]);
    } else {
        (void)store_view_event(view, call->admission_seq, &events[0]);
        if (call->later_seq != 0)
            (void)store_view_event(view, call->later_seq, &events[2]);
        out = held_call_json(call, &events[0], &events[1], &events[2]);
    }
    set(out, "session_id", known ? TEXT_JSON(run.allocation.session) : json_null());
    set(out, "task", known ? TEXT_JSON(run.allocation.task) : json_null());
    set(out, "agent", known ? TEXT_JSON(run.allocation.agent) : json_null());
    free(events);
    return out;
}

/* ---- runs --------------------------------------------------------------------------------- */

static int64_t spent_of(const struct store_run *run, const struct store_counter *counter,
                        unsigned dim)
{
    int64_t until_ns = run->ended_ns != 0 ? run->ended_ns : side_now_ns();

    if (dim == GOV_WALL) /* the ledger has the time at a terminal that does not count */
        return store_spent(counter, GOV_WALL) +
               (until_ns - run->started_ns - store_paused_ns(run, until_ns)) / 1000000;
    return store_spent(counter, (enum gov_dim)dim);
}

/* Without a launcher nobody measures what is written, and how long commands take. */
static bool is_counted(const struct store_run *run, unsigned dim)
{
    return !run->allocation.by_hand || (dim != GOV_WRITES && dim != GOV_COMMAND);
}

static void amounts_json(json_t *out, const struct store_run *run, const int64_t limits[GOV_DIMS],
                         const struct store_counter *counter)
{
    json_t *spent = json_object(), *held = json_object(), *remaining = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t used = spent_of(run, counter, dim);
        int64_t left = limits[dim] - used - counter->held[dim];
        const char *name = gov_dim_name((enum gov_dim)dim);

        if (!is_counted(run, dim))
            continue;
        set(spent, name, side_amount_json((enum gov_dim)dim, used));
        if (dim < STORE_SEEN_DIMS)
            set(held, name, side_amount_json((enum gov_dim)dim, counter->held[dim]));
        if (limits[dim] > 0)
            set(remaining, name, side_amount_json((enum gov_dim)dim, left > 0 ? left : 0));
    }
    set(out, "spent", spent);
    set(out, "held", held);
    set(out, "remaining", remaining);
}

/* The thresholds that were reached, as the counter remembers them. */
static json_t *warnings_json(const struct store_run *run, const struct store_counter *counter)
{
    json_t *list = json_array();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        for (unsigned i = 0; i < SIDE_PERCENTS; i++)
            if ((counter->logged[dim] & (1u << i)) != 0)
                (void)json_array_append_new(
                    list, json_pack("{s:s,s:i}", "dimension", gov_dim_name((enum gov_dim)dim),
                                    "percent", (int)run->allocation.percents[i]));
    return list;
}

json_t *side_run_json(struct store_view *view, const struct store_run *run,
                      const struct side_run *lives)
{
    int64_t limits[GOV_DIMS];
    struct store_scope_key key;
    struct store_counter counter;
    json_t *out = json_object();

    store_scope_run(&key, run->run_id);
    (void)store_view_counter(view, &key, &counter);
    set(out, "run_id", side_id_json(run->run_id));
    set(out, "session_id", TEXT_JSON(run->allocation.session));
    set(out, "state", json_string(gov_state_name((enum gov_state)run->state)));
    set(out, "level", TEXT_JSON(run->allocation.level));
    set(out, "argv0", TEXT_JSON(run->allocation.argv0));
    set(out, "started_at", side_when_json(run->started_ns));
    set(out, "ended_at", side_when_json(run->ended_ns));
    side_limits_now(view, run, limits);
    set(out, "limits", side_amounts_json(limits));
    amounts_json(out, run, limits, &counter);
    set(out, "calls",
        json_pack("{s:I,s:I,s:I,s:I,s:I}", "admitted", (json_int_t)run->admitted, "refused",
                  (json_int_t)run->refused, "settled", (json_int_t)run->settled, "estimated",
                  (json_int_t)run->estimated, "in_flight", (json_int_t)run->in_flight));
    set(out, "windows", side_windows_json(view, run, lives));
    set(out, "warnings", warnings_json(run, &counter));
    set(out, "reasons", reasons_json(run->reasons, run->reason_count));
    return out;
}

json_t *side_proof_json(const struct store_proof *proof)
{
    return json_pack(
        "{s:b,s:I,s:o,s:o,s:{s:b,s:b,s:b},s:o}", "ok", proof->chain && proof->sums && proof->caps,
        "records", (json_int_t)proof->records, "head", hash_json(proof->head), "first_bad",
        proof->first_bad != 0 ? json_integer((json_int_t)proof->first_bad) : json_null(), "checks",
        "chain", proof->chain, "sums", proof->sums, "caps", proof->caps, "what",
        proof->what[0] != '\0' ? json_string(proof->what) : json_null());
}
