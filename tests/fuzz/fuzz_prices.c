/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes a user's price file: any bytes give a book, or an error with a text. Every other one is
 * laid over the shipped book. */
#include <stdlib.h>
#include <string.h>

#include "meter/meter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct meter_price_book *base = size % 2 == 0 ? meter_price_book_shipped() : NULL;
    struct meter_price_book *book = NULL;
    struct meter_error error = {0};
    char *text;
    size_t bytes;

    if (meter_price_book_parse((const char *)data, size, base, &book, &error) != METER_OK) {
        if (book != NULL || error.text[0] == '\0')
            abort();
        return 0;
    }
    text = meter_price_book_text(book, &bytes);
    free(text);
    meter_price_book_free(book);
    return 0;
}
