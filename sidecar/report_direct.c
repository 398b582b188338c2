/* SPDX-License-Identifier: Apache-2.0 */
/* Directives, and what changes them, as JSON. */
#include "sidecar/side_direct.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *text_json(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    return length > 0 ? json_stringn(text, length) : json_null();
}
#define TEXT_JSON(field) text_json(field, sizeof(field))

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
            (void)json_array_append_new(list, text_json(names + i * size, size));
    return list;
}

static json_t *reasons_json(const uint16_t *reasons, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count && i < GOV_CODES_MAX; i++)
        (void)json_array_append_new(list,
                                    json_string(gov_reason_text((enum gov_reason)reasons[i])));
    return list;
}

json_t *side_directive_json(const struct gov_directive *directive, const char *verdict,
                            const char *model)
{
    json_t *reasons = json_array();

    for (unsigned i = 0; i < directive->reason_count; i++)
        (void)json_array_append_new(reasons, json_string(gov_reason_text(directive->reasons[i])));
    return json_pack("{s:s,s:s,s:s,s:o,s:I,s:o,s:[],s:s?,s:s?,s:o,s:o}", "verdict", verdict,
                     "severity", gov_severity_name(directive->severity), "profile",
                     gov_quality_name(directive->quality), "actions",
                     actions_json(directive->actions), "pacing_delay_ms",
                     (json_int_t)directive->pacing_ms, "blocked_providers",
                     names_json(directive->blocked[0], GOV_PROVIDER_TEXT, directive->blocked_count),
                     "blocked_models", "model", model, "reason",
                     directive->reason_count > 0 ? gov_reason_text(directive->reasons[0]) : NULL,
                     "reasons", reasons, "evaluated_at", ms_json(directive->evaluated_ms));
}

json_t *side_admitted_json(const struct store_admission *admission)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:I}", "verdict",
                     admission->requested_model[0] != '\0' ? "downgrade" : "admit", "severity",
                     gov_severity_name((enum gov_severity)admission->severity), "profile",
                     gov_quality_name((enum gov_quality)admission->quality), "actions",
                     actions_json(admission->actions), "pacing_delay_ms",
                     (json_int_t)admission->pacing_ms);
}

static void transition_json(json_t *out, const struct store_transition *transition)
{
    set(out, "severity", json_string(gov_severity_name((enum gov_severity)transition->severity)));
    set(out, "profile", json_string(gov_quality_name((enum gov_quality)transition->quality)));
    set(out, "manual", json_boolean(transition->by_hand));
    set(out, "actions", actions_json(transition->actions));
    set(out, "blocked_providers",
        names_json(transition->blocked[0], GOV_PROVIDER_TEXT, transition->blocked_count));
    set(out, "blocked_models",
        names_json(transition->models[0], sizeof transition->models[0],
                   sizeof transition->models / sizeof transition->models[0]));
    set(out, "pacing_delay_ms", json_integer((json_int_t)transition->pacing_ms));
    set(out, "reasons", reasons_json(transition->reasons, transition->reason_count));
    set(out, "reason",
        transition->reason[0] != '\0' ? TEXT_JSON(transition->reason)
        : transition->reason_count > 0
            ? json_string(gov_reason_text((enum gov_reason)transition->reasons[0]))
            : json_null());
    set(out, "actor", TEXT_JSON(transition->actor));
}

static void cooldown_json(json_t *out, const struct store_cooldown *cooldown)
{
    set(out, "provider", TEXT_JSON(cooldown->provider));
    set(out, "until", ms_json(cooldown->until_ns / NS_PER_MS));
    set(out, "cause",
        cooldown->status > 0          ? json_sprintf("HTTP %d", cooldown->status)
        : cooldown->reason[0] != '\0' ? TEXT_JSON(cooldown->reason)
                                      : json_string("by hand"));
    set(out, "actor", TEXT_JSON(cooldown->actor));
}

void side_directed_json(json_t *out, const struct store_event *event)
{
    if (event->head.type == STORE_TRANSITION)
        transition_json(out, &event->transition);
    else if (event->head.type == STORE_COOLDOWN)
        cooldown_json(out, &event->cooldown);
}
