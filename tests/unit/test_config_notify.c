/* SPDX-License-Identifier: Apache-2.0 */
/* `notify:`, in the configuration: who is told of what. */
#include "tests/unit/config_test.h"

#define RULE(text) "notify:\n  - { " text " }\n"

static const struct wrong errors[] = {
    {"no list", "notify: { on: [warning] }\n", "1:9", "a list is expected here"},
    {"no rule", "notify: [warning]\n", "1:10", "keys with values are expected"},
    {"an unknown key", RULE("on: [warning], comand: [a]"), "2:22",
     "unknown key 'comand'; the nearest one is 'command'"},
    {"an unknown event", RULE("on: [warnin], command: [a]"), "2:12",
     "unknown key 'warnin'; the nearest one is 'warning'"},
    {"no event", RULE("command: [a]"), "2:5", "it needs 'on'"},
    {"an empty list of events", RULE("on: [], command: [a]"), "2:5", "it needs 'on'"},
    {"an event by a word", RULE("on: warning, command: [a]"), "2:11", "a list is expected here"},
    {"an event twice", RULE("on: [warning, warning], command: [a]"), "2:21", "given twice"},
    {"nobody to tell", RULE("on: [warning]"), "2:5", "a 'command' or a 'webhook'"},
    {"an empty command", RULE("on: [warning], command: []"), "2:5", "a 'command' or a 'webhook'"},
    {"two to tell", RULE("on: [warning], command: [a], webhook: \"http://a/\""), "2:5",
     "a 'command' or a 'webhook'"},
    {"a command by a word", RULE("on: [warning], command: a"), "2:31", "a list is expected here"},
    {"a command without a name", RULE("on: [warning], command: [\"\", a]"), "2:32",
     "neither a full path nor a name in PATH"},
    {"a command beside the file", RULE("on: [warning], command: [bin/tell]"), "2:32",
     "'bin/tell' is neither a full path nor a name in PATH"},
    {"another scheme", RULE("on: [warning], webhook: \"ftp://a/\""), "2:31",
     "is not an address that begins with http:// or https://"},
    {"no scheme", RULE("on: [warning], webhook: a.example"), "2:31", "is not an address"},
    {"no host", RULE("on: [warning], webhook: \"http:///a\""), "2:31", "is not an address"},
    {"a space", RULE("on: [warning], webhook: \"http://a/b c\""), "2:31", "is not an address"},
    {"five rules",
     "notify:\n"
     "  - { on: [warning], command: [a] }\n"
     "  - { on: [warning], command: [a] }\n"
     "  - { on: [warning], command: [a] }\n"
     "  - { on: [warning], command: [a] }\n"
     "  - { on: [warning], command: [a] }\n",
     "6:5", "more than 4 rules"},
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    check_wrong(errors, COUNT(errors));
}

static void rules_are_kept_as_they_are(void **state)
{
    struct side_spec spec;

    (void)state;
    read_well(&spec, "notify:\n"
                     "  - { on: [approval, warning], command: [/bin/tell, \"\", \"a b\"] }\n"
                     "  - { on: [exhausted], webhook: \"HTTPS://h.example:8/x?y\" }\n");
    assert_string_equal(spec.notify,
                        "[{\"on\":[\"approval\",\"warning\"],"
                        "\"command\":[\"/bin/tell\",\"\",\"a b\"]},"
                        "{\"on\":[\"exhausted\"],\"webhook\":\"HTTPS://h.example:8/x?y\"}]");
    side_spec_finish(&spec);
    assert_true(spec.bare); /* it is no limit */
    read_well(&spec, "notify: []\n");
    assert_string_equal(spec.notify, "[]");
}

static void rules_that_are_too_long_are_refused(void **state)
{
    static char text[SIDE_NOTIFY_TEXT + 100];
    struct side_spec spec;
    struct side_error error;

    (void)state;
    (void)snprintf(text, sizeof text, RULE("on: [warning], command: [a, %0*d]"),
                   (int)SIDE_NOTIFY_TEXT, 0);
    assert_false(read_text(&spec, text, NULL, &error));
    assert_non_null(strstr(error.text, "2:3: the rules are longer than 4096 bytes"));
    assert_string_equal(spec.notify, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(rules_are_kept_as_they_are),
        cmocka_unit_test(rules_that_are_too_long_are_refused),
    };

    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
