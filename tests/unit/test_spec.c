/* SPDX-License-Identifier: Apache-2.0 */
/* A run as asked for: how amounts are written, who wins, what the defaults are, and that the
 * description arrives as it was sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/sidecar.h"
#include "tests/unit/chance.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define USD(pico)    INT64_C(pico)
#define NOT          INT64_C(-1) /* refused */

/* ---- amounts ------------------------------------------------------------------------------ */

static void the_first_error_is_the_one_that_is_told(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};

    (void)state;
    side_spec_init(&spec);
    assert_false(side_spec_limit(&spec, GOV_STEPS, "x", "--max-steps", SIDE_FLAG, &error));
    assert_false(side_spec_limit(&spec, GOV_COST, "y", "--max-cost", SIDE_FLAG, &error));
    assert_non_null(strstr(error.text, "--max-steps"));
    assert_null(strstr(error.text, "--max-cost"));
}

static void policies_are_known_by_name(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};

    (void)state;
    side_spec_init(&spec);
    assert_true(side_spec_policy(&spec, GOV_COST, "soft_warn", "--exhaustion", &error));
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_SOFT_WARN);
    assert_true(spec.policy_given[GOV_COST]);
    assert_false(side_spec_policy(&spec, GOV_COST, "warn", "--exhaustion", &error));
    assert_string_equal(error.text, "--exhaustion: 'warn' is none of hard_stop, approval_required, "
                                    "soft_warn");
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_SOFT_WARN);
}

/* ---- who wins ----------------------------------------------------------------------------- */

static const struct {
    const char *why, *file, *flag, *variable; /* of steps; NULL: not given */
    int64_t want;
} precedences[] = {
    {"the file alone", "10", NULL, NULL, 10},
    {"the flag beats the file", "10", "20", NULL, 20},
    {"the variable beats the file", "10", NULL, "30", 30},
    {"the flag is lower than the variable", "10", "20", "30", 20},
    {"the variable is lower than the flag", "10", "20", "15", 15},
    {"a flag without a limit, a variable with one", NULL, "0", "15", 15},
    {"the variable alone", NULL, NULL, "15", 15},
    {"below 1 is 1", NULL, NULL, "0", 1},
    {"negative is 1", NULL, NULL, "-7", 1},
    {"1 is lower than the flag", NULL, "20", "0", 1},
};

static void flags_and_variables_beat_files_and_the_lower_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(precedences); i++) {
        struct side_spec spec;
        struct side_error error = {{0}};
        char variable[64];
        const char *env[2] = {"HOME=/root", NULL};

        side_spec_init(&spec);
        if (precedences[i].file != NULL)
            assert_true(
                side_spec_limit(&spec, GOV_STEPS, precedences[i].file, "f", SIDE_FILE, &error));
        if (precedences[i].flag != NULL)
            assert_true(
                side_spec_limit(&spec, GOV_STEPS, precedences[i].flag, "f", SIDE_FLAG, &error));
        if (precedences[i].variable != NULL) {
            (void)snprintf(variable, sizeof variable, "RUNTIME_BUDGET_MAX_STEPS=%s",
                           precedences[i].variable);
            env[0] = variable;
        }
        assert_true(side_spec_env(&spec, env, &error));
        side_spec_finish(&spec);
        if (spec.limits[GOV_STEPS].amount != precedences[i].want || spec.bare)
            fail_msg("%s: %lld, wanted %lld", precedences[i].why,
                     (long long)spec.limits[GOV_STEPS].amount, (long long)precedences[i].want);
    }
}

static const struct {
    const char *why, *given;
    enum gov_dim dim; /* GOV_DIMS: refused */
    int64_t want;
} variables[] = {
    {"cost", "RUNTIME_BUDGET_MAX_COST_USD=2.50", GOV_COST, USD(2500000000000)},
    {"tokens", "RUNTIME_BUDGET_MAX_TOKENS=1000", GOV_TOKENS, 1000},
    {"milliseconds", "RUNTIME_BUDGET_WALL_CLOCK_MS=90000", GOV_WALL, 90000},
    {"a duration", "RUNTIME_BUDGET_WALL_CLOCK_MS=2m", GOV_WALL, 120000},
    {"below 1 ms", "RUNTIME_BUDGET_WALL_CLOCK_MS=0", GOV_WALL, 1},
    {"tokens below 1", "RUNTIME_BUDGET_MAX_TOKENS=-1", GOV_TOKENS, 1},
    {"not a number", "RUNTIME_BUDGET_MAX_STEPS=many", GOV_DIMS, 0},
    {"nothing", "RUNTIME_BUDGET_MAX_STEPS=", GOV_DIMS, 0},
    {"negative money", "RUNTIME_BUDGET_MAX_COST_USD=-1", GOV_DIMS, 0},
    {"overflowing", "RUNTIME_BUDGET_MAX_TOKENS=99999999999999999999", GOV_DIMS, 0},
    {"overflowing time", "RUNTIME_BUDGET_WALL_CLOCK_MS=99999999999999999999", GOV_DIMS, 0},
    {"minus alone", "RUNTIME_BUDGET_MAX_STEPS=-", GOV_DIMS, 0},
    {"tool calls", "RUNTIME_BUDGET_TOOL_CALLS=5", GOV_TOOLS, 5},
    {"egress", "RUNTIME_BUDGET_NETWORK_EGRESS_BYTES=4096", GOV_EGRESS, 4096},
    {"writes", "RUNTIME_BUDGET_STORAGE_WRITE_BYTES=2M", GOV_WRITES, 2097152},
    {"writes below 1", "RUNTIME_BUDGET_STORAGE_WRITE_BYTES=0", GOV_WRITES, 1},
    {"misspelt", "RUNTIME_BUDGET_MAX_STEP=5", GOV_DIMS, 0},
    {"somebody else's", "RUNTIME_BUDGETS=5", GOV_STEPS, 0},
};

static void variables_are_read_or_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(variables); i++) {
        struct side_spec spec;
        struct side_error error = {{0}};
        const char *env[] = {"PATH=/bin", variables[i].given, NULL};
        bool ok;

        side_spec_init(&spec);
        ok = side_spec_env(&spec, env, &error);
        if (ok != (variables[i].dim != GOV_DIMS) ||
            (ok && spec.limits[variables[i].dim].amount != variables[i].want))
            fail_msg("%s: %s: %s %s", variables[i].why, variables[i].given,
                     ok ? "accepted" : "refused", error.text);
        if (!ok && strncmp(error.text, variables[i].given, strcspn(variables[i].given, "=")) != 0)
            fail_msg("%s: the message is \"%s\"", variables[i].why, error.text);
    }
}

static void of_a_variable_that_is_there_twice_the_last_counts(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};
    const char *env[] = {"RUNTIME_BUDGET_MAX_STEPS=3", "RUNTIME_BUDGET_MAX_STEPS=100", NULL};

    (void)state;
    side_spec_init(&spec);
    assert_true(side_spec_limit(&spec, GOV_STEPS, "5", "--max-steps", SIDE_FLAG, &error));
    assert_true(side_spec_env(&spec, env, &error));
    assert_int_equal(spec.limits[GOV_STEPS].amount, 5); /* and never more than the flag */
    assert_string_equal(side_env_find(env, "RUNTIME_BUDGET_MAX_STEPS"), "100");
    assert_null(side_env_find(env, "RUNTIME_BUDGET_MAX"));
    assert_null(side_env_find(NULL, "HOME"));
    assert_true(side_spec_env(&spec, NULL, &error));
}

/* ---- finishing ---------------------------------------------------------------------------- */

static void nothing_asked_for_is_the_table(void **state)
{
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    side_spec_finish(&spec);
    assert_true(spec.bare);
    assert_int_equal(spec.limits[GOV_STEPS].amount, 50);
    assert_int_equal(spec.limits[GOV_STEPS].policy, GOV_HARD_STOP);
    assert_int_equal(spec.limits[GOV_TOKENS].amount, 180000);
    assert_int_equal(spec.limits[GOV_TOKENS].policy, GOV_APPROVAL_REQUIRED);
    assert_true(spec.limits[GOV_COST].amount == USD(500000000000));
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_HARD_STOP);
    assert_int_equal(spec.limits[GOV_WALL].amount, 1800000);
    assert_int_equal(spec.limits[GOV_WALL].policy, GOV_HARD_STOP);
    assert_memory_equal(spec.percents, ((uint8_t[]){50, 80, 100}), 3);
    assert_int_equal(spec.busy_wait_ms, 45000);
    assert_int_equal(spec.approval_timeout_ms, 900000);
    assert_true(spec.clamp);
    assert_true(spec.ask_usage);
    assert_false(spec.refuse_curl);
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_DENY);
}

static void anything_asked_for_leaves_the_rest_unlimited(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};

    (void)state;
    side_spec_init(&spec);
    assert_true(side_spec_limit(&spec, GOV_COST, "0", "--max-cost", SIDE_FLAG, &error));
    side_spec_finish(&spec);
    assert_false(spec.bare);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        assert_int_equal(spec.limits[dim].amount, 0);

    side_spec_init(&spec); /* a limit of the session, or of the day, counts as well */
    spec.session_limits[GOV_COST].amount = 7;
    side_spec_finish(&spec);
    assert_false(spec.bare);
    assert_int_equal(spec.limits[GOV_STEPS].amount, 0);
    side_spec_init(&spec);
    spec.window_count = 1;
    side_spec_finish(&spec);
    assert_false(spec.bare);

    side_spec_init(&spec); /* how a limit works is no limit */
    assert_true(side_spec_policy(&spec, GOV_COST, "soft_warn", "--exhaustion", &error));
    side_spec_finish(&spec);
    assert_true(spec.bare);
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_SOFT_WARN);
}

static const struct {
    const char *name;
    int64_t wall_ms, tokens, tools;
    uint8_t percents[3];
} profiles[] = {
    {"conservative", 900000, 80000, 80, {50, 75, 100}},
    {"balanced", 1800000, 180000, 180, {50, 80, 100}},
    {"extended", 3600000, 360000, 360, {50, 85, 100}},
};

static void profiles_set_hard_limits_and_the_soft_ratio(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct side_spec spec;
        struct side_error error = {{0}};

        side_spec_init(&spec);
        assert_true(side_spec_profile(&spec, profiles[i].name, "--limits", SIDE_FLAG, &error));
        side_spec_finish(&spec);
        assert_false(spec.bare);
        assert_int_equal(spec.limits[GOV_WALL].amount, profiles[i].wall_ms);
        assert_int_equal(spec.limits[GOV_TOKENS].amount, profiles[i].tokens);
        assert_int_equal(spec.limits[GOV_TOKENS].policy, GOV_HARD_STOP);
        assert_int_equal(spec.limits[GOV_TOOLS].amount, profiles[i].tools);
        assert_int_equal(spec.limits[GOV_COST].amount, 0);
        assert_memory_equal(spec.percents, profiles[i].percents, 3);
    }
}

/* One that is there already is not told twice. */
static void the_soft_ratio_comes_once(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};

    (void)state;
    side_spec_init(&spec);
    memcpy(spec.percents, ((uint8_t[]){75, 80, 0}), 3);
    assert_true(side_spec_profile(&spec, "conservative", "--limits", SIDE_FLAG, &error));
    side_spec_finish(&spec);
    assert_memory_equal(spec.percents, ((uint8_t[]){75, 0, 0}), 3);
    assert_string_equal(side_profile_name(spec.profile), "conservative");
    assert_null(side_profile_name(0));
    assert_null(side_profile_name(4));
}

static void a_profile_leaves_what_the_policy_says(void **state)
{
    struct side_spec spec;
    struct side_error error = {{0}};

    (void)state;
    side_spec_init(&spec);
    assert_true(side_spec_policy(&spec, GOV_TOKENS, "soft_warn", "policy", &error));
    memcpy(spec.percents, ((uint8_t[]){90, 0, 0}), 3);
    assert_true(side_spec_profile(&spec, "conservative", "--limits", SIDE_FLAG, &error));
    side_spec_finish(&spec);
    assert_int_equal(spec.limits[GOV_TOKENS].policy, GOV_SOFT_WARN);
    assert_int_equal(spec.limits[GOV_WALL].policy, GOV_HARD_STOP);
    assert_memory_equal(spec.percents, ((uint8_t[]){90, 0, 0}), 3); /* 80 is not among them */
    assert_false(side_spec_profile(&spec, "frugal", "--limits", SIDE_FLAG, &error));
    assert_string_equal(error.text,
                        "--limits: 'frugal' is none of conservative, balanced, extended");
}

/* Tool calls, of which the profile has 80. */
static const struct {
    const char *why, *file, *flag, *variable; /* NULL: not given */
    enum side_source profile;
    int64_t want;
} beside_profiles[] = {
    {"a file's profile, a file's limit", "5", NULL, NULL, SIDE_FILE, 5},
    {"a file's profile, a flag", NULL, "500", NULL, SIDE_FILE, 500},
    {"a file's profile, a variable", NULL, NULL, "500", SIDE_FILE, 500},
    {"a flag's profile beats a file's limit", "5", NULL, NULL, SIDE_FLAG, 80},
    {"a flag's profile, a flag", NULL, "500", NULL, SIDE_FLAG, 500},
    {"a flag's profile is lower than the variable", NULL, NULL, "500", SIDE_FLAG, 80},
    {"the variable is lower than a flag's profile", NULL, NULL, "5", SIDE_FLAG, 5},
};

static void a_limit_of_its_own_beats_the_profile(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(beside_profiles); i++) {
        const char *const given[] = {NULL, beside_profiles[i].file, beside_profiles[i].flag,
                                     beside_profiles[i].variable};
        struct side_spec spec;
        struct side_error error = {{0}};

        side_spec_init(&spec);
        for (unsigned source = SIDE_FILE; source <= SIDE_ENV; source++)
            if (given[source] != NULL)
                assert_true(side_spec_limit(&spec, GOV_TOOLS, given[source], "it",
                                            (enum side_source)source, &error));
        assert_true(side_spec_profile(&spec, "conservative", "profile", beside_profiles[i].profile,
                                      &error));
        side_spec_finish(&spec);
        if (spec.limits[GOV_TOOLS].amount != beside_profiles[i].want)
            fail_msg("%s: %lld, wanted %lld", beside_profiles[i].why,
                     (long long)spec.limits[GOV_TOOLS].amount, (long long)beside_profiles[i].want);
    }
}

/* Steps: as asked for, and the ceiling. */
static const struct {
    const char *why;
    int64_t asked, ceiling, want;
    enum gov_policy policy, want_policy;
    bool meter_only;
} ceilings[] = {
    {"nothing asked for", 0, 20, 20, GOV_HARD_STOP, GOV_HARD_STOP, false},
    {"more than that", 50, 20, 20, GOV_HARD_STOP, GOV_HARD_STOP, false},
    {"less than that", 10, 20, 10, GOV_APPROVAL_REQUIRED, GOV_APPROVAL_REQUIRED, false},
    {"a warning alone", 10, 20, 20, GOV_SOFT_WARN, GOV_HARD_STOP, false},
    {"--meter-only", 50, 20, 20, GOV_HARD_STOP, GOV_HARD_STOP, true},
    {"no ceiling", 50, 0, 50, GOV_SOFT_WARN, GOV_SOFT_WARN, false},
};

static void a_ceiling_binds_everybody(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ceilings); i++) {
        struct side_spec spec;

        side_spec_init(&spec);
        spec.limits[GOV_STEPS] = (struct gov_limit){ceilings[i].asked, ceilings[i].policy};
        spec.source[GOV_STEPS] = SIDE_FLAG;
        spec.ceilings[GOV_STEPS].amount = ceilings[i].ceiling;
        spec.meter_only = ceilings[i].meter_only;
        side_spec_finish(&spec);
        if (spec.limits[GOV_STEPS].amount != ceilings[i].want ||
            spec.limits[GOV_STEPS].policy != ceilings[i].want_policy)
            fail_msg("%s: %lld, %s", ceilings[i].why, (long long)spec.limits[GOV_STEPS].amount,
                     gov_policy_name(spec.limits[GOV_STEPS].policy));
    }
}

static void the_table_has_every_dimension(void **state)
{
    static const struct gov_limit want[GOV_DIMS] = {[GOV_STEPS] = {50, GOV_HARD_STOP},
                                                    [GOV_TOKENS] = {180000, GOV_APPROVAL_REQUIRED},
                                                    [GOV_COST] = {USD(500000000000), GOV_HARD_STOP},
                                                    [GOV_WALL] = {1800000, GOV_HARD_STOP},
                                                    [GOV_TOOLS] = {180, GOV_HARD_STOP},
                                                    [GOV_EGRESS] = {10485760, GOV_HARD_STOP},
                                                    [GOV_WRITES] = {52428800, GOV_HARD_STOP},
                                                    [GOV_ERRORS] = {0, GOV_HARD_STOP},
                                                    [GOV_COMMAND] = {0, GOV_SOFT_WARN}};
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    spec.ceilings[GOV_ERRORS].amount = 3; /* a ceiling is no limit that was asked for */
    side_spec_finish(&spec);
    assert_true(spec.bare);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        assert_int_equal(spec.limits[dim].amount, dim == GOV_ERRORS ? 3 : want[dim].amount);
        assert_int_equal(spec.limits[dim].policy, want[dim].policy);
    }
}

/* Steps: of the run and of the session. */
static const struct {
    const char *why;
    int64_t run, session, want;
    enum gov_policy policy, want_policy;
    bool policy_given;
} clamps[] = {
    {"the session is lower", 50, 20, 20, GOV_APPROVAL_REQUIRED, GOV_HARD_STOP, false},
    {"the run is lower", 50, 80, 50, GOV_APPROVAL_REQUIRED, GOV_APPROVAL_REQUIRED, false},
    {"only the session has one", 0, 20, 20, GOV_HARD_STOP, GOV_HARD_STOP, false},
    {"only the run has one", 50, 0, 50, GOV_HARD_STOP, GOV_HARD_STOP, false},
    {"the same", 50, 50, 50, GOV_HARD_STOP, GOV_HARD_STOP, false},
    {"a policy that was asked for stays", 50, 20, 20, GOV_APPROVAL_REQUIRED, GOV_APPROVAL_REQUIRED,
     true},
};

static void a_session_clamps_its_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(clamps); i++) {
        struct side_spec spec;

        side_spec_init(&spec);
        spec.limits[GOV_STEPS] = (struct gov_limit){clamps[i].run, clamps[i].policy};
        spec.source[GOV_STEPS] = clamps[i].run != 0 ? SIDE_FLAG : SIDE_NOWHERE;
        spec.policy_given[GOV_STEPS] = clamps[i].policy_given;
        spec.session_limits[GOV_STEPS].amount = clamps[i].session;
        side_spec_finish(&spec);
        if (spec.limits[GOV_STEPS].amount != clamps[i].want ||
            spec.limits[GOV_STEPS].policy != clamps[i].want_policy)
            fail_msg("%s: %lld, %s", clamps[i].why, (long long)spec.limits[GOV_STEPS].amount,
                     gov_policy_name(spec.limits[GOV_STEPS].policy));
    }
}

static void meter_only_makes_everything_soft_and_pause_makes_everything_ask(void **state)
{
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    spec.meter_only = true;
    spec.on_exhausted = SIDE_PAUSE;
    spec.window_count = 1;
    side_spec_finish(&spec);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        assert_int_equal(spec.limits[dim].policy, GOV_SOFT_WARN);
        assert_int_equal(spec.session_limits[dim].policy, GOV_SOFT_WARN);
        assert_int_equal(spec.windows[0].limits[dim].policy, GOV_SOFT_WARN);
    }
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_WARN);

    side_spec_init(&spec);
    spec.meter_only = true;
    spec.unknown_model = SIDE_UNKNOWN_ROW;
    side_spec_finish(&spec);
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_ROW);

    side_spec_init(&spec);
    spec.on_exhausted = SIDE_PAUSE;
    spec.limits[GOV_WALL].policy = GOV_SOFT_WARN;
    side_spec_finish(&spec);
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_APPROVAL_REQUIRED);
    assert_int_equal(spec.limits[GOV_TOKENS].policy, GOV_APPROVAL_REQUIRED);
    assert_int_equal(spec.limits[GOV_WALL].policy, GOV_SOFT_WARN);
}

static void thresholds_rise(void **state)
{
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    memcpy(spec.percents, ((uint8_t[]){100, 0, 60}), 3);
    side_spec_finish(&spec);
    assert_memory_equal(spec.percents, ((uint8_t[]){60, 100, 0}), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_error_is_the_one_that_is_told),
        cmocka_unit_test(policies_are_known_by_name),
        cmocka_unit_test(flags_and_variables_beat_files_and_the_lower_counts),
        cmocka_unit_test(variables_are_read_or_refused_by_name),
        cmocka_unit_test(of_a_variable_that_is_there_twice_the_last_counts),
        cmocka_unit_test(nothing_asked_for_is_the_table),
        cmocka_unit_test(anything_asked_for_leaves_the_rest_unlimited),
        cmocka_unit_test(profiles_set_hard_limits_and_the_soft_ratio),
        cmocka_unit_test(the_soft_ratio_comes_once),
        cmocka_unit_test(a_profile_leaves_what_the_policy_says),
        cmocka_unit_test(a_limit_of_its_own_beats_the_profile),
        cmocka_unit_test(a_ceiling_binds_everybody),
        cmocka_unit_test(the_table_has_every_dimension),
        cmocka_unit_test(a_session_clamps_its_runs),
        cmocka_unit_test(meter_only_makes_everything_soft_and_pause_makes_everything_ask),
        cmocka_unit_test(thresholds_rise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
