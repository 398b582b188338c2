/* SPDX-License-Identifier: Apache-2.0 */
/* Price files: reading them back, laying them over a base book, and what they must not say. */
#include <stdio.h>

#include "meter/meter_int.h"
#include "tests/unit/price_test.h"

/* A book's text gives the same text again: nothing is lost, nothing stands twice. */
static void check_read_back(const char *why, const struct meter_price_book *given)
{
    size_t bytes = 0, again_bytes = 0;
    char *text = meter_price_book_text(given, &bytes);
    struct meter_price_book *back = NULL;
    struct meter_error error = {""};

    assert_non_null(text);
    assert_int_equal(bytes, strlen(text));
    if (meter_price_book_parse(text, bytes, NULL, &back, &error) != METER_OK)
        fail_msg("%s cannot be read back: %s", why, error.text);
    char *again = meter_price_book_text(back, &again_bytes);
    assert_non_null(again);
    assert_string_equal(again, text);
    free(again);
    free(text);
    meter_price_book_free(back);
}

static void books_are_read_back_unchanged(void **state)
{
    (void)state;
    check_read_back("the shipped book", meter_price_book_shipped());
    check_read_back("the tests' book", book);
    assert_int_equal(strlen(meter_price_book_date(meter_price_book_shipped())), 10);
}

static void check_row(const struct meter_price_book *made, const struct meter_price_book *read,
                      size_t i)
{
    const struct price_row *a = &made->rows[i], *b = &read->rows[i];
    struct meter_rates rates_a, rates_b;

    price_row_rates(made, a, &rates_a);
    price_row_rates(read, b, &rates_b);
    if (a->from_day != b->from_day || a->prompt_from != b->prompt_from || a->tier != b->tier ||
        a->regional != b->regional || a->free != b->free ||
        a->context_tokens != b->context_tokens || a->output_tokens != b->output_tokens ||
        a->hidden_tokens_per_second != b->hidden_tokens_per_second ||
        strcmp(price_text(made, a->from), price_text(read, b->from)) != 0 ||
        strcmp(price_text(made, a->hours), price_text(read, b->hours)) != 0 ||
        strcmp(price_text(made, a->tier_name), price_text(read, b->tier_name)) != 0 ||
        memcmp(&rates_a, &rates_b, sizeof rates_a) != 0)
        fail_msg("row %zu of the shipped book (\"%s\") is not what its text says", i,
                 price_text(made, a->tier_name));
}

/* The whole file, as the book that is made of it. */
static struct meter_price_book *file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    struct meter_price_book *read = NULL;
    struct meter_error error = {""};
    char *text = NULL;
    size_t room = 0;
    ssize_t bytes = file != NULL ? getdelim(&text, &room, '\0', file) : -1;

    if (bytes < 0 || meter_price_book_parse(text, (size_t)bytes, NULL, &read, &error) != METER_OK)
        fail_msg("%s: %s", path, error.text);
    (void)fclose(file);
    free(text);
    return read;
}

/* The tables that awk makes are those that the reader of price files makes of the same text. */
static void the_compiled_book_is_the_one_that_is_read(void **state)
{
    const struct meter_price_book *made = meter_price_book_shipped();
    struct meter_price_book *read = file_read("prices/book.tsv");

    (void)state;
    assert_int_equal(made->provider_count, read->provider_count);
    assert_int_equal(made->name_count, read->name_count);
    assert_int_equal(made->row_count, read->row_count);
    for (size_t i = 0; i < made->name_count; i++) {
        const struct price_name *a = &made->names[i], *b = &read->names[i];

        assert_string_equal(price_text(made, a->name), price_text(read, b->name));
        assert_string_equal(price_text(made, a->model), price_text(read, b->model));
        assert_int_equal(a->first, b->first);
        assert_int_equal(a->count, b->count);
    }
    for (size_t i = 0; i < made->row_count; i++)
        check_row(made, read, i);
    meter_price_book_free(read);
}

#define HEAD "provider|model|input|output\n"

static void override_replaces_whole_models(void **state)
{
    static const char text[] = "output|model|aliases|provider|input\r\n"
                               "\n"
                               "# mine\n"
                               "9|gpt-5.6-sol|-|openai|3\r\n"
                               "7|mine|gpt-4o,my-other|openai|1.5";
    static const struct {
        const char *why, *model, *want;
        uint64_t input;
        unsigned rows;
    } cases[] = {
        {"its own row", "gpt-5.6-sol", "openai/gpt-5.6-sol", UINT64_C(3000000000), 1},
        {"an alias of the base follows", "gpt-5.6", "openai/gpt-5.6-sol", UINT64_C(3000000000), 1},
        {"a new model", "mine", "openai/mine", UINT64_C(1500000000), 1},
        {"an alias takes a name of the base", "gpt-4o", "openai/mine", UINT64_C(1500000000), 1},
        {"a second alias", "my-other", "openai/mine", UINT64_C(1500000000), 1},
        {"the rest stays", "gpt-5-nano", "openai/gpt-5-nano", UINT64_C(50000000), 2},
    };
    struct meter_price_book *over = NULL;
    struct meter_error error = {""};

    (void)state;
    if (parse(text, book, &over, &error) != METER_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_price price;
        struct meter_rates rates;

        assert_int_equal(find(over, "openai", cases[i].model, NOW, &price), METER_OK);
        plain_rates(&price, 1000000, &rates);
        if (strcmp(price.row, cases[i].want) != 0 || price.row_count != cases[i].rows ||
            rates.token[METER_INPUT] != cases[i].input)
            fail_msg("%s: %s gave %s, want %s", cases[i].why, cases[i].model, price.row,
                     cases[i].want);
    }
    check_read_back("a book with overrides", over);
    meter_price_book_free(over);
}

static const struct {
    const char *why, *given, *want;
} refused[] = {
    {"empty", "", "line 1: there is no header line"},
    {"no header", "# nothing\n\n", "line 3: there is no header line"},
    {"commas", "provider,model,input,output\n", "line 1: the columns must be separated by tabs"},
    {"a misspelt column", "provider|model|input|ouput\n",
     "line 1: no column is called \"ouput\"; the nearest is output"},
    {"another name", "provider|model|input|output|cache_write\n",
     "line 1: no column is called \"cache_write\"; the nearest is cache_write_5m"},
    {"a column twice", "provider|model|input|input\n", "line 1: column input stands twice"},
    {"a column missing", "provider|model|output\n", "line 1: column input is missing"},
    {"too few cells", HEAD "openai|x|1\n", "line 2: 3 cells, but the header has 4 columns"},
    {"not a number", HEAD "openai|x|one|2\n",
     "line 2, column input: \"one\" is not a decimal number like 2.50"},
    {"a thousands comma", HEAD "openai|x|1|2,000\n",
     "line 2, column output: \"2,000\" is not a decimal number like 2.50"},
    {"negative", HEAD "openai|x|1|-2\n", "line 2, column output: \"-2\" is negative"},
    {"overflow", HEAD "openai|x|1e300|2\n", "line 2, column input: \"1e300\" is too large"},
    {"too exact", HEAD "openai|x|1.0000000001|2\n",
     "line 2, column input: \"1.0000000001\" has more than 9 decimals"},
    {"per token", HEAD "openai|x|0.0000025|10\n",
     "line 2, column input: \"0.0000025\" looks like USD per token; "
     "per 1,000,000 tokens write 2.5"},
    {"per token, exponent", HEAD "openai|x|2.5|3.625e-09\n",
     "line 2, column output: \"3.625e-09\" looks like USD per token; "
     "per 1,000,000 tokens write 0.003625"},
    {"per more", HEAD "openai|x|2500|10\n",
     "line 2, column input: \"2500\" is above 700 USD per 1,000,000 tokens; "
     "if it is per 1,000,000,000 tokens write 2.5"},
    {"a fee per thousand", "provider|model|input|output|web_search\nopenai|x|1|2|10\n",
     "line 2, column web_search: \"10\" is above 1 USD for one; if it is per 1000 write 0.01"},
    {"a fee per million", "provider|model|input|output|page\nopenai|x|-|-|4000\n",
     "line 2, column page: \"4000\" is above 1 USD for one; if it is per 1000 write 4"},
    {"a character's price", "provider|model|input|output|character\nopenai|x|-|-|0.000015\n",
     "line 2, column character: \"0.000015\" looks like USD per token; "
     "per 1,000,000 tokens write 15"},
    {"characters by the billion", "provider|model|input|output|character\nopenai|x|-|-|15000\n",
     "line 2, column character: \"15000\" is above 700 USD per 1,000,000; "
     "if it is per 1,000,000,000 write 15"},
    {"a zero", HEAD "openai|x|0|2\n",
     "line 2, column input: 0 is a price only with free=yes; write - for none"},
    {"no input price", HEAD "openai|x|-|2\n",
     "line 2, column input: a row needs a price, or free=yes"},
    {"no model", HEAD "openai|-|1|2\n", "line 2: a row needs a provider and a model"},
    {"a blank in a name", HEAD "openai|x y|1|2\n",
     "line 2, column model: \"x y\" is not a model's name"},
    {"no date", "provider|model|input|output|from\nopenai|x|1|2|2026-02-29\n",
     "line 2, column from: \"2026-02-29\" is not a date like 2026-08-21"},
    {"no size", "provider|model|input|output|prompt_from\nopenai|x|1|2|200k\n",
     "line 2, column prompt_from: \"200k\" is not a whole number of tokens"},
    {"no tier", "provider|model|input|output|service\nopenai|x|1|2|turbo\n",
     "line 2, column service: \"turbo\" is none of standard, priority, flex, batch, fast"},
    {"no region", "provider|model|input|output|region\nopenai|x|1|2|eu\n",
     "line 2, column region: \"eu\" is neither regional nor -"},
    {"no hours", "provider|model|input|output|hours\nopenai|x|1|2|9-17\n",
     "line 2, column hours: \"9-17\" is not like mon-fri 01:00-04:00,06:00-10:00 (UTC)"},
    {"all others at a price", HEAD "openai|*|1|2\n",
     "line 2, column model: \"*\" stands for all others, which must be free"},
    {"a search alone", "provider|model|input|output|web_search\nopenai|x|-|-|0.01\n",
     "line 2, column input: a row needs a price, or free=yes"},
    {"neither", "provider|model|input|output|free\nopenai|x|1|2|maybe\n",
     "line 2, column free: \"maybe\" is neither yes nor no"},
    {"a row twice", HEAD "openai|y|1|2\nopenai|x|1|2\n\nopenai|x|1|3\n",
     "line 5, model \"x\" has this row (from, prompt_from, service, region, hours) twice"},
    {"no base row", "provider|model|input|output|prompt_from\nopenai|x|1|2|9\n",
     "line 2, model \"x\" has no standard row with prompt_from 0 at this date"},
    {"no plain row", "provider|model|input|output|region\nopenai|x|1|2|regional\n",
     "line 2, model \"x\" has no standard row with prompt_from 0 at this date"},
    {"hours alone", "provider|model|input|output|hours\nopenai|x|1|2|sat 00:00-24:00\n",
     "line 2, model \"x\" has no standard row with prompt_from 0 at this date"},
    {"an alias twice", "provider|model|input|output|aliases\nopenai|x|1|2|z\nopenai|y|1|2|a,z\n",
     "line 3, name \"z\" stands for two models"},
    {"an empty alias", "provider|model|input|output|aliases\nopenai|x|1|2|a,\n",
     "line 2, column aliases: \"a,\" is not a list of names: a,b"},
};

static void override_errors_name_line_column_and_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct meter_price_book *over = NULL;
        struct meter_error error = {""};

        if (parse(refused[i].given, book, &over, &error) != METER_BAD_PRICES || over != NULL ||
            strcmp(error.text, refused[i].want) != 0)
            fail_msg("%s: said \"%s\", want \"%s\"", refused[i].why, error.text, refused[i].want);
    }
}

static void override_zero_is_free_only_when_said(void **state)
{
    struct meter_price_book *over = NULL;
    struct meter_error error = {""};
    struct meter_price price;
    struct meter_rates rates;

    (void)state;
    assert_int_equal(parse("provider|model|input|output|cache_read|free\n"
                           "openai|mine|0|0|-|yes\n"
                           "openai|partly|1|2|0|yes\n",
                           NULL, &over, &error),
                     METER_OK);
    assert_int_equal(find(over, "openai", "mine", NOW, &price), METER_OK);
    assert_true(price.free);
    assert_int_equal(find(over, "openai", "partly", NOW, &price), METER_OK);
    assert_false(price.free);
    plain_rates(&price, 1, &rates);
    assert_int_equal(rates.token[METER_CACHE_READ], 0);
    assert_true(rates.token[METER_AUDIO_IN] == METER_NO_RATE);
    check_read_back("a book of zeros", over);
    meter_price_book_free(over);
    meter_price_book_free(NULL);
}

static void a_line_that_does_not_say_it_reasons_out_of_sight_as_in_the_book(void **state)
{
    static const struct {
        const char *model;
        uint64_t want;
    } cases[] = {
        {"gpt-5-nano", 250}, {"gpt-5-nano-2025-08-07", 250},
        {"gpt-5.6", 750},    {"o3", 99},
        {"gpt-4o", 0},       {"gpt-99", 0},
    };
    struct meter_error error = {""};
    struct meter_price_book *mine;
    struct meter_price price;

    (void)state;
    assert_int_equal(parse("provider|model|input|output|hidden_tps\n"
                           "openai|gpt-5-nano|1|2|-\n"
                           "openai|gpt-5-nano-2025-08-07|1|2|-\n"
                           "openai|gpt-5.6|1|2|-\n"
                           "openai|o3|1|2|99\n"
                           "openai|gpt-4o|1|2|-\n"
                           "openai|gpt-99|1|2|-\n",
                           book, &mine, &error),
                     METER_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(find(mine, "openai", cases[i].model, NOW, &price), METER_OK);
        assert_int_equal(price.hidden_tokens_per_second, cases[i].want);
    }
    meter_price_book_free(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_does_not_say_it_reasons_out_of_sight_as_in_the_book),
        cmocka_unit_test(books_are_read_back_unchanged),
        cmocka_unit_test(the_compiled_book_is_the_one_that_is_read),
        cmocka_unit_test(override_replaces_whole_models),
        cmocka_unit_test(override_errors_name_line_column_and_value),
        cmocka_unit_test(override_zero_is_free_only_when_said),
    };

    return cmocka_run_group_tests(tests, load_book, drop_book);
}
