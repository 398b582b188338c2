/* SPDX-License-Identifier: Apache-2.0 */
/* The storm of kill -9, inside: what survives a killed client is in memory that is shared. */
#ifndef FLYBALL_TESTS_CRASH_STORM_H
#define FLYBALL_TESTS_CRASH_STORM_H

#include <stdatomic.h>
#include <sys/types.h>

#include "tests/crash/ask.h"
#include "tests/unit/chance.h"

#define STORM_CLIENTS     64u
#define STORM_JOURNAL     512u  /* calls of one client's life */
#define STORM_RUNS        256u  /* of one ledger */
#define STORM_RUNS_OPEN   2u    /* at a time */
#define STORM_GENERATIONS 4096u /* sidecars of one ledger */

/* How far a call got, as its client knows; noted before the frame that says so may arrive, or after
 * it must have: what is told is never less than what the words here say. */
enum storm_told {
    STORM_ASKED = 1, /* perhaps */
    STORM_REFUSED,
    STORM_HELD,    /* the verdict was read: acknowledged */
    STORM_UNSENT,  /* given up before anything left */
    STORM_GONE,    /* SENT is in a socket: the request has left */
    STORM_ENDED,   /* the whole answer and END are in a socket */
    STORM_SETTLED, /* a later question was answered: acknowledged */
};

struct storm_call {
    uint8_t id[16];
    atomic_uint told; /* enum storm_told */
    uint32_t input, output;
};

struct storm_client {
    atomic_uint count;
    struct storm_call calls[STORM_JOURNAL];
};

struct storm_shared {
    struct storm_client clients[STORM_CLIENTS];
    struct ask_run runs[STORM_RUNS];
    atomic_uint current[STORM_RUNS_OPEN]; /* which of them */
    atomic_uint used_up;                  /* a bit per open run: refused for good */
    atomic_uint generation;
    atomic_llong killed_us[STORM_GENERATIONS], first_us[STORM_GENERATIONS];
    atomic_ulong admitted, refused, mute, lost, claimed;
};

struct storm_options {
    uint64_t seed;
    unsigned kills, clients, kills_of_a_ledger;
    bool namespaces; /* every client is process 1 of a pid namespace of its own */
    bool stops;      /* SIGSTOP as well */
    const char *build;
};

/* In the client: calls until killed, or until its journal is full. Does not return. */
void storm_client(struct storm_shared *shared, unsigned slot, const struct client_place *place,
                  uint64_t seed, bool start) __attribute__((noreturn));

/* What all clients of a ledger were told. */
struct storm_book {
    struct storm_call *calls;
    size_t count, size;
};
void storm_book_add(struct storm_book *book, const struct storm_client *client);

struct storm_totals {
    unsigned long kills, sidecars, stops, runs, ledgers;
    unsigned long holds, settlements; /* acknowledged, and found */
    unsigned long records, unclaimed;
    uint32_t *restart_us;
    size_t restarts;
};
/* The ledger, with no sidecar on it, against what was told. Ends the program where they differ. */
void storm_check(const char *home, const struct storm_book *book, struct storm_totals *totals);

#endif
