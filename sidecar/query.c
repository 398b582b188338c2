/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's questions. Every one is answered from a ledger that holds all that was said before
 * it (a barrier goes through the writer first). Long listings are read in slices, a view each, as
 * fast as the other end takes them. */
#include "sidecar/control.h"
#include "sidecar/orders.h"
#include "sidecar/side_direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- answers without a listing ------------------------------------------------------------ */

void side_reply_json(struct side_conn *conn, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text != NULL) {
        side_conn_reply(conn, text, strlen(text));
        side_conn_reply(conn, "\n", 1);
    }
    free(text);
    json_decref(json);
}

static void begin_ping(struct side_query *query, struct store_view *view)
{
    const struct side *side = query->conn->side;
    const char *warning = store_warning(side->store);
    json_t *json;
    char text[300];

    if (side->anchor.error[0] != '\0') {
        (void)snprintf(text, sizeof text, "anchor: %s", side->anchor.error);
        warning = text;
    } else if (side->notify.failed > 0) {
        (void)snprintf(text, sizeof text, "notify: %lu told, %lu not; the last one: %s",
                       side->notify.told, side->notify.failed, side->notify.error);
        warning = text;
    }
    json = json_pack("{s:I,s:s,s:I,s:s,s:s?,s:s}", "pid", (json_int_t)getpid(), "home", side->home,
                     "protocol", (json_int_t)WIRE_VERSION, "warning", warning, "control",
                     side->control_url[0] != '\0' ? side->control_url : NULL, "control_error",
                     side->control_error);

    (void)view;
    side_reply_json(query->conn, json);
    side_conn_done(query->conn, 0, NULL);
}

void *side_query_name(const struct side_query *query)
{
    return (void *)(uintptr_t)query->number;
}

struct side_query *side_query_named(const struct side *side, const void *name)
{
    struct side_query *query = side->queries;

    while (query != NULL && side_query_name(query) != name)
        query = query->next;
    return query;
}

static void begin_status(struct side_query *query, struct store_view *view)
{
    struct store_run run;

    if (query->by_run && store_view_run(view, query->run_id, &run) == STORE_OK) {
        side_reply_json(query->conn,
                        side_run_json(view, &run, side_run_find(query->conn->side, run.run_id)));
        side_conn_done(query->conn, 0, NULL);
    }
}

/* clang-format off */
static const struct side_verb verbs[] = {
    {.name = "ping", .begin = begin_ping},
    {.name = "verify", .begin = side_begin_verify},
    {.name = "status", .line = side_line_run, .begin = begin_status, .one = true},
    {.name = "runs", .line = side_line_run},
    {.name = "calls", .line = side_line_call},
    {.name = "events", .line = side_line_event},
    {.name = "receipts", .line = side_line_receipt},
    {.name = "records", .line = side_line_record},
    {.name = "decisions", .line = side_line_decision},
    {.name = "reprice", .line = side_line_reprice, .ready = side_reprice_ready},
    {.name = "correct", .begin = side_begin_correct, .outside = true},
    {.name = "clock.accept", .begin = side_begin_clock, .outside = true},
    {.name = "backup", .begin = side_begin_backup, .outside = true},
    {.name = "retire", .begin = side_begin_retire, .outside = true},
    {.name = "approvals", .begin = side_begin_approvals},
    {.name = "approve", .begin = side_begin_answer, .outside = true},
    {.name = "deny", .begin = side_begin_answer, .outside = true},
    {.name = "extend", .begin = side_begin_extend, .outside = true},
    {.name = "pause", .begin = side_begin_turn, .outside = true},
    {.name = "resume", .begin = side_begin_turn, .outside = true},
    {.name = "stop", .begin = side_begin_turn, .outside = true},
    {.name = "reset", .begin = side_begin_turn, .outside = true},
    {.name = "override.add", .begin = side_begin_override_add, .outside = true},
    {.name = "override.list", .begin = side_begin_override_list},
    {.name = "override.revoke", .begin = side_begin_override_revoke, .outside = true},
    {.name = "snapshot", .begin = side_begin_snapshot},
    {.name = "blocked", .begin = side_begin_blocked},
    {.name = "metrics", .begin = side_begin_metrics},
    {.name = "route", .begin = side_begin_selected},
    {.name = "profile.get", .begin = side_begin_profile},
    {.name = "profile.set", .begin = side_begin_profile_set, .outside = true},
    {.name = "cooldown.list", .begin = side_begin_cooldowns},
    {.name = "cooldown.set", .begin = side_begin_cooldown_set, .outside = true},
};
/* clang-format on */

/* ---- going on ----------------------------------------------------------------------------- */

/* A slice; false: that was all there is for now. */
static bool slice(struct side_query *query, struct store_view *view)
{
    bool more = true;

    for (unsigned i = 0; i < SIDE_SLICE && more && !side_conn_is_full(query->conn); i++) {
        char *text = NULL;
        json_t *line = query->verb->line(query, view, &more, &text);

        if (line != NULL)
            side_reply_json(query->conn, line);
        if (text != NULL) {
            side_conn_reply(query->conn, text, strlen(text));
            side_conn_reply(query->conn, "\n", 1);
        }
        free(text);
    }
    return more;
}

void side_query_go_on(struct side_query *query)
{
    struct store_view *view;

    if (!query->ready || query->asleep || query->verb->line == NULL ||
        store_view_open(query->conn->side->store, &view) != STORE_OK)
        return;
    if (slice(query, view)) {
        (void)event_add(query->conn->writable, NULL); /* when the other end can take more */
    } else if (query->follow) {
        query->asleep = true;
    } else {
        query->ready = false;
        side_conn_done(query->conn, 0, NULL);
    }
    store_view_close(view);
}

void side_queries_wake(struct side *side)
{
    for (struct side_query *query = side->queries; query != NULL; query = query->next)
        if (query->asleep) {
            query->asleep = false;
            (void)event_add(query->conn->writable, NULL);
        }
}

/* What the barrier's question was may be gone by now. */
static void on_barrier(struct side *side, struct side_op *op)
{
    struct side_query *query = side_query_named(side, op->owner);
    struct store_view *view;

    if (query != NULL) {
        enum store_err err = op->result;

        if (err == STORE_OK)
            err = store_view_open(side->store, &view);
        if (err != STORE_OK) {
            side_conn_done(query->conn, 3, store_strerror(err));
        } else {
            query->ready = query->verb->line != NULL && !(query->verb->one && query->by_run);
            if (!query->ready)
                query->verb->begin(query, view);
            store_view_close(view);
            side_query_go_on(query);
        }
    }
    side_op_free(op);
}

/* ---- beginning ---------------------------------------------------------------------------- */

static bool query_read(struct side_query *query, const json_t *request)
{
    const char *kind = json_string_value(json_object_get(request, "kind"));
    const char *head = json_string_value(json_object_get(request, "head"));

    query->all = json_is_true(json_object_get(request, "all"));
    query->follow = json_is_true(json_object_get(request, "follow"));
    query->since_ns = json_integer_value(json_object_get(request, "since_ns"));
    if (kind != NULL)
        (void)snprintf(query->kind, sizeof query->kind, "%s", kind);
    query->has_head = head != NULL;
    if (head != NULL && !side_hash_parse(head, query->head)) {
        side_conn_done(query->conn, 2, "--head: 64 hex digits are expected");
        return false;
    }
    if (query->verb->line == NULL)
        return true;
    if (query->verb->ready != NULL && !query->verb->ready(query))
        return false;
    if (strcmp(query->verb->name, "runs") == 0 && json_object_get(request, "run") == NULL &&
        json_object_get(request, "session") == NULL)
        query->all = true;
    return side_select_records(query, request);
}

static void post_barrier(struct side *side, void *data)
{
    const struct side_query *query = side_query_named(side, data);
    struct side_op *op =
        query != NULL ? side_op_new(SIDE_OP_BARRIER, NULL, on_barrier, data) : NULL;

    if (op != NULL)
        side_post(side, op);
    else if (query != NULL)
        side_conn_done(query->conn, 3, "out of memory");
}

static void ask(struct side_conn *conn, const struct side_verb *verb, const json_t *request)
{
    struct side_query *query = calloc(1, sizeof *query);

    if (query == NULL) {
        side_conn_done(conn, 3, "out of memory");
        return;
    }
    query->number = ++conn->side->query_count;
    query->conn = conn;
    query->verb = verb;
    query->request = json_incref((json_t *)(uintptr_t)request);
    query->next = conn->side->queries;
    query->link = &conn->side->queries;
    if (query->next != NULL)
        query->next->link = &query->next;
    conn->side->queries = query;
    conn->query = query;
    if ((verb->outside || json_is_true(json_object_get(request, "apply"))) &&
        side_run_above(conn->side, conn->pid))
        side_conn_done(conn, 2, "inside_run: use a shell outside any run");
    else if (query_read(query, request))
        side_later(conn->side, post_barrier, side_query_name(query));
}

void side_query_free(struct side_query *query)
{
    query->conn->query = NULL;
    *query->link = query->next;
    if (query->next != NULL)
        query->next->link = query->link;
    json_decref(query->request);
    meter_price_book_free(query->own_book);
    free(query);
}

static bool for_run(struct side_conn *conn, const char *verb, const json_t *request,
                    struct side_error *error)
{
    if (strcmp(verb, "run.open") == 0)
        return conn->run == NULL && side_run_open(conn->side, conn, request, error);
    if (strcmp(verb, "run.attach") == 0)
        return conn->run == NULL && side_run_attach(conn->side, conn, request, error);
    if (strcmp(verb, "run.close") == 0)
        return conn->run != NULL && side_run_finish(conn, request, error);
    if (strcmp(verb, "run.used") == 0)
        return conn->run != NULL && side_run_used(conn, request, error);
    if (strcmp(verb, "run.exhausted") == 0)
        return conn->run != NULL && side_run_exhausted(conn, request, error);
    return side_fail(error, "'%s' is no question that this sidecar knows", verb);
}

void side_query_begin(struct side_conn *conn, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "verb"));
    struct side_error error = {{0}};

    if (name == NULL || conn->call != NULL || conn->query != NULL) {
        side_conn_done(conn, 2, "a question has a verb, and comes one at a time");
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, name) == 0) {
            ask(conn, &verbs[i], request);
            return;
        }
    if (!for_run(conn, name, request, &error))
        side_conn_done(conn, 2, error.text[0] != '\0' ? error.text : "not now");
}
