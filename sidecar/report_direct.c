/* SPDX-License-Identifier: Apache-2.0 */
/* The names of events; directives, what changes them, and what routing chose, as JSON. */
#include "sidecar/json.h"
#include "sidecar/queries.h"
#include "sidecar/side_direct.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

static json_t *ms_json(int64_t ms)
{
    char text[32];

    return ms > 0 ? json_string(side_time_text(ms * NS_PER_MS, text)) : json_null();
}

/* ---- as JSON ------------------------------------------------------------------------------ */

static json_t *actions_json(unsigned actions)
{
    json_t *list = json_array();
    const char *name;
    unsigned bit;

    for (unsigned i = 0; (name = gov_action_at(i, &bit)) != NULL; i++)
        if ((actions & bit) != 0)
            (void)json_array_append_new(list, json_string(name));
    if (actions == 0)
        (void)json_array_append_new(list, json_string("none"));
    return list;
}

static json_t *names_json(const char *names, size_t size, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        if (names[i * size] != '\0')
            (void)json_array_append_new(list, side_text_json(names + i * size, size));
    return list;
}

json_t *side_directive_json(const struct gov_directive *directive, const char *verdict,
                            const char *model)
{
    json_t *reasons = json_array();

    for (unsigned i = 0; i < directive->reason_count; i++)
        (void)json_array_append_new(reasons, json_string(gov_reason_text(directive->reasons[i])));
    return json_pack(
        "{s:s,s:s,s:s,s:o,s:I,s:o,s:o,s:s?,s:s?,s:o,s:o}", "verdict", verdict, "severity",
        gov_severity_name(directive->severity), "profile", gov_quality_name(directive->quality),
        "actions", actions_json(directive->actions), "pacing_delay_ms",
        (json_int_t)directive->pacing_ms, "blocked_providers",
        names_json(directive->blocked[0], GOV_PROVIDER_TEXT, directive->blocked_count),
        "blocked_models",
        names_json(directive->blocked_models[0], GOV_MODEL_TEXT, directive->blocked_model_count),
        "model", model, "reason",
        directive->reason_count > 0 ? gov_reason_text(directive->reasons[0]) : NULL, "reasons",
        reasons, "evaluated_at", ms_json(directive->evaluated_ms));
}

json_t *side_admitted_json(const struct store_admission *admission)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:I}", "verdict",
                     (admission->flags & STORE_REVIEWED) != 0 ? "approve"
                     : admission->requested_model[0] != '\0'  ? "downgrade"
                                                              : "admit",
                     "severity", gov_severity_name((enum gov_severity)admission->severity),
                     "profile", gov_quality_name((enum gov_quality)admission->quality), "actions",
                     actions_json(admission->actions), "pacing_delay_ms",
                     (json_int_t)admission->pacing_ms);
}

static void transition_json(json_t *out, const struct store_transition *transition)
{
    side_json_set(out, "severity",
                  json_string(gov_severity_name((enum gov_severity)transition->severity)));
    side_json_set(out, "profile",
                  json_string(gov_quality_name((enum gov_quality)transition->quality)));
    side_json_set(out, "manual", json_boolean(transition->by_hand));
    side_json_set(out, "actions", actions_json(transition->actions));
    side_json_set(out, "blocked_providers",
                  names_json(transition->blocked[0], GOV_PROVIDER_TEXT, transition->blocked_count));
    side_json_set(
        out, "blocked_models",
        names_json(transition->models[0], sizeof transition->models[0], GOV_BLOCKED_MODELS));
    side_json_set(out, "pacing_delay_ms", json_integer((json_int_t)transition->pacing_ms));
    side_json_set(out, "reasons", side_reasons_json(transition->reasons, transition->reason_count));
    side_json_set(out, "reason",
                  transition->reason[0] != '\0' ? TEXT_JSON(transition->reason)
                  : transition->reason_count > 0
                      ? json_string(gov_reason_text((enum gov_reason)transition->reasons[0]))
                      : json_null());
    side_json_set(out, "actor", TEXT_JSON(transition->actor));
}

static void cooldown_json(json_t *out, const struct store_cooldown *cooldown)
{
    side_json_set(out, "provider", TEXT_JSON(cooldown->provider));
    side_json_set(out, "until", ms_json(cooldown->until_ns / NS_PER_MS));
    side_json_set(out, "cause",
                  cooldown->status > 0          ? json_sprintf("HTTP %d", cooldown->status)
                  : cooldown->reason[0] != '\0' ? TEXT_JSON(cooldown->reason)
                                                : json_string("by hand"));
    side_json_set(out, "actor", TEXT_JSON(cooldown->actor));
}

/* ---- routing ------------------------------------------------------------------------------ */

static void selected_json(json_t *out, const struct store_selected *selected)
{
    side_json_set(out, "task_id", TEXT_JSON(selected->task_id));
    side_json_set(out, "agent", TEXT_JSON(selected->agent));
    side_json_set(out, "tier", json_string(gov_tier_name(selected->tier)));
    side_json_set(out, "tier_selected", json_string(gov_tier_name(selected->tier)));
    side_json_set(out, "risk", json_string(gov_risk_name(selected->risk)));
    side_json_set(out, "risk_level", json_string(gov_risk_name(selected->risk)));
    side_json_set(out, "complexity", json_string(gov_complexity_name(selected->complexity)));
    side_json_set(out, "complexity_level", json_string(gov_complexity_name(selected->complexity)));
    side_json_set(out, "governance_impact", json_boolean(selected->governance));
    side_json_set(out, "governance_reason", TEXT_JSON(selected->governance_reason));
    side_json_set(out, "reason", TEXT_JSON(selected->reason));
    side_json_set(out, "requires_approval", json_boolean(selected->requires_approval));
    side_json_set(out, "classifier_chain", TEXT_JSON(selected->chain));
    side_json_set(out, "model", TEXT_JSON(selected->model));
    side_json_set(out, "requested_model", TEXT_JSON(selected->requested));
    side_json_set(out, "actor", TEXT_JSON(selected->actor));
    side_json_set(out, "why", TEXT_JSON(selected->why));
}

static void breach_json(json_t *out, const struct store_threshold *breach)
{
    enum gov_dim dim = (enum gov_dim)breach->dim;
    bool global = breach->key.kind == GOV_GLOBAL;

    side_json_set(out, "limit_type",
                  breach->key.kind == GOV_TIER
                      ? json_string("t0_calls_per_day")
                      : json_sprintf("%s%s_%s", global ? "" : "per_",
                                     global ? gov_window_name((enum gov_window)breach->key.window)
                                            : gov_scope_name((enum gov_scope_kind)breach->key.kind),
                                     dim == GOV_COST ? "usd" : gov_dim_name(dim)));
    side_json_set(out, "spent", side_amount_json(dim, breach->consumed));
    side_json_set(out, "limit", side_amount_json(dim, breach->limit));
    side_json_set(out, "action",
                  json_string(breach->percent == STORE_DOWNGRADED ? "downgrade" : "deny"));
}

void side_directed_json(json_t *out, const struct store_event *event)
{
    switch (event->head.type) {
    case STORE_TRANSITION:
        transition_json(out, &event->transition);
        break;
    case STORE_COOLDOWN:
        cooldown_json(out, &event->cooldown);
        break;
    case STORE_SELECTED:
        selected_json(out, &event->selected);
        break;
    case STORE_BREACH:
        breach_json(out, &event->threshold);
        break;
    default:
        break;
    }
}

/* ---- names -------------------------------------------------------------------------------- */

const char *side_event_name(unsigned type)
{
    static const char *const names[] = {
        [STORE_ALLOCATION] = "Allocation",
        [STORE_ADMISSION] = "Admission",
        [STORE_REFUSAL] = "Refusal",
        [STORE_CONSUMPTION] = "Consumption",
        [STORE_WARNING] = "Warning",
        [STORE_EXHAUSTED] = "Exhausted",
        [STORE_COMPLETED] = "RunCompleted",
        [STORE_OVERRUN] = "Overrun",
        [STORE_RUN_ENDED] = "RunFailed",
        [STORE_CORRECTED] = "Corrected",
        [STORE_CHECKPOINT] = "Checkpoint",
        [STORE_CLOCK] = "Clock",
        [STORE_USED] = "Used",
        [STORE_BEGUN] = "WindowBegun",
        [STORE_TRANSITION] = "Transition",
        [STORE_COOLDOWN] = "ProviderCooldown",
        [STORE_SELECTED] = "MODEL_SELECTED",
        [STORE_BREACH] = "BUDGET_BREACH",
    };

    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}
