/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the sidecar that calls have done with: one serves many calls, and whatever becomes
 * of it while nobody uses it, the next call has one. */
#include "tests/host/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 5

static void call(const char *what)
{
    struct transfer *transfer = transfer_new(needed("HOST_URL"));

    curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
                     "{\"model\":\"gpt-4o-mini\",\"max_tokens\":64,\"messages\":[]}");
    once(transfer, what);
}

/* Calls each() for every descriptor that leads to the sidecar's socket; how many there are. */
static unsigned links_each(void (*each)(int fd))
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int fd = atoi(entry->d_name);
        struct sockaddr_un peer = {0};
        socklen_t size = sizeof peer;

        if (fd == dirfd(dir) || getpeername(fd, (struct sockaddr *)&peer, &size) != 0 ||
            peer.sun_family != AF_UNIX || strstr(peer.sun_path, "/sock") == NULL)
            continue;
        count++;
        if (each != NULL)
            each(fd);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static void fd_close(int fd)
{
    (void)close(fd);
}

/* The number is used again, for something else. */
static void fd_replace(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)dup2(null, fd);
    (void)close(null);
}

static void fd_end(int fd)
{
    (void)shutdown(fd, SHUT_RDWR);
}

static void way_one_link(void)
{
    unsigned before;

    call("a first call");
    before = links_each(NULL);
    expect(before >= 1, "no connection is kept");
    for (int i = 0; i < CALLS; i++)
        call("another call");
    expect(links_each(NULL) == before, "%u connections after %u", links_each(NULL), before);
}

static void after(void (*each)(int fd), const char *what)
{
    call("a call before");
    expect(links_each(each) >= 1, "%s: none is there", what);
    call(what);
    call("a call after that");
}

static void way_closed_link(void)
{
    after(fd_close, "a call after the program closed our connection");
}

static void way_replaced_link(void)
{
    after(fd_replace, "a call after the program took our descriptor");
}

static void way_ended_link(void)
{
    after(fd_end, "a call after our connection was cut");
}

/* Parent and child must not talk on one. */
static void way_forked_link(void)
{
    int status = 0;
    pid_t child;

    call("a call before a fork");
    child = fork();
    if (child == 0) {
        int before = host_findings();

        for (int i = 0; i < CALLS; i++)
            call("a call of a child");
        _exit(host_findings() > before);
    }
    for (int i = 0; i < CALLS; i++)
        call("a call of a parent");
    (void)waitpid(child, &status, 0);
    expect(status == 0, "a forked child's calls");
}

const struct way links_ways[] = {
    {"one-link", way_one_link},           {"closed-link", way_closed_link},
    {"replaced-link", way_replaced_link}, {"ended-link", way_ended_link},
    {"forked-link", way_forked_link},     {NULL, NULL},
};
