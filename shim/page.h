/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a run sent without a call of their own, in a page that they all share with
 * the sidecar: counting a transfer is one addition, whoever it is for. libc alone; thread-safe.
 *
 * Caveats. The sidecar makes the page when the run begins and takes its name away when it ends;
 * mapped it stays. Its file is in the state directory, with its one block in place, so that neither
 * a full disk nor the file's removal can reach whoever has it mapped. */
#ifndef FLYBALL_PAGE_H
#define FLYBALL_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct page {
    _Atomic uint64_t sent;   /* bytes; only added to */
    _Atomic uint64_t booked; /* of those in the ledger: the sidecar's */
};

/* Where the page of a run is: id, or for a run without a launcher (id NULL) its session leader. */
#define PAGE_PATH 640u
void page_path(char out[PAGE_PATH], const char *home, const unsigned char id[16], int leader);
/* make: creates it where it is not there. NULL: it cannot be had. */
struct page *page_map(const char *path, bool make);
void page_unmap(struct page *page); /* NULL is fine */

#endif
