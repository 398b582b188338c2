/* SPDX-License-Identifier: Apache-2.0 */
/* What a run used without a call of its own: bytes that its processes wrote and sent, the time of
 * its longest command, time that does not count; and calls that failed in a row. */
#include "store/store_int.h"

#include <string.h>

static void add_to(int64_t *amount, int64_t more)
{
    if (__builtin_add_overflow(*amount, more, amount))
        *amount = INT64_MAX;
}

/* What shrinks is credited: a counter never goes down. A command's time and the clock are a run's
 * own. */
void store_counter_used(struct store_counter *counter, const struct store_scope_key *key,
                        const struct store_used *used)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t added = used->added[dim];

        if ((dim == GOV_WALL || dim == GOV_COMMAND) && key->kind != GOV_RUN)
            continue;
        add_to(added > 0 ? &counter->charged[dim] : &counter->credited[dim],
               added > 0 ? added : -added);
    }
}

/* The row of failures ends with the first call that did not fail. Not in windows: what is booked
 * into them late comes in another order. */
void store_counter_burst(struct store_counter *counter, const struct store_scope_key *key,
                         const struct store_consumption *used)
{
    if (key->window != GOV_WHOLE || (used->flags & STORE_READ_ONLY_CALL) != 0)
        return;
    if (used->error)
        add_to(&counter->charged[GOV_ERRORS], 1);
    else if (used->end != STORE_RELEASED)
        counter->credited[GOV_ERRORS] = counter->charged[GOV_ERRORS];
}

static enum store_err use_in(struct store *store, const struct store_scope_seen *seen,
                             struct store_used *used, const int64_t limits[GOV_DIMS])
{
    struct store_counter counter;
    enum store_err err = store_counter_get(store, &seen->key, &counter);

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    store_counter_used(&counter, &seen->key, used);
    for (unsigned dim = 0; limits != NULL && dim < GOV_DIMS; dim++) {
        int64_t left = limits[dim] - store_spent(&counter, (enum gov_dim)dim);

        used->remaining[dim] = limits[dim] == 0 || dim == GOV_WALL ? -1 : left > 0 ? left : 0;
    }
    return store_counter_put(store, &seen->key, &counter);
}

enum store_err store_use(struct store *store, struct store_event *event)
{
    struct store_run run;
    enum store_err err = store_run_get(store, event->head.run_id, &run);

    if (err != STORE_OK)
        return err;
    event->head.type = STORE_USED;
    for (unsigned i = 0; i < event->head.scope_count && err == STORE_OK; i++)
        err = use_in(store, &event->scopes[i], &event->used, i == 0 ? run.allocation.limits : NULL);
    if (err == STORE_OK)
        err = store_append(store, event, sizeof event->used);
    if (err != STORE_OK && store->spoilt == STORE_OK)
        store->spoilt = err; /* of what was written nothing may count */
    return err;
}
