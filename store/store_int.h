/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger, inside: the one write transaction, the tables, LMDB's errors as ours. */
#ifndef FLYBALL_STORE_INT_H
#define FLYBALL_STORE_INT_H

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

#include "store/store.h"

/* Tables. Keys: chain, the record's number, big-endian; calls and open, the call's id; runs, the
 * run's id; counters, the scope's key; objects, the object: the call that was charged for it;
 * index, struct store_index_key; hours, the hour since the epoch, big-endian: the first record that
 * is of it; base, 's' and a scope's key, 'r' and a run's id, 't' and a task's, 'd': what pruned
 * records came to; orders,
 * an override's id: the override, or a scope's key: its stop's record. */
enum store_table {
    STORE_CHAIN,
    STORE_CALLS,
    STORE_OPEN,
    STORE_RUNS,
    STORE_COUNTERS,
    STORE_META,
    STORE_OBJECTS,
    STORE_INDEX,
    STORE_HOURS,
    STORE_BASE,
    STORE_ORDERS,
    STORE_TABLES
};

struct store {
    MDB_env *env;
    MDB_dbi tables[STORE_TABLES];
    MDB_txn *txn; /* the write transaction; NULL: none */
    uint64_t seq; /* of the last record, as the open transaction sees it */
    uint8_t head[32];
    uint64_t committed_seq;
    uint8_t committed_head[32];
    int lock_fd;
    bool read_only;
    bool latched;
    enum store_err spoilt; /* the open transaction is half done: it will not be committed */
    bool was_clean;
    bool full;                 /* nothing is admitted */
    bool map_full;             /* the map has to grow before anything can be written */
    pthread_rwlock_t map_lock; /* who reads holds it */
    int64_t seen_bytes;        /* of the file: it never shrinks */
    uint64_t durable_seq;      /* on the disk for sure ... */
    uint8_t durable_head[32];
    uint64_t written_seq; /* ... and named by the file `head` */
    uint64_t kept_seq;    /* what that said when it was opened; 0: nothing */
    uint8_t kept_head[32];
    char warning[200];
    char home[512];
};

struct store_view {
    struct store *store;
    MDB_txn *txn;
};

#define STORE_HASH_BYTES      32u
#define STORE_TASK_KEY        20u /* of a task's row */
#define STORE_CALL_VERSION    2u
#define STORE_COUNTER_VERSION 2u
#define STORE_RUN_VERSION     2u
#define STORE_RECORD_VERSION  1u

/* disk.c: so that no page of the file is behind its end; LMDB's or the system's error. */
int store_file_whole(struct store *store);
/* copy.c: what was renamed in it has its name after a power failure too. */
void store_sync_directory(const char *dir);

/* LMDB's and the system's error codes; says full for the disk where LMDB says EIO. */
enum store_err store_err_of(const struct store *store, int code);

/* The least bytes that a row of a table can have, as the first Flyball wrote them; 0: the value's
 * own size is the only one. What is missing of a row is zero. */
size_t store_row_least(enum store_table table);
/* Whether the id in a row of a call or a run is the one that it stands under. */
bool store_row_is_its_own(enum store_table table, const MDB_val *key, const MDB_val *value);
/* A value copied out; STORE_NOT_FOUND, or STORE_DAMAGED when it has another size, or is
 * another's. */
enum store_err store_get(const struct store *store, MDB_txn *txn, enum store_table table,
                         const void *key, size_t key_bytes, void *value, size_t value_bytes);
enum store_err store_put(struct store *store, enum store_table table, const void *key,
                         size_t key_bytes, const void *value, size_t value_bytes);
enum store_err store_delete(struct store *store, enum store_table table, const void *key,
                            size_t key_bytes);

/* schema.c: what stands in the meta table, and bringing over what an older Flyball wrote. */
enum store_err store_meta_read(struct store *store, bool fresh, struct store_error *error);
enum store_err store_meta_write(struct store *store, uint32_t clean);
/* In the open transaction: whether all tables are there, or (make) those that are not are made. */
enum store_err store_tables_complete(struct store *store, bool make);
void store_say(struct store_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The lock alone, whatever state the ledger is in. */
enum store_err store_open_lock(const char *home, struct store **store_out,
                               struct store_error *error);
/* window.c: the windows of schema 2 have no record of their beginning. */
enum store_err store_windows_from_2(struct store *store);

/* disk.c: what a file system is to a ledger, by its magic number; text says what is wrong with it.
 */
enum store_err store_fs_judge(uint32_t magic, char *text, size_t size);
enum store_err store_fs_check(struct store *store, struct store_error *error);
bool store_disk_is_full(const struct store *store);
void store_ballast_make(struct store *store);
void store_ballast_release(struct store *store);
/* The kernel takes what it failed to write for written: what is read next comes from the disk. */
void store_forget_pages(const struct store *store);
/* Before a transaction: a map that is nearly used up, or was, becomes twice as large. */
enum store_err store_map_grow(struct store *store);

/* head.c */
void store_head_read(struct store *store);
bool store_head_write(const char *home, uint64_t seq, const uint8_t head[32]);
void store_head_keep(struct store *store);
enum store_err store_head_missing(struct store *store, const char *path, struct store_error *error);
enum store_err store_head_check(struct store *store, struct store_error *error);

/* index.c: the entries of a call's record: an admission, a refusal, an end; of an allocation. */
#define STORE_INDEX_MAX 4u
unsigned store_index_keys(const struct store_event *event, const char *session,
                          const struct store_admission *asked,
                          struct store_index_key out[STORE_INDEX_MAX]);
enum store_err store_index_put(struct store *store, const struct store_event *event,
                               const char *session, const struct store_admission *asked);
/* What a record says of its run: it begins, goes on, ends. */
void store_alive_key(struct store_index_key *out, const uint8_t run_id[16]);
enum store_err store_alive_put(struct store *store, const struct store_event *event);
enum store_err store_hour_put(struct store *store, const struct store_record *head);
void store_hour_key(int64_t ts_ns, uint8_t out[8]);

/* The key after (or before) the given one; given 0 bytes: the first (or the last). key_out and
 * value_out point into the view. STORE_DAMAGED where it is not: so a walk comes to its end. */
enum store_err store_step(struct store_view *view, enum store_table table, const void *key,
                          size_t key_bytes, bool backward, MDB_val *key_out, MDB_val *value_out);

enum store_err store_call_put(struct store *store, const struct store_call *call);

/* Record numbers as keys, in order. */
void store_seq_key(uint64_t seq, uint8_t out[8]);
uint64_t store_key_seq(const void *key);
/* The size of a type's body as it is written now; 0: no such type. */
size_t store_body_bytes(unsigned type);
/* Unpacks a stored record; false: not a whole record, or its hash does not fit. hash_out may be
 * NULL. */
bool store_unpack(const void *bytes, size_t count, struct store_event *out, uint8_t hash_out[32]);
/* The record with this number or the next; seq_out: which. */
enum store_err store_chain_get(const struct store *store, MDB_txn *txn, uint64_t seq,
                               struct store_event *out, uint8_t hash_out[32]);

/* From a transaction's first write on there is no way back but for the whole. Returns err. */
enum store_err store_spoil(struct store *store, enum store_err err);
/* Saturates: towards refusal. */
void store_add_to(int64_t *amount, int64_t more);
/* Calls book() for every scope of an admission. */
enum store_err store_each_scope(struct store *store, const struct store_event *admission,
                                enum store_err (*book)(struct store *store,
                                                       const struct store_scope_seen *seen,
                                                       void *data),
                                void *data);
/* correct.c: what a correction changes, for writing and for proving; the one before it (zero: none)
 * and the end of its call say from where. False: it does not follow from them. */
void store_counter_correct(struct store_counter *counter, const struct store_corrected *corrected);
void store_correction_fill(struct store_corrected *out, const struct store_corrected *before,
                           uint64_t before_seq, const struct store_event *ended);
/* orders.c: what a record makes of a run's row, for writing and for proving. */
void store_run_apply(struct store_run *run, const struct store_event *event);
/* A stop of a session, or of everything. */
bool store_is_stop_to_come(const struct store_turned *turned);
/* Whether a record follows from that row. */
bool store_run_fits(const struct store_run *run, const struct store_event *event);
/* direct.c: what a record makes of a task's row (known: there is one), of the row of directives,
 * for writing and for proving. False: there is no row of the task behind it. */
bool store_task_apply(struct store_task *row, bool known, const struct store_event *event);
void store_direct_apply(struct store_direct *row, const struct store_event *event);
/* Whether a record is of no run: a person's word, or what counts for all. */
bool store_is_of_none(const struct store_record *head);
/* Whether a counter's or run's row has the version that goes with its size. */
bool store_row_is_whole(enum store_table table, uint32_t version, size_t bytes);

/* Whether a hold passes a limit that was in force, on what the admission saw of its scope. What a
 * call takes nothing of does not keep it from passing, however much of it is spent. */
bool store_passes(const struct store_scope_seen *seen, const struct store_admission *admission,
                  enum gov_dim dim);
/* The arithmetic of holds, the same for writing and for proving. sign +1 books, -1 takes back. */
void store_counter_hold(struct store_counter *counter, const struct store_admission *admission,
                        int sign, bool steps_too);
void store_counter_charge(struct store_counter *counter, const struct store_consumption *used,
                          bool step_too);
void store_counter_used(struct store_counter *counter, const struct store_scope_key *key,
                        const struct store_used *used);
void store_counter_burst(struct store_counter *counter, const struct store_scope_key *key,
                         const struct store_consumption *used);

/* ---- proving (verify.c: the chain; verify_rows.c: what stands beside it) --------------------- */

struct store_sum { /* a scope */
    struct store_scope_key key;
    struct store_counter counter;
};

struct store_open_call {
    uint8_t call_id[16];
    struct store_event admission;
};

struct store_corrected_call {
    uint8_t call_id[16];
    uint64_t last_seq;
    struct store_corrected last;
};

struct store_run_sum {
    uint8_t run_id[16];
    int64_t admitted, refused, settled, estimated, in_flight;
    struct store_run row; /* state, reasons, pauses, questions, end */
};
_Static_assert(sizeof(struct store_run_sum) == 1336, "stored");

struct store_task_sum {
    uint8_t id[16]; /* of the scope with its name */
    struct store_task row;
};

/* What stands beside the chain, and no counter has. */
struct store_standing {
    struct store_direct direct;
    uint8_t directed; /* there is a row of that */
    uint8_t jumped;   /* the clock is in doubt */
    uint8_t zero[6];
};
_Static_assert(sizeof(struct store_standing) == 528, "stored");

/* In the meta table as "pruned". */
struct store_pruned {
    uint64_t upto; /* the chain begins behind it; 0: at its first record */
    uint8_t head[32];
    uint64_t checkpoint_seq; /* the record that says so */
};

struct store_check {
    struct store_view *view;
    struct store_proof *proof;
    /* Trees of the structs above, each with its id first. */
    void *sums, *calls, *runs, *corrected, *tasks;
    size_t sum_count, call_count, run_count, corrected_count, task_count;
    struct store_standing standing;
    size_t row_count; /* of calls: admitted ones and refused ones */
    size_t object_count, index_count, hour_count;
    size_t order_count;
    size_t later_count; /* calls with a record after their end */
    struct store_pruned pruned;
    uint8_t base[32]; /* the hash of what is there of pruned records ... */
    uint64_t kept_count;
    struct store_checkpoint checkpoint; /* ... and what the last checkpoint says of it */
    uint64_t checkpoint_seq;            /* 0: there is none */
    size_t matched;                     /* rows of the table being walked that the records know */
    struct store_event event;
    bool out_of_memory;
};

int store_by_scope(const void *a, const void *b);
int store_by_id(const void *a, const void *b);
/* The first finding is the one that is told; *what is no longer proven. seq 0: of no record. */
void store_check_wrong(struct store_check *check, bool *what, uint64_t seq, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Calls each() for every scope in which a call counts. */
void store_check_each(struct store_check *check, const struct store_event *admission,
                      void (*each)(struct store_sum *sum, const void *data), const void *data);
void store_check_rows(struct store_check *check);
/* Whether a counter is the sum of its records, but for names and what was logged. */
bool store_same_counter(const struct store_counter *row, const struct store_counter *sum);
/* The entry with this key in front, made (all zero behind the key) when it is not there. NULL: out
 * of memory, noted. */
void *store_check_entry(struct store_check *check, void **tree, const void *key, size_t key_bytes,
                        size_t bytes, int (*order)(const void *, const void *), size_t *count);
/* Takes an entry out of a tree, if it is there; its key is in front. */
void store_check_forget(void **tree, const void *key, int (*order)(const void *, const void *),
                        size_t *count);
/* verify_orders.c: what people decided; what stands beside the chain. */
void store_check_turn(struct store_check *check);
void store_check_extended(struct store_check *check);
void store_check_override(struct store_check *check);
void store_check_standing(struct store_check *check);
/* A question, or a stop to come, that is needed though it is older than what was pruned. */
bool store_check_kept_order(struct store_check *check);
struct store_sum *store_check_sum(struct store_check *check, const struct store_scope_key *key);
struct store_run_sum *store_check_run(struct store_check *check, const uint8_t run_id[16]);
/* What of the record in check->event has to stand in rows and indexes. */
void store_check_call(struct store_check *check, bool right, const struct store_call *row);
void store_check_index(struct store_check *check, const struct store_admission *asked);
void store_check_object(struct store_check *check);
void store_check_allocation(struct store_check *check);
/* Everything about it; check->event is the next one. */
void store_check_record(struct store_check *check);
void store_check_free(struct store_check *check);

/* base.c: what pruned records came to, as the state from which a proof goes on. */
enum store_err store_pruned_read(const struct store *store, MDB_txn *txn, struct store_pruned *out);
enum store_err store_base_load(struct store_check *check);
/* After the last record: whether the last checkpoint speaks of this very state. */
void store_check_base(struct store_check *check);
/* check is the state after the record upto: writes it down, its hash and the number of records that
 * are kept. */
enum store_err store_base_write(struct store *store, struct store_check *check, uint64_t upto,
                                uint8_t hash_out[32], uint64_t *kept_out);
/* The rows of a table. */
size_t store_check_count(const struct store_check *check, enum store_table table);

#endif
