/* SPDX-License-Identifier: Apache-2.0 */
/* A preload for flyballd: every write to ledger.mdb and every sync of it, once it has returned,
 * goes into the log of record.h. One thread writes the ledger, so the order is its own. */
#include "tests/crash/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct record_log *record;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CRASH_RECORD");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at =
        fd >= 0 ? mmap(NULL, RECORD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        (void)close(fd);
    if (at == MAP_FAILED)
        _exit(99);
    record = at;
}

static bool ends_in(const char *path, const char *name)
{
    size_t length = strlen(path), end = strlen(name);

    return length >= end && strcmp(path + length - end, name) == 0;
}

static bool is_ledger(int fd)
{
    char link[64], path[512] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 &&
           (ends_in(path, "/ledger.mdb") || ends_in(path, "/ledger.mdb.new")); /* it is made so */
}

static void note(uint32_t kind, uint64_t offset, const struct iovec *parts, int count, size_t bytes)
{
    struct record_entry entry = {kind, (uint32_t)bytes, offset};
    unsigned long used = atomic_load(&record->used), next;
    unsigned char *at = record->bytes + used;

    next = used + sizeof entry + (bytes + 7) / 8 * 8;
    if (next > RECORD_BYTES - sizeof *record) {
        atomic_fetch_add(&record->lost, 1);
        return;
    }
    memcpy(at, &entry, sizeof entry);
    at += sizeof entry;
    for (int i = 0; i < count && bytes > 0; i++) {
        size_t part = parts[i].iov_len < bytes ? parts[i].iov_len : bytes;

        memcpy(at, parts[i].iov_base, part);
        at += part;
        bytes -= part;
    }
    atomic_store(&record->used, next);
}

static void note_write(int fd, const struct iovec *parts, int count, off_t offset, ssize_t done)
{
    int saved = errno;

    if (done > 0 && is_ledger(fd))
        note((fcntl(fd, F_GETFL) & O_DSYNC) != 0 ? RECORD_WRITE_THROUGH : RECORD_WRITE,
             (uint64_t)offset, parts, count, (size_t)done);
    errno = saved;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    const struct iovec part = {(void *)(uintptr_t)bytes, count};
    ssize_t done = syscall(SYS_pwrite64, fd, bytes, count, offset);

    note_write(fd, &part, 1, offset, done);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    ssize_t done = syscall(SYS_pwritev, fd, parts, count, offset, 0);

    note_write(fd, parts, count, offset, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_writev, fd, parts, count);

    note_write(fd, parts, count, offset, done);
    return done;
}

static int synced(int fd, int result)
{
    int saved = errno;

    if (result == 0 && is_ledger(fd))
        note(RECORD_SYNC, 0, NULL, 0, 0);
    errno = saved;
    return result;
}

int fdatasync(int fd)
{
    return synced(fd, (int)syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
    return synced(fd, (int)syscall(SYS_fsync, fd));
}

static void note_head(const char *path)
{
    char text[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text) : 0;
    const struct iovec part = {text, length > 0 ? (size_t)length : 0};

    note(RECORD_HEAD, 0, &part, 1, part.iov_len);
    if (fd >= 0)
        (void)close(fd);
}

int rename(const char *from, const char *to)
{
    if (ends_in(to, "/head"))
        note_head(from);
    return (int)syscall(SYS_rename, from, to);
}
