/* SPDX-License-Identifier: Apache-2.0 */
/* Ledgers of older Flyballs: brought over when they are opened, found by what the new one finds
 * them by, proven; records and rows of other sizes than any Flyball wrote are damage. */
#include "store/store_int.h"
#include "tests/unit/store_raw.h"

/* ---- a ledger of schema 2 -------------------------------------------------------------------- */

static void drop(const char *home, const char *table)
{
    struct raw raw;

    raw_open(&raw, home, table);
    assert_int_equal(mdb_drop(raw.txn, raw.dbi, 1), 0);
    raw_close(&raw);
}

/* The rows of calls had no member for what comes after their end. */
static void calls_shorten(const char *home)
{
    struct raw_row row;
    struct raw raw;

    raw_open(&raw, home, "calls");
    for (unsigned n = 0; raw_row(&raw, n, &row); n++) {
        row.value_bytes = 64;
        row.value[0] = 1;
        raw_put(&raw, &row);
    }
    raw_close(&raw);
}

/* Each run had a list of its calls. */
static void runcalls_make(const char *home, uint64_t calls)
{
    struct raw_row row = {.key_bytes = 32};
    struct raw raw;

    raw_open(&raw, home, "meta");
    assert_int_equal(mdb_dbi_open(raw.txn, "runcalls", MDB_CREATE, &raw.dbi), 0);
    for (uint64_t call = 1; call <= calls; call++) {
        id_make(row.key, 'r', 1);
        id_make(row.key + 16, 'c', call);
        raw_put(&raw, &row);
    }
    raw_close(&raw);
}

static void become_schema_2(const char *home, uint64_t calls)
{
    struct raw_row row = {.key_bytes = 6, .value_bytes = 4, .key = "schema", .value = {2}};
    struct raw raw;

    drop(home, "index");
    drop(home, "hours");
    calls_shorten(home);
    runcalls_make(home, calls);
    raw_open(&raw, home, "meta");
    raw_put(&raw, &row);
    raw_close(&raw);
}

static void settle_as(struct ledger *ledger, uint64_t call, const char *model)
{
    struct store_event event;

    consumption_make(&event, call, STORE_SETTLED, 5, 5);
    (void)snprintf(event.consumption.model, sizeof event.consumption.model, "%s", model);
    assert_int_equal(store_settle(ledger->store, &event), STORE_OK);
}

/* Calls 1 to 5: 1 served by another model, 2 as asked, 3 and 4 open, 5 refused three times. */
static void ledger_of_2(struct ledger *ledger)
{
    struct store_event event;

    ledger_new(ledger);
    run_new(ledger, 1);
    begin(ledger);
    for (uint64_t call = 1; call <= 4; call++)
        assert_int_equal(admit(ledger, 1, call, 10, 10), STORE_OK);
    assert_int_equal(sent(ledger, 1), STORE_OK);
    assert_int_equal(sent(ledger, 2), STORE_OK);
    settle_as(ledger, 1, "gpt-5-nano-2025-08-07");
    settle_as(ledger, 2, "gpt-5-nano");
    for (int i = 1; i <= 3; i++) {
        refusal_make(&event, 1, 5, i);
        event.head.ts_ns = NOON + i * 3600 * SECOND;
        assert_int_equal(store_refuse(ledger->store, &event), STORE_OK);
    }
    commit(ledger);
    store_close(ledger->store);
    become_schema_2(ledger->home, 5);
}

static unsigned count_of(struct ledger *ledger, enum store_index kind, const char *name)
{
    struct store_view *view = view_of(ledger);
    struct store_index_key of;
    struct store_call call;
    uint8_t last[16];
    unsigned count = 0;

    store_index_name(&of, kind, name);
    while (store_view_next_call(view, &of, count > 0 ? last : NULL, &call) == STORE_OK) {
        memcpy(last, call.call_id, sizeof last);
        count++;
    }
    store_view_close(view);
    return count;
}

static uint64_t since_of(struct ledger *ledger, int64_t since_ns)
{
    struct store_view *view = view_of(ledger);
    uint64_t seq = store_view_since(view, since_ns);

    store_view_close(view);
    return seq;
}

/* There windows counted calls that did not name them: 1 has ended, 3 is in flight, when it begins.
 */
static void a_window_of_schema_2_gets_a_record_of_its_beginning(void **state)
{
    const int64_t day = NOON / SECOND - 43200;
    struct store_counter row = {
        .in_flight = 1, .charged = {1, 5, 5}, .held = {1, 10, 10}, .end_s = day + 86400};
    struct store_scope_key key;
    struct store_event event;
    struct store_call call;
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    day_key(&key, day);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 1, 10, 10), STORE_OK);
    assert_int_equal(sent(&ledger, 1), STORE_OK);
    settle_as(&ledger, 1, "gpt-5-nano");
    assert_int_equal(admit(&ledger, 1, 3, 10, 10), STORE_OK);
    assert_int_equal(store_counter_put(ledger.store, &key, &row), STORE_OK);
    for (uint64_t number = 6; number <= 7; number++) {
        admission_make(&event, 1, number, 10, 10);
        (void)scope_see_run(&event, 1);
        (void)scope_see(&event, &key);
        assert_int_equal(store_admit(ledger.store, &event, &call), STORE_OK);
    }
    assert_int_equal(sent(&ledger, 7), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    become_schema_2(ledger.home, 7);
    ledger_open(&ledger, false);
    expect_proven(&ledger, "brought over");
    row = counter_of(&ledger, &key);
    assert_int_equal(row.in_flight, 2);
    assert_int_equal(row.held[GOV_STEPS], 1);
    assert_int_equal(row.held[GOV_COST], 20);
    assert_int_equal(row.charged[GOV_STEPS], 3);
    assert_int_equal(row.charged[GOV_COST], 15); /* of 1, and the hold of 3 */
    begin(&ledger);
    assert_int_equal(settle(&ledger, 3, STORE_RELEASED, 0, 0), STORE_OK);
    assert_int_equal(settle(&ledger, 6, STORE_RELEASED, 0, 0), STORE_OK);
    assert_int_equal(settle(&ledger, 7, STORE_SETTLED, 5, 5), STORE_OK);
    commit(&ledger);
    row = counter_of(&ledger, &key);
    assert_int_equal(row.in_flight, 0);
    assert_int_equal(row.charged[GOV_COST], 20);
    expect_proven(&ledger, "and lived on");
    ledger_free(&ledger);
}

static void a_ledger_of_schema_2_is_brought_over(void **state)
{
    struct store_error error;
    struct ledger ledger;
    uint8_t head[32];
    struct raw raw;

    (void)state;
    ledger_of_2(&ledger);
    assert_int_equal(store_open(ledger.home, true, &ledger.store, &error), STORE_SCHEMA_OLDER);
    assert_non_null(strstr(error.text, "schema 2"));
    ledger_open(&ledger, false);
    expect_proven(&ledger, "brought over");
    memcpy(head, proof_of(&ledger, NULL).head, sizeof head);
    assert_int_equal(count_of(&ledger, STORE_CALLS_OF_MODEL, "gpt-5-nano"), 4);
    assert_int_equal(count_of(&ledger, STORE_CALLS_OF_MODEL, "gpt-5-nano-2025-08-07"), 1);
    begin(&ledger);
    assert_int_equal(admit(&ledger, 1, 6, 10, 10), STORE_OK);
    assert_int_equal(settle(&ledger, 3, STORE_RELEASED, 0, 0), STORE_OK);
    commit(&ledger);
    store_close(ledger.store);
    ledger_open(&ledger, true);
    expect_proven(&ledger, "gone on with");
    assert_true(proof_of(&ledger, head).head_known);
    store_close(ledger.store);
    raw_open(&raw, ledger.home, "index");
    assert_int_equal(mdb_dbi_open(raw.txn, "runcalls", 0, &raw.dbi), MDB_NOTFOUND);
    raw_close(&raw);
    home_remove(ledger.home);
}

/* ---- runs that live -------------------------------------------------------------------------- */

static unsigned alive(struct ledger *ledger)
{
    const struct store_index_key of = {.kind = STORE_RUNS_ALIVE};
    struct store_view *view = view_of(ledger);
    struct store_run run;
    uint8_t last[16];
    unsigned count = 0;

    while (store_view_next_run_of(view, &of, count > 0 ? last : NULL, &run) == STORE_OK) {
        memcpy(last, run.run_id, sizeof last);
        count++;
    }
    store_view_close(view);
    return count;
}

static void close_run(struct ledger *ledger, uint64_t run)
{
    uint8_t id[16];

    id_make(id, 'r', run);
    begin(ledger);
    assert_int_equal(store_run_close(ledger->store, id, GOV_COMPLETED, 0, NOON + SECOND), STORE_OK);
    commit(ledger);
}

static void reopen_run(struct ledger *ledger, uint64_t run)
{
    struct store_event event;

    head_make(&event, STORE_TURNED, run, 0, NOON + 2 * SECOND);
    event.turned.word = STORE_REOPENED;
    store_scope_run(&event.turned.key, event.head.run_id);
    begin(ledger);
    assert_int_equal(store_turn(ledger->store, &event), STORE_OK);
    commit(ledger);
}

static void runs_that_live_are_listed(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    for (uint64_t run = 1; run <= 3; run++)
        run_new(&ledger, run);
    assert_int_equal(alive(&ledger), 3);
    close_run(&ledger, 2);
    close_run(&ledger, 3);
    assert_int_equal(alive(&ledger), 1);
    reopen_run(&ledger, 3);
    assert_int_equal(alive(&ledger), 2);
    expect_proven(&ledger, "two live");
    ledger_free(&ledger);
}

static void become_schema_3(const char *home)
{
    struct raw_row row = {.key_bytes = 6, .value_bytes = 4, .key = "schema", .value = {3}};
    struct raw_row entry;
    struct raw raw;

    raw_open(&raw, home, "index");
    for (unsigned n = 0; raw_row(&raw, n, &entry);)
        if (entry.key[0] == STORE_RUNS_ALIVE)
            raw_delete(&raw, &entry);
        else
            n++;
    raw_close(&raw);
    raw_open(&raw, home, "meta");
    raw_put(&raw, &row);
    raw_close(&raw);
}

static void a_ledger_of_schema_3_is_brought_over(void **state)
{
    struct store_error error;
    struct ledger ledger;

    (void)state;
    ledger_new(&ledger);
    for (uint64_t run = 1; run <= 3; run++)
        run_new(&ledger, run);
    close_run(&ledger, 2);
    store_close(ledger.store);
    become_schema_3(ledger.home);
    assert_int_equal(store_open(ledger.home, true, &ledger.store, &error), STORE_SCHEMA_OLDER);
    assert_non_null(strstr(error.text, "schema 3"));
    ledger_open(&ledger, false);
    assert_int_equal(alive(&ledger), 2);
    expect_proven(&ledger, "brought over");
    ledger_free(&ledger);
}

/* What is opened anew after nothing was committed is still the old one. */
static void a_ledger_that_cannot_be_brought_over_stays_as_it_is(void **state)
{
    struct store_error error;
    struct ledger ledger;
    struct raw_row row;
    struct raw raw;

    (void)state;
    ledger_of_2(&ledger);
    raw_open(&raw, ledger.home, "chain");
    assert_true(raw_row(&raw, 2, &row));
    row.value[100] ^= 1;
    raw_put(&raw, &row);
    raw_close(&raw);
    assert_int_equal(store_open(ledger.home, false, &ledger.store, &error), STORE_DAMAGED);
    raw_open(&raw, ledger.home, "meta");
    assert_true(raw_row(&raw, 1, &row));
    assert_memory_equal(row.key, "schema", 6);
    assert_int_equal(row.value[0], 2);
    raw_close(&raw);
    home_remove(ledger.home);
}

/* ---- finding --------------------------------------------------------------------------------- */

static void records_are_found_by_their_time(void **state)
{
    struct ledger ledger;

    (void)state;
    ledger_of_2(&ledger);
    ledger_open(&ledger, false);
    assert_int_equal(since_of(&ledger, 0), 1);
    assert_int_equal(since_of(&ledger, NOON), 1);
    assert_int_equal(since_of(&ledger, NOON + 3600 * SECOND), 8);
    assert_int_equal(since_of(&ledger, NOON + 2 * 3600 * SECOND), 9);
    assert_int_equal(since_of(&ledger, NOON + 9 * 3600 * SECOND), 11); /* none */
    ledger_free(&ledger);
}

/* A clock that was set back: nothing of the later times is missed. */
static void a_clock_that_was_set_back_hides_nothing(void **state)
{
    static const int hours[] = {5, 6, 1, 7};
    struct ledger ledger;
    struct store_event event;

    (void)state;
    ledger_new(&ledger);
    run_new(&ledger, 1);
    begin(&ledger);
    for (size_t i = 0; i < COUNT(hours); i++) {
        refusal_make(&event, 1, 1 + i, 1);
        event.head.ts_ns = NOON + hours[i] * 3600 * SECOND;
        assert_int_equal(store_refuse(ledger.store, &event), STORE_OK);
    }
    commit(&ledger);
    assert_int_equal(since_of(&ledger, NOON + 6 * 3600 * SECOND), 3);
    assert_int_equal(since_of(&ledger, NOON + 7 * 3600 * SECOND), 5);
    assert_true(since_of(&ledger, NOON + 1 * 3600 * SECOND) <= 2);
    expect_proven(&ledger, "hours out of order");
    ledger_free(&ledger);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static size_t pack(unsigned char *bytes, unsigned type, size_t body)
{
    struct store_record head = {.version = STORE_RECORD_VERSION, .type = (uint16_t)type};

    memset(bytes, 0xab, 2048);
    head.bytes = (uint32_t)(sizeof head + body);
    memcpy(bytes, &head, sizeof head);
    store_sha256(bytes, head.bytes, bytes + head.bytes);
    return head.bytes + 32;
}

static void a_record_of_a_size_that_nobody_wrote_is_damage(void **state)
{
    static const size_t first[] = {
        [STORE_ALLOCATION] = 840,  [STORE_ADMISSION] = 416, [STORE_REFUSAL] = 256,
        [STORE_CONSUMPTION] = 520, [STORE_WARNING] = 56,    [STORE_EXHAUSTED] = 56,
        [STORE_COMPLETED] = 96,    [STORE_OVERRUN] = 32,    [STORE_RUN_ENDED] = 40,
        [STORE_CORRECTED] = 376,   [STORE_CHECKPOINT] = 88, [STORE_CLOCK] = 264,
        [STORE_USED] = 144,        [STORE_BEGUN] = 176,     [STORE_ASKED] = 280,
        [STORE_ANSWERED] = 288,    [STORE_EXTENDED] = 296,  [STORE_TURNED] = 400,
        [STORE_OVERRIDE] = 440,
    };
    struct store_event *event = calloc(1, sizeof *event);
    unsigned char bytes[2048];

    (void)state;
    assert_non_null(event);
    for (unsigned type = STORE_ALLOCATION; type <= STORE_OVERRIDE; type++)
        for (size_t body = 8; body <= store_body_bytes(type) + 16; body += 8) {
            bool want = first[type] != 0 && body >= first[type] && body <= store_body_bytes(type);

            if (store_unpack(bytes, pack(bytes, type, body), event, NULL) != want)
                fail_msg("type %u, %zu bytes: %s", type, body, want ? "refused" : "taken");
        }
    free(event);
}

/* As schema 2 wrote the end of a call. */
static void a_shorter_record_of_before_ends_in_zeros(void **state)
{
    struct store_event *event = calloc(1, sizeof *event);
    unsigned char bytes[2048];

    (void)state;
    assert_non_null(event);
    assert_true(store_unpack(bytes, pack(bytes, STORE_CONSUMPTION, 520), event, NULL));
    assert_int_equal(event->consumption.object[15], 0xab);
    assert_int_equal(event->consumption.charged_by, STORE_BY_UNKNOWN);
    assert_int_equal(event->consumption.parts, 0);
    free(event);
}

static void a_record_of_a_later_version_is_not_guessed_at(void **state)
{
    struct store_record head = {.version = STORE_RECORD_VERSION + 1, .type = STORE_OVERRUN};
    struct store_event *event = calloc(1, sizeof *event);
    unsigned char bytes[256] = {0};

    (void)state;
    assert_non_null(event);
    head.bytes = (uint32_t)(sizeof head + store_body_bytes(STORE_OVERRUN));
    memcpy(bytes, &head, sizeof head);
    store_sha256(bytes, head.bytes, bytes + head.bytes);
    assert_false(store_unpack(bytes, head.bytes + 32, event, NULL));
    free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_of_schema_2_is_brought_over),
        cmocka_unit_test(runs_that_live_are_listed),
        cmocka_unit_test(a_ledger_of_schema_3_is_brought_over),
        cmocka_unit_test(a_window_of_schema_2_gets_a_record_of_its_beginning),
        cmocka_unit_test(a_ledger_that_cannot_be_brought_over_stays_as_it_is),
        cmocka_unit_test(records_are_found_by_their_time),
        cmocka_unit_test(a_clock_that_was_set_back_hides_nothing),
        cmocka_unit_test(a_record_of_a_size_that_nobody_wrote_is_damage),
        cmocka_unit_test(a_shorter_record_of_before_ends_in_zeros),
        cmocka_unit_test(a_record_of_a_later_version_is_not_guessed_at),
    };

    return cmocka_run_group_tests_name("store schema", tests, NULL, NULL);
}
