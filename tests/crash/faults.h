/* SPDX-License-Identifier: Apache-2.0 */
/* Fault injection, inside: what a small life of a sidecar looks like from outside. */
#ifndef FLYBALL_TESTS_CRASH_FAULTS_H
#define FLYBALL_TESTS_CRASH_FAULTS_H

#include <stdatomic.h>

#include "tests/crash/ask.h"

#define FAULTS_CALLS   12u
#define FAULTS_REFUSED 2u /* of them, where nothing fails, and nobody was asked */

/* What the callers were told; it outlives them. */
struct faults_told {
    struct {
        uint8_t id[16];
        atomic_uint admitted, gone; /* gone: bytes left for the provider */
    } calls[FAULTS_CALLS];
    atomic_uint count, mute, refused;
};

/* In a process of its own: a run, calls of every kind, questions of every kind, and the run's end;
 * an operator's words, over the socket and over HTTP; a run whose calls a person is asked about.
 * Goes as far as the sidecar lets it. */
void faults_scenario(const struct client_place *place, struct faults_told *told);

/* The ledger afterwards, once no fault is there: it opens (where it was ever made), proves itself,
 * has every admission, and after another sidecar had it no hold is stuck and nothing that had left
 * is released. what names the fault. */
void faults_check(const struct client_place *place, const struct faults_told *told, bool settled,
                  const char *what);

#endif
