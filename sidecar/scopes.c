/* SPDX-License-Identifier: Apache-2.0 */
/* The scopes of a call: its run and the runs that one was started in, their sessions, the windows
 * that count at the moment; what the ledger has of each, and who is in line there. In the writer.
 */
#include "sidecar/orders.h"

#include <string.h>

/* ---- limits ------------------------------------------------------------------------------- */

static bool binds(const struct gov_limit *limit)
{
    return limit->amount > 0 && limit->policy != GOV_SOFT_WARN;
}

/* Of several limits on the same amount the narrowest counts; one that only warns is none beside
 * one that does not. */
static void tighten(struct gov_scope *scope, const struct gov_limit *more, bool guard)
{
    struct gov_limit *limits = scope->limits;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        bool less = more[dim].amount > 0 &&
                    (limits[dim].amount == 0 || more[dim].amount < limits[dim].amount);

        if (binds(&more[dim]) != binds(&limits[dim]) ? binds(&more[dim]) : less) {
            limits[dim] = more[dim];
            scope->guard[dim] = guard;
        }
    }
}

/* ---- listing ------------------------------------------------------------------------------ */

/* The place of a key, new or not; STORE_SCOPES_MAX: no room. */
static unsigned scope_of(struct side_scopes *scopes, const struct store_scope_key *key)
{
    unsigned i = 0;

    while (i < scopes->count && memcmp(&scopes->keys[i], key, sizeof *key) != 0)
        i++;
    if (i < scopes->count || i == STORE_SCOPES_MAX)
        return i;
    memset(&scopes->gov[i], 0, sizeof scopes->gov[i]);
    scopes->keys[i] = *key;
    scopes->gov[i].kind = (enum gov_scope_kind)key->kind;
    scopes->gov[i].window = (enum gov_window)key->window;
    scopes->runs[i] = NULL;
    scopes->names[i] = "";
    scopes->ends_s[i] = 0;
    scopes->count++;
    return i;
}

static bool scope_add(struct side_scopes *scopes, const struct store_scope_key *key,
                      const struct gov_limit *limits, bool guard, const char *name)
{
    unsigned i = scope_of(scopes, key);

    if (i == STORE_SCOPES_MAX)
        return false;
    tighten(&scopes->gov[i], limits, guard);
    scopes->names[i] = name;
    return true;
}

/* A run without a session is one of its own, which needs no counter but for a guardrail. */
static bool session_add(struct side_scopes *scopes, const struct side_run *run)
{
    enum gov_policy policy = run->spec.meter_only ? GOV_SOFT_WARN : GOV_HARD_STOP;
    bool named = run->spec.session[0] != '\0';
    bool guard = run->spec.quality.guards[SIDE_GUARD_SESSION].on;
    const char *name = named ? run->spec.session : run->id_text;
    struct gov_limit limits[GOV_DIMS] = {{0}};
    struct store_scope_key key;

    if (!named && !guard)
        return true;
    store_scope_name(&key, GOV_SESSION, name);
    if (guard) {
        limits[GOV_STEPS] =
            (struct gov_limit){run->spec.quality.guards[SIDE_GUARD_SESSION].requests, policy};
        limits[GOV_TOKENS] =
            (struct gov_limit){run->spec.quality.guards[SIDE_GUARD_SESSION].tokens, policy};
    }
    return scope_add(scopes, &key, run->spec.session_limits, false, name) &&
           scope_add(scopes, &key, limits, true, name);
}

/* Of all calls of that agent, be it a run around this one. */
static bool agent_add(struct side_scopes *scopes, const struct side_run *run)
{
    static const struct gov_limit none[GOV_DIMS];
    unsigned most = run->spec.meter_only ? 0 : run->agent.max_concurrency, *known;
    struct store_scope_key key;

    if (most == 0)
        return true;
    store_scope_name(&key, GOV_AGENT, run->spec.agent);
    if (!scope_add(scopes, &key, none, false, run->spec.agent))
        return false;
    known = &scopes->gov[scope_of(scopes, &key)].in_flight_most;
    *known = *known == 0 || most < *known ? most : *known;
    return true;
}

/* Its limits come from all runs around the call, each in its own zone. */
static bool budget_add(const struct side_book *book, const struct side_budget *budget,
                       const struct side_op *op, struct side_scopes *scopes)
{
    const struct side_run *run = op->run;
    unsigned i = scope_of(scopes, &budget->key);

    if (i == STORE_SCOPES_MAX)
        return false;
    scopes->ends_s[i] = budget->end_s;
    scopes->gov[i].closed = book->clock.jumped != 0;
    for (; run != NULL; run = run->parent)
        for (unsigned j = 0; j < run->spec.window_count; j++) {
            const struct side_window *window = &run->spec.windows[j];
            struct store_scope_key key;
            int64_t end_s;

            side_window_key(run, window, &op->about, book->now_s, &key, &end_s);
            if (memcmp(&key, &budget->key, sizeof key) == 0)
                (void)scope_add(scopes, &key, window->limits, window->guard,
                                side_window_name(window, &op->about));
        }
    return true;
}

bool side_scopes_list(const struct side_book *book, const struct side_op *op,
                      struct side_scopes *scopes)
{
    struct store_scope_key key;
    bool room = true;

    scopes->count = 0;
    for (struct side_run *run = op->run; run != NULL && room; run = run->parent) {
        store_scope_run(&key, run->id);
        room = scope_add(scopes, &key, run->spec.limits, false, "");
        if (room)
            scopes->runs[scopes->count - 1] = run;
    }
    for (const struct side_run *run = op->run; run != NULL && room; run = run->parent)
        room = session_add(scopes, run) && agent_add(scopes, run);
    for (unsigned i = 0; i < book->budget_count && room; i++)
        if (side_belongs(op->run, &op->about, &book->budgets[i].key))
            room = budget_add(book, &book->budgets[i], op, scopes);
    return room;
}

/* ---- reading ------------------------------------------------------------------------------ */

static void add_to(int64_t *amount, int64_t more)
{
    if (__builtin_add_overflow(*amount, more, amount))
        *amount = INT64_MAX; /* towards refusal */
}

static void counter_add(struct gov_scope *scope, const struct store_counter *counter)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        add_to(&scope->spent[dim], store_spent(counter, (enum gov_dim)dim));
        add_to(&scope->held[dim], counter->held[dim]);
    }
    scope->in_flight += counter->in_flight;
}

/* The parts of a rolling window before the present one; what its limits were extended by in them
 * is added to extended. It has more room when the oldest part that has something is no longer in
 * it. */
static enum store_err older_read(struct side_book *book, struct side_scopes *scopes, unsigned i,
                                 int64_t extended[GOV_DIMS])
{
    const struct store_scope_key *key = &scopes->keys[i];
    int64_t part_s = gov_part_of(key->duration_s);
    unsigned parts = key->window == GOV_ROLLING ? gov_parts_before(key->duration_s) : 0;
    bool found = false;

    for (unsigned back = parts; back > 0; back--) {
        struct store_scope_key part = *key;
        struct store_counter counter;
        enum store_err err;

        part.start_s -= back * part_s;
        err = store_counter_get(book->store, &part, &counter);
        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        counter_add(&scopes->gov[i], &counter);
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            add_to(&extended[dim], counter.extended[dim]);
        if (err == STORE_OK && !found)
            scopes->ends_s[i] = part.start_s + (parts + 1) * part_s;
        found = found || err == STORE_OK;
    }
    if (parts > 0 && !found)
        scopes->ends_s[i] = key->start_s + (parts + 1) * part_s;
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        scopes->older[i][dim] = scopes->gov[i].spent[dim];
        add_to(&scopes->older[i][dim], scopes->gov[i].held[dim]);
    }
    return STORE_OK;
}

/* Its clock, of which the ledger has the time that does not count; and when its limits were used
 * up, the clock's by calculation. */
static void of_run(const struct side_run *run, const struct store_run *row, struct gov_scope *scope,
                   int64_t now_ns)
{
    int64_t over_ms;

    scope->spent[GOV_WALL] += (now_ns - run->started_ns - store_paused_ns(row, now_ns)) / 1000000;
    memcpy(scope->crossed_ns, run->crossed_ns, sizeof scope->crossed_ns);
    over_ms = scope->spent[GOV_WALL] - scope->limits[GOV_WALL].amount;
    scope->crossed_ns[GOV_WALL] = over_ms >= 0 ? now_ns - over_ms * 1000000 : 0;
}

/* Of the runs that a call is in, the one whose state counts. */
static void state_read(struct side_scopes *scopes, unsigned i, const struct store_run *row)
{
    bool ended = row->ended_ns != 0 || (row->state != GOV_RUNNING && row->state != GOV_PAUSED);
    bool known = scopes->decisive != NULL &&
                 (scopes->row.ended_ns != 0 ||
                  (scopes->row.state != GOV_RUNNING && scopes->row.state != GOV_PAUSED));

    if (known || (i > 0 && !ended && (row->state != GOV_PAUSED || scopes->row.state == GOV_PAUSED)))
        return;
    scopes->decisive = scopes->runs[i];
    scopes->row = *row;
}

enum store_err side_scopes_read(struct side_book *book, struct side_scopes *scopes, int64_t now_ns)
{
    scopes->decisive = NULL;
    scopes->overridden = false;
    for (unsigned i = 0; i < scopes->count; i++) {
        struct store_counter counter;
        struct store_run row;
        struct gov_scope *scope = &scopes->gov[i];
        const struct side_run *run = scopes->runs[i];
        int64_t extended[GOV_DIMS] = {0};
        enum store_err err = older_read(book, scopes, i, extended);

        if (err == STORE_OK)
            err = store_counter_get(book->store, &scopes->keys[i], &counter);
        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        for (unsigned dim = 0; dim < GOV_DIMS; dim++)
            add_to(&counter.extended[dim], extended[dim]);
        if (side_scope_limits(book->overrides, book->override_count, &scopes->keys[i],
                              run != NULL ? side_run_session(run) : "",
                              run != NULL ? run->spec.ceilings : NULL, &counter, now_ns,
                              scope->limits))
            scopes->overridden = true;
        counter_add(scope, &counter);
        if (run == NULL)
            continue;
        err = store_run_get(book->store, run->id, &row);
        if (err != STORE_OK)
            return err;
        state_read(scopes, i, &row);
        of_run(run, &row, scope, now_ns);
    }
    return STORE_OK;
}

/* ---- the line ----------------------------------------------------------------------------- */

static bool shares(const struct side_scopes *scopes, unsigned i, const struct side_scopes *other)
{
    for (unsigned j = 0; j < other->count; j++)
        if (memcmp(&scopes->keys[i], &other->keys[j], sizeof scopes->keys[i]) == 0)
            return true;
    return false;
}

/* Who is in line in the same scopes, before this one and after it. Most are of the same run and
 * model as the one before them: there are as many of these looks as the square of the line. */
void side_scopes_line(const struct side_book *book, const struct side_op *op,
                      struct side_scopes *scopes)
{
    const struct side_op *last = NULL;
    bool before = true, in[STORE_SCOPES_MAX];

    for (const struct side_op *other = book->waiting; other != NULL; other = other->next) {
        if (other == op) {
            before = false;
            continue;
        }
        if (other->asking != NULL) /* a person's word, not headroom, is what it waits for */
            continue;
        if (last == NULL || other->run != last->run ||
            memcmp(&other->about, &last->about, sizeof last->about) != 0) {
            struct side_scopes theirs;

            (void)side_scopes_list(book, other, &theirs);
            for (unsigned i = 0; i < scopes->count; i++)
                in[i] = shares(scopes, i, &theirs);
            last = other;
        }
        for (unsigned i = 0; i < scopes->count; i++) {
            scopes->gov[i].ahead += in[i] && before;
            scopes->gov[i].behind += in[i] && !before;
        }
    }
}
