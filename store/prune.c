/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting: the oldest records go, and with them the rows of calls and runs that are over, once a
 * proof has gone over them; what they came to stays. */
#include "store/store_int.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define WORTH   256u                          /* records, for a checkpoint of their own ... */
#define WAIT_NS (INT64_C(86400) * 1000000000) /* ... unless one is so much older */
#define TOUCHED 4096u                         /* runs that may be over, of one go */

struct pruning {
    struct store *store;
    struct store_view view;
    struct store_proof proof;
    struct store_check *check;
    struct store_event scratch;
    int64_t now_ns, before_ns;
    uint64_t from, upto;
    uint8_t head[32];
    unsigned touched_count;
    uint8_t touched[TOUCHED][16];
};

/* ---- what goes ---------------------------------------------------------------------------- */

static enum store_err drop_record(struct store *store, uint64_t seq)
{
    uint8_t key[8];

    store_seq_key(seq, key);
    return store_delete(store, STORE_CHAIN, key, sizeof key);
}

static enum store_err drop_keys(struct store *store, const struct store_event *event,
                                const char *session, const struct store_admission *asked)
{
    struct store_index_key keys[STORE_INDEX_MAX];
    unsigned count = store_index_keys(event, session, asked, keys);
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i < count && err == STORE_OK; i++)
        err = store_delete(store, STORE_INDEX, &keys[i], sizeof keys[i]);
    return err;
}

static void touch(struct pruning *pruning, const uint8_t run_id[16])
{
    for (unsigned i = pruning->touched_count; i > 0; i--)
        if (memcmp(pruning->touched[i - 1], run_id, 16) == 0)
            return;
    if (pruning->touched_count < TOUCHED)
        memcpy(pruning->touched[pruning->touched_count++], run_id, 16);
}

static enum store_err drop_object(struct store *store, const struct store_event *ended)
{
    uint8_t owner[16];
    enum store_err err = store_get(store, store->txn, STORE_OBJECTS, ended->consumption.object,
                                   sizeof ended->consumption.object, owner, sizeof owner);

    if (err == STORE_OK && memcmp(owner, ended->head.call_id, sizeof owner) == 0)
        return store_delete(store, STORE_OBJECTS, ended->consumption.object,
                            sizeof ended->consumption.object);
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}

static enum store_err drop_corrections(struct pruning *pruning, uint64_t seq)
{
    struct store *store = pruning->store;
    enum store_err err = STORE_OK;

    while (err == STORE_OK && seq != 0) {
        uint64_t this = seq;

        err = store_chain_get(store, store->txn, seq, &pruning->scratch, NULL);
        seq = pruning->scratch.corrected.before_seq;
        if (err == STORE_OK)
            err = drop_record(store, this);
    }
    return err;
}

/* All of it: its last record is one of those that go. */
static enum store_err drop_call(struct pruning *pruning, const struct store_call *call)
{
    struct store *store = pruning->store;
    struct store_event *event = &pruning->scratch;
    struct store_admission asked = {0};
    struct store_run run;
    enum store_err err = store_run_get(store, call->run_id, &run);

    if (err == STORE_OK && call->admission_seq != 0) {
        err = store_chain_get(store, store->txn, call->admission_seq, event, NULL);
        asked = event->admission;
        if (err == STORE_OK)
            err = drop_keys(store, event, run.allocation.session, NULL);
        if (err == STORE_OK)
            err = drop_record(store, call->admission_seq);
    }
    if (err == STORE_OK)
        err = store_chain_get(store, store->txn, call->consumption_seq, event, NULL);
    if (err == STORE_OK)
        err = drop_keys(store, event, run.allocation.session, &asked);
    if (err == STORE_OK && event->head.type == STORE_CONSUMPTION)
        err = drop_object(store, event);
    if (err == STORE_OK)
        err = drop_record(store, call->consumption_seq);
    if (err == STORE_OK && call->state == STORE_CALL_ENDED)
        err = drop_corrections(pruning, call->later_seq);
    if (err == STORE_OK)
        err = store_delete(store, STORE_CALLS, call->call_id, sizeof call->call_id);
    touch(pruning, call->run_id);
    return err;
}

/* A record of a call: the last one takes the others along; those that nothing needs go at once. */
static enum store_err prune_of_call(struct pruning *pruning, const struct store_record *head)
{
    struct store_call call;
    enum store_err err = store_call_get(pruning->store, head->call_id, &call);
    uint64_t last;

    if (err != STORE_OK)
        return STORE_DAMAGED;
    last = call.later_seq > call.consumption_seq ? call.later_seq : call.consumption_seq;
    if (call.state != STORE_CALL_HELD && call.state != STORE_CALL_SENT && last == head->seq) {
        if (head->type == STORE_REFUSAL && call.consumption_seq != head->seq)
            err = drop_record(pruning->store, head->seq);
        return err == STORE_OK ? drop_call(pruning, &call) : err;
    }
    return head->type == STORE_REFUSAL && call.consumption_seq != head->seq
               ? drop_record(pruning->store, head->seq)
               : STORE_OK;
}

/* A question, an override, a stop to come stays until what ends it goes, which takes it along. */
static enum store_err prune_order(struct pruning *pruning, const struct store_event *event)
{
    const struct store_turned *turned = &event->turned;
    enum store_err err = STORE_OK;
    uint64_t before = 0;

    if (event->head.type == STORE_ASKED ||
        (event->head.type == STORE_OVERRIDE && event->override.word == STORE_ADDED) ||
        (event->head.type == STORE_TURNED && store_is_stop_to_come(turned)))
        return STORE_OK;
    if (event->head.type == STORE_ANSWERED)
        before = event->answered.of_seq;
    else if (event->head.type == STORE_OVERRIDE)
        before = event->override.of_seq;
    else if (event->head.type == STORE_TURNED)
        before = turned->of_seq;
    if (before != 0)
        err = drop_record(pruning->store, before);
    return err == STORE_OK ? drop_record(pruning->store, event->head.seq) : err;
}

static enum store_err prune_record(struct pruning *pruning, const struct store_event *event)
{
    const struct store_record *head = &event->head;

    switch (head->type) {
    case STORE_ALLOCATION: /* goes with its run */
        return STORE_OK;
    case STORE_ADMISSION:
    case STORE_CONSUMPTION:
    case STORE_REFUSAL:
    case STORE_CORRECTED:
        return prune_of_call(pruning, head);
    default:
        touch(pruning, head->run_id);
        return prune_order(pruning, event);
    }
}

/* ---- runs --------------------------------------------------------------------------------- */

static bool has_any(struct pruning *pruning, enum store_index kind, const uint8_t run_id[16])
{
    struct store_index_key from;
    MDB_val key, value;

    store_index_run(&from, kind, run_id);
    return store_step(&pruning->view, STORE_INDEX, &from, sizeof from, false, &key, &value) ==
               STORE_OK &&
           key.mv_size == sizeof from && memcmp(key.mv_data, &from, sizeof from - 16) == 0;
}

static enum store_err drop_run(struct pruning *pruning, const struct store_run *run)
{
    struct store *store = pruning->store;
    struct store_scope_key key;
    enum store_err err =
        store_chain_get(store, store->txn, run->allocation_seq, &pruning->scratch, NULL);

    if (err == STORE_OK)
        err = drop_keys(store, &pruning->scratch, run->allocation.session, NULL);
    if (err == STORE_OK)
        err = drop_record(store, run->allocation_seq);
    if (err == STORE_OK)
        err = store_delete(store, STORE_RUNS, run->run_id, sizeof run->run_id);
    store_scope_run(&key, run->run_id);
    if (err == STORE_OK)
        err = store_delete(store, STORE_COUNTERS, &key, sizeof key);
    store_check_forget(&pruning->check->sums, &key, store_by_scope, &pruning->check->sum_count);
    store_check_forget(&pruning->check->runs, run->run_id, store_by_id, &pruning->check->run_count);
    touch(pruning, run->allocation.parent);         /* which may have waited for it */
    return err == STORE_NOT_FOUND ? STORE_OK : err; /* no counter: nothing was ever booked */
}

/* Whether what goes is all that its counter came of: more may be booked of a run that is over. */
static bool is_all_of_it(struct pruning *pruning, const uint8_t run_id[16])
{
    static const struct store_sum none;
    struct store_scope_key key;
    struct store_counter counter;
    const struct store_sum *sum;
    void **found;

    store_scope_run(&key, run_id);
    found = tfind(&key, &pruning->check->sums, store_by_scope);
    sum = found != NULL ? *found : &none;
    (void)store_counter_get(pruning->store, &key, &counter);
    return store_same_counter(&counter, &sum->counter);
}

/* A run that is over, all of whose records are among those that go, and no run that counts in it.
 */
static enum store_err prune_run(struct pruning *pruning, const uint8_t run_id[16])
{
    void **found = tfind(run_id, &pruning->check->runs, store_by_id);
    const struct store_run_sum *sum = found != NULL ? *found : NULL;
    struct store_run run;

    if (sum == NULL || sum->row.ended_ns == 0 || has_any(pruning, STORE_CALLS_OF_RUN, run_id) ||
        has_any(pruning, STORE_RUNS_OF_RUN, run_id) ||
        store_run_get(pruning->store, run_id, &run) != STORE_OK ||
        run.ended_ns != sum->row.ended_ns || /* it goes on, behind those that go */
        !is_all_of_it(pruning, run_id))
        return STORE_OK;
    return drop_run(pruning, &run);
}

/* ---- a go --------------------------------------------------------------------------------- */

/* How far to go: *upto the last one that goes; the same as from - 1: none. */
static enum store_err reach(struct pruning *pruning, unsigned most)
{
    int64_t before_ns = pruning->before_ns;
    struct store *store = pruning->store;
    int64_t oldest_ns = before_ns;
    uint64_t last = store->seq > 0 ? store->seq - 1 : 0;
    enum store_err err = STORE_OK;

    pruning->upto = pruning->from - 1;
    while (pruning->upto < last && pruning->upto - (pruning->from - 1) < most) {
        err = store_chain_get(store, store->txn, pruning->upto + 1, &pruning->scratch, NULL);
        if (err != STORE_OK || pruning->scratch.head.ts_ns >= before_ns)
            break;
        if (pruning->scratch.head.ts_ns < oldest_ns)
            oldest_ns = pruning->scratch.head.ts_ns;
        pruning->upto++;
    }
    if (pruning->upto - (pruning->from - 1) < WORTH && oldest_ns > before_ns - WAIT_NS)
        pruning->upto = pruning->from - 1;
    return err;
}

/* Goes over them as a proof does; after that nothing beside them is known any more. */
static enum store_err prove(struct pruning *pruning)
{
    struct store_check *check = pruning->check;
    uint8_t prev[32];
    enum store_err err = store_base_load(check);

    if (err == STORE_OK && check->pruned.checkpoint_seq != 0)
        err = store_chain_get(pruning->store, pruning->store->txn, check->pruned.checkpoint_seq,
                              &pruning->scratch, NULL);
    if (err != STORE_OK)
        return err;
    check->checkpoint = pruning->scratch.checkpoint;
    check->checkpoint_seq = check->pruned.checkpoint_seq;
    store_check_base(check);
    memcpy(prev, check->pruned.head, sizeof prev);
    for (uint64_t seq = pruning->from; err == STORE_OK && seq <= pruning->upto; seq++) {
        err =
            store_chain_get(pruning->store, pruning->store->txn, seq, &check->event, pruning->head);
        if (err == STORE_OK && (check->event.head.seq != seq ||
                                memcmp(check->event.head.prev, prev, sizeof prev) != 0))
            err = STORE_DAMAGED;
        if (err == STORE_OK)
            store_check_record(check);
        memcpy(prev, pruning->head, sizeof prev);
    }
    if (err == STORE_OK && check->out_of_memory)
        err = STORE_NOMEM;
    return err == STORE_OK && !(pruning->proof.chain && pruning->proof.sums && pruning->proof.caps)
               ? STORE_DAMAGED
               : err;
}

static enum store_err take_away(struct pruning *pruning)
{
    struct store *store = pruning->store;
    enum store_err err = STORE_OK;

    for (uint64_t seq = pruning->from; err == STORE_OK && seq <= pruning->upto; seq++) {
        err = store_chain_get(store, store->txn, seq, &pruning->check->event, NULL);
        if (err == STORE_OK && pruning->check->event.head.seq == seq)
            err = prune_record(pruning, &pruning->check->event);
    }
    for (unsigned i = 0; err == STORE_OK && i < pruning->touched_count; i++)
        err = prune_run(pruning, pruning->touched[i]);
    return err;
}

static enum store_err write_checkpoint(struct pruning *pruning)
{
    struct store *store = pruning->store;
    struct store_event *event = &pruning->scratch;
    struct store_pruned pruned = {.upto = pruning->upto};
    uint64_t kept = 0;
    enum store_err err;

    memset(event, 0, sizeof *event);
    event->head.type = STORE_CHECKPOINT;
    event->head.ts_ns = pruning->now_ns;
    event->checkpoint.upto = pruning->upto;
    event->checkpoint.before_ns = pruning->before_ns;
    memcpy(event->checkpoint.head, pruning->head, sizeof event->checkpoint.head);
    memcpy(pruned.head, pruning->head, sizeof pruned.head);
    err = store_base_write(store, pruning->check, pruning->upto, event->checkpoint.base, &kept);
    event->checkpoint.pruned = pruning->upto - kept;
    if (err == STORE_OK)
        err = store_append(store, event, sizeof event->checkpoint);
    pruned.checkpoint_seq = event->head.seq;
    return err == STORE_OK ? store_put(store, STORE_META, "pruned", 6, &pruned, sizeof pruned)
                           : err;
}

static enum store_err prune(struct pruning *pruning, unsigned most, unsigned *count_out)
{
    struct store_pruned pruned;
    enum store_err err = store_pruned_read(pruning->store, pruning->store->txn, &pruned);

    if (err == STORE_OK) {
        pruning->from = pruned.upto + 1;
        err = reach(pruning, most);
    }
    if (err != STORE_OK || pruning->upto < pruning->from)
        return err;
    err = prove(pruning);
    if (err != STORE_OK)
        return err;
    err = take_away(pruning);
    if (err == STORE_OK)
        err = write_checkpoint(pruning);
    *count_out = (unsigned)(pruning->upto - pruning->from + 1);
    return store_spoil(pruning->store, err);
}

enum store_err store_prune(struct store *store, int64_t now_ns, int64_t before_ns, unsigned most,
                           unsigned *count_out)
{
    struct pruning *pruning = calloc(1, sizeof *pruning);
    enum store_err err = STORE_NOMEM;

    *count_out = 0;
    if (pruning != NULL)
        pruning->check = calloc(1, sizeof *pruning->check);
    if (pruning != NULL && pruning->check != NULL) {
        pruning->store = store;
        pruning->now_ns = now_ns;
        pruning->before_ns = before_ns;
        pruning->view = (struct store_view){store, store->txn};
        pruning->proof.chain = pruning->proof.sums = pruning->proof.caps = true;
        pruning->check->view = &pruning->view;
        pruning->check->proof = &pruning->proof;
        err = prune(pruning, most, count_out);
        store_check_free(pruning->check);
    }
    free(pruning);
    return err;
}
