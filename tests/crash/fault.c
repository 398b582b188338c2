/* SPDX-License-Identifier: Apache-2.0 */
/* A preload for flyballd (fault.h). Everything that allocates, and every system call that may fail,
 * passes through here by its own name; what the C library calls inside itself does not. */
#include "tests/crash/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <dlfcn.h>

static struct fault_table *table;
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* ---- the site ------------------------------------------------------------------------------- */

struct walk {
    void *stack[FAULT_DEPTH + 2];
    int count;
};

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *data)
{
    struct walk *walk = data;

    walk->stack[walk->count++] = (void *)_Unwind_GetIP(context);
    return walk->count == FAULT_DEPTH + 2 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

#define HASH_BEGIN 14695981039346656037u

static unsigned long hash_add(unsigned long hash, unsigned long word)
{
    return (hash ^ word) * 1099511628211u;
}

static unsigned long place_of(void *const *stack)
{
    unsigned long place = HASH_BEGIN;

    for (int i = 0; i < 3; i++)
        place = hash_add(place, (unsigned long)(uintptr_t)stack[i]);
    return place;
}

/* What the C library or libcrypto makes for itself (time zones, its own set-up) it may keep. */
static bool in_libraries(void *const *stack)
{
    static const char *const names[] = {"/libc.so", "/libcrypto.so"};

    for (unsigned i = 0; i < 3; i++) {
        Dl_info object;
        bool in = false;

        for (unsigned k = 0; k < 2 && dladdr(stack[i], &object) != 0; k++)
            in = in || strstr(object.dli_fname, names[k]) != NULL;
        if (!in)
            return false;
    }
    return true;
}

static struct fault_site *site_find(unsigned long id, const char *name, void *const *stack)
{
    for (unsigned i = (unsigned)(id % FAULT_SITES);; i = (i + 1) % FAULT_SITES) {
        struct fault_site *site = &table->sites[i];
        unsigned long found = atomic_load(&site->id), none = 0;
        Dl_info object;

        if (found == 0 && atomic_compare_exchange_strong(&site->id, &none, id)) {
            (void)snprintf(site->name, sizeof site->name, "%s", name);
            memcpy(site->stack, stack, sizeof site->stack);
            site->place = place_of(stack);
            site->library = in_libraries(stack);
            if (dladdr(stack[0], &object) != 0)
                (void)snprintf(site->file, sizeof site->file, "%s",
                               strrchr(object.dli_fname, '/') != NULL
                                   ? strrchr(object.dli_fname, '/') + 1
                                   : object.dli_fname);
            return site;
        }
        if (found == id || atomic_load(&site->id) == id)
            return site;
    }
}

/* NULL: not looked at. */
static struct fault_site *here(const char *name)
{
    struct walk walk = {{NULL}, 0};
    unsigned long id = HASH_BEGIN;
    struct fault_site *site;

    if (table == NULL || inside || atomic_load(&table->armed) == 0)
        return NULL;
    inside = true;
    (void)_Unwind_Backtrace(frame, &walk);
    for (const char *c = name; *c != '\0'; c++)
        id = hash_add(id, (unsigned char)*c);
    for (int i = 2; i < walk.count; i++) /* this function, and the wrapper */
        id = hash_add(id, (unsigned long)(uintptr_t)walk.stack[i]);
    site = site_find(id | 1, name, walk.stack + 2);
    atomic_fetch_add(&site->calls, 1);
    inside = false;
    return site;
}

static bool must_fail(const struct fault_site *site)
{
    if (site == NULL || table->target == 0 || atomic_load(&site->id) != table->target)
        return false;
    return atomic_fetch_add(&table->failed, 1) == 0 || table->once == 0;
}

static bool fails(const char *name, int code)
{
    if (!must_fail(here(name)))
        return false;
    errno = code;
    return true;
}

static void on_crash(int number)
{
    struct walk walk = {{NULL}, 0};
    Dl_info object;

    inside = true;
    (void)_Unwind_Backtrace(frame, &walk);
    memcpy(table->crash, walk.stack, sizeof walk.stack);
    for (int i = 2; i < walk.count && table->crash_file[0] == '\0'; i++) /* behind the signal */
        if (dladdr(walk.stack[i], &object) != 0 && strstr(object.dli_fname, "/libc.so") == NULL)
            (void)snprintf(table->crash_file, sizeof table->crash_file, "%s", object.dli_fname);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void live_keep(void);
static void live_let_go(void);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CRASH_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at =
        fd >= 0 ? mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (at == MAP_FAILED)
        _exit(99);
    (void)close(fd);
    table = at;
    (void)signal(SIGSEGV, on_crash);
    (void)signal(SIGBUS, on_crash);
    (void)signal(SIGABRT, on_crash);
    (void)pthread_atfork(live_keep, live_let_go, live_let_go);
    atomic_store(&table->armed, 1);
}

/* ---- memory: what lives, and where it was made ----------------------------------------------- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *at);

#define LIVE_MAX (1u << 20)
#define GONE     ((void *)1)
static struct {
    void *at;
    struct fault_site *site;
} live[LIVE_MAX];
static atomic_flag live_lock = ATOMIC_FLAG_INIT;

static unsigned live_begin(const void *at)
{
    while (atomic_flag_test_and_set_explicit(&live_lock, memory_order_acquire))
        ;
    return (unsigned)(((uintptr_t)at >> 4) * 2654435761u % LIVE_MAX);
}

static void *note_live(void *at, struct fault_site *site)
{
    unsigned i;

    if (at == NULL || site == NULL)
        return at;
    i = live_begin(at);
    while (live[i].at != NULL && live[i].at != GONE)
        i = (i + 1) % LIVE_MAX;
    live[i].at = at;
    live[i].site = site;
    atomic_fetch_add(&site->live, 1);
    atomic_flag_clear_explicit(&live_lock, memory_order_release);
    return at;
}

static void note_gone(void *at)
{
    unsigned i;

    if (at == NULL || table == NULL)
        return;
    i = live_begin(at);
    while (live[i].at != NULL && live[i].at != at)
        i = (i + 1) % LIVE_MAX;
    if (live[i].at == at) {
        atomic_fetch_sub(&live[i].site->live, 1);
        live[i].at = GONE;
    }
    atomic_flag_clear_explicit(&live_lock, memory_order_release);
}

/* A child that is forked finds it free. */
static void live_keep(void)
{
    (void)live_begin(NULL);
}

static void live_let_go(void)
{
    atomic_flag_clear_explicit(&live_lock, memory_order_release);
}

void *malloc(size_t size)
{
    struct fault_site *site = here("malloc");

    if (must_fail(site)) {
        errno = ENOMEM;
        return NULL;
    }
    return note_live(__libc_malloc(size), site);
}

void *calloc(size_t count, size_t size)
{
    struct fault_site *site = here("calloc");

    if (must_fail(site)) {
        errno = ENOMEM;
        return NULL;
    }
    return note_live(__libc_calloc(count, size), site);
}

void *realloc(void *at, size_t size)
{
    struct fault_site *site = here("realloc");
    void *moved;

    if (must_fail(site)) {
        errno = ENOMEM;
        return NULL;
    }
    note_gone(at);
    moved = __libc_realloc(at, size);
    return note_live(moved, site);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    struct fault_site *site = here("posix_memalign");
    void *at = must_fail(site) ? NULL : __libc_memalign(alignment, size);

    if (at == NULL)
        return ENOMEM;
    *out = note_live(at, site);
    return 0;
}

void free(void *at)
{
    note_gone(at);
    __libc_free(at);
}

/* ---- system calls ---------------------------------------------------------------------------- */

static int opened(const char *name, int dir, const char *path, int flags, mode_t mode)
{
    return fails(name, EMFILE) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN(function)                                                                             \
    int function(const char *path, int flags, ...)                                                 \
    {                                                                                              \
        va_list arguments;                                                                         \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(arguments, flags);                                                                \
        mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;                             \
        va_end(arguments);                                                                         \
        return opened("open", AT_FDCWD, path, flags, mode);                                        \
    }
OPEN(open)
OPEN(open64)

#define NEXT(function)                                                                             \
    static __typeof__(function) *real;                                                             \
                                                                                                   \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #function)

/* A call that goes on to the library's own, or fails with this code and value. */
#define CALL(type, function, parameters, arguments, code, value)                                   \
    type function parameters                                                                       \
    {                                                                                              \
        NEXT(function);                                                                            \
        if (fails(#function, code))                                                                \
            return value;                                                                          \
        return real arguments;                                                                     \
    }

CALL(FILE *, fopen, (const char *path, const char *mode), (path, mode), EMFILE, NULL)
CALL(ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count), EIO, -1)
CALL(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count), ENOMEM, -1)
CALL(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count), EIO, -1)
CALL(ssize_t, pread, (int fd, void *bytes, size_t count, off_t at), (fd, bytes, count, at), EIO, -1)
CALL(ssize_t, pread64, (int fd, void *bytes, size_t count, off_t at), (fd, bytes, count, at), EIO,
     -1)
CALL(ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at),
     EIO, -1)
CALL(ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at),
     EIO, -1)
CALL(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at),
     (fd, parts, count, at), ENOSPC, -1)
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), ENOSPC,
     -1)
CALL(int, fdatasync, (int fd), (fd), EIO, -1)
CALL(int, fsync, (int fd), (fd), EIO, -1)
CALL(int, ftruncate, (int fd, off_t size), (fd, size), EIO, -1)
CALL(int, posix_fallocate, (int fd, off_t from, off_t size), (fd, from, size), ENOSPC, ENOSPC)
CALL(off_t, lseek, (int fd, off_t at, int from), (fd, at, from), EIO, -1)
CALL(int, madvise, (void *at, size_t size, int use), (at, size, use), EAGAIN, -1)
CALL(void *, mmap, (void *at, size_t size, int use, int flags, int fd, off_t from),
     (at, size, use, flags, fd, from), ENOMEM, MAP_FAILED)
CALL(int, fstat, (int fd, struct stat *out), (fd, out), EIO, -1)
CALL(int, stat, (const char *path, struct stat *out), (path, out), EIO, -1)
int __fxstat(int version, int fd, struct stat *out); /* of libraries that were built long ago */
CALL(int, __fxstat, (int version, int fd, struct stat *out), (version, fd, out), EIO, -1)
CALL(int, statfs, (const char *path, struct statfs *out), (path, out), EIO, -1)
CALL(int, fstatfs, (int fd, struct statfs *out), (fd, out), EIO, -1)
CALL(int, statvfs, (const char *path, struct statvfs *out), (path, out), EIO, -1)
CALL(int, access, (const char *path, int use), (path, use), EIO, -1)
CALL(DIR *, opendir, (const char *path), (path), EMFILE, NULL)
CALL(struct dirent *, readdir, (DIR * dir), (dir), EIO, NULL)
CALL(ssize_t, readlink, (const char *path, char *out, size_t size), (path, out, size), EACCES, -1)
CALL(char *, realpath, (const char *path, char *out), (path, out), EACCES, NULL)
CALL(int, link, (const char *from, const char *to), (from, to), EIO, -1)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), EACCES, -1)
CALL(int, chmod, (const char *path, mode_t mode), (path, mode), EPERM, -1)
CALL(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags),
     EPERM, -1)
CALL(int, unlink, (const char *path), (path), EACCES, -1)
CALL(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), EACCES, -1)
CALL(int, rename, (const char *from, const char *to), (from, to), EIO, -1)
CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, -1)
CALL(int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size),
     EADDRINUSE, -1)
CALL(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size),
     ECONNREFUSED, -1)
CALL(int, listen, (int fd, int backlog), (fd, backlog), EADDRINUSE, -1)
CALL(int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
     (fd, address, size, flags), EMFILE, -1)
CALL(ssize_t, send, (int fd, const void *bytes, size_t count, int flags), (fd, bytes, count, flags),
     ENOBUFS, -1)
CALL(ssize_t, recv, (int fd, void *bytes, size_t count, int flags), (fd, bytes, count, flags),
     ENOMEM, -1)
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags),
     ENOBUFS, -1)
CALL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), ENOMEM,
     -1)
CALL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
     (fd, level, name, value, size), EINVAL, -1)
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
     (fd, level, name, value, size), EINVAL, -1)
CALL(int, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size),
     ENOBUFS, -1)
CALL(int, epoll_create1, (int flags), (flags), EMFILE, -1)
CALL(int, epoll_ctl, (int at, int what, int fd, struct epoll_event *event), (at, what, fd, event),
     ENOSPC, -1)
CALL(int, epoll_wait, (int at, struct epoll_event *events, int most, int wait_ms),
     (at, events, most, wait_ms), EINVAL, -1)
CALL(int, eventfd, (unsigned count, int flags), (count, flags), EMFILE, -1)
CALL(int, timerfd_create, (int clock, int flags), (clock, flags), EMFILE, -1)
CALL(int, signalfd, (int fd, const sigset_t *signals, int flags), (fd, signals, flags), EMFILE, -1)
CALL(int, poll, (struct pollfd * all, nfds_t count, int wait_ms), (all, count, wait_ms), ENOMEM, -1)
CALL(pid_t, waitpid, (pid_t pid, int *status, int flags), (pid, status, flags), ECHILD, -1)
CALL(int, setrlimit, (__rlimit_resource_t what, const struct rlimit *limit), (what, limit), EPERM,
     -1)
CALL(int, pipe2, (int ends[2], int flags), (ends, flags), EMFILE, -1)
CALL(int, socketpair, (int domain, int type, int protocol, int ends[2]),
     (domain, type, protocol, ends), EMFILE, -1)
CALL(int, memfd_create, (const char *name, unsigned flags), (name, flags), EMFILE, -1)
CALL(pid_t, fork, (void), (), EAGAIN, -1)
CALL(ssize_t, getrandom, (void *bytes, size_t count, unsigned flags), (bytes, count, flags), EAGAIN,
     -1)
CALL(int, pthread_create,
     (pthread_t * out, const pthread_attr_t *attributes, void *(*begins)(void *), void *data),
     (out, attributes, begins, data), EAGAIN, EAGAIN)

/* Of the calls that have no name of their own in the library. */
long syscall(long number, ...)
{
    NEXT(syscall);
    va_list arguments;
    long a[6];

    if (number == SYS_pidfd_open && fails("pidfd_open", EMFILE))
        return -1;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(arguments, long);
    va_end(arguments);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* fcntl() and ioctl() have an argument of any type; it fits a pointer. */
#define VARIADIC(function, type, number, code)                                                     \
    int function(int fd, type what, ...)                                                           \
    {                                                                                              \
        va_list arguments;                                                                         \
        void *argument;                                                                            \
                                                                                                   \
        va_start(arguments, what);                                                                 \
        argument = va_arg(arguments, void *);                                                      \
        va_end(arguments);                                                                         \
        return fails(#function, code) ? -1 : (int)syscall(number, fd, what, argument);             \
    }
VARIADIC(fcntl, int, SYS_fcntl, EINVAL)
VARIADIC(fcntl64, int, SYS_fcntl, EINVAL)
VARIADIC(ioctl, unsigned long, SYS_ioctl, EINVAL)
