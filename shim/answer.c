/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer to ourselves. A refusal is an HTTP answer that libcurl itself receives, so that
 * status, headers, body, getinfo and the multi message are libcurl's own: the handle is pointed at
 * a random abstract Unix socket of this process, and the answer is written when libcurl has
 * connected (its pre-request callback), which is all in one thread. Waiting in a multi handle is
 * the same transfer with the answer still to come: the host's loop has a socket to poll, and the
 * sidecar, which gets our end of it, writes a byte when the verdict is out. */
#include "shim/shim_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;

    (void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
    return cookie;
}

static void close_ours(int *fd, uint64_t cookie)
{
    if (*fd >= 0 && cookie_of(*fd) == cookie)
        (void)close(*fd);
    *fd = -1;
}

/* A name that nobody can guess, in the abstract namespace: no file, gone with the socket. */
static bool listen_somewhere(struct shim_call *call, char name[40])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned char id[16];
    socklen_t size;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    call->listener = client_fd_away(fd);
    call->listener_cookie = cookie_of(call->listener);
    client_uuid7(id);
    client_uuid_text(id, name);
    memcpy(address.sun_path + 1, name, strlen(name)); /* after the NUL that makes it abstract */
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return bind(call->listener, (const struct sockaddr *)&address, size) == 0 &&
           listen(call->listener, 4) == 0;
}

/* The application's URL, so that one that is none fails as it would, with http:// in front and
 * another host: HSTS, alt-svc or a cookie jar may know the provider's, and lead elsewhere. */
static char *url_of(const struct shim_handle *handle)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    CURLU *parts = shim_option_pointer(handle, SLOT_CURLU);
    const char *given = shim_option_text(handle, SLOT_URL), *host;
    char *whole = NULL, *url;
    size_t size;

    if (parts != NULL && handle->curl->url_get(parts, CURLUPART_URL, &whole, 0) == CURLUE_OK)
        given = whole;
    if (given == NULL)
        given = "";
    host = strstr(given, "://");
    host = host != NULL ? host + 3 : given;
    for (const char *at = host; *at != '\0' && strchr("/?#", *at) == NULL; at++)
        host = *at == '@' ? at + 1 : host;
    host += strspn(host, plain);
    size = strlen(host) + sizeof "http://127.0.0.1";
    url = malloc(size);
    if (url != NULL)
        (void)snprintf(url, size, "http://127.0.0.1%s", host);
    if (whole != NULL)
        handle->curl->free(whole);
    return url;
}

struct detour {
    enum shim_slot slot;
    CURLoption option;
    int64_t value;
};

/* Nothing of the way to the provider may be left: no proxy, no other protocol, no reuse, no
 * callback that makes sockets. The URL and the socket's name are set beside these. */
static const struct detour detours[] = {
    {SLOT_CURLU, CURLOPT_CURLU, 0},
    {SLOT_PORT, CURLOPT_PORT, 0},
    {SLOT_PROXY, CURLOPT_PROXY, (int64_t)(intptr_t) ""},
    {SLOT_PRE_PROXY, CURLOPT_PRE_PROXY, 0},
    {SLOT_FRESH, CURLOPT_FRESH_CONNECT, 1},
    {SLOT_FORBID_REUSE, CURLOPT_FORBID_REUSE, 1},
    {SLOT_HTTP_VERSION, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
    {SLOT_PROTOCOLS, CURLOPT_PROTOCOLS, CURLPROTO_HTTP},
    {SLOT_CONNECT_TO, CURLOPT_CONNECT_TO, 0},
    {SLOT_CONNECT_ONLY, CURLOPT_CONNECT_ONLY, 0},
    {SLOT_OPEN_SOCKET, CURLOPT_OPENSOCKETFUNCTION, 0},
    {SLOT_SOCKOPT, CURLOPT_SOCKOPTFUNCTION, 0},
    {SLOT_CLOSE_SOCKET, CURLOPT_CLOSESOCKETFUNCTION, 0},
    {SLOT_HAPROXY, CURLOPT_HAPROXYPROTOCOL, 0},
    {SLOT_TIMEOUT, CURLOPT_TIMEOUT_MS, 0},       /* a person's time is not the transfer's, */
    {SLOT_SLOW_TIME, CURLOPT_LOW_SPEED_TIME, 0}, /* nor is it slow */
};

static int on_prereq(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct shim_handle *handle = data;
    int saved_errno = errno, result;

    (void)remote, (void)local, (void)remote_port, (void)local_port;
    result = handle->call != NULL ? shim_answer_prereq(handle->call) : CURL_PREREQFUNC_ABORT;
    errno = saved_errno;
    return result;
}

static bool detour(struct shim_handle *handle, const char *url, const char *name)
{
    for (size_t i = 0; i < sizeof detours / sizeof detours[0]; i++)
        if (shim_override(handle, detours[i].slot, detours[i].option, detours[i].value) != CURLE_OK)
            return false;
    return shim_override(handle, SLOT_URL, CURLOPT_URL, (int64_t)(intptr_t)url) == CURLE_OK &&
           shim_override(handle, SLOT_UNIX_SOCKET, CURLOPT_ABSTRACT_UNIX_SOCKET,
                         (int64_t)(intptr_t)name) == CURLE_OK &&
           shim_override(handle, SLOT_PREREQ, CURLOPT_PREREQFUNCTION,
                         shim_bits((void (*)(void))on_prereq)) == CURLE_OK &&
           shim_override(handle, SLOT_PREREQ_DATA, CURLOPT_PREREQDATA, (int64_t)(intptr_t)handle) ==
               CURLE_OK;
}

bool shim_answer_install(struct shim_call *call)
{
    struct shim_handle *handle = call->handle;
    char name[40], *url;
    bool ok;

    if (handle->curl->version < SHIM_OLDEST_CURL || !listen_somewhere(call, name))
        return false;
    url = url_of(handle);
    ok = url != NULL && detour(handle, url, name) && shim_body_install(handle, &call->body);
    free(url);
    return ok;
}

/* ---- when libcurl has connected ----------------------------------------------------------- */

/* Only our own connection counts: the namespace is open to the whole machine. */
static bool accept_ours(struct shim_call *call)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd;

    while ((fd = accept4(call->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid()) {
            call->peer = client_fd_away(fd);
            call->peer_cookie = cookie_of(call->peer);
            return true;
        }
        (void)close(fd);
    }
    return false;
}

/* The answer is far smaller than a socket's buffer. */
static void serve(const struct shim_call *call)
{
    if (call->answer != NULL)
        (void)send(call->peer, call->answer, call->answer_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* From now on the sidecar alone has our end: its byte, or its death, wakes the host's loop. */
static void hand_over_peer(struct shim_call *call)
{
    unsigned char frame[sizeof(struct wire_head)];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_POKE);
    (void)client_send(&call->link, frame, w.used, call->peer);
    close_ours(&call->peer, call->peer_cookie);
}

int shim_answer_prereq(struct shim_call *call)
{
    if (call->curl_error || !accept_ours(call))
        return CURL_PREREQFUNC_ABORT;
    if (call->state == SHIM_CALL_REFUSED)
        serve(call);
    else
        hand_over_peer(call);
    return CURL_PREREQFUNC_OK;
}

/* No protocol that this URL could have: fails at once, without a connection. */
bool shim_answer_block(struct shim_handle *handle)
{
    return shim_override(handle, SLOT_PROTOCOLS, CURLOPT_PROTOCOLS, CURLPROTO_GOPHER) == CURLE_OK;
}

void shim_answer_release(struct shim_call *call)
{
    close_ours(&call->listener, call->listener_cookie);
    close_ours(&call->peer, call->peer_cookie);
}
