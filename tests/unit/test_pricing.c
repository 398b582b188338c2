/* SPDX-License-Identifier: Apache-2.0 */
/* What a run remembers of its last price is what its book says. */
#include "sidecar/side_int.h"
#include "tests/unit/writer.h"

#define EVE      INT64_C(1767225599) /* 2025-12-31T23:59:59Z; prices change in the next second */
#define NEW_YEAR (EVE + 1)

static const char text[] = "provider\tmodel\tfrom\tinput\toutput\n"
                           "openai\ta\t2025-01-01\t1\t2\n"
                           "openai\ta\t2026-01-01\t3\t4\n"
                           "openai\tb\t2026-01-01\t5\t6\n"
                           "xai\ta\t2025-01-01\t7\t8\n";

struct question {
    int64_t when_s;
    const char *provider, *model, *row, *from; /* row NULL: it has none */
};

static const struct question questions[] = {
    {EVE, "openai", "a", "openai/a", "2025-01-01"},
    {EVE, "openai", "a", "openai/a", "2025-01-01"},
    {NEW_YEAR, "openai", "a", "openai/a", "2026-01-01"}, /* midnight has passed */
    {NEW_YEAR + 86399, "openai", "a", "openai/a", "2026-01-01"},
    {EVE, "openai", "a", "openai/a", "2025-01-01"}, /* the clock was set back */
    {EVE, "xai", "a", "xai/a", "2025-01-01"},       /* the same name of another provider */
    {EVE, "openai", "b", NULL, NULL},               /* not yet */
    {EVE, "openai", "a", "openai/a", "2025-01-01"},
    {NEW_YEAR, "openai", "b", "openai/b", "2026-01-01"},
    {NEW_YEAR, "openai", "c", NULL, NULL},
    {NEW_YEAR, "openai", "c", NULL, NULL}, /* what was not found is not remembered */
    {NEW_YEAR, "openai", "b", "openai/b", "2026-01-01"},
};

static void test_a_run_prices_as_its_book(void **state)
{
    struct meter_error error = {""};
    struct side_run *run = calloc(1, sizeof *run);
    struct side_call *call = calloc(1, sizeof *call);

    (void)state;
    assert_non_null(run);
    assert_non_null(call);
    assert_int_equal(meter_price_book_parse(text, sizeof text - 1, NULL, &run->book, &error),
                     METER_OK);
    call->run = run;
    call->request.kind = METER_BILLABLE;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        const struct question *question = &questions[i];
        struct meter_price price;

        wall_s = question->when_s;
        call->request.provider = meter_provider_by_name(question->provider);
        (void)strcpy(call->request.model, question->model);
        assert_int_equal(side_price_of(call, &price), question->row != NULL);
        if (question->row == NULL)
            continue;
        assert_string_equal(price.row, question->row);
        assert_string_equal(price.from, question->from);
        assert_int_equal(price.when_s, question->when_s);
    }
    call->request.kind = METER_UNKNOWN; /* nobody has read which model it is for */
    assert_false(side_price_of(call, &(struct meter_price){.row = ""}));
    meter_price_book_free(run->book);
    free(run);
    free(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_run_prices_as_its_book)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
