/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger against a plain model of it: long random sequences, given up and reopened in between;
 * and windows that begin to count while calls are in flight. */
#include "tests/unit/chance.h"
#include "tests/unit/store_test.h"

#define RUNS   4u
#define SCOPES (RUNS + 2u) /* and a session, and a day */
#define CALLS  64u         /* whose ids come again and again */
#define DAY_S  (NOON / SECOND - 43200)

enum life { NONE, HELD, SENT, ENDED, REFUSED };

struct model_call {
    enum life life;
    unsigned run;
    int64_t hold[3];
    bool in[SCOPES];
    int64_t sent_ns;
};

struct model {
    int64_t charged[SCOPES][3], held[SCOPES][3];
    int64_t in_flight[SCOPES];
    int64_t admitted[RUNS], refused[RUNS], settled[RUNS], flying[RUNS];
    bool closed[RUNS];
    uint64_t records;
    struct model_call calls[CALLS];
};

static void key_of(unsigned scope, struct store_scope_key *out)
{
    uint8_t id[16];

    id_make(id, 'r', scope + 1);
    if (scope < RUNS)
        store_scope_run(out, id);
    else if (scope == RUNS)
        store_scope_name(out, GOV_SESSION, "nightly");
    else
        day_key(out, DAY_S);
}

/* ---- the model's rules -------------------------------------------------------------------- */

struct question {
    unsigned number, run;
    int64_t hold[3];
    bool in[SCOPES];
    int64_t limit[SCOPES][3];
    enum gov_policy policy[SCOPES][3];
    bool other; /* another question under the same id */
};

static enum store_err model_admit(struct model *model, const struct question *question)
{
    struct model_call *call = &model->calls[question->number];

    if (call->life == REFUSED)
        return STORE_CONFLICT;
    if (call->life != NONE)
        return question->other || question->run != call->run ? STORE_CONFLICT : STORE_DUPLICATE;
    for (unsigned s = 0; s < SCOPES; s++)
        for (unsigned d = 0; question->in[s] && d < 3; d++)
            if (question->hold[d] > 0 && question->limit[s][d] > 0 &&
                question->policy[s][d] != GOV_SOFT_WARN &&
                model->charged[s][d] + model->held[s][d] + question->hold[d] >
                    question->limit[s][d])
                return STORE_OVER;
    call->life = HELD;
    call->run = question->run;
    memcpy(call->hold, question->hold, sizeof call->hold);
    memcpy(call->in, question->in, sizeof call->in);
    for (unsigned s = 0; s < SCOPES; s++) {
        for (unsigned d = 0; question->in[s] && d < 3; d++)
            model->held[s][d] += question->hold[d];
        model->in_flight[s] += question->in[s];
    }
    model->admitted[question->run]++;
    model->flying[question->run]++;
    model->records++;
    return STORE_OK;
}

static enum store_err model_sent(struct model *model, unsigned number)
{
    struct model_call *call = &model->calls[number];

    if (call->life != HELD)
        return call->life == NONE   ? STORE_NOT_FOUND
               : call->life == SENT ? STORE_DUPLICATE
                                    : STORE_CONFLICT;
    call->life = SENT;
    for (unsigned s = 0; s < SCOPES; s++)
        if (call->in[s]) {
            model->held[s][GOV_STEPS]--;
            model->charged[s][GOV_STEPS]++;
        }
    return STORE_OK;
}

static enum store_err model_settle(struct model *model, unsigned number, enum store_end end,
                                   int64_t tokens, int64_t cost)
{
    struct model_call *call = &model->calls[number];
    bool sent = call->life == SENT;

    if (call->life != HELD && call->life != SENT)
        return call->life == NONE    ? STORE_NOT_FOUND
               : call->life == ENDED ? STORE_DUPLICATE
                                     : STORE_CONFLICT;
    if (sent && end == STORE_RELEASED)
        return STORE_CONFLICT;
    for (unsigned s = 0; s < SCOPES; s++) {
        if (!call->in[s])
            continue;
        model->held[s][GOV_STEPS] -= !sent;
        model->charged[s][GOV_STEPS] += !sent && end != STORE_RELEASED;
        model->held[s][GOV_TOKENS] -= call->hold[GOV_TOKENS];
        model->held[s][GOV_COST] -= call->hold[GOV_COST];
        model->charged[s][GOV_TOKENS] += tokens;
        model->charged[s][GOV_COST] += cost;
        model->in_flight[s]--;
    }
    call->life = ENDED;
    model->flying[call->run]--;
    model->settled[call->run] += end != STORE_RELEASED;
    model->records++;
    return STORE_OK;
}

/* ---- one thing at random, to both --------------------------------------------------------- */

static void question_make(struct chance *chance, struct question *out)
{
    *out = (struct question){.number = (unsigned)chance_below(chance, CALLS),
                             .run = (unsigned)chance_below(chance, RUNS),
                             .hold = {1, chance_below(chance, 5000), chance_below(chance, 9000)},
                             .other = chance_one_in(chance, 10)};
    out->in[out->run] = true;
    out->in[0] = out->in[0] || chance_one_in(chance, 3); /* the run above */
    out->in[RUNS] = chance_one_in(chance, 2);
    out->in[RUNS + 1] = true;
    for (unsigned s = 0; s < SCOPES; s++)
        for (unsigned d = 0; d < 3; d++)
            if (chance_one_in(chance, 4)) {
                out->limit[s][d] = 1 + chance_below(chance, d == GOV_STEPS ? 300 : 900000);
                out->policy[s][d] = (enum gov_policy)chance_below(chance, GOV_POLICIES);
            }
}

static void admission_of(const struct question *question, struct store_event *out)
{
    admission_make(out, question->run + 1, question->number + 1, question->hold[GOV_TOKENS],
                   question->hold[GOV_COST]);
    out->admission.request_hash[31] = question->other;
    for (unsigned s = 0; s < SCOPES; s++) {
        struct store_scope_key key;
        struct store_scope_seen *seen;

        if (!question->in[s])
            continue;
        key_of(s, &key);
        seen = scope_see(out, &key);
        for (unsigned d = 0; d < 3; d++) {
            seen->limit[d] = question->limit[s][d];
            seen->policy[d] = (uint8_t)question->policy[s][d];
        }
    }
}

/* The first question under an id is the one that is remembered. */
static void do_admit(struct ledger *ledger, struct model *model, struct chance *chance)
{
    struct question question;
    struct store_event event;
    struct store_call call;
    enum store_err want, got;

    question_make(chance, &question);
    if (model->calls[question.number].life == NONE)
        question.other = false;
    admission_of(&question, &event);
    want = model_admit(model, &question);
    got = store_admit(ledger->store, &event, &call);
    if (got != want)
        fail_msg("admit %u: %s, wanted %s", question.number, store_strerror(got),
                 store_strerror(want));
}

static void do_something(struct ledger *ledger, struct model *model, struct chance *chance)
{
    unsigned number = (unsigned)chance_below(chance, CALLS);
    int64_t tokens = chance_below(chance, 6000), cost = chance_below(chance, 9000);
    enum store_end end = (enum store_end)(1 + chance_below(chance, 3));
    struct store_event event;
    unsigned run = (unsigned)chance_below(chance, RUNS);

    if (end == STORE_RELEASED)
        tokens = cost = 0;
    switch (chance_below(chance, 8)) {
    case 0:
    case 1:
    case 2:
        do_admit(ledger, model, chance);
        break;
    case 3:
    case 4:
        assert_int_equal(sent(ledger, number + 1), model_sent(model, number));
        break;
    case 5:
    case 6:
        assert_int_equal(settle(ledger, number + 1, end, tokens, cost),
                         model_settle(model, number, end, tokens, cost));
        break;
    default:
        refusal_make(&event, run + 1, number + 1, 1 + cost);
        assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
        if (model->calls[number].life == NONE)
            model->calls[number].life = REFUSED;
        model->refused[run] += 1 + cost;
        model->records++;
        break;
    }
}

/* ---- comparing ---------------------------------------------------------------------------- */

static void compare(struct ledger *ledger, const struct model *model, unsigned round)
{
    struct store_view *view = view_of(ledger);
    uint64_t seq;
    uint8_t hash[32];

    store_view_head(view, &seq, hash);
    assert_int_equal(seq, model->records);
    for (unsigned s = 0; s < SCOPES; s++) {
        struct store_scope_key key;
        struct store_counter counter;

        key_of(s, &key);
        (void)store_view_counter(view, &key, &counter);
        for (unsigned d = 0; d < 3; d++)
            if (counter.charged[d] != model->charged[s][d] || counter.held[d] != model->held[s][d])
                fail_msg("round %u: scope %u, %s: %lld and %lld, wanted %lld and %lld", round, s,
                         gov_dim_name((enum gov_dim)d), (long long)counter.charged[d],
                         (long long)counter.held[d], (long long)model->charged[s][d],
                         (long long)model->held[s][d]);
        assert_int_equal(counter.in_flight, model->in_flight[s]);
    }
    store_view_close(view);
    for (unsigned run = 0; run < RUNS; run++) {
        struct store_run row = row_of_run(ledger, run + 1);

        assert_int_equal(row.admitted, model->admitted[run]);
        assert_int_equal(row.refused, model->refused[run]);
        assert_int_equal(row.settled, model->settled[run]);
        assert_int_equal(row.in_flight, model->flying[run]);
    }
}

/* New calls under the old numbers would be the same ids: the model forgets nothing, so a ledger
 * lives as long as its ids last. */
static void live(struct chance *chance, unsigned steps)
{
    struct ledger ledger;
    struct model model = {.records = RUNS + 1}, committed;

    ledger_new(&ledger);
    for (unsigned run = 0; run < RUNS; run++)
        run_new(&ledger, run + 1);
    begin(&ledger);
    day_begin(&ledger, DAY_S, 0);
    commit(&ledger);
    committed = model;
    for (unsigned step = 0; step < steps; step++) {
        begin(&ledger);
        for (int64_t i = chance_below(chance, 20); i >= 0; i--)
            do_something(&ledger, &model, chance);
        if (chance_one_in(chance, 5)) {
            store_abort(ledger.store);
            model = committed;
        } else {
            assert_int_equal(store_commit(ledger.store, chance_one_in(chance, 2)), STORE_OK);
            committed = model;
        }
        if (chance_one_in(chance, 10)) {
            store_close(ledger.store);
            ledger_open(&ledger, false);
        }
        compare(&ledger, &model, step);
    }
    expect_proven(&ledger, "at the end of a random life");
    ledger_free(&ledger);
}

static void counters_are_those_of_the_plain_model(void **state)
{
    struct chance chance = {.state = 20260404};
    unsigned rounds = chance_rounds("FLYBALL_STORE_ROUNDS", 60);

    (void)state;
    for (unsigned round = 0; round < rounds; round++)
        live(&chance, 40);
}

/* ---- windows ------------------------------------------------------------------------------ */

static enum store_err admit_at(struct ledger *ledger, uint64_t call, int64_t ts_ns,
                               const struct store_scope_key *window)
{
    struct store_event event;
    struct store_call row;

    admission_make(&event, 1, call, 1000, 500);
    event.head.ts_ns = ts_ns;
    (void)scope_see_run(&event, 1);
    if (window != NULL)
        (void)scope_see(&event, window);
    return store_admit(ledger->store, &event, &row);
}

struct tally {
    unsigned calls;
    int64_t charged[GOV_DIMS];
};

static enum store_err tally_add(void *data, const struct store_event *admission,
                                const int64_t charged[GOV_DIMS])
{
    struct tally *tally = data;

    if (admission->head.ts_ns < DAY_S * SECOND)
        return STORE_OK;
    tally->calls++;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        tally->charged[dim] += charged[dim];
    return STORE_OK;
}

static struct tally tally_of(struct ledger *ledger)
{
    struct tally tally = {0};

    begin(ledger);
    assert_int_equal(store_each_since(ledger->store, DAY_S * SECOND, tally_add, &tally), STORE_OK);
    store_abort(ledger->store);
    return tally;
}

static void calls_since_a_moment_come_with_their_charge_or_hold(void **state)
{
    struct ledger ledger;
    struct tally tally;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit_at(&ledger, 1, DAY_S * SECOND - 1, NULL), STORE_OK); /* yesterday's */
    assert_int_equal(settle(&ledger, 1, STORE_UNKNOWN, 1000, 500), STORE_OK);
    assert_int_equal(admit_at(&ledger, 2, DAY_S * SECOND, NULL), STORE_OK);
    assert_int_equal(sent(&ledger, 2), STORE_OK);
    assert_int_equal(settle(&ledger, 2, STORE_SETTLED, 300, 200), STORE_OK);
    assert_int_equal(admit_at(&ledger, 3, NOON, NULL), STORE_OK);
    assert_int_equal(settle(&ledger, 3, STORE_RELEASED, 0, 0), STORE_OK);
    assert_int_equal(admit_at(&ledger, 4, NOON, NULL), STORE_OK); /* held */
    assert_int_equal(admit_at(&ledger, 5, NOON, NULL), STORE_OK);
    assert_int_equal(sent(&ledger, 5), STORE_OK);
    commit(&ledger);
    tally = tally_of(&ledger);
    assert_int_equal(tally.calls, 4);
    assert_int_equal(tally.charged[GOV_STEPS], 3);
    assert_int_equal(tally.charged[GOV_TOKENS], 2300);
    assert_int_equal(tally.charged[GOV_COST], 1200);
    ledger_free(&ledger);
}

static void a_clock_that_was_set_back_hides_no_call(void **state)
{
    struct ledger ledger;
    struct tally tally;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit_at(&ledger, 1, DAY_S * SECOND + 5, NULL), STORE_OK);
    assert_int_equal(admit_at(&ledger, 2, (DAY_S - 400 * 86400) * SECOND, NULL), STORE_OK);
    assert_int_equal(admit_at(&ledger, 3, DAY_S * SECOND + 9, NULL), STORE_OK);
    commit(&ledger);
    tally = tally_of(&ledger);
    assert_int_equal(tally.calls, 2); /* the first and the last */
    ledger_free(&ledger);
}

static void a_window_begins_with_what_was_charged_before_it(void **state)
{
    struct ledger ledger;
    struct store_scope_key key;
    struct store_counter counter;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    day_key(&key, DAY_S);
    begin(&ledger);
    assert_int_equal(admit_at(&ledger, 1, NOON, NULL), STORE_OK);
    day_begin(&ledger, DAY_S, 500); /* its hold */
    assert_int_equal(admit_at(&ledger, 2, NOON, &key), STORE_OK);
    assert_int_equal(settle(&ledger, 1, STORE_SETTLED, 300, 200), STORE_OK);
    assert_int_equal(settle(&ledger, 2, STORE_SETTLED, 300, 200), STORE_OK);
    commit(&ledger);
    counter = counter_of(&ledger, &key);
    assert_int_equal(counter.charged[GOV_COST], 700);
    assert_int_equal(counter.charged[GOV_STEPS], 1);
    assert_int_equal(counter.held[GOV_COST], 0);
    assert_int_equal(counter.end_s, DAY_S + 86400);
    expect_proven(&ledger, "a window that began in the middle");
    ledger_free(&ledger);
}

/* Decided in the last moment of a day, recorded in the first one of the next. */
static void a_call_belongs_to_the_window_that_admitted_it(void **state)
{
    struct ledger ledger;
    struct store_scope_key yesterday, today;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    day_key(&yesterday, DAY_S - 86400);
    day_key(&today, DAY_S);
    begin(&ledger);
    day_begin(&ledger, DAY_S - 86400, 0);
    assert_int_equal(admit_at(&ledger, 1, DAY_S * SECOND + 1, &yesterday), STORE_OK);
    day_begin(&ledger, DAY_S, 0);
    assert_int_equal(settle(&ledger, 1, STORE_UNKNOWN, 1000, 500), STORE_OK);
    commit(&ledger);
    assert_int_equal(counter_of(&ledger, &yesterday).charged[GOV_COST], 500);
    assert_int_equal(counter_of(&ledger, &today).charged[GOV_COST], 0);
    expect_proven(&ledger, "a call at midnight");
    ledger_free(&ledger);
}

static void windows_are_walked_and_nothing_else(void **state)
{
    static const enum gov_scope_kind kinds[] = {GOV_SESSION, GOV_GLOBAL, GOV_PROJECT};
    struct ledger ledger;
    struct store_view *view;
    struct store_scope_key key, found, *last = NULL;
    struct store_counter counter = {.end_s = 1};
    unsigned windows = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit_at(&ledger, 1, NOON, NULL), STORE_OK);
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) {
        store_scope_name(&key, GOV_SESSION, name);
        assert_int_equal(store_counter_put(ledger.store, &key, &counter), STORE_OK);
    }
    for (unsigned i = 0; i < 3; i++)
        for (int64_t day = 0; day < 3; day++) {
            store_scope_name(&key, kinds[i], "a");
            store_scope_window(&key, GOV_DAILY, 7, 0, day * 86400);
            assert_int_equal(store_counter_put(ledger.store, &key, &counter), STORE_OK);
        }
    commit(&ledger);
    view = view_of(&ledger);
    while (store_view_next_window(view, last, &found, &counter) == STORE_OK) {
        assert_int_equal(found.window, GOV_DAILY);
        windows++;
        last = &found;
    }
    assert_int_equal(windows, 9);
    store_view_close(view);
    ledger_free(&ledger);
}

static void what_is_known_of_the_clock_is_kept(void **state)
{
    struct store_clock_row row = {.ahead_ns = -5, .latest_s = 7, .jumped = 1}, found;
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    begin(&ledger);
    assert_int_equal(store_clock_get(ledger.store, &found), STORE_NOT_FOUND);
    assert_int_equal(store_clock_put(ledger.store, &row), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    ledger_open(&ledger, false);
    begin(&ledger);
    assert_int_equal(store_clock_get(ledger.store, &found), STORE_OK);
    assert_true(found.ahead_ns == -5 && found.latest_s == 7 && found.jumped == 1);
    store_abort(ledger.store);
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_those_of_the_plain_model),
        cmocka_unit_test(calls_since_a_moment_come_with_their_charge_or_hold),
        cmocka_unit_test(a_clock_that_was_set_back_hides_no_call),
        cmocka_unit_test(a_window_begins_with_what_was_charged_before_it),
        cmocka_unit_test(a_call_belongs_to_the_window_that_admitted_it),
        cmocka_unit_test(windows_are_walked_and_nothing_else),
        cmocka_unit_test(what_is_known_of_the_clock_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
