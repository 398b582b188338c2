/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: the two public record types of docs/RECEIPTS.md, from a call's records in the chain.
 * The text is canonical (canonical.c), so that the hash in it can be checked by anybody. */
#include "sidecar/json.h"
#include "sidecar/side_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLIMITED SIDE_JSON_INTEGER_MAX

/* ---- members ------------------------------------------------------------------------------ */

static void set_ref(json_t *object, const char *name, const char *prefix, const uint8_t id[16])
{
    char text[100], id_text[37];

    client_uuid_text(id, id_text);
    (void)snprintf(text, sizeof text, "%s:%s", prefix, id_text);
    side_json_set(object, name, json_string(text));
}

/* The decimal text of an amount, as the nearest double: JSON numbers are no more than that. */
static double usd_double(int64_t pusd)
{
    char text[METER_USD_TEXT];

    return strtod(meter_usd_text(pusd > 0 ? pusd : 0, text), NULL);
}

static json_t *usd_number(int64_t pusd)
{
    return json_real(usd_double(pusd));
}

/* Beyond this a JSON number is not what was written, and nobody could compute the hash again. */
static json_t *count_json(int64_t count)
{
    return json_integer(count < 0 ? 0 : (count > UNLIMITED ? UNLIMITED : count));
}

/* The hold as an estimate; -1: there was no price for one. */
static int64_t estimate_of(const struct store_admission *admission)
{
    return (admission->flags & STORE_UNPRICED) != 0 ? -1 : admission->hold[GOV_COST];
}

/* Before this hold, in the scope that has least; -1: no limit that would refuse. */
static int64_t remaining_of(const struct store_event *event, enum gov_dim dim)
{
    int64_t least = -1;

    for (unsigned i = 0; i < event->head.scope_count; i++) {
        const struct store_scope_seen *seen = &event->scopes[i];
        int64_t left = seen->limit[dim] - seen->spent[dim] - seen->held[dim];

        if (seen->limit[dim] == 0 || seen->policy[dim] == GOV_SOFT_WARN)
            continue;
        left = left > 0 ? left : 0;
        if (least < 0 || left < least)
            least = left;
    }
    return least;
}

static void set_estimate(json_t *estimate, const struct store_event *event, int64_t hold_pusd,
                         bool required)
{
    int64_t cost = remaining_of(event, GOV_COST), steps = remaining_of(event, GOV_STEPS),
            tokens = remaining_of(event, GOV_TOKENS);

    side_json_set(estimate, "projected_cost_usd", usd_number(hold_pusd));
    side_json_set(estimate, "remaining_budget_usd",
                  cost >= 0 ? usd_number(cost) : json_integer(UNLIMITED));
    if (required || steps >= 0)
        side_json_set(estimate, "remaining_iterations", count_json(steps >= 0 ? steps : UNLIMITED));
    if (required || tokens >= 0)
        side_json_set(estimate, "remaining_tokens", count_json(tokens >= 0 ? tokens : UNLIMITED));
    side_json_set(estimate, "estimate_provenance",
                  json_string(hold_pusd >= 0 ? "estimated" : "unavailable"));
}

/* The text with its hash. Takes the receipt. NULL: out of memory. */
static char *sealed(json_t *receipt)
{
    char hash[SIDE_RECEIPT_HASH_TEXT], *text = NULL;

    if (side_receipt_hash(receipt, hash)) {
        side_json_set(receipt, SIDE_RECEIPT_HASH, json_string(hash));
        text = side_canonical_text(receipt);
    }
    json_decref(receipt);
    return text;
}

/* ---- admission ---------------------------------------------------------------------------- */

static void set_admission_head(json_t *receipt, const struct store_event *event)
{
    char time[32], run_id[37];

    client_uuid_text(event->head.run_id, run_id);
    side_json_set(receipt, "schemaVersion",
                  json_string("agentplane.attempt-admission-receipt.v0.1"));
    side_json_set(receipt, "recordType", json_string("AttemptAdmissionReceipt"));
    set_ref(receipt, "receipt_id", "attempt-admission-receipt", event->head.call_id);
    set_ref(receipt, "attempt_id", "attempt", event->head.call_id);
    side_json_set(receipt, "run_id", json_string(run_id));
    set_ref(receipt, "governed_run_contract_ref", "governed-run-contract", event->head.run_id);
    set_ref(receipt, "safety_preflight_ref", "safety-preflight", event->head.call_id);
    set_ref(receipt, "authority_state_ref", "authority-state", event->head.run_id);
    set_ref(receipt, "trustops_runtime_action_ref", "runtime-guardrail-decision",
            event->head.call_id);
    side_json_set(receipt, "issued_at", json_string(side_time_text(event->head.ts_ns, time)));
}

/* The same question again is recorded under the first one's call: its number tells them apart. */
static void set_again(json_t *receipt, const char *name, const struct store_event *event)
{
    const char *first = json_string_value(json_object_get(receipt, name));
    char id[120];

    (void)snprintf(id, sizeof id, "%s:%llu", first, (unsigned long long)event->head.seq);
    side_json_set(receipt, name, json_string(id));
}

/* Refused because something could not be done, not because of what it would cost; NULL: else. */
static const char *failure_of(const struct store_refusal *refusal)
{
    static const struct {
        enum gov_reason reason;
        const char *text;
    } rows[] = {
        {GOV_REASON_LEDGER_READ, "the ledger could not be read"},
        {GOV_REASON_LEDGER_WRITE, "the ledger could not be written"},
        {GOV_REASON_VERSION, "the program and the sidecar are of different versions"},
        {GOV_REASON_UNREADABLE, "the request could not be read"},
        {GOV_REASON_TOO_LARGE, "the request is too large to be read"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].reason == refusal->reasons[0])
            return rows[i].text;
    return NULL;
}

/* A person was asked about this very call, and did not say yes. */
static bool is_reviewed(const struct store_refusal *refusal)
{
    return refusal->asked != 0 && (refusal->reasons[0] == GOV_REASON_DENIED ||
                                   refusal->reasons[0] == GOV_REASON_APPROVAL_TIMEOUT);
}

static void set_refused(json_t *receipt, const struct store_refusal *refusal)
{
    const char *failure = failure_of(refusal);
    const char *action = is_reviewed(refusal) ? "require-review" : "block";

    side_json_set(receipt, "admission_decision",
                  json_string(failure != NULL        ? "fail-closed"
                              : is_reviewed(refusal) ? action
                                                     : "reject"));
    side_json_set(receipt, "authority_decision",
                  json_string(refusal->reasons[0] == GOV_REASON_STOPPED ? "revoked"
                              : is_reviewed(refusal)                    ? "suspended"
                                                                        : "unchanged"));
    if (failure != NULL)
        side_json_set(receipt, "fail_closed_reason", json_string(failure));
    side_json_set(receipt, "reason_code",
                  json_string(gov_reason_text((enum gov_reason)refusal->reasons[0])));
    side_json_set(receipt, "safety_preflight_outcome", json_string(action));
    side_json_set(receipt, "runtime_action", json_string(action));
}

static void set_admitted(json_t *receipt, const struct store_admission *admission)
{
    bool warned = admission->severity != GOV_OK;
    bool reduced =
        admission->requested_model[0] != '\0' || (admission->flags & STORE_OVERRIDDEN) != 0;

    side_json_set(receipt, "authority_decision", json_string(reduced ? "reduced" : "unchanged"));
    side_json_set(receipt, "admission_decision", json_string("admit"));
    side_json_set(receipt, "reason_code", json_string("admitted"));
    side_json_set(receipt, "safety_preflight_outcome", json_string(warned ? "warn" : "pass"));
    side_json_set(receipt, "runtime_action", json_string(warned ? "warn" : "allow"));
}

/* again: there is an earlier one of this call. */
static char *admission_text(const struct store_event *event, bool again)
{
    bool admitted = event->head.type == STORE_ADMISSION;
    json_t *receipt = json_object(), *estimate = json_object();

    set_admission_head(receipt, event);
    if (again)
        set_again(receipt, "receipt_id", event);
    side_json_set(receipt, "admitted", json_boolean(admitted));
    if (admitted)
        set_admitted(receipt, &event->admission);
    else
        set_refused(receipt, &event->refusal);
    set_estimate(estimate, event,
                 admitted ? estimate_of(&event->admission) : event->refusal.wanted[GOV_COST], true);
    side_json_set(receipt, "budget_estimate", estimate);
    return sealed(receipt);
}

/* ---- settlement --------------------------------------------------------------------------- */

static int64_t tokens_of(const struct store_consumption *used, bool output)
{
    uint64_t total = 0;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        if ((bucket >= METER_OUTPUT) == output)
            total += used->tokens[bucket];
    return total > INT64_MAX ? INT64_MAX : (int64_t)total;
}

static json_t *actuals_json(const struct store_consumption *used)
{
    int64_t in = tokens_of(used, false), out = tokens_of(used, true);

    if (in == 0 && out == 0) /* a charged hold: only the sum is known */
        out = used->tokens_total;
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "tokens_in", count_json(in), "tokens_out",
                     count_json(out), "tool_calls",
                     count_json((int64_t)used->counts[METER_TOOL_CALLS]), "wall_clock_ms",
                     count_json(used->duration_ms), "cost_usd", usd_number(used->charged_pusd));
}

static void set_overrun(json_t *receipt, int64_t charged_pusd, int64_t hold_pusd)
{
    bool over = usd_double(charged_pusd) > usd_double(hold_pusd); /* as the numbers say */

    side_json_set(receipt, "settlement_status", json_string(over ? "overrun" : "settled"));
    side_json_set(receipt, "overrun",
                  json_pack("{s:b,s:o,s:o,s:s}", "over_budget", over, "estimated_cost_usd",
                            usd_number(hold_pusd), "actual_cost_usd", usd_number(charged_pusd),
                            "status", over ? "overrun" : "within_budget"));
}

static void set_failed(json_t *receipt, const char *status, const char *why)
{
    side_json_set(receipt, "settlement_status", json_string(status));
    side_json_set(receipt, "fail_closed_reason", json_string(why));
}

/* decided: the record that the hold, or the refusal, stands in. */
static json_t *settlement_new(const struct store_event *event, const struct store_event *decided,
                              int64_t hold_pusd, const struct store_consumption *used)
{
    json_t *receipt = json_object(), *estimate = json_object();
    char time[32], run_id[37];

    client_uuid_text(event->head.run_id, run_id);
    set_estimate(estimate, decided, hold_pusd, false);
    side_json_set(receipt, "schemaVersion",
                  json_string("agentplane.budget-settlement-receipt.v0.1"));
    side_json_set(receipt, "recordType", json_string("BudgetSettlementReceipt"));
    set_ref(receipt, "settlement_id", "budget-settlement", event->head.call_id);
    set_ref(receipt, "attempt_id", "attempt", event->head.call_id);
    set_ref(receipt, "admission_receipt_ref", "attempt-admission-receipt", event->head.call_id);
    side_json_set(receipt, "run_id", json_string(run_id));
    side_json_set(receipt, "settled_at", json_string(side_time_text(event->head.ts_ns, time)));
    side_json_set(receipt, "estimate", estimate);
    side_json_set(receipt, "actuals", actuals_json(used));
    side_json_set(receipt, "settlement_provenance",
                  json_string(meter_provenance_text((enum meter_provenance)used->provenance)));
    set_overrun(receipt, used->charged_pusd, hold_pusd);
    return receipt;
}

static char *settlement_text(const struct store_event *event, const struct store_event *admission)
{
    const struct store_consumption *used = &event->consumption;
    json_t *receipt = settlement_new(event, admission, estimate_of(&admission->admission), used);

    if (used->end == STORE_UNKNOWN) {
        side_json_set(receipt, "settlement_provenance",
                      json_string(meter_provenance_text(METER_MISSING)));
        set_failed(receipt, "missing_actuals",
                   "what was used is not known; the whole hold was charged");
    } else if (used->usage_invalid) {
        set_failed(receipt, "invalid_actuals", "the provider's usage figures could not be used");
    }
    return sealed(receipt);
}

/* Of a call that was refused by a failure: nothing was sent, so nothing was used. */
static char *fail_closed_text(const struct store_event *event, bool again)
{
    static const struct store_consumption nothing = {.provenance = METER_MISSING};
    const char *failure = failure_of(&event->refusal);
    json_t *receipt;

    if (failure == NULL)
        return NULL;
    receipt = settlement_new(event, event, event->refusal.wanted[GOV_COST], &nothing);
    if (again) {
        set_again(receipt, "settlement_id", event);
        set_again(receipt, "admission_receipt_ref", event);
    }
    set_failed(receipt, "fail-closed", failure);
    return sealed(receipt);
}

/* ---- of a record -------------------------------------------------------------------------- */

static bool is_again(struct store_view *view, const struct store_event *refusal)
{
    struct store_call call;

    return store_view_call(view, refusal->head.call_id, &call) == STORE_OK &&
           call.consumption_seq != refusal->head.seq;
}

static char *consumption_text(struct store_view *view, const struct store_event *event)
{
    struct store_event *admission;
    struct store_call call;
    char *text = NULL;

    if (event->consumption.end == STORE_RELEASED)
        return NULL;
    admission = calloc(1, sizeof *admission);
    if (admission != NULL && store_view_call(view, event->head.call_id, &call) == STORE_OK &&
        store_view_event(view, call.admission_seq, admission) == STORE_OK)
        text = settlement_text(event, admission);
    free(admission);
    return text;
}

char *side_receipt_text(struct store_view *view, const struct store_event *event,
                        enum side_receipt kind)
{
    bool admission = kind == SIDE_RECEIPT_ADMISSION;

    switch ((enum store_type)event->head.type) {
    case STORE_ADMISSION:
        return admission ? admission_text(event, false) : NULL;
    case STORE_REFUSAL:
        return admission ? admission_text(event, is_again(view, event))
                         : fail_closed_text(event, is_again(view, event));
    case STORE_CONSUMPTION:
        return admission ? NULL : consumption_text(view, event);
    default:
        return NULL;
    }
}

char *side_receipt_lines(struct store_view *view, const struct store_event *event, const char *kind)
{
    static const char *const names[] = {"admission", "settlement"};
    char *texts[SIDE_RECEIPT_KINDS] = {NULL}, *both = NULL;

    for (unsigned i = 0; i < SIDE_RECEIPT_KINDS; i++)
        if (kind[0] == '\0' || strcmp(kind, names[i]) == 0)
            texts[i] = side_receipt_text(view, event, (enum side_receipt)i);
    if (texts[0] == NULL || texts[1] == NULL)
        return texts[0] != NULL ? texts[0] : texts[1];
    if (asprintf(&both, "%s\n%s", texts[0], texts[1]) < 0)
        both = NULL;
    free(texts[0]);
    free(texts[1]);
    return both;
}
