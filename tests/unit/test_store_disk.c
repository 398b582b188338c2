/* SPDX-License-Identifier: Apache-2.0 */
/* The disk below the ledger: what kind it is, what is done to the file behind the ledger's back,
 * older copies, room that is set aside, a map that becomes too small. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include "store/store_int.h"
#include "tests/unit/store_raw.h"

static void path_in(const struct ledger *ledger, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", ledger->home, name);
}

static void copy(const char *from, const char *to)
{
    char command[300];

    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static int64_t size_of(const struct ledger *ledger, const char *name)
{
    struct stat info;
    char path[128];

    path_in(ledger, name, path);
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

/* ---- file systems ---------------------------------------------------------------------------- */

static void a_file_system_that_cannot_keep_a_ledger_is_refused_by_name(void **state)
{
    static const struct {
        uint32_t magic;
        enum store_err want;
        const char *name; /* NULL: nothing to say */
    } rows[] = {
        {0x6969, STORE_FILE_SYSTEM, "NFS"},
        {0x65735546, STORE_FILE_SYSTEM, "FUSE"},
        {0x01021997, STORE_FILE_SYSTEM, "9p"},
        {0x517b, STORE_FILE_SYSTEM, "SMB"},
        {0xff534d42, STORE_FILE_SYSTEM, "SMB"},
        {0xfe534d42, STORE_FILE_SYSTEM, "SMB"},
        {0x00c36400, STORE_FILE_SYSTEM, "Ceph"},
        {0x794c7630, STORE_OK, "overlay"},
        {0x01021994, STORE_OK, "tmpfs"},
        {0xef53, STORE_OK, NULL},
        {0x58465342, STORE_OK, NULL},
        {0x9123683e, STORE_OK, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[200];
        enum store_err err = store_fs_judge(rows[i].magic, text, sizeof text);

        if (err != rows[i].want || (rows[i].name == NULL) != (text[0] == '\0') ||
            (rows[i].name != NULL && strstr(text, rows[i].name) == NULL))
            fail_msg("%x: %s, \"%s\"", rows[i].magic, store_strerror(err), text);
    }
}

/* ---- behind its back ------------------------------------------------------------------------- */

enum deed { UNLINK, REPLACE, CUT, UNLINK_LOCK };

static void what_is_done_to_the_file_closes_the_ledger(void **state)
{
    (void)state;
    for (enum deed deed = UNLINK; deed <= UNLINK_LOCK; deed++) {
        struct ledger ledger;
        char path[128], other[128], lock[128];

        ledger_new(&ledger);
        run_new(&ledger, 1);
        assert_int_equal(store_tick(ledger.store), STORE_OK);
        path_in(&ledger, "ledger.mdb", path);
        path_in(&ledger, "other", other);
        path_in(&ledger, "lock", lock);
        if (deed == UNLINK)
            assert_int_equal(unlink(path), 0);
        else if (deed == REPLACE) {
            copy(path, other);
            assert_int_equal(rename(other, path), 0);
        } else if (deed == CUT)
            assert_int_equal(truncate(path, size_of(&ledger, "ledger.mdb") - 4096), 0);
        else
            assert_int_equal(unlink(lock), 0);
        if (store_tick(ledger.store) != STORE_LATCHED || store_begin(ledger.store) != STORE_LATCHED)
            fail_msg("deed %d goes unnoticed", (int)deed);
        ledger_free(&ledger);
    }
}

/* ---- older copies ---------------------------------------------------------------------------- */

static void expect_rolled_back(struct ledger *ledger, const char *what)
{
    struct store_error error;
    struct store_proof proof;

    assert_int_equal(store_open(ledger->home, false, &ledger->store, &error), STORE_ROLLED_BACK);
    assert_non_null(strstr(error.text, "older copy"));
    ledger_open(ledger, true);
    proof = proof_of(ledger, NULL);
    if (proof.chain || strstr(proof.what, what) == NULL)
        fail_msg("\"%s\" instead of \"%s\"", proof.what, what);
    store_close(ledger->store);
}

static void an_older_copy_in_its_place_is_found(void **state)
{
    struct ledger ledger;
    struct store_error error;
    char path[128], other[128];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    store_close(ledger.store);
    path_in(&ledger, "ledger.mdb", path);
    path_in(&ledger, "other", other);
    copy(path, other);
    ledger_open(&ledger, false);
    run_new(&ledger, 2);
    store_close(ledger.store);
    ledger_open(&ledger, false); /* as it is it opens */
    store_close(ledger.store);
    assert_int_equal(rename(other, path), 0);
    expect_rolled_back(&ledger, "before record 2 that the file `head` names");
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(store_open(ledger.home, false, &ledger.store, &error), STORE_ROLLED_BACK);
    assert_non_null(strstr(error.text, "is gone"));
    assert_int_equal(access(path, F_OK), -1); /* nor is another one begun */
    assert_int_equal(rename(other, path), 0);
    path_in(&ledger, "head", path);
    assert_int_equal(unlink(path), 0); /* who says so may go on from it */
    ledger_open(&ledger, false);
    expect_proven(&ledger, "gone on from an older copy");
    ledger_free(&ledger);
}

/* As long, and well in itself. */
static void another_ledger_in_its_place_is_found(void **state)
{
    struct ledger ledger, stranger;
    char path[128], other[128];

    (void)state;
    ledger_new(&ledger);
    ledger_new(&stranger);
    for (uint64_t run = 1; run <= 3; run++) {
        run_new(&ledger, run);
        run_new(&stranger, run == 2 ? 9 : run);
    }
    store_close(ledger.store);
    store_close(stranger.store);
    path_in(&stranger, "ledger.mdb", other);
    path_in(&ledger, "ledger.mdb", path);
    copy(other, path);
    expect_rolled_back(&ledger, "record 3 is not the one that the file `head` names");
    home_remove(stranger.home);
    home_remove(ledger.home);
}

static void a_head_that_says_nothing_is_no_reason(void **state)
{
    static const char *const texts[] = {"", "7", "1 ", "1 0123", "x y\n", "1 zz\n"};
    struct ledger ledger;
    char path[128];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    store_close(ledger.store);
    path_in(&ledger, "head", path);
    for (size_t i = 0; i < COUNT(texts); i++) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_true(fputs(texts[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        ledger_open(&ledger, false);
        expect_proven(&ledger, texts[i]);
        store_close(ledger.store);
    }
    home_remove(ledger.home);
}

/* What may be lost in a power failure is not named: else its loss would look like a swap. */
static void only_what_is_on_the_disk_is_named(void **state)
{
    struct ledger ledger;
    char text[128] = "", path[128];
    FILE *file;

    (void)state;
    ledger_new(&ledger);
    begin(&ledger);
    assert_int_equal(run_begin(ledger.store, 1, NOON), STORE_OK);
    assert_int_equal(store_commit(ledger.store, true), STORE_OK);
    run_new(&ledger, 2); /* lazy */
    assert_int_equal(store_tick(ledger.store), STORE_OK);
    path_in(&ledger, "head", path);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(strtoull(text, NULL, 10), 1);
    ledger_free(&ledger);
}

/* ---- room ------------------------------------------------------------------------------------ */

static void room_is_set_aside(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    assert_int_equal(size_of(&ledger, "ballast"), 4 << 20);
    assert_false(store_is_full(ledger.store));
    store_ballast_release(ledger.store);
    assert_int_equal(size_of(&ledger, "ballast"), -1);
    assert_true(store_is_full(ledger.store));
    assert_int_equal(store_tick(ledger.store), STORE_OK);
    assert_int_equal(size_of(&ledger, "ballast"), 4 << 20);
    assert_false(store_is_full(ledger.store));
    ledger_free(&ledger);
}

/* ---- the map --------------------------------------------------------------------------------- */

static void shrink_map(struct ledger *ledger, size_t bytes)
{
    assert_int_equal(mdb_env_set_mapsize(ledger->store->env, bytes), 0);
}

static void a_map_that_becomes_too_small_grows(void **state)
{
    struct ledger ledger;
    uint64_t call = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    shrink_map(&ledger, 1 << 20);
    for (int batch = 0; batch < 100; batch++) {
        begin(&ledger);
        for (int i = 0; i < 50; i++)
            assert_int_equal(admit(&ledger, 1, ++call, 1, 1), STORE_OK);
        commit(&ledger);
    }
    assert_int_equal(row_of_run(&ledger, 1).admitted, 5000);
    assert_true(size_of(&ledger, "ledger.mdb") > 2 << 20);
    expect_proven(&ledger, "grown");
    ledger_free(&ledger);
}

/* One that is larger than what is left of the map is given up, and has room when it comes again;
 * nothing is set free for it that is there for a full disk. */
static void a_batch_that_does_not_fit_the_map_fits_when_it_comes_again(void **state)
{
    struct ledger ledger;
    enum store_err err = STORE_OK;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    shrink_map(&ledger, 1 << 20);
    begin(&ledger);
    for (uint64_t call = 1; call <= 4000 && err == STORE_OK; call++)
        err = admit(&ledger, 1, call, 1, 1);
    assert_int_equal(err, STORE_FULL);
    assert_int_equal(store_commit(ledger.store, true), STORE_FULL);
    assert_false(store_is_full(ledger.store));
    for (int tries = 0; tries < 5 && err != STORE_OK; tries++) {
        begin(&ledger);
        err = STORE_OK;
        for (uint64_t call = 1; call <= 4000 && err == STORE_OK; call++)
            err = admit(&ledger, 1, call, 1, 1);
        if (err == STORE_OK)
            err = store_commit(ledger.store, true);
        else
            store_abort(ledger.store);
    }
    assert_int_equal(err, STORE_OK);
    assert_int_equal(row_of_run(&ledger, 1).admitted, 4000);
    expect_proven(&ledger, "came again");
    ledger_free(&ledger);
}

static void a_map_is_not_taken_from_who_reads(void **state)
{
    struct ledger ledger;
    struct store_view *view;
    struct store_run run;
    uint64_t call = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    shrink_map(&ledger, 8 << 20);
    view = view_of(&ledger);
    while (size_of(&ledger, "ledger.mdb") < 7 << 20) { /* into the last quarter */
        begin(&ledger);
        for (int i = 0; i < 50; i++)
            assert_int_equal(admit(&ledger, 1, ++call, 1, 1), STORE_OK);
        commit(&ledger);
    }
    assert_int_equal(store_view_next_run(view, NULL, false, &run), STORE_OK);
    assert_int_equal(run.admitted, 0);
    store_view_close(view);
    expect_proven(&ledger, "read meanwhile");
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_system_that_cannot_keep_a_ledger_is_refused_by_name),
        cmocka_unit_test(what_is_done_to_the_file_closes_the_ledger),
        cmocka_unit_test(an_older_copy_in_its_place_is_found),
        cmocka_unit_test(another_ledger_in_its_place_is_found),
        cmocka_unit_test(a_head_that_says_nothing_is_no_reason),
        cmocka_unit_test(only_what_is_on_the_disk_is_named),
        cmocka_unit_test(room_is_set_aside),
        cmocka_unit_test(a_map_that_becomes_too_small_grows),
        cmocka_unit_test(a_batch_that_does_not_fit_the_map_fits_when_it_comes_again),
        cmocka_unit_test(a_map_is_not_taken_from_who_reads),
    };

    return cmocka_run_group_tests_name("store disk", tests, NULL, NULL);
}
