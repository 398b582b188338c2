/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger says of itself, and bringing over what an older Flyball wrote: in the transaction
 * that opens it, so that it is done or not; nothing of the chain is changed. */
#include "store/store_int.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_LEAST 2u /* older ones are not known any more */

/* ---- rows ---------------------------------------------------------------------------------- */

size_t store_row_least(enum store_table table)
{
    static const size_t least[STORE_TABLES] = {
        [STORE_CALLS] = 64, [STORE_RUNS] = 960, [STORE_COUNTERS] = 392};

    return least[table];
}

bool store_row_is_whole(enum store_table table, uint32_t version, size_t bytes)
{
    size_t now = table == STORE_RUNS ? sizeof(struct store_run) : sizeof(struct store_counter);

    return bytes == now
               ? version == (table == STORE_RUNS ? STORE_RUN_VERSION : STORE_COUNTER_VERSION)
               : bytes == store_row_least(table) && version == 1;
}

bool store_row_is_its_own(enum store_table table, const MDB_val *key, const MDB_val *value)
{
    static const size_t ids[STORE_TABLES] = {[STORE_CALLS] = offsetof(struct store_call, call_id),
                                             [STORE_RUNS] = offsetof(struct store_run, run_id)};

    return ids[table] == 0 ||
           (key->mv_size == 16 && value->mv_size >= store_row_least(table) &&
            memcmp((const char *)value->mv_data + ids[table], key->mv_data, 16) == 0);
}

/* ---- from schema 2: indexes instead of a list of the calls of each run ------------------------
 */

static enum store_err index_record(struct store *store, const struct store_event *event,
                                   struct store_event *asked)
{
    struct store_call call;
    struct store_run run;
    enum store_err err = store_hour_put(store, &event->head);

    if (err != STORE_OK)
        return err;
    if (event->head.type == STORE_ALLOCATION)
        return store_index_put(store, event, event->allocation.session, NULL);
    if (event->head.type == STORE_CONSUMPTION) {
        err = store_call_get(store, event->head.call_id, &call);
        if (err == STORE_OK)
            err = store_chain_get(store, store->txn, call.admission_seq, asked, NULL);
        return err == STORE_OK ? store_index_put(store, event, "", &asked->admission) : err;
    }
    if (event->head.type != STORE_ADMISSION && event->head.type != STORE_REFUSAL)
        return STORE_OK;
    err = store_run_get(store, event->head.run_id, &run);
    if (err == STORE_OK && event->head.type == STORE_REFUSAL)
        err = store_call_get(store, event->head.call_id, &call);
    if (err == STORE_OK && event->head.type == STORE_REFUSAL &&
        call.consumption_seq != event->head.seq) { /* the same again, or of a call that was held */
        call.later_seq = event->head.seq;
        return call.state == STORE_CALL_REFUSED ? store_call_put(store, &call) : STORE_OK;
    }
    return err == STORE_OK ? store_index_put(store, event, run.allocation.session, NULL) : err;
}

static enum store_err from_2(struct store *store)
{
    struct store_event *events = malloc(2 * sizeof *events);
    enum store_err err = events == NULL ? STORE_NOMEM : store_tables_complete(store, true);
    MDB_dbi dropped;
    int code;

    for (uint64_t seq = 1; err == STORE_OK; seq = events[0].head.seq + 1) {
        err = store_chain_get(store, store->txn, seq, &events[0], NULL);
        if (err == STORE_OK)
            err = index_record(store, &events[0], &events[1]);
        else if (err == STORE_NOT_FOUND)
            break;
    }
    free(events);
    if (err == STORE_NOT_FOUND)
        err = store_windows_from_2(store);
    if (err != STORE_OK)
        return err;
    code = mdb_dbi_open(store->txn, "runcalls", 0, &dropped);
    if (code == MDB_SUCCESS)
        code = mdb_drop(store->txn, dropped, 1);
    return code == MDB_NOTFOUND ? STORE_OK : store_err_of(store, code);
}

/* ---- from schema 3: a list of the runs that live -------------------------------------------- */

static enum store_err from_3(struct store *store)
{
    struct store_event lives = {.head = {.type = STORE_ALLOCATION}};
    MDB_cursor *cursor = NULL;
    struct store_run run;
    MDB_val key, value;
    int code = mdb_cursor_open(store->txn, store->tables[STORE_RUNS], &cursor);
    enum store_err err = STORE_OK;

    while (code == MDB_SUCCESS && err == STORE_OK) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (code != MDB_SUCCESS)
            break;
        if (value.mv_size > sizeof run || !store_row_is_its_own(STORE_RUNS, &key, &value))
            err = STORE_DAMAGED;
        memset(&run, 0, sizeof run);
        if (err == STORE_OK)
            memcpy(&run, value.mv_data, value.mv_size);
        memcpy(lives.head.run_id, run.run_id, sizeof run.run_id);
        if (err == STORE_OK && run.ended_ns == 0)
            err = store_alive_put(store, &lives);
    }
    mdb_cursor_close(cursor);
    return err != STORE_OK || code == MDB_NOTFOUND ? err : store_err_of(store, code);
}

/* ---- what it says of itself -------------------------------------------------------------------
 */

static enum store_err schema_check(struct store *store, uint32_t schema, struct store_error *error)
{
    if (schema > STORE_SCHEMA) {
        store_say(error, "%s/ledger.mdb has schema %u, this Flyball knows %u", store->home, schema,
                  STORE_SCHEMA);
        return STORE_SCHEMA_NEWER;
    }
    if (schema == STORE_SCHEMA || (schema == 3 && !store->read_only)) {
        enum store_err err = store_tables_complete(store, false);

        return err == STORE_OK && schema == 3 ? from_3(store) : err;
    }
    if (schema < SCHEMA_LEAST)
        store_say(error, "%s/ledger.mdb has schema %u, this Flyball writes %u: move it away",
                  store->home, schema, STORE_SCHEMA);
    else if (store->read_only)
        store_say(error,
                  "%s/ledger.mdb has schema %u, this Flyball writes %u: its sidecar brings it over",
                  store->home, schema, STORE_SCHEMA);
    else {
        enum store_err err = from_2(store);

        return err == STORE_OK ? from_3(store) : err;
    }
    return STORE_SCHEMA_OLDER;
}

enum store_err store_meta_read(struct store *store, bool fresh, struct store_error *error)
{
    uint32_t schema = STORE_SCHEMA, clean = 1;
    enum store_err err =
        store_get(store, store->txn, STORE_META, "schema", 6, &schema, sizeof schema);

    if (err == STORE_OK)
        err = schema_check(store, schema, error);
    else if (err == STORE_NOT_FOUND)
        err = fresh ? STORE_OK : STORE_DAMAGED;
    store->was_clean = fresh;
    if (err != STORE_OK || fresh)
        return err;
    err = store_get(store, store->txn, STORE_META, "clean", 5, &clean, sizeof clean);
    store->was_clean = clean != 0;
    return err == STORE_NOT_FOUND ? STORE_DAMAGED : err;
}

enum store_err store_meta_write(struct store *store, uint32_t clean)
{
    uint32_t schema = STORE_SCHEMA;
    enum store_err err = store_put(store, STORE_META, "schema", 6, &schema, sizeof schema);

    return err != STORE_OK ? err : store_put(store, STORE_META, "clean", 5, &clean, sizeof clean);
}
