/* SPDX-License-Identifier: Apache-2.0 */
/* Windows in zones: against the C library's own reading of every zone file, and against days on
 * which clocks were changed. */
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "governor/calendar.h"
#include "tests/unit/chance.h"

#define ZONES "/usr/share/zoneinfo"
#define YEAR  INT64_C(31556952)

/* ---- zones -------------------------------------------------------------------------------- */

struct zone {
    char *bytes;
    size_t count;
    struct gov_zone zone;
};

static bool zone_load(struct zone *out, const char *name)
{
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof path, ZONES "/%s", name);
    file = fopen(path, "re");
    assert_non_null(file);
    out->bytes = malloc(1 << 20);
    out->count = fread(out->bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return gov_zone_init(&out->zone, out->bytes, out->count);
}

static struct zone zone_of(const char *name)
{
    struct zone zone;

    if (!zone_load(&zone, name))
        fail_msg("%s cannot be read", name);
    return zone;
}

/* "2026-03-29T01:00:00" of UTC. */
static int64_t utc(const char *text)
{
    struct tm parts = {0};

    assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%S", &parts));
    return (int64_t)timegm(&parts);
}

static const char *text_of(int64_t utc_s)
{
    static char texts[4][32];
    static unsigned next;
    char *out = texts[next++ % 4];
    time_t seconds = (time_t)utc_s;
    struct tm parts;

    (void)strftime(out, sizeof texts[0], "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &parts));
    return out;
}

/* ---- against the C library ---------------------------------------------------------------- */

static int64_t libc_offset(int64_t utc_s, int *day)
{
    time_t seconds = (time_t)utc_s;
    struct tm parts;

    (void)localtime_r(&seconds, &parts);
    *day = parts.tm_mday;
    return parts.tm_gmtoff;
}

static void compare_at(const char *name, const struct gov_zone *zone, int64_t utc_s)
{
    int day, before;
    int64_t want = libc_offset(utc_s, &day), start, end;
    struct gov_zone_span span = gov_zone_at(zone, utc_s);

    if (span.offset_s != want || span.until_s <= utc_s)
        fail_msg("%s at %s: %lld, want %lld", name, text_of(utc_s), (long long)span.offset_s,
                 (long long)want);
    gov_window_at(zone, GOV_DAILY, 0, utc_s, &start, &end);
    (void)libc_offset(start, &day);
    (void)libc_offset(start - 1, &before);
    if (start > utc_s || end <= utc_s || day == before ||
        !gov_window_fits(GOV_DAILY, 0, start, end))
        fail_msg("%s at %s: the day is from %s to %s", name, text_of(utc_s), text_of(start),
                 text_of(end));
}

/* Once a window has begun its predecessor does not come back, nor is there a gap. */
static void compare_neighbours(const char *name, const struct gov_zone *zone, int64_t utc_s)
{
    for (enum gov_window window = GOV_DAILY; window <= GOV_MONTHLY; window++) {
        int64_t start, end, next, after, last;

        gov_window_at(zone, window, 0, utc_s, &start, &end);
        gov_window_at(zone, window, 0, end, &next, &after);
        assert_true(next == end && after > end);
        gov_window_at(zone, window, 0, start, &next, &last);
        assert_true(next == start && last == end);
        gov_window_at(zone, window, 0, end - 1, &next, &last);
        assert_true(next == start && last == end);
        gov_window_at(zone, window, 0, start - 1, &next, &last);
        if (last != start || !gov_window_fits(window, 0, next, last))
            fail_msg("%s: %s before %s begins at %s and ends at %s", name, gov_window_name(window),
                     text_of(start), text_of(next), text_of(last));
    }
}

static void compare_zone(const char *name, struct chance *chance)
{
    struct zone zone;
    int64_t at;

    if (!zone_load(&zone, name)) {
        fail_msg("%s cannot be read", name);
        return;
    }
    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
    for (unsigned i = 0; i < 200; i++) {
        int64_t any = utc("1970-01-02T00:00:00") + chance_below(chance, 110 * YEAR);

        compare_at(name, &zone.zone, any);
        compare_neighbours(name, &zone.zone, any);
    }
    at = utc("1970-01-02T00:00:00");
    for (unsigned i = 0; i < 400 && at < utc("2080-01-01T00:00:00"); i++) {
        at = gov_zone_at(&zone.zone, at).until_s;
        if (at >= utc("2080-01-01T00:00:00"))
            break;
        for (int64_t off = -2; off <= 2; off++)
            compare_at(name, &zone.zone, at + off);
        compare_neighbours(name, &zone.zone, at);
    }
    free(zone.bytes);
}

static unsigned compare_below(const char *folder, struct chance *chance)
{
    char path[PATH_MAX], name[PATH_MAX];
    unsigned compared = 0;
    DIR *dir;
    struct dirent *entry;

    (void)snprintf(path, sizeof path, ZONES "/%s", folder);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        struct stat info;

        if (entry->d_name[0] < 'A' || entry->d_name[0] > 'Z')
            continue;
        (void)snprintf(name, sizeof name, "%s%s%s", folder, *folder != '\0' ? "/" : "",
                       entry->d_name);
        (void)snprintf(path, sizeof path, ZONES "/%s", name);
        assert_int_equal(stat(path, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            compared += compare_below(name, chance);
        } else {
            compare_zone(name, chance);
            compared++;
        }
    }
    (void)closedir(dir);
    return compared;
}

static void every_zone_is_read_as_the_c_library_reads_it(void **state)
{
    struct chance chance = {.state = 20261129};
    unsigned compared = compare_below("", &chance);

    (void)state;
    print_message("%u zones\n", compared);
    assert_true(compared > 300);
}

/* ---- days on which something happened ----------------------------------------------------- */

static const struct {
    const char *why, *zone;
    enum gov_window window;
    const char *now, *start, *end; /* UTC */
} windows[] = {
    {"an ordinary day", "Europe/Berlin", GOV_DAILY, "2026-11-29T12:00:00", "2026-11-28T23:00:00",
     "2026-11-29T23:00:00"},
    {"its last second", "Europe/Berlin", GOV_DAILY, "2026-11-29T22:59:59", "2026-11-28T23:00:00",
     "2026-11-29T23:00:00"},
    {"a second later", "Europe/Berlin", GOV_DAILY, "2026-11-29T23:00:00", "2026-11-29T23:00:00",
     "2026-11-30T23:00:00"},
    {"a day of 23 hours", "Europe/Berlin", GOV_DAILY, "2026-03-29T10:00:00", "2026-03-28T23:00:00",
     "2026-03-29T22:00:00"},
    {"a day of 25 hours", "Europe/Berlin", GOV_DAILY, "2026-10-25T22:30:00", "2026-10-24T22:00:00",
     "2026-10-25T23:00:00"},
    {"a day of 23 hours in New York", "America/New_York", GOV_DAILY, "2026-03-08T12:00:00",
     "2026-03-08T05:00:00", "2026-03-09T04:00:00"},
    {"a day of 25 hours in New York", "America/New_York", GOV_DAILY, "2026-11-02T04:59:59",
     "2026-11-01T04:00:00", "2026-11-02T05:00:00"},
    {"half an hour, in the south: spring", "Australia/Lord_Howe", GOV_DAILY, "2026-10-04T00:00:00",
     "2026-10-03T13:30:00", "2026-10-04T13:00:00"},
    {"half an hour, in the south: autumn", "Australia/Lord_Howe", GOV_DAILY, "2026-04-05T00:00:00",
     "2026-04-04T13:00:00", "2026-04-05T13:30:00"},
    {"no midnight: the day begins at one", "America/Sao_Paulo", GOV_DAILY, "2018-11-04T12:00:00",
     "2018-11-04T03:00:00", "2018-11-05T02:00:00"},
    {"the evening before it", "America/Sao_Paulo", GOV_DAILY, "2018-11-04T02:59:59",
     "2018-11-03T03:00:00", "2018-11-04T03:00:00"},
    {"two hours of the same evening", "America/Sao_Paulo", GOV_DAILY, "2018-02-18T02:30:00",
     "2018-02-17T02:00:00", "2018-02-18T03:00:00"},
    {"set back over midnight: the new day stays", "America/St_Johns", GOV_DAILY,
     "2009-11-01T03:00:00", "2009-11-01T02:30:00", "2009-11-02T03:30:00"},
    {"a quarter of an hour", "Asia/Kathmandu", GOV_DAILY, "2026-11-29T18:14:59",
     "2026-11-28T18:15:00", "2026-11-29T18:15:00"},
    {"a date that was skipped", "Pacific/Apia", GOV_DAILY, "2011-12-30T10:00:00",
     "2011-12-30T10:00:00", "2011-12-31T10:00:00"},
    {"a leap day", "UTC", GOV_DAILY, "2028-02-29T13:00:00", "2028-02-29T00:00:00",
     "2028-03-01T00:00:00"},
    {"the day before it", "UTC", GOV_DAILY, "2028-02-28T23:59:59", "2028-02-28T00:00:00",
     "2028-02-29T00:00:00"},
    {"no leap day", "UTC", GOV_DAILY, "2100-02-28T23:59:59", "2100-02-28T00:00:00",
     "2100-03-01T00:00:00"},
    {"a leap second is the last second again", "UTC", GOV_DAILY, "2016-12-31T23:59:59",
     "2016-12-31T00:00:00", "2017-01-01T00:00:00"},
    {"a week is from Monday", "Europe/Berlin", GOV_WEEKLY, "2026-11-29T22:59:59",
     "2026-11-22T23:00:00", "2026-11-29T23:00:00"},
    {"its first second", "Europe/Berlin", GOV_WEEKLY, "2026-11-29T23:00:00", "2026-11-29T23:00:00",
     "2026-12-06T23:00:00"},
    {"a week over the year's end, and daylight saving time", "America/New_York", GOV_WEEKLY,
     "2026-03-05T00:00:00", "2026-03-02T05:00:00", "2026-03-09T04:00:00"},
    {"a week of two years", "UTC", GOV_WEEKLY, "2027-01-01T00:00:00", "2026-12-28T00:00:00",
     "2027-01-04T00:00:00"},
    {"a month", "Europe/Berlin", GOV_MONTHLY, "2026-11-30T22:59:59", "2026-10-31T23:00:00",
     "2026-11-30T23:00:00"},
    {"a month's end", "Europe/Berlin", GOV_MONTHLY, "2026-11-30T23:00:00", "2026-11-30T23:00:00",
     "2026-12-31T23:00:00"},
    {"a month with daylight saving time", "Europe/Berlin", GOV_MONTHLY, "2026-03-15T00:00:00",
     "2026-02-28T23:00:00", "2026-03-31T22:00:00"},
    {"February with its leap day", "UTC", GOV_MONTHLY, "2028-02-29T23:59:59", "2028-02-01T00:00:00",
     "2028-03-01T00:00:00"},
    {"a year's end", "Australia/Lord_Howe", GOV_MONTHLY, "2026-12-31T13:00:00",
     "2026-12-31T13:00:00", "2027-01-31T13:00:00"},
    {"after the last transition of the file", "Europe/Berlin", GOV_DAILY, "2060-07-01T22:30:00",
     "2060-07-01T22:00:00", "2060-07-02T22:00:00"},
    {"before the epoch", "UTC", GOV_DAILY, "1969-12-31T23:59:59", "1969-12-31T00:00:00",
     "1970-01-01T00:00:00"},
};

static void windows_begin_and_end_with_the_local_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        struct zone zone = zone_of(windows[i].zone);
        int64_t start, end;

        gov_window_at(&zone.zone, windows[i].window, 0, utc(windows[i].now), &start, &end);
        if (start != utc(windows[i].start) || end != utc(windows[i].end))
            fail_msg("%s: %s to %s, want %s to %s", windows[i].why, text_of(start), text_of(end),
                     windows[i].start, windows[i].end);
        free(zone.bytes);
    }
}

/* ---- rolling windows ---------------------------------------------------------------------- */

static void a_rolling_window_has_all_of_its_duration_and_a_part_at_most_more(void **state)
{
    static const int64_t durations[] = {1, 7, 24, 25, 60, 3600, 18000, 86400, 604800, 2592000};

    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t part = gov_part_of(durations[i]), start, end;
        int64_t before = gov_parts_before(durations[i]) * part;

        for (int64_t now = 1790000000; now < 1790000000 + 3 * part && now < 1790100000; now++) {
            gov_window_at(NULL, GOV_ROLLING, durations[i], now, &start, &end);
            assert_true(start <= now && now < end && end - start == part);
            assert_true(start - before <= now - durations[i]);
            assert_true(start - before > now - durations[i] - 2 * part);
            assert_true(gov_window_fits(GOV_ROLLING, durations[i], start, end));
        }
        assert_true(gov_parts_before(durations[i]) <= GOV_ROLLING_PARTS);
        assert_true(before < durations[i] + part);
    }
}

/* ---- odd input ---------------------------------------------------------------------------- */

static void times_out_of_all_bounds_have_windows(void **state)
{
    static const int64_t odd[] = {INT64_MIN, -YEAR * 500, 0, YEAR * 20000, INT64_MAX};
    struct zone zone = zone_of("Europe/Berlin");

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        for (unsigned window = GOV_WHOLE; window < GOV_WINDOWS; window++) {
            int64_t start, end;

            gov_window_at(&zone.zone, (enum gov_window)window, window == GOV_ROLLING ? 60 : 0,
                          odd[i], &start, &end);
            assert_true(window == GOV_WHOLE ? start == 0 && end == 0 : start < end);
        }
    free(zone.bytes);
}

/* Of an exact allocation, so that a sanitizer sees a read beyond it. */
static void a_damaged_zone_file_is_refused_or_read_within_its_bytes(void **state)
{
    struct chance chance = {.state = 7};
    struct zone whole = zone_of("America/Sao_Paulo");

    (void)state;
    for (size_t count = 0; count < whole.count; count++) {
        char *copy = malloc(count + (count == 0));
        struct gov_zone zone;

        memcpy(copy, whole.bytes, count);
        assert_false(gov_zone_init(&zone, copy, count));
        free(copy);
    }
    for (unsigned i = 0; i < 20000; i++) {
        char *copy = malloc(whole.count);
        struct gov_zone zone;

        memcpy(copy, whole.bytes, whole.count);
        for (unsigned j = 0; j < 3; j++)
            copy[chance_below(&chance, (int64_t)whole.count)] = (char)chance_below(&chance, 256);
        if (gov_zone_init(&zone, copy, whole.count)) {
            int64_t start, end, now = chance_below(&chance, 4000000000);

            gov_window_at(&zone, GOV_MONTHLY, 0, now, &start, &end);
            assert_true(start <= now && now < end);
        }
        free(copy);
    }
    free(whole.bytes);
}

static const struct {
    const char *why, *footer;
    bool good;
    const char *at;
    int64_t offset;
} footers[] = {
    {"none", "", true, "2026-07-01T00:00:00", 0},
    {"no saving", "<+0545>-5:45", true, "2026-07-01T00:00:00", 20700},
    {"summer", "CET-1CEST,M3.5.0,M10.5.0/3", true, "2026-07-01T00:00:00", 7200},
    {"the last second of winter", "CET-1CEST,M3.5.0,M10.5.0/3", true, "2026-03-29T00:59:59", 3600},
    {"the first second of summer", "CET-1CEST,M3.5.0,M10.5.0/3", true, "2026-03-29T01:00:00", 7200},
    {"the last second of summer", "CET-1CEST,M3.5.0,M10.5.0/3", true, "2026-10-25T00:59:59", 7200},
    {"the first second of winter", "CET-1CEST,M3.5.0,M10.5.0/3", true, "2026-10-25T01:00:00", 3600},
    {"the south", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true, "2026-01-01T00:00:00", 39600},
    {"negative saving", "IST-1GMT0,M10.5.0,M3.5.0/1", true, "2026-01-01T00:00:00", 0},
    {"a time before the day", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, "2026-07-01T00:00:00",
     -3600},
    {"by Julian day", "XXX3YYY,J60/2,J300", true, "2028-03-01T05:00:00", -7200},
    {"a second before", "XXX3YYY,J60/2,J300", true, "2028-03-01T04:59:59", -10800},
    {"by day of the year", "XXX3YYY,59/2,300", true, "2028-02-29T05:00:00", -7200},
    {"all year", "XXX3EDT4,0/0,J365/23", true, "2026-12-31T23:00:00", -14400},
    {"a name too short", "CE-1", false, NULL, 0},
    {"no offset", "CET", false, NULL, 0},
    {"no end", "CET-1CEST,M3.5.0", false, NULL, 0},
    {"a month that is none", "CET-1CEST,M13.5.0,M10.5.0", false, NULL, 0},
    {"a week that is none", "CET-1CEST,M3.0.0,M10.5.0", false, NULL, 0},
    {"too many hours", "CET-1CEST,M3.5.0/168,M10.5.0", false, NULL, 0},
    {"something behind it", "CET-1CEST,M3.5.0,M10.5.0/3x", false, NULL, 0},
    {"an open bracket", "<CET-1", false, NULL, 0},
};

/* A file without a transition, whose footer says it all. */
static void footers_are_read_as_posix_has_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof footers / sizeof footers[0]; i++) {
        char file[400] = "";
        size_t used = 0, length = strlen(footers[i].footer);
        struct gov_zone zone;
        bool good;

        for (unsigned block = 0; block < 2; block++) {
            memcpy(file + used, "TZif2", 5);
            file[used + 39] = 1; /* types, and the characters of its name */
            file[used + 43] = 4;
            used += 44 + 6 + 4;
        }
        file[used++] = '\n';
        memcpy(file + used, footers[i].footer, length);
        used += length;
        file[used++] = '\n';
        good = gov_zone_init(&zone, file, used);
        if (good != footers[i].good)
            fail_msg("%s: %d", footers[i].why, good);
        if (good && gov_zone_at(&zone, utc(footers[i].at)).offset_s != footers[i].offset)
            fail_msg("%s: %lld", footers[i].why,
                     (long long)gov_zone_at(&zone, utc(footers[i].at)).offset_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_zone_is_read_as_the_c_library_reads_it),
        cmocka_unit_test(windows_begin_and_end_with_the_local_clock),
        cmocka_unit_test(a_rolling_window_has_all_of_its_duration_and_a_part_at_most_more),
        cmocka_unit_test(times_out_of_all_bounds_have_windows),
        cmocka_unit_test(a_damaged_zone_file_is_refused_or_read_within_its_bytes),
        cmocka_unit_test(footers_are_read_as_posix_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
