/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a book of a price file's rows over a base book. A model of the file replaces the base's
 * model of that name as a whole, with all dates and tiers; its aliases in the base follow it. */
#include "meter/meter_int.h"

#include <stdio.h>

#define TIER_NAME_MAX 48u /* "1000000000+ standard" and more */

/* A name of the file, with the line that gave it. */
struct own_name {
    struct price_name name;
    unsigned line;
};

struct making {
    const struct meter_price_book *base; /* may be NULL */
    struct price_lines lines;
    struct meter_error *error;
    struct own_name *own;
    size_t own_count;
    struct price_row *rows; /* the file's, then all of the base */
    struct price_name *names;
    char *strings;
    size_t strings_bytes;
};

/* ---- order and repeats -------------------------------------------------------------------- */

static int order_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int line_model_order(const struct price_line *a, const struct price_line *b)
{
    return price_name_order(a->provider, a->model, b->provider, b->model);
}

static int line_order(const void *left, const void *right)
{
    const struct price_line *a = left;
    const struct price_line *b = right;
    int order = line_model_order(a, b);

    if (order == 0)
        order = (a->row.from_s > b->row.from_s) - (a->row.from_s < b->row.from_s);
    if (order == 0)
        order = order_u64(a->row.prompt_from, b->row.prompt_from);
    if (order == 0)
        order = (int)a->row.tier - (int)b->row.tier;
    return order;
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

/* A price is complete when its first row is the standard one for the smallest prompt. */
static bool lines_check(struct making *making)
{
    const struct price_line *items = making->lines.items;

    for (size_t i = 0; i < making->lines.count; i++) {
        const struct price_row *row = &items[i].row;
        bool same_model = i > 0 && line_model_order(&items[i - 1], &items[i]) == 0;

        if (i > 0 && line_order(&items[i - 1], &items[i]) == 0)
            return complain(making, later(items[i - 1].line, items[i].line), "model",
                            items[i].model, "has this row (from, prompt_from, service) twice");
        if (same_model && items[i - 1].row.from_s == row->from_s)
            continue;
        if (row->prompt_from != 0 || row->tier != METER_TIER_STANDARD)
            return complain(making, items[i].line, "model", items[i].model,
                            "has no standard row with prompt_from 0 at this date");
    }
    return true;
}

/* ---- strings ------------------------------------------------------------------------------ */

static size_t strings_needed(const struct price_lines *lines)
{
    size_t bytes = 1;

    for (size_t i = 0; i < lines->count; i++)
        bytes +=
            strlen(lines->items[i].provider) + strlen(lines->items[i].model) + 2 + TIER_NAME_MAX;
    return bytes;
}

/* The next string of the buffer that strings_needed measured. */
static char *string_take(struct making *making, size_t bytes)
{
    char *string = making->strings + making->strings_bytes;

    making->strings_bytes += bytes;
    return string;
}

static const char *row_string(struct making *making, const struct price_line *line)
{
    size_t bytes = strlen(line->provider) + strlen(line->model) + 2;
    char *string = string_take(making, bytes);

    (void)snprintf(string, bytes, "%s/%s", line->provider, line->model);
    return string;
}

static const char *tier_string(struct making *making, const struct price_row *row)
{
    const char *service = row->tier == METER_TIER_STANDARD ? "" : price_service_names[row->tier];
    char *string = string_take(making, TIER_NAME_MAX);

    if (row->prompt_from == 0)
        (void)snprintf(string, TIER_NAME_MAX, "%s", service);
    else
        (void)snprintf(string, TIER_NAME_MAX, "%llu+%s%s", (unsigned long long)row->prompt_from,
                       *service == '\0' ? "" : " ", service);
    return string;
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

static void own_add(struct making *making, const struct price_name *name, const char *alias,
                    unsigned line)
{
    struct own_name *own = &making->own[making->own_count++];

    own->name = *name;
    own->name.name = alias;
    own->line = line;
}

/* The rows and names of one model of the file: lines [first, end). */
static void model_add(struct making *making, size_t first, size_t end)
{
    struct price_line *items = making->lines.items;
    struct price_name name = {
        .provider = items[first].provider,
        .name = items[first].model,
        .row = row_string(making, &items[first]),
        .first = (uint32_t)first,
        .count = (uint32_t)(end - first),
    };

    own_add(making, &name, name.name, items[first].line);
    for (size_t i = first; i < end; i++) {
        making->rows[i] = items[i].row;
        making->rows[i].tier_name = tier_string(making, &items[i].row);
        while (items[i].aliases != NULL)
            own_add(making, &name, strsep(&items[i].aliases, ","), items[i].line);
    }
}

static int name_order(const void *left, const void *right)
{
    const struct price_name *a = left;
    const struct price_name *b = right;

    return price_name_order(a->provider, a->name, b->provider, b->name);
}

static int own_order(const void *left, const void *right)
{
    const struct own_name *a = left;
    const struct own_name *b = right;

    return name_order(&a->name, &b->name);
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
    qsort(making->own, making->own_count, sizeof *making->own, own_order);
    for (size_t i = 1; i < making->own_count; i++)
        if (own_order(&making->own[i - 1], &making->own[i]) == 0)
            return complain(making, later(making->own[i - 1].line, making->own[i].line), "name",
                            making->own[i].name.name, "stands for two models");
    return true;
}

static const struct price_name *own_find(const struct making *making, const char *provider,
                                         const char *name)
{
    struct own_name key = {.name = {.provider = provider, .name = name}};
    const struct own_name *found =
        bsearch(&key, making->own, making->own_count, sizeof key, own_order);

    return found != NULL ? &found->name : NULL;
}

/* The model that a base name stands for: its row string without the provider. */
static const char *base_model(const struct price_name *name)
{
    return name->row + strlen(name->provider) + 1;
}

/* All names of the book: the file's, then those of the base that the file does not take. */
static size_t names_fill(struct making *making)
{
    size_t count = 0;
    size_t base_count = making->base != NULL ? making->base->name_count : 0;

    for (; count < making->own_count; count++)
        making->names[count] = making->own[count].name;
    for (size_t i = 0; i < base_count; i++) {
        struct price_name name = making->base->names[i];
        const struct price_name *heir = own_find(making, name.provider, base_model(&name));

        if (own_find(making, name.provider, name.name) != NULL)
            continue;
        name.first += (uint32_t)making->lines.count;
        if (heir != NULL) {
            name.row = heir->row;
            name.first = heir->first;
            name.count = heir->count;
        }
        making->names[count++] = name;
    }
    qsort(making->names, count, sizeof *making->names, name_order);
    return count;
}

/* ---- the book ----------------------------------------------------------------------------- */

static bool allocate(struct making *making)
{
    size_t base_rows = making->base != NULL ? making->base->row_count : 0;
    size_t base_names = making->base != NULL ? making->base->name_count : 0;
    size_t own = own_needed(&making->lines);

    making->own = calloc(own + 1, sizeof *making->own);
    making->rows = calloc(making->lines.count + base_rows + 1, sizeof *making->rows);
    making->names = calloc(own + base_names + 1, sizeof *making->names);
    making->strings = malloc(strings_needed(&making->lines));
    return making->own != NULL && making->rows != NULL && making->names != NULL &&
           making->strings != NULL;
}

/* The book owns what was made; *making is left with nothing to free but own. */
static void book_fill(struct making *making, struct meter_price_book *book)
{
    size_t rows = making->lines.count;

    book->date = "";
    if (making->base != NULL) {
        book->date = making->base->date;
        memcpy(&making->rows[rows], making->base->rows,
               making->base->row_count * sizeof *making->rows);
        rows += making->base->row_count;
    }
    book->name_count = names_fill(making);
    book->row_count = rows;
    book->rows = making->rows;
    book->names = making->names;
    book->owned[0] = making->rows;
    book->owned[1] = making->names;
    book->owned[2] = making->strings;
    book->owned[3] = making->lines.text;
    making->rows = NULL;
    making->names = NULL;
    making->strings = NULL;
    making->lines.text = NULL;
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
    book_fill(making, book);
    return METER_OK;
}

enum meter_err meter_price_book_parse(const char *text, size_t bytes,
                                      const struct meter_price_book *base,
                                      struct meter_price_book **book_out, struct meter_error *error)
{
    struct making making = {.base = base, .error = error};
    struct meter_price_book *book = calloc(1, sizeof *book);
    enum meter_err err = book != NULL ? make(&making, text, bytes, book) : METER_NOMEM;

    price_lines_release(&making.lines);
    free(making.own);
    free(making.rows);
    free(making.names);
    free(making.strings);
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
