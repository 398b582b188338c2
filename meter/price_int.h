/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of prices and money share: the second internal header of this folder, because the
 * first would be longer than a file may be. meter_int.h includes it; nobody else does. */
#ifndef FLYBALL_METER_PRICE_INT_H
#define FLYBALL_METER_PRICE_INT_H

#include "meter/meter.h"

#define PRICE_HIDDEN_TPS  250u /* tokens per second of a model that reasons out of sight */
#define PRICE_ROWS_MAX    100000u
#define PRICE_COLUMNS_MAX 64u

/* A book is blocks of constant data without a pointer in them, so that the shipped one needs no
 * work at a program's start. A text is its offset in the block of strings; 0 is "". */

/* The columns of a row's rates: buckets, then counts. */
#define PRICE_RATES (METER_BUCKETS + METER_COUNTS)
_Static_assert(PRICE_RATES <= 32, "a row has a bit for each of its rates");

#define PRICE_ALWAYS INT32_MIN /* from_day of a price without a date */

/* The rates of one price, context tier, service, region and hours. The rows of one price stand
 * together, by prompt_from, tier, region, hours; its first is the plain one from prompt size 0. */
struct price_row {
    int32_t from_day;     /* its first day since the epoch */
    uint32_t from;        /* text: "2026-08-21" */
    uint32_t hours;       /* text: "mon-fri 01:00-04:00" */
    uint32_t tier_name;   /* text: "272000+ priority" */
    uint32_t prompt_from; /* the first size of the whole prompt that pays this */
    uint32_t context_tokens;
    uint32_t output_tokens;
    uint32_t hidden_tokens_per_second;
    uint32_t has;   /* a bit for each of PRICE_RATES */
    uint32_t first; /* of its values, one for each bit, in that order */
    uint8_t tier;
    uint8_t regional;
    uint8_t free; /* zeros are meant, and what is absent costs nothing either */
};

/* An id or alias and the rows of its model, all dates. Sorted by name within a provider. */
struct price_name {
    uint32_t name;  /* text */
    uint32_t model; /* text: the name of the model itself */
    uint32_t first;
    uint32_t count;
};

struct price_provider { /* sorted by name */
    uint32_t name;      /* text */
    uint32_t first;     /* of its names */
    uint32_t count;
};

struct meter_price_book {
    const char *date;
    const char *strings;
    const uint64_t *values;
    const struct price_row *rows;
    const struct price_name *names;
    const struct price_provider *providers;
    size_t strings_bytes, value_count, row_count, name_count, provider_count;
    void *owned[6]; /* what meter_price_book_free releases; all NULL: a constant book */
};

static inline const char *price_text(const struct meter_price_book *book, uint32_t text)
{
    return book->strings + text;
}
void price_row_rates(const struct meter_price_book *book, const struct price_row *row,
                     struct meter_rates *out);
/* NULL: the book has none of this name. */
const struct price_provider *price_provider_find(const struct meter_price_book *book,
                                                 const char *name);
/* The entry of exactly this name, or NULL. */
const struct price_name *price_name_find(const struct meter_price_book *book,
                                         const struct price_provider *provider, const char *name,
                                         size_t name_bytes);
/* The entry of a model by the steps of its provider, or NULL. estimated_out: it is that of the id
 * without its region, where the region's own is not known. */
const struct price_name *price_match(const struct meter_price_book *book, const char *provider,
                                     const char *model, bool *estimated_out);

/* Hours of the day in UTC: "[DAY[-DAY] ]HH:MM-HH:MM[,HH:MM-HH:MM...]", mon tue wed thu fri sat sun.
 * A window that ends before it begins goes on to the next day. */
bool price_hours_valid(const char *hours);
bool price_hours_hold(const char *hours, int64_t when_s);

/* A row of a price file with its own line, and a file's rows with the buffer they point into. */
struct price_line {
    struct meter_price_line row; /* provider NULL: the cell was "-" */
    int32_t from_day;
    char *aliases; /* "a,b" or NULL; may be cut */
    unsigned line;
};
struct price_lines {
    struct price_line *items;
    size_t count;
    char *text; /* a copy of the file, cut into cells */
};
enum meter_err price_lines_read(const char *text, size_t bytes, struct price_lines *lines,
                                struct meter_error *error);
void price_lines_release(struct price_lines *lines);
/* The columns of fees, in the order of the format: which count each is, and its name. */
struct price_fee {
    enum meter_count count;
    const char *column;
    unsigned scale; /* decimals of USD that make a femto-dollar of one */
};
extern const struct price_fee price_fees[];
extern const size_t price_fee_count;

/* The text of a price file as it grows; failed: out of memory. */
struct price_writer {
    char *text;
    size_t bytes;
    size_t room;
    bool failed;
};
void price_write_header(struct price_writer *writer);
/* aliases: "a,b" or "". */
void price_write_line(struct price_writer *writer, const struct meter_price_line *line,
                      const char *aliases);
void price_write(struct price_writer *writer, const char *text);

/* The members of a JSON object, one after another; spans of the text. Inner values are told by
 * their brackets and quotes alone. */
struct price_member {
    const char *name; /* without its quotes, undecoded */
    size_t name_bytes;
    const char *value;
    size_t value_bytes;
};
enum price_members { PRICE_MEMBER, PRICE_MEMBERS_END, PRICE_MEMBERS_BAD };
/* *at: where to go on, first behind the opening brace; where it is bad, the place. */
enum price_members price_member_next(const char **at, const char *end, struct price_member *out);
/* The elements of an array, first behind its opening bracket; false: no more, or not readable. */
bool price_element_next(const char **at, const char *end, struct price_member *out);
bool price_member_is(const struct price_member *member, const char *name);
/* A member's text value with a NUL; false: it is none, or longer than room - 1. */
bool price_member_text(const struct price_member *member, char *out, size_t room);

/* One row of an imported entry, and the entry. Text is the entry's own. */
#define IMPORT_ROWS_MAX 32u
struct import_row {
    uint32_t prompt_from;
    enum meter_tier tier;
    struct meter_rates rates;
};
struct import_entry {
    char key[METER_ROW_MAX];
    char theirs[METER_NAME_MAX]; /* LiteLLM's name of the provider */
    char mode[METER_NAME_MAX];
    const char *provider; /* ours; "" none */
    bool inclusive;       /* a tier "above 272k" begins at 272000 */
    char model[METER_MODEL_MAX];
    uint64_t context_tokens, output_tokens;
    struct import_row rows[IMPORT_ROWS_MAX]; /* the first is the plain one */
    unsigned row_count;
    enum meter_import result;
    char why[256];
};
/* price_import_entry.c: an entry's object, from behind its opening brace. Sets result and why. */
void import_entry_read(struct import_entry *entry, const char *at, const char *end,
                       const struct meter_price_book *against);
/* price_import_figure.c: the exact femto-dollars of a decimal text in USD, the noise of a double
 * taken away; lost_out: rounded up. false: no usable number, and *why_out says why. */
bool import_figure(const char *text, size_t bytes, uint64_t *fusd_out, bool *lost_out,
                   const char **why_out);
/* Whether this count alone can be the price of a call, so that its tokens need no rate. */
bool price_fee_whole(enum meter_count count);
/* Edits between two names (Levenshtein); names beyond 31 bytes count as far. */
unsigned price_edits(const char *a, const char *b);

/* Exact arithmetic on femto-dollars. false: does not fit, *out is untouched. */
bool money_mul(meter_wide a, uint64_t b, meter_wide *out);
bool money_add(meter_wide a, meter_wide b, meter_wide *out);
/* Femto- to pico-dollars, rounded up; false above INT64_MAX. */
bool money_pusd_from_fusd(meter_wide fusd, int64_t *pusd_out);

/* Decimal text times 10^scale. */
enum money_text {
    MONEY_EXACT,
    MONEY_ROUNDED_UP, /* it has more decimals */
    MONEY_NOT_A_NUMBER,
    MONEY_NEGATIVE,
    MONEY_TOO_LARGE, /* for 64 bits */
};
/* *out is set for MONEY_EXACT and MONEY_ROUNDED_UP alone. */
enum money_text money_parse(const char *text, size_t bytes, unsigned scale, uint64_t *out);
/* value / 10^scale as decimal text without needless zeros; out needs METER_USD_TEXT, scale <= 15.
 */
const char *money_text_of(uint64_t value, unsigned scale, char *out);

/* price.c: the dearer of two rates, of which any may be METER_NO_RATE; of each rate of two. */
uint64_t price_dearer(uint64_t a, uint64_t b);
void price_rates_raise(struct meter_rates *rates, const struct meter_rates *other);

#endif
