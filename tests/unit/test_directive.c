/* SPDX-License-Identifier: Apache-2.0 */
/* The directive: what severity, profile, actions, pacing and blocked providers follow from what is
 * spent, from cooldowns and from a person's choice. */
#include "tests/unit/governor_test.h"

#include "governor/directive.h"

static const struct gov_quality_rules usual = {
    .warning_ppm = 800000, .warning_pacing_ms = 250, .hard_pacing_ms = 1250};

static struct gov_directive direct(const struct gov_quality_rules *rules,
                                   const struct gov_scope *scopes, unsigned count)
{
    const struct gov_standing standing = {
        .rules = rules, .scopes = scopes, .scope_count = count, .provider = "openai", .now_ms = 7};
    struct gov_directive out;

    memset(&out, 0x5a, sizeof out);
    gov_direct(&standing, &out);
    return out;
}

/* ---- severity ----------------------------------------------------------------------------- */

static const struct {
    const char *why;
    int64_t spent, limit;
    bool guard;
    enum gov_policy policy;
    enum gov_severity want;
    int64_t pacing_ms;
} levels[] = {
    {"nothing is spent", 0, 100, true, GOV_HARD_STOP, GOV_OK, 0},
    {"there is no limit", 1000, 0, false, GOV_HARD_STOP, GOV_OK, 0},
    {"below the ratio", 79, 100, true, GOV_HARD_STOP, GOV_OK, 0},
    {"at the ratio", 80, 100, true, GOV_HARD_STOP, GOV_WARNING, 250},
    {"at the ratio of a limit that is no guardrail", 80, 100, false, GOV_HARD_STOP, GOV_WARNING,
     250},
    {"at the ratio of a limit that only warns", 80, 100, false, GOV_SOFT_WARN, GOV_WARNING, 250},
    {"one below a guardrail", 99, 100, true, GOV_HARD_STOP, GOV_WARNING, 250},
    {"at a guardrail", 100, 100, true, GOV_HARD_STOP, GOV_HARD_LIMIT, 1250},
    {"beyond a guardrail", 101, 100, true, GOV_HARD_STOP, GOV_HARD_LIMIT, 1250},
    {"at a limit that is no guardrail", 100, 100, false, GOV_HARD_STOP, GOV_WARNING, 250},
    {"of the greatest limit", INT64_MAX, INT64_MAX, true, GOV_HARD_STOP, GOV_HARD_LIMIT, 1250},
    {"one less of the greatest limit", INT64_MAX - 1, INT64_MAX, true, GOV_HARD_STOP, GOV_WARNING,
     250},
};

static void severity_follows_from_what_is_spent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(levels); i++)
        for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
            struct gov_scope scope = scope_of(GOV_GLOBAL);
            struct gov_directive got;

            limit_set(&scope, (enum gov_dim)dim, levels[i].limit, levels[i].policy, levels[i].spent,
                      INT64_MAX / 2); /* what is held does not count */
            scope.guard[dim] = levels[i].guard;
            got = direct(&usual, &scope, 1);
            if (got.severity != levels[i].want || got.pacing_ms != levels[i].pacing_ms)
                fail_msg("%s, %s: %s and %lld ms, wanted %s and %lld ms", levels[i].why,
                         gov_dim_name((enum gov_dim)dim), gov_severity_name(got.severity),
                         (long long)got.pacing_ms, gov_severity_name(levels[i].want),
                         (long long)levels[i].pacing_ms);
            assert_int_equal(got.evaluated_ms, 7);
        }
}

static void the_worst_scope_counts(void **state)
{
    struct gov_scope scopes[3] = {scope_of(GOV_RUN), scope_of(GOV_GLOBAL), scope_of(GOV_SESSION)};
    struct gov_directive got;

    (void)state;
    limit_set(&scopes[0], GOV_COST, 100, GOV_HARD_STOP, 90, 0);
    limit_set(&scopes[1], GOV_TOKENS, 100, GOV_HARD_STOP, 100, 0);
    limit_set(&scopes[2], GOV_STEPS, 100, GOV_HARD_STOP, 100, 0);
    scopes[1].guard[GOV_TOKENS] = scopes[2].guard[GOV_STEPS] = true;
    got = direct(&usual, scopes, 3);
    assert_int_equal(got.severity, GOV_HARD_LIMIT);
    assert_int_equal(got.reason_count, 2);
    assert_int_equal(got.reasons[0], GOV_REASON_SESSION);
    assert_int_equal(got.reasons[1], GOV_REASON_DAILY);
}

/* ---- profile, actions --------------------------------------------------------------------- */

static const struct {
    const char *why;
    struct gov_quality_rules rules;
    int64_t spent; /* of 100, of a guardrail */
    enum gov_quality quality;
    unsigned actions;
} profiles[] = {
    {"nothing is wrong", {.preset = GOV_PERFORMANCE}, 0, GOV_PERFORMANCE, 0},
    {"nothing is wrong, balanced", {.preset = GOV_BALANCED}, 0, GOV_BALANCED, 0},
    {"warning", {.preset = GOV_PERFORMANCE}, 80, GOV_BALANCED, GOV_PACING},
    {"warning, balanced", {.preset = GOV_BALANCED}, 80, GOV_BALANCED, GOV_PACING},
    {"warning, economy", {.preset = GOV_ECONOMY}, 80, GOV_ECONOMY, GOV_PACING},
    {"hard", {.preset = GOV_PERFORMANCE}, 100, GOV_ECONOMY, GOV_PACING | GOV_TIGHTENING},
    {"hard, a local model",
     {.preset = GOV_BALANCED, .prefer_local = true},
     100,
     GOV_ECONOMY,
     GOV_PACING | GOV_TIGHTENING | GOV_PREFER_LOCAL},
    {"warning, a local model", {.prefer_local = true}, 80, GOV_BALANCED, GOV_PACING},
    {"economy by hand", {.by_hand = true, .chosen = GOV_ECONOMY}, 0, GOV_ECONOMY, 0},
    {"performance by hand, hard",
     {.by_hand = true, .chosen = GOV_PERFORMANCE},
     100,
     GOV_PERFORMANCE,
     GOV_PACING | GOV_TIGHTENING},
};

static void profile_and_actions_follow_from_severity(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct gov_quality_rules rules = profiles[i].rules;
        struct gov_scope scope = scope_of(GOV_GLOBAL);
        struct gov_directive got;

        rules.warning_ppm = usual.warning_ppm;
        limit_set(&scope, GOV_STEPS, 100, GOV_HARD_STOP, profiles[i].spent, 0);
        scope.guard[GOV_STEPS] = true;
        got = direct(&rules, &scope, 1);
        if (got.quality != profiles[i].quality || got.actions != profiles[i].actions)
            fail_msg("%s: %s and actions %u, wanted %s and %u", profiles[i].why,
                     gov_quality_name(got.quality), got.actions,
                     gov_quality_name(profiles[i].quality), profiles[i].actions);
    }
}

/* ---- providers ---------------------------------------------------------------------------- */

static void cooldowns_block_until_their_time(void **state)
{
    const struct gov_cooldown cooldowns[] = {
        {"openai", 1000}, {"gemini", 900}, {"anthropic", 1001}, {"cohere", 1002}};
    struct gov_standing standing = {.rules = &usual,
                                    .cooldowns = cooldowns,
                                    .cooldown_count = COUNT(cooldowns),
                                    .provider = "openai",
                                    .now_ms = 999};
    struct gov_directive got;

    (void)state;
    gov_direct(&standing, &got);
    assert_int_equal(got.severity, GOV_OK);
    assert_int_equal(got.blocked_count, 3);
    assert_string_equal(got.blocked[0], "anthropic");
    assert_string_equal(got.blocked[1], "cohere");
    assert_string_equal(got.blocked[2], "openai");
    assert_true(got.cooling);
    assert_int_equal(got.cool_until_ms, 1000);
    assert_int_equal(got.reason_count, 1);
    assert_int_equal(got.reasons[0], GOV_REASON_COOLDOWN);
    standing.now_ms = 1000;
    gov_direct(&standing, &got);
    assert_false(got.cooling);
    assert_int_equal(got.blocked_count, 2);
    standing.provider = "";
    standing.now_ms = 1002;
    gov_direct(&standing, &got);
    assert_int_equal(got.blocked_count, 0);
    assert_int_equal(got.reason_count, 0);
}

static void a_provider_at_its_guardrail_is_blocked(void **state)
{
    struct gov_scope scope = {.kind = GOV_PROVIDER, .window = GOV_DAILY};
    const struct gov_call call = call_of(900, 100, true);
    struct gov_directive got;
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scope, GOV_STEPS, 10, GOV_HARD_STOP, 10, 0);
    got = direct(&usual, &scope, 1);
    assert_int_equal(got.blocked_count, 0); /* a limit, but no guardrail */
    assert_false(got.full);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a limit of a provider", &verdict, "refuse provider_budget_exceeded");
    scope.guard[GOV_STEPS] = true;
    got = direct(&usual, &scope, 1);
    assert_int_equal(got.blocked_count, 1);
    assert_string_equal(got.blocked[0], "openai");
    assert_true(got.full);
    assert_false(got.cooling);
    assert_int_equal(got.reason_count, 2);
    assert_int_equal(got.reasons[0], GOV_REASON_PROVIDER);
    assert_int_equal(got.reasons[1], GOV_REASON_COOLDOWN);
    verdict = decide(&scope, 1, &call);
    expect_verdict("a guardrail of a provider", &verdict,
                   "refuse provider_budget_exceeded,provider_cooldown");
    assert_false(verdict.ends_run);
}

static const struct {
    const char *why;
    int status;
    int64_t retry_after_ms, want;
} answers[] = {
    {"an answer", 200, 5000, 0},
    {"another error", 500, 5000, 0},
    {"too many, and says until when", 429, 7000, 8000},
    {"too many, and says nothing", 429, -1, 61000},
    {"unavailable", 503, -1, 61000},
    {"overloaded", 529, 2000, 3000},
    {"at once", 429, 0, 0},
    {"tomorrow", 429, 86400000, 3601000},
};

static void a_cooldown_is_what_the_provider_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++)
        if (gov_cooldown_until(answers[i].status, answers[i].retry_after_ms, 60000, 1000) !=
            answers[i].want)
            fail_msg("%s: not until %lld", answers[i].why, (long long)answers[i].want);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void what_differs_is_told(void **state)
{
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_directive before, after;

    (void)state;
    before = direct(&usual, &scope, 1);
    after = before;
    after.evaluated_ms++;
    assert_false(gov_directive_differs(&before, &after));
    limit_set(&scope, GOV_COST, 100, GOV_HARD_STOP, 85, 0);
    after = direct(&usual, &scope, 1);
    assert_true(gov_directive_differs(&before, &after));
    after = before;
    after.blocked_count = 1;
    (void)strcpy(after.blocked[0], "openai");
    assert_true(gov_directive_differs(&before, &after));
    after = before;
    (void)strcpy(after.blocked_models[0], "gpt-5");
    assert_true(gov_directive_differs(&before, &after));
    after = before;
    after.quality = GOV_ECONOMY;
    assert_true(gov_directive_differs(&before, &after));
}

/* In the registry's order, and no more than there is room for. */
static void a_tier_is_blocked_at_a_guardrail(void **state)
{
    static const struct gov_model models[] = {
        {1, "b", "openai", NULL}, {0, "x", "openai", NULL}, {1, "y", "anthropic", NULL},
        {1, "a", "openai", NULL}, {1, "c", "openai", NULL}, {1, "d", "openai", NULL},
        {1, "e", "openai", NULL},
    };
    const struct gov_routing routing = {.models = models, .model_count = COUNT(models)};
    struct gov_scope scope = scope_of(GOV_GLOBAL);
    struct gov_directive got;

    (void)state;
    limit_set(&scope, GOV_STEPS, 10, GOV_HARD_STOP, 9, 0);
    scope.guard[GOV_STEPS] = true;
    got = direct(&usual, &scope, 1);
    gov_block_tier(&routing, "openai", 1, "", &got);
    assert_int_equal(got.blocked_model_count, 0); /* a warning */
    scope.spent[GOV_STEPS] = 10;
    got = direct(&usual, &scope, 1);
    assert_int_equal(got.blocked_model_count, 0);
    gov_block_tier(&routing, "openai", 1, "", &got);
    assert_int_equal(got.blocked_model_count, GOV_BLOCKED_MODELS);
    for (unsigned i = 0; i < GOV_BLOCKED_MODELS; i++)
        assert_int_equal(got.blocked_models[i][0], "bacd"[i]);
    got = direct(&usual, &scope, 1);
    gov_block_tier(&routing, "openai", 0, "", &got);
    assert_int_equal(got.blocked_model_count, 1);
    assert_string_equal(got.blocked_models[0], "x");
    got = direct(&usual, &scope, 1);
    gov_block_tier(&routing, "openai", 0, "x", &got);
    assert_int_equal(got.blocked_model_count, 0);
}

/* As if others were in flight: half of what is free, but never below the smallest form. */
static void economy_takes_half(void **state)
{
    struct gov_call call = call_of(10000, 50, true);
    struct gov_scope scope = scope_of(GOV_RUN);
    struct gov_verdict verdict;

    (void)state;
    limit_set(&scope, GOV_TOKENS, 20000, GOV_HARD_STOP, 19000, 0);
    verdict = decide(&scope, 1, &call);
    assert_int_equal(verdict.cap, 900);
    call.economy = true;
    verdict = decide(&scope, 1, &call);
    assert_int_equal(verdict.outcome, GOV_ADMIT);
    assert_int_equal(verdict.cap, 400);
    assert_int_equal(verdict.hold[GOV_TOKENS], 500);
    limit_set(&scope, GOV_TOKENS, 20000, GOV_HARD_STOP, 10000, 0);
    call.line.full_cap = 5000; /* would fit whole */
    verdict = decide(&scope, 1, &call);
    assert_int_equal(verdict.cap, 4900);
    assert_true(verdict.clamped);
    limit_set(&scope, GOV_TOKENS, 0, GOV_HARD_STOP, 10000, 0);
    verdict = decide(&scope, 1, &call);
    assert_int_equal(verdict.cap, 5000); /* nothing limits it */
    call.line.full_cap = UINT64_MAX;
    verdict = decide(&scope, 1, &call);
    assert_false(verdict.clamped);
}

static void every_name_is_found_again(void **state)
{
    unsigned bit, all = 0;

    (void)state;
    for (unsigned i = 0; i < GOV_QUALITIES; i++)
        assert_int_equal(gov_quality_by_name(gov_quality_name((enum gov_quality)i)), i);
    assert_int_equal(gov_quality_by_name("best"), GOV_QUALITIES);
    for (unsigned i = 0; gov_action_at(i, &bit) != NULL; i++)
        all |= bit;
    assert_int_equal(all, GOV_PACING | GOV_TIGHTENING | GOV_PREFER_LOCAL);
    assert_string_equal(gov_severity_name(GOV_HARD_LIMIT), "hard_limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(severity_follows_from_what_is_spent),
        cmocka_unit_test(the_worst_scope_counts),
        cmocka_unit_test(profile_and_actions_follow_from_severity),
        cmocka_unit_test(cooldowns_block_until_their_time),
        cmocka_unit_test(a_provider_at_its_guardrail_is_blocked),
        cmocka_unit_test(a_cooldown_is_what_the_provider_says),
        cmocka_unit_test(what_differs_is_told),
        cmocka_unit_test(a_tier_is_blocked_at_a_guardrail),
        cmocka_unit_test(economy_takes_half),
        cmocka_unit_test(every_name_is_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
