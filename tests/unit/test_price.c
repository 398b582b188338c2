/* SPDX-License-Identifier: Apache-2.0 */
/* The price book: which row a model, a date, a prompt and a service tier get, and what they cost.
 * Costs are worked out by hand from the rows of price_test.h. */
#include "tests/unit/price_test.h"

/* ---- which row ---------------------------------------------------------------------------- */

static void find_matches_exactly_or_not_at_all(void **state)
{
    static const struct {
        const char *why, *provider, *model, *want; /* want NULL: no price */
    } cases[] = {
        {"the id", "openai", "gpt-4o", "openai/gpt-4o"},
        {"an alias", "openai", "gpt-5.6", "openai/gpt-5.6-sol"},
        {"a dated id of its own", "openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13"},
        {"one trailing date", "openai", "o3-2025-04-16", "openai/o3"},
        {"a date where another has a price of its own", "openai", "gpt-4o-2024-11-20", NULL},
        {"a date without dashes", "anthropic", "claude-haiku-4-5-20251001",
         "anthropic/claude-haiku-4-5"},
        {"an alias with a date", "openai", "gpt-5.6-2026-07-09", "openai/gpt-5.6-sol"},
        {"models/ in front", "gemini", "models/gemini-2.5-pro", "gemini/gemini-2.5-pro"},
        {"models/ and a date", "gemini", "models/gemini-2.5-pro-20250617", "gemini/gemini-2.5-pro"},
        {"a fine-tuned model", "openai", "ft:gpt-4o-mini:acme:bot:9aXk", "openai/ft:gpt-4o-mini"},
        {"a dated fine-tuned model", "openai", "ft:gpt-4o-mini-2024-07-18:acme::9aXk",
         "openai/ft:gpt-4o-mini"},
        {"a longer number", "anthropic", "claude-opus-4-60", NULL},
        {"a shorter number", "anthropic", "claude-opus-4", NULL},
        {"the beginning", "openai", "gpt-4", NULL},
        {"more behind", "openai", "gpt-4o-x", NULL},
        {"another's model", "anthropic", "gpt-4o", NULL},
        {"an unknown host's model", "unknown", "gpt-4o", NULL},
        {"capitals", "openai", "GPT-4o", "openai/gpt-4o"},
        {"a provider in front", "openai", "openai/gpt-4o", NULL},
        {"models/ in the middle", "gemini", "x/models/gemini-2.5-pro", NULL},
        {"models/ twice", "gemini", "models/models/gemini-2.5-pro", NULL},
        {"two dates", "openai", "o3-2025-04-16-2025-04-16", NULL},
        {"a thirteenth month", "openai", "o3-2025-13-16", NULL},
        {"a day 32", "openai", "o3-20250432", NULL},
        {"half a date", "openai", "o3-2025-04", NULL},
        {"not this century", "openai", "o3-1925-04-16", NULL},
        {"only a date", "openai", "-2024-11-20", NULL},
        {"only models/", "gemini", "models/", NULL},
        {"nothing", "openai", "", NULL},
        {"-latest is no date", "openai", "gpt-4o-latest", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_price price = {.row = "untouched"};
        enum meter_err err = find(book, cases[i].provider, cases[i].model, NOW, &price);
        const char *want = cases[i].want != NULL ? cases[i].want : "untouched";

        if (err != (cases[i].want != NULL ? METER_OK : METER_NO_PRICE) ||
            strcmp(price.row, want) != 0)
            fail_msg("%s: %s/%s gave %d, %s, want %s", cases[i].why, cases[i].provider,
                     cases[i].model, err, price.row, want);
    }
}

static void find_survives_any_length(void **state)
{
    char model[4 * METER_MODEL_MAX];
    struct meter_price price;

    (void)state;
    for (size_t bytes = 0; bytes < sizeof model; bytes++) {
        memset(model, '1', bytes);
        model[bytes] = '\0';
        assert_int_equal(find(book, "openai", model, NOW, &price), METER_NO_PRICE);
    }
}

static void find_takes_the_price_of_the_date(void **state)
{
    static const struct {
        const char *why, *provider, *model, *when, *from; /* from NULL: no price yet */
    } cases[] = {
        {"before the cut", "openai", "gpt-5.6-sol", "2026-08-20 23:59:59", ""},
        {"its first second", "openai", "gpt-5.6-sol", "2026-08-21 00:00:00", "2026-08-21"},
        {"long ago", "openai", "gpt-5.6-sol", "1970-01-01 00:00:00", ""},
        {"the end of the year", "gemini", "gemini-3.6-flash", "2026-12-31 23:59:59", ""},
        {"the new year", "gemini", "gemini-3.6-flash", "2027-01-01 00:00:00", "2027-01-01"},
        {"far ahead", "gemini", "gemini-3.6-flash", "2099-01-01 00:00:00", "2027-01-01"},
        {"the second before the launch", "gemini", "gemini-4-argon", "2026-09-29 23:59:59", NULL},
        {"the launch", "gemini", "gemini-4-argon", "2026-09-30 00:00:00", "2026-09-30"},
        {"the end of its introduction", "gemini", "gemini-4-argon", "2026-11-30 23:59:59",
         "2026-09-30"},
        {"and after", "gemini", "gemini-4-argon", "2026-12-01 00:00:00", "2026-12-01"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_price price = {.from = "none"};
        const char *want = cases[i].from != NULL ? cases[i].from : "none";

        (void)find(book, cases[i].provider, cases[i].model, cases[i].when, &price);
        if (strcmp(price.from, want) != 0)
            fail_msg("%s: %s at %s gave \"%s\", want \"%s\"", cases[i].why, cases[i].model,
                     cases[i].when, price.from, want);
    }
}

static void find_tells_limits_and_hidden_reasoning(void **state)
{
    struct meter_price price;

    (void)state;
    assert_int_equal(find(book, "openai", "gpt-5-nano", NOW, &price), METER_OK);
    assert_int_equal(price.context_tokens, 400000);
    assert_int_equal(price.output_tokens, 128000);
    assert_int_equal(price.hidden_tokens_per_second, 250);
    assert_int_equal(find(book, "openai", "gpt-5.6", NOW, &price), METER_OK);
    assert_int_equal(price.hidden_tokens_per_second, 750);
    assert_int_equal(find(book, "anthropic", "claude-opus-4-6", NOW, &price), METER_OK);
    assert_int_equal(price.hidden_tokens_per_second, 0);
    assert_int_equal(find(book, "openai", "gpt-image-1.5", NOW, &price), METER_OK);
    assert_int_equal(price.context_tokens, 0);
    assert_false(price.free);
    assert_int_equal(find(book, "openai", "omni-moderation-latest", NOW, &price), METER_OK);
    assert_true(price.free);
}

/* ---- what it costs ------------------------------------------------------------------------ */

struct cost_case {
    const char *why, *provider, *model, *when;
    /* in, cache read, write 5m, write 1h, audio in, image in, out, audio out, image out */
    uint64_t tokens[METER_BUCKETS];
    uint64_t searches[2]; /* web, file */
    enum meter_tier tier;
    const char *tier_name, *want; /* want NULL: METER_NO_PRICE */
};

#define SOL    "openai", "gpt-5.6-sol"
#define FOUR_O "openai", "gpt-4o"
#define CLAUDE "anthropic"
#define GEMINI "gemini"
#define PRIO   METER_TIER_PRIORITY
#define FLEX   METER_TIER_FLEX
#define BATCH  METER_TIER_BATCH
#define FAST   METER_TIER_FAST

/* clang-format off */
static const struct cost_case cost_cases[] = {
    {"plain", FOUR_O, NOW, {1000, [6] = 500}, {0}, STD, "", "0.0075"},
    {"one token", FOUR_O, NOW, {1}, {0}, STD, "", "0.0000025"},
    {"cache reads", FOUR_O, NOW, {200, 800, [6] = 100}, {0}, STD, "", "0.0025"},
    {"images", FOUR_O, NOW, {10, [5] = 765, [6] = 7}, {0}, STD, "", "0.0020075"},
    {"searches", FOUR_O, NOW, {1000}, {2, 1}, STD, "", "0.025"},
    {"priority", FOUR_O, NOW, {1000, 1000, [6] = 1000}, {0}, PRIO, "priority", "0.023375"},
    {"batch without a cache rate", FOUR_O, NOW, {1000, 1000, [6] = 1000}, {0}, BATCH, "batch",
     "0.0075"},
    {"a tier not listed", FOUR_O, NOW, {1000, 1000, [6] = 1000}, {0}, FLEX, "dearest", "0.023375"},
    {"sound without a rate", FOUR_O, NOW, {1, [4] = 1}, {0}, STD, "", NULL},
    {"odd numbers", "openai", "gpt-4.1-nano", NOW, {12345, 67891, [6] = 321}, {0}, STD, "",
     "0.003060175"},
    {"a search without a fee", "openai", "gpt-4.1-nano", NOW, {1}, {1}, STD, "", NULL},
    {"small rates", "openai", "gpt-5-nano", NOW, {1, 1, [6] = 1}, {0}, FLEX, "flex",
     "0.0000002275"},
    {"the dearest model", "openai", "o1-pro", NOW, {100000, [6] = 50000}, {0}, STD, "", "45"},
    {"before a cut", "openai", "o3", "2025-06-09 23:59:59", {1000, 1000, [6] = 2000}, {0}, STD, "",
     "0.0905"},
    {"after it", "openai", "o3", "2025-06-10 00:00:00", {1000, 1000, [6] = 2000}, {0}, STD, "",
     "0.0185"},
    {"writes, before", SOL, "2026-08-20 23:59:59", {1000, 2000, 3000, [6] = 4000}, {0}, STD, "",
     "0.14475"},
    {"writes, after", SOL, "2026-08-21 00:00:00", {1000, 2000, 3000, [6] = 4000}, {0}, STD, "",
     "0.0998"},
    {"below the tier", SOL, NOW, {271999, [6] = 1000}, {0}, STD, "", "1.107996"},
    {"the tier's first token", SOL, NOW, {272000, [6] = 1000}, {0}, STD, "272000+", "2.206"},
    {"cache reads count", SOL, NOW, {1, 272000, [6] = 1000}, {0}, STD, "272000+", "0.247608"},
    {"cache writes count", SOL, NOW, {100000, 100000, 72000, [6] = 1000}, {0}, STD, "272000+",
     "1.63"},
    {"priority, short", SOL, NOW, {1000, 1000, 1000, [6] = 1000}, {0}, PRIO, "priority", "0.0588"},
    {"priority, long: the dearer of two", SOL, NOW, {300000, 1000, 1000, [6] = 1000}, {0}, PRIO,
     "dearest", "2.4508"},
    {"flex, long", SOL, NOW, {300000, 1000, [6] = 1000}, {0}, FLEX, "272000+ flex", "1.2154"},
    {"sound", "openai", "gpt-audio-mini", NOW, {100, [4] = 2000, [6] = 50, [7] = 3000}, {0}, STD,
     "", "0.08018"},
    {"a picture", "openai", "gpt-image-1.5", NOW, {50, [5] = 300, [6] = 10, [8] = 4160}, {0}, STD,
     "", "0.13587"},
    {"fine-tuned", "openai", "ft:gpt-4o-mini:acme:bot:9aXk", NOW, {1000, 1000, [6] = 1000}, {0},
     STD, "", "0.00165"},
    {"an embedding", "openai", "text-embedding-3-small", NOW, {8191}, {0}, STD, "", "0.00016382"},
    {"an embedding has no output", "openai", "text-embedding-3-small", NOW, {1, [6] = 1}, {0}, STD,
     "", NULL},
    {"free because the row says so", "openai", "omni-moderation-latest", NOW, {1000, 1, 1, 1, 1, 1,
     1, 1, 1}, {1, 1}, PRIO, "", "0"},
    {"a small answer", CLAUDE, "claude-haiku-4-5", NOW, {14, [6] = 90}, {0}, STD, "", "0.000464"},
    {"writes of both kinds", CLAUDE, "claude-haiku-4-5-20251001", NOW, {9, 5000, 14, 2056, [6] =
     57}, {0}, STD, "", "0.0049235"},
    {"up to the tier", CLAUDE, "claude-sonnet-4-5", NOW, {200000, [6] = 100}, {0}, STD, "",
     "0.6015"},
    {"one token more", CLAUDE, "claude-sonnet-4-5", NOW, {200001, [6] = 100}, {0}, STD, "200001+",
     "1.202256"},
    {"the whole prompt counts", CLAUDE, "claude-sonnet-4-5", NOW, {1, 100000, 50000, 50000, [6] =
     100}, {0}, STD, "200001+", "1.037256"},
    {"fast", CLAUDE, "claude-opus-4-6", NOW, {1000, 1000, 1000, 1000, [6] = 1000}, {0}, FAST,
     "fast", "0.2805"},
    {"web searches", CLAUDE, "claude-opus-4-6", NOW, {1000, [6] = 1000}, {3}, STD, "", "0.06"},
    {"a low tier, below", CLAUDE, "claude-haiku-5-5", NOW, {100000, [6] = 1}, {0}, STD, "",
     "0.0100005"},
    {"a low tier, above", CLAUDE, "claude-haiku-5-5", NOW, {100001, [6] = 1}, {0}, STD, "100001+",
     "0.050003"},
    {"1h writes without a rate", CLAUDE, "claude-sonnet-5-5", "2026-10-06 23:59:59", {[3] = 1000},
     {0}, STD, "", "0.004"},
    {"reads before a cut", CLAUDE, "claude-sonnet-5-5", "2026-10-06 23:59:59", {[1] = 1000000},
     {0}, STD, "", "0.2"},
    {"reads after it", CLAUDE, "claude-sonnet-5-5", "2026-10-07 00:00:00", {[1] = 1000000}, {0},
     STD, "", "0.1"},
    {"mostly reads", CLAUDE, "claude-fable-5-1", NOW, {3, 199999, 777, [6] = 1}, {0}, STD, "",
     "0.05979225"},
    {"a retired model", CLAUDE, "claude-3-haiku-20240307", NOW, {1234, [6] = 567}, {0}, STD, "",
     "0.00101725"},
    {"up to the tier", GEMINI, "gemini-2.5-pro", NOW, {200000, [6] = 10}, {0}, STD, "", "0.2501"},
    {"one token more", GEMINI, "gemini-2.5-pro", NOW, {200001, [6] = 10}, {0}, STD, "200001+",
     "0.5001525"},
    {"sound and pictures", GEMINI, "models/gemini-2.5-flash", NOW, {100, [4] = 960, [5] = 258, [6]
     = 50}, {0}, STD, "", "0.0011924"},
    {"cache reads", GEMINI, "gemini-2.5-flash", NOW, {1000, 4096, [6] = 50}, {0}, STD, "",
     "0.00054788"},
    {"grounding", GEMINI, "gemini-2.5-flash", NOW, {20, [6] = 50}, {1}, STD, "", "0.035131"},
    {"a picture made", GEMINI, "gemini-2.5-flash-image", NOW, {100, [6] = 20, [8] = 1290}, {0},
     STD, "", "0.03878"},
    {"introductory", GEMINI, "gemini-3.6-flash", "2026-12-31 23:59:59", {1000, [6] = 1000}, {0},
     STD, "", "0.0045"},
    {"doubled", GEMINI, "gemini-3.6-flash", "2027-01-01 00:00:00", {1000, [6] = 1000}, {0}, STD,
     "", "0.009"},
    {"introductory", GEMINI, "gemini-4-argon", "2026-11-30 23:59:59", {1000, 500, [6] = 1000}, {0},
     STD, "", "0.01205"},
    {"doubled", GEMINI, "gemini-4-argon", "2026-12-01 00:00:00", {1000, 500, [6] = 1000}, {0}, STD,
     "", "0.0241"},
    {"four decimals", GEMINI, "gemini-1.5-flash-8b", NOW, {1, [6] = 1}, {0}, STD, "",
     "0.0000001875"},
};
/* clang-format on */

/* All buckets of the prompt: what tiers are measured by. */
static uint64_t prompt_of(const uint64_t *tokens)
{
    return tokens[METER_INPUT] + tokens[METER_CACHE_READ] + tokens[METER_CACHE_WRITE_5M] +
           tokens[METER_CACHE_WRITE_1H] + tokens[METER_AUDIO_IN] + tokens[METER_IMAGE_IN];
}

static void check_cost(const struct cost_case *c)
{
    uint64_t counts[METER_COUNTS] = {c->searches[0], c->searches[1], 99};
    char text[METER_USD_TEXT] = "none";
    const char *tier_name = "none";
    struct meter_price price;
    struct meter_rates rates;
    int64_t cost = 0;

    if (find(book, c->provider, c->model, c->when, &price) != METER_OK)
        fail_msg("%s: %s has no price", c->why, c->model);
    const struct meter_price_key key = {
        .prompt_tokens = prompt_of(c->tokens), .tier = c->tier, .when_s = at(c->when)};
    meter_price_rates(&price, &key, &rates, &tier_name);
    enum meter_err err = meter_price_cost(&rates, c->tokens, counts, &cost);
    if (err == METER_OK)
        meter_usd_text(cost, text);
    if (err != (c->want != NULL ? METER_OK : METER_NO_PRICE) ||
        strcmp(text, c->want != NULL ? c->want : "none") != 0 ||
        strcmp(tier_name, c->tier_name) != 0)
        fail_msg("%s: %s gave %s (%s), want %s (%s)", c->why, c->model, text, tier_name,
                 c->want != NULL ? c->want : "no price", c->tier_name);
}

static void costs_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cost_cases); i++)
        check_cost(&cost_cases[i]);
}

/* ---- the shipped book --------------------------------------------------------------------- */

static void shipped_book_knows_the_models(void **state)
{
    static const struct {
        const char *provider, *model, *when, *input, *output;
    } cases[] = {
        {"openai", "gpt-3.5-turbo-0301", NOW, "0.0000015", "0.000002"},
        {"openai", "gpt-4-0613", NOW, "0.00003", "0.00006"},
        {"openai", "gpt-4o-mini-2024-07-18", NOW, "0.00000015", "0.0000006"},
        {"openai", "codex-mini-latest", NOW, "0.0000015", "0.000006"},
        {"openai", "gpt-5.6", "2026-08-20 23:59:59", "0.000005", "0.00003"},
        {"openai", "gpt-5.6", "2026-08-21 00:00:00", "0.000004", "0.00002"},
        {"anthropic", "claude-2.1", NOW, "0.000008", "0.000024"},
        {"anthropic", "claude-3-5-sonnet-20240620", NOW, "0.000003", "0.000015"},
        {"anthropic", "claude-opus-4-8", NOW, "0.000005", "0.000025"},
        {"gemini", "gemini-1.5-flash", NOW, "0.000000075", "0.0000003"},
        {"gemini", "gemini-flash-latest", "2027-01-01 00:00:00", "0.0000015", "0.0000075"},
    };
    const uint64_t counts[METER_COUNTS] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint64_t in[METER_BUCKETS] = {[METER_INPUT] = 1};
        const uint64_t out[METER_BUCKETS] = {[METER_OUTPUT] = 1};
        char input[METER_USD_TEXT], output[METER_USD_TEXT];
        struct meter_price price;
        struct meter_rates rates;
        int64_t cost;

        if (find(meter_price_book_shipped(), cases[i].provider, cases[i].model, cases[i].when,
                 &price) != METER_OK)
            fail_msg("%s is not in the book", cases[i].model);
        plain_rates(&price, 1, &rates);
        assert_int_equal(meter_price_cost(&rates, in, counts, &cost), METER_OK);
        meter_usd_text(cost, input);
        assert_int_equal(meter_price_cost(&rates, out, counts, &cost), METER_OK);
        meter_usd_text(cost, output);
        if (strcmp(input, cases[i].input) != 0 || strcmp(output, cases[i].output) != 0)
            fail_msg("%s costs %s and %s, want %s and %s", cases[i].model, input, output,
                     cases[i].input, cases[i].output);
    }
}

static void shipped_book_finds_each_of_its_models(void **state)
{
    size_t bytes, found = 0;
    char *text = meter_price_book_text(meter_price_book_shipped(), &bytes);
    char *rest = text;

    (void)state;
    assert_non_null(text);
    (void)strsep(&rest, "\n"); /* the header */
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; found++) {
        const char *provider = strsep(&line, "\t");
        const char *model = strsep(&line, "\t");
        struct meter_price price;

        if (find(meter_price_book_shipped(), provider, model, "2099-01-01 00:00:00", &price) !=
                METER_OK ||
            strncmp(price.row, provider, strlen(provider)) != 0 ||
            strcmp(price.row + strlen(provider) + 1, model) != 0)
            fail_msg("%s/%s is in the book but not found", provider, model);
    }
    assert_true(found > 4000);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_matches_exactly_or_not_at_all),
        cmocka_unit_test(find_survives_any_length),
        cmocka_unit_test(find_takes_the_price_of_the_date),
        cmocka_unit_test(find_tells_limits_and_hidden_reasoning),
        cmocka_unit_test(costs_are_those_worked_out_by_hand),
        cmocka_unit_test(shipped_book_knows_the_models),
        cmocka_unit_test(shipped_book_finds_each_of_its_models),
    };

    return cmocka_run_group_tests(tests, load_book, drop_book);
}
