/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred models of the shipped book, against costs that a person worked out from the sources:
 * tests/prices/hundred.tsv. The whole way is the real one: matching, period, rates, bill. */
#include <stdio.h>

#include "tests/unit/price_test.h"

#define CASES "tests/prices/hundred.tsv"

struct hundred {
    char *provider, *model, *when, *service, *region, *usage, *cost, *source;
};

static enum meter_tier tier_of(const char *text)
{
    for (unsigned tier = 0; tier < METER_TIERS; tier++)
        if (strcmp(meter_tier_text((enum meter_tier)tier), text) == 0)
            return (enum meter_tier)tier;
    fail_msg("\"%s\" is no service", text);
    return STD;
}

static int64_t time_of(const char *when)
{
    struct tm tm = {0};

    if (strptime(when, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
        fail_msg("\"%s\" is no time", when);
    return timegm(&tm);
}

/* "cache_read=12" or "images=2". */
static void usage_add(char *item, struct meter_usage *usage)
{
    char *name = strsep(&item, "=");
    uint64_t number = item != NULL ? strtoull(item, NULL, 10) : 0;

    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        if (strcmp(meter_bucket_name((enum meter_bucket)i), name) == 0) {
            usage->tokens[i] = number;
            return;
        }
    }
    for (unsigned i = 0; i < METER_COUNTS; i++) {
        if (strcmp(meter_count_name((enum meter_count)i), name) == 0) {
            usage->counts[i] = number;
            return;
        }
    }
    fail_msg("\"%s\" is neither a bucket nor a count", name);
}

/* The price of the model by name, given to the bill as what is asked for: this build need not be
 * able to meter the provider. */
static void check_case(struct hundred *c, unsigned line)
{
    struct meter_request request = {.kind = METER_BILLABLE, .choices = 1};
    struct meter_usage usage = {
        .reported = {.provider_cost_pusd = -1}, .usage_seen = true, .complete = true};
    struct meter_bill bill;
    struct meter_price price;
    char text[METER_USD_TEXT] = "none";
    int64_t when_s = time_of(c->when);

    request.provider = meter_provider_by_name("unknown");
    usage.regional = strcmp(c->region, "regional") == 0;
    usage.billable = true;
    usage.tier = tier_of(c->service);
    while (c->usage != NULL && strcmp(c->usage, "-") != 0)
        usage_add(strsep(&c->usage, " "), &usage);
    if (meter_price_find_named(meter_price_book_shipped(), c->provider, c->model, when_s, &price) !=
        METER_OK)
        fail_msg(CASES ":%u: %s/%s has no price", line, c->provider, c->model);
    const struct meter_settling settling = {.request = &request,
                                            .usage = &usage,
                                            .when_s = when_s,
                                            .fallback = &price,
                                            .end = METER_END_WHOLE,
                                            .held_pusd = -1};
    meter_bill_make(&settling, &bill);
    if (bill.cost_pusd >= 0)
        (void)meter_usd_text(bill.cost_pusd, text);
    if (strcmp(text, c->cost) != 0)
        fail_msg(CASES ":%u: %s/%s costs %s by %s (%s), want %s: %s", line, c->provider, c->model,
                 text, bill.row, bill.tier, c->cost, c->source);
}

static bool case_read(char *line, struct hundred *out)
{
    char **cells[] = {&out->provider, &out->model, &out->when, &out->service,
                      &out->region,   &out->usage, &out->cost, &out->source};

    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < COUNT(cells); i++) {
        *cells[i] = strsep(&line, "\t");
        if (*cells[i] == NULL)
            return false;
    }
    return line == NULL;
}

static void a_hundred_models_cost_what_their_vendors_say(void **state)
{
    FILE *file = fopen(CASES, "re");
    char line[1024];
    unsigned number = 0, cases = 0;

    (void)state;
    if (file == NULL)
        fail_msg(CASES " is not there");
    while (fgets(line, sizeof line, file) != NULL) {
        struct hundred c;

        number++;
        if (line[0] == '#' || strncmp(line, "provider\t", 9) == 0)
            continue;
        if (!case_read(line, &c))
            fail_msg(CASES ":%u: eight cells are expected", number);
        check_case(&c, number);
        cases++;
    }
    (void)fclose(file);
    assert_true(cases >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_models_cost_what_their_vendors_say),
    };

    (void)load_book, (void)drop_book, (void)find, (void)parse, (void)at;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
