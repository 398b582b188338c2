/* SPDX-License-Identifier: Apache-2.0 */
/* The page that a run's processes count in. */
#include "shim/page.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/client.h"

#define PAGE_BYTES 4096

void page_path(char out[PAGE_PATH], const char *home, const unsigned char id[16], int leader)
{
    char text[37];

    if (id != NULL) {
        client_uuid_text(id, text);
        (void)snprintf(out, PAGE_PATH, "%s/runs/%s.sent", home, text);
    } else {
        (void)snprintf(out, PAGE_PATH, "%s/runs/session-%d.sent", home, leader);
    }
}

struct page *page_map(const char *path, bool make)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    struct stat info;
    void *page = MAP_FAILED;

    if (fd < 0)
        return NULL;
    if ((!make || posix_fallocate(fd, 0, PAGE_BYTES) == 0) && fstat(fd, &info) == 0 &&
        info.st_size == PAGE_BYTES)
        page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return page != MAP_FAILED ? page : NULL;
}

void page_unmap(struct page *page)
{
    if (page != NULL)
        (void)munmap(page, PAGE_BYTES);
}
