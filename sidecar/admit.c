/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer does with an operation: reads the scopes, asks the governor, books. All in the
 * open transaction, so that decision and booking are one. */
#include "sidecar/orders.h"

#include <stdlib.h>
#include <string.h>

/* ---- admitting ---------------------------------------------------------------------------- */

/* What the parts before the present one leave of a rolling window's limit. Not below zero, unless
 * it only warns: the governor has seen to that. */
static int64_t limit_of_part(const struct side_scopes *scopes, unsigned i, unsigned dim)
{
    int64_t limit = scopes->gov[i].limits[dim].amount;

    if (scopes->keys[i].window != GOV_ROLLING || limit == 0)
        return limit;
    return limit > scopes->older[i][dim] ? limit - scopes->older[i][dim] : 0;
}

static enum store_err admit(struct side_book *book, struct side_op *op,
                            const struct side_scopes *scopes)
{
    struct store_event *event = &op->event;
    struct store_call call;
    enum store_err err;

    event->head.type = STORE_ADMISSION;
    event->head.ts_ns = side_now_ns();
    event->head.scope_count = (uint16_t)scopes->count;
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    memcpy(event->head.call_id, op->call_id, sizeof event->head.call_id);
    memcpy(event->admission.request_hash, op->request_hash, sizeof op->request_hash);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        event->admission.hold[dim] = op->verdict.hold[dim];
    event->admission.cap_held = op->verdict.cap;
    if (op->verdict.clamped)
        event->admission.flags |= STORE_CLAMPED;
    if (op->directive.severity != GOV_OK)
        event->admission.flags |= STORE_WARNED;
    if (op->reviewed)
        event->admission.flags |= STORE_REVIEWED;
    if (scopes->overridden)
        event->admission.flags |= STORE_OVERRIDDEN;
    side_route_admitted(op, &event->admission);
    event->admission.severity = (uint8_t)op->directive.severity;
    event->admission.quality = (uint8_t)op->directive.quality;
    event->admission.actions = (uint8_t)op->directive.actions;
    event->admission.pacing_ms = op->directive.pacing_ms;
    for (unsigned i = 0; i < scopes->count; i++) {
        struct store_scope_seen *seen = &event->scopes[i];

        memset(seen, 0, sizeof *seen);
        seen->key = scopes->keys[i];
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            seen->limit[dim] = limit_of_part(scopes, i, dim);
            seen->policy[dim] = (uint8_t)scopes->gov[i].limits[dim].policy;
        }
    }
    err = store_admit(book->store, event, &call);
    if (err == STORE_DUPLICATE && call.state != STORE_CALL_ENDED)
        return STORE_OK; /* the message came twice */
    return err;
}

/* A call that costs nothing at the provider: recorded, not held; passes whatever is used up. */
static void admit_free(struct side_op *op, const struct side_scopes *scopes)
{
    (void)scopes;
    memset(&op->verdict, 0, sizeof op->verdict);
    op->verdict.outcome = GOV_ADMIT;
    op->verdict.cap = UINT64_MAX;
    op->verdict.finding.dim = GOV_DIMS;
}

static void run_state_of(const struct store_run *row, const struct side_run *run,
                         enum gov_state *state, struct gov_finding *ended)
{
    memset(ended, 0, sizeof *ended);
    ended->dim = GOV_DIMS;
    *state = (enum gov_state)row->state;
    if (row->ended_ns != 0 && (*state == GOV_RUNNING || *state == GOV_PAUSED || run->ended))
        *state = GOV_COMPLETED;
    for (unsigned i = 0; i < row->reason_count && i < GOV_CODES_MAX; i++)
        ended->reasons[ended->count++] = (enum gov_reason)row->reasons[i];
}

static enum store_err decide_once(struct side_book *book, struct side_op *op,
                                  struct side_scopes *scopes)
{
    struct gov_finding ended;
    enum gov_state state;
    int64_t now_ns = side_now_ns();
    enum store_err err = side_windows_roll(book); /* it may have waited */

    if (err == STORE_OK)
        err = side_windows_of_run(book, op->run, &op->about);
    if (err == STORE_OK)
        err = side_overrides_expire(book, now_ns);
    if (err != STORE_OK)
        return err;
    if (!side_scopes_list(book, op, scopes))
        return STORE_SCOPES;
    err = side_scopes_read(book, scopes, side_now_ns());
    if (err != STORE_OK)
        return err;
    side_scopes_line(book, op, scopes);
    run_state_of(&scopes->row, scopes->decisive, &state, &ended);
    if ((op->event.admission.flags & STORE_READ_ONLY_CALL) != 0)
        admit_free(op, scopes);
    else
        err = side_govern(book, op, scopes, state, &ended);
    return err;
}

/* With routing, one model after the other is tried: each has scopes of its own. */
static enum store_err decide(struct side_book *book, struct side_op *op, struct side_scopes *scopes)
{
    enum store_err err;

    side_route_begin(op);
    do
        err = decide_once(book, op, scopes);
    while (err == STORE_OK && side_route_next(op, scopes));
    if (err == STORE_OK)
        err = side_task_ask(book, op, scopes);
    if (err == STORE_OK)
        err = side_direct_tell(book, op);
    return err == STORE_OK ? side_route_tell(book, op) : err;
}

/* True: through, one way or the other. */
static bool try_admit(struct side_book *book, struct side_op *op, int64_t now_ms, bool *durable)
{
    struct side_scopes scopes;
    enum store_err err = store_is_full(book->store) ? STORE_FULL : decide(book, op, &scopes), left;
    const struct side_run *asked;

    op->asked = op->asking != NULL;
    if (err == STORE_OK && op->verdict.outcome == GOV_ASK) {
        err = side_ask(book, op, &scopes, durable);
        if (err == STORE_OK)
            return false;
    }
    asked = op->asking;
    if (asked != NULL) { /* a person has said something: its own patience begins */
        op->asking = NULL;
        op->deadline_ms = now_ms + op->patience_ms;
    }
    if (err == STORE_OK && op->verdict.outcome == GOV_WAIT && now_ms < op->deadline_ms)
        return false;
    if (err == STORE_OK && op->verdict.outcome == GOV_ADMIT) {
        err = admit(book, op, &scopes);
        *durable = *durable || (op->event.admission.flags & STORE_READ_ONLY_CALL) == 0;
    } else {
        if (err == STORE_OK)
            err = side_refuse(book, op, &scopes);
        left = asked != NULL ? side_asks_no_more(book, op, asked) : STORE_OK;
        err = err == STORE_OK ? left : err;
    }
    op->result = err;
    return true;
}

/* ---- the line ----------------------------------------------------------------------------- */

static void line_join(struct side_book *book, struct side_op *op)
{
    op->waiting = true;
    op->next = NULL;
    *book->waiting_tail = op;
    book->waiting_tail = &op->next;
}

static void line_leave(struct side_book *book, struct side_op *op)
{
    struct side_op **link = &book->waiting;

    while (*link != NULL && *link != op)
        link = &(*link)->next;
    if (*link == op)
        *link = op->next;
    book->waiting_tail = &book->waiting;
    while (*book->waiting_tail != NULL)
        book->waiting_tail = &(*book->waiting_tail)->next;
    op->next = NULL;
    op->waiting = false;
}

static struct side_op *line_find(const struct side_book *book, const uint8_t call_id[16])
{
    struct side_op *op = book->waiting;

    while (op != NULL && memcmp(op->call_id, call_id, sizeof op->call_id) != 0)
        op = op->next;
    return op;
}

/* It stands in the same scopes as one that waits for headroom in front of it. */
static bool stands_behind(const struct side_op *op, const struct side_op *first)
{
    return first != NULL && op->run == first->run && op->asking == NULL && op->candidates == NULL &&
           memcmp(&op->about, &first->about, sizeof op->about) == 0;
}

void side_apply_waiting(struct side_book *book, int64_t now_ms, bool *durable_out,
                        struct side_op ***done_tail)
{
    struct side_op *op = book->waiting;
    const struct side_op *first = NULL;

    while (op != NULL) {
        struct side_op *next = op->next;

        if (stands_behind(op, first) && now_ms < op->deadline_ms) {
            op = next;
            continue;
        }
        if (try_admit(book, op, now_ms, durable_out)) {
            line_leave(book, op);
            **done_tail = op;
            *done_tail = &op->next;
        } else if (op->asking == NULL) {
            first = op;
        }
        op = next;
    }
}

int64_t side_book_deadline(const struct side_book *book)
{
    int64_t nearest = INT64_MAX;

    for (const struct side_op *op = book->waiting; op != NULL; op = op->next)
        if (op->asking == NULL && op->deadline_ms < nearest)
            nearest = op->deadline_ms;
    return nearest;
}

/* ---- operations --------------------------------------------------------------------------- */

static enum store_err run_open(struct side_book *book, struct side_op *op)
{
    struct store_run row = {.state = GOV_RUNNING, .started_ns = op->run->started_ns};
    struct store_event *event = &op->event;
    enum store_err err;

    event->head.type = STORE_ALLOCATION;
    event->head.ts_ns = op->run->started_ns;
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    memcpy(row.run_id, op->run->id, sizeof row.run_id);
    err = side_windows_roll(book);
    if (err == STORE_OK)
        err = side_windows_of_run(book, op->run, &op->about);
    if (err != STORE_OK)
        return err;
    side_windows_seen(book, op->run, event);
    err = store_append(book->store, event, sizeof event->allocation);
    row.allocation = event->allocation;
    row.allocation_seq = event->head.seq;
    if (err == STORE_OK)
        err = store_run_put(book->store, &row);
    return err == STORE_OK ? side_begin_stopped(book, op) : err;
}

static enum store_err overrun_append(struct side_book *book, const struct side_op *op)
{
    struct store_event *event = calloc(1, sizeof *event);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->head.type = STORE_OVERRUN;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    memcpy(event->head.call_id, op->call_id, sizeof event->head.call_id);
    event->overrun.held_pusd = op->verdict.hold[GOV_COST];
    event->overrun.held_tokens = op->verdict.hold[GOV_TOKENS];
    event->overrun.charged_pusd = op->event.consumption.charged_pusd;
    event->overrun.charged_tokens = op->event.consumption.tokens_total;
    err = store_append(book->store, event, sizeof event->overrun);
    free(event);
    return err;
}

/* verdict.hold carries the call's hold here: what is above it must be on the disk at once. */
static enum store_err settle(struct side_book *book, struct side_op *op, bool *durable)
{
    const struct store_consumption *used = &op->event.consumption;
    bool over;
    enum store_err err;

    op->event.head.type = STORE_CONSUMPTION;
    op->event.head.ts_ns = side_now_ns();
    op->event.head.scope_count = 0;
    memcpy(op->event.head.call_id, op->call_id, sizeof op->event.head.call_id);
    err = store_settle(book->store, &op->event);
    if (err == STORE_DUPLICATE)
        return STORE_OK;
    over = used->charged_pusd > op->verdict.hold[GOV_COST] ||
           used->tokens_total > op->verdict.hold[GOV_TOKENS];
    if (err == STORE_OK && over && (used->flags & STORE_READ_ONLY_CALL) == 0) {
        err = overrun_append(book, op);
        *durable = true;
    }
    op->run->changes++;
    book->changes++;
    return err == STORE_OK && used->end != STORE_RELEASED ? side_warn(book, op) : err;
}

/* Headroom may have changed for everybody who was refused or waits. */
static enum store_err correct(struct side_book *book, struct side_op *op)
{
    op->event.head.ts_ns = side_now_ns();
    memcpy(op->event.head.call_id, op->call_id, sizeof op->event.head.call_id);
    book->changes++;
    return store_correct(book->store, &op->event);
}

/* A step is spent. */
static enum store_err sent(struct side_book *book, struct side_op *op)
{
    enum store_err err = store_sent(book->store, op->call_id, op->ts_ns);

    return err == STORE_OK ? side_warn(book, op) : err;
}

static enum store_err run_close(struct side_book *book, struct side_op *op)
{
    enum store_err err = side_repeats_flush(book);

    op->run->changes++;
    if (err == STORE_OK)
        err = side_withdraw(book, op, op->run);
    if (err == STORE_OK)
        err = store_run_close(book->store, op->run->id, op->state, op->exit, side_now_ns());
    return err == STORE_DUPLICATE ? STORE_OK : err;
}

/* On a full disk there is room for the ends of what was admitted, and for nothing else. */
static bool finds_room(const struct side_book *book, const struct side_op *op)
{
    static const bool ends[] = {
        [SIDE_OP_CANCEL] = true,    [SIDE_OP_SENT] = true,    [SIDE_OP_SETTLE] = true,
        [SIDE_OP_RUN_CLOSE] = true, [SIDE_OP_BARRIER] = true, [SIDE_OP_STOP] = true,
    };

    return !store_is_full(book->store) || ends[op->kind];
}

/* The run whose question it waited for becomes the operation's own: it is known when this is done
 * again, without the other one. */
static enum store_err cancel(struct side_book *book, struct side_op *op)
{
    op->other = line_find(book, op->call_id);
    if (op->other != NULL) {
        line_leave(book, op->other);
        op->other->cancelled = true;
        if (op->other->asking != NULL)
            op->run = side_run_hold((struct side_run *)(uintptr_t)op->other->asking);
    }
    return op->run != NULL ? side_asks_no_more(book, op, op->run) : STORE_OK;
}

/* The second time, its transaction having come to nothing, it is what it was the first time. */
static void make_ready(struct side_op *op)
{
    const size_t head = offsetof(struct store_event, scopes);

    if (op->applied) {
        memcpy(&op->event, &op->given, head);
        memset(op->event.scopes, 0, sizeof op->event.scopes);
    } else {
        memcpy(&op->given, &op->event, head); /* the scopes are the writer's to fill in */
    }
    op->applied = true;
    for (unsigned i = 0; i < op->notice_count; i++)
        side_run_drop(op->notices[i].run);
    op->notice_count = 0;
}

/* What somebody says that must not be lost. */
static enum store_err apply_word(struct side_book *book, struct side_op *op)
{
    switch (op->kind) {
    case SIDE_OP_EXHAUSTED:
        return side_exhaust(book, op);
    case SIDE_OP_CORRECT:
        return correct(book, op);
    case SIDE_OP_CLOCK:
        return side_clock_accept(book, op->event.clock.actor, op->event.clock.reason);
    case SIDE_OP_PROFILE:
        return side_choose(book, op);
    case SIDE_OP_SELECTED:
        op->event.head.type = STORE_SELECTED;
        op->event.head.ts_ns = side_now_ns();
        return store_select(book->store, &op->event, op->lifts);
    default:
        return side_cool(book, op);
    }
}

bool side_apply(struct side_book *book, struct side_op *op, int64_t now_ms, bool *durable_out)
{
    enum store_err err = STORE_OK;

    if (op->kind == SIDE_OP_TELL) /* comes here only when its transaction came to nothing */
        op->cancelled = true;
    if (op->cancelled) /* before: its transaction came to nothing */
        return true;
    make_ready(op);
    if (!finds_room(book, op)) {
        op->result = STORE_FULL;
        return true;
    }
    switch (op->kind) {
    case SIDE_OP_ADMIT:
        err = side_windows_roll(book);
        if (err != STORE_OK || side_repeat_answers(book, op))
            break;
        if (try_admit(book, op, now_ms, durable_out))
            return true;
        line_join(book, op);
        return false;
    case SIDE_OP_CANCEL:
        err = cancel(book, op);
        break;
    case SIDE_OP_RUN_OPEN:
        err = run_open(book, op);
        *durable_out = true;
        break;
    case SIDE_OP_RUN_CLOSE:
        err = run_close(book, op);
        break;
    case SIDE_OP_USED:
        err = side_use(book, op);
        break;
    case SIDE_OP_EXHAUSTED:
    case SIDE_OP_CORRECT:
    case SIDE_OP_CLOCK:
    case SIDE_OP_PROFILE:
    case SIDE_OP_SELECTED:
    case SIDE_OP_COOLDOWN:
        err = apply_word(book, op);
        *durable_out = true;
        break;
    case SIDE_OP_SENT:
        err = sent(book, op);
        break;
    case SIDE_OP_PROGRESS:
        err = store_progress_put(book->store, op->call_id, op->progress, sizeof *op->progress);
        break;
    case SIDE_OP_SETTLE:
        err = settle(book, op, durable_out);
        break;
    case SIDE_OP_REFUSE:
        err = store_refuse(book->store, &op->event);
        break;
    case SIDE_OP_BARRIER:
    case SIDE_OP_STOP:
        err = side_repeats_flush(book);
        break;
    default:
        err = side_order(book, op);
        *durable_out = true;
        break;
    }
    op->result = err;
    return true;
}

/* ---- the book ----------------------------------------------------------------------------- */

struct side_book *side_book_new(struct store *store)
{
    struct side_book *book = calloc(1, sizeof *book);

    if (book == NULL)
        return NULL;
    book->store = store;
    book->waiting_tail = &book->waiting;
    side_windows_forget(book);
    side_overrides_read(book);
    return book;
}

void side_book_rollback(struct side_book *book)
{
    for (unsigned i = 0; i < book->repeat_count; i++)
        book->repeats[i].used = false;
    book->clock_known = false;
    book->direct_known = false;
    book->now_s = 0;
    side_windows_forget(book);
    side_overrides_read(book);
}

void side_book_free(struct side_book *book)
{
    while (book != NULL && book->waiting != NULL) {
        struct side_op *op = book->waiting;

        book->waiting = op->next;
        side_op_free(op);
    }
    free(book);
}
