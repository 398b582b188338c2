/* SPDX-License-Identifier: Apache-2.0 */
/* Power failures, inside: a recorded life of a sidecar, and the images of its file. */
#ifndef FLYBALL_TESTS_CRASH_IMAGES_H
#define FLYBALL_TESTS_CRASH_IMAGES_H

#include "tests/crash/ask.h"
#include "tests/crash/record.h"
#include "tests/unit/chance.h"

#define IMAGES_CLIENTS 6u
#define IMAGES_CALLS   40u /* of each */

/* When the log was this long, the caller knew it: whatever is cut off later, it must be there. */
struct images_call {
    uint8_t id[16];
    atomic_ulong held;    /* 0: never told */
    atomic_ulong gone;    /* SENT is in a socket */
    atomic_ulong overrun; /* a settlement above the hold was told of */
};

struct images_life {
    char directory[64]; /* of home, log and images */
    char home[96], image[96];
    struct record_log *log;
    struct images_call (*calls)[IMAGES_CALLS]; /* of each client; shared */
    uint8_t (*hashes)[32];                     /* of the finished chain: by record number */
    uint64_t records;
};

struct images_totals {
    unsigned long images, shorter, torn, sidecars, writes, syncs, calls;
};

/* Lives: a sidecar of build under the recorder, clients that call it. */
void images_live(struct images_life *life, const char *build, uint64_t seed);
void images_life_release(struct images_life *life);
/* So many images of it, each opened, proved, and compared with what was told; ends the program
 * where one is wrong. */
void images_check(struct images_life *life, const char *build, struct chance *chance,
                  unsigned count, struct images_totals *totals);

/* Starts flyballd in home; preload NULL: none. Returns its pid once it is ready. */
pid_t images_sidecar(const char *build, const char *home, const char *preload, const char *log);
void images_sidecar_end(pid_t pid);

#endif
