/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: windows of time, and the clock that they go by; what writes, in an open transaction.
 */
#ifndef FLYBALL_STORE_WINDOW_H
#define FLYBALL_STORE_WINDOW_H

#include "store/store.h"

/* Begins a window: its record and its counter, with what was charged in it before. name: its
 * scope's, "" none. */
STORE_MUST_CHECK enum store_err store_window_begin(struct store *store,
                                                   const struct store_scope_key *key, int64_t end_s,
                                                   const char *name,
                                                   const int64_t charged[GOV_DIMS], int64_t ts_ns);
/* Calls each() with the admission of every call of since then (or of a little before), in the order
 * of the chain, and with what it was charged; of an open one, what it holds. */
STORE_MUST_CHECK enum store_err
store_each_since(struct store *store, int64_t since_ns,
                 enum store_err (*each)(void *data, const struct store_event *admission,
                                        const int64_t charged[GOV_DIMS]),
                 void *data);

/* The next window of any kind behind key (NULL: the first). STORE_NOT_FOUND: none. */
enum store_err store_next_window(struct store *store, const struct store_scope_key *key,
                                 struct store_scope_key *key_out, struct store_counter *out);

/* What is known of the clock: kept beside the chain. */
struct store_clock_row {
    uint32_t version;
    uint8_t jumped; /* the clock is in doubt until somebody accepts it */
    uint8_t zero[3];
    int64_t ahead_ns; /* the wall clock, of the time since boot */
    int64_t latest_s; /* no window begins before this again */
    uint8_t boot_id[16];
};
_Static_assert(sizeof(struct store_clock_row) == 40, "stored");
/* STORE_NOT_FOUND: nothing yet; *out is zero. */
enum store_err store_clock_get(struct store *store, struct store_clock_row *out);
STORE_MUST_CHECK enum store_err store_clock_put(struct store *store,
                                                const struct store_clock_row *row);

/* What directives depend on: kept beside the chain. STORE_NOT_FOUND: nothing yet; *out is zero. */
enum store_err store_direct_get(struct store *store, struct store_direct *out);
/* Appends event, a STORE_TRANSITION or STORE_COOLDOWN of no run, and changes *row, which is as it
 * is stored, as follows from it. */
STORE_MUST_CHECK enum store_err store_direct_change(struct store *store, struct store_event *event,
                                                    struct store_direct *row);
/* A provider's place in it; without one, the place that it would get. */
unsigned store_cooldown_place(const struct store_direct *direct, const char *provider);
enum store_err store_view_direct(struct store_view *view, struct store_direct *out);

/* Appends what was selected for a task: event is a STORE_SELECTED with its task_id. lifts: it may
 * take back that a person has to say yes; else it says so, too. */
STORE_MUST_CHECK enum store_err store_select(struct store *store, struct store_event *event,
                                             bool lifts);
/* STORE_NOT_FOUND: nobody has to say yes to it. */
enum store_err store_task_get(struct store *store, const char *task, struct store_task *out);
enum store_err store_view_task(struct store_view *view, const char *task, struct store_task *out);

/* ---- reading ------------------------------------------------------------------------------ */

enum store_err store_view_next_window(struct store_view *view, const struct store_scope_key *key,
                                      struct store_scope_key *key_out, struct store_counter *out);

/* ---- keys --------------------------------------------------------------------------------- */

void store_scope_global(struct store_scope_key *out);
/* Makes a scope's key that of one of its windows. */
void store_scope_window(struct store_scope_key *scope, enum gov_window window, uint16_t zone,
                        int64_t duration_s, int64_t start_s);

#endif
