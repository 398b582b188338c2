/* SPDX-License-Identifier: Apache-2.0
 *
 * What all connections share: listeners, the TLS context, the event lines, and the commands that
 * come on stdin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/listener.h>
#include <openssl/err.h>

#include "tests/replay/replay.h"

void server_say(struct server *server, const char *format, ...)
{
    FILE *outs[] = {stdout, server->log};
    va_list arguments;

    for (size_t i = 0; i < 2 && outs[i]; i++) {
        va_start(arguments, format);
        vfprintf(outs[i], format, arguments);
        va_end(arguments);
        putc('\n', outs[i]);
        fflush(outs[i]);
    }
}

/* ---- listeners ----------------------------------------------------------------------------- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_bytes, void *arg)
{
    (void)listener, (void)peer, (void)peer_bytes;
    conn_new(arg, fd, false);
}

static void on_accept_tls(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *peer, int peer_bytes, void *arg)
{
    (void)listener, (void)peer, (void)peer_bytes;
    conn_new(arg, fd, true);
}

/* Out of descriptors: pause until a connection ends, instead of spinning. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct server *server = arg;

    perror("replay: accept");
    if (!TAILQ_EMPTY(&server->conns))
        evconnlistener_disable(listener);
}

static void address_text(evutil_socket_t fd, char *text, size_t text_bytes)
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_in *v4 = (const void *)&address;
    const struct sockaddr_in6 *v6 = (const void *)&address;
    socklen_t bytes = sizeof address;
    char host[INET6_ADDRSTRLEN];

    getsockname(fd, (struct sockaddr *)&address, &bytes);
    if (address.ss_family == AF_INET6)
        snprintf(text, text_bytes, "[%s]:%u",
                 inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host), ntohs(v6->sin6_port));
    else
        snprintf(text, text_bytes, "%s:%u", inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host),
                 ntohs(v4->sin_port));
}

/* NULL: not ADDR:PORT in numbers. Freed with freeaddrinfo. */
static struct addrinfo *address_parse(const char *address)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(address, ':');
    bool bracketed = colon && *address == '[' && colon[-1] == ']';
    struct addrinfo *found = NULL;
    char *host;

    if (!colon || colon == address || !colon[1])
        return NULL;
    host = bracketed ? strndup(address + 1, (size_t)(colon - address - 2))
                     : strndup(address, (size_t)(colon - address));
    if (host && getaddrinfo(host, colon + 1, &hints, &found))
        found = NULL;
    free(host);
    return found;
}

bool server_listen(struct server *server, const char *address, bool tls, struct why *why)
{
    const unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
    struct addrinfo *found = address_parse(address);
    struct evconnlistener *listener;
    char text[128];

    if (!found) {
        why_set(why, "%s: not ADDR:PORT", address);
        return false;
    }
    listener = evconnlistener_new_bind(server->base, tls ? on_accept_tls : on_accept, server, flags,
                                       1024, found->ai_addr, (int)found->ai_addrlen);
    if (!listener)
        why_set(why, "%s: %s", address, strerror(errno));
    freeaddrinfo(found);
    if (!listener)
        return false;
    evconnlistener_set_error_cb(listener, on_accept_error);
    server->listeners[server->listener_count++] = listener;
    address_text(evconnlistener_get_fd(listener), text, sizeof text);
    server_say(server, "listening %s %s", tls ? "https" : "http", text);
    return true;
}

/* ---- TLS ----------------------------------------------------------------------------------- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                   const unsigned char *in, unsigned in_bytes, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, out_bytes, ours, sizeof ours - 1, in, in_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

bool server_tls_init(struct server *server, const char *cert, const char *key, struct why *why)
{
    server->tls = SSL_CTX_new(TLS_server_method());
    if (!server->tls || SSL_CTX_use_certificate_chain_file(server->tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(server->tls, key, SSL_FILETYPE_PEM) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        why_set(why, "--cert %s --key %s: %s", cert, key, reason ? reason : "unreadable");
        return false;
    }
    SSL_CTX_set_min_proto_version(server->tls, TLS1_2_VERSION);
    SSL_CTX_set_alpn_select_cb(server->tls, on_alpn, NULL);
    return true;
}

/* ---- stdin --------------------------------------------------------------------------------- */

static void command_do(struct server *server)
{
    unsigned number = 0;
    char rest;

    server->command[server->command_bytes] = '\0';
    server->command_bytes = 0;
    if (!strcmp(server->command, "go") ||
        (sscanf(server->command, "go %u%c", &number, &rest) == 1 && number))
        calls_go(server, number);
    else
        fprintf(stderr, "replay: not a command: %s\n", server->command);
}

static void command_byte(struct server *server, char byte)
{
    if (byte == '\n')
        command_do(server);
    else if (server->command_bytes < sizeof server->command - 1)
        server->command[server->command_bytes++] = byte;
}

static void stdin_over(struct server *server)
{
    if (server->stdin_event)
        event_del(server->stdin_event);
    if (server->exit_with_stdin)
        event_base_loopexit(server->base, NULL);
}

/* The descriptor stays blocking, for others may share it: one read per readiness. */
static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
    char bytes[256];
    ssize_t count = read(fd, bytes, sizeof bytes);

    (void)what;
    if (count <= 0)
        stdin_over(arg);
    for (ssize_t i = 0; i < count; i++)
        command_byte(arg, bytes[i]);
}

/* Files and /dev/null are always at their end and cannot be waited for. */
static bool can_be_waited_for(int fd)
{
    struct stat stat;

    return !fstat(fd, &stat) && (S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode) || isatty(fd));
}

void server_stdin_start(struct server *server)
{
    if (can_be_waited_for(STDIN_FILENO))
        server->stdin_event =
            event_new(server->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, server);
    if (server->stdin_event)
        event_add(server->stdin_event, NULL);
    else
        stdin_over(server);
}

/* ---- the end ------------------------------------------------------------------------------- */

void server_release(struct server *server)
{
    struct conn *conn;

    server->ending = true;
    while ((conn = TAILQ_FIRST(&server->conns)))
        conn_free(conn);
    for (size_t i = 0; i < server->listener_count; i++)
        evconnlistener_free(server->listeners[i]);
    if (server->stdin_event)
        event_free(server->stdin_event);
    if (server->base)
        event_base_free(server->base);
    if (server->log)
        fclose(server->log);
    SSL_CTX_free(server->tls);
    corpus_free(server->corpus);
    free(server->given);
}
