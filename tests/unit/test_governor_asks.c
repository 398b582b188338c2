/* SPDX-License-Identifier: Apache-2.0 */
/* When a person is asked, for how much, and what a paused or stopped run's calls get. */
#include "tests/unit/governor_test.h"

/* In tokens; the call needs 1,000 of them, or 100 in its smallest form. */
static const struct {
    const char *why;
    int64_t limit, spent;
    bool clamp;
    int64_t want;
} suggestions[] = {
    {"half the limit", 5000, 4500, false, 2500},
    {"half of an odd one, rounded up", 5001, 4500, false, 2501},
    {"what the call needs", 1000, 1000, false, 1000},
    {"what was spent too much besides", 1000, 1300, false, 1300},
    {"what its smallest form needs", 150, 100, true, 100},
    {"more than there is", INT64_MAX, INT64_MAX, false, INT64_MAX / 2 + 1},
};

static void what_a_person_is_asked_for_lets_the_call_through(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(suggestions); i++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_call call = call_of(900, 0, suggestions[i].clamp);
        struct gov_verdict verdict;

        limit_set(&scope, GOV_TOKENS, suggestions[i].limit, GOV_APPROVAL_REQUIRED,
                  suggestions[i].spent, 0);
        verdict = decide(&scope, 1, &call);
        expect_verdict(suggestions[i].why, &verdict, "ask budget_token_estimate_exceeded");
        if (verdict.suggested[GOV_TOKENS] != suggestions[i].want)
            fail_msg("%s: %lld", suggestions[i].why, (long long)verdict.suggested[GOV_TOKENS]);
        assert_int_equal(verdict.suggested[GOV_COST], 0);
        if (suggestions[i].limit == INT64_MAX)
            continue;
        scope.limits[GOV_TOKENS].amount += verdict.suggested[GOV_TOKENS];
        verdict = decide(&scope, 1, &call);
        expect_verdict(suggestions[i].why, &verdict, "admit");
    }
}

static void a_paused_run_waits_for_a_person_unless_it_is_at_its_end(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(900, 900, true);
    struct gov_finding stopped = {.count = 1, .reasons = {GOV_REASON_STOPPED}, .dim = GOV_DIMS};
    struct gov_verdict verdict;

    (void)state;
    gov_decide(GOV_PAUSED, &not_ended, &scope, 1, &call, &verdict);
    expect_verdict("paused", &verdict, "ask");
    limit_set(&scope, GOV_COST, 500, GOV_APPROVAL_REQUIRED, 0, 0);
    gov_decide(GOV_PAUSED, &not_ended, &scope, 1, &call, &verdict);
    expect_verdict("paused, and to be approved", &verdict, "ask budget_cost_exceeded");
    limit_set(&scope, GOV_STEPS, 5, GOV_HARD_STOP, 5, 0);
    gov_decide(GOV_PAUSED, &not_ended, &scope, 1, &call, &verdict);
    expect_verdict("paused, and at its end", &verdict,
                   "refuse budget_steps_exceeded,budget_cost_exceeded");
    gov_decide(GOV_BUDGET_STOPPED, &stopped, &scope, 1, &call, &verdict);
    expect_verdict("stopped", &verdict, "refuse budget_stopped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_person_is_asked_for_lets_the_call_through),
        cmocka_unit_test(a_paused_run_waits_for_a_person_unless_it_is_at_its_end),
    };

    return cmocka_run_group_tests_name("governor, asking", tests, NULL, NULL);
}
