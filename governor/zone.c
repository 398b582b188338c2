/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones: how far local time is from UTC, and until when, from the bytes of a zone file
 * (RFC 8536) of version 2 or later; and for the time after its last transition from its footer, a
 * rule such as CET-1CEST,M3.5.0,M10.5.0/3. Nothing of libc's zones is used: they are the whole
 * process's. */
#include "governor/calendar.h"

#include <string.h>

#define HEAD_BYTES  44u
#define TYPE_BYTES  6u
#define DAY_S       INT64_C(86400)
#define OFFSET_MOST (26 * 3600) /* RFC 8536: more is no offset */
#define HOURS_MOST  167         /* of a rule's time: within a week */

static int64_t number_at(const uint8_t *at, unsigned bytes)
{
    uint64_t number = (at[0] & 0x80) != 0 ? UINT64_MAX : 0; /* two's complement */

    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return (int64_t)number;
}

/* ---- the file ----------------------------------------------------------------------------- */

struct block {
    uint32_t isut, isstd, leap, times, types, chars;
};

static bool block_read(const uint8_t *at, size_t count, struct block *out)
{
    uint32_t counts[6];

    if (count < HEAD_BYTES || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
        return false;
    for (unsigned i = 0; i < 6; i++) {
        int64_t number = number_at(at + 20 + 4 * (size_t)i, 4);

        if (number < 0 || number > 100000)
            return false;
        counts[i] = (uint32_t)number;
    }
    *out = (struct block){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
    return out->types > 0 && out->types <= 256;
}

static size_t block_bytes(const struct block *block, size_t time)
{
    return HEAD_BYTES + block->times * (time + 1) + (size_t)block->types * TYPE_BYTES +
           block->chars + block->leap * (time + 4) + block->isstd + block->isut;
}

/* ---- the footer --------------------------------------------------------------------------- */

static bool digits(const char **at, int32_t most, int32_t *out)
{
    int32_t number = 0;

    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        number = number * 10 + (**at - '0');
        if (number > most)
            return false;
    }
    *out = number;
    return true;
}

static bool name_skip(const char **at)
{
    const char *from = *at;

    if (*from == '<') {
        *at = strchr(from, '>');
        return *at != NULL && ++*at > from + 2;
    }
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
        ++*at;
    return *at - from >= 3;
}

/* [+-]h[h][h][:mm[:ss]] */
static bool hours(const char **at, int32_t most, int32_t *out_s)
{
    int32_t sign = **at == '-' ? -1 : 1, hour, part = 0, seconds;

    if (**at == '+' || **at == '-')
        ++*at;
    if (!digits(at, most, &hour))
        return false;
    seconds = hour * 3600;
    for (int32_t unit = 60; unit >= 1 && **at == ':'; unit /= 60) {
        ++*at;
        if (!digits(at, 59, &part))
            return false;
        seconds += part * unit;
    }
    *out_s = sign * seconds;
    return true;
}

/* Mm.w.d, Jn or n, and /time. */
static bool change(const char **at, struct gov_zone_change *out)
{
    int32_t a = 0, b = 0, c = 0;

    out->kind = **at == 'M' || **at == 'J' ? **at : 'n';
    if (out->kind != 'n')
        ++*at;
    if (!digits(at, out->kind == 'M' ? 12 : 365, &a))
        return false;
    if (out->kind == 'M') {
        if (*(*at)++ != '.' || !digits(at, 5, &b) || *(*at)++ != '.' || !digits(at, 6, &c) ||
            a < 1 || b < 1)
            return false;
    }
    out->a = (int16_t)a;
    out->b = (int16_t)b;
    out->c = (int16_t)c;
    out->time_s = 7200;
    if (**at != '/')
        return out->kind != 'J' || a > 0;
    ++*at;
    return hours(at, HOURS_MOST, &out->time_s);
}

/* False: none, or none that can be read. */
static bool footer_read(const char *at, struct gov_zone_rule *out)
{
    if (!name_skip(&at) || !hours(&at, 24, &out->standard_s))
        return false;
    out->standard_s = -out->standard_s; /* POSIX counts west */
    out->saving_s = out->standard_s + 3600;
    out->saves = *at != '\0';
    if (!out->saves)
        return true;
    if (!name_skip(&at))
        return false;
    if (*at != ',') {
        if (!hours(&at, 24, &out->saving_s))
            return false;
        out->saving_s = -out->saving_s;
    }
    return *at == ',' && change((++at, &at), &out->begin) && *at == ',' &&
           change((++at, &at), &out->end) && *at == '\0';
}

bool gov_zone_init(struct gov_zone *zone, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    struct block block;
    char footer[GOV_ZONE_FOOTER] = "";
    const uint8_t *end;
    size_t skip;

    memset(zone, 0, sizeof *zone);
    if (!block_read(at, count, &block) || (skip = block_bytes(&block, 4)) > count ||
        !block_read(at + skip, count - skip, &block))
        return false;
    at += skip;
    count -= skip;
    skip = block_bytes(&block, 8);
    if (skip >= count || at[skip] != '\n')
        return false;
    zone->count = block.times;
    zone->types = block.types;
    zone->times = at + HEAD_BYTES;
    zone->kinds = zone->times + (size_t)block.times * 8;
    zone->offsets = zone->kinds + block.times;
    for (uint32_t i = 0; i < zone->count; i++)
        if (zone->kinds[i] >= zone->types ||
            (i > 0 && number_at(zone->times + 8 * (size_t)i, 8) <=
                          number_at(zone->times + 8 * (size_t)i - 8, 8)))
            return false;
    for (uint32_t i = 0; i < zone->types; i++) {
        int64_t offset = number_at(zone->offsets + TYPE_BYTES * (size_t)i, 4);

        if (offset <= -OFFSET_MOST || offset >= OFFSET_MOST)
            return false;
    }
    at += skip + 1;
    end = memchr(at, '\n', count - skip - 1);
    if (end == NULL || (size_t)(end - at) >= sizeof footer)
        return false;
    memcpy(footer, at, (size_t)(end - at));
    zone->has_rule = footer_read(footer, &zone->rule);
    return zone->has_rule || footer[0] == '\0';
}

/* ---- the rule ----------------------------------------------------------------------------- */

/* The day of a year, counted from 1970, on which a rule's change is. */
static int64_t change_day(const struct gov_zone_change *change, int64_t year)
{
    int64_t first = gov_days_of(year, 1, 1), day;
    bool leap = gov_days_of(year + 1, 1, 1) - first == 366;

    if (change->kind == 'n')
        return first + change->a;
    if (change->kind == 'J') /* 29 February is not counted */
        return first + change->a - 1 + (leap && change->a >= 60);
    day = gov_days_of(year, change->a, 1);
    day +=
        (change->c - (day + 4) % 7 + 14) % 7 + 7 * (change->b - 1); /* 1970 began on a Thursday */
    while (day >= gov_days_of(year + change->a / 12, change->a % 12 + 1, 1))
        day -= 7;
    return day;
}

/* The changes of three years around a moment, in order; a rule without one changes nothing. */
static struct gov_zone_span rule_span(const struct gov_zone_rule *rule, int64_t utc_s)
{
    struct gov_zone_span span = {rule->standard_s, INT64_MAX};
    int64_t year = gov_year_of(utc_s / DAY_S), last = INT64_MIN;

    for (int64_t y = year - 1; rule->saves && y <= year + 1; y++) {
        const int64_t at[2] = {
            change_day(&rule->begin, y) * DAY_S + rule->begin.time_s - rule->standard_s,
            change_day(&rule->end, y) * DAY_S + rule->end.time_s - rule->saving_s,
        };

        for (unsigned i = 0; i < 2; i++) {
            /* Of changes at the same moment the next year's beginning counts: it saves all year. */
            if (at[i] <= utc_s && at[i] >= last) {
                last = at[i];
                span.offset_s = i == 0 ? rule->saving_s : rule->standard_s;
            }
            if (at[i] > utc_s && at[i] < span.until_s)
                span.until_s = at[i];
        }
    }
    return span;
}

/* ---- looking up --------------------------------------------------------------------------- */

static int64_t offset_of(const struct gov_zone *zone, unsigned kind)
{
    return number_at(zone->offsets + TYPE_BYTES * (size_t)kind, 4);
}

struct gov_zone_span gov_zone_at(const struct gov_zone *zone, int64_t utc_s)
{
    struct gov_zone_span span = {0, INT64_MAX};
    uint32_t low = 0, high;

    if (zone == NULL)
        return span;
    for (high = zone->count; low < high;) { /* the first transition that is later */
        uint32_t middle = low + (high - low) / 2;

        if (number_at(zone->times + 8 * (size_t)middle, 8) <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return rule_span(&zone->rule, utc_s);
    span.offset_s = offset_of(zone, low == 0 ? 0 : zone->kinds[low - 1]);
    if (low < zone->count)
        span.until_s = number_at(zone->times + 8 * (size_t)low, 8);
    return span;
}
