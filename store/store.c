/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, locking and transactions. The lock is a file of its own, held for life: LMDB's own locks
 * do not keep a second writer out (a plain open and close of its lock file lets one in, measured).
 */
#define OPENSSL_API_COMPAT 0x10100000L /* the SHA-256 that cannot fail: see store_sha256 */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_CHECKED 1000u /* records whose chain is looked at when opening */

static const char *const table_names[STORE_TABLES] = {
    [STORE_CHAIN] = "chain",       [STORE_CALLS] = "calls",   [STORE_OPEN] = "open",
    [STORE_RUNS] = "runs",         [STORE_META] = "meta",     [STORE_INDEX] = "index",
    [STORE_COUNTERS] = "counters", [STORE_HOURS] = "hours",   [STORE_OBJECTS] = "objects",
    [STORE_BASE] = "base",         [STORE_ORDERS] = "orders",
};

const char *store_strerror(enum store_err err)
{
    switch (err) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        STORE_ERR_MAP(X)
#undef X
    }
    return "unknown error";
}

void store_say(struct store_error *error, const char *format, ...)
{
    va_list arguments;

    if (error == NULL || error->text[0] != '\0')
        return;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
}

/* What OpenSSL 3 offers instead allocates, and a record must not get a hash that is not its own
 * because that failed. */
_Static_assert(sizeof(SHA256_CTX) == sizeof(struct store_hash), "room for OpenSSL's state");

void store_hash_begin(struct store_hash *hash)
{
    (void)SHA256_Init((SHA256_CTX *)hash);
}

void store_hash_add(struct store_hash *hash, const void *bytes, size_t count)
{
    if (count > 0)
        (void)SHA256_Update((SHA256_CTX *)hash, bytes, count);
}

void store_hash_end(struct store_hash *hash, uint8_t out[32])
{
    (void)SHA256_Final(out, (SHA256_CTX *)hash);
}

void store_sha256(const void *bytes, size_t count, uint8_t out[32])
{
    struct store_hash hash;

    store_hash_begin(&hash);
    store_hash_add(&hash, bytes, count);
    store_hash_end(&hash, out);
}

/* ---- LMDB --------------------------------------------------------------------------------- */

enum store_err store_err_of(const struct store *store, int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return STORE_OK;
    case MDB_NOTFOUND:
        return STORE_NOT_FOUND;
    case MDB_MAP_FULL:
    case EFBIG:
        return STORE_FULL;
    case ENOMEM:
        return STORE_NOMEM;
    case EROFS:
    case EACCES:
    case EPERM:
        return STORE_READ_ONLY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return STORE_DAMAGED;
    case MDB_PANIC: /* a commit could not be noted: the file may be well, what LMDB knows is not */
        return STORE_LATCHED;
    case ENOSPC: /* of a sync below which the room is thinner than it says: a failed sync */
    case EDQUOT:
    case EIO: /* a short write on a full disk looks like this too */
        return store_disk_is_full(store) ? STORE_FULL : STORE_IO;
    default:
        return STORE_IO;
    }
}

enum store_err store_get(const struct store *store, MDB_txn *txn, enum store_table table,
                         const void *key, size_t key_bytes, void *value, size_t value_bytes)
{
    MDB_val k = {key_bytes, (void *)(uintptr_t)key}, v;
    int code = mdb_get(txn, store->tables[table], &k, &v);

    if (code != MDB_SUCCESS)
        return store_err_of(store, code);
    if (v.mv_size != value_bytes && (v.mv_size > value_bytes || store_row_least(table) == 0 ||
                                     v.mv_size < store_row_least(table)))
        return STORE_DAMAGED;
    if (!store_row_is_its_own(table, &k, &v))
        return STORE_DAMAGED;
    memset(value, 0, value_bytes);
    memcpy(value, v.mv_data, v.mv_size);
    return STORE_OK;
}

enum store_err store_put(struct store *store, enum store_table table, const void *key,
                         size_t key_bytes, const void *value, size_t value_bytes)
{
    MDB_val k = {key_bytes, (void *)(uintptr_t)key}, v = {value_bytes, (void *)(uintptr_t)value};

    int code = mdb_put(store->txn, store->tables[table], &k, &v, 0);

    store->map_full = store->map_full || code == MDB_MAP_FULL;
    return store_err_of(store, code);
}

enum store_err store_delete(struct store *store, enum store_table table, const void *key,
                            size_t key_bytes)
{
    MDB_val k = {key_bytes, (void *)(uintptr_t)key};

    return store_err_of(store, mdb_del(store->txn, store->tables[table], &k, NULL));
}

/* ---- the lock ----------------------------------------------------------------------------- */

static void say_owner(int fd, struct store_error *error, const char *path)
{
    char pid[32] = "";
    ssize_t count = pread(fd, pid, sizeof pid - 1, 0);

    pid[count > 0 ? strcspn(pid, "\n") : 0] = '\0';
    store_say(error, "%s: held by the sidecar with pid %s", path, pid[0] != '\0' ? pid : "unknown");
}

/* For reading, a lock that can only be read does: a writer's excludes it. */
static int lock_open(const struct store *store, const char *path, short *type_out)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    *type_out = F_WRLCK;
    if (fd >= 0 || !store->read_only || (errno != EROFS && errno != EACCES))
        return fd;
    *type_out = F_RDLCK;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW); /* ENOENT: nobody can have written here */
}

static enum store_err lock(struct store *store, struct store_error *error)
{
    struct flock whole = {.l_whence = SEEK_SET};
    char path[600], pid[32];
    int length;

    (void)snprintf(path, sizeof path, "%s/lock", store->home);
    store->lock_fd = lock_open(store, path, &whole.l_type);
    if (store->lock_fd < 0 && whole.l_type == F_RDLCK && errno == ENOENT)
        return STORE_OK;
    if (store->lock_fd < 0) {
        enum store_err err = store_err_of(store, errno);

        store_say(error, "%s: %s", path, strerror(errno));
        return err;
    }
    if (fcntl(store->lock_fd, F_OFD_SETLK, &whole) != 0) {
        int code = errno;

        if (code != EAGAIN && code != EACCES) { /* not held: not to be had */
            store_say(error, "%s: %s", path, strerror(code));
            return store_err_of(store, code);
        }
        say_owner(store->lock_fd, error, path);
        return STORE_LOCKED;
    }
    length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (whole.l_type == F_WRLCK && ftruncate(store->lock_fd, 0) == 0)
        (void)!pwrite(store->lock_fd, pid, (size_t)length, 0); /* for people; the lock counts */
    return STORE_OK;
}

/* ---- opening ------------------------------------------------------------------------------ */

static int open_env_of(struct store *store, const char *path, unsigned flags, size_t map_bytes)
{
    int code = mdb_env_create(&store->env);

    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(store->env, STORE_TABLES + 1);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(store->env, map_bytes);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(store->env, path, flags | MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if (code != MDB_SUCCESS && store->env != NULL) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return code;
}

/* LMDB's lock file keeps this process's own threads apart, and is mapped for writing: where the
 * disk has no room to write its page anew (a quota of btrfs, which never writes in place), whoever
 * writes there is killed. So it is in memory; -1: it is not, and a file. */
static int lock_file_in_memory(const char *path)
{
    int fd = memfd_create("flyball-lmdb", MFD_CLOEXEC);
    char name[640], target[32];

    (void)snprintf(name, sizeof name, "%s-lock", path);
    (void)snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (fd < 0)
        return -1;
    (void)unlink(name);
    if (symlink(target, name) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static void lock_file_opened(const char *path, int fd)
{
    char name[640];

    if (fd < 0)
        return;
    (void)snprintf(name, sizeof name, "%s-lock", path);
    (void)unlink(name);
    (void)close(fd);
}

/* Address space may be short (RLIMIT_AS, valgrind): then a smaller map, down to a quarter GiB. */
static int open_env(struct store *store, const char *path)
{
    /* Our own lock keeps everybody out. */
    unsigned flags = store->read_only ? MDB_RDONLY | MDB_NOLOCK : 0;
    size_t map_bytes = STORE_MAP_BYTES;
    int lock_fd = store->read_only ? -1 : lock_file_in_memory(path);
    int code = open_env_of(store, path, flags, map_bytes);

    while ((code == ENOMEM || code == EINVAL) && map_bytes > STORE_MAP_LEAST) {
        map_bytes /= 4;
        code = open_env_of(store, path, flags, map_bytes);
    }
    lock_file_opened(path, lock_fd);
    return code;
}

/* A new ledger gets its name when it is on the disk: of one that was being made when the power
 * failed nothing is left in the way. */
static enum store_err make(struct store *store, const char *path, struct store_error *error)
{
    char fresh[620];
    enum store_err err;
    int code;

    if (store->read_only || access(path, F_OK) == 0 || errno != ENOENT)
        return STORE_OK;
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)unlink(fresh);
    code = open_env_of(store, fresh, MDB_NOLOCK, STORE_MAP_LEAST);
    if (code == MDB_SUCCESS) {
        code = mdb_env_sync(store->env, 1);
        mdb_env_close(store->env);
        store->env = NULL;
    }
    if (code == MDB_SUCCESS && rename(fresh, path) != 0)
        code = errno;
    err = store_err_of(store, code);
    if (err != STORE_OK)
        store_say(error, "%s: %s", fresh, code > 0 ? strerror(code) : mdb_strerror(code));
    store_sync_directory(store->home);
    return err;
}

/* All of a new ledger are made. Of one that is there none may be missing, or what stood in it would
 * count as nothing; what schema 2 did not have is 0, no table's number, until it is brought over.
 */
static int open_tables(struct store *store, MDB_txn *txn, bool *fresh_out)
{
    MDB_stat stat;
    MDB_dbi names;
    int code = mdb_dbi_open(txn, NULL, 0, &names);

    if (code == MDB_SUCCESS)
        code = mdb_stat(txn, names, &stat);
    *fresh_out = code == MDB_SUCCESS && stat.ms_entries == 0;
    for (unsigned i = 0; i < STORE_TABLES && code == MDB_SUCCESS; i++) {
        code = mdb_dbi_open(txn, table_names[i], *fresh_out && !store->read_only ? MDB_CREATE : 0,
                            &store->tables[i]);
        if (code == MDB_NOTFOUND && !*fresh_out)
            code = i >= STORE_INDEX ? MDB_SUCCESS : MDB_CORRUPTED;
    }
    return code;
}

enum store_err store_tables_complete(struct store *store, bool make)
{
    int code = MDB_SUCCESS;

    for (unsigned i = 0; i < STORE_TABLES && code == MDB_SUCCESS; i++)
        if (store->tables[i] == 0)
            code = make ? mdb_dbi_open(store->txn, table_names[i], MDB_CREATE, &store->tables[i])
                        : MDB_CORRUPTED;
    return store_err_of(store, code);
}

/* The last record is where the chain goes on. */
static enum store_err read_head(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    struct store_event *event = NULL;
    enum store_err err = STORE_OK;
    int code = mdb_cursor_open(txn, store->tables[STORE_CHAIN], &cursor);

    if (code == MDB_SUCCESS)
        code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    if (code == MDB_SUCCESS) {
        event = malloc(sizeof *event);
        if (event == NULL)
            err = STORE_NOMEM;
        else if (!store_unpack(value.mv_data, value.mv_size, event, store->head))
            err = STORE_DAMAGED;
        else
            store->seq = event->head.seq;
    } else if (code != MDB_NOTFOUND) {
        err = store_err_of(store, code);
    }
    free(event);
    mdb_cursor_close(cursor);
    store->committed_seq = store->seq;
    memcpy(store->committed_head, store->head, sizeof store->head);
    return err;
}

static enum store_err check_tail(struct store *store, MDB_txn *txn, struct store_error *error)
{
    struct store_event *event = malloc(sizeof *event);
    struct store_pruned pruned = {0};
    uint64_t seq = store->seq > TAIL_CHECKED ? store->seq - TAIL_CHECKED : 1;
    uint8_t prev[32], hash[32];
    bool known;
    enum store_err err = event == NULL ? STORE_NOMEM : store_pruned_read(store, txn, &pruned);

    known = seq <= pruned.upto + 1;
    seq = known ? pruned.upto + 1 : seq;
    memcpy(prev, pruned.head, sizeof prev);

    for (; err == STORE_OK && seq <= store->seq; seq++) {
        err = store_chain_get(store, txn, seq, event, hash);
        if (err == STORE_OK &&
            (event->head.seq != seq || (known && memcmp(event->head.prev, prev, sizeof prev) != 0)))
            err = STORE_DAMAGED;
        if (err != STORE_OK)
            store_say(
                error,
                "%s/ledger.mdb: record %llu does not continue the chain; see `flyball verify`",
                store->home, (unsigned long long)seq);
        memcpy(prev, hash, sizeof prev);
        known = true;
    }
    free(event);
    return err;
}

static enum store_err open_ledger(struct store *store, struct store_error *error)
{
    char path[600];
    MDB_txn *txn = NULL;
    enum store_err err;
    bool fresh = false;
    int code;

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", store->home);
    err = store_head_missing(store, path, error);
    if (err == STORE_OK)
        err = make(store, path, error);
    if (err != STORE_OK)
        return err;
    code = open_env(store, path);
    if (code == MDB_SUCCESS)
        code = store_file_whole(store);
    if (code == MDB_SUCCESS)
        code = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
    if (code == MDB_SUCCESS)
        code = open_tables(store, txn, &fresh);
    if (code != MDB_SUCCESS) {
        err = store_err_of(store, code);
        store_say(error, "%s: %s", path, mdb_strerror(code));
        mdb_txn_abort(txn);
        return err;
    }
    store->txn = txn;
    err = store_meta_read(store, fresh, error);
    if (err == STORE_OK && !store->read_only) /* who only reads wants to see the damage */
        err = read_head(store, txn);
    if (err == STORE_OK && !store->read_only)
        err = check_tail(store, txn, error);
    if (err == STORE_OK && !store->read_only)
        err = store_head_check(store, error);
    if (err == STORE_OK && !store->read_only)
        err = store_meta_write(store, 0);
    if (err == STORE_OK && !store->read_only) {
        err = store_commit(store, true);
    } else {
        if (err == STORE_OK) /* the tables stay open only by committing */
            err = store_err_of(store, mdb_txn_commit(txn));
        else
            mdb_txn_abort(txn);
        store->txn = NULL;
    }
    if (err != STORE_OK)
        store_say(error, "%s: %s", path, store_strerror(err));
    return err;
}

static enum store_err open_in(const char *home, bool read_only,
                              enum store_err (*open)(struct store *store,
                                                     struct store_error *error),
                              struct store **store_out, struct store_error *error)
{
    struct store *store = calloc(1, sizeof *store);
    enum store_err err;

    if (error != NULL)
        error->text[0] = '\0';
    if (store == NULL)
        return STORE_NOMEM;
    store->lock_fd = -1;
    (void)pthread_rwlock_init(&store->map_lock, NULL);
    store->read_only = read_only;
    err = strlen(home) < sizeof store->home ? STORE_OK : STORE_IO;
    if (err != STORE_OK) /* another directory's name would be left of it */
        store_say(error, "%.64s...: the name of the directory is too long", home);
    (void)snprintf(store->home, sizeof store->home, "%s", home);
    if (err == STORE_OK && !read_only) /* a copy can be read wherever it is */
        err = store_fs_check(store, error);
    if (err == STORE_OK)
        err = lock(store, error);
    if (err == STORE_OK && open != NULL)
        err = open(store, error);
    if (err != STORE_OK) {
        store->latched = true; /* nothing of it may be written any more */
        store_close(store);
        return err;
    }
    *store_out = store;
    return STORE_OK;
}

enum store_err store_open_lock(const char *home, struct store **store_out,
                               struct store_error *error)
{
    return open_in(home, false, NULL, store_out, error);
}

enum store_err store_open(const char *home, bool read_only, struct store **store_out,
                          struct store_error *error)
{
    enum store_err err = open_in(home, read_only, open_ledger, store_out, error);

    if (err == STORE_OK && !read_only) {
        store_ballast_make(*store_out);
        store_head_keep(*store_out);
    }
    return err;
}

bool store_was_clean(const struct store *store)
{
    return store->was_clean;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_abort(store);
    if (store->env != NULL && !store->read_only && !store->latched &&
        store_begin(store) == STORE_OK) {
        if (store_meta_write(store, 1) == STORE_OK)
            (void)!store_commit(store, true);
        else
            store_abort(store);
    }
    if (store->env != NULL && !store->read_only)
        store_head_keep(store);
    if (store->env != NULL) {
        mdb_env_close(store->env);
        if (store->latched)
            store_forget_pages(store);
    }
    (void)pthread_rwlock_destroy(&store->map_lock);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    free(store);
}

/* ---- transactions ------------------------------------------------------------------------- */

enum store_err store_begin(struct store *store)
{
    enum store_err err;

    if (store->latched)
        return STORE_LATCHED;
    err = store_map_grow(store);
    return err == STORE_OK ? store_err_of(store, mdb_txn_begin(store->env, NULL, 0, &store->txn))
                           : err;
}

static void forget_transaction(struct store *store)
{
    store->txn = NULL;
    store->spoilt = STORE_OK;
    store->seq = store->committed_seq;
    memcpy(store->head, store->committed_head, sizeof store->head);
}

/* LMDB does not stop after a failed sync, and the kernel forgets the pages that it could not write:
 * what is on the disk is not known any more, until the file is read again. */
enum store_err store_commit(struct store *store, bool durable)
{
    int code = mdb_env_set_flags(store->env, MDB_NOMETASYNC, durable ? 0 : 1);
    enum store_err err = code != MDB_SUCCESS ? store_err_of(store, code) : store->spoilt;

    if (err != STORE_OK) {
        store_abort(store);
        return err;
    }
    code = mdb_txn_commit(store->txn); /* frees the handle even when it fails */
    err = store_err_of(store, code);
    if (err != STORE_OK) {
        forget_transaction(store);
        store->map_full = store->map_full || code == MDB_MAP_FULL;
        if (err == STORE_FULL && code != MDB_MAP_FULL)
            store_ballast_release(store);
        store->latched = err != STORE_FULL && err != STORE_NOMEM;
        return err;
    }
    store->txn = NULL;
    store->committed_seq = store->seq;
    memcpy(store->committed_head, store->head, sizeof store->head);
    if (durable) {
        store->durable_seq = store->seq;
        memcpy(store->durable_head, store->head, sizeof store->head);
    }
    return STORE_OK;
}

void store_abort(struct store *store)
{
    if (store->txn == NULL)
        return;
    mdb_txn_abort(store->txn);
    forget_transaction(store);
}
