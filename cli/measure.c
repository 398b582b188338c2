/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher measures of its program: the disk, the clock, the longest command, and whether
 * bytes were sent. It looks more often the nearer a limit is, and tells the sidecar at thresholds,
 * else once a second at most. */
#include "cli/launch.h"

#include <stdio.h>
#include <unistd.h>

#define LOOK_LEAST_MS 10
#define LOOK_MOST_MS  250
#define LOOK_SHARE    20 /* looking takes no more than one part of so many of the time */
#define TELL_MS       1000

static int64_t limit_of(const struct launch *launch, enum gov_dim dim)
{
    return launch->spec.limits[dim].amount;
}

int64_t measure_clock_ms(const struct launch *launch, int64_t now_ms)
{
    int64_t until_ms = launch->idle_since_ms != 0 ? launch->idle_since_ms : now_ms;

    return until_ms - launch->begun_ms - launch->measured.paused_ms - launch->idle_ms;
}

/* The ledger's clock is the one that counts: it knows of pauses before this launcher, too. */
void measure_turn(struct launch *launch, const struct launch_word *word)
{
    int64_t now_ms = client_now_ms();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (word->limits[dim] > 0 && launch->spec.limits[dim].amount != word->limits[dim]) {
            launch->spec.limits[dim].amount = word->limits[dim];
            launch->exhausted[dim] = false;
            launch->logged[dim] = 0;
        }
    launch->idle_since_ms = word->paused ? now_ms : 0;
    if (word->left_ms >= 0)
        launch->idle_ms = now_ms - launch->begun_ms - launch->measured.paused_ms -
                          (word->limits[GOV_WALL] - word->left_ms);
    launch->look_ms = now_ms;
}

void measure_begin(struct launch *launch)
{
    launch->begun_ms = launch->looked_ms = launch->told_ms = client_now_ms();
    if (limit_of(launch, GOV_EGRESS) > 0)
        launch->page = page_map(launch->page_fd);
    launch->look_ms = launch->begun_ms + LOOK_LEAST_MS;
    launch->foreign_bytes = -launch->before[GOV_WRITES];
    launch->measured.oldest_s = launch->before[GOV_COMMAND];
    launch->measured.paused_ms = -launch->before[GOV_WALL];
    launch->told = launch->measured;
}

void measure_tell(struct launch *launch, int64_t now_ms)
{
    const struct measured *measured = &launch->measured;
    json_t *request = json_pack("{s:s}", "verb", "run.used");

    if (launch->can_measure)
        (void)json_object_set_new(request, gov_dim_name(GOV_WRITES),
                                  json_integer(measured->written));
    if (limit_of(launch, GOV_COMMAND) > 0)
        (void)json_object_set_new(request, gov_dim_name(GOV_COMMAND),
                                  json_integer(measured->oldest_s));
    if (launch->measured.paused_ms > 0)
        (void)json_object_set_new(request, gov_dim_name(GOV_WALL),
                                  json_integer(launch->measured.paused_ms));
    if (!cli_send(&launch->link, request))
        return;
    launch->told = *measured;
    launch->told_ms = now_ms;
}

/* ---- looking ------------------------------------------------------------------------------ */

static void read_tree(struct launch *launch)
{
    struct measured *measured = &launch->measured;
    int64_t oldest_s;

    if (!launch->can_measure || !tree_read(&launch->tree, launch->sidecar))
        return;
    measured->written = tree_written(&launch->tree) - launch->foreign_bytes;
    if (measured->written < 0)
        measured->written = 0;
    if (limit_of(launch, GOV_COMMAND) == 0)
        return;
    oldest_s = tree_oldest_s(&launch->tree, launch->child);
    if (oldest_s > measured->oldest_s)
        measured->oldest_s = oldest_s;
}

/* A threshold that the sidecar has not been told of yet. */
static bool is_news(struct launch *launch, int64_t now_ms)
{
    const int64_t spent[GOV_DIMS] = {[GOV_WALL] = measure_clock_ms(launch, now_ms),
                                     [GOV_WRITES] = launch->measured.written,
                                     [GOV_COMMAND] = launch->measured.oldest_s};
    uint8_t reached[SIDE_PERCENTS];
    unsigned count = 0;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        count +=
            gov_thresholds(spent[dim], limit_of(launch, (enum gov_dim)dim), launch->spec.percents,
                           SIDE_PERCENTS, &launch->logged[dim], reached);
    return count > 0;
}

static bool has_changed(const struct launch *launch)
{
    return launch->measured.written > launch->told.written ||
           launch->measured.oldest_s > launch->told.oldest_s ||
           launch->measured.paused_ms > launch->told.paused_ms ||
           launch->measured.sent != launch->told.sent;
}

/* Half of the time after which the limit would be reached at the rate of late. */
static int64_t pause_ms(const struct launch *launch, int64_t grown, int64_t passed_ms,
                        int64_t took_ms)
{
    int64_t left = limit_of(launch, GOV_WRITES) - launch->measured.written;
    int64_t next = 2 * passed_ms;

    if (limit_of(launch, GOV_WRITES) == 0 || left < 0)
        return LOOK_MOST_MS;
    if (grown > 0 && left / grown < LOOK_MOST_MS)
        next = passed_ms * (left / 2) / grown;
    if (next < LOOK_LEAST_MS)
        next = LOOK_LEAST_MS;
    if (next < took_ms * LOOK_SHARE)
        next = took_ms * LOOK_SHARE;
    return next < LOOK_MOST_MS ? next : LOOK_MOST_MS;
}

/* When the clock comes to its next threshold, or to its limit; INT64_MAX: never. */
static int64_t clock_mark_ms(const struct launch *launch)
{
    int64_t limit = limit_of(launch, GOV_WALL), next = INT64_MAX;
    int64_t begun_ms = launch->begun_ms + launch->measured.paused_ms + launch->idle_ms;

    if (launch->idle_since_ms != 0)
        return INT64_MAX;
    if (limit > 0 && !launch->exhausted[GOV_WALL])
        next = begun_ms + limit;
    for (unsigned i = 0; limit > 0 && i < SIDE_PERCENTS; i++) {
        int64_t at = begun_ms + limit / 100 * launch->spec.percents[i] +
                     (limit % 100 * launch->spec.percents[i] + 99) / 100;

        if ((launch->logged[GOV_WALL] & (1u << i)) == 0 && launch->spec.percents[i] != 0 &&
            at < next)
            next = at;
    }
    return next;
}

static bool looks_often(const struct launch *launch)
{
    return limit_of(launch, GOV_WRITES) > 0 || limit_of(launch, GOV_COMMAND) > 0 ||
           launch->page != NULL;
}

void measure_look(struct launch *launch)
{
    int64_t now_ms = client_now_ms(), before = launch->measured.written, mark_ms;
    int64_t passed_ms = now_ms - launch->looked_ms;

    if (limit_of(launch, GOV_WRITES) > 0 || limit_of(launch, GOV_COMMAND) > 0)
        read_tree(launch);
    if (launch->page != NULL)
        launch->measured.sent = atomic_load(&launch->page->sent);
    if (is_news(launch, now_ms) || (has_changed(launch) && now_ms - launch->told_ms >= TELL_MS))
        measure_tell(launch, now_ms);
    launch->looked_ms = now_ms;
    launch->look_ms = INT64_MAX;
    if (looks_often(launch))
        launch->look_ms = now_ms + pause_ms(launch, launch->measured.written - before, passed_ms,
                                            client_now_ms() - now_ms);
    mark_ms = clock_mark_ms(launch);
    if (mark_ms < launch->look_ms)
        launch->look_ms = mark_ms;
}

bool measure_is_over(const struct launch *launch, enum gov_dim dim, int64_t now_ms)
{
    int64_t limit = limit_of(launch, dim);

    if (limit == 0)
        return false;
    return dim == GOV_WALL ? measure_clock_ms(launch, now_ms) >= limit
                           : launch->measured.written > limit;
}

void measure_finish(struct launch *launch)
{
    read_tree(launch);
    tree_release(&launch->tree);
    page_unmap(launch->page);
    launch->page = NULL;
}
