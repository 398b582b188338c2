/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: bytes that end at a page nobody may touch, so that reading one too many crashes.
 */
#ifndef FLYBALL_TESTS_GUARD_H
#define FLYBALL_TESTS_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
    char *map;
    size_t map_bytes;
    char *bytes; /* a copy; the byte after its last is unreadable */
};

static inline struct guarded guarded_copy(const void *bytes, size_t count)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t room = (count + page - 1) / page * page;
    struct guarded copy = {.map_bytes = room + page};

    copy.map =
        mmap(NULL, copy.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy.map == MAP_FAILED || mprotect(copy.map + room, page, PROT_NONE) != 0)
        abort();
    copy.bytes = copy.map + room - count;
    if (count > 0)
        memcpy(copy.bytes, bytes, count);
    return copy;
}

static inline void guarded_free(struct guarded *copy)
{
    (void)munmap(copy->map, copy->map_bytes);
}

#endif
