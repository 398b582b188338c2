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

struct sum { /* a scope */
    struct store_scope_key key;
    struct store_counter counter;
};

struct open_call {
    uint8_t call_id[16];
    uint8_t run_id[16];
    struct store_admission admission;
    unsigned scope_count;
    struct store_scope_key scopes[STORE_SCOPES_MAX];
    int64_t admitted_ns;
};

struct run_sum {
    uint8_t run_id[16];
    int64_t admitted, refused, settled, estimated, in_flight;
};

struct window {
    struct store_scope_key key;
    int64_t start_ns, end_ns;
};

struct check {
    struct store_view *view;
    struct store_proof *proof;
    void *sums, *calls, *runs; /* trees of the structs above, each with its id first */
    size_t sum_count, call_count, run_count;
    struct window *windows;
    size_t window_count;
    struct store_event event;
    bool out_of_memory;
};

/* ---- trees -------------------------------------------------------------------------------- */

static int by_scope(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct store_scope_key));
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

/* The entry with this key in front, made (all zero behind the key) when it is not there. */
static void *entry(struct check *check, void **tree, const void *key, size_t key_bytes,
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

static struct sum *sum_of(struct check *check, const struct store_scope_key *key)
{
    return entry(check, &check->sums, key, sizeof *key, sizeof(struct sum), by_scope,
                 &check->sum_count);
}

static struct run_sum *run_of(struct check *check, const uint8_t run_id[16])
{
    return entry(check, &check->runs, run_id, 16, sizeof(struct run_sum), by_id, &check->run_count);
}

/* ---- findings ----------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void wrong(struct check *check, bool *what,
                                                        uint64_t seq, const char *format, ...)
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

static bool in_window(const struct window *window, int64_t ts_ns)
{
    return ts_ns >= window->start_ns && (window->end_ns == 0 || ts_ns < window->end_ns);
}

/* Calls each(sum) for every scope of a call: those that its record names, and the windows of its
 * time, which may have begun to be counted later. */
static void each_sum(struct check *check, const struct open_call *call,
                     void (*each)(struct sum *sum, const void *data), const void *data)
{
    for (unsigned i = 0; i < call->scope_count; i++) {
        struct sum *sum =
            call->scopes[i].kind != GOV_GLOBAL ? sum_of(check, &call->scopes[i]) : NULL;

        if (sum != NULL)
            each(sum, data);
    }
    for (size_t i = 0; i < check->window_count; i++) {
        struct sum *sum = in_window(&check->windows[i], call->admitted_ns)
                              ? sum_of(check, &check->windows[i].key)
                              : NULL;

        if (sum != NULL)
            each(sum, data);
    }
}

static void check_seen(struct check *check, const struct store_scope_seen *seen)
{
    uint64_t seq = check->event.head.seq;
    const struct sum *sum = sum_of(check, &seen->key);

    for (unsigned dim = 0; sum != NULL && dim < STORE_SEEN_DIMS; dim++) {
        int64_t spent = store_spent(&sum->counter, (enum gov_dim)dim);
        int64_t held = sum->counter.held[dim];
        /* A step moves from held to spent when its request leaves, without a record. */
        bool same = dim == GOV_STEPS ? seen->spent[dim] + seen->held[dim] == spent + held
                                     : seen->spent[dim] == spent && seen->held[dim] == held;

        if (!same)
            wrong(check, &check->proof->sums, seq,
                  "admission %llu saw %lld spent and %lld held of %s in scope %s; the records "
                  "before it make %lld and %lld",
                  (unsigned long long)seq, (long long)seen->spent[dim], (long long)seen->held[dim],
                  gov_dim_name((enum gov_dim)dim), gov_scope_name(seen->key.kind), (long long)spent,
                  (long long)held);
    }
}

static void check_caps(struct check *check, const struct store_scope_seen *seen)
{
    const struct store_admission *admission = &check->event.admission;

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        meter_wide sum = (meter_wide)(uint64_t)seen->spent[dim] + (uint64_t)seen->held[dim] +
                         (uint64_t)admission->hold[dim];

        if (seen->limit[dim] > 0 && seen->policy[dim] != GOV_SOFT_WARN &&
            sum > (meter_wide)(uint64_t)seen->limit[dim])
            wrong(check, &check->proof->caps, check->event.head.seq,
                  "admission %llu passed the limit of %s in scope %s",
                  (unsigned long long)check->event.head.seq, gov_dim_name((enum gov_dim)dim),
                  gov_scope_name(seen->key.kind));
    }
}

static void book_hold(struct sum *sum, const void *data)
{
    store_counter_hold(&sum->counter, data, 1, true);
}

static void on_admission(struct check *check)
{
    const struct store_event *event = &check->event;
    struct open_call *call;
    struct store_call row;
    struct run_sum *run = run_of(check, event->head.run_id);

    for (unsigned i = 0; i < event->head.scope_count; i++) {
        check_seen(check, &event->scopes[i]);
        check_caps(check, &event->scopes[i]);
    }
    call = entry(check, &check->calls, event->head.call_id, 16, sizeof *call, by_id,
                 &check->call_count);
    if (call == NULL || run == NULL)
        return;
    memcpy(call->run_id, event->head.run_id, 16);
    call->admission = event->admission;
    call->admitted_ns = event->head.ts_ns;
    call->scope_count = event->head.scope_count;
    for (unsigned i = 0; i < call->scope_count; i++)
        call->scopes[i] = event->scopes[i].key;
    each_sum(check, call, book_hold, &call->admission);
    run->admitted++;
    run->in_flight++;
    if (store_view_call(check->view, event->head.call_id, &row) != STORE_OK ||
        row.admission_seq != event->head.seq)
        wrong(check, &check->proof->sums, event->head.seq,
              "the row of the call admitted by record %llu is missing or another's",
              (unsigned long long)event->head.seq);
}

struct settling {
    const struct store_admission *admission;
    const struct store_consumption *used;
};

static void book_end(struct sum *sum, const void *data)
{
    const struct settling *settling = data;

    store_counter_hold(&sum->counter, settling->admission, -1, true);
    store_counter_charge(&sum->counter, settling->used, settling->admission->hold[GOV_STEPS] > 0);
}

static void on_consumption(struct check *check)
{
    const struct store_event *event = &check->event;
    void **found = tfind(event->head.call_id, &check->calls, by_id);
    struct open_call *call = found != NULL ? *found : NULL;
    struct run_sum *run = run_of(check, event->head.run_id);
    struct settling settling = {NULL, &event->consumption};

    if (call == NULL || memcmp(call->run_id, event->head.run_id, 16) != 0) {
        wrong(check, &check->proof->sums, event->head.seq,
              "record %llu ends a call that was not open", (unsigned long long)event->head.seq);
        return;
    }
    settling.admission = &call->admission;
    each_sum(check, call, book_end, &settling);
    if (run != NULL) {
        bool charged = event->consumption.end != STORE_RELEASED;

        run->in_flight--;
        run->settled += charged;
        run->estimated += charged && event->consumption.provenance != METER_PROVIDER_REPORTED;
    }
    (void)tdelete(event->head.call_id, &check->calls, by_id);
    check->call_count--;
    free(call);
}

static void on_record(struct check *check)
{
    struct run_sum *run;

    switch (check->event.head.type) {
    case STORE_ADMISSION:
        on_admission(check);
        break;
    case STORE_CONSUMPTION:
        on_consumption(check);
        break;
    case STORE_REFUSAL:
        run = run_of(check, check->event.head.run_id);
        if (run != NULL)
            run->refused += check->event.refusal.count;
        break;
    case STORE_ALLOCATION:
        (void)run_of(check, check->event.head.run_id);
        break;
    default:
        break;
    }
}

/* ---- what stands beside the chain --------------------------------------------------------- */

static bool same_counter(const struct store_counter *a, const struct store_counter *b)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        if (dim == GOV_STEPS ? a->charged[dim] + a->held[dim] != b->charged[dim] + b->held[dim]
                             : a->charged[dim] != b->charged[dim] || a->held[dim] != b->held[dim])
            return false;
        if (a->credited[dim] != b->credited[dim])
            return false;
    }
    return a->in_flight == b->in_flight;
}

static void check_counters(struct check *check)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    size_t matched = 0;
    int code =
        mdb_cursor_open(check->view->txn, check->view->store->tables[STORE_COUNTERS], &cursor);

    for (; code == MDB_SUCCESS &&
           (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS;) {
        static const struct store_counter none;
        struct store_counter counter;
        void **found;

        if (key.mv_size != sizeof(struct store_scope_key) || value.mv_size != sizeof counter) {
            wrong(check, &check->proof->sums, 0, "a counter has another size");
            continue;
        }
        memcpy(&counter, value.mv_data, sizeof counter);
        found = tfind(key.mv_data, &check->sums, by_scope);
        matched += found != NULL;
        if (!same_counter(&counter, found != NULL ? &((struct sum *)*found)->counter : &none))
            wrong(check, &check->proof->sums, 0,
                  "the counter of scope %s \"%.63s\" is not the sum of its records",
                  gov_scope_name(((const uint8_t *)key.mv_data)[0]), counter.name);
    }
    mdb_cursor_close(cursor);
    if (matched != check->sum_count)
        wrong(check, &check->proof->sums, 0, "%zu counters are missing",
              check->sum_count - matched);
}

static void check_runs(struct check *check)
{
    struct store_run run;
    uint8_t id[16];
    const uint8_t *last = NULL;
    size_t matched = 0;

    while (store_view_next_run(check->view, last, false, &run) == STORE_OK) {
        void **found = tfind(run.run_id, &check->runs, by_id);
        const struct run_sum *sum = found != NULL ? *found : NULL;

        matched += sum != NULL;
        if (sum == NULL || sum->admitted != run.admitted || sum->refused != run.refused ||
            sum->settled != run.settled || sum->estimated != run.estimated ||
            sum->in_flight != run.in_flight)
            wrong(check, &check->proof->sums, run.allocation_seq,
                  "the row of the run allocated by record %llu is not the sum of its records",
                  (unsigned long long)run.allocation_seq);
        memcpy(id, run.run_id, sizeof id);
        last = id;
    }
    if (matched != check->run_count)
        wrong(check, &check->proof->sums, 0, "%zu runs are missing", check->run_count - matched);
}

static void check_open(struct check *check)
{
    struct store_call call;
    uint8_t id[16];
    const uint8_t *last = NULL;
    size_t open = 0;

    while (store_view_next_open(check->view, last, &call) == STORE_OK) {
        open++;
        if (tfind(call.call_id, &check->calls, by_id) == NULL)
            wrong(check, &check->proof->sums, call.admission_seq,
                  "the call of record %llu is listed as open and is not",
                  (unsigned long long)call.admission_seq);
        memcpy(id, call.call_id, sizeof id);
        last = id;
    }
    if (open != check->call_count)
        wrong(check, &check->proof->sums, 0, "%zu calls are open, %zu are listed",
              check->call_count, open);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static enum store_err read_windows(struct check *check)
{
    struct store_scope_key key, *last = NULL;
    struct store_counter counter;

    while (store_view_next_window(check->view, last, &key, &counter) == STORE_OK) {
        struct window *grown = realloc(check->windows, (check->window_count + 1) * sizeof *grown);

        if (grown == NULL)
            return STORE_NOMEM;
        check->windows = grown;
        check->windows[check->window_count++] = (struct window){
            key, key.start_s * INT64_C(1000000000), counter.end_s * INT64_C(1000000000)};
        last = &check->windows[check->window_count - 1].key;
    }
    return STORE_OK;
}

static void read_chain(struct check *check, const uint8_t *head,
                       void (*progress)(void *data, uint64_t done, uint64_t all), void *data)
{
    uint8_t prev[32] = {0}, hash[32];
    uint64_t all;
    enum store_err err = STORE_OK;

    store_view_head(check->view, &all, hash);
    for (uint64_t seq = 1; seq <= all && !check->out_of_memory; seq++) {
        err = store_chain_get(check->view->store, check->view->txn, seq, &check->event, hash);
        if (err != STORE_OK || check->event.head.seq != seq) {
            wrong(check, &check->proof->chain, seq, "record %llu is missing or damaged",
                  (unsigned long long)seq);
            return;
        }
        if (memcmp(check->event.head.prev, prev, sizeof prev) != 0) {
            wrong(check, &check->proof->chain, seq,
                  "record %llu does not continue the record before it", (unsigned long long)seq);
            return;
        }
        memcpy(prev, hash, sizeof prev);
        if (head != NULL && memcmp(head, hash, sizeof hash) == 0)
            check->proof->head_known = true;
        on_record(check);
        check->proof->records = seq;
        if (progress != NULL && seq % PROGRESS_EVERY == 0)
            progress(data, seq, all);
    }
    memcpy(check->proof->head, prev, sizeof prev);
}

static void check_free(struct check *check)
{
    tdestroy(check->sums, free);
    tdestroy(check->calls, free);
    tdestroy(check->runs, free);
    free(check->windows);
    free(check);
}

enum store_err store_verify(struct store_view *view, const uint8_t *head,
                            void (*progress)(void *data, uint64_t done, uint64_t all), void *data,
                            struct store_proof *out)
{
    struct check *check = calloc(1, sizeof *check);
    enum store_err err;

    memset(out, 0, sizeof *out);
    out->chain = out->sums = out->caps = true;
    if (check == NULL)
        return STORE_NOMEM;
    check->view = view;
    check->proof = out;
    err = read_windows(check);
    if (err == STORE_OK)
        read_chain(check, head, progress, data);
    if (err == STORE_OK && out->chain) {
        check_counters(check);
        check_runs(check);
        check_open(check);
    } else if (err == STORE_OK) {
        out->sums = out->caps = false; /* not to be known beyond the damage */
    }
    if (check->out_of_memory)
        err = STORE_NOMEM;
    check_free(check);
    return err;
}
