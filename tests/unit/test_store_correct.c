/* SPDX-License-Identifier: Apache-2.0 */
/* Corrections: what a call is charged becomes something else, no counter falls, and the proof knows
 * every step. */
#include "tests/unit/store_test.h"

#define DAY (NOON / SECOND - 43200)

static enum store_err correct(struct ledger *ledger, uint64_t call, int64_t to_pusd,
                              struct store_event *event)
{
    head_make(event, STORE_CORRECTED, 0, call, NOON + SECOND);
    event->corrected.from_pusd = -1;
    event->corrected.to_pusd = to_pusd;
    event->corrected.cause = STORE_BY_HAND;
    (void)snprintf(event->corrected.reason, sizeof event->corrected.reason, "the invoice says so");
    return store_correct(ledger->store, event);
}

/* Calls 1 to 5: settled at 200, unknown at 500, released, sent, refused; all in a session. */
static void ledger_make(struct ledger *ledger)
{
    struct store_scope_key session;
    struct store_event event;
    struct store_call row;

    store_scope_name(&session, GOV_SESSION, "nightly");
    ledger_new(ledger);
    run_new(ledger, 1);
    begin(ledger);
    for (uint64_t call = 1; call <= 4; call++) {
        admission_make(&event, 1, call, 1000, 500);
        (void)scope_see_run(&event, 1);
        (void)scope_see(&event, &session);
        assert_int_equal(store_admit(ledger->store, &event, &row), STORE_OK);
        if (call != 3)
            assert_int_equal(sent(ledger, call), STORE_OK);
    }
    assert_int_equal(settle(ledger, 1, STORE_SETTLED, 300, 200), STORE_OK);
    assert_int_equal(settle(ledger, 2, STORE_UNKNOWN, 1000, 500), STORE_OK);
    assert_int_equal(settle(ledger, 3, STORE_RELEASED, 0, 0), STORE_OK);
    refusal_make(&event, 1, 5, 1);
    assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
    commit(ledger);
}

static void a_correction_changes_what_is_spent_and_lowers_no_counter(void **state)
{
    static const struct {
        const char *why;
        uint64_t call;
        int64_t to, from, charged, credited;
    } steps[] = {
        {"less", 1, 150, 200, 700, 50},
        {"less again", 1, 0, 150, 700, 200},
        {"more", 1, 900, 0, 1600, 200},
        {"an unknown one", 2, 20, 500, 1600, 680},
        {"more than its hold", 2, 1000, 20, 2580, 680},
    };
    struct ledger ledger;
    struct store_event event;
    struct store_scope_key session;

    (void)state;
    ledger_make(&ledger);
    store_scope_name(&session, GOV_SESSION, "nightly");
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct store_counter run, both;

        begin(&ledger);
        assert_int_equal(correct(&ledger, steps[i].call, steps[i].to, &event), STORE_OK);
        commit(&ledger);
        run = counter_of_run(&ledger, 1);
        both = counter_of(&ledger, &session);
        if (event.corrected.from_pusd != steps[i].from ||
            run.charged[GOV_COST] != steps[i].charged ||
            run.credited[GOV_COST] != steps[i].credited ||
            memcmp(run.charged, both.charged, sizeof run.charged) != 0 ||
            memcmp(run.credited, both.credited, sizeof run.credited) != 0)
            fail_msg("%s: from %lld, charged %lld, credited %lld", steps[i].why,
                     (long long)event.corrected.from_pusd, (long long)run.charged[GOV_COST],
                     (long long)run.credited[GOV_COST]);
        expect_proven(&ledger, steps[i].why);
    }
    assert_int_equal(event.corrected.added_pusd, 980);
    assert_int_equal(event.corrected.credited_pusd, 480);
    ledger_free(&ledger);
}

static void what_cannot_be_corrected_is_not(void **state)
{
    static const struct {
        const char *why;
        uint64_t call;
        int64_t to;
        enum store_err want;
    } rows[] = {
        {"the same", 1, 200, STORE_DUPLICATE}, {"below nothing", 1, -1, STORE_CONFLICT},
        {"released", 3, 10, STORE_CONFLICT},   {"in flight", 4, 10, STORE_CONFLICT},
        {"refused", 5, 10, STORE_CONFLICT},    {"nobody's", 6, 10, STORE_NOT_FOUND},
    };
    struct ledger ledger;
    struct store_event event;
    struct store_counter before;

    (void)state;
    ledger_make(&ledger);
    before = counter_of_run(&ledger, 1);
    begin(&ledger);
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum store_err err = correct(&ledger, rows[i].call, rows[i].to, &event);

        if (err != rows[i].want)
            fail_msg("%s: %s", rows[i].why, store_strerror(err));
    }
    head_make(&event, STORE_CORRECTED, 0, 1, NOON);
    event.corrected.from_pusd = 199; /* it has changed since somebody looked */
    event.corrected.to_pusd = 5;
    assert_int_equal(store_correct(ledger.store, &event), STORE_CONFLICT);
    commit(&ledger);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_COST], before.charged[GOV_COST]);
    expect_proven(&ledger, "nothing was corrected");
    ledger_free(&ledger);
}

struct came {
    int64_t cost[2];
};

static enum store_err take(void *data, const struct store_event *admission,
                           const int64_t charged[GOV_DIMS])
{
    struct came *came = data;
    uint8_t second[16];

    id_make(second, 'c', 2);
    if (admission->head.ts_ns >= DAY * SECOND)
        came->cost[memcmp(admission->head.call_id, second, sizeof second) == 0] +=
            charged[GOV_COST];
    return STORE_OK;
}

/* For a window that begins to count later. */
static void what_a_call_came_to_is_what_it_was_corrected_to(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct came before = {{0}}, after = {{0}};

    (void)state;
    ledger_make(&ledger);
    begin(&ledger);
    assert_int_equal(store_each_since(ledger.store, DAY * SECOND, take, &before), STORE_OK);
    assert_int_equal(correct(&ledger, 2, 50, &event), STORE_OK);
    assert_int_equal(correct(&ledger, 2, 80, &event), STORE_OK);
    assert_int_equal(store_each_since(ledger.store, DAY * SECOND, take, &after), STORE_OK);
    commit(&ledger);
    assert_int_equal(after.cost[1], 80);
    assert_int_equal(after.cost[0], before.cost[0]);
    expect_proven(&ledger, "corrected twice");
    ledger_free(&ledger);
}

/* Records that nobody but the store makes: each lies in another way. */
static void a_correction_that_does_not_follow_is_found(void **state)
{
    static const struct {
        const char *why;
        uint64_t call;
        struct store_corrected lie;
    } rows[] = {
        {"from another charge",
         1,
         {.of_seq = 6, .from_pusd = 199, .to_pusd = 150, .credited_pusd = 49}},
        {"of another record",
         1,
         {.of_seq = 7, .from_pusd = 200, .to_pusd = 150, .credited_pusd = 50}},
        {"without its credit", 1, {.of_seq = 6, .from_pusd = 200, .to_pusd = 150}},
        {"of a call in flight", 4, {.of_seq = 5, .to_pusd = 1, .added_pusd = 1}},
        {"of a call that is none", 9, {.of_seq = 5, .to_pusd = 1, .added_pusd = 1}},
        {"that no row knows",
         1,
         {.of_seq = 6, .from_pusd = 200, .to_pusd = 150, .credited_pusd = 50}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ledger ledger;
        struct store_event event;
        struct store_proof proof;

        ledger_make(&ledger);
        begin(&ledger);
        head_make(&event, STORE_CORRECTED, 1, rows[i].call, NOON);
        event.corrected = rows[i].lie;
        assert_int_equal(store_append(ledger.store, &event, sizeof event.corrected), STORE_OK);
        commit(&ledger);
        proof = proof_of(&ledger, NULL);
        if (!proof.chain || proof.sums || proof.first_bad != 10)
            fail_msg("%s: first bad %llu: %s", rows[i].why, (unsigned long long)proof.first_bad,
                     proof.what);
        ledger_free(&ledger);
    }
}

/* A correction may bring a scope beyond its limit: what takes nothing of it passes none the less.
 */
static void what_takes_nothing_passes_a_limit_that_is_passed(void **state)
{
    static const struct {
        int64_t cost;
        enum store_err want;
    } calls[] = {{1, STORE_OVER}, {0, STORE_OK}};
    struct ledger ledger;
    struct store_event event;
    struct store_call row;

    (void)state;
    ledger_make(&ledger);
    begin(&ledger);
    assert_int_equal(correct(&ledger, 1, 5000, &event), STORE_OK);
    for (size_t i = 0; i < COUNT(calls); i++) {
        struct store_scope_seen *seen;

        admission_make(&event, 1, 10 + i, 7, calls[i].cost);
        seen = scope_see_run(&event, 1);
        seen->limit[GOV_COST] = 2000;
        seen->limit[GOV_TOKENS] = 1000000;
        assert_int_equal(store_admit(ledger.store, &event, &row), calls[i].want);
    }
    commit(&ledger);
    expect_proven(&ledger, "beyond a limit");
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_correction_changes_what_is_spent_and_lowers_no_counter),
        cmocka_unit_test(what_cannot_be_corrected_is_not),
        cmocka_unit_test(what_a_call_came_to_is_what_it_was_corrected_to),
        cmocka_unit_test(a_correction_that_does_not_follow_is_found),
        cmocka_unit_test(what_takes_nothing_passes_a_limit_that_is_passed),
    };

    return cmocka_run_group_tests_name("store corrections", tests, NULL, NULL);
}
