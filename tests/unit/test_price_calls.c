/* SPDX-License-Identifier: Apache-2.0 */
/* What holds and bills make of a price's regions, hours and fees, and of a model that has no price.
 * Figures are worked out by hand. 2026-11-23 is a Monday. */
#include <stdio.h>

#include "tests/unit/price_test.h"

#define HELD INT64_C(9000000000000) /* 9 USD */

static const char rows_text[] =
    "provider|model|prompt_from|region|hours|input|output|image_out|web_search|image|page|second|"
    "character|search_unit|request|free\n"
    "openai|gpt|0|-|-|4|20|-|-|-|-|-|-|-|-|-\n"
    "openai|gpt|0|regional|-|5|25|-|-|-|-|-|-|-|-|-\n"
    "openai|peak|0|-|-|1|2|-|-|-|-|-|-|-|-|-\n"
    "openai|peak|0|-|mon-fri 01:00-04:00|3|6|-|-|-|-|-|-|-|-|-\n"
    "openai|dall-e|0|-|-|-|-|-|-|0.12|-|-|-|-|-|-\n"
    "openai|gpt-image|0|-|-|5|-|40|-|-|-|-|-|-|-|-\n"
    "openai|sonar|0|-|-|1|1|-|0.005|-|-|-|-|-|0.012|-\n"
    "openai|film|0|-|-|-|7.5|-|-|-|-|0.0005|-|-|-|-\n"
    "openai|gift|0|-|-|-|-|-|-|-|-|-|-|-|-|yes\n"
    "gemini|dearest|0|-|-|10|100|-|-|-|-|-|-|-|-|-\n";

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

/* ---- holds -------------------------------------------------------------------------------- */

struct hold_case {
    const char *why, *model, *when;
    bool regional;
    enum meter_count count; /* of which the request may have number */
    uint64_t number, input, cap;
    const char *want; /* NULL: no upper bound is known */
};

static void check_hold(const struct hold_case *c)
{
    struct meter_request request = {.choices = 1,
                                    .input_tokens = c->input,
                                    .output_cap = (int64_t)c->cap,
                                    .regional = c->regional};
    struct meter_hold_line line;
    struct meter_price price;
    char text[METER_USD_TEXT] = "none";
    int64_t cost;

    request.counts[c->count] = c->number;
    assert_int_equal(find(rows, "openai", c->model, c->when, &price), METER_OK);
    meter_hold_line_make(&request, &price, &line);
    cost = meter_hold_cost(&line, c->cap);
    if (cost != INT64_MAX)
        (void)meter_usd_text(cost, text);
    if (strcmp(text, c->want != NULL ? c->want : "none") != 0)
        fail_msg("%s: %s, want %s", c->why, text, c->want != NULL ? c->want : "none");
}

static void holds_take_the_dearest_that_can_apply(void **state)
{
    static const struct hold_case cases[] = {
        {"everywhere", "gpt", NOW, false, 0, 0, 1000, 100, "0.006"},
        {"a region", "gpt", NOW, true, 0, 0, 1000, 100, "0.0075"},
        {"two minutes before the peak", "peak", "2026-11-23 00:58:00", false, 0, 0, 1000, 100,
         "0.0012"},
        {"a minute before", "peak", "2026-11-23 00:59:00", false, 0, 0, 1000, 100, "0.0036"},
        {"in it", "peak", "2026-11-23 02:00:00", false, 0, 0, 1000, 100, "0.0036"},
        {"a minute after", "peak", "2026-11-23 04:00:59", false, 0, 0, 1000, 100, "0.0036"},
        {"later", "peak", "2026-11-23 04:01:00", false, 0, 0, 1000, 100, "0.0012"},
        {"pictures, tokens have no price", "dall-e", NOW, false, METER_IMAGES, 2, 1000, 100,
         "0.24"},
        {"no number of pictures", "dall-e", NOW, false, METER_IMAGES, 0, 1000, 100, NULL},
        {"pictures that are tokens", "gpt-image", NOW, false, METER_IMAGES, 2, 1000, 100, "0.009"},
        {"a fee for the call", "sonar", NOW, false, 0, 0, 1000, 100, "0.0131"},
        {"and its searches", "sonar", NOW, false, METER_WEB_SEARCHES, 2, 1000, 100, "0.0231"},
        {"seconds, and output by token", "film", NOW, false, METER_SECONDS, 60, 1000, 100,
         "0.03075"},
        {"no number of seconds", "film", NOW, false, METER_SECONDS, 0, 1000, 100, NULL},
        {"free", "gift", NOW, false, METER_IMAGES, 5, 1000, 100, "0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_hold(&cases[i]);
}

/* ---- bills -------------------------------------------------------------------------------- */

struct bill_case {
    const char *why, *model, *when;
    bool regional;
    enum meter_count count;
    uint64_t number, input, output;
    bool usage_seen;               /* false: tokens by estimate, 1,000 of input */
    const char *want, *tier, *row; /* want NULL: the cost is not known, the hold is charged */
};

static void bill_of(const struct bill_case *c, const struct meter_price *fallback,
                    struct meter_bill *bill)
{
    struct meter_request request = {.kind = METER_BILLABLE,
                                    .choices = 1,
                                    .estimated_input_tokens = 1000,
                                    .regional = c->regional};
    struct meter_usage usage = {
        .reported = {.input_tokens = c->usage_seen ? (int64_t)c->input : -1,
                     .output_tokens = c->usage_seen ? (int64_t)c->output : -1,
                     .provider_cost_pusd = -1},
        .usage_seen = c->usage_seen,
        .complete = true,
        .billable = true,
        .regional = c->regional,
        .tokens = {[METER_INPUT] = c->input, [METER_OUTPUT] = c->output},
    };
    const struct meter_settling settling = {.request = &request,
                                            .usage = &usage,
                                            .book = rows,
                                            .when_s = at(c->when),
                                            .fallback = fallback,
                                            .end = METER_END_WHOLE,
                                            .held_tokens = 100000,
                                            .held_pusd = HELD};

    usage.counts[c->count] = c->number;
    request.provider = meter_provider_by_name("openai");
    request.api = meter_api_by_name("chat.completions");
    (void)snprintf(request.model, sizeof request.model, "%s", c->model);
    meter_bill_make(&settling, bill);
}

static void check_bill(const struct bill_case *c, const struct meter_price *fallback)
{
    struct meter_bill bill;
    char text[METER_USD_TEXT] = "none";

    bill_of(c, fallback, &bill);
    if (bill.cost_pusd >= 0)
        (void)meter_usd_text(bill.cost_pusd, text);
    if (strcmp(text, c->want != NULL ? c->want : "none") != 0 || strcmp(bill.tier, c->tier) != 0 ||
        strcmp(bill.row, c->row) != 0)
        fail_msg("%s: %s (%s) by %s, want %s (%s) by %s", c->why, text, bill.tier, bill.row,
                 c->want != NULL ? c->want : "none", c->tier, c->row);
    assert_int_equal(bill.charged_pusd, bill.cost_pusd >= 0 ? bill.cost_pusd : HELD);
}

static void bills_have_the_row_of_the_call(void **state)
{
    static const struct bill_case cases[] = {
        {"everywhere", "gpt", NOW, false, 0, 0, 1000, 100, true, "0.006", "", "openai/gpt"},
        {"a region", "gpt", NOW, true, 0, 0, 1000, 100, true, "0.0075", "regional", "openai/gpt"},
        {"the second before the peak", "peak", "2026-11-23 00:59:59", false, 0, 0, 1000, 100, true,
         "0.0012", "", "openai/peak"},
        {"the peak's first", "peak", "2026-11-23 01:00:00", false, 0, 0, 1000, 100, true, "0.0036",
         "hours", "openai/peak"},
        {"pictures", "dall-e", NOW, false, METER_IMAGES, 2, 0, 0, true, "0.24", "",
         "openai/dall-e"},
        {"pictures, and a prompt by estimate", "dall-e", NOW, false, METER_IMAGES, 2, 0, 0, false,
         "0.24", "", "openai/dall-e"},
        {"none made is nothing to charge, but the prompt has no price", "dall-e", NOW, false,
         METER_IMAGES, 0, 0, 0, false, NULL, "", "openai/dall-e"},
        {"pages where pictures have the price", "dall-e", NOW, false, METER_PAGES, 2, 0, 0, true,
         NULL, "", "openai/dall-e"},
        {"pictures without a price, no tokens: unknown, never 0", "gpt", NOW, false, METER_IMAGES,
         2, 0, 0, true, NULL, "", "openai/gpt"},
        {"seconds without one", "gpt", NOW, false, METER_SECONDS, 2, 0, 0, true, NULL, "",
         "openai/gpt"},
        {"characters without one", "gpt", NOW, false, METER_CHARACTERS, 2, 0, 0, true, NULL, "",
         "openai/gpt"},
        {"rerank units without one", "gpt", NOW, false, METER_SEARCH_UNITS, 2, 0, 0, true, NULL, "",
         "openai/gpt"},
        {"pages without one", "gpt", NOW, false, METER_PAGES, 2, 0, 0, true, NULL, "",
         "openai/gpt"},
        {"pictures that are tokens", "gpt-image", NOW, false, METER_IMAGES, 2, 1000, 0, true,
         "0.005", "", "openai/gpt-image"},
        {"searches without a price", "gpt", NOW, false, METER_WEB_SEARCHES, 2, 1000, 0, true,
         "0.004", "", "openai/gpt"},
        {"a fee, once", "sonar", NOW, false, 0, 0, 1000, 100, true, "0.0131", "", "openai/sonar"},
        {"also by estimate", "sonar", NOW, false, 0, 0, 0, 0, false, "0.013", "", "openai/sonar"},
        {"and searches", "sonar", NOW, false, METER_WEB_SEARCHES, 2, 1000, 100, true, "0.0231", "",
         "openai/sonar"},
        {"seconds and output", "film", NOW, false, METER_SECONDS, 60, 1000, 100, true, "0.03075",
         "", "openai/film"},
        {"free", "gift", NOW, false, METER_IMAGES, 5, 1000, 100, true, "0", "", "openai/gift"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_bill(&cases[i], NULL);
}

static void a_model_without_a_price_has_the_one_that_was_asked_for(void **state)
{
    static const struct bill_case unknown = {"unknown", "gpt-99", NOW,  false, 0,  0,
                                             1000,      100,      true, NULL,  "", ""};
    static const struct bill_case by_row = {
        "price=ROW", "gpt-99", NOW, false, 0, 0, 1000, 100, true, "0.02", "", "gemini/dearest"};
    static const struct bill_case capped = {"cap", "gpt-99", NOW,  false,    0,     0,
                                            1000,  100,      true, "0.0195", "cap", "openai/*cap"};
    static const struct bill_case known = {"known", "gpt", NOW,  false,   0,  0,
                                           1000,    100,   true, "0.006", "", "openai/gpt"};
    struct meter_price row, cap;

    (void)state;
    assert_int_equal(find(rows, "gemini", "dearest", NOW, &row), METER_OK);
    assert_int_equal(meter_price_cap(rows, meter_provider_by_name("openai"), at(NOW), &cap),
                     METER_OK);
    check_bill(&unknown, NULL);
    check_bill(&by_row, &row);
    check_bill(&capped, &cap); /* 5 and 25 of gpt's region, and sonar's fee of a call */
    check_bill(&known, &cap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_take_the_dearest_that_can_apply),
        cmocka_unit_test(bills_have_the_row_of_the_call),
        cmocka_unit_test(a_model_without_a_price_has_the_one_that_was_asked_for),
    };

    (void)load_book, (void)drop_book;
    return cmocka_run_group_tests(tests, load_rows, drop_rows);
}
