/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane: listening, its token, and what keeps it small. See control.h for what it is.
 */
#include "sidecar/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BODY_CEILING  (1 << 20) /* beyond it libevent itself answers, without JSON */
#define HEADERS_BYTES 16384

/* ---- files -------------------------------------------------------------------------------- */

/* Whole or not at all, also after a power failure. */
static bool file_put(const struct side *side, const char *name, const char *text)
{
    char path[600], fresh[620];
    bool ok;
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", side->home, name);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    return close(fd) == 0 && ok && rename(fresh, path) == 0;
}

static bool token_make(const struct side *side, char token[SIDE_CONTROL_TOKEN + 1])
{
    uint8_t bytes[SIDE_CONTROL_TOKEN / 2];
    char line[SIDE_CONTROL_TOKEN + 2];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    store_hex(bytes, token);
    (void)snprintf(line, sizeof line, "%s\n", token);
    return file_put(side, "operator.token", line);
}

/* Made once; whoever wants another one takes the file away, and ends the sidecar. */
static bool token_read(const struct side *side, char token[SIDE_CONTROL_TOKEN + 1],
                       struct side_error *error)
{
    char path[600], text[SIDE_CONTROL_TOKEN + 2] = "";
    struct stat info = {0};
    ssize_t count;
    int fd;

    (void)snprintf(path, sizeof path, "%s/operator.token", side->home);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return token_make(side, token) || side_fail(error, "%s: %s", path, strerror(errno));
    count = fd >= 0 && fstat(fd, &info) == 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (count < 0)
        return side_fail(error, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_uid != side->uid || (info.st_mode & 077) != 0)
        return side_fail(error, "%s: others may read it (mode %03o)", path, info.st_mode & 0777u);
    text[strcspn(text, "\n")] = '\0';
    if (strlen(text) != SIDE_CONTROL_TOKEN || strspn(text, "0123456789abcdef") != strlen(text))
        return side_fail(error, "%s: is not 64 hex digits", path);
    memcpy(token, text, sizeof text - 1);
    return true;
}

/* ---- connections -------------------------------------------------------------------------- */

/* libevent neither bounds how many there are, nor how long a request may come a byte at a time, nor
 * tells when one ends: it takes its callbacks from the buffer of one that has. For as long as the
 * buffer is ours as well its socket stays open, shut down. */
static void sweep(struct side_control *control)
{
    int64_t now_ms = side_now_ms();
    unsigned left = 0;

    for (unsigned i = 0; i < control->connections; i++) {
        struct side_guest *guest = &control->guests[i];
        bufferevent_event_cb lives;

        bufferevent_getcb(guest->buffer, NULL, NULL, &lives, NULL);
        if (lives == NULL) {
            (void)bufferevent_decref(guest->buffer);
            continue;
        }
        if (now_ms >= guest->until_ms)
            (void)shutdown(bufferevent_getfd(guest->buffer), SHUT_RDWR);
        control->guests[left++] = *guest;
    }
    control->connections = left;
}

void side_control_let_stay(struct side_control *control, struct evhttp_connection *connection)
{
    struct bufferevent *buffer = evhttp_connection_get_bufferevent(connection);
    const struct timeval to_take = {SIDE_CONTROL_SECONDS, 0};

    (void)bufferevent_set_timeouts(buffer, NULL, &to_take);
    for (unsigned i = 0; i < control->connections; i++)
        if (control->guests[i].buffer == buffer)
            control->guests[i].until_ms = INT64_MAX;
}

static void on_sweep(evutil_socket_t fd, short what, void *data)
{
    struct side_control *control = data;
    const struct timeval soon = {0, 100000};

    (void)fd, (void)what;
    sweep(control);
    if (control->connections > 0)
        (void)event_add(control->sweeping, &soon);
    if (control->connections < SIDE_CONTROL_CONNECTIONS)
        (void)evconnlistener_enable(control->listener);
}

static struct bufferevent *on_connection(struct event_base *base, void *data)
{
    struct side_control *control = data;
    struct bufferevent *buffer = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

    if (buffer == NULL)
        return NULL;
    sweep(control);
    bufferevent_incref(buffer);
    control->guests[control->connections++] =
        (struct side_guest){buffer, side_now_ms() + SIDE_CONTROL_SECONDS * 1000};
    if (control->connections == SIDE_CONTROL_CONNECTIONS)
        (void)evconnlistener_disable(control->listener);
    if (!evtimer_pending(control->sweeping, NULL))
        event_active(control->sweeping, EV_TIMEOUT, 0);
    return buffer;
}

/* ---- listening ---------------------------------------------------------------------------- */

static bool address_read(const char *text, struct sockaddr_in *out, struct side_error *error)
{
    int size = sizeof *out;

    if (evutil_parse_sockaddr_port(text, (struct sockaddr *)out, &size) != 0 ||
        out->sin_family != AF_INET || ntohl(out->sin_addr.s_addr) >> 24 != 127)
        return side_fail(error, "'%s' is not an address of loopback, such as 127.0.0.1:9120", text);
    return true;
}

static bool socket_open(struct side_control *control, int *fd_out)
{
    socklen_t size = sizeof control->address;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (const struct sockaddr *)&control->address, size) == 0 &&
        listen(fd, SIDE_CONTROL_CONNECTIONS) == 0 &&
        getsockname(fd, (struct sockaddr *)&control->address, &size) == 0) {
        *fd_out = fd;
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    return false;
}

static bool serve(struct side_control *control, int fd)
{
    struct evhttp_bound_socket *bound;

    control->http = evhttp_new(control->side->base);
    control->sweeping = evtimer_new(control->side->base, on_sweep, control);
    bound = control->http != NULL && control->sweeping != NULL
                ? evhttp_accept_socket_with_handle(control->http, fd)
                : NULL;
    if (bound == NULL) {
        (void)close(fd);
        return false;
    }
    control->listener = evhttp_bound_socket_get_listener(bound);
    evhttp_set_allowed_methods(control->http, 0xffff); /* we say which, and what to do instead */
    evhttp_set_max_body_size(control->http, BODY_CEILING);
    evhttp_set_max_headers_size(control->http, HEADERS_BYTES);
    evhttp_set_timeout(control->http, SIDE_CONTROL_SECONDS);
    evhttp_set_bevcb(control->http, on_connection, control);
    evhttp_set_gencb(control->http, side_control_request, control);
    return true;
}

static bool control_open(struct side_control *control, const char *address,
                         struct side_error *error)
{
    struct side *side = control->side;
    char ip[INET_ADDRSTRLEN] = "", url[64];
    int fd = -1;

    if (!address_read(address, &control->address, error) ||
        !token_read(side, control->token, error))
        return false;
    if (!socket_open(control, &fd))
        return side_fail(error, "%s: %s", address, strerror(errno));
    if (!serve(control, fd))
        return side_fail(error, "out of memory");
    (void)inet_ntop(AF_INET, &control->address.sin_addr, ip, sizeof ip);
    (void)snprintf(side->control_url, sizeof side->control_url, "http://%s:%u", ip,
                   (unsigned)ntohs(control->address.sin_port));
    (void)snprintf(url, sizeof url, "%s\n", side->control_url);
    return file_put(side, "control", url) ||
           side_fail(error, "%s/control: %s", side->home, strerror(errno));
}

bool side_control_open(struct side *side, const char *address, struct side_error *error)
{
    side->control = calloc(1, sizeof *side->control);
    if (side->control != NULL) {
        side->control->side = side;
        if (control_open(side->control, address != NULL ? address : "127.0.0.1", error))
            return true;
    }
    side_control_close(side);
    free(side->control);
    side->control = NULL;
    (void)side_fail(error, "out of memory");
    (void)snprintf(side->control_error, sizeof side->control_error, "%s", error->text);
    return false;
}

void side_control_close(struct side *side)
{
    struct side_control *control = side->control;
    char path[600];

    if (control == NULL)
        return;
    (void)snprintf(path, sizeof path, "%s/control", side->home);
    if (side->control_url[0] != '\0')
        (void)unlink(path);
    side->control_url[0] = '\0';
    if (control->http != NULL)
        evhttp_free(control->http);
    sweep(control);
    if (control->sweeping != NULL)
        event_free(control->sweeping);
    side_worker_stop(control->finder);
}
