/* SPDX-License-Identifier: Apache-2.0 */
/* The proof: reads the chain from its first record, does the arithmetic again, and compares with
 * what stands beside it. Three answers: the chain (every record is the one that was written, none
 * is missing), the sums (counters, rows, open calls), the caps (no admission passed a limit that
 * was in force, on the figures that it saw). What a truncated tail took away only a head kept
 * elsewhere can tell. */
#include "store/store_int.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY 4096u

/* ---- trees -------------------------------------------------------------------------------- */

int store_by_scope(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct store_scope_key));
}

int store_by_id(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* The entry with this key in front, made (all zero behind the key) when it is not there. */
void *store_check_entry(struct store_check *check, void **tree, const void *key, size_t key_bytes,
                        size_t bytes, int (*order)(const void *, const void *), size_t *count)
{
    void **found = tfind(key, tree, order);
    char *made;

    if (found != NULL)
        return *found;
    made = calloc(1, bytes);
    if (made != NULL)
        memcpy(made, key, key_bytes);
    if (made == NULL || tsearch(made, tree, order) == NULL) {
        check->out_of_memory = true;
        free(made);
        return NULL;
    }
    ++*count;
    return made;
}

void store_check_forget(void **tree, const void *key, int (*order)(const void *, const void *),
                        size_t *count)
{
    void **found = tfind(key, tree, order);
    void *gone = found != NULL ? *found : NULL;

    if (gone == NULL)
        return;
    (void)tdelete(key, tree, order);
    free(gone);
    --*count;
}

struct store_sum *store_check_sum(struct store_check *check, const struct store_scope_key *key)
{
    return store_check_entry(check, &check->sums, key, sizeof *key, sizeof(struct store_sum),
                             store_by_scope, &check->sum_count);
}

struct store_run_sum *store_check_run(struct store_check *check, const uint8_t run_id[16])
{
    return store_check_entry(check, &check->runs, run_id, 16, sizeof(struct store_run_sum),
                             store_by_id, &check->run_count);
}

/* ---- findings ----------------------------------------------------------------------------- */

void store_check_wrong(struct store_check *check, bool *what, uint64_t seq, const char *format, ...)
{
    va_list arguments;

    *what = false;
    if (check->proof->what[0] != '\0')
        return;
    check->proof->first_bad = seq;
    va_start(arguments, format);
    (void)vsnprintf(check->proof->what, sizeof check->proof->what, format, arguments);
    va_end(arguments);
}

/* ---- records ------------------------------------------------------------------------------ */

/* Calls each(sum) for every scope in which a call counts. */
void store_check_each(struct store_check *check, const struct store_event *admission,
                      void (*each)(struct store_sum *sum, const void *data), const void *data)
{
    for (unsigned i = 0; i < admission->head.scope_count; i++) {
        struct store_sum *sum = store_check_sum(check, &admission->scopes[i].key);

        if (sum != NULL)
            each(sum, data);
    }
}

static void check_seen(struct store_check *check, const struct store_scope_seen *seen)
{
    uint64_t seq = check->event.head.seq;
    const struct store_sum *sum = store_check_sum(check, &seen->key);

    if (sum == NULL || (seen->key.window != GOV_WHOLE && sum->counter.end_s == 0))
        return; /* of schema 2: its record comes later */
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        int64_t spent = store_spent(&sum->counter, (enum gov_dim)dim);
        int64_t held = sum->counter.held[dim];
        /* A step moves from held to spent when its request leaves, without a record. */
        bool same = dim == GOV_STEPS ? seen->spent[dim] + seen->held[dim] == spent + held
                                     : seen->spent[dim] == spent && seen->held[dim] == held;

        if (!same)
            store_check_wrong(
                check, &check->proof->sums, seq,
                "admission %llu saw %lld spent and %lld held of %s in scope %s; the records "
                "before it make %lld and %lld",
                (unsigned long long)seq, (long long)seen->spent[dim], (long long)seen->held[dim],
                gov_dim_name((enum gov_dim)dim), gov_scope_name(seen->key.kind), (long long)spent,
                (long long)held);
    }
}

static void check_caps(struct store_check *check, const struct store_scope_seen *seen)
{
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        if (store_passes(seen, &check->event.admission, (enum gov_dim)dim))
            store_check_wrong(check, &check->proof->caps, check->event.head.seq,
                              "admission %llu passed the limit of %s in scope %s",
                              (unsigned long long)check->event.head.seq,
                              gov_dim_name((enum gov_dim)dim), gov_scope_name(seen->key.kind));
}

static void book_hold(struct store_sum *sum, const void *data)
{
    store_counter_hold(&sum->counter, data, 1, true);
}

/* The row of a record's call, as far as this record says what stands in it. */
void store_check_call(struct store_check *check, bool right, const struct store_call *row)
{
    const struct store_record *head = &check->event.head;
    static const uint8_t zero[sizeof row->zero];

    if (!right || memcmp(row->zero, zero, sizeof zero) != 0 ||
        memcmp(row->run_id, head->run_id, 16) != 0)
        store_check_wrong(
            check, &check->proof->sums, head->seq,
            "the row of the call of record %llu is missing or does not say what the records say",
            (unsigned long long)head->seq);
}

/* A call's or run's record is found by what it belongs to, and by its hour. */
void store_check_index(struct store_check *check, const struct store_admission *asked)
{
    const struct store_event *event = &check->event;
    struct store_index_key keys[STORE_INDEX_MAX];
    struct store_run run = {.allocation = event->allocation};
    unsigned count;
    char nothing;

    if (event->head.type != STORE_ALLOCATION && asked == NULL)
        (void)store_view_run(check->view, event->head.run_id, &run);
    count = store_index_keys(event, run.allocation.session, asked, keys);
    check->index_count += count;
    for (unsigned i = 0; i < count; i++)
        if (store_get(check->view->store, check->view->txn, STORE_INDEX, &keys[i], sizeof keys[i],
                      &nothing, 0) != STORE_OK)
            store_check_wrong(check, &check->proof->sums, event->head.seq,
                              "record %llu is missing in an index",
                              (unsigned long long)event->head.seq);
}

static void check_hour(struct store_check *check)
{
    const struct store_record *head = &check->event.head;
    uint8_t key[8];
    uint64_t first = UINT64_MAX;

    store_hour_key(head->ts_ns, key);
    (void)store_get(check->view->store, check->view->txn, STORE_HOURS, key, sizeof key, &first,
                    sizeof first);
    check->hour_count += first == head->seq;
    if (first > head->seq)
        store_check_wrong(check, &check->proof->sums, head->seq,
                          "the hour of record %llu does not begin before it",
                          (unsigned long long)head->seq);
}

static void on_admission(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_open_call *call;
    struct store_call row;
    struct store_run_sum *run = store_check_run(check, event->head.run_id);
    enum store_err err = store_view_call(check->view, event->head.call_id, &row);

    for (unsigned i = 0; i < event->head.scope_count; i++) {
        check_seen(check, &event->scopes[i]);
        check_caps(check, &event->scopes[i]);
    }
    call = store_check_entry(check, &check->calls, event->head.call_id, 16, sizeof *call,
                             store_by_id, &check->call_count);
    if (call == NULL || run == NULL)
        return;
    call->admission = *event;
    store_check_each(check, event, book_hold, &event->admission);
    run->admitted++;
    run->in_flight++;
    check->row_count++;
    store_check_call(check, err == STORE_OK && row.admission_seq == event->head.seq, &row);
    store_check_index(check, NULL);
}

struct settling {
    const struct store_admission *admission;
    const struct store_consumption *used;
};

static void book_end(struct store_sum *sum, const void *data)
{
    const struct settling *settling = data;

    store_counter_hold(&sum->counter, settling->admission, -1, true);
    store_counter_charge(&sum->counter, settling->used, settling->admission->hold[GOV_STEPS] > 0);
    store_counter_burst(&sum->counter, &sum->key, settling->used);
}

/* Of those that asked for an object one was charged, the one that its row names, or none: the call
 * that made it. */
void store_check_object(struct store_check *check)
{
    static const uint8_t none[sizeof check->event.consumption.object];
    const struct store_event *event = &check->event;
    const struct store_consumption *used = &event->consumption;
    uint8_t owner[16];
    bool counted = (used->flags & STORE_COUNTED) != 0, known, own;

    if (memcmp(used->object, none, sizeof none) == 0)
        return;
    known = store_get(check->view->store, check->view->txn, STORE_OBJECTS, used->object,
                      sizeof used->object, owner, sizeof owner) == STORE_OK;
    own = known && memcmp(owner, event->head.call_id, sizeof owner) == 0;
    check->object_count += own;
    if (!known && counted && check->pruned.upto > 0) /* by a call that is gone */
        return;
    if (!known || (own && counted) || (!own && !counted && !(used->flags & STORE_MADE)) ||
        (counted && (used->charged_pusd != 0 || used->tokens_total != 0)))
        store_check_wrong(check, &check->proof->sums, event->head.seq,
                          "record %llu charges for an object that another call was charged for",
                          (unsigned long long)event->head.seq);
}

static void on_consumption(struct store_check *check)
{
    const struct store_event *event = &check->event;
    void **found = tfind(event->head.call_id, &check->calls, store_by_id);
    struct store_open_call *call = found != NULL ? *found : NULL;
    struct store_run_sum *run = store_check_run(check, event->head.run_id);
    struct settling settling = {NULL, &event->consumption};
    bool charged = event->consumption.end != STORE_RELEASED;
    struct store_call row;
    enum store_err err = store_view_call(check->view, event->head.call_id, &row);

    if (call == NULL || memcmp(call->admission.head.run_id, event->head.run_id, 16) != 0) {
        store_check_wrong(check, &check->proof->sums, event->head.seq,
                          "record %llu ends a call that was not open",
                          (unsigned long long)event->head.seq);
        return;
    }
    store_check_call(check,
                     err == STORE_OK && row.state == STORE_CALL_ENDED &&
                         row.consumption_seq == event->head.seq && (charged || row.sent_ns == 0),
                     &row);
    store_check_object(check);
    store_check_index(check, &call->admission.admission);
    settling.admission = &call->admission.admission;
    store_check_each(check, &call->admission, book_end, &settling);
    if (run != NULL) {
        run->in_flight--;
        run->settled += charged;
        run->estimated += charged && event->consumption.provenance != METER_PROVIDER_REPORTED;
    }
    store_check_forget(&check->calls, event->head.call_id, store_by_id, &check->call_count);
}

static void book_correction(struct store_sum *sum, const void *data)
{
    store_counter_correct(&sum->counter, data);
}

/* It says what follows from the end of its call and from the correction before it. */
static void on_corrected(struct store_check *check)
{
    const struct store_event *event = &check->event;
    const struct store_view *view = check->view;
    struct store_event *records = calloc(2, sizeof *records);
    struct store_corrected_call *call =
        store_check_entry(check, &check->corrected, event->head.call_id, 16, sizeof *call,
                          store_by_id, &check->corrected_count);
    struct store_corrected want = event->corrected;
    struct store_call row;
    bool right = store_view_call(check->view, event->head.call_id, &row) == STORE_OK;

    right =
        right && records != NULL && call != NULL && row.later_seq >= event->head.seq &&
        row.consumption_seq < event->head.seq &&
        store_chain_get(view->store, view->txn, row.admission_seq, &records[0], NULL) == STORE_OK &&
        store_chain_get(view->store, view->txn, row.consumption_seq, &records[1], NULL) == STORE_OK;
    if (right) {
        store_correction_fill(&want, &call->last, call->last_seq, &records[1]);
        right = records[1].head.type == STORE_CONSUMPTION &&
                memcmp(&want, &event->corrected, sizeof want) == 0;
        store_check_each(check, &records[0], book_correction, &event->corrected);
        call->last = event->corrected;
        call->last_seq = event->head.seq;
        check->later_count += row.later_seq == event->head.seq;
    }
    store_check_call(check, right, &row);
    check->out_of_memory = check->out_of_memory || records == NULL;
    free(records);
}

/* The first refusal of an id that was never admitted has the row; the others are counts. */
static void on_refusal(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_run_sum *run = store_check_run(check, event->head.run_id);
    struct store_call row;
    enum store_err err = store_view_call(check->view, event->head.call_id, &row);

    if (run != NULL)
        run->refused += event->refusal.count;
    if (err == STORE_OK && row.admission_seq != 0)
        return;
    if (err == STORE_OK && row.consumption_seq < event->head.seq &&
        row.later_seq >= event->head.seq) {
        check->later_count += row.later_seq == event->head.seq;
        return;
    }
    check->row_count++;
    store_check_index(check, NULL);
    store_check_call(check,
                     err == STORE_OK && row.state == STORE_CALL_REFUSED &&
                         row.consumption_seq == event->head.seq && row.sent_ns == 0,
                     &row);
}

void store_check_allocation(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_run row;

    (void)store_check_run(check, event->head.run_id);
    store_check_index(check, NULL);
    if (store_view_run(check->view, event->head.run_id, &row) != STORE_OK ||
        row.allocation_seq != event->head.seq || row.started_ns != event->head.ts_ns ||
        memcmp(row.run_id, event->head.run_id, sizeof row.run_id) != 0 ||
        memcmp(&row.allocation, &event->allocation, sizeof row.allocation) != 0)
        store_check_wrong(check, &check->proof->sums, event->head.seq,
                          "the row of the run allocated by record %llu is missing or another's",
                          (unsigned long long)event->head.seq);
}

static void on_used(struct store_check *check)
{
    const struct store_event *event = &check->event;

    for (unsigned i = 0; i < event->head.scope_count; i++) {
        struct store_sum *sum = store_check_sum(check, &event->scopes[i].key);

        if (sum != NULL)
            store_counter_used(&sum->counter, &sum->key, &event->used);
    }
}

static void on_begun(struct store_check *check)
{
    const struct store_begun *begun = &check->event.begun;
    struct store_sum *sum = store_check_sum(check, &begun->key);

    if (sum == NULL)
        return;
    if (sum->counter.end_s != 0 ||
        !gov_window_fits((enum gov_window)begun->key.window, begun->key.duration_s,
                         begun->key.start_s, begun->end_s))
        store_check_wrong(check, &check->proof->sums, check->event.head.seq,
                          "the window of record %llu had begun before, or cannot be one",
                          (unsigned long long)check->event.head.seq);
    sum->counter.end_s = begun->end_s;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        sum->counter.charged[dim] += begun->charged[dim];
}

void store_check_record(struct store_check *check)
{
    check_hour(check);
    switch (check->event.head.type) {
    case STORE_ADMISSION:
        on_admission(check);
        break;
    case STORE_CONSUMPTION:
        on_consumption(check);
        break;
    case STORE_REFUSAL:
        on_refusal(check);
        break;
    case STORE_CORRECTED:
        on_corrected(check);
        break;
    case STORE_ALLOCATION:
        store_check_allocation(check);
        break;
    case STORE_CHECKPOINT:
        check->checkpoint = check->event.checkpoint;
        check->checkpoint_seq = check->event.head.seq;
        break;
    case STORE_RUN_ENDED:
    case STORE_COMPLETED:
    case STORE_ASKED:
    case STORE_ANSWERED:
    case STORE_TURNED:
        store_check_turn(check);
        break;
    case STORE_EXTENDED:
        store_check_extended(check);
        break;
    case STORE_OVERRIDE:
        store_check_override(check);
        break;
    case STORE_TRANSITION:
    case STORE_COOLDOWN:
    case STORE_SELECTED:
    case STORE_CLOCK:
        store_check_standing(check);
        break;
    case STORE_USED:
        on_used(check);
        break;
    case STORE_BEGUN:
        on_begun(check);
        break;
    default:
        break;
    }
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void read_chain(struct store_check *check, const uint8_t *head,
                       void (*progress)(void *data, uint64_t done, uint64_t all), void *data)
{
    const struct store *store = check->view->store;
    uint8_t prev[32], hash[32];
    uint64_t all;
    enum store_err err = STORE_OK;

    store_view_head(check->view, &all, hash);
    memcpy(prev, check->pruned.head, sizeof prev);
    for (uint64_t seq = check->pruned.upto + 1; seq <= all && !check->out_of_memory; seq++) {
        err = store_chain_get(check->view->store, check->view->txn, seq, &check->event, hash);
        if (err != STORE_OK || check->event.head.seq != seq) {
            store_check_wrong(check, &check->proof->chain, seq, "record %llu is missing or damaged",
                              (unsigned long long)seq);
            return;
        }
        if (memcmp(check->event.head.prev, prev, sizeof prev) != 0) {
            store_check_wrong(check, &check->proof->chain, seq,
                              "record %llu does not continue the record before it",
                              (unsigned long long)seq);
            return;
        }
        memcpy(prev, hash, sizeof prev);
        if (head != NULL && memcmp(head, hash, sizeof hash) == 0)
            check->proof->head_known = true;
        if (seq == store->kept_seq && memcmp(store->kept_head, hash, sizeof hash) != 0) {
            store_check_wrong(check, &check->proof->chain, seq,
                              "record %llu is not the one that the file `head` names: another "
                              "ledger is in the place of this one",
                              (unsigned long long)seq);
            return;
        }
        store_check_record(check);
        check->proof->records = seq;
        if (progress != NULL && seq % PROGRESS_EVERY == 0)
            progress(data, seq, all);
    }
    store_check_base(check);
    if (store_check_count(check, STORE_CHAIN) != all - check->pruned.upto + check->kept_count)
        store_check_wrong(check, &check->proof->chain, 0,
                          "there is more in the chain than %llu "
                          "records",
                          (unsigned long long)all);
    if (store->kept_seq > all)
        store_check_wrong(check, &check->proof->chain, 0,
                          "the chain ends at record %llu, before record %llu that the file `head` "
                          "names: its tail was cut off, or an older copy is in its place",
                          (unsigned long long)all, (unsigned long long)store->kept_seq);
    memcpy(check->proof->head, prev, sizeof prev);
}

void store_check_free(struct store_check *check)
{
    tdestroy(check->sums, free);
    tdestroy(check->calls, free);
    tdestroy(check->runs, free);
    tdestroy(check->corrected, free);
    tdestroy(check->tasks, free);
    free(check);
}

enum store_err store_verify(struct store_view *view, const uint8_t *head,
                            void (*progress)(void *data, uint64_t done, uint64_t all), void *data,
                            struct store_proof *out)
{
    struct store_check *check = calloc(1, sizeof *check);
    enum store_err err = STORE_OK;

    memset(out, 0, sizeof *out);
    out->chain = out->sums = out->caps = true;
    if (check == NULL)
        return STORE_NOMEM;
    check->view = view;
    check->proof = out;
    err = store_base_load(check);
    if (err == STORE_OK)
        read_chain(check, head, progress, data);
    if (err == STORE_OK && out->chain)
        store_check_rows(check);
    else if (err == STORE_OK)
        out->sums = out->caps = false; /* not to be known beyond the damage */
    if (head != NULL && check->pruned.upto > 0 &&
        memcmp(head, check->pruned.head, sizeof check->pruned.head) == 0)
        out->head_known = true;
    if (head != NULL && !out->head_known)
        store_check_wrong(check, &out->chain, 0,
                          "the given head is not in this chain: its tail was cut off, %sor it is "
                          "another ledger",
                          check->pruned.upto > 0 ? "the head is older than what was pruned, " : "");
    if (check->out_of_memory)
        err = STORE_NOMEM;
    store_check_free(check);
    return err;
}
