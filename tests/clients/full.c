/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a sidecar: a disk that takes nothing more while there is a file $TEST_FULL. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(void)
{
    int full = access(getenv("TEST_FULL"), F_OK) == 0;

    errno = full ? ENOSPC : errno;
    return full;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    return is_full() ? -1 : real(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "writev");
    return is_full() ? -1 : real(fd, parts, count);
}

int statvfs(const char *path, struct statvfs *out)
{
    static int (*real)(const char *, struct statvfs *);
    int result;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "statvfs");
    result = real(path, out);
    out->f_bavail = is_full() ? 0 : out->f_bavail;
    return result;
}
