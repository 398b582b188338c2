/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's questions. Every one is answered from a ledger that holds all that was said before
 * it (a barrier goes through the writer first). Long listings are read in slices, a view each, as
 * fast as the other end takes them. */
#include "sidecar/side_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEK_BEFORE_NS (INT64_C(3600) * 1000000000)

struct side_query {
    struct side_query *next, **link;
    struct side_conn *conn;
    const struct verb *verb;
    bool ready;  /* the barrier is through */
    bool asleep; /* a listing that follows the ledger has caught up */
    bool follow;
    bool all;
    char kind[16];
    uint8_t run_id[16];
    bool by_run;
    char session[64];
    struct store_index_key of; /* the calls, or the runs, of it */
    int64_t since_ns;
    uint64_t seq; /* the next record */
    uint8_t last_id[16];
    bool has_last;
    uint8_t head[32];
    bool has_head;
};

/* One line or nothing; *more false: that was all. */
typedef json_t *(*line_maker)(struct side_query *query, struct store_view *view, bool *more,
                              char **text_out);

struct verb {
    const char *name;
    line_maker line; /* a listing; NULL: answered by begin alone */
    void (*begin)(struct side_query *query, struct store_view *view);
    bool one; /* begin answers for a single run, the listing for many */
};

static json_t *call_line(struct side_query *query, struct store_view *view, bool *more,
                         char **text_out);

/* ---- which records ------------------------------------------------------------------------ */

static bool wanted_run(const struct side_query *query, struct store_view *view,
                       const uint8_t run_id[16])
{
    struct store_run run;

    if (query->by_run)
        return memcmp(query->run_id, run_id, 16) == 0;
    if (query->session[0] == '\0')
        return true;
    return store_view_run(view, run_id, &run) == STORE_OK &&
           strncmp(run.allocation.session, query->session, sizeof run.allocation.session) == 0;
}

static bool is_prefix_of(const char *prefix, const uint8_t run_id[16])
{
    char text[37];

    client_uuid_text(run_id, text);
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The least id that begins so. False: none can. */
static bool least_of_prefix(const char *prefix, uint8_t out[16])
{
    unsigned digits = 0;

    memset(out, 0, 16);
    for (; *prefix != '\0'; prefix++) {
        char digit[2] = {*prefix, '\0'};

        if (*prefix == '-')
            continue;
        if (digits == 32 || strspn(digit, "0123456789abcdef") != 1)
            return false;
        out[digits / 2] |= (uint8_t)(strtoul(digit, NULL, 16) << (digits % 2 == 0 ? 4 : 0));
        digits++;
    }
    return true;
}

/* How many runs have an id that begins so, two for more; the first of them. */
static unsigned runs_find(struct store_view *view, const char *prefix, struct store_run *out)
{
    struct store_run run;
    uint8_t id[16];
    unsigned found = 0;
    enum store_err err;

    if (!least_of_prefix(prefix, id))
        return 0;
    for (int i = 15; i >= 0 && id[i]-- == 0; i--) /* what comes after the one before */
        continue;
    err = store_view_next_run(view, prefix[strspn(prefix, "0-")] != '\0' ? id : NULL, false, &run);
    while (found < 2 && err == STORE_OK && is_prefix_of(prefix, run.run_id)) {
        if (found++ == 0)
            *out = run;
        memcpy(id, run.run_id, sizeof id);
        err = store_view_next_run(view, id, false, &run);
    }
    return found;
}

static void select_run(struct side_query *query, const struct store_run *run)
{
    query->by_run = true;
    memcpy(query->run_id, run->run_id, sizeof query->run_id);
    store_index_run(&query->of, run->run_id);
    if (query->seq < run->allocation_seq)
        query->seq = run->allocation_seq; /* nothing of it stands before */
}

static bool select_session(struct side_query *query, struct store_view *view, const char *session)
{
    struct store_run run;

    (void)snprintf(query->session, sizeof query->session, "%s", session);
    store_index_name(&query->of, STORE_RUNS_OF_SESSION, query->session);
    if (store_view_next_run_of(view, &query->of, NULL, &run) != STORE_OK)
        return false;
    if (query->verb->line == call_line)
        query->of.kind = STORE_CALLS_OF_SESSION;
    return true;
}

/* Ids begin with their time, and a call's is made before its record is: somewhat before is soon
 * enough. */
static void seek(struct side_query *query)
{
    int64_t ms = (query->since_ns - SEEK_BEFORE_NS) / 1000000;

    if (ms <= 0)
        return;
    for (int i = 0; i < 6; i++)
        query->last_id[i] = (uint8_t)(ms >> (40 - 8 * i));
    query->has_last = true;
}

/* --run ID, --session S, --all, or none of them: the newest run. False: there is no such run; the
 * other end has been told. */
static bool select_records(struct side_query *query, const json_t *request)
{
    const char *run_text = json_string_value(json_object_get(request, "run"));
    const char *session = json_string_value(json_object_get(request, "session"));
    struct store_view *view;
    struct store_run run;
    char text[200] = "there is no run yet; start one with `flyball run -- CMD`";
    unsigned found;

    if (store_view_open(query->conn->side->store, &view) != STORE_OK) {
        side_conn_done(query->conn, 3, "the ledger cannot be read");
        return false;
    }
    query->seq = query->since_ns != 0 ? store_view_since(view, query->since_ns) : 1;
    if (query->all)
        found = 1;
    else if (run_text != NULL)
        found = runs_find(view, run_text, &run);
    else if (session != NULL)
        found = select_session(query, view, session);
    else
        found = store_view_next_run(view, NULL, true, &run) == STORE_OK;
    store_view_close(view);
    if (query->all)
        return true;
    if (found == 1 && session == NULL)
        select_run(query, &run);
    else if (found > 1)
        (void)snprintf(text, sizeof text, "more than one run has an id that begins with '%.40s'",
                       run_text);
    else if (run_text != NULL)
        (void)snprintf(text, sizeof text, "no run has an id that begins with '%.40s'", run_text);
    else if (session != NULL)
        (void)snprintf(text, sizeof text, "no run belongs to a session '%.80s'", session);
    if (found != 1)
        side_conn_done(query->conn, 1, text);
    return found == 1;
}

/* ---- lines -------------------------------------------------------------------------------- */

static bool next_event(struct side_query *query, struct store_view *view, struct store_event *event)
{
    if (store_view_event(view, query->seq, event) != STORE_OK)
        return false;
    query->seq = event->head.seq + 1;
    return true;
}

static json_t *event_line(struct side_query *query, struct store_view *view, bool *more,
                          char **text_out)
{
    struct store_event *event = malloc(sizeof *event);
    json_t *line = NULL;

    (void)text_out;
    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns &&
        wanted_run(query, view, event->head.run_id))
        line = side_event_json(view, event);
    free(event);
    return line;
}

static bool wanted_kind(const struct side_query *query, unsigned type)
{
    bool settlement = type == STORE_CONSUMPTION;

    return query->kind[0] == '\0' || (strcmp(query->kind, "settlement") == 0) == settlement;
}

static json_t *receipt_line(struct side_query *query, struct store_view *view, bool *more,
                            char **text_out)
{
    struct store_event *event = malloc(sizeof *event);

    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns && wanted_kind(query, event->head.type) &&
        wanted_run(query, view, event->head.run_id))
        *text_out = side_receipt_text(view, event);
    free(event);
    return NULL;
}

static bool since(const struct side_query *query, struct store_view *view,
                  const struct store_call *call)
{
    struct store_event *event;
    uint64_t seq = call->admission_seq != 0 ? call->admission_seq : call->consumption_seq;
    bool later = true;

    if (query->since_ns == 0)
        return true;
    event = malloc(sizeof *event);
    if (event != NULL && store_view_event(view, seq, event) == STORE_OK)
        later = event->head.ts_ns >= query->since_ns;
    free(event);
    return later;
}

static json_t *call_line(struct side_query *query, struct store_view *view, bool *more,
                         char **text_out)
{
    struct store_call call;

    (void)text_out;
    *more = store_view_next_call(view, &query->of, query->has_last ? query->last_id : NULL,
                                 &call) == STORE_OK;
    if (!*more)
        return NULL;
    memcpy(query->last_id, call.call_id, sizeof query->last_id);
    query->has_last = true;
    return wanted_run(query, view, call.run_id) && since(query, view, &call)
               ? side_call_json(view, &call)
               : NULL;
}

static json_t *run_line(struct side_query *query, struct store_view *view, bool *more,
                        char **text_out)
{
    const uint8_t *last = query->has_last ? query->last_id : NULL;
    struct store_run run;

    (void)text_out;
    *more = (query->of.kind == STORE_RUNS_OF_SESSION
                 ? store_view_next_run_of(view, &query->of, last, &run)
                 : store_view_next_run(view, last, false, &run)) == STORE_OK;
    if (!*more)
        return NULL;
    memcpy(query->last_id, run.run_id, sizeof query->last_id);
    query->has_last = true;
    return wanted_run(query, view, run.run_id) && run.started_ns >= query->since_ns
               ? side_run_json(view, &run)
               : NULL;
}

/* ---- answers without a listing ------------------------------------------------------------ */

static void reply_json(struct side_conn *conn, json_t *json)
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
    json_t *json = json_pack("{s:I,s:s,s:I}", "pid", (json_int_t)getpid(), "home",
                             query->conn->side->home, "protocol", (json_int_t)WIRE_VERSION);

    (void)view;
    reply_json(query->conn, json);
    side_conn_done(query->conn, 0, NULL);
}

struct proving {
    struct side_job job;
    struct side *side;
    struct side_query *query; /* NULL: its connection is gone */
    uint8_t head[32];
    bool has_head;
    enum store_err err;
    struct store_proof proof;
};

static void work_proving(struct side_job *job)
{
    struct proving *proving = (struct proving *)job;
    struct store_view *view;

    proving->err = store_view_open(proving->side->store, &view);
    if (proving->err != STORE_OK)
        return;
    proving->err =
        store_verify(view, proving->has_head ? proving->head : NULL, NULL, NULL, &proving->proof);
    store_view_close(view);
}

static bool query_lives(const struct side *side, const struct side_query *query)
{
    const struct side_query *other = side->queries;

    while (other != NULL && other != query)
        other = other->next;
    return other != NULL;
}

static void done_proving(struct side *side, struct side_job *job)
{
    struct proving *proving = (struct proving *)job;

    if (query_lives(side, proving->query)) {
        struct side_conn *conn = proving->query->conn;
        const struct store_proof *proof = &proving->proof;
        bool holds = proof->chain && proof->sums && proof->caps;

        if (proving->err == STORE_OK)
            reply_json(conn, side_proof_json(proof));
        if (proving->err != STORE_OK)
            side_conn_done(conn, 3, store_strerror(proving->err));
        else
            side_conn_done(conn, holds ? 0 : 1, holds ? NULL : proof->what);
    }
    free(proving);
}

static void begin_verify(struct side_query *query, struct store_view *view)
{
    struct proving *proving = calloc(1, sizeof *proving);

    (void)view;
    if (proving == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return;
    }
    proving->job.work = work_proving;
    proving->job.done = done_proving;
    proving->side = query->conn->side;
    proving->query = query;
    proving->has_head = query->has_head;
    memcpy(proving->head, query->head, sizeof proving->head);
    side_work(query->conn->side, &proving->job);
}

static void begin_status(struct side_query *query, struct store_view *view)
{
    struct store_run run;

    if (query->by_run && store_view_run(view, query->run_id, &run) == STORE_OK) {
        reply_json(query->conn, side_run_json(view, &run));
        side_conn_done(query->conn, 0, NULL);
    }
}

static const struct verb verbs[] = {
    {"ping", NULL, begin_ping, false},        {"verify", NULL, begin_verify, false},
    {"status", run_line, begin_status, true}, {"runs", run_line, NULL, false},
    {"calls", call_line, NULL, false},        {"events", event_line, NULL, false},
    {"receipts", receipt_line, NULL, false},
};

/* ---- going on ----------------------------------------------------------------------------- */

/* A slice; false: that was all there is for now. */
static bool slice(struct side_query *query, struct store_view *view)
{
    bool more = true;

    for (unsigned i = 0; i < SIDE_SLICE && more && !side_conn_is_full(query->conn); i++) {
        char *text = NULL;
        json_t *line = query->verb->line(query, view, &more, &text);

        if (line != NULL)
            reply_json(query->conn, line);
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
    struct side_query *query = op->owner;
    struct store_view *view;

    if (query_lives(side, query)) {
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
    seek(query);
    if (kind != NULL)
        (void)snprintf(query->kind, sizeof query->kind, "%s", kind);
    query->has_head = head != NULL;
    if (head != NULL && !side_hash_parse(head, query->head)) {
        side_conn_done(query->conn, 2, "--head: 64 hex digits are expected");
        return false;
    }
    if (query->verb->line == NULL)
        return true;
    if (strcmp(query->verb->name, "runs") == 0 && json_object_get(request, "run") == NULL)
        query->all = true;
    return select_records(query, request);
}

static void post_barrier(struct side *side, void *data)
{
    struct side_op *op =
        query_lives(side, data) ? side_op_new(SIDE_OP_BARRIER, NULL, on_barrier, data) : NULL;

    if (op != NULL)
        side_post(side, op);
    else if (query_lives(side, data))
        side_conn_done(((struct side_query *)data)->conn, 3, "out of memory");
}

static void ask(struct side_conn *conn, const struct verb *verb, const json_t *request)
{
    struct side_query *query = calloc(1, sizeof *query);

    if (query == NULL) {
        side_conn_done(conn, 3, "out of memory");
        return;
    }
    query->conn = conn;
    query->verb = verb;
    query->next = conn->side->queries;
    query->link = &conn->side->queries;
    if (query->next != NULL)
        query->next->link = &query->next;
    conn->side->queries = query;
    conn->query = query;
    if (query_read(query, request))
        side_later(conn->side, post_barrier, query);
}

void side_query_free(struct side_query *query)
{
    query->conn->query = NULL;
    *query->link = query->next;
    if (query->next != NULL)
        query->next->link = query->link;
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
