/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded exchanges and explained estimates: what `flyball meter` and `flyball estimate` print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/estimate.h"
#include "cli/exchange.h"

static const char request_head[] =
    "{\"method\":\"POST\",\"url\":\"https://api.openai.com/v1/chat/completions\",\"headers\":{},";

static void finds_exchanges_in_a_file(void **state)
{
    static const struct {
        const char *why, *given, *want;
    } rows[] = {
        {"one", "{\"a\":1}", "{\"a\":1};"},
        {"blanks around it", " \n{\"a\":1}\n ", "{\"a\":1};"},
        {"one a line", "{\"a\":1}\n{\"b\":[2]}\n", "{\"a\":1};{\"b\":[2]};"},
        {"an array", "[{\"a\":1},\n {\"b\":2}]", "{\"a\":1};{\"b\":2};"},
        {"braces in strings", "{\"a\":\"}{\\\"]\"}{}", "{\"a\":\"}{\\\"]\"};{};"},
        {"no end", "{\"a\":1", "{\"a\":1;"},
        {"something else", "{}x{}", "{};x{};"},
        {"nothing", "", ""},
        {"an empty array", "[]", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got[256] = "";
        const char *json;
        size_t at = 0, bytes;

        while (cli_exchange_next(rows[i].given, strlen(rows[i].given), &at, &json, &bytes))
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s;", (int)bytes, json);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: want %s, got %s", rows[i].why, rows[i].want, got);
    }
}

static enum meter_err meter_text(const char *json, char **line)
{
    struct meter_error error = {""};
    enum meter_err err =
        cli_exchange_meter(json, strlen(json), meter_price_book_shipped(), line, &error);

    assert_true(err == METER_OK || error.text[0] != '\0');
    return err;
}

static void refuses_what_is_no_exchange(void **state)
{
    static const struct {
        const char *why, *given;
    } rows[] = {
        {"nothing", ""},
        {"no JSON", "hello"},
        {"an array", "[]"},
        {"no url", "{\"request\":{\"method\":\"GET\"},\"response\":{}}"},
        {"an empty host", "{\"request\":{\"url\":\"https:///x\"},\"response\":{}}"},
        {"no response", "{\"request\":{\"url\":\"https://x/y\"}}"},
    };
    char *line = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (meter_text(rows[i].given, &line) != METER_BAD_EXCHANGE || line != NULL)
            fail_msg("%s was taken for one", rows[i].why);
}

static const struct {
    const char *why, *response, *want;
    const char *body;
} exchanges[] = {
    {"a body as text",
     "{\"status\":200,\"headers\":{},\"body_text\":\"{\\\"model\\\":\\\"gpt-4o\\\",\\\"usage\\\":{"
     "\\\"prompt_tokens\\\":1000,\\\"completion_tokens\\\":100,\\\"total_tokens\\\":1100}}\"}",
     "\"cost_usd\":\"0.0035\"", "{}"},
    {"a body as base64, in pieces",
     "{\"status\":200,\"headers\":{\"Content-Encoding\":\"identity\"},\"chunk_sizes\":[3,0,-1,1000]"
     ","
     "\"body_base64\":\"eyJ1c2FnZSI6eyJwcm9tcHRfdG9rZW5zIjo3fX0=\"}",
     "\"input_tokens\":7", "{}"},
    {"a request that is no JSON",
     "{\"status\":200,\"body_text\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":7}}\"}",
     "\"input_tokens\":7", "\"{oops\""},
    {"no body", "{\"status\":401,\"headers\":{}}", "\"billable\":false", "{}"},
    {"a body that was cut",
     "{\"status\":200,\"body_text\":\"{\\\"choices\\\":[{\\\"message\\\":{\\\"content\\\":"
     "\\\"Hel\"}",
     "\"provenance\":\"missing\"", "{\"model\":\"gpt-4o\",\"max_tokens\":10}"},
    {"unknown is null",
     "{\"status\":200,\"body_text\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":7}}\"}",
     "\"cost_usd\":null,\"provider_cost_usd\":null,\"charged_usd\":null,\"charged_by\":\"hold\","
     "\"price\":null",
     "{\"model\":\"gpt-99\"}"},
};

static void meters_an_exchange(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
        char json[2048], *line = NULL;

        (void)snprintf(json, sizeof json, "{\"request\":%s\"body\":%s},\"response\":%s}",
                       request_head, exchanges[i].body, exchanges[i].response);
        assert_int_equal(meter_text(json, &line), METER_OK);
        if (strstr(line, exchanges[i].want) == NULL)
            fail_msg("%s: want %s in %s", exchanges[i].why, exchanges[i].want, line);
        free(line);
    }
}

/* Dates in the answer decide which price held; without one, the book's. */
static void prices_by_the_date_of_the_answer(void **state)
{
    static const char *const dates[] = {"Wed, 19 Aug 2026 12:00:00 GMT",
                                        "Sat, 22 Aug 2026 12:00:00 GMT", "no date"};
    static const char *const wants[] = {"\"from\":null", "\"from\":\"2026-08-21\"",
                                        "\"from\":\"2026-08-21\""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char json[1024], *line = NULL;

        (void)snprintf(
            json, sizeof json,
            "{\"request\":%s\"body\":{\"model\":\"gpt-5.6-sol\"}},\"response\":{\"status\":"
            "200,\"headers\":{\"Date\":\"%s\"},\"body_text\":\"{\\\"usage\\\":{"
            "\\\"prompt_tokens\\\":1000}}\"}}",
            request_head, dates[i]);
        assert_int_equal(meter_text(json, &line), METER_OK);
        if (strstr(line, wants[i]) == NULL)
            fail_msg("%s: want %s in %s", dates[i], wants[i], line);
        free(line);
    }
}

/* ---- estimates ---------------------------------------------------------------------------- */

static int64_t usd_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    int64_t pusd = -1;

    if (text != NULL)
        assert_true(meter_usd_parse(text, strlen(text), &pusd));
    return pusd;
}

static const struct {
    const char *why, *body, *text;
} estimates[] = {
    {"a plain question",
     "{\"model\":\"gpt-4o\",\"max_tokens\":100,\"messages\":[{\"content\":\"hi\"}]}",
     "the cap that the request sets"},
    {"no cap", "{\"model\":\"gpt-4o\",\"n\":2}", "the cap, for each choice"},
    {"a search", "{\"model\":\"gpt-4o\",\"max_tokens\":9,\"web_search_options\":{}}",
     "the whole window"},
    {"an image",
     "{\"model\":\"gpt-4o\",\"max_tokens\":9,\"messages\":[{\"content\":[{\"image_url\":{"
     "\"url\":\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ\"}}]}]}",
     "images"},
};

/* The lines of an estimate are its sum, to the rounding of each. */
static void explains_a_hold_line_by_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof estimates / sizeof *estimates; i++) {
        char request[1024], *json = NULL, *text = NULL;
        json_t *object, *line, *hold;
        int64_t sum = 0, tokens = 0;
        size_t k;

        (void)snprintf(request, sizeof request, "%s\"body\":%s}", request_head, estimates[i].body);
        assert_int_equal(
            cli_estimate(request, strlen(request), meter_price_book_shipped(), &json, &text, NULL),
            METER_OK);
        object = json_loads(json, 0, NULL);
        hold = json_object_get(object, "hold");
        json_array_foreach(json_object_get(object, "lines"), k, line)
        {
            sum += usd_of(line, "cost_usd");
            tokens += json_integer_value(json_object_get(line, "tokens"));
        }
        if (tokens != json_integer_value(json_object_get(hold, "input_tokens")) +
                          json_integer_value(json_object_get(hold, "output_tokens")))
            fail_msg("%s: %lld tokens in lines: %s", estimates[i].why, (long long)tokens, json);
        if (sum < usd_of(hold, "cost_usd") || sum > usd_of(hold, "cost_usd") + 10)
            fail_msg("%s: %lld in lines: %s", estimates[i].why, (long long)sum, json);
        if (strstr(text, estimates[i].text) == NULL)
            fail_msg("%s: want \"%s\" in %s", estimates[i].why, estimates[i].text, text);
        json_decref(object);
        free(json);
        free(text);
    }
}

static void estimates_nothing_it_does_not_know(void **state)
{
    char request[512], *json = NULL, *text = NULL;

    (void)state;
    (void)snprintf(request, sizeof request, "%s\"body\":{\"model\":\"gpt-99\"}}", request_head);
    assert_int_equal(
        cli_estimate(request, strlen(request), meter_price_book_shipped(), &json, &text, NULL),
        METER_OK);
    assert_non_null(strstr(json, "\"output_tokens\":null,\"cost_usd\":null"));
    free(json);
    free(text);
    (void)snprintf(request, sizeof request, "%s\"body\":{\"max_tokens\":-1}}", request_head);
    assert_int_equal(
        cli_estimate(request, strlen(request), meter_price_book_shipped(), &json, &text, NULL),
        METER_BAD_FIELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_exchanges_in_a_file),
        cmocka_unit_test(refuses_what_is_no_exchange),
        cmocka_unit_test(meters_an_exchange),
        cmocka_unit_test(prices_by_the_date_of_the_answer),
        cmocka_unit_test(explains_a_hold_line_by_line),
        cmocka_unit_test(estimates_nothing_it_does_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
