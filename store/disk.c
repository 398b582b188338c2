/* SPDX-License-Identifier: Apache-2.0 */
/* The disk below the ledger: what kind it is, whether there is room, whether the file is still the
 * one that was opened. A few MiB are set aside while there is room: when the disk is full they are
 * given up, so that calls in flight can be settled; until they can be had again nothing is held. */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define BALLAST_BYTES    (INT64_C(4) << 20)
#define ROOM_BESIDE      (INT64_C(4) << 20) /* free beside the ballast, before holds go on */
#define FULL_BELOW_BYTES (INT64_C(1) << 20) /* less than this free: a failed write means full */

/* ---- file systems ------------------------------------------------------------------------- */

/* Not in every kernel's header. */
#define MAGIC_CIFS UINT32_C(0xff534d42)
#define MAGIC_SMB2 UINT32_C(0xfe534d42)
#define MAGIC_CEPH UINT32_C(0x00c36400)
#define MAGIC_FUSE UINT32_C(0x65735546)
#define MAGIC_GFS2 UINT32_C(0x01161970)

static const struct {
    uint32_t magic;
    bool refused;
    const char *name, *why;
} file_systems[] = {
    {NFS_SUPER_MAGIC, true, "NFS", "its locks and its mapped files do not keep writers apart"},
    {SMB_SUPER_MAGIC, true, "SMB", "its locks and its mapped files do not keep writers apart"},
    {MAGIC_CIFS, true, "SMB", "its locks and its mapped files do not keep writers apart"},
    {MAGIC_SMB2, true, "SMB", "its locks and its mapped files do not keep writers apart"},
    {V9FS_MAGIC, true, "9p", "what is mapped and what is written may differ there"},
    {MAGIC_FUSE, true, "FUSE", "what is mapped and what is written may differ there"},
    {AFS_SUPER_MAGIC, true, "AFS", "its locks and its mapped files do not keep writers apart"},
    {MAGIC_CEPH, true, "Ceph", "its locks and its mapped files do not keep writers apart"},
    {MAGIC_GFS2, true, "GFS2", "its locks and its mapped files do not keep writers apart"},
    {OVERLAYFS_SUPER_MAGIC, false, "overlay", "it is gone with its container; use a volume"},
    {TMPFS_MAGIC, false, "tmpfs", "it is gone when the machine is started again"},
    {RAMFS_MAGIC, false, "ramfs", "it is gone when the machine is started again"},
};

enum store_err store_fs_judge(uint32_t magic, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < sizeof file_systems / sizeof file_systems[0]; i++)
        if (file_systems[i].magic == magic) {
            (void)snprintf(text, size, "a ledger on %s: %s", file_systems[i].name,
                           file_systems[i].why);
            return file_systems[i].refused ? STORE_FILE_SYSTEM : STORE_OK;
        }
    return STORE_OK;
}

enum store_err store_fs_check(struct store *store, struct store_error *error)
{
    struct statfs info;
    enum store_err err;

    if (statfs(store->home, &info) != 0)
        return STORE_OK; /* opening will say what is wrong */
    err = store_fs_judge((uint32_t)info.f_type, store->warning, sizeof store->warning);
    if (err != STORE_OK)
        store_say(error, "%s: %s", store->home, store->warning);
    return err;
}

const char *store_warning(const struct store *store)
{
    return store->warning;
}

/* ---- room --------------------------------------------------------------------------------- */

static void path_of(const struct store *store, const char *name, char out[600])
{
    (void)snprintf(out, 600, "%s/%s", store->home, name);
}

static int64_t free_bytes(const struct store *store)
{
    struct statvfs info;

    return statvfs(store->home, &info) == 0 ? (int64_t)(info.f_bavail * info.f_frsize) : INT64_MAX;
}

/* Takes room of the disk. Zeros would do nothing where the disk packs them: the file system has to
 * set it aside. 0, or the system's error. */
static int take_room(const struct store *store, const char *name, int64_t bytes)
{
    char path[600];
    int fd, code;

    path_of(store, name, path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    code = posix_fallocate(fd, 0, bytes);
    if (code == 0 && fsync(fd) != 0)
        code = errno;
    (void)close(fd);
    if (code != 0)
        (void)unlink(path);
    return code;
}

/* A quota is not seen from outside: it has to be tried. */
bool store_disk_is_full(const struct store *store)
{
    char path[600];
    int code;

    if (free_bytes(store) < FULL_BELOW_BYTES)
        return true;
    code = take_room(store, "room", FULL_BELOW_BYTES);
    path_of(store, "room", path);
    (void)unlink(path);
    return code == ENOSPC || code == EDQUOT;
}

/* Whether there is room for holds; sets the ballast aside where it is not. */
void store_ballast_make(struct store *store)
{
    int64_t free = free_bytes(store);
    struct stat info;
    char path[600];
    bool there;

    path_of(store, "ballast", path);
    there = stat(path, &info) == 0 && info.st_size == BALLAST_BYTES;
    store->full = free < ROOM_BESIDE + (there ? 0 : BALLAST_BYTES) ||
                  (!there && take_room(store, "ballast", BALLAST_BYTES) != 0);
}

void store_ballast_release(struct store *store)
{
    char path[600];

    path_of(store, "ballast", path);
    (void)unlink(path);
    store->full = true;
}

bool store_is_full(const struct store *store)
{
    return store->full;
}

/* ---- the whole file ----------------------------------------------------------------------- */

/* Pages at the end that nothing refers to may never have been written. */
#define UNWRITTEN_BYTES (INT64_C(1) << 20)

/* Where this process has mapped a file, which LMDB does not tell; NULL: not found. */
static char *map_of(const struct stat *file)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long start, inode;
    unsigned major, minor;
    char line[1024], *found = NULL;

    while (maps != NULL && found == NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%*x %*s %*x %x:%x %lu", &start, &major, &minor, &inode) == 4 &&
            inode == file->st_ino && makedev(major, minor) == file->st_dev)
            found = (char *)start; /* NOLINT: an address as text */
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}

static int zeros_behind(const struct stat *file, int64_t want)
{
    int64_t page = sysconf(_SC_PAGESIZE), have = (file->st_size + page - 1) / page * page;
    char *map = map_of(file);

    if (map == NULL)
        return MDB_CORRUPTED;
    return have >= want || mmap(map + have, (size_t)(want - have), PROT_READ,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED
               ? MDB_SUCCESS
               : errno;
}

/* A page behind the end of a file kills whoever looks at it. Who writes makes the file as long as
 * it should be; who reads gets zeros in its map. Zeros are no page, and are told as damage. */
int store_file_whole(struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;
    int64_t want;
    int fd, code = mdb_env_info(store->env, &info);

    if (code == MDB_SUCCESS)
        code = mdb_env_stat(store->env, &stat);
    if (code == MDB_SUCCESS)
        code = mdb_env_get_fd(store->env, &fd);
    if (code != MDB_SUCCESS)
        return code;
    if (fstat(fd, &file) != 0)
        return errno;
    want = (int64_t)(info.me_last_pgno + 1) * stat.ms_psize;
    if (file.st_size >= want)
        return MDB_SUCCESS;
    if (store->read_only)
        return zeros_behind(&file, want);
    if (want - file.st_size > UNWRITTEN_BYTES)
        return MDB_CORRUPTED;
    return ftruncate(fd, want) == 0 ? MDB_SUCCESS : errno;
}

/* ---- watching ----------------------------------------------------------------------------- */

static bool is_file(const char *path, int fd, int64_t *size_out)
{
    struct stat named, opened;

    if (stat(path, &named) != 0 || fstat(fd, &opened) != 0)
        return false;
    *size_out = opened.st_size;
    return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* What is changed behind the back of an open ledger is not its own any more. */
static bool is_ours(struct store *store)
{
    char path[600];
    int64_t size = 0;
    int fd;

    path_of(store, "lock", path);
    if (!is_file(path, store->lock_fd, &size))
        return false;
    path_of(store, "ledger.mdb", path);
    if (mdb_env_get_fd(store->env, &fd) != MDB_SUCCESS || !is_file(path, fd, &size) ||
        size < store->seen_bytes)
        return false;
    store->seen_bytes = size;
    return true;
}

enum store_err store_tick(struct store *store)
{
    if (!store->latched && !is_ours(store))
        store->latched = true;
    if (store->latched)
        return STORE_LATCHED;
    if (store->full || free_bytes(store) < FULL_BELOW_BYTES)
        store_ballast_make(store);
    store_head_keep(store);
    return store->full ? STORE_FULL : STORE_OK;
}

void store_forget_pages(const struct store *store)
{
    char path[600];
    int fd;

    path_of(store, "ledger.mdb", path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
}

/* ---- the map ------------------------------------------------------------------------------ */

/* Once LMDB has failed to map a file there is no way back to the old map. */
static bool can_map(size_t bytes)
{
    void *probe = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return probe != MAP_FAILED && munmap(probe, bytes) == 0;
}

/* Not while somebody reads: a view has the map. In time, as long as there is some left; once it was
 * used up, after waiting for the readers. */
enum store_err store_map_grow(struct store *store)
{
    struct timespec until;
    MDB_envinfo info;
    MDB_stat stat;
    size_t used;
    bool grown;

    if (mdb_env_info(store->env, &info) != MDB_SUCCESS ||
        mdb_env_stat(store->env, &stat) != MDB_SUCCESS)
        return STORE_IO;
    used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (!store->map_full && used + info.me_mapsize / 4 < info.me_mapsize)
        return STORE_OK;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += store->map_full ? 1 : 0;
    if (pthread_rwlock_timedwrlock(&store->map_lock, &until) != 0)
        return store->map_full ? STORE_FULL : STORE_OK;
    grown = can_map(2 * info.me_mapsize);
    if (grown && mdb_env_set_mapsize(store->env, 2 * info.me_mapsize) != MDB_SUCCESS)
        store->latched = true; /* nothing is mapped now */
    (void)pthread_rwlock_unlock(&store->map_lock);
    store->map_full = store->map_full && !grown;
    return store->latched ? STORE_LATCHED : store->map_full ? STORE_FULL : STORE_OK;
}
