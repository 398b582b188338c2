/* SPDX-License-Identifier: Apache-2.0 */
/* What pruned records came to: the sums of every scope and run behind the last of them, what stood
 * of tasks, directives and the clock, and those records that are still needed, in their places in
 * the chain. A proof goes on from there; that it is what the records came to, the checkpoint says
 * that was written when they went. */
#include "store/store_int.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE    's'
#define RUN      'r'
#define TASK     't'
#define STANDING 'd'

enum store_err store_pruned_read(const struct store *store, MDB_txn *txn, struct store_pruned *out)
{
    enum store_err err = store_get(store, txn, STORE_META, "pruned", 6, out, sizeof *out);

    if (err != STORE_NOT_FOUND)
        return err;
    memset(out, 0, sizeof *out);
    return STORE_OK;
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool load_scope(struct store_check *check, const MDB_val *id, const MDB_val *value)
{
    struct store_scope_key scope;
    struct store_sum *sum;

    if (id->mv_size != sizeof scope || value->mv_size != sizeof sum->counter)
        return false;
    memcpy(&scope, id->mv_data, sizeof scope);
    sum = store_check_sum(check, &scope);
    if (sum != NULL)
        memcpy(&sum->counter, value->mv_data, sizeof sum->counter);
    return true;
}

static bool load_run(struct store_check *check, const MDB_val *id, const MDB_val *value)
{
    struct store_run_sum *run;

    if (id->mv_size != sizeof run->run_id || value->mv_size != sizeof *run ||
        memcmp(id->mv_data, value->mv_data, sizeof run->run_id) != 0)
        return false;
    run = store_check_run(check, id->mv_data);
    if (run != NULL)
        memcpy(run, value->mv_data, sizeof *run);
    return true;
}

static bool load_task(struct store_check *check, const MDB_val *id, const MDB_val *value)
{
    struct store_task_sum *task;

    if (id->mv_size != sizeof task->id || value->mv_size != sizeof task->row)
        return false;
    task = store_check_entry(check, &check->tasks, id->mv_data, id->mv_size, sizeof *task,
                             store_by_id, &check->task_count);
    if (task != NULL)
        memcpy(&task->row, value->mv_data, sizeof task->row);
    return true;
}

static bool load_standing(struct store_check *check, const MDB_val *id, const MDB_val *value)
{
    if (id->mv_size != 0 || value->mv_size != sizeof check->standing)
        return false;
    memcpy(&check->standing, value->mv_data, sizeof check->standing);
    return true;
}

static bool load_row(struct store_check *check, const MDB_val *key, const MDB_val *value)
{
    static const struct {
        uint8_t kind;
        bool (*load)(struct store_check *check, const MDB_val *id, const MDB_val *value);
    } kinds[] = {
        {SCOPE, load_scope}, {RUN, load_run}, {TASK, load_task}, {STANDING, load_standing}};
    const uint8_t *bytes = key->mv_data;
    MDB_val id = {key->mv_size - 1, (void *)(uintptr_t)(bytes + 1)};

    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (key->mv_size > 0 && bytes[0] == kinds[i].kind)
            return kinds[i].load(check, &id, value);
    return false;
}

/* One that is still needed: its effects are in the sums; its rows have to be there. */
static void on_kept(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_corrected_call *corrected;
    struct store_open_call *open;
    struct store_call row;
    enum store_err err = store_view_call(check->view, event->head.call_id, &row);
    struct store_event *asked;

    switch (event->head.type) {
    case STORE_ALLOCATION:
        store_check_allocation(check);
        break;
    case STORE_ADMISSION:
        store_check_call(check, err == STORE_OK && row.admission_seq == event->head.seq, &row);
        store_check_index(check, NULL);
        check->row_count++;
        if (err != STORE_OK ||
            (row.consumption_seq != 0 && row.consumption_seq <= check->pruned.upto))
            break;
        open = store_check_entry(check, &check->calls, event->head.call_id, 16, sizeof *open,
                                 store_by_id, &check->call_count);
        if (open != NULL)
            open->admission = *event;
        break;
    case STORE_CONSUMPTION:
        store_check_call(check,
                         err == STORE_OK && row.state == STORE_CALL_ENDED &&
                             row.consumption_seq == event->head.seq,
                         &row);
        store_check_object(check);
        asked = calloc(1, sizeof *asked);
        check->out_of_memory = check->out_of_memory || asked == NULL;
        if (asked != NULL && err == STORE_OK &&
            store_view_event(check->view, row.admission_seq, asked) == STORE_OK)
            store_check_index(check, &asked->admission);
        free(asked);
        break;
    case STORE_REFUSAL:
        store_check_call(check,
                         err == STORE_OK && row.state == STORE_CALL_REFUSED &&
                             row.consumption_seq == event->head.seq,
                         &row);
        store_check_index(check, NULL);
        check->row_count++;
        break;
    case STORE_CORRECTED:
        store_check_call(check, err == STORE_OK && row.later_seq >= event->head.seq, &row);
        corrected = store_check_entry(check, &check->corrected, event->head.call_id, 16,
                                      sizeof *corrected, store_by_id, &check->corrected_count);
        if (corrected == NULL)
            break;
        corrected->last = event->corrected;
        corrected->last_seq = event->head.seq;
        break;
    case STORE_OVERRIDE:
        store_check_override(check);
        break;
    case STORE_ASKED:
    case STORE_TURNED:
        if (store_check_kept_order(check))
            break;
        /* fallthrough */
    default:
        store_check_wrong(check, &check->proof->chain, event->head.seq,
                          "record %llu is one that would have gone",
                          (unsigned long long)event->head.seq);
        break;
    }
}

typedef void (*kept_handler)(struct store_check *check);

/* The base's rows and the records that are kept, in order; each is called for these. */
static enum store_err base_hash(struct store_check *check, uint64_t upto, kept_handler each,
                                uint8_t hash_out[32], uint64_t *kept_out)
{
    struct store_hash hashing;
    MDB_val key = {0, NULL}, value;
    uint8_t at[64], hash[32], seq_key[8];
    enum store_err err = STORE_OK;
    size_t bytes = 0;

    store_hash_begin(&hashing);
    *kept_out = 0;
    while (err == STORE_OK &&
           store_step(check->view, STORE_BASE, at, bytes, false, &key, &value) == STORE_OK) {
        if (key.mv_size > sizeof at || (each != NULL && !load_row(check, &key, &value)))
            err = STORE_DAMAGED;
        bytes = key.mv_size < sizeof at ? key.mv_size : sizeof at;
        memcpy(at, key.mv_data, bytes);
        store_hash_add(&hashing, at, bytes);
        store_hash_add(&hashing, value.mv_data, value.mv_size);
    }
    for (uint64_t seq = 1; err == STORE_OK && seq <= upto; seq = check->event.head.seq + 1) {
        err = store_chain_get(check->view->store, check->view->txn, seq, &check->event, hash);
        if (err != STORE_OK || check->event.head.seq > upto)
            break;
        store_seq_key(check->event.head.seq, seq_key);
        store_hash_add(&hashing, seq_key, sizeof seq_key);
        store_hash_add(&hashing, hash, sizeof hash);
        ++*kept_out;
        if (each != NULL)
            each(check);
    }
    store_hash_end(&hashing, hash_out);
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}

enum store_err store_base_load(struct store_check *check)
{
    enum store_err err = store_pruned_read(check->view->store, check->view->txn, &check->pruned);

    if (err == STORE_OK)
        err = base_hash(check, check->pruned.upto, on_kept, check->base, &check->kept_count);
    if (err == STORE_OK || err == STORE_NOMEM) /* a map is read: no other error is the disk's */
        return err;
    store_check_wrong(check, &check->proof->chain, check->event.head.seq,
                      "what is there of the records up to %llu is damaged",
                      (unsigned long long)check->pruned.upto);
    return STORE_OK;
}

void store_check_base(struct store_check *check)
{
    const struct store_checkpoint *said = &check->checkpoint;
    uint64_t upto = check->pruned.upto;

    if (upto == 0 && check->checkpoint_seq == 0 && check->kept_count == 0 &&
        store_check_count(check, STORE_BASE) == 0)
        return;
    if (check->checkpoint_seq == 0 || check->checkpoint_seq != check->pruned.checkpoint_seq ||
        said->upto != upto || memcmp(said->head, check->pruned.head, sizeof said->head) != 0 ||
        memcmp(said->base, check->base, sizeof said->base) != 0 ||
        said->pruned != upto - check->kept_count)
        store_check_wrong(
            check, &check->proof->chain, check->checkpoint_seq,
            "what is there of the records up to %llu is not what the last checkpoint, "
            "record %llu, says",
            (unsigned long long)upto, (unsigned long long)check->checkpoint_seq);
}

/* ---- writing ------------------------------------------------------------------------------ */

struct writing {
    struct store *store;
    enum store_err err;
};

static void put(struct writing *writing, uint8_t kind, const void *id, size_t id_bytes,
                const void *value, size_t bytes)
{
    uint8_t key[1 + sizeof(struct store_scope_key)];

    key[0] = kind;
    memcpy(key + 1, id, id_bytes);
    if (writing->err == STORE_OK)
        writing->err = store_put(writing->store, STORE_BASE, key, 1 + id_bytes, value, bytes);
}

static void put_sum(const void *node, VISIT visit, void *data)
{
    const struct store_sum *sum = *(const struct store_sum *const *)node;

    if (visit == postorder || visit == leaf)
        put(data, SCOPE, &sum->key, sizeof sum->key, &sum->counter, sizeof sum->counter);
}

static void put_run(const void *node, VISIT visit, void *data)
{
    const struct store_run_sum *run = *(const struct store_run_sum *const *)node;

    if (visit == postorder || visit == leaf)
        put(data, RUN, run->run_id, sizeof run->run_id, run, sizeof *run);
}

static void put_task(const void *node, VISIT visit, void *data)
{
    const struct store_task_sum *task = *(const struct store_task_sum *const *)node;

    if (visit == postorder || visit == leaf)
        put(data, TASK, task->id, sizeof task->id, &task->row, sizeof task->row);
}

enum store_err store_base_write(struct store *store, struct store_check *check, uint64_t upto,
                                uint8_t hash_out[32], uint64_t *kept_out)
{
    struct writing writing = {
        store, store_err_of(store, mdb_drop(store->txn, store->tables[STORE_BASE], 0))};

    twalk_r(check->sums, put_sum, &writing);
    twalk_r(check->runs, put_run, &writing);
    twalk_r(check->tasks, put_task, &writing);
    if (check->standing.directed || check->standing.jumped)
        put(&writing, STANDING, "", 0, &check->standing, sizeof check->standing);
    return writing.err != STORE_OK ? writing.err : base_hash(check, upto, NULL, hash_out, kept_out);
}
