/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of receipts that their schemas cannot say; docs/RECEIPTS.md lists them for people. A
 * rule is a row: where it looks, what it wants, and whether that holds. */
#include "cli/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PATH_ROOM    100u

const json_t *receipt_at(const json_t *receipt, const char *path)
{
    const char *dot = strchr(path, '.');
    char group[PATH_ROOM];

    if (dot == NULL)
        return json_object_get(receipt, path);
    (void)snprintf(group, sizeof group, "%.*s", (int)(dot - path), path);
    return json_object_get(json_object_get(receipt, group), dot + 1);
}

bool receipt_says(const json_t *receipt, const char *path, const char *text)
{
    const char *is = json_string_value(receipt_at(receipt, path));

    return is != NULL && strcmp(is, text) == 0;
}

static bool says_one_of(const json_t *receipt, const char *path, const char *const *texts)
{
    while (*texts != NULL && !receipt_says(receipt, path, *texts))
        texts++;
    return *texts != NULL;
}

/* False also where one of them is no number. */
static bool more(const json_t *receipt, const char *path, const char *than)
{
    const json_t *is = receipt_at(receipt, path), *limit = receipt_at(receipt, than);

    return json_is_number(is) && json_is_number(limit) &&
           json_number_value(is) > json_number_value(limit);
}

static bool same(const json_t *receipt, const char *path, const char *as)
{
    const json_t *is = receipt_at(receipt, path), *want = receipt_at(receipt, as);

    return !json_is_number(is) || !json_is_number(want) ||
           json_number_value(is) == json_number_value(want);
}

/* ---- both kinds --------------------------------------------------------------------------- */

/* What stands behind a text of this form: d a digit, x a hex digit, all else itself. NULL: it has
 * another. */
static const char *behind_form(const char *text, const char *form)
{
    for (; *form != '\0'; form++, text++)
        if (*text == '\0' || (*form == 'd'   ? strchr("0123456789", *text) == NULL
                              : *form == 'x' ? strchr("0123456789abcdef", *text) == NULL
                                             : *text != *form))
            return NULL;
    return text;
}

/* RFC 3339 in UTC, of a day that exists. */
static bool is_time(const json_t *value)
{
    const char *text = json_string_value(value), *end;
    struct tm parts = {0};
    int day;

    if (text == NULL || *text == '\0') /* the schema's */
        return true;
    end = behind_form(text, "dddd-dd-ddTdd:dd:dd");
    if (end == NULL || strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) != end)
        return false;
    if (behind_form(end, ".d") != NULL)
        end += 1 + strspn(end + 1, "0123456789");
    day = parts.tm_mday;
    (void)timegm(&parts); /* makes another day of one that is none */
    return strcmp(end, "Z") == 0 && parts.tm_mday == day;
}

static bool issued_at_is_time(const json_t *receipt)
{
    return is_time(json_object_get(receipt, "issued_at"));
}

static bool settled_at_is_time(const json_t *receipt)
{
    return is_time(json_object_get(receipt, "settled_at"));
}

/* ---- admissions --------------------------------------------------------------------------- */

static const char *const passing[] = {"pass", "warn", NULL};
static const char *const standing[] = {"unchanged", "reduced", NULL};
static const char *const allowing[] = {"allow", "warn", NULL};

static bool admitted(const json_t *receipt)
{
    return json_is_true(json_object_get(receipt, "admitted"));
}

/* Whether it is admitted although this member, which is there, says none of these. */
static bool admitted_against(const json_t *receipt, const char *name, const char *const *texts)
{
    return admitted(receipt) && json_is_string(json_object_get(receipt, name)) &&
           !says_one_of(receipt, name, texts);
}

static bool decision_is_admitted(const json_t *receipt)
{
    return !json_is_boolean(json_object_get(receipt, "admitted")) ||
           !json_is_string(json_object_get(receipt, "admission_decision")) ||
           admitted(receipt) == receipt_says(receipt, "admission_decision", "admit");
}

static bool preflight_passes(const json_t *receipt)
{
    return !admitted_against(receipt, "safety_preflight_outcome", passing);
}

static bool authority_stands(const json_t *receipt)
{
    return !admitted_against(receipt, "authority_decision", standing);
}

static bool action_allows(const json_t *receipt)
{
    return !admitted_against(receipt, "runtime_action", allowing);
}

static bool review_is_decided(const json_t *receipt)
{
    return admitted(receipt) ||
           !(receipt_says(receipt, "safety_preflight_outcome", "require-review") ||
             receipt_says(receipt, "runtime_action", "require-review")) ||
           receipt_says(receipt, "admission_decision", "require-review") ||
           receipt_says(receipt, "admission_decision", "admit"); /* another rule's */
}

static bool cost_fits(const json_t *receipt)
{
    return !admitted(receipt) || !more(receipt, "budget_estimate.projected_cost_usd",
                                       "budget_estimate.remaining_budget_usd");
}

/* What costs nothing, such as a look at a list of models, takes no iteration. */
static bool iterations_are_left(const json_t *receipt)
{
    const json_t *left = receipt_at(receipt, "budget_estimate.remaining_iterations");

    return !admitted(receipt) || !json_is_integer(left) || json_integer_value(left) != 0 ||
           json_number_value(receipt_at(receipt, "budget_estimate.projected_cost_usd")) <= 0;
}

static bool failure_is_told(const json_t *receipt)
{
    return !receipt_says(receipt, "admission_decision", "fail-closed") ||
           json_object_get(receipt, "fail_closed_reason") != NULL;
}

static bool reason_is_admitted(const json_t *receipt)
{
    return !json_is_boolean(json_object_get(receipt, "admitted")) ||
           !json_is_string(json_object_get(receipt, "reason_code")) ||
           admitted(receipt) == receipt_says(receipt, "reason_code", "admitted");
}

static bool preflight_blocks(const json_t *receipt)
{
    return !json_is_false(json_object_get(receipt, "admitted")) ||
           !says_one_of(receipt, "safety_preflight_outcome", passing);
}

static bool action_is_alike(const json_t *receipt)
{
    const char *outcome = json_string_value(json_object_get(receipt, "safety_preflight_outcome"));

    return outcome == NULL || !action_allows(receipt) ||
           !json_is_string(json_object_get(receipt, "runtime_action")) ||
           receipt_says(receipt, "runtime_action",
                        strcmp(outcome, "pass") == 0 ? "allow" : outcome);
}

/* ---- settlements -------------------------------------------------------------------------- */

static bool figures_are_there(const json_t *receipt)
{
    return json_is_number(receipt_at(receipt, "actuals.cost_usd")) &&
           json_is_number(receipt_at(receipt, "estimate.projected_cost_usd"));
}

static bool is_over(const json_t *receipt)
{
    return more(receipt, "actuals.cost_usd", "estimate.projected_cost_usd");
}

static bool is_success(const json_t *receipt)
{
    return receipt_says(receipt, "settlement_status", "settled") ||
           receipt_says(receipt, "settlement_status", "overrun");
}

static bool no_overrun_is_hidden(const json_t *receipt)
{
    return !receipt_says(receipt, "settlement_status", "settled") || !is_over(receipt);
}

static bool overrun_is_one(const json_t *receipt)
{
    return !receipt_says(receipt, "settlement_status", "overrun") || !figures_are_there(receipt) ||
           is_over(receipt);
}

static bool over_budget_is_so(const json_t *receipt)
{
    const json_t *says = receipt_at(receipt, "overrun.over_budget");

    return !json_is_boolean(says) || !figures_are_there(receipt) ||
           json_is_true(says) == is_over(receipt);
}

static bool overrun_status_is_so(const json_t *receipt)
{
    return !json_is_string(receipt_at(receipt, "overrun.status")) || !figures_are_there(receipt) ||
           receipt_says(receipt, "overrun.status", "overrun") == is_over(receipt);
}

static bool estimate_is_the_same(const json_t *receipt)
{
    return same(receipt, "overrun.estimated_cost_usd", "estimate.projected_cost_usd");
}

static bool actual_is_the_same(const json_t *receipt)
{
    return same(receipt, "overrun.actual_cost_usd", "actuals.cost_usd");
}

static bool shortcoming_is_told(const json_t *receipt)
{
    static const char *const failed[] = {"missing_actuals", "invalid_actuals", "fail-closed", NULL};

    return !says_one_of(receipt, "settlement_status", failed) ||
           json_object_get(receipt, "fail_closed_reason") != NULL;
}

static bool missing_is_called_so(const json_t *receipt)
{
    return !receipt_says(receipt, "settlement_status", "missing_actuals") ||
           receipt_says(receipt, "settlement_provenance", "missing") ||
           !json_is_string(json_object_get(receipt, "settlement_provenance"));
}

static bool success_has_actuals(const json_t *receipt)
{
    return !is_success(receipt) || !receipt_says(receipt, "settlement_provenance", "missing");
}

static bool hold_is_charged(const json_t *receipt)
{
    return !receipt_says(receipt, "settlement_status", "missing_actuals") ||
           same(receipt, "actuals.cost_usd", "estimate.projected_cost_usd");
}

static bool settlement_is_no_admission(const json_t *receipt)
{
    const char *id = json_string_value(json_object_get(receipt, "settlement_id"));

    return id == NULL || strncmp(id, "attempt-admission-receipt:", 26) != 0;
}

/* ---- the rules ---------------------------------------------------------------------------- */

static const struct rule {
    enum receipt_kind kind;
    const char *path, *wanted;
    bool (*holds)(const json_t *receipt);
    bool ours; /* of receipts that Flyball made alone */
} rules[] = {
    {RECEIPT_ADMISSION, "admission_decision", "admit where admitted is true, and only there",
     decision_is_admitted, false},
    {RECEIPT_ADMISSION, "admission_decision",
     "require-review, as safety_preflight_outcome or runtime_action has", review_is_decided, false},
    {RECEIPT_ADMISSION, "fail_closed_reason", "a reason, as admission_decision is fail-closed",
     failure_is_told, false},
    {RECEIPT_ADMISSION, "safety_preflight_outcome", "pass or warn, as it was admitted",
     preflight_passes, false},
    {RECEIPT_ADMISSION, "authority_decision", "unchanged or reduced, as it was admitted",
     authority_stands, false},
    {RECEIPT_ADMISSION, "runtime_action", "allow or warn, as it was admitted", action_allows,
     false},
    {RECEIPT_ADMISSION, "budget_estimate.projected_cost_usd",
     "at most budget_estimate.remaining_budget_usd, as it was admitted", cost_fits, false},
    {RECEIPT_ADMISSION, "budget_estimate.remaining_iterations", "at least 1, as it was admitted",
     iterations_are_left, false},
    {RECEIPT_ADMISSION, "issued_at", "a time of RFC 3339 in UTC", issued_at_is_time, false},
    {RECEIPT_SETTLEMENT, "settlement_status",
     "no settled: actuals.cost_usd is more than estimate.projected_cost_usd", no_overrun_is_hidden,
     false},
    {RECEIPT_SETTLEMENT, "settlement_status",
     "no overrun: actuals.cost_usd is not more than estimate.projected_cost_usd", overrun_is_one,
     false},
    {RECEIPT_SETTLEMENT, "overrun.over_budget",
     "whether actuals.cost_usd is more than estimate.projected_cost_usd", over_budget_is_so, false},
    {RECEIPT_SETTLEMENT, "overrun.status",
     "overrun where actuals.cost_usd is more than estimate.projected_cost_usd, else within_budget",
     overrun_status_is_so, false},
    {RECEIPT_SETTLEMENT, "overrun.estimated_cost_usd", "that of estimate.projected_cost_usd",
     estimate_is_the_same, false},
    {RECEIPT_SETTLEMENT, "overrun.actual_cost_usd", "that of actuals.cost_usd", actual_is_the_same,
     false},
    {RECEIPT_SETTLEMENT, "fail_closed_reason", "a reason, as settlement_status is no success",
     shortcoming_is_told, false},
    {RECEIPT_SETTLEMENT, "settlement_provenance",
     "missing, as settlement_status is missing_actuals", missing_is_called_so, false},
    {RECEIPT_SETTLEMENT, "settlement_status", "no success: the actuals are missing",
     success_has_actuals, false},
    {RECEIPT_SETTLEMENT, "settlement_id", "an id that is no admission's",
     settlement_is_no_admission, false},
    {RECEIPT_SETTLEMENT, "settled_at", "a time of RFC 3339 in UTC", settled_at_is_time, false},
    {RECEIPT_ADMISSION, "reason_code", "admitted where admitted is true, and only there",
     reason_is_admitted, true},
    {RECEIPT_ADMISSION, "safety_preflight_outcome",
     "block or require-review, as it was not admitted", preflight_blocks, true},
    {RECEIPT_ADMISSION, "runtime_action", "what safety_preflight_outcome says", action_is_alike,
     true},
    {RECEIPT_SETTLEMENT, "actuals.cost_usd",
     "that of estimate.projected_cost_usd: of missing_actuals the whole hold is charged",
     hold_is_charged, true},
};

/* ---- references --------------------------------------------------------------------------- */

/* As Flyball makes them they carry the id of the call, of attempt_id, or of the run. Others have
 * ids of their own, but for the prefix by which a settlement finds its admission. */
static const struct reference {
    enum receipt_kind kind;
    const char *name, *prefix;
    bool of_run, always, numbered; /* numbered: ":N" may follow */
} references[] = {
    {RECEIPT_ADMISSION, "receipt_id", "attempt-admission-receipt:", false, true, true},
    {RECEIPT_ADMISSION, "governed_run_contract_ref", "governed-run-contract:", true, false, false},
    {RECEIPT_ADMISSION, "safety_preflight_ref", "safety-preflight:", false, false, false},
    {RECEIPT_ADMISSION, "authority_state_ref", "authority-state:", true, false, false},
    {RECEIPT_ADMISSION, "trustops_runtime_action_ref", "runtime-guardrail-decision:", false, false,
     false},
    {RECEIPT_SETTLEMENT, "settlement_id", "budget-settlement:", false, false, true},
    {RECEIPT_SETTLEMENT, "admission_receipt_ref", "attempt-admission-receipt:", false, true, true},
};

/* The call's id of "attempt:ID", where it is one of Flyball's; NULL: it is not. */
static const char *call_of(const json_t *receipt)
{
    const char *text = json_string_value(json_object_get(receipt, "attempt_id"));
    const char *end =
        text != NULL ? behind_form(text, "attempt:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") : NULL;

    return end != NULL && *end == '\0' ? strchr(text, ':') + 1 : NULL;
}

static bool reference_holds(const struct reference *row, const char *is, const char *id)
{
    size_t prefix = strlen(row->prefix), length = id != NULL ? strlen(id) : 0;
    const char *behind;

    if (strncmp(is, row->prefix, prefix) != 0)
        return !row->always && id == NULL;
    if (id == NULL)
        return is[prefix] != '\0';
    if (strncmp(is + prefix, id, length) != 0)
        return false;
    behind = is + prefix + length;
    if (row->numbered && behind[0] == ':' && behind[1] != '\0')
        behind += 1 + strspn(behind + 1, "0123456789");
    return *behind == '\0';
}

static void references_hold(struct receipt_check *check, enum receipt_kind kind,
                            const json_t *receipt, const char *call)
{
    const char *run = json_string_value(json_object_get(receipt, "run_id"));

    for (size_t i = 0; i < COUNT(references); i++) {
        const struct reference *row = &references[i];
        const json_t *value = json_object_get(receipt, row->name);
        const char *is = json_string_value(value), *id = call;

        if (call != NULL && row->of_run)
            id = run;
        if (row->kind == kind && is != NULL && *is != '\0' && !reference_holds(row, is, id))
            receipt_violation(check, row->name, value, "%s%s", row->prefix,
                              id != NULL ? id : " and an id");
    }
}

/* ---- all ---------------------------------------------------------------------------------- */

static void hash_holds(struct receipt_check *check, const json_t *receipt)
{
    const json_t *value = json_object_get(receipt, SIDE_RECEIPT_HASH);
    char want[SIDE_RECEIPT_HASH_TEXT];

    if (!json_is_string(value) || strncmp(json_string_value(value), "sha256:", 7) != 0)
        return; /* the schema's */
    if (!side_receipt_hash(receipt, want))
        receipt_complaint(check, "out of memory");
    else if (strcmp(json_string_value(value), want) != 0)
        receipt_violation(check, SIDE_RECEIPT_HASH, value, "%s", want);
}

void receipt_against_rules(struct receipt_check *check, enum receipt_kind kind,
                           const json_t *receipt)
{
    const char *call = call_of(receipt);

    references_hold(check, kind, receipt, call);
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rules[i].kind == kind && (call != NULL || !rules[i].ours) && !rules[i].holds(receipt))
            receipt_violation(check, rules[i].path, receipt_at(receipt, rules[i].path), "%s",
                              rules[i].wanted);
    hash_holds(check, receipt);
}
