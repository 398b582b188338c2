/* SPDX-License-Identifier: Apache-2.0 */
/* A run's description on its way to the sidecar, and the words for amounts, times and hashes. */
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

/* ---- there and back ----------------------------------------------------------------------- */

static void text_make(struct chance *chance, char *out, size_t size)
{
    static const char letters[] = "abz AZ09-_./:\"\\\n{}";
    size_t length = (size_t)chance_below(chance, (int64_t)size);

    for (size_t i = 0; i < length; i++)
        out[i] = letters[chance_below(chance, sizeof letters - 1)];
    out[length] = '\0';
}

static void limits_make(struct chance *chance, struct gov_limit limits[GOV_DIMS])
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        limits[dim] =
            (struct gov_limit){chance_one_in(chance, 2) ? (int64_t)(chance_u64(chance) >> 1) : 0,
                               (enum gov_policy)chance_below(chance, GOV_POLICIES)};
}

/* What stays with the launcher (who asked for what) is not sent. */
static void spec_make(struct chance *chance, struct side_spec *out)
{
    memset(out, 0, sizeof *out);
    side_quality_init(&out->quality); /* test_quality has the rest */
    out->quality.guards[SIDE_GUARD_SESSION].on = chance_one_in(chance, 2);
    limits_make(chance, out->limits);
    limits_make(chance, out->session_limits);
    for (unsigned i = 0; i < SIDE_PERCENTS; i++)
        out->percents[i] = (uint8_t)chance_below(chance, 101);
    out->profile = (unsigned)chance_below(chance, 4);
    out->bare = chance_one_in(chance, 2);
    out->meter_only = chance_one_in(chance, 2);
    out->clamp = chance_one_in(chance, 2);
    out->ask_usage = chance_one_in(chance, 2);
    out->refuse_curl = chance_one_in(chance, 2);
    out->on_exhausted = (enum side_exhausted)chance_below(chance, 3);
    out->busy_wait_ms = (int64_t)(chance_u64(chance) >> 2);
    out->approval_timeout_ms = (int64_t)(chance_u64(chance) >> 32);
    text_make(chance, out->policy, sizeof out->policy);
    text_make(chance, out->session, sizeof out->session);
    text_make(chance, out->task, sizeof out->task);
    text_make(chance, out->agent, sizeof out->agent);
    text_make(chance, out->labels, sizeof out->labels);
    text_make(chance, out->timezone, sizeof out->timezone);
    out->window_count = (unsigned)chance_below(chance, SIDE_WINDOWS_MAX + 1);
    for (unsigned i = 0; i < out->window_count; i++) {
        out->windows[i].scope = (enum gov_scope_kind)(1 + chance_below(chance, GOV_SCOPES - 1));
        out->windows[i].window = (enum gov_window)(1 + chance_below(chance, GOV_WINDOWS - 1));
        if (out->windows[i].window == GOV_ROLLING)
            out->windows[i].duration_s = 1 + chance_below(chance, GOV_ROLLING_MOST_S);
        out->windows[i].guard = chance_one_in(chance, 2);
        text_make(chance, out->windows[i].name, sizeof out->windows[i].name);
        limits_make(chance, out->windows[i].limits);
    }
    out->provider_count = (unsigned)chance_below(chance, SIDE_PROVIDERS_MAX + 1);
    for (unsigned i = 0; i < out->provider_count; i++) {
        (void)snprintf(out->providers[i].name, sizeof out->providers[i].name, "%s",
                       chance_one_in(chance, 2) ? "openai" : "anthropic");
        text_make(chance, out->providers[i].host, sizeof out->providers[i].host);
    }
    text_make(chance, out->price_file, sizeof out->price_file);
    text_make(chance, out->notify, sizeof out->notify);
    text_make(chance, out->agents, sizeof out->agents);
    out->unknown_model = (enum side_unknown)chance_below(chance, 4);
    text_make(chance, out->unknown_row, sizeof out->unknown_row);
    out->keeping.retention_ms = chance_below(chance, 1000000);
    out->keeping.anchor_ms = chance_below(chance, 1000000);
    text_make(chance, out->keeping.anchor_file, sizeof out->keeping.anchor_file);
    for (char *at = out->keeping.anchor_words; chance_one_in(chance, 2);) {
        if (at - out->keeping.anchor_words > 900)
            break;
        at += snprintf(at, 80, "word %d", (int)chance_below(chance, 100)) + 1;
        *at = '\0';
    }
}

static bool same_keeping(const struct side_keeping *a, const struct side_keeping *b)
{
    size_t used = 0;

    while (a->anchor_words[used] != '\0')
        used += strlen(a->anchor_words + used) + 1;
    return a->retention_ms == b->retention_ms && a->anchor_ms == b->anchor_ms &&
           strcmp(a->anchor_file, b->anchor_file) == 0 &&
           memcmp(a->anchor_words, b->anchor_words, used + 1) == 0;
}

/* Bytes behind the end of a text do not count. */
static bool same_texts(const struct side_spec *a, const struct side_spec *b)
{
    for (unsigned i = 0; i < a->provider_count; i++)
        if (strcmp(a->providers[i].name, b->providers[i].name) != 0 ||
            strcmp(a->providers[i].host, b->providers[i].host) != 0)
            return false;
    return strcmp(a->policy, b->policy) == 0 && strcmp(a->session, b->session) == 0 &&
           strcmp(a->task, b->task) == 0 && strcmp(a->agent, b->agent) == 0 &&
           strcmp(a->labels, b->labels) == 0 && strcmp(a->timezone, b->timezone) == 0 &&
           strcmp(a->price_file, b->price_file) == 0 && strcmp(a->notify, b->notify) == 0 &&
           strcmp(a->agents, b->agents) == 0 && strcmp(a->unknown_row, b->unknown_row) == 0;
}

static bool same_limits(const struct gov_limit *a, const struct gov_limit *b)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (a[dim].amount != b[dim].amount || a[dim].policy != b[dim].policy)
            return false;
    return true;
}

static bool same_spec(const struct side_spec *a, const struct side_spec *b)
{
    if (!same_limits(a->limits, b->limits) || !same_limits(a->session_limits, b->session_limits) ||
        memcmp(a->percents, b->percents, sizeof a->percents) != 0 || a->bare != b->bare ||
        a->meter_only != b->meter_only || a->clamp != b->clamp || a->ask_usage != b->ask_usage ||
        a->refuse_curl != b->refuse_curl || a->on_exhausted != b->on_exhausted ||
        a->busy_wait_ms != b->busy_wait_ms || a->approval_timeout_ms != b->approval_timeout_ms ||
        a->window_count != b->window_count || a->provider_count != b->provider_count ||
        a->unknown_model != b->unknown_model || a->profile != b->profile)
        return false;
    for (unsigned i = 0; i < a->window_count; i++)
        if (a->windows[i].window != b->windows[i].window ||
            a->windows[i].scope != b->windows[i].scope ||
            a->windows[i].duration_s != b->windows[i].duration_s ||
            a->windows[i].guard != b->windows[i].guard ||
            strcmp(a->windows[i].name, b->windows[i].name) != 0 ||
            !same_limits(a->windows[i].limits, b->windows[i].limits))
            return false;
    return same_texts(a, b) && same_keeping(&a->keeping, &b->keeping) &&
           memcmp(&a->quality, &b->quality, sizeof a->quality) == 0;
}

static void a_description_arrives_as_it_was_sent(void **state)
{
    struct chance chance = {.state = 20260406};

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        static struct side_spec sent, got;
        struct side_error error = {{0}};
        json_t *json, *read;
        char *text;

        spec_make(&chance, &sent);
        json = side_spec_json(&sent);
        assert_non_null(json);
        text = json_dumps(json, JSON_COMPACT);
        read = json_loads(text, 0, NULL);
        if (!side_spec_parse(read, &got, &error) || !same_spec(&sent, &got))
            fail_msg("round %u: %s\n%s", round, error.text, text);
        json_decref(json);
        json_decref(read);
        free(text);
    }
}

static void a_finished_default_arrives_too(void **state)
{
    struct side_spec sent, got;
    struct side_error error = {{0}};
    json_t *json;

    (void)state;
    side_spec_init(&sent);
    side_spec_finish(&sent);
    json = side_spec_json(&sent);
    assert_true(side_spec_parse(json, &got, &error));
    assert_true(same_spec(&sent, &got));
    json_decref(json);
}

/* Each is put into an otherwise good description; NULL: taken out. */
#define WINDOW(scope, window, duration)                                                            \
    "[{\"scope\":" scope ",\"name\":\"\",\"window\":" window ",\"duration_s\":" duration           \
    ",\"guard\":false,\"limits\":{}}]"

static const struct {
    const char *name, *value;
} broken[] = {
    {"limits", NULL},
    {"limits", "[]"},
    {"limits", "{\"tea\":{\"amount\":1,\"policy\":0}}"},
    {"limits", "{\"steps\":{\"amount\":-1,\"policy\":0}}"},
    {"limits", "{\"steps\":{\"amount\":1.5,\"policy\":0}}"},
    {"limits", "{\"steps\":{\"amount\":1,\"policy\":3}}"},
    {"limits", "{\"steps\":{\"amount\":1}}"},
    {"limits", "{\"steps\":7}"},
    {"session_limits", NULL},
    {"percents", "[50,80]"},
    {"percents", "[50,80,100,100]"},
    {"percents", "[50,80,101]"},
    {"percents", "[-1,80,100]"},
    {"percents", "[\"50\",80,100]"},
    {"percents", "80"},
    {"on_exhausted", "3"},
    {"on_exhausted", "\"deny\""},
    {"approval_timeout_ms", "-1"},
    {"busy_wait_ms", "-1"},
    {"busy_wait_ms", "9223372036854775807"},
    {"policy", "7"},
    {"profile", "4"},
    {"profile", "null"},
    {"session", "\"0123456789012345678901234567890123456789012345678901234567890123\""},
    {"windows", "{}"},
    {"windows", WINDOW("2", "0", "0")},
    {"windows", WINDOW("0", "1", "0")},
    {"windows", WINDOW("11", "1", "0")},
    {"windows", WINDOW("2", "5", "0")},
    {"windows", WINDOW("2", "1", "60")},
    {"windows", WINDOW("2", "4", "0")},
    {"windows", WINDOW("2", "4", "31622401")},
    {"windows", "[{\"scope\":2,\"window\":1,\"duration_s\":0,\"limits\":{}}]"},
    {"windows", "[{\"scope\":2,\"name\":\"\",\"window\":1,\"duration_s\":0}]"},
    {"windows", "[{},{},{},{},{},{},{},{},{}]"},
    {"labels", NULL},
    {"timezone", "1"},
    {"providers", "[{\"name\":\"nobody\",\"host\":\"h\"}]"},
    {"providers", "[{\"name\":\"openai\"}]"},
    {"providers", "7"},
    {"unknown_model", "4"},
    {"unknown_row", NULL},
    {"bare", NULL},
    {"clamp", "1"},
    {"ask_usage", NULL},
    {"ask_usage", "\"on\""},
    {"meter_only", "\"yes\""},
    {"refuse_curl", NULL},
    {"notify", NULL},
    {"agents", NULL},
};

static void a_description_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        struct side_spec spec;
        struct side_error error = {{0}};
        json_t *json;

        side_spec_init(&spec);
        json = side_spec_json(&spec);
        if (broken[i].value == NULL)
            (void)json_object_del(json, broken[i].name);
        else
            (void)json_object_set_new(json, broken[i].name,
                                      json_loads(broken[i].value, JSON_DECODE_ANY, NULL));
        if (side_spec_parse(json, &spec, &error) || error.text[0] == '\0')
            fail_msg("\"%s\": %s is accepted", broken[i].name,
                     broken[i].value != NULL ? broken[i].value : "(not there)");
        json_decref(json);
    }
}

/* What has no member yet has none of it. */
static void a_description_of_an_older_version_is_read(void **state)
{
    struct side_spec sent, got;
    struct side_error error = {{0}};
    json_t *json;

    (void)state;
    side_spec_init(&sent);
    json = side_spec_json(&sent);
    (void)json_object_del(json, "profile");
    (void)json_object_del(json_object_get(json, "quality"), "prefer_local");
    (void)json_object_del(json_object_get(json, "quality"), "local_model");
    if (!side_spec_parse(json, &got, &error))
        fail_msg("%s", error.text);
    assert_true(same_spec(&sent, &got));
    json_decref(json);
}

/* ---- words -------------------------------------------------------------------------------- */

static const struct {
    enum gov_dim dim;
    int64_t amount;
    const char *text, *json;
} words[] = {
    {GOV_COST, 0, "$0.00", "\"0\""},
    {GOV_COST, 500000000000, "$0.50", "\"0.5\""},
    {GOV_COST, 5000000000000, "$5.00", "\"5\""},
    {GOV_COST, 123456789, "$0.000123456789", "\"0.000123456789\""},
    {GOV_COST, INT64_MAX, "$9223372.036854775807", "\"9223372.036854775807\""},
    {GOV_STEPS, 0, "0", "0"},
    {GOV_STEPS, 999, "999", "999"},
    {GOV_TOKENS, 1000, "1,000", "1000"},
    {GOV_TOKENS, 180000, "180,000", "180000"},
    {GOV_TOKENS, 1234567, "1,234,567", "1234567"},
    {GOV_TOKENS, -123456, "-123,456", "-123456"},
    {GOV_TOKENS, INT64_MAX, "9,223,372,036,854,775,807", "9223372036854775807"},
    {GOV_TOKENS, INT64_MIN, "-9,223,372,036,854,775,808", "-9223372036854775808"},
    {GOV_WALL, 0, "0s", "0"},
    {GOV_WALL, 250, "250ms", "250"},
    {GOV_WALL, 45000, "45s", "45000"},
    {GOV_WALL, 1800000, "30m", "1800000"},
    {GOV_WALL, 5400000, "1h30m", "5400000"},
    {GOV_WALL, 7200000, "2h", "7200000"},
};

static void amounts_have_words_and_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(words); i++) {
        char text[SIDE_AMOUNT_TEXT], *json_text;
        json_t *json = side_amount_json(words[i].dim, words[i].amount);

        json_text = json_dumps(json, JSON_ENCODE_ANY);
        assert_string_equal(side_amount_text(words[i].dim, words[i].amount, text), words[i].text);
        assert_string_equal(json_text, words[i].json);
        free(json_text);
        json_decref(json);
    }
}

/* What is said of a duration is read as the same one. */
static void durations_are_read_as_they_are_written(void **state)
{
    struct chance chance = {.state = 20260407};

    (void)state;
    for (unsigned round = 0; round < 10000; round++) {
        static const int64_t units[] = {1, 1000, 60000, 3600000};
        int64_t ms = chance_below(&chance, 100000) * units[chance_below(&chance, 4)], got;
        char text[SIDE_AMOUNT_TEXT];

        if (!side_duration_parse(side_amount_text(GOV_WALL, ms, text), &got) || got != ms)
            fail_msg("%lld ms are written '%s'", (long long)ms, text);
    }
}

static void times_are_in_utc_to_the_millisecond(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(side_time_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(side_time_text(INT64_C(1767225599999999999), text),
                        "2025-12-31T23:59:59.999Z");
    assert_string_equal(side_time_text(INT64_C(1709208000001000000), text),
                        "2024-02-29T12:00:00.001Z");
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static const struct {
    const char *why, *given;
    bool want;
} hashes[] = {
    {"64 digits", HEX, true},
    {"63 digits", "0112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", false},
    {"65 digits", HEX "0", false},
    {"none", "", false},
    {"a letter beyond f", "g0112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF",
     false},
    {"a hyphen", "0011223344556677-899aabbccddeeff00112233445566778899AABBCCDDEEFF", false},
    {"a hyphen too many", "00112233-44556677-8899aabbccddeeff00112233445566778899aabbccddeeff",
     false},
};

static void a_hash_has_64_digits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hashes); i++) {
        uint8_t hash[32];

        if (side_hash_parse(hashes[i].given, hash) != hashes[i].want)
            fail_msg("%s: %s", hashes[i].why, hashes[i].want ? "refused" : "accepted");
        if (hashes[i].want)
            assert_true(hash[0] == 0 && hash[1] == 0x11 && hash[31] == 0xff);
    }
}

static void a_proof_says_what_it_proved(void **state)
{
    struct store_proof proof = {
        .chain = true, .sums = false, .caps = true, .records = 17, .first_bad = 4};
    json_t *json;

    (void)state;
    memset(proof.head, 0xab, sizeof proof.head);
    (void)snprintf(proof.what, sizeof proof.what, "the row of the call of record 4");
    json = side_proof_json(&proof);
    assert_true(json_is_false(json_object_get(json, "ok")));
    assert_int_equal(json_integer_value(json_object_get(json, "records")), 17);
    assert_int_equal(json_integer_value(json_object_get(json, "first_bad")), 4);
    assert_int_equal(strlen(json_string_value(json_object_get(json, "head"))), 64);
    assert_true(json_is_true(json_object_get(json_object_get(json, "checks"), "chain")));
    assert_true(json_is_false(json_object_get(json_object_get(json, "checks"), "sums")));
    assert_true(json_is_true(json_object_get(json_object_get(json, "checks"), "caps")));
    json_decref(json);
    proof = (struct store_proof){.chain = true, .sums = true, .caps = true};
    json = side_proof_json(&proof);
    assert_true(json_is_true(json_object_get(json, "ok")));
    assert_true(json_is_null(json_object_get(json, "first_bad"))); /* unknown is null, never 0 */
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_arrives_as_it_was_sent),
        cmocka_unit_test(a_finished_default_arrives_too),
        cmocka_unit_test(a_description_that_is_not_whole_is_refused),
        cmocka_unit_test(a_description_of_an_older_version_is_read),
        cmocka_unit_test(amounts_have_words_and_json),
        cmocka_unit_test(durations_are_read_as_they_are_written),
        cmocka_unit_test(times_are_in_utc_to_the_millisecond),
        cmocka_unit_test(a_hash_has_64_digits),
        cmocka_unit_test(a_proof_says_what_it_proved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
