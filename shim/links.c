/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that calls have done with, for the next calls of this process: a connection costs the
 * sidecar more than a call does. A forked child leaves its parent's alone. */
#include "shim/shim_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS_KEPT 8u

static struct client_link kept[LINKS_KEPT];
static unsigned kept_count;
static pid_t kept_pid;

/* Frames of the call before may lie in it unread; its end may not. */
static bool is_usable(const struct client_link *link)
{
    char byte;
    ssize_t count;

    if (!client_live(link))
        return false;
    count = recv(link->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && errno == EAGAIN);
}

static bool take(struct client_link *link)
{
    bool found = false;

    shim_lock(SHIM_LOCK_LINKS);
    if (kept_pid != getpid()) { /* the descriptors of a child are its own to close */
        while (kept_count > 0)
            client_close(&kept[--kept_count]);
        kept_pid = getpid();
    }
    while (!found && kept_count > 0) {
        *link = kept[--kept_count];
        found = is_usable(link);
        if (!found)
            client_close(link);
    }
    shim_unlock(SHIM_LOCK_LINKS);
    return found;
}

bool shim_link_open(struct client_link *link, unsigned how, char *reason_out, size_t reason_size)
{
    bool started, ok;

    if ((how & SHIM_LINK_KEPT) != 0 && take(link))
        return true;
    ok = client_open(link, shim_place(), (how & SHIM_LINK_START) != 0, &started, reason_out,
                     reason_size);
    if (ok)
        shim_egress_look(true);
    if (started)
        shim_hosts_forget();
    return ok;
}

void shim_link_done(struct client_link *link, bool clean)
{
    if (clean && client_live(link)) {
        shim_lock(SHIM_LOCK_LINKS);
        if (kept_pid == getpid() && kept_count < LINKS_KEPT) {
            kept[kept_count++] = *link;
            *link = CLIENT_LINK_NONE;
        }
        shim_unlock(SHIM_LOCK_LINKS);
    }
    client_close(link);
}
