/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a connection is: the kernel says for those over AF_UNIX; for TCP it is looked for in /proc,
 * from the pair of addresses to the socket, and from there to all who have it open. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/control.h"

#define ADDRESS_TEXT 48u

/* As /proc/net has it: the address as the machine's own number. Mapped: of an IPv6 socket. */
static void address_text(const struct sockaddr_in *address, bool mapped, char out[ADDRESS_TEXT])
{
    char prefix[32] = "";

    if (mapped)
        (void)snprintf(prefix, sizeof prefix, "%08X%08X%08X", 0u, 0u, htonl(0xffff));
    (void)snprintf(out, ADDRESS_TEXT, "%s%08X:%04X", prefix, address->sin_addr.s_addr,
                   ntohs(address->sin_port));
}

/* The socket's number; 0: nobody has it. */
static unsigned long find_socket(const char *table, bool mapped, const struct sockaddr_in *theirs,
                                 const struct sockaddr_in *ours, unsigned *uid_out)
{
    char local[ADDRESS_TEXT], remote[ADDRESS_TEXT], line[512], from[64], to[64];
    unsigned long inode = 0, found = 0;
    FILE *file = fopen(table, "re");

    if (file == NULL)
        return 0;
    address_text(theirs, mapped, local);
    address_text(ours, mapped, remote);
    while (found == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%*s %63s %63s %*s %*s %*s %*s %u %*s %lu", from, to, uid_out, &inode) ==
                4 &&
            strcmp(from, local) == 0 && strcmp(to, remote) == 0)
            found = inode;
    (void)fclose(file);
    return found;
}

static bool has_open(const char *pid, const char *link)
{
    char path[300], target[64];
    struct dirent *entry;
    bool found = false;
    ssize_t length;
    DIR *dir;

    (void)snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    dir = opendir(path);
    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", pid, entry->d_name);
        length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        found = strcmp(target, link) == 0;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

unsigned side_owners_find(const struct sockaddr_in *theirs, const struct sockaddr_in *ours,
                          uid_t uid, pid_t *pids, unsigned most)
{
    unsigned its_uid = 0, count = 0;
    unsigned long inode = find_socket("/proc/net/tcp", false, theirs, ours, &its_uid);
    struct dirent *entry;
    char link[64];
    DIR *dir;

    if (inode == 0)
        inode = find_socket("/proc/net/tcp6", true, theirs, ours, &its_uid);
    if (inode == 0 || (its_uid != uid && its_uid != 0) || (dir = opendir("/proc")) == NULL)
        return 0;
    (void)snprintf(link, sizeof link, "socket:[%lu]", inode);
    while (count <= most && (entry = readdir(dir)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && has_open(entry->d_name, link)) {
            if (count < most)
                pids[count] = (pid_t)atoi(entry->d_name);
            count++;
        }
    (void)closedir(dir);
    return count <= most ? count : 0;
}
