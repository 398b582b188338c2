/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a whole ledger: made while it is written, put in its place, compacted; what is not
 * proven takes no place, and what was there stays. */
#include <pthread.h>
#include <sys/stat.h>

#include "tests/unit/store_raw.h"

static void fill(struct ledger *ledger, uint64_t from, uint64_t to)
{
    begin(ledger);
    for (uint64_t call = from; call <= to; call++) {
        assert_int_equal(admit(ledger, 1, call, 10, 10), STORE_OK);
        assert_int_equal(settle(ledger, call, STORE_SETTLED, 3, 3), STORE_OK);
    }
    commit(ledger);
}

static uint64_t records_of(struct ledger *ledger)
{
    struct store_view *view = view_of(ledger);
    uint8_t head[32];
    uint64_t seq;

    store_view_head(view, &seq, head);
    store_view_close(view);
    return seq;
}

static int64_t file_bytes(const char *home)
{
    struct stat info;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", home);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

static void a_copy_is_the_ledger_of_that_moment(void **state)
{
    struct ledger ledger, copy;
    struct store_error error;

    (void)state;
    ledger_new(&ledger);
    home_new(copy.home);
    run_new(&ledger, 1);
    for (uint64_t round = 0; round < 3; round++) { /* over the copy of before, too */
        fill(&ledger, 1 + 10 * round, 10 + 10 * round);
        assert_int_equal(store_copy(ledger.store, copy.home, round == 1, &error), STORE_OK);
        ledger_open(&copy, true);
        assert_int_equal(records_of(&copy), 21 + 20 * round);
        expect_proven(&copy, "a copy");
        store_close(copy.store);
    }
    fill(&ledger, 31, 40);
    ledger_open(&copy, false); /* it is a ledger of its own */
    fill(&copy, 50, 60);
    expect_proven(&copy, "gone on with");
    ledger_free(&copy);
    ledger_free(&ledger);
}

struct copying {
    struct ledger *ledger;
    char home[64];
    enum store_err err;
};

static void *copy_often(void *data)
{
    struct copying *copying = data;
    struct store_error error;

    for (int i = 0; i < 20 && copying->err == STORE_OK; i++)
        copying->err = store_copy(copying->ledger->store, copying->home, i % 2 == 1, &error);
    return NULL;
}

static void a_copy_is_made_while_others_write(void **state)
{
    struct ledger ledger, copy;
    struct copying copying = {.ledger = &ledger};
    pthread_t thread;

    (void)state;
    ledger_new(&ledger);
    home_new(copying.home);
    run_new(&ledger, 1);
    fill(&ledger, 1, 500);
    assert_int_equal(pthread_create(&thread, NULL, copy_often, &copying), 0);
    for (uint64_t call = 501; call <= 900; call++)
        fill(&ledger, call, call);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(copying.err, STORE_OK);
    memcpy(copy.home, copying.home, sizeof copy.home);
    ledger_open(&copy, true);
    assert_true(records_of(&copy) >= 1001);
    expect_proven(&copy, "copied meanwhile");
    ledger_free(&copy);
    expect_proven(&ledger, "written meanwhile");
    ledger_free(&ledger);
}

static void what_is_restored_takes_the_place_and_what_was_there_is_kept(void **state)
{
    struct ledger ledger, copy, old;
    struct store_replaced replaced;
    struct store_error error;
    char name[700];

    (void)state;
    ledger_new(&ledger);
    home_new(copy.home);
    home_new(old.home);
    run_new(&ledger, 1);
    fill(&ledger, 1, 10);
    assert_int_equal(store_copy(ledger.store, copy.home, false, &error), STORE_OK);
    fill(&ledger, 11, 20);
    assert_int_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_LOCKED);
    store_close(ledger.store);
    assert_int_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_OK);
    assert_int_equal(replaced.records, 21);
    ledger_open(&ledger, false);
    assert_int_equal(records_of(&ledger), 21);
    expect_proven(&ledger, "restored");
    fill(&ledger, 30, 40);
    (void)snprintf(name, sizeof name, "%s/ledger.mdb", old.home);
    assert_int_equal(rename(replaced.kept, name), 0);
    ledger_open(&old, true);
    assert_int_equal(records_of(&old), 41);
    expect_proven(&old, "kept");
    ledger_free(&old);
    home_remove(copy.home);
    ledger_free(&ledger);
}

static void a_copy_that_is_not_proven_takes_no_place(void **state)
{
    struct ledger ledger, copy;
    struct store_replaced replaced;
    struct store_error error;
    struct raw_row row;
    struct raw raw;

    (void)state;
    ledger_new(&ledger);
    home_new(copy.home);
    run_new(&ledger, 1);
    fill(&ledger, 1, 10);
    assert_int_equal(store_copy(ledger.store, copy.home, false, &error), STORE_OK);
    fill(&ledger, 11, 20);
    store_close(ledger.store);
    raw_open(&raw, copy.home, "chain");
    assert_true(raw_row(&raw, 5, &row));
    row.value[120] ^= 1;
    raw_put(&raw, &row);
    raw_close(&raw);
    assert_int_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_DAMAGED);
    assert_non_null(strstr(error.text, "record 6 is missing or damaged"));
    home_remove(copy.home);
    assert_int_not_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_OK);
    ledger_open(&ledger, false);
    assert_int_equal(records_of(&ledger), 41);
    expect_proven(&ledger, "as it was");
    ledger_free(&ledger);
}

/* The home has no ledger yet, or one that cannot be opened. */
static void a_ledger_is_restored_where_none_is(void **state)
{
    struct ledger ledger, copy;
    struct store_replaced replaced;
    struct store_error error;
    char path[128];
    FILE *file;

    (void)state;
    ledger_new(&ledger);
    home_new(copy.home);
    run_new(&ledger, 1);
    fill(&ledger, 1, 10);
    assert_int_equal(store_copy(ledger.store, copy.home, false, &error), STORE_OK);
    ledger_free(&ledger);
    home_new(ledger.home);
    assert_int_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_OK);
    assert_string_equal(replaced.kept, "");
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", ledger.home);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("no ledger", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(store_open(ledger.home, false, &ledger.store, &error), STORE_DAMAGED);
    assert_int_equal(store_restore(ledger.home, copy.home, &replaced, &error), STORE_OK);
    assert_int_equal(file_bytes(ledger.home), file_bytes(copy.home));
    ledger_open(&ledger, false);
    expect_proven(&ledger, "restored over rubble");
    ledger_free(&ledger);
    home_remove(copy.home);
}

static void a_compacted_ledger_is_the_same_one(void **state)
{
    struct ledger ledger;
    struct store_replaced replaced;
    struct store_error error;
    struct raw_row row;
    struct raw raw;
    int64_t before;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    fill(&ledger, 1, 400);
    assert_int_equal(store_compact(ledger.home, &replaced, &error), STORE_LOCKED);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "meta"); /* pages that nothing is in any more */
    assert_int_equal(mdb_dbi_open(raw.txn, "rubbish", MDB_CREATE, &raw.dbi), 0);
    for (unsigned n = 0; n < 500; n++) {
        row = (struct raw_row){.key_bytes = 4, .value_bytes = sizeof row.value};
        memcpy(row.key, &n, sizeof n);
        raw_put(&raw, &row);
    }
    raw_close(&raw);
    raw_open(&raw, ledger.home, "rubbish");
    assert_int_equal(mdb_drop(raw.txn, raw.dbi, 1), 0);
    raw_close(&raw);
    before = file_bytes(ledger.home);
    assert_int_equal(store_compact(ledger.home, &replaced, &error), STORE_OK);
    assert_int_equal(replaced.records, 801);
    assert_true(file_bytes(ledger.home) < before - (1 << 20));
    ledger_open(&ledger, false);
    expect_proven(&ledger, "compacted");
    fill(&ledger, 401, 410);
    expect_proven(&ledger, "gone on with");
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_the_ledger_of_that_moment),
        cmocka_unit_test(a_copy_is_made_while_others_write),
        cmocka_unit_test(what_is_restored_takes_the_place_and_what_was_there_is_kept),
        cmocka_unit_test(a_copy_that_is_not_proven_takes_no_place),
        cmocka_unit_test(a_ledger_is_restored_where_none_is),
        cmocka_unit_test(a_compacted_ledger_is_the_same_one),
    };

    return cmocka_run_group_tests_name("store copies", tests, NULL, NULL);
}
