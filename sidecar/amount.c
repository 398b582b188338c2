/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts of every dimension, as people and programs write them. */
#include "sidecar/sidecar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- reading ------------------------------------------------------------------------------ */

struct unit {
    const char *name;
    int64_t ms;
};

bool side_duration_parse(const char *text, int64_t *ms_out)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *first = text;
    int64_t total = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789"), letters;
        int64_t scale = 0, part;

        if (digits == 0 || digits > 15)
            return false;
        part = strtoll(text, NULL, 10);
        letters = strspn(text + digits, "abcdefghijklmnopqrstuvwxyz");
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strlen(units[i].name) == letters &&
                strncmp(units[i].name, text + digits, letters) == 0)
                scale = units[i].ms;
        if (letters == 0 && text[digits] == '\0' && text == first)
            scale = 1000; /* a bare number is seconds */
        if (scale == 0 || __builtin_mul_overflow(part, scale, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        text += digits + letters;
    }
    *ms_out = total;
    return true;
}

/* Digits; between them '_', or ',' in front of every three. */
static bool is_separator(const char *text, const char *at)
{
    size_t digits = strspn(at + 1, "0123456789");

    if (at == text || digits == 0 || at[-1] < '0' || at[-1] > '9')
        return false;
    return *at == '_' || (*at == ',' && digits == 3 && (at[4] == '\0' || at[4] == ',') &&
                          strcspn(text, ",") <= 3);
}

static bool count_parse(const char *text, int64_t *out)
{
    char digits[32];
    size_t used = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (is_separator(text, at))
            continue;
        if (*at < '0' || *at > '9' || used + 1 >= sizeof digits)
            return false;
        digits[used++] = *at;
    }
    digits[used] = '\0';
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return used > 0 && errno == 0;
}

/* As coreutils has it: K, M, G, T and KiB ... are powers of 1024, kB ... of 1000. */
static bool size_parse(const char *text, int64_t *out)
{
    static const char letters[] = "kmgt";
    char number[32];
    size_t digits = strspn(text, "0123456789_,");
    const char *unit = text + digits, *letter;
    int64_t scale = 1, base;

    if (digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!count_parse(number, out))
        return false;
    letter = *unit != '\0' ? strchr(letters, *unit | 0x20) : NULL;
    if (letter == NULL)
        return strcasecmp(unit, "B") == 0 || *unit == '\0';
    if (unit[1] != '\0' && strcasecmp(unit + 1, "iB") != 0 && strcasecmp(unit + 1, "B") != 0)
        return false;
    base = strcasecmp(unit + 1, "B") == 0 ? 1000 : 1024;
    for (const char *at = letters; at <= letter; at++)
        scale *= base;
    return !__builtin_mul_overflow(*out, scale, out);
}

static bool usd_parse(const char *text, int64_t *out)
{
    text += *text == '$';
    return meter_usd_parse(text, strlen(text), out);
}

/* ---- per dimension ------------------------------------------------------------------------ */

static void grouped(int64_t number, char out[SIDE_AMOUNT_TEXT])
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number);
    size_t used = 0;

    for (int i = 0; i < length && used + 2 < SIDE_AMOUNT_TEXT; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

/* "1h30m", "29m59s983ms": the largest parts first, all of it, as it can be read again. */
static void duration(int64_t ms, char out[SIDE_AMOUNT_TEXT])
{
    static const struct unit parts[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t used = 0;

    (void)snprintf(out, SIDE_AMOUNT_TEXT, "0s");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; ms %= parts[i++].ms)
        if (ms / parts[i].ms != 0)
            used += (size_t)snprintf(out + used, SIDE_AMOUNT_TEXT - used, "%lld%s",
                                     (long long)(ms / parts[i].ms), parts[i].name);
}

static void seconds(int64_t count, char out[SIDE_AMOUNT_TEXT])
{
    (void)snprintf(out, SIDE_AMOUNT_TEXT, "%llds", (long long)count);
}

/* "10 MiB", "52.4 MiB": at most one digit behind the point, and never more than there is. */
static void size(int64_t bytes, char out[SIDE_AMOUNT_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    int64_t one = 1;

    while (unit + 1 < sizeof units / sizeof units[0] && bytes / 1024 >= one) {
        one *= 1024;
        unit++;
    }
    if (bytes % one == 0)
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%lld %s", (long long)(bytes / one), units[unit]);
    else
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "%lld.%lld %s", (long long)(bytes / one),
                       (long long)(bytes % one * 10 / one), units[unit]);
}

/* At least cents: $5.00, $0.50. */
static void usd(int64_t pusd, char out[SIDE_AMOUNT_TEXT])
{
    char text[METER_USD_TEXT];
    const char *dot = strchr(meter_usd_text(pusd, text), '.');

    (void)snprintf(out, SIDE_AMOUNT_TEXT, "$%s%s", text,
                   dot == NULL ? ".00" : (strlen(dot) == 2 ? "0" : ""));
}

/* How amounts are read, what is said when they cannot be, how they are shown. */
static const struct kind {
    bool (*parse)(const char *text, int64_t *out);
    const char *expected;
    void (*show)(int64_t amount, char out[SIDE_AMOUNT_TEXT]);
} count_kind = {count_parse, "a whole number, such as 50", grouped},
  usd_kind = {usd_parse, "an amount in USD, such as 5.00", usd},
  time_kind = {side_duration_parse, "a duration, such as 45s, 30m or 1h30m", duration},
  seconds_kind = {count_parse, "a whole number of seconds, such as 600", seconds},
  size_kind = {size_parse, "a size, such as 500000, 10M or 1GiB", size};

static const struct kind *kind_of(enum gov_dim dim)
{
    static const struct kind *const kinds[GOV_DIMS] = {
        [GOV_STEPS] = &count_kind, [GOV_TOKENS] = &count_kind, [GOV_COST] = &usd_kind,
        [GOV_WALL] = &time_kind,   [GOV_TOOLS] = &count_kind,  [GOV_EGRESS] = &size_kind,
        [GOV_WRITES] = &size_kind, [GOV_ERRORS] = &count_kind, [GOV_COMMAND] = &seconds_kind};

    return kinds[dim];
}

bool side_amount_parse(enum gov_dim dim, const char *text, int64_t *out)
{
    return kind_of(dim)->parse(text, out);
}

const char *side_amount_expected(enum gov_dim dim)
{
    return kind_of(dim)->expected;
}

const char *side_amount_text(enum gov_dim dim, int64_t amount, char out[SIDE_AMOUNT_TEXT])
{
    kind_of(dim)->show(amount, out);
    return out;
}

const char *side_in_unit(enum gov_dim dim, const char *text, char out[SIDE_UNIT_TEXT])
{
    size_t digits = strspn(text, "0123456789");

    if (dim != GOV_WALL || digits == 0 || text[digits] != '\0' || digits > SIDE_UNIT_TEXT - 3)
        return text;
    (void)snprintf(out, SIDE_UNIT_TEXT, "%sms", text);
    return out;
}

json_t *side_amount_json(enum gov_dim dim, int64_t amount)
{
    char text[METER_USD_TEXT];

    return dim == GOV_COST ? json_string(meter_usd_text(amount, text)) : json_integer(amount);
}
