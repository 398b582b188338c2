/* SPDX-License-Identifier: Apache-2.0 */
/* `agents:`, in the configuration: what it says of each, and whose policy applies. */
#include "tests/unit/config_test.h"

static const struct wrong errors[] = {
    {"no map", "agents: [a]\n", "1:9", "keys with values are expected"},
    {"an agent that is no map", "agents: { a: T1 }\n", "1:14", "keys with values are expected"},
    {"an unknown key", "agents: { a: { prefered_tier: T1 } }\n", "1:16",
     "unknown key 'prefered_tier'; the nearest one is 'preferred_tier'"},
    {"an unknown tier", "agents: { a: { preferred_tier: T5 } }\n", "1:32", "'T5' is none of T0"},
    {"no call at a time", "agents: { a: { max_concurrency: 0 } }\n", "1:33",
     "'0' is not a number of calls from 1 to 1000000"},
    {"too many calls", "agents: { a: { max_concurrency: 1000001 } }\n", "1:33", "not a number"},
    {"a number that is none", "agents: { a: { max_concurrency: two } }\n", "1:33", "not a number"},
    {"a policy without a name", "agents: { a: { policy: '' } }\n", "1:24", "no name of a policy"},
    {"an agent without a name", "agents: { '': { policy: b } }\n", "1:11", "an agent has a name"},
    {"an agent twice", "agents: { a: { policy: b }, a: { policy: b } }\n", "1:29", "given twice"},
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    check_wrong(errors, COUNT(errors));
}

static void an_agent_is_found_by_its_name(void **state)
{
    struct side_spec spec;
    struct side_agent agent;

    (void)state;
    read_well(&spec, "governance: { policies: { p: {} } }\n"
                     "agents: { a: { preferred_tier: T2, max_concurrency: 3, policy: p }, "
                     "\"b c\": { max_concurrency: 1 } }\n");
    side_agent_find(&spec, "a", &agent);
    assert_int_equal(agent.preferred, 1 + 2);
    assert_int_equal(agent.max_concurrency, 3);
    assert_string_equal(agent.policy, "p");
    side_agent_find(&spec, "b c", &agent);
    assert_int_equal(agent.preferred, 0);
    assert_int_equal(agent.max_concurrency, 1);
    assert_string_equal(agent.policy, "");
    side_agent_find(&spec, "c", &agent);
    assert_int_equal(agent.preferred, 0);
    assert_int_equal(agent.max_concurrency, 0);
    side_spec_finish(&spec);
    assert_true(spec.bare); /* it is no limit */
}

static void the_policy_of_the_agent_comes_before_the_default(void **state)
{
    static const char text[] = "governance: { policies: { default: { budgets: { steps: 1 } }, "
                               "p: { budgets: { steps: 2 } }, q: { budgets: { steps: 3 } } } }\n"
                               "agents: { a: { policy: p }, b: {} }\n";
    static const char *const env[] = {NULL};

    (void)state;
    write_file(file, text, strlen(text));
    assert_int_equal(steps_of(file, env, "", NULL), 1);
    assert_int_equal(steps_of(file, env, "b", NULL), 1);
    assert_int_equal(steps_of(file, env, "a", NULL), 2);
    assert_int_equal(steps_of(file, env, "a", "q"), 3); /* one that is asked for comes first */
}

/* Whoever runs: it would be found missing when it is needed. */
static void the_policy_of_an_agent_has_to_be_there(void **state)
{
    static const char text[] = "governance: { policies: { p: {}, q: {} } }\n"
                               "agents: { a: { policy: p }, c: { policy: r } }\n";
    struct side_spec spec;
    struct side_error error;

    (void)state;
    assert_false(read_text(&spec, text, NULL, &error));
    assert_string_equal(error.text, "agents: 'c': no policy is called 'r'; these are: 'p', 'q'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(an_agent_is_found_by_its_name),
        cmocka_unit_test(the_policy_of_the_agent_comes_before_the_default),
        cmocka_unit_test(the_policy_of_an_agent_has_to_be_there),
    };

    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
