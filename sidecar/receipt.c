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

static void add_string(FILE *text, const char *string, size_t length)
{
    static const char *const short_escapes[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

    (void)fputs("\"", text);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)string[i];

        if (c == '"' || c == '\\') {
            (void)fputs(c == '"' ? "\\\"" : "\\\\", text);
        } else if (c >= 0x20) {
            (void)fwrite(&string[i], 1, 1, text);
        } else if (c < sizeof short_escapes / sizeof short_escapes[0] && short_escapes[c] != NULL) {
            (void)fputs(short_escapes[c], text);
        } else {
            (void)fprintf(text, "\\u%04x", c);
        }
    }
    (void)fputs("\"", text);
}

/* The shortest digits that read back as the same number, laid out as Number.prototype.toString
 * does. */
static void add_number(FILE *text, double number)
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
        (void)fputs("-", text);
    if (number == 0) {
        (void)fputs("0", text);
    } else if (exponent >= 0 && exponent < 21) { /* digits, zeros behind, or a point inside */
        for (int i = 0; i <= exponent || i < count; i++) {
            if (i == exponent + 1)
                (void)fputs(".", text);
            (void)fwrite(i < count ? &plain[i] : "0", 1, 1, text);
        }
    } else if (exponent < 0 && exponent >= -6) {
        (void)fputs("0.", text);
        for (int i = -1; i > exponent; i--)
            (void)fputs("0", text);
        (void)fwrite(plain, 1, (size_t)count, text);
    } else {
        (void)fwrite(plain, 1, 1, text);
        if (count > 1) {
            (void)fputs(".", text);
            (void)fwrite(plain + 1, 1, (size_t)count - 1, text);
        }
        (void)fprintf(text, "e%+d", exponent);
    }
}

static void add_value(FILE *text, const json_t *value);

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_object(FILE *text, const json_t *object)
{
    const char *names[64], *name;
    size_t count = 0;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name,
                        value) if (count < sizeof names / sizeof names[0]) names[count++] = name;
    qsort(names, count, sizeof names[0], by_name);
    (void)fputs("{", text);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? "," : "", text);
        add_string(text, names[i], strlen(names[i]));
        (void)fputs(":", text);
        add_value(text, json_object_get(object, names[i]));
    }
    (void)fputs("}", text);
}

static void add_value(FILE *text, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        add_object(text, value);
        break;
    case JSON_STRING:
        add_string(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        (void)fprintf(text, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        add_number(text, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        (void)fputs(json_is_true(value) ? "true" : "false", text);
        break;
    default: /* receipts have no arrays */
        (void)fputs("null", text);
        break;
    }
}

static char *canonical(const json_t *value)
{
    char *at = NULL;
    size_t bytes;
    FILE *text = open_memstream(&at, &bytes);
    bool failed;

    if (text == NULL)
        return NULL;
    add_value(text, value);
    failed = ferror(text) != 0;
    if (fclose(text) == 0 && !failed)
        return at;
    free(at);
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

    set(estimate, "projected_cost_usd", usd_number(hold_pusd));
    set(estimate, "remaining_budget_usd", cost >= 0 ? usd_number(cost) : json_integer(UNLIMITED));
    if (required || steps >= 0)
        set(estimate, "remaining_iterations", count_json(steps >= 0 ? steps : UNLIMITED));
    if (required || tokens >= 0)
        set(estimate, "remaining_tokens", count_json(tokens >= 0 ? tokens : UNLIMITED));
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

/* The same question again is recorded under the first one's call: its number tells them apart. */
static void set_again(json_t *receipt, const struct store_event *event)
{
    const char *first = json_string_value(json_object_get(receipt, "receipt_id"));
    char id[120];

    (void)snprintf(id, sizeof id, "%s:%llu", first, (unsigned long long)event->head.seq);
    set(receipt, "receipt_id", json_string(id));
}

/* again: there is an earlier one of this call. */
static char *admission_text(const struct store_event *event, bool again)
{
    bool admitted = event->head.type == STORE_ADMISSION, warned = is_warned(event);
    const struct store_refusal *refusal = &event->refusal;
    json_t *receipt = json_object(), *estimate = json_object();
    int64_t wanted = admitted ? estimate_of(&event->admission) : refusal->wanted[GOV_COST];
    char *text;

    set_admission_head(receipt, event);
    if (again)
        set_again(receipt, event);
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

static void set_outcome(json_t *receipt, const struct store_consumption *used, int64_t hold_pusd)
{
    bool over = usd_double(used->charged_pusd) > usd_double(hold_pusd); /* as the numbers say */
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
    int64_t hold = estimate_of(&admission->admission);
    json_t *receipt = json_object(), *estimate = json_object();
    enum meter_provenance provenance = (enum meter_provenance)used->provenance;
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
        json_string(
            meter_provenance_text(used->end == STORE_UNKNOWN ? METER_MISSING : provenance)));
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
        return admission_text(event,
                              event->head.type == STORE_REFUSAL &&
                                  store_view_call(view, event->head.call_id, &call) == STORE_OK &&
                                  call.consumption_seq != event->head.seq);
    if (event->head.type != STORE_CONSUMPTION || event->consumption.end == STORE_RELEASED)
        return NULL;
    admission = calloc(1, sizeof *admission);
    if (admission != NULL && store_view_call(view, event->head.call_id, &call) == STORE_OK &&
        store_view_event(view, call.admission_seq, admission) == STORE_OK)
        text = settlement_text(event, admission);
    free(admission);
    return text;
}
