/* SPDX-License-Identifier: Apache-2.0 */
/* The proof: whatever is changed behind the ledger's back is found and named. That nothing is found
 * where nobody was is in test_verify_untouched.c. */
#include "tests/unit/store_raw.h"

#define DAY (NOON / SECOND - 43200)

/* ---- a ledger with one of each ------------------------------------------------------------- */

static void admit_in_day(struct ledger *ledger, uint64_t run, uint64_t call, int64_t limit)
{
    struct store_event event;
    struct store_scope_key key;
    struct store_call row;

    admission_make(&event, run, call, 1000, 500);
    scope_see_run(&event, run)->limit[GOV_COST] = limit;
    store_scope_name(&key, GOV_SESSION, "nightly");
    (void)scope_see(&event, &key);
    day_key(&key, DAY);
    (void)scope_see(&event, &key);
    assert_int_equal(store_admit(ledger->store, &event, &row), STORE_OK);
}

static void note(struct ledger *ledger, enum store_type type, size_t bytes)
{
    struct store_event event;

    head_make(&event, type, 1, 0, NOON);
    assert_int_equal(store_append(ledger->store, &event, bytes), STORE_OK);
}

/* Records: 1 and 2 allocations; 3 to 7 admissions of the calls 1 to 5; 8 to 10 the ends of 1 to 3;
 * 11 a refusal, 12 the same again; 13 a run fails, 14 and 15 logs, 16 the other run is over, 17
 * the day's beginning, as one of schema 2 has it. The call 4 is sent, half answered, 5 is held. */
static void ledger_of_all(struct ledger *ledger)
{
    struct store_counter day = {.end_s = DAY + 86400};
    struct store_scope_key key;
    struct store_event event;
    uint8_t id[16];

    ledger_new(ledger);
    run_new(ledger, 1);
    run_new(ledger, 2);
    day_key(&key, DAY);
    begin(ledger);
    assert_int_equal(store_counter_put(ledger->store, &key, &day), STORE_OK);
    for (uint64_t call = 1; call <= 5; call++)
        admit_in_day(ledger, 1 + call % 2, call, 5000);
    for (uint64_t call = 1; call <= 4; call++)
        if (call != 3)
            assert_int_equal(sent(ledger, call), STORE_OK);
    assert_int_equal(settle(ledger, 1, STORE_SETTLED, 300, 200), STORE_OK);
    assert_int_equal(settle(ledger, 2, STORE_UNKNOWN, 1000, 500), STORE_OK);
    assert_int_equal(settle(ledger, 3, STORE_RELEASED, 0, 0), STORE_OK);
    id_make(id, 'c', 4);
    assert_int_equal(store_progress_put(ledger->store, id, "here", 4), STORE_OK);
    for (int64_t count = 1; count <= 2; count++) {
        refusal_make(&event, 1, 9, count);
        assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
    }
    run_fail(ledger, 1);
    note(ledger, STORE_EXHAUSTED, sizeof event.threshold);
    note(ledger, STORE_OVERRUN, sizeof event.overrun);
    id_make(id, 'r', 2);
    assert_int_equal(store_run_close(ledger->store, id, GOV_COMPLETED, 0, NOON), STORE_OK);
    head_make(&event, STORE_BEGUN, 0, 0, NOON);
    event.begun.key = key;
    event.begun.end_s = DAY + 86400;
    assert_int_equal(store_append(ledger->store, &event, sizeof event.begun), STORE_OK);
    commit(ledger);
    expect_proven(ledger, "before anything is touched");
    store_close(ledger->store);
    ledger->store = NULL;
}

/* ---- touching ----------------------------------------------------------------------------- */

enum touch { FLIP, FLIP_KEY, ADD_KEY, DELETE, SHORTEN };

static void touch(const char *home, const char *table, unsigned n, enum touch how, size_t at)
{
    struct raw raw;
    struct raw_row row;

    raw_open(&raw, home, table);
    assert_true(raw_row(&raw, n, &row));
    if (how == FLIP_KEY || how == DELETE)
        raw_delete(&raw, &row);
    if (how == FLIP)
        row.value[at] ^= 0x10;
    else if (how == FLIP_KEY || how == ADD_KEY)
        row.key[at] ^= 0x10;
    else if (how == SHORTEN)
        row.value_bytes--;
    if (how != DELETE)
        raw_put(&raw, &row);
    raw_close(&raw);
}

static void untouch(const char *home, const char *table, const struct raw_row *was)
{
    struct raw raw;

    raw_open(&raw, home, table);
    raw_put(&raw, was);
    raw_close(&raw);
}

static struct store_proof look(struct ledger *ledger, const uint8_t *head)
{
    struct store_proof proof;

    ledger_open(ledger, true);
    proof = proof_of(ledger, head);
    store_close(ledger->store);
    ledger->store = NULL;
    return proof;
}

static bool holds(const struct store_proof *proof)
{
    return proof->chain && proof->sums && proof->caps;
}

static void expect_untouched(struct ledger *ledger)
{
    struct store_proof proof = look(ledger, NULL);

    if (!holds(&proof))
        fail_msg("not as it was: %s", proof.what);
}

/* row: by its number in the table, from 0. */
static const struct {
    const char *why, *table;
    unsigned row;
    enum touch how;
    size_t at;
    bool chain; /* it still holds; the sums do not */
    uint64_t first_bad;
    const char *what;
} touches[] = {
    {"an amount of an admission", "chain", 2, FLIP, sizeof(struct store_record) + 16, false, 3,
     "record 3 is missing or damaged"},
    {"the time of a record", "chain", 9, FLIP, offsetof(struct store_record, ts_ns), false, 10,
     "record 10 is missing or damaged"},
    {"what a record follows", "chain", 5, FLIP, offsetof(struct store_record, prev), false, 6,
     "record 6 is missing or damaged"},
    {"the last record", "chain", 15, FLIP, 100, false, 16, "record 16 is missing or damaged"},
    {"a shorter record", "chain", 4, SHORTEN, 0, false, 5, "record 5 is missing or damaged"},
    {"the first record gone", "chain", 0, DELETE, 0, false, 1, "record 1 is missing or damaged"},
    {"a record gone", "chain", 7, DELETE, 0, false, 8, "record 8 is missing or damaged"},
    {"a record at another place", "chain", 7, FLIP_KEY, 7, false, 8,
     "record 8 is missing or damaged"},
    {"the charge of a run", "counters", 0, FLIP,
     offsetof(struct store_counter, charged) + 8 * GOV_COST, true, 0,
     "the counter of scope run \"\" is not the sum"},
    {"the holds of a session", "counters", 2, FLIP,
     offsetof(struct store_counter, held) + 8 * GOV_TOKENS, true, 0,
     "the counter of scope session \"\" is not the sum"},
    {"the steps of a day", "counters", 3, FLIP, offsetof(struct store_counter, charged), true, 0,
     "the counter of scope global \"\" is not the sum"},
    {"a credit", "counters", 1, FLIP, offsetof(struct store_counter, credited), true, 0,
     "the counter of scope run"},
    {"how many are in flight", "counters", 2, FLIP, offsetof(struct store_counter, in_flight), true,
     0, "the counter of scope session"},
    {"another name", "counters", 2, FLIP, offsetof(struct store_counter, name), true, 0,
     "the counter of scope session"},
    {"a counter gone", "counters", 0, DELETE, 0, true, 0, "1 counters are missing"},
    {"a window gone", "counters", 3, DELETE, 0, true, 0, "1 counters are missing"},
    {"a counter of another size", "counters", 1, SHORTEN, 0, true, 0, "a counter has another size"},
    {"the state of a run", "runs", 0, FLIP, offsetof(struct store_run, state), true, 1,
     "the row of the run allocated by record 1 is not the sum"},
    {"why it failed", "runs", 0, FLIP, offsetof(struct store_run, reasons), true, 1,
     "the row of the run allocated by record 1 is not the sum"},
    {"when a run ended", "runs", 1, FLIP, offsetof(struct store_run, ended_ns), true, 2,
     "the row of the run allocated by record 2 is not the sum"},
    {"how many were refused", "runs", 1, FLIP, offsetof(struct store_run, refused), true, 2,
     "the row of the run allocated by record 2 is not the sum"},
    {"a limit of a run", "runs", 1, FLIP, offsetof(struct store_run, allocation), true, 2,
     "the row of the run allocated by record 2 is missing or another's"},
    {"a run gone", "runs", 0, DELETE, 0, true, 1,
     "the row of the run allocated by record 1 is missing or another's"},
    {"the state of a call", "calls", 0, FLIP, offsetof(struct store_call, state), true, 8,
     "the row of the call of record 8"},
    {"the admission of a call", "calls", 3, FLIP, offsetof(struct store_call, admission_seq), true,
     6, "the row of the call of record 6"},
    {"the end of a call", "calls", 1, FLIP, offsetof(struct store_call, consumption_seq), true, 9,
     "the row of the call of record 9"},
    {"the run of a call", "calls", 1, FLIP, offsetof(struct store_call, run_id), true, 4,
     "the row of the call of record 4"},
    {"a held call that was sent", "calls", 4, FLIP, offsetof(struct store_call, sent_ns), true, 7,
     "the row of the open call of record 7"},
    {"a released call that was sent", "calls", 2, FLIP, offsetof(struct store_call, sent_ns), true,
     10, "the row of the call of record 10"},
    {"the refusal of a call", "calls", 5, FLIP, offsetof(struct store_call, consumption_seq), true,
     11, "the row of the call of record 11"},
    {"a call gone", "calls", 0, DELETE, 0, true, 3, "the row of the call of record 3"},
    {"a refused call gone", "calls", 5, DELETE, 0, true, 11, "the row of the call of record 11"},
    {"an open call that is not listed", "open", 0, DELETE, 0, true, 0, "2 calls are open, 1"},
    {"an open call that is another", "open", 1, FLIP_KEY, 3, true, 0, "a call is listed as open"},
    {"where an answer stands", "open", 0, FLIP, 33, true, 0, "where the answer of an open call"},
    {"where an answer stands, cut short", "open", 0, SHORTEN, 0, true, 0, "where the answer of"},
    {"a call that its run does not list", "index", 2, DELETE, 0, true, 11, "missing in an index"},
    {"a call listed by another run", "index", 0, FLIP_KEY, 2, true, 4, "missing in an index"},
    {"a run that lives and is not listed", "index", 11, DELETE, 0, true, 1, "lives and is not"},
    {"a run that is over and is listed", "index", 11, ADD_KEY, 32, true, 0, "the indexes have"},
    {"an entry that no record asks for", "index", 0, ADD_KEY, 20, true, 0, "the indexes have"},
    {"a record after a call's end", "calls", 5, FLIP, offsetof(struct store_call, later_seq), true,
     0, "calls have records after their end"},
    {"a record after the end that there is not", "calls", 0, FLIP,
     offsetof(struct store_call, later_seq), true, 0, "calls have records after their end"},
    {"an hour that begins too late", "hours", 0, FLIP, 1, true, 1, "the hour of record 1"},
    {"an hour that no record is of", "hours", 0, ADD_KEY, 7, true, 0, "the indexes have"},
};

static void what_is_changed_is_found_and_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(touches); i++) {
        struct ledger ledger;
        struct store_proof proof;

        ledger_of_all(&ledger);
        touch(ledger.home, touches[i].table, touches[i].row, touches[i].how, touches[i].at);
        proof = look(&ledger, NULL);
        if (holds(&proof) || proof.chain != touches[i].chain ||
            proof.first_bad != touches[i].first_bad || strstr(proof.what, touches[i].what) == NULL)
            fail_msg("%s: %s, first bad %llu, \"%s\"; wanted %llu, \"%s\"", touches[i].why,
                     holds(&proof) ? "not found"
                     : proof.chain ? "the sums"
                                   : "the chain",
                     (unsigned long long)proof.first_bad, proof.what,
                     (unsigned long long)touches[i].first_bad, touches[i].what);
        ledger_free(&ledger);
    }
}

/* What no record says: when a request left, what was logged. */
static bool is_beyond_proof(const char *table, unsigned n, size_t at)
{
    size_t sent = offsetof(struct store_call, sent_ns);
    size_t logged = offsetof(struct store_counter, logged_limit);
    size_t reasons = offsetof(struct store_run, reasons);

    if (strcmp(table, "calls") == 0)
        return at >= sent && at < sent + 8 && (n == 0 || n == 1 || n == 3);
    if (strcmp(table, "counters") == 0)
        return at >= logged && at < offsetof(struct store_counter, zero);
    return strcmp(table, "runs") == 0 && at >= reasons + (n == 0 ? 2 : 0) && at < reasons + 32;
}

static void every_byte_beside_the_chain_counts(void **state)
{
    static const char *const tables[] = {"calls", "counters", "runs", "open"};
    struct ledger ledger;
    unsigned touched = 0;

    (void)state;
    ledger_of_all(&ledger);
    for (size_t t = 0; t < COUNT(tables); t++)
        for (unsigned n = 0;; n++) {
            struct raw raw;
            struct raw_row row;
            int there;

            raw_open(&raw, ledger.home, tables[t]);
            there = raw_row(&raw, n, &row);
            raw_close(&raw);
            if (!there)
                break;
            for (size_t at = 0; at < row.value_bytes; at += at < 80 ? 1 : 5) {
                struct store_proof proof;

                if (is_beyond_proof(tables[t], n, at))
                    continue;
                touch(ledger.home, tables[t], n, FLIP, at);
                proof = look(&ledger, NULL);
                if (holds(&proof))
                    fail_msg("byte %zu of row %u of %s is changed and not found", at, n, tables[t]);
                untouch(ledger.home, tables[t], &row);
                touched++;
            }
        }
    assert_true(touched > 1000);
    expect_untouched(&ledger);
    ledger_free(&ledger);
}

static void every_record_counts(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_of_all(&ledger);
    for (unsigned n = 0; n < 16; n++) {
        struct raw raw;
        struct raw_row row;

        raw_open(&raw, ledger.home, "chain");
        assert_true(raw_row(&raw, n, &row));
        raw_close(&raw);
        for (size_t at = 0; at < row.value_bytes; at += 17) {
            struct store_proof proof;

            touch(ledger.home, "chain", n, FLIP, at);
            proof = look(&ledger, NULL);
            if (proof.chain || proof.first_bad != n + 1)
                fail_msg("byte %zu of record %u is changed; first bad is %llu", at, n + 1,
                         (unsigned long long)proof.first_bad);
            untouch(ledger.home, "chain", &row);
        }
    }
    ledger_free(&ledger);
}

/* ---- records that are put there, exchanged, cut off ---------------------------------------- */

static void two_records_that_change_places_are_found(void **state)
{
    struct ledger ledger;
    struct store_proof proof;
    struct raw raw;
    struct raw_row one, two;

    (void)state;
    ledger_of_all(&ledger);
    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, 7, &one) && raw_row(&raw, 8, &two)); /* ends of two calls */
    memcpy(one.key, two.key, sizeof one.key);
    two.key[7] = 8;
    raw_put(&raw, &one);
    raw_put(&raw, &two);
    raw_close(&raw);
    proof = look(&ledger, NULL);
    assert_false(proof.chain);
    assert_int_equal(proof.first_bad, 8);
    ledger_free(&ledger);
}

static void records_that_are_put_there_are_found(void **state)
{
    static const struct {
        const char *why;
        size_t key_bytes;
        unsigned char key[9];
        unsigned of;
    } forged[] = {
        {"after the last", 8, {0, 0, 0, 0, 0, 0, 0, 18}, 3},
        {"far behind", 8, {0, 0, 0, 0, 0, 1, 0, 0}, 3},
        {"in between", 9, {0, 0, 0, 0, 0, 0, 0, 5, 1}, 3},
        {"before the first", 8, {0, 0, 0, 0, 0, 0, 0, 0}, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(forged); i++) {
        struct ledger ledger;
        struct store_proof proof;
        struct raw raw;
        struct raw_row row;

        ledger_of_all(&ledger);
        raw_open(&raw, ledger.home, "chain");
        assert_true(raw_row(&raw, forged[i].of, &row));
        row.key_bytes = forged[i].key_bytes;
        memcpy(row.key, forged[i].key, sizeof forged[i].key);
        raw_put(&raw, &row);
        raw_close(&raw);
        proof = look(&ledger, NULL);
        if (proof.chain)
            fail_msg("%s: not found", forged[i].why);
        ledger_free(&ledger);
    }
}

/* Who knows how to hash can write a record that fits the chain, but not its consequences. */
static void a_record_that_fits_the_chain_does_not_fit_the_sums(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_proof proof;

    (void)state;
    ledger_of_all(&ledger);
    ledger_open(&ledger, false);
    admission_make(&event, 1, 77, 1000, 500);
    (void)scope_see_run(&event, 1);
    begin(&ledger);
    assert_int_equal(store_append(ledger.store, &event, sizeof event.admission), STORE_OK);
    commit(&ledger);
    proof = proof_of(&ledger, NULL);
    assert_true(proof.chain);
    assert_false(proof.sums);
    assert_int_equal(proof.first_bad, 18);
    ledger_free(&ledger);
}

static void a_rewritten_record_does_not_fit_the_next(void **state)
{
    struct ledger ledger;
    struct store_proof proof;
    struct raw raw;
    struct raw_row row;

    (void)state;
    ledger_of_all(&ledger);
    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, 7, &row));
    row.value[sizeof(struct store_record) + offsetof(struct store_consumption, charged_pusd)] ^= 1;
    store_sha256(row.value, row.value_bytes - 32, row.value + row.value_bytes - 32);
    raw_put(&raw, &row);
    raw_close(&raw);
    proof = look(&ledger, NULL);
    assert_false(proof.chain);
    assert_int_equal(proof.first_bad, 9);
    assert_non_null(strstr(proof.what, "record 9 does not continue the record before it"));
    ledger_free(&ledger);
}

static void an_admission_over_its_limit_is_found(void **state)
{
    struct ledger ledger;
    struct store_event event;
    struct store_proof proof;
    struct store_scope_key key;
    struct store_counter counter;
    uint8_t id[16];

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger); /* as a governor that cannot count, and a ledger that does not look */
    admission_make(&event, 1, 1, 1000, 501);
    scope_see_run(&event, 1)->limit[GOV_COST] = 500;
    assert_int_equal(store_append(ledger.store, &event, sizeof event.admission), STORE_OK);
    id_make(id, 'r', 1);
    store_scope_run(&key, id);
    (void)store_counter_get(ledger.store, &key, &counter);
    counter.held[GOV_COST] = 501;
    assert_int_equal(store_counter_put(ledger.store, &key, &counter), STORE_OK);
    commit(&ledger);
    proof = proof_of(&ledger, NULL);
    assert_true(proof.chain);
    assert_false(proof.caps);
    assert_int_equal(proof.first_bad, 2);
    assert_non_null(strstr(proof.what, "admission 2 passed the limit of cost_usd in scope run"));
    ledger_free(&ledger);
}

static void only_a_head_tells_that_the_tail_was_cut_off(void **state)
{
    struct ledger ledger;
    struct store_proof proof;
    uint8_t head[32], middle[32];
    char path[128];
    struct raw raw;
    struct raw_row row;

    (void)state;
    ledger_of_all(&ledger);
    ledger_open(&ledger, false);
    begin(&ledger);
    note(&ledger, STORE_WARNING, sizeof(struct store_threshold));
    commit(&ledger);
    proof = proof_of(&ledger, NULL);
    assert_int_equal(proof.records, 18);
    assert_false(proof.head_known);
    memcpy(head, proof.head, 32);
    assert_true(proof_of(&ledger, head).head_known);
    store_close(ledger.store);

    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, 3, &row));
    memcpy(middle, row.value + row.value_bytes - 32, 32);
    assert_true(raw_row(&raw, 17, &row));
    raw_delete(&raw, &row);
    raw_close(&raw);
    proof = look(&ledger, NULL); /* the file beside it knows */
    assert_false(proof.chain);
    assert_non_null(strstr(proof.what, "the chain ends at record 17, before record 18"));
    (void)snprintf(path, sizeof path, "%s/head", ledger.home);
    assert_int_equal(unlink(path), 0);
    proof = look(&ledger, head); /* without that, what was written down elsewhere does */
    assert_false(proof.chain);
    assert_non_null(strstr(proof.what, "the given head"));
    assert_int_equal(proof.records, 17);
    assert_false(proof.head_known);
    proof = look(&ledger, middle); /* a head that was kept earlier */
    assert_true(proof.head_known);
    ledger_free(&ledger);
}

static void count_calls(void *data, uint64_t done, uint64_t all)
{
    assert_true(done <= all);
    *(uint64_t *)data = done;
}

static void a_long_proof_tells_how_far_it_is(void **state)
{
    struct ledger ledger;
    struct store_view *view;
    struct store_proof proof;
    uint64_t done = 0;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (unsigned i = 0; i < 5000; i++)
        note(&ledger, STORE_WARNING, sizeof(struct store_threshold));
    commit(&ledger);
    view = view_of(&ledger);
    assert_int_equal(store_verify(view, NULL, count_calls, &done, &proof), STORE_OK);
    store_view_close(view);
    assert_true(holds(&proof));
    assert_true(done >= 4096);
    ledger_free(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_changed_is_found_and_named),
        cmocka_unit_test(every_byte_beside_the_chain_counts),
        cmocka_unit_test(every_record_counts),
        cmocka_unit_test(two_records_that_change_places_are_found),
        cmocka_unit_test(records_that_are_put_there_are_found),
        cmocka_unit_test(a_record_that_fits_the_chain_does_not_fit_the_sums),
        cmocka_unit_test(a_rewritten_record_does_not_fit_the_next),
        cmocka_unit_test(an_admission_over_its_limit_is_found),
        cmocka_unit_test(only_a_head_tells_that_the_tail_was_cut_off),
        cmocka_unit_test(a_long_proof_tells_how_far_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
