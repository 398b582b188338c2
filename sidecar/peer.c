/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, as /proc has them, and the time. */
#include "sidecar/side_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PF_EXITING 0x4u /* include/linux/sched.h; set before a process's files are closed */

/* The fields after the command, which may itself hold blanks and brackets. False: no such process.
 */
static bool stat_fields(pid_t pid, char *buffer, size_t size, const char **fields_out)
{
    char path[64];
    ssize_t count;
    char *end;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    count = read(fd, buffer, size - 1);
    (void)close(fd);
    if (count <= 0)
        return false;
    buffer[count] = '\0';
    end = strrchr(buffer, ')');
    *fields_out = end != NULL ? end + 2 : NULL;
    return end != NULL;
}

bool side_process_read(pid_t pid, struct side_process *out)
{
    char buffer[1024];
    const char *at;
    int parent, session;
    unsigned flags;
    unsigned long long start;

    *out = (struct side_process){0, 0, -1, true};
    if (pid <= 0 || !stat_fields(pid, buffer, sizeof buffer, &at) ||
        sscanf(at, /* fields 4, 6, 9 and 22 of proc(5) */
               "%*c %d %*d %d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &parent, &session, &flags, &start) != 4)
        return false;
    *out = (struct side_process){parent, session, (int64_t)start, (flags & PF_EXITING) != 0};
    return true;
}

int64_t side_pid_start(pid_t pid)
{
    struct side_process process;

    (void)side_process_read(pid, &process);
    return process.start;
}

int side_pidfd(pid_t pid)
{
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

json_t *side_place_json(pid_t pid)
{
    char path[64], cwd[4096];
    ssize_t length;

    (void)snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
    length = readlink(path, cwd, sizeof cwd - 1);
    return length > 0 ? json_pack("{s:o}", "cwd", json_stringn(cwd, (size_t)length)) : NULL;
}

void side_boot_id(uint8_t out[16])
{
    char text[40] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(out, 0, 16);
    if (fd < 0)
        return;
    if (read(fd, text, 36) == 36 && !client_hex16(text, out))
        memset(out, 0, 16);
    (void)close(fd);
}

void side_text_copy(char *out, size_t size, const char *text)
{
    size_t count = strnlen(text, size - 1);

    memcpy(out, text, count);
    out[count] = '\0';
}

int64_t side_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t side_now_ms(void)
{
    return client_now_ms();
}
