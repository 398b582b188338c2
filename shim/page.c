/* SPDX-License-Identifier: Apache-2.0 */
/* The page that a run's processes count in. */
#include "shim/page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim/client.h"

#define PAGE_BYTES 4096
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int page_make(void)
{
    int fd = memfd_create("flyball-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -1;
    fd = client_fd_away(fd);
    if (posix_fallocate(fd, 0, PAGE_BYTES) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

struct page *page_map(int fd)
{
    return client_map(fd, PAGE_BYTES, true);
}

void page_unmap(struct page *page)
{
    if (page != NULL)
        (void)munmap(page, PAGE_BYTES);
}

void page_move(struct page *from, struct page *to)
{
    uint64_t booked = atomic_load(&from->booked), sent = atomic_load(&from->sent);

    while (sent > booked && !atomic_compare_exchange_strong(&from->booked, &booked, sent))
        ;
    if (sent > booked)
        atomic_fetch_add(&to->sent, sent - booked);
}
