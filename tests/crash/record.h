/* SPDX-License-Identifier: Apache-2.0 */
/* What a process wrote to its ledger, in order: the file that $CRASH_RECORD names, made by who
 * starts the process, filled by the preload record.so, which both have mapped. */
#ifndef FLYBALL_TESTS_CRASH_RECORD_H
#define FLYBALL_TESTS_CRASH_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

#define RECORD_BYTES                                                                               \
    ((size_t)512 << 20) /* of address space; the file is as long as what is in it */

enum record_kind {
    RECORD_WRITE = 1,
    RECORD_WRITE_THROUGH = 2, /* on the disk when it returns: O_DSYNC */
    RECORD_SYNC = 3,
    RECORD_HEAD = 4, /* the file `head` beside it, as it was put in its place */
};

struct record_entry {
    uint32_t kind;
    uint32_t bytes; /* that follow, up to a multiple of 8 */
    uint64_t offset;
};

struct record_log {
    atomic_ulong used; /* of bytes */
    atomic_ulong lost; /* entries that found no room */
    unsigned char bytes[];
};

#endif
