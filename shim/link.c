/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the sidecar, one per call. The host may close any descriptor and get its number
 * back for a file of its own, so every use looks at the socket's cookie first, and only send() and
 * recv() are used, which do nothing to a file. */
#include "shim/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_MS   250     /* the longest wait of a single recvmsg() */
#define TURN_MS      200     /* for the turn to start a sidecar: who has it may be stopped */
#define TURN_LOOK_NS 2000000 /* from one look at it to the next */
#define TURN_CONNECT 8u      /* looks, after which one is at the socket as well */

/* High numbers: programs that close or select() on low ones leave ours alone. */
int client_fd_away(int fd)
{
    struct rlimit limit = {0, 0};
    rlim_t from = 800;
    int moved;

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < 1024)
        from = limit.rlim_cur / 2;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, (int)from);
    if (moved < 0)
        return fd; /* no room up there: as good as it gets */
    (void)close(fd);
    return moved;
}

static bool cookie_of(int fd, uint64_t *cookie_out)
{
    socklen_t size = sizeof *cookie_out;

    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie_out, &size) == 0;
}

bool client_live(const struct client_link *link)
{
    uint64_t cookie;

    return link->fd >= 0 && cookie_of(link->fd, &cookie) && cookie == link->cookie;
}

void client_close(struct client_link *link)
{
    if (client_live(link))
        (void)close(link->fd);
    *link = CLIENT_LINK_NONE;
}

/* A path above 107 bytes does not fit a socket address: then by a descriptor of its directory. */
static bool address_of(const char *home, struct sockaddr_un *address, int *dir_out)
{
    int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/sock", home);

    *dir_out = -1;
    address->sun_family = AF_UNIX;
    if (length > 0 && (size_t)length < sizeof address->sun_path)
        return true;
    *dir_out = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_out < 0)
        return false;
    (void)snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/sock", *dir_out);
    return true;
}

/* 0, or the errno of the failure. */
static int connect_to(struct client_link *link, const char *home)
{
    const struct timeval patience = {CLIENT_START_MS / 1000, 0};
    const struct timeval receiving = {0, RECEIVE_MS * 1000};
    struct sockaddr_un address;
    int dir, failed = 0, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    fd = client_fd_away(fd);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    errno = 0;
    if (!address_of(home, &address, &dir) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receiving, sizeof receiving) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        !cookie_of(fd, &link->cookie))
        failed = errno != 0 ? errno : EIO;
    if (dir >= 0)
        (void)close(dir);
    if (failed != 0) {
        (void)close(fd);
        return failed;
    }
    link->fd = fd;
    return 0;
}

static bool nobody_there(int failed)
{
    return failed == ECONNREFUSED || failed == ENOENT;
}

/* Until it is ours, or not needed any more. 0: connected; else the errno of that. */
static int turn_wait(struct client_link *link, const char *home, int turn)
{
    const struct timespec pause = {0, TURN_LOOK_NS};
    const int64_t until = client_now_ms() + TURN_MS;

    for (unsigned look = 1;; look++) {
        bool over = client_turn_take(turn) || client_now_ms() >= until;
        int failed = over || look % TURN_CONNECT == 0 ? connect_to(link, home) : ECONNREFUSED;

        if (over || !nobody_there(failed))
            return failed;
        (void)nanosleep(&pause, NULL);
    }
}

bool client_open(struct client_link *link, const struct client_place *place, bool start,
                 bool *started_out, char *reason_out, size_t reason_size)
{
    int failed;

    *link = CLIENT_LINK_NONE;
    *started_out = false;
    if (place->home[0] == '\0') {
        (void)snprintf(reason_out, reason_size, CLIENT_NO_HOME);
        return false;
    }
    failed = connect_to(link, place->home);
    if (start && nobody_there(failed)) {
        int turn = client_turn(place->home);

        failed = turn_wait(link, place->home, turn);
        if (nobody_there(failed)) {
            *started_out = client_start(place, reason_out, reason_size);
            if (*started_out)
                failed = connect_to(link, place->home);
        }
        client_turn_end(turn);
        if (nobody_there(failed) && !*started_out)
            return false;
    }
    if (failed != 0)
        (void)snprintf(reason_out, reason_size, "%s/sock: %s", place->home,
                       strerrordesc_np(failed));
    return failed == 0;
}

static enum client_result send_message(const struct client_link *link, struct iovec pieces[2],
                                       int fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    const size_t count = pieces[0].iov_len + pieces[1].iov_len;

    if (!client_live(link))
        return CLIENT_LOST;
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    if (sendmsg(link->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)count)
        return CLIENT_OK;
    return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? CLIENT_FULL : CLIENT_LOST;
}

enum client_result client_send(const struct client_link *link, const void *frame, size_t count,
                               int fd)
{
    struct iovec pieces[2] = {{(void *)(uintptr_t)frame, count}};

    return send_message(link, pieces, fd);
}

enum client_result client_send_pieces(const struct client_link *link, const void *head,
                                      size_t head_count, const void *rest, size_t rest_count)
{
    struct iovec pieces[2] = {{(void *)(uintptr_t)head, head_count},
                              {(void *)(uintptr_t)rest, rest_count}};

    return send_message(link, pieces, -1);
}

/* A socket starts with the default buffer; twice the greatest may be asked for. */
enum client_result client_send_last(const struct client_link *link, const void *frame, size_t count)
{
    const int most = 1 << 30;
    enum client_result result = client_send(link, frame, count, -1);

    if (result != CLIENT_FULL ||
        setsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most) != 0)
        return result;
    return client_send(link, frame, count, -1);
}

static int fd_of(struct msghdr *message)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return fd;
}

/* 1: ready; 0: not in that time; -1: lost. A signal does not end the wait. */
static int link_wait(const struct client_link *link, short events, int wait_ms)
{
    int64_t until = client_now_ms() + wait_ms;
    struct pollfd ready = {link->fd, events, 0};

    for (;;) {
        int64_t left = until - client_now_ms();
        int count;

        if (!client_live(link))
            return -1;
        count = poll(&ready, 1, left > 0 ? (int)left : 0);
        if (count != -1 || errno != EINTR)
            return count > 0 ? 1 : count;
        if (left <= 0)
            return 0;
    }
}

bool client_room(const struct client_link *link, int wait_ms)
{
    return link_wait(link, POLLOUT, wait_ms) > 0;
}

ssize_t client_receive(const struct client_link *link, void *frame, size_t size, int wait_ms,
                       int *fd_out)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {frame, size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int64_t until = wait_ms > 0 ? client_now_ms() + wait_ms : 0;
    ssize_t count;

    *fd_out = -1;
    do { /* one system call for the wait and the frame; poll() for what is left of the wait */
        bool waits = wait_ms >= RECEIVE_MS;

        if (!waits && wait_ms > 0) {
            int ready = link_wait(link, POLLIN, wait_ms);

            if (ready <= 0)
                return ready;
        } else if (!client_live(link)) {
            return -1;
        }
        count = recvmsg(link->fd, &message, (waits ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
        wait_ms = waits ? (int)(until - client_now_ms()) : 0;
    } while (count < 0 && (errno == EAGAIN || errno == EINTR) && wait_ms > 0);
    if (count > 0)
        *fd_out = fd_of(&message);
    if (count > 0 && (message.msg_flags & MSG_TRUNC) == 0)
        return count;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
