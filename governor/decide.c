/* SPDX-License-Identifier: Apache-2.0 */
/* The decision on a call. First what is exhausted whatever the form of the call; then the largest
 * form that fits what is neither spent nor held; what only holds keep from fitting waits. */
#include "governor/governor.h"

#include <string.h>

#define FEMTO_PER_PICO 1000
#define UNLIMITED_MOST (INT64_MAX >> 13) /* a hold without a bound, so that many add up */

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Sums that do not fit pass every limit. */
static bool passes(int64_t taken, int64_t more, int64_t limit)
{
    int64_t sum;

    return __builtin_add_overflow(taken, more, &sum) || sum > limit;
}

static int64_t to_amount(uint64_t count)
{
    return count > INT64_MAX ? INT64_MAX : (int64_t)count;
}

/* What a call of this form takes of a dimension. */
static int64_t need(const struct meter_hold_line *line, enum gov_dim dim, uint64_t cap)
{
    switch (dim) {
    case GOV_STEPS:
        return 1;
    case GOV_TOKENS:
        return to_amount(meter_hold_tokens(line, cap));
    case GOV_COST:
        return line->priced ? meter_hold_cost(line, cap) : 0;
    default:
        return 0;
    }
}

/* Limits of these dimensions are kept by holding; the others stop at the next call. */
static bool is_held(enum gov_dim dim)
{
    return dim == GOV_STEPS || dim == GOV_TOKENS || dim == GOV_COST;
}

static bool binds(const struct gov_limit *limit)
{
    return limit->amount > 0 && limit->policy != GOV_SOFT_WARN;
}

/* ---- exhausted ---------------------------------------------------------------------------- */

static void find(struct gov_finding *finding, enum gov_reason reason, unsigned scope,
                 enum gov_dim dim)
{
    if (finding->count == 0) {
        finding->scope = scope;
        finding->dim = dim;
    }
    for (unsigned i = 0; i < finding->count; i++)
        if (finding->reasons[i] == reason)
            return;
    if (finding->count < GOV_CODES_MAX)
        finding->reasons[finding->count++] = reason;
}

/* What a call does not take itself may come to exactly the limit. */
static bool takes(enum gov_dim dim)
{
    return dim != GOV_WRITES && dim != GOV_COMMAND;
}

static bool is_exhausted(const struct gov_scope *scope, enum gov_dim dim,
                         const struct meter_hold_line *line, uint64_t smallest)
{
    int64_t limit = scope->limits[dim].amount;

    if (scope->closed || !binds(&scope->limits[dim]))
        return false;
    if (is_held(dim))
        return passes(scope->spent[dim], need(line, dim, smallest), limit);
    return takes(dim) ? scope->spent[dim] >= limit : scope->spent[dim] > limit;
}

/* A limit that is used up, and its place in the order: first crossed first, then by the table. */
struct spot {
    int64_t crossed_ns;
    unsigned dim, scope;
};

static bool is_before(const struct spot *a, const struct spot *b)
{
    if (a->crossed_ns != b->crossed_ns)
        return a->crossed_ns < b->crossed_ns;
    return a->dim != b->dim ? a->dim < b->dim : a->scope < b->scope;
}

static bool next_exhausted(const struct gov_scope *scopes, unsigned count,
                           const struct meter_hold_line *line, uint64_t smallest, struct spot *spot)
{
    struct spot last = *spot;
    bool found = false;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        for (unsigned i = 0; i < count; i++) {
            int64_t crossed_ns = scopes[i].crossed_ns[dim];
            struct spot here = {crossed_ns != 0 ? crossed_ns : INT64_MAX, dim, i};

            if (is_before(&last, &here) && (!found || is_before(&here, spot)) &&
                is_exhausted(&scopes[i], (enum gov_dim)dim, line, smallest)) {
                *spot = here;
                found = true;
            }
        }
    return found;
}

static const struct spot before_all = {INT64_MIN, 0, 0};

/* Half the limit, or one hold, whichever is more; and what was spent beyond the limit. */
static int64_t suggest(const struct gov_scope *scope, enum gov_dim dim,
                       const struct meter_hold_line *line, uint64_t smallest)
{
    int64_t limit = scope->limits[dim].amount, half = limit / 2 + limit % 2;
    int64_t beyond = scope->spent[dim] > limit ? scope->spent[dim] - limit : 0;
    int64_t least = add_sat(beyond, is_held(dim) ? need(line, dim, smallest) : 1);

    return half > least ? half : least;
}

/* True: one of them is not to be asked about. */
static bool find_exhausted(const struct gov_scope *scopes, unsigned count,
                           const struct meter_hold_line *line, uint64_t smallest,
                           struct gov_verdict *out)
{
    struct spot spot = before_all;
    bool hard = false;

    while (next_exhausted(scopes, count, line, smallest, &spot)) {
        const struct gov_scope *scope = &scopes[spot.scope];
        enum gov_dim dim = (enum gov_dim)spot.dim;

        find(&out->finding, gov_reason_of(scope->kind, scope->window, dim), spot.scope, dim);
        hard = hard || scope->limits[dim].policy != GOV_APPROVAL_REQUIRED;
        if (out->finding.scope == spot.scope)
            out->suggested[dim] = suggest(scope, dim, line, smallest);
        if (scope->kind == GOV_PROVIDER && scope->guard[dim])
            find(&out->finding, GOV_REASON_COOLDOWN, spot.scope, dim);
        if (scope->kind == GOV_RUN && scope->limits[dim].policy == GOV_HARD_STOP &&
            !out->ends_run) {
            out->ends_run = true;
            out->ended_scope = spot.scope;
        }
    }
    return hard;
}

bool gov_used_up(const struct gov_scope *scope, enum gov_dim dim)
{
    static const struct meter_hold_line none;

    return is_exhausted(scope, dim, &none, 0);
}

void gov_find_used_up(const struct gov_scope *scopes, unsigned scope_count, enum gov_dim dim,
                      struct gov_finding *out)
{
    static const struct meter_hold_line none;
    struct spot spot = before_all;

    memset(out, 0, sizeof *out);
    while (next_exhausted(scopes, scope_count, &none, 0, &spot))
        find(out,
             gov_reason_of(scopes[spot.scope].kind, scopes[spot.scope].window,
                           (enum gov_dim)spot.dim),
             spot.scope, (enum gov_dim)spot.dim);
    find(out, gov_reason_of_dim(dim), 0, dim);
}

/* What of a window is left is not known while the clock is in doubt. */
static void find_closed(const struct gov_scope *scopes, unsigned count, struct gov_finding *finding)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        for (unsigned i = 0; i < count; i++)
            if (scopes[i].closed && binds(&scopes[i].limits[dim]))
                find(finding, GOV_REASON_CLOCK_JUMP, i, (enum gov_dim)dim);
}

/* ---- unknown ------------------------------------------------------------------------------ */

/* A limit on money without a price, or on either without a bound, cannot be kept. What is free
 * needs no bound: any number of its tokens costs nothing. */
static bool is_unknown(const struct gov_scope *scopes, unsigned count, const struct gov_call *call,
                       struct gov_finding *finding)
{
    const struct meter_hold_line *line = &call->line;
    bool input = line->input_tokens == UINT64_MAX;
    bool output = line->full_cap == UINT64_MAX && !call->clamp;
    bool price =
        !line->priced || (input && line->input_fusd > 0) || (output && line->output_rate > 0);

    for (unsigned i = 0; i < count; i++) {
        bool cost = binds(&scopes[i].limits[GOV_COST]) && price;
        bool tokens = binds(&scopes[i].limits[GOV_TOKENS]) && (input || output);

        if (cost || tokens) {
            find(finding, GOV_REASON_PRICE_UNKNOWN, i, cost ? GOV_COST : GOV_TOKENS);
            return true;
        }
    }
    return false;
}

/* ---- fitting ------------------------------------------------------------------------------ */

/* The largest cap whose need is at most room; false: not even 0. */
static bool cap_within(const struct meter_hold_line *line, enum gov_dim dim, int64_t room,
                       uint64_t *cap_out)
{
    meter_wide left, per_token;

    if (room < need(line, dim, 0))
        return false;
    if (dim == GOV_TOKENS) {
        left = (meter_wide)(uint64_t)room - line->input_tokens;
        per_token = line->choices;
    } else {
        left = (meter_wide)(uint64_t)room * FEMTO_PER_PICO - line->input_fusd;
        per_token = (meter_wide)line->choices * line->output_rate;
    }
    left = per_token == 0 ? UINT64_MAX : left / per_token;
    *cap_out = left > UINT64_MAX ? UINT64_MAX : (uint64_t)left;
    return true;
}

struct fit {
    uint64_t most; /* the largest cap that fits beside what is held */
    uint64_t fair; /* the largest that, where others share, leaves half of what is free */
};

/* Others in flight, or in line behind, share what is free in a scope. */
static bool is_shared(const struct gov_scope *scope)
{
    return scope->in_flight > 0 || scope->behind > 0;
}

/* False: not even the smallest form fits. A step is the same in every form. */
static bool fit_dim(const struct gov_scope *scope, enum gov_dim dim, const struct gov_call *call,
                    uint64_t smallest, struct fit *fit)
{
    const struct meter_hold_line *line = &call->line;
    bool share = call->economy || is_shared(scope);
    int64_t taken = add_sat(scope->spent[dim], scope->held[dim]);
    int64_t room = scope->limits[dim].amount - taken;
    uint64_t most = 0, fair = 0;

    if (dim == GOV_STEPS)
        return !passes(taken, 1, scope->limits[dim].amount);
    if (taken > scope->limits[dim].amount || !cap_within(line, dim, room, &most) || most < smallest)
        return false;
    if (share && !cap_within(line, dim, room / 2, &fair))
        fair = 0;
    if (most < fit->most)
        fit->most = most;
    if (share && fair < fit->fair)
        fit->fair = fair;
    return true;
}

/* Names in finding what only holds keep from fitting. */
static struct fit fit_all(const struct gov_scope *scopes, unsigned count,
                          const struct gov_call *call, uint64_t smallest,
                          struct gov_finding *finding)
{
    struct fit fit = {UINT64_MAX, UINT64_MAX};

    for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++)
        for (unsigned i = 0; i < count; i++)
            if (binds(&scopes[i].limits[dim]) &&
                !fit_dim(&scopes[i], (enum gov_dim)dim, call, smallest, &fit))
                find(finding, GOV_REASON_BUSY, i, (enum gov_dim)dim);
    return fit;
}

/* Only in scopes with a limit that is kept by holding does anybody wait for anybody. */
static void find_line(const struct gov_scope *scopes, unsigned count, struct gov_finding *finding)
{
    for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++)
        for (unsigned i = 0; i < count; i++)
            if (scopes[i].ahead > 0 && binds(&scopes[i].limits[dim]))
                find(finding, GOV_REASON_BUSY, i, (enum gov_dim)dim);
}

/* No more calls at a time than may be; the place of one that has ended is the first one's in line.
 */
static void find_crowded(const struct gov_scope *scopes, unsigned count,
                         struct gov_finding *finding)
{
    for (unsigned i = 0; i < count; i++)
        if (scopes[i].in_flight_most > 0 &&
            (scopes[i].in_flight >= scopes[i].in_flight_most || scopes[i].ahead > 0))
            find(finding, GOV_REASON_BUSY, i, GOV_DIMS);
}

static uint64_t choose_cap(const struct gov_call *call, const struct fit *fit, uint64_t smallest)
{
    uint64_t cap = fit->most;

    if (call->line.full_cap <= fit->most && (!call->economy || call->line.full_cap <= fit->fair))
        return call->line.full_cap; /* also when nothing limits it and none is known */
    if (call->line.full_cap == UINT64_MAX && cap > GOV_CAP_GUESS)
        cap = GOV_CAP_GUESS;
    if (fit->fair < cap)
        cap = fit->fair > smallest ? fit->fair : smallest;
    return cap;
}

static bool is_limited(const struct gov_scope *scopes, unsigned count, enum gov_dim dim)
{
    for (unsigned i = 0; i < count; i++)
        if (binds(&scopes[i].limits[dim]))
            return true;
    return false;
}

static void admit(const struct gov_scope *scopes, unsigned count, const struct gov_call *call,
                  uint64_t cap, struct gov_verdict *out)
{
    out->outcome = GOV_ADMIT;
    out->clamped = cap != call->line.full_cap;
    out->cap = cap;
    if (cap == UINT64_MAX) /* no limit depends on it */
        cap = GOV_CAP_GUESS;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        out->hold[dim] = need(&call->line, (enum gov_dim)dim, cap);
        if (out->hold[dim] > UNLIMITED_MOST && !is_limited(scopes, count, (enum gov_dim)dim))
            out->hold[dim] = UNLIMITED_MOST;
    }
}

/* ---- the decision ------------------------------------------------------------------------- */

static void refuse_ended(enum gov_state state, const struct gov_finding *ended,
                         struct gov_verdict *out)
{
    out->outcome = GOV_REFUSE;
    if (state != GOV_COMPLETED)
        out->finding = *ended;
    if (state != GOV_BUDGET_STOPPED)
        find(&out->finding, GOV_REASON_RUN_ENDED, 0, GOV_DIMS);
}

void gov_decide(enum gov_state state, const struct gov_finding *ended,
                const struct gov_scope *scopes, unsigned scope_count, const struct gov_call *call,
                struct gov_verdict *out)
{
    uint64_t smallest = call->clamp ? call->line.smallest_cap : call->line.full_cap;
    unsigned used_up;
    struct fit fit;
    bool hard;

    memset(out, 0, sizeof *out);
    out->finding.dim = GOV_DIMS;
    if (state != GOV_RUNNING && state != GOV_PAUSED) {
        refuse_ended(state, ended, out);
        return;
    }
    if (is_unknown(scopes, scope_count, call, &out->finding)) {
        out->outcome = GOV_REFUSE;
        return;
    }
    hard = find_exhausted(scopes, scope_count, &call->line, smallest, out);
    used_up = out->finding.count;
    find_closed(scopes, scope_count, &out->finding);
    if (hard || out->finding.count > used_up) {
        out->outcome = GOV_REFUSE;
        return;
    }
    if (out->finding.count > 0 || state == GOV_PAUSED) {
        out->outcome = GOV_ASK;
        return;
    }
    fit = fit_all(scopes, scope_count, call, smallest, &out->finding);
    find_line(scopes, scope_count, &out->finding);
    find_crowded(scopes, scope_count, &out->finding);
    if (out->finding.count > 0) {
        out->outcome = GOV_WAIT;
        return;
    }
    admit(scopes, scope_count, call, choose_cap(call, &fit, smallest), out);
}

/* ---- thresholds --------------------------------------------------------------------------- */

unsigned gov_thresholds(int64_t spent, int64_t limit, const uint8_t *percents, unsigned count,
                        uint8_t *logged, uint8_t reached[])
{
    unsigned found = 0;

    if (limit <= 0 || spent < 0)
        return 0;
    for (unsigned i = 0; i < count && i < 8; i++) {
        bool there = (meter_wide)(uint64_t)spent * 100 >= (meter_wide)(uint64_t)limit * percents[i];

        if (percents[i] == 0 || !there || (*logged & (1u << i)) != 0)
            continue;
        *logged = (uint8_t)(*logged | (1u << i));
        reached[found++] = percents[i];
    }
    return found;
}
