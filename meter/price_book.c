/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a book of a price file's rows over a base book. A model of the file replaces the base's
 * model of that name as a whole, with all dates and tiers; its aliases in the base follow it. The
 * base's strings, values and rows come first, so that its names keep their places. */
#include "meter/meter_int.h"

#include <stdio.h>

#define TIER_NAME_MAX 64u /* "1000000000+ standard regional hours" and more */

/* A name of the book being made; line: of the file, 0: of the base. */
struct entry {
    const char *provider;
    const char *name;
    uint32_t provider_text;
    struct price_name at;
    unsigned line;
};

struct making {
    const struct meter_price_book *base; /* never NULL */
    struct price_lines lines;
    struct meter_error *error;
    struct entry *own;
    size_t own_count;
    struct entry *all; /* the file's, then those of the base that stay */
    size_t all_count;
    char *strings;
    uint64_t *values;
    struct price_row *rows;
    struct price_name *names;
    struct price_provider *providers;
    size_t strings_bytes, value_count, row_count;
};

/* ---- order and repeats -------------------------------------------------------------------- */

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int name_order(const char *provider_a, const char *name_a, const char *provider_b,
                      const char *name_b)
{
    int order = strcmp(provider_a, provider_b);

    return order != 0 ? order : strcmp(name_a, name_b);
}

static int line_model_order(const struct price_line *a, const struct price_line *b)
{
    return name_order(a->row.provider, a->row.model, b->row.provider, b->row.model);
}

static int line_order(const void *left, const void *right)
{
    const struct price_line *a = left;
    const struct price_line *b = right;
    int order = line_model_order(a, b);

    if (order == 0)
        order = (a->from_day > b->from_day) - (a->from_day < b->from_day);
    if (order == 0)
        order = order_u64(a->row.prompt_from, b->row.prompt_from);
    if (order == 0)
        order = (int)a->row.tier - (int)b->row.tier;
    if (order == 0)
        order = (int)a->row.regional - (int)b->row.regional;
    return order != 0 ? order : strcmp(a->row.hours, b->row.hours);
}

static bool complain(struct making *making, unsigned line, const char *what, const char *name,
                     const char *why)
{
    (void)snprintf(making->error->text, sizeof making->error->text, "line %u, %s \"%.80s\" %s",
                   line, what, name, why);
    return false;
}

static unsigned later(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* A price is complete when its first row is the plain one for the smallest prompt. */
static bool lines_check(struct making *making)
{
    const struct price_line *items = making->lines.items;

    for (size_t i = 0; i < making->lines.count; i++) {
        const struct meter_price_line *row = &items[i].row;
        bool same_model = i > 0 && line_model_order(&items[i - 1], &items[i]) == 0;

        if (i > 0 && line_order(&items[i - 1], &items[i]) == 0)
            return complain(making, later(items[i - 1].line, items[i].line), "model", row->model,
                            "has this row (from, prompt_from, service, region, hours) twice");
        if (same_model && items[i - 1].from_day == items[i].from_day)
            continue;
        if (row->prompt_from != 0 || row->tier != METER_TIER_STANDARD || row->regional ||
            *row->hours != '\0')
            return complain(making, items[i].line, "model", row->model,
                            "has no standard row with prompt_from 0 at this date");
    }
    return true;
}

/* ---- strings and rows --------------------------------------------------------------------- */

static size_t strings_needed(const struct price_lines *lines)
{
    size_t bytes = 1;

    for (size_t i = 0; i < lines->count; i++) {
        const struct price_line *line = &lines->items[i];

        bytes += strlen(line->row.provider) + strlen(line->row.model) + strlen(line->row.hours) +
                 strlen(line->row.from) + 4 + TIER_NAME_MAX;
        if (line->aliases != NULL)
            bytes += strlen(line->aliases) + 1;
    }
    return bytes;
}

/* The place of a new string in the block that strings_needed measured. */
static uint32_t string_add(struct making *making, const char *text)
{
    size_t at = making->strings_bytes, bytes = strlen(text) + 1;

    if (bytes == 1)
        return 0;
    memcpy(making->strings + at, text, bytes);
    making->strings_bytes += bytes;
    return (uint32_t)at;
}

static uint32_t tier_string(struct making *making, const struct meter_price_line *row)
{
    const char *service = row->tier == METER_TIER_STANDARD ? "" : meter_tier_text(row->tier);
    char prompt[METER_USD_TEXT] = "", text[TIER_NAME_MAX];
    int used;

    if (row->prompt_from != 0)
        (void)snprintf(prompt, sizeof prompt, "%llu+", (unsigned long long)row->prompt_from);
    used = snprintf(text, sizeof text, "%s%s%s%s%s", prompt, *service == '\0' ? "" : " ", service,
                    row->regional ? " regional" : "", *row->hours == '\0' ? "" : " hours");
    return string_add(making, used > 0 && text[0] == ' ' ? text + 1 : text);
}

static void values_add(struct making *making, const struct meter_rates *rates,
                       struct price_row *row)
{
    row->first = (uint32_t)making->value_count;
    for (unsigned i = 0; i < PRICE_RATES; i++) {
        uint64_t rate = i < METER_BUCKETS ? rates->token[i] : rates->count[i - METER_BUCKETS];

        if (rate == METER_NO_RATE)
            continue;
        row->has |= 1u << i;
        making->values[making->value_count++] = rate;
    }
}

/* What the base knows of the model: a file that does not say it cannot make it untrue. */
static uint32_t base_hidden(const struct making *making, const struct price_line *line)
{
    bool estimated;
    const struct price_name *name =
        price_match(making->base, line->row.provider, line->row.model, &estimated);

    return name != NULL ? making->base->rows[name->first].hidden_tokens_per_second : 0;
}

static void row_add(struct making *making, const struct price_line *line)
{
    uint32_t hidden = (uint32_t)line->row.hidden_tokens_per_second;

    struct price_row *row = &making->rows[making->row_count++];

    *row = (struct price_row){
        .from_day = line->from_day,
        .from = string_add(making, line->row.from),
        .hours = string_add(making, line->row.hours),
        .tier_name = tier_string(making, &line->row),
        .prompt_from = (uint32_t)line->row.prompt_from,
        .context_tokens = (uint32_t)line->row.context_tokens,
        .output_tokens = (uint32_t)line->row.output_tokens,
        .hidden_tokens_per_second = hidden > 0 ? hidden : base_hidden(making, line),
        .tier = (uint8_t)line->row.tier,
        .regional = line->row.regional,
        .free = line->row.free,
    };
    values_add(making, &line->row.rates, row);
}

/* ---- names -------------------------------------------------------------------------------- */

static size_t own_needed(const struct price_lines *lines)
{
    size_t count = lines->count;

    for (size_t i = 0; i < lines->count; i++)
        for (const char *at = lines->items[i].aliases; at != NULL; at = strchr(at + 1, ','))
            count++;
    return count;
}

static void alias_add(struct making *making, const struct entry *model, const char *name,
                      unsigned line)
{
    struct entry *own = &making->own[making->own_count++];

    *own = *model;
    own->name = name;
    own->at.name = string_add(making, name);
    own->line = line;
}

/* The rows and names of one model of the file: lines [first, end). */
static void model_add(struct making *making, size_t first, size_t end)
{
    struct price_line *items = making->lines.items;
    struct entry model = {
        .provider = items[first].row.provider,
        .name = items[first].row.model,
        .at = {.first = (uint32_t)making->row_count, .count = (uint32_t)(end - first)},
        .line = items[first].line,
    };

    model.provider_text = string_add(making, model.provider);
    model.at.name = model.at.model = string_add(making, model.name);
    making->own[making->own_count++] = model;
    for (size_t i = first; i < end; i++) {
        row_add(making, &items[i]);
        while (items[i].aliases != NULL)
            alias_add(making, &model, strsep(&items[i].aliases, ","), items[i].line);
    }
}

static int entry_order(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;

    return name_order(a->provider, a->name, b->provider, b->name);
}

static bool own_make(struct making *making)
{
    const struct price_line *items = making->lines.items;

    for (size_t first = 0, end; first < making->lines.count; first = end) {
        for (end = first + 1; end < making->lines.count; end++)
            if (line_model_order(&items[first], &items[end]) != 0)
                break;
        model_add(making, first, end);
    }
    qsort(making->own, making->own_count, sizeof *making->own, entry_order);
    for (size_t i = 1; i < making->own_count; i++)
        if (entry_order(&making->own[i - 1], &making->own[i]) == 0)
            return complain(making, later(making->own[i - 1].line, making->own[i].line), "name",
                            making->own[i].name, "stands for two models");
    return true;
}

static const struct entry *own_find(const struct making *making, const char *provider,
                                    const char *name)
{
    struct entry key = {.provider = provider, .name = name};

    return bsearch(&key, making->own, making->own_count, sizeof key, entry_order);
}

/* A name of the base, unless the file takes it; an alias goes with its model. */
static void base_add(struct making *making, uint32_t provider_text, const struct price_name *at)
{
    const char *provider = price_text(making->base, provider_text);
    const char *name = price_text(making->base, at->name);
    const struct entry *heir = own_find(making, provider, price_text(making->base, at->model));
    struct entry *entry = &making->all[making->all_count];

    if (own_find(making, provider, name) != NULL)
        return;
    *entry = (struct entry){
        .provider = provider, .name = name, .provider_text = provider_text, .at = *at};
    if (heir != NULL) {
        entry->at.model = heir->at.model;
        entry->at.first = heir->at.first;
        entry->at.count = heir->at.count;
    }
    making->all_count++;
}

static void all_make(struct making *making)
{
    const struct meter_price_book *base = making->base;

    for (size_t i = 0; i < making->own_count; i++)
        making->all[making->all_count++] = making->own[i];
    for (size_t p = 0; p < base->provider_count; p++)
        for (uint32_t i = 0; i < base->providers[p].count; i++)
            base_add(making, base->providers[p].name, &base->names[base->providers[p].first + i]);
    qsort(making->all, making->all_count, sizeof *making->all, entry_order);
}

/* ---- the book ----------------------------------------------------------------------------- */

static void *copy_with_room(const void *from, size_t count, size_t more, size_t size)
{
    void *copy = calloc(count + more + 1, size);

    if (copy != NULL && count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

static bool allocate(struct making *making)
{
    const struct meter_price_book *base = making->base;
    size_t lines = making->lines.count, own = own_needed(&making->lines);

    making->own = calloc(own + 1, sizeof *making->own);
    making->all = calloc(own + base->name_count + 1, sizeof *making->all);
    making->strings =
        copy_with_room(base->strings, base->strings_bytes, strings_needed(&making->lines), 1);
    making->values = copy_with_room(base->values, base->value_count, lines * PRICE_RATES,
                                    sizeof *making->values);
    making->rows = copy_with_room(base->rows, base->row_count, lines, sizeof *making->rows);
    making->names = calloc(own + base->name_count + 1, sizeof *making->names);
    making->providers = calloc(own + base->name_count + 1, sizeof *making->providers);
    making->strings_bytes = base->strings_bytes;
    making->value_count = base->value_count;
    making->row_count = base->row_count;
    return making->own != NULL && making->all != NULL && making->strings != NULL &&
           making->values != NULL && making->rows != NULL && making->names != NULL &&
           making->providers != NULL;
}

/* The names in their order, and where each provider's begin. */
static void names_fill(struct making *making, struct meter_price_book *book)
{
    for (size_t i = 0; i < making->all_count; i++) {
        const struct entry *entry = &making->all[i];
        struct price_provider *provider = &making->providers[book->provider_count];

        making->names[i] = entry->at;
        if (i > 0 && strcmp(making->all[i - 1].provider, entry->provider) == 0) {
            provider[-1].count++;
            continue;
        }
        *provider = (struct price_provider){entry->provider_text, (uint32_t)i, 1};
        book->provider_count++;
    }
    book->name_count = making->all_count;
}

/* The book owns what was made; *making is left with nothing to free but its lists. */
static void book_fill(struct making *making, struct meter_price_book *book)
{
    book->date = making->base->date;
    names_fill(making, book);
    book->strings = making->strings;
    book->values = making->values;
    book->rows = making->rows;
    book->names = making->names;
    book->providers = making->providers;
    book->strings_bytes = making->strings_bytes;
    book->value_count = making->value_count;
    book->row_count = making->row_count;
    book->owned[0] = making->strings;
    book->owned[1] = making->values;
    book->owned[2] = making->rows;
    book->owned[3] = making->names;
    book->owned[4] = making->providers;
    making->strings = NULL;
    making->values = NULL;
    making->rows = NULL;
    making->names = NULL;
    making->providers = NULL;
}

static enum meter_err make(struct making *making, const char *text, size_t bytes,
                           struct meter_price_book *book)
{
    enum meter_err err = price_lines_read(text, bytes, &making->lines, making->error);

    if (err != METER_OK)
        return err;
    if (!allocate(making))
        return METER_NOMEM;
    qsort(making->lines.items, making->lines.count, sizeof *making->lines.items, line_order);
    if (!lines_check(making) || !own_make(making))
        return METER_BAD_PRICES;
    all_make(making);
    book_fill(making, book);
    return METER_OK;
}

enum meter_err meter_price_book_parse(const char *text, size_t bytes,
                                      const struct meter_price_book *base,
                                      struct meter_price_book **book_out, struct meter_error *error)
{
    static const struct meter_price_book nothing = {
        .date = "", .strings = "", .strings_bytes = 1}; /* its one string is the empty one */
    struct making making = {.base = base != NULL ? base : &nothing, .error = error};
    struct meter_price_book *book = calloc(1, sizeof *book);
    enum meter_err err = book != NULL ? make(&making, text, bytes, book) : METER_NOMEM;

    price_lines_release(&making.lines);
    free(making.own);
    free(making.all);
    free(making.strings);
    free(making.values);
    free(making.rows);
    free(making.names);
    free(making.providers);
    if (err != METER_OK) {
        free(book);
        return err;
    }
    *book_out = book;
    return METER_OK;
}

void meter_price_book_free(struct meter_price_book *book)
{
    if (book == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(book->owned); i++)
        free(book->owned[i]);
    free(book);
}
