/* SPDX-License-Identifier: Apache-2.0 */
/* Events, calls and runs as JSON, with the names of the contract. An unknown value is null. */
#include "sidecar/json.h"
#include "sidecar/orders.h"
#include "sidecar/side_direct.h"

#include <stdlib.h>
#include <string.h>

/* ---- small things ------------------------------------------------------------------------- */
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

/* ---- events ------------------------------------------------------------------------------- */

static void allocation_json(json_t *out, const struct store_event *event)
{
    static const uint8_t none[16];
    const struct store_allocation *allocation = &event->allocation;
    json_t *policies = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (allocation->limits[dim] > 0)
            side_json_set(policies, gov_dim_name((enum gov_dim)dim),
                          json_string(gov_policy_name((enum gov_policy)allocation->policies[dim])));
    side_json_set(out, "limits", side_amounts_json(allocation->limits));
    side_json_set(out, "policies", policies);
    side_json_set(out, "session_limits", side_amounts_json(allocation->session_limits));
    side_json_set(out, "policy", TEXT_JSON(allocation->policy));
    side_json_set(out, "profile",
                  allocation->profile != 0 ? json_string(side_profile_name(allocation->profile))
                                           : json_null());
    side_json_set(out, "parent",
                  memcmp(allocation->parent, none, sizeof none) != 0
                      ? side_id_json(allocation->parent)
                      : json_null());
    side_json_set(out, "argv0", TEXT_JSON(allocation->argv0));
    side_json_set(out, "uid", json_integer(allocation->uid));
    side_json_set(out, "pid", json_integer(allocation->pid));
    side_json_set(out, "cwd", TEXT_JSON(allocation->cwd));
    side_json_set(out, "labels", side_labels_json(allocation));
    side_json_set(out, "level", TEXT_JSON(allocation->level));
    side_json_set(out, "by_hand", json_boolean(allocation->by_hand));
    side_json_set(out, "meter_only", json_boolean(allocation->meter_only));
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
        side_json_set(out, gov_dim_name((enum gov_dim)dim),
                      json_pack("{s:o,s:o,s:o}", "spent",
                                side_amount_json((enum gov_dim)dim, seen->spent[dim]), "held",
                                side_amount_json((enum gov_dim)dim, seen->held[dim]), "limit",
                                seen->limit[dim] > 0
                                    ? side_amount_json((enum gov_dim)dim, seen->limit[dim])
                                    : json_null()));
    return out;
}

static void admission_json(json_t *out, const struct store_event *event)
{
    const struct store_admission *admission = &event->admission;
    json_t *hold = json_object(), *scopes = json_array();

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        side_json_set(hold, gov_dim_name((enum gov_dim)dim),
                      side_amount_json((enum gov_dim)dim, admission->hold[dim]));
    for (unsigned i = 0; i < event->head.scope_count; i++)
        (void)json_array_append_new(scopes, seen_json(&event->scopes[i]));
    side_json_set(out, "call_id", side_id_json(event->head.call_id));
    side_json_set(out, "provider", TEXT_JSON(admission->provider));
    side_json_set(out, "api", TEXT_JSON(admission->api));
    side_json_set(out, "model", TEXT_JSON(admission->model));
    side_json_set(out, "hold", hold);
    side_json_set(out, "output_cap_asked", cap_json(admission->cap_asked));
    side_json_set(out, "output_cap_held", cap_json(admission->cap_held));
    side_json_set(out, "price_row", TEXT_JSON(admission->row));
    side_json_set(out, "directive", side_admitted_json(admission));
    side_json_set(out, "scopes", scopes);
    side_json_set(out, "pid", json_integer(admission->pid));
}

static void refusal_json(json_t *out, const struct store_event *event)
{
    const struct store_refusal *refusal = &event->refusal;
    bool limit = refusal->dim < GOV_DIMS;
    enum gov_dim dim = (enum gov_dim)refusal->dim;

    side_json_set(out, "call_id", side_id_json(event->head.call_id));
    side_json_set(out, "provider", TEXT_JSON(refusal->provider));
    side_json_set(out, "api", TEXT_JSON(refusal->api));
    side_json_set(out, "model", TEXT_JSON(refusal->model));
    side_json_set(out, "reasons", side_reasons_json(refusal->reasons, refusal->reason_count));
    side_json_set(out, "count", json_integer(refusal->count));
    side_json_set(out, "scope",
                  limit ? json_string(gov_scope_name(refusal->scope_kind)) : json_null());
    side_json_set(out, "dimension", limit ? json_string(gov_dim_name(dim)) : json_null());
    side_json_set(out, "spent", limit ? side_amount_json(dim, refusal->spent) : json_null());
    side_json_set(out, "held", limit ? side_amount_json(dim, refusal->held) : json_null());
    side_json_set(out, "limit", limit ? side_amount_json(dim, refusal->limit) : json_null());
    side_json_set(out, "status", json_integer(refusal->status));
}

static void consumption_json(json_t *out, const struct store_event *event,
                             const struct store_admission *asked)
{
    const struct store_consumption *used = &event->consumption;
    json_t *remaining = json_object();
    char capability[96];

    (void)snprintf(capability, sizeof capability, "llm:%.23s/%.31s", asked->provider, asked->api);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        side_json_set(remaining, gov_dim_name((enum gov_dim)dim),
                      used->remaining[dim] >= 0
                          ? side_amount_json((enum gov_dim)dim, used->remaining[dim])
                          : json_null());
    side_json_set(out, "step_id", side_id_json(event->head.call_id));
    side_json_set(out, "capability_id", json_string(capability));
    side_json_set(out, "resources",
                  json_pack("{s:I,s:I,s:o,s:I,s:n,s:I,s:I}", "llm_input_tokens",
                            (json_int_t)sum(used->tokens, false), "llm_output_tokens",
                            (json_int_t)sum(used->tokens, true), "cost_usd",
                            side_usd_json(used->charged_pusd), "network_egress_bytes",
                            (json_int_t)used->egress_bytes, "storage_write_bytes", "tool_calls",
                            (json_int_t)used->counts[METER_TOOL_CALLS], "duration_ms",
                            (json_int_t)used->duration_ms));
    side_json_set(out, "remaining", remaining);
    side_json_set(out, "provenance",
                  json_string(meter_provenance_text((enum meter_provenance)used->provenance)));
    side_json_set(out, "released", json_boolean(used->end == STORE_RELEASED));
}

/* What a run used without a call of its own: the same event, with a capability of its own. */
static void used_json(json_t *out, const struct store_used *used)
{
    json_t *remaining = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (used->remaining[dim] >= 0)
            side_json_set(remaining, gov_dim_name((enum gov_dim)dim),
                          side_amount_json((enum gov_dim)dim, used->remaining[dim]));
    side_json_set(out, "capability_id",
                  json_string(used->added[GOV_EGRESS] != 0 ? "network:libcurl" : "process:tree"));
    side_json_set(out, "resources",
                  json_pack("{s:i,s:i,s:s,s:I,s:I,s:i,s:n}", "llm_input_tokens", 0,
                            "llm_output_tokens", 0, "cost_usd", "0", "network_egress_bytes",
                            (json_int_t)used->added[GOV_EGRESS], "storage_write_bytes",
                            (json_int_t)used->added[GOV_WRITES], "tool_calls", 0, "duration_ms"));
    side_json_set(out, "remaining", remaining);
    side_json_set(out, "provenance", json_string("measured"));
}

static void threshold_json(json_t *out, const struct store_threshold *threshold, bool exhausted)
{
    enum gov_dim dim = (enum gov_dim)threshold->dim;

    side_json_set(out, "dimension", json_string(gov_dim_name(dim)));
    side_json_set(out, "scope", json_string(gov_scope_name(threshold->key.kind)));
    side_json_set(out, "window", json_string(gov_window_name(threshold->key.window)));
    if (exhausted)
        side_json_set(out, "policy",
                      json_string(gov_policy_name((enum gov_policy)threshold->policy)));
    else
        side_json_set(out, "percent", json_integer(threshold->percent));
    side_json_set(out, "consumed", side_amount_json(dim, threshold->consumed));
    side_json_set(out, "limit", side_amount_json(dim, threshold->limit));
    if (!exhausted)
        side_json_set(out, "guidance", json_string(gov_guidance(dim)));
}

static void completed_json(json_t *out, const struct store_completed *completed, bool measured)
{
    side_json_set(out, "state", json_string(gov_state_name((enum gov_state)completed->state)));
    side_json_set(
        out, "final_consumption",
        json_pack("{s:I,s:I,s:o,s:I,s:I,s:o}", "total_steps",
                  (json_int_t)completed->total[GOV_STEPS], "total_llm_tokens",
                  (json_int_t)completed->total[GOV_TOKENS], "total_cost_usd",
                  side_usd_json(completed->total[GOV_COST]), "total_duration_ms",
                  (json_int_t)completed->duration_ms, "total_network_bytes",
                  (json_int_t)completed->total[GOV_EGRESS], "total_storage_bytes",
                  measured ? json_integer((json_int_t)completed->total[GOV_WRITES]) : json_null()));
    side_json_set(out, "exit", completed->exit >= 0 ? json_integer(completed->exit) : json_null());
}

static void overrun_json(json_t *out, const struct store_event *event)
{
    side_json_set(out, "call_id", side_id_json(event->head.call_id));
    side_json_set(out, "from", side_usd_json(event->overrun.held_pusd));
    side_json_set(out, "to", side_usd_json(event->overrun.charged_pusd));
    side_json_set(out, "reason", json_string("the provider billed beyond the hold"));
}

static void corrected_json(json_t *out, const struct store_event *event)
{
    const struct store_corrected *corrected = &event->corrected;

    side_json_set(out, "call_id", side_id_json(event->head.call_id));
    side_json_set(out, "from", side_usd_json(corrected->from_pusd));
    side_json_set(out, "to", side_usd_json(corrected->to_pusd));
    side_json_set(out, "cause",
                  json_string(corrected->cause == STORE_REPRICED ? "reprice" : "correct"));
    side_json_set(out, "price_row", TEXT_JSON(corrected->row));
    side_json_set(out, "reason", TEXT_JSON(corrected->reason));
    side_json_set(out, "actor", TEXT_JSON(corrected->actor));
}

static void checkpoint_json(json_t *out, const struct store_checkpoint *checkpoint)
{
    side_json_set(out, "upto", json_integer((json_int_t)checkpoint->upto));
    side_json_set(out, "pruned", json_integer((json_int_t)checkpoint->pruned));
    side_json_set(out, "before", side_when_json(checkpoint->before_ns));
    side_json_set(out, "head", side_hash_json(checkpoint->head));
    side_json_set(out, "base", side_hash_json(checkpoint->base));
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
        side_json_set(out, "reasons",
                      side_reasons_json(event->run_ended.reasons, event->run_ended.reason_count));
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

    side_json_set(out, "seq", json_integer((json_int_t)event->head.seq));
    side_json_set(out, "ts", side_when_json(event->head.ts_ns));
    side_json_set(out, "run_id",
                  memcmp(event->head.run_id, none, sizeof none) != 0
                      ? side_id_json(event->head.run_id)
                      : json_null());
    side_json_set(out, "session_id", known ? TEXT_JSON(run.allocation.session) : json_null());
    name = name != NULL ? name : side_order_name(event);
    side_json_set(out, "event", name != NULL ? json_string(name) : json_null());
    body_json(view, out, event, &run);
    return out;
}

/* ---- calls -------------------------------------------------------------------------------- */

static json_t *buckets_json(const uint64_t tokens[METER_BUCKETS])
{
    json_t *map = json_object();

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        side_json_set(map, meter_bucket_name((enum meter_bucket)bucket),
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

    side_json_set(out, "call_id", side_id_json(call->call_id));
    side_json_set(out, "run_id", side_id_json(call->run_id));
    side_json_set(out, "ts", side_when_json(event->head.ts_ns));
    side_json_set(out, "provider", TEXT_JSON(refusal->provider));
    side_json_set(out, "api", TEXT_JSON(refusal->api));
    side_json_set(out, "model", json_null());
    side_json_set(out, "requested_model", TEXT_JSON(refusal->model));
    side_json_set(out, "status", json_integer(refusal->status));
    side_json_set(out, "streaming", json_null());
    side_json_set(out, "tokens", json_null());
    side_json_set(out, "cost_usd", json_string("0"));
    side_json_set(out, "held_usd", json_string("0"));
    side_json_set(out, "egress_bytes", json_integer(0));
    side_json_set(out, "duration_ms", json_null());
    side_json_set(out, "provenance", json_null());
    side_json_set(out, "settlement", json_string("refused"));
    side_json_set(out, "reasons", side_reasons_json(refusal->reasons, refusal->reason_count));
    side_json_set(out, "pid", json_integer(refusal->pid));
    side_json_set(out, "door", json_string("libcurl"));
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

    side_json_set(out, "call_id", side_id_json(call->call_id));
    side_json_set(out, "run_id", side_id_json(call->run_id));
    side_json_set(out, "ts", side_when_json(asked->head.ts_ns));
    side_json_set(out, "provider", TEXT_JSON(admission->provider));
    side_json_set(out, "api", TEXT_JSON(admission->api));
    side_json_set(out, "model",
                  over && used->model[0] != '\0' ? TEXT_JSON(used->model) : json_null());
    side_json_set(out, "requested_model",
                  admission->requested_model[0] != '\0' ? TEXT_JSON(admission->requested_model)
                                                        : TEXT_JSON(admission->model));
    side_json_set(out, "status",
                  over && used->status > 0 ? json_integer(used->status) : json_null());
    side_json_set(out, "streaming", json_boolean((admission->flags & STORE_STREAM) != 0));
    side_json_set(out, "tokens", over ? buckets_json(used->tokens) : json_null());
    side_json_set(out, "cost_usd", over && priced ? side_usd_json(charged) : json_null());
    side_json_set(out, "held_usd", side_usd_json(admission->hold[GOV_COST]));
    side_json_set(out, "egress_bytes", over ? json_integer(used->egress_bytes) : json_null());
    side_json_set(out, "duration_ms", over ? json_integer(used->duration_ms) : json_null());
    side_json_set(out, "provenance",
                  over ? json_string(meter_provenance_text((enum meter_provenance)used->provenance))
                       : json_null());
    side_json_set(out, "settlement", settlement != NULL ? json_string(settlement) : json_null());
    side_json_set(out, "output_cap_asked", cap_json(admission->cap_asked));
    side_json_set(out, "output_cap_held", cap_json(admission->cap_held));
    side_json_set(out, "price_row", over ? TEXT_JSON(used->row) : TEXT_JSON(admission->row));
    side_json_set(out, "pid", json_integer(admission->pid));
    side_json_set(out, "door", json_string("libcurl"));
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
    side_json_set(out, "session_id", known ? TEXT_JSON(run.allocation.session) : json_null());
    side_json_set(out, "task", known ? TEXT_JSON(run.allocation.task) : json_null());
    side_json_set(out, "agent", known ? TEXT_JSON(run.allocation.agent) : json_null());
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
        side_json_set(spent, name, side_amount_json((enum gov_dim)dim, used));
        if (dim < STORE_SEEN_DIMS)
            side_json_set(held, name, side_amount_json((enum gov_dim)dim, counter->held[dim]));
        if (limits[dim] > 0)
            side_json_set(remaining, name,
                          side_amount_json((enum gov_dim)dim, left > 0 ? left : 0));
    }
    side_json_set(out, "spent", spent);
    side_json_set(out, "held", held);
    side_json_set(out, "remaining", remaining);
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
    side_json_set(out, "run_id", side_id_json(run->run_id));
    side_json_set(out, "session_id", TEXT_JSON(run->allocation.session));
    side_json_set(out, "state", json_string(gov_state_name((enum gov_state)run->state)));
    side_json_set(out, "level", TEXT_JSON(run->allocation.level));
    side_json_set(out, "argv0", TEXT_JSON(run->allocation.argv0));
    side_json_set(out, "started_at", side_when_json(run->started_ns));
    side_json_set(out, "ended_at", side_when_json(run->ended_ns));
    side_limits_now(view, run, lives != NULL ? lives->spec.ceilings : NULL, limits);
    side_json_set(out, "limits", side_amounts_json(limits));
    amounts_json(out, run, limits, &counter);
    side_json_set(out, "calls",
                  json_pack("{s:I,s:I,s:I,s:I,s:I}", "admitted", (json_int_t)run->admitted,
                            "refused", (json_int_t)run->refused, "settled",
                            (json_int_t)run->settled, "estimated", (json_int_t)run->estimated,
                            "in_flight", (json_int_t)run->in_flight));
    side_json_set(out, "windows", side_windows_json(view, run, lives));
    side_json_set(out, "warnings", warnings_json(run, &counter));
    side_json_set(out, "reasons", side_reasons_json(run->reasons, run->reason_count));
    return out;
}

json_t *side_proof_json(const struct store_proof *proof)
{
    static const uint8_t none[sizeof proof->head];
    bool unknown = !proof->chain && memcmp(proof->head, none, sizeof none) == 0;

    return json_pack(
        "{s:b,s:I,s:o,s:o,s:{s:b,s:b,s:b},s:o}", "ok", proof->chain && proof->sums && proof->caps,
        "records", (json_int_t)proof->records, "head",
        unknown ? json_null() : side_hash_json(proof->head), "first_bad",
        proof->first_bad != 0 ? json_integer((json_int_t)proof->first_bad) : json_null(), "checks",
        "chain", proof->chain, "sums", proof->sums, "caps", proof->caps, "what",
        proof->what[0] != '\0' ? json_string(proof->what) : json_null());
}
