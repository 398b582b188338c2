/* SPDX-License-Identifier: Apache-2.0 */
/* What people decide about runs, and what they are asked, in the writer. A call that needs a
 * person's word stays in line; the run's question stands in the ledger, so that it outlives the
 * sidecar, and is one for all calls of the run. */
#include "sidecar/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_event *record_new(enum store_type type, const struct side_run *run)
{
    struct store_event *event = calloc(1, sizeof *event);

    if (event == NULL)
        return NULL;
    event->head.type = (uint16_t)type;
    event->head.ts_ns = side_now_ns();
    if (run != NULL)
        memcpy(event->head.run_id, run->id, sizeof event->head.run_id);
    return event;
}

static void changed(struct side_book *book, const struct side_run *run)
{
    ((struct side_run *)(uintptr_t)run)->changes++;
    book->changes++;
}

static enum store_err turn(struct side_book *book, const struct side_run *run, enum store_word word,
                           const char *actor, const char *reason)
{
    struct store_event *event = record_new(STORE_TURNED, run);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    store_scope_run(&event->turned.key, run->id);
    event->turned.word = (uint8_t)word;
    (void)snprintf(event->turned.actor, sizeof event->turned.actor, "%s", actor);
    (void)snprintf(event->turned.reason, sizeof event->turned.reason, "%s", reason);
    err = store_turn(book->store, event);
    free(event);
    changed(book, run);
    return err;
}

void side_notice_state(struct side_book *book, struct side_op *op, const struct side_run *run)
{
    struct side_notice notice = {.turned = true, .left_ms = -1};
    struct gov_limit limits[GOV_DIMS];
    struct store_scope_key key;
    struct store_counter counter;
    struct store_run row;
    int64_t now_ns = side_now_ns();

    if (store_run_get(book->store, run->id, &row) != STORE_OK)
        return;
    store_scope_run(&key, run->id);
    (void)store_counter_get(book->store, &key, &counter);
    memcpy(limits, run->spec.limits, sizeof limits);
    (void)side_scope_limits(book->overrides, book->override_count, &key, side_run_session(run),
                            run->spec.ceilings, &counter, now_ns, limits);
    notice.state = (enum gov_state)row.state;
    notice.by_hand = row.paused_by_hand != 0;
    notice.asked_seq = row.asked_seq;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        notice.limits[dim] = limits[dim].amount;
    if (limits[GOV_WALL].amount > 0)
        notice.left_ms = side_wall_left_ms(limits[GOV_WALL].amount, &row, &counter, now_ns);
    side_notice_add(op, &notice, (struct side_run *)(uintptr_t)run);
}

/* ---- asking ------------------------------------------------------------------------------- */

static void done_telling(struct side *side, struct side_op *op)
{
    if (!op->cancelled)
        side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

enum store_err side_task_ask(struct side_book *book, struct side_op *op,
                             const struct side_scopes *scopes)
{
    bool may_go = op->verdict.outcome == GOV_ADMIT || op->verdict.outcome == GOV_WAIT;

    if ((op->event.admission.flags & STORE_READ_ONLY_CALL) != 0)
        return STORE_OK;
    for (unsigned i = 0; i < scopes->count && may_go; i++) {
        const struct side_run *run = scopes->runs[i];
        struct store_task task;
        struct store_run row = {0};
        enum store_err err;

        if (run == NULL || run->spec.task[0] == '\0' || run->spec.meter_only)
            continue;
        err = store_task_get(book->store, run->spec.task, &task);
        if (err == STORE_OK)
            err = store_run_get(book->store, run->id, &row);
        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        if (err == STORE_NOT_FOUND || row.task_approved != 0)
            continue;
        op->verdict = (struct gov_verdict){
            .outcome = GOV_ASK,
            .finding = {.count = 1, .reasons = {GOV_REASON_TASK_ASKS}, .scope = i, .dim = GOV_DIMS},
        };
        return STORE_OK;
    }
    return STORE_OK;
}

static enum store_err classify(struct side_book *book, const struct side_run *run,
                               struct store_asked *out)
{
    struct store_task task;
    enum store_err err = store_task_get(book->store, run->spec.task, &task);

    if (err != STORE_OK)
        return err;
    out->risk = task.risk;
    out->complexity = task.complexity;
    out->governance = task.governance;
    return STORE_OK;
}

static enum store_err question_append(struct side_book *book, const struct side_op *op,
                                      const struct side_run *run, const struct side_scopes *scopes)
{
    unsigned scope = op->verdict.finding.scope;
    struct store_event *event = record_new(STORE_ASKED, run);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->asked.key = scopes->keys[scope];
    event->asked.dim = (uint8_t)op->verdict.finding.dim;
    event->asked.expires_ns = event->head.ts_ns + run->spec.approval_timeout_ms * 1000000;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        event->asked.consumed[dim] = scopes->gov[scope].spent[dim];
        event->asked.limit[dim] = scopes->gov[scope].limits[dim].amount;
        event->asked.suggested[dim] = op->verdict.suggested[dim];
    }
    err = event->asked.dim == GOV_DIMS ? classify(book, run, &event->asked) : STORE_OK;
    if (err == STORE_OK)
        err = store_turn(book->store, event);
    free(event);
    return err;
}

enum store_err side_ask(struct side_book *book, struct side_op *op,
                        const struct side_scopes *scopes, bool *durable_out)
{
    const struct side_run *run = scopes->decisive;
    struct side_op *tell;
    enum store_err err;

    op->asking = run;
    op->reviewed = op->reviewed || scopes->row.state != GOV_PAUSED || scopes->row.asked_seq != 0;
    if (scopes->row.state == GOV_PAUSED)
        return STORE_OK; /* by hand, or the question is asked already */
    run = scopes->runs[op->verdict.finding.scope];
    run = run != NULL ? run : op->run;
    tell = side_op_new(SIDE_OP_TELL, op->run, done_telling, NULL);
    if (tell == NULL)
        return STORE_NOMEM;
    tell->verdict = op->verdict;
    op->asking = run;
    err = side_exhausted_log(book, tell, scopes, tell->verdict.finding.scope,
                             tell->verdict.finding.dim);
    if (err == STORE_OK)
        err = question_append(book, op, run, scopes);
    if (err == STORE_OK)
        err = turn(book, run, STORE_PAUSED, "", "a person is asked");
    side_notice_state(book, tell, run);
    *durable_out = true;
    tell->next = book->told;
    book->told = tell;
    return err;
}

/* ---- answering ---------------------------------------------------------------------------- */

static enum store_err answer_append(struct side_book *book, const struct side_run *run,
                                    uint64_t asked_seq, enum store_answer answer, const char *actor,
                                    const char *reason)
{
    struct store_event *event = record_new(STORE_ANSWERED, run);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->answered.of_seq = asked_seq;
    event->answered.answer = (uint8_t)answer;
    (void)snprintf(event->answered.actor, sizeof event->answered.actor, "%s", actor);
    (void)snprintf(event->answered.reason, sizeof event->answered.reason, "%s", reason);
    err = store_turn(book->store, event);
    free(event);
    changed(book, run);
    return err;
}

/* By raising a limit otherwise than by an approval. */
static enum store_err answered_yes(struct side_book *book, const struct side_run *run,
                                   uint64_t asked_seq, const char *actor, const char *reason)
{
    enum store_err err = answer_append(book, run, asked_seq, STORE_APPROVED, actor, reason);

    return err == STORE_OK ? turn(book, run, STORE_RESUMED, actor, reason) : err;
}

static bool is_asking(const struct side_book *book, const struct side_run *run)
{
    const struct side_op *op = book->waiting;

    while (op != NULL && op->asking != run)
        op = op->next;
    return op != NULL;
}

static enum store_err withdraw(struct side_book *book, struct side_op *op,
                               const struct side_run *run, bool goes_on)
{
    struct store_run row;
    enum store_err err = store_run_get(book->store, run->id, &row);

    if (err != STORE_OK || row.asked_seq == 0)
        return err;
    err = answer_append(book, run, row.asked_seq, STORE_WITHDRAWN, "",
                        "nobody waits for it any more");
    if (err == STORE_OK && row.state == GOV_PAUSED && goes_on)
        err = turn(book, run, STORE_RESUMED, "", "the question was withdrawn");
    side_notice_state(book, op, run);
    return err;
}

enum store_err side_withdraw(struct side_book *book, struct side_op *op, const struct side_run *run)
{
    return withdraw(book, op, run, false);
}

enum store_err side_asks_no_more(struct side_book *book, struct side_op *op,
                                 const struct side_run *run)
{
    return is_asking(book, run) ? STORE_OK : withdraw(book, op, run, true);
}

/* What is to be added, checked before anything is written. STORE_OVER: dim_wrong, or no sum. */
static enum store_err amounts_check(struct side_op *op, const int64_t limits[GOV_DIMS], bool of_run)
{
    const struct gov_limit *ceilings = op->run->spec.ceilings;

    op->dim_wrong = GOV_DIMS;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t sum;

        if (op->amounts[dim] > 0 && limits[dim] <= 0)
            op->dim_wrong = (enum gov_dim)dim;
        if (op->amounts[dim] < 0 || (op->amounts[dim] > 0 && limits[dim] <= 0) ||
            __builtin_add_overflow(op->amounts[dim], limits[dim], &sum))
            return STORE_OVER;
        if (op->amounts[dim] > 0 && of_run && ceilings[dim].amount > 0 &&
            sum > ceilings[dim].amount) {
            op->dim_wrong = (enum gov_dim)dim;
            op->ceiling = ceilings[dim].amount;
            return STORE_OVER;
        }
    }
    return STORE_OK;
}

struct extending {
    uint8_t checkpoint_id[16];
    struct store_scope_key key;
    const int64_t *limits;
    const char *actor, *reason;
};

static enum store_err extend_all(struct side_book *book, const struct side_op *op,
                                 const struct extending *extending)
{
    struct store_event *event = record_new(STORE_EXTENDED, op->run);
    enum store_err err = event == NULL ? STORE_NOMEM : STORE_OK;

    for (unsigned dim = 0; dim < GOV_DIMS && err == STORE_OK; dim++) {
        struct store_extended *extended = &event->extended;

        if (op->amounts[dim] == 0)
            continue;
        memset(extended, 0, sizeof *extended);
        memcpy(extended->checkpoint_id, extending->checkpoint_id, sizeof extended->checkpoint_id);
        extended->key = extending->key;
        extended->dim = (uint8_t)dim;
        extended->additional = op->amounts[dim];
        extended->limit = extending->limits[dim] + op->amounts[dim];
        (void)snprintf(extended->actor, sizeof extended->actor, "%s", extending->actor);
        (void)snprintf(extended->reason, sizeof extended->reason, "%s", extending->reason);
        err = store_extend(book->store, event);
    }
    free(event);
    changed(book, op->run);
    return err;
}

static bool any_amount(const struct side_op *op)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (op->amounts[dim] != 0)
            return true;
    return false;
}

/* The person's word comes first, then what the question was about. */
static void denied_reasons(const struct store_asked *asked, struct store_answered *out)
{
    out->reasons[out->reason_count++] =
        out->answer == STORE_DENIED ? GOV_REASON_DENIED : GOV_REASON_APPROVAL_TIMEOUT;
    if (asked->dim == GOV_DIMS)
        out->reasons[out->reason_count++] = GOV_REASON_TASK_ASKS;
    for (unsigned dim = 0; dim < GOV_DIMS && out->reason_count < GOV_CODES_MAX; dim++) {
        uint16_t reason =
            (uint16_t)gov_reason_of((enum gov_scope_kind)asked->key.kind,
                                    (enum gov_window)asked->key.window, (enum gov_dim)dim);

        if (asked->suggested[dim] > 0 && out->reasons[out->reason_count - 1] != reason)
            out->reasons[out->reason_count++] = reason;
    }
}

static enum store_err approve(struct side_book *book, struct side_op *op,
                              const struct store_asked *asked)
{
    struct store_answered *answered = &op->event.answered;
    struct extending extending = {.key = asked->key,
                                  .limits = asked->limit,
                                  .actor = answered->actor,
                                  .reason = answered->reason};
    enum store_err err;

    memcpy(extending.checkpoint_id, asked->checkpoint_id, sizeof extending.checkpoint_id);
    if (!any_amount(op))
        memcpy(op->amounts, asked->suggested, sizeof op->amounts);
    err = amounts_check(op, asked->limit, extending.key.kind == GOV_RUN);
    if (err == STORE_OK)
        err = store_turn(book->store, &op->event);
    if (err == STORE_OK)
        err = extend_all(book, op, &extending);
    return err == STORE_OK ? turn(book, op->run, STORE_RESUMED, answered->actor, answered->reason)
                           : err;
}

/* STORE_CONFLICT: that question is not open any more. */
static enum store_err answer(struct side_book *book, struct side_op *op)
{
    struct store_event *asked = calloc(1, sizeof *asked);
    struct store_run row;
    enum store_err err =
        asked == NULL ? STORE_NOMEM : store_run_get(book->store, op->run->id, &row);

    if (err == STORE_OK && row.asked_seq != op->event.answered.of_seq)
        err = STORE_CONFLICT;
    if (err == STORE_OK)
        err = store_event_get(book->store, row.asked_seq, asked);
    if (err == STORE_OK && op->event.answered.answer == STORE_APPROVED) {
        err = approve(book, op, &asked->asked);
    } else if (err == STORE_OK) {
        denied_reasons(&asked->asked, &op->event.answered);
        err = store_turn(book->store, &op->event);
        if (err == STORE_OK && op->run->spec.on_exhausted == SIDE_TERMINATE)
            side_notice_add(op, &(struct side_notice){.terminate = true}, op->run);
    }
    free(asked);
    changed(book, op->run);
    return err;
}

/* ---- extending without being asked -------------------------------------------------------- */

/* A run that failed goes on; a question that is open has its answer. */
static enum store_err extend(struct side_book *book, struct side_op *op)
{
    struct store_extended given = op->event.extended;
    int64_t limits[GOV_DIMS];
    struct store_counter counter;
    struct store_run row;
    struct extending extending = {.limits = limits, .actor = given.actor, .reason = given.reason};
    enum store_err err = store_run_get(book->store, op->run->id, &row);

    if (err != STORE_OK)
        return err;
    op->state = (enum gov_state)row.state;
    store_scope_run(&extending.key, op->run->id);
    (void)store_counter_get(book->store, &extending.key, &counter);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        limits[dim] = row.allocation.limits[dim] > 0 &&
                              __builtin_add_overflow(row.allocation.limits[dim],
                                                     counter.extended[dim], &limits[dim])
                          ? INT64_MAX
                      : row.allocation.limits[dim] > 0 ? limits[dim]
                                                       : 0;
    err = amounts_check(op, limits, true);
    if (err == STORE_OK)
        err = extend_all(book, op, &extending);
    if (err == STORE_OK && row.asked_seq != 0) {
        err = answered_yes(book, op->run, row.asked_seq, given.actor, given.reason);
    } else if (err == STORE_OK && row.state == GOV_FAILED && row.ended_ns == 0) {
        err = turn(book, op->run, STORE_RESET, given.actor, given.reason);
    }
    return err;
}

/* ---- states ------------------------------------------------------------------------------- */

static enum store_err turn_by_hand(struct side_book *book, struct side_op *op)
{
    struct store_run row;
    enum store_err err = STORE_OK;

    if (op->run == NULL)
        return store_turn(book->store, &op->event);
    err = store_run_get(book->store, op->run->id, &row);
    op->state = (enum gov_state)row.state;
    if (err == STORE_OK && op->event.turned.word == STORE_STOPPED)
        err = side_withdraw(book, op, op->run);
    if (err == STORE_OK)
        err = store_turn(book->store, &op->event);
    changed(book, op->run);
    return err == STORE_OK && op->event.turned.word == STORE_REOPENED ? side_begin_stopped(book, op)
                                                                      : err;
}

enum store_err side_begin_stopped(struct side_book *book, struct side_op *op)
{
    struct store_scope_key session, all;
    struct store_run row;
    enum store_err err = store_run_get(book->store, op->run->id, &row);

    if (err != STORE_OK || row.state == GOV_BUDGET_STOPPED)
        return err;
    store_scope_name(&session, GOV_SESSION, side_run_session(op->run));
    store_scope_all(&all);
    if (!store_is_stopped(book->store, &all) && !store_is_stopped(book->store, &session))
        return STORE_OK;
    return turn(book, op->run, STORE_STOPPED, "", "it began in what is stopped");
}

/* ---- overrides ---------------------------------------------------------------------------- */

void side_overrides_read(struct side_book *book)
{
    struct store_view *view;
    const uint8_t *last = NULL;

    book->override_count = 0;
    if (store_view_open(book->store, &view) != STORE_OK)
        return;
    while (book->override_count < SIDE_OVERRIDES &&
           store_view_next_override(view, last, &book->overrides[book->override_count]) == STORE_OK)
        last = book->overrides[book->override_count++].id;
    store_view_close(view);
}

static void forget(struct side_book *book, unsigned i)
{
    book->overrides[i] = book->overrides[--book->override_count];
    book->changes++;
}

enum store_err side_overrides_expire(struct side_book *book, int64_t now_ns)
{
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i < book->override_count && err == STORE_OK;) {
        struct store_event *event;

        if (now_ns < book->overrides[i].expires_ns) {
            i++;
            continue;
        }
        event = record_new(STORE_OVERRIDE, NULL);
        if (event == NULL)
            return STORE_NOMEM;
        event->override = book->overrides[i];
        event->override.word = STORE_EXPIRED;
        err = store_override(book->store, event);
        free(event);
        forget(book, i);
    }
    return err;
}

/* The limit and what is in force of it are at most twice what the run was given. */
static enum store_err override_check(struct side_book *book, struct side_op *op)
{
    struct store_override *override = &op->event.override;
    struct store_counter counter;
    enum store_err err = store_counter_get(book->store, &override->key, &counter);

    op->dim_wrong = GOV_DIMS;
    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    if (book->override_count == SIDE_OVERRIDES)
        return STORE_FULL;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t base = op->amounts[dim], sum = base;

        if (override->delta[dim] == 0)
            continue;
        if (base == 0 && override->key.kind == GOV_RUN)
            op->dim_wrong = (enum gov_dim)dim;
        if (base == 0 && override->key.kind != GOV_RUN)
            continue; /* what it meets is looked at when it does */
        for (unsigned i = 0; i < book->override_count; i++)
            if (memcmp(&book->overrides[i].key, &override->key, sizeof override->key) == 0)
                (void)__builtin_add_overflow(sum, book->overrides[i].delta[dim], &sum);
        if (base == 0 || __builtin_add_overflow(sum, counter.extended[dim], &sum) ||
            __builtin_add_overflow(sum, override->delta[dim], &sum) || sum / 2 + sum % 2 > base) {
            op->dim_wrong = (enum gov_dim)dim;
            return STORE_OVER;
        }
        override->effective[dim] = sum;
    }
    return STORE_OK;
}

/* The open question of a run, where it is about what is raised, has its answer: those who wait are
 * decided anew, and ask anew where that was not enough. */
static enum store_err override_answers(struct side_book *book, struct side_op *op,
                                       const struct side_run *run)
{
    const struct store_override *given = &op->event.override;
    struct store_event *asked = calloc(1, sizeof *asked);
    struct store_run row;
    enum store_err err = asked != NULL ? store_run_get(book->store, run->id, &row) : STORE_NOMEM;

    if (err == STORE_OK && row.asked_seq != 0)
        err = store_event_get(book->store, row.asked_seq, asked);
    if (err == STORE_OK && row.asked_seq != 0 && asked->asked.dim < GOV_DIMS &&
        given->delta[asked->asked.dim] > 0 &&
        side_override_meets(given, &asked->asked.key, side_run_session(run))) {
        err = answered_yes(book, run, row.asked_seq, given->actor, given->reason);
        side_notice_state(book, op, run);
    }
    free(asked);
    return err;
}

static enum store_err override(struct side_book *book, struct side_op *op)
{
    struct store_override *given = &op->event.override;
    unsigned i = 0;
    enum store_err err = side_overrides_expire(book, side_now_ns());

    while (i < book->override_count &&
           memcmp(book->overrides[i].id, given->id, sizeof given->id) != 0)
        i++;
    if (err == STORE_OK && given->word == STORE_ADDED) {
        err = override_check(book, op);
        if (err == STORE_OK)
            err = store_override(book->store, &op->event);
        if (err == STORE_OK)
            book->overrides[book->override_count++] = *given;
        for (const struct side_op *one = book->waiting; one != NULL && err == STORE_OK;
             one = one->next)
            if (one->asking != NULL)
                err = override_answers(book, op, one->asking);
    } else if (err == STORE_OK && i == book->override_count) {
        err = STORE_NOT_FOUND;
    } else if (err == STORE_OK) {
        given->key = book->overrides[i].key;
        memcpy(given->delta, book->overrides[i].delta, sizeof given->delta);
        given->expires_ns = book->overrides[i].expires_ns;
        err = store_override(book->store, &op->event);
        forget(book, i);
    }
    book->changes++;
    return err;
}

/* ---- all of them -------------------------------------------------------------------------- */

enum store_err side_order(struct side_book *book, struct side_op *op)
{
    enum store_err err;

    op->event.head.ts_ns = side_now_ns();
    if (op->run != NULL)
        memcpy(op->event.head.run_id, op->run->id, sizeof op->event.head.run_id);
    if (op->kind == SIDE_OP_OVERRIDE)
        return override(book, op);
    err = op->kind == SIDE_OP_ANSWER   ? answer(book, op)
          : op->kind == SIDE_OP_EXTEND ? extend(book, op)
                                       : turn_by_hand(book, op);
    if (err == STORE_OK && op->run != NULL)
        side_notice_state(book, op, op->run);
    return err;
}
