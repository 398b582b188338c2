/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: where they begin to count, what was charged before that, and the clock that they go by.
 */
#include "store/window.h"
#include "store/store_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_VERSION 1u

/* ---- the clock ---------------------------------------------------------------------------- */

enum store_err store_clock_get(struct store *store, struct store_clock_row *out)
{
    enum store_err err = store_get(store, store->txn, STORE_META, "clock", 5, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_clock_put(struct store *store, const struct store_clock_row *row)
{
    struct store_clock_row stored = *row;

    stored.version = CLOCK_VERSION;
    return store_put(store, STORE_META, "clock", 5, &stored, sizeof stored);
}

/* ---- beginning ---------------------------------------------------------------------------- */

enum store_err store_window_begin(struct store *store, const struct store_scope_key *key,
                                  int64_t end_s, const char *name, const int64_t charged[GOV_DIMS],
                                  int64_t ts_ns)
{
    struct store_event event = {.head = {.type = STORE_BEGUN, .ts_ns = ts_ns}};
    struct store_counter counter = {.end_s = end_s};
    enum store_err err;

    event.begun.key = *key;
    event.begun.end_s = end_s;
    memcpy(event.begun.charged, charged, sizeof event.begun.charged);
    (void)snprintf(event.begun.name, sizeof event.begun.name, "%s", name);
    memcpy(counter.charged, charged, sizeof counter.charged);
    memcpy(counter.name, event.begun.name, sizeof counter.name);
    err = store_append(store, &event, sizeof event.begun);
    return err == STORE_OK ? store_counter_put(store, key, &counter) : err;
}

enum store_err store_next_window(struct store *store, const struct store_scope_key *key,
                                 struct store_scope_key *key_out, struct store_counter *out)
{
    struct store_view here = {store, store->txn};

    return store_view_next_window(&here, key, key_out, out);
}

/* What a call has come to by now: its charge, or its hold. */
static enum store_err call_comes_to(struct store *store, const struct store_event *admission,
                                    struct store_event *scratch, struct store_counter *out)
{
    struct store_call call;
    enum store_err err = store_call_get(store, admission->head.call_id, &call);

    memset(out, 0, sizeof *out);
    if (err == STORE_OK && call.state == STORE_CALL_ENDED) {
        err = store_chain_get(store, store->txn, call.consumption_seq, scratch, NULL);
        store_counter_charge(out, &scratch->consumption, admission->admission.hold[GOV_STEPS] > 0);
        if (err == STORE_OK && call.later_seq != 0) {
            err = store_chain_get(store, store->txn, call.later_seq, scratch, NULL);
            out->charged[GOV_COST] +=
                scratch->corrected.added_pusd - scratch->corrected.credited_pusd;
        }
    } else if (err == STORE_OK) {
        memcpy(out->charged, admission->admission.hold, sizeof admission->admission.hold);
    }
    return err;
}

enum store_err store_each_since(struct store *store, int64_t since_ns,
                                enum store_err (*each)(void *data,
                                                       const struct store_event *admission,
                                                       const int64_t charged[GOV_DIMS]),
                                void *data)
{
    struct store_view here = {store, store->txn};
    struct store_event *events = malloc(2 * sizeof *events);
    enum store_err err = events == NULL ? STORE_NOMEM : STORE_OK;
    uint64_t seq = err == STORE_OK ? store_view_since(&here, since_ns) : 0;

    while (err == STORE_OK && seq <= store->seq) {
        struct store_counter came;

        err = store_chain_get(store, store->txn, seq, &events[0], NULL);
        seq = events[0].head.seq + 1;
        if (err != STORE_OK || events[0].head.type != STORE_ADMISSION)
            continue;
        err = call_comes_to(store, &events[0], &events[1], &came);
        if (err == STORE_OK)
            err = each(data, &events[0], came.charged);
    }
    free(events);
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}

/* ---- schema 2 ----------------------------------------------------------------------------- */

/* What the records that name a window make of its counter. */
static enum store_err named_sum(struct store *store, const struct store_scope_key *key,
                                struct store_event *events, struct store_counter *out)
{
    enum store_err err = STORE_OK;

    memset(out, 0, sizeof *out);
    for (uint64_t seq = 1; err == STORE_OK && seq <= store->seq; seq = events[0].head.seq + 1) {
        struct store_call call;

        err = store_chain_get(store, store->txn, seq, &events[0], NULL);
        for (unsigned i = 0; err == STORE_OK && i < events[0].head.scope_count; i++) {
            struct store_counter came;
            bool sent;

            if (events[0].head.type != STORE_ADMISSION ||
                memcmp(&events[0].scopes[i].key, key, sizeof *key) != 0)
                continue;
            err = store_call_get(store, events[0].head.call_id, &call);
            sent = call.state == STORE_CALL_SENT;
            if (err == STORE_OK && call.state == STORE_CALL_ENDED) {
                err = call_comes_to(store, &events[0], &events[1], &came);
                for (unsigned dim = 0; dim < GOV_DIMS; dim++)
                    out->charged[dim] += came.charged[dim];
            } else if (err == STORE_OK) {
                store_counter_hold(out, &events[0].admission, 1, !sent);
                out->charged[GOV_STEPS] += sent ? events[0].admission.hold[GOV_STEPS] : 0;
            }
        }
    }
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}

/* In schema 2 calls of before the beginning were found by their time. They become what was charged
 * before it. */
static enum store_err window_from_2(struct store *store, const struct store_scope_key *key,
                                    struct store_counter *row, struct store_event *events)
{
    struct store_event begun = {.head = {.type = STORE_BEGUN, .ts_ns = key->start_s * 1000000000}};
    struct store_counter named;
    enum store_err err = named_sum(store, key, events, &named);

    if (err != STORE_OK)
        return err;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        row->charged[dim] += row->held[dim] - named.held[dim];
        row->held[dim] = named.held[dim];
        begun.begun.charged[dim] = row->charged[dim] - named.charged[dim];
    }
    row->in_flight = named.in_flight;
    begun.begun.key = *key;
    begun.begun.end_s = row->end_s;
    err = store_append(store, &begun, sizeof begun.begun);
    return err == STORE_OK ? store_counter_put(store, key, row) : err;
}

enum store_err store_windows_from_2(struct store *store)
{
    struct store_view here = {store, store->txn};
    struct store_event *events = malloc(2 * sizeof *events);
    struct store_scope_key key, *last = NULL;
    struct store_counter row;
    enum store_err err = events == NULL ? STORE_NOMEM : STORE_OK;

    store_view_head(&here, &store->seq, store->head); /* what is appended follows the last */
    while (err == STORE_OK && (err = store_view_next_window(&here, last, &key, &row)) == STORE_OK) {
        err = window_from_2(store, &key, &row, events);
        last = &key;
    }
    free(events);
    return err == STORE_NOT_FOUND ? STORE_OK : err;
}
