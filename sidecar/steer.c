/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles and cooldowns, in the loop: what a provider's answer says of them, what an operator asks
 * and wants. */
#include "sidecar/curl.h"
#include "sidecar/json.h"
#include "sidecar/side_direct.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

/* ---- a provider's word -------------------------------------------------------------------- */

static void on_noted(struct side *side, struct side_op *op)
{
    side_queries_wake(side);
    side_op_free(op);
}

/* Seconds, or a date. -1: none said, or not to be understood. */
static int64_t retry_after_ms(const char *text, int64_t now_ms)
{
    size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    time_t when;

    if (text == NULL || *text == '\0')
        return -1;
    if (digits > 0 && (text[digits] == '\0' || text[digits] == '.'))
        return digits > 6 ? GOV_COOLDOWN_MOST_MS
                          : 1000 * (strtoll(text, NULL, 10) + (text[digits] == '.'));
    when = side_curl() != NULL ? side_curl()->getdate(text, NULL) : -1;
    if (when < 0)
        return -1;
    return (int64_t)when * 1000 > now_ms ? (int64_t)when * 1000 - now_ms : 0;
}

void side_cooldown_look(struct side_call *call, int status, const char *retry_after)
{
    int64_t now_ms = side_now_ns() / NS_PER_MS;
    int64_t until_ms = gov_cooldown_until(status, retry_after_ms(retry_after, now_ms),
                                          call->run->spec.quality.cooldown_ms, now_ms);
    const char *provider =
        call->request.provider != NULL ? meter_provider_name(call->request.provider) : "unknown";
    struct side_op *op;

    if (until_ms == 0 || strcmp(provider, "unknown") == 0)
        return;
    op = side_op_new(SIDE_OP_COOLDOWN, call->run, on_noted, NULL);
    if (op == NULL)
        return;
    memcpy(op->event.head.run_id, call->run->id, sizeof op->event.head.run_id);
    op->event.cooldown.until_ns = until_ms * NS_PER_MS;
    op->event.cooldown.status = status;
    (void)snprintf(op->event.cooldown.provider, sizeof op->event.cooldown.provider, "%s", provider);
    side_post(call->side, op);
}

/* ---- an operator's ------------------------------------------------------------------------ */

static void on_done(struct side *side, struct side_op *op)
{
    const struct side_query *query = side_query_named(side, op->owner);

    side_queries_wake(side);
    if (query != NULL)
        side_conn_done(query->conn, op->result == STORE_OK ? 0 : 3,
                       op->result == STORE_OK ? NULL : store_strerror(op->result));
    side_op_free(op);
}

static const char *member(const struct side_query *query, const char *name)
{
    return json_string_value(json_object_get(query->request, name));
}

void side_begin_profile(struct side_query *query, struct store_view *view)
{
    struct store_direct direct;
    enum store_err err = store_view_direct(view, &direct);

    if (err != STORE_OK && err != STORE_NOT_FOUND) {
        side_conn_done(query->conn, 3, store_strerror(err));
        return;
    }
    side_reply_json(
        query->conn,
        json_pack("{s:s,s:b}", "profile",
                  direct.by_hand ? gov_quality_name((enum gov_quality)direct.quality) : "auto",
                  "manual", direct.by_hand));
    side_conn_done(query->conn, 0, NULL);
}

void side_begin_profile_set(struct side_query *query, struct store_view *view)
{
    const char *name = member(query, "profile"), *actor = member(query, "actor");
    const char *reason = member(query, "reason");
    bool automatic = name != NULL && strcmp(name, "auto") == 0;
    enum gov_quality quality = name != NULL ? gov_quality_by_name(name) : GOV_QUALITIES;
    struct side_op *op = side_op_new(SIDE_OP_PROFILE, NULL, on_done, side_query_name(query));

    (void)view;
    if (op == NULL || actor == NULL || (quality == GOV_QUALITIES && !automatic)) {
        side_op_free(op);
        side_conn_done(query->conn, 2,
                       "a profile is performance, balanced, economy or auto, and has an actor");
        return;
    }
    op->event.transition.by_hand = !automatic;
    op->event.transition.quality = automatic ? 0 : (uint8_t)quality;
    (void)snprintf(op->event.transition.actor, sizeof op->event.transition.actor, "%s", actor);
    (void)snprintf(op->event.transition.reason, sizeof op->event.transition.reason, "%s",
                   reason != NULL ? reason : "");
    side_post(query->conn->side, op);
}

void side_begin_cooldowns(struct side_query *query, struct store_view *view)
{
    int64_t now_ns = side_now_ns();
    struct store_direct direct;
    enum store_err err = store_view_direct(view, &direct);

    for (unsigned i = 0; i < STORE_COOLDOWNS && err == STORE_OK; i++)
        if (direct.cooldowns[i].until_ns > now_ns)
            side_reply_json(
                query->conn,
                json_pack("{s:s,s:o,s:I}", "provider", direct.cooldowns[i].provider, "until",
                          side_when_json(direct.cooldowns[i].until_ns), "remaining_ms",
                          (json_int_t)((direct.cooldowns[i].until_ns - now_ns) / NS_PER_MS)));
    side_conn_done(query->conn, err == STORE_OK || err == STORE_NOT_FOUND ? 0 : 3,
                   err == STORE_OK || err == STORE_NOT_FOUND ? NULL : store_strerror(err));
}

/* ms 0: clear. */
void side_begin_cooldown_set(struct side_query *query, struct store_view *view)
{
    const char *provider = member(query, "provider"), *actor = member(query, "actor");
    const char *reason = member(query, "reason");
    int64_t ms = json_integer_value(json_object_get(query->request, "ms"));
    struct side_op *op = side_op_new(SIDE_OP_COOLDOWN, NULL, on_done, side_query_name(query));

    (void)view;
    if (op == NULL || actor == NULL || provider == NULL ||
        meter_provider_by_name(provider) == NULL || ms < 0 || ms > GOV_COOLDOWN_MOST_MS) {
        side_op_free(op);
        side_conn_done(
            query->conn, 2,
            "a cooldown has a provider that Flyball knows, an actor, and at most an hour");
        return;
    }
    op->event.cooldown.until_ns = ms > 0 ? side_now_ns() + ms * NS_PER_MS : 0;
    (void)snprintf(op->event.cooldown.provider, sizeof op->event.cooldown.provider, "%s", provider);
    (void)snprintf(op->event.cooldown.actor, sizeof op->event.cooldown.actor, "%s", actor);
    (void)snprintf(op->event.cooldown.reason, sizeof op->event.cooldown.reason, "%s",
                   reason != NULL ? reason : "");
    side_post(query->conn->side, op);
}

/* ---- what `flyball route` selected -------------------------------------------------------- */

#define COPY(field, name)                                                                          \
    (void)snprintf(out->field, sizeof out->field, "%s",                                            \
                   member(query, name) != NULL ? member(query, name) : "")

void side_begin_selected(struct side_query *query, struct store_view *view)
{
    struct side_op *op = side_op_new(SIDE_OP_SELECTED, NULL, on_done, side_query_name(query));
    const char *tier = member(query, "tier"), *risk = member(query, "risk"),
               *complexity = member(query, "complexity");
    struct store_selected *out;

    (void)view;
    if (op == NULL || tier == NULL || risk == NULL || complexity == NULL ||
        gov_tier_by_name(tier) == GOV_TIERS || gov_risk_by_name(risk) == GOV_LEVELS ||
        gov_complexity_by_name(complexity) == GOV_LEVELS || member(query, "task_id") == NULL) {
        side_op_free(op);
        side_conn_done(query->conn, 2, "that is no selection");
        return;
    }
    op->lifts = member(query, "actor") == NULL && /* not an escalation */
                !side_run_above(query->conn->side, query->conn->pid);
    out = &op->event.selected;
    out->tier = (uint8_t)gov_tier_by_name(tier);
    out->risk = (uint8_t)gov_risk_by_name(risk);
    out->complexity = (uint8_t)gov_complexity_by_name(complexity);
    out->governance = member(query, "governance") != NULL;
    out->requires_approval = json_is_true(json_object_get(query->request, "requires_approval"));
    COPY(task_id, "task_id");
    COPY(agent, "agent");
    COPY(governance_reason, "governance");
    COPY(reason, "reason_text");
    COPY(chain, "chain");
    COPY(model, "model");
    COPY(requested, "requested");
    COPY(actor, "actor");
    COPY(why, "why");
    side_post(query->conn->side, op);
}
