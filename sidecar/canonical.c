/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of JSON (RFC 8785), and the hash of a receipt over it: sorted members, no
 * blanks, numbers as ECMAScript writes them, so that anybody can compute the same bytes. */
#include "sidecar/sidecar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_string(FILE *text, const char *string, size_t length)
{
    static const char *const short_escapes[] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};

    (void)fputs("\"", text);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)string[i];

        if (c == '"' || c == '\\') {
            (void)fputs(c == '"' ? "\\\"" : "\\\\", text);
        } else if (c >= 0x20) {
            (void)fwrite(&string[i], 1, 1, text);
        } else if (c < sizeof short_escapes / sizeof short_escapes[0] && short_escapes[c] != NULL) {
            (void)fputs(short_escapes[c], text);
        } else {
            (void)fprintf(text, "\\u%04x", c);
        }
    }
    (void)fputs("\"", text);
}

/* The shortest digits that read back as the same number, laid out as Number.prototype.toString
 * does. */
static void add_number(FILE *text, double number)
{
    char digits[40], *exponent_at;
    int precision = 0, exponent, count = 0;
    char plain[24] = "";

    do
        (void)snprintf(digits, sizeof digits, "%.*e", precision, number);
    while (strtod(digits, NULL) != number && ++precision <= 17);
    exponent_at = strchr(digits, 'e');
    exponent = atoi(exponent_at + 1);
    for (const char *c = digits; c < exponent_at; c++)
        if (*c != '.' && *c != '-')
            plain[count++] = *c;
    while (count > 1 && plain[count - 1] == '0')
        count--;
    if (number < 0)
        (void)fputs("-", text);
    if (number == 0) {
        (void)fputs("0", text);
    } else if (exponent >= 0 && exponent < 21) { /* digits, zeros behind, or a point inside */
        for (int i = 0; i <= exponent || i < count; i++) {
            if (i == exponent + 1)
                (void)fputs(".", text);
            (void)fwrite(i < count ? &plain[i] : "0", 1, 1, text);
        }
    } else if (exponent < 0 && exponent >= -6) {
        (void)fputs("0.", text);
        for (int i = -1; i > exponent; i--)
            (void)fputs("0", text);
        (void)fwrite(plain, 1, (size_t)count, text);
    } else {
        (void)fwrite(plain, 1, 1, text);
        if (count > 1) {
            (void)fputs(".", text);
            (void)fwrite(plain + 1, 1, (size_t)count - 1, text);
        }
        (void)fprintf(text, "e%+d", exponent);
    }
}

static bool add_value(FILE *text, const json_t *value);

/* Names go by their UTF-16 code units. UTF-8 bytes have the same order but for U+E000 to U+FFFF,
 * which are behind what UTF-16 writes in surrogates. */
static int utf16_rank(char byte)
{
    unsigned char rank = (unsigned char)byte;

    return rank == 0xee || rank == 0xef ? rank + 0x10 : rank;
}

static int by_name(const void *a, const void *b)
{
    const char *one = *(const char *const *)a, *other = *(const char *const *)b;

    while (*one != '\0' && *one == *other) {
        one++;
        other++;
    }
    return utf16_rank(*one) - utf16_rank(*other);
}

static bool add_object(FILE *text, const json_t *object)
{
    const char **names = malloc((json_object_size(object) + 1) * sizeof *names), *name;
    const json_t *value;
    size_t count = 0;
    bool whole = names != NULL;

    if (whole) {
        json_object_foreach((json_t *)(uintptr_t)object, name, value) names[count++] = name;
        qsort(names, count, sizeof names[0], by_name);
    }
    (void)fputs("{", text);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? "," : "", text);
        add_string(text, names[i], strlen(names[i]));
        (void)fputs(":", text);
        whole = add_value(text, json_object_get(object, names[i])) && whole;
    }
    (void)fputs("}", text);
    free(names);
    return whole;
}

static bool add_array(FILE *text, const json_t *array)
{
    const json_t *value;
    bool whole = true;
    size_t i;

    (void)fputs("[", text);
    json_array_foreach(array, i, value)
    {
        (void)fputs(i > 0 ? "," : "", text);
        whole = add_value(text, value) && whole;
    }
    (void)fputs("]", text);
    return whole;
}

static void add_integer(FILE *text, json_int_t integer)
{
    if (integer >= -SIDE_JSON_INTEGER_MAX && integer <= SIDE_JSON_INTEGER_MAX)
        (void)fprintf(text, "%lld", (long long)integer);
    else
        add_number(text, (double)integer); /* all numbers are doubles to the RFC */
}

static bool add_value(FILE *text, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return add_object(text, value);
    case JSON_ARRAY:
        return add_array(text, value);
    case JSON_STRING:
        add_string(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        add_integer(text, json_integer_value(value));
        break;
    case JSON_REAL:
        add_number(text, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        (void)fputs(json_is_true(value) ? "true" : "false", text);
        break;
    case JSON_NULL:
        (void)fputs("null", text);
        break;
    }
    return true;
}

char *side_canonical_text(const json_t *value)
{
    char *at = NULL;
    size_t bytes;
    FILE *text = value != NULL ? open_memstream(&at, &bytes) : NULL;
    bool whole;

    if (text == NULL)
        return NULL;
    whole = add_value(text, value) && ferror(text) == 0;
    if (fclose(text) == 0 && whole)
        return at;
    free(at);
    return NULL;
}

bool side_receipt_hash(const json_t *receipt, char out[SIDE_RECEIPT_HASH_TEXT])
{
    json_t *rest = json_copy((json_t *)(uintptr_t)receipt);
    uint8_t hash[32];
    char *text = NULL;

    if (rest != NULL) {
        (void)json_object_del(rest, SIDE_RECEIPT_HASH);
        text = side_canonical_text(rest);
        json_decref(rest);
    }
    if (text == NULL)
        return false;
    store_sha256(text, strlen(text), hash);
    free(text);
    (void)snprintf(out, SIDE_RECEIPT_HASH_TEXT, "sha256:");
    store_hex(hash, out + 7);
    return true;
}
