/* SPDX-License-Identifier: Apache-2.0 */
/* Faults, one site at a time. A site is a call of something that may fail: which, and from where
 * (the return addresses on the stack). The table is a file that $CRASH_FAULTS names: who starts the
 * process says in it which site has to fail, the preload fault.so notes what it comes across. */
#ifndef FLYBALL_TESTS_CRASH_FAULT_H
#define FLYBALL_TESTS_CRASH_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULT_SITES 16384u
#define FAULT_DEPTH 8

struct fault_site {
    atomic_ulong id;          /* 0: free */
    char name[16], file[32];  /* of the call, and of the object that makes it */
    void *stack[FAULT_DEPTH]; /* for people */
    unsigned long place;      /* of the three innermost frames: leaks go by it */
    atomic_uint calls;
    atomic_int live; /* allocations that were not freed */
    int library;     /* made by a library for itself */
};

struct fault_table {
    unsigned long target; /* 0: nothing fails */
    int once;
    atomic_uint failed;
    atomic_uint armed;
    void *crash[2 * FAULT_DEPTH]; /* where it died, if it did */
    char crash_file[64];          /* the object that it died in */
    struct fault_site sites[FAULT_SITES];
};

#endif
