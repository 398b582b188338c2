/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what may happen to a call, in which order, and what stands in it afterwards. Opening
 * and closing is in test_store_open.c, long random sequences in test_store_model.c. */
#include "tests/unit/store_test.h"

/* ---- the life of a call ------------------------------------------------------------------- */

enum where { NOWHERE, HELD, SENT, SETTLED, UNKNOWN, RELEASED, REFUSED };

static const char *const where_names[] = {"nowhere", "held",     "sent",   "settled",
                                          "unknown", "released", "refused"};

enum deed {
    ADMIT,
    ADMIT_OTHER_QUESTION,
    ADMIT_OTHER_RUN,
    SEND,
    SETTLE,
    CHARGE_UNKNOWN,
    RELEASE,
    PROGRESS,
};

static const char *const deed_names[] = {"admit",
                                         "admit another question",
                                         "admit for another run",
                                         "send",
                                         "settle",
                                         "charge unknown",
                                         "release",
                                         "note progress"};

/* Rows in the order of enum where, columns in that of enum deed. */
static const enum store_err lives[][8] = {
    [NOWHERE] = {STORE_OK, STORE_OK, STORE_OK, STORE_NOT_FOUND, STORE_NOT_FOUND, STORE_NOT_FOUND,
                 STORE_NOT_FOUND, STORE_NOT_FOUND},
    [HELD] = {STORE_DUPLICATE, STORE_CONFLICT, STORE_CONFLICT, STORE_OK, STORE_OK, STORE_OK,
              STORE_OK, STORE_OK},
    [SENT] = {STORE_DUPLICATE, STORE_CONFLICT, STORE_CONFLICT, STORE_DUPLICATE, STORE_OK, STORE_OK,
              STORE_CONFLICT, STORE_OK},
    [SETTLED] = {STORE_DUPLICATE, STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT, STORE_DUPLICATE,
                 STORE_DUPLICATE, STORE_DUPLICATE, STORE_CONFLICT},
    [UNKNOWN] = {STORE_DUPLICATE, STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT, STORE_DUPLICATE,
                 STORE_DUPLICATE, STORE_DUPLICATE, STORE_CONFLICT},
    [RELEASED] = {STORE_DUPLICATE, STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT, STORE_DUPLICATE,
                  STORE_DUPLICATE, STORE_DUPLICATE, STORE_CONFLICT},
    [REFUSED] = {STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT,
                 STORE_CONFLICT, STORE_CONFLICT, STORE_CONFLICT},
};

static void call_bring(struct ledger *ledger, enum where where)
{
    struct store_event refusal;

    begin(ledger);
    if (where == REFUSED) {
        refusal_make(&refusal, 1, 7, 1);
        assert_int_equal(store_refuse(ledger->store, &refusal), STORE_OK);
    } else if (where != NOWHERE) {
        assert_int_equal(admit(ledger, 1, 7, 1000, 500), STORE_OK);
    }
    if (where == SENT || where == SETTLED || where == UNKNOWN)
        assert_int_equal(sent(ledger, 7), STORE_OK);
    if (where == SETTLED)
        assert_int_equal(settle(ledger, 7, STORE_SETTLED, 300, 200), STORE_OK);
    else if (where == UNKNOWN)
        assert_int_equal(settle(ledger, 7, STORE_UNKNOWN, 1000, 500), STORE_OK);
    else if (where == RELEASED)
        assert_int_equal(settle(ledger, 7, STORE_RELEASED, 0, 0), STORE_OK);
    commit(ledger);
}

static enum store_err deed_do(struct ledger *ledger, enum deed deed)
{
    struct store_event event;
    struct store_call call;

    switch (deed) {
    case ADMIT:
    case ADMIT_OTHER_QUESTION:
    case ADMIT_OTHER_RUN:
        admission_make(&event, deed == ADMIT_OTHER_RUN ? 2 : 1, 7, 1000, 500);
        (void)scope_see_run(&event, deed == ADMIT_OTHER_RUN ? 2 : 1);
        event.admission.request_hash[9] = deed == ADMIT_OTHER_QUESTION;
        return store_admit(ledger->store, &event, &call);
    case SEND:
        return sent(ledger, 7);
    case SETTLE:
        return settle(ledger, 7, STORE_SETTLED, 300, 200);
    case CHARGE_UNKNOWN:
        return settle(ledger, 7, STORE_UNKNOWN, 1000, 500);
    case RELEASE:
        return settle(ledger, 7, STORE_RELEASED, 0, 0);
    case PROGRESS:
        admission_make(&event, 1, 7, 0, 0);
        return store_progress_put(ledger->store, event.head.call_id, "here", 4);
    }
    return STORE_OK;
}

/* Everything that the two runs of these tests and their call are made of. */
struct picture {
    uint64_t seq;
    uint8_t head[32];
    struct store_counter counters[2];
    struct store_run runs[2];
    struct store_call call;
    char progress[4];
};

static void picture_take(struct ledger *ledger, struct picture *out)
{
    struct store_view *view = view_of(ledger);
    uint8_t call_id[16];

    memset(out, 0, sizeof *out);
    store_view_head(view, &out->seq, out->head);
    id_make(call_id, 'c', 7);
    (void)store_view_call(view, call_id, &out->call);
    (void)store_view_progress(view, call_id, out->progress, sizeof out->progress);
    store_view_close(view);
    for (unsigned i = 0; i < 2; i++) {
        out->counters[i] = counter_of_run(ledger, i + 1);
        out->runs[i] = row_of_run(ledger, i + 1);
    }
}

static void check_life(enum where where, enum deed deed)
{
    struct ledger ledger;
    struct picture before, after;
    enum store_err got;

    ledger_new(&ledger);
    run_new(&ledger, 1);
    run_new(&ledger, 2);
    call_bring(&ledger, where);
    picture_take(&ledger, &before);
    begin(&ledger);
    got = deed_do(&ledger, deed);
    commit(&ledger);
    picture_take(&ledger, &after);
    if (got != lives[where][deed])
        fail_msg("%s, %s: %s, wanted %s", where_names[where], deed_names[deed], store_strerror(got),
                 store_strerror(lives[where][deed]));
    if ((memcmp(&before, &after, sizeof before) == 0) != (got != STORE_OK))
        fail_msg("%s, %s: %s, and the ledger %s", where_names[where], deed_names[deed],
                 store_strerror(got), got == STORE_OK ? "is as before" : "has changed");
    expect_proven(&ledger, deed_names[deed]);
    ledger_free(&ledger);
}

static void a_call_has_one_hold_and_one_end(void **state)
{
    (void)state;
    for (unsigned where = NOWHERE; where <= REFUSED; where++)
        for (unsigned deed = ADMIT; deed <= PROGRESS; deed++)
            check_life((enum where)where, (enum deed)deed);
}

/* After each of these the counter of the run, and what its row says. */
static const struct {
    const char *why;
    enum where where;
    int64_t spent[3], held[3]; /* steps, tokens, cost */
    uint32_t in_flight;
    int64_t admitted, refused, settled, estimated;
} amounts[] = {
    {"nothing yet", NOWHERE, {0}, {0}, 0, 0, 0, 0, 0},
    {"held", HELD, {0}, {1, 1000, 500}, 1, 1, 0, 0, 0},
    {"a step is spent when the request leaves", SENT, {1, 0, 0}, {0, 1000, 500}, 1, 1, 0, 0, 0},
    {"settled", SETTLED, {1, 300, 200}, {0}, 0, 1, 0, 1, 0},
    {"charged its whole hold", UNKNOWN, {1, 1000, 500}, {0}, 0, 1, 0, 1, 1},
    {"released: the step comes back", RELEASED, {0}, {0}, 0, 1, 0, 0, 0},
    {"refused", REFUSED, {0}, {0}, 0, 0, 1, 0, 0},
};

static void each_step_books_what_it_means(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(amounts); i++) {
        struct ledger ledger;
        struct store_counter counter;
        struct store_run run;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        call_bring(&ledger, amounts[i].where);
        counter = counter_of_run(&ledger, 1);
        run = row_of_run(&ledger, 1);
        for (unsigned dim = 0; dim < 3; dim++)
            if (store_spent(&counter, (enum gov_dim)dim) != amounts[i].spent[dim] ||
                counter.held[dim] != amounts[i].held[dim])
                fail_msg("%s: %s: %lld spent and %lld held", amounts[i].why,
                         gov_dim_name((enum gov_dim)dim),
                         (long long)store_spent(&counter, (enum gov_dim)dim),
                         (long long)counter.held[dim]);
        if (counter.in_flight != amounts[i].in_flight || run.in_flight != counter.in_flight ||
            run.admitted != amounts[i].admitted || run.refused != amounts[i].refused ||
            run.settled != amounts[i].settled)
            fail_msg("%s: %u in flight; row: %lld admitted, %lld refused, %lld settled",
                     amounts[i].why, counter.in_flight, (long long)run.admitted,
                     (long long)run.refused, (long long)run.settled);
        ledger_free(&ledger);
    }
}

static void an_estimate_is_counted_as_one(void **state)
{
    struct ledger ledger;
    struct store_event event;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(sent(&ledger, 7), STORE_OK);
    consumption_make(&event, 7, STORE_SETTLED, 10, 20);
    event.consumption.provenance = METER_ESTIMATED;
    event.consumption.counts[METER_TOOL_CALLS] = 3;
    event.consumption.egress_bytes = 4096;
    assert_int_equal(store_settle(ledger.store, &event), STORE_OK);
    commit(&ledger);
    assert_int_equal(row_of_run(&ledger, 1).estimated, 1);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_TOOLS], 3);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_EGRESS], 4096);
    expect_proven(&ledger, "an estimate");
    ledger_free(&ledger);
}

/* Settles a call that reports an object; what was charged with it. */
static int64_t charge_for_object(struct ledger *ledger, uint64_t call, uint8_t object,
                                 uint32_t made)
{
    struct store_event event;

    assert_int_equal(admit(ledger, 1, call, 0, 0), STORE_OK);
    assert_int_equal(sent(ledger, call), STORE_OK);
    consumption_make(&event, call, STORE_SETTLED, 10, 20);
    event.consumption.object[0] = object;
    event.consumption.flags |= made;
    assert_int_equal(store_settle(ledger->store, &event), STORE_OK);
    return event.consumption.charged_pusd;
}

static void an_object_is_charged_once(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(charge_for_object(&ledger, 7, 1, STORE_MADE), 20);
    assert_int_equal(charge_for_object(&ledger, 8, 1, 0), 0);
    assert_int_equal(charge_for_object(&ledger, 9, 2, 0), 20);
    assert_int_equal(charge_for_object(&ledger, 10, 2, 0), 0);
    assert_int_equal(charge_for_object(&ledger, 11, 0, 0), 20); /* of no object */
    assert_int_equal(charge_for_object(&ledger, 12, 0, STORE_MADE), 20);
    assert_int_equal(charge_for_object(&ledger, 13, 1, STORE_MADE), 20); /* again */
    assert_int_equal(charge_for_object(&ledger, 14, 1, 0), 0);
    commit(&ledger);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_COST], 100);
    assert_int_equal(counter_of_run(&ledger, 1).charged[GOV_TOKENS], 50);
    expect_proven(&ledger, "objects");
    ledger_free(&ledger);
}

static void a_settlement_says_what_remains_of_its_run(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_scope_seen *seen;
    struct store_call call;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    run_new(&ledger, 2);
    begin(&ledger);
    admission_make(&event, 1, 7, 1000, 500);
    seen = scope_see_run(&event, 1); /* its own run limits steps, the one above also cost */
    seen->limit[GOV_STEPS] = 5;
    seen = scope_see_run(&event, 2);
    seen->limit[GOV_STEPS] = 3;
    seen->limit[GOV_COST] = 900;
    assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OK);
    assert_int_equal(sent(&ledger, 7), STORE_OK);
    consumption_make(&event, 7, STORE_SETTLED, 300, 950);
    assert_int_equal(store_settle(ledger.store, &event), STORE_OK);
    commit(&ledger);
    assert_int_equal(event.consumption.remaining[GOV_STEPS], 4);
    assert_int_equal(event.consumption.remaining[GOV_TOKENS], -1); /* no limit */
    assert_int_equal(event.consumption.remaining[GOV_COST], 0);    /* not below */
    expect_proven(&ledger, "remaining");
    ledger_free(&ledger);
}

/* ---- all scopes or none ------------------------------------------------------------------- */

static void the_last_scope_that_is_full_keeps_the_hold_out_of_all(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_scope_key session;
    struct store_call call;
    struct picture before, after;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    run_new(&ledger, 2);
    picture_take(&ledger, &before);
    admission_make(&event, 1, 7, 1000, 500);
    (void)scope_see_run(&event, 1);
    (void)scope_see_run(&event, 2);
    store_scope_name(&session, GOV_SESSION, "work");
    scope_see(&event, &session)->limit[GOV_COST] = 499;
    begin(&ledger);
    assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OVER);
    commit(&ledger); /* of other calls in the same transaction */
    picture_take(&ledger, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(counter_of(&ledger, &session).held[GOV_COST], 0);
    expect_proven(&ledger, "a full scope");

    begin(&ledger);
    event.scopes[2].limit[GOV_COST] = 500;
    assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OK);
    commit(&ledger);
    assert_int_equal(counter_of_run(&ledger, 1).held[GOV_COST], 500);
    assert_int_equal(counter_of_run(&ledger, 2).held[GOV_COST], 500);
    assert_int_equal(counter_of(&ledger, &session).held[GOV_COST], 500);
    assert_int_equal(event.scopes[2].held[GOV_COST], 0); /* what it saw: before its own hold */
    expect_proven(&ledger, "a scope that is just full");
    ledger_free(&ledger);
}

static const struct {
    const char *why;
    int64_t limit, spent, held;
    enum gov_policy policy;
    enum store_err want;
} fences[] = {
    {"just fits", 500, 0, 0, GOV_HARD_STOP, STORE_OK},
    {"one over", 499, 0, 0, GOV_HARD_STOP, STORE_OVER},
    {"one over by what was spent", 599, 100, 0, GOV_HARD_STOP, STORE_OVER},
    {"one over by what is held", 599, 0, 100, GOV_HARD_STOP, STORE_OVER},
    {"just fits beside both", 700, 100, 100, GOV_HARD_STOP, STORE_OK},
    {"an approval is no licence", 499, 0, 0, GOV_APPROVAL_REQUIRED, STORE_OVER},
    {"soft", 499, 0, 0, GOV_SOFT_WARN, STORE_OK},
    {"no limit", 0, 1000, 1000, GOV_HARD_STOP, STORE_OK},
};

static void no_hold_is_booked_over_a_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fences); i++)
        for (unsigned dim = GOV_STEPS; dim <= GOV_COST; dim++) {
            struct ledger ledger;
            struct store_event event;
            struct store_scope_seen *seen;
            struct store_call call;
            enum store_err got;

            ledger_new(&ledger);
            run_new(&ledger, 1);
            begin(&ledger);
            admission_make(&event, 1, 1, 0, 0);
            event.admission.hold[GOV_STEPS] = 0;
            event.admission.hold[dim] = fences[i].spent;
            (void)scope_see_run(&event, 1);
            assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OK);
            assert_int_equal(sent(&ledger, 1), STORE_OK);
            if (dim != GOV_STEPS)
                assert_int_equal(settle(&ledger, 1, STORE_SETTLED,
                                        dim == GOV_TOKENS ? fences[i].spent : 0,
                                        dim == GOV_COST ? fences[i].spent : 0),
                                 STORE_OK);
            admission_make(&event, 1, 2, 0, 0);
            event.admission.hold[GOV_STEPS] = 0;
            event.admission.hold[dim] = fences[i].held;
            (void)scope_see_run(&event, 1);
            assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OK);
            admission_make(&event, 1, 3, 0, 0);
            event.admission.hold[GOV_STEPS] = 0;
            event.admission.hold[dim] = 500;
            seen = scope_see_run(&event, 1);
            seen->limit[dim] = fences[i].limit;
            seen->policy[dim] = (uint8_t)fences[i].policy;
            got = store_admit(ledger.store, &event, &call);
            if (got != fences[i].want)
                fail_msg("%s: %s: %s", fences[i].why, gov_dim_name((enum gov_dim)dim),
                         store_strerror(got));
            commit(&ledger);
            ledger_free(&ledger);
        }
}

/* Sums that would not fit must not come out smaller when the holds are taken back. */
static void holds_of_any_size_leave_nothing_behind(void **state)
{
    struct ledger ledger;
    struct store_counter counter;
    unsigned admitted = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (uint64_t call = 1; call <= 3; call++) {
        enum store_err err = admit(&ledger, 1, call, INT64_MAX, INT64_MAX);

        assert_true(err == STORE_OK || err == STORE_OVER);
        admitted += err == STORE_OK;
    }
    for (uint64_t call = 1; call <= admitted; call++)
        assert_int_equal(settle(&ledger, call, STORE_RELEASED, 0, 0), STORE_OK);
    commit(&ledger);
    counter = counter_of_run(&ledger, 1);
    assert_true(admitted > 0);
    assert_int_equal(counter.held[GOV_TOKENS], 0);
    assert_int_equal(counter.held[GOV_COST], 0);
    assert_int_equal(counter.in_flight, 0);
    expect_proven(&ledger, "holds of any size");
    ledger_free(&ledger);
}

static void what_was_charged_saturates_towards_refusal(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (uint64_t call = 1; call <= 3; call++) {
        assert_int_equal(admit(&ledger, 1, call, 1, 1), STORE_OK);
        assert_int_equal(sent(&ledger, call), STORE_OK);
        assert_int_equal(settle(&ledger, call, STORE_SETTLED, INT64_MAX, INT64_MAX), STORE_OK);
    }
    commit(&ledger);
    assert_true(counter_of_run(&ledger, 1).charged[GOV_COST] == INT64_MAX);
    expect_proven(&ledger, "charges of any size");
    ledger_free(&ledger);
}

static void a_run_that_is_not_there_takes_no_record(void **state)
{
    struct ledger ledger;
    struct store_event refusal;
    struct store_view *view;
    uint64_t seq;
    uint8_t head[32];

    (void)state;
    ledger_new(&ledger);
    begin(&ledger);
    refusal_make(&refusal, 9, 7, 1);
    assert_int_equal(store_refuse(ledger.store, &refusal), STORE_NOT_FOUND);
    assert_int_equal(admit(&ledger, 9, 7, 1, 1), STORE_NOT_FOUND);
    assert_int_equal(store_run_close(ledger.store, refusal.head.run_id, GOV_COMPLETED, 0, NOON),
                     STORE_NOT_FOUND);
    commit(&ledger);
    view = view_of(&ledger);
    store_view_head(view, &seq, head);
    store_view_close(view);
    assert_int_equal(seq, 0);
    expect_proven(&ledger, "no run");
    ledger_free(&ledger);
}

/* ---- refusals, ends of runs, progress ----------------------------------------------------- */

static void refusals_are_counted_with_their_number(void **state)
{
    struct ledger ledger;
    struct store_event refusal;
    struct store_index_key of;
    struct store_view *view;
    struct store_call call;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    refusal_make(&refusal, 1, 7, 1);
    assert_int_equal(store_refuse(ledger.store, &refusal), STORE_OK);
    refusal_make(&refusal, 1, 7, 41); /* the same question again, 41 times */
    assert_int_equal(store_refuse(ledger.store, &refusal), STORE_OK);
    refusal_make(&refusal, 1, 8, 1);
    assert_int_equal(store_refuse(ledger.store, &refusal), STORE_OK);
    commit(&ledger);
    assert_int_equal(row_of_run(&ledger, 1).refused, 43);
    view = view_of(&ledger);
    store_index_run(&of, STORE_CALLS_OF_RUN, refusal.head.run_id);
    assert_int_equal(store_view_next_call(view, &of, NULL, &call), STORE_OK);
    assert_int_equal(call.state, STORE_CALL_REFUSED);
    assert_int_equal(call.consumption_seq, 2); /* of the first */
    assert_int_equal(store_view_next_call(view, &of, call.call_id, &call), STORE_OK);
    assert_int_equal(store_view_next_call(view, &of, call.call_id, &call), STORE_NOT_FOUND);
    assert_int_equal(store_view_next_open(view, NULL, &call), STORE_NOT_FOUND);
    store_view_close(view);
    expect_proven(&ledger, "refusals");
    ledger_free(&ledger);
}

static void a_run_ends_once(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_run run;
    struct store_view *view;
    uint8_t id[16];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    id_make(id, 'r', 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(sent(&ledger, 7), STORE_OK);
    assert_int_equal(settle(&ledger, 7, STORE_SETTLED, 300, 200), STORE_OK);
    assert_int_equal(admit(&ledger, 1, 8, 1000, 500), STORE_OK);
    assert_int_equal(store_run_close(ledger.store, id, GOV_COMPLETED, 143, NOON + 5 * SECOND),
                     STORE_OK);
    assert_int_equal(store_run_close(ledger.store, id, GOV_CANCELLED, 0, NOON + 6 * SECOND),
                     STORE_DUPLICATE);
    commit(&ledger);
    run = row_of_run(&ledger, 1);
    assert_int_equal(run.state, GOV_COMPLETED);
    assert_true(run.ended_ns == NOON + 5 * SECOND);
    view = view_of(&ledger);
    assert_int_equal(store_view_event(view, 6, &event), STORE_NOT_FOUND); /* said once */
    assert_int_equal(store_view_event(view, 5, &event), STORE_OK);
    assert_int_equal(event.head.type, STORE_COMPLETED);
    assert_int_equal(event.completed.state, GOV_COMPLETED);
    assert_int_equal(event.completed.exit, 143);
    assert_int_equal(event.completed.duration_ms, 5000);
    assert_int_equal(event.completed.total[GOV_STEPS], 1);
    assert_int_equal(event.completed.total[GOV_TOKENS], 300);
    assert_int_equal(event.completed.total[GOV_COST], 200);
    store_view_close(view);
    expect_proven(&ledger, "an ended run");
    ledger_free(&ledger);
}

static void progress_stays_until_the_call_ends(void **state)
{
    struct ledger ledger;
    struct store_view *view;
    char bytes[STORE_PROGRESS_MAX + 1], got[16];
    uint8_t id[16];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    ledger_new(&ledger);
    run_new(&ledger, 1);
    id_make(id, 'c', 7);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 7, 1000, 500), STORE_OK);
    assert_int_equal(store_progress_put(ledger.store, id, bytes, sizeof bytes), STORE_FULL);
    assert_int_equal(store_progress_put(ledger.store, id, bytes, STORE_PROGRESS_MAX), STORE_OK);
    assert_int_equal(store_progress_put(ledger.store, id, "sixteen bytes...", 16), STORE_OK);
    commit(&ledger);
    view = view_of(&ledger);
    assert_int_equal(store_view_progress(view, id, got, 15), STORE_NOT_FOUND);
    assert_int_equal(store_view_progress(view, id, got, 16), STORE_OK);
    assert_memory_equal(got, "sixteen bytes...", 16);
    store_view_close(view);
    begin(&ledger);
    assert_int_equal(settle(&ledger, 7, STORE_RELEASED, 0, 0), STORE_OK);
    commit(&ledger);
    view = view_of(&ledger);
    assert_int_equal(store_view_progress(view, id, got, 16), STORE_NOT_FOUND);
    store_view_close(view);
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_one_hold_and_one_end),
        cmocka_unit_test(each_step_books_what_it_means),
        cmocka_unit_test(an_estimate_is_counted_as_one),
        cmocka_unit_test(an_object_is_charged_once),
        cmocka_unit_test(a_settlement_says_what_remains_of_its_run),
        cmocka_unit_test(the_last_scope_that_is_full_keeps_the_hold_out_of_all),
        cmocka_unit_test(no_hold_is_booked_over_a_limit),
        cmocka_unit_test(holds_of_any_size_leave_nothing_behind),
        cmocka_unit_test(what_was_charged_saturates_towards_refusal),
        cmocka_unit_test(a_run_that_is_not_there_takes_no_record),
        cmocka_unit_test(refusals_are_counted_with_their_number),
        cmocka_unit_test(a_run_ends_once),
        cmocka_unit_test(progress_stays_until_the_call_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
