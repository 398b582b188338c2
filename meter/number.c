/* SPDX-License-Identifier: Apache-2.0 */
/* Counts: saturating sums, and the text of a JSON number as a whole count, without floating point.
 */
#include "meter/meter_int.h"

uint64_t meter_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t meter_mul(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t meter_less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* The digits of a number with its point taken out: value = digits x 10^power. */
struct decimal {
    const char *digits;
    size_t count;
    int64_t power;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads an exponent; one beyond +-9999 is as good as infinite. */
static const char *exponent_read(const char *p, const char *end, int64_t *power)
{
    bool minus = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return NULL;
    for (; p < end && is_digit(*p); p++)
        value = value > 9999 ? value : value * 10 + (*p - '0');
    *power += minus ? -value : value;
    return p;
}

static bool digit_append(int64_t *value, char digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_add_overflow(*value, digit - '0', value);
}

/* The whole value of the digits scaled by 10^power; false: a fraction, or too large. */
static bool decimal_whole(const struct decimal *decimal, int64_t *out)
{
    int64_t keep = 0, point = decimal->power;
    size_t seen = 0;

    for (size_t i = 0; i < decimal->count; i++)
        seen += is_digit(decimal->digits[i]);
    for (size_t i = 0, at = 0; i < decimal->count; i++) {
        char c = decimal->digits[i];

        if (!is_digit(c))
            continue;
        at++;
        if ((int64_t)(seen - at) + point >= 0) {
            if (!digit_append(&keep, c))
                return false;
        } else if (c != '0') {
            return false;
        }
    }
    for (int64_t i = 0; keep != 0 && i < point; i++)
        if (!digit_append(&keep, '0'))
            return false;
    *out = keep;
    return true;
}

bool meter_count_parse(const char *bytes, size_t count, int64_t *out)
{
    const char *p = bytes, *end = bytes + count;
    struct decimal decimal = {p, 0, 0};
    const char *point = NULL;
    int64_t value;

    for (; p < end && (is_digit(*p) || (*p == '.' && point == NULL)); p++)
        point = *p == '.' ? p : point;
    decimal.count = (size_t)(p - bytes);
    if (decimal.count == 0 || point == bytes || point == p - 1)
        return false;
    if (point != NULL)
        decimal.power = -(int64_t)(p - point - 1);
    if (p < end && (*p == 'e' || *p == 'E'))
        p = exponent_read(p + 1, end, &decimal.power);
    if (p != end || !decimal_whole(&decimal, &value))
        return false;
    *out = value;
    return true;
}

bool meter_begun_parse(const char *bytes, size_t count, int64_t *out)
{
    static const int64_t unit = 1000000000000; /* what meter_usd_parse counts in */
    int64_t value;

    if (!meter_usd_parse(bytes, count, &value))
        return false;
    *out = value / unit + (value % unit != 0);
    return true;
}

/* ---- decimal text ------------------------------------------------------------------------- */

bool meter_usd_plain(const char *bytes, size_t count, char *out, size_t room)
{
    size_t mantissa = 0, digits = 0, used = 0, whole;
    int64_t power = 0, point;
    char kept[METER_USD_MAX];

    for (; mantissa < count && (is_digit(bytes[mantissa]) || bytes[mantissa] == '.'); mantissa++) {
        if (bytes[mantissa] == '.')
            power = (int64_t)digits;
        else if (digits == sizeof kept)
            return false;
        else
            kept[digits++] = bytes[mantissa];
    }
    point = memchr(bytes, '.', mantissa) != NULL ? power : (int64_t)digits;
    power = 0;
    if (mantissa < count && exponent_read(bytes + mantissa + 1, bytes + count, &power) == NULL)
        return false;
    point += power; /* 0.kept x 10^point */
    if (digits == 0 || point < -(int64_t)room || point > (int64_t)room)
        return false;
    whole = point > 0 ? (size_t)point : 0;
    if (whole + digits + (point < 0 ? (size_t)-point : 0) + 3 > room)
        return false;
    for (size_t i = 0; i < whole; i++)
        out[used++] = i < digits ? kept[i] : '0';
    if (used == 0)
        out[used++] = '0';
    out[used++] = '.';
    for (int64_t i = point; i < 0; i++)
        out[used++] = '0';
    for (size_t i = whole; i < digits; i++)
        out[used++] = kept[i];
    while (out[used - 1] == '0')
        used--;
    used -= out[used - 1] == '.';
    out[used] = '\0';
    for (used = 0; out[used] == '0' && out[used + 1] != '.' && out[used + 1] != '\0';)
        used++;
    memmove(out, out + used, strlen(out + used) + 1);
    return true;
}
