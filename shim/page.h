/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a run sent without a call of their own, in a page that they all share with
 * the sidecar: counting a transfer is one addition, whoever it is for. libc alone; thread-safe.
 *
 * Caveats. The page is a memfd that nobody can shorten, so that nothing can take it from those who
 * have it mapped. The launcher of a run makes it, keeps it as long as the run lives, and brings it
 * to every sidecar; the sidecar gives it to the processes that ask. A run without a launcher has a
 * page of its sidecar's, another one after a restart. */
#ifndef FLYBALL_PAGE_H
#define FLYBALL_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

struct page {
    _Atomic uint64_t sent;   /* bytes; only added to */
    _Atomic uint64_t booked; /* of those in the ledger: the sidecar's */
};

/* A new page: its descriptor; -1: it cannot be had. */
int page_make(void);
/* The descriptor stays the caller's. NULL: it is not one of a page. */
struct page *page_map(int fd);
void page_unmap(struct page *page); /* NULL is fine */
/* What is counted in a page whose sidecar has died, and is not booked, goes to another; once,
 * however many processes do so. */
void page_move(struct page *from, struct page *to);

#endif
