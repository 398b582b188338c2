/* SPDX-License-Identifier: Apache-2.0 */
/* Money: decimal text, and costs of disjoint buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "meter/meter.h"

#define USD         INT64_C(1000000000000)
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define PER_M(nano) UINT64_C(nano) /* nano-dollars per 1M tokens */

/* ---- text --------------------------------------------------------------------------------- */

static void usd_parse_reads_decimals(void **state)
{
    static const struct {
        const char *why, *given;
        int64_t want;
    } cases[] = {
        {"whole", "5", 5 * USD},
        {"zero", "0", 0},
        {"zero with decimals", "0.000", 0},
        {"leading zeros", "007.50", 7 * USD + USD / 2},
        {"cents", "0.50", USD / 2},
        {"no digit before the point", ".5", USD / 2},
        {"no digit after the point", "5.", 5 * USD},
        {"the smallest", "0.000000000001", 1},
        {"a cached token", "0.0000000375", 37500},
        {"exponent", "1e-7", 100000},
        {"capital exponent with sign", "1.5E+2", 150 * USD},
        {"exponent below the unit", "12e-13", 2},
        {"rounded up, never down", "0.0000000000001", 1},
        {"rounded up beyond twelve decimals", "1.0000000000001", USD + 1},
        {"nothing is lost", "1.0000000000000000000000000", USD},
        {"many digits, small value", "0.0000000000000000000000000000000000001", 1},
        {"a huge negative exponent is still something", "5e-99999999999999999999", 1},
        {"a huge exponent of nothing", "0e99999999999999999999", 0},
        {"the largest", "9223372.036854775807", INT64_MAX},
        {"as large and rounded", "9223372.0368547758069", INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t got = -7;

        if (!meter_usd_parse(cases[i].given, strlen(cases[i].given), &got) || got != cases[i].want)
            fail_msg("%s: \"%s\" gave %lld, want %lld", cases[i].why, cases[i].given,
                     (long long)got, (long long)cases[i].want);
    }
}

static void usd_parse_refuses_what_is_no_amount(void **state)
{
    static const struct {
        const char *why, *given;
    } cases[] = {
        {"nothing", ""},
        {"a blank", " "},
        {"a point", "."},
        {"a word", "free"},
        {"a sign", "+5"},
        {"negative", "-5"},
        {"negative zero", "-0"},
        {"a minus", "-"},
        {"blank before", " 5"},
        {"blank after", "5 "},
        {"two points", "1.2.3"},
        {"a comma", "1,000"},
        {"a currency", "$5"},
        {"not a number", "NaN"},
        {"infinite", "Infinity"},
        {"hexadecimal", "0x10"},
        {"no exponent", "1e"},
        {"a sign for exponent", "1e-"},
        {"exponent of a point", ".e5"},
        {"fraction in the exponent", "1e1.5"},
        {"too large", "9223372.036854775808"},
        {"rounded up to too large", "9223372.0368547758071"},
        {"beyond 64 bits", "18446744.073709551616"},
        {"far too large", "1e30"},
        {"a huge exponent", "1e99999999999999999999"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t got = -7;

        if (meter_usd_parse(cases[i].given, strlen(cases[i].given), &got) || got != -7)
            fail_msg("%s: \"%s\" gave %lld, want a refusal", cases[i].why, cases[i].given,
                     (long long)got);
    }
}

static void usd_parse_reads_no_further_than_told(void **state)
{
    int64_t got = -7;

    (void)state;
    assert_true(meter_usd_parse("12345", 2, &got));
    assert_true(got == 12 * USD);
}

static void usd_text_has_no_needless_zeros(void **state)
{
    static const struct {
        const char *why;
        int64_t given;
        const char *want;
    } cases[] = {
        {"zero", 0, "0"},
        {"whole", 5 * USD, "5"},
        {"cents", USD / 2, "0.5"},
        {"negative", -USD / 2, "-0.5"},
        {"the smallest", 1, "0.000000000001"},
        {"zeros between", USD + 1000, "1.000000001"},
        {"many", 123000000, "0.000123"},
        {"tens", 10 * USD, "10"},
        {"the largest", INT64_MAX, "9223372.036854775807"},
        {"the most negative", INT64_MIN, "-9223372.036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[METER_USD_TEXT];

        if (strcmp(meter_usd_text(cases[i].given, text), cases[i].want) != 0)
            fail_msg("%s: %lld gave \"%s\", want \"%s\"", cases[i].why, (long long)cases[i].given,
                     text, cases[i].want);
    }
}

static void usd_text_is_read_back_unchanged(void **state)
{
    (void)state;
    for (int64_t amount = 1; amount > 0 && amount < INT64_MAX / 7; amount = amount * 7 + 3) {
        char text[METER_USD_TEXT];
        int64_t back = -7;

        meter_usd_text(amount, text);
        if (!meter_usd_parse(text, strlen(text), &back) || back != amount)
            fail_msg("%lld became \"%s\" became %lld", (long long)amount, text, (long long)back);
    }
}

/* ---- costs -------------------------------------------------------------------------------- */

static const struct meter_rates no_rates = {
    .token = {METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE,
              METER_NO_RATE, METER_NO_RATE, METER_NO_RATE, METER_NO_RATE},
    .count = {METER_NO_RATE, METER_NO_RATE, 0},
};

static void cost_is_rounded_up_once(void **state)
{
    struct meter_rates rates = no_rates;
    uint64_t counts[METER_COUNTS] = {0};
    int64_t cost = -7;

    (void)state;
    rates.token[METER_INPUT] = 1; /* a femto-dollar per token */
    rates.token[METER_OUTPUT] = 999;
    static const struct {
        const char *why;
        uint64_t input, output;
        int64_t want;
    } cases[] = {
        {"nothing costs nothing", 0, 0, 0},
        {"a femto-dollar is a pico-dollar", 1, 0, 1},
        {"two parts are rounded together", 1, 1, 1},
        {"exactly one", 1000, 0, 1},
        {"just above one", 1001, 0, 2},
        {"999 + 1 + 1 femto-dollars", 2, 1, 2},
        {"two roundings would give 3", 500, 1, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t tokens[METER_BUCKETS] = {
            [METER_INPUT] = cases[i].input, [METER_OUTPUT] = cases[i].output};

        if (meter_price_cost(&rates, tokens, counts, &cost) != METER_OK || cost != cases[i].want)
            fail_msg("%s: gave %lld, want %lld", cases[i].why, (long long)cost,
                     (long long)cases[i].want);
    }
}

static void cost_uses_the_cache_defaults_exactly(void **state)
{
    static const struct {
        const char *why;
        enum meter_bucket bucket;
        uint64_t input_rate, tokens;
        int64_t want;
    } cases[] = {
        {"reads cost the input rate", METER_CACHE_READ, PER_M(3000000000), 1000, 3000000000},
        {"5m writes cost 5/4", METER_CACHE_WRITE_5M, PER_M(3000000000), 1000, 3750000000},
        {"1h writes cost twice", METER_CACHE_WRITE_1H, PER_M(3000000000), 1000, 6000000000},
        {"quarters are not rounded before the sum", METER_CACHE_WRITE_5M, 1, 800, 1},
        {"a quarter more is rounded up", METER_CACHE_WRITE_5M, 1, 801, 2},
    };
    uint64_t counts[METER_COUNTS] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_rates rates = no_rates;
        uint64_t tokens[METER_BUCKETS] = {0};
        int64_t cost = -7;

        rates.token[METER_INPUT] = cases[i].input_rate;
        tokens[cases[i].bucket] = cases[i].tokens;
        if (meter_price_cost(&rates, tokens, counts, &cost) != METER_OK || cost != cases[i].want)
            fail_msg("%s: gave %lld, want %lld", cases[i].why, (long long)cost,
                     (long long)cases[i].want);
    }
}

static void cost_needs_a_rate_for_every_token(void **state)
{
    static const enum meter_bucket without[] = {
        METER_INPUT,          METER_CACHE_READ, METER_CACHE_WRITE_5M,
        METER_CACHE_WRITE_1H, METER_AUDIO_IN,   METER_IMAGE_IN,
        METER_OUTPUT,         METER_AUDIO_OUT,  METER_IMAGE_OUT};
    uint64_t counts[METER_COUNTS] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(without); i++) {
        struct meter_rates rates = no_rates;
        uint64_t tokens[METER_BUCKETS] = {[METER_OUTPUT] = 1};
        int64_t cost = -7;

        rates.token[METER_OUTPUT] = without[i] == METER_OUTPUT ? METER_NO_RATE : 1000;
        tokens[without[i]] = 1;
        if (meter_price_cost(&rates, tokens, counts, &cost) != METER_NO_PRICE || cost != -7)
            fail_msg("%s: a token without a rate was priced at %lld", meter_bucket_name(without[i]),
                     (long long)cost);
    }
}

static void cost_has_no_default_for_sound_and_images(void **state)
{
    static const enum meter_bucket without[] = {METER_AUDIO_IN, METER_IMAGE_IN, METER_AUDIO_OUT,
                                                METER_IMAGE_OUT};
    uint64_t counts[METER_COUNTS] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(without); i++) {
        struct meter_rates rates = no_rates;
        uint64_t tokens[METER_BUCKETS] = {0};
        int64_t cost = -7;

        rates.token[METER_INPUT] = 1000;
        rates.token[METER_OUTPUT] = 1000;
        tokens[without[i]] = 1;
        if (meter_price_cost(&rates, tokens, counts, &cost) != METER_NO_PRICE)
            fail_msg("%s was priced without a rate", meter_bucket_name(without[i]));
    }
}

static void cost_counts_fees_but_not_tool_calls(void **state)
{
    struct meter_rates rates = no_rates;
    uint64_t tokens[METER_BUCKETS] = {0};
    uint64_t counts[METER_COUNTS] = {[METER_WEB_SEARCHES] = 3, [METER_TOOL_CALLS] = 50};
    int64_t cost = -7;

    (void)state;
    assert_int_equal(meter_price_cost(&rates, tokens, counts, &cost), METER_NO_PRICE);
    rates.count[METER_WEB_SEARCHES] = UINT64_C(10000000000000); /* $0.01 */
    assert_int_equal(meter_price_cost(&rates, tokens, counts, &cost), METER_OK);
    assert_true(cost == 3 * USD / 100);
    counts[METER_FILE_SEARCHES] = 1;
    assert_int_equal(meter_price_cost(&rates, tokens, counts, &cost), METER_NO_PRICE);
}

static void cost_never_wraps(void **state)
{
    static const struct {
        const char *why;
        uint64_t rate, input, output;
        enum meter_err want;
        int64_t cost;
    } cases[] = {
        {"the largest amount", 1000, INT64_MAX, 0, METER_OK, INT64_MAX},
        {"one token more", 1000, (uint64_t)INT64_MAX + 1, 0, METER_OVERFLOW, -7},
        {"rounding up does not wrap", 1000, INT64_MAX, 1, METER_OVERFLOW, -7},
        {"64 bits by 64 bits", UINT64_MAX - 1, UINT64_MAX, 0, METER_OVERFLOW, -7},
        {"a sum beyond 128 bits", UINT64_MAX - 1, UINT64_MAX, UINT64_MAX, METER_OVERFLOW, -7},
        {"a product that would wrap to 0", UINT64_C(1) << 63, UINT64_C(1) << 63, 0, METER_OVERFLOW,
         -7},
        {"a sum that would wrap to 0", UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_C(1) << 63,
         METER_OVERFLOW, -7},
        {"a billion tokens of the dearest model", PER_M(600000000000), 1000000000, 0, METER_OK,
         600000 * USD},
    };
    uint64_t counts[METER_COUNTS] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_rates rates = no_rates;
        uint64_t tokens[METER_BUCKETS] = {
            [METER_INPUT] = cases[i].input, [METER_OUTPUT] = cases[i].output};
        int64_t cost = -7;

        rates.token[METER_INPUT] = cases[i].rate;
        rates.token[METER_OUTPUT] = cases[i].rate == 1000 ? 1 : cases[i].rate;
        enum meter_err err = meter_price_cost(&rates, tokens, counts, &cost);
        if (err != cases[i].want || cost != cases[i].cost)
            fail_msg("%s: gave %d and %lld, want %d and %lld", cases[i].why, err, (long long)cost,
                     cases[i].want, (long long)cases[i].cost);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usd_parse_reads_decimals),
        cmocka_unit_test(usd_parse_refuses_what_is_no_amount),
        cmocka_unit_test(usd_parse_reads_no_further_than_told),
        cmocka_unit_test(usd_text_has_no_needless_zeros),
        cmocka_unit_test(usd_text_is_read_back_unchanged),
        cmocka_unit_test(cost_is_rounded_up_once),
        cmocka_unit_test(cost_uses_the_cache_defaults_exactly),
        cmocka_unit_test(cost_needs_a_rate_for_every_token),
        cmocka_unit_test(cost_has_no_default_for_sound_and_images),
        cmocka_unit_test(cost_counts_fees_but_not_tool_calls),
        cmocka_unit_test(cost_never_wraps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
