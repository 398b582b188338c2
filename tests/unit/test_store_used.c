/* SPDX-License-Identifier: Apache-2.0 */
/* What a run uses without a call of its own, and calls that fail in a row: counters, what is left,
 * and that the proof makes the same of the records. */
#include "tests/unit/store_test.h"

static struct store_scope_key session_key(void)
{
    struct store_scope_key key;

    store_scope_name(&key, GOV_SESSION, "s");
    return key;
}

static void use(struct ledger *ledger, enum gov_dim dim, int64_t amount, struct store_event *out)
{
    head_make(out, STORE_USED, 1, 0, NOON);
    out->head.scope_count = 2;
    store_scope_run(&out->scopes[0].key, out->head.run_id);
    out->scopes[1].key = session_key();
    out->used.added[dim] = amount;
    begin(ledger);
    assert_int_equal(store_use(ledger->store, out), STORE_OK);
    commit(ledger);
}

static const struct {
    const char *why;
    enum gov_dim dim;
    int64_t first, second;
    int64_t charged, credited, session;
} uses[] = {
    {"bytes written", GOV_WRITES, 4096, 8192, 12288, 0, 12288},
    {"bytes that did not come to the disk", GOV_WRITES, 8192, -4096, 8192, 4096, 4096},
    {"bytes sent", GOV_EGRESS, 100, 23, 123, 0, 123},
    {"a command's time is the run's own", GOV_COMMAND, 5, 2, 7, 0, 0},
    {"time that does not count is the run's own", GOV_WALL, -500, -500, 0, 1000, 0},
    {"the end of the numbers", GOV_WRITES, INT64_MAX, INT64_MAX, INT64_MAX, 0, INT64_MAX},
};

static void what_is_used_is_counted_and_proven(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(uses); i++) {
        struct store_scope_key session = session_key();
        struct store_counter counter;
        struct store_event event;
        struct ledger ledger;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        use(&ledger, uses[i].dim, uses[i].first, &event);
        use(&ledger, uses[i].dim, uses[i].second, &event);
        counter = counter_of_run(&ledger, 1);
        if (counter.charged[uses[i].dim] != uses[i].charged ||
            counter.credited[uses[i].dim] != uses[i].credited)
            fail_msg("%s: %lld charged, %lld credited", uses[i].why,
                     (long long)counter.charged[uses[i].dim],
                     (long long)counter.credited[uses[i].dim]);
        counter = counter_of(&ledger, &session);
        if (store_spent(&counter, uses[i].dim) != uses[i].session)
            fail_msg("%s: the session has %lld", uses[i].why,
                     (long long)store_spent(&counter, uses[i].dim));
        expect_proven(&ledger, uses[i].why);
        ledger_free(&ledger);
    }
}

static void what_is_left_of_the_run_is_told(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_run row;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    row = row_of_run(&ledger, 1);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) /* those of the tests' runs are what they are */
        row.allocation.limits[dim] = dim == GOV_WRITES ? 10000 : dim == GOV_EGRESS ? 5 : 0;
    begin(&ledger);
    assert_int_equal(store_run_put(ledger.store, &row), STORE_OK);
    commit(&ledger);
    use(&ledger, GOV_WRITES, 4096, &event);
    assert_int_equal(event.used.remaining[GOV_WRITES], 5904);
    assert_int_equal(event.used.remaining[GOV_EGRESS], 5);
    assert_int_equal(event.used.remaining[GOV_TOOLS], -1);
    use(&ledger, GOV_EGRESS, 6, &event);
    assert_int_equal(event.used.remaining[GOV_EGRESS], 0);
    ledger_free(&ledger);
}

static void a_run_that_is_not_there_uses_nothing(void **state)
{
    struct ledger ledger;
    struct store_event event;

    (void)state;
    ledger_new(&ledger);
    head_make(&event, STORE_USED, 7, 0, NOON);
    begin(&ledger);
    assert_int_equal(store_use(ledger.store, &event), STORE_NOT_FOUND);
    commit(&ledger);
    ledger_free(&ledger);
}

/* Calls one after the other: f fails, r fails before it is sent, . is well, u is let go unsent, m
 * is one that costs nothing. */
static const struct {
    const char *calls;
    int64_t want;
} bursts[] = {
    {"f", 1},   {"ff", 2}, {"ffr", 3}, {"ff.", 0}, {"ff.f", 1},    {"f.f.f", 1},
    {"ffu", 2}, {".", 0},  {"u", 0},   {"fmf", 2}, {"ff.ffff", 4},
};

static void end_call(struct ledger *ledger, uint64_t call, char kind)
{
    bool unsent = kind == 'r' || kind == 'u';
    struct store_event event;

    assert_int_equal(admit(ledger, 1, call, 1000, 500), STORE_OK);
    if (!unsent)
        assert_int_equal(sent(ledger, call), STORE_OK);
    consumption_make(&event, call, unsent ? STORE_RELEASED : STORE_SETTLED, 0, 0);
    event.consumption.error = kind == 'f' || kind == 'r';
    event.consumption.flags = kind == 'm' ? STORE_READ_ONLY_CALL : 0;
    assert_int_equal(store_settle(ledger->store, &event), STORE_OK);
}

static void failures_in_a_row_end_with_a_call_that_is_well(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bursts); i++) {
        struct ledger ledger;
        struct store_counter counter;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        for (size_t j = 0; bursts[i].calls[j] != '\0'; j++)
            end_call(&ledger, 10 + j, bursts[i].calls[j]);
        commit(&ledger);
        counter = counter_of_run(&ledger, 1);
        if (store_spent(&counter, GOV_ERRORS) != bursts[i].want)
            fail_msg("%s: %lld, wanted %lld", bursts[i].calls,
                     (long long)store_spent(&counter, GOV_ERRORS), (long long)bursts[i].want);
        expect_proven(&ledger, bursts[i].calls);
        ledger_free(&ledger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_used_is_counted_and_proven),
        cmocka_unit_test(what_is_left_of_the_run_is_told),
        cmocka_unit_test(a_run_that_is_not_there_uses_nothing),
        cmocka_unit_test(failures_in_a_row_end_with_a_call_that_is_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
