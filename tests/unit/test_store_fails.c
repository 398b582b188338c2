/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that fail, and what a power failure or a knife leaves of the ledger's file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/unit/store_raw.h"

/* LMDB writes and syncs through these; the first two pages say where everything is. */
#define META_BYTES (2 * 4096)
static int data_error, meta_error, sync_error, room_error;

int posix_fallocate(int fd, off_t from, off_t bytes)
{
    return room_error != 0 ? room_error : (int)syscall(SYS_fallocate, fd, 0, from, bytes);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (data_error != 0) {
        errno = data_error;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if ((offset < META_BYTES ? meta_error : data_error) != 0) {
        errno = offset < META_BYTES ? meta_error : data_error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

int fdatasync(int fd)
{
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void check_failed_sync(int error)
{
    struct ledger ledger;

    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    sync_error = error;
    assert_int_equal(store_commit(ledger.store, true), STORE_IO);
    sync_error = 0;
    assert_int_equal(store_begin(ledger.store), STORE_LATCHED);
    assert_int_equal(counter_of_run(&ledger, 1).held[GOV_COST], 0);
    expect_proven(&ledger, "after a failed sync"); /* reading goes on */
    store_close(ledger.store);
    ledger_open(&ledger, false);
    assert_false(store_was_clean(ledger.store));
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(store_commit(ledger.store, true), STORE_OK);
    expect_proven(&ledger, "opened again after a failed sync");
    ledger_free(&ledger);
}

/* ENOSPC: below a file system that has room a disk may have none; what it could not write is lost.
 */
static void a_failed_sync_closes_the_ledger_for_writing(void **state)
{
    (void)state;
    check_failed_sync(EIO);
    check_failed_sync(ENOSPC);
}

static void a_full_disk_is_said_and_passes(void **state)
{
    char path[128];
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 6, 1000, 500), STORE_OK);
    commit(&ledger);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    data_error = room_error = ENOSPC;
    assert_int_equal(store_commit(ledger.store, true), STORE_FULL);
    data_error = room_error = 0;
    assert_int_equal(row_of_run(&ledger, 1).admitted, 1);
    assert_true(store_is_full(ledger.store));
    (void)snprintf(path, sizeof path, "%s/ballast", ledger.home);
    assert_int_equal(access(path, F_OK), -1); /* it is for what comes now */
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_FULL);
    assert_int_equal(settle(&ledger, 6, STORE_SETTLED, 10, 10), STORE_OK);
    commit(&ledger);
    assert_int_equal(store_tick(ledger.store), STORE_OK); /* there is room again */
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    commit(&ledger);
    expect_proven(&ledger, "after a full disk");
    ledger_free(&ledger);
}

static void a_ledger_that_was_being_made_is_not_in_the_way(void **state)
{
    char path[128], fresh[140];
    struct ledger ledger;
    FILE *file;

    (void)state;
    ledger_new(&ledger);
    store_close(ledger.store);
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", ledger.home);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    assert_int_equal(unlink(path), 0);
    file = fopen(fresh, "w");
    assert_non_null(file);
    (void)fputs("no ledger", file);
    (void)fclose(file);
    ledger_open(&ledger, false);
    assert_int_equal(access(fresh, F_OK), -1);
    expect_proven(&ledger, "made again");
    ledger_free(&ledger);
}

/* Who looks at a page behind the end of its file is killed. */
static void a_file_that_is_too_short_kills_nobody(void **state)
{
    static const struct {
        off_t less;
        bool read_only;
    } cuts[] = {{4096, true}, {4096, false}, {12288, true}, {3000000, true}, {3000000, false}};

    (void)state;
    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct store_error error;
        struct ledger ledger;
        struct stat info;
        char path[128];
        enum store_err err;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        for (unsigned call = 1; call < 4000; call++)
            assert_int_equal(admit(&ledger, 1, call, 1, 1), STORE_OK);
        commit(&ledger);
        store_close(ledger.store);
        (void)snprintf(path, sizeof path, "%s/ledger.mdb", ledger.home);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(truncate(path, info.st_size - cuts[i].less), 0);
        err = store_open(ledger.home, cuts[i].read_only, &ledger.store, &error);
        if (err == STORE_OK) {
            struct store_view *view = view_of(&ledger);
            struct store_proof proof;

            (void)store_verify(view, NULL, NULL, NULL, &proof);
            store_view_close(view);
            store_close(ledger.store);
        }
        if (!cuts[i].read_only && cuts[i].less > 1 << 20)
            assert_int_equal(err, STORE_DAMAGED);
        ledger.store = NULL;
        ledger_free(&ledger);
    }
}

static void progress_with_another_byte_is_none(void **state)
{
    static struct raw_row row;
    struct store_view *view;
    struct ledger ledger;
    struct raw raw;
    char got[4];
    uint8_t id[16];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    id_make(id, 'c', 7);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(store_progress_put(ledger.store, id, "here", 4), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "open");
    assert_true(raw_row(&raw, 0, &row));
    row.value[row.value_bytes - 1] ^= 1;
    MDB_val key = {row.key_bytes, row.key}, value = {row.value_bytes, row.value};
    assert_int_equal(mdb_put(raw.txn, raw.dbi, &key, &value, 0), 0);
    raw_close(&raw);
    ledger_open(&ledger, false);
    view = view_of(&ledger);
    assert_int_equal(store_view_progress(view, id, got, 4), STORE_NOT_FOUND);
    store_view_close(view);
    ledger_free(&ledger);
}

static void a_commit_that_cannot_be_noted_closes_the_ledger_for_writing(void **state)
{
    static const int errors[] = {ENOSPC, EIO};

    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct ledger ledger;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
        meta_error = errors[i];
        assert_int_not_equal(store_commit(ledger.store, true), STORE_OK);
        meta_error = 0;
        assert_int_equal(store_begin(ledger.store), STORE_LATCHED);
        store_close(ledger.store);
        ledger_open(&ledger, false);
        assert_int_equal(row_of_run(&ledger, 1).admitted, 0);
        begin(&ledger);
        assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
        commit(&ledger);
        expect_proven(&ledger, "opened again");
        ledger_free(&ledger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_sync_closes_the_ledger_for_writing),
        cmocka_unit_test(a_full_disk_is_said_and_passes),
        cmocka_unit_test(a_ledger_that_was_being_made_is_not_in_the_way),
        cmocka_unit_test(a_file_that_is_too_short_kills_nobody),
        cmocka_unit_test(progress_with_another_byte_is_none),
        cmocka_unit_test(a_commit_that_cannot_be_noted_closes_the_ledger_for_writing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
