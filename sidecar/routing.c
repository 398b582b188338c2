/* SPDX-License-Identifier: Apache-2.0 */
/* Routing: rules and registry from their JSON, tasks from theirs, selections into it. */
#include "sidecar/routing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* ---- the registry ------------------------------------------------------------------------- */

/* A path below the provider's own address: nothing that leads elsewhere. */
static bool is_relative(const char *path)
{
    return *path != '/' && strstr(path, "://") == NULL && strncmp(path, "../", 3) != 0 &&
           strstr(path, "/../") == NULL && strcmp(path, "..") != 0;
}

static bool model_read(const json_t *json, unsigned tier, struct gov_model *out,
                       struct side_error *error)
{
    *out = (struct gov_model){tier, text_of(json, "id"), text_of(json, "provider"),
                              text_of(json, "endpoint")};
    if (out->id == NULL || out->provider == NULL)
        return side_fail(error, "a model of %s has no 'id' or no 'provider'", gov_tier_name(tier));
    if (out->id[0] == '\0' || strlen(out->id) >= GOV_MODEL_TEXT ||
        strpbrk(out->id, "\"\\\n") != NULL)
        return side_fail(error, "'%.80s' of %s is no name of a model", out->id,
                         gov_tier_name(tier));
    if (meter_provider_by_name(out->provider) == NULL)
        return side_fail(error, "%.80s: no provider is called '%.40s'", out->id, out->provider);
    if (out->endpoint != NULL && !is_relative(out->endpoint))
        return side_fail(error, "%.80s: endpoint '%.80s' is not a relative path", out->id,
                         out->endpoint);
    return true;
}

static bool tiers_read(const json_t *tiers, struct side_routing *routing, struct side_error *error)
{
    const char *name;
    json_t *list, *entry;
    size_t i, count = 0;

    if (!json_is_object(tiers))
        return side_fail(error, "'tiers' is missing, or is not an object");
    json_object_foreach((json_t *)(uintptr_t)tiers, name, list)
    {
        if (gov_tier_by_name(name) == GOV_TIERS || !json_is_array(list))
            return side_fail(error, "tiers: '%.40s' is none of T0 to T4, or not a list", name);
        count += json_array_size(list);
    }
    routing->models = calloc(count + 1, sizeof *routing->models);
    if (routing->models == NULL)
        return side_fail(error, "out of memory");
    json_object_foreach((json_t *)(uintptr_t)tiers, name, list) json_array_foreach(list, i, entry)
    {
        struct gov_model *model = &routing->models[routing->gov.model_count];

        if (!model_read(entry, gov_tier_by_name(name), model, error))
            return false;
        if (gov_tier_of(&routing->gov, model->provider, model->id) != GOV_TIERS)
            return side_fail(error, "%s/%s is there twice", model->provider, model->id);
        routing->gov.models = routing->models;
        routing->gov.model_count++;
    }
    return true;
}

/* It leads down, so it cannot come back to where it was. */
static bool chain_read(const json_t *chain, struct gov_routing *out, struct side_error *error)
{
    size_t i;
    json_t *entry;

    if (!json_is_array(chain) || json_array_size(chain) == 0)
        return side_fail(error, "'fallback_chain' is missing, or is not a list of tiers");
    json_array_foreach(chain, i, entry)
    {
        const char *name = json_string_value(entry);
        unsigned tier = name != NULL ? gov_tier_by_name(name) : GOV_TIERS;

        if (tier == GOV_TIERS)
            return side_fail(error, "fallback_chain: '%.40s' is none of T0 to T4",
                             name != NULL ? name : "?");
        for (unsigned j = 0; j < out->chain_count; j++)
            if (out->chain[j] == tier)
                return side_fail(error, "fallback_chain: a cycle: %s is there twice", name);
        if (out->chain_count > 0 && tier < out->chain[out->chain_count - 1])
            return side_fail(error, "fallback_chain: %s is above the tier in front of it", name);
        out->chain[out->chain_count++] = tier;
    }
    return true;
}

bool side_registry_read(const char *path, struct side_routing *routing, struct side_error *error)
{
    json_error_t where;
    struct side_error why = {{0}};

    routing->registry = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (routing->registry == NULL && where.line < 0) /* it could not be opened */
        return side_fail(error, "%s: %s", path, strerror(errno));
    if (routing->registry == NULL)
        return side_fail(error, "%s:%d:%d: %s", path, where.line, where.column, where.text);
    if (!tiers_read(json_object_get(routing->registry, "tiers"), routing, &why) ||
        !chain_read(json_object_get(routing->registry, "fallback_chain"), &routing->gov, &why))
        return side_fail(error, "%s: %s", path, why.text);
    return true;
}

/* ---- the rules ---------------------------------------------------------------------------- */

static bool risks_read(const json_t *rules, struct side_routing *out, struct side_error *error)
{
    size_t i, j, count = 0;
    json_t *rule, *path;

    json_array_foreach(rules, i, rule) count += json_array_size(json_object_get(rule, "paths"));
    out->risks = calloc(count + 1, sizeof *out->risks);
    out->gov.risks = out->risks;
    json_array_foreach(rules, i, rule)
    {
        const char *level = text_of(rule, "level");

        if (level == NULL || gov_risk_by_name(level) == GOV_LEVELS ||
            json_array_size(json_object_get(rule, "paths")) == 0)
            return side_fail(error,
                             "risk_rules: a rule has a level, R0 to R3, and a list of paths");
        json_array_foreach(json_object_get(rule, "paths"), j, path)
        {
            if (!json_is_string(path) || out->risks == NULL)
                return side_fail(error, "risk_rules: a path is a text");
            out->risks[out->gov.risk_count++] =
                (struct gov_risk_rule){gov_risk_by_name(level), json_string_value(path)};
        }
    }
    return true;
}

static bool least_read(const json_t *when, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(when, name);

    *out = value != NULL ? json_integer_value(value) : -1;
    return value == NULL || (json_is_integer(value) && *out >= 0);
}

static bool complexities_read(const json_t *rules, struct side_routing *out,
                              struct side_error *error)
{
    size_t i;
    json_t *rule;

    out->complexities = calloc(json_array_size(rules) + 1, sizeof *out->complexities);
    out->gov.complexities = out->complexities;
    json_array_foreach(rules, i, rule)
    {
        struct gov_complexity_rule *to = &out->complexities[i];
        const char *level = text_of(rule, "level");
        json_t *when = json_object_get(rule, "when");
        const json_t *thinking = json_object_get(when, "thinking");

        if (out->complexities == NULL || level == NULL ||
            gov_complexity_by_name(level) == GOV_LEVELS || !json_is_object(when) ||
            !least_read(when, "input_tokens", &to->input_tokens) ||
            !least_read(when, "tools", &to->tools) || !least_read(when, "files", &to->files) ||
            (thinking != NULL && !json_is_boolean(thinking)))
            return side_fail(error, "complexity_rules: a rule has a level, L0 to L3_plus, and "
                                    "'when: { input_tokens, tools, files, thinking }'");
        to->level = gov_complexity_by_name(level);
        to->thinking = thinking != NULL ? json_is_true(thinking) : -1;
        out->gov.complexity_count++;
    }
    return true;
}

static bool governance_read(const json_t *patterns, struct side_routing *out,
                            struct side_error *error)
{
    size_t i;
    json_t *pattern;

    out->governance = calloc(json_array_size(patterns) + 1, sizeof *out->governance);
    out->gov.governance = out->governance;
    json_array_foreach(patterns, i, pattern)
    {
        if (!json_is_string(pattern) || out->governance == NULL)
            return side_fail(error, "governance_patterns: a pattern is a text");
        out->governance[out->gov.governance_count++] = json_string_value(pattern);
    }
    return true;
}

/* { L1: { R2: T0 } }: what is not given stays as it is by default. */
static bool matrix_read(const json_t *matrix, struct gov_routing *out, struct side_error *error)
{
    const char *row_name, *name;
    json_t *row, *value;

    json_object_foreach((json_t *)(uintptr_t)matrix, row_name, row)
        json_object_foreach(row, name, value)
    {
        unsigned complexity = gov_complexity_by_name(row_name), risk = gov_risk_by_name(name);
        unsigned tier =
            json_is_string(value) ? gov_tier_by_name(json_string_value(value)) : GOV_TIERS;

        if (complexity == GOV_LEVELS || risk == GOV_LEVELS || tier == GOV_TIERS)
            return side_fail(error,
                             "matrix: '%.20s: { %.20s: ... }' is not of L0 to L3_plus, R0 to "
                             "R3 and T0 to T4",
                             row_name, name);
        out->matrix[complexity][risk] = (uint8_t)tier;
    }
    return true;
}

static bool cap_read(const json_t *caps, const char *name, int64_t *out, struct side_error *error)
{
    const json_t *value = json_object_get(caps, name);
    const char *text = json_string_value(value);

    if (value == NULL)
        return true;
    if (json_is_integer(value) && json_integer_value(value) > 0 &&
        json_integer_value(value) < 9000000)
        *out = json_integer_value(value) * INT64_C(1000000000000);
    else if (text == NULL || !meter_usd_parse(text, strlen(text), out) || *out <= 0)
        return side_fail(error, "caps: %s is not an amount in USD, such as 5.00", name);
    return true;
}

static bool caps_read(const json_t *caps, struct side_routing *out, struct side_error *error)
{
    const json_t *calls = json_object_get(caps, "t0_calls_per_day");

    out->caps[SIDE_CAP_T0] = json_integer_value(calls);
    if (calls != NULL && out->caps[SIDE_CAP_T0] <= 0)
        return side_fail(error, "caps: t0_calls_per_day is not a number of calls, such as 50");
    return cap_read(caps, "daily_usd", &out->caps[SIDE_CAP_DAILY], error) &&
           cap_read(caps, "weekly_usd", &out->caps[SIDE_CAP_WEEKLY], error) &&
           cap_read(caps, "per_task_usd", &out->caps[SIDE_CAP_TASK], error);
}

struct side_routing *side_routing_new(const char *text, struct side_error *error)
{
    struct side_routing *out = calloc(1, sizeof *out);
    const char *registry;

    if (out == NULL) {
        (void)side_fail(error, "out of memory");
        return NULL;
    }
    memcpy(out->gov.matrix, gov_matrix, sizeof gov_matrix);
    out->config = json_loads(text, 0, NULL);
    registry = text_of(out->config, "registry");
    if ((registry != NULL || side_fail(error, "routing needs a 'registry', which is a file")) &&
        risks_read(json_object_get(out->config, "risk_rules"), out, error) &&
        complexities_read(json_object_get(out->config, "complexity_rules"), out, error) &&
        governance_read(json_object_get(out->config, "governance_patterns"), out, error) &&
        matrix_read(json_object_get(out->config, "matrix"), &out->gov, error) &&
        caps_read(json_object_get(out->config, "caps"), out, error) &&
        side_registry_read(registry, out, error))
        return out;
    side_routing_free(out);
    return NULL;
}

void side_routing_free(struct side_routing *routing)
{
    if (routing == NULL)
        return;
    json_decref(routing->config);
    json_decref(routing->registry);
    free(routing->risks);
    free(routing->complexities);
    free((void *)routing->governance);
    free(routing->models);
    free(routing);
}

/* ---- tasks -------------------------------------------------------------------------------- */

bool side_task_read(const json_t *json, const char *paths[SIDE_TASK_PATHS], struct gov_task *out,
                    const char **id, struct side_error *error)
{
    const json_t *list = json_object_get(json, "paths"),
                 *signals = json_object_get(json, "signals");
    size_t i;
    json_t *path;

    *out = (struct gov_task){.paths = paths};
    *id = text_of(json, "task_id");
    if (*id == NULL || strlen(*id) >= 64)
        return side_fail(error, "the task has no 'task_id' of at most 63 characters");
    if ((list != NULL && !json_is_array(list)) || json_array_size(list) > SIDE_TASK_PATHS)
        return side_fail(error, "'paths' is not a list of at most %u texts", SIDE_TASK_PATHS);
    json_array_foreach(list, i, path)
    {
        if (!json_is_string(path))
            return side_fail(error, "'paths' is not a list of texts");
        paths[out->path_count++] = json_string_value(path);
    }
    if (!least_read(signals, "input_tokens", &out->input_tokens) ||
        !least_read(signals, "tools", &out->tools) || !least_read(signals, "files", &out->files))
        return side_fail(error, "'signals' has a figure that is not a whole number");
    out->thinking = json_is_true(json_object_get(signals, "thinking"));
    out->input_tokens += out->input_tokens < 0; /* what is not given is none */
    out->tools += out->tools < 0;
    out->files += out->files < 0;
    return true;
}

const char *side_chain_text(const struct gov_selection *selection, char out[SIDE_CHAIN_TEXT])
{
    (void)snprintf(out, SIDE_CHAIN_TEXT, "1=%s,2=%s,3=%.120s", gov_risk_name(selection->risk),
                   gov_complexity_name(selection->complexity),
                   selection->governance != NULL ? selection->governance : "none");
    return out;
}

static json_t *rule_json(const struct gov_selection *selection)
{
    char risk[40] = "default", complexity[40] = "default";

    if (selection->risk_rule >= 0)
        (void)snprintf(risk, sizeof risk, "risk_rules[%d]", selection->risk_rule);
    if (selection->complexity_rule >= 0)
        (void)snprintf(complexity, sizeof complexity, "complexity_rules[%d]",
                       selection->complexity_rule);
    return selection->governance != NULL ? json_string("governance_patterns")
                                         : json_sprintf("%s,%s", risk, complexity);
}

json_t *side_selection_json(const struct gov_selection *selection)
{
    char chain[SIDE_CHAIN_TEXT];

    return json_pack("{s:s?,s:s?,s:s?,s:o,s:o,s:b,s:s}", "tier",
                     selection->model != NULL ? gov_tier_name(selection->tier) : NULL, "model",
                     selection->model != NULL ? selection->model->id : NULL, "endpoint",
                     selection->model != NULL ? selection->model->endpoint : NULL, "reason",
                     selection->model != NULL
                         ? json_sprintf("risk=%s,complexity=%s", gov_risk_name(selection->risk),
                                        gov_complexity_name(selection->complexity))
                         : json_sprintf("no_models_in_tier:%s", gov_tier_name(selection->wanted)),
                     "rule", rule_json(selection), "requires_approval",
                     selection->requires_approval, "classifier_chain",
                     side_chain_text(selection, chain));
}
