/* SPDX-License-Identifier: Apache-2.0 */
/* Hours of the day in which a row holds: "mon-fri 01:00-04:00,06:00-10:00", in UTC. They are read
 * where they are asked for: few rows have any. */
#include "meter/meter_int.h"

#define MINUTES_PER_DAY 1440u
#define DAYS            7u

static const char *read_day(const char *p, unsigned *day_out)
{
    static const char names[] = "montuewedthufrisatsun";

    for (unsigned day = 0; day < DAYS; day++) {
        if (strncmp(p, names + 3 * (size_t)day, 3) == 0) {
            *day_out = day;
            return p + 3;
        }
    }
    return NULL;
}

/* "mon-fri " or "sat ", a bit for each day; nothing there: all of them. NULL: not readable. */
static const char *read_days(const char *p, unsigned *days_out)
{
    unsigned first, last;

    *days_out = (1u << DAYS) - 1;
    if (*p >= '0' && *p <= '9')
        return p;
    p = read_day(p, &first);
    last = first;
    if (p != NULL && *p == '-')
        p = read_day(p + 1, &last);
    if (p == NULL || *p != ' ')
        return NULL;
    *days_out = 0;
    for (unsigned day = first;; day = (day + 1) % DAYS) {
        *days_out |= 1u << day;
        if (day == last)
            return p + 1;
    }
}

/* "04:00"; up to "24:00". */
static const char *read_time(const char *p, unsigned *minute_out)
{
    for (unsigned i = 0; i < 5; i++)
        if (i == 2 ? p[i] != ':' : p[i] < '0' || p[i] > '9')
            return NULL;
    *minute_out = ((unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0')) * 60 +
                  (unsigned)(p[3] - '0') * 10 + (unsigned)(p[4] - '0');
    return p[3] <= '5' && *minute_out <= MINUTES_PER_DAY ? p + 5 : NULL;
}

static const char *read_window(const char *p, unsigned *begin_out, unsigned *end_out)
{
    p = read_time(p, begin_out);
    if (p == NULL || *p != '-' || *begin_out == MINUTES_PER_DAY)
        return NULL;
    p = read_time(p + 1, end_out);
    return p != NULL && *begin_out != *end_out ? p : NULL;
}

/* A window belongs to the day on which it begins. */
static bool window_holds(unsigned days, unsigned begin, unsigned end, unsigned day, unsigned minute)
{
    unsigned yesterday = (day + DAYS - 1) % DAYS;

    if (begin < end)
        return (days & 1u << day) && minute >= begin && minute < end;
    return ((days & 1u << day) && minute >= begin) || ((days & 1u << yesterday) && minute < end);
}

/* false: not readable. */
static bool hours_read(const char *hours, unsigned day, unsigned minute, bool *hold_out)
{
    unsigned days, begin, end;
    const char *p = read_days(hours, &days);

    *hold_out = false;
    for (;; p++) {
        p = p != NULL ? read_window(p, &begin, &end) : NULL;
        if (p == NULL)
            return false;
        *hold_out = *hold_out || window_holds(days, begin, end, day, minute);
        if (*p != ',')
            return *p == '\0';
    }
}

bool price_hours_valid(const char *hours)
{
    bool hold;

    return hours_read(hours, 0, 0, &hold);
}

bool price_hours_hold(const char *hours, int64_t when_s)
{
    int64_t minutes = when_s / 60 - (when_s % 60 < 0); /* rounded down */
    int64_t minute = minutes % MINUTES_PER_DAY, days;
    bool hold;

    minute += minute < 0 ? MINUTES_PER_DAY : 0;
    days = (minutes - minute) / MINUTES_PER_DAY; /* since the epoch, a Thursday */
    return hours_read(hours, (unsigned)(((days + 3) % DAYS + DAYS) % DAYS), (unsigned)minute,
                      &hold) &&
           hold;
}
