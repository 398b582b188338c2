/* SPDX-License-Identifier: Apache-2.0 */
/* For the ledger's tests: its file opened behind its back, to see what is found out. */
#ifndef FLYBALL_TESTS_STORE_RAW_H
#define FLYBALL_TESTS_STORE_RAW_H

#include <lmdb.h>

#include "tests/unit/store_test.h"

struct raw {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
};

static inline void raw_open(struct raw *raw, const char *home, const char *table)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", home);
    assert_int_equal(mdb_env_create(&raw->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(raw->env, 16), 0);
    assert_int_equal(mdb_env_set_mapsize(raw->env, STORE_MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(raw->env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(raw->env, NULL, 0, &raw->txn), 0);
    assert_int_equal(mdb_dbi_open(raw->txn, table, 0, &raw->dbi), 0);
}

static inline void raw_close(struct raw *raw)
{
    assert_int_equal(mdb_txn_commit(raw->txn), 0);
    mdb_env_close(raw->env);
}

/* A row's key and value, copied: the n-th of the table from 0. False: there are not so many. */
struct raw_row {
    size_t key_bytes, value_bytes;
    unsigned char key[64], value[4096];
};

static inline int raw_row(struct raw *raw, unsigned n, struct raw_row *out)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int code;

    assert_int_equal(mdb_cursor_open(raw->txn, raw->dbi, &cursor), 0);
    code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; code == 0 && n > 0; n--)
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    if (code == 0) {
        out->key_bytes = key.mv_size;
        out->value_bytes = value.mv_size;
        memcpy(out->key, key.mv_data, key.mv_size);
        memcpy(out->value, value.mv_data, value.mv_size);
    }
    mdb_cursor_close(cursor);
    return code == 0;
}

static inline void raw_put(struct raw *raw, const struct raw_row *row)
{
    MDB_val key = {row->key_bytes, (void *)(uintptr_t)row->key};
    MDB_val value = {row->value_bytes, (void *)(uintptr_t)row->value};

    assert_int_equal(mdb_put(raw->txn, raw->dbi, &key, &value, 0), 0);
}

static inline void raw_delete(struct raw *raw, const struct raw_row *row)
{
    MDB_val key = {row->key_bytes, (void *)(uintptr_t)row->key};

    assert_int_equal(mdb_del(raw->txn, raw->dbi, &key, NULL), 0);
}

#endif
