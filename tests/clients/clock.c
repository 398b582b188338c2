/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a sidecar: clocks that a test sets. $TEST_CLOCK is a file with three numbers: the
 * seconds by which the wall clock, and the time since boot, are ahead of the machine's, and 1 where
 * the kernel calls the wall clock synchronised; $TEST_BOOT a file that stands for the boot id. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

struct set {
    long long wall, boot;
    int synchronised;
};

static struct set read_set(void)
{
    struct set set = {0, 0, 0};
    char text[100] = "";
    int fd = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
        (void)sscanf(text, "%lld %lld %d", &set.wall, &set.boot, &set.synchronised);
    if (fd >= 0)
        (void)close(fd);
    return set;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    int result;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    result = real(clock, out);
    if (clock == CLOCK_REALTIME)
        out->tv_sec += read_set().wall;
    else if (clock == CLOCK_BOOTTIME)
        out->tv_sec += read_set().boot;
    return result;
}

int adjtimex(struct timex *words)
{
    memset(words, 0, sizeof *words);
    words->status = read_set().synchronised ? 0 : STA_UNSYNC;
    return read_set().synchronised ? TIME_OK : TIME_ERROR;
}

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    const char *boot = getenv("TEST_BOOT");
    va_list arguments;
    int mode;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "open");
    va_start(arguments, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot;
    return real(path, flags, mode);
}
