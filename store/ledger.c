/* SPDX-License-Identifier: Apache-2.0 */
/* What may happen to a call: the hold, the request's first byte, the one end; each booked in every
 * scope or in none. What can be wrong is looked at before the first write; when a write fails
 * nevertheless, the transaction is spoilt: nothing of it will be committed. */
#include "store/store_int.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

/* ---- keys --------------------------------------------------------------------------------- */

void store_scope_run(struct store_scope_key *out, const uint8_t run_id[16])
{
    memset(out, 0, sizeof *out);
    out->kind = GOV_RUN;
    memcpy(out->id, run_id, sizeof out->id);
}

void store_scope_name(struct store_scope_key *out, enum gov_scope_kind kind, const char *name)
{
    uint8_t hash[32];

    memset(out, 0, sizeof *out);
    out->kind = (uint8_t)kind;
    store_sha256(name, strlen(name), hash);
    memcpy(out->id, hash, sizeof out->id);
}

void store_scope_global(struct store_scope_key *out)
{
    memset(out, 0, sizeof *out);
    out->kind = GOV_GLOBAL;
}

void store_scope_window(struct store_scope_key *scope, enum gov_window window, uint16_t zone,
                        int64_t duration_s, int64_t start_s)
{
    scope->window = (uint8_t)window;
    scope->zone = zone;
    scope->duration_s = (uint32_t)duration_s;
    scope->start_s = start_s;
}

void store_scope_all(struct store_scope_key *out)
{
    memset(out, 0, sizeof *out);
    out->kind = GOV_GLOBAL;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* From the first write on there is no way back but for the whole transaction. */
enum store_err store_spoil(struct store *store, enum store_err err)
{
    if (err != STORE_OK && store->spoilt == STORE_OK)
        store->spoilt = err;
    return err;
}

enum store_err store_counter_get(struct store *store, const struct store_scope_key *key,
                                 struct store_counter *out)
{
    enum store_err err =
        store_get(store, store->txn, STORE_COUNTERS, key, sizeof *key, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_counter_put(struct store *store, const struct store_scope_key *key,
                                 const struct store_counter *counter)
{
    struct store_counter row = *counter;

    row.version = STORE_COUNTER_VERSION;
    return store_put(store, STORE_COUNTERS, key, sizeof *key, &row, sizeof row);
}

enum store_err store_run_get(struct store *store, const uint8_t run_id[16], struct store_run *out)
{
    return store_get(store, store->txn, STORE_RUNS, run_id, 16, out, sizeof *out);
}

enum store_err store_run_put(struct store *store, const struct store_run *run)
{
    struct store_run row = *run;

    row.version = STORE_RUN_VERSION;
    return store_put(store, STORE_RUNS, run->run_id, sizeof run->run_id, &row, sizeof row);
}

enum store_err store_call_get(struct store *store, const uint8_t call_id[16],
                              struct store_call *out)
{
    return store_get(store, store->txn, STORE_CALLS, call_id, 16, out, sizeof *out);
}

enum store_err store_call_put(struct store *store, const struct store_call *call)
{
    struct store_call row = *call;

    row.version = STORE_CALL_VERSION;
    return store_put(store, STORE_CALLS, call->call_id, sizeof call->call_id, &row, sizeof row);
}

/* ---- arithmetic --------------------------------------------------------------------------- */

int64_t store_spent(const struct store_counter *counter, enum gov_dim dim)
{
    return counter->charged[dim] - counter->credited[dim];
}

void store_add_to(int64_t *amount, int64_t more)
{
    if (__builtin_add_overflow(*amount, more, amount))
        *amount = INT64_MAX; /* towards refusal */
}

void store_counter_hold(struct store_counter *counter, const struct store_admission *admission,
                        int sign, bool steps_too)
{
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        if (dim != GOV_STEPS || steps_too)
            store_add_to(&counter->held[dim], sign * admission->hold[dim]);
    counter->in_flight += (uint32_t)sign;
}

void store_counter_charge(struct store_counter *counter, const struct store_consumption *used,
                          bool step_too)
{
    if (used->end != STORE_RELEASED && step_too)
        store_add_to(&counter->charged[GOV_STEPS], 1);
    store_add_to(&counter->charged[GOV_TOKENS], used->tokens_total);
    store_add_to(&counter->charged[GOV_COST], used->charged_pusd);
    store_add_to(&counter->charged[GOV_TOOLS], (int64_t)used->counts[METER_TOOL_CALLS]);
    store_add_to(&counter->charged[GOV_EGRESS], used->egress_bytes);
}

/* ---- the hold ----------------------------------------------------------------------------- */

/* The same id again: the same question (a message that came twice), or somebody else's. */
static enum store_err already(struct store *store, const struct store_event *event,
                              const struct store_call *call)
{
    struct store_event *first;
    enum store_err err;

    if (call->state == STORE_CALL_REFUSED) /* there is no admission to compare with */
        return STORE_CONFLICT;
    first = malloc(sizeof *first);
    err = first == NULL ? STORE_NOMEM
                        : store_chain_get(store, store->txn, call->admission_seq, first, NULL);
    if (err == STORE_OK)
        err = memcmp(first->admission.request_hash, event->admission.request_hash,
                     sizeof first->admission.request_hash) == 0 &&
                      memcmp(first->head.run_id, event->head.run_id, 16) == 0
                  ? STORE_DUPLICATE
                  : STORE_CONFLICT;
    free(first);
    return err;
}

bool store_passes(const struct store_scope_seen *seen, const struct store_admission *admission,
                  enum gov_dim dim)
{
    int64_t hold = admission->hold[dim], sum;

    if (hold == 0 || seen->limit[dim] == 0 || seen->policy[dim] == GOV_SOFT_WARN)
        return false;
    return __builtin_add_overflow(seen->held[dim], hold, &sum) ||
           __builtin_add_overflow(seen->spent[dim], sum, &sum) || sum > seen->limit[dim];
}

/* The last line of defence: the governor decided on these very figures. A sum of holds that does
 * not fit would come out wrong when they are taken back. */
static bool would_pass(const struct store_scope_seen *seen, const struct store_admission *admission)
{
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        int64_t held;

        if (__builtin_add_overflow(seen->held[dim], admission->hold[dim], &held) ||
            store_passes(seen, admission, (enum gov_dim)dim))
            return true;
    }
    return false;
}

/* Reads the counters of all scopes, and notes what they say in what the admission saw. */
static enum store_err look_at_scopes(struct store *store, struct store_event *event,
                                     struct store_counter counters[STORE_SCOPES_MAX])
{
    for (unsigned i = 0; i < event->head.scope_count; i++) {
        struct store_scope_seen *seen = &event->scopes[i];
        enum store_err err = store_counter_get(store, &seen->key, &counters[i]);

        if (err != STORE_OK && err != STORE_NOT_FOUND)
            return err;
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            seen->spent[dim] = store_spent(&counters[i], (enum gov_dim)dim);
            seen->held[dim] = counters[i].held[dim];
        }
        if (would_pass(seen, &event->admission))
            return STORE_OVER;
    }
    return STORE_OK;
}

/* A row for the call of a record, and what it is found by. */
static enum store_err call_new(struct store *store, const struct store_event *event,
                               const struct store_run *run, enum store_call_state state,
                               struct store_call *call)
{
    enum store_err err;

    memset(call, 0, sizeof *call);
    call->state = (uint8_t)state;
    memcpy(call->call_id, event->head.call_id, sizeof call->call_id);
    memcpy(call->run_id, event->head.run_id, sizeof call->run_id);
    if (state == STORE_CALL_REFUSED)
        call->consumption_seq = event->head.seq;
    else
        call->admission_seq = event->head.seq;
    err = store_call_put(store, call);
    return err == STORE_OK ? store_index_put(store, event, run->allocation.session, NULL) : err;
}

static enum store_err hold_in_all(struct store *store, const struct store_event *event,
                                  struct store_counter counters[STORE_SCOPES_MAX])
{
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i < event->head.scope_count && err == STORE_OK; i++) {
        store_counter_hold(&counters[i], &event->admission, 1, true);
        err = store_counter_put(store, &event->scopes[i].key, &counters[i]);
    }
    return err;
}

enum store_err store_admit(struct store *store, struct store_event *event,
                           struct store_call *call_out)
{
    struct store_counter counters[STORE_SCOPES_MAX];
    struct store_run run;
    enum store_err err = store_call_get(store, event->head.call_id, call_out);

    if (err == STORE_OK)
        return already(store, event, call_out);
    if (store->full)
        return STORE_FULL;
    if (err == STORE_NOT_FOUND)
        err = store_run_get(store, event->head.run_id, &run);
    if (err == STORE_OK)
        err = look_at_scopes(store, event, counters);
    if (err != STORE_OK)
        return err;
    err = hold_in_all(store, event, counters);
    if (err == STORE_OK)
        err = store_append(store, event, sizeof event->admission);
    if (err == STORE_OK)
        err = call_new(store, event, &run, STORE_CALL_HELD, call_out);
    if (err == STORE_OK)
        err = store_put(store, STORE_OPEN, call_out->call_id, 16, "", 0);
    run.admitted++;
    run.in_flight++;
    return store_spoil(store, err == STORE_OK ? store_run_put(store, &run) : err);
}

/* Calls book() for every scope of an admission. */
enum store_err store_each_scope(struct store *store, const struct store_event *admission,
                                enum store_err (*book)(struct store *store,
                                                       const struct store_scope_seen *seen,
                                                       void *data),
                                void *data)
{
    enum store_err err = STORE_OK;

    for (unsigned i = 0; i < admission->head.scope_count && err == STORE_OK; i++)
        err = book(store, &admission->scopes[i], data);
    return err;
}

/* ---- sent --------------------------------------------------------------------------------- */

/* A step is spent when the request leaves: only unsent ones come back. */
static enum store_err spend_step(struct store *store, const struct store_scope_seen *seen,
                                 void *data)
{
    const struct store_admission *admission = data;
    struct store_counter counter;
    enum store_err err = store_counter_get(store, &seen->key, &counter);

    if (err != STORE_OK)
        return err;
    store_add_to(&counter.held[GOV_STEPS], -admission->hold[GOV_STEPS]);
    store_add_to(&counter.charged[GOV_STEPS], admission->hold[GOV_STEPS]);
    return store_counter_put(store, &seen->key, &counter);
}

enum store_err store_sent(struct store *store, const uint8_t call_id[16], int64_t ts_ns)
{
    struct store_event *admission;
    struct store_call call;
    enum store_err err = store_call_get(store, call_id, &call);

    if (err != STORE_OK)
        return err;
    if (call.state != STORE_CALL_HELD) /* ended, refused: too late */
        return call.state == STORE_CALL_SENT ? STORE_DUPLICATE : STORE_CONFLICT;
    admission = malloc(sizeof *admission);
    if (admission == NULL)
        return STORE_NOMEM;
    err = store_chain_get(store, store->txn, call.admission_seq, admission, NULL);
    call.state = STORE_CALL_SENT;
    call.sent_ns = ts_ns;
    if (err == STORE_OK)
        err = store_spoil(store,
                          store_each_scope(store, admission, spend_step, &admission->admission));
    free(admission);
    return err == STORE_OK ? store_spoil(store, store_call_put(store, &call)) : err;
}

/* ---- the end ------------------------------------------------------------------------------ */

struct ending {
    const struct store_admission *admission;
    struct store_consumption *used;
    bool was_sent;
};

static enum store_err settle_in(struct store *store, const struct store_scope_seen *seen,
                                void *data)
{
    const struct ending *ending = data;
    int64_t *remaining = ending->used->remaining;
    struct store_counter counter;
    enum store_err err = store_counter_get(store, &seen->key, &counter);

    if (err != STORE_OK)
        return err;
    store_counter_hold(&counter, ending->admission, -1, !ending->was_sent);
    store_counter_charge(&counter, ending->used,
                         !ending->was_sent && ending->admission->hold[GOV_STEPS] > 0);
    store_counter_burst(&counter, &seen->key, ending->used);
    for (unsigned dim = 0; seen->key.kind == GOV_RUN && dim < STORE_SEEN_DIMS; dim++)
        if (remaining[dim] < 0 && seen->limit[dim] > 0) { /* the innermost run with a limit */
            remaining[dim] = seen->limit[dim] - store_spent(&counter, (enum gov_dim)dim);
            if (remaining[dim] < 0)
                remaining[dim] = 0;
        }
    return store_counter_put(store, &seen->key, &counter);
}

static enum store_err count_end(struct store *store, const uint8_t run_id[16],
                                const struct store_consumption *used)
{
    struct store_run run;
    enum store_err err = store_run_get(store, run_id, &run);

    if (err != STORE_OK)
        return err;
    run.in_flight--;
    run.settled += used->end != STORE_RELEASED;
    run.estimated += used->end != STORE_RELEASED && used->provenance != METER_PROVIDER_REPORTED;
    return store_run_put(store, &run);
}

/* Who asks for an object is charged for it once, and not if another call was: the one that made it
 * is charged in any case, for ids that come again are a server's whim. */
static enum store_err count_object(struct store *store, struct store_event *event)
{
    static const uint8_t none[sizeof event->consumption.object];
    struct store_consumption *used = &event->consumption;
    uint8_t first[16];
    enum store_err err;

    if (memcmp(used->object, none, sizeof none) == 0)
        return STORE_OK;
    err = store_get(store, store->txn, STORE_OBJECTS, used->object, sizeof used->object, first,
                    sizeof first);
    if (err == STORE_NOT_FOUND)
        return store_put(store, STORE_OBJECTS, used->object, sizeof used->object,
                         event->head.call_id, sizeof event->head.call_id);
    if (err != STORE_OK || used->flags & STORE_MADE)
        return err;
    memset(used->tokens, 0, sizeof used->tokens);
    memset(used->counts, 0, sizeof used->counts);
    used->tokens_total = used->charged_pusd = 0;
    used->cost_pusd = used->cost_pusd > 0 ? 0 : used->cost_pusd;
    used->flags |= STORE_COUNTED;
    return STORE_OK;
}

static enum store_err settle_call(struct store *store, struct store_event *event,
                                  struct store_call *call, const struct store_event *admission)
{
    struct ending ending = {&admission->admission, &event->consumption,
                            call->state == STORE_CALL_SENT};
    enum store_err err;

    if (ending.was_sent && event->consumption.end == STORE_RELEASED)
        return STORE_CONFLICT; /* what was sent is charged */
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        event->consumption.remaining[dim] = -1;
    err = count_object(store, event);
    if (err == STORE_OK)
        err = store_each_scope(store, admission, settle_in, &ending);
    memcpy(event->head.run_id, call->run_id, sizeof event->head.run_id);
    if (err == STORE_OK)
        err = store_append(store, event, sizeof event->consumption);
    call->state = STORE_CALL_ENDED;
    call->consumption_seq = event->head.seq;
    if (err == STORE_OK)
        err = store_call_put(store, call);
    if (err == STORE_OK)
        err = store_index_put(store, event, "", &admission->admission);
    if (err == STORE_OK)
        err = store_delete(store, STORE_OPEN, call->call_id, sizeof call->call_id);
    return store_spoil(store,
                       err == STORE_OK ? count_end(store, call->run_id, &event->consumption) : err);
}

enum store_err store_settle(struct store *store, struct store_event *event)
{
    struct store_event *admission;
    struct store_call call;
    enum store_err err = store_call_get(store, event->head.call_id, &call);

    if (err != STORE_OK)
        return err;
    if (call.state == STORE_CALL_ENDED)
        return STORE_DUPLICATE;
    if (call.state == STORE_CALL_REFUSED)
        return STORE_CONFLICT;
    admission = malloc(sizeof *admission);
    if (admission == NULL)
        return STORE_NOMEM;
    err = store_chain_get(store, store->txn, call.admission_seq, admission, NULL);
    if (err == STORE_OK)
        err = settle_call(store, event, &call, admission);
    free(admission);
    return err;
}

/* ---- refusals ----------------------------------------------------------------------------- */

enum store_err store_refuse(struct store *store, struct store_event *event)
{
    struct store_call call;
    struct store_run run;
    enum store_err err = store_run_get(store, event->head.run_id, &run), known;

    if (err != STORE_OK)
        return err;
    known = store_call_get(store, event->head.call_id, &call);
    if (known != STORE_OK && known != STORE_NOT_FOUND)
        return known;
    err = store_append(store, event, sizeof event->refusal);
    if (err == STORE_OK && known == STORE_NOT_FOUND)
        err = call_new(store, event, &run, STORE_CALL_REFUSED, &call);
    call.later_seq = event->head.seq;
    if (err == STORE_OK && known == STORE_OK && call.state == STORE_CALL_REFUSED)
        err = store_call_put(store, &call);
    store_add_to(&run.refused, event->refusal.count);
    return store_spoil(store, err == STORE_OK ? store_run_put(store, &run) : err);
}

/* ---- runs, progress ----------------------------------------------------------------------- */

enum store_err store_run_close(struct store *store, const uint8_t run_id[16], enum gov_state state,
                               int64_t exit, int64_t ts_ns)
{
    struct store_event event = {.head = {.type = STORE_COMPLETED, .ts_ns = ts_ns}};
    struct store_scope_key key;
    struct store_counter counter;
    struct store_run run;
    enum store_err err = store_run_get(store, run_id, &run);

    if (err != STORE_OK)
        return err;
    if (run.ended_ns != 0)
        return STORE_DUPLICATE;
    store_scope_run(&key, run_id);
    err = store_counter_get(store, &key, &counter);
    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    memcpy(event.head.run_id, run_id, sizeof event.head.run_id);
    event.completed.state =
        (uint8_t)(run.state == GOV_RUNNING || run.state == GOV_PAUSED ? state
                                                                      : (enum gov_state)run.state);
    event.completed.exit = exit;
    event.completed.duration_ms = (ts_ns - run.started_ns) / 1000000;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        event.completed.total[dim] = store_spent(&counter, (enum gov_dim)dim);
    store_run_apply(&run, &event);
    err = store_append(store, &event, sizeof event.completed);
    return store_spoil(store, err == STORE_OK ? store_run_put(store, &run) : err);
}

enum store_err store_progress_put(struct store *store, const uint8_t call_id[16], const void *bytes,
                                  size_t count)
{
    uint8_t value[STORE_HASH_BYTES + STORE_PROGRESS_MAX];
    struct store_call call;
    enum store_err err = store_call_get(store, call_id, &call);

    if (err == STORE_OK && call.state != STORE_CALL_HELD && call.state != STORE_CALL_SENT)
        return STORE_CONFLICT;
    if (count > STORE_PROGRESS_MAX)
        return STORE_FULL;
    store_sha256(bytes, count, value);
    memcpy(value + STORE_HASH_BYTES, bytes, count);
    return err == STORE_OK
               ? store_put(store, STORE_OPEN, call_id, 16, value, STORE_HASH_BYTES + count)
               : err;
}
