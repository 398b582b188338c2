/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's file: opening, the lock, what was there before, transactions that come to nothing,
 * views. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tests/unit/store_raw.h"

static uint64_t head_of(struct ledger *ledger, uint8_t hash[32])
{
    struct store_view *view = view_of(ledger);
    uint64_t seq;

    store_view_head(view, &seq, hash);
    store_view_close(view);
    return seq;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void a_new_ledger_is_empty_clean_and_proven(void **state)
{
    struct ledger ledger;
    uint8_t hash[32], zero[32] = {0};
    struct store_run run;
    struct store_view *view;
    char path[128];

    (void)state;
    ledger_new(&ledger);
    assert_true(store_was_clean(ledger.store));
    (void)snprintf(path, sizeof path, "%s/ledger.mdb-lock", ledger.home);
    assert_int_equal(access(path, F_OK), -1); /* nothing on the disk is mapped for writing */
    assert_int_equal(head_of(&ledger, hash), 0);
    assert_memory_equal(hash, zero, 32);
    view = view_of(&ledger);
    assert_int_equal(store_view_next_run(view, NULL, false, &run), STORE_NOT_FOUND);
    assert_int_equal(store_view_next_run(view, NULL, true, &run), STORE_NOT_FOUND);
    store_view_close(view);
    expect_proven(&ledger, "a new ledger");
    ledger_free(&ledger);
}

static void the_chain_goes_on_where_it_was(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_view *view;
    uint8_t hash[32], after[32];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    commit(&ledger);
    assert_int_equal(head_of(&ledger, hash), 2);
    store_close(ledger.store);

    ledger_open(&ledger, false);
    assert_int_equal(head_of(&ledger, after), 2);
    assert_memory_equal(hash, after, 32);
    assert_int_equal(counter_of_run(&ledger, 1).held[GOV_COST], 500);
    begin(&ledger);
    assert_int_equal(settle(&ledger, 7, STORE_UNKNOWN, 1000, 500), STORE_OK);
    commit(&ledger);
    view = view_of(&ledger);
    assert_int_equal(store_view_event(view, 3, &event), STORE_OK);
    assert_memory_equal(event.head.prev, hash, 32);
    assert_int_equal(event.head.seq, 3);
    assert_int_equal(event.head.version, 1);
    assert_int_equal(event.head.bytes, sizeof event.head + sizeof event.consumption);
    store_view_close(view);
    expect_proven(&ledger, "opened again");
    ledger_free(&ledger);
}

static void who_has_it_is_told_to_who_comes_second(void **state)
{
    struct ledger ledger;
    struct store_error error;
    struct store *second = NULL;
    char pid[32];

    (void)state;
    ledger_new(&ledger);
    (void)snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(store_open(ledger.home, read_only, &second, &error), STORE_LOCKED);
        assert_non_null(strstr(error.text, pid));
        assert_non_null(strstr(error.text, ledger.home));
        assert_null(second);
    }
    assert_int_equal(store_open(ledger.home, false, &second, NULL), STORE_LOCKED);
    run_new(&ledger, 1); /* the first one is none the worse */
    store_close(ledger.store);
    ledger_open(&ledger, false);
    ledger_free(&ledger);
}

/* Runs what() in a child process; what it returns. */
static int in_child(int (*what)(const char *home), const char *home)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(what(home));
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int dies_holding_a_call(const char *home)
{
    struct ledger ledger;
    struct store_error error;

    (void)snprintf(ledger.home, sizeof ledger.home, "%s", home);
    if (store_open(home, false, &ledger.store, &error) != STORE_OK)
        return 1;
    if (store_begin(ledger.store) != STORE_OK || run_begin(ledger.store, 1, NOON) != STORE_OK ||
        admit(&ledger, 1, 7, 1000, 500) != STORE_OK || store_commit(ledger.store, true) != STORE_OK)
        return 2;
    if (store_begin(ledger.store) != STORE_OK || admit(&ledger, 1, 8, 1, 1) != STORE_OK)
        return 3;
    return 0; /* without closing, in the middle of a transaction */
}

static void a_process_that_died_leaves_what_it_had_committed(void **state)
{
    struct ledger ledger;
    struct store_call call;
    struct store_view *view;

    (void)state;
    home_new(ledger.home);
    assert_int_equal(in_child(dies_holding_a_call, ledger.home), 0);
    ledger_open(&ledger, false);
    assert_false(store_was_clean(ledger.store));
    view = view_of(&ledger);
    assert_int_equal(store_view_next_open(view, NULL, &call), STORE_OK);
    assert_int_equal(store_view_next_open(view, call.call_id, &call), STORE_NOT_FOUND);
    store_view_close(view);
    expect_proven(&ledger, "after a death");
    store_close(ledger.store);
    ledger_open(&ledger, true);
    assert_true(store_was_clean(ledger.store));
    ledger_free(&ledger);
}

static int opens_as_nobody(const char *home)
{
    struct store_error error;
    struct store *store;

    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 1;
    if (store_open(home, false, &store, &error) != STORE_READ_ONLY)
        return 2;
    return strstr(error.text, home) != NULL ? 0 : 3;
}

static void a_directory_that_cannot_be_written_is_said(void **state)
{
    char home[64];

    (void)state;
    home_new(home);
    assert_int_equal(chmod(home, 0555), 0);
    assert_int_equal(in_child(opens_as_nobody, home), 0);
    home_remove(home);
}

static void a_directory_that_is_not_there_is_said(void **state)
{
    struct store_error error;
    struct store *store = NULL;
    char home[64], longest[600];

    (void)state;
    home_new(home);
    home_remove(home);
    assert_int_not_equal(store_open(home, false, &store, &error), STORE_OK);
    assert_non_null(strstr(error.text, home));
    assert_int_not_equal(store_open(home, true, &store, &error), STORE_OK);

    /* 600 bytes of a name of which the first 511 are a directory */
    home_new(home);
    memset(longest, '/', sizeof longest);
    memcpy(longest, home, strlen(home));
    (void)snprintf(longest + 511, sizeof longest - 511, "/none");
    assert_int_not_equal(store_open(longest, false, &store, &error), STORE_OK);
    assert_true(strlen(error.text) > 0);
    assert_null(store);
    home_remove(home);
}

static void a_reader_writes_nothing(void **state)
{
    struct ledger ledger;
    struct store_error error;

    (void)state;
    home_new(ledger.home);
    assert_int_not_equal(store_open(ledger.home, true, &ledger.store, &error), STORE_OK);
    assert_non_null(strstr(error.text, ledger.home));
    home_remove(ledger.home);

    ledger_new(&ledger);
    run_new(&ledger, 1);
    store_close(ledger.store);
    ledger_open(&ledger, true);
    assert_true(store_was_clean(ledger.store));
    assert_int_equal(store_begin(ledger.store), STORE_READ_ONLY);
    assert_int_equal(row_of_run(&ledger, 1).allocation.pid, 4711);
    expect_proven(&ledger, "read only");
    ledger_free(&ledger);
}

/* ---- files that are not as they were ------------------------------------------------------- */

static void a_file_that_is_no_ledger_is_damaged(void **state)
{
    struct store_error error;
    struct store *store = NULL;
    char home[64], path[128];
    FILE *file;

    (void)state;
    home_new(home);
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", home);
    file = fopen(path, "w");
    for (int i = 0; i < 4096; i++)
        (void)fputs("no!\n", file);
    (void)fclose(file);
    assert_int_equal(store_open(home, false, &store, &error), STORE_DAMAGED);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(store_open(home, true, &store, &error), STORE_DAMAGED);
    home_remove(home);
}

static void a_ledger_of_another_schema_is_left_alone(uint8_t schema, enum store_err want)
{
    struct ledger ledger;
    struct store_error error;
    struct raw raw;
    struct raw_row row = {.key_bytes = 6, .value_bytes = 4, .key = "schema", .value = {schema}};

    ledger_new(&ledger);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "meta");
    raw_put(&raw, &row);
    raw_close(&raw);
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(store_open(ledger.home, read_only, &ledger.store, &error), want);
        assert_non_null(strstr(error.text, schema == 1 ? "schema 1" : "schema 5"));
    }
    home_remove(ledger.home);
}

/* What stood in it must not count as nothing: spent, held, stopped, in doubt. */
static void a_ledger_that_lacks_a_table_is_damaged(void **state)
{
    static const char *const tables[] = {"chain", "calls", "open",    "runs", "counters", "meta",
                                         "index", "hours", "objects", "base", "orders"};

    (void)state;
    for (unsigned i = 0; i <= COUNT(tables); i++) {
        const char *what = i < COUNT(tables) ? tables[i] : "the row of its schema";
        struct store_error error;
        struct ledger ledger;
        struct raw raw;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
        commit(&ledger);
        store_close(ledger.store);
        raw_open(&raw, ledger.home, i < COUNT(tables) ? tables[i] : "meta");
        if (i < COUNT(tables)) {
            assert_int_equal(mdb_drop(raw.txn, raw.dbi, 1), 0);
        } else {
            MDB_val key = {6, (void *)(uintptr_t) "schema"};

            assert_int_equal(mdb_del(raw.txn, raw.dbi, &key, NULL), 0);
        }
        raw_close(&raw);
        for (unsigned writes = 0; writes < 2; writes++) {
            enum store_err err = store_open(ledger.home, writes == 0, &ledger.store, &error);

            if (err != STORE_DAMAGED)
                fail_msg("without %s: %s", what, store_strerror(err));
        }
        home_remove(ledger.home);
    }
}

/* A walk from row to row would lead back, and go round for ever. */
static void a_row_that_is_anothers_is_damage(void **state)
{
    struct store_view *view;
    struct ledger ledger;
    struct store_call call;
    struct raw_row row;
    struct raw raw;
    uint8_t first[16], last[16];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (uint64_t number = 7; number <= 9; number++)
        assert_int_equal(admit(&ledger, 1, number, 10, 5), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "calls");
    assert_true(raw_row(&raw, 2, &row));
    memcpy(last, row.key, sizeof last);
    id_make(first, 'c', 7);
    memcpy(row.value + offsetof(struct store_call, call_id), first, sizeof first);
    raw_put(&raw, &row);
    raw_close(&raw);
    ledger_open(&ledger, true);
    view = view_of(&ledger);
    assert_int_equal(store_view_next_call(view, NULL, NULL, &call), STORE_OK);
    assert_int_equal(store_view_next_call(view, NULL, call.call_id, &call), STORE_OK);
    assert_int_equal(store_view_next_call(view, NULL, call.call_id, &call), STORE_DAMAGED);
    assert_int_equal(store_view_call(view, last, &call), STORE_DAMAGED);
    store_view_close(view);
    ledger_free(&ledger);
}

static void ledgers_of_other_schemas_are_left_alone(void **state)
{
    (void)state;
    a_ledger_of_another_schema_is_left_alone(STORE_SCHEMA + 1, STORE_SCHEMA_NEWER);
    a_ledger_of_another_schema_is_left_alone(1, STORE_SCHEMA_OLDER);
}

/* n of six records is changed; a writer is told which, a reader may look. */
static void check_damage(unsigned n)
{
    struct ledger ledger;
    struct store_error error;
    struct store_proof proof;
    struct raw raw;
    struct raw_row row;
    char number[32];

    ledger_new(&ledger);
    for (uint64_t run = 1; run <= 6; run++)
        run_new(&ledger, run);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, n, &row));
    row.value[200] ^= 1;
    raw_put(&raw, &row);
    raw_close(&raw);
    assert_int_equal(store_open(ledger.home, false, &ledger.store, &error), STORE_DAMAGED);
    (void)snprintf(number, sizeof number, "record %u", n + 1);
    if (n < 5) /* the last one is where the chain would go on */
        assert_non_null(strstr(error.text, number));
    assert_true(strlen(error.text) > 0);
    ledger_open(&ledger, true);
    proof = proof_of(&ledger, NULL);
    assert_false(proof.chain);
    assert_int_equal(proof.first_bad, n + 1);
    ledger_free(&ledger);
}

static void a_damaged_chain_is_not_continued_and_can_be_looked_at(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 6; n++)
        check_damage(n);
}

/* ---- transactions ------------------------------------------------------------------------- */

static void what_is_given_up_leaves_nothing(void **state)
{
    struct ledger ledger;
    uint8_t before[32], after[32];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    (void)head_of(&ledger, before);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(sent(&ledger, 7), STORE_OK);
    store_abort(ledger.store);
    store_abort(ledger.store); /* none is open any more */
    assert_int_equal(head_of(&ledger, after), 1);
    assert_memory_equal(before, after, 32);
    assert_int_equal(counter_of_run(&ledger, 1).held[GOV_COST], 0);
    assert_int_equal(row_of_run(&ledger, 1).admitted, 0);
    begin(&ledger); /* the chain goes on where it was */
    assert_int_equal(admit(&ledger, 1, 8, 1000, 500), STORE_OK);
    commit(&ledger);
    begin(&ledger);
    assert_int_equal(sent(&ledger, 8), STORE_OK);
    store_close(ledger.store);
    ledger_open(&ledger, false);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_STEPS], 0);
    expect_proven(&ledger, "given up");
    ledger_free(&ledger);
}

/* ---- views -------------------------------------------------------------------------------- */

static void a_view_is_of_one_moment(void **state)
{
    struct ledger ledger;
    struct store_view *view;
    struct store_event event;
    struct store_run run;
    uint8_t hash[32];
    uint64_t seq;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    view = view_of(&ledger);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    commit(&ledger);
    store_view_head(view, &seq, hash);
    assert_int_equal(seq, 1);
    assert_int_equal(store_view_event(view, 2, &event), STORE_NOT_FOUND);
    assert_int_equal(store_view_event(view, 0, &event), STORE_OK);
    assert_int_equal(event.head.seq, 1);
    assert_int_equal(store_view_run(view, event.head.run_id, &run), STORE_OK);
    assert_int_equal(run.admitted, 0);
    store_view_close(view);
    store_view_close(NULL);
    ledger_free(&ledger);
}

static void runs_and_calls_are_walked_in_order(void **state)
{
    struct ledger ledger;
    struct store_view *view;
    struct store_run run;
    struct store_call call;
    struct store_index_key of_2;
    uint8_t run_2[16], last[16];
    unsigned count = 0;

    (void)state;
    ledger_new(&ledger);
    for (uint64_t number = 1; number <= 3; number++)
        run_new(&ledger, number);
    begin(&ledger);
    for (uint64_t number = 1; number <= 9; number++)
        assert_int_equal(admit(&ledger, 1 + number % 3, number, 10, 10), STORE_OK);
    for (uint64_t number = 1; number <= 9; number += 2)
        assert_int_equal(settle(&ledger, number, STORE_RELEASED, 0, 0), STORE_OK);
    commit(&ledger);
    view = view_of(&ledger);
    for (enum store_err err = store_view_next_run(view, NULL, false, &run); err == STORE_OK;
         err = store_view_next_run(view, last, false, &run)) {
        assert_int_equal(run.run_id[7], ++count);
        memcpy(last, run.run_id, 16);
    }
    assert_int_equal(count, 3);
    for (enum store_err err = store_view_next_run(view, NULL, true, &run); err == STORE_OK;
         err = store_view_next_run(view, last, true, &run)) {
        assert_int_equal(run.run_id[7], count--);
        memcpy(last, run.run_id, 16);
    }
    assert_int_equal(count, 0);
    id_make(run_2, 'r', 2);
    store_index_run(&of_2, STORE_CALLS_OF_RUN, run_2);
    assert_int_equal(store_view_next_call(view, &of_2, NULL, &call), STORE_OK);
    assert_int_equal(call.call_id[7], 1);
    assert_int_equal(store_view_next_call(view, &of_2, call.call_id, &call), STORE_OK);
    assert_int_equal(call.call_id[7], 4);
    assert_int_equal(store_view_next_call(view, &of_2, call.call_id, &call), STORE_OK);
    assert_int_equal(store_view_next_call(view, &of_2, call.call_id, &call), STORE_NOT_FOUND);
    assert_int_equal(store_view_next_call(view, NULL, NULL, &call), STORE_OK);
    assert_int_equal(store_view_next_call(view, NULL, call.call_id, &call), STORE_OK);
    assert_int_equal(call.call_id[7], 2);
    assert_int_equal(store_view_next_open(view, NULL, &call), STORE_OK);
    assert_int_equal(call.call_id[7], 2);
    assert_int_equal(store_view_next_open(view, call.call_id, &call), STORE_OK);
    assert_int_equal(call.call_id[7], 4);
    store_view_close(view);
    ledger_free(&ledger);
}

static void every_error_has_its_words(void **state)
{
    (void)state;
    for (unsigned err = STORE_OK; err <= STORE_ROLLED_BACK; err++)
        assert_string_not_equal(store_strerror((enum store_err)err), "unknown error");
    assert_string_equal(store_strerror((enum store_err)99), "unknown error");
    assert_string_equal(store_strerror(STORE_NOMEM), "out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ledger_is_empty_clean_and_proven),
        cmocka_unit_test(the_chain_goes_on_where_it_was),
        cmocka_unit_test(who_has_it_is_told_to_who_comes_second),
        cmocka_unit_test(a_process_that_died_leaves_what_it_had_committed),
        cmocka_unit_test(a_directory_that_cannot_be_written_is_said),
        cmocka_unit_test(a_directory_that_is_not_there_is_said),
        cmocka_unit_test(a_reader_writes_nothing),
        cmocka_unit_test(a_file_that_is_no_ledger_is_damaged),
        cmocka_unit_test(a_ledger_that_lacks_a_table_is_damaged),
        cmocka_unit_test(a_row_that_is_anothers_is_damage),
        cmocka_unit_test(ledgers_of_other_schemas_are_left_alone),
        cmocka_unit_test(a_damaged_chain_is_not_continued_and_can_be_looked_at),
        cmocka_unit_test(what_is_given_up_leaves_nothing),
        cmocka_unit_test(a_view_is_of_one_moment),
        cmocka_unit_test(runs_and_calls_are_walked_in_order),
        cmocka_unit_test(every_error_has_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
