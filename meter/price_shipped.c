/* SPDX-License-Identifier: Apache-2.0 */
/* The price book of this build: prices/book.tsv, compiled. Constant data without a pointer in it;
 * nothing runs at start. */
#include "meter/meter_int.h"

static const struct price_row shipped_rows[] = {
#define PRICE_WANT_ROWS
#include "price_rows.inc"
#undef PRICE_WANT_ROWS
};

static const uint64_t shipped_values[] = {
#define PRICE_WANT_VALUES
#include "price_rows.inc"
#undef PRICE_WANT_VALUES
};

static const struct price_name shipped_names[] = {
#define PRICE_WANT_NAMES
#include "price_rows.inc"
#undef PRICE_WANT_NAMES
};

static const struct price_provider shipped_providers[] = {
#define PRICE_WANT_PROVIDERS
#include "price_rows.inc"
#undef PRICE_WANT_PROVIDERS
};

static const char shipped_strings[] =
#define PRICE_WANT_STRINGS
#include "price_rows.inc"
#undef PRICE_WANT_STRINGS
    ;

static const char shipped_date[] =
#define PRICE_WANT_DATE
#include "price_rows.inc"
#undef PRICE_WANT_DATE
    ;

static const struct meter_price_book shipped_book = {
    .date = shipped_date,
    .strings = shipped_strings,
    .values = shipped_values,
    .rows = shipped_rows,
    .names = shipped_names,
    .providers = shipped_providers,
    .strings_bytes = sizeof shipped_strings,
    .value_count = COUNT_OF(shipped_values),
    .row_count = COUNT_OF(shipped_rows),
    .name_count = COUNT_OF(shipped_names),
    .provider_count = COUNT_OF(shipped_providers),
};

const struct meter_price_book *meter_price_book_shipped(void)
{
    return &shipped_book;
}
