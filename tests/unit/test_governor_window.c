/* SPDX-License-Identifier: Apache-2.0 */
/* The governor's verdicts on windows: their reasons and words, and a clock in doubt. */
#include "tests/unit/governor_test.h"

static void the_scope_names_the_reason_and_for_the_whole_ledger_the_window(void **state)
{
    static const struct {
        enum gov_scope_kind kind;
        enum gov_window window;
        const char *want, *whose;
    } rows[] = {
        {GOV_RUN, GOV_WHOLE, "budget_cost_exceeded", "this run"},
        {GOV_SESSION, GOV_WHOLE, "session_budget_exceeded", "this session"},
        {GOV_SESSION, GOV_DAILY, "session_budget_exceeded", "this session in this day"},
        {GOV_GLOBAL, GOV_DAILY, "daily_budget_exceeded", "this day"},
        {GOV_GLOBAL, GOV_WEEKLY, "weekly_budget_exceeded", "this week"},
        {GOV_GLOBAL, GOV_MONTHLY, "monthly_budget_exceeded", "this month"},
        {GOV_GLOBAL, GOV_ROLLING, "rolling_budget_exceeded", "the rolling window"},
        {GOV_PROVIDER, GOV_DAILY, "provider_budget_exceeded", "this provider in this day"},
        {GOV_MODEL, GOV_WEEKLY, "model_budget_exceeded", "this model in this week"},
        {GOV_TASK, GOV_MONTHLY, "task_budget_exceeded", "this task in this month"},
        {GOV_AGENT, GOV_ROLLING, "agent_budget_exceeded", "this agent in the rolling window"},
        {GOV_LABEL, GOV_DAILY, "label_budget_exceeded", "this label in this day"},
        {GOV_UID, GOV_DAILY, "uid_budget_exceeded", "this user in this day"},
        {GOV_PROJECT, GOV_DAILY, "project_budget_exceeded", "this project in this day"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gov_scope scope = {.kind = rows[i].kind, .window = rows[i].window};
        struct gov_call call = call_of(900, 900, false);
        struct gov_verdict verdict;
        char want[64], whose[GOV_WHOSE_TEXT];

        limit_set(&scope, GOV_COST, 50000, GOV_HARD_STOP, 50000, 0);
        verdict = decide(&scope, 1, &call);
        (void)snprintf(want, sizeof want, "refuse %s", rows[i].want);
        expect_verdict(rows[i].want, &verdict, want);
        assert_int_equal(verdict.ends_run, rows[i].kind == GOV_RUN);
        assert_string_equal(gov_whose(rows[i].kind, rows[i].window, whose), rows[i].whose);
    }
}

static void a_clock_in_doubt_closes_what_has_a_limit_in_a_window(void **state)
{
    struct gov_scope scopes[2] = {scope_of(GOV_RUN), scope_of(GOV_GLOBAL)};
    struct gov_call call = call_of(900, 900, false);
    struct gov_verdict verdict;

    (void)state;
    scopes[1].closed = true;
    verdict = decide(scopes, 2, &call);
    expect_verdict("a window without a limit", &verdict, "admit");
    limit_set(&scopes[1], GOV_COST, 50000, GOV_SOFT_WARN, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a limit that only warns", &verdict, "admit");
    limit_set(&scopes[1], GOV_COST, 50000, GOV_APPROVAL_REQUIRED, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a limit", &verdict, "refuse clock_jump");
    assert_int_equal(verdict.finding.scope, 1);
    assert_false(verdict.ends_run);
    limit_set(&scopes[0], GOV_COST, 500, GOV_HARD_STOP, 500, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("beside a run that is used up", &verdict,
                   "refuse budget_cost_exceeded,clock_jump");
    assert_true(verdict.ends_run);
}

/* So many at a time, in a scope without a limit. */
static void no_more_calls_at_a_time_than_may_be(void **state)
{
    static const struct {
        unsigned most, in_flight, ahead;
        const char *want;
    } rows[] = {{2, 1, 0, "admit"},
                {2, 2, 0, "wait budget_busy"},
                {2, 9, 0, "wait budget_busy"},
                {2, 0, 1, "wait budget_busy"},
                {0, 9, 9, "admit"}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct gov_scope scope = scope_of(GOV_AGENT);
        struct gov_call call = call_of(100, 100, true);
        struct gov_verdict verdict;

        scope.in_flight_most = rows[i].most;
        scope.in_flight = rows[i].in_flight;
        scope.ahead = rows[i].ahead;
        verdict = decide(&scope, 1, &call);
        expect_verdict("so many at a time", &verdict, rows[i].want);
        assert_int_equal(verdict.finding.dim, GOV_DIMS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_calls_at_a_time_than_may_be),
        cmocka_unit_test(the_scope_names_the_reason_and_for_the_whole_ledger_the_window),
        cmocka_unit_test(a_clock_in_doubt_closes_what_has_a_limit_in_a_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
