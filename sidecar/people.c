/* SPDX-License-Identifier: Apache-2.0 */
/* People, in the loop: the questions that are open and when their time is up, and the verbs with
 * which operators answer, extend, pause, stop, reset. What is decided is the writer's (orders.c).
 */
#include "sidecar/json.h"
#include "sidecar/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_WITHIN  10000u /* records after a question in which its answer is looked for */
#define EXPIRY_AGAIN_S 1      /* when it could not be booked that a question has expired */

/* ---- the question of a run ---------------------------------------------------------------- */

static void expire_later(struct side_run *run)
{
    static const struct timeval later = {EXPIRY_AGAIN_S, 0};

    if (run->expiry != NULL)
        (void)evtimer_add(run->expiry, &later);
}

/* A question that stays open for want of room, say, is not open for ever. */
static void on_expired(struct side *side, struct side_op *op)
{
    if (op->result != STORE_OK && op->result != STORE_CONFLICT &&
        op->run->asked_seq == op->event.answered.of_seq)
        expire_later(op->run);
    side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

static void on_expiry(evutil_socket_t fd, short what, void *data)
{
    struct side_run *run = data;
    struct side *side = run->side;
    struct side_op *op = side_op_new(SIDE_OP_ANSWER, run, on_expired, NULL);

    (void)fd, (void)what;
    if (op == NULL) {
        expire_later(run);
        return;
    }
    op->event.head.type = STORE_ANSWERED;
    op->event.answered.of_seq = run->asked_seq;
    op->event.answered.answer = STORE_TIMED_OUT;
    (void)snprintf(op->event.answered.reason, sizeof op->event.answered.reason,
                   "nobody answered in time");
    side_post(side, op);
}

static bool event_read(struct side *side, uint64_t seq, struct store_event *out)
{
    struct store_view *view;
    bool found = store_view_open(side->store, &view) == STORE_OK;

    if (!found)
        return false;
    found = store_view_event(view, seq, out) == STORE_OK && out->head.seq == seq;
    store_view_close(view);
    return found;
}

void side_run_expiry(struct side *side, struct side_run *run, uint64_t asked_seq)
{
    struct store_event *asked;
    struct timeval in = {0, 0};
    int64_t left_ms = run->spec.approval_timeout_ms;

    if (run->asked_seq == asked_seq)
        return;
    if (run->expiry != NULL)
        event_free(run->expiry);
    run->expiry = NULL;
    run->asked_seq = asked_seq;
    run->side = side;
    if (asked_seq == 0)
        return;
    asked = calloc(1, sizeof *asked);
    if (asked != NULL && event_read(side, asked_seq, asked) && asked->head.type == STORE_ASKED)
        left_ms = (asked->asked.expires_ns - side_now_ns()) / 1000000;
    free(asked);
    if (left_ms > 0)
        in = (struct timeval){left_ms / 1000, left_ms % 1000 * 1000};
    run->expiry = evtimer_new(side->base, on_expiry, run);
    if (run->expiry != NULL)
        (void)evtimer_add(run->expiry, &in);
}

static unsigned waiting_calls(const struct side *side, const struct side_run *run)
{
    unsigned count = 0;

    for (const struct side_call *call = side->calls; call != NULL; call = call->next) {
        const struct side_run *above = call->run;

        if (call->phase != SIDE_ASKED || call->admitting == NULL ||
            !atomic_load(&call->admitting->waiting))
            continue;
        while (above != NULL && above != run)
            above = above->parent;
        count += above != NULL;
    }
    return count;
}

static json_t *question_json(const struct side *side, const struct side_run *run,
                             const struct store_event *asked)
{
    json_t *out = json_object();

    side_asked_json(out, asked);
    (void)json_object_set_new(out, "run_id", json_string(run->id_text));
    (void)json_object_set_new(out, "waiting_calls", json_integer(waiting_calls(side, run)));
    (void)json_object_set_new(out, "requested_at", side_when_json(asked->head.ts_ns));
    return out;
}

json_t *side_state_json(struct side *side, const struct side_notice *notice)
{
    struct store_event *asked = calloc(1, sizeof *asked);
    json_t *out =
        json_pack("{s:s,s:s,s:b,s:I}", "notice", "state", "state", gov_state_name(notice->state),
                  "by_hand", notice->by_hand, "left_ms", (json_int_t)notice->left_ms);

    (void)json_object_set_new(out, "limits", side_amounts_json(notice->limits));

    if (asked != NULL && notice->asked_seq != 0 && event_read(side, notice->asked_seq, asked))
        (void)json_object_set_new(out, "question", question_json(side, notice->run, asked));
    free(asked);
    return out;
}

void side_run_tell(struct side *side, struct side_run *run)
{
    struct side_notice notice = {.run = run, .turned = true, .left_ms = -1};
    struct store_scope_key key;
    struct store_counter counter;
    struct store_view *view;
    struct store_run row;
    int64_t now_ns = side_now_ns();
    json_t *json;
    char *text;

    if (run->launcher == NULL || store_view_open(side->store, &view) != STORE_OK)
        return;
    if (store_view_run(view, run->id, &row) == STORE_OK) {
        side_limits_now(view, &row, run->spec.ceilings, notice.limits);
        store_scope_run(&key, run->id);
        (void)store_view_counter(view, &key, &counter);
        notice.state = (enum gov_state)row.state;
        notice.by_hand = row.paused_by_hand != 0;
        if (notice.limits[GOV_WALL] > 0)
            notice.left_ms = side_wall_left_ms(notice.limits[GOV_WALL], &row, &counter, now_ns);
        json = side_state_json(side, &notice);
        text = json_dumps(json, JSON_COMPACT);
        if (text != NULL)
            side_conn_notice(run->launcher, text);
        free(text);
        json_decref(json);
    }
    store_view_close(view);
}

/* ---- several operations for one question ---------------------------------------------------- */

static void query_step(struct side_query *query)
{
    if (--query->pending == 0)
        side_conn_done(query->conn, query->code, query->why[0] != '\0' ? query->why : NULL);
}

static void query_fail(struct side_query *query, int code, const char *why)
{
    if (query->code == 0) {
        query->code = code;
        (void)snprintf(query->why, sizeof query->why, "%s", why);
    }
}

static const char *text_of(const struct side_query *query, const char *name)
{
    const char *text = json_string_value(json_object_get(query->request, name));

    return text != NULL ? text : "";
}

static void fill(const struct side_query *query, char *actor, char *reason)
{
    (void)snprintf(actor, STORE_ACTOR_TEXT, "%s", text_of(query, "actor"));
    (void)snprintf(reason, STORE_REASON_TEXT, "%s", text_of(query, "reason"));
}

/* NULL: out of memory; the other end is told when nothing else is left to do. */
static struct side_op *op_new(struct side_query *query, enum side_op_kind kind,
                              struct side_run *run, void (*done)(struct side *, struct side_op *))
{
    struct side_op *op = side_op_new(kind, run, done, side_query_name(query));

    if (op == NULL)
        query_fail(query, 3, "out of memory");
    else
        query->pending++;
    return op;
}

/* A map of dimensions to amounts. False: told what is wrong. */
static bool amounts_read(struct side_query *query, const char *name, int64_t amounts[GOV_DIMS])
{
    const json_t *map = json_object_get(query->request, name), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        enum gov_dim dim = gov_dim_by_name(key);

        if (dim == GOV_DIMS || !json_is_integer(value) || json_integer_value(value) <= 0) {
            side_conn_done(query->conn, 2, "an amount is more than 0, of a dimension");
            return false;
        }
        amounts[dim] = json_integer_value(value);
    }
    return true;
}

static void amounts_fail(struct side_query *query, const struct side_op *op)
{
    char why[200], most[SIDE_AMOUNT_TEXT];

    if (op->ceiling > 0)
        (void)snprintf(why, sizeof why, "%s: the ceiling of the system's configuration is %s",
                       gov_dim_name(op->dim_wrong),
                       side_amount_text(op->dim_wrong, op->ceiling, most));
    else if (op->dim_wrong != GOV_DIMS && op->amounts[op->dim_wrong] > 0)
        (void)snprintf(why, sizeof why, "%s has no limit there, so nothing can be added to it",
                       gov_dim_name(op->dim_wrong));
    else
        (void)snprintf(why, sizeof why, "the sum is more than the ledger can hold");
    query_fail(query, 2, why);
}

/* ---- approvals --------------------------------------------------------------------------------
 */

/* Calls each() for every question that is open. */
static void each_question(struct side *side, struct store_view *view,
                          void (*each)(void *data, struct side_run *run,
                                       const struct store_event *asked),
                          void *data)
{
    struct store_event *asked = calloc(1, sizeof *asked);
    struct store_run row;

    for (struct side_run *run = side->runs; run != NULL && asked != NULL; run = run->next)
        if (store_view_run(view, run->id, &row) == STORE_OK && row.asked_seq != 0 &&
            store_view_event(view, row.asked_seq, asked) == STORE_OK)
            each(data, run, asked);
    free(asked);
}

static void reply_question(void *data, struct side_run *run, const struct store_event *asked)
{
    struct side_query *query = data;

    side_reply_json(query->conn, question_json(query->conn->side, run, asked));
}

void side_begin_approvals(struct side_query *query, struct store_view *view)
{
    each_question(query->conn->side, view, reply_question, query);
    side_conn_done(query->conn, 0, NULL);
}

struct finding {
    const char *prefix;
    unsigned count;
    struct side_run *run;
    uint64_t asked_seq;
};

static void find_question(void *data, struct side_run *run, const struct store_event *asked)
{
    struct finding *finding = data;
    char id[37];

    client_uuid_text(asked->asked.checkpoint_id, id);
    if (strncmp(id, finding->prefix, strlen(finding->prefix)) != 0)
        return;
    finding->count++;
    finding->run = run;
    finding->asked_seq = asked->head.seq;
}

/* What came of a question, and of its run. False: there was none with this number. */
static bool explain_gone(struct store_view *view, uint64_t seq, const uint8_t id[16], char *why,
                         size_t size)
{
    static const char *const words[] = {[STORE_APPROVED] = "was approved",
                                        [STORE_DENIED] = "was denied",
                                        [STORE_TIMED_OUT] = "got no answer in time",
                                        [STORE_WITHDRAWN] = "was withdrawn"};
    struct store_event *event = calloc(1, sizeof *event);
    const struct store_answered *answered = &event->answered;
    char run_id[37], when[32];
    struct store_run row = {0};
    bool found = event != NULL && store_view_event(view, seq, event) == STORE_OK &&
                 event->head.type == STORE_ASKED && event->head.seq == seq &&
                 memcmp(event->asked.checkpoint_id, id, 16) == 0;

    if (found)
        (void)store_view_run(view, event->head.run_id, &row);
    client_uuid_text(row.run_id, run_id);
    (void)snprintf(why, size, "that question is not open any more; run %s is %s", run_id,
                   gov_state_name((enum gov_state)row.state));
    for (unsigned i = 0; found && i < ANSWER_WITHIN; i++) {
        if (store_view_event(view, event->head.seq + 1, event) != STORE_OK)
            break;
        if (event->head.type != STORE_ANSWERED || answered->of_seq != seq)
            continue;
        (void)snprintf(why, size, "that question %s%s%s at %s; run %s is %s",
                       answered->answer <= STORE_WITHDRAWN ? words[answered->answer] : "is over",
                       answered->actor[0] != '\0' ? " by " : "", answered->actor,
                       side_time_text(event->head.ts_ns, when), run_id,
                       gov_state_name((enum gov_state)row.state));
        break;
    }
    free(event);
    return found;
}

static void tell_gone(struct side_query *query, struct store_view *view, const char *text)
{
    uint8_t id[16];
    char why[300];

    if (!client_hex16(text, id) ||
        !explain_gone(view, store_checkpoint_seq(id), id, why, sizeof why))
        (void)snprintf(why, sizeof why,
                       "no open question has an id that begins with '%.40s'; `flyball approvals` "
                       "lists them",
                       text);
    side_conn_done(query->conn, 1, why);
}

static void answered_fail(struct side *side, struct side_query *query, const struct side_op *op)
{
    const struct store_answered *answered = &op->event.answered;
    struct store_event *asked = calloc(1, sizeof *asked);
    struct store_view *view;
    char why[300] = "that question is not open any more";

    if (op->result == STORE_OVER) {
        amounts_fail(query, op);
    } else if (op->result != STORE_CONFLICT) {
        query_fail(query, 3, store_strerror(op->result));
    } else if (asked != NULL && store_view_open(side->store, &view) == STORE_OK) {
        if (store_view_event(view, answered->of_seq, asked) == STORE_OK)
            (void)explain_gone(view, answered->of_seq, asked->asked.checkpoint_id, why, sizeof why);
        store_view_close(view);
        query_fail(query, 1, why);
    }
    free(asked);
}

static void on_answered(struct side *side, struct side_op *op)
{
    struct side_query *query = side_query_named(side, op->owner);
    bool approved = op->event.answered.answer == STORE_APPROVED;

    side_notices_tell(side, op);
    side_queries_wake(side);
    if (query != NULL && op->result != STORE_OK)
        answered_fail(side, query, op);
    else if (query != NULL)
        side_reply_json(query->conn,
                        json_pack("{s:o,s:s,s:s,s:o}", "checkpoint_id",
                                  side_id_json(op->event.answered.checkpoint_id), "run_id",
                                  op->run->id_text, "decision", approved ? "approved" : "denied",
                                  "extensions", side_amounts_json(op->amounts)));
    if (query != NULL)
        query_step(query);
    side_op_free(op);
}

void side_begin_answer(struct side_query *query, struct store_view *view)
{
    struct finding finding = {.prefix = text_of(query, "id")};
    bool approve = strcmp(query->verb->name, "approve") == 0;
    int64_t amounts[GOV_DIMS] = {0};
    struct side_op *op;

    if (!amounts_read(query, "extend", amounts))
        return;
    if (!approve && json_object_get(query->request, "extend") != NULL) {
        side_conn_done(query->conn, 2, "a denial extends nothing");
        return;
    }
    each_question(query->conn->side, view, find_question, &finding);
    if (finding.count > 1) {
        side_conn_done(query->conn, 1, "more than one open question has an id that begins so");
        return;
    }
    if (finding.count == 0) {
        tell_gone(query, view, finding.prefix);
        return;
    }
    op = op_new(query, SIDE_OP_ANSWER, finding.run, on_answered);
    if (op == NULL) {
        side_conn_done(query->conn, 3, query->why);
        return;
    }
    memcpy(op->amounts, amounts, sizeof op->amounts);
    op->event.head.type = STORE_ANSWERED;
    op->event.answered.of_seq = finding.asked_seq;
    op->event.answered.answer = approve ? STORE_APPROVED : STORE_DENIED;
    fill(query, op->event.answered.actor, op->event.answered.reason);
    side_post(query->conn->side, op);
}

/* ---- one run, or several ----------------------------------------------------------------------
 */

static void run_reply(struct side *side, struct side_query *query, const struct side_op *op)
{
    struct store_view *view;
    struct store_run row;
    int64_t limits[GOV_DIMS];

    if (store_view_open(side->store, &view) != STORE_OK)
        return;
    if (store_view_run(view, op->run->id, &row) == STORE_OK) {
        side_limits_now(view, &row, op->run->spec.ceilings, limits);
        side_reply_json(query->conn, json_pack("{s:s,s:s,s:s,s:o}", "run_id", op->run->id_text,
                                               "was", gov_state_name(op->state), "state",
                                               gov_state_name((enum gov_state)row.state), "limits",
                                               side_amounts_json(limits)));
    }
    store_view_close(view);
}

static void on_extended(struct side *side, struct side_op *op)
{
    struct side_query *query = side_query_named(side, op->owner);

    side_notices_tell(side, op);
    side_queries_wake(side);
    if (query != NULL) {
        if (op->result == STORE_OK)
            run_reply(side, query, op);
        else if (op->result == STORE_OVER)
            amounts_fail(query, op);
        else
            query_fail(query, 3, store_strerror(op->result));
        query_step(query);
    }
    side_op_free(op);
}

void side_begin_extend(struct side_query *query, struct store_view *view)
{
    struct side *side = query->conn->side;
    int64_t amounts[GOV_DIMS] = {0};
    struct side_run *run;
    struct side_op *op;

    (void)view;
    if (!amounts_read(query, "extend", amounts) || !side_select_records(query, query->request))
        return;
    run = side_run_by_id(side, query->run_id);
    op = run != NULL ? op_new(query, SIDE_OP_EXTEND, run, on_extended) : NULL;
    side_run_drop(run);
    if (op == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return;
    }
    memcpy(op->amounts, amounts, sizeof op->amounts);
    fill(query, op->event.extended.actor, op->event.extended.reason);
    side_post(side, op);
}

static const struct {
    const char *verb;
    enum store_word word;
    const char *not_now; /* of a run in another state */
} turns[] = {
    {"pause", STORE_PAUSED, "only a run that goes on can be paused"},
    {"resume", STORE_RESUMED,
     "only a run that was paused by hand can be resumed; a question wants approve or deny"},
    {"stop", STORE_STOPPED, "it is stopped already"},
    {"reset", STORE_RESET, "there is nothing to lift"},
};

static unsigned turn_of(const struct side_query *query)
{
    unsigned i = 0;

    while (strcmp(turns[i].verb, query->verb->name) != 0)
        i++;
    return i;
}

static void on_turned(struct side *side, struct side_op *op)
{
    struct side_query *query = side_query_named(side, op->owner);
    bool one;
    char why[300];

    if (op->result == STORE_OK && op->run != NULL && op->event.turned.word == STORE_STOPPED)
        side_calls_cut(side, op->run);
    side_notices_tell(side, op);
    side_queries_wake(side);
    if (query != NULL) {
        one = query->by_run && query->session[0] == '\0';
        if (op->result == STORE_OK && op->run != NULL)
            run_reply(side, query, op);
        if (op->result == STORE_CONFLICT && one) {
            (void)snprintf(why, sizeof why, "run %s is %s: %s", op->run->id_text,
                           gov_state_name(op->state), turns[turn_of(query)].not_now);
            query_fail(query, 1, why);
        } else if (op->result != STORE_OK && op->result != STORE_CONFLICT &&
                   op->result != STORE_DUPLICATE) {
            query_fail(query, 3, store_strerror(op->result));
        }
        query_step(query);
    }
    side_op_free(op);
}

static void post_turn(struct side_query *query, struct side_run *run,
                      const struct store_scope_key *key)
{
    struct side_op *op = op_new(query, SIDE_OP_TURN, run, on_turned);
    struct store_turned *turned;

    if (op == NULL)
        return;
    op->event.head.type = STORE_TURNED;
    turned = &op->event.turned;
    turned->key = *key;
    turned->word = (uint8_t)turns[turn_of(query)].word;
    turned->by_hand = turned->word == STORE_PAUSED;
    fill(query, turned->actor, turned->reason);
    side_post(query->conn->side, op);
}

/* A run that is over is in no list. */
static void tell_over(struct side_query *query, struct store_view *view)
{
    struct store_run row = {0};
    char why[200], id[37];

    (void)store_view_run(view, query->run_id, &row);
    client_uuid_text(query->run_id, id);
    (void)snprintf(why, sizeof why, "run %s is over (%s)", id,
                   gov_state_name((enum gov_state)row.state));
    side_conn_done(query->conn, 1, why);
}

void side_begin_turn(struct side_query *query, struct store_view *view)
{
    struct side *side = query->conn->side;
    const char *session = json_string_value(json_object_get(query->request, "session"));
    struct store_scope_key key;

    query->all = json_is_true(json_object_get(query->request, "all"));
    if (session == NULL && !query->all && !side_select_records(query, query->request))
        return;
    query->pending = 1; /* ours: what is posted may be done before the last is */
    if (session != NULL)
        store_scope_name(&key, GOV_SESSION, session);
    else if (query->all)
        store_scope_all(&key);
    if (session != NULL || query->all)
        post_turn(query, NULL, &key);
    for (struct side_run *run = side->runs; run != NULL; run = run->next) {
        bool meant = session != NULL ? strcmp(side_run_session(run), session) == 0
                     : query->all    ? true
                                     : memcmp(run->id, query->run_id, sizeof run->id) == 0;

        if (!meant || run->ended)
            continue;
        store_scope_run(&key, run->id);
        post_turn(query, run, &key);
    }
    if (session == NULL && !query->all && query->pending == 1) {
        tell_over(query, view);
        return;
    }
    query_step(query);
}
