/* SPDX-License-Identifier: Apache-2.0 */
/* Money: decimal text to integers and back, 128-bit products, one rounding per call. Nothing here
 * is floating point, and nothing wraps: what does not fit is refused. */
#include "meter/meter_int.h"

#define FUSD_PER_PUSD 1000u
#define PUSD_DECIMALS 12u
/* Cache writes default to 5/4 of the input rate: sums are kept in quarters until the end. */
#define QUARTERS 4u

bool money_mul(meter_wide a, uint64_t b, meter_wide *out)
{
    meter_wide product;

    if (__builtin_mul_overflow(a, (meter_wide)b, &product))
        return false;
    *out = product;
    return true;
}

bool money_add(meter_wide a, meter_wide b, meter_wide *out)
{
    meter_wide sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static bool pusd_div_ceil(meter_wide amount, unsigned divisor, int64_t *pusd_out)
{
    meter_wide pusd = amount / divisor + (amount % divisor != 0);

    if (pusd > INT64_MAX)
        return false;
    *pusd_out = (int64_t)pusd;
    return true;
}

bool money_pusd_from_fusd(meter_wide fusd, int64_t *pusd_out)
{
    return pusd_div_ceil(fusd, FUSD_PER_PUSD, pusd_out);
}

/* ---- costs -------------------------------------------------------------------------------- */

/* The rate of a bucket in quarters of a femto-dollar: its own, else the default of caches. */
static bool quarter_rate(const struct meter_rates *rates, unsigned bucket, meter_wide *rate_out)
{
    static const uint8_t quarters_of_input[METER_BUCKETS] = {
        [METER_CACHE_READ] = 4,
        [METER_CACHE_WRITE_5M] = 5,
        [METER_CACHE_WRITE_1H] = 8,
    };
    uint64_t input = rates->token[METER_INPUT];

    if (rates->token[bucket] != METER_NO_RATE) {
        *rate_out = (meter_wide)rates->token[bucket] * QUARTERS;
        return true;
    }
    *rate_out = (meter_wide)input * quarters_of_input[bucket];
    return quarters_of_input[bucket] != 0 && input != METER_NO_RATE;
}

/* Adds count x rate; METER_OK, or METER_OVERFLOW. */
static enum meter_err sum_add(meter_wide *sum, uint64_t count, meter_wide rate)
{
    meter_wide product;

    if (!money_mul(rate, count, &product) || !money_add(*sum, product, sum))
        return METER_OVERFLOW;
    return METER_OK;
}

static enum meter_err sum_tokens(const struct meter_rates *rates, const uint64_t *tokens,
                                 meter_wide *sum)
{
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++) {
        meter_wide rate;

        if (tokens[bucket] == 0)
            continue;
        if (!quarter_rate(rates, bucket, &rate))
            return METER_NO_PRICE;
        if (sum_add(sum, tokens[bucket], rate) != METER_OK)
            return METER_OVERFLOW;
    }
    return METER_OK;
}

static enum meter_err sum_counts(const struct meter_rates *rates, const uint64_t *counts,
                                 meter_wide *sum)
{
    for (unsigned count = 0; count < METER_COUNTS; count++) {
        if (counts[count] == 0)
            continue;
        if (rates->count[count] == METER_NO_RATE)
            return METER_NO_PRICE;
        if (sum_add(sum, counts[count], (meter_wide)rates->count[count] * QUARTERS) != METER_OK)
            return METER_OVERFLOW;
    }
    return METER_OK;
}

enum meter_err meter_price_cost(const struct meter_rates *rates,
                                const uint64_t tokens[METER_BUCKETS],
                                const uint64_t counts[METER_COUNTS], int64_t *cost_pusd_out)
{
    meter_wide quarters = 0;
    enum meter_err err = sum_tokens(rates, tokens, &quarters);

    if (err == METER_OK)
        err = sum_counts(rates, counts, &quarters);
    if (err != METER_OK)
        return err;
    if (!pusd_div_ceil(quarters, QUARTERS * FUSD_PER_PUSD, cost_pusd_out))
        return METER_OVERFLOW;
    return METER_OK;
}

/* ---- decimal text ------------------------------------------------------------------------- */

/* The parts of a number's text: digits[0..int_digits) stand before the point. */
struct decimal {
    const char *digits;
    size_t bytes; /* of digits, the point included */
    size_t int_digits;
    int64_t exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_count(const char *text, size_t bytes)
{
    size_t count = 0;

    while (count < bytes && is_digit(text[count]))
        count++;
    return count;
}

/* The exponent's text, after the 'e'. Huge ones stay huge: they are clamped, not wrapped. */
static bool exponent_read(const char *text, size_t bytes, int64_t *out)
{
    bool negative = bytes > 0 && text[0] == '-';
    size_t sign = bytes > 0 && (text[0] == '-' || text[0] == '+');
    int64_t value = 0;

    if (bytes == sign || digits_count(text + sign, bytes - sign) != bytes - sign)
        return false;
    for (size_t i = sign; i < bytes; i++)
        if (value < INT32_MAX)
            value = value * 10 + (text[i] - '0');
    *out = negative ? -value : value;
    return true;
}

/* digits [ '.' digits ] [ e exponent ], at least one digit, nothing else. */
static bool decimal_read(const char *text, size_t bytes, struct decimal *out)
{
    size_t whole = digits_count(text, bytes);
    size_t end = whole;
    size_t part = 0;

    if (end < bytes && text[end] == '.') {
        part = digits_count(text + end + 1, bytes - end - 1);
        end += 1 + part;
    }
    if (whole + part == 0)
        return false;
    *out = (struct decimal){.digits = text, .bytes = end, .int_digits = whole};
    if (end == bytes)
        return true;
    return (text[end] == 'e' || text[end] == 'E') &&
           exponent_read(text + end + 1, bytes - end - 1, &out->exponent);
}

/* value = value x 10 + digit; false: does not fit. */
static bool digit_append(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10u, value) &&
           !__builtin_add_overflow(*value, digit, value);
}

/* The number times 10^scale, its decimals beyond that dropped; *lost_out: some were not zero. */
static bool decimal_scale(const struct decimal *decimal, unsigned scale, uint64_t *out,
                          bool *lost_out)
{
    int64_t weight = (int64_t)decimal->int_digits + decimal->exponent + scale;
    uint64_t value = 0;

    *lost_out = false;
    for (size_t i = 0; i < decimal->bytes; i++) {
        unsigned digit = (unsigned)(decimal->digits[i] - '0');

        if (decimal->digits[i] == '.')
            continue;
        if (--weight < 0)
            *lost_out = *lost_out || digit != 0;
        else if (!digit_append(&value, digit))
            return false;
    }
    for (; weight > 0 && value != 0; weight--)
        if (!digit_append(&value, 0))
            return false;
    *out = value;
    return true;
}

enum money_text money_parse(const char *text, size_t bytes, unsigned scale, uint64_t *out)
{
    bool negative = bytes > 0 && text[0] == '-';
    struct decimal decimal;
    uint64_t value;
    bool lost;

    if (!decimal_read(text + negative, bytes - negative, &decimal))
        return MONEY_NOT_A_NUMBER;
    if (negative)
        return MONEY_NEGATIVE;
    if (!decimal_scale(&decimal, scale, &value, &lost) || (lost && value == UINT64_MAX))
        return MONEY_TOO_LARGE;
    *out = value + lost;
    return lost ? MONEY_ROUNDED_UP : MONEY_EXACT;
}

bool meter_usd_parse(const char *text, size_t bytes, int64_t *pusd_out)
{
    uint64_t pusd;
    enum money_text result = money_parse(text, bytes, PUSD_DECIMALS, &pusd);

    if ((result != MONEY_EXACT && result != MONEY_ROUNDED_UP) || pusd > INT64_MAX)
        return false;
    *pusd_out = (int64_t)pusd;
    return true;
}

/* Writes backwards from the end of a buffer; returns the first character. */
const char *money_text_of(uint64_t value, unsigned scale, char *out)
{
    char *at = out + METER_USD_TEXT - 1;
    bool written = false; /* a decimal that is not a zero at the end */

    *at = '\0';
    for (unsigned i = 0; i < scale; i++, value /= 10) {
        if (value % 10 != 0 || written) {
            *--at = (char)('0' + value % 10);
            written = true;
        }
    }
    if (written)
        *--at = '.';
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    return memmove(out, at, (size_t)(out + METER_USD_TEXT - at));
}

const char *meter_usd_text(int64_t pusd, char out[METER_USD_TEXT])
{
    uint64_t magnitude = pusd < 0 ? -(uint64_t)pusd : (uint64_t)pusd;
    char digits[METER_USD_TEXT];

    money_text_of(magnitude, PUSD_DECIMALS, digits);
    out[0] = '-';
    memcpy(out + (pusd < 0), digits, strlen(digits) + 1);
    return out;
}
