/* SPDX-License-Identifier: Apache-2.0 */
/* Guardrails, ratio, pacing and profile as the environment asks for them: what is taken, what is
 * clamped, what is an error that names its variable; and what becomes of a run by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/sidecar.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool read_one(struct side_spec *spec, const char *entry, struct side_error *error)
{
    const char *env[] = {entry, NULL};

    memset(error, 0, sizeof *error);
    side_spec_init(spec);
    return side_spec_env(spec, env, error);
}

/* ---- values ------------------------------------------------------------------------------- */

#define AT(field) offsetof(struct side_quality, field)

static const struct {
    const char *entry;
    size_t at;
    int64_t want;
} numbers[] = {
    {"DAILY_REQUEST_LIMIT=17", AT(guards[SIDE_GUARD_DAILY].requests), 17},
    {"DAILY_REQUEST_LIMIT=0", AT(guards[SIDE_GUARD_DAILY].requests), 1},
    {"DAILY_REQUEST_LIMIT=-5", AT(guards[SIDE_GUARD_DAILY].requests), 1},
    {"DAILY_TOKEN_LIMIT=9223372036854775807", AT(guards[SIDE_GUARD_DAILY].tokens), INT64_MAX},
    {"SESSION_REQUEST_LIMIT=1", AT(guards[SIDE_GUARD_SESSION].requests), 1},
    {"SESSION_TOKEN_LIMIT=5", AT(guards[SIDE_GUARD_SESSION].tokens), 5},
    {"PROVIDER_REQUEST_LIMIT=6", AT(guards[SIDE_GUARD_PROVIDER].requests), 6},
    {"PROVIDER_TOKEN_LIMIT=7", AT(guards[SIDE_GUARD_PROVIDER].tokens), 7},
    {"WARNING_RATIO=0.5", AT(rules.warning_ppm), 500000},
    {"WARNING_RATIO=0", AT(rules.warning_ppm), 10000},
    {"WARNING_RATIO=0.001", AT(rules.warning_ppm), 10000},
    {"WARNING_RATIO=-3", AT(rules.warning_ppm), 10000},
    {"WARNING_RATIO=1", AT(rules.warning_ppm), 990000},
    {"WARNING_RATIO=80", AT(rules.warning_ppm), 990000},
    {"WARNING_PACING_MS=10", AT(rules.warning_pacing_ms), 10},
    {"WARNING_PACING_MS=0", AT(rules.warning_pacing_ms), 1},
    {"HARD_PACING_MS=3600000", AT(rules.hard_pacing_ms), 3600000},
    {"PROVIDER_COOLDOWN_MS=500", AT(cooldown_ms), 500},
};

static void numbers_are_taken_and_clamped(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char entry[100] = "RUNTIME_BUDGET_";
        struct side_spec spec;
        struct side_error error;
        int64_t got;

        (void)strcat(entry, numbers[i].entry);
        if (!read_one(&spec, entry, &error))
            fail_msg("%s: %s", entry, error.text);
        memcpy(&got, (const char *)&spec.quality + numbers[i].at, sizeof got);
        if (got != numbers[i].want)
            fail_msg("%s: %lld, wanted %lld", entry, (long long)got, (long long)numbers[i].want);
    }
}

static void words_are_taken(void **state)
{
    struct side_spec spec;
    struct side_error error;

    (void)state;
    assert_true(read_one(&spec, "RUNTIME_BUDGET_DEFAULT_PROFILE=economy", &error));
    assert_int_equal(spec.quality.rules.preset, GOV_ECONOMY);
    assert_true(read_one(&spec, "RUNTIME_BUDGET_PREFER_LOCAL_MODEL=1", &error));
    assert_true(spec.quality.rules.prefer_local);
    assert_true(read_one(&spec, "RUNTIME_BUDGET_PREFER_LOCAL_MODEL=off", &error));
    assert_false(spec.quality.rules.prefer_local);
    assert_true(read_one(&spec, "RUNTIME_BUDGET_LOCAL_MODEL_ID=llama3.2", &error));
    assert_string_equal(spec.quality.local_model, "llama3.2");
}

static void what_does_not_parse_is_an_error_that_names_it(void **state)
{
    static const char *const entries[] = {
        "DAILY_REQUEST_LIMIT=",
        "DAILY_REQUEST_LIMIT=many",
        "DAILY_REQUEST_LIMIT=1.5",
        "DAILY_REQUEST_LIMIT=1 ",
        "DAILY_TOKEN_LIMIT=9223372036854775808",
        "SESSION_REQUEST_LIMIT=1e3",
        "SESSION_TOKEN_LIMIT=-",
        "PROVIDER_REQUEST_LIMIT=+1",
        "PROVIDER_TOKEN_LIMIT=0x10",
        "WARNING_RATIO=",
        "WARNING_RATIO=80%",
        "WARNING_RATIO=NaN",
        "WARNING_PACING_MS=fast",
        "WARNING_PACING_MS=3600001",
        "HARD_PACING_MS=1s",
        "PROVIDER_COOLDOWN_MS=99999999999999999999",
        "DEFAULT_PROFILE=best",
        "PREFER_LOCAL_MODEL=maybe",
        "LOCAL_MODEL_ID=",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(entries); i++) {
        char entry[100] = "RUNTIME_BUDGET_";
        struct side_spec spec;
        struct side_error error;

        (void)strcat(entry, entries[i]);
        if (read_one(&spec, entry, &error))
            fail_msg("%s is taken", entry);
        entry[strcspn(entry, "=")] = '\0';
        if (strstr(error.text, entry) == NULL)
            fail_msg("'%s' does not name %s", error.text, entry);
    }
}

/* ---- what becomes of it ------------------------------------------------------------------- */

static void a_variable_turns_on_its_own_guardrail(void **state)
{
    static const struct {
        const char *entry;
        enum side_guard guard;
    } rows[] = {
        {"RUNTIME_BUDGET_DAILY_TOKEN_LIMIT=5", SIDE_GUARD_DAILY},
        {"RUNTIME_BUDGET_SESSION_REQUEST_LIMIT=5", SIDE_GUARD_SESSION},
        {"RUNTIME_BUDGET_PROVIDER_REQUEST_LIMIT=5", SIDE_GUARD_PROVIDER},
        {"RUNTIME_BUDGET_WARNING_RATIO=0.5", SIDE_GUARDS},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct side_spec spec;
        struct side_error error;

        assert_true(read_one(&spec, rows[i].entry, &error));
        for (unsigned guard = 0; guard < SIDE_GUARDS; guard++)
            assert_int_equal(spec.quality.guards[guard].on, guard == rows[i].guard);
        side_spec_finish(&spec);
        assert_int_equal(spec.bare, rows[i].guard == SIDE_GUARDS);
    }
}

static void guardrails_become_windows(void **state)
{
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    side_quality_guard_all(&spec.quality);
    side_spec_finish(&spec);
    assert_int_equal(spec.window_count, 2);
    assert_int_equal(spec.windows[0].scope, GOV_GLOBAL);
    assert_int_equal(spec.windows[1].scope, GOV_PROVIDER);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(spec.windows[i].window, GOV_DAILY);
        assert_true(spec.windows[i].guard);
        assert_int_equal(spec.windows[i].limits[GOV_STEPS].policy, GOV_HARD_STOP);
    }
    assert_int_equal(spec.windows[0].limits[GOV_STEPS].amount, 2400);
    assert_int_equal(spec.windows[0].limits[GOV_TOKENS].amount, 5000000);
    assert_int_equal(spec.windows[1].limits[GOV_STEPS].amount, 1000);
    assert_int_equal(spec.windows[1].limits[GOV_TOKENS].amount, 2200000);
    assert_int_equal(spec.quality.guards[SIDE_GUARD_SESSION].requests, 300);
    assert_int_equal(spec.quality.guards[SIDE_GUARD_SESSION].tokens, 700000);
}

static void metering_alone_only_warns(void **state)
{
    struct side_spec spec;

    (void)state;
    side_spec_init(&spec);
    side_quality_guard_all(&spec.quality);
    spec.meter_only = true;
    side_spec_finish(&spec);
    assert_int_equal(spec.windows[0].limits[GOV_STEPS].policy, GOV_SOFT_WARN);
    assert_int_equal(spec.windows[1].limits[GOV_TOKENS].policy, GOV_SOFT_WARN);
}

static void it_arrives_as_it_was_sent(void **state)
{
    static const struct {
        const char *name;
        bool needed; /* the others are of younger versions */
    } members[] = {
        {"guards", true},       {"preset", true},         {"prefer_local", false},
        {"cooldown_ms", true},  {"warning_ppm", true},    {"warning_pacing_ms", true},
        {"local_model", false}, {"hard_pacing_ms", true},
    };
    struct side_quality sent, got;
    json_t *json;

    (void)state;
    side_quality_init(&sent);
    side_quality_init(&got);
    sent.guards[1].on = true;
    sent.guards[2].tokens = 77;
    sent.rules.preset = GOV_ECONOMY;
    sent.rules.prefer_local = true;
    sent.rules.warning_ppm = 123456;
    sent.rules.warning_pacing_ms = 1;
    sent.rules.hard_pacing_ms = 2;
    sent.cooldown_ms = 3;
    (void)strcpy(sent.local_model, "llama");
    json = side_quality_json(&sent);
    assert_true(side_quality_parse(json, &got));
    assert_memory_equal(&sent, &got, sizeof sent);
    for (size_t i = 0; i < COUNT(members); i++) {
        json_t *broken = json_deep_copy(json);

        (void)json_object_set_new(broken, members[i].name, json_integer(-1));
        if (side_quality_parse(broken, &got))
            fail_msg("%s: -1 is taken", members[i].name);
        (void)json_object_del(broken, members[i].name);
        if (side_quality_parse(broken, &got) == members[i].needed)
            fail_msg("%s: missing", members[i].name);
        json_decref(broken);
    }
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_taken_and_clamped),
        cmocka_unit_test(words_are_taken),
        cmocka_unit_test(what_does_not_parse_is_an_error_that_names_it),
        cmocka_unit_test(a_variable_turns_on_its_own_guardrail),
        cmocka_unit_test(guardrails_become_windows),
        cmocka_unit_test(metering_alone_only_warns),
        cmocka_unit_test(it_arrives_as_it_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
