/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts of a ledger: the two schemas in docs/receipts, the rules beside them, and a hash that
 * anybody can compute again. How numbers are written is in test_receipt_numbers.c. */
#include <openssl/evp.h>

#include "tests/unit/chance.h"
#include "tests/unit/schema.h"
#include "tests/unit/store_test.h"

#include "sidecar/side_int.h"

static json_t *admission_schema, *settlement_schema;

static int schemas_read(void **state)
{
    (void)state;
    admission_schema =
        json_load_file("docs/receipts/attempt-admission-receipt.v0.1.schema.json", 0, NULL);
    settlement_schema =
        json_load_file("docs/receipts/budget-settlement-receipt.v0.1.schema.json", 0, NULL);
    if (admission_schema == NULL || settlement_schema == NULL)
        print_error("docs/receipts cannot be read: start the tests where the Makefile is\n");
    return admission_schema != NULL && settlement_schema != NULL ? 0 : -1;
}

static int schemas_free(void **state)
{
    (void)state;
    json_decref(admission_schema);
    json_decref(settlement_schema);
    return 0;
}

/* ---- checking one ------------------------------------------------------------------------- */

static const json_t *at(const json_t *receipt, const char *group, const char *name)
{
    return json_object_get(group != NULL ? json_object_get(receipt, group) : receipt, name);
}

static const char *text_at(const json_t *receipt, const char *group, const char *name)
{
    const char *text = json_string_value(at(receipt, group, name));

    return text != NULL ? text : "";
}

static double number_at(const json_t *receipt, const char *group, const char *name)
{
    return json_number_value(at(receipt, group, name));
}

/* Members in order, no blanks between them: the order in which jansson found them. */
static void check_order(const json_t *object, const char *text)
{
    const char *name, *before = "";
    const json_t *member;

    json_object_foreach((json_t *)(uintptr_t)object, name, member)
    {
        if (strcmp(before, name) >= 0)
            fail_msg("%s stands before %s in %s", before, name, text);
        before = name;
        if (json_is_object(member))
            check_order(member, text);
    }
}

/* The text without its hash, hashed with the plain tool. */
static void check_hash(const json_t *receipt, const char *text)
{
    const char *hash = text_at(receipt, NULL, "receipt_hash");
    char member[128], without[4096], digits[72] = "sha256:";
    const char *found;
    unsigned char sum[32];
    unsigned bytes = 0;

    (void)snprintf(member, sizeof member, "\"receipt_hash\":\"%s\",", hash);
    found = strstr(text, member);
    assert_non_null(found);
    assert_true(strlen(text) < sizeof without);
    (void)snprintf(without, sizeof without, "%.*s%s", (int)(found - text), text,
                   found + strlen(member));
    assert_int_equal(EVP_Digest(without, strlen(without), sum, &bytes, EVP_sha256(), NULL), 1);
    for (unsigned i = 0; i < bytes; i++)
        (void)snprintf(digits + 7 + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(hash, digits);
}

static void check_blanks(const char *text)
{
    bool inside = false;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' && (c == text || c[-1] != '\\'))
            inside = !inside;
        if (!inside && strchr(" \t\r\n", *c) != NULL)
            fail_msg("a blank in %s", text);
    }
}

static void check_admission(const json_t *receipt, const char *text)
{
    double cost = number_at(receipt, "budget_estimate", "projected_cost_usd");
    double left = number_at(receipt, "budget_estimate", "remaining_budget_usd");
    const char *outcome = text_at(receipt, NULL, "safety_preflight_outcome");
    const char *action = text_at(receipt, NULL, "runtime_action");

    assert_int_equal(
        strncmp(text_at(receipt, NULL, "receipt_id"), "attempt-admission-receipt:", 26), 0);
    if (!json_is_true(at(receipt, NULL, "admitted"))) {
        assert_string_equal(outcome, "block");
        assert_string_equal(action, "block");
        assert_string_equal(text_at(receipt, NULL, "admission_decision"), "reject");
        return;
    }
    if (strcmp(outcome, "pass") != 0 && strcmp(outcome, "warn") != 0)
        fail_msg("admitted with preflight %s", outcome);
    assert_string_equal(action, strcmp(outcome, "pass") == 0 ? "allow" : "warn");
    assert_string_equal(text_at(receipt, NULL, "authority_decision"), "unchanged");
    assert_string_equal(text_at(receipt, NULL, "reason_code"), "admitted");
    if (cost > left)
        fail_msg("admitted beyond the remaining budget: %s", text);
}

static void check_settlement(const json_t *receipt, const char *text)
{
    const char *status = text_at(receipt, NULL, "settlement_status");
    double estimated = number_at(receipt, "estimate", "projected_cost_usd");
    double actual = number_at(receipt, "actuals", "cost_usd");
    bool over = json_is_true(at(receipt, "overrun", "over_budget"));
    bool told = strcmp(status, "settled") != 0 && strcmp(status, "overrun") != 0;

    assert_int_equal(
        strncmp(text_at(receipt, NULL, "admission_receipt_ref"), "attempt-admission-receipt:", 26),
        0);
    assert_true(number_at(receipt, "overrun", "estimated_cost_usd") == estimated);
    assert_true(number_at(receipt, "overrun", "actual_cost_usd") == actual);
    if (over != (actual > estimated))
        fail_msg("over_budget is %d: %s", over, text);
    assert_string_equal(text_at(receipt, "overrun", "status"), over ? "overrun" : "within_budget");
    if (strcmp(status, "settled") == 0)
        assert_false(over);
    if (strcmp(status, "overrun") == 0)
        assert_true(over);
    if (told != (at(receipt, NULL, "fail_closed_reason") != NULL))
        fail_msg("%s %s a reason", status, told ? "needs" : "has");
    if (strcmp(status, "missing_actuals") == 0)
        assert_string_equal(text_at(receipt, NULL, "settlement_provenance"), "missing");
}

/* The receipt as JSON; NULL: there is none. */
static json_t *receipt_of(struct ledger *ledger, const struct store_event *event)
{
    struct store_view *view = view_of(ledger);
    char *text = side_receipt_text(view, event), why[200] = "";
    bool settlement = event->head.type == STORE_CONSUMPTION;
    json_t *receipt = NULL;

    store_view_close(view);
    if (text != NULL) {
        receipt = json_loads(text, 0, NULL);
        if (!schema_holds(settlement ? settlement_schema : admission_schema, receipt, "receipt",
                          why, sizeof why))
            fail_msg("%s: %s", why, text);
        check_order(receipt, text);
        check_blanks(text);
        check_hash(receipt, text);
        if (settlement)
            check_settlement(receipt, text);
        else
            check_admission(receipt, text);
    }
    free(text);
    return receipt;
}

static json_t *receipt_at(struct ledger *ledger, uint64_t seq)
{
    struct store_view *view = view_of(ledger);
    struct store_event event;

    assert_int_equal(store_view_event(view, seq, &event), STORE_OK);
    store_view_close(view);
    return receipt_of(ledger, &event);
}

/* ---- single ones -------------------------------------------------------------------------- */

#define CALL "00000000-0000-0007-0000-000000000063"
#define RUN  "00000000-0000-0001-0000-000000000072"

static void an_admission_says_what_it_was_decided_on(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_scope_seen *seen;
    struct store_call row;
    json_t *receipt;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 6, 100, 250000000000), STORE_OK);
    admission_make(&event, 1, 7, 4000, 4500000000000);
    seen = scope_see_run(&event, 1);
    seen->limit[GOV_COST] = 5000000000000;
    seen->limit[GOV_STEPS] = 50;
    seen->limit[GOV_TOKENS] = 100; /* soft counts as unlimited */
    seen->policy[GOV_TOKENS] = GOV_SOFT_WARN;
    assert_int_equal(store_admit(ledger.store, &event, &row), STORE_OK);
    commit(&ledger);
    receipt = receipt_at(&ledger, 3);
    assert_string_equal(text_at(receipt, NULL, "receipt_id"), "attempt-admission-receipt:" CALL);
    assert_string_equal(text_at(receipt, NULL, "attempt_id"), "attempt:" CALL);
    assert_string_equal(text_at(receipt, NULL, "run_id"), RUN);
    assert_string_equal(text_at(receipt, NULL, "governed_run_contract_ref"),
                        "governed-run-contract:" RUN);
    assert_string_equal(text_at(receipt, NULL, "authority_state_ref"), "authority-state:" RUN);
    assert_string_equal(text_at(receipt, NULL, "safety_preflight_ref"), "safety-preflight:" CALL);
    assert_string_equal(text_at(receipt, NULL, "trustops_runtime_action_ref"),
                        "runtime-guardrail-decision:" CALL);
    assert_string_equal(text_at(receipt, NULL, "issued_at"), "2030-03-17T17:46:40.000Z");
    assert_string_equal(text_at(receipt, NULL, "admission_decision"), "admit");
    assert_true(number_at(receipt, "budget_estimate", "projected_cost_usd") == 4.5);
    assert_true(number_at(receipt, "budget_estimate", "remaining_budget_usd") == 4.75);
    assert_int_equal(number_at(receipt, "budget_estimate", "remaining_iterations"), 49);
    assert_true(number_at(receipt, "budget_estimate", "remaining_tokens") == 9007199254740991.0);
    assert_string_equal(text_at(receipt, "budget_estimate", "estimate_provenance"), "estimated");
    json_decref(receipt);
    ledger_free(&ledger);
}

static void a_refusal_is_blocked_with_its_first_reason(void **state)
{
    struct ledger ledger;
    struct store_event event;
    json_t *receipt;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    refusal_make(&event, 1, 7, 1);
    event.refusal.reasons[1] = GOV_REASON_SESSION;
    event.refusal.reason_count = 2;
    event.refusal.wanted[GOV_COST] = -1; /* no price */
    begin(&ledger);
    assert_int_equal(store_refuse(ledger.store, &event), STORE_OK);
    commit(&ledger);
    receipt = receipt_at(&ledger, 2);
    assert_true(json_is_false(at(receipt, NULL, "admitted")));
    assert_string_equal(text_at(receipt, NULL, "reason_code"), "budget_cost_exceeded");
    assert_string_equal(text_at(receipt, "budget_estimate", "estimate_provenance"), "unavailable");
    assert_true(number_at(receipt, "budget_estimate", "projected_cost_usd") == 0);
    json_decref(receipt);
    ledger_free(&ledger);
}

static void the_same_refusal_again_has_a_receipt_of_its_own(void **state)
{
    struct ledger ledger;
    struct store_event event;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (int64_t count = 1; count <= 3; count++) {
        refusal_make(&event, 1, 7, count);
        assert_int_equal(store_refuse(ledger.store, &event), STORE_OK);
    }
    commit(&ledger);
    for (uint64_t seq = 2; seq <= 4; seq++) {
        json_t *receipt = receipt_at(&ledger, seq);
        char want[80] = "attempt-admission-receipt:" CALL;

        if (seq > 2)
            (void)snprintf(want + 62, sizeof want - 62, ":%llu", (unsigned long long)seq);
        assert_string_equal(text_at(receipt, NULL, "receipt_id"), want);
        assert_string_equal(text_at(receipt, NULL, "attempt_id"), "attempt:" CALL);
        json_decref(receipt);
    }
    ledger_free(&ledger);
}

/* Of a hold of 1,000 tokens and $0.50. */
static const struct {
    const char *why;
    enum store_end end;
    enum meter_provenance provenance;
    bool invalid;
    int64_t tokens, cost;
    const char *status, *provenance_text; /* NULL: no receipt */
} ends[] = {
    {"settled", STORE_SETTLED, METER_PROVIDER_REPORTED, false, 300, 200000000000, "settled",
     "provider-reported"},
    {"all of the hold", STORE_SETTLED, METER_MEASURED, false, 1000, 500000000000, "settled",
     "measured"},
    {"one pico-dollar more", STORE_SETTLED, METER_ESTIMATED, false, 1000, 500000000001, "overrun",
     "estimated"},
    {"charged its hold", STORE_UNKNOWN, METER_MISSING, false, 1000, 500000000000, "missing_actuals",
     "missing"},
    {"figures that cannot be used", STORE_SETTLED, METER_ESTIMATED, true, 10, 10, "invalid_actuals",
     "estimated"},
    {"released", STORE_RELEASED, METER_PROVIDER_REPORTED, false, 0, 0, NULL, NULL},
};

static void a_settlement_says_how_it_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct ledger ledger;
        struct store_event event;
        json_t *receipt;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        assert_int_equal(admit(&ledger, 1, 7, 1000, 500000000000), STORE_OK);
        consumption_make(&event, 7, ends[i].end, ends[i].tokens, ends[i].cost);
        event.consumption.provenance = (uint8_t)ends[i].provenance;
        event.consumption.usage_invalid = ends[i].invalid;
        event.consumption.counts[METER_TOOL_CALLS] = 2;
        event.consumption.duration_ms = 1500;
        if (ends[i].end == STORE_UNKNOWN)
            memset(event.consumption.tokens, 0, sizeof event.consumption.tokens);
        assert_int_equal(store_settle(ledger.store, &event), STORE_OK);
        commit(&ledger);
        receipt = receipt_at(&ledger, 3);
        if ((receipt != NULL) != (ends[i].status != NULL))
            fail_msg("%s: %s", ends[i].why, receipt != NULL ? "a receipt" : "no receipt");
        if (receipt != NULL) {
            assert_string_equal(text_at(receipt, NULL, "settlement_status"), ends[i].status);
            assert_string_equal(text_at(receipt, NULL, "settlement_provenance"),
                                ends[i].provenance_text);
            assert_string_equal(text_at(receipt, NULL, "settlement_id"), "budget-settlement:" CALL);
            assert_int_equal(number_at(receipt, "actuals", "tokens_in") +
                                 number_at(receipt, "actuals", "tokens_out"),
                             ends[i].tokens);
            assert_int_equal(number_at(receipt, "actuals", "tool_calls"), 2);
            assert_int_equal(number_at(receipt, "actuals", "wall_clock_ms"), 1500);
            assert_null(at(receipt, "estimate", "remaining_tokens")); /* unlimited: left out */
        }
        json_decref(receipt);
        ledger_free(&ledger);
    }
}

/* Beyond 2^53 a JSON number is not what was written: its hash could not be computed again. */
static void integers_are_never_beyond_what_json_carries(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_call row;
    json_t *receipt;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    admission_make(&event, 1, 7, INT64_MAX - 5, 1);
    scope_see_run(&event, 1)->limit[GOV_TOKENS] = INT64_MAX;
    assert_int_equal(store_admit(ledger.store, &event, &row), STORE_OK);
    assert_int_equal(settle(&ledger, 7, STORE_UNKNOWN, INT64_MAX - 5, 1), STORE_OK);
    commit(&ledger);
    for (uint64_t seq = 2; seq <= 3; seq++) {
        receipt = receipt_at(&ledger, seq);
        assert_true(json_integer_value(at(receipt, seq == 2 ? "budget_estimate" : "estimate",
                                          "remaining_tokens")) == INT64_C(9007199254740991));
        if (seq == 3)
            assert_true(json_integer_value(at(receipt, "actuals", "tokens_in")) ==
                        INT64_C(9007199254740991));
        json_decref(receipt);
    }
    ledger_free(&ledger);
}

static void an_estimate_without_a_price_is_unavailable_in_both(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_call row;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    admission_make(&event, 1, 7, 1000, 0);
    event.admission.flags = STORE_UNPRICED;
    assert_int_equal(store_admit(ledger.store, &event, &row), STORE_OK);
    assert_int_equal(settle(&ledger, 7, STORE_SETTLED, 10, 0), STORE_OK);
    commit(&ledger);
    for (uint64_t seq = 2; seq <= 3; seq++) {
        json_t *receipt = receipt_at(&ledger, seq);

        assert_string_equal(
            text_at(receipt, seq == 2 ? "budget_estimate" : "estimate", "estimate_provenance"),
            "unavailable");
        json_decref(receipt);
    }
    ledger_free(&ledger);
}

/* One pico-dollar of $9,000 is less than a double tells apart: what the numbers say counts. */
static void an_overrun_is_one_by_the_numbers_of_the_receipt(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 10, 9000000000000001), STORE_OK);
    assert_int_equal(settle(&ledger, 7, STORE_SETTLED, 10, 9000000000000002), STORE_OK);
    commit(&ledger);
    json_decref(receipt_at(&ledger, 3));
    ledger_free(&ledger);
}

/* ---- many --------------------------------------------------------------------------------- */

static int64_t some_usd(struct chance *chance)
{
    return (int64_t)(chance_u64(chance) >> (2 + chance_below(chance, 60)));
}

static void one_call(struct ledger *ledger, struct chance *chance, uint64_t call)
{
    int64_t hold = some_usd(chance), cost = chance_one_in(chance, 3) ? hold : some_usd(chance);
    enum store_end end = (enum store_end)(1 + chance_below(chance, 2));
    struct store_event event;
    struct store_scope_seen *seen;
    struct store_call row;
    enum store_err err;

    admission_make(&event, 1, call, chance_below(chance, 1000), hold);
    seen = scope_see_run(&event, 1);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        if (chance_one_in(chance, 2))
            seen->limit[dim] = 1 + some_usd(chance);
    err = store_admit(ledger->store, &event, &row);
    if (err == STORE_OVER) {
        refusal_make(&event, 1, call, 1);
        event.refusal.wanted[GOV_COST] = hold;
        assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
        return;
    }
    assert_int_equal(err, STORE_OK);
    consumption_make(&event, call, end, 10, end == STORE_UNKNOWN ? hold : cost);
    event.consumption.provenance =
        end == STORE_UNKNOWN ? METER_MISSING : (uint8_t)chance_below(chance, 3);
    assert_int_equal(store_settle(ledger->store, &event), STORE_OK);
}

static void every_receipt_keeps_the_schema_and_its_rules(void **state)
{
    struct chance chance = {.state = 20260408};
    struct ledger ledger;
    struct store_view *view;
    uint64_t last;
    uint8_t hash[32];
    unsigned receipts = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (uint64_t call = 1; call <= 3000; call++)
        one_call(&ledger, &chance, call);
    commit(&ledger);
    view = view_of(&ledger);
    store_view_head(view, &last, hash);
    store_view_close(view);
    for (uint64_t seq = 1; seq <= last; seq++) {
        json_t *receipt = receipt_at(&ledger, seq);

        receipts += receipt != NULL;
        json_decref(receipt);
    }
    assert_int_equal(receipts, last - 1); /* the run has none */
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_admission_says_what_it_was_decided_on),
        cmocka_unit_test(a_refusal_is_blocked_with_its_first_reason),
        cmocka_unit_test(the_same_refusal_again_has_a_receipt_of_its_own),
        cmocka_unit_test(a_settlement_says_how_it_ended),
        cmocka_unit_test(integers_are_never_beyond_what_json_carries),
        cmocka_unit_test(an_estimate_without_a_price_is_unavailable_in_both),
        cmocka_unit_test(an_overrun_is_one_by_the_numbers_of_the_receipt),
        cmocka_unit_test(every_receipt_keeps_the_schema_and_its_rules),
    };

    return cmocka_run_group_tests(tests, schemas_read, schemas_free);
}
