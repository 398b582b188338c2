/* SPDX-License-Identifier: Apache-2.0 */
/* For the ledger's tests: a ledger in a directory of its own, and the smallest runs, calls and ends
 * that it takes. */
#ifndef FLYBALL_TESTS_STORE_TEST_H
#define FLYBALL_TESTS_STORE_TEST_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"
#include "store/window.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND       INT64_C(1000000000)
#define NOON         (INT64_C(1900000000) * SECOND) /* when the tests are set */

struct ledger {
    char home[64];
    struct store *store;
};

/* Memory where there is some: these tests are not about the disk. */
static inline void home_new(char home[64])
{
    const char *dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(home, 64, "%s/flyball-test-XXXXXX", dir);
    if (mkdtemp(home) == NULL)
        abort();
}

static inline void home_remove(const char *home)
{
    DIR *dir = opendir(home);
    const struct dirent *entry;
    char path[400];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", home, entry->d_name);
        (void)unlink(path);
    }
    if (dir != NULL)
        (void)closedir(dir);
    (void)rmdir(home);
}

static inline void ledger_open(struct ledger *ledger, bool read_only)
{
    struct store_error error;
    enum store_err err = store_open(ledger->home, read_only, &ledger->store, &error);

    if (err != STORE_OK)
        fail_msg("open: %s: %s", store_strerror(err), error.text);
}

static inline void ledger_new(struct ledger *ledger)
{
    home_new(ledger->home);
    ledger_open(ledger, false);
}

static inline void ledger_free(struct ledger *ledger)
{
    store_close(ledger->store);
    home_remove(ledger->home);
}

static inline void begin(struct ledger *ledger)
{
    assert_int_equal(store_begin(ledger->store), STORE_OK);
}

static inline void commit(struct ledger *ledger)
{
    assert_int_equal(store_commit(ledger->store, false), STORE_OK);
}

/* A day of the whole ledger, and its beginning with what was charged in it before. */
static inline void day_key(struct store_scope_key *out, int64_t start_s)
{
    store_scope_global(out);
    store_scope_window(out, GOV_DAILY, 0, 0, start_s);
}

static inline void day_begin(struct ledger *ledger, int64_t start_s, int64_t charged)
{
    const int64_t before[GOV_DIMS] = {[GOV_COST] = charged};
    struct store_scope_key key;

    day_key(&key, start_s);
    assert_int_equal(store_window_begin(ledger->store, &key, start_s + 86400, "", before,
                                        start_s * INT64_C(1000000000)),
                     STORE_OK);
}

static inline struct store_view *view_of(struct ledger *ledger)
{
    struct store_view *view = NULL;

    assert_int_equal(store_view_open(ledger->store, &view), STORE_OK);
    return view;
}

/* An id like the ones that have their time in front: in order of number. */
static inline void id_make(uint8_t out[16], char kind, uint64_t number)
{
    memset(out, 0, 16);
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(number >> (56 - 8 * i));
    out[15] = (uint8_t)kind;
}

static inline void head_make(struct store_event *event, enum store_type type, uint64_t run,
                             uint64_t call, int64_t ts_ns)
{
    memset(event, 0, sizeof *event);
    event->head.type = (uint16_t)type;
    event->head.ts_ns = ts_ns;
    id_make(event->head.run_id, 'r', run);
    if (call != 0)
        id_make(event->head.call_id, 'c', call);
}

/* As the sidecar opens a run: the record, then the row. */
static inline enum store_err run_begin(struct store *store, uint64_t run, int64_t ts_ns)
{
    struct store_event event;
    struct store_run row = {.state = GOV_RUNNING, .started_ns = ts_ns};
    enum store_err err;

    head_make(&event, STORE_ALLOCATION, run, 0, ts_ns);
    event.allocation.limits[GOV_COST] = 5000;
    event.allocation.pid = 4711;
    (void)snprintf(event.allocation.argv0, sizeof event.allocation.argv0, "agent");
    err = store_append(store, &event, sizeof event.allocation);
    id_make(row.run_id, 'r', run);
    row.allocation = event.allocation;
    row.allocation_seq = event.head.seq;
    return err == STORE_OK ? store_run_put(store, &row) : err;
}

static inline void run_new(struct ledger *ledger, uint64_t run)
{
    begin(ledger);
    assert_int_equal(run_begin(ledger->store, run, NOON), STORE_OK);
    commit(ledger);
}

/* As the sidecar ends a run whose hard limit is used up. */
static inline void run_fail(struct ledger *ledger, uint64_t run)
{
    struct store_event event;
    struct store_run row;

    head_make(&event, STORE_RUN_ENDED, run, 0, NOON);
    event.run_ended.reason_count = 1;
    event.run_ended.reasons[0] = GOV_REASON_COST;
    assert_int_equal(store_append(ledger->store, &event, sizeof event.run_ended), STORE_OK);
    assert_int_equal(store_run_get(ledger->store, event.head.run_id, &row), STORE_OK);
    row.state = GOV_FAILED;
    row.reason_count = 1;
    row.reasons[0] = GOV_REASON_COST;
    assert_int_equal(store_run_put(ledger->store, &row), STORE_OK);
}

/* An admission without scopes; scope_see() adds them. */
static inline void admission_make(struct store_event *event, uint64_t run, uint64_t call,
                                  int64_t tokens, int64_t cost)
{
    head_make(event, STORE_ADMISSION, run, call, NOON);
    event->admission.hold[GOV_STEPS] = 1;
    event->admission.hold[GOV_TOKENS] = tokens;
    event->admission.hold[GOV_COST] = cost;
    event->admission.cap_asked = UINT64_MAX;
    event->admission.cap_held = 1024;
    event->admission.request_hash[0] = (uint8_t)call;
    (void)snprintf(event->admission.model, sizeof event->admission.model, "gpt-5-nano");
}

static inline struct store_scope_seen *scope_see(struct store_event *event,
                                                 const struct store_scope_key *key)
{
    struct store_scope_seen *seen = &event->scopes[event->head.scope_count++];

    seen->key = *key;
    return seen;
}

static inline struct store_scope_seen *scope_see_run(struct store_event *event, uint64_t run)
{
    struct store_scope_key key;
    uint8_t id[16];

    id_make(id, 'r', run);
    store_scope_run(&key, id);
    return scope_see(event, &key);
}

static inline void consumption_make(struct store_event *event, uint64_t call, enum store_end end,
                                    int64_t tokens, int64_t cost)
{
    head_make(event, STORE_CONSUMPTION, 0, call, NOON);
    event->consumption.end = (uint8_t)end;
    event->consumption.tokens[METER_INPUT] = (uint64_t)tokens;
    event->consumption.tokens_total = tokens;
    event->consumption.cost_pusd = cost;
    event->consumption.provider_cost_pusd = -1;
    event->consumption.charged_pusd = cost;
}

static inline void refusal_make(struct store_event *event, uint64_t run, uint64_t call,
                                int64_t count)
{
    head_make(event, STORE_REFUSAL, run, call, NOON);
    event->refusal.count = count;
    event->refusal.reason_count = 1;
    event->refusal.reasons[0] = GOV_REASON_COST;
    event->refusal.dim = GOV_COST;
}

/* A call of a run that is a scope of its own, without a limit. */
static inline enum store_err admit(struct ledger *ledger, uint64_t run, uint64_t call,
                                   int64_t tokens, int64_t cost)
{
    struct store_event event;
    struct store_call row;

    admission_make(&event, run, call, tokens, cost);
    (void)scope_see_run(&event, run);
    return store_admit(ledger->store, &event, &row);
}

static inline enum store_err sent(struct ledger *ledger, uint64_t call)
{
    uint8_t id[16];

    id_make(id, 'c', call);
    return store_sent(ledger->store, id, NOON + SECOND);
}

static inline enum store_err settle(struct ledger *ledger, uint64_t call, enum store_end end,
                                    int64_t tokens, int64_t cost)
{
    struct store_event event;

    consumption_make(&event, call, end, tokens, cost);
    return store_settle(ledger->store, &event);
}

static inline struct store_counter counter_of(struct ledger *ledger,
                                              const struct store_scope_key *key)
{
    struct store_view *view = view_of(ledger);
    struct store_counter counter;

    (void)store_view_counter(view, key, &counter);
    store_view_close(view);
    return counter;
}

static inline struct store_counter counter_of_run(struct ledger *ledger, uint64_t run)
{
    struct store_scope_key key;
    uint8_t id[16];

    id_make(id, 'r', run);
    store_scope_run(&key, id);
    return counter_of(ledger, &key);
}

static inline struct store_run row_of_run(struct ledger *ledger, uint64_t run)
{
    struct store_view *view = view_of(ledger);
    struct store_run row;
    uint8_t id[16];

    id_make(id, 'r', run);
    assert_int_equal(store_view_run(view, id, &row), STORE_OK);
    store_view_close(view);
    return row;
}

static inline struct store_proof proof_of(struct ledger *ledger, const uint8_t *head)
{
    struct store_view *view = view_of(ledger);
    struct store_proof proof;

    assert_int_equal(store_verify(view, head, NULL, NULL, &proof), STORE_OK);
    store_view_close(view);
    return proof;
}

static inline void expect_proven(struct ledger *ledger, const char *when)
{
    struct store_proof proof = proof_of(ledger, NULL);

    if (!proof.chain || !proof.sums || !proof.caps)
        fail_msg("%s: not proven: record %llu: %s", when, (unsigned long long)proof.first_bad,
                 proof.what);
}

#endif
