/* SPDX-License-Identifier: Apache-2.0 */
/* Whole ledgers: copying one while it is used, putting one in the place of another, compacting.
 * What takes a ledger's place is a copy beside it that was proven first, and is renamed over it. */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum store_err fail(const struct store *store, struct store_error *error, const char *path,
                           int code)
{
    enum store_err err = store_err_of(store, code);

    store_say(error, "%s: %s", path, code > 0 ? strerror(code) : store_strerror(err));
    return err;
}

void store_sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

/* ---- copying ------------------------------------------------------------------------------ */

static enum store_err copy_env(struct store *store, const char *path, bool compact,
                               struct store_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code = fd < 0 ? errno : 0;

    if (fd < 0)
        return fail(store, error, path, code);
    (void)pthread_rwlock_rdlock(&store->map_lock);
    code = mdb_env_copyfd2(store->env, fd, compact ? MDB_CP_COMPACT : 0);
    (void)pthread_rwlock_unlock(&store->map_lock);
    if (code == 0 && fsync(fd) != 0)
        code = errno;
    (void)close(fd);
    return code == 0 ? STORE_OK : fail(store, error, path, code);
}

/* The last record of a copy: from the copy, for the ledger has gone on. */
static enum store_err name_head(const char *dir, struct store_error *error)
{
    struct store *copy;
    struct store_view *view;
    enum store_err err = store_open(dir, true, &copy, error);
    uint8_t head[32];
    uint64_t seq;

    if (err != STORE_OK)
        return err;
    err = store_view_open(copy, &view);
    if (err == STORE_OK) {
        store_view_head(view, &seq, head);
        store_view_close(view);
    }
    store_close(copy);
    if (err == STORE_OK && !store_head_write(dir, seq, head)) {
        store_say(error, "%s/head: %s", dir, strerror(errno));
        err = STORE_IO;
    }
    return err;
}

enum store_err store_copy(struct store *store, const char *dir, bool compact,
                          struct store_error *error)
{
    char path[600], fresh[620], head[600];
    enum store_err err;

    error->text[0] = '\0';
    if (strlen(dir) >= sizeof store->home) {
        store_say(error, "%.64s...: the name of the directory is too long", dir);
        return STORE_IO;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(store, error, dir, errno);
    (void)snprintf(path, sizeof path, "%s/ledger.mdb", dir);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)snprintf(head, sizeof head, "%s/head", dir);
    err = copy_env(store, fresh, compact, error);
    if (err == STORE_OK) {
        (void)unlink(head); /* of the copy that was there */
        if (rename(fresh, path) != 0)
            err = fail(store, error, path, errno);
    }
    if (err == STORE_OK)
        err = name_head(dir, error);
    else
        (void)unlink(fresh);
    store_sync_directory(dir);
    return err;
}

/* ---- proving what is to take a place ------------------------------------------------------ */

static enum store_err prove(struct store *store, struct store_proof *proof,
                            struct store_error *error)
{
    struct store_view *view;
    enum store_err err = store_view_open(store, &view);

    if (err != STORE_OK)
        return err;
    err = store_verify(view, NULL, NULL, NULL, proof);
    store_view_close(view);
    if (err == STORE_OK && !(proof->chain && proof->sums && proof->caps)) {
        store_say(error, "%s: is not proven: %s", store->home, proof->what);
        err = STORE_DAMAGED;
    }
    return err;
}

static enum store_err prove_in(const char *dir, struct store_proof *proof,
                               struct store_error *error)
{
    struct store *store;
    enum store_err err = store_open(dir, true, &store, error);

    if (err != STORE_OK)
        return err;
    err = prove(store, proof, error);
    store_close(store);
    return err;
}

/* ---- taking a place ----------------------------------------------------------------------- */

struct places {
    char path[600], staging[600], staged[620], kept[660];
};

static void places_fill(struct places *places, const char *home)
{
    struct timespec now;
    struct tm utc;
    char text[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(text, sizeof text, "%Y%m%dT%H%M%S", &utc);
    (void)snprintf(places->path, sizeof places->path, "%s/ledger.mdb", home);
    (void)snprintf(places->staging, sizeof places->staging, "%s/staging", home);
    (void)snprintf(places->staged, sizeof places->staged, "%s/ledger.mdb", places->staging);
    (void)snprintf(places->kept, sizeof places->kept, "%s.before-%s.%06ldZ", places->path, text,
                   now.tv_nsec / 1000);
}

static void staging_remove(const struct places *places)
{
    static const char *const names[] = {"ledger.mdb", "ledger.mdb.new", "head", "lock"};
    char path[640];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", places->staging, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(places->staging);
}

/* A crash in between leaves a ledger that `head` does not fit: it is not opened, and this can be
 * done again. */
static enum store_err swap(const struct store *lock, const struct places *places, bool keep,
                           const struct store_proof *proof, struct store_replaced *out,
                           struct store_error *error)
{
    char path[640];
    bool kept = keep && link(places->path, places->kept) == 0;

    if (keep && !kept && errno != ENOENT)
        return fail(lock, error, places->kept, errno);
    (void)snprintf(out->kept, sizeof out->kept, "%s", kept ? places->kept : "");
    if (rename(places->staged, places->path) != 0)
        return fail(lock, error, places->path, errno);
    (void)snprintf(path, sizeof path, "%s-lock", places->path);
    (void)unlink(path); /* LMDB's own, of the file that was there */
    if (!store_head_write(lock->home, proof->records, proof->head))
        return fail(lock, error, lock->home, errno);
    store_sync_directory(lock->home);
    return STORE_OK;
}

/* Copies from source into the staging place, proves that, puts it into place. The lock is held. */
static enum store_err replace(const struct store *lock, struct store *source, bool compact,
                              struct store_replaced *out, struct store_error *error)
{
    struct places places;
    struct store_proof proof;
    enum store_err err;

    places_fill(&places, lock->home);
    staging_remove(&places);
    err = store_copy(source, places.staging, compact, error);
    if (err == STORE_OK)
        err = prove_in(places.staging, &proof, error);
    if (err == STORE_OK)
        err = swap(lock, &places, !compact, &proof, out, error);
    staging_remove(&places);
    if (err != STORE_OK)
        return err;
    out->records = proof.records;
    memcpy(out->head, proof.head, sizeof out->head);
    return STORE_OK;
}

enum store_err store_restore(const char *home, const char *from, struct store_replaced *out,
                             struct store_error *error)
{
    struct store *lock = NULL, *source = NULL;
    enum store_err err = store_open_lock(home, &lock, error);

    if (err == STORE_OK)
        err = store_open(from, true, &source, error);
    if (err == STORE_OK)
        err = replace(lock, source, false, out, error);
    store_close(source);
    store_close(lock);
    return err;
}

enum store_err store_compact(const char *home, struct store_replaced *out,
                             struct store_error *error)
{
    struct store *store = NULL;
    enum store_err err = store_open(home, true, &store, error);

    if (err == STORE_OK)
        err = replace(store, store, true, out, error);
    store_close(store);
    return err;
}
