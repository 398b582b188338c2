/* SPDX-License-Identifier: Apache-2.0 */
/* The governor's dimensions that are not held: what ends at its limit, what behind it, and which
 * code comes first when several are used up. */
#include "tests/unit/governor_test.h"

/* spent beside a limit of 1,000. */
static const struct {
    enum gov_dim dim;
    int64_t spent;
    const char *want;
} edges[] = {
    {GOV_TOOLS, 999, "admit"},
    {GOV_TOOLS, 1000, "refuse budget_tool_call_exceeded"},
    {GOV_EGRESS, 999, "admit"},
    {GOV_EGRESS, 1000, "refuse budget_network_egress_exceeded"},
    {GOV_ERRORS, 999, "admit"},
    {GOV_ERRORS, 1000, "refuse budget_error_burst_exceeded"},
    /* A call takes nothing of these. */
    {GOV_WRITES, 1000, "admit"},
    {GOV_WRITES, 1001, "refuse budget_storage_write_exceeded"},
    {GOV_COMMAND, 1000, "admit"},
    {GOV_COMMAND, 1001, "refuse budget_command_time_exceeded"},
};

static void what_is_not_held_refuses_the_next_call(void **state)
{
    struct gov_call call = call_of(900, 900, false);

    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++)
        for (unsigned policy = 0; policy < GOV_POLICIES; policy++) {
            struct gov_scope scope = scope_of(GOV_RUN);
            struct gov_verdict verdict;
            char want[128];
            bool used_up = edges[i].want[0] == 'r' && policy != GOV_SOFT_WARN;

            (void)snprintf(want, sizeof want, "%s%s",
                           policy == GOV_APPROVAL_REQUIRED ? "ask" : "refuse",
                           edges[i].want + strcspn(edges[i].want, " "));
            limit_set(&scope, edges[i].dim, 1000, (enum gov_policy)policy, edges[i].spent, 0);
            verdict = decide(&scope, 1, &call);
            expect_verdict(gov_policy_name((enum gov_policy)policy), &verdict,
                           used_up ? want : "admit");
            assert_int_equal(verdict.ends_run, used_up && policy == GOV_HARD_STOP);
            assert_int_equal(gov_used_up(&scope, edges[i].dim), used_up);
        }
}

/* Of a run: used up, at these times; 0: by this call, or nobody knows when. */
static const struct {
    const char *why;
    int64_t steps, cost, wall, tools, egress; /* -1: not used up */
    const char *want;
} orders[] = {
    {"all at once: the table's order", 0, 0, 0, 0, 0,
     "refuse budget_steps_exceeded,budget_cost_exceeded,budget_wall_clock_exceeded,"
     "budget_tool_call_exceeded,budget_network_egress_exceeded"},
    {"the last of the table first", 0, 0, 0, 0, 5,
     "refuse budget_network_egress_exceeded,budget_steps_exceeded,budget_cost_exceeded,"
     "budget_wall_clock_exceeded,budget_tool_call_exceeded"},
    {"each at its time", 50, 40, 30, 20, 10,
     "refuse budget_network_egress_exceeded,budget_tool_call_exceeded,"
     "budget_wall_clock_exceeded,budget_cost_exceeded,budget_steps_exceeded"},
    {"the same time", 7, 7, -1, 3, -1,
     "refuse budget_tool_call_exceeded,budget_steps_exceeded,budget_cost_exceeded"},
    {"this call's own come last", 0, -1, 9, -1, -1,
     "refuse budget_wall_clock_exceeded,budget_steps_exceeded"},
    {"one alone", -1, -1, -1, 1, -1, "refuse budget_tool_call_exceeded"},
};

static void use_up(struct gov_scope *scope, enum gov_dim dim, int64_t when)
{
    if (when >= 0)
        limit_set(scope, dim, 1000, GOV_HARD_STOP, 1000, 0);
    scope->crossed_ns[dim] = when > 0 ? when : 0;
}

static void the_first_crossed_is_named_first(void **state)
{
    struct gov_call call = call_of(900, 900, false);

    (void)state;
    for (size_t i = 0; i < COUNT(orders); i++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_verdict verdict;

        use_up(&scope, GOV_STEPS, orders[i].steps);
        use_up(&scope, GOV_COST, orders[i].cost);
        use_up(&scope, GOV_WALL, orders[i].wall);
        use_up(&scope, GOV_TOOLS, orders[i].tools);
        use_up(&scope, GOV_EGRESS, orders[i].egress);
        verdict = decide(&scope, 1, &call);
        expect_verdict(orders[i].why, &verdict, orders[i].want);
        assert_true(verdict.ends_run);
    }
}

static void the_order_is_over_all_scopes(void **state)
{
    struct gov_scope scopes[2] = {scope_of(GOV_RUN), scope_of(GOV_SESSION)};
    struct gov_call call = call_of(900, 900, false);
    struct gov_verdict verdict;

    (void)state;
    use_up(&scopes[0], GOV_EGRESS, 9);
    use_up(&scopes[1], GOV_TOOLS, 3);
    verdict = decide(scopes, 2, &call);
    expect_verdict("the session first", &verdict,
                   "refuse session_budget_exceeded,budget_network_egress_exceeded");
    assert_int_equal(verdict.finding.scope, 1);
    assert_int_equal(verdict.finding.dim, GOV_TOOLS);
    assert_true(verdict.ends_run);
    assert_int_equal(verdict.ended_scope, 0);
}

static void what_somebody_else_found_is_listed_with_the_rest(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_finding finding;

    (void)state;
    gov_find_used_up(&scope, 1, GOV_WRITES, &finding); /* the figures do not say it yet */
    assert_int_equal(finding.count, 1);
    assert_int_equal(finding.reasons[0], GOV_REASON_WRITES);
    assert_int_equal(finding.dim, GOV_WRITES);
    limit_set(&scope, GOV_WRITES, 1000, GOV_HARD_STOP, 1001, 0);
    limit_set(&scope, GOV_TOKENS, 1000, GOV_HARD_STOP, 1000, 0); /* the smallest call may fit */
    use_up(&scope, GOV_TOOLS, 0);
    gov_find_used_up(&scope, 1, GOV_WRITES, &finding);
    assert_int_equal(finding.count, 2);
    assert_int_equal(finding.reasons[0], GOV_REASON_TOOLS);
    assert_int_equal(finding.reasons[1], GOV_REASON_WRITES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_held_refuses_the_next_call),
        cmocka_unit_test(the_first_crossed_is_named_first),
        cmocka_unit_test(the_order_is_over_all_scopes),
        cmocka_unit_test(what_somebody_else_found_is_listed_with_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
