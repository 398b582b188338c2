/* SPDX-License-Identifier: Apache-2.0 */
/* After a storm: what was acknowledged is in the ledger, what left is charged, and the ledger
 * proves itself, its caps at every admission included. */
#include "tests/crash/storm.h"

void storm_book_add(struct storm_book *book, const struct storm_client *client)
{
    unsigned count = atomic_load(&client->count);

    if (book->count + count > book->size) {
        book->size = 2 * (book->count + count);
        book->calls = realloc(book->calls, book->size * sizeof *book->calls);
        if (book->calls == NULL)
            ask_die("out of memory");
    }
    memcpy(book->calls + book->count, client->calls, count * sizeof *book->calls);
    book->count += count;
}

static void wrong(const struct storm_call *call, const char *what)
{
    char text[37];

    client_uuid_text(call->id, text);
    ask_die("call %s, told %u: %s", text, atomic_load(&call->told), what);
}

/* Charged what it reported, or its hold, which is more; a released call nothing. */
static void check_end(const struct storm_call *call, const struct store_consumption *used,
                      const struct store_admission *admission)
{
    unsigned told = atomic_load(&call->told);
    int64_t cost = (int64_t)call->input * ASK_INPUT_PUSD + (int64_t)call->output * ASK_OUTPUT_PUSD;

    if (told >= STORM_GONE && used->end == STORE_RELEASED)
        wrong(call, "its request left, and it was released");
    if (told == STORM_SETTLED && (used->end != STORE_SETTLED || used->charged_pusd != cost))
        wrong(call, "its settlement is another one than was acknowledged");
    if (told == STORM_ENDED && used->charged_pusd != cost &&
        used->charged_pusd != admission->hold[GOV_COST])
        wrong(call, "charged neither its cost nor its hold");
    if (used->end == STORE_UNKNOWN && used->charged_pusd != admission->hold[GOV_COST])
        wrong(call, "an unknown end that is not charged the hold");
    if (used->charged_pusd > admission->hold[GOV_COST] && cost <= admission->hold[GOV_COST])
        wrong(call, "charged more than was held");
}

static void check_call(struct store_view *view, const struct storm_call *call,
                       struct storm_totals *totals)
{
    static struct store_event admission, consumption; /* too large for a stack */
    unsigned told = atomic_load(&call->told);
    struct store_call row;
    enum store_err err = store_view_call(view, call->id, &row);

    if (err == STORE_NOT_FOUND && told <= STORM_REFUSED)
        return;
    if (err != STORE_OK || (told >= STORM_HELD && row.state == STORE_CALL_REFUSED))
        wrong(call, "an acknowledged hold is not in the ledger");
    if (row.state == STORE_CALL_REFUSED)
        return;
    if (told == STORM_REFUSED)
        wrong(call, "was refused, and holds");
    if (row.state != STORE_CALL_ENDED)
        wrong(call, "its hold is stuck");
    if (store_view_event(view, row.admission_seq, &admission) != STORE_OK ||
        store_view_event(view, row.consumption_seq, &consumption) != STORE_OK)
        wrong(call, "its records cannot be read");
    check_end(call, &consumption.consumption, &admission.admission);
    totals->holds += told >= STORM_HELD;
    totals->settlements += told == STORM_SETTLED;
}

static void check_runs(struct store_view *view)
{
    struct store_run run;
    uint8_t id[16];
    const uint8_t *last = NULL;

    while (store_view_next_run(view, last, false, &run) == STORE_OK) {
        struct store_scope_key key;
        struct store_counter counter;

        store_scope_run(&key, run.run_id);
        (void)store_view_counter(view, &key, &counter);
        for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
            if (counter.held[dim] != 0 || counter.in_flight != 0 || run.in_flight != 0)
                ask_die("a run holds %lld with nobody there", (long long)counter.held[dim]);
            if (run.allocation.limits[dim] > 0 &&
                store_spent(&counter, (enum gov_dim)dim) > run.allocation.limits[dim])
                ask_die("a run spent %lld of %lld",
                        (long long)store_spent(&counter, (enum gov_dim)dim),
                        (long long)run.allocation.limits[dim]);
        }
        memcpy(id, run.run_id, sizeof id);
        last = id;
    }
}

void storm_check(const char *home, const struct storm_book *book, struct storm_totals *totals)
{
    struct store_error error;
    struct store *store;
    struct store_view *view;
    struct store_proof proof;

    if (store_open(home, true, &store, &error) != STORE_OK)
        ask_die("the ledger does not open: %s", error.text);
    if (store_view_open(store, &view) != STORE_OK ||
        store_verify(view, NULL, NULL, NULL, &proof) != STORE_OK)
        ask_die("the ledger cannot be read");
    if (!proof.chain || !proof.sums || !proof.caps)
        ask_die("verify: record %llu: %s", (unsigned long long)proof.first_bad, proof.what);
    totals->records += proof.records;
    for (size_t i = 0; i < book->count; i++)
        check_call(view, &book->calls[i], totals);
    check_runs(view);
    store_view_close(view);
    store_close(store);
}
