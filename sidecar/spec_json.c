/* SPDX-License-Identifier: Apache-2.0 */
/* A run's description as it travels from the launcher to the sidecar, and as the sidecar keeps it
 * for the time after a restart. */
#include "sidecar/sidecar.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------ */

static json_t *limits_json(const struct gov_limit *limits)
{
    json_t *map = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (limits[dim].amount != 0 || limits[dim].policy != GOV_HARD_STOP)
            (void)json_object_set_new(map, gov_dim_name((enum gov_dim)dim),
                                      json_pack("{s:I,s:i}", "amount",
                                                (json_int_t)limits[dim].amount, "policy",
                                                (int)limits[dim].policy));
    return map;
}

static json_t *providers_json(const struct side_spec *spec)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < spec->provider_count; i++)
        (void)json_array_append_new(list, json_pack("{s:s,s:s}", "name", spec->providers[i].name,
                                                    "host", spec->providers[i].host));
    return list;
}

static json_t *windows_json(const struct side_spec *spec)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < spec->window_count; i++)
        (void)json_array_append_new(
            list, json_pack("{s:b,s:i,s:s,s:i,s:I,s:o}", "guard", spec->windows[i].guard, "scope",
                            (int)spec->windows[i].scope, "name", spec->windows[i].name, "window",
                            (int)spec->windows[i].window, "duration_s",
                            (json_int_t)spec->windows[i].duration_s, "limits",
                            limits_json(spec->windows[i].limits)));
    return list;
}

static json_t *keeping_json(const struct side_keeping *keeping)
{
    json_t *words = json_array();

    for (const char *at = keeping->anchor_words; *at != '\0'; at += strlen(at) + 1)
        (void)json_array_append_new(words, json_string(at));
    return json_pack("{s:I,s:I,s:s,s:o}", "retention_ms", (json_int_t)keeping->retention_ms,
                     "anchor_ms", (json_int_t)keeping->anchor_ms, "anchor_file",
                     keeping->anchor_file, "anchor_command", words);
}

json_t *side_spec_json(const struct side_spec *spec)
{
    json_t *percents = json_array();

    for (unsigned i = 0; i < SIDE_PERCENTS; i++)
        (void)json_array_append_new(percents, json_integer(spec->percents[i]));
    return json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:b,s:b,s:b,s:i,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,"
        "s:s,s:i,s:s,s:o,s:i,s:s,s:s}",
        "routing", spec->routing, "quality", side_quality_json(&spec->quality), /* */
        "limits", limits_json(spec->limits), "session_limits", limits_json(spec->session_limits),
        "ceilings", limits_json(spec->ceilings), "percents", percents, "bare", spec->bare,
        "meter_only", spec->meter_only, "clamp", spec->clamp, "ask_usage", spec->ask_usage,
        "refuse_curl", spec->refuse_curl, "on_exhausted", (int)spec->on_exhausted, "busy_wait_ms",
        (json_int_t)spec->busy_wait_ms, "approval_timeout_ms",
        (json_int_t)spec->approval_timeout_ms, "policy", spec->policy, "session", spec->session,
        "task", spec->task, "agent", spec->agent, "labels", spec->labels, "timezone",
        spec->timezone, "windows", windows_json(spec), "providers", providers_json(spec),
        "price_file", spec->price_file, "unknown_model", (int)spec->unknown_model, "unknown_row",
        spec->unknown_row, "keeping", keeping_json(&spec->keeping), "profile", (int)spec->profile,
        "notify", spec->notify, "agents", spec->agents);
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool text_read(const json_t *json, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (text == NULL || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool number_read(const json_t *json, const char *name, int64_t from, int64_t to,
                        int64_t *out)
{
    const json_t *value = json_object_get(json, name);

    if (!json_is_integer(value) || json_integer_value(value) < from ||
        json_integer_value(value) > to)
        return false;
    *out = json_integer_value(value);
    return true;
}

static bool flag_read(const json_t *json, const char *name, bool *out)
{
    const json_t *value = json_object_get(json, name);

    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool limits_read(const json_t *map, struct gov_limit *limits)
{
    const char *name;
    const json_t *entry;

    json_object_foreach((json_t *)(uintptr_t)map, name, entry)
    {
        enum gov_dim dim = gov_dim_by_name(name);
        int64_t amount, policy;

        if (dim == GOV_DIMS || !number_read(entry, "amount", 0, INT64_MAX, &amount) ||
            !number_read(entry, "policy", 0, GOV_POLICIES - 1, &policy))
            return false;
        limits[dim] = (struct gov_limit){amount, (enum gov_policy)policy};
    }
    return json_is_object(map);
}

static bool windows_read(const json_t *list, struct side_spec *spec)
{
    size_t i;
    const json_t *entry;

    if (!json_is_array(list) || json_array_size(list) > SIDE_WINDOWS_MAX)
        return false;
    json_array_foreach(list, i, entry)
    {
        struct side_window *out = &spec->windows[i];
        int64_t scope, window;

        if (!number_read(entry, "scope", GOV_SESSION, GOV_SCOPES - 1, &scope) ||
            !number_read(entry, "window", GOV_DAILY, GOV_WINDOWS - 1, &window) ||
            !number_read(entry, "duration_s", window == GOV_ROLLING ? GOV_ROLLING_LEAST_S : 0,
                         window == GOV_ROLLING ? GOV_ROLLING_MOST_S : 0, &out->duration_s) ||
            !text_read(entry, "name", out->name, sizeof out->name) ||
            !flag_read(entry, "guard", &out->guard) ||
            !limits_read(json_object_get(entry, "limits"), out->limits))
            return false;
        out->scope = (enum gov_scope_kind)scope;
        out->window = (enum gov_window)window;
        spec->window_count++;
    }
    return true;
}

static bool providers_read(const json_t *list, struct side_spec *spec)
{
    size_t i;
    const json_t *entry;

    if (!json_is_array(list) || json_array_size(list) > SIDE_PROVIDERS_MAX)
        return false;
    json_array_foreach(list, i, entry)
    {
        struct side_provider *provider = &spec->providers[i];

        if (!text_read(entry, "name", provider->name, sizeof provider->name) ||
            !text_read(entry, "host", provider->host, sizeof provider->host) ||
            meter_provider_by_name(provider->name) == NULL)
            return false;
        spec->provider_count++;
    }
    return true;
}

static bool words_read(const json_t *list, char out[SIDE_WORDS])
{
    const json_t *word;
    size_t i, used = 0;

    memset(out, 0, SIDE_WORDS);
    json_array_foreach(list, i, word)
    {
        const char *text = json_string_value(word);

        if (text == NULL || *text == '\0' || used + strlen(text) + 2 > SIDE_WORDS)
            return false;
        memcpy(out + used, text, strlen(text) + 1);
        used += strlen(text) + 1;
    }
    return json_is_array(list);
}

static bool keeping_read(const json_t *json, struct side_keeping *out)
{
    return number_read(json, "retention_ms", 0, INT64_MAX / 2000000, &out->retention_ms) &&
           number_read(json, "anchor_ms", 0, INT64_MAX / 2, &out->anchor_ms) &&
           text_read(json, "anchor_file", out->anchor_file, sizeof out->anchor_file) &&
           words_read(json_object_get(json, "anchor_command"), out->anchor_words);
}

static bool percents_read(const json_t *list, struct side_spec *spec)
{
    for (unsigned i = 0; i < SIDE_PERCENTS; i++) {
        const json_t *entry = json_array_get(list, i);
        json_int_t percent = json_integer_value(entry);

        if (!json_is_integer(entry) || percent < 0 || percent > 100)
            return false;
        spec->percents[i] = (uint8_t)percent;
    }
    return json_array_size(list) == SIDE_PERCENTS;
}

static bool texts_read(const json_t *json, struct side_spec *spec)
{
    return text_read(json, "policy", spec->policy, sizeof spec->policy) &&
           text_read(json, "session", spec->session, sizeof spec->session) &&
           text_read(json, "task", spec->task, sizeof spec->task) &&
           text_read(json, "agent", spec->agent, sizeof spec->agent) &&
           text_read(json, "routing", spec->routing, sizeof spec->routing) &&
           text_read(json, "agents", spec->agents, sizeof spec->agents) &&
           text_read(json, "notify", spec->notify, sizeof spec->notify) &&
           text_read(json, "labels", spec->labels, sizeof spec->labels) &&
           text_read(json, "timezone", spec->timezone, sizeof spec->timezone) &&
           text_read(json, "price_file", spec->price_file, sizeof spec->price_file) &&
           text_read(json, "unknown_row", spec->unknown_row, sizeof spec->unknown_row);
}

bool side_spec_parse(const json_t *json, struct side_spec *spec, struct side_error *error)
{
    int64_t on_exhausted, busy_wait, approval, unknown, profile = 0;

    side_spec_init(spec);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        spec->limits[dim].policy = GOV_HARD_STOP;
    if (!limits_read(json_object_get(json, "limits"), spec->limits) ||
        !limits_read(json_object_get(json, "session_limits"), spec->session_limits) ||
        !limits_read(json_object_get(json, "ceilings"), spec->ceilings) ||
        !percents_read(json_object_get(json, "percents"), spec) || !texts_read(json, spec) ||
        !windows_read(json_object_get(json, "windows"), spec) ||
        !providers_read(json_object_get(json, "providers"), spec) ||
        !keeping_read(json_object_get(json, "keeping"), &spec->keeping) ||
        !number_read(json, "on_exhausted", SIDE_DENY, SIDE_PAUSE, &on_exhausted) ||
        !number_read(json, "busy_wait_ms", 0, INT64_MAX / 2, &busy_wait) ||
        !number_read(json, "approval_timeout_ms", 0, SIDE_WAIT_MOST_MS, &approval) ||
        (json_object_get(json, "profile") != NULL && /* older kept runs have none */
         !number_read(json, "profile", 0, UINT8_MAX, &profile)) ||
        (profile != 0 && side_profile_name((unsigned)profile) == NULL) ||
        !number_read(json, "unknown_model", SIDE_UNKNOWN_DENY, SIDE_UNKNOWN_CAP, &unknown) ||
        !side_quality_parse(json_object_get(json, "quality"), &spec->quality) ||
        !flag_read(json, "bare", &spec->bare) ||
        !flag_read(json, "meter_only", &spec->meter_only) ||
        !flag_read(json, "clamp", &spec->clamp) ||
        !flag_read(json, "ask_usage", &spec->ask_usage) ||
        !flag_read(json, "refuse_curl", &spec->refuse_curl))
        return side_fail(error, "the description of the run cannot be read");
    spec->on_exhausted = (enum side_exhausted)on_exhausted;
    spec->busy_wait_ms = busy_wait;
    spec->approval_timeout_ms = approval;
    spec->unknown_model = (enum side_unknown)unknown;
    spec->profile = (unsigned)profile;
    return true;
}
