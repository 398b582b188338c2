/* SPDX-License-Identifier: Apache-2.0 */
/* What people decide: questions, answers, extensions, states, overrides; each follows from what was
 * before or is refused, and the proof knows every step. */
#include "store/store_int.h"
#include "tests/unit/store_raw.h"

static enum store_err asked(struct ledger *ledger, int64_t s, struct store_event *event)
{
    head_make(event, STORE_ASKED, 1, 0, NOON + s * SECOND);
    store_scope_run(&event->asked.key, event->head.run_id);
    event->asked.dim = GOV_COST;
    return store_turn(ledger->store, event);
}

static enum store_err answered(struct ledger *ledger, int64_t s, uint64_t of_seq,
                               enum store_answer answer)
{
    struct store_event event;

    head_make(&event, STORE_ANSWERED, 1, 0, NOON + s * SECOND);
    event.answered.of_seq = of_seq;
    event.answered.answer = (uint8_t)answer;
    event.answered.reason_count = 2;
    event.answered.reasons[0] = GOV_REASON_DENIED;
    event.answered.reasons[1] = GOV_REASON_COST;
    return store_turn(ledger->store, &event);
}

static enum store_err turned(struct ledger *ledger, int64_t s, enum store_word word)
{
    struct store_event event;

    head_make(&event, STORE_TURNED, 1, 0, NOON + s * SECOND);
    store_scope_run(&event.turned.key, event.head.run_id);
    event.turned.word = (uint8_t)word;
    event.turned.by_hand = word == STORE_PAUSED;
    return store_turn(ledger->store, &event);
}

static enum store_err failed(struct ledger *ledger, int64_t s)
{
    struct store_event event;

    head_make(&event, STORE_RUN_ENDED, 1, 0, NOON + s * SECOND);
    event.run_ended.reason_count = 1;
    event.run_ended.reasons[0] = GOV_REASON_STEPS;
    return store_turn(ledger->store, &event);
}

static enum store_err closed(struct ledger *ledger, int64_t s)
{
    uint8_t id[16];

    id_make(id, 'r', 1);
    return store_run_close(ledger->store, id, GOV_COMPLETED, 0, NOON + s * SECOND);
}

enum step { ASK, ANSWER, TURN, FAIL, CLOSE };

/* A second each; what stands in the run's row afterwards. */
static const struct {
    const char *why;
    enum step step;
    int what; /* the answer, or the word; of an answer to another question negative */
    enum store_err want;
    enum gov_state state;
    unsigned reasons;
    int64_t paused_s;
} steps[] = {
    {"what goes on cannot go on", TURN, STORE_RESUMED, STORE_CONFLICT, GOV_RUNNING, 0, 0},
    {"nothing is to be lifted", TURN, STORE_RESET, STORE_CONFLICT, GOV_RUNNING, 0, 0},
    {"nothing was asked", ANSWER, STORE_APPROVED, STORE_CONFLICT, GOV_RUNNING, 0, 0},
    {"a question", ASK, 0, STORE_OK, GOV_RUNNING, 0, 0},
    {"a second question", ASK, 0, STORE_CONFLICT, GOV_RUNNING, 0, 0},
    {"pauses", TURN, STORE_PAUSED, STORE_OK, GOV_PAUSED, 0, 1},
    {"twice", TURN, STORE_PAUSED, STORE_CONFLICT, GOV_PAUSED, 0, 2},
    {"goes on without an answer", TURN, STORE_RESUMED, STORE_CONFLICT, GOV_PAUSED, 0, 3},
    {"is stopped without an answer", TURN, STORE_STOPPED, STORE_CONFLICT, GOV_PAUSED, 0, 4},
    {"fails without an answer", FAIL, 0, STORE_CONFLICT, GOV_PAUSED, 0, 5},
    {"an answer to another question", ANSWER, -STORE_DENIED, STORE_CONFLICT, GOV_PAUSED, 0, 6},
    {"an answer", ANSWER, STORE_APPROVED, STORE_OK, GOV_PAUSED, 0, 7},
    {"the same answer", ANSWER, STORE_DENIED, STORE_CONFLICT, GOV_PAUSED, 0, 8},
    {"goes on", TURN, STORE_RESUMED, STORE_OK, GOV_RUNNING, 0, 8},
    {"another question", ASK, 0, STORE_OK, GOV_RUNNING, 0, 8},
    {"a no", ANSWER, STORE_TIMED_OUT, STORE_OK, GOV_CANCELLED, 2, 8},
    {"what is cancelled does not pause", TURN, STORE_PAUSED, STORE_CONFLICT, GOV_CANCELLED, 2, 8},
    {"is lifted", TURN, STORE_RESET, STORE_OK, GOV_RUNNING, 0, 8},
    {"fails", FAIL, 0, STORE_OK, GOV_FAILED, 1, 8},
    {"is stopped besides", TURN, STORE_STOPPED, STORE_OK, GOV_BUDGET_STOPPED, 1, 8},
    {"once", TURN, STORE_STOPPED, STORE_CONFLICT, GOV_BUDGET_STOPPED, 1, 8},
    {"what lives cannot be reopened", TURN, STORE_REOPENED, STORE_CONFLICT, GOV_BUDGET_STOPPED, 1,
     8},
    {"is lifted again", TURN, STORE_RESET, STORE_OK, GOV_RUNNING, 0, 8},
    {"pauses again", TURN, STORE_PAUSED, STORE_OK, GOV_PAUSED, 0, 9},
    {"ends", CLOSE, 0, STORE_OK, GOV_COMPLETED, 0, 9},
    {"what is over does not ask", ASK, 0, STORE_CONFLICT, GOV_COMPLETED, 0, 9},
    {"nor stop", TURN, STORE_STOPPED, STORE_CONFLICT, GOV_COMPLETED, 0, 9},
    {"is reopened: what was between does not count", TURN, STORE_REOPENED, STORE_OK, GOV_RUNNING, 0,
     12},
};

static void what_is_decided_follows_from_what_was_before(void **state)
{
    struct ledger ledger;
    struct store_event event;
    uint64_t seq = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    for (size_t i = 0; i < COUNT(steps); i++) {
        int64_t s = (int64_t)i + 1;
        enum store_err err;
        struct store_run row;

        begin(&ledger);
        err = steps[i].step == ASK      ? asked(&ledger, s, &event)
              : steps[i].step == ANSWER ? answered(&ledger, s, seq + (steps[i].what < 0),
                                                   (enum store_answer)abs(steps[i].what))
              : steps[i].step == TURN   ? turned(&ledger, s, (enum store_word)steps[i].what)
              : steps[i].step == FAIL   ? failed(&ledger, s)
                                        : closed(&ledger, s);
        commit(&ledger);
        if (steps[i].step == ASK && err == STORE_OK)
            seq = event.head.seq;
        row = row_of_run(&ledger, 1);
        if (err != steps[i].want || row.state != steps[i].state ||
            row.reason_count != steps[i].reasons ||
            store_paused_ns(&row, NOON + (s + 1) * SECOND) != steps[i].paused_s * SECOND)
            fail_msg("%s: %s, %s, %u reasons, %lld s", steps[i].why, store_strerror(err),
                     gov_state_name((enum gov_state)row.state), row.reason_count,
                     (long long)(store_paused_ns(&row, NOON + (s + 1) * SECOND) / SECOND));
        expect_proven(&ledger, steps[i].why);
    }
    assert_int_equal(store_checkpoint_seq(event.asked.checkpoint_id), 0); /* the refused one */
    ledger_free(&ledger);
}

static void a_question_is_found_by_its_id(void **state)
{
    struct ledger ledger;
    struct store_event event, found;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(asked(&ledger, 5, &event), STORE_OK);
    assert_int_equal(store_checkpoint_seq(event.asked.checkpoint_id), event.head.seq);
    assert_int_equal(event.asked.checkpoint_id[6] >> 4, 7); /* a UUIDv7 */
    assert_int_equal(event.asked.checkpoint_id[8] >> 6, 2);
    assert_int_equal(store_event_get(ledger.store, event.head.seq, &found), STORE_OK);
    assert_memory_equal(&found.asked, &event.asked, sizeof event.asked);
    assert_int_equal(store_event_get(ledger.store, 99, &found), STORE_NOT_FOUND);
    commit(&ledger);
    ledger_free(&ledger);
}

/* A clock that was set back takes nothing away. */
static void a_pause_is_never_negative(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(turned(&ledger, 100, STORE_PAUSED), STORE_OK);
    assert_int_equal(turned(&ledger, 40, STORE_RESUMED), STORE_OK);
    commit(&ledger);
    assert_int_equal(row_of_run(&ledger, 1).paused_ns, 0);
    expect_proven(&ledger, "set back");
    ledger_free(&ledger);
}

static enum store_err extend(struct ledger *ledger, enum gov_dim dim, int64_t more, int64_t limit)
{
    struct store_event event;

    head_make(&event, STORE_EXTENDED, 1, 0, NOON);
    store_scope_run(&event.extended.key, event.head.run_id);
    event.extended.dim = (uint8_t)dim;
    event.extended.additional = more;
    event.extended.limit = limit;
    return store_extend(ledger->store, &event);
}

static void extensions_add_up(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(extend(&ledger, GOV_COST, 5, 100), STORE_OK);
    assert_int_equal(extend(&ledger, GOV_COST, 7, 107), STORE_OK);
    assert_int_equal(extend(&ledger, GOV_STEPS, 1, 2), STORE_OK);
    assert_int_equal(extend(&ledger, GOV_COST, 0, 107), STORE_OVER);
    assert_int_equal(extend(&ledger, GOV_COST, -1, 107), STORE_OVER);
    assert_int_equal(extend(&ledger, GOV_COST, INT64_MAX, INT64_MAX), STORE_OVER);
    assert_int_equal(extend(&ledger, GOV_COST, 50, 49), STORE_OVER); /* less than it is */
    commit(&ledger);
    assert_int_equal(counter_of_run(&ledger, 1).extended[GOV_COST], 12);
    assert_int_equal(counter_of_run(&ledger, 1).extended[GOV_STEPS], 1);
    expect_proven(&ledger, "extended");
    ledger_free(&ledger);
}

/* ---- what is in force ------------------------------------------------------------------------ */

static enum store_err override(struct ledger *ledger, char id, enum store_override_word word)
{
    struct store_event event;

    head_make(&event, STORE_OVERRIDE, 1, 0, NOON);
    id_make(event.override.id, id, 7);
    store_scope_all(&event.override.key);
    event.override.word = (uint8_t)word;
    event.override.delta[GOV_COST] = 5;
    return store_override(ledger->store, &event);
}

static enum store_err stop(struct ledger *ledger, const struct store_scope_key *key,
                           enum store_word word)
{
    struct store_event event;

    head_make(&event, STORE_TURNED, 1, 0, NOON);
    memset(event.head.run_id, 0, sizeof event.head.run_id);
    event.turned.key = *key;
    event.turned.word = (uint8_t)word;
    return store_turn(ledger->store, &event);
}

static unsigned overrides_of(struct ledger *ledger)
{
    struct store_view *view = view_of(ledger);
    struct store_override row;
    uint8_t last[16];
    unsigned count = 0;

    while (store_view_next_override(view, count > 0 ? last : NULL, &row) == STORE_OK) {
        memcpy(last, row.id, sizeof last);
        count++;
    }
    store_view_close(view);
    return count;
}

static void overrides_and_stops_are_in_force_until_they_are_not(void **state)
{
    struct store_scope_key session, all;
    struct ledger ledger;

    (void)state;
    store_scope_all(&all);
    store_scope_name(&session, GOV_SESSION, "nightly");
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(override(&ledger, 'a', STORE_ADDED), STORE_OK);
    assert_int_equal(override(&ledger, 'b', STORE_ADDED), STORE_OK);
    assert_int_equal(override(&ledger, 'a', STORE_ADDED), STORE_DUPLICATE);
    assert_int_equal(override(&ledger, 'c', STORE_REVOKED), STORE_NOT_FOUND);
    assert_int_equal(stop(&ledger, &session, STORE_STOPPED), STORE_OK);
    assert_int_equal(stop(&ledger, &session, STORE_STOPPED), STORE_DUPLICATE);
    assert_int_equal(stop(&ledger, &all, STORE_RESET), STORE_DUPLICATE);
    assert_true(store_is_stopped(ledger.store, &session));
    assert_false(store_is_stopped(ledger.store, &all));
    assert_int_equal(stop(&ledger, &all, STORE_STOPPED), STORE_OK);
    commit(&ledger);
    assert_int_equal(overrides_of(&ledger), 2);
    expect_proven(&ledger, "in force");
    begin(&ledger);
    assert_int_equal(override(&ledger, 'b', STORE_EXPIRED), STORE_OK);
    assert_int_equal(override(&ledger, 'b', STORE_EXPIRED), STORE_NOT_FOUND);
    assert_int_equal(stop(&ledger, &session, STORE_RESET), STORE_OK);
    assert_int_equal(stop(&ledger, &all, STORE_RESET), STORE_OK);
    assert_false(store_is_stopped(ledger.store, &all));
    commit(&ledger);
    assert_int_equal(overrides_of(&ledger), 1);
    expect_proven(&ledger, "lifted");
    ledger_free(&ledger);
}

/* In doubt it is there. */
static void a_stop_that_cannot_be_read_stops(void **state)
{
    struct store_scope_key session;
    struct ledger ledger;
    struct raw_row row;
    struct raw raw;

    (void)state;
    store_scope_name(&session, GOV_SESSION, "nightly");
    ledger_new(&ledger);
    begin(&ledger);
    assert_int_equal(stop(&ledger, &session, STORE_STOPPED), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "orders");
    assert_true(raw_row(&raw, 0, &row));
    row.value_bytes--;
    raw_put(&raw, &row);
    raw_close(&raw);
    ledger_open(&ledger, false);
    begin(&ledger);
    assert_true(store_is_stopped(ledger.store, &session));
    commit(&ledger);
    ledger_free(&ledger);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

/* 300 records, enough for a checkpoint. */
static void fill(struct ledger *ledger, uint64_t call)
{
    struct store_event event;

    for (unsigned i = 0; i < 300; i++) {
        refusal_make(&event, 1, call, 1);
        assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
    }
}

static size_t prune(struct ledger *ledger, const char *when, int64_t s)
{
    struct store_view *view;
    struct store_event event;
    unsigned pruned;
    size_t left = 0;

    begin(ledger);
    assert_int_equal(
        store_prune(ledger->store, NOON + s * SECOND, NOON + (s - 1) * SECOND, 10000, &pruned),
        STORE_OK);
    commit(ledger);
    assert_true(pruned > 0);
    expect_proven(ledger, when);
    view = view_of(ledger);
    for (uint64_t seq = 1; store_view_event(view, seq, &event) == STORE_OK; left++)
        seq = event.head.seq + 1;
    store_view_close(view);
    return left;
}

static void what_is_in_force_outlives_what_is_pruned(void **state)
{
    struct store_scope_key all;
    struct ledger ledger;
    struct store_event event;
    size_t in_force, after;
    uint64_t seq;

    (void)state;
    store_scope_all(&all);
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    assert_int_equal(override(&ledger, 'a', STORE_ADDED), STORE_OK);
    assert_int_equal(override(&ledger, 'b', STORE_ADDED), STORE_OK);
    assert_int_equal(stop(&ledger, &all, STORE_STOPPED), STORE_OK);
    assert_int_equal(extend(&ledger, GOV_COST, 5, 100), STORE_OK);
    assert_int_equal(asked(&ledger, 0, &event), STORE_OK);
    assert_int_equal(turned(&ledger, 0, STORE_PAUSED), STORE_OK);
    seq = event.head.seq;
    fill(&ledger, 1);
    commit(&ledger);
    in_force = prune(&ledger, "in force", 10);
    begin(&ledger);
    assert_int_equal(override(&ledger, 'a', STORE_REVOKED), STORE_OK);
    assert_int_equal(stop(&ledger, &all, STORE_RESET), STORE_OK);
    assert_int_equal(answered(&ledger, 0, seq, STORE_APPROVED), STORE_OK);
    commit(&ledger);
    expect_proven(&ledger, "over, and still there");
    begin(&ledger);
    fill(&ledger, 2);
    commit(&ledger);
    after = prune(&ledger, "over", 20);
    if (after != in_force - 3)
        fail_msg("%zu records with what was in force, %zu without", in_force, after);
    assert_int_equal(counter_of_run(&ledger, 1).extended[GOV_COST], 5);
    assert_int_equal(overrides_of(&ledger), 1);
    ledger_free(&ledger);
}

/* ---- what nobody decided --------------------------------------------------------------------- */

static void an_order_that_nobody_gave_is_found(void **state)
{
    static const struct {
        const char *why, *table;
        unsigned row, byte;
    } changes[] = {
        {"another delta", "orders", 0, 50},
        {"another limit", "counters", 0, sizeof(struct store_counter) - 8 * GOV_DIMS},
        {"a longer pause", "runs", 0, offsetof(struct store_run, paused_ns)},
        {"a question", "runs", 0, offsetof(struct store_run, asked_seq)},
    };
    struct ledger ledger;

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct raw_row row;
        struct raw raw;

        ledger_new(&ledger);
        run_new(&ledger, 1);
        begin(&ledger);
        assert_int_equal(override(&ledger, 'a', STORE_ADDED), STORE_OK);
        assert_int_equal(extend(&ledger, GOV_COST, 5, 100), STORE_OK);
        commit(&ledger);
        expect_proven(&ledger, changes[i].why);
        store_close(ledger.store);
        raw_open(&raw, ledger.home, changes[i].table);
        assert_true(raw_row(&raw, changes[i].row, &row));
        row.value[changes[i].byte] ^= 1;
        raw_put(&raw, &row);
        raw_close(&raw);
        ledger_open(&ledger, true);
        if (proof_of(&ledger, NULL).sums)
            fail_msg("%s is not found", changes[i].why);
        ledger_free(&ledger);
    }
}

static void a_record_that_does_not_follow_is_found(void **state)
{
    struct ledger ledger;
    struct store_event event;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    head_make(&event, STORE_ANSWERED, 1, 0, NOON);
    event.answered.of_seq = 1;
    event.answered.answer = STORE_WITHDRAWN;
    assert_int_equal(store_append(ledger.store, &event, sizeof event.answered), STORE_OK);
    commit(&ledger);
    assert_false(proof_of(&ledger, NULL).sums);
    assert_non_null(strstr(proof_of(&ledger, NULL).what, "does not follow"));
    ledger_free(&ledger);
}

/* ---- tasks -------------------------------------------------------------------------------- */

/* How a task stands after each of these. */
static const struct {
    const char *why, *task;
    bool requires, lifts;
    int want_risk; /* of "pay"; -1: nobody has to say yes */
} selections[] = {
    {"one that needs nobody", "pay", false, true, -1},
    {"one that needs a yes", "pay", true, true, 1},
    {"another task", "docs", false, true, 1},
    {"once more", "pay", true, true, 3},
    {"by one who may not lift it", "pay", false, false, 3},
    {"by one who may", "pay", false, true, -1},
    {"there is nothing to lift", "pay", false, false, -1},
    {"anybody may ask for more", "pay", true, false, 7},
};

static void the_last_word_on_a_task_counts(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    for (size_t i = 0; i < COUNT(selections); i++) {
        struct store_event event;
        struct store_view *view;
        struct store_task row, seen;
        enum store_err err;
        int risk;

        begin(&ledger);
        head_make(&event, STORE_SELECTED, 0, 0, NOON);
        memset(event.head.run_id, 0, sizeof event.head.run_id);
        (void)strcpy(event.selected.task_id, selections[i].task);
        event.selected.risk = (uint8_t)i;
        event.selected.requires_approval = selections[i].requires;
        assert_int_equal(store_select(ledger.store, &event, selections[i].lifts), STORE_OK);
        err = store_task_get(ledger.store, "pay", &row);
        commit(&ledger);
        assert_int_equal(store_view_open(ledger.store, &view), STORE_OK);
        assert_int_equal(store_view_task(view, "pay", &seen), err);
        store_view_close(view);
        risk = err == STORE_OK ? row.risk : -1;
        if (risk != selections[i].want_risk || (strcmp(selections[i].task, "pay") == 0 &&
                                                (event.selected.requires_approval != (risk >= 0) ||
                                                 (risk >= 0 && row.seq != event.head.seq))))
            fail_msg("%s: risk %d, recorded as %d", selections[i].why, risk,
                     event.selected.requires_approval);
    }
    expect_proven(&ledger, "tasks");
    ledger_free(&ledger);
}

static const struct {
    uint8_t dim;
    enum store_answer answer;
    uint8_t want;
} yeses[] = {
    {GOV_COST, STORE_APPROVED, 0},
    {GOV_DIMS, STORE_WITHDRAWN, 0},
    {GOV_DIMS, STORE_APPROVED, 1},
    {GOV_DIMS, STORE_WITHDRAWN, 1},
};

static void a_yes_to_a_task_stays_with_its_run(void **state)
{
    struct ledger ledger;
    struct store_run row;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    for (size_t i = 0; i < COUNT(yeses); i++) {
        struct store_event event;

        begin(&ledger);
        head_make(&event, STORE_ASKED, 1, 0, NOON);
        store_scope_run(&event.asked.key, event.head.run_id);
        event.asked.dim = yeses[i].dim;
        assert_int_equal(store_turn(ledger.store, &event), STORE_OK);
        assert_int_equal(answered(&ledger, 1, event.head.seq, yeses[i].answer), STORE_OK);
        commit(&ledger);
        assert_int_equal(row_of_run(&ledger, 1).task_approved, yeses[i].want);
        expect_proven(&ledger, "a yes");
    }
    row = row_of_run(&ledger, 1);
    row.task_approved = 0;
    begin(&ledger);
    assert_int_equal(store_run_put(ledger.store, &row), STORE_OK);
    commit(&ledger);
    assert_false(proof_of(&ledger, NULL).sums);
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_decided_follows_from_what_was_before),
        cmocka_unit_test(a_stop_that_cannot_be_read_stops),
        cmocka_unit_test(a_question_is_found_by_its_id),
        cmocka_unit_test(a_pause_is_never_negative),
        cmocka_unit_test(extensions_add_up),
        cmocka_unit_test(overrides_and_stops_are_in_force_until_they_are_not),
        cmocka_unit_test(what_is_in_force_outlives_what_is_pruned),
        cmocka_unit_test(an_order_that_nobody_gave_is_found),
        cmocka_unit_test(a_record_that_does_not_follow_is_found),
        cmocka_unit_test(the_last_word_on_a_task_counts),
        cmocka_unit_test(a_yes_to_a_task_stays_with_its_run),
    };

    return cmocka_run_group_tests_name("store orders", tests, NULL, NULL);
}
