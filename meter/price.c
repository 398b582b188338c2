/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a price: a model's rows, the period of a date, the tier of a prompt. Lookups are
 * exact: a name that is merely alike is unknown, because a wrong price is worse than none. */
#include "meter/meter_int.h"

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

const char *const price_service_names[METER_TIERS] = {"standard", "priority", "flex", "batch",
                                                      "fast"};

const char *meter_price_book_date(const struct meter_price_book *book)
{
    return book->date;
}

/* ---- names -------------------------------------------------------------------------------- */

int price_name_order(const char *provider_a, const char *name_a, const char *provider_b,
                     const char *name_b)
{
    int order = strcmp(provider_a, provider_b);

    return order != 0 ? order : strcmp(name_a, name_b);
}

const struct price_name *price_name_find(const struct meter_price_book *book, const char *provider,
                                         const char *name, size_t name_bytes)
{
    char key[METER_MODEL_MAX];
    size_t low = 0;
    size_t high = book->name_count;

    if (name_bytes == 0 || name_bytes >= sizeof key)
        return NULL;
    memcpy(key, name, name_bytes);
    key[name_bytes] = '\0';
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct price_name *entry = &book->names[middle];
        int order = price_name_order(provider, key, entry->provider, entry->name);

        if (order == 0)
            return entry;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool digits_in_range(const char *text, unsigned low, unsigned high)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return false;
    unsigned value = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    return value >= low && value <= high;
}

/* Bytes of a trailing "-2026-03-05" or "-20260305"; 0: the name has none. */
static size_t date_bytes(const char *name, size_t bytes)
{
    for (size_t dash = 0; dash <= 1; dash++) {
        size_t length = 9 + 2 * dash;

        if (bytes <= length)
            continue;
        const char *date = name + bytes - length;
        if (date[0] == '-' && digits_in_range(date + 1, 20, 20) &&
            digits_in_range(date + 3, 0, 99) && (!dash || (date[5] == '-' && date[8] == '-')) &&
            digits_in_range(date + 5 + dash, 1, 12) && digits_in_range(date + 7 + 2 * dash, 1, 31))
            return length;
    }
    return 0;
}

/* A fine-tuned model, "ft:<base>:<organisation>:<name>:<id>", is priced as "ft:<base>". */
static size_t tuned_bytes(const char *name, size_t bytes)
{
    const char *end = NULL;

    if (bytes > 3 && memcmp(name, "ft:", 3) == 0)
        end = memchr(name + 3, ':', bytes - 3);
    return end != NULL ? (size_t)(end - name) : bytes;
}

/* The steps of docs/PRICES.md, an exact lookup after each. */
static const struct price_name *name_match(const struct meter_price_book *book,
                                           const char *provider, const char *model)
{
    static const char wrapper[] = "models/";
    size_t skip = strncmp(model, wrapper, sizeof wrapper - 1) == 0 ? sizeof wrapper - 1 : 0;
    const struct price_name *found = price_name_find(book, provider, model, strlen(model));

    model += skip;
    size_t bytes = tuned_bytes(model, strlen(model));
    if (found == NULL)
        found = price_name_find(book, provider, model, bytes);
    if (found == NULL && date_bytes(model, bytes) > 0)
        found = price_name_find(book, provider, model, bytes - date_bytes(model, bytes));
    return found;
}

/* ---- periods ------------------------------------------------------------------------------ */

/* The rows of the latest price that has begun; *count_out 0: none has. */
static const struct price_row *period_find(const struct price_row *rows, unsigned count,
                                           int64_t when_s, unsigned *count_out)
{
    unsigned first = 0;
    unsigned end = 0;

    while (end < count && rows[end].from_s <= when_s) {
        if (rows[end].from_s != rows[first].from_s)
            first = end;
        end++;
    }
    *count_out = end - first;
    return &rows[first];
}

enum meter_err price_find(const struct meter_price_book *book, const char *provider,
                          const char *model, int64_t when_s, struct meter_price *out)
{
    const struct price_name *name = name_match(book, provider, model);
    unsigned count;

    if (name == NULL)
        return METER_NO_PRICE;
    const struct price_row *rows =
        period_find(&book->rows[name->first], name->count, when_s, &count);
    if (count == 0)
        return METER_NO_PRICE;
    *out = (struct meter_price){
        .row = name->row,
        .from = rows->from,
        .context_tokens = rows->context_tokens,
        .output_tokens = rows->output_tokens,
        .hidden_tokens_per_second = rows->hidden_tokens_per_second,
        .free = rows->free,
        .rows = rows,
        .row_count = count,
    };
    return METER_OK;
}

enum meter_err meter_price_find(const struct meter_price_book *book,
                                const struct meter_provider *provider, const char *model,
                                int64_t when_s, struct meter_price *out)
{
    return price_find(book, meter_provider_name(provider), model, when_s, out);
}

/* ---- tiers -------------------------------------------------------------------------------- */

/* The row of a service tier for a prompt; NULL: the price does not list the service. */
static const struct price_row *tier_row(const struct meter_price *price, uint64_t prompt_tokens,
                                        enum meter_tier tier)
{
    const struct price_row *rows = price->rows;
    const struct price_row *found = NULL;

    for (unsigned i = 0; i < price->row_count; i++)
        if (rows[i].tier == tier && rows[i].prompt_from <= prompt_tokens)
            found = &rows[i];
    return found;
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

static uint64_t dearer(uint64_t a, uint64_t b)
{
    if (a == METER_NO_RATE)
        return b;
    return b == METER_NO_RATE || a > b ? a : b;
}

/* Each rate of *rates becomes the dearer of the two. */
static void rates_raise(struct meter_rates *rates, const struct meter_rates *other)
{
    struct meter_rates before = *rates;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++) {
        if (before.token[bucket] == METER_NO_RATE && other->token[bucket] == METER_NO_RATE)
            continue;
        rates->token[bucket] =
            dearer(rate_or_default(&before, bucket), rate_or_default(other, bucket));
    }
    for (unsigned count = 0; count < METER_COUNTS; count++)
        rates->count[count] = dearer(before.count[count], other->count[count]);
}

/* The dearest of the services that the price lists: all of them, or one and the standard one. */
static void rates_dearest(const struct meter_price *price, uint64_t prompt_tokens,
                          const struct price_row *listed, struct meter_rates *out)
{
    *out = tier_row(price, prompt_tokens, METER_TIER_STANDARD)->rates;
    if (listed != NULL) {
        rates_raise(out, &listed->rates);
        return;
    }
    for (unsigned tier = 0; tier < METER_TIERS; tier++) {
        const struct price_row *row = tier_row(price, prompt_tokens, (enum meter_tier)tier);

        if (row != NULL)
            rates_raise(out, &row->rates);
    }
}

void meter_price_rates(const struct meter_price *price, uint64_t prompt_tokens,
                       enum meter_tier tier, struct meter_rates *out, const char **tier_name_out)
{
    const struct price_row *row = tier_row(price, prompt_tokens, tier);
    const struct price_row *standard = tier_row(price, prompt_tokens, METER_TIER_STANDARD);

    if (price->free) {
        memset(out, 0, sizeof *out);
        *tier_name_out = "";
    } else if (row != NULL && row->prompt_from >= standard->prompt_from) {
        *out = row->rates;
        *tier_name_out = row->tier_name;
    } else {
        rates_dearest(price, prompt_tokens, row, out);
        *tier_name_out = "dearest";
    }
}
