/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer records beside calls: thresholds that were reached, limits that are used up, runs
 * that end by it, refusals; and the refusals that are answered from memory, counted, as long as
 * nothing has changed. */
#include "sidecar/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- notices ------------------------------------------------------------------------------ */

void side_notice_add(struct side_op *op, const struct side_notice *notice, struct side_run *run)
{
    if (op->notice_count == SIDE_NOTICES_MAX)
        return;
    op->notices[op->notice_count] = *notice;
    op->notices[op->notice_count++].run = side_run_hold(run);
}

static enum store_err threshold_append(struct side_book *book, const struct side_op *op,
                                       enum store_type type, const struct store_scope_key *key,
                                       struct side_notice *notice, enum gov_policy policy)
{
    struct store_event *event = calloc(1, sizeof *event);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->head.type = (uint16_t)type;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    event->threshold.key = *key;
    event->threshold.consumed = notice->consumed;
    event->threshold.limit = notice->limit;
    event->threshold.dim = (uint8_t)notice->dim;
    event->threshold.percent = notice->percent;
    event->threshold.policy = (uint8_t)policy;
    err = store_append(book->store, event, sizeof event->threshold);
    notice->seq = event->head.seq;
    free(event);
    return err;
}

/* Another limit value starts the thresholds anew. */
static void logged_for(struct store_counter *counter, unsigned dim, int64_t limit)
{
    if (counter->logged_limit[dim] == limit)
        return;
    counter->logged_limit[dim] = limit;
    counter->logged[dim] = 0;
    counter->exhausted[dim] = 0;
}

static enum store_err warn_dim(struct side_book *book, struct side_op *op,
                               const struct side_scopes *scopes, unsigned i, enum gov_dim dim,
                               struct store_counter *counter)
{
    const struct gov_limit *limit = &scopes->gov[i].limits[dim];
    uint8_t reached[SIDE_PERCENTS];
    int64_t spent = scopes->gov[i].spent[dim];
    unsigned count;
    enum store_err err = STORE_OK;

    logged_for(counter, dim, limit->amount);
    count = gov_thresholds(spent, limit->amount, op->run->spec.percents, SIDE_PERCENTS,
                           &counter->logged[dim], reached);
    for (unsigned j = 0; j < count && err == STORE_OK; j++) {
        struct side_notice notice = {.dim = dim,
                                     .scope_kind = scopes->gov[i].kind,
                                     .window = scopes->gov[i].window,
                                     .percent = reached[j],
                                     .consumed = spent,
                                     .limit = limit->amount};

        err = threshold_append(book, op, STORE_WARNING, &scopes->keys[i], &notice, limit->policy);
        side_notice_add(op, &notice, op->run);
    }
    return err;
}

/* What is used up for the first time is used up now. */
static void note_crossed(struct side_run *run, const struct gov_scope *scope)
{
    for (unsigned dim = 0; run != NULL && dim < GOV_DIMS; dim++)
        if (!gov_used_up(scope, (enum gov_dim)dim))
            run->crossed_ns[dim] = 0;
        else if (run->crossed_ns[dim] == 0)
            run->crossed_ns[dim] = side_now_ns();
}

/* After something was spent: what was reached, once. */
enum store_err side_warn(struct side_book *book, struct side_op *op)
{
    struct side_scopes scopes;
    enum store_err err;

    (void)side_scopes_list(book, op, &scopes);
    err = side_scopes_read(book, &scopes, side_now_ns());
    for (unsigned i = 0; i < scopes.count && err == STORE_OK; i++) {
        struct store_counter counter;

        note_crossed(scopes.runs[i], &scopes.gov[i]);
        err = store_counter_get(book->store, &scopes.keys[i], &counter);
        if (err == STORE_NOT_FOUND) /* nothing was booked there yet; time passes nevertheless */
            err = STORE_OK;
        for (unsigned dim = 0; dim < GOV_DIMS && err == STORE_OK; dim++)
            if (scopes.gov[i].limits[dim].amount > 0)
                err = warn_dim(book, op, &scopes, i, (enum gov_dim)dim, &counter);
        if (err == STORE_OK)
            err = store_counter_put(book->store, &scopes.keys[i], &counter);
    }
    return err;
}

/* ---- refusing ----------------------------------------------------------------------------- */

/* What is refused at a limit has come to 100 % of it, whatever was spent. */
static enum store_err hundred_log(struct side_book *book, const struct side_op *op,
                                  const struct store_scope_key *key, struct side_notice notice,
                                  enum gov_policy policy, struct store_counter *counter)
{
    const uint8_t *percents = op->run->spec.percents;
    unsigned i = 0;

    while (i < SIDE_PERCENTS && percents[i] != 100)
        i++;
    if (i == SIDE_PERCENTS || (counter->logged[notice.dim] & (1u << i)) != 0)
        return STORE_OK;
    counter->logged[notice.dim] = (uint8_t)(counter->logged[notice.dim] | (1u << i));
    notice.percent = 100;
    return threshold_append(book, op, STORE_WARNING, key, &notice, policy);
}

/* Once per limit, like the thresholds. */
enum store_err side_exhausted_log(struct side_book *book, struct side_op *op,
                                  const struct side_scopes *scopes, unsigned i, enum gov_dim dim)
{
    struct store_counter counter;
    const struct gov_limit *limit;
    struct side_notice notice;
    enum store_err err;

    if (dim == GOV_DIMS || i >= scopes->count ||
        op->verdict.finding.reasons[0] == GOV_REASON_PRICE_UNKNOWN ||
        op->verdict.finding.reasons[0] == GOV_REASON_CLOCK_JUMP)
        return STORE_OK; /* nothing is used up */
    limit = &scopes->gov[i].limits[dim];
    err = store_counter_get(book->store, &scopes->keys[i], &counter);
    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    logged_for(&counter, dim, limit->amount);
    if (counter.exhausted[dim] != 0)
        return STORE_OK;
    counter.exhausted[dim] = 1;
    notice = (struct side_notice){.dim = dim,
                                  .asks = op->verdict.outcome == GOV_ASK,
                                  .scope_kind = scopes->gov[i].kind,
                                  .window = scopes->gov[i].window,
                                  .consumed = scopes->gov[i].spent[dim],
                                  .limit = limit->amount};
    err = hundred_log(book, op, &scopes->keys[i], notice, limit->policy, &counter);
    if (err == STORE_OK)
        err = threshold_append(book, op, STORE_EXHAUSTED, &scopes->keys[i], &notice, limit->policy);
    side_notice_add(op, &notice, op->run);
    return err == STORE_OK ? store_counter_put(book->store, &scopes->keys[i], &counter) : err;
}

/* It ends once, for the reasons that it ended with first. */
static enum store_err end_run(struct side_book *book, struct side_op *op, struct side_run *run)
{
    struct store_event *event = calloc(1, sizeof *event);
    struct side_notice notice = {.terminate = run->spec.on_exhausted == SIDE_TERMINATE};
    struct store_run row;
    enum store_err err = event == NULL ? STORE_NOMEM : store_run_get(book->store, run->id, &row);

    if (err == STORE_OK && row.state != GOV_RUNNING && row.state != GOV_PAUSED) {
        free(event);
        return STORE_OK;
    }
    if (err == STORE_OK)
        err = side_withdraw(book, op, run);
    if (err == STORE_OK) {
        event->head.type = STORE_RUN_ENDED;
        event->head.ts_ns = side_now_ns();
        memcpy(event->head.run_id, run->id, sizeof event->head.run_id);
        event->run_ended.reason_count = (uint8_t)op->verdict.finding.count;
        for (unsigned i = 0; i < op->verdict.finding.count; i++)
            event->run_ended.reasons[i] = (uint16_t)op->verdict.finding.reasons[i];
        err = store_turn(book->store, event);
    }
    if (err == STORE_OK && notice.terminate)
        side_notice_add(op, &notice, run);
    free(event);
    return err;
}

static void figures_fill(struct side_op *op, const struct side_scopes *scopes)
{
    unsigned i = op->verdict.finding.scope;
    enum gov_dim dim = op->verdict.finding.dim;

    op->figures = (struct side_figures){0};
    if (i >= scopes->count)
        return;
    op->figures.scope_kind = scopes->gov[i].kind;
    (void)snprintf(op->figures.name, sizeof op->figures.name, "%s", scopes->names[i]);
    if (dim == GOV_DIMS)
        return;
    op->figures.spent = scopes->gov[i].spent[dim];
    op->figures.held = scopes->gov[i].held[dim];
    op->figures.limit = scopes->gov[i].limits[dim].amount;
    op->figures.window = scopes->gov[i].window;
    op->figures.resets_s = scopes->ends_s[i];
}

static void seen_fill(const struct side_scopes *scopes, struct store_event *event)
{
    event->head.scope_count = (uint16_t)scopes->count;
    for (unsigned i = 0; i < scopes->count; i++)
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            event->scopes[i].key = scopes->keys[i];
            event->scopes[i].spent[dim] = scopes->gov[i].spent[dim];
            event->scopes[i].held[dim] = scopes->gov[i].held[dim];
            event->scopes[i].limit[dim] = scopes->gov[i].limits[dim].amount;
            event->scopes[i].policy[dim] = (uint8_t)scopes->gov[i].limits[dim].policy;
        }
}

static void wanted_fill(const struct gov_call *call, int64_t wanted[STORE_SEEN_DIMS])
{
    uint64_t cap = call->clamp ? call->line.smallest_cap : call->line.full_cap;
    uint64_t tokens = meter_hold_tokens(&call->line, cap);

    wanted[GOV_STEPS] = 1;
    wanted[GOV_TOKENS] = tokens > INT64_MAX ? INT64_MAX : (int64_t)tokens;
    wanted[GOV_COST] = call->line.priced ? meter_hold_cost(&call->line, cap) : -1;
}

static void refusal_fill(const struct side_op *op, const struct side_scopes *scopes,
                         struct store_event *event)
{
    const struct store_admission *asked = &op->event.admission;
    struct store_refusal *refusal = &event->refusal;

    memset(event, 0, sizeof *event);
    event->head.type = STORE_REFUSAL;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    memcpy(event->head.call_id, op->call_id, sizeof event->head.call_id);
    seen_fill(scopes, event);
    wanted_fill(&op->call, refusal->wanted);
    refusal->count = 1;
    refusal->spent = op->figures.spent;
    refusal->held = op->figures.held;
    refusal->limit = op->figures.limit;
    refusal->reason_count = (uint8_t)op->verdict.finding.count;
    for (unsigned i = 0; i < op->verdict.finding.count; i++)
        refusal->reasons[i] = (uint16_t)op->verdict.finding.reasons[i];
    refusal->dim = (uint8_t)op->verdict.finding.dim;
    refusal->scope_kind = (uint8_t)op->figures.scope_kind;
    refusal->window = (uint8_t)op->figures.window;
    refusal->pid = asked->pid;
    refusal->asked = op->asked;
    refusal->status =
        op->verdict.outcome == GOV_WAIT || op->verdict.finding.reasons[0] == GOV_REASON_COOLDOWN
            ? 429
            : op->refused_status;
    memcpy(refusal->provider, asked->provider, sizeof refusal->provider);
    memcpy(refusal->api, asked->api, sizeof refusal->api);
    memcpy(refusal->model, asked->model, sizeof refusal->model);
}

/* ---- the same question again -------------------------------------------------------------- */

static enum store_err repeat_flush(struct side_book *book, struct side_repeat *repeat)
{
    struct store_event event = repeat->event;
    enum store_err err;

    if (!repeat->used || repeat->count == 0)
        return STORE_OK;
    event.head.ts_ns = side_now_ns();
    event.refusal.count = repeat->count;
    err = store_refuse(book->store, &event);
    if (err == STORE_OK)
        repeat->count = 0;
    return err;
}

enum store_err side_repeats_flush(struct side_book *book)
{
    enum store_err err = STORE_OK;

    if (store_is_full(book->store)) /* counts can wait */
        return STORE_OK;
    for (unsigned i = 0; i < book->repeat_count && err == STORE_OK; i++)
        err = repeat_flush(book, &book->repeats[i]);
    return err;
}

bool side_repeat_answers(struct side_book *book, struct side_op *op)
{
    for (unsigned i = 0; i < book->repeat_count; i++) {
        struct side_repeat *repeat = &book->repeats[i];

        if (!repeat->used || memcmp(repeat->run_id, op->run->id, 16) != 0 ||
            memcmp(repeat->request_hash, op->request_hash, 32) != 0 ||
            repeat->run_changes != op->run->changes || repeat->all_changes != book->changes)
            continue;
        repeat->count++;
        op->verdict = repeat->verdict;
        op->figures = repeat->figures;
        op->repeated = true;
        return true;
    }
    return false;
}

/* Another run's calls change nothing for a limit of this run's own. */
static enum store_err repeat_remember(struct side_book *book, const struct side_op *op,
                                      const struct store_event *event)
{
    struct side_repeat *repeat = &book->repeats[book->repeat_next];
    enum store_err err = repeat_flush(book, repeat);

    if (book->repeat_count < SIDE_REPEATS)
        book->repeat_count++;
    book->repeat_next = (book->repeat_next + 1) % SIDE_REPEATS;
    repeat->used = true;
    memcpy(repeat->run_id, op->run->id, 16);
    memcpy(repeat->request_hash, op->request_hash, 32);
    repeat->run_changes = op->run->changes;
    repeat->all_changes = book->changes;
    repeat->verdict = op->verdict;
    repeat->figures = op->figures;
    repeat->event = *event;
    repeat->event.refusal.asked = 0;
    repeat->count = 0;
    return err;
}

enum store_err side_refuse(struct side_book *book, struct side_op *op,
                           const struct side_scopes *scopes)
{
    struct store_event *event = calloc(1, sizeof *event);
    enum store_err err = event == NULL ? STORE_NOMEM : STORE_OK;

    figures_fill(op, scopes);
    if (err == STORE_OK && op->verdict.outcome == GOV_REFUSE)
        err = side_exhausted_log(book, op, scopes, op->verdict.finding.scope,
                                 op->verdict.finding.dim);
    if (err == STORE_OK) {
        refusal_fill(op, scopes, event);
        err = store_refuse(book->store, event);
    }
    if (err == STORE_OK && op->verdict.ends_run) {
        err = end_run(book, op, scopes->runs[op->verdict.ended_scope]);
        op->run->changes++;
    }
    if (err == STORE_OK && op->verdict.outcome == GOV_REFUSE && !op->verdict.ends_run &&
        op->verdict.finding.reasons[0] != GOV_REASON_COOLDOWN)
        err = repeat_remember(book, op, event); /* the next answer of an ended run is another one */
    free(event);
    return err;
}

/* ---- limits that the launcher watches ----------------------------------------------------- */

enum store_err side_exhaust(struct side_book *book, struct side_op *op)
{
    enum gov_dim dim = (enum gov_dim)op->event.threshold.dim;
    const struct gov_limit *limit = &op->run->spec.limits[dim];
    struct side_scopes scopes;
    enum store_err err;

    (void)side_scopes_list(book, op, &scopes);
    err = side_scopes_read(book, &scopes, side_now_ns());
    if (err != STORE_OK)
        return err;
    gov_find_used_up(scopes.gov, scopes.count, dim, &op->verdict.finding);
    err = side_exhausted_log(book, op, &scopes, 0, dim);
    op->run->changes++;
    return err == STORE_OK && limit->policy == GOV_HARD_STOP ? end_run(book, op, op->run) : err;
}
