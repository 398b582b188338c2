/* SPDX-License-Identifier: Apache-2.0 */
/* The router: every cell of the matrix, the classifiers, the patterns, the chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "governor/route.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *pattern, *path;
    bool want;
} paths[] = {
    {"docs/*", "docs/a.md", true},
    {"docs/*", "docs/a/b.md", false},
    {"docs/**", "docs/a/b.md", true},
    {"**/payments/**", "src/payments/a/b.c", true},
    {"**/payments/**", "payments/a.c", true},
    {"**/payments/**", "src/payment/a.c", false},
    {"*.c", "a.c", true},
    {"*.c", "a.h", false},
    {"*.c", "x/a.c", false},
    {"**/*.c", "x/y/a.c", true},
    {"**/*.c", "a.c", true},
    {"a?c", "abc", true},
    {"a?c", "a/c", false},
    {"", "a", false},
    {"**", "a/b", true},
    {"a*b*c", "axxbyyc", true},
    {"a*b*c", "axxbyy", false},
    {"src/**/key.c", "src/monkey.c", false},
    {"src/**/key.c", "src/key.c", true},
    {"src/**/key.c", "src/a/monkey.c", false},
    {"src/**/key.c", "src/a/b/key.c", true},
    {"**/key.c", "monkey.c", false},
    {"**/a/**/b", "xa/a/c/db/b", true},
    {"**/a/**/b", "xa/c/b", false},
    {"**/k*.c", "monkey.c", false},
    {"**/k*.c", "mon/k/key.c", true},
    {"a**b", "a/x/cb", true},
    {"src/**/", "src/a/b", true},
};

static void patterns_match_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++)
        if (gov_path_matches(paths[i].pattern, paths[i].path) != paths[i].want)
            fail_msg("'%s' against '%s': not %d", paths[i].pattern, paths[i].path, paths[i].want);
}

static const struct gov_model models[] = {
    {0, "top", "openai", NULL},   {1, "high", "openai", NULL}, {2, "middle", "anthropic", NULL},
    {2, "other", "openai", NULL}, {3, "low", "openai", NULL},  {4, "least", "gemini", NULL},
};
static const struct gov_risk_rule risks[] = {{0, "r0"}, {1, "r1"}, {2, "r2"}, {3, "r3"}};
static const struct gov_complexity_rule complexities[] = {
    {0, 0, -1, -1, -1}, {1, 100, -1, -1, -1}, {2, -1, 5, -1, -1}, {3, -1, -1, 9, 1}};
static const char *const governance[] = {"rules/**"};

static struct gov_routing routing_make(void)
{
    struct gov_routing out = {.risks = risks,
                              .risk_count = COUNT(risks),
                              .complexities = complexities,
                              .complexity_count = COUNT(complexities),
                              .governance = governance,
                              .governance_count = COUNT(governance),
                              .models = models,
                              .model_count = COUNT(models),
                              .chain = {0, 1, 2, 3, 4},
                              .chain_count = 5};

    memcpy(out.matrix, gov_matrix, sizeof gov_matrix);
    return out;
}

static bool is_anthropic(const void *data, const char *provider)
{
    (void)data;
    return strcmp(provider, "anthropic") == 0;
}

static void every_cell_gives_its_tier(void **state)
{
    static const uint8_t want[GOV_LEVELS][GOV_LEVELS] = {
        {4, 3, 2, 1}, {3, 2, 2, 1}, {2, 2, 1, 0}, {1, 1, 1, 0}};
    static const struct gov_task signals[] = {{.input_tokens = 99},
                                              {.input_tokens = 100},
                                              {.input_tokens = 100, .tools = 5},
                                              {.tools = 5, .files = 9, .thinking = true}};
    const struct gov_routing routing = routing_make();

    (void)state;
    for (unsigned complexity = 0; complexity < GOV_LEVELS; complexity++)
        for (unsigned risk = 0; risk < GOV_LEVELS; risk++)
            for (unsigned governed = 0; governed < 2; governed++) {
                const char *touched[] = {risks[risk].pattern, "rules/a/b"};
                struct gov_task task = signals[complexity];
                struct gov_selection got;

                task.paths = touched;
                task.path_count = 1 + governed;
                gov_select_model(&task, &routing, NULL, NULL, &got);
                if (got.risk != risk || got.complexity != complexity ||
                    got.tier != (governed ? 0 : want[complexity][risk]) ||
                    got.model->tier != got.tier || got.requires_approval != (governed || risk == 3))
                    fail_msg("R%u, L%u, governance %u: T%u", risk, complexity, governed, got.tier);
            }
}

static void an_agent_that_prefers_a_higher_tier_gets_it(void **state)
{
    const struct gov_routing routing = routing_make();

    (void)state;
    for (unsigned preferred = 0; preferred < GOV_TIERS; preferred++) {
        const struct gov_task task = {.input_tokens = 100, .preferred = 1 + preferred}; /* T2 */
        struct gov_selection got;

        gov_select_model(&task, &routing, NULL, NULL, &got);
        assert_int_equal(got.tier, preferred < 2 ? preferred : 2);
    }
}

static void the_highest_level_counts_and_the_middle_without_a_rule(void **state)
{
    static const char *const touched[] = {"r2", "r0"}, *const none[] = {"x"};
    struct gov_routing routing = routing_make();
    struct gov_task task = {.paths = touched, .path_count = 2, .input_tokens = 1000};
    struct gov_selection got;

    (void)state;
    gov_select_model(&task, &routing, NULL, NULL, &got);
    assert_int_equal(got.risk, 2);
    assert_int_equal(got.risk_rule, 2);
    assert_int_equal(got.complexity, 1);
    task.paths = none;
    task.path_count = 1;
    routing.complexity_count = 0;
    gov_select_model(&task, &routing, NULL, NULL, &got);
    assert_int_equal(got.risk, 1);
    assert_int_equal(got.risk_rule, -1);
    assert_int_equal(got.complexity, 1);
    assert_int_equal(got.complexity_rule, -1);
    assert_int_equal(got.tier, 2);
}

static void blocked_providers_are_passed_over(void **state)
{
    struct gov_routing routing = routing_make();
    struct gov_task task = {.input_tokens = 100};
    struct gov_selection got;

    (void)state;
    gov_select_model(&task, &routing, is_anthropic, NULL, &got);
    assert_string_equal(got.model->id, "other");
    routing.model_count = 3; /* nothing else in T2 or below */
    gov_select_model(&task, &routing, is_anthropic, NULL, &got);
    assert_null(got.model);
    assert_int_equal(got.wanted, 2);
    assert_int_equal(got.tier, GOV_TIERS);
}

static void the_chain_says_what_is_below(void **state)
{
    struct gov_routing routing = routing_make();

    (void)state;
    assert_int_equal(gov_tier_below(&routing, 0), 1);
    assert_int_equal(gov_tier_below(&routing, 4), GOV_TIERS);
    routing.chain_count = 2;
    routing.chain[1] = 3;
    assert_int_equal(gov_tier_below(&routing, 0), 3);
    assert_int_equal(gov_tier_below(&routing, 3), GOV_TIERS);
    assert_int_equal(gov_tier_of(&routing, "openai", "low"), 3);
    assert_int_equal(gov_tier_of(&routing, "anthropic", "low"), GOV_TIERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_paths),
        cmocka_unit_test(every_cell_gives_its_tier),
        cmocka_unit_test(an_agent_that_prefers_a_higher_tier_gets_it),
        cmocka_unit_test(the_highest_level_counts_and_the_middle_without_a_rule),
        cmocka_unit_test(blocked_providers_are_passed_over),
        cmocka_unit_test(the_chain_says_what_is_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
