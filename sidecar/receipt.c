/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: the two public record types of docs/RECEIPTS.md, from a call's records in the chain.
 * The text is the canonical form of RFC 8785, so that the hash in it can be checked by anybody:
 * sorted keys, no blanks, numbers as ECMAScript writes them. */
#include "sidecar/side_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLIMITED INT64_C(9007199254740991) /* the largest integer that JSON carries safely */

/* ---- canonical JSON ----------------------------------------------------------------------- */

struct text {
    char *at;
    size_t used, size;
    bool failed;
};

static void add(struct text *text, const char *bytes, size_t count)
{
    if (text->used + count + 1 > text->size && !text->failed) {
        size_t size = 2 * (text->used + count + 1);
        char *grown = realloc(text->at, size);

        text->failed = grown == NULL;
        text->at = grown != NULL ? grown : text->at;
        text->size = grown != NULL ? size : text->size;
    }
    if (text->failed)
        return;
    memcpy(text->at + text->used, bytes, count);
    text->used += count;
    text->at[text->used] = '\0';
}

static void add_text(struct text *text, const char *more)
{
    add(text, more, strlen(more));
}

static void add_string(struct text *text, const char *string, size_t length)
{
    static const char *const short_escapes[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    char escape[8];

    add_text(text, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)string[i];

        if (c == '"' || c == '\\') {
            add_text(text, c == '"' ? "\\\"" : "\\\\");
        } else if (c >= 0x20) {
            add(text, &string[i], 1);
        } else if (c < sizeof short_escapes / sizeof short_escapes[0] && short_escapes[c] != NULL) {
            add_text(text, short_escapes[c]);
        } else {
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
            add_text(text, escape);
        }
    }
    add_text(text, "\"");
}

/* The shortest digits that read back as the same number, laid out as Number.prototype.toString
 * does. */
static void add_number(struct text *text, double number)
{
    char digits[40], *exponent_at;
    int precision = 0, exponent, count = 0;
    char plain[24] = "";

    do
        (void)snprintf(digits, sizeof digits, "%.*e", precision, number);
    while (strtod(digits, NULL) != number && ++precision <= 17);
    exponent_at = strchr(digits, 'e');
    exponent = atoi(exponent_at + 1);
    for (const char *c = digits; c < exponent_at; c++)
        if (*c != '.' && *c != '-')
            plain[count++] = *c;
    while (count > 1 && plain[count - 1] == '0')
        count--;
    if (number < 0)
        add_text(text, "-");
    if (number == 0) {
        add_text(text, "0");
    } else if (exponent >= 0 && exponent < 21) { /* digits, zeros behind, or a point inside */
        for (int i = 0; i <= exponent || i < count; i++) {
            if (i == exponent + 1)
                add_text(text, ".");
            add(text, i < count ? &plain[i] : "0", 1);
        }
    } else if (exponent < 0 && exponent >= -6) {
        add_text(text, "0.");
        for (int i = -1; i > exponent; i--)
            add_text(text, "0");
        add(text, plain, (size_t)count);
    } else {
        add(text, plain, 1);
        if (count > 1) {
            add_text(text, ".");
            add(text, plain + 1, (size_t)count - 1);
        }
        (void)snprintf(digits, sizeof digits, "e%+d", exponent);
        add_text(text, digits);
    }
}

static void add_value(struct text *text, const json_t *value);

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_object(struct text *text, const json_t *object)
{
    const char *names[64], *name;
    size_t count = 0;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name,
                        value) if (count < sizeof names / sizeof names[0]) names[count++] = name;
    qsort(names, count, sizeof names[0], by_name);
    add_text(text, "{");
    for (size_t i = 0; i < count; i++) {
        add_text(text, i > 0 ? "," : "");
        add_string(text, names[i], strlen(names[i]));
        add_text(text, ":");
        add_value(text, json_object_get(object, names[i]));
    }
    add_text(text, "}");
}

static void add_value(struct text *text, const json_t *value)
{
    char digits[32];

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        add_object(text, value);
        break;
    case JSON_STRING:
        add_string(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        (void)snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
        add_text(text, digits);
        break;
    case JSON_REAL:
        add_number(text, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        add_text(text, json_is_true(value) ? "true" : "false");
        break;
    default: /* receipts have no arrays */
        add_text(text, "null");
        break;
    }
}

static char *canonical(const json_t *value)
{
    struct text text = {0};

    add_value(&text, value);
    if (!text.failed)
        return text.at;
    free(text.at);
    return NULL;
}

/* ---- members ------------------------------------------------------------------------------ */

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static void set_ref(json_t *object, const char *name, const char *prefix, const uint8_t id[16])
{
    char text[100], id_text[37];

    client_uuid_text(id, id_text);
    (void)snprintf(text, sizeof text, "%s:%s", prefix, id_text);
    set(object, name, json_string(text));
}

/* The decimal text of an amount, as the nearest double: JSON numbers are no more than that. */
static json_t *usd_number(int64_t pusd)
{
    char text[METER_USD_TEXT];

    return json_real(strtod(meter_usd_text(pusd > 0 ? pusd : 0, text), NULL));
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

    set(estimate, "projected_cost_usd", usd_number(hold_pusd));
    set(estimate, "remaining_budget_usd", cost >= 0 ? usd_number(cost) : json_integer(UNLIMITED));
    if (required || steps >= 0)
        set(estimate, "remaining_iterations", json_integer(steps >= 0 ? steps : UNLIMITED));
    if (required || tokens >= 0)
        set(estimate, "remaining_tokens", json_integer(tokens >= 0 ? tokens : UNLIMITED));
    set(estimate, "estimate_provenance", json_string(hold_pusd >= 0 ? "estimated" : "unavailable"));
}

static bool is_warned(const struct store_event *event)
{
    for (unsigned i = 0; i < event->head.scope_count; i++)
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            const struct store_scope_seen *seen = &event->scopes[i];

            if (seen->limit[dim] > 0 && (meter_wide)(uint64_t)seen->spent[dim] * 100 >=
                                            (meter_wide)(uint64_t)seen->limit[dim] * 80)
                return true;
        }
    return false;
}

/* The hash over everything else, then the receipt with it. */
static char *with_hash(json_t *receipt)
{
    char *text = canonical(receipt), hash_text[80] = "sha256:";
    uint8_t hash[32];

    if (text == NULL)
        return NULL;
    store_sha256(text, strlen(text), hash);
    free(text);
    for (unsigned i = 0; i < sizeof hash; i++)
        (void)snprintf(hash_text + 7 + 2 * i, 3, "%02x", hash[i]);
    set(receipt, "receipt_hash", json_string(hash_text));
    return canonical(receipt);
}

/* ---- admission ---------------------------------------------------------------------------- */

static void set_admission_head(json_t *receipt, const struct store_event *event)
{
    char time[32], run_id[37];

    client_uuid_text(event->head.run_id, run_id);
    set(receipt, "schemaVersion", json_string("agentplane.attempt-admission-receipt.v0.1"));
    set(receipt, "recordType", json_string("AttemptAdmissionReceipt"));
    set_ref(receipt, "receipt_id", "attempt-admission-receipt", event->head.call_id);
    set_ref(receipt, "attempt_id", "attempt", event->head.call_id);
    set(receipt, "run_id", json_string(run_id));
    set_ref(receipt, "governed_run_contract_ref", "governed-run-contract", event->head.run_id);
    set_ref(receipt, "safety_preflight_ref", "safety-preflight", event->head.call_id);
    set_ref(receipt, "authority_state_ref", "authority-state", event->head.run_id);
    set(receipt, "authority_decision", json_string("unchanged"));
    set_ref(receipt, "trustops_runtime_action_ref", "runtime-guardrail-decision",
            event->head.call_id);
    set(receipt, "issued_at", json_string(side_time_text(event->head.ts_ns, time)));
}

static char *admission_text(const struct store_event *event)
{
    bool admitted = event->head.type == STORE_ADMISSION, warned = is_warned(event);
    const struct store_refusal *refusal = &event->refusal;
    json_t *receipt = json_object(), *estimate = json_object();
    int64_t wanted = admitted ? ((event->admission.flags & STORE_UNPRICED) != 0
                                     ? -1
                                     : event->admission.hold[GOV_COST])
                              : refusal->wanted[GOV_COST];
    char *text;

    set_admission_head(receipt, event);
    set_estimate(estimate, event, wanted, true);
    set(receipt, "admitted", json_boolean(admitted));
    set(receipt, "admission_decision", json_string(admitted ? "admit" : "reject"));
    set(receipt, "reason_code",
        json_string(admitted ? "admitted" : gov_reason_text((enum gov_reason)refusal->reasons[0])));
    set(receipt, "safety_preflight_outcome",
        json_string(!admitted ? "block" : (warned ? "warn" : "pass")));
    set(receipt, "runtime_action", json_string(!admitted ? "block" : (warned ? "warn" : "allow")));
    set(receipt, "budget_estimate", estimate);
    text = with_hash(receipt);
    json_decref(receipt);
    return text;
}

/* ---- settlement --------------------------------------------------------------------------- */

static int64_t tokens_of(const struct store_consumption *used, bool output)
{
    uint64_t total = 0;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        if ((bucket >= METER_OUTPUT) == output)
            total += used->tokens[bucket];
    return (int64_t)total;
}

static json_t *actuals_json(const struct store_consumption *used)
{
    int64_t in = tokens_of(used, false), out = tokens_of(used, true);

    if (in + out == 0) /* a charged hold: only the sum is known */
        out = used->tokens_total;
    return json_pack("{s:I,s:I,s:I,s:I,s:o}", "tokens_in", (json_int_t)in, "tokens_out",
                     (json_int_t)out, "tool_calls", (json_int_t)used->counts[METER_TOOL_CALLS],
                     "wall_clock_ms", (json_int_t)used->duration_ms, "cost_usd",
                     usd_number(used->charged_pusd));
}

static void set_outcome(json_t *receipt, const struct store_consumption *used, int64_t hold_pusd)
{
    bool over = used->charged_pusd > hold_pusd;
    const char *status = over ? "overrun" : "settled";

    if (used->end == STORE_UNKNOWN) {
        status = "missing_actuals";
        set(receipt, "fail_closed_reason",
            json_string("the answer was not seen; the whole hold was charged"));
    } else if (used->usage_invalid) {
        status = "invalid_actuals";
        set(receipt, "fail_closed_reason",
            json_string("the provider's usage figures could not be used"));
    }
    set(receipt, "settlement_status", json_string(status));
    set(receipt, "overrun",
        json_pack("{s:b,s:o,s:o,s:s}", "over_budget", over, "estimated_cost_usd",
                  usd_number(hold_pusd), "actual_cost_usd", usd_number(used->charged_pusd),
                  "status", over ? "overrun" : "within_budget"));
}

static char *settlement_text(const struct store_event *event, const struct store_event *admission)
{
    const struct store_consumption *used = &event->consumption;
    int64_t hold = admission->admission.hold[GOV_COST];
    json_t *receipt = json_object(), *estimate = json_object();
    char time[32], run_id[37], *text;

    client_uuid_text(event->head.run_id, run_id);
    set_estimate(estimate, admission, hold, false);
    set(receipt, "schemaVersion", json_string("agentplane.budget-settlement-receipt.v0.1"));
    set(receipt, "recordType", json_string("BudgetSettlementReceipt"));
    set_ref(receipt, "settlement_id", "budget-settlement", event->head.call_id);
    set_ref(receipt, "attempt_id", "attempt", event->head.call_id);
    set_ref(receipt, "admission_receipt_ref", "attempt-admission-receipt", event->head.call_id);
    set(receipt, "run_id", json_string(run_id));
    set(receipt, "settled_at", json_string(side_time_text(event->head.ts_ns, time)));
    set(receipt, "estimate", estimate);
    set(receipt, "actuals", actuals_json(used));
    set(receipt, "settlement_provenance",
        json_string(meter_provenance_text((enum meter_provenance)used->provenance)));
    set_outcome(receipt, used, hold);
    text = with_hash(receipt);
    json_decref(receipt);
    return text;
}

char *side_receipt_text(struct store_view *view, const struct store_event *event)
{
    struct store_event *admission;
    struct store_call call;
    char *text = NULL;

    if (event->head.type == STORE_ADMISSION || event->head.type == STORE_REFUSAL)
        return admission_text(event);
    if (event->head.type != STORE_CONSUMPTION || event->consumption.end == STORE_RELEASED)
        return NULL;
    admission = calloc(1, sizeof *admission);
    if (admission != NULL && store_view_call(view, event->head.call_id, &call) == STORE_OK &&
        store_view_event(view, call.admission_seq, admission) == STORE_OK)
        text = settlement_text(event, admission);
    free(admission);
    return text;
}
