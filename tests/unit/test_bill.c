/* SPDX-License-Identifier: Apache-2.0 */
/* The charge of a call by how it ended: every row of docs/METERING.md. */
#include <stdio.h>

#include "tests/unit/price_test.h"

/* gpt-4o: $2.50 in, $1.25 cached, $10 out per million. Money here in millionths of a dollar. */
#define MICRO 1000000ll

/* The call: 1,000 tokens in by estimate, held at 5,000 tokens and $0.05, cap 2,000. */
static const struct meter_usage seen = {
    .reported = {.model = "gpt-4o",
                 .input_tokens = 1000,
                 .output_tokens = 200,
                 .cached_input_tokens = 400,
                 .cache_write_tokens = -1,
                 .reasoning_tokens = -1,
                 .total_tokens = 1200,
                 .provider_cost_pusd = -1},
    .usage_seen = true,
    .complete = true,
    .billable = true,
    .output_begun = true,
    .counted_output = true,
    .tokens = {[METER_INPUT] = 600, [METER_CACHE_READ] = 400, [METER_OUTPUT] = 200},
    .delivered_tokens = 190,
    .last_output_tokens = 200,
};

static struct meter_request request_of(const char *model, bool stream)
{
    struct meter_request request = {.kind = METER_BILLABLE,
                                    .stream = stream,
                                    .input_tokens = 3000,
                                    .estimated_input_tokens = 1000,
                                    .choices = 1};

    request.provider = meter_provider_by_name("openai");
    request.api = meter_api_by_name("chat.completions");
    (void)snprintf(request.model, sizeof request.model, "%s", model);
    return request;
}

/* One change of the call each. */
static void nothing(struct meter_usage *u)
{
    (void)u;
}

static void none_seen(struct meter_usage *u)
{
    u->usage_seen = u->complete = u->counted_output = false;
    u->reported = (struct meter_reported){.model = "gpt-4o",
                                          .input_tokens = -1,
                                          .output_tokens = -1,
                                          .cached_input_tokens = -1,
                                          .provider_cost_pusd = -1};
    memset(u->tokens, 0, sizeof u->tokens);
    u->last_output_tokens = -1;
}

static void came_as_events(struct meter_usage *u)
{
    none_seen(u);
    u->streamed = true;
}

static void none_but_whole(struct meter_usage *u)
{
    none_seen(u);
    u->complete = true;
}

static void start_alone(struct meter_usage *u)
{
    u->complete = u->counted_output = false;
    u->last_output_tokens = 1;
    u->tokens[METER_OUTPUT] = 1;
}

static void slow_clock(struct meter_usage *u)
{
    none_seen(u);
    u->delivered_tokens = 2000 - 64;
}

static void count_above_text(struct meter_usage *u)
{
    u->complete = false;
    u->last_output_tokens = 336;
}

static void much_text(struct meter_usage *u)
{
    start_alone(u);
    u->delivered_tokens = 1000000;
}

static void not_billed(struct meter_usage *u)
{
    none_seen(u);
    u->error = true;
    u->billable = false;
}

static void own_cost(struct meter_usage *u)
{
    u->provider_cost_pusd = 1234 * MICRO;
    u->cost = METER_COST_CHARGED;
}

static void other_model(struct meter_usage *u)
{
    (void)strcpy(u->reported.model, "gpt-4.1-nano-2025-04-14");
}

static void strange_model(struct meter_usage *u)
{
    (void)strcpy(u->reported.model, "gpt-99");
}

static void strange(struct meter_usage *u)
{
    none_seen(u);
    u->strange = true;
    u->complete = true;
}

static void wordless(struct meter_usage *u)
{
    none_but_whole(u);
    u->wordless = true;
    u->delivered_tokens = 0;
}

static void reasoned(struct meter_usage *u)
{
    none_seen(u);
    u->reasoned = true;
}

static void no_input(struct meter_usage *u)
{
    u->reported.input_tokens = -1;
    u->tokens[METER_INPUT] = u->tokens[METER_CACHE_READ] = 0;
}

static void no_output(struct meter_usage *u)
{
    u->reported.output_tokens = -1;
    u->tokens[METER_OUTPUT] = 0;
}

static void first_output_alone(struct meter_usage *u)
{
    u->reported.output_tokens = 1;
    u->tokens[METER_OUTPUT] = 1;
    u->warnings |= METER_WARN_BAD_USAGE;
}

static void first_count_alone(struct meter_usage *u)
{
    u->reported.output_tokens = 1;
    u->tokens[METER_OUTPUT] = 1;
    u->uncounted = true;
}

static void priority_tier(struct meter_usage *u)
{
    u->tier = METER_TIER_PRIORITY;
}

static void sound(struct meter_usage *u)
{
    u->tokens[METER_AUDIO_OUT] = 10;
}

static void pictures(struct meter_usage *u)
{
    u->tokens[METER_IMAGE_IN] = 100;
}

static void searches(struct meter_usage *u)
{
    u->counts[METER_WEB_SEARCHES] = 2;
    u->counts[METER_FILE_SEARCHES] = 1;
    u->counts[METER_TOOL_CALLS] = 7; /* no fee */
}

static void more_than_held(struct meter_usage *u)
{
    u->tokens[METER_OUTPUT] = 20000;
}

static void too_much(struct meter_usage *u)
{
    u->tokens[METER_INPUT] = UINT64_MAX;
}

static const struct {
    const char *why, *model;
    bool stream;
    enum meter_end end;
    void (*change)(struct meter_usage *usage); /* NULL: nothing was seen at all */
    int64_t charged;                           /* millionths of a dollar */
    uint64_t tokens;
    enum meter_provenance provenance;
} rows[] = {
    {"usage reported", "gpt-4o", true, METER_END_WHOLE, nothing, 4000, 1200,
     METER_PROVIDER_REPORTED},
    {"... and the connection lost behind it", "gpt-4o", true, METER_END_BROKEN, nothing, 4000, 1200,
     METER_PROVIDER_REPORTED},
    {"... with a cost of the provider's", "gpt-4o", true, METER_END_WHOLE, own_cost, 1234, 1200,
     METER_PROVIDER_REPORTED},
    {"... of another model", "gpt-4o", true, METER_END_WHOLE, other_model, 150, 1200,
     METER_PROVIDER_REPORTED},
    {"... of a model without a price: the one asked for", "gpt-4o", true, METER_END_WHOLE,
     strange_model, 4000, 1200, METER_PROVIDER_REPORTED},
    {"... above the hold: an overrun", "gpt-4o", true, METER_END_WHOLE, more_than_held, 202000,
     21000, METER_PROVIDER_REPORTED},
    {"... without the output: that by estimate", "gpt-4o", true, METER_END_WHOLE, no_output, 3900,
     1190, METER_ESTIMATED},
    {"... and the last of it cannot be read", "gpt-4o", true, METER_END_WHOLE, first_output_alone,
     3900, 1190, METER_ESTIMATED},
    {"... and the last of it came before the text", "gpt-4o", true, METER_END_WHOLE,
     first_count_alone, 3900, 1190, METER_ESTIMATED},
    {"... without the input: that by estimate", "gpt-4o", true, METER_END_WHOLE, no_input, 4500,
     1200, METER_ESTIMATED},
    {"... at the tier that was served", "gpt-4o", true, METER_END_WHOLE, priority_tier, 6800, 1200,
     METER_PROVIDER_REPORTED},
    {"... with searches", "gpt-4o", true, METER_END_WHOLE, searches, 26500, 1200,
     METER_PROVIDER_REPORTED},
    {"... with pictures", "gpt-4o", true, METER_END_WHOLE, pictures, 4250, 1300,
     METER_PROVIDER_REPORTED},
    {"... with pictures that have no price: as text", "gpt-5-nano", true, METER_END_WHOLE, pictures,
     117, 1300, METER_PROVIDER_REPORTED},
    {"... with sound that has no price: the hold", "gpt-4o", true, METER_END_WHOLE, sound, 50000,
     1210, METER_PROVIDER_REPORTED},
    {"broken off, nothing reported", "gpt-4o", true, METER_END_BROKEN, none_seen,
     2500 + 10 * (190 + 64), 1000 + 254, METER_MEASURED},
    {"... after the start alone", "gpt-4o", true, METER_END_BROKEN, start_alone,
     1500 + 500 + 10 * (190 + 64), 1000 + 254, METER_MEASURED},
    {"... after a count above the text", "gpt-4o", true, METER_END_BROKEN, count_above_text,
     2000 + 10 * (336 + 64), 1000 + 400, METER_MEASURED},
    {"... at most the hold", "gpt-4o", true, METER_END_BROKEN, much_text, 50000, 5000,
     METER_MEASURED},
    {"... in order, but without the protocol's end", "gpt-4o", true, METER_END_WHOLE, start_alone,
     2000 + 10 * (190 + 64), 1000 + 254, METER_MEASURED},
    {"... before any answer", "gpt-4o", true, METER_END_NO_ANSWER, NULL, 2500 + 640, 1064,
     METER_MEASURED},
    {"broken off, reasoning out of sight: 4 s at 250", "gpt-5-nano", true, METER_END_BROKEN,
     none_seen, 50 + 400, 1000 + 1000, METER_ESTIMATED},
    {"... and more text than the time allows", "gpt-5-nano", true, METER_END_BROKEN, slow_clock,
     50 + 800, 1000 + 2000, METER_ESTIMATED},
    {"... but a count was seen", "gpt-5-nano", true, METER_END_BROKEN, count_above_text, 192, 1400,
     METER_MEASURED},
    {"tap lost", "gpt-4o", true, METER_END_TAP_LOST, nothing, 50000, 5000, METER_MISSING},
    {"no stream, no answer", "gpt-4o", false, METER_END_NO_ANSWER, NULL, 50000, 5000,
     METER_MISSING},
    {"no stream, half an answer", "gpt-4o", false, METER_END_BROKEN, none_seen, 50000, 5000,
     METER_MISSING},
    {"... of one that came as a stream, whatever was asked for", "gpt-4o", false, METER_END_BROKEN,
     came_as_events, 2500 + 10 * (190 + 64), 1000 + 254, METER_MEASURED},
    {"answered without usage", "gpt-4o", false, METER_END_WHOLE, none_but_whole, 2500 + 1900, 1190,
     METER_ESTIMATED},
    {"... by a model that reasons out of sight", "gpt-5-nano", false, METER_END_WHOLE,
     none_but_whole, 50 + 400, 1000 + 1000, METER_ESTIMATED},
    {"... with a picture, of which no text tells", "gpt-4o", false, METER_END_WHOLE, wordless,
     50000, 5000, METER_MISSING},
    {"... and the stream of it broken off", "gpt-4o", true, METER_END_BROKEN, wordless, 50000, 5000,
     METER_MISSING},
    {"a page, no answer", "gpt-4o", false, METER_END_WHOLE, strange, 50000, 5000, METER_MISSING},
    {"... where a stream was wanted", "gpt-4o", true, METER_END_WHOLE, strange, 50000, 5000,
     METER_MISSING},
    {"an error that is not billed", "gpt-4o", false, METER_END_WHOLE, not_billed, 0, 0,
     METER_PROVIDER_REPORTED},
    {"nothing sent", "gpt-4o", true, METER_END_UNSENT, NULL, 0, 0, METER_MEASURED},
};

static void bill_of(const struct meter_request *request, const struct meter_usage *usage,
                    enum meter_end end, int64_t held_pusd, struct meter_bill *bill)
{
    const struct meter_settling settling = {.request = request,
                                            .usage = usage,
                                            .book = book,
                                            .when_s = at(NOW),
                                            .end = end,
                                            .sent_ms = 4000,
                                            .held_tokens = 5000,
                                            .held_pusd = held_pusd,
                                            .held_cap = 2000};

    meter_bill_make(&settling, bill);
}

static void charges_by_how_the_call_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct meter_request request = request_of(rows[i].model, rows[i].stream);
        struct meter_usage usage = seen;
        struct meter_bill bill;

        if (strcmp(rows[i].model, "gpt-4o") != 0)
            usage.reported.model[0] = '\0';
        if (rows[i].change != NULL)
            rows[i].change(&usage);
        if (strcmp(rows[i].model, "gpt-4o") != 0)
            usage.reported.model[0] = '\0';
        bill_of(&request, rows[i].change != NULL ? &usage : NULL, rows[i].end, 50000 * MICRO,
                &bill);
        if (bill.charged_pusd != rows[i].charged * MICRO || bill.tokens_total != rows[i].tokens ||
            bill.provenance != rows[i].provenance)
            fail_msg("%s: want %lld, %llu tokens, %s; got %lld, %llu tokens, %s", rows[i].why,
                     (long long)rows[i].charged, (unsigned long long)rows[i].tokens,
                     meter_provenance_text(rows[i].provenance),
                     (long long)(bill.charged_pusd / MICRO), (unsigned long long)bill.tokens_total,
                     meter_provenance_text(bill.provenance));
        assert_int_equal(bill.charged_unknown, bill.provenance == METER_MISSING);
    }
}

/* One change of the request each. */
static void refers(struct meter_request *request)
{
    request->context_window = true;
}

static void broken_tells_nothing(struct meter_request *request)
{
    request->context_window = request->hold_if_broken = true;
}

static void at_azure(struct meter_request *request)
{
    request->provider = meter_provider_by_name("azure-openai");
}

static void by_messages(struct meter_request *request)
{
    request->api = meter_api_by_name("messages");
}

static void drawn(struct meter_request *request)
{
    request->api = meter_api_by_name("images.generations");
}

static void served_elsewhere(struct meter_usage *u)
{
    strange_model(u);
    u->warnings |= METER_WARN_MODEL;
}

static const struct {
    const char *why, *model;
    enum meter_end end;
    void (*asks)(struct meter_request *request);
    void (*change)(struct meter_usage *usage); /* NULL: nothing was seen at all */
    int64_t charged;                           /* millionths of a dollar */
    enum meter_provenance provenance;
} asked_rows[] = {
    {"what the body does not carry, reported", "gpt-4o", METER_END_WHOLE, refers, nothing, 4000,
     METER_PROVIDER_REPORTED},
    {"... not reported: what was held for it", "gpt-4o", METER_END_WHOLE, refers, none_but_whole,
     3000 * 5 / 2 + 1900, METER_ESTIMATED},
    {"... broken off", "gpt-4o", METER_END_BROKEN, refers, none_seen, 3000 * 5 / 2 + 2540,
     METER_MEASURED},
    {"... the input alone not reported", "gpt-4o", METER_END_WHOLE, refers, no_input,
     3000 * 5 / 2 + 2000, METER_ESTIMATED},
    {"tools at the provider", "gpt-4o", METER_END_WHOLE, broken_tells_nothing, nothing, 4000,
     METER_PROVIDER_REPORTED},
    {"... broken off after the input of the first round", "gpt-4o", METER_END_BROKEN,
     broken_tells_nothing, start_alone, 50000, METER_MISSING},
    {"a deployment that serves what has no price", "gpt-4o", METER_END_WHOLE, at_azure,
     served_elsewhere, 50000, METER_PROVIDER_REPORTED},
    {"... elsewhere the price of what was asked for", "gpt-4o", METER_END_WHOLE, refers,
     served_elsewhere, 4000, METER_PROVIDER_REPORTED},
    {"a stream of pictures, nothing seen", "gpt-4o", METER_END_NO_ANSWER, drawn, NULL, 50000,
     METER_MISSING},
    {"thoughts that are shown by name: none were", "gpt-5-nano", METER_END_BROKEN, by_messages,
     none_seen, 50 + 4 * 254 / 10, METER_MEASURED},
    {"... one was", "gpt-5-nano", METER_END_BROKEN, by_messages, reasoned, 50 + 400,
     METER_ESTIMATED},
};

static void charges_by_what_was_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(asked_rows); i++) {
        struct meter_request request = request_of(asked_rows[i].model, true);
        struct meter_usage usage = seen;
        struct meter_bill bill;

        asked_rows[i].asks(&request);
        if (asked_rows[i].change != NULL)
            asked_rows[i].change(&usage);
        if (strcmp(asked_rows[i].model, "gpt-4o") != 0)
            usage.reported.model[0] = '\0';
        bill_of(&request, asked_rows[i].change != NULL ? &usage : NULL, asked_rows[i].end,
                50000 * MICRO, &bill);
        if (bill.charged_pusd / MICRO != asked_rows[i].charged ||
            bill.provenance != asked_rows[i].provenance)
            fail_msg(
                "%s: want %lld, %s; got %lld, %s", asked_rows[i].why,
                (long long)asked_rows[i].charged, meter_provenance_text(asked_rows[i].provenance),
                (long long)(bill.charged_pusd / MICRO), meter_provenance_text(bill.provenance));
    }
}

static void names_the_price_it_used(void **state)
{
    struct meter_request request = request_of("gpt-4o", true);
    struct meter_usage usage = seen;
    struct meter_bill bill;

    (void)state;
    (void)strcpy(usage.reported.model, "gpt-5.6-sol");
    usage.tier = METER_TIER_FLEX;
    usage.tokens[METER_INPUT] = 272000;
    bill_of(&request, &usage, METER_END_WHOLE, -1, &bill);
    assert_string_equal(bill.row, "openai/gpt-5.6-sol");
    assert_string_equal(bill.row_from, "2026-08-21");
    assert_string_equal(bill.tier, "272000+ flex");
}

static void charges_nothing_it_does_not_know(void **state)
{
    struct meter_request request = request_of("gpt-99", true);
    struct meter_usage usage = seen;
    struct meter_bill bill;

    (void)state;
    strange_model(&usage);
    bill_of(&request, &usage, METER_END_WHOLE, -1, &bill);
    assert_int_equal(bill.cost_pusd, -1); /* unknown is not free */
    assert_int_equal(bill.charged_pusd, -1);
    assert_int_equal(bill.tokens_total, 1200);
    assert_string_equal(bill.row, "");
    own_cost(&usage);
    bill_of(&request, &usage, METER_END_WHOLE, -1, &bill);
    assert_int_equal(bill.charged_pusd, 1234 * MICRO);
    assert_int_equal(bill.cost_pusd, -1);
    bill_of(&request, &usage, METER_END_TAP_LOST, -1, &bill);
    assert_int_equal(bill.charged_pusd, -1);
    assert_true(bill.charged_unknown);
}

/* No limit was in the way of a hold without a bound: its tokens are no figure. */
static void counts_no_tokens_that_nobody_can_have_used(void **state)
{
    struct meter_request request = request_of("gpt-4o", false);
    const struct meter_settling settling = {.request = &request,
                                            .book = book,
                                            .when_s = at(NOW),
                                            .end = METER_END_NO_ANSWER,
                                            .held_tokens = UINT64_MAX,
                                            .held_pusd = 50000 * MICRO,
                                            .held_cap = 2000};
    struct meter_bill bill;

    (void)state;
    request.context_window = true;
    meter_bill_make(&settling, &bill);
    assert_int_equal(bill.tokens_total, 1000 + 2000);
    assert_int_equal(bill.charged_pusd, 50000 * MICRO);
}

static void saturates_what_does_not_fit(void **state)
{
    struct meter_request request = request_of("gpt-4o", true);
    struct meter_usage usage = seen;
    struct meter_bill bill;

    (void)state;
    too_much(&usage);
    bill_of(&request, &usage, METER_END_WHOLE, 1, &bill);
    assert_int_equal(bill.cost_pusd, INT64_MAX);
    assert_int_equal(bill.tokens_total, UINT64_MAX);
}

/* 100 in and 10 out of claude-haiku-4-5, an advisor of another model, a pass of one nobody knows.
 */
static void prices_parts_on_their_own(void **state)
{
    struct meter_request request = request_of("claude-haiku-4-5", false);
    struct meter_usage usage = {
        .reported = {.model = "claude-haiku-4-5-20251001",
                     .input_tokens = 100,
                     .output_tokens = 10,
                     .provider_cost_pusd = -1},
        .usage_seen = true,
        .complete = true,
        .billable = true,
        .tokens = {[METER_INPUT] = 100, [METER_OUTPUT] = 10},
        .part_count = 2,
        .parts = {
            {.model = "claude-opus-4-6", .tokens = {[METER_INPUT] = 1000, [METER_OUTPUT] = 20}},
            {.model = "claude-none", .tokens = {[METER_INPUT] = 5000}}}};
    struct meter_bill bill;

    (void)state;
    request.provider = meter_provider_by_name("anthropic");
    request.api = meter_api_by_name("messages");
    bill_of(&request, &usage, METER_END_WHOLE, -1, &bill);
    assert_int_equal(bill.cost_pusd, (100 + 50 + 5000 + 500 + 5000) * MICRO);
    assert_int_equal(bill.tokens[METER_INPUT], 6100);
    assert_int_equal(bill.tokens_total, 6130);
}

static void read_only_calls_cost_nothing(void **state)
{
    struct meter_request request = request_of("gpt-4o", false);
    struct meter_bill bill;

    (void)state;
    (void)find; /* of the shared header, not needed here */
    request.kind = METER_READ_ONLY;
    bill_of(&request, NULL, METER_END_NO_ANSWER, 50, &bill);
    assert_int_equal(bill.charged_pusd, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_by_how_the_call_ended),
        cmocka_unit_test(charges_by_what_was_asked),
        cmocka_unit_test(names_the_price_it_used),
        cmocka_unit_test(charges_nothing_it_does_not_know),
        cmocka_unit_test(counts_no_tokens_that_nobody_can_have_used),
        cmocka_unit_test(saturates_what_does_not_fit),
        cmocka_unit_test(prices_parts_on_their_own),
        cmocka_unit_test(read_only_calls_cost_nothing),
    };

    return cmocka_run_group_tests(tests, load_book, drop_book);
}
