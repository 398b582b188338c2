/* SPDX-License-Identifier: Apache-2.0 */
/* A book as the text of a price file: what people read, and what meter_price_book_parse takes
 * back. */
#include "meter/meter_int.h"

#include <stdio.h>

#define LINE_MAX_BYTES 1024u /* a line without its aliases */

struct writer {
    char *text;
    size_t bytes;
    size_t room;
    bool failed;
};

static void put(struct writer *writer, const char *text)
{
    size_t bytes = strlen(text);

    if (writer->bytes + bytes + 1 > writer->room) {
        size_t room = (writer->room + bytes) * 2 + LINE_MAX_BYTES;
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

static void put_cell(struct writer *writer, const char *text)
{
    put(writer, *text != '\0' ? text : "-");
    put(writer, "\t");
}

static void put_number(struct writer *writer, uint64_t value)
{
    char text[METER_USD_TEXT];

    put_cell(writer, value != 0 ? money_text_of(value, 0, text) : "-");
}

static void put_price(struct writer *writer, uint64_t rate, unsigned scale)
{
    char text[METER_USD_TEXT];

    put_cell(writer, rate != METER_NO_RATE ? money_text_of(rate, scale, text) : "-");
}

/* The other names of a model, on the first of its lines. */
static void put_aliases(struct writer *writer, const struct meter_price_book *book,
                        const struct price_name *name)
{
    const char *between = "";

    for (size_t i = 0; i < book->name_count; i++) {
        const struct price_name *other = &book->names[i];

        if (other == name || other->first != name->first)
            continue;
        put(writer, between);
        put(writer, other->name);
        between = ",";
    }
    put(writer, *between != '\0' ? "\t" : "-\t");
}

/* Whether free=yes must stand there for the row's zeros to be taken back. */
static bool says_free(const struct price_row *row)
{
    bool zero = row->free;

    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        zero = zero || row->rates.token[bucket] == 0;
    return zero || row->rates.count[METER_WEB_SEARCHES] == 0 ||
           row->rates.count[METER_FILE_SEARCHES] == 0;
}

static void put_row(struct writer *writer, const struct meter_price_book *book,
                    const struct price_name *name, const struct price_row *row)
{
    char prompt_from[METER_USD_TEXT];

    put_cell(writer, name->provider);
    put_cell(writer, name->name);
    if (row == &book->rows[name->first])
        put_aliases(writer, book, name);
    else
        put(writer, "-\t");
    put_cell(writer, row->from);
    put_cell(writer, money_text_of(row->prompt_from, 0, prompt_from));
    put_cell(writer, price_service_names[row->tier]);
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        put_price(writer, row->rates.token[bucket], 9);
    put_price(writer, row->rates.count[METER_WEB_SEARCHES], 15);
    put_price(writer, row->rates.count[METER_FILE_SEARCHES], 15);
    put_number(writer, row->context_tokens);
    put_number(writer, row->output_tokens);
    put_number(writer, row->hidden_tokens_per_second);
    put(writer, says_free(row) ? "yes\n" : "-\n");
}

static void put_header(struct writer *writer)
{
    static const char *const before[] = {"provider", "model",       "aliases",
                                         "from",     "prompt_from", "service"};

    for (size_t i = 0; i < COUNT_OF(before); i++)
        put_cell(writer, before[i]);
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        put_cell(writer, meter_bucket_name((enum meter_bucket)bucket));
    put(writer, "web_search\tfile_search\tcontext_tokens\toutput_tokens\thidden_tps\tfree\n");
}

/* Whether the name is the model's own, not an alias. */
static bool is_model(const struct price_name *name)
{
    return strcmp(name->row + strlen(name->provider) + 1, name->name) == 0;
}

char *meter_price_book_text(const struct meter_price_book *book, size_t *bytes_out)
{
    struct writer writer = {0};

    put_header(&writer);
    for (size_t i = 0; i < book->name_count; i++) {
        const struct price_name *name = &book->names[i];

        for (uint32_t row = 0; is_model(name) && row < name->count; row++)
            put_row(&writer, book, name, &book->rows[name->first + row]);
    }
    if (writer.failed) {
        free(writer.text);
        return NULL;
    }
    *bytes_out = writer.bytes;
    return writer.text;
}
