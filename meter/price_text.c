/* SPDX-License-Identifier: Apache-2.0 */
/* A book as its rows, and as the text of a price file: what people read, and what
 * meter_price_book_parse takes back. */
#include "meter/meter_int.h"

#include <stdio.h>

/* ---- rows --------------------------------------------------------------------------------- */

static void line_fill(const struct meter_price_book *book, const struct price_provider *provider,
                      const struct price_name *name, const struct price_row *row,
                      struct meter_price_line *out)
{
    *out = (struct meter_price_line){
        .provider = price_text(book, provider->name),
        .model = price_text(book, name->model),
        .from = price_text(book, row->from),
        .hours = price_text(book, row->hours),
        .prompt_from = row->prompt_from,
        .tier = (enum meter_tier)row->tier,
        .regional = row->regional,
        .free = row->free,
        .context_tokens = row->context_tokens,
        .output_tokens = row->output_tokens,
        .hidden_tokens_per_second = row->hidden_tokens_per_second,
    };
    price_row_rates(book, row, &out->rates);
}

struct walk {
    const struct meter_price_book *book;
    const struct price_provider *provider;
    const struct price_name *name;
    const struct price_row *row;
};

/* Whether the name is the model's own, not an alias. */
static bool is_model(const struct meter_price_book *book, const struct price_name *name)
{
    return strcmp(price_text(book, name->name), price_text(book, name->model)) == 0;
}

/* Every row, in order, until each says false. */
static void walk_all(struct walk *walk, bool (*each)(void *ctx, const struct walk *walk), void *ctx)
{
    const struct meter_price_book *book = walk->book;

    for (size_t p = 0; p < book->provider_count; p++) {
        walk->provider = &book->providers[p];
        for (uint32_t n = 0; n < walk->provider->count; n++) {
            walk->name = &book->names[walk->provider->first + n];
            if (!is_model(book, walk->name))
                continue;
            for (uint32_t r = 0; r < walk->name->count; r++) {
                walk->row = &book->rows[walk->name->first + r];
                if (!each(ctx, walk))
                    return;
            }
        }
    }
}

struct visitor {
    bool (*each)(void *ctx, const struct meter_price_line *line);
    void *ctx;
};

static bool visit(void *ctx, const struct walk *walk)
{
    const struct visitor *visitor = ctx;
    struct meter_price_line line;

    line_fill(walk->book, walk->provider, walk->name, walk->row, &line);
    return visitor->each(visitor->ctx, &line);
}

void meter_price_book_each(const struct meter_price_book *book,
                           bool (*each)(void *ctx, const struct meter_price_line *line), void *ctx)
{
    struct visitor visitor = {each, ctx};
    struct walk walk = {.book = book};

    walk_all(&walk, visit, &visitor);
}

const char *meter_fee_name(enum meter_count count, unsigned *decimals_out)
{
    for (size_t i = 0; i < price_fee_count; i++) {
        if (price_fees[i].count != count)
            continue;
        *decimals_out = price_fees[i].scale;
        return price_fees[i].column;
    }
    return NULL;
}

const char *meter_rate_text(uint64_t rate, unsigned decimals, char out[METER_USD_TEXT])
{
    return money_text_of(rate, decimals, out);
}

/* ---- text --------------------------------------------------------------------------------- */

#define ROOM_MORE 1024u

void price_write(struct price_writer *writer, const char *text)
{
    size_t bytes = strlen(text);

    if (writer->bytes + bytes + 1 > writer->room) {
        size_t room = (writer->room + bytes) * 2 + ROOM_MORE;
        char *larger = writer->failed ? NULL : realloc(writer->text, room);

        if (larger == NULL) {
            writer->failed = true;
            return;
        }
        writer->text = larger;
        writer->room = room;
    }
    memcpy(writer->text + writer->bytes, text, bytes + 1);
    writer->bytes += bytes;
}

static void put_cell(struct price_writer *writer, const char *text)
{
    price_write(writer, *text != '\0' ? text : "-");
    price_write(writer, "\t");
}

static void put_number(struct price_writer *writer, uint64_t value)
{
    char text[METER_USD_TEXT];

    put_cell(writer, value != 0 ? money_text_of(value, 0, text) : "-");
}

static void put_price(struct price_writer *writer, uint64_t rate, unsigned scale)
{
    char text[METER_USD_TEXT];

    put_cell(writer, rate != METER_NO_RATE ? money_text_of(rate, scale, text) : "-");
}

/* Whether free=yes must stand there for the row's zeros to be taken back. */
static bool says_free(const struct meter_price_line *line)
{
    bool zero = line->free;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        zero = zero || line->rates.token[bucket] == 0;
    for (size_t i = 0; i < price_fee_count; i++)
        zero = zero || line->rates.count[price_fees[i].count] == 0;
    return zero;
}

void price_write_line(struct price_writer *writer, const struct meter_price_line *line,
                      const char *aliases)
{
    char prompt_from[METER_USD_TEXT];

    put_cell(writer, line->provider);
    put_cell(writer, line->model);
    put_cell(writer, aliases);
    put_cell(writer, line->from);
    put_cell(writer, money_text_of(line->prompt_from, 0, prompt_from));
    put_cell(writer, meter_tier_text(line->tier));
    put_cell(writer, line->regional ? "regional" : "");
    put_cell(writer, line->hours);
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        put_price(writer, line->rates.token[bucket], 9);
    for (size_t i = 0; i < price_fee_count; i++)
        put_price(writer, line->rates.count[price_fees[i].count], price_fees[i].scale);
    put_number(writer, line->context_tokens);
    put_number(writer, line->output_tokens);
    put_number(writer, line->hidden_tokens_per_second);
    price_write(writer, says_free(line) ? "yes\n" : "-\n");
}

void price_write_header(struct price_writer *writer)
{
    static const char *const before[] = {"provider",    "model",   "aliases", "from",
                                         "prompt_from", "service", "region",  "hours"};

    for (size_t i = 0; i < COUNT_OF(before); i++)
        put_cell(writer, before[i]);
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        put_cell(writer, meter_bucket_name((enum meter_bucket)bucket));
    for (size_t i = 0; i < price_fee_count; i++)
        put_cell(writer, price_fees[i].column);
    price_write(writer, "context_tokens\toutput_tokens\thidden_tps\tfree\n");
}

/* The other names of a model, for the first of its lines: "a,b". */
static void aliases_write(const struct walk *walk, struct price_writer *out)
{
    for (uint32_t i = 0; i < walk->provider->count; i++) {
        const struct price_name *other = &walk->book->names[walk->provider->first + i];

        if (other == walk->name || other->first != walk->name->first)
            continue;
        if (out->bytes > 0)
            price_write(out, ",");
        price_write(out, price_text(walk->book, other->name));
    }
}

static bool write_row(void *ctx, const struct walk *walk)
{
    struct price_writer *writer = ctx, aliases = {0};
    struct meter_price_line line;

    if (walk->row == &walk->book->rows[walk->name->first])
        aliases_write(walk, &aliases);
    line_fill(walk->book, walk->provider, walk->name, walk->row, &line);
    price_write_line(writer, &line, aliases.bytes > 0 ? aliases.text : "");
    writer->failed = writer->failed || aliases.failed;
    free(aliases.text);
    return !writer->failed;
}

char *meter_price_book_text(const struct meter_price_book *book, size_t *bytes_out)
{
    struct walk walk = {.book = book};
    struct price_writer writer = {0};

    price_write_header(&writer);
    walk_all(&walk, write_row, &writer);
    if (writer.failed) {
        free(writer.text);
        return NULL;
    }
    *bytes_out = writer.bytes;
    return writer.text;
}
