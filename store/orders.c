/* SPDX-License-Identifier: Apache-2.0 */
/* What people decide, and what they are asked: questions and answers, limits that are raised,
 * states of runs. A run's row is what its records made of it, step by step: the same function takes
 * each step when it is written and when it is proven. */
#include "store/store_int.h"

#include <string.h>

/* ---- a run's row -------------------------------------------------------------------------- */

static void pause_ends(struct store_run *run, int64_t ts_ns)
{
    int64_t lasted = ts_ns - run->paused_since_ns;

    if (run->paused_since_ns != 0 && lasted > 0) /* the clock may have been set back */
        run->paused_ns += lasted;
    run->paused_since_ns = 0;
    run->paused_by_hand = 0;
}

static void state_is(struct store_run *run, enum gov_state state, const uint16_t *reasons,
                     unsigned count)
{
    run->state = (uint8_t)state;
    memset(run->reasons, 0, sizeof run->reasons);
    run->reason_count = (uint8_t)(count < GOV_CODES_MAX ? count : GOV_CODES_MAX);
    if (run->reason_count > 0)
        memcpy(run->reasons, reasons, run->reason_count * sizeof reasons[0]);
}

static void apply_turned(struct store_run *run, const struct store_event *event)
{
    static const uint16_t stopped[] = {GOV_REASON_STOPPED};

    if (event->turned.word != STORE_PAUSED)
        pause_ends(run, event->head.ts_ns);
    switch (event->turned.word) {
    case STORE_PAUSED:
        run->state = GOV_PAUSED;
        run->paused_since_ns = event->head.ts_ns;
        run->paused_by_hand = event->turned.by_hand;
        break;
    case STORE_STOPPED:
        state_is(run, GOV_BUDGET_STOPPED, stopped, 1);
        break;
    case STORE_REOPENED:
        if (event->head.ts_ns > run->ended_ns)
            run->paused_ns += event->head.ts_ns - run->ended_ns;
        run->ended_ns = 0;
        run->pid = event->turned.pid;
        run->pid_start = event->turned.pid_start;
        memcpy(run->boot_id, event->turned.boot_id, sizeof run->boot_id);
        if (run->state != GOV_BUDGET_STOPPED) /* which only a reset lifts */
            state_is(run, GOV_RUNNING, NULL, 0);
        break;
    default:
        state_is(run, GOV_RUNNING, NULL, 0);
        break;
    }
}

void store_run_apply(struct store_run *run, const struct store_event *event)
{
    switch (event->head.type) {
    case STORE_ASKED:
        run->asked_seq = event->head.seq;
        break;
    case STORE_ANSWERED:
        run->asked_seq = 0;
        if (event->answered.answer == STORE_APPROVED && event->answered.dim == GOV_DIMS)
            run->task_approved = 1;
        if (event->answered.answer == STORE_DENIED || event->answered.answer == STORE_TIMED_OUT) {
            pause_ends(run, event->head.ts_ns);
            state_is(run, GOV_CANCELLED, event->answered.reasons, event->answered.reason_count);
        }
        break;
    case STORE_TURNED:
        apply_turned(run, event);
        break;
    case STORE_RUN_ENDED:
        pause_ends(run, event->head.ts_ns);
        state_is(run, GOV_FAILED, event->run_ended.reasons, event->run_ended.reason_count);
        break;
    case STORE_COMPLETED:
        pause_ends(run, event->head.ts_ns);
        run->state = event->completed.state;
        run->ended_ns = event->head.ts_ns;
        break;
    default:
        break;
    }
}

bool store_is_stop_to_come(const struct store_turned *turned)
{
    return turned->word == STORE_STOPPED && turned->key.kind != GOV_RUN;
}

static bool turned_fits(const struct store_run *run, const struct store_turned *turned)
{
    bool lives = run->ended_ns == 0;

    switch (turned->word) {
    case STORE_PAUSED:
        return lives && run->state == GOV_RUNNING;
    case STORE_RESUMED:
        return lives && run->state == GOV_PAUSED && run->asked_seq == 0;
    case STORE_STOPPED:
        return lives && run->state != GOV_BUDGET_STOPPED && run->asked_seq == 0;
    case STORE_RESET:
        return lives && run->state != GOV_RUNNING && run->state != GOV_PAUSED;
    case STORE_REOPENED:
        return !lives;
    default:
        return false;
    }
}

bool store_run_fits(const struct store_run *run, const struct store_event *event)
{
    switch (event->head.type) {
    case STORE_ASKED:
        return run->asked_seq == 0 && run->ended_ns == 0;
    case STORE_ANSWERED:
        return run->asked_seq != 0 && event->answered.of_seq == run->asked_seq;
    case STORE_TURNED:
        return turned_fits(run, &event->turned);
    case STORE_RUN_ENDED:
        return run->asked_seq == 0;
    default:
        return true;
    }
}

int64_t store_paused_ns(const struct store_run *run, int64_t now_ns)
{
    struct store_run copy = *run;

    pause_ends(&copy, now_ns);
    return copy.paused_ns;
}

/* ---- questions ---------------------------------------------------------------------------- */

/* RFC 9562, version 7: milliseconds, then, instead of random bits, the record's number. */
static void checkpoint_make(uint64_t seq, int64_t ts_ns, uint8_t out[16])
{
    uint64_t ms = (uint64_t)ts_ns / 1000000;

    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(ms >> (40 - 8 * i));
    out[6] = 0x70;
    out[7] = 0;
    store_seq_key(seq & (UINT64_MAX >> 2), out + 8);
    out[8] |= 0x80;
}

uint64_t store_checkpoint_seq(const uint8_t checkpoint_id[16])
{
    return store_key_seq(checkpoint_id + 8) & (UINT64_MAX >> 2);
}

static enum store_err answer_fill(struct store *store, struct store_event *event)
{
    struct store_event asked;
    enum store_err err = store_chain_get(store, store->txn, event->answered.of_seq, &asked, NULL);

    if (err == STORE_OK && asked.head.type == STORE_ASKED) {
        memcpy(event->answered.checkpoint_id, asked.asked.checkpoint_id,
               sizeof event->answered.checkpoint_id);
        event->answered.dim = asked.asked.dim;
    }
    return err;
}

/* ---- states ------------------------------------------------------------------------------- */

static enum store_err counters_fill(struct store *store, struct store_event *event)
{
    struct store_counter counter;
    enum store_err err = store_counter_get(store, &event->turned.key, &counter);

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        event->turned.spent[dim] = store_spent(&counter, (enum gov_dim)dim);
    memcpy(event->turned.held, counter.held, sizeof event->turned.held);
    return STORE_OK;
}

/* A session, or everything: what runs are yet to come begin in that state. */
static enum store_err turn_scope(struct store *store, struct store_event *event)
{
    const struct store_scope_key *key = &event->turned.key;
    bool stop = event->turned.word == STORE_STOPPED;
    uint64_t seq;
    enum store_err err =
        store_get(store, store->txn, STORE_ORDERS, key, sizeof *key, &seq, sizeof seq);

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    if ((err == STORE_OK) == stop || (!stop && event->turned.word != STORE_RESET))
        return STORE_DUPLICATE;
    event->turned.of_seq = stop ? 0 : seq;
    err = store_spoil(store, store_append(store, event, sizeof event->turned));
    seq = event->head.seq;
    if (err == STORE_OK && stop)
        err = store_put(store, STORE_ORDERS, key, sizeof *key, &seq, sizeof seq);
    else if (err == STORE_OK)
        err = store_delete(store, STORE_ORDERS, key, sizeof *key);
    return store_spoil(store, err);
}

enum store_err store_turn(struct store *store, struct store_event *event)
{
    struct store_run run;
    enum store_err err = STORE_OK;

    if (event->head.type == STORE_TURNED)
        err = counters_fill(store, event);
    if (err == STORE_OK && event->head.type == STORE_TURNED && event->turned.key.kind != GOV_RUN)
        return turn_scope(store, event);
    if (err == STORE_OK)
        err = store_run_get(store, event->head.run_id, &run);
    if (err == STORE_OK && !store_run_fits(&run, event))
        return STORE_CONFLICT;
    if (err == STORE_OK && event->head.type == STORE_ANSWERED)
        err = answer_fill(store, event);
    if (err != STORE_OK)
        return err;
    if (event->head.type == STORE_ASKED)
        checkpoint_make(store->seq + 1, event->head.ts_ns, event->asked.checkpoint_id);
    err = store_append(store, event, store_body_bytes(event->head.type));
    store_run_apply(&run, event);
    return store_spoil(store, err == STORE_OK ? store_run_put(store, &run) : err);
}

/* ---- limits ------------------------------------------------------------------------------- */

enum store_err store_extend(struct store *store, struct store_event *event)
{
    struct store_extended *extended = &event->extended;
    struct store_counter counter;
    int64_t sum;
    enum store_err err = store_counter_get(store, &extended->key, &counter);

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    if (extended->dim >= GOV_DIMS || extended->additional <= 0 ||
        __builtin_add_overflow(counter.extended[extended->dim], extended->additional, &sum) ||
        extended->limit < sum)
        return STORE_OVER;
    counter.extended[extended->dim] = sum;
    err = store_append(store, event, sizeof *extended);
    return store_spoil(store,
                       err == STORE_OK ? store_counter_put(store, &extended->key, &counter) : err);
}

enum store_err store_override(struct store *store, struct store_event *event)
{
    struct store_override *override = &event->override;
    struct store_override row;
    enum store_err err = store_get(store, store->txn, STORE_ORDERS, override->id,
                                   sizeof override->id, &row, sizeof row);

    if (override->word == STORE_ADDED && err != STORE_NOT_FOUND)
        return err == STORE_OK ? STORE_DUPLICATE : err;
    if (override->word != STORE_ADDED && err != STORE_OK)
        return err;
    override->of_seq = override->word == STORE_ADDED ? 0 : row.of_seq;
    err = store_append(store, event, sizeof *override);
    row = *override;
    row.of_seq = event->head.seq;
    if (err == STORE_OK && override->word == STORE_ADDED)
        err = store_put(store, STORE_ORDERS, row.id, sizeof row.id, &row, sizeof row);
    else if (err == STORE_OK)
        err = store_delete(store, STORE_ORDERS, override->id, sizeof override->id);
    return store_spoil(store, err);
}

/* ---- reading ------------------------------------------------------------------------------ */

enum store_err store_view_next_override(struct store_view *view, const uint8_t *last,
                                        struct store_override *out)
{
    uint8_t at[sizeof(struct store_scope_key)];
    MDB_val key = {last != NULL ? 16 : 0, at}, value;
    enum store_err err;

    if (last != NULL)
        memcpy(at, last, 16);
    do { /* stops stand between them */
        err = store_step(view, STORE_ORDERS, at, key.mv_size, false, &key, &value);
        if (err != STORE_OK)
            return err;
        if (key.mv_size > sizeof at)
            return STORE_DAMAGED;
        memcpy(at, key.mv_data, key.mv_size);
    } while (key.mv_size != 16);
    if (value.mv_size != sizeof *out)
        return STORE_DAMAGED;
    memcpy(out, value.mv_data, sizeof *out);
    return memcmp(out->id, at, sizeof out->id) == 0 ? STORE_OK : STORE_DAMAGED;
}

bool store_is_stopped(const struct store *store, const struct store_scope_key *key)
{
    uint64_t seq;

    return store_get(store, store->txn, STORE_ORDERS, key, sizeof *key, &seq, sizeof seq) !=
           STORE_NOT_FOUND; /* one that cannot be read is one */
}

enum store_err store_event_get(struct store *store, uint64_t seq, struct store_event *out)
{
    enum store_err err = store_chain_get(store, store->txn, seq, out, NULL);

    return err == STORE_OK && out->head.seq != seq ? STORE_NOT_FOUND : err;
}
