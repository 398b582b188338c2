/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, policies and windows, as the configuration has them. */
#include "sidecar/side_config.h"
#include "sidecar/side_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- limits ------------------------------------------------------------------------------- */

static bool read_amount(struct side_reader *reader, const yaml_node_t *node, enum gov_dim dim,
                        const char *what, int64_t *out)
{
    const char *text = side_read_text(reader, node);
    char in_unit[SIDE_UNIT_TEXT];

    if (text == NULL)
        return false;
    return side_amount_parse(dim, side_in_unit(dim, text, in_unit), out) ||
           side_read_fail(reader, node, "%s: '%s' is not %s", what, text,
                          side_amount_expected(dim));
}

static bool budget(struct side_reader *reader, const yaml_node_t *value, enum gov_dim dim,
                   const char *what)
{
    if (!read_amount(reader, value, dim, what, &reader->spec->limits[dim].amount))
        return false;
    reader->spec->source[dim] = SIDE_FILE;
    return true;
}

#define BUDGET(name, dim)                                                                          \
    static bool budget_##name(struct side_reader *reader, const yaml_node_t *value)                \
    {                                                                                              \
        return budget(reader, value, dim, #name);                                                  \
    }
BUDGET(max_cost_usd, GOV_COST)
BUDGET(token_budget, GOV_TOKENS)
BUDGET(steps, GOV_STEPS)
BUDGET(wall_clock_ms, GOV_WALL)
BUDGET(tool_calls, GOV_TOOLS)
BUDGET(network_egress_bytes, GOV_EGRESS)
BUDGET(storage_write_bytes, GOV_WRITES)
BUDGET(error_burst, GOV_ERRORS)
BUDGET(long_running_command_seconds, GOV_COMMAND)
#undef BUDGET

static bool read_budgets(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"max_cost_usd", budget_max_cost_usd},
        {"token_budget", budget_token_budget},
        {"steps", budget_steps},
        {"wall_clock_ms", budget_wall_clock_ms},
        {"tool_calls", budget_tool_calls},
        {"network_egress_bytes", budget_network_egress_bytes},
        {"storage_write_bytes", budget_storage_write_bytes},
        {"error_burst", budget_error_burst},
        {"long_running_command_seconds", budget_long_running_command_seconds},
        {NULL, NULL},
    };

    return side_read_map(reader, value, keys);
}

/* The dimensions, where they are keys. */
static const struct side_key dim_keys[] = {
#define X(number, text, phrase, reason) {text, NULL},
    GOV_DIM_MAP(X)
#undef X
        {NULL, NULL},
};

/* A mapping whose keys are dimensions: data is the limits that get each amount. */
static bool read_dim(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                     const yaml_node_t *value, void *data)
{
    struct gov_limit *limits = data;
    enum gov_dim dim = gov_dim_by_name(name);

    if (dim == GOV_DIMS)
        return side_read_unknown(reader, name_node, name, dim_keys);
    return read_amount(reader, value, dim, name, &limits[dim].amount);
}

static bool read_policy_of_dim(struct side_reader *reader, const yaml_node_t *name_node,
                               const char *name, const yaml_node_t *value, void *data)
{
    const char *text = side_read_text(reader, value);
    struct side_error error = {{0}};

    (void)data;
    if (text == NULL)
        return false;
    if (gov_dim_by_name(name) == GOV_DIMS)
        return side_read_unknown(reader, name_node, name, dim_keys);
    return side_spec_policy(reader->spec, gov_dim_by_name(name), text, name, &error) ||
           side_read_fail(reader, value, "%s", error.text);
}

static bool read_policies_of_dims(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_pairs(reader, value, read_policy_of_dim, NULL);
}

/* ---- policies ----------------------------------------------------------------------------- */

static bool read_threshold(struct side_reader *reader, const yaml_node_t *node)
{
    const char *text = side_read_text(reader, node);
    long percent = text != NULL ? strtol(text, NULL, 10) : 0;
    unsigned i = 0;

    if (text == NULL)
        return false;
    if (percent < 1 || percent > 100 || strspn(text, "0123456789") != strlen(text))
        return side_read_fail(reader, node, "'%s' is not a percentage from 1 to 100", text);
    for (; i < SIDE_PERCENTS && reader->spec->percents[i] != 0; i++)
        if (reader->spec->percents[i] == percent)
            return side_read_fail(reader, node, "'%s' is given twice", text);
    if (i == SIDE_PERCENTS)
        return side_read_fail(reader, node, "more than %u thresholds", SIDE_PERCENTS);
    reader->spec->percents[i] = (uint8_t)percent;
    return true;
}

static bool read_thresholds(struct side_reader *reader, const yaml_node_t *value)
{
    memset(reader->spec->percents, 0, sizeof reader->spec->percents);
    return side_read_list(reader, value, read_threshold);
}

static bool read_on_exhausted(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    struct side_error error = {{0}};

    return text != NULL && (side_spec_on_exhausted(reader->spec, text, "on_exhausted", &error) ||
                            side_read_fail(reader, value, "%s", error.text));
}

static bool read_profile(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    struct side_error error = {{0}};

    return text != NULL && (side_spec_profile(reader->spec, text, "profile", SIDE_FILE, &error) ||
                            side_read_fail(reader, value, "%s", error.text));
}

static bool read_policy(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {
        {"budgets", read_budgets},       {"exhaustion_policies", read_policies_of_dims},
        {"thresholds", read_thresholds}, {"on_exhausted", read_on_exhausted},
        {"profile", read_profile},       {NULL, NULL},
    };

    return side_read_map(reader, value, keys);
}

/* Every policy is read, so that an error in any is found; the one asked for stays. */
static bool read_named_policy(struct side_reader *reader, const yaml_node_t *name_node,
                              const char *name, const yaml_node_t *value, void *data)
{
    struct side_spec *real = reader->spec, *scratch = data;
    bool wanted = strcmp(name, reader->policy != NULL ? reader->policy : "default") == 0, ok;

    if (strlen(name) >= sizeof real->policy)
        return side_read_fail(reader, name_node, "the policy's name is too long");
    side_spec_init(scratch);
    reader->spec = wanted ? real : scratch;
    ok = read_policy(reader, value);
    reader->spec = real;
    if (wanted && ok)
        (void)snprintf(real->policy, sizeof real->policy, "%s", name);
    return ok && (json_object_set_new(reader->policies, name, json_null()) == 0 ||
                  side_read_fail(reader, name_node, "out of memory"));
}

static bool read_policies(struct side_reader *reader, const yaml_node_t *map)
{
    struct side_spec *scratch = calloc(1, sizeof *scratch);
    bool ok = scratch != NULL ? side_read_pairs(reader, map, read_named_policy, scratch)
                              : side_read_fail(reader, map, "out of memory");

    free(scratch);
    return ok;
}

bool side_read_governance(struct side_reader *reader, const yaml_node_t *value)
{
    static const struct side_key keys[] = {{"policies", read_policies}, {NULL, NULL}};

    return side_read_map(reader, value, keys);
}

bool side_read_session_limits(struct side_reader *reader, const yaml_node_t *value)
{
    return side_read_pairs(reader, value, read_dim, reader->spec->session_limits);
}

bool side_read_ceilings(struct side_reader *reader, const yaml_node_t *value)
{
    if (!reader->system)
        return side_read_fail(reader, value, "ceilings stand in the system's configuration alone");
    return side_read_pairs(reader, value, read_dim, reader->spec->ceilings);
}

/* ---- windows ------------------------------------------------------------------------------ */

static bool name_is_number(const char *name)
{
    return strspn(name, "0123456789") == strlen(name) && (name[0] != '0' || name[1] == '\0');
}

/* A directory without what names nothing; runs have theirs as the system says it. */
static bool window_name_check(struct side_reader *reader, const yaml_node_t *value)
{
    char *name = reader->window->name;
    size_t length = strlen(name);

    while (reader->window->scope == GOV_PROJECT && length > 1 && name[length - 1] == '/')
        name[--length] = '\0';
    switch (reader->window->scope) {
    case GOV_PROJECT:
        return (name[0] == '/' && strstr(name, "//") == NULL && strstr(name, "/./") == NULL &&
                strstr(name, "/../") == NULL) ||
               side_read_fail(reader, value, "'%s' is not the full path of a directory", name);
    case GOV_UID:
        return name_is_number(name) ||
               side_read_fail(reader, value, "'%s' is not the number of a user", name);
    case GOV_LABEL:
        return (strchr(name, '=') != NULL && name[0] != '=') ||
               side_read_fail(reader, value, "'%s' is not KEY=VALUE", name);
    case GOV_PROVIDER:
        return meter_provider_by_name(name) != NULL || strcmp(name, "unknown") == 0 ||
               side_read_fail(reader, value, "no provider is called '%s'", name);
    default:
        return true;
    }
}

/* global, or KIND:NAME; which kinds there are, run apart, the governor's list says. */
static bool window_scope(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value), *colon;
    struct side_window *window = reader->window;
    char kind[16];

    if (text == NULL)
        return false;
    colon = strchr(text, ':');
    (void)snprintf(kind, sizeof kind, "%.*s", (int)(colon != NULL ? colon - text : 15), text);
    window->scope = gov_scope_by_name(kind);
    if (window->scope == GOV_SCOPES || window->scope == GOV_RUN || window->scope == GOV_TIER ||
        (window->scope == GOV_GLOBAL) != (colon == NULL))
        return side_read_fail(reader, value,
                              "scope '%s' is none of global, session:S, provider:X, model:X, "
                              "task:X, agent:X, label:K=V, uid:N, project:DIR",
                              text);
    if (colon == NULL)
        return true;
    if (colon[1] == '\0' || strlen(colon + 1) >= sizeof window->name)
        return side_read_fail(reader, value, "scope '%s': a name of 1 to %zu characters", text,
                              sizeof window->name - 1);
    (void)snprintf(window->name, sizeof window->name, "%s", colon + 1);
    return window_name_check(reader, value);
}

static bool window_kind(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    enum gov_window window = text != NULL ? gov_window_by_name(text) : GOV_WINDOWS;

    if (window == GOV_WINDOWS || window == GOV_WHOLE || window == GOV_ROLLING)
        return text != NULL &&
               side_read_fail(reader, value,
                              "window '%s' is none of daily, weekly, monthly; or use 'rolling: 5h'",
                              text);
    if (reader->window->window != GOV_WHOLE)
        return side_read_fail(reader, value, "one of 'window' and 'rolling'");
    reader->window->window = window;
    return true;
}

static bool window_rolling(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    int64_t ms;

    if (text == NULL)
        return false;
    if (!side_duration_parse(text, &ms) || ms < GOV_ROLLING_LEAST_S * 1000 || ms % 1000 != 0 ||
        ms > GOV_ROLLING_MOST_S * 1000)
        return side_read_fail(reader, value, "'%s' is not a duration from 1s to 366d, such as 5h",
                              text);
    if (reader->window->window != GOV_WHOLE)
        return side_read_fail(reader, value, "one of 'window' and 'rolling'");
    reader->window->window = GOV_ROLLING;
    reader->window->duration_s = ms / 1000;
    return true;
}

static bool window_policy(struct side_reader *reader, const yaml_node_t *value)
{
    const char *text = side_read_text(reader, value);
    enum gov_policy policy = text != NULL ? gov_policy_by_name(text) : GOV_POLICIES;

    if (policy == GOV_POLICIES)
        return text != NULL &&
               side_read_fail(reader, value,
                              "'%s' is none of hard_stop, approval_required, soft_warn", text);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        reader->window->limits[dim].policy = policy;
    return true;
}

static bool window_amount(struct side_reader *reader, const yaml_node_t *value, enum gov_dim dim)
{
    reader->window_limited = true;
    return read_amount(reader, value, dim, gov_dim_name(dim), &reader->window->limits[dim].amount);
}

static bool window_cost(struct side_reader *reader, const yaml_node_t *value)
{
    return window_amount(reader, value, GOV_COST);
}

static bool window_tokens(struct side_reader *reader, const yaml_node_t *value)
{
    return window_amount(reader, value, GOV_TOKENS);
}

static bool window_steps(struct side_reader *reader, const yaml_node_t *value)
{
    return window_amount(reader, value, GOV_STEPS);
}

static bool same_window(const struct side_window *a, const struct side_window *b)
{
    return a->scope == b->scope && a->window == b->window && a->duration_s == b->duration_s &&
           strcmp(a->name, b->name) == 0;
}

static bool read_window(struct side_reader *reader, const yaml_node_t *node)
{
    static const struct side_key keys[] = {
        {"scope", window_scope},       {"window", window_kind},
        {"policy", window_policy},     {"cost_usd", window_cost},
        {"llm_tokens", window_tokens}, {"steps", window_steps},
        {"rolling", window_rolling},   {NULL, NULL},
    };

    if (reader->spec->window_count == SIDE_WINDOWS_ASKED)
        return side_read_fail(reader, node, "more than %u windows", SIDE_WINDOWS_ASKED);
    reader->window = &reader->spec->windows[reader->spec->window_count];
    memset(reader->window, 0, sizeof *reader->window);
    reader->window->scope = GOV_GLOBAL;
    reader->window_limited = false;
    if (!side_read_map(reader, node, keys))
        return false;
    if (reader->window->window == GOV_WHOLE)
        return side_read_fail(reader, node,
                              "a window needs 'window: daily' (weekly, monthly) or 'rolling: 5h'");
    if (!reader->window_limited)
        return side_read_fail(reader, node, "a window needs a limit: cost_usd, llm_tokens, steps");
    for (unsigned i = 0; i < reader->spec->window_count; i++)
        if (same_window(&reader->spec->windows[i], reader->window))
            return side_read_fail(reader, node, "the same window is given twice");
    reader->spec->window_count++;
    return true;
}

bool side_read_windows(struct side_reader *reader, const yaml_node_t *value)
{
    reader->spec->window_count = 0;
    return side_read_list(reader, value, read_window);
}
