/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what each key means, which file counts, and that nothing which is wrong,
 * unknown or not kept by this version is passed over. */
#include "tests/unit/config_test.h"

#include <sys/stat.h>

#define USD(pico) INT64_C(pico)

/* ---- errors ------------------------------------------------------------------------------- */

#define POLICY(text) "governance:\n  policies:\n    default:\n" text

static const struct wrong errors[] = {
    {"a misspelt key", "busy_wait: 1s\nbusy_wate: 5s\n", "2:1",
     "unknown key 'busy_wate'; the nearest one is 'busy_wait'"},
    {"a misspelt key inside", "prices:\n  overide: x\n", "2:3",
     "unknown key 'overide'; the nearest one is 'override'"},
    {"a misspelt budget", POLICY("      budgets:\n        max_cost: 5\n"), "5:9",
     "unknown key 'max_cost'; the nearest one is 'max_cost_usd'"},
    {"a misspelt policy key", POLICY("      budget:\n        steps: 5\n"), "4:7",
     "unknown key 'budget'; the nearest one is 'budgets'"},
    {"a misspelt dimension", "session_budget_limits:\n  llm_token: 5\n", "2:3",
     "unknown key 'llm_token'; the nearest one is 'llm_tokens'"},
    {"a misspelt dimension of a policy", POLICY("      exhaustion_policies: { cost: soft_warn }\n"),
     "4:30", "unknown key 'cost'; the nearest one is 'cost_usd'"},
    {"a misspelt window key", "windows:\n  - { window: daily, cost_us: 5 }\n", "2:22",
     "unknown key 'cost_us'; the nearest one is 'cost_usd'"},
    {"a misspelt provider key", "providers:\n  - { name: openai, host: [a] }\n", "2:21",
     "unknown key 'host'; the nearest one is 'hosts'"},
    {"a key twice", "refuse: http\nrefuse: http\n", "2:1", "'refuse' is given twice"},
    {"a budget twice", POLICY("      budgets: { steps: 5, steps: 6 }\n"), "4:28",
     "'steps' is given twice"},
    {"a policy twice", POLICY("      on_exhausted: deny\n    default:\n      on_exhausted: deny\n"),
     "5:5", "'default' is given twice"},
    {"a dimension twice", "session_budget_limits: { steps: 1, steps: 2 }\n", "1:36",
     "'steps' is given twice"},
    {"the same window twice",
     "windows:\n  - { window: daily, steps: 5 }\n  - { window: daily, cost_usd: 5 }\n", "3:5",
     "the same window is given twice"},
    {"the same host twice",
     "providers:\n  - { name: openai, hosts: [h] }\n  - { name: anthropic, hosts: [H] }\n", "3:32",
     "'h' is given twice"},
    {"two documents", "refuse: http\n---\nrefuse: http\n", "2:1", "a second document"},
    {"negative money", POLICY("      budgets: { max_cost_usd: -5 }\n"), "4:32",
     "max_cost_usd: '-5' is not an amount in USD"},
    {"negative tokens", "session_budget_limits: { llm_tokens: -5 }\n", "1:38",
     "llm_tokens: '-5' is not a whole number"},
    {"overflowing tokens", POLICY("      budgets: { token_budget: 99999999999999999999 }\n"),
     "4:32", "token_budget: '99999999999999999999' is not a whole number"},
    {"overflowing money", "windows: [ { window: daily, cost_usd: 9223373 } ]\n", "1:39",
     "cost_usd: '9223373' is not an amount in USD"},
    {"overflowing time", POLICY("      budgets: { wall_clock_ms: 9999999999999999 }\n"), "4:33",
     "is not a duration"},
    {"a wrong unit", POLICY("      budgets: { wall_clock_ms: 30 min }\n"), "4:33",
     "wall_clock_ms: '30 min' is not a duration, such as 45s"},
    {"a wrong unit of money", POLICY("      budgets: { max_cost_usd: 5 EUR }\n"), "4:32",
     "is not an amount in USD"},
    {"no amount", POLICY("      budgets:\n        steps:\n"), "5:15", "steps: '' is not"},
    {"a list for an amount", POLICY("      budgets: { steps: [5] }\n"), "4:25",
     "a single value is expected here"},
    {"a word for a mapping", "governance: on\n", "1:13", "keys with values are expected here"},
    {"a word for a list", "windows: daily\n", "1:10", "a list is expected here"},
    {"a key that is none", "? [a]\n: 5\n", "1:3", "a single value is expected here"},
    {"a text with an end in it", "refuse: \"http\\0x\"\n", "1:9",
     "a single value is expected here"},
    {"a policy that is none", POLICY("      exhaustion_policies: { cost_usd: stop }\n"), "4:40",
     "cost_usd: 'stop' is none of hard_stop, approval_required, soft_warn"},
    {"a policy of a window that is none", "windows: [ { window: daily, policy: stop } ]\n", "1:37",
     "'stop' is none of hard_stop"},
    {"a profile that is none", POLICY("      profile: frugal\n"), "4:16",
     "profile: 'frugal' is none of conservative, balanced, extended"},
    {"a size that is none", POLICY("      budgets: { storage_write_bytes: 5 parsecs }\n"), "4:39",
     "'5 parsecs' is not a size"},
    {"ceilings of a user", "ceilings: { cost_usd: 5 }\n", "1:11",
     "stand in the system's configuration alone"},
    {"a threshold of 0", POLICY("      thresholds: [0]\n"), "4:20", "'0' is not a percentage"},
    {"a threshold above all", POLICY("      thresholds: [50, 101]\n"), "4:24",
     "'101' is not a percentage"},
    {"a threshold that is no number", POLICY("      thresholds: [50%]\n"), "4:20",
     "'50%' is not a percentage"},
    {"no threshold", POLICY("      thresholds: ['']\n"), "4:20", "'' is not a percentage"},
    {"four thresholds", POLICY("      thresholds: [1, 2, 3, 4]\n"), "4:29",
     "more than 3 thresholds"},
    {"a threshold twice", POLICY("      thresholds: [50, 50]\n"), "4:24", "'50' is given twice"},
    {"an end that is none", POLICY("      on_exhausted: kill\n"), "4:21",
     "'kill' is none of deny, terminate, pause"},
    {"a window without a kind", "windows: [ { cost_usd: 5 } ]\n", "1:12", "needs 'window: daily'"},
    {"a window without a limit", "windows: [ { window: daily, policy: soft_warn } ]\n", "1:12",
     "needs a limit"},
    {"a kind of window", "windows: [ { window: yearly, steps: 5 } ]\n", "1:22",
     "window 'yearly' is none of daily, weekly, monthly"},
    {"rolling is no kind", "windows: [ { window: rolling, steps: 5 } ]\n", "1:22",
     "or use 'rolling: 5h'"},
    {"two kinds of window", "windows: [ { window: daily, steps: 5, rolling: 1h } ]\n", "1:48",
     "one of 'window' and 'rolling'"},
    {"two kinds, the other way round", "windows: [ { rolling: 1h, window: daily } ]\n", "1:35",
     "one of 'window' and 'rolling'"},
    {"a duration that is none", "windows: [ { rolling: soon, steps: 5 } ]\n", "1:23",
     "'soon' is not a duration from 1s to 366d"},
    {"no duration at all", "windows: [ { rolling: 0s, steps: 5 } ]\n", "1:23",
     "'0s' is not a duration from 1s to 366d"},
    {"half a second", "windows: [ { rolling: 1500ms, steps: 5 } ]\n", "1:23",
     "'1500ms' is not a duration from 1s to 366d"},
    {"too many days", "windows: [ { rolling: 367d, steps: 5 } ]\n", "1:23",
     "'367d' is not a duration from 1s to 366d"},
    {"a scope of a window", "windows: [ { scope: planet, window: daily, steps: 5 } ]\n", "1:21",
     "scope 'planet' is none of global, session:S, provider:X"},
    {"a run is no scope of a window", "windows: [ { scope: run, window: daily } ]\n", "1:21",
     "scope 'run' is none of global"},
    {"a tier is no scope of a window", "windows: [ { scope: 'tier:T0', window: daily } ]\n", "1:21",
     "scope 'tier:T0' is none of global"},
    {"a scope that needs a name", "windows: [ { scope: model, window: daily } ]\n", "1:21",
     "scope 'model' is none of global"},
    {"a scope that has none", "windows: [ { scope: 'global:x', window: daily } ]\n", "1:21",
     "scope 'global:x' is none of global"},
    {"a scope without its name", "windows: [ { scope: 'model:', window: daily } ]\n", "1:21",
     "scope 'model:': a name of 1 to 255 characters"},
    {"a provider of a window", "windows: [ { scope: 'provider:openay', steps: 5 } ]\n", "1:21",
     "no provider is called 'openay'"},
    {"a user by name", "windows: [ { scope: 'uid:root', steps: 5 } ]\n", "1:21",
     "'root' is not the number of a user"},
    {"a label without a value", "windows: [ { scope: 'label:team', steps: 5 } ]\n", "1:21",
     "'team' is not KEY=VALUE"},
    {"a directory that is not whole", "windows: [ { scope: 'project:src', steps: 5 } ]\n", "1:21",
     "'src' is not the full path of a directory"},
    {"a way through a directory", "windows: [ { scope: 'project:/a/../b', steps: 5 } ]\n", "1:21",
     "'/a/../b' is not the full path of a directory"},
    {"a zone that is none", "timezone: Europe/Berlim\n", "1:11",
     "/usr/share/zoneinfo/Europe/Berlim: No such file or directory"},
    {"a zone with a way out", "timezone: ../../../etc/passwd\n", "1:11", "is no time zone"},
    {"a file that is no zone", "timezone: tzdata.zi\n", "1:11", "is no time zone"},
    {"a zone that is a list of them", "timezone: leapseconds\n", "1:11",
     "is no file of a time zone"},
    {"nine windows",
     "windows:\n  - { rolling: 1s, steps: 5 }\n  - { rolling: 2s, steps: 5 }\n"
     "  - { rolling: 3s, steps: 5 }\n  - { rolling: 4s, steps: 5 }\n"
     "  - { rolling: 5s, steps: 5 }\n  - { rolling: 6s, steps: 5 }\n"
     "  - { rolling: 7s, steps: 5 }\n  - { rolling: 8s, steps: 5 }\n"
     "  - { rolling: 9s, steps: 5 }\n",
     "10:5", "more than 8 windows"},
    {"a provider that is none", "providers: [ { name: openay, hosts: [h] } ]\n", "1:22",
     "no provider is called 'openay'"},
    {"a provider without a name", "providers: [ { hosts: [h] } ]\n", "1:14", "needs a 'name'"},
    {"a provider without hosts", "providers: [ { name: openai } ]\n", "1:14", "needs 'hosts'"},
    {"a host with a path", "providers: [ { name: openai, hosts: ['http://h/'] } ]\n", "1:38",
     "'http://h/' is not a host or host:port"},
    {"an empty host", "providers: [ { name: openai, hosts: [''] } ]\n", "1:38", "is not a host"},
    {"a price file that is not there", "prices: { override: none.tsv }\n", "1:21", "none.tsv"},
    {"what to do with unknown models", "prices: { unknown_model: most }\n", "1:26",
     "'most' is none of deny, cap, warn, price=PROVIDER/MODEL"},
    {"a price row that is none", "prices: { unknown_model: price=gpt }\n", "1:26",
     "'price=gpt' is"},
    {"how to refuse", "refuse: reset\n", "1:9", "'reset' is none of curl-error, http"},
    {"how to clamp", "clamp_output: half\n", "1:15", "'half' is none of fit, off"},
    {"whether to ask", "ask_usage: yes\n", "1:12", "'yes' is none of on, off"},
    {"how long to wait", "busy_wait: soon\n", "1:12", "'soon' is not a duration, such as 45s"},
    {"how long to wait for a person", "approval_timeout: -1s\n", "1:19",
     "'-1s' is not a duration, such as 45s"},
    {"waiting for ever", "busy_wait: 106751991167d\n", "1:12", "is not a duration"},
    {"a retention that forgets windows", "retention: 31d\n", "1:12",
     "'31d' is not a duration of 32 days or more"},
    {"a retention that is none", "retention: always\n", "1:12", "is not a duration"},
    {"an anchor nowhere", "anchor: { every: 10m }\n", "1:9", "needs a 'file' or a 'command'"},
    {"an anchor in two places", "anchor: { file: a, command: [b] }\n", "1:9",
     "needs a 'file' or a 'command'"},
    {"an anchor all the time", "anchor: { every: 10ms, file: a }\n", "1:18",
     "'10ms' is not a duration of a second or more"},
    {"an anchor by a word", "anchor: { command: logger }\n", "1:20", "a list is expected here"},
    {"an anchor by no word", "anchor: { command: [\"\"] }\n", "1:21", "an empty word"},
    {"an anchor in no file", "anchor: { file: \"\" }\n", "1:17", "is no name of a file"},
    {"not YAML", "a: [b\n", "2:1", ""},
    {"a tab", "governance:\n\tpolicies: {}\n", "2:1", ""},
};

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    check_wrong(errors, COUNT(errors));
}

static void every_dimension_has_a_budget(void **state)
{
    static const int64_t want[GOV_DIMS] = {
        [GOV_STEPS] = 1,  [GOV_TOKENS] = 2, [GOV_COST] = USD(3000000000000),
        [GOV_WALL] = 4,   [GOV_TOOLS] = 5,  [GOV_EGRESS] = 6144,
        [GOV_WRITES] = 7, [GOV_ERRORS] = 8, [GOV_COMMAND] = 9};
    struct side_spec spec;

    (void)state;
    read_well(&spec, POLICY("      profile: extended\n"
                            "      budgets: { steps: 1, token_budget: 2, max_cost_usd: 3, "
                            "wall_clock_ms: 4, tool_calls: 5, network_egress_bytes: 6K, "
                            "storage_write_bytes: 7, error_burst: 8, "
                            "long_running_command_seconds: 9 }\n"));
    side_spec_finish(&spec);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        assert_int_equal(spec.limits[dim].amount, want[dim]);
    assert_int_equal(spec.percents[1], 85);
}

/* Keys of the contract that are not acted on: better an error than a rule that is not kept. */
static const char *const later[] = {
    "guard: warn",
    "keys: { openai: { env: K } }",
    "cacert: f",
    "on_unavailable: deny",
    "providers: [ { name: openai, upstream: 'http://u' } ]",
};

static void what_is_not_kept_is_not_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(later); i++) {
        struct side_spec spec;
        struct side_error error;

        if (read_text(&spec, later[i], NULL, &error))
            fail_msg("%s: accepted", later[i]);
        if (strstr(error.text, "by this version of Flyball") == NULL ||
            strncmp(error.text, file, strlen(file)) != 0)
            fail_msg("%s: %s", later[i], error.text);
    }
}

static void a_file_that_is_not_utf_8_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } texts[] = {{"refuse: \xff\n", 10}, {"refuse: ht\0tp\n", 14}, {"\xfe\xff", 2}};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        static const char *const env[] = {NULL};
        struct side_spec spec;
        struct side_error error = {{0}};

        side_spec_init(&spec);
        write_file(file, texts[i].bytes, texts[i].count);
        if (side_config_read(&spec, file, NULL, env, &error)) {
            assert_int_equal(i, 2); /* nothing but a byte order mark asks for nothing */
            continue;
        }
        assert_int_equal(strncmp(error.text, file, strlen(file)), 0);
    }
}

/* ---- what is accepted --------------------------------------------------------------------- */

static void every_key_means_what_it_says(void **state)
{
    struct side_spec spec;

    (void)state;
    read_well(
        &spec,
        POLICY(
            "      budgets: { max_cost_usd: 5.00, token_budget: 180000, steps: 50,\n"
            "                 wall_clock_ms: 90000 }\n"
            "      exhaustion_policies: { cost_usd: soft_warn, steps: hard_stop }\n"
            "      thresholds: [60, 90]\n"
            "      on_exhausted: terminate\n") "session_budget_limits: { llm_tokens: "
                                               "1000, cost_usd: 2 }\n"
                                               "windows: [ { scope: global, window: "
                                               "daily, cost_usd: 5.00, llm_tokens: 7,\n"
                                               "             steps: 9, policy: "
                                               "approval_required } ]\n"
                                               "providers: [ { name: openai, hosts: "
                                               "[API.Example.com, '127.0.0.1:80'] } ]\n"
                                               "prices: { unknown_model: warn }\n"
                                               "clamp_output: off\nask_usage: off\nbusy_wait: "
                                               "1m30s\napproval_timeout: 2m\nrefuse: curl-error\n");
    assert_true(spec.limits[GOV_COST].amount == USD(5000000000000));
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_SOFT_WARN);
    assert_int_equal(spec.limits[GOV_TOKENS].amount, 180000);
    assert_int_equal(spec.limits[GOV_STEPS].amount, 50);
    assert_int_equal(spec.limits[GOV_WALL].amount, 90000); /* a bare number has the key's unit */
    assert_int_equal(spec.source[GOV_STEPS], SIDE_FILE);
    assert_memory_equal(spec.percents, ((uint8_t[]){60, 90, 0}), 3);
    assert_int_equal(spec.on_exhausted, SIDE_TERMINATE);
    assert_int_equal(spec.session_limits[GOV_TOKENS].amount, 1000);
    assert_true(spec.session_limits[GOV_COST].amount == USD(2000000000000));
    assert_int_equal(spec.window_count, 1);
    assert_int_equal(spec.windows[0].window, GOV_DAILY);
    assert_true(spec.windows[0].limits[GOV_COST].amount == USD(5000000000000));
    assert_int_equal(spec.windows[0].limits[GOV_TOKENS].amount, 7);
    assert_int_equal(spec.windows[0].limits[GOV_STEPS].policy, GOV_APPROVAL_REQUIRED);
    assert_int_equal(spec.provider_count, 2);
    assert_string_equal(spec.providers[0].host, "api.example.com");
    assert_string_equal(spec.providers[1].name, "openai");
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_WARN);
    assert_false(spec.clamp);
    assert_false(spec.ask_usage);
    assert_int_equal(spec.busy_wait_ms, 90000);
    assert_int_equal(spec.approval_timeout_ms, 120000);
    assert_true(spec.refuse_curl);
    assert_string_equal(spec.policy, "default");
}

static void how_the_ledger_is_looked_after_is_read(void **state)
{
    struct side_spec spec;

    (void)state;
    read_well(&spec, "retention: 90d\nanchor: { file: /var/heads }\n");
    assert_int_equal(spec.keeping.retention_ms, INT64_C(90) * 86400000);
    assert_int_equal(spec.keeping.anchor_ms, 600000);
    assert_string_equal(spec.keeping.anchor_file, "/var/heads");
    assert_string_equal(spec.keeping.anchor_words, "");
    read_well(&spec, "anchor: { every: 90s, command: [logger, -t, \"a head\"] }\n");
    assert_int_equal(spec.keeping.retention_ms, 0);
    assert_int_equal(spec.keeping.anchor_ms, 90000);
    assert_memory_equal(spec.keeping.anchor_words, "logger\0-t\0a head\0", 18);
    read_well(&spec, "anchor: { file: heads }\n"); /* beside the configuration */
    assert_int_equal(spec.keeping.anchor_file[0], '/');
    assert_non_null(strstr(spec.keeping.anchor_file, "/heads"));
}

static void other_values_mean_the_other_thing(void **state)
{
    struct side_spec spec;
    char row[200], text[260];

    (void)state;
    read_well(&spec, "clamp_output: fit\nask_usage: on\nrefuse: http\n"
                     "prices: { unknown_model: deny }\n");
    assert_true(spec.clamp);
    assert_true(spec.ask_usage);
    assert_false(spec.refuse_curl);
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_DENY);
    read_well(&spec, "prices: { unknown_model: cap }\n");
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_CAP);
    read_well(&spec, "prices: { unknown_model: price=openai/gpt-5-nano }\nwindows:\n"
                     "  - { window: daily, steps: 1 }\n");
    assert_int_equal(spec.unknown_model, SIDE_UNKNOWN_ROW);
    assert_string_equal(spec.unknown_row, "openai/gpt-5-nano");
    assert_int_equal(spec.windows[0].limits[GOV_STEPS].policy, GOV_HARD_STOP);
    read_well(&spec, POLICY("      budgets: { wall_clock_ms: 30m }\n"));
    assert_int_equal(spec.limits[GOV_WALL].amount, 1800000);
    read_well(&spec, "timezone: Asia/Kathmandu\nwindows:\n"
                     "  - { scope: global, window: weekly, steps: 1 }\n"
                     "  - { scope: provider:openai, window: monthly, steps: 2 }\n"
                     "  - { scope: provider:openai, rolling: 5h, steps: 3 }\n"
                     "  - { scope: provider:openai, rolling: 1d, steps: 3 }\n"
                     "  - { scope: provider:anthropic, rolling: 5h, steps: 4 }\n"
                     "  - { scope: 'label:team=a=b', window: daily, steps: 5 }\n"
                     "  - { scope: project:/home/me/src/, window: daily, steps: 6 }\n");
    assert_string_equal(spec.timezone, "Asia/Kathmandu");
    assert_int_equal(spec.window_count, 7);
    assert_true(spec.windows[0].scope == GOV_GLOBAL && spec.windows[0].window == GOV_WEEKLY);
    assert_true(spec.windows[1].scope == GOV_PROVIDER && spec.windows[1].window == GOV_MONTHLY);
    assert_string_equal(spec.windows[1].name, "openai");
    assert_true(spec.windows[2].window == GOV_ROLLING && spec.windows[2].duration_s == 18000);
    assert_string_equal(spec.windows[5].name, "team=a=b");
    assert_true(spec.windows[6].scope == GOV_PROJECT);
    assert_string_equal(spec.windows[6].name, "/home/me/src");

    memset(row, 'x', sizeof row); /* longer than a row's name can be */
    row[sizeof row - 1] = '\0';
    (void)snprintf(text, sizeof text, "prices: { unknown_model: price=openai/%s }\n", row);
    assert_false(read_text(&spec, text, NULL, &(struct side_error){{0}}));
}

static void an_empty_file_asks_for_nothing(void **state)
{
    static const char *const texts[] = {"", "# a comment\n", "---\n...\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct side_spec spec;

        read_well(&spec, texts[i]);
        side_spec_finish(&spec);
        assert_true(spec.bare);
    }
}

static void keys_that_are_no_limits_leave_the_table(void **state)
{
    struct side_spec spec;

    (void)state;
    read_well(&spec,
              "providers: [ { name: openai, hosts: [h] } ]\nprices: { unknown_model: deny }\n"
              "busy_wait: 1s\n" POLICY("      exhaustion_policies: { cost_usd: soft_warn }\n"));
    side_spec_finish(&spec);
    assert_true(spec.bare);
    assert_int_equal(spec.limits[GOV_COST].policy, GOV_SOFT_WARN);
    read_well(&spec, POLICY("      budgets: { steps: 0 }\n"));
    side_spec_finish(&spec);
    assert_false(spec.bare); /* unlimited was asked for */
}

static void a_price_file_is_meant_from_where_the_configuration_stands(void **state)
{
    struct side_spec spec;
    char path[128], want[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/p.tsv", dir);
    write_file(path, "", 0);
    assert_non_null(realpath(path, want));
    read_well(&spec, "prices: { override: p.tsv }\n");
    assert_string_equal(spec.price_file, want);
    read_well(&spec, "prices: { override: ./p.tsv }\n");
    assert_string_equal(spec.price_file, want);
    (void)unlink(path);
}

/* ---- which policy, which file ------------------------------------------------------------- */

static void the_policy_that_is_asked_for_applies(void **state)
{
    static const char text[] = "governance:\n  policies:\n    default: { budgets: { steps: 1 } }\n"
                               "    strict: { budgets: { steps: 2, token_budget: 7 } }\n"
                               "    broken: { on_exhausted: terminate }\n";
    struct side_spec spec;
    struct side_error error;

    (void)state;
    read_well(&spec, text);
    assert_int_equal(spec.limits[GOV_STEPS].amount, 1);
    assert_string_equal(spec.policy, "default");
    assert_true(read_text(&spec, text, "strict", &error));
    assert_int_equal(spec.limits[GOV_STEPS].amount, 2);
    assert_int_equal(spec.limits[GOV_TOKENS].amount, 7);
    assert_int_equal(spec.on_exhausted, SIDE_DENY); /* nothing of the others */
    assert_string_equal(spec.policy, "strict");
    assert_false(read_text(&spec, text, "stern", &error));
    assert_string_equal(error.text,
                        "no policy is called 'stern'; these are: 'default', 'strict', 'broken'");
    assert_false(read_text(&spec, "", "default", &error)); /* it was asked for */
    /* an error in a policy that does not apply is one, too */
    assert_false(read_text(&spec, "governance: { policies: { other: { budgets: { step: 1 } } } }",
                           NULL, &error));
}

static void write_at(const char *path, const char *steps)
{
    char text[128];

    (void)snprintf(text, sizeof text, POLICY("      budgets: { steps: %s }\n"), steps);
    write_file(path, text, strlen(text));
}

static void the_file_given_comes_before_the_variables(void **state)
{
    char path[4][160], config[180], base[100], home[100], missing[180];
    const char *all[] = {config, base, home, NULL}, *no_config[] = {base, home, NULL},
               *only_home[] = {home, NULL}, *none[] = {NULL}, *wrong[] = {missing, home, NULL},
               *empty[] = {"FLYBALL_CONFIG=", "XDG_CONFIG_HOME=relative", home, NULL};

    (void)state;
    (void)snprintf(path[0], sizeof path[0], "%s/by-variable.yaml", dir);
    (void)snprintf(path[1], sizeof path[1], "%s/xdg", dir);
    (void)snprintf(path[2], sizeof path[2], "%s/.config", dir);
    (void)snprintf(config, sizeof config, "FLYBALL_CONFIG=%s", path[0]);
    (void)snprintf(base, sizeof base, "XDG_CONFIG_HOME=%s/xdg", dir);
    (void)snprintf(home, sizeof home, "HOME=%s", dir);
    (void)snprintf(missing, sizeof missing, "FLYBALL_CONFIG=%s/none.yaml", dir);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(mkdir(path[i], 0700), 0);
        (void)strcat(path[i], "/flyball");
        assert_int_equal(mkdir(path[i], 0700), 0);
        (void)strcat(path[i], "/flyball.yaml");
    }
    write_at(file, "1");
    write_at(path[0], "2");
    write_at(path[1], "3");
    write_at(path[2], "4");
    assert_int_equal(steps_of(file, all, "", NULL), 1);
    assert_int_equal(steps_of(NULL, all, "", NULL), 2);
    assert_int_equal(steps_of(NULL, no_config, "", NULL), 3);
    assert_int_equal(steps_of(NULL, only_home, "", NULL), 4);
    assert_int_equal(steps_of(NULL, empty, "", NULL), 4);
    assert_int_equal(steps_of(NULL, none, "", NULL), 0);
    assert_int_equal(steps_of(NULL, wrong, "", NULL),
                     -1); /* a file that was asked for must be there */
    assert_int_equal(steps_of(missing, all, "", NULL), -1);
    assert_int_equal(steps_of(dir, all, "", NULL), -1); /* a directory */
    (void)unlink(path[1]);
    assert_int_equal(steps_of(NULL, no_config, "", NULL), 0); /* one that was not need not */
    (void)unlink(path[2]);
    (void)unlink(path[0]);
    for (unsigned i = 1; i <= 2; i++)
        for (unsigned up = 0; up < 2; up++) {
            *strrchr(path[i], '/') = '\0';
            assert_int_equal(rmdir(path[i]), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(every_dimension_has_a_budget),
        cmocka_unit_test(what_is_not_kept_is_not_accepted),
        cmocka_unit_test(a_file_that_is_not_utf_8_is_refused),
        cmocka_unit_test(every_key_means_what_it_says),
        cmocka_unit_test(how_the_ledger_is_looked_after_is_read),
        cmocka_unit_test(other_values_mean_the_other_thing),
        cmocka_unit_test(an_empty_file_asks_for_nothing),
        cmocka_unit_test(keys_that_are_no_limits_leave_the_table),
        cmocka_unit_test(a_price_file_is_meant_from_where_the_configuration_stands),
        cmocka_unit_test(the_policy_that_is_asked_for_applies),
        cmocka_unit_test(the_file_given_comes_before_the_variables),
    };

    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
