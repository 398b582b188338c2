/* SPDX-License-Identifier: Apache-2.0 */
/* The scopes of a call: its run and the runs that one was started in, its session, the windows that
 * count at the moment; what the ledger has of each, and who is in line there. In the writer. */
#include "sidecar/side_int.h"

#include <string.h>

/* ---- windows ------------------------------------------------------------------------------ */

/* The counters of windows that have begun to count, from the ledger. */
void side_windows_read(struct side_book *book)
{
    struct store_view *view;
    struct store_scope_key key, *last = NULL;
    struct store_counter counter;
    int64_t now_s = side_now_ns() / 1000000000;

    if (store_view_open(book->store, &view) != STORE_OK)
        return;
    while (store_view_next_window(view, last, &key, &counter) == STORE_OK) {
        if (counter.end_s > now_s && book->window_count < SIDE_OPEN_WINDOWS) {
            book->windows[book->window_count] = key;
            book->window_ends[book->window_count++] = counter.end_s;
        }
        last = &key;
    }
    store_view_close(view);
}

static void windows_expire(struct side_book *book, int64_t now_s)
{
    for (unsigned i = 0; i < book->window_count;) {
        if (book->window_ends[i] > now_s) {
            i++;
            continue;
        }
        book->window_count--;
        book->windows[i] = book->windows[book->window_count];
        book->window_ends[i] = book->window_ends[book->window_count];
    }
}

/* A window counts from the moment that somebody has a limit on it; what was spent in it before is
 * looked up once. */
static enum store_err window_open(struct side_book *book, enum gov_window window, int64_t now_s)
{
    struct store_scope_key key;
    struct store_counter counter;
    int64_t start_s, end_s;
    enum store_err err;

    side_day(now_s, &start_s, &end_s);
    store_scope_window(&key, window, start_s);
    for (unsigned i = 0; i < book->window_count; i++)
        if (memcmp(&book->windows[i], &key, sizeof key) == 0)
            return STORE_OK;
    err = store_counter_get(book->store, &key, &counter);
    if (err == STORE_NOT_FOUND) {
        err = store_charged_since(book->store, start_s * 1000000000, &counter);
        counter.end_s = end_s;
        if (err == STORE_OK)
            err = store_counter_put(book->store, &key, &counter);
    }
    if (err != STORE_OK)
        return err;
    if (book->window_count == SIDE_OPEN_WINDOWS)
        return STORE_FULL;
    book->windows[book->window_count] = key;
    book->window_ends[book->window_count++] = end_s;
    return STORE_OK;
}

enum store_err side_windows_of_run(struct side_book *book, const struct side_run *run,
                                   int64_t now_s)
{
    enum store_err err = STORE_OK;

    windows_expire(book, now_s);
    for (unsigned i = 0; i < run->spec.window_count && err == STORE_OK; i++)
        err = window_open(book, run->spec.windows[i].window, now_s);
    return err;
}

/* ---- the scopes of a call ----------------------------------------------------------------- */

static struct gov_scope *scope_add(struct side_scopes *scopes, enum gov_scope_kind kind,
                                   const struct gov_limit *limits)
{
    struct gov_scope *scope = &scopes->gov[scopes->count];

    memset(scope, 0, sizeof *scope);
    scope->kind = kind;
    if (limits != NULL)
        memcpy(scope->limits, limits, sizeof scope->limits);
    scopes->runs[scopes->count] = NULL;
    scopes->ends_s[scopes->count] = 0;
    scopes->count++;
    return scope;
}

static const struct gov_limit *limits_of_window(const struct side_run *run, unsigned window)
{
    for (unsigned i = 0; i < run->spec.window_count; i++)
        if (run->spec.windows[i].window == window)
            return run->spec.windows[i].limits;
    return NULL;
}

/* Its run and the runs that one was started in, its session, the windows that count. */
void side_scopes_list(const struct side_book *book, struct side_run *run,
                      struct side_scopes *scopes)
{
    unsigned room = STORE_SCOPES_MAX - book->window_count - 1;
    struct side_run *above = run;

    scopes->count = 0;
    for (; above != NULL && scopes->count < room; above = above->parent) {
        store_scope_run(&scopes->keys[scopes->count], above->id);
        (void)scope_add(scopes, GOV_RUN, above->spec.limits);
        scopes->runs[scopes->count - 1] = above;
    }
    if (run->spec.session[0] != '\0') {
        store_scope_name(&scopes->keys[scopes->count], GOV_SESSION, run->spec.session);
        (void)scope_add(scopes, GOV_SESSION, run->spec.session_limits);
    }
    for (unsigned i = 0; i < book->window_count; i++) {
        scopes->keys[scopes->count] = book->windows[i];
        scope_add(scopes, GOV_GLOBAL, limits_of_window(run, book->windows[i].window))->window =
            (enum gov_window)book->windows[i].window;
        scopes->ends_s[scopes->count - 1] = book->window_ends[i];
    }
}

/* Its clock, of which the ledger has the time that does not count; and when its limits were used
 * up, the clock's by calculation. */
static void of_run(const struct side_run *run, struct gov_scope *scope, int64_t now_ns)
{
    int64_t over_ms;

    scope->spent[GOV_WALL] += (now_ns - run->started_ns) / 1000000;
    memcpy(scope->crossed_ns, run->crossed_ns, sizeof scope->crossed_ns);
    over_ms = scope->spent[GOV_WALL] - scope->limits[GOV_WALL].amount;
    scope->crossed_ns[GOV_WALL] = over_ms >= 0 ? now_ns - over_ms * 1000000 : 0;
}

enum store_err side_scopes_read(struct side_book *book, struct side_scopes *scopes, int64_t now_ns)
{
    for (unsigned i = 0; i < scopes->count; i++) {
        struct store_counter counter;
        struct gov_scope *scope = &scopes->gov[i];
        enum store_err err = store_counter_get(book->store, &scopes->keys[i], &counter);

        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
            scope->spent[dim] = store_spent(&counter, (enum gov_dim)dim);
            scope->held[dim] = counter.held[dim];
        }
        scope->in_flight = counter.in_flight;
        if (scopes->runs[i] != NULL)
            of_run(scopes->runs[i], scope, now_ns);
    }
    return STORE_OK;
}

static bool shares(const struct side_scopes *scopes, unsigned i, const struct side_scopes *other)
{
    for (unsigned j = 0; j < other->count; j++)
        if (memcmp(&scopes->keys[i], &other->keys[j], sizeof scopes->keys[i]) == 0)
            return true;
    return false;
}

/* Who is in line in the same scopes, before this one and after it. */
void side_scopes_line(const struct side_book *book, const struct side_op *op,
                      struct side_scopes *scopes)
{
    bool before = true;

    for (const struct side_op *other = book->waiting; other != NULL; other = other->next) {
        struct side_scopes theirs;

        if (other == op) {
            before = false;
            continue;
        }
        side_scopes_list(book, other->run, &theirs);
        for (unsigned i = 0; i < scopes->count; i++)
            if (shares(scopes, i, &theirs)) {
                scopes->gov[i].ahead += before;
                scopes->gov[i].behind += !before;
            }
    }
}
