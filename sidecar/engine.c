/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: one thread, one transaction for all that has queued up, one sync for all who wait for
 * one. What could not be written is told to those who asked for admission (they are refused), and
 * is tried again where it must not be lost: the end of a call. */
#include "sidecar/side_book.h"
#include "sidecar/spare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RETRY_MS 200
#define TICK_MS  1000
#define SOON_MS  50

#define FORGET_MOST 256u /* records of one go */
#define LINGER_MS   2    /* ends of calls wait so long for an admission to be committed with */

struct side_engine {
    struct side *side;
    struct store *store;
    struct side_book *book;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct side_op *queue, **tail;
    struct side_op *retry, **retry_tail; /* the writer's alone */
    int64_t tick_ms;                     /* when to look after the ledger */
    bool unproven;                       /* old records are not what they came to */
    struct side_op *stop;                /* made at the beginning: ending needs no memory */
};

/* ---- the queue ---------------------------------------------------------------------------- */

void side_post(struct side *side, struct side_op *op)
{
    struct side_engine *engine = side->engine;

    if (engine == NULL) { /* shutting down: what is open stays open for the next sidecar */
        side_op_free(op);
        return;
    }
    op->next = NULL;
    pthread_mutex_lock(&engine->lock);
    *engine->tail = op;
    engine->tail = &op->next;
    pthread_mutex_unlock(&engine->lock);
    pthread_cond_signal(&engine->wake); /* one that is woken first would wait for the lock */
}

static struct timespec monotonic_at(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* With the lock held. */
static bool wait_until(struct side_engine *engine, int64_t deadline_ms)
{
    struct timespec until = monotonic_at(deadline_ms);

    return (deadline_ms == INT64_MAX
                ? pthread_cond_wait(&engine->wake, &engine->lock)
                : pthread_cond_timedwait(&engine->wake, &engine->lock, &until)) != ETIMEDOUT;
}

/* Ends of calls, which nobody waits for: a sync of their own would be a waste. */
static bool is_lazy(const struct side_op *op)
{
    for (; op != NULL; op = op->next)
        if (op->kind != SIDE_OP_SETTLE && op->kind != SIDE_OP_SENT &&
            op->kind != SIDE_OP_PROGRESS && op->kind != SIDE_OP_USED)
            return false;
    return true;
}

/* All that is queued; NULL when the deadline came first. */
static struct side_op *take(struct side_engine *engine, int64_t deadline_ms)
{
    bool in_time = true, line = engine->book->waiting != NULL;
    struct side_op *batch;

    pthread_mutex_lock(&engine->lock);
    while (engine->queue == NULL && in_time)
        in_time = wait_until(engine, deadline_ms);
    deadline_ms = side_now_ms() + LINGER_MS;
    while (engine->queue != NULL && !line && in_time && is_lazy(engine->queue))
        in_time = wait_until(engine, deadline_ms);
    batch = engine->queue;
    engine->queue = NULL;
    engine->tail = &engine->queue;
    pthread_mutex_unlock(&engine->lock);
    return batch;
}

/* ---- a batch ------------------------------------------------------------------------------ */

static bool must_not_be_lost(const struct side_op *op)
{
    return op->kind == SIDE_OP_SETTLE || op->kind == SIDE_OP_SENT ||
           op->kind == SIDE_OP_RUN_CLOSE || op->kind == SIDE_OP_CANCEL;
}

/* Applies the batch in the open transaction; *done gets what is through. */
static void apply_all(struct side_engine *engine, struct side_op *batch, bool *durable,
                      struct side_op **done)
{
    struct side_op **tail = done;
    int64_t now_ms = side_now_ms();

    while (batch != NULL) {
        struct side_op *op = batch;

        batch = op->next;
        op->next = NULL;
        if (!side_apply(engine->book, op, now_ms, durable))
            continue;
        if (op->kind == SIDE_OP_CANCEL && op->other != NULL) { /* out of the line, and through */
            *tail = op->other;
            tail = &op->other->next;
        }
        *tail = op;
        tail = &op->next;
    }
    side_apply_waiting(engine->book, now_ms, durable, &tail);
    *tail = engine->book->told;
    engine->book->told = NULL;
}

static void fail_or_retry(struct side_engine *engine, struct side_op *op, enum store_err err)
{
    op->next = NULL;
    op->result = err;
    if (must_not_be_lost(op)) {
        *engine->retry_tail = op;
        engine->retry_tail = &op->next;
    } else {
        side_deliver_ops(engine->side, op);
    }
}

static enum store_err commit(struct side_engine *engine, struct side_op *batch,
                             struct side_op **done)
{
    enum store_err err = store_begin(engine->store);
    bool durable = false;

    *done = batch;
    if (err != STORE_OK)
        return err;
    *done = NULL;
    apply_all(engine, batch, &durable, done);
    err = store_commit(engine->store, durable);
    if (err != STORE_OK) {
        side_book_rollback(engine->book);
        engine->tick_ms = 0; /* it may be closed for writing */
    }
    return err;
}

/* A transaction that fails takes everybody in it along: then each gets one of its own. */
static void one_by_one(struct side_engine *engine, struct side_op *batch)
{
    while (batch != NULL) {
        struct side_op *op = batch, *done;
        enum store_err err;

        batch = op->next;
        op->next = NULL;
        err = commit(engine, op, &done);
        while (done != NULL) {
            struct side_op *next = done->next;

            if (err != STORE_OK) {
                fail_or_retry(engine, done, err);
            } else {
                done->next = NULL;
                side_deliver_ops(engine->side, done);
            }
            done = next;
        }
    }
}

static void run_batch(struct side_engine *engine, struct side_op *batch)
{
    struct side_op *done;

    if (commit(engine, batch, &done) == STORE_OK)
        side_deliver_ops(engine->side, done);
    else
        one_by_one(engine, done);
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Ops before a stop are a batch of their own; what waits then is told so by its caller's end. */
static bool holds_stop(struct side_op *batch)
{
    for (; batch != NULL; batch = batch->next)
        if (batch->kind == SIDE_OP_STOP)
            return true;
    return false;
}

static struct side_op *with_retries(struct side_engine *engine, struct side_op *batch)
{
    struct side_op *all = engine->retry;

    if (all == NULL)
        return batch;
    *engine->retry_tail = batch;
    engine->retry = NULL;
    engine->retry_tail = &engine->retry;
    return all;
}

/* Old records go, as many as callers do not notice; none while it is in doubt how old they are. */
static void forget_some(struct side_engine *engine)
{
    struct side_book *book = engine->book;
    int64_t retention_ms = engine->side->retention_ms;
    enum store_err err;
    unsigned count = 0;

    if (retention_ms <= 0 || engine->unproven || store_is_full(engine->store) ||
        store_begin(engine->store) != STORE_OK)
        return;
    err = side_clock_look(book);
    if (err == STORE_OK && !book->clock.jumped)
        err = store_prune(engine->store, book->wall_ns, book->wall_ns - retention_ms * 1000000,
                          FORGET_MOST, &count);
    engine->unproven = err == STORE_DAMAGED; /* it stays, for `flyball verify` to say why */
    if (err == STORE_OK)
        err = store_commit(engine->store, false);
    else
        store_abort(engine->store);
    if (err != STORE_OK)
        side_book_rollback(book);
    else if (count == FORGET_MOST)
        engine->tick_ms = side_now_ms() + SOON_MS;
}

/* A ledger that is closed for writing is opened anew by the next sidecar, which looks at what is
 * really there. */
static void look_after(struct side_engine *engine)
{
    if (side_now_ms() < engine->tick_ms)
        return;
    engine->tick_ms = side_now_ms() + TICK_MS;
    if (store_tick(engine->store) == STORE_LATCHED)
        side_give_up(engine->side);
    else
        forget_some(engine);
}

static void *writer(void *argument)
{
    struct side_engine *engine = argument;
    bool stop = false;

    while (!stop) {
        int64_t deadline = side_book_deadline(engine->book);
        struct side_op *batch;

        look_after(engine);
        if (engine->tick_ms < deadline)
            deadline = engine->tick_ms;

        if (engine->retry != NULL && side_now_ms() + RETRY_MS < deadline)
            deadline = side_now_ms() + RETRY_MS;
        batch = take(engine, deadline);
        stop = holds_stop(batch);
        run_batch(engine, with_retries(engine, batch));
    }
    return NULL;
}

struct side_engine *side_engine_start(struct side *side, struct store *store)
{
    struct side_engine *engine = calloc(1, sizeof *engine);
    pthread_condattr_t monotonic;

    if (engine == NULL)
        return NULL;
    engine->side = side;
    engine->store = store;
    engine->tail = &engine->queue;
    engine->retry_tail = &engine->retry;
    engine->book = side_book_new(store);
    engine->stop = side_op_new(SIDE_OP_STOP, NULL, NULL, NULL);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (engine->book == NULL || engine->stop == NULL ||
        pthread_create(&engine->thread, NULL, writer, engine) != 0) {
        side_book_free(engine->book);
        side_op_free(engine->stop);
        free(engine);
        return NULL;
    }
    return engine;
}

void side_engine_stop(struct side_engine *engine)
{
    struct side_op *left;

    if (engine == NULL)
        return;
    side_post(engine->side, engine->stop);
    pthread_join(engine->thread, NULL);
    for (left = engine->retry; left != NULL;) { /* the holds stay: counted, not lost */
        struct side_op *next = left->next;

        side_op_free(left);
        left = next;
    }
    side_book_free(engine->book);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->wake);
    free(engine);
}

/* ---- operations --------------------------------------------------------------------------- */

struct side_op *side_op_new(enum side_op_kind kind, struct side_run *run,
                            void (*done)(struct side *, struct side_op *), void *owner)
{
    struct side_op *op = side_spare_take(&side_spare_ops, sizeof *op);

    if (op == NULL)
        return NULL;
    memset(op, 0, offsetof(struct side_op, event.scopes));
    op->kind = kind;
    op->run = run != NULL ? side_run_hold(run) : NULL;
    op->done = done;
    op->owner = owner;
    return op;
}

void side_op_about(struct side_op *op, const struct meter_request *request)
{
    side_text_copy(op->about.provider, sizeof op->about.provider,
                   meter_provider_name(request->provider));
    side_text_copy(op->about.model, sizeof op->about.model, request->model);
    if (op->run->routing != NULL)
        side_text_copy(op->about.tier, sizeof op->about.tier,
                       gov_tier_name(gov_tier_of(&op->run->routing->gov, op->about.provider,
                                                 op->about.model)));
}

void side_op_free(struct side_op *op)
{
    if (op == NULL)
        return;
    for (unsigned i = 0; i < op->notice_count; i++)
        side_run_drop(op->notices[i].run);
    side_run_drop(op->run);
    free(op->candidates);
    free(op->progress);
    side_spare_give(&side_spare_ops, op);
}
