/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a price: a model's rows, the period of a date, and which of its rows a call pays. */
#include "meter/meter_int.h"

#include <stdio.h>

#define DAY_S 86400

const char *meter_bucket_name(enum meter_bucket bucket)
{
    static const char *const names[METER_BUCKETS] = {
        "input",    "cache_read", "cache_write_5m", "cache_write_1h", "audio_in",
        "image_in", "output",     "audio_out",      "image_out",
    };

    return names[bucket];
}

const char *meter_count_name(enum meter_count count)
{
    static const char *const names[METER_COUNTS] = {"web_searches", "file_searches", "tool_calls",
                                                    "images",       "pages",         "seconds",
                                                    "characters",   "search_units",  "requests"};

    return names[count];
}

const char *meter_tier_text(enum meter_tier tier)
{
    static const char *const names[METER_TIERS] = {"standard", "priority", "flex", "batch", "fast"};

    return names[tier];
}

const char *meter_price_book_date(const struct meter_price_book *book)
{
    return book->date;
}

/* ---- rates -------------------------------------------------------------------------------- */

static void rates_none(struct meter_rates *out)
{
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        out->token[bucket] = METER_NO_RATE;
    for (unsigned count = 0; count < METER_COUNTS; count++)
        out->count[count] = count == METER_TOOL_CALLS ? 0 : METER_NO_RATE;
}

void price_row_rates(const struct meter_price_book *book, const struct price_row *row,
                     struct meter_rates *out)
{
    const uint64_t *value = &book->values[row->first];

    rates_none(out);
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        if (row->has & 1u << bucket)
            out->token[bucket] = *value++;
    for (unsigned count = 0; count < METER_COUNTS; count++)
        if (row->has & 1u << (METER_BUCKETS + count))
            out->count[count] = *value++;
}

bool price_fee_whole(enum meter_count count)
{
    return count >= METER_IMAGES && count < METER_COUNTS;
}

/* What an absent rate of a cache stands for, rounded up; METER_NO_RATE: nothing. */
static uint64_t rate_or_default(const struct meter_rates *rates, unsigned bucket)
{
    uint64_t input = rates->token[METER_INPUT];

    if (rates->token[bucket] != METER_NO_RATE || input == METER_NO_RATE)
        return rates->token[bucket];
    switch (bucket) {
    case METER_CACHE_READ:
        return input;
    case METER_CACHE_WRITE_5M:
        return input + input / 4 + (input % 4 != 0);
    case METER_CACHE_WRITE_1H:
        return input * 2;
    default:
        return METER_NO_RATE;
    }
}

uint64_t price_dearer(uint64_t a, uint64_t b)
{
    if (a == METER_NO_RATE)
        return b;
    return b == METER_NO_RATE || a > b ? a : b;
}

void price_rates_raise(struct meter_rates *rates, const struct meter_rates *other)
{
    struct meter_rates before = *rates;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++) {
        if (before.token[bucket] == METER_NO_RATE && other->token[bucket] == METER_NO_RATE)
            continue;
        rates->token[bucket] =
            price_dearer(rate_or_default(&before, bucket), rate_or_default(other, bucket));
    }
    for (unsigned count = 0; count < METER_COUNTS; count++)
        rates->count[count] = price_dearer(before.count[count], other->count[count]);
}

/* 6/5 of a rate, rounded up. */
static void rate_estimate(uint64_t *rate)
{
    if (*rate != METER_NO_RATE)
        *rate = *rate / 5 * 6 + (*rate % 5 * 6 + 4) / 5;
}

static void rates_estimate(struct meter_rates *rates)
{
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        rate_estimate(&rates->token[bucket]);
    for (unsigned count = 0; count < METER_COUNTS; count++)
        rate_estimate(&rates->count[count]);
}

/* ---- periods ------------------------------------------------------------------------------ */

static int64_t from_s(const struct price_row *row)
{
    return row->from_day == PRICE_ALWAYS ? INT64_MIN : (int64_t)row->from_day * DAY_S;
}

/* The rows of the latest price that has begun; *count_out 0: none has. */
static const struct price_row *period_find(const struct price_row *rows, unsigned count,
                                           int64_t when_s, unsigned *count_out)
{
    unsigned first = 0, end = 0;

    while (end < count && from_s(&rows[end]) <= when_s) {
        if (rows[end].from_day != rows[first].from_day)
            first = end;
        end++;
    }
    *count_out = end - first;
    return &rows[first];
}

enum meter_err meter_price_find_named(const struct meter_price_book *book, const char *provider,
                                      const char *model, int64_t when_s, struct meter_price *out)
{
    bool estimated;
    const struct price_name *name = price_match(book, provider, model, &estimated);
    const struct price_row *rows;
    unsigned count;

    if (name == NULL)
        return METER_NO_PRICE;
    rows = period_find(&book->rows[name->first], name->count, when_s, &count);
    if (count == 0)
        return METER_NO_PRICE;
    *out = (struct meter_price){
        .from = price_text(book, rows->from),
        .when_s = when_s,
        .context_tokens = rows->context_tokens,
        .output_tokens = rows->output_tokens,
        .hidden_tokens_per_second = rows->hidden_tokens_per_second,
        .free = rows->free,
        .estimated = estimated,
        .book = book,
        .rows = rows,
        .row_count = count,
    };
    (void)snprintf(out->row, sizeof out->row, "%s/%s", provider, price_text(book, name->model));
    return METER_OK;
}

enum meter_err meter_price_find(const struct meter_price_book *book,
                                const struct meter_provider *provider, const char *model,
                                int64_t when_s, struct meter_price *out)
{
    return meter_price_find_named(book, meter_provider_name(provider), model, when_s, out);
}

/* ---- the dearest of a provider ------------------------------------------------------------ */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes in the rows of one model that hold at the time. */
static void cap_raise(struct meter_price *cap, const struct price_name *name)
{
    unsigned count;
    const struct price_row *rows =
        period_find(&cap->book->rows[name->first], name->count, cap->when_s, &count);

    for (unsigned i = 0; i < count && !rows->free; i++) {
        struct meter_rates rates;

        price_row_rates(cap->book, &rows[i], &rates);
        price_rates_raise(&cap->most, &rates);
        cap->context_tokens = larger(cap->context_tokens, rows[i].context_tokens);
        cap->output_tokens = larger(cap->output_tokens, rows[i].output_tokens);
        cap->hidden_tokens_per_second =
            larger(cap->hidden_tokens_per_second, rows[i].hidden_tokens_per_second);
        cap->row_count++;
    }
}

enum meter_err meter_price_cap(const struct meter_price_book *book,
                               const struct meter_provider *provider, int64_t when_s,
                               struct meter_price *out)
{
    const char *name = meter_provider_name(provider);
    const struct price_provider *rows_of = price_provider_find(book, name);
    struct meter_price cap = {.from = "", .when_s = when_s, .capped = true, .book = book};

    rates_none(&cap.most);
    for (uint32_t i = 0; rows_of != NULL && i < rows_of->count; i++)
        cap_raise(&cap, &book->names[rows_of->first + i]);
    if (cap.row_count == 0)
        return METER_NO_PRICE;
    (void)snprintf(cap.row, sizeof cap.row, "%s/" METER_CAP_MODEL, name);
    *out = cap;
    return METER_OK;
}

/* ---- which rows a call pays --------------------------------------------------------------- */

/* Whether a row is for calls like this one; others of its price may be for it more closely. */
static bool row_applies(const struct meter_price *price, const struct price_row *row,
                        const struct meter_price_key *key)
{
    return row->prompt_from <= key->prompt_tokens && (!row->regional || key->regional) &&
           (row->hours == 0 || price_hours_hold(price_text(price->book, row->hours), key->when_s));
}

/* The rates of one service. */
struct service {
    bool listed;
    bool whole;           /* one row has all dimensions of the call that the service lists */
    uint32_t prompt_from; /* the largest that the prompt reaches */
    const char *tier_name;
    struct meter_rates rates; /* that row's; else the dearest of all that apply */
};

static void service_read(const struct meter_price *price, const struct meter_price_key *key,
                         enum meter_tier tier, struct service *out)
{
    const struct price_row *rows = price->rows, *best = NULL;
    unsigned fits = 0, regional = 0, hours = 0;

    *out = (struct service){.tier_name = ""};
    rates_none(&out->rates);
    for (unsigned i = 0; i < price->row_count; i++) {
        struct meter_rates rates;

        if (rows[i].tier != tier || !row_applies(price, &rows[i], key))
            continue;
        price_row_rates(price->book, &rows[i], &rates);
        price_rates_raise(&out->rates, &rates);
        out->listed = true;
        out->prompt_from = rows[i].prompt_from; /* they are sorted by it */
        regional |= rows[i].regional;
        hours |= rows[i].hours != 0;
    }
    for (unsigned i = 0; i < price->row_count; i++)
        if (rows[i].tier == tier && row_applies(price, &rows[i], key) &&
            rows[i].prompt_from == out->prompt_from && rows[i].regional == regional &&
            (rows[i].hours != 0) == hours && fits++ == 0)
            best = &rows[i];
    out->whole = fits == 1;
    if (out->whole) {
        price_row_rates(price->book, best, &out->rates);
        out->tier_name = price_text(price->book, best->tier_name);
    }
}

/* The dearest of the services that the price lists: all of them, or one and the standard one. */
static void rates_dearest(const struct meter_price *price, const struct meter_price_key *key,
                          const struct service *listed, struct meter_rates *out)
{
    if (listed->listed) {
        price_rates_raise(out, &listed->rates);
        return;
    }
    for (unsigned tier = 0; tier < METER_TIERS; tier++) {
        struct service service;

        service_read(price, key, (enum meter_tier)tier, &service);
        price_rates_raise(out, &service.rates);
    }
}

void meter_price_rates(const struct meter_price *price, const struct meter_price_key *key,
                       struct meter_rates *out, const char **tier_name_out)
{
    struct service standard, service;

    *tier_name_out = "";
    if (price->capped) {
        *out = price->most;
        *tier_name_out = "cap";
        return;
    }
    if (price->free) {
        memset(out, 0, sizeof *out);
        return;
    }
    service_read(price, key, METER_TIER_STANDARD, &standard);
    service_read(price, key, key->tier, &service);
    *out = standard.rates;
    if (service.whole && service.prompt_from >= standard.prompt_from) {
        *out = service.rates;
        *tier_name_out = service.tier_name;
    } else {
        rates_dearest(price, key, &service, out);
        *tier_name_out = "dearest";
    }
    if (price->estimated) {
        rates_estimate(out);
        *tier_name_out = "estimated";
    }
}
