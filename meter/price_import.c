/* SPDX-License-Identifier: Apache-2.0 */
/* LiteLLM's model_prices_and_context_window.json as a price file: entries in, sorted rows out.
 * Where two entries are the same model the dearer rate of both is taken. Dearer kinds of calls that
 * LiteLLM does not tell apart keep the book's rows: a file's model replaces the book's as a whole.
 */
#include "meter/meter_int.h"

#include <stdio.h>

#define IMPORT_MOST (64u << 20) /* bytes; the real file has 1.4 MB */

/* A row with its model's id. */
struct taken {
    struct meter_price_line line;
    char model[METER_MODEL_MAX];
};

struct importing {
    const struct meter_price_book *against;
    void (*told)(void *ctx, const struct meter_import_note *note);
    void *ctx;
    struct taken *rows;
    size_t count, room;
};

/* ---- rows --------------------------------------------------------------------------------- */

static bool row_take(struct importing *importing, const struct import_entry *entry,
                     const struct meter_price_line *line)
{
    struct taken *taken;

    if (importing->count == importing->room) {
        size_t room = importing->room * 2 + 256;
        struct taken *larger = realloc(importing->rows, room * sizeof *larger);

        if (larger == NULL)
            return false;
        importing->rows = larger;
        importing->room = room;
    }
    taken = &importing->rows[importing->count++];
    taken->line = *line;
    memcpy(taken->model, entry->model, sizeof taken->model);
    return true;
}

static bool has_row(const struct import_entry *entry, const struct price_row *row)
{
    for (unsigned i = 0; i < entry->row_count; i++)
        if (entry->rows[i].prompt_from == row->prompt_from && entry->rows[i].tier == row->tier)
            return !row->regional && row->hours == 0;
    return false;
}

static void dearer_set(uint64_t *rate, uint64_t value)
{
    if (*rate == METER_NO_RATE || (value != METER_NO_RATE && value > *rate))
        *rate = value;
}

static void row_raise(struct meter_price_line *line, const struct meter_price_line *other)
{
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        dearer_set(&line->rates.token[i], other->rates.token[i]);
    for (unsigned i = 0; i < METER_COUNTS; i++)
        dearer_set(&line->rates.count[i], other->rates.count[i]);
    if (other->context_tokens > line->context_tokens)
        line->context_tokens = other->context_tokens;
    if (other->output_tokens > line->output_tokens)
        line->output_tokens = other->output_tokens;
}

static bool is_discount(const struct price_row *row)
{
    return row->tier == METER_TIER_FLEX || row->tier == METER_TIER_BATCH;
}

/* The book's rows of this model for calls that the entry does not tell apart, none below the
 * entry's plain row; its discounts where the plain price is still the book's. */
static bool book_take(struct importing *importing, const struct import_entry *entry,
                      const struct meter_price_line *plain, const struct meter_price *known)
{
    const struct price_row *rows = known->rows;
    struct meter_rates book;
    bool ok = true, same;

    price_row_rates(known->book, &rows[0], &book);
    same = book.token[METER_INPUT] == plain->rates.token[METER_INPUT] &&
           book.token[METER_OUTPUT] == plain->rates.token[METER_OUTPUT];
    for (unsigned i = 0; i < known->row_count; i++) {
        const struct price_row *row = &rows[i];
        struct meter_price_line line = *plain;

        if (has_row(entry, row) || (is_discount(row) && !same))
            continue;
        line.hours = price_text(known->book, row->hours);
        line.prompt_from = row->prompt_from;
        line.tier = (enum meter_tier)row->tier;
        line.regional = row->regional;
        price_row_rates(known->book, row, &line.rates);
        if (!is_discount(row))
            row_raise(&line, plain);
        ok = ok && row_take(importing, entry, &line);
    }
    return ok;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool entry_take(struct importing *importing, const struct import_entry *entry)
{
    struct meter_price known = {0};
    struct meter_price_line line = {.provider = entry->provider, .from = ""};
    bool found = importing->against != NULL &&
                 meter_price_find_named(importing->against, entry->provider, entry->model,
                                        INT64_MAX, &known) == METER_OK &&
                 !known.estimated && !known.free;
    bool ok = true;

    line.context_tokens = larger(entry->context_tokens, found ? known.context_tokens : 0);
    line.output_tokens = larger(entry->output_tokens, found ? known.output_tokens : 0);
    for (unsigned i = entry->row_count; i-- > 0;) { /* the plain row comes last, and stays */
        line.hours = "";
        line.prompt_from = entry->rows[i].prompt_from;
        line.tier = entry->rows[i].tier;
        line.rates = entry->rows[i].rates;
        ok = ok && row_take(importing, entry, &line);
    }
    return ok && (!found || book_take(importing, entry, &line, &known));
}

static int model_order(const struct taken *a, const struct taken *b)
{
    int order = strcmp(a->line.provider, b->line.provider);

    return order != 0 ? order : strcmp(a->model, b->model);
}

static int row_order(const void *left, const void *right)
{
    const struct taken *a = left;
    const struct taken *b = right;
    int order = model_order(a, b);

    if (order == 0)
        order = (a->line.prompt_from > b->line.prompt_from) -
                (a->line.prompt_from < b->line.prompt_from);
    if (order == 0)
        order = (int)a->line.tier - (int)b->line.tier;
    if (order == 0)
        order = (int)a->line.regional - (int)b->line.regional;
    return order != 0 ? order : strcmp(a->line.hours, b->line.hours);
}

/* Sorts, and makes one row of those that stand twice. */
static void rows_merge(struct importing *importing)
{
    size_t kept = 0;

    if (importing->count > 0)
        qsort(importing->rows, importing->count, sizeof *importing->rows, row_order);
    for (size_t i = 0; i < importing->count; i++) {
        if (kept > 0 && row_order(&importing->rows[kept - 1], &importing->rows[i]) == 0)
            row_raise(&importing->rows[kept - 1].line, &importing->rows[i].line);
        else
            importing->rows[kept++] = importing->rows[i];
    }
    importing->count = kept;
}

static void rows_write(const struct importing *importing, struct price_writer *writer)
{
    price_write_header(writer);
    for (size_t i = 0; i < importing->count; i++) {
        struct meter_price_line line = importing->rows[i].line;

        line.model = importing->rows[i].model;
        price_write_line(writer, &line, "");
    }
}

/* ---- the file ----------------------------------------------------------------------------- */

static void tell(const struct importing *importing, const struct import_entry *entry)
{
    const struct meter_import_note note = {
        .result = entry->result,
        .key = entry->key,
        .provider = entry->provider,
        .model = entry->model,
        .why = entry->why,
    };

    importing->told(importing->ctx, &note);
}

static bool member_import(struct importing *importing, const struct price_member *member)
{
    struct import_entry *entry = calloc(1, sizeof *entry);
    bool ok = entry != NULL;

    if (!ok)
        return false;
    entry->provider = "";
    if (!scan_string_copy(member->name, member->name_bytes, entry->key, sizeof entry->key) ||
        member->value[0] != '{') {
        entry->result = METER_IMPORT_SKIPPED;
        (void)snprintf(entry->why, sizeof entry->why, "it is no model");
    } else {
        import_entry_read(entry, member->value + 1, member->value + member->value_bytes,
                          importing->against);
    }
    if (entry->result == METER_IMPORT_TAKEN)
        ok = entry_take(importing, entry);
    tell(importing, entry);
    free(entry);
    return ok;
}

static enum meter_err file_import(struct importing *importing, const char *json, size_t bytes,
                                  struct meter_error *error)
{
    const char *at = json + strspn(json, " \t\r\n"), *end = json + bytes;
    struct price_member member;
    enum price_members state = PRICE_MEMBERS_BAD;

    if (bytes > IMPORT_MOST) {
        (void)snprintf(error->text, sizeof error->text, "larger than 64 MiB");
        return METER_BAD_PRICES;
    }
    if (at < end && *at == '{') {
        at++;
        while ((state = price_member_next(&at, end, &member)) == PRICE_MEMBER)
            if (!member_import(importing, &member))
                return METER_NOMEM;
    }
    if (state == PRICE_MEMBERS_END)
        return METER_OK;
    (void)snprintf(error->text, sizeof error->text, "byte %zu: not an object of models in JSON",
                   (size_t)(at - json) + 1);
    return METER_BAD_PRICES;
}

enum meter_err meter_price_import(const char *json, size_t bytes,
                                  const struct meter_price_book *against,
                                  void (*told)(void *ctx, const struct meter_import_note *note),
                                  void *ctx, char **text_out, size_t *text_bytes_out,
                                  struct meter_error *error)
{
    struct importing importing = {.against = against, .told = told, .ctx = ctx};
    struct price_writer writer = {0};
    char *copy = malloc(bytes + 1); /* with a NUL, for what looks at text */
    enum meter_err err = METER_NOMEM;

    if (copy != NULL) {
        memcpy(copy, json, bytes);
        copy[bytes] = '\0';
        err = file_import(&importing, copy, bytes, error);
    }
    if (err == METER_OK) {
        rows_merge(&importing);
        rows_write(&importing, &writer);
        err = writer.failed ? METER_NOMEM : METER_OK;
    }
    free(copy);
    free(importing.rows);
    if (err != METER_OK) {
        free(writer.text);
        return err;
    }
    *text_out = writer.text;
    *text_bytes_out = writer.bytes;
    return METER_OK;
}
