/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts of a ledger: what they say of every end, and that they are valid. How numbers are
 * written is in test_receipt_numbers.c. */
#include <openssl/evp.h>

#include "tests/unit/chance.h"
#include "tests/unit/store_test.h"

#include "cli/receipt.h"
#include "sidecar/side_int.h"

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

/* The receipt as JSON; NULL: there is none of that kind. */
static json_t *receipt_of(struct ledger *ledger, const struct store_event *event,
                          enum side_receipt kind)
{
    struct receipt_check check = {.file = "receipt", .line = (size_t)event->head.seq};
    struct store_view *view = view_of(ledger);
    char *text = side_receipt_text(view, event, kind);
    json_t *receipt = NULL;

    store_view_close(view);
    if (text != NULL) {
        receipt = json_loads(text, 0, NULL);
        assert_int_equal(receipt_kind_of(receipt),
                         kind == SIDE_RECEIPT_ADMISSION ? RECEIPT_ADMISSION : RECEIPT_SETTLEMENT);
        receipt_against_schema(&check, receipt_kind_of(receipt), receipt);
        receipt_against_rules(&check, receipt_kind_of(receipt), receipt);
        if (check.violations > 0)
            fail_msg("is not valid: %s", text);
        check_order(receipt, text);
        check_blanks(text);
        check_hash(receipt, text);
    }
    free(text);
    return receipt;
}

static json_t *receipt_numbered(struct ledger *ledger, uint64_t seq, enum side_receipt kind)
{
    struct store_view *view = view_of(ledger);
    struct store_event event;

    assert_int_equal(store_view_event(view, seq, &event), STORE_OK);
    store_view_close(view);
    return receipt_of(ledger, &event, kind);
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
    receipt = receipt_numbered(&ledger, 3, SIDE_RECEIPT_ADMISSION);
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
    receipt = receipt_numbered(&ledger, 2, SIDE_RECEIPT_ADMISSION);
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
        json_t *receipt = receipt_numbered(&ledger, seq, SIDE_RECEIPT_ADMISSION);
        char want[80] = "attempt-admission-receipt:" CALL;

        if (seq > 2)
            (void)snprintf(want + 62, sizeof want - 62, ":%llu", (unsigned long long)seq);
        assert_string_equal(text_at(receipt, NULL, "receipt_id"), want);
        assert_string_equal(text_at(receipt, NULL, "attempt_id"), "attempt:" CALL);
        json_decref(receipt);
    }
    ledger_free(&ledger);
}

/* What could not be done is not what would have cost too much: it is closed, and settled as such.
 */
static void a_refusal_by_failure_has_both_receipts(void **state)
{
    static const struct {
        enum gov_reason reason;
        bool failure;
    } rows[] = {
        {GOV_REASON_COST, false},       {GOV_REASON_PRICE_UNKNOWN, false},
        {GOV_REASON_BUSY, false},       {GOV_REASON_RUN_ENDED, false},
        {GOV_REASON_LEDGER_READ, true}, {GOV_REASON_LEDGER_WRITE, true},
        {GOV_REASON_UNREADABLE, true},  {GOV_REASON_TOO_LARGE, true},
        {GOV_REASON_VERSION, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ledger ledger;
        struct store_event event;
        json_t *admission, *settlement;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        for (int64_t count = 1; count <= 2; count++) {
            refusal_make(&event, 1, 7, count);
            event.refusal.reasons[0] = (uint16_t)rows[i].reason;
            event.refusal.wanted[GOV_COST] = -1;
            assert_int_equal(store_refuse(ledger.store, &event), STORE_OK);
        }
        commit(&ledger);
        for (uint64_t seq = 2; seq <= 3; seq++) {
            admission = receipt_numbered(&ledger, seq, SIDE_RECEIPT_ADMISSION);
            settlement = receipt_numbered(&ledger, seq, SIDE_RECEIPT_SETTLEMENT);
            assert_string_equal(text_at(admission, NULL, "admission_decision"),
                                rows[i].failure ? "fail-closed" : "reject");
            assert_string_equal(text_at(admission, NULL, "reason_code"),
                                gov_reason_text(rows[i].reason));
            if ((settlement != NULL) != rows[i].failure)
                fail_msg("%s: settled is %d", gov_reason_text(rows[i].reason), settlement != NULL);
            if (settlement != NULL) {
                assert_string_equal(text_at(settlement, NULL, "settlement_status"), "fail-closed");
                assert_string_equal(text_at(settlement, NULL, "settlement_provenance"), "missing");
                assert_string_equal(text_at(settlement, NULL, "admission_receipt_ref"),
                                    text_at(admission, NULL, "receipt_id"));
                assert_true(number_at(settlement, "actuals", "cost_usd") == 0);
            }
            json_decref(admission);
            json_decref(settlement);
        }
        ledger_free(&ledger);
    }
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
        receipt = receipt_numbered(&ledger, 3, SIDE_RECEIPT_SETTLEMENT);
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
        receipt = receipt_numbered(&ledger, seq,
                                   seq == 2 ? SIDE_RECEIPT_ADMISSION : SIDE_RECEIPT_SETTLEMENT);
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
        json_t *receipt = receipt_numbered(
            &ledger, seq, seq == 2 ? SIDE_RECEIPT_ADMISSION : SIDE_RECEIPT_SETTLEMENT);

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
    json_decref(receipt_numbered(&ledger, 3, SIDE_RECEIPT_SETTLEMENT));
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
    for (uint64_t seq = 1; seq <= last; seq++)
        for (unsigned kind = 0; kind < SIDE_RECEIPT_KINDS; kind++) {
            json_t *receipt = receipt_numbered(&ledger, seq, (enum side_receipt)kind);

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
        cmocka_unit_test(a_refusal_by_failure_has_both_receipts),
        cmocka_unit_test(a_settlement_says_how_it_ended),
        cmocka_unit_test(integers_are_never_beyond_what_json_carries),
        cmocka_unit_test(an_estimate_without_a_price_is_unavailable_in_both),
        cmocka_unit_test(an_overrun_is_one_by_the_numbers_of_the_receipt),
        cmocka_unit_test(every_receipt_keeps_the_schema_and_its_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
