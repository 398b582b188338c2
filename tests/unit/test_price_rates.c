/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of a price a call pays by region, hours and fees, and the cap of a provider. Costs are
 * worked out by hand. 2026-11-23 is a Monday. */
#include <stdio.h>

#include "tests/unit/price_test.h"

static const char rows_text[] =
    "provider|model|from|prompt_from|service|region|hours|input|cache_read|cache_write_5m|output|"
    "image_out|web_search|image|page|second|character|search_unit|request|context_tokens|"
    "output_tokens|hidden_tps|free\n"
    /* peak hours */
    "deepseek|v4|-|0|standard|-|-|0.66|0.022|-|1.98|-|-|-|-|-|-|-|-|128000|8000|-|-\n"
    "deepseek|v4|-|0|standard|-|mon-fri 01:00-04:00,06:00-10:00|1.32|0.044|-|3.96|-|-|-|-|-|-|-|"
    "-|128000|8000|-|-\n"
    /* cheaper at night, over midnight */
    "deepseek|night|-|0|standard|-|-|2|-|-|4|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "deepseek|night|-|0|standard|-|fri 22:00-02:00|1|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    /* a region, at two sizes and two services */
    "openai|gpt|-|0|standard|-|-|4|0.4|5|20|-|0.01|-|-|-|-|-|-|400000|128000|250|-\n"
    "openai|gpt|-|0|standard|regional|-|4.4|0.44|5.5|22|-|0.01|-|-|-|-|-|-|400000|128000|250|-\n"
    "openai|gpt|-|0|flex|-|-|2|0.2|-|10|-|0.01|-|-|-|-|-|-|400000|128000|250|-\n"
    "openai|gpt|-|272000|standard|-|-|8|0.8|10|30|-|0.01|-|-|-|-|-|-|400000|128000|250|-\n"
    "openai|gpt|-|272000|standard|regional|-|8.8|0.88|11|33|-|0.01|-|-|-|-|-|-|400000|128000|250|"
    "-\n"
    /* a region for small prompts alone; a tier in no region */
    "openai|half|-|0|standard|-|-|1|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|half|-|0|standard|regional|-|5|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|half|-|1000|standard|-|-|2|-|-|9|-|-|-|-|-|-|-|-|-|-|-|-\n"
    /* a service of small prompts, and a dearer one that nobody asked for */
    "openai|three|-|0|standard|-|-|1|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|three|-|0|flex|-|-|1.5|-|-|1|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|three|-|0|priority|-|-|5|-|-|8|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|three|-|1000|standard|-|-|1|-|-|4|-|-|-|-|-|-|-|-|-|-|-|-\n"
    /* two windows at once */
    "openai|twice|-|0|standard|-|-|1|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|twice|-|0|standard|-|00:00-24:00|3|-|-|2|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "openai|twice|-|0|standard|-|mon 00:00-24:00|2|-|-|7|-|-|-|-|-|-|-|-|-|-|-|-\n"
    /* fees */
    "openai|dall-e|-|0|standard|-|-|-|-|-|-|-|-|0.12|-|-|-|-|-|-|-|-|-\n"
    "openai|whisper|-|0|standard|-|-|-|-|-|-|-|-|-|-|0.0001|-|-|-|-|-|-|-\n"
    "openai|tts|-|0|standard|-|-|-|-|-|-|-|-|-|-|-|15|-|-|-|-|-|-\n"
    "openai|gpt-image|-|0|standard|-|-|5|-|-|-|40|-|-|-|-|-|-|-|-|-|-|-\n"
    "mistral|ocr|-|0|standard|-|-|-|-|-|-|-|-|-|0.004|-|-|-|-|-|-|-|-\n"
    "cohere|rerank|-|0|standard|-|-|-|-|-|-|-|-|-|-|-|-|0.002|-|-|-|-|-\n"
    "perplexity|sonar|-|0|standard|-|-|1|-|-|1|-|-|-|-|-|-|-|0.012|-|-|-|-\n"
    "bedrock|pegasus|-|0|standard|-|-|-|-|-|7.5|-|-|-|-|0.00049|-|-|-|-|-|-|-\n"
    /* a price to come, and one that is over */
    "gemini|grok|-|0|standard|-|-|2|-|-|6|-|-|-|-|-|-|-|-|200000|30000|-|-\n"
    "gemini|grok|2027-01-01|0|standard|-|-|9|-|-|9|-|-|-|-|-|-|-|-|200000|30000|-|-\n"
    "gemini|old|-|0|standard|-|-|100|-|-|600|-|-|-|-|-|-|-|-|-|-|-|-\n"
    "gemini|old|2026-01-01|0|standard|-|-|1|0.5|-|8|-|0.005|0.07|-|-|-|-|-|131072|131072|-|-\n"
    "anthropic|*|-|0|standard|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|yes\n";

static struct meter_price_book *rows;

static int load_rows(void **state)
{
    struct meter_error error = {""};

    (void)state;
    if (parse(rows_text, NULL, &rows, &error) != METER_OK)
        fail_msg("the tests' own book: %s", error.text);
    return 0;
}

static int drop_rows(void **state)
{
    (void)state;
    meter_price_book_free(rows);
    return 0;
}

/* ---- hours -------------------------------------------------------------------------------- */

static void hours_hold_in_their_windows_alone(void **state)
{
    static const struct {
        const char *why, *model, *when, *input, *tier;
    } cases[] = {
        {"before the first", "v4", "2026-11-23 00:59:59", "0.66", ""},
        {"its first second", "v4", "2026-11-23 01:00:00", "1.32", "hours"},
        {"its last", "v4", "2026-11-23 03:59:59", "1.32", "hours"},
        {"between them", "v4", "2026-11-23 04:00:00", "0.66", ""},
        {"the second", "v4", "2026-11-23 06:00:00", "1.32", "hours"},
        {"its end", "v4", "2026-11-23 10:00:00", "0.66", ""},
        {"Friday", "v4", "2026-11-27 09:59:59", "1.32", "hours"},
        {"Saturday", "v4", "2026-11-28 02:00:00", "0.66", ""},
        {"Sunday", "v4", "2026-11-29 02:00:00", "0.66", ""},
        {"long ago, a Thursday", "v4", "1970-01-01 02:00:00", "1.32", "hours"},
        {"before the epoch, a Wednesday", "v4", "1969-12-31 09:30:00", "1.32", "hours"},
        {"and a Sunday", "v4", "1969-12-28 09:30:00", "0.66", ""},
        {"before midnight", "night", "2026-11-27 21:59:59", "2", ""},
        {"up to midnight", "night", "2026-11-27 23:59:59", "1", "hours"},
        {"after midnight", "night", "2026-11-28 01:59:59", "1", "hours"},
        {"its end", "night", "2026-11-28 02:00:00", "2", ""},
        {"the night before", "night", "2026-11-27 01:00:00", "2", ""},
        {"the night after", "night", "2026-11-28 23:00:00", "2", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct meter_price_key key = {.when_s = at(cases[i].when)};
        char input[METER_USD_TEXT];
        struct meter_price price;
        struct meter_rates rates;
        const char *tier;

        assert_int_equal(find(rows, "deepseek", cases[i].model, cases[i].when, &price), METER_OK);
        meter_price_rates(&price, &key, &rates, &tier);
        meter_rate_text(rates.token[METER_INPUT], METER_TOKEN_DECIMALS, input);
        if (strcmp(input, cases[i].input) != 0 || strcmp(tier, cases[i].tier) != 0)
            fail_msg("%s: %s costs %s (%s), want %s (%s)", cases[i].why, cases[i].when, input, tier,
                     cases[i].input, cases[i].tier);
    }
}

static void hours_are_written_one_way(void **state)
{
    static const struct {
        const char *hours;
        bool good;
    } cases[] = {
        {"00:00-24:00", true},
        {"mon 00:00-00:01", true},
        {"sat-sun 10:00-11:00", true},
        {"fri-mon 10:00-11:00", true},
        {"23:00-01:00", true},
        {"mon-fri 01:00-04:00,06:00-10:00", true},
        {"24:00-01:00", false},
        {"10:00-10:00", false},
        {"10:00-24:01", false},
        {"10:60-12:00", false},
        {"1:00-2:00", false},
        {"10:00", false},
        {"10:00-", false},
        {"10:00-11:00,", false},
        {"mon", false},
        {"mon-", false},
        {"mon-fri10:00-11:00", false},
        {"Mon 10:00-11:00", false},
        {"mon,tue 10:00-11:00", false},
        {" 10:00-11:00", false},
        {"10:00-11:00 ", false},
        {"mon-fri  10:00-11:00", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        struct meter_price_book *made = NULL;
        struct meter_error error = {""};

        (void)snprintf(text, sizeof text,
                       "provider|model|input|output|hours\nopenai|x|1|2|-\nopenai|x|1|2|%s\n",
                       cases[i].hours);
        if ((parse(text, NULL, &made, &error) == METER_OK) != cases[i].good)
            fail_msg("\"%s\": %s", cases[i].hours, cases[i].good ? error.text : "was taken");
        meter_price_book_free(made);
    }
}

/* ---- regions and what goes with them ------------------------------------------------------ */

static void regions_cost_what_their_row_says(void **state)
{
    static const struct {
        const char *why, *model;
        uint64_t prompt;
        enum meter_tier tier;
        bool regional;
        const char *when, *input, *output, *name;
    } cases[] = {
        {"everywhere", "gpt", 1, STD, false, NOW, "4", "20", ""},
        {"a region", "gpt", 1, STD, true, NOW, "4.4", "22", "regional"},
        {"a large prompt", "gpt", 272000, STD, false, NOW, "8", "30", "272000+"},
        {"and a region", "gpt", 272000, STD, true, NOW, "8.8", "33", "272000+ regional"},
        {"a service without the region", "gpt", 1, METER_TIER_FLEX, true, NOW, "2", "10", "flex"},
        {"nor the size: the dearer of both", "gpt", 272000, METER_TIER_FLEX, true, NOW, "8.8", "33",
         "dearest"},
        {"no such service: the dearest", "gpt", 1, METER_TIER_PRIORITY, true, NOW, "4.4", "22",
         "dearest"},
        {"no region of it: the plain one", "night", 1, STD, true, NOW, "2", "4", ""},
        {"a region of small prompts", "half", 999, STD, true, NOW, "5", "2", "regional"},
        {"a tier of no region: rate by rate", "half", 1000, STD, true, NOW, "5", "9", "dearest"},
        {"a tier, everywhere", "half", 1000, STD, false, NOW, "2", "9", "1000+"},
        {"of a service: it and the standard one", "three", 1000, METER_TIER_FLEX, false, NOW, "1.5",
         "4", "dearest"},
        {"two windows: rate by rate", "twice", 1, STD, false, "2026-11-23 12:00:00", "3", "7",
         "dearest"},
        {"one of them", "twice", 1, STD, false, "2026-11-24 12:00:00", "3", "2", "hours"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct meter_price_key key = {cases[i].prompt, cases[i].tier, cases[i].regional,
                                            at(cases[i].when)};
        const char *provider = strcmp(cases[i].model, "night") == 0 ? "deepseek" : "openai";
        char input[METER_USD_TEXT], output[METER_USD_TEXT];
        struct meter_price price;
        struct meter_rates rates;
        const char *name;

        assert_int_equal(find(rows, provider, cases[i].model, cases[i].when, &price), METER_OK);
        meter_price_rates(&price, &key, &rates, &name);
        meter_rate_text(rates.token[METER_INPUT], METER_TOKEN_DECIMALS, input);
        meter_rate_text(rates.token[METER_OUTPUT], METER_TOKEN_DECIMALS, output);
        if (strcmp(input, cases[i].input) != 0 || strcmp(output, cases[i].output) != 0 ||
            strcmp(name, cases[i].name) != 0)
            fail_msg("%s: %s, %s (%s), want %s, %s (%s)", cases[i].why, input, output, name,
                     cases[i].input, cases[i].output, cases[i].name);
    }
}

/* ---- fees --------------------------------------------------------------------------------- */

static void fees_are_for_one_and_characters_for_a_million(void **state)
{
    static const struct {
        const char *provider, *model;
        enum meter_count count;
        uint64_t number;
        const char *want;
    } cases[] = {
        {"openai", "dall-e", METER_IMAGES, 3, "0.36"},
        {"openai", "whisper", METER_SECONDS, 61, "0.0061"},
        {"openai", "tts", METER_CHARACTERS, 4096, "0.06144"},
        {"openai", "tts", METER_CHARACTERS, 1, "0.000015"},
        {"mistral", "ocr", METER_PAGES, 7, "0.028"},
        {"cohere", "rerank", METER_SEARCH_UNITS, 2, "0.004"},
        {"perplexity", "sonar", METER_REQUESTS, 1, "0.012"},
        {"openai", "gpt", METER_WEB_SEARCHES, 5, "0.05"},
    };
    static const uint64_t tokens[METER_BUCKETS];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t counts[METER_COUNTS] = {[METER_TOOL_CALLS] = 99};
        struct meter_price price;
        struct meter_rates rates;
        char text[METER_USD_TEXT];
        int64_t cost;

        counts[cases[i].count] = cases[i].number;
        assert_int_equal(find(rows, cases[i].provider, cases[i].model, NOW, &price), METER_OK);
        plain_rates(&price, 0, &rates);
        assert_int_equal(meter_price_cost(&rates, tokens, counts, &cost), METER_OK);
        if (strcmp(meter_usd_text(cost, text), cases[i].want) != 0)
            fail_msg("%s: %s, want %s", cases[i].model, text, cases[i].want);
    }
}

/* ---- the cap of a provider ---------------------------------------------------------------- */

static enum meter_err cap_of(const char *provider, const char *when, struct meter_price *out)
{
    return meter_price_cap(rows, meter_provider_by_name(provider), at(when), out);
}

static void a_cap_is_the_dearest_of_all_rows_that_hold(void **state)
{
    const struct meter_price_key key = {.prompt_tokens = 1};
    struct meter_price cap;
    struct meter_rates rates;
    const char *tier;

    (void)state;
    assert_int_equal(cap_of("openai", NOW, &cap), METER_OK);
    assert_string_equal(cap.row, "openai/*cap");
    assert_string_equal(cap.from, "");
    assert_int_equal(cap.context_tokens, 400000);
    assert_int_equal(cap.output_tokens, 128000);
    assert_int_equal(cap.hidden_tokens_per_second, 250);
    assert_false(cap.free);
    meter_price_rates(&cap, &key, &rates, &tier);
    assert_string_equal(tier, "cap");
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(8800000000));
    assert_int_equal(rates.token[METER_OUTPUT], UINT64_C(33000000000));
    assert_int_equal(rates.token[METER_IMAGE_OUT], UINT64_C(40000000000));
    assert_int_equal(rates.token[METER_CACHE_READ], UINT64_C(5000000000)); /* half's input rate */
    assert_int_equal(rates.token[METER_CACHE_WRITE_5M], UINT64_C(11000000000));
    assert_true(rates.token[METER_AUDIO_IN] == METER_NO_RATE);
    assert_int_equal(rates.count[METER_IMAGES], UINT64_C(120000000000000));
    assert_int_equal(rates.count[METER_CHARACTERS], UINT64_C(15000000000));
    assert_true(rates.count[METER_PAGES] == METER_NO_RATE);
}

static void a_cap_knows_no_price_that_is_over_or_to_come(void **state)
{
    struct meter_price cap;

    (void)state;
    assert_int_equal(cap_of("unknown", NOW, &cap), METER_NO_PRICE);
    assert_int_equal(cap_of("anthropic", NOW, &cap),
                     METER_NO_PRICE); /* what is free caps nothing */
    assert_int_equal(cap_of("gemini", "2025-12-31 23:59:59", &cap), METER_OK);
    assert_int_equal(cap.most.token[METER_INPUT], UINT64_C(100000000000));
    assert_int_equal(cap_of("gemini", NOW, &cap), METER_OK);
    assert_int_equal(cap.most.token[METER_INPUT], UINT64_C(2000000000));
    assert_int_equal(cap.most.token[METER_OUTPUT], UINT64_C(8000000000));
    assert_int_equal(cap.most.count[METER_WEB_SEARCHES], UINT64_C(5000000000000));
    assert_int_equal(cap_of("gemini", "2027-01-01 00:00:00", &cap), METER_OK);
    assert_int_equal(cap.most.token[METER_INPUT], UINT64_C(9000000000));
}

/* ---- a book as rows ----------------------------------------------------------------------- */

struct counting {
    size_t rows;
    size_t stop_after;
    const char *last;
};

static bool count_row(void *ctx, const struct meter_price_line *line)
{
    struct counting *counting = ctx;

    counting->last = line->model;
    return ++counting->rows < counting->stop_after;
}

static void every_row_is_told_in_order_until_it_is_enough(void **state)
{
    struct counting all = {.stop_after = 1000}, some = {.stop_after = 2};

    (void)state;
    meter_price_book_each(rows, count_row, &all);
    assert_int_equal(all.rows, 32);
    assert_string_equal(all.last, "sonar");
    meter_price_book_each(rows, count_row, &some);
    assert_int_equal(some.rows, 2);
    assert_string_equal(some.last, "pegasus");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_hold_in_their_windows_alone),
        cmocka_unit_test(hours_are_written_one_way),
        cmocka_unit_test(regions_cost_what_their_row_says),
        cmocka_unit_test(fees_are_for_one_and_characters_for_a_million),
        cmocka_unit_test(a_cap_is_the_dearest_of_all_rows_that_hold),
        cmocka_unit_test(a_cap_knows_no_price_that_is_over_or_to_come),
        cmocka_unit_test(every_row_is_told_in_order_until_it_is_enough),
    };

    (void)load_book, (void)drop_book;
    return cmocka_run_group_tests(tests, load_rows, drop_rows);
}
