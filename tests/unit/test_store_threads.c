/* SPDX-License-Identifier: Apache-2.0 */
/* One thread writes, others read: every view is of one moment, and proves. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/chance.h"
#include "tests/unit/store_test.h"

#define READERS 3u

struct shared {
    struct ledger ledger;
    atomic_uint commits, views, wrong;
    unsigned wanted; /* commits */
};

static void write_some(struct shared *shared, struct chance *chance, uint64_t *next)
{
    begin(&shared->ledger);
    for (int64_t i = chance_below(chance, 10); i >= 0; i--) {
        uint64_t call = (*next)++;

        assert_int_equal(admit(&shared->ledger, 1, call, 1000, 500), STORE_OK);
        if (chance_one_in(chance, 2))
            assert_int_equal(sent(&shared->ledger, call), STORE_OK);
        if (chance_one_in(chance, 2))
            assert_int_equal(settle(&shared->ledger, call, STORE_UNKNOWN, 1000, 500), STORE_OK);
    }
    if (chance_one_in(chance, 5))
        store_abort(shared->ledger.store);
    else
        commit(&shared->ledger);
}

/* In a view all that was admitted is either charged or held, whatever is being written. */
static bool view_is_whole(struct shared *shared)
{
    struct store_view *view;
    struct store_scope_key key;
    struct store_counter counter;
    struct store_run run;
    struct store_proof proof;
    uint8_t id[16];
    bool whole;

    if (store_view_open(shared->ledger.store, &view) != STORE_OK)
        return false;
    id_make(id, 'r', 1);
    store_scope_run(&key, id);
    (void)store_view_counter(view, &key, &counter);
    whole = store_view_run(view, id, &run) == STORE_OK &&
            counter.charged[GOV_COST] + counter.held[GOV_COST] == 500 * run.admitted &&
            counter.in_flight == run.in_flight &&
            store_verify(view, NULL, NULL, NULL, &proof) == STORE_OK && proof.chain && proof.sums &&
            proof.caps;
    store_view_close(view);
    return whole;
}

static void *reader(void *data)
{
    struct shared *shared = data;

    do {
        if (!view_is_whole(shared))
            shared->wrong++;
        shared->views++;
    } while (shared->commits < shared->wanted);
    return NULL;
}

static void readers_see_whole_transactions(void **state)
{
    static struct shared shared;
    struct chance chance = {.state = 20260410};
    pthread_t threads[READERS];
    uint64_t next = 1;

    (void)state;
    ledger_new(&shared.ledger);
    run_new(&shared.ledger, 1);
    shared.wanted = chance_rounds("FLYBALL_THREADS_ROUNDS", 100);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &shared), 0);
    for (; shared.commits < shared.wanted; shared.commits++)
        write_some(&shared, &chance, &next);
    for (unsigned i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(shared.wrong, 0);
    assert_true(shared.views >= READERS);
    ledger_free(&shared.ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_transactions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
