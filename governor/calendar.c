/* SPDX-License-Identifier: Apache-2.0 */
/* Days, weeks, months and rolling windows. */
#include "governor/calendar.h"

#define DAY_S   INT64_C(86400)
#define FROM_S  (-INT64_C(2208988800)) /* 1900 */
#define UNTIL_S INT64_C(253402300799)  /* 9999 */
#define WIDEST  (INT64_C(26) * 3600)   /* beyond any offset */

static int64_t div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* ---- dates -------------------------------------------------------------------------------- */

/* Years that begin in March have their leap day at the end; 400 of them are 146,097 days. */
int64_t gov_days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - (month <= 2), era = div_floor(y, 400), of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* 0: year 0's January. */
static int64_t month_of(int64_t days)
{
    int64_t shifted = days + 719468, era = div_floor(shifted, 146097);
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * of_year + 2) / 153;

    return (era * 400 + year) * 12 + from_march + 2;
}

int64_t gov_year_of(int64_t days)
{
    return div_floor(month_of(days), 12);
}

/* ---- days, weeks, months ------------------------------------------------------------------ */

/* Which one a local day is in, counted from some day on; and the first local day of one. */
static int64_t number_of(enum gov_window window, int64_t day)
{
    if (window == GOV_MONTHLY)
        return month_of(day);
    return window == GOV_WEEKLY ? div_floor(day + 3, 7) : day; /* 1970 began on a Thursday */
}

static int64_t first_day(enum gov_window window, int64_t number)
{
    int64_t year = div_floor(number, 12);

    if (window == GOV_MONTHLY)
        return gov_days_of(year, number - year * 12 + 1, 1);
    return window == GOV_WEEKLY ? number * 7 - 3 : number;
}

/* The first moment at which the local clock shows this, or something later. */
static int64_t moment_of(const struct gov_zone *zone, int64_t local_s)
{
    int64_t from = local_s - WIDEST;

    for (;;) {
        struct gov_zone_span span = gov_zone_at(zone, from);
        int64_t moment = local_s - span.offset_s;

        if (moment < span.until_s)
            return moment > from ? moment : from;
        from = span.until_s;
    }
}

static void calendar_at(const struct gov_zone *zone, enum gov_window window, int64_t now_s,
                        int64_t *start_s, int64_t *end_s)
{
    int64_t local = now_s + gov_zone_at(zone, now_s).offset_s;
    int64_t number = number_of(window, div_floor(local, DAY_S));

    *start_s = moment_of(zone, first_day(window, number) * DAY_S);
    *end_s = moment_of(zone, first_day(window, number + 1) * DAY_S);
    while (*end_s <= now_s) { /* the clock was set back over midnight: that day is over */
        number++;
        *start_s = *end_s;
        *end_s = moment_of(zone, first_day(window, number + 1) * DAY_S);
    }
}

/* ---- rolling windows ---------------------------------------------------------------------- */

static int64_t div_ceil(int64_t a, int64_t b)
{
    return a / b + (a % b > 0);
}

int64_t gov_part_of(int64_t duration_s)
{
    return div_ceil(duration_s > 0 ? duration_s : 1, GOV_ROLLING_PARTS);
}

unsigned gov_parts_before(int64_t duration_s)
{
    return (unsigned)div_ceil(duration_s, gov_part_of(duration_s));
}

/* ---- windows ------------------------------------------------------------------------------ */

void gov_window_at(const struct gov_zone *zone, enum gov_window window, int64_t duration_s,
                   int64_t now_s, int64_t *start_s, int64_t *end_s)
{
    int64_t part = gov_part_of(duration_s);

    if (now_s < FROM_S)
        now_s = FROM_S;
    if (now_s > UNTIL_S)
        now_s = UNTIL_S;
    *start_s = *end_s = 0;
    if (window == GOV_ROLLING) {
        *start_s = div_floor(now_s, part) * part;
        *end_s = *start_s + part;
    } else if (window != GOV_WHOLE) {
        calendar_at(zone, window, now_s, start_s, end_s);
    }
}

bool gov_window_fits(enum gov_window window, int64_t duration_s, int64_t start_s, int64_t end_s)
{
    /* Stations in Antarctica move their clocks by hours, islands at the date line by a day. */
    static const struct {
        int64_t least, most;
    } hours[] = {[GOV_DAILY] = {16, 36}, [GOV_WEEKLY] = {140, 180}, [GOV_MONTHLY] = {644, 756}};
    int64_t seconds = end_s - start_s;

    if (window == GOV_WHOLE)
        return start_s == 0 && end_s == 0 && duration_s == 0;
    if (window == GOV_ROLLING)
        return duration_s >= GOV_ROLLING_LEAST_S && seconds == gov_part_of(duration_s) &&
               start_s % seconds == 0;
    return window < GOV_ROLLING && duration_s == 0 && seconds >= hours[window].least * 3600 &&
           seconds <= hours[window].most * 3600;
}
