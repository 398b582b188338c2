/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of what stands beside the chain and no counter has: the profile that a person chose,
 * cooldowns, tasks that a person has to say yes to, a clock in doubt. Also once the records that it
 * came of are gone. */
#include "tests/unit/chance.h"
#include "tests/unit/store_raw.h"

#define DAY_NS (86400 * SECOND)

/* ---- lives ---------------------------------------------------------------------------------- */

static void event_new(struct store_event *event, enum store_type type, int64_t ts_ns)
{
    memset(event, 0, sizeof *event);
    event->head.type = (uint16_t)type;
    event->head.ts_ns = ts_ns;
}

static void choose(struct ledger *ledger, int64_t ts_ns, bool by_hand, uint8_t quality)
{
    struct store_direct row;
    struct store_event event;

    (void)!store_direct_get(ledger->store, &row);
    event_new(&event, STORE_TRANSITION, ts_ns);
    event.transition.by_hand = by_hand;
    event.transition.quality = quality;
    assert_int_equal(store_direct_change(ledger->store, &event, &row), STORE_OK);
}

/* run: whose answer was the cause; 0: a person was. */
static void cool(struct ledger *ledger, int64_t ts_ns, uint64_t run, unsigned provider,
                 int64_t until_ns)
{
    struct store_direct row;
    struct store_event event;

    (void)!store_direct_get(ledger->store, &row);
    event_new(&event, STORE_COOLDOWN, ts_ns);
    if (run != 0)
        id_make(event.head.run_id, 'r', run);
    (void)snprintf(event.cooldown.provider, sizeof event.cooldown.provider, "p%u", provider);
    event.cooldown.until_ns = until_ns;
    assert_int_equal(store_direct_change(ledger->store, &event, &row), STORE_OK);
}

static void classify(struct ledger *ledger, int64_t ts_ns, const char *task, uint8_t risk,
                     bool requires, bool lifts)
{
    struct store_event event;

    event_new(&event, STORE_SELECTED, ts_ns);
    (void)snprintf(event.selected.task_id, sizeof event.selected.task_id, "%s", task);
    event.selected.risk = risk;
    event.selected.requires_approval = requires;
    assert_int_equal(store_select(ledger->store, &event, lifts), STORE_OK);
}

static void doubt(struct ledger *ledger, int64_t ts_ns, bool jumped)
{
    struct store_clock_row row;
    struct store_event event;

    (void)!store_clock_get(ledger->store, &row);
    event_new(&event, STORE_CLOCK, ts_ns);
    event.clock.word = jumped ? STORE_CLOCK_JUMPED : STORE_CLOCK_ACCEPTED;
    assert_int_equal(store_append(ledger->store, &event, sizeof event.clock), STORE_OK);
    row.jumped = jumped;
    assert_int_equal(store_clock_put(ledger->store, &row), STORE_OK);
}

/* What runs are told, and what is chosen for their calls, is for the log alone. */
static void log_of_a_run(struct ledger *ledger, int64_t ts_ns)
{
    struct store_event event;

    event_new(&event, STORE_TRANSITION, ts_ns);
    id_make(event.head.run_id, 'r', 1);
    event.transition.quality = 2;
    assert_int_equal(store_append(ledger->store, &event, sizeof event.transition), STORE_OK);
    event_new(&event, STORE_SELECTED, ts_ns);
    id_make(event.head.run_id, 'r', 1);
    id_make(event.head.call_id, 'c', 1);
    (void)strcpy(event.selected.task_id, "pay");
    event.selected.risk = 1;
    assert_int_equal(store_append(ledger->store, &event, sizeof event.selected), STORE_OK);
}

static void forget_all(struct ledger *ledger)
{
    unsigned count;

    begin(ledger);
    assert_int_equal(
        store_prune(ledger->store, NOON + 40 * DAY_NS, NOON + 30 * DAY_NS, 1000, &count), STORE_OK);
    assert_true(count > 5);
    commit(ledger);
}

/* forgotten: the records that it came of are gone. */
static void ledger_of_all(struct ledger *ledger, bool forgotten)
{
    ledger_new(ledger);
    run_new(ledger, 1);
    begin(ledger);
    choose(ledger, NOON, true, 2);
    cool(ledger, NOON, 0, 1, NOON + 400 * DAY_NS);
    cool(ledger, NOON, 1, 2, NOON + DAY_NS);
    classify(ledger, NOON, "docs", 1, true, true);
    classify(ledger, NOON, "pay", 3, true, true);
    classify(ledger, NOON, "pay", 1, false, false);
    classify(ledger, NOON, "pay", 2, true, false);
    doubt(ledger, NOON, true);
    log_of_a_run(ledger, NOON);
    commit(ledger);
    if (forgotten)
        forget_all(ledger);
    expect_proven(ledger, forgotten ? "forgotten" : "before anything is touched");
    store_close(ledger->store);
    ledger->store = NULL;
}

/* ---- touching ------------------------------------------------------------------------------- */

enum harm { FLIP, TAKE_AWAY, RENAME };

static bool is_proven(struct ledger *ledger, struct store_proof *proof)
{
    ledger_open(ledger, true);
    *proof = proof_of(ledger, NULL);
    store_close(ledger->store);
    ledger->store = NULL;
    return proof->chain && proof->sums && proof->caps;
}

static void expect_found(struct ledger *ledger, const struct raw_row *row, enum harm how, size_t at)
{
    struct raw_row harmed = *row;
    struct store_proof proof;
    struct raw raw;
    bool proven;

    raw_open(&raw, ledger->home, "meta");
    if (how == FLIP)
        harmed.value[at] ^= 1;
    else
        raw_delete(&raw, row);
    if (how == RENAME)
        harmed.key[at] ^= 1;
    if (how != TAKE_AWAY)
        raw_put(&raw, &harmed);
    raw_close(&raw);
    proven = is_proven(ledger, &proof);
    if (proven || !proof.chain)
        fail_msg("%.6s, harm %d at %zu: %s", (const char *)row->key, how, at,
                 proven ? "not found" : proof.what);
    raw_open(&raw, ledger->home, "meta");
    if (how == RENAME)
        raw_delete(&raw, &harmed);
    raw_put(&raw, row);
    raw_close(&raw);
}

static void every_byte_of_it_counts(void **state)
{
    (void)state;
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        struct ledger ledger;
        struct store_proof proof;
        unsigned seen = 0;

        ledger_of_all(&ledger, forgotten != 0);
        for (unsigned n = 0;; n++) {
            struct raw_row row;
            struct raw raw;
            bool there, clock;

            raw_open(&raw, ledger.home, "meta");
            there = raw_row(&raw, n, &row);
            raw_close(&raw);
            if (!there)
                break;
            clock = memcmp(row.key, "clock", 5) == 0;
            if (!clock && memcmp(row.key, "direct", 6) != 0 && memcmp(row.key, "task", 4) != 0)
                continue;
            seen++;
            for (size_t at = 0; at < row.value_bytes; at += at < 32 ? 1 : 7)
                if (!clock || at == offsetof(struct store_clock_row, jumped))
                    expect_found(&ledger, &row, FLIP, at);
            for (size_t at = 0; at < row.key_bytes; at++)
                expect_found(&ledger, &row, RENAME, at);
            expect_found(&ledger, &row, TAKE_AWAY, 0);
        }
        assert_int_equal(seen, 4);
        assert_true(is_proven(&ledger, &proof));
        ledger_free(&ledger);
    }
}

/* Whoever goes from record to record comes to the end. */
static void a_record_at_another_place_is_found_and_not_followed(void **state)
{
    struct ledger ledger;
    struct store_proof proof;
    struct raw_row row;
    struct raw raw;

    (void)state;
    ledger_of_all(&ledger, true);
    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, 0, &row)); /* of the run that lives: it was kept */
    assert_int_equal(row.key[7], 1);
    row.key[7] = 4;
    raw_put(&raw, &row);
    raw_close(&raw);
    assert_false(is_proven(&ledger, &proof));
    ledger_free(&ledger);
}

/* ---- untouched ------------------------------------------------------------------------------ */

static void do_something(struct ledger *ledger, struct chance *chance, int64_t ts_ns)
{
    static const char *const tasks[] = {"pay", "docs", "tests"};
    unsigned which = (unsigned)chance_below(chance, 3);

    switch (chance_below(chance, 6)) {
    case 0:
        choose(ledger, ts_ns, chance_one_in(chance, 2), (uint8_t)which);
        break;
    case 1:
        cool(ledger, ts_ns, which, (unsigned)chance_below(chance, 20),
             chance_one_in(chance, 4) ? 0 : ts_ns + chance_below(chance, 100) * DAY_NS);
        break;
    case 2:
    case 3:
        classify(ledger, ts_ns, tasks[which], (uint8_t)chance_below(chance, 4),
                 chance_one_in(chance, 2), chance_one_in(chance, 2));
        break;
    case 4:
        doubt(ledger, ts_ns, chance_one_in(chance, 2));
        break;
    default:
        log_of_a_run(ledger, ts_ns);
        break;
    }
}

static void what_nobody_touched_is_never_suspected(void **state)
{
    struct chance chance = {.state = 20260417};

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct ledger ledger;
        int64_t ts_ns = NOON;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        for (unsigned left = 1 + (unsigned)chance_below(&chance, 60); left > 0; left--) {
            unsigned count;

            ts_ns += DAY_NS;
            begin(&ledger);
            do_something(&ledger, &chance, ts_ns);
            if (chance_one_in(&chance, 5))
                assert_int_equal(
                    store_prune(ledger.store, ts_ns, ts_ns - 10 * DAY_NS, 1000, &count), STORE_OK);
            if (chance_one_in(&chance, 6))
                store_abort(ledger.store);
            else
                commit(&ledger);
            expect_proven(&ledger, "a random life");
        }
        ledger_free(&ledger);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_of_it_counts),
        cmocka_unit_test(a_record_at_another_place_is_found_and_not_followed),
        cmocka_unit_test(what_nobody_touched_is_never_suspected),
    };

    return cmocka_run_group_tests_name("verify: what stands beside the chain", tests, NULL, NULL);
}
