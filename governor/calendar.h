/* SPDX-License-Identifier: Apache-2.0 */
/* When windows begin and end.
 *
 * The model. A day, a week (from Monday) and a month are those of the calendar in a zone; a rolling
 * window of a duration is made of parts of equal length. Windows of a kind follow each other
 * without a gap, and once one has begun its predecessor does not come back, whatever daylight
 * saving time does at midnight: a day begins with the first second at which its date, or a later
 * one, is on the clock.
 *
 * Caveats. Pure, as governor.h has it: time and zone are arguments. Times are seconds since the
 * epoch, UTC, without leap seconds; those from 1900 to 9999 have windows, others are taken for the
 * nearest of these. */
#ifndef FLYBALL_GOVERNOR_CALENDAR_H
#define FLYBALL_GOVERNOR_CALENDAR_H

#include <stddef.h>

#include "governor/governor.h"

#define GOV_ZONE_FOOTER 128u

/* Mm.w.d, Jn or n of POSIX's TZ, and the local time. */
struct gov_zone_change {
    char kind; /* 'M', 'J', 'n' */
    int16_t a, b, c;
    int32_t time_s;
};
struct gov_zone_rule {
    bool saves;                   /* daylight saving time */
    int32_t standard_s, saving_s; /* seconds east of Greenwich */
    struct gov_zone_change begin, end;
};

/* Spans of the zone file's bytes, which the caller keeps for as long. */
struct gov_zone {
    const uint8_t *times, *kinds, *offsets;
    uint32_t count, types;
    bool has_rule;
    struct gov_zone_rule rule;
};

/* Reads a zone file (TZif, version 2 or later). False: it is none, or is damaged. */
bool gov_zone_init(struct gov_zone *zone, const void *bytes, size_t count);

struct gov_zone_span {
    int64_t offset_s; /* local time is so much ahead of UTC */
    int64_t until_s;  /* the first moment at which it may be another one; INT64_MAX: never */
};
/* zone NULL: UTC. */
struct gov_zone_span gov_zone_at(const struct gov_zone *zone, int64_t utc_s);

/* Days since 1970-01-01 of a date of the Gregorian calendar, and a day's year. */
int64_t gov_days_of(int64_t year, int64_t month, int64_t day);
int64_t gov_year_of(int64_t days);

/* A rolling window counts in parts, so that what is older leaves it part by part: a call counts for
 * the duration, and for at most one part more. */
#define GOV_ROLLING_PARTS   24
#define GOV_ROLLING_LEAST_S 1
#define GOV_ROLLING_MOST_S  (INT64_C(366) * 86400)
int64_t gov_part_of(int64_t duration_s); /* a part's seconds */
/* The parts before the present one that are in the window, at most GOV_ROLLING_PARTS. */
unsigned gov_parts_before(int64_t duration_s);

/* The window that a moment is in: its first second, and its successor's. duration_s: of a rolling
 * one, whose present part is meant; else 0. GOV_WHOLE has neither: 0 and 0. */
void gov_window_at(const struct gov_zone *zone, enum gov_window window, int64_t duration_s,
                   int64_t now_s, int64_t *start_s, int64_t *end_s);
/* Whether a window of that kind, in whatever zone, may have this beginning and end. */
bool gov_window_fits(enum gov_window window, int64_t duration_s, int64_t start_s, int64_t end_s);

#endif
