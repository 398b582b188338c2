/* SPDX-License-Identifier: Apache-2.0 */
/* Limits at a moment: as they were given, with what people have added, for good or for a time. */
#include "sidecar/orders.h"

#include <stdlib.h>
#include <string.h>

bool side_override_meets(const struct store_override *override, const struct store_scope_key *key,
                         const char *session)
{
    struct store_scope_key named;

    if (override->key.kind == GOV_GLOBAL ||
        (override->key.kind == key->kind && /* in whichever window */
         memcmp(override->key.id, key->id, sizeof key->id) == 0))
        return true;
    if (override->key.kind != GOV_SESSION || key->kind != GOV_RUN)
        return false;
    store_scope_name(&named, GOV_SESSION, session);
    return memcmp(&named, &override->key, sizeof named) == 0;
}

static int64_t add_sat(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* An override raises a limit to twice what was given, at most; nothing raises it above a ceiling.
 */
bool side_scope_limits(const struct store_override *overrides, unsigned count,
                       const struct store_scope_key *key, const char *session,
                       const struct gov_limit *ceilings, const struct store_counter *counter,
                       int64_t now_ns, struct gov_limit limits[GOV_DIMS])
{
    bool overridden = false;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t given = limits[dim].amount, extended, raised;
        int64_t ceiling = ceilings != NULL ? ceilings[dim].amount : 0;

        if (given <= 0)
            continue;
        raised = extended = add_sat(given, counter->extended[dim]);
        for (unsigned i = 0; i < count; i++)
            if (overrides[i].delta[dim] > 0 && now_ns < overrides[i].expires_ns &&
                side_override_meets(&overrides[i], key, session))
                raised = add_sat(raised, overrides[i].delta[dim]);
        if (raised > add_sat(given, given))
            raised = add_sat(given, given);
        limits[dim].amount = raised > extended ? raised : extended;
        if (ceiling > 0 && limits[dim].amount > ceiling)
            limits[dim].amount = ceiling;
        overridden = overridden || limits[dim].amount > extended;
    }
    return overridden;
}

unsigned side_overrides_of(struct store_view *view, struct store_override out[SIDE_OVERRIDES])
{
    const uint8_t *last = NULL;
    unsigned count = 0;

    while (count < SIDE_OVERRIDES && store_view_next_override(view, last, &out[count]) == STORE_OK)
        last = out[count++].id;
    return count;
}

void side_limits_now(struct store_view *view, const struct store_run *run,
                     const struct gov_limit *ceilings, int64_t limits[GOV_DIMS])
{
    struct store_override *overrides = calloc(SIDE_OVERRIDES, sizeof *overrides);
    struct gov_limit now[GOV_DIMS];
    struct store_scope_key key;
    struct store_counter counter;
    unsigned count = overrides != NULL ? side_overrides_of(view, overrides) : 0;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        now[dim].amount = run->allocation.limits[dim];
    store_scope_run(&key, run->run_id);
    (void)store_view_counter(view, &key, &counter);
    (void)side_scope_limits(overrides, count, &key, run->allocation.session, ceilings, &counter,
                            side_now_ns(), now);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        limits[dim] = now[dim].amount;
    free(overrides);
}

int64_t side_wall_left_ms(int64_t limit_ms, const struct store_run *row,
                          const struct store_counter *counter, int64_t now_ns)
{
    int64_t left = limit_ms - store_spent(counter, GOV_WALL) -
                   (now_ns - row->started_ns - store_paused_ns(row, now_ns)) / 1000000;

    return left > 0 ? left : 0;
}
