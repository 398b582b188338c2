/* SPDX-License-Identifier: Apache-2.0 */
/* The governor's verdicts: limits, policies, scopes, codes, ended runs, thresholds. How a call is
 * made to fit is in test_governor_fit.c. */
#include "tests/unit/chance.h"
#include "tests/unit/governor_test.h"

static const char *code_of(enum gov_scope_kind kind, enum gov_dim dim)
{
    if (kind == GOV_SESSION)
        return "session_budget_exceeded";
    if (kind == GOV_GLOBAL)
        return "daily_budget_exceeded";
    switch (dim) {
    case GOV_STEPS:
        return "budget_steps_exceeded";
    case GOV_TOKENS:
        return "budget_token_estimate_exceeded";
    case GOV_COST:
        return "budget_cost_exceeded";
    case GOV_WALL:
        return "budget_wall_clock_exceeded";
    default:
        return "?";
    }
}

/* What the call of this file needs of a dimension that is held. */
static int64_t need_of(enum gov_dim dim)
{
    return dim == GOV_STEPS ? 1 : 1000;
}

/* spent and held are added to limit - need: at 0 the call just fits. */
static const struct {
    const char *why;
    enum gov_policy policy;
    int64_t spent, held;
    enum gov_outcome want;
} edges[] = {
    {"exactly at the limit", GOV_HARD_STOP, 0, 0, GOV_ADMIT},
    {"one over", GOV_HARD_STOP, 1, 0, GOV_REFUSE},
    {"far over", GOV_HARD_STOP, 1000000, 0, GOV_REFUSE},
    {"exactly at the limit with holds", GOV_HARD_STOP, -1, 1, GOV_ADMIT},
    {"one over by a hold", GOV_HARD_STOP, -1, 2, GOV_WAIT},
    {"one over, beside a hold", GOV_HARD_STOP, 1, 7, GOV_REFUSE},
    {"exactly at the limit, to be approved", GOV_APPROVAL_REQUIRED, 0, 0, GOV_ADMIT},
    {"one over, to be approved", GOV_APPROVAL_REQUIRED, 1, 0, GOV_ASK},
    {"one over by a hold, to be approved", GOV_APPROVAL_REQUIRED, -1, 2, GOV_WAIT},
    {"a soft limit passed", GOV_SOFT_WARN, 1, 0, GOV_ADMIT},
    {"a soft limit far passed", GOV_SOFT_WARN, 1000000, 1000000, GOV_ADMIT},
    {"a soft limit passed by a hold", GOV_SOFT_WARN, -1, 2, GOV_ADMIT},
};

static void check_edge(size_t i, enum gov_scope_kind kind, enum gov_dim dim)
{
    struct gov_scope scope = scope_of(kind);
    struct gov_call call = call_of(900, 900, false);
    struct gov_verdict verdict;
    char why[128], want[128];

    limit_set(&scope, dim, 50000, edges[i].policy, 50000 - need_of(dim) + edges[i].spent,
              edges[i].held);
    verdict = decide(&scope, 1, &call);
    (void)snprintf(why, sizeof(why), "%s: %s of %s", edges[i].why, gov_dim_name(dim),
                   gov_scope_name(kind));
    (void)snprintf(want, sizeof(want), "%s%s%s", outcome_text(edges[i].want),
                   edges[i].want == GOV_ADMIT ? "" : " ",
                   edges[i].want == GOV_WAIT    ? "budget_busy"
                   : edges[i].want == GOV_ADMIT ? ""
                                                : code_of(kind, dim));
    expect_verdict(why, &verdict, want);
    if (edges[i].want != GOV_ADMIT && (verdict.finding.scope != 0 || verdict.finding.dim != dim))
        fail_msg("%s: found in %s of scope %u", why, gov_dim_name(verdict.finding.dim),
                 verdict.finding.scope);
    if (verdict.ends_run !=
        (edges[i].want == GOV_REFUSE && edges[i].policy == GOV_HARD_STOP && kind == GOV_RUN))
        fail_msg("%s: %s the run", why, verdict.ends_run ? "ends" : "does not end");
}

static void a_limit_may_be_reached_and_not_passed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++)
        for (unsigned kind = GOV_RUN; kind <= GOV_GLOBAL; kind++)
            for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++)
                check_edge(i, (enum gov_scope_kind)kind, (enum gov_dim)dim);
}

static const struct {
    const char *why;
    int64_t limit, spent;
    enum gov_policy policy;
    const char *want;
} clocks[] = {
    {"time left", 1800000, 1799999, GOV_HARD_STOP, "admit"},
    {"time used up", 1800000, 1800000, GOV_HARD_STOP, "refuse budget_wall_clock_exceeded"},
    {"time passed", 1800000, 1800001, GOV_HARD_STOP, "refuse budget_wall_clock_exceeded"},
    {"time passed, to be approved", 1, 2, GOV_APPROVAL_REQUIRED, "ask budget_wall_clock_exceeded"},
    {"time passed, soft", 1, 2, GOV_SOFT_WARN, "admit"},
    {"no limit", 0, INT64_MAX, GOV_HARD_STOP, "admit"},
};

static void time_that_is_used_up_refuses_the_next_call(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        struct gov_scope scope = scope_of(GOV_RUN);
        struct gov_call call = call_of(900, 900, true);
        struct gov_verdict verdict;

        limit_set(&scope, GOV_WALL, clocks[i].limit, clocks[i].policy, clocks[i].spent, 0);
        verdict = decide(&scope, 1, &call);
        expect_verdict(clocks[i].why, &verdict, clocks[i].want);
        assert_int_equal(verdict.ends_run,
                         verdict.outcome == GOV_REFUSE && clocks[i].policy == GOV_HARD_STOP);
    }
}

static void without_a_limit_everything_is_admitted_in_full(void **state)
{
    struct gov_scope scopes[3] = {scope_of(GOV_RUN), scope_of(GOV_SESSION), scope_of(GOV_GLOBAL)};
    struct gov_call call = call_of(128000, 1024, true);
    struct gov_verdict verdict;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            limit_set(&scopes[i], (enum gov_dim)dim, 0, GOV_HARD_STOP, INT64_MAX / 4, 100);
    verdict = decide(scopes, 3, &call);
    expect_verdict("no limit", &verdict, "admit");
    assert_int_equal(verdict.cap, 128000);
    assert_false(verdict.clamped);
    assert_int_equal(verdict.hold[GOV_STEPS], 1);
    assert_int_equal(verdict.hold[GOV_TOKENS], 128100);
    assert_int_equal(verdict.hold[GOV_COST], 128100);
    for (unsigned dim = GOV_WALL; dim < GOV_DIMS; dim++)
        assert_int_equal(verdict.hold[dim], 0);
    verdict = decide(NULL, 0, &call);
    expect_verdict("no scope", &verdict, "admit");
}

/* spent of 1,000 in steps, tokens, cost and wall clock, for run, session and day. */
static const struct {
    const char *why;
    int64_t spent[3][4];
    const char *want;
    unsigned scope;
    enum gov_dim dim;
    bool ends;
} several[] = {
    {"tokens and cost of a run",
     {{0, 1, 1}},
     "budget_token_estimate_exceeded,budget_cost_exceeded",
     0,
     GOV_TOKENS,
     true},
    {"everything of a run",
     {{1000, 1, 1, 1000}},
     "budget_steps_exceeded,budget_token_estimate_exceeded,budget_cost_exceeded,"
     "budget_wall_clock_exceeded",
     0,
     GOV_STEPS,
     true},
    {"cost and time",
     {{0, 0, 1, 1000}},
     "budget_cost_exceeded,budget_wall_clock_exceeded",
     0,
     GOV_COST,
     true},
    {"two of a session are one code",
     {{0}, {0, 1, 1}},
     "session_budget_exceeded",
     1,
     GOV_TOKENS,
     false},
    {"the same of run and session",
     {{0, 0, 1}, {0, 0, 1}},
     "budget_cost_exceeded,session_budget_exceeded",
     0,
     GOV_COST,
     true},
    {"session and day",
     {{0}, {0, 0, 1}, {0, 0, 1}},
     "session_budget_exceeded,daily_budget_exceeded",
     1,
     GOV_COST,
     false},
    {"all three",
     {{0, 0, 1}, {0, 0, 1}, {0, 0, 1}},
     "budget_cost_exceeded,session_budget_exceeded,daily_budget_exceeded",
     0,
     GOV_COST,
     true},
    {"the day alone ends nothing",
     {{0}, {0}, {1000, 1, 1}},
     "daily_budget_exceeded",
     2,
     GOV_STEPS,
     false},
    {"steps of the day come before cost of the run",
     {{0, 0, 1}, {0}, {1000}},
     "daily_budget_exceeded,budget_cost_exceeded",
     2,
     GOV_STEPS,
     true},
    {"tokens of the session come before cost of the run",
     {{0, 0, 1}, {0, 1}, {0}},
     "session_budget_exceeded,budget_cost_exceeded",
     1,
     GOV_TOKENS,
     true},
};

static void all_that_is_over_is_listed_in_the_order_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(several); i++) {
        struct gov_scope scopes[3] = {scope_of(GOV_RUN), scope_of(GOV_SESSION),
                                      scope_of(GOV_GLOBAL)};
        struct gov_call call = call_of(900, 900, true);
        struct gov_verdict verdict;
        char want[256];

        for (unsigned scope = 0; scope < 3; scope++)
            for (unsigned dim = GOV_STEPS; dim <= GOV_WALL; dim++)
                limit_set(&scopes[scope], (enum gov_dim)dim, 1000, GOV_HARD_STOP,
                          several[i].spent[scope][dim], 0);
        verdict = decide(scopes, 3, &call);
        (void)snprintf(want, sizeof(want), "refuse %s", several[i].want);
        expect_verdict(several[i].why, &verdict, want);
        if (verdict.finding.scope != several[i].scope || verdict.finding.dim != several[i].dim ||
            verdict.ends_run != several[i].ends)
            fail_msg("%s: scope %u, %s, %s", several[i].why, verdict.finding.scope,
                     gov_dim_name(verdict.finding.dim), verdict.ends_run ? "ends" : "does not end");
    }
}

static void only_a_hard_stop_of_a_run_ends_it(void **state)
{
    struct gov_scope scopes[3] = {scope_of(GOV_RUN), scope_of(GOV_RUN), scope_of(GOV_SESSION)};
    struct gov_call call = call_of(900, 900, true);
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scopes[0], GOV_COST, 500, GOV_APPROVAL_REQUIRED, 0, 0);
    limit_set(&scopes[2], GOV_COST, 500, GOV_HARD_STOP, 0, 0);
    verdict = decide(scopes, 3, &call);
    expect_verdict("to be approved, and a session's stop", &verdict,
                   "refuse budget_cost_exceeded,session_budget_exceeded");
    assert_false(verdict.ends_run);

    limit_set(&scopes[0], GOV_TOKENS, 500, GOV_HARD_STOP, 0, 0);
    verdict = decide(scopes, 3, &call);
    assert_true(verdict.ends_run);
    assert_int_equal(verdict.ended_scope, 0);

    limit_set(&scopes[0], GOV_TOKENS, 0, GOV_HARD_STOP, 0, 0);
    limit_set(&scopes[1], GOV_STEPS, 5, GOV_HARD_STOP, 5, 0);
    verdict = decide(scopes, 3, &call);
    expect_verdict("the run above is at its end", &verdict,
                   "refuse budget_steps_exceeded,budget_cost_exceeded,session_budget_exceeded");
    assert_true(verdict.ends_run);
    assert_int_equal(verdict.ended_scope, 1);
}

static void a_run_whose_holds_are_in_the_way_goes_on(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(900, 900, true);
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scope, GOV_COST, 1000, GOV_HARD_STOP, 0, 1);
    verdict = decide(&scope, 1, &call);
    expect_verdict("busy", &verdict, "wait budget_busy");
    assert_false(verdict.ends_run);
}

static void a_run_that_ended_gives_its_reasons_again_and_says_so_last(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_call call = call_of(900, 900, true);
    struct gov_finding ended = {
        .count = 2, .reasons = {GOV_REASON_TOKENS, GOV_REASON_COST}, .scope = 0, .dim = GOV_TOKENS};
    struct gov_verdict verdict;

    (void)state;
    gov_decide(GOV_FAILED, &ended, &scope, 1, &call, &verdict);
    expect_verdict("failed", &verdict,
                   "refuse budget_token_estimate_exceeded,budget_cost_exceeded,run_ended");
    assert_false(verdict.ends_run); /* it has ended */
    gov_decide(GOV_COMPLETED, &not_ended, &scope, 1, &call, &verdict);
    expect_verdict("completed", &verdict, "refuse run_ended");
    gov_decide(GOV_CANCELLED, &not_ended, &scope, 1, &call, &verdict);
    expect_verdict("cancelled", &verdict, "refuse run_ended");
    assert_int_equal(verdict.finding.dim, GOV_DIMS);
}

static void without_a_price_only_a_cost_limit_refuses(void **state)
{
    struct gov_scope scopes[2] = {scope_of(GOV_RUN), scope_of(GOV_SESSION)};
    struct gov_call call = call_of(900, 900, true);
    struct gov_verdict verdict;

    (void)state;
    call.line.priced = false;
    call.line.input_fusd = 0;
    call.line.output_rate = 0;
    limit_set(&scopes[0], GOV_TOKENS, 5000, GOV_HARD_STOP, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("no cost limit", &verdict, "admit");
    assert_int_equal(verdict.hold[GOV_COST], 0);
    assert_int_equal(verdict.hold[GOV_TOKENS], 1000);

    limit_set(&scopes[1], GOV_COST, 5000000, GOV_SOFT_WARN, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a soft cost limit", &verdict, "admit");

    limit_set(&scopes[1], GOV_COST, 5000000, GOV_HARD_STOP, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a cost limit", &verdict, "refuse price_unknown");
    assert_int_equal(verdict.finding.dim, GOV_COST);
    assert_int_equal(verdict.finding.scope, 1);
    limit_set(&scopes[1], GOV_COST, 5000000, GOV_APPROVAL_REQUIRED, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a cost limit, to be approved", &verdict, "refuse price_unknown");

    limit_set(&scopes[0], GOV_COST, 5000000, GOV_HARD_STOP, 0, 0);
    verdict = decide(scopes, 2, &call);
    expect_verdict("a cost limit of the run", &verdict, "refuse price_unknown");
    assert_false(verdict.ends_run); /* nothing is used up */
}

static struct gov_scope random_scope(struct chance *chance)
{
    struct gov_scope scope = {.kind = (enum gov_scope_kind)chance_below(chance, GOV_SCOPES),
                              .window = (enum gov_window)chance_below(chance, GOV_WINDOWS),
                              .in_flight = (unsigned)chance_below(chance, 3),
                              .ahead = (unsigned)(chance_one_in(chance, 8)),
                              .behind = (unsigned)chance_below(chance, 2)};

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int shift = (int)chance_below(chance, 61);

        limit_set(&scope, (enum gov_dim)dim, (int64_t)(chance_u64(chance) >> (shift + 1)),
                  (enum gov_policy)chance_below(chance, GOV_POLICIES),
                  (int64_t)(chance_u64(chance) >> (shift + 2)),
                  (int64_t)(chance_u64(chance) >> (shift + 3)));
        if (chance_one_in(chance, 2))
            scope.limits[dim].amount = 0;
    }
    return scope;
}

static void random_line(struct chance *chance, struct meter_hold_line *line)
{
    line->input_tokens = chance_u64(chance) >> chance_below(chance, 64);
    line->choices = 1 + (chance_u64(chance) >> chance_below(chance, 64)) % 100;
    line->full_cap =
        chance_one_in(chance, 5) ? UINT64_MAX : chance_u64(chance) >> chance_below(chance, 64);
    line->smallest_cap = line->full_cap < 1024 ? line->full_cap : 1024;
    line->priced = !chance_one_in(chance, 5);
    line->rewritable = !chance_one_in(chance, 5);
    line->input_fusd = (meter_wide)chance_u64(chance) << chance_below(chance, 64);
    line->output_rate = chance_u64(chance) >> chance_below(chance, 64);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    struct chance chance = {.state = 20260401};
    struct gov_finding ended = {.count = 1, .reasons = {GOV_REASON_COST}, .dim = GOV_COST};
    struct gov_verdict one, two;

    (void)state;
    for (unsigned round = 0; round < 100000; round++) {
        struct gov_scope scopes[4];
        unsigned count = (unsigned)chance_below(&chance, 5);
        struct gov_call call = {.clamp = chance_one_in(&chance, 2)};
        enum gov_state run = chance_one_in(&chance, 8) ? GOV_FAILED : GOV_RUNNING;

        random_line(&chance, &call.line);
        for (unsigned i = 0; i < count; i++)
            scopes[i] = random_scope(&chance);
        memset(&one, 0, sizeof(one));
        memset(&two, 0xff, sizeof(two));
        gov_decide(run, &ended, scopes, count, &call, &one);
        gov_decide(run, &ended, scopes, count, &call, &two);
        if (memcmp(&one, &two, sizeof(one)) != 0)
            fail_msg("round %u: the same input, other bytes", round);
    }
}

/* logged carries over from row to row while the limit stays. */
static const struct {
    const char *why;
    int64_t spent, limit;
    uint8_t logged, want_logged;
    unsigned want;
    uint8_t reached[3];
} thresholds[] = {
    {"nothing spent", 0, 1000, 0, 0, 0, {0}},
    {"one short of half", 499, 1000, 0, 0, 0, {0}},
    {"half", 500, 1000, 0, 1, 1, {50}},
    {"half once", 501, 1000, 1, 1, 0, {0}},
    {"one short of 80", 799, 1000, 1, 1, 0, {0}},
    {"80", 800, 1000, 1, 3, 1, {80}},
    {"one short of all", 999, 1000, 3, 3, 0, {0}},
    {"all", 1000, 1000, 3, 7, 1, {100}},
    {"all once", 5000, 1000, 7, 7, 0, {0}},
    {"all at a stroke, in order", 1000, 1000, 0, 7, 3, {50, 80, 100}},
    {"two at a stroke", 990, 1000, 0, 3, 2, {50, 80}},
    {"80 and 100 after 50", 1000, 1000, 1, 7, 2, {80, 100}},
    {"a limit of one", 1, 1, 0, 7, 3, {50, 80, 100}},
    {"rounding is for the limit: 2 of 3 is not 80 %", 2, 3, 1, 1, 0, {0}},
    {"no limit", 1000, 0, 0, 0, 0, {0}},
    {"credits beyond charges", -5, 1000, 0, 0, 0, {0}},
    {"near the end of the numbers", INT64_MAX - 1, INT64_MAX, 0, 3, 2, {50, 80}},
    {"at the end of the numbers", INT64_MAX, INT64_MAX, 3, 7, 1, {100}},
};

static void thresholds_are_reached_once_and_in_order(void **state)
{
    static const uint8_t percents[3] = {50, 80, 100};

    (void)state;
    for (size_t i = 0; i < COUNT(thresholds); i++) {
        uint8_t logged = thresholds[i].logged, reached[3] = {0};
        unsigned count =
            gov_thresholds(thresholds[i].spent, thresholds[i].limit, percents, 3, &logged, reached);

        if (count != thresholds[i].want || logged != thresholds[i].want_logged ||
            memcmp(reached, thresholds[i].reached, count) != 0)
            fail_msg("%s: %u reached (%u %u %u), logged %u; wanted %u, logged %u",
                     thresholds[i].why, count, reached[0], reached[1], reached[2], logged,
                     thresholds[i].want, thresholds[i].want_logged);
    }
}

static void thresholds_follow_the_ratio_of_a_profile(void **state)
{
    static const uint8_t percents[3] = {50, 75, 100};
    uint8_t logged = 0, reached[3];
    unsigned percents_used;

    (void)state;
    assert_int_equal(gov_thresholds(750, 1000, percents, 3, &logged, reached), 2);
    assert_int_equal(reached[1], 75);
    assert_int_equal(gov_thresholds(999, 1000, percents, 2, &logged, reached), 0);
    logged = 0; /* 0: fewer than three were asked for */
    assert_int_equal(gov_thresholds(1000, 1000, (uint8_t[]){90, 0, 0}, 3, &logged, reached), 1);
    assert_int_equal(reached[0], 90);
    logged = 0;
    percents_used = gov_thresholds(0, 1000, (uint8_t[]){0, 0, 0}, 3, &logged, reached);
    assert_int_equal(percents_used, 0);
}

static void names_go_both_ways(void **state)
{
    (void)state;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        assert_int_equal(gov_dim_by_name(gov_dim_name((enum gov_dim)dim)), dim);
        assert_true(strlen(gov_dim_phrase((enum gov_dim)dim)) > 0);
        assert_true(strlen(gov_guidance((enum gov_dim)dim)) > 0);
        assert_true(strlen(gov_reason_text(gov_reason_of_dim((enum gov_dim)dim))) > 0);
    }
    for (unsigned policy = 0; policy < GOV_POLICIES; policy++)
        assert_int_equal(gov_policy_by_name(gov_policy_name((enum gov_policy)policy)), policy);
    assert_int_equal(gov_dim_by_name("cost"), GOV_DIMS);
    assert_int_equal(gov_dim_by_name(""), GOV_DIMS);
    assert_int_equal(gov_policy_by_name("HARD_STOP"), GOV_POLICIES);
    for (unsigned kind = 0; kind < GOV_SCOPES; kind++)
        assert_int_equal(gov_scope_by_name(gov_scope_name((enum gov_scope_kind)kind)), kind);
    for (unsigned window = 0; window < GOV_WINDOWS; window++)
        assert_int_equal(gov_window_by_name(gov_window_name((enum gov_window)window)), window);
    assert_int_equal(gov_scope_by_name("day"), GOV_SCOPES);
    assert_int_equal(gov_window_by_name("yearly"), GOV_WINDOWS);
    assert_string_equal(gov_window_name(GOV_WHOLE), "");
    assert_string_equal(gov_reason_text((enum gov_reason)999), "");
    assert_string_equal(gov_state_name(GOV_FAILED), "failed");
}

static void every_reason_has_the_number_and_text_that_the_ledger_keeps(void **state)
{
    static const char *const texts[] = {
        "",
        "budget_steps_exceeded",
        "budget_token_estimate_exceeded",
        "budget_cost_exceeded",
        "budget_wall_clock_exceeded",
        "budget_tool_call_exceeded",
        "budget_network_egress_exceeded",
        "budget_storage_write_exceeded",
        "budget_error_burst_exceeded",
        "budget_command_time_exceeded",
        "session_budget_exceeded",
        "daily_budget_exceeded",
        "price_unknown",
        "budget_busy",
        "run_ended",
        "ledger_read_failure",
        "ledger_write_failure",
        "version_mismatch",
        "request_unreadable",
        "request_too_large",
        "guard_refused",
        "inside_run",
        "weekly_budget_exceeded",
        "monthly_budget_exceeded",
        "rolling_budget_exceeded",
        "provider_budget_exceeded",
        "model_budget_exceeded",
        "task_budget_exceeded",
        "agent_budget_exceeded",
        "label_budget_exceeded",
        "uid_budget_exceeded",
        "project_budget_exceeded",
        "clock_jump",
        "budget_stopped",
        "approval_denied",
        "approval_timeout",
        [36] = "provider_cooldown",
        "t0_calls_exceeded",
        "no_models_in_tier:T0",
        "no_models_in_tier:T1",
        "no_models_in_tier:T2",
        "no_models_in_tier:T3",
        "no_models_in_tier:T4",
        "budget_exhausted",
        "decision_log_failure",
        "model_blocked",
        "requires_approval",
    };

    (void)state;
    assert_int_equal(COUNT(texts), GOV_REASONS);
    for (unsigned i = 0; i < COUNT(texts); i++)
        assert_string_equal(gov_reason_text((enum gov_reason)i), texts[i] != NULL ? texts[i] : "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_may_be_reached_and_not_passed),
        cmocka_unit_test(time_that_is_used_up_refuses_the_next_call),
        cmocka_unit_test(without_a_limit_everything_is_admitted_in_full),
        cmocka_unit_test(all_that_is_over_is_listed_in_the_order_of_the_table),
        cmocka_unit_test(only_a_hard_stop_of_a_run_ends_it),
        cmocka_unit_test(a_run_whose_holds_are_in_the_way_goes_on),
        cmocka_unit_test(a_run_that_ended_gives_its_reasons_again_and_says_so_last),
        cmocka_unit_test(without_a_price_only_a_cost_limit_refuses),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(thresholds_are_reached_once_and_in_order),
        cmocka_unit_test(thresholds_follow_the_ratio_of_a_profile),
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(every_reason_has_the_number_and_text_that_the_ledger_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
