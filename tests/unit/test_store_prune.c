/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting: random lives beside the same lives without it. Whatever goes, the proof holds, what
 * is spent and held is the same, and what goes on can go on; what is changed of the rest is found.
 */
#include "tests/unit/chance.h"
#include "tests/unit/store_raw.h"

#define MINUTE (60 * SECOND)
#define CALLS  400u
#define A_RUN  40u /* calls of one, more or less */
#define RUNS   (1 + CALLS / A_RUN)

/* ---- lives ----------------------------------------------------------------------------------- */

struct life {
    struct ledger ledger;
    int64_t now_ns;
};

static void session_key(struct store_scope_key *out, uint64_t run)
{
    store_scope_name(out, GOV_SESSION, run % 2 == 0 ? "even" : "odd");
}

/* Every third run is one in another. */
static uint64_t outer_of(uint64_t run)
{
    return run % 3 == 0 ? run - 1 : 0;
}

static enum store_err live_run(struct life *life, uint64_t run)
{
    struct store_event event;
    struct store_run row = {.state = GOV_RUNNING, .started_ns = life->now_ns};
    enum store_err err;

    head_make(&event, STORE_ALLOCATION, run, 0, life->now_ns);
    (void)snprintf(event.allocation.session, sizeof event.allocation.session, "%s",
                   run % 2 == 0 ? "even" : "odd");
    id_make(row.run_id, 'r', run);
    if (outer_of(run) != 0)
        id_make(event.allocation.parent, 'r', outer_of(run));
    err = store_append(life->ledger.store, &event, sizeof event.allocation);
    row.allocation = event.allocation;
    row.allocation_seq = event.head.seq;
    return err == STORE_OK ? store_run_put(life->ledger.store, &row) : err;
}

static uint64_t run_of(uint64_t call)
{
    return 1 + call / A_RUN;
}

static enum store_err live_admit(struct life *life, uint64_t call)
{
    uint64_t run = run_of(call);
    struct store_scope_key key;
    struct store_event event;
    struct store_call row;

    admission_make(&event, run, call, 10, 10);
    event.head.ts_ns = life->now_ns;
    (void)scope_see_run(&event, run);
    if (outer_of(run) != 0)
        (void)scope_see_run(&event, outer_of(run));
    session_key(&key, run);
    (void)scope_see(&event, &key);
    return store_admit(life->ledger.store, &event, &row);
}

static enum store_err live_settle(struct life *life, uint64_t call, enum store_end end,
                                  int64_t amount, uint8_t object)
{
    struct store_event event;

    consumption_make(&event, call, end, amount, amount);
    event.head.ts_ns = life->now_ns;
    event.consumption.object[0] = object;
    (void)snprintf(event.consumption.model, sizeof event.consumption.model, "served");
    return store_settle(life->ledger.store, &event);
}

static enum store_err live_correct(struct life *life, uint64_t call, int64_t amount)
{
    struct store_event event;

    head_make(&event, STORE_CORRECTED, 0, call, life->now_ns);
    event.corrected.from_pusd = -1;
    event.corrected.to_pusd = amount;
    return store_correct(life->ledger.store, &event);
}

static enum store_err close_run(struct life *life, uint64_t run)
{
    uint8_t id[16];

    id_make(id, 'r', run);
    for (uint64_t call = run > 1 ? (run - 1) * A_RUN : 1; call < run * A_RUN; call++)
        (void)!live_settle(life, call, STORE_UNKNOWN, 7, 0);
    return store_run_close(life->ledger.store, id, GOV_COMPLETED, 0, life->now_ns);
}

static enum store_err do_something(struct life *life, struct chance *chance, uint64_t newest)
{
    uint64_t call = 1 + (uint64_t)chance_below(chance, (int64_t)newest);
    int64_t back = run_of(newest) < 4 ? (int64_t)run_of(newest) : 4;
    uint64_t run = run_of(newest) - (uint64_t)chance_below(chance, back);
    int64_t amount = chance_below(chance, 20);
    struct store_event event;

    switch (chance_below(chance, 8)) {
    case 0:
    case 1:
        return live_admit(life, newest);
    case 2:
        return sent(&life->ledger, call);
    case 3:
    case 4:
        return live_settle(life, call, amount < 15 ? STORE_SETTLED : STORE_RELEASED,
                           amount < 15 ? amount : 0, 0);
    case 5:
        return live_correct(life, call, amount);
    case 6:
        refusal_make(&event, run, 10000 + 100 * run + (uint64_t)amount, 1 + amount);
        event.head.ts_ns = life->now_ns;
        return store_refuse(life->ledger.store, &event);
    default:
        return run + 1 < run_of(newest) ? close_run(life, run) : STORE_OK;
    }
}

/* The same in both; what is gone in one cannot go on there, so it does not in the other. */
static void do_in_both(struct life *pruned, struct life *whole, struct chance *chance,
                       uint64_t newest)
{
    struct chance same = *chance;
    enum store_err err;

    pruned->now_ns = whole->now_ns += 10 * MINUTE;
    err = do_something(pruned, &same, newest);
    if (err != STORE_OK && err != STORE_DUPLICATE && err != STORE_CONFLICT &&
        err != STORE_NOT_FOUND)
        fail_msg("%s", store_strerror(err));
    if (err != STORE_NOT_FOUND)
        (void)!do_something(whole, chance, newest);
    *chance = same;
}

static unsigned prune(struct life *life, int64_t age_ns, unsigned most)
{
    unsigned all = 0, count;

    do {
        enum store_err err;

        begin(&life->ledger);
        err = store_prune(life->ledger.store, life->now_ns, life->now_ns - age_ns, most, &count);
        if (err != STORE_OK)
            fail_msg("pruning: %s", store_strerror(err));
        commit(&life->ledger);
        all += count;
    } while (count == most);
    return all;
}

static uint64_t count_records(struct ledger *ledger)
{
    struct store_view *view = view_of(ledger);
    struct store_event *event = calloc(1, sizeof *event);
    uint64_t count = 0, seq = 1;

    assert_non_null(event);
    for (; store_view_event(view, seq, event) == STORE_OK; seq = event->head.seq + 1)
        count++;
    free(event);
    store_view_close(view);
    return count;
}

static void life_begin(struct life *life)
{
    ledger_new(&life->ledger);
    life->now_ns = NOON;
    begin(&life->ledger);
    for (uint64_t run = 1; run <= RUNS; run++)
        assert_int_equal(live_run(life, run), STORE_OK);
    commit(&life->ledger);
}

static bool has_run(struct life *life, uint64_t run)
{
    struct store_view *view = view_of(&life->ledger);
    struct store_run row;
    uint8_t id[16];
    bool has;

    id_make(id, 'r', run);
    has = store_view_run(view, id, &row) == STORE_OK;
    store_view_close(view);
    return has;
}

struct tally {
    uint64_t went, whole, left;
    unsigned runs_gone;
};

/* What each scope came to, but for runs that are gone: of these nothing is left. */
static void expect_same(struct life *pruned, struct life *whole, uint64_t seed)
{
    for (uint64_t run = 0; run <= RUNS; run++) {
        struct store_scope_key key;
        struct store_counter a, b;
        uint8_t id[16];

        if (run > 0 && !has_run(pruned, run))
            continue;
        id_make(id, 'r', run);
        store_scope_run(&key, id);
        if (run == 0)
            session_key(&key, run);
        a = counter_of(&pruned->ledger, &key);
        b = counter_of(&whole->ledger, &key);
        if (memcmp(a.charged, b.charged, sizeof a.charged) != 0 ||
            memcmp(a.credited, b.credited, sizeof a.credited) != 0 ||
            memcmp(a.held, b.held, sizeof a.held) != 0)
            fail_msg("seed %llu: scope %llu came to %lld instead of %lld", (unsigned long long)seed,
                     (unsigned long long)run, (long long)a.charged[GOV_COST],
                     (long long)b.charged[GOV_COST]);
    }
}

static void settle_all(struct life *life)
{
    begin(&life->ledger);
    for (uint64_t call = 1; call <= CALLS; call++)
        (void)!live_settle(life, call, STORE_UNKNOWN, 7, 0);
    commit(&life->ledger);
}

static void live(uint64_t seed, struct tally *tally)
{
    struct chance chance = {.state = seed};
    struct life pruned, whole;

    life_begin(&pruned);
    life_begin(&whole);
    for (uint64_t call = 1; call <= CALLS; call++) {
        begin(&pruned.ledger);
        begin(&whole.ledger);
        for (int i = 0; i < 6; i++)
            do_in_both(&pruned, &whole, &chance, call);
        commit(&pruned.ledger);
        commit(&whole.ledger);
        if (chance_one_in(&chance, 25)) {
            tally->went +=
                prune(&pruned, 3 * 86400 * SECOND, 1 + (unsigned)chance_below(&chance, 400));
            expect_proven(&pruned.ledger, "pruned");
        }
        if (chance_one_in(&chance, 60)) { /* opened again */
            store_close(pruned.ledger.store);
            ledger_open(&pruned.ledger, false);
            expect_proven(&pruned.ledger, "opened again");
        }
    }
    expect_same(&pruned, &whole, seed);
    settle_all(&pruned);
    settle_all(&whole);
    expect_same(&pruned, &whole, seed);
    expect_proven(&pruned.ledger, "settled");
    expect_proven(&whole.ledger, "the whole one");
    tally->whole += count_records(&whole.ledger);
    tally->left += count_records(&pruned.ledger);
    for (uint64_t run = 1; run <= RUNS; run++)
        tally->runs_gone += !has_run(&pruned, run);
    ledger_free(&pruned.ledger);
    ledger_free(&whole.ledger);
}

static void what_goes_leaves_everything_else_as_it_was(void **state)
{
    unsigned rounds = chance_rounds("FLYBALL_PRUNE_ROUNDS", 30);
    struct tally tally = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= rounds; seed++)
        live(seed, &tally);
    if (getenv("FLYBALL_VERBOSE") != NULL)
        print_message("%llu of %llu records are left, %u of %u runs are gone\n",
                      (unsigned long long)tally.left, (unsigned long long)tally.whole,
                      tally.runs_gone, rounds * RUNS);
    assert_true(tally.left < tally.whole / 2);
    assert_true(tally.went > tally.left);
    assert_true(tally.runs_gone > rounds);
}

/* ---- what stays, what goes ------------------------------------------------------------------- */

/* Run 1 is over, with a call that is; run 2 lives, with one that is over and one in flight, and one
 * that was corrected lately; 600 refusals make it worth the while. */
static void mixed_life(struct life *life)
{
    struct store_event event;
    uint8_t id[16];

    ledger_new(&life->ledger);
    life->now_ns = NOON;
    begin(&life->ledger);
    assert_int_equal(live_run(life, 1), STORE_OK);
    assert_int_equal(live_run(life, 2), STORE_OK);
    assert_int_equal(live_admit(life, 1), STORE_OK);
    for (uint64_t call = A_RUN; call < A_RUN + 3; call++)
        assert_int_equal(live_admit(life, call), STORE_OK);
    for (uint64_t call = 1; call < A_RUN + 2; call += A_RUN - (call > 1) * (A_RUN - 1))
        assert_int_equal(sent(&life->ledger, call), STORE_OK);
    assert_int_equal(live_settle(life, 1, STORE_SETTLED, 5, 9), STORE_OK);
    assert_int_equal(live_settle(life, A_RUN, STORE_SETTLED, 6, 8), STORE_OK);
    assert_int_equal(live_settle(life, A_RUN + 1, STORE_SETTLED, 7, 0), STORE_OK);
    id_make(id, 'r', 1);
    assert_int_equal(store_run_close(life->ledger.store, id, GOV_COMPLETED, 0, NOON), STORE_OK);
    for (uint64_t call = 1000; call < 1600; call++) {
        refusal_make(&event, 2, call, 1);
        assert_int_equal(store_refuse(life->ledger.store, &event), STORE_OK);
    }
    commit(&life->ledger);
    life->now_ns = NOON + 100 * 86400 * SECOND;
    begin(&life->ledger);
    assert_int_equal(live_correct(life, A_RUN + 1, 70), STORE_OK);
    refusal_make(&event, 2, 1000, 5); /* of before, again */
    event.head.ts_ns = life->now_ns;
    assert_int_equal(store_refuse(life->ledger.store, &event), STORE_OK);
    commit(&life->ledger);
}

static bool has_call(struct life *life, uint64_t call)
{
    struct store_view *view = view_of(&life->ledger);
    struct store_call row;
    uint8_t id[16];
    bool has;

    id_make(id, 'c', call);
    has = store_view_call(view, id, &row) == STORE_OK;
    store_view_close(view);
    return has;
}

static void what_is_over_goes_and_what_goes_on_stays(void **state)
{
    struct life life;

    (void)state;
    mixed_life(&life);
    assert_int_equal(prune(&life, 90 * 86400 * SECOND, 10000), 610);
    expect_proven(&life.ledger, "pruned");
    assert_false(has_run(&life, 1));
    assert_true(has_run(&life, 2));
    assert_false(has_call(&life, 1));
    assert_false(has_call(&life, A_RUN));
    assert_true(has_call(&life, A_RUN + 1)); /* corrected lately */
    assert_true(has_call(&life, A_RUN + 2)); /* in flight */
    assert_true(has_call(&life, 1000));      /* refused lately, too */
    assert_false(has_call(&life, 1001));
    assert_int_equal(counter_of_run(&life.ledger, 2).charged[GOV_COST], 6 + 70);
    begin(&life.ledger);
    assert_int_equal(live_settle(&life, A_RUN + 2, STORE_UNKNOWN, 10, 0), STORE_OK);
    assert_int_equal(live_correct(&life, A_RUN + 1, 3), STORE_OK);
    assert_int_equal(live_correct(&life, A_RUN, 3), STORE_NOT_FOUND);
    commit(&life.ledger);
    expect_proven(&life.ledger, "gone on with");
    store_close(life.ledger.store);
    ledger_open(&life.ledger, true);
    expect_proven(&life.ledger, "opened again");
    ledger_free(&life.ledger);
}

/* The outer one is over first, and counts what the inner one does: it stays as long as that. */
static void a_run_goes_after_those_that_were_started_in_it(void **state)
{
    struct life life = {.now_ns = NOON};

    (void)state;
    ledger_new(&life.ledger);
    begin(&life.ledger);
    assert_int_equal(live_run(&life, 2), STORE_OK);
    assert_int_equal(live_run(&life, 3), STORE_OK);
    assert_int_equal(live_admit(&life, 2 * A_RUN), STORE_OK);
    assert_int_equal(close_run(&life, 2), STORE_OK);
    assert_int_equal(live_admit(&life, 2 * A_RUN + 1), STORE_OK);
    commit(&life.ledger);
    life.now_ns += 10 * 86400 * SECOND;
    assert_int_equal(prune(&life, 5 * 86400 * SECOND, 100), 4);
    assert_true(has_run(&life, 2));
    expect_proven(&life.ledger, "the inner one lives");
    begin(&life.ledger);
    assert_int_equal(close_run(&life, 3), STORE_OK);
    assert_int_equal(live_run(&life, 4), STORE_OK);
    commit(&life.ledger);
    life.now_ns += 10 * 86400 * SECOND;
    assert_true(prune(&life, 5 * 86400 * SECOND, 100) > 0);
    assert_false(has_run(&life, 3));
    assert_false(has_run(&life, 2));
    expect_proven(&life.ledger, "both are gone");
    ledger_free(&life.ledger);
}

static enum store_err extend_run(struct life *life, uint64_t run)
{
    struct store_event event;

    head_make(&event, STORE_EXTENDED, run, 0, life->now_ns);
    store_scope_run(&event.extended.key, event.head.run_id);
    event.extended.dim = GOV_COST;
    event.extended.additional = event.extended.limit = 5;
    return store_extend(life->ledger.store, &event);
}

/* What is over may be extended, to go on with it: what is left of it in the chain needs it. */
static void a_run_goes_after_what_was_added_to_it_later(void **state)
{
    struct life life = {.now_ns = NOON};

    (void)state;
    ledger_new(&life.ledger);
    begin(&life.ledger);
    assert_int_equal(live_run(&life, 2), STORE_OK);
    assert_int_equal(close_run(&life, 2), STORE_OK);
    life.now_ns += 10 * 86400 * SECOND;
    assert_int_equal(extend_run(&life, 2), STORE_OK);
    commit(&life.ledger);
    assert_int_equal(prune(&life, 5 * 86400 * SECOND, 100), 2);
    assert_true(has_run(&life, 2));
    expect_proven(&life.ledger, "it was extended");
    life.now_ns += 10 * 86400 * SECOND;
    begin(&life.ledger);
    assert_int_equal(live_run(&life, 4), STORE_OK);
    commit(&life.ledger);
    assert_true(prune(&life, 5 * 86400 * SECOND, 100) > 0);
    assert_false(has_run(&life, 2));
    expect_proven(&life.ledger, "it is gone");
    ledger_free(&life.ledger);
}

/* Once who was charged for it is gone, who asks for it is charged. */
static void an_object_is_forgotten_with_its_call(void **state)
{
    struct life life;

    (void)state;
    mixed_life(&life);
    begin(&life.ledger);
    assert_int_equal(live_admit(&life, A_RUN + 3), STORE_OK);
    assert_int_equal(live_admit(&life, A_RUN + 4), STORE_OK);
    assert_int_equal(live_settle(&life, A_RUN + 3, STORE_SETTLED, 6, 8), STORE_OK); /* counted */
    commit(&life.ledger);
    assert_int_equal(counter_of_run(&life.ledger, 2).charged[GOV_COST], 6 + 70);
    (void)prune(&life, 90 * 86400 * SECOND, 10000);
    expect_proven(&life.ledger, "its call is gone");
    begin(&life.ledger);
    assert_int_equal(live_settle(&life, A_RUN + 4, STORE_SETTLED, 6, 8), STORE_OK);
    commit(&life.ledger);
    assert_int_equal(counter_of_run(&life.ledger, 2).charged[GOV_COST], 12 + 70);
    expect_proven(&life.ledger, "charged again");
    ledger_free(&life.ledger);
}

static void little_is_not_worth_a_checkpoint(void **state)
{
    struct life life;

    (void)state;
    mixed_life(&life);
    assert_int_equal(prune(&life, 101 * 86400 * SECOND, 10000), 0); /* not old enough */
    assert_int_equal(prune(&life, 99 * 86400 * SECOND + 90000 * SECOND, 10000), 0);
    assert_int_equal(prune(&life, 98 * 86400 * SECOND, 10), 610); /* a day too old, in small goes */
    expect_proven(&life.ledger, "in small goes");
    ledger_free(&life.ledger);
}

/* ---- what is changed of the rest ------------------------------------------------------------- */

enum touch { FLIP, FLIP_KEY, DELETE };

static const struct {
    const char *why, *table;
    unsigned row;
    enum touch how;
    size_t at;
} touches[] = {
    {"a sum of what is gone", "base", 1, FLIP, 16},
    {"a run's count of what is gone", "base", 0, FLIP, 17},
    {"a sum that is not there", "base", 1, DELETE, 0},
    {"the sum of another", "base", 1, FLIP_KEY, 30},
    {"how far it went", "meta", 1, FLIP, 0},
    {"where the chain begins", "meta", 1, FLIP, 9},
    {"by which record", "meta", 1, FLIP, 40},
    {"nothing of it", "meta", 1, DELETE, 0},
    {"a record that is kept", "chain", 1, FLIP, 120},
    {"a record that is not kept", "chain", 1, DELETE, 0},
    {"the first that is not pruned", "chain", 5, DELETE, 0},
    {"the checkpoint", "chain", 7, DELETE, 0},
};

static void what_is_changed_of_the_rest_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(touches); i++) {
        struct life life;
        struct store_proof proof;
        struct raw_row row;
        struct raw raw;

        mixed_life(&life);
        (void)prune(&life, 90 * 86400 * SECOND, 10000);
        store_close(life.ledger.store);
        raw_open(&raw, life.ledger.home, touches[i].table);
        assert_true(raw_row(&raw, touches[i].row, &row));
        if (touches[i].how != FLIP)
            raw_delete(&raw, &row);
        if (touches[i].how == FLIP)
            row.value[touches[i].at] ^= 1;
        else
            row.key[touches[i].at] ^= 1;
        if (touches[i].how != DELETE)
            raw_put(&raw, &row);
        raw_close(&raw);
        ledger_open(&life.ledger, true);
        proof = proof_of(&life.ledger, NULL);
        if (proof.chain && proof.sums)
            fail_msg("%s: is not found", touches[i].why);
        ledger_free(&life.ledger);
    }
}

/* A go that would make what was changed look well does not happen. */
static void what_is_not_proven_does_not_go(void **state)
{
    struct life life;
    struct raw_row row;
    struct raw raw;
    unsigned count;

    (void)state;
    mixed_life(&life);
    begin(&life.ledger);
    assert_int_equal(store_prune(life.ledger.store, life.now_ns, NOON + SECOND, 300, &count),
                     STORE_OK);
    assert_int_equal(count, 300);
    commit(&life.ledger);
    store_close(life.ledger.store);
    raw_open(&raw, life.ledger.home, "base");
    assert_true(raw_row(&raw, 1, &row));
    row.value[16] ^= 1;
    raw_put(&raw, &row);
    raw_close(&raw);
    ledger_open(&life.ledger, false);
    begin(&life.ledger);
    assert_int_equal(store_prune(life.ledger.store, life.now_ns, NOON + SECOND, 300, &count),
                     STORE_DAMAGED);
    store_abort(life.ledger.store);
    assert_false(proof_of(&life.ledger, NULL).chain);
    ledger_free(&life.ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_leaves_everything_else_as_it_was),
        cmocka_unit_test(what_is_over_goes_and_what_goes_on_stays),
        cmocka_unit_test(a_run_goes_after_those_that_were_started_in_it),
        cmocka_unit_test(a_run_goes_after_what_was_added_to_it_later),
        cmocka_unit_test(an_object_is_forgotten_with_its_call),
        cmocka_unit_test(little_is_not_worth_a_checkpoint),
        cmocka_unit_test(what_is_changed_of_the_rest_is_found),
        cmocka_unit_test(what_is_not_proven_does_not_go),
    };

    return cmocka_run_group_tests_name("store pruning", tests, NULL, NULL);
}
