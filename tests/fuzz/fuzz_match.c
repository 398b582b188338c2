/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the matching of model ids. The first byte of an input chooses the provider, the rest is
 * the id. Whatever is found stands in the id itself, letter by letter: nothing is guessed. */
#include <stdlib.h>
#include <string.h>

#include "meter/meter_int.h"

#define ID_MOST 700u

static const char *const providers[] = {
    "openai", "azure-openai", "anthropic", "gemini",      "vertex", "bedrock",
    "ollama", "openrouter",   "fireworks", "huggingface", "xai",    "nobody",
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The id as it may be looked up: another way to decode it than the meter's own. */
static void plain(const char *id, char *out)
{
    size_t used = 0;

    for (size_t i = 0; id[i] != '\0'; i++) {
        char c = id[i];

        if (c == '%' && id[i + 1] != '\0' && hex_value(id[i + 1]) >= 0 &&
            hex_value(id[i + 2]) >= 0) {
            c = (char)(hex_value(id[i + 1]) * 16 + hex_value(id[i + 2]));
            i += 2;
        }
        if (c >= 'A' && c <= 'Z')
            c |= 0x20;
        out[used++] = c;
    }
    out[used] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct meter_price_book *book = meter_price_book_shipped();
    const struct meter_price_key key = {.prompt_tokens = 300000, .regional = true};
    const struct price_name *found, *again;
    const char *provider, *name, *row;
    struct meter_price price;
    bool estimated, same;
    char text[ID_MOST + 1];
    char *id;

    if (size < 1 || size > ID_MOST)
        return 0;
    provider = providers[data[0] % COUNT_OF(providers)];
    id = malloc(size); /* exactly as long as it is: a step beyond is seen */
    if (id == NULL)
        return 0;
    memcpy(id, data + 1, size - 1);
    id[size - 1] = '\0';
    found = price_match(book, provider, id, &estimated);
    again = price_match(book, provider, id, &same);
    if (found != again || estimated != same)
        abort();
    if (found != NULL) {
        struct meter_rates rates;

        name = price_text(book, found->name);
        plain(id, text);
        if (strcmp(name, "*") != 0 && strstr(text, name) == NULL)
            abort();
        if (estimated && strcmp(provider, "bedrock") != 0)
            abort();
        if (meter_price_find_named(book, provider, id, INT64_MAX, &price) != METER_OK)
            abort();
        row = strchr(price.row, '/') + 1;
        if (strcmp(row, price_text(book, found->model)) != 0 || price.estimated != estimated)
            abort();
        meter_price_rates(&price, &key, &rates, &name);
    }
    free(id);
    return 0;
}
