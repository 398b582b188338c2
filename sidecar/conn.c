/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: accepting, frames in and out, and the two ways in which the other end goes: its
 * connection ends, or its process does (a forked child may hold the connection open for long). */
#include "sidecar/side_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FRAMES_AT_A_TIME 64u /* of one connection, before the others have a turn */
#define UNSENT_MAX       (4u << 20)

/* ---- out ---------------------------------------------------------------------------------- */

static bool send_now(const struct side_conn *conn, const void *frame, size_t count, int fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec piece = {(void *)(uintptr_t)frame, count};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fd < 0)
        return send(conn->fd, frame, count, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)count;
    memset(&control, 0, sizeof control);
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    return sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)count;
}

static void keep(struct side_conn *conn, const void *frame, size_t count)
{
    uint32_t length = (uint32_t)count;
    size_t need = conn->unsent_used + sizeof length + count;

    if (need > UNSENT_MAX) { /* it has stopped reading: its end will be noticed */
        conn->closing = true;
        return;
    }
    if (need > conn->unsent_size) {
        unsigned char *grown = realloc(conn->unsent, 2 * need);

        if (grown == NULL) {
            conn->closing = true;
            (void)event_add(conn->writable, NULL);
            return;
        }
        conn->unsent = grown;
        conn->unsent_size = 2 * need;
    }
    memcpy(conn->unsent + conn->unsent_used, &length, sizeof length);
    memcpy(conn->unsent + conn->unsent_used + sizeof length, frame, count);
    conn->unsent_used = need;
    (void)event_add(conn->writable, NULL);
}

void side_conn_send(struct side_conn *conn, const void *frame, size_t count, int fd)
{
    conn->told_ms = side_now_ms();
    if (conn->unsent_used > 0 || !send_now(conn, frame, count, fd))
        keep(conn, frame, count);
}

bool side_conn_is_full(const struct side_conn *conn)
{
    return conn->unsent_used > SIDE_QUEUE_BYTES;
}

void side_conn_reply(struct side_conn *conn, const char *text, size_t count)
{
    unsigned char frame[32768];
    struct wire_writer w;

    while (count > 0) {
        size_t piece = count < sizeof frame - sizeof(struct wire_head)
                           ? count
                           : sizeof frame - sizeof(struct wire_head);

        wire_begin(&w, frame, sizeof frame, WIRE_REPLY);
        wire_raw(&w, text, piece);
        side_conn_send(conn, frame, w.used, -1);
        text += piece;
        count -= piece;
    }
}

void side_conn_done(struct side_conn *conn, int status, const char *text)
{
    unsigned char frame[1024];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_DONE);
    wire_put_number(&w, WIRE_STATUS, (uint64_t)status);
    wire_put_text(&w, WIRE_TEXT, text);
    side_conn_send(conn, frame, w.used, -1);
}

void side_conn_notice(struct side_conn *conn, const char *json_text)
{
    unsigned char frame[2048];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_NOTICE);
    wire_raw(&w, json_text, strlen(json_text));
    if (!w.overflow)
        side_conn_send(conn, frame, w.used, -1);
}

/* ---- in ----------------------------------------------------------------------------------- */

static void answer_mismatch(struct side_conn *conn)
{
    unsigned char frame[64];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_MISMATCH);
    wire_put_number(&w, WIRE_VERSION_IS, WIRE_VERSION);
    side_conn_send(conn, frame, w.used, -1);
}

static bool on_request(struct side_conn *conn, const struct wire_reader *r, int *fd)
{
    json_t *request = json_loadb((const char *)r->at, r->left, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(request)) {
        json_decref(request);
        return false;
    }
    if (conn->page_fd < 0) {
        conn->page_fd = *fd;
        *fd = -1;
    }
    side_query_begin(conn, request);
    json_decref(request);
    return true;
}

static bool on_frame(struct side_conn *conn, const unsigned char *frame, size_t count, int *fd)
{
    struct wire_reader r;
    struct wire_head head;

    if (!wire_open(&r, frame, count, &head))
        return false;
    if (head.version != WIRE_VERSION) {
        answer_mismatch(conn);
        return true; /* it will go by itself */
    }
    if (head.type == WIRE_REQUEST)
        return on_request(conn, &r, fd);
    if (head.type == WIRE_PAGE)
        return side_page_ask(conn, &r);
    return side_call_frame(conn, (enum wire_type)head.type, &r, fd);
}

static void *close_late(void *data)
{
    (void)close((int)(intptr_t)data);
    return NULL;
}

void side_fd_close(int fd)
{
    struct linger linger = {0, 0};
    socklen_t size = sizeof linger;
    pthread_t thread;

    if (fd < 0)
        return;
    (void)getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size);
    if (linger.l_onoff != 0 && linger.l_linger != 0 &&
        pthread_create(&thread, NULL, close_late, (void *)(intptr_t)fd) == 0)
        (void)pthread_detach(thread);
    else
        (void)close(fd);
}

void side_conn_poke(const struct side_conn *conn)
{
    if (conn->poke_fd >= 0)
        (void)send(conn->poke_fd, "H", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The one descriptor that a frame may bring; -1: none. Others that came with it are closed. */
static int fd_of(struct msghdr *message)
{
    int first = -1;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        size_t count = head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS
                           ? (head->cmsg_len - CMSG_LEN(0)) / sizeof(int)
                           : 0;

        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                side_fd_close(fd);
        }
    }
    return first;
}

/* 1: a frame was read; 0: nothing more now; -1: the connection is over. */
static int read_frame(struct side_conn *conn)
{
    static unsigned char frame[WIRE_FRAME_MAX]; /* the loop's alone */
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec piece = {frame, sizeof frame};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t count = recvmsg(conn->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bool ok;
    int fd;

    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    fd = fd_of(&message);
    ok = count > 0 && (message.msg_flags & MSG_TRUNC) == 0 &&
         on_frame(conn, frame, (size_t)count, &fd);
    side_fd_close(fd);
    return ok ? 1 : -1;
}

/* What it wrote before it went is still to be read. */
static void read_out(struct side_conn *conn)
{
    while (read_frame(conn) == 1)
        ;
    side_conn_close(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
    struct side_conn *conn = data;
    size_t at = 0;

    (void)fd, (void)what;
    while (at < conn->unsent_used) {
        uint32_t length;

        memcpy(&length, conn->unsent + at, sizeof length);
        if (!send_now(conn, conn->unsent + at + sizeof length, length, -1)) {
            if (errno != EAGAIN && errno != ENOBUFS) {
                read_out(conn);
                return;
            }
            break;
        }
        at += sizeof length + length;
    }
    conn->unsent_used -= at;
    if (at > 0)
        memmove(conn->unsent, conn->unsent + at, conn->unsent_used);
    if (conn->unsent_used > 0) {
        (void)event_add(conn->writable, NULL);
    } else if (conn->closing) {
        side_conn_close(conn);
        return;
    }
    if (conn->query != NULL && !side_conn_is_full(conn))
        side_query_go_on(conn->query);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
    struct side_conn *conn = data;
    unsigned left = FRAMES_AT_A_TIME;
    int more;

    (void)fd, (void)what;
    conn->side->busy_since_ms = side_now_ms();
    do /* who has asked waits: nothing more comes */
        more = read_frame(conn);
    while (more == 1 && --left > 0 && (conn->call == NULL || conn->call->phase != SIDE_ASKED));
    if (more == -1)
        side_conn_close(conn);
}

static void on_death(evutil_socket_t fd, short what, void *data)
{
    (void)fd, (void)what;
    read_out(data);
}

/* ---- coming and going --------------------------------------------------------------------- */

/* All but its socket. */
static void conn_free(struct side_conn *conn)
{
    if (conn->readable != NULL)
        event_free(conn->readable);
    if (conn->writable != NULL)
        event_free(conn->writable);
    if (conn->death != NULL)
        event_free(conn->death);
    if (conn->pidfd >= 0)
        (void)close(conn->pidfd);
    side_fd_close(conn->poke_fd);
    side_fd_close(conn->page_fd);
    side_run_drop(conn->page_of);
    free(conn->unsent);
    free(conn);
}

void side_conn_close(struct side_conn *conn)
{
    struct side_process process;
    int fd;

    if (conn->call != NULL && conn->call->phase == SIDE_ASKED)
        side_mail_open(conn->side); /* who was told, and then went, was admitted */
    if (conn->call != NULL) {
        struct side_call *call = conn->call;

        conn->call = NULL;
        side_answer_forget(call);
        (void)side_process_read(conn->pid, &process);
        side_call_gone(call, !process.dying); /* who lives could have said how it ended */
    }
    if (conn->query != NULL)
        side_query_free(conn->query);
    if (conn->run != NULL) {
        side_run_launcher_gone(conn->side, conn);
        side_run_drop(conn->run);
    }
    *conn->link = conn->next;
    if (conn->next != NULL)
        conn->next->link = conn->link;
    fd = conn->fd;
    conn_free(conn);
    (void)close(fd);
}

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int peer_pidfd(int fd, pid_t pid)
{
    socklen_t size = sizeof(int);
    int pidfd = -1;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0 && pidfd >= 0)
        return pidfd;
    return side_pidfd(pid);
}

struct side_conn *side_conn_new(struct side *side, int fd, const struct ucred *peer)
{
    struct side_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    conn->side = side;
    conn->fd = fd;
    conn->pid = peer->pid;
    conn->uid = peer->uid;
    conn->poke_fd = conn->page_fd = -1;
    conn->pidfd = peer_pidfd(fd, peer->pid);
    conn->readable = event_new(side->base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->writable = event_new(side->base, fd, EV_WRITE, on_writable, conn);
    if (conn->pidfd >= 0)
        conn->death = event_new(side->base, conn->pidfd, EV_READ, on_death, conn);
    if (conn->readable == NULL || conn->writable == NULL ||
        (conn->pidfd >= 0 && conn->death == NULL)) {
        conn_free(conn);
        return NULL;
    }
    (void)event_priority_set(conn->readable, 0); /* before the operator's questions are answered */
    (void)event_add(conn->readable, NULL);
    if (conn->death != NULL) {
        (void)event_priority_set(conn->death, 0);
        (void)event_add(conn->death, NULL);
    }
    conn->next = side->conns;
    conn->link = &side->conns;
    if (conn->next != NULL)
        conn->next->link = &conn->next;
    side->conns = conn;
    return conn;
}

static void on_accept(evutil_socket_t listener, short what, void *data)
{
    struct side *side = data;
    int fd;

    (void)what;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct ucred peer = {0, (uid_t)-1, (gid_t)-1};
        socklen_t size = sizeof peer;

        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
        if ((peer.uid != side->uid && peer.uid != 0) || side_conn_new(side, fd, &peer) == NULL)
            (void)close(fd);
    }
}

/* ---- listening ---------------------------------------------------------------------------- */

/* By a descriptor of the directory: the path may be longer than an address can hold. */
static bool bind_in(const char *home, int fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int dir = open(home, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool ok;

    if (dir < 0)
        return false;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/sock", dir);
    if (unlinkat(dir, "sock", 0) != 0 && errno != ENOENT) { /* of one that was killed */
        (void)close(dir);
        return false;
    }
    ok = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
         fchmodat(dir, "sock", 0600, 0) == 0;
    (void)close(dir);
    return ok;
}

bool side_listen(struct side *side, struct side_error *error)
{
    side->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (side->listener < 0 || !bind_in(side->home, side->listener) ||
        listen(side->listener, SOMAXCONN) != 0)
        return side_fail(error, "%s/sock: %s", side->home, strerror(errno));
    side->accepting = event_new(side->base, side->listener, EV_READ | EV_PERSIST, on_accept, side);
    return side->accepting != NULL && event_add(side->accepting, NULL) == 0;
}
