/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/sim.h"

#include <stdio.h>
#include <string.h>

/* ---- comparing ------------------------------------------------------------------------------ */

static bool counter_is(struct store_view *view, const char *what, unsigned number,
                       const struct store_scope_key *key, const struct sim_sum *want, char *why,
                       size_t size)
{
    struct store_counter got;

    (void)store_view_counter(view, key, &got);
    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++)
        if (got.charged[dim] != want->charged[dim] || got.held[dim] != want->held[dim] ||
            got.in_flight != want->in_flight) {
            (void)snprintf(
                why, size,
                "%s %u, %s: %lld charged, %lld held, %u in flight; wanted %lld, %lld, %u", what,
                number, gov_dim_name((enum gov_dim)dim), (long long)got.charged[dim],
                (long long)got.held[dim], got.in_flight, (long long)want->charged[dim],
                (long long)want->held[dim], want->in_flight);
            return false;
        }
    return true;
}

/* One that has not begun to count has no counter. */
static bool day_is(struct store_view *view, int day, bool open, const struct sim_sum *want,
                   char *why, size_t size)
{
    struct store_scope_key key;
    struct store_counter got;
    enum store_err err;

    sim_key_of_day(day, &key);
    err = store_view_counter(view, &key, &got);
    (void)snprintf(why, size, "day %d has a counter, or none", day);
    if (open != (err == STORE_OK && got.end_s != 0))
        return false;
    return !open || counter_is(view, "day", (unsigned)day, &key, want, why, size);
}

static bool call_is(struct store_view *view, unsigned number, const struct sim_call *want)
{
    static const enum store_call_state states[] = {[SIM_HELD] = STORE_CALL_HELD,
                                                   [SIM_SENT] = STORE_CALL_SENT,
                                                   [SIM_ENDED] = STORE_CALL_ENDED,
                                                   [SIM_REFUSED] = STORE_CALL_REFUSED};
    struct store_call row;
    uint8_t id[16];
    enum store_err err;

    sim_id_of('c', number + 1, id);
    err = store_view_call(view, id, &row);
    return want->life == SIM_NONE ? err == STORE_NOT_FOUND
                                  : err == STORE_OK && row.state == states[want->life];
}

bool sim_ledger_is(const struct sim_model *model, char *why, size_t size)
{
    struct store_view *view;
    struct store_scope_key key;
    struct sim_sum sum;
    uint8_t hash[32];
    uint64_t seq;
    bool same;

    sim_must(store_view_open(sim_world.store, &view), "view");
    store_view_head(view, &seq, hash);
    same = seq == model->records;
    (void)snprintf(why, size, "%llu records, wanted %llu", (unsigned long long)seq,
                   (unsigned long long)model->records);
    for (unsigned scope = 0; scope < SIM_SCOPES && same; scope++) {
        sim_key_of(scope, &key);
        sum = sim_sum_of(model, scope);
        same = counter_is(view, "scope", scope, &key, &sum, why, size);
    }
    for (int day = 0; day < SIM_DAYS && same; day++) {
        sum = sim_sum_of_day(model, day);
        same = day_is(view, day, model->days[day].open, &sum, why, size);
    }
    for (unsigned number = 0; number < sim_world.calls && same; number++) {
        same = call_is(view, number, &model->calls[number]);
        (void)snprintf(why, same ? 0 : size, "call %u is in another state", number);
    }
    store_view_close(view);
    return same;
}

void sim_compare(const struct sim_model *model, const char *when)
{
    char why[200];

    if (!sim_ledger_is(model, why, sizeof why))
        sim_wrong("%s: %s", when, why);
}

void sim_prove(void)
{
    struct store_view *view;
    struct store_proof proof;

    sim_must(store_view_open(sim_world.store, &view), "view");
    sim_must(store_verify(view, NULL, NULL, NULL, &proof), "verify");
    store_view_close(view);
    if (!proof.chain || !proof.sums || !proof.caps)
        sim_wrong("verify: record %llu: %s", (unsigned long long)proof.first_bad, proof.what);
}

/* The chain's head has every record in it; the counters stand beside. */
void sim_digest(uint8_t out[32])
{
    static struct {
        uint8_t head[32];
        struct store_counter counters[SIM_SCOPES + SIM_DAYS];
    } left;
    struct store_view *view;
    struct store_scope_key key;
    uint64_t seq;

    memset(&left, 0, sizeof left);
    sim_must(store_view_open(sim_world.store, &view), "view");
    store_view_head(view, &seq, left.head);
    for (unsigned i = 0; i < SIM_SCOPES + SIM_DAYS; i++) {
        if (i < SIM_SCOPES)
            sim_key_of(i, &key);
        else
            sim_key_of_day((int)(i - SIM_SCOPES), &key);
        (void)store_view_counter(view, &key, &left.counters[i]);
    }
    store_view_close(view);
    store_sha256(&left, sizeof left, out);
}
