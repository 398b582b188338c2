/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that are raised for a time: an operator's verbs, in the loop. */
#include "sidecar/json.h"
#include "sidecar/orders.h"

#include <stdio.h>
#include <string.h>

static void override_reply(struct side_query *query, const struct store_event *event)
{
    json_t *out = json_object();

    side_order_json(out, event);
    (void)json_object_set_new(
        out, "of",
        event->override.key.kind == GOV_RUN ? side_id_json(event->override.key.id) : json_null());
    side_reply_json(query->conn, out);
}

static void on_overridden(struct side *side, struct side_op *op)
{
    struct side_query *query = side_query_named(side, op->owner);
    char why[300];
    int code = op->result == STORE_OK ? 0 : op->result == STORE_NOT_FOUND ? 1 : 3;

    side_notices_tell(side, op);
    side_queries_wake(side);
    for (struct side_run *run = side->runs; run != NULL; run = run->next)
        side_run_tell(side, run); /* the wall clock may be another one */
    if (query != NULL) {
        (void)snprintf(why, sizeof why, "%s", store_strerror(op->result));
        if (op->result == STORE_OVER) {
            enum gov_dim dim = op->dim_wrong < GOV_DIMS ? op->dim_wrong : GOV_STEPS;
            char base[SIDE_AMOUNT_TEXT];

            code = 2;
            (void)snprintf(why, sizeof why,
                           op->amounts[dim] == 0
                               ? "%s has no limit there (%s), so nothing can be added to it"
                               : "%s: limit and overrides would be more than twice what was given "
                                 "(%s)",
                           gov_dim_name(dim), side_amount_text(dim, op->amounts[dim], base));
        } else if (op->result == STORE_FULL && op->event.override.word == STORE_ADDED) {
            (void)snprintf(why, sizeof why, "%u overrides are in force already: revoke some",
                           SIDE_OVERRIDES);
        } else if (op->result == STORE_NOT_FOUND) {
            (void)snprintf(why, sizeof why, "that override is not in force any more");
        }
        if (code == 0)
            override_reply(query, &op->event);
        if (--query->pending == 0)
            side_conn_done(query->conn, code, code == 0 ? NULL : why);
    }
    side_op_free(op);
}

static struct side_op *override_op(struct side_query *query, enum store_override_word word)
{
    struct side_op *op = side_op_new(SIDE_OP_OVERRIDE, NULL, on_overridden, side_query_name(query));
    const char *actor = json_string_value(json_object_get(query->request, "actor"));
    const char *reason = json_string_value(json_object_get(query->request, "reason"));
    struct store_override *override;

    if (op == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return NULL;
    }
    override = &op->event.override;
    op->event.head.type = STORE_OVERRIDE;
    override->word = (uint8_t)word;
    (void)snprintf(override->actor, sizeof override->actor, "%s", actor != NULL ? actor : "");
    (void)snprintf(override->reason, sizeof override->reason, "%s", reason != NULL ? reason : "");
    query->pending++;
    return op;
}

/* Whose limits, and what they were given. False: told what is wrong. */
static bool override_target(struct side_query *query, struct store_view *view,
                            struct store_scope_key *key, int64_t base[GOV_DIMS], uint8_t run_id[16])
{
    const char *session = json_string_value(json_object_get(query->request, "session"));
    struct store_run row;
    bool one;

    query->all = json_is_true(json_object_get(query->request, "all"));
    store_scope_all(key);
    if (query->all)
        return true;
    if (!side_select_records(query, query->request))
        return false;
    one = session == NULL;
    if (one ? store_view_run(view, query->run_id, &row) != STORE_OK
            : store_view_next_run_of(view, &query->of, NULL, &row) != STORE_OK) {
        side_conn_done(query->conn, 3, "the ledger cannot be read");
        return false;
    }
    if (one && row.ended_ns != 0) {
        side_conn_done(query->conn, 1, "that run is over");
        return false;
    }
    if (one) {
        store_scope_run(key, row.run_id);
        memcpy(run_id, row.run_id, 16);
    } else {
        store_scope_name(key, GOV_SESSION, session);
    }
    memcpy(base, one ? row.allocation.limits : row.allocation.session_limits,
           sizeof row.allocation.limits);
    return true;
}

void side_begin_override_add(struct side_query *query, struct store_view *view)
{
    const json_t *deltas = json_object_get(query->request, "delta"), *value;
    int64_t base[GOV_DIMS] = {0};
    int64_t expires_ns = json_integer_value(json_object_get(query->request, "expires_ns"));
    struct store_scope_key key;
    uint8_t run_id[16] = {0};
    struct side_op *op;
    const char *name;

    if (json_object_size(deltas) == 0 || expires_ns <= side_now_ns() ||
        json_string_length(json_object_get(query->request, "reason")) == 0) {
        side_conn_done(query->conn, 2,
                       "an override has a delta, a reason, and an end that is yet to come");
        return;
    }
    if (!override_target(query, view, &key, base, run_id))
        return;
    op = override_op(query, STORE_ADDED);
    if (op == NULL)
        return;
    json_object_foreach((json_t *)(uintptr_t)deltas, name, value)
    {
        enum gov_dim dim = gov_dim_by_name(name);

        if (dim < GOV_DIMS)
            op->event.override.delta[dim] = json_integer_value(value);
    }
    memcpy(op->amounts, base, sizeof op->amounts);
    memcpy(op->event.head.run_id, run_id, sizeof op->event.head.run_id);
    op->event.override.key = key;
    op->event.override.expires_ns = expires_ns;
    client_uuid7(op->event.override.id);
    side_post(query->conn->side, op);
}

/* Calls each() for those that are in force; its count. */
static unsigned each_override(struct store_view *view, int64_t now_ns, const char *prefix,
                              void (*each)(struct side_query *query,
                                           const struct store_override *override),
                              struct side_query *query)
{
    struct store_override row;
    uint8_t last[16];
    const uint8_t *from = NULL;
    unsigned count = 0;

    while (store_view_next_override(view, from, &row) == STORE_OK) {
        char id[37];

        memcpy(last, row.id, sizeof last);
        from = last;
        client_uuid_text(row.id, id);
        if (now_ns >= row.expires_ns || strncmp(id, prefix, strlen(prefix)) != 0)
            continue;
        count++;
        if (each != NULL)
            each(query, &row);
    }
    return count;
}

static void reply_override(struct side_query *query, const struct store_override *override)
{
    struct store_event event = {.head = {.type = STORE_OVERRIDE}, .override = *override};

    override_reply(query, &event);
}

void side_begin_override_list(struct side_query *query, struct store_view *view)
{
    (void)each_override(view, side_now_ns(), "", reply_override, query);
    side_conn_done(query->conn, 0, NULL);
}

static void post_revoke(struct side_query *query, const struct store_override *override)
{
    struct side_op *op = override_op(query, STORE_REVOKED);

    if (op == NULL)
        return;
    memcpy(op->event.override.id, override->id, sizeof op->event.override.id);
    side_post(query->conn->side, op);
}

/* `reset --policy` revokes them all. */
void side_begin_override_revoke(struct side_query *query, struct store_view *view)
{
    const char *prefix = json_string_value(json_object_get(query->request, "id"));
    int64_t now_ns = side_now_ns();
    unsigned count = each_override(view, now_ns, prefix != NULL ? prefix : "", NULL, query);
    char why[200];

    if (prefix != NULL && count != 1) {
        (void)snprintf(
            why, sizeof why,
            "%s in force has an id that begins with '%.40s'; `flyball override list` has them",
            count == 0 ? "no override" : "more than one override", prefix);
        side_conn_done(query->conn, 1, why);
        return;
    }
    (void)each_override(view, now_ns, prefix != NULL ? prefix : "", post_revoke, query);
    if (count == 0)
        side_conn_done(query->conn, 0, NULL);
}
