/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that a person has stopped. The sidecar says so, and shuts the connection down, which
 * wakes whoever waits for it; the application gets the API's own error event behind its last whole
 * event, and then a normal end. Where that cannot be made, the end of a stream that broke off. */
#include "shim/shim_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_LOOKED_AT 4096

static int port_of(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *in = (const void *)address;
    const struct sockaddr_in6 *in6 = (const void *)address;

    return address->ss_family == AF_INET    ? ntohs(in->sin_port)
           : address->ss_family == AF_INET6 ? ntohs(in6->sin6_port)
                                            : -1;
}

static bool is_between(int fd, int local_port, int remote_port)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 || port_of(&address) != local_port)
        return false;
    size = sizeof address;
    return getpeername(fd, (struct sockaddr *)&address, &size) == 0 &&
           port_of(&address) == remote_port;
}

/* libcurl does not tell before the transfer is over (CURLINFO_ACTIVESOCKET); it tells the ports. */
int shim_cut_socket(const struct shim_call *call)
{
    const struct shim_handle *handle = call->handle;
    int saved_errno = errno, fd = 0;

    if (!call->wants_socket || handle->local_port <= 0)
        return -1;
    while (fd < FDS_LOOKED_AT && !is_between(fd, handle->local_port, handle->remote_port))
        fd++;
    errno = saved_errno;
    return fd < FDS_LOOKED_AT ? fd : -1;
}

void shim_cut_take(struct shim_call *call, struct wire_reader *r)
{
    struct wire_value value;
    char *copy;

    call->cut = true;
    while (wire_next(r, &value)) {
        if (value.tag == WIRE_FLAGS)
            call->cut_by_lines = (wire_number(&value) & WIRE_BY_LINES) != 0;
        else if (value.tag == WIRE_TEXT)
            (void)wire_text(&value, call->text, sizeof call->text);
        copy = value.tag == WIRE_ANSWER ? malloc(value.count) : NULL;
        if (copy == NULL)
            continue;
        memcpy(copy, value.bytes, value.count);
        free(call->answer);
        call->answer = copy;
        call->answer_bytes = value.count;
    }
}

bool shim_cut_here(const struct shim_call *call)
{
    const char *last = call->tap.last;

    if (last[3] == '\0' || (call->cut_by_lines && last[3] == '\n'))
        return true;
    return (last[3] == '\n' && last[2] == '\n') || (last[3] == '\r' && last[2] == '\r') ||
           memcmp(last, "\r\n\r\n", sizeof call->tap.last) == 0;
}

static void say(const struct shim_handle *handle, const char *text)
{
    char *buffer = shim_option_pointer(handle, SLOT_ERROR_BUFFER);

    if (buffer != NULL)
        (void)snprintf(buffer, CURL_ERROR_SIZE, "%.*s", CURL_ERROR_SIZE - 1, text);
}

CURLcode shim_cut_end(struct shim_handle *handle, CURLcode code)
{
    struct shim_call *call = handle->call;
    size_t taken;

    if (call->state != SHIM_CALL_ADMITTED || !call->sent || call->settled || call->pid != getpid())
        return code;
    shim_tap_listen(call);
    if (!call->cut || code == CURLE_OK)
        return code;
    strip_free(call->strip); /* what it holds is the beginning of an event */
    call->strip = NULL;
    if (call->answer == NULL || !shim_cut_here(call)) {
        say(handle, call->text);
        return CURLE_PARTIAL_FILE;
    }
    handle->giving = true;
    taken = shim_tap_give(handle, call->answer, call->answer_bytes);
    handle->giving = false;
    if (taken != call->answer_bytes)
        return CURLE_WRITE_ERROR;
    say(handle, "");
    return CURLE_OK;
}
