/* SPDX-License-Identifier: Apache-2.0 */
/* The price book of this build: prices/book.tsv, compiled. Constant data; nothing runs at start. */
#include "meter/meter_int.h"

static const struct price_row shipped_rows[] = {
#define PRICE_WANT_ROWS
#include "price_rows.inc"
#undef PRICE_WANT_ROWS
};

static const struct price_name shipped_names[] = {
#define PRICE_WANT_NAMES
#include "price_rows.inc"
#undef PRICE_WANT_NAMES
};

static const char shipped_date[] =
#define PRICE_WANT_DATE
#include "price_rows.inc"
#undef PRICE_WANT_DATE
    ;

static const struct meter_price_book shipped_book = {
    .date = shipped_date,
    .rows = shipped_rows,
    .names = shipped_names,
    .row_count = COUNT_OF(shipped_rows),
    .name_count = COUNT_OF(shipped_names),
};

const struct meter_price_book *meter_price_book_shipped(void)
{
    return &shipped_book;
}
