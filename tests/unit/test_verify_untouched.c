/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of ledgers that nobody touched: random lives, with a day that begins to count somewhere
 * in them, transactions given up, and opened again; no suspicion in any. */
#include "tests/unit/chance.h"
#include "tests/unit/store_test.h"

#define DAY (NOON / SECOND - 43200)

/* Around the beginning of the day; once that counts, calls name it. */
static enum store_err admit_some_time(struct ledger *ledger, struct chance *chance, uint64_t call,
                                      bool counts)
{
    int64_t time_s = DAY - 43200 + chance_below(chance, 86400);
    struct store_scope_key key;
    struct store_event event;
    struct store_call row;

    admission_make(&event, 1 + call % 3, call, 10, 10);
    event.head.ts_ns = time_s * SECOND;
    (void)scope_see_run(&event, 1 + call % 3);
    day_key(&key, DAY);
    if (counts && time_s >= DAY)
        (void)scope_see(&event, &key);
    return store_admit(ledger->store, &event, &row);
}

static void do_something(struct ledger *ledger, struct chance *chance, bool day)
{
    uint64_t call = 1 + (uint64_t)chance_below(chance, 30), run = 1 + call % 3;
    int64_t amount = chance_below(chance, 2000);
    struct store_event event;
    enum store_err err = STORE_OK;
    uint8_t id[16];

    id_make(id, 'r', run);
    switch (chance_below(chance, 9)) {
    case 0:
    case 1:
        err = admit_some_time(ledger, chance, call, day);
        break;
    case 2:
    case 3:
        err = sent(ledger, call);
        break;
    case 4:
        err = settle(ledger, call, STORE_SETTLED, amount, amount);
        break;
    case 5:
        err = settle(ledger, call, chance_one_in(chance, 2) ? STORE_UNKNOWN : STORE_RELEASED, 0, 0);
        break;
    case 6:
        refusal_make(&event, run, call, 1 + amount);
        err = store_refuse(ledger->store, &event);
        break;
    case 7:
        if (chance_one_in(chance, 10))
            err = store_run_close(ledger->store, id, GOV_COMPLETED, 0, NOON);
        break;
    default:
        if (chance_one_in(chance, 10))
            run_fail(ledger, run);
        break;
    }
    assert_true(err == STORE_OK || err == STORE_DUPLICATE || err == STORE_CONFLICT ||
                err == STORE_NOT_FOUND);
}

static void live(struct ledger *ledger, struct chance *chance)
{
    bool day = false;

    for (uint64_t run = 1; run <= 3; run++)
        run_new(ledger, run);
    for (int64_t left = 1 + chance_below(chance, 10); left > 0; left--) {
        bool begins = !day && chance_one_in(chance, 4);

        begin(ledger);
        for (int64_t i = chance_below(chance, 30); i >= 0; i--)
            do_something(ledger, chance, day);
        if (begins)
            day_begin(ledger, DAY, chance_below(chance, 1000));
        if (chance_one_in(chance, 6)) {
            store_abort(ledger->store);
        } else {
            commit(ledger);
            day = day || begins;
        }
    }
}

static void a_ledger_that_nobody_touched_is_never_suspected(void **state)
{
    struct chance chance = {.state = 20260405};
    unsigned rounds = chance_rounds("FLYBALL_VERIFY_ROUNDS", 500);

    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct ledger ledger;

        ledger_new(&ledger);
        live(&ledger, &chance);
        expect_proven(&ledger, "a random ledger");
        if (chance_one_in(&chance, 4)) {
            store_close(ledger.store);
            ledger_open(&ledger, chance_one_in(&chance, 2));
            expect_proven(&ledger, "a random ledger, opened again");
        }
        ledger_free(&ledger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_that_nobody_touched_is_never_suspected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
