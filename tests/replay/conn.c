/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections: from accept to the way they end, which is where a double differs from a server:
 * closed, lingering, cut or reset on purpose.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <linux/sockios.h>

#include "tests/replay/replay.h"

/* Reading pauses there, so that a client cannot fill us. */
#define INPUT_BYTES_MAX ((size_t)256 * 1024)
#define RESET_POLL_MS   1

size_t conn_unsent(const struct conn *conn)
{
    return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

void conn_free(struct conn *conn)
{
    struct server *server = conn->server;

    if (conn->protocol)
        conn->protocol->free(conn);
    if (conn->timer)
        event_free(conn->timer);
    bufferevent_free(conn->bev);
    TAILQ_REMOVE(&server->conns, conn, link);
    free(conn);
    /* A listener that ran out of descriptors has one again. */
    for (size_t i = 0; i < server->listener_count && !server->ending; i++)
        evconnlistener_enable(server->listeners[i]);
}

/* ---- endings ------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd, (void)what;
    if (conn->lingering)
        conn_free(conn);
    else
        conn_settle(conn);
}

static bool timer_start(struct conn *conn, int wait_ms)
{
    struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};

    if (!conn->timer)
        conn->timer = evtimer_new(conn->server->base, on_timer, conn);
    return conn->timer && !evtimer_add(conn->timer, &wait);
}

static void tls_goodbye(struct conn *conn)
{
    if (conn->ssl)
        SSL_shutdown(conn->ssl);
}

/* Closing with input unread would reset the connection, and the client might never see why. */
static void linger(struct conn *conn)
{
    if (conn->lingering)
        return;
    tls_goodbye(conn);
    shutdown(bufferevent_getfd(conn->bev), SHUT_WR);
    conn->lingering = true;
    if (!timer_start(conn, REPLAY_LINGER_MS))
        conn_free(conn);
}

static bool all_acknowledged(const struct conn *conn)
{
    int unacknowledged = 0;

    return ioctl(bufferevent_getfd(conn->bev), SIOCOUTQ, &unacknowledged) || !unacknowledged;
}

/* A reset throws away what the peer has not got yet: it waits for the promised bytes to arrive. */
static void reset(struct conn *conn)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (!all_acknowledged(conn) && timer_start(conn, RESET_POLL_MS))
        return;
    setsockopt(bufferevent_getfd(conn->bev), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    conn_free(conn);
}

void conn_settle(struct conn *conn)
{
    switch (conn->end) {
    case CONN_STAYS:
        break;
    case CONN_CLOSE:
        tls_goodbye(conn);
        conn_free(conn);
        break;
    case CONN_LINGER:
        linger(conn);
        break;
    case CONN_CUT:
        conn_free(conn);
        break;
    case CONN_RESET:
        reset(conn);
        break;
    }
}

/* ---- callbacks ----------------------------------------------------------------------------- */

static void on_read(struct bufferevent *bev, void *arg)
{
    struct conn *conn = arg;

    if (conn->protocol && conn->end == CONN_STAYS)
        conn->protocol->read(conn);
    else
        evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
    conn_settle(conn);
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct conn *conn = arg;

    (void)bev;
    if (conn->protocol && conn->end == CONN_STAYS)
        conn->protocol->flushed(conn);
    conn_settle(conn);
}

static bool protocol_start(struct conn *conn)
{
    const unsigned char *name = NULL;
    unsigned length = 0;

    if (conn->ssl)
        SSL_get0_alpn_selected(conn->ssl, &name, &length);
    return length == 2 && !memcmp(name, "h2", 2) ? h2_start(conn) : h1_start(conn);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct conn *conn = arg;

    (void)bev;
    if (what == BEV_EVENT_CONNECTED && protocol_start(conn))
        return;
    conn_free(conn);
}

static struct bufferevent *bev_new(struct server *server, evutil_socket_t fd, SSL *ssl)
{
    struct bufferevent *bev;

    if (!ssl)
        return bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bev = bufferevent_openssl_socket_new(server->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                         BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void conn_begin(struct conn *conn)
{
    const int on = 1;

    setsockopt(bufferevent_getfd(conn->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    TAILQ_INSERT_TAIL(&conn->server->conns, conn, link);
    bufferevent_setcb(conn->bev, on_read, on_write, on_event, conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, INPUT_BYTES_MAX);
    if (!conn->ssl && !protocol_start(conn))
        conn_free(conn);
    else
        bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

void conn_new(struct server *server, evutil_socket_t fd, bool tls)
{
    struct conn *conn = calloc(1, sizeof *conn);
    SSL *ssl = tls ? SSL_new(server->tls) : NULL;
    struct bufferevent *bev = conn && (ssl || !tls) ? bev_new(server, fd, ssl) : NULL;

    if (!bev) { /* out of memory */
        SSL_free(ssl);
        free(conn);
        close(fd);
        return;
    }
    conn->server = server;
    conn->bev = bev;
    conn->ssl = ssl;
    conn_begin(conn);
}
