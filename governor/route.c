/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks to tiers, tiers to models. */
#include "governor/route.h"
#include "governor/governor.h"

#include <string.h>

static const char *const tiers[GOV_TIERS] = {"T0", "T1", "T2", "T3", "T4"};
static const char *const risks[GOV_LEVELS] = {"R0", "R1", "R2", "R3"};
static const char *const complexities[GOV_LEVELS] = {"L0", "L1", "L2", "L3_plus"};

const uint8_t gov_matrix[GOV_LEVELS][GOV_LEVELS] = {
    {4, 3, 2, 1}, {3, 2, 2, 1}, {2, 2, 1, 0}, {1, 1, 1, 0}};

const char *gov_tier_name(unsigned tier)
{
    return tier < GOV_TIERS ? tiers[tier] : "";
}

unsigned gov_tier_by_name(const char *name)
{
    return gov_row_by_name(tiers, sizeof tiers[0], GOV_TIERS, name);
}

const char *gov_risk_name(unsigned level)
{
    return level < GOV_LEVELS ? risks[level] : "";
}

unsigned gov_risk_by_name(const char *name)
{
    return gov_row_by_name(risks, sizeof risks[0], GOV_LEVELS, name);
}

const char *gov_complexity_name(unsigned level)
{
    return level < GOV_LEVELS ? complexities[level] : "";
}

unsigned gov_complexity_by_name(const char *name)
{
    return gov_row_by_name(complexities, sizeof complexities[0], GOV_LEVELS, name);
}

/* ---- paths -------------------------------------------------------------------------------- */

/* No recursion: a pattern of many stars goes back to the last star of each kind alone. What is
 * behind a whole part of **, as in a / ** / b, begins where a part of the path does. */
bool gov_path_matches(const char *pattern, const char *path)
{
    const char *first = pattern, *star = NULL, *star_at = NULL, *deep = NULL, *deep_at = NULL;
    bool parts = false;

    while (*path != '\0') {
        if (pattern[0] == '*' && pattern[1] == '*') {
            parts = (pattern == first || pattern[-1] == '/') && pattern[2] == '/';
            pattern += 2 + parts;
            parts = parts && *pattern != '\0';
            deep = pattern;
            deep_at = path;
            star = NULL;
        } else if (*pattern == '*') {
            star = ++pattern;
            star_at = path;
        } else if (*pattern == *path || (*pattern == '?' && *path != '/')) {
            pattern++;
            path++;
        } else if (star != NULL && *star_at != '/') {
            pattern = star;
            path = ++star_at;
        } else if (deep != NULL && (!parts || (deep_at = strchr(deep_at, '/')) != NULL)) {
            pattern = deep;
            path = ++deep_at;
            star = NULL;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool any_path(const struct gov_task *task, const char *pattern)
{
    for (size_t i = 0; i < task->path_count; i++)
        if (gov_path_matches(pattern, task->paths[i]))
            return true;
    return false;
}

/* ---- classifiers -------------------------------------------------------------------------- */

#define MIDDLE 1u /* where no rule says anything */

static void classify_risk(const struct gov_task *task, const struct gov_routing *routing,
                          struct gov_selection *out)
{
    out->risk = MIDDLE;
    out->risk_rule = -1;
    for (size_t i = 0; i < routing->risk_count; i++)
        if (any_path(task, routing->risks[i].pattern) &&
            (out->risk_rule < 0 || routing->risks[i].level > out->risk)) {
            out->risk = routing->risks[i].level;
            out->risk_rule = (int)i;
        }
}

static bool holds(const struct gov_complexity_rule *rule, const struct gov_task *task)
{
    return (rule->input_tokens < 0 || task->input_tokens >= rule->input_tokens) &&
           (rule->tools < 0 || task->tools >= rule->tools) &&
           (rule->files < 0 || task->files >= rule->files) &&
           (rule->thinking < 0 || task->thinking == (rule->thinking > 0));
}

static void classify_complexity(const struct gov_task *task, const struct gov_routing *routing,
                                struct gov_selection *out)
{
    out->complexity = MIDDLE;
    out->complexity_rule = -1;
    for (size_t i = 0; i < routing->complexity_count; i++)
        if (holds(&routing->complexities[i], task) &&
            (out->complexity_rule < 0 || routing->complexities[i].level > out->complexity)) {
            out->complexity = routing->complexities[i].level;
            out->complexity_rule = (int)i;
        }
}

/* ---- models ------------------------------------------------------------------------------- */

const struct gov_model *gov_model_of(const struct gov_routing *routing, unsigned tier,
                                     bool (*is_blocked)(const void *data, const char *provider),
                                     const void *data)
{
    for (size_t i = 0; i < routing->model_count; i++) {
        const struct gov_model *model = &routing->models[i];

        if (model->tier == tier && (is_blocked == NULL || !is_blocked(data, model->provider)))
            return model;
    }
    return NULL;
}

unsigned gov_tier_of(const struct gov_routing *routing, const char *provider, const char *model)
{
    for (size_t i = 0; i < routing->model_count; i++)
        if (strcmp(routing->models[i].id, model) == 0 &&
            strcmp(routing->models[i].provider, provider) == 0)
            return routing->models[i].tier;
    return GOV_TIERS;
}

unsigned gov_tier_below(const struct gov_routing *routing, unsigned tier)
{
    for (unsigned i = 0; i < routing->chain_count; i++)
        if (routing->chain[i] > tier)
            return routing->chain[i];
    return GOV_TIERS;
}

void gov_select_model(const struct gov_task *task, const struct gov_routing *routing,
                      bool (*is_blocked)(const void *data, const char *provider), const void *data,
                      struct gov_selection *out)
{
    memset(out, 0, sizeof *out);
    classify_risk(task, routing, out);
    classify_complexity(task, routing, out);
    for (size_t i = 0; i < routing->governance_count && out->governance == NULL; i++)
        if (any_path(task, routing->governance[i]))
            out->governance = routing->governance[i];
    out->wanted = out->governance != NULL ? 0 : routing->matrix[out->complexity][out->risk];
    if (task->preferred > 0 && task->preferred - 1 < out->wanted)
        out->wanted = task->preferred - 1;
    out->requires_approval = out->governance != NULL || out->risk == GOV_LEVELS - 1;
    for (out->tier = out->wanted; out->tier < GOV_TIERS && out->model == NULL;) {
        out->model = gov_model_of(routing, out->tier, is_blocked, data);
        if (out->model == NULL)
            out->tier = gov_tier_below(routing, out->tier);
    }
}
