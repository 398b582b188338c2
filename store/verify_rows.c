/* SPDX-License-Identifier: Apache-2.0 */
/* The proof, its second half: counters, rows of calls and runs, lists, against what the chain's
 * records came to. */
#include "store/store_int.h"
#include "store/window.h"

#include <search.h>
#include <string.h>

/* Walks by key, whatever stands in the rows. */
static void each_row(struct store_check *check, enum store_table table,
                     void (*each)(struct store_check *check, const MDB_val *key,
                                  const MDB_val *value))
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code = mdb_cursor_open(check->view->txn, check->view->store->tables[table], &cursor);

    while (code == MDB_SUCCESS) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (code == MDB_SUCCESS)
            each(check, &key, &value);
    }
    mdb_cursor_close(cursor);
    if (code != MDB_NOTFOUND)
        store_check_wrong(check, &check->proof->sums, 0, "a table cannot be read: %s",
                          mdb_strerror(code));
}

size_t store_check_count(const struct store_check *check, enum store_table table)
{
    MDB_stat stat = {0};

    (void)mdb_stat(check->view->txn, check->view->store->tables[table], &stat);
    return stat.ms_entries;
}

/* No record says that a request has left: a step of it is spent, and no longer held. */
static void book_step(struct store_sum *sum, const void *data)
{
    const struct store_admission *admission = data;

    sum->counter.held[GOV_STEPS] -= admission->hold[GOV_STEPS];
    sum->counter.charged[GOV_STEPS] += admission->hold[GOV_STEPS];
}

/* Where its answer stands, behind its hash; or nothing yet. */
static bool is_progress(const MDB_val *value)
{
    const uint8_t *bytes = value->mv_data;
    uint8_t hash[STORE_HASH_BYTES];

    if (value->mv_size <= sizeof hash || value->mv_size > sizeof hash + STORE_PROGRESS_MAX)
        return value->mv_size == 0;
    store_sha256(bytes + sizeof hash, value->mv_size - sizeof hash, hash);
    return memcmp(bytes, hash, sizeof hash) == 0;
}

static void check_open_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    void **found = key->mv_size == 16 ? tfind(key->mv_data, &check->calls, store_by_id) : NULL;
    const struct store_open_call *call = found != NULL ? *found : NULL;
    struct store_call row;

    if (!is_progress(value))
        store_check_wrong(check, &check->proof->sums, 0,
                          "where the answer of an open call stands is damaged");
    if (call == NULL || store_view_call(check->view, call->call_id, &row) != STORE_OK) {
        store_check_wrong(check, &check->proof->sums, 0, "a call is listed as open and is not");
        return;
    }
    if (row.consumption_seq != 0 ||
        row.state != (row.sent_ns != 0 ? STORE_CALL_SENT : STORE_CALL_HELD))
        store_check_wrong(check, &check->proof->sums, call->admission.head.seq,
                          "the row of the open call of record %llu does not say that it is open",
                          (unsigned long long)call->admission.head.seq);
    if (row.state == STORE_CALL_SENT)
        store_check_each(check, &call->admission, book_step, &call->admission.admission);
}

static void check_open(struct store_check *check)
{
    each_row(check, STORE_OPEN, check_open_row);
    if (store_check_count(check, STORE_OPEN) != check->call_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu calls are open, %zu are listed",
                          check->call_count, store_check_count(check, STORE_OPEN));
}

static void check_call_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    struct store_call row = {0};
    bool fits = key->mv_size == 16 && value->mv_size <= sizeof row &&
                value->mv_size >= store_row_least(STORE_CALLS);

    if (fits)
        memcpy(&row, value->mv_data, value->mv_size);
    check->matched += row.later_seq != 0;
    if (!fits || memcmp(row.call_id, key->mv_data, 16) != 0 ||
        row.version != (value->mv_size == sizeof row ? STORE_CALL_VERSION : 1))
        store_check_wrong(check, &check->proof->sums, 0, "the row of a call has another id");
}

static void check_calls(struct store_check *check)
{
    check->matched = 0;
    each_row(check, STORE_CALLS, check_call_row);
    if (check->matched != check->later_count)
        store_check_wrong(check, &check->proof->sums, 0,
                          "%zu calls have records after their end; there were %zu", check->matched,
                          check->later_count);
    if (store_check_count(check, STORE_CALLS) != check->row_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu calls have rows; there were %zu",
                          store_check_count(check, STORE_CALLS), check->row_count);
}

static void count_hour(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    uint64_t seq = 0;

    (void)key;
    if (value->mv_size == sizeof seq)
        memcpy(&seq, value->mv_data, sizeof seq);
    check->matched += seq > check->pruned.upto; /* who began an hour may be gone */
}

/* Every entry that a record asks for is there; so there is no other one if there are as many. */
static void check_indexes(struct store_check *check)
{
    check->matched = 0;
    each_row(check, STORE_HOURS, count_hour);
    if (store_check_count(check, STORE_INDEX) != check->index_count ||
        check->matched != check->hour_count)
        store_check_wrong(check, &check->proof->sums, 0,
                          "the indexes have %zu entries and %zu hours; there were %zu and %zu",
                          store_check_count(check, STORE_INDEX), check->matched, check->index_count,
                          check->hour_count);
}

/* Not the marks of what was logged: they are for the log alone. */
bool store_same_counter(const struct store_counter *row, const struct store_counter *sum)
{
    static const uint8_t zero[sizeof row->zero];

    return memcmp(row->extended, sum->extended, sizeof row->extended) == 0 &&
           row->in_flight == sum->in_flight &&
           memcmp(row->charged, sum->charged, sizeof row->charged) == 0 &&
           memcmp(row->credited, sum->credited, sizeof row->credited) == 0 &&
           memcmp(row->held, sum->held, sizeof row->held) == 0 && row->end_s == sum->end_s &&
           memcmp(row->zero, zero, sizeof zero) == 0;
}

/* A name is the one that the key was made of; a longer one has only its beginning here. */
static bool fits_name(const char name[64], const struct store_scope_key *key)
{
    static const char none[64];
    struct store_scope_key named;
    size_t length = strnlen(name, sizeof none);

    if (memcmp(name + length, none, sizeof none - length) != 0)
        return false;
    if (length == 0 || length == sizeof none - 1)
        return true;
    if (length == sizeof none)
        return false;
    store_scope_name(&named, (enum gov_scope_kind)key->kind, name);
    return memcmp(named.id, key->id, sizeof named.id) == 0;
}

static void check_counter_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    static const struct store_counter none;
    struct store_scope_key scope;
    struct store_counter row = {0};
    void **found;

    if (key->mv_size == sizeof scope && value->mv_size <= sizeof row)
        memcpy(&row, value->mv_data, value->mv_size);
    if (key->mv_size != sizeof scope ||
        !store_row_is_whole(STORE_COUNTERS, row.version, value->mv_size)) {
        store_check_wrong(check, &check->proof->sums, 0, "a counter has another size");
        return;
    }
    memcpy(&scope, key->mv_data, sizeof scope);
    found = tfind(&scope, &check->sums, store_by_scope);
    check->matched += found != NULL;
    if (!store_same_counter(&row, found != NULL ? &((struct store_sum *)*found)->counter : &none) ||
        !fits_name(row.name, &scope) || (scope.window != GOV_WHOLE) != (row.end_s != 0))
        store_check_wrong(check, &check->proof->sums, 0,
                          "the counter of scope %s \"%.63s\" is not the sum of its records",
                          gov_scope_name(scope.kind), row.name);
}

static void check_counters(struct store_check *check)
{
    check->matched = 0;
    each_row(check, STORE_COUNTERS, check_counter_row);
    if (check->matched != check->sum_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu counters are missing",
                          check->sum_count - check->matched);
}

static bool same_run(const struct store_run *row, const struct store_run_sum *sum)
{
    static const uint8_t zero[sizeof row->zero2];
    const struct store_run *want = &sum->row;

    return sum->admitted == row->admitted && sum->refused == row->refused &&
           sum->settled == row->settled && sum->estimated == row->estimated &&
           sum->in_flight == row->in_flight && want->state == row->state &&
           want->ended_ns == row->ended_ns && want->reason_count == row->reason_count &&
           row->reason_count <= GOV_CODES_MAX &&
           memcmp(want->reasons, row->reasons, row->reason_count * sizeof row->reasons[0]) == 0 &&
           want->paused_ns == row->paused_ns && want->paused_since_ns == row->paused_since_ns &&
           want->pid == row->pid && want->pid_start == row->pid_start &&
           memcmp(want->boot_id, row->boot_id, sizeof row->boot_id) == 0 &&
           want->asked_seq == row->asked_seq && want->paused_by_hand == row->paused_by_hand &&
           want->task_approved == row->task_approved &&
           memcmp(zero, row->zero, sizeof row->zero) == 0 &&
           memcmp(zero, row->zero2, sizeof row->zero2) == 0;
}

static void check_alive(struct store_check *check, const MDB_val *key, const struct store_run *row)
{
    struct store_index_key entry;
    char nothing;

    if (key->mv_size != sizeof entry.id || row->ended_ns != 0)
        return;
    store_alive_key(&entry, key->mv_data);
    check->index_count++;
    if (store_get(check->view->store, check->view->txn, STORE_INDEX, &entry, sizeof entry, &nothing,
                  0) != STORE_OK)
        store_check_wrong(check, &check->proof->sums, row->allocation_seq,
                          "the run allocated by record %llu lives and is not listed so",
                          (unsigned long long)row->allocation_seq);
}

static void check_run_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    void **found = key->mv_size == 16 ? tfind(key->mv_data, &check->runs, store_by_id) : NULL;
    struct store_run row = {0};

    check->matched += found != NULL;
    if (value->mv_size <= sizeof row)
        memcpy(&row, value->mv_data, value->mv_size);
    check_alive(check, key, &row);
    if (found == NULL || !store_row_is_whole(STORE_RUNS, row.version, value->mv_size) ||
        !same_run(&row, *found))
        store_check_wrong(
            check, &check->proof->sums, row.allocation_seq,
            "the row of the run allocated by record %llu is not the sum of its records",
            (unsigned long long)row.allocation_seq);
}

static void check_runs(struct store_check *check)
{
    check->matched = 0;
    each_row(check, STORE_RUNS, check_run_row);
    if (check->matched != check->run_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu runs are missing",
                          check->run_count - check->matched);
}

static void check_objects(struct store_check *check)
{
    if (store_check_count(check, STORE_OBJECTS) != check->object_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu objects are listed; there were %zu",
                          store_check_count(check, STORE_OBJECTS), check->object_count);
}

/* An override that was given has its row; so there is no other one if there are as many. */
static void check_orders(struct store_check *check)
{
    if (store_check_count(check, STORE_ORDERS) != check->order_count)
        store_check_wrong(check, &check->proof->sums, 0, "%zu orders are in force; there were %zu",
                          store_check_count(check, STORE_ORDERS), check->order_count);
}

/* ---- what stands in the meta table ----------------------------------------------------------
 */

static bool is_task(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    const uint8_t *bytes = key->mv_data;
    const struct store_task_sum *task;
    void **found;

    if (key->mv_size != STORE_TASK_KEY || memcmp(bytes, "task", 4) != 0 ||
        value->mv_size != sizeof task->row)
        return false;
    found = tfind(bytes + STORE_TASK_KEY - sizeof task->id, &check->tasks, store_by_id);
    task = found != NULL ? *found : NULL;
    check->matched++;
    return task != NULL && memcmp(&task->row, value->mv_data, sizeof task->row) == 0;
}

static bool is_direct(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    const struct store_standing *standing = &check->standing;

    (void)key;
    check->matched++;
    return standing->directed && value->mv_size == sizeof standing->direct &&
           memcmp(&standing->direct, value->mv_data, sizeof standing->direct) == 0;
}

/* The rest of it was measured. */
static bool is_clock(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    struct store_clock_row row;

    (void)key;
    if (value->mv_size != sizeof row)
        return false;
    memcpy(&row, value->mv_data, sizeof row);
    check->matched += check->standing.jumped;
    return row.jumped == check->standing.jumped;
}

/* "pruned" is proven with the base, "schema" when it is opened; "clean" is about the file. */
static bool is_any(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    (void)check, (void)key, (void)value;
    return true;
}

static void check_meta_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    static const struct {
        const char *name;
        bool (*fits)(struct store_check *check, const MDB_val *key, const MDB_val *value);
    } rows[] = {{"clock", is_clock}, {"direct", is_direct}, {"pruned", is_any},
                {"schema", is_any},  {"clean", is_any},     {"task", is_task}};
    unsigned i = 0;

    while (i < sizeof rows / sizeof rows[0] - 1 &&
           (key->mv_size != strlen(rows[i].name) ||
            memcmp(key->mv_data, rows[i].name, key->mv_size) != 0))
        i++;
    if (!rows[i].fits(check, key, value))
        store_check_wrong(check, &check->proof->sums, 0,
                          "what stands beside the chain of a %s does not follow from it",
                          rows[i].name);
}

static void check_meta(struct store_check *check)
{
    size_t want = check->task_count + check->standing.directed + check->standing.jumped;

    check->matched = 0;
    each_row(check, STORE_META, check_meta_row);
    if (check->matched != want)
        store_check_wrong(check, &check->proof->sums, 0,
                          "%zu tasks, directives, doubts of the clock stand beside the chain; "
                          "there were %zu",
                          check->matched, want);
}

void store_check_rows(struct store_check *check)
{
    check_open(check); /* before the counters: it knows what has left */
    check_calls(check);
    check_counters(check);
    check_runs(check); /* before the indexes: those that live are in one */
    check_indexes(check);
    check_objects(check);
    check_orders(check);
    check_meta(check);
}
