/* SPDX-License-Identifier: Apache-2.0 */
/* What people decide and are asked, as JSON with the names of the contract. */
#include "sidecar/json.h"
#include "sidecar/orders.h"

#include <stdlib.h>
#include <string.h>

json_t *side_amounts_json(const int64_t amounts[GOV_DIMS])
{
    json_t *map = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (amounts[dim] > 0)
            side_json_set(map, gov_dim_name((enum gov_dim)dim),
                          side_amount_json((enum gov_dim)dim, amounts[dim]));
    return map;
}

static json_t *scope_json(const struct store_scope_key *key)
{
    return json_string(gov_scope_name((enum gov_scope_kind)key->kind));
}

static json_t *dim_json(uint8_t dim)
{
    return dim < GOV_DIMS ? json_string(gov_dim_name((enum gov_dim)dim)) : json_null();
}

void side_asked_json(json_t *out, const struct store_event *event)
{
    const struct store_asked *asked = &event->asked;
    bool of_limit = asked->dim < GOV_DIMS;
    enum gov_dim dim = (enum gov_dim)asked->dim;
    enum gov_reason reason = of_limit ? gov_reason_of((enum gov_scope_kind)asked->key.kind,
                                                      (enum gov_window)asked->key.window, dim)
                                      : GOV_REASON_TASK_ASKS;

    side_json_set(out, "checkpoint_id", side_id_json(asked->checkpoint_id));
    side_json_set(out, "reason", json_string(gov_reason_text(reason)));
    side_json_set(out, "task_class",
                  of_limit ? json_null()
                           : json_sprintf("risk=%s,complexity=%s%s", gov_risk_name(asked->risk),
                                          gov_complexity_name(asked->complexity),
                                          asked->governance ? ",governance" : ""));
    side_json_set(out, "exhausted_dimension", dim_json(asked->dim));
    side_json_set(out, "scope", scope_json(&asked->key));
    side_json_set(out, "consumed",
                  of_limit ? side_amount_json(dim, asked->consumed[dim]) : json_null());
    side_json_set(out, "limits", side_amounts_json(asked->limit));
    side_json_set(out, "suggested_extension", side_amounts_json(asked->suggested));
    side_json_set(out, "expires_at", side_when_json(asked->expires_ns));
}

static json_t *checkpoint_json(const uint8_t id[16])
{
    static const uint8_t none[16];

    return memcmp(id, none, sizeof none) != 0 ? side_id_json(id) : json_null();
}

static void answered_json(json_t *out, const struct store_answered *answered)
{
    static const char *const words[] = {[STORE_APPROVED] = "approved",
                                        [STORE_DENIED] = "denied",
                                        [STORE_TIMED_OUT] = "timed_out",
                                        [STORE_WITHDRAWN] = "withdrawn"};

    side_json_set(out, "checkpoint_id", side_id_json(answered->checkpoint_id));
    side_json_set(
        out, "decision",
        json_string(answered->answer <= STORE_WITHDRAWN ? words[answered->answer] : NULL));
    side_json_set(out, "dimension", dim_json(answered->dim));
    side_json_set(out, "additional", json_null());
    side_json_set(out, "approved_by", json_null());
    side_json_set(out, "actor", TEXT_JSON(answered->actor));
    side_json_set(out, "reason", TEXT_JSON(answered->reason));
}

static void extended_json(json_t *out, const struct store_extended *extended)
{
    enum gov_dim dim = extended->dim < GOV_DIMS ? (enum gov_dim)extended->dim : GOV_STEPS;

    side_json_set(out, "checkpoint_id", checkpoint_json(extended->checkpoint_id));
    side_json_set(out, "dimension", json_string(gov_dim_name(dim)));
    side_json_set(out, "scope", scope_json(&extended->key));
    side_json_set(out, "additional", side_amount_json(dim, extended->additional));
    side_json_set(out, "limit", side_amount_json(dim, extended->limit));
    side_json_set(out, "approved_by", TEXT_JSON(extended->actor));
    side_json_set(out, "reason", TEXT_JSON(extended->reason));
}

static void turned_json(json_t *out, const struct store_event *event)
{
    const struct store_turned *turned = &event->turned;
    json_t *spent = json_object(), *held = json_object();

    for (unsigned dim = 0; dim < STORE_SEEN_DIMS; dim++) {
        const char *name = gov_dim_name((enum gov_dim)dim);

        side_json_set(spent, name, side_amount_json((enum gov_dim)dim, turned->spent[dim]));
        side_json_set(held, name, side_amount_json((enum gov_dim)dim, turned->held[dim]));
    }
    side_json_set(out, "scope", scope_json(&turned->key));
    side_json_set(out, "reason", TEXT_JSON(turned->reason));
    side_json_set(out, "actor", TEXT_JSON(turned->actor));
    side_json_set(out, "at", side_when_json(event->head.ts_ns));
    side_json_set(out, "counters",
                  turned->key.kind == GOV_RUN ? json_pack("{s:O,s:O}", "spent", spent, "held", held)
                                              : json_null());
    json_decref(spent);
    json_decref(held);
}

static void override_json(json_t *out, const struct store_override *override)
{
    static const char *const words[] = {
        [STORE_ADDED] = "added", [STORE_REVOKED] = "revoked", [STORE_EXPIRED] = "expired"};

    side_json_set(out, "override_id", side_id_json(override->id));
    side_json_set(out, "what",
                  json_string(override->word <= STORE_EXPIRED ? words[override->word] : NULL));
    side_json_set(out, "scope", scope_json(&override->key));
    side_json_set(out, "delta", side_amounts_json(override->delta));
    side_json_set(out, "expires_at", side_when_json(override->expires_ns));
    side_json_set(out, "actor", TEXT_JSON(override->actor));
    side_json_set(out, "reason", TEXT_JSON(override->reason));
    side_json_set(out, "effective", side_amounts_json(override->effective));
}

void side_order_json(json_t *out, const struct store_event *event)
{
    switch (event->head.type) {
    case STORE_ASKED:
        side_asked_json(out, event);
        break;
    case STORE_ANSWERED:
        answered_json(out, &event->answered);
        break;
    case STORE_EXTENDED:
        extended_json(out, &event->extended);
        break;
    case STORE_TURNED:
        turned_json(out, event);
        break;
    case STORE_OVERRIDE:
        override_json(out, &event->override);
        break;
    default:
        break;
    }
}

/* An answer that says no is called Denied; the others, what came of the question. */
const char *side_order_name(const struct store_event *event)
{
    static const char *const turns[] = {
        [STORE_PAUSED] = "Paused", [STORE_RESUMED] = "Resumed",   [STORE_STOPPED] = "Stopped",
        [STORE_RESET] = "Reset",   [STORE_REOPENED] = "Reopened",
    };
    static const char *const answers[] = {
        [STORE_APPROVED] = "Approved",
        [STORE_DENIED] = "Denied",
        [STORE_TIMED_OUT] = "Denied",
        [STORE_WITHDRAWN] = "Withdrawn",
    };

    switch (event->head.type) {
    case STORE_ASKED:
        return "ApprovalRequested";
    case STORE_ANSWERED:
        return event->answered.answer <= STORE_WITHDRAWN ? answers[event->answered.answer] : NULL;
    case STORE_EXTENDED:
        return "Extended";
    case STORE_TURNED:
        return event->turned.word <= STORE_REOPENED ? turns[event->turned.word] : NULL;
    case STORE_OVERRIDE:
        return "Override";
    default:
        return NULL;
    }
}
