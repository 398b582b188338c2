/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: a view is a read transaction, so all that it says is of one moment. */
#include "store/store_int.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

enum store_err store_view_open(struct store *store, struct store_view **view_out)
{
    struct store_view *view = calloc(1, sizeof *view);
    int code;

    if (view == NULL)
        return STORE_NOMEM;
    view->store = store;
    (void)pthread_rwlock_rdlock(&store->map_lock);
    code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &view->txn);
    if (code != MDB_SUCCESS) {
        (void)pthread_rwlock_unlock(&store->map_lock);
        free(view);
        return store_err_of(store, code);
    }
    *view_out = view;
    return STORE_OK;
}

void store_view_close(struct store_view *view)
{
    if (view == NULL)
        return;
    mdb_txn_abort(view->txn);
    (void)pthread_rwlock_unlock(&view->store->map_lock);
    free(view);
}

enum store_err store_view_event(struct store_view *view, uint64_t seq, struct store_event *out)
{
    return store_chain_get(view->store, view->txn, seq, out, NULL);
}

enum store_err store_view_call(struct store_view *view, const uint8_t call_id[16],
                               struct store_call *out)
{
    return store_get(view->store, view->txn, STORE_CALLS, call_id, 16, out, sizeof *out);
}

enum store_err store_view_progress(struct store_view *view, const uint8_t call_id[16], void *bytes,
                                   size_t count)
{
    uint8_t value[STORE_HASH_BYTES + STORE_PROGRESS_MAX], hash[STORE_HASH_BYTES];
    enum store_err err;

    if (count > STORE_PROGRESS_MAX)
        return STORE_NOT_FOUND;
    err = store_get(view->store, view->txn, STORE_OPEN, call_id, 16, value, sizeof hash + count);
    if (err != STORE_OK)
        return err == STORE_DAMAGED ? STORE_NOT_FOUND : err;
    store_sha256(value + sizeof hash, count, hash);
    if (memcmp(value, hash, sizeof hash) != 0)
        return STORE_NOT_FOUND;
    memcpy(bytes, value + sizeof hash, count);
    return STORE_OK;
}

enum store_err store_view_run(struct store_view *view, const uint8_t run_id[16],
                              struct store_run *out)
{
    return store_get(view->store, view->txn, STORE_RUNS, run_id, 16, out, sizeof *out);
}

enum store_err store_view_counter(struct store_view *view, const struct store_scope_key *key,
                                  struct store_counter *out)
{
    enum store_err err =
        store_get(view->store, view->txn, STORE_COUNTERS, key, sizeof *key, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

/* ---- walking ------------------------------------------------------------------------------ */

/* In the order of keys. */
static bool is_before(const MDB_val *a, const MDB_val *b)
{
    size_t bytes = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int order = memcmp(a->mv_data, b->mv_data, bytes);

    return order != 0 ? order < 0 : a->mv_size < b->mv_size;
}

enum store_err store_step(struct store_view *view, enum store_table table, const void *key,
                          size_t key_bytes, bool backward, MDB_val *key_out, MDB_val *value_out)
{
    MDB_cursor *cursor = NULL;
    MDB_val given = {key_bytes, (void *)(uintptr_t)key};
    int code = mdb_cursor_open(view->txn, view->store->tables[table], &cursor);

    *key_out = given;
    if (code == MDB_SUCCESS && key_bytes == 0) {
        code = mdb_cursor_get(cursor, key_out, value_out, backward ? MDB_LAST : MDB_FIRST);
    } else if (code == MDB_SUCCESS) {
        code = mdb_cursor_get(cursor, key_out, value_out, MDB_SET_RANGE);
        if (backward) /* whatever was found lies at or after the key */
            code = mdb_cursor_get(cursor, key_out, value_out,
                                  code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
        else if (code == MDB_SUCCESS && key_out->mv_size == key_bytes &&
                 memcmp(key_out->mv_data, key, key_bytes) == 0)
            code = mdb_cursor_get(cursor, key_out, value_out, MDB_NEXT);
        if (code == MDB_SUCCESS &&
            !(backward ? is_before(key_out, &given) : is_before(&given, key_out)))
            code = MDB_CORRUPTED;
    }
    mdb_cursor_close(cursor);
    return store_err_of(view->store, code);
}

static enum store_err copy(enum store_table table, const MDB_val *key, const MDB_val *value,
                           void *out, size_t size)
{
    if (value->mv_size > size || value->mv_size < store_row_least(table) ||
        !store_row_is_its_own(table, key, value))
        return STORE_DAMAGED;
    memset(out, 0, size);
    memcpy(out, value->mv_data, value->mv_size);
    return STORE_OK;
}

enum store_err store_view_raw(struct store_view *view, uint64_t seq, uint8_t out[STORE_RECORD_MAX],
                              size_t *count_out)
{
    uint8_t before[8];
    MDB_val key, value;
    enum store_err err;

    store_seq_key(seq > 0 ? seq - 1 : 0, before);
    err = store_step(view, STORE_CHAIN, before, sizeof before, false, &key, &value);
    if (err == STORE_OK && value.mv_size > STORE_RECORD_MAX)
        err = STORE_DAMAGED;
    if (err != STORE_OK)
        return err;
    memcpy(out, value.mv_data, value.mv_size);
    *count_out = value.mv_size;
    return STORE_OK;
}

enum store_err store_view_next_run(struct store_view *view, const uint8_t *id, bool backward,
                                   struct store_run *out)
{
    MDB_val key, value;
    enum store_err err =
        store_step(view, STORE_RUNS, id, id != NULL ? 16 : 0, backward, &key, &value);

    return err == STORE_OK ? copy(STORE_RUNS, &key, &value, out, sizeof *out) : err;
}

/* The next id under an index's entry. */
static enum store_err next_of(struct store_view *view, const struct store_index_key *of,
                              const uint8_t *id, uint8_t id_out[16])
{
    struct store_index_key from = *of;
    MDB_val key, value;
    enum store_err err;

    memset(from.id, 0, sizeof from.id);
    if (id != NULL)
        memcpy(from.id, id, sizeof from.id);
    err = store_step(view, STORE_INDEX, &from, sizeof from, false, &key, &value);
    if (err != STORE_OK)
        return err;
    if (key.mv_size != sizeof from || memcmp(key.mv_data, &from, sizeof from - 16) != 0)
        return STORE_NOT_FOUND;
    memcpy(id_out, (const uint8_t *)key.mv_data + sizeof from - 16, 16);
    return STORE_OK;
}

enum store_err store_view_next_call(struct store_view *view, const struct store_index_key *of,
                                    const uint8_t *id, struct store_call *out)
{
    MDB_val key, value;
    uint8_t next[16];
    enum store_err err;

    if (of != NULL && of->kind != STORE_ANY) {
        err = next_of(view, of, id, next);
        return err == STORE_OK ? store_view_call(view, next, out) : err;
    }
    err = store_step(view, STORE_CALLS, id, id != NULL ? 16 : 0, false, &key, &value);
    return err == STORE_OK ? copy(STORE_CALLS, &key, &value, out, sizeof *out) : err;
}

enum store_err store_view_next_run_of(struct store_view *view, const struct store_index_key *of,
                                      const uint8_t *id, struct store_run *out)
{
    uint8_t next[16];
    enum store_err err = next_of(view, of, id, next);

    return err == STORE_OK ? store_view_run(view, next, out) : err;
}

enum store_err store_view_next_open(struct store_view *view, const uint8_t *id,
                                    struct store_call *out)
{
    MDB_val key, value;
    enum store_err err = store_step(view, STORE_OPEN, id, id != NULL ? 16 : 0, false, &key, &value);

    if (err != STORE_OK)
        return err;
    return key.mv_size == 16 ? store_view_call(view, key.mv_data, out) : STORE_DAMAGED;
}

/* Keys begin with kind and window: what is no window of a kind comes before what is one. */
enum store_err store_view_next_window(struct store_view *view, const struct store_scope_key *key,
                                      struct store_scope_key *key_out, struct store_counter *out)
{
    struct store_scope_key from = {.window = GOV_DAILY};
    MDB_val found, value;

    if (key != NULL)
        from = *key;
    for (;;) {
        enum store_err err =
            store_step(view, STORE_COUNTERS, &from, sizeof from, false, &found, &value);

        if (err != STORE_OK)
            return err;
        if (found.mv_size != sizeof from)
            return STORE_DAMAGED;
        memcpy(&from, found.mv_data, sizeof from);
        if (from.window != GOV_WHOLE)
            break;
        from = (struct store_scope_key){.kind = from.kind, .window = GOV_DAILY};
    }
    *key_out = from;
    return copy(STORE_COUNTERS, &found, &value, out, sizeof *out);
}

void store_view_head(struct store_view *view, uint64_t *seq_out, uint8_t hash_out[32])
{
    MDB_val key, value;

    *seq_out = 0;
    memset(hash_out, 0, 32);
    if (store_step(view, STORE_CHAIN, NULL, 0, true, &key, &value) != STORE_OK || key.mv_size != 8)
        return;
    *seq_out = store_key_seq(key.mv_data);
    if (value.mv_size >= STORE_HASH_BYTES)
        memcpy(hash_out, (const uint8_t *)value.mv_data + value.mv_size - STORE_HASH_BYTES,
               STORE_HASH_BYTES);
}
