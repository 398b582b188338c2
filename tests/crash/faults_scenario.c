/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/faults.h"

#include <unistd.h>

static bool dial(const struct client_place *place, struct client_link *link)
{
    char reason[256];
    bool started;

    return client_open(link, place, false, &started, reason, sizeof reason);
}

enum course { WHOLE, BROKEN, LET_GO, VANISH };

/* Nothing leaves but after an admission and a SENT that was taken. */
static void one_call(const struct client_place *place, const struct ask_run *run,
                     struct faults_told *told, enum ask_kind kind, enum course course)
{
    unsigned number = atomic_load(&told->count);
    struct client_link link;
    enum ask_answer answer;
    char reason[64];

    if (!dial(place, &link))
        return;
    client_uuid7(told->calls[number].id);
    atomic_store(&told->count, number + 1);
    answer = ask_send(&link, told->calls[number].id, run, kind)
                 ? ask_verdict(&link, WIRE_SILENCE_MS, reason)
                 : ASK_LOST;
    atomic_store(&told->calls[number].admitted, answer == ASK_ADMITTED);
    atomic_fetch_add(&told->mute, answer == ASK_MUTE);
    atomic_fetch_add(&told->refused, answer == ASK_REFUSED);
    if (answer == ASK_ADMITTED && course == LET_GO)
        (void)ask_end(&link, false, true);
    else if (answer == ASK_ADMITTED && ask_sent(&link)) {
        atomic_store(&told->calls[number].gone, 1);
        if (course == WHOLE)
            (void)!(kind == ASK_STREAM ? ask_streamed(&link, 20, 10) : ask_answered(&link, 20, 10));
        if (course != VANISH)
            (void)ask_end(&link, true, course == BROKEN);
    }
    client_close(&link);
}

static void questions(const struct client_place *place)
{
    static const char *const all[] = {
        "{\"verb\":\"ping\"}",
        "{\"verb\":\"status\"}",
        "{\"verb\":\"runs\"}",
        "{\"verb\":\"calls\",\"all\":true}",
        "{\"verb\":\"events\",\"all\":true}",
        "{\"verb\":\"receipts\",\"all\":true}",
        "{\"verb\":\"verify\"}",
        "{\"verb\":\"status\",\"run\":\"none\"}",
    };
    static char reply[1 << 20];

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct client_link link;

        if (dial(place, &link)) {
            (void)ask_question(&link, all[i], reply, sizeof reply, WIRE_SILENCE_MS);
            client_close(&link);
        }
    }
}

void faults_scenario(const struct client_place *place, struct faults_told *told)
{
    struct client_link launcher;
    struct side_spec spec;
    struct ask_run run;
    char reply[4096];

    ask_spec(&spec);
    spec.limits[GOV_STEPS].amount = 5;
    spec.limits[GOV_COST].amount = INT64_C(1000000000000);
    spec.windows[0].scope = GOV_GLOBAL;
    spec.windows[0].window = GOV_DAILY;
    spec.windows[0].limits[GOV_COST] = (struct gov_limit){INT64_C(1000000000000000), GOV_HARD_STOP};
    spec.window_count = 1;
    if (!dial(place, &launcher) || !ask_run_open(&launcher, &spec, &run))
        return;
    one_call(place, &run, told, ASK_PLAIN, WHOLE);
    one_call(place, &run, told, ASK_PLAIN, LET_GO);
    one_call(place, &run, told, ASK_STREAM, WHOLE);
    one_call(place, &run, told, ASK_LARGE, WHOLE);
    one_call(place, &run, told, ASK_PLAIN, VANISH);
    one_call(place, &run, told, ASK_STREAM, BROKEN);
    questions(place);
    one_call(place, &run, told, ASK_PLAIN, WHOLE); /* more than its steps: refused */
    one_call(place, &run, told, ASK_PLAIN, WHOLE);
    (void)ask_question(&launcher, "{\"verb\":\"run.close\",\"exit\":0,\"state\":2}", reply,
                       sizeof reply, WIRE_SILENCE_MS);
    client_close(&launcher);
}

/* ---- afterwards ----------------------------------------------------------------------------- */

static void check_call(struct store_view *view, const struct faults_told *told, unsigned number,
                       bool settled, const char *what)
{
    static struct store_event event;
    struct store_call row;
    enum store_err err = store_view_call(view, told->calls[number].id, &row);

    if (atomic_load(&told->calls[number].admitted) != 0 &&
        (err != STORE_OK || row.admission_seq == 0))
        ask_die("%s: call %u was admitted, and is not in the ledger", what, number);
    if (!settled || err != STORE_OK || row.state == STORE_CALL_REFUSED)
        return;
    if (row.state != STORE_CALL_ENDED)
        ask_die("%s: the hold of call %u is stuck", what, number);
    if (atomic_load(&told->calls[number].gone) != 0 &&
        (store_view_event(view, row.consumption_seq, &event) != STORE_OK ||
         event.consumption.end == STORE_RELEASED))
        ask_die("%s: call %u had left, and is released", what, number);
}

void faults_check(const struct client_place *place, const struct faults_told *told, bool settled,
                  const char *what)
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;
    char path[600];

    (void)snprintf(path, sizeof path, "%s/ledger.mdb", place->home);
    if (access(path, F_OK) != 0)
        return; /* it was never made, and nothing was ever told */
    if (store_open(place->home, true, &store, &error) != STORE_OK) {
        if (!settled && atomic_load(&told->count) == 0)
            return; /* made by half, before there was anything in it: the next one makes it */
        ask_die("%s: the ledger does not open: %s", what, error.text);
    }
    if (store_view_open(store, &view) != STORE_OK ||
        store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK)
        ask_die("%s: the ledger cannot be read", what);
    if (!proof.chain || !proof.sums || !proof.caps)
        ask_die("%s: verify: record %llu: %s", what, (unsigned long long)proof.first_bad,
                proof.what);
    for (unsigned i = 0; i < atomic_load(&told->count); i++)
        check_call(view, told, i, settled, what);
    store_view_close(view);
    store_close(store);
}
