/* SPDX-License-Identifier: Apache-2.0 */
/* What a run uses without a call of its own. Its processes count what they send in the run's page;
 * its launcher measures what they write, and how long they take. In the loop both become
 * operations; in the writer, records. */
#include "sidecar/side_book.h"

#include <stdlib.h>
#include <string.h>

/* ---- the page ----------------------------------------------------------------------------- */

static void page_tell(struct side_conn *conn, const struct side_run *run)
{
    unsigned char frame[sizeof(struct wire_head)];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_PAGE_IS);
    side_conn_send(conn, frame, w.used, run != NULL ? run->page_fd : -1);
}

bool side_page_open(struct side *side, struct side_run *run, struct side_conn *conn)
{
    if (conn != NULL && conn->page_fd >= 0) {
        run->page_fd = conn->page_fd;
        conn->page_fd = -1;
    } else {
        run->page_fd = page_make();
    }
    run->page = page_map(run->page_fd);
    if (run->page == NULL)
        return false;
    run->sent_posted = atomic_load(&run->page->booked);
    for (struct side_conn *waits = side->conns; waits != NULL; waits = waits->next)
        if (waits->page_of == run) {
            page_tell(waits, run);
            waits->page_of = NULL;
            side_run_drop(run);
        }
    return true;
}

bool side_page_ask(struct side_conn *conn, struct wire_reader *r)
{
    const uint8_t *id = NULL, *token = NULL;
    struct wire_value value;
    struct side_process process;
    struct side_run *run;

    while (wire_next(r, &value)) {
        id = value.tag == WIRE_RUN_ID && value.count == 16 ? value.bytes : id;
        token = value.tag == WIRE_TOKEN && value.count == 16 ? value.bytes : token;
    }
    if (conn->page_of != NULL)
        return false;
    (void)side_process_read(conn->pid, &process);
    run = side_run_known(conn->side, id, token, conn->pid, &process);
    if (run != NULL && run->page == NULL && !run->ended)
        conn->page_of = side_run_hold(run); /* its launcher will bring it */
    else
        page_tell(conn, run);
    return true;
}

/* ---- in the loop -------------------------------------------------------------------------- */

static void on_used(struct side *side, struct side_op *op)
{
    uint64_t sent = (uint64_t)op->event.used.added[GOV_EGRESS];

    if (op->result != STORE_OK)
        op->run->sent_posted -= sent;
    else if (sent > 0)
        atomic_fetch_add(&op->run->page->booked, sent);
    side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

/* What the page has that is in no operation yet. A process of the run may write there what it
 * likes: never backwards. */
static int64_t page_rest(struct side_run *run)
{
    uint64_t sent = run->page != NULL ? atomic_load(&run->page->sent) : 0;
    int64_t rest =
        sent > run->sent_posted && sent <= INT64_MAX ? (int64_t)(sent - run->sent_posted) : 0;

    run->sent_posted += (uint64_t)rest;
    return rest;
}

static void post(struct side *side, struct side_run *run, const int64_t measured[GOV_DIMS],
                 bool always)
{
    int64_t rest = page_rest(run);
    struct side_op *op = rest > 0 || always ? side_op_new(SIDE_OP_USED, run, on_used, NULL) : NULL;

    if (op == NULL) {
        run->sent_posted -= (uint64_t)rest;
        return;
    }
    if (measured != NULL)
        memcpy(op->event.used.added, measured, sizeof op->event.used.added);
    op->event.used.added[GOV_EGRESS] = rest;
    side_post(side, op);
}

static const int64_t not_measured[GOV_DIMS] = {
    [GOV_WALL] = -1, [GOV_WRITES] = -1, [GOV_COMMAND] = -1};

void side_used_look(struct side *side, struct side_run *run)
{
    for (; run != NULL; run = run->parent)
        post(side, run, not_measured, false);
}

bool side_run_used(struct side_conn *conn, const json_t *request, struct side_error *error)
{
    int64_t measured[GOV_DIMS];

    memcpy(measured, not_measured, sizeof measured);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        const json_t *value = json_object_get(request, gov_dim_name((enum gov_dim)dim));

        if (value == NULL)
            continue;
        if (not_measured[dim] == 0 || !json_is_integer(value) || json_integer_value(value) < 0)
            return side_fail(error, "%s is not measured so", gov_dim_name((enum gov_dim)dim));
        measured[dim] = json_integer_value(value);
    }
    post(conn->side, conn->run, measured, true);
    return true;
}

static void on_exhausted(struct side *side, struct side_op *op)
{
    side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

bool side_run_exhausted(struct side_conn *conn, const json_t *request, struct side_error *error)
{
    const char *name = json_string_value(json_object_get(request, "dimension"));
    enum gov_dim dim = name != NULL ? gov_dim_by_name(name) : GOV_DIMS;
    struct side_op *op;

    if (dim == GOV_DIMS)
        return side_fail(error, "no such dimension");
    op = side_op_new(SIDE_OP_EXHAUSTED, conn->run, on_exhausted, NULL);
    if (op == NULL)
        return side_fail(error, "out of memory");
    op->event.threshold.dim = (uint8_t)dim;
    side_post(conn->side, op);
    return true;
}

/* ---- in the writer ------------------------------------------------------------------------ */

/* Measured is the whole of it since the run began, by its launcher alone: what is new is the
 * difference to what the ledger has. Time that does not count stands there below zero. */
static bool news(const struct store_counter *counter, struct store_used *used)
{
    bool any = used->added[GOV_EGRESS] > 0;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        int64_t sign = dim == GOV_WALL ? -1 : 1;

        if (not_measured[dim] == 0)
            continue;
        used->added[dim] = used->added[dim] < 0
                               ? 0
                               : sign * used->added[dim] - store_spent(counter, (enum gov_dim)dim);
        any = any || used->added[dim] != 0;
    }
    return any;
}

static bool is_own_session(const struct side_run *run, const struct store_scope_key *key)
{
    struct store_scope_key own;

    store_scope_name(&own, GOV_SESSION, run->spec.session);
    return memcmp(&own, key, sizeof own) == 0;
}

static bool in_session_above(const struct side_run *run)
{
    for (const struct side_run *above = run->parent; above != NULL; above = above->parent)
        if (strcmp(above->spec.session, run->spec.session) == 0)
            return true;
    return false;
}

/* Of the scopes of a call those that are no windows. What is measured is the outer launcher's to
 * count there: this run's processes are below it as well. */
static void scopes_pick(const struct side_op *op, const struct side_scopes *scopes, bool measured,
                        struct store_event *event)
{
    for (unsigned i = 0; i < scopes->count; i++) {
        bool session = scopes->keys[i].kind == GOV_SESSION;

        if (scopes->keys[i].window != GOV_WHOLE ||
            (i > 0 && scopes->keys[i].kind != GOV_RUN && !session) ||
            (measured && i > 0 &&
             (!is_own_session(op->run, &scopes->keys[i]) || in_session_above(op->run))))
            continue;
        event->scopes[event->head.scope_count++].key = scopes->keys[i];
    }
}

static enum store_err record(struct side_book *book, const struct side_op *op,
                             const struct side_scopes *scopes, const struct store_used *used,
                             bool measured)
{
    struct store_event *event = calloc(1, sizeof *event);
    enum store_err err;

    if (event == NULL)
        return STORE_NOMEM;
    event->head.ts_ns = side_now_ns();
    memcpy(event->head.run_id, op->run->id, sizeof event->head.run_id);
    event->used = *used;
    scopes_pick(op, scopes, measured, event);
    err = store_use(book->store, event);
    free(event);
    return err;
}

enum store_err side_use(struct side_book *book, struct side_op *op)
{
    struct store_used sent = {.added = {[GOV_EGRESS] = op->event.used.added[GOV_EGRESS]}};
    struct store_used measured = op->event.used;
    struct store_counter counter;
    struct side_scopes scopes;
    enum store_err err;

    (void)side_scopes_list(book, op, &scopes);
    err = store_counter_get(book->store, &scopes.keys[0], &counter);
    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    err = STORE_OK;
    if (sent.added[GOV_EGRESS] > 0)
        err = record(book, op, &scopes, &sent, false);
    measured.added[GOV_EGRESS] = 0;
    if (err == STORE_OK && news(&counter, &measured))
        err = record(book, op, &scopes, &measured, true);
    op->run->changes++;
    book->changes++;
    return err == STORE_OK ? side_warn(book, op) : err;
}
