/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a price file to rows: docs/PRICES.md describes the format. Every complaint names
 * line, column and value, and what was probably meant. */
#include "meter/meter_int.h"

#include <stdarg.h>
#include <stdio.h>

#define NANO             UINT64_C(1000000000)
#define LEAST_TOKEN_NANO (NANO / 1000)    /* 0.001 USD per 1M tokens: less is a price per token */
#define MOST_TOKEN_NANO  (700 * NANO)     /* above any price so far: it is per something else */
#define MOST_FEE_FUSD    (1000000 * NANO) /* 1 USD per call */
#define TOKENS_MOST      UINT64_C(1000000000)
#define FEMTO_DECIMALS   15u /* of USD */

/* character is USD per 1,000,000 of them, as tokens are; the others are USD per one. */
const struct price_fee price_fees[] = {
    {METER_WEB_SEARCHES, "web_search", FEMTO_DECIMALS},
    {METER_FILE_SEARCHES, "file_search", FEMTO_DECIMALS},
    {METER_IMAGES, "image", FEMTO_DECIMALS},
    {METER_PAGES, "page", FEMTO_DECIMALS},
    {METER_SECONDS, "second", FEMTO_DECIMALS},
    {METER_CHARACTERS, "character", FEMTO_DECIMALS - 6},
    {METER_SEARCH_UNITS, "search_unit", FEMTO_DECIMALS},
    {METER_REQUESTS, "request", FEMTO_DECIMALS},
};
const size_t price_fee_count = COUNT_OF(price_fees);

struct column;

struct reader {
    unsigned line;
    const struct column *columns[PRICE_COLUMNS_MAX];
    unsigned column_count; /* 0: the header has not been read */
    struct price_lines *lines;
    struct meter_error *error;
};

/* A column of the file. read sets what the cell says, false: the error says why not. A cell of "-"
 * leaves the default and is not read. */
struct column {
    const char *name;
    bool (*read)(struct reader *reader, const struct column *column, char *cell,
                 struct price_line *out);
    unsigned index; /* bucket or count */
    bool required;
};

static bool __attribute__((format(printf, 2, 3)))
complain(struct reader *reader, const char *format, ...)
{
    size_t room = sizeof reader->error->text;
    int used = snprintf(reader->error->text, room, "line %u", reader->line);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(reader->error->text + used, room - (size_t)used, format, args);
    va_end(args);
    return false;
}

static bool complain_cell(struct reader *reader, const struct column *column, const char *cell,
                          const char *why)
{
    return complain(reader, ", column %s: \"%.60s\" %s", column->name, cell, why);
}

/* ---- cells -------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t room)
{
    size_t bytes = strlen(text);

    for (size_t i = 0; i < bytes; i++)
        if (text[i] < '!' || text[i] > '~')
            return false;
    return bytes > 0 && bytes < room;
}

/* Ids are looked up in lower case. */
static void lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text |= 0x20;
}

static bool read_provider(struct reader *reader, const struct column *column, char *cell,
                          struct price_line *out)
{
    out->row.provider = cell;
    return is_name(cell, METER_NAME_MAX) ||
           complain_cell(reader, column, cell, "is not a provider's name");
}

static bool read_model(struct reader *reader, const struct column *column, char *cell,
                       struct price_line *out)
{
    lower(cell);
    out->row.model = cell;
    return (is_name(cell, METER_MODEL_MAX) && strchr(cell, ',') == NULL) ||
           complain_cell(reader, column, cell, "is not a model's name");
}

static bool read_aliases(struct reader *reader, const struct column *column, char *cell,
                         struct price_line *out)
{
    lower(cell);
    out->aliases = cell;
    for (char *at = cell;; at++) {
        size_t bytes = strcspn(at, ",");
        char name[METER_MODEL_MAX] = "";

        if (bytes < sizeof name)
            memcpy(name, at, bytes);
        if (!is_name(name, sizeof name))
            return complain_cell(reader, column, cell, "is not a list of names: a,b");
        at += bytes;
        if (*at == '\0')
            return true;
    }
}

static bool digits_value(const char *text, size_t count, unsigned *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

static bool date_valid(unsigned year, unsigned month, unsigned day)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (year < 2000 || month < 1 || month > 12 || day < 1)
        return false;
    return day <= days[month - 1] + (unsigned)(leap && month == 2);
}

/* Days from 1970-01-01; the year begins in March, so that the leap day comes last. */
static int64_t date_days(unsigned year, unsigned month, unsigned day)
{
    unsigned shifted = (month + 9) % 12;

    year -= month <= 2;
    return (int64_t)year * 365 + year / 4 - year / 100 + year / 400 + (153 * shifted + 2) / 5 +
           day - 1 - 719468;
}

static bool read_from(struct reader *reader, const struct column *column, char *cell,
                      struct price_line *out)
{
    unsigned year, month, day;

    if (strlen(cell) != 10 || cell[4] != '-' || cell[7] != '-' || !digits_value(cell, 4, &year) ||
        !digits_value(cell + 5, 2, &month) || !digits_value(cell + 8, 2, &day) ||
        !date_valid(year, month, day))
        return complain_cell(reader, column, cell, "is not a date like 2026-08-21");
    out->row.from = cell;
    out->from_day = (int32_t)date_days(year, month, day);
    return true;
}

static bool whole_number(const char *cell, uint64_t *out)
{
    uint64_t value;

    if (strspn(cell, "0123456789") != strlen(cell) ||
        money_parse(cell, strlen(cell), 0, &value) != MONEY_EXACT || value > TOKENS_MOST)
        return false;
    *out = value;
    return true;
}

static bool read_whole(struct reader *reader, const struct column *column, const char *cell,
                       uint64_t *out)
{
    return whole_number(cell, out) ||
           complain_cell(reader, column, cell, "is not a whole number of tokens");
}

static bool read_prompt_from(struct reader *reader, const struct column *column, char *cell,
                             struct price_line *out)
{
    return read_whole(reader, column, cell, &out->row.prompt_from);
}

static bool read_context(struct reader *reader, const struct column *column, char *cell,
                         struct price_line *out)
{
    return read_whole(reader, column, cell, &out->row.context_tokens);
}

static bool read_output_tokens(struct reader *reader, const struct column *column, char *cell,
                               struct price_line *out)
{
    return read_whole(reader, column, cell, &out->row.output_tokens);
}

static bool read_hidden(struct reader *reader, const struct column *column, char *cell,
                        struct price_line *out)
{
    out->row.hidden_tokens_per_second = PRICE_HIDDEN_TPS;
    return strcmp(cell, "yes") == 0 || whole_number(cell, &out->row.hidden_tokens_per_second) ||
           complain_cell(reader, column, cell, "is neither yes nor tokens per second");
}

static bool read_service(struct reader *reader, const struct column *column, char *cell,
                         struct price_line *out)
{
    for (unsigned tier = 0; tier < METER_TIERS; tier++) {
        if (strcmp(cell, meter_tier_text((enum meter_tier)tier)) == 0) {
            out->row.tier = (enum meter_tier)tier;
            return true;
        }
    }
    return complain_cell(reader, column, cell, "is none of standard, priority, flex, batch, fast");
}

static bool read_region(struct reader *reader, const struct column *column, char *cell,
                        struct price_line *out)
{
    out->row.regional = strcmp(cell, "regional") == 0;
    return out->row.regional || complain_cell(reader, column, cell, "is neither regional nor -");
}

static bool read_hours(struct reader *reader, const struct column *column, char *cell,
                       struct price_line *out)
{
    out->row.hours = cell;
    return price_hours_valid(cell) ||
           complain_cell(reader, column, cell, "is not like mon-fri 01:00-04:00,06:00-10:00 (UTC)");
}

static bool read_free(struct reader *reader, const struct column *column, char *cell,
                      struct price_line *out)
{
    out->row.free = strcmp(cell, "yes") == 0;
    return out->row.free || strcmp(cell, "no") == 0 ||
           complain_cell(reader, column, cell, "is neither yes nor no");
}

/* ---- prices ------------------------------------------------------------------------------- */

static bool read_decimal(struct reader *reader, const struct column *column, const char *cell,
                         unsigned scale, uint64_t *out)
{
    switch (money_parse(cell, strlen(cell), scale, out)) {
    case MONEY_EXACT:
        return true;
    case MONEY_ROUNDED_UP:
        return complain(reader, ", column %s: \"%.60s\" has more than %u decimals", column->name,
                        cell, scale);
    case MONEY_NEGATIVE:
        return complain_cell(reader, column, cell, "is negative");
    case MONEY_TOO_LARGE:
        return complain_cell(reader, column, cell, "is too large");
    case MONEY_NOT_A_NUMBER:
        break;
    }
    return complain_cell(reader, column, cell, "is not a decimal number like 2.50");
}

/* A price per token is a millionth of what the file wants: its digits are the guess. */
static bool looks_per_token(struct reader *reader, const struct column *column, const char *cell)
{
    char guess[METER_USD_TEXT];
    uint64_t nano;

    if (money_parse(cell, strlen(cell), 15, &nano) != MONEY_EXACT || nano == 0 ||
        nano >= LEAST_TOKEN_NANO * 1000000)
        return false;
    (void)complain(reader,
                   ", column %s: \"%.60s\" looks like USD per token; per 1,000,000 tokens write %s",
                   column->name, cell, money_text_of(nano, 9, guess));
    return true;
}

static bool read_rate(struct reader *reader, const struct column *column, char *cell,
                      struct price_line *out)
{
    uint64_t *rate = &out->row.rates.token[column->index];
    char guess[METER_USD_TEXT];

    if (looks_per_token(reader, column, cell) || !read_decimal(reader, column, cell, 9, rate))
        return false;
    if (*rate <= MOST_TOKEN_NANO)
        return true;
    return complain(reader,
                    ", column %s: \"%.60s\" is above 700 USD per 1,000,000 tokens; if it is per "
                    "1,000,000,000 tokens write %s",
                    column->name, cell, money_text_of(*rate, 12, guess));
}

/* column->index: a row of price_fees. */
static bool read_fee(struct reader *reader, const struct column *column, char *cell,
                     struct price_line *out)
{
    const struct price_fee *row = &price_fees[column->index];
    uint64_t *fee = &out->row.rates.count[row->count];
    char guess[METER_USD_TEXT];

    if (!read_decimal(reader, column, cell, row->scale, fee))
        return false;
    if (row->scale != FEMTO_DECIMALS || *fee <= MOST_FEE_FUSD)
        return true;
    return complain(reader,
                    ", column %s: \"%.60s\" is above 1 USD for one; if it is per 1000 write %s",
                    column->name, cell, money_text_of(*fee / 1000, FEMTO_DECIMALS, guess));
}

/* Per 1,000,000 characters: the digits of a price for one are the guess, as for tokens. */
static bool read_characters(struct reader *reader, const struct column *column, char *cell,
                            struct price_line *out)
{
    uint64_t *fee = &out->row.rates.count[price_fees[column->index].count];
    char guess[METER_USD_TEXT];

    if (looks_per_token(reader, column, cell) || !read_fee(reader, column, cell, out))
        return false;
    if (*fee <= MOST_TOKEN_NANO)
        return true;
    return complain(reader,
                    ", column %s: \"%.60s\" is above 700 USD per 1,000,000; if it is per "
                    "1,000,000,000 write %s",
                    column->name, cell, money_text_of(*fee, 12, guess));
}

static const struct column columns[] = {
    {"provider", read_provider, 0, true},
    {"model", read_model, 0, true},
    {"aliases", read_aliases, 0, false},
    {"from", read_from, 0, false},
    {"prompt_from", read_prompt_from, 0, false},
    {"service", read_service, 0, false},
    {"region", read_region, 0, false},
    {"hours", read_hours, 0, false},
    {"input", read_rate, METER_INPUT, true},
    {"cache_read", read_rate, METER_CACHE_READ, false},
    {"cache_write_5m", read_rate, METER_CACHE_WRITE_5M, false},
    {"cache_write_1h", read_rate, METER_CACHE_WRITE_1H, false},
    {"audio_in", read_rate, METER_AUDIO_IN, false},
    {"image_in", read_rate, METER_IMAGE_IN, false},
    {"output", read_rate, METER_OUTPUT, true},
    {"audio_out", read_rate, METER_AUDIO_OUT, false},
    {"image_out", read_rate, METER_IMAGE_OUT, false},
    {"web_search", read_fee, 0, false},
    {"file_search", read_fee, 1, false},
    {"image", read_fee, 2, false},
    {"page", read_fee, 3, false},
    {"second", read_fee, 4, false},
    {"character", read_characters, 5, false},
    {"search_unit", read_fee, 6, false},
    {"request", read_fee, 7, false},
    {"context_tokens", read_context, 0, false},
    {"output_tokens", read_output_tokens, 0, false},
    {"hidden_tps", read_hidden, 0, false},
    {"free", read_free, 0, false},
};

/* ---- the header --------------------------------------------------------------------------- */

static const struct column *nearest_column(const char *name)
{
    const struct column *nearest = &columns[0];

    for (size_t i = 1; i < COUNT_OF(columns); i++)
        if (price_edits(name, columns[i].name) < price_edits(name, nearest->name))
            nearest = &columns[i];
    return nearest;
}

static const struct column *column_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        if (strcmp(columns[i].name, name) == 0)
            return &columns[i];
    return NULL;
}

static bool header_has(const struct reader *reader, const struct column *column)
{
    for (unsigned i = 0; i < reader->column_count; i++)
        if (reader->columns[i] == column)
            return true;
    return false;
}

static bool header_read(struct reader *reader, char **cells, unsigned count)
{
    if (count == 1 && strpbrk(cells[0], " ,;") != NULL)
        return complain(reader, ": the columns must be separated by tabs");
    for (unsigned i = 0; i < count; i++) {
        const struct column *column = column_find(cells[i]);

        if (column == NULL)
            return complain(reader, ": no column is called \"%.60s\"; the nearest is %s", cells[i],
                            nearest_column(cells[i])->name);
        if (header_has(reader, column))
            return complain(reader, ": column %s stands twice", column->name);
        reader->columns[reader->column_count++] = column;
    }
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        if (columns[i].required && !header_has(reader, &columns[i]))
            return complain(reader, ": column %s is missing", columns[i].name);
    return true;
}

/* ---- rows --------------------------------------------------------------------------------- */

static void line_init(struct price_line *line, unsigned number)
{
    *line = (struct price_line){
        .row = {.from = "", .hours = ""},
        .from_day = PRICE_ALWAYS,
        .line = number,
    };
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        line->row.rates.token[bucket] = METER_NO_RATE;
    for (unsigned i = 0; i < METER_COUNTS; i++)
        line->row.rates.count[i] = METER_NO_RATE;
}

/* The rate that a column has read; METER_NO_RATE: it is no column of rates. */
static uint64_t rate_of(const struct column *column, const struct meter_rates *rates)
{
    if (column->read == read_rate)
        return rates->token[column->index];
    if (column->read == read_fee || column->read == read_characters)
        return rates->count[price_fees[column->index].count];
    return METER_NO_RATE;
}

/* A zero must be meant: free=yes. */
static bool zeros_meant(struct reader *reader, const struct price_line *line)
{
    for (unsigned i = 0; i < reader->column_count; i++)
        if (rate_of(reader->columns[i], &line->row.rates) == 0 && !line->row.free)
            return complain(reader,
                            ", column %s: 0 is a price only with free=yes; write - for none",
                            reader->columns[i]->name);
    return true;
}

/* free=yes with some price above zero means the zeros alone: the row as a whole is not free. */
static void free_settle(struct meter_price_line *row)
{
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        uint64_t rate = rate_of(&columns[i], &row->rates);

        if (rate != 0 && rate != METER_NO_RATE)
            row->free = false;
    }
}

/* What a call costs has to be told by its tokens, or by a fee that can be its whole price. */
static bool is_priced(const struct meter_price_line *row)
{
    bool priced = row->free || row->rates.token[METER_INPUT] != METER_NO_RATE;

    for (unsigned i = 0; i < METER_COUNTS; i++)
        priced = priced ||
                 (price_fee_whole((enum meter_count)i) && row->rates.count[i] != METER_NO_RATE);
    return priced;
}

static bool line_check(struct reader *reader, struct price_line *line)
{
    if (line->row.provider == NULL || line->row.model == NULL)
        return complain(reader, ": a row needs a provider and a model");
    if (!zeros_meant(reader, line))
        return false;
    free_settle(&line->row);
    if (!is_priced(&line->row))
        return complain(reader, ", column input: a row needs a price, or free=yes");
    if (strcmp(line->row.model, "*") == 0 && !line->row.free)
        return complain(reader, ", column model: \"*\" stands for all others, which must be free");
    return true;
}

static bool row_read(struct reader *reader, char **cells, unsigned count)
{
    struct price_line *line = &reader->lines->items[reader->lines->count];

    if (count != reader->column_count)
        return complain(reader, ": %u cells, but the header has %u columns", count,
                        reader->column_count);
    line_init(line, reader->line);
    for (unsigned i = 0; i < count; i++) {
        const struct column *column = reader->columns[i];

        if (strcmp(cells[i], "-") != 0 && !column->read(reader, column, cells[i], line))
            return false;
    }
    if (!line_check(reader, line))
        return false;
    reader->lines->count++;
    return true;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Cuts a line at its tabs. */
static unsigned cells_cut(char *line, char **cells)
{
    unsigned count = 0;

    while (line != NULL && count < PRICE_COLUMNS_MAX)
        cells[count++] = strsep(&line, "\t");
    return count;
}

static bool line_read(struct reader *reader, char *line)
{
    char *cells[PRICE_COLUMNS_MAX];
    size_t bytes = strlen(line);

    if (bytes > 0 && line[bytes - 1] == '\r')
        line[--bytes] = '\0';
    if (bytes == 0 || line[0] == '#')
        return true;
    unsigned count = cells_cut(line, cells);
    return reader->column_count == 0 ? header_read(reader, cells, count)
                                     : row_read(reader, cells, count);
}

static size_t lines_in(const char *text, size_t bytes)
{
    size_t count = 1;

    for (size_t i = 0; i < bytes; i++)
        count += text[i] == '\n';
    return count;
}

static bool text_read(struct reader *reader)
{
    for (char *rest = reader->lines->text; rest != NULL;) {
        char *line = strsep(&rest, "\n");

        reader->line++;
        if (!line_read(reader, line))
            return false;
    }
    if (reader->column_count == 0)
        return complain(reader, ": there is no header line");
    return true;
}

enum meter_err price_lines_read(const char *text, size_t bytes, struct price_lines *lines,
                                struct meter_error *error)
{
    struct reader reader = {.lines = lines, .error = error};
    size_t mark = bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* of UTF-8 */
    size_t count = lines_in(text, bytes);

    *lines = (struct price_lines){0};
    if (count > PRICE_ROWS_MAX || memchr(text, '\0', bytes) != NULL) {
        (void)complain(&reader, ": %s",
                       count > PRICE_ROWS_MAX ? "more than 100000 lines" : "the file is not text");
        return METER_BAD_PRICES;
    }
    lines->text = malloc(bytes + 1);
    lines->items = calloc(count, sizeof *lines->items);
    if (lines->text == NULL || lines->items == NULL)
        return METER_NOMEM;
    memcpy(lines->text, text + mark, bytes - mark);
    lines->text[bytes - mark] = '\0';
    return text_read(&reader) ? METER_OK : METER_BAD_PRICES;
}

void price_lines_release(struct price_lines *lines)
{
    free(lines->text);
    free(lines->items);
    *lines = (struct price_lines){0};
}
