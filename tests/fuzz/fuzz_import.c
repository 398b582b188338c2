/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the import of LiteLLM's file: any bytes give the text of a price file that can be read, or
 * an error with a text. */
#include <stdlib.h>
#include <string.h>

#include "meter/meter.h"

static void look(void *ctx, const struct meter_import_note *note)
{
    size_t *taken = ctx;

    if (strlen(note->key) >= METER_ROW_MAX || strlen(note->model) >= METER_MODEL_MAX ||
        (note->result == METER_IMPORT_TAKEN) != (note->why[0] == '\0'))
        abort();
    *taken += note->result == METER_IMPORT_TAKEN;
}

static size_t lines_of(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meter_price_book *book = NULL;
    struct meter_error error = {0};
    char *text = NULL;
    size_t bytes = 0, taken = 0;
    enum meter_err err = meter_price_import((const char *)data, size, meter_price_book_shipped(),
                                            look, &taken, &text, &bytes, &error);

    if (err != METER_OK) {
        if (text != NULL || (err == METER_BAD_PRICES && error.text[0] == '\0'))
            abort();
        return 0;
    }
    if (bytes != strlen(text) || (taken > 0) != (lines_of(text) > 1))
        abort();
    if (meter_price_book_parse(text, bytes, NULL, &book, &error) != METER_OK)
        abort();
    meter_price_book_free(book);
    free(text);
    return 0;
}
