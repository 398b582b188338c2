/* SPDX-License-Identifier: Apache-2.0 */
/* A run as asked for: amounts, the default table, profiles, and the form in which it travels. */
#include "sidecar/routing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool side_fail(struct side_error *error, const char *format, ...)
{
    va_list arguments;

    if (error->text[0] != '\0')
        return false;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- the default table -------------------------------------------------------------------- */

static const struct {
    int64_t bare; /* 0: off */
    enum gov_policy policy;
} defaults[GOV_DIMS] = {
    [GOV_STEPS] = {50, GOV_HARD_STOP},
    [GOV_TOKENS] = {180000, GOV_APPROVAL_REQUIRED},
    [GOV_COST] = {INT64_C(500000000000), GOV_HARD_STOP}, /* $0.50 */
    [GOV_WALL] = {1800000, GOV_HARD_STOP},
    [GOV_TOOLS] = {180, GOV_HARD_STOP},
    [GOV_EGRESS] = {10 << 20, GOV_HARD_STOP},
    [GOV_WRITES] = {50 << 20, GOV_HARD_STOP},
    [GOV_ERRORS] = {0, GOV_HARD_STOP},
    [GOV_COMMAND] = {0, GOV_SOFT_WARN},
};

void side_spec_init(struct side_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->clamp = true;
    spec->ask_usage = true;
    side_quality_init(&spec->quality);
    spec->busy_wait_ms = SIDE_BUSY_WAIT_MS;
    spec->approval_timeout_ms = SIDE_APPROVAL_TIMEOUT_MS;
    spec->percents[0] = 50;
    spec->percents[1] = 80;
    spec->percents[2] = 100;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        spec->limits[dim].policy = defaults[dim].policy;
}

/* ---- one by one --------------------------------------------------------------------------- */

bool side_spec_limit(struct side_spec *spec, enum gov_dim dim, const char *text, const char *what,
                     enum side_source source, struct side_error *error)
{
    int64_t amount;

    if (!side_amount_parse(dim, text, &amount))
        return side_fail(error, "%s: '%s' is not %s", what, text, side_amount_expected(dim));
    if (source == SIDE_ENV && spec->source[dim] == SIDE_FLAG && spec->limits[dim].amount != 0 &&
        (amount == 0 || amount > spec->limits[dim].amount))
        amount = spec->limits[dim].amount;
    spec->limits[dim].amount = amount;
    spec->source[dim] = source;
    return true;
}

bool side_spec_policy(struct side_spec *spec, enum gov_dim dim, const char *text, const char *what,
                      struct side_error *error)
{
    enum gov_policy policy = gov_policy_by_name(text);

    if (policy == GOV_POLICIES)
        return side_fail(error, "%s: '%s' is none of hard_stop, approval_required, soft_warn", what,
                         text);
    spec->limits[dim].policy = policy;
    spec->policy_given[dim] = true;
    return true;
}

static const char *const exhausted_names[] = {
    [SIDE_DENY] = "deny", [SIDE_TERMINATE] = "terminate", [SIDE_PAUSE] = "pause"};

const char *side_exhausted_name(enum side_exhausted what)
{
    return exhausted_names[what];
}

bool side_spec_on_exhausted(struct side_spec *spec, const char *text, const char *what,
                            struct side_error *error)
{
    for (unsigned i = 0; i < sizeof exhausted_names / sizeof exhausted_names[0]; i++)
        if (strcmp(exhausted_names[i], text) == 0) {
            spec->on_exhausted = (enum side_exhausted)i;
            return true;
        }
    return side_fail(error, "%s: '%s' is none of deny, terminate, pause", what, text);
}

/* ---- profiles ----------------------------------------------------------------------------- */

static const enum gov_dim profile_dims[] = {GOV_WALL, GOV_TOOLS, GOV_TOKENS};
#define PROFILE_DIMS (sizeof profile_dims / sizeof profile_dims[0])

/* Their numbers, from 1 on, are stored: append only. */
static const struct profile {
    const char *name;
    int64_t amounts[PROFILE_DIMS]; /* in the order of profile_dims */
    uint8_t soft;
} profiles[] = {
    {"conservative", {900000, 80, 80000}, 75},
    {"balanced", {1800000, 180, 180000}, 80},
    {"extended", {3600000, 360, 360000}, 85},
};

#define PROFILES (sizeof profiles / sizeof profiles[0])

const char *side_profile_name(unsigned profile)
{
    return profile > 0 && profile <= PROFILES ? profiles[profile - 1].name : NULL;
}

bool side_spec_profile(struct side_spec *spec, const char *name, const char *what,
                       enum side_source source, struct side_error *error)
{
    for (unsigned i = 0; i < PROFILES; i++)
        if (strcmp(profiles[i].name, name) == 0) {
            spec->profile = i + 1;
            spec->profile_source = source;
            return true;
        }
    return side_fail(error, "%s: '%s' is none of conservative, balanced, extended", what, name);
}

/* The soft ratio stands instead of 80 %. A limit of its own beats the profile's of the same or of a
 * lower source; beside a variable the lower one counts. */
static void profile_apply(struct side_spec *spec)
{
    const struct profile *profile = &profiles[spec->profile - 1];
    bool there = memchr(spec->percents, profile->soft, SIDE_PERCENTS) != NULL;

    for (unsigned i = 0; i < SIDE_PERCENTS; i++)
        if (spec->percents[i] == 80 && profile->soft != 80)
            spec->percents[i] = there ? 0 : profile->soft;
    for (size_t i = 0; i < PROFILE_DIMS; i++) {
        enum gov_dim dim = profile_dims[i];
        int64_t *amount = &spec->limits[dim].amount;
        bool beside = spec->source[dim] == SIDE_ENV && spec->profile_source == SIDE_FLAG &&
                      (*amount == 0 || *amount > profile->amounts[i]);

        if (!beside && spec->source[dim] >= spec->profile_source)
            continue;
        *amount = profile->amounts[i];
        spec->source[dim] = spec->profile_source;
        if (!spec->policy_given[dim])
            spec->limits[dim].policy = GOV_HARD_STOP;
    }
}

/* ---- the environment ---------------------------------------------------------------------- */

const char *side_env_find(const char *const *env, const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;

    for (; env != NULL && *env != NULL; env++)
        if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
            found = *env + length + 1;
    return found;
}

static const struct {
    const char *name;
    enum gov_dim dim;
} variables[] = {
    {"RUNTIME_BUDGET_MAX_COST_USD", GOV_COST},
    {"RUNTIME_BUDGET_MAX_TOKENS", GOV_TOKENS},
    {"RUNTIME_BUDGET_MAX_STEPS", GOV_STEPS},
    {"RUNTIME_BUDGET_WALL_CLOCK_MS", GOV_WALL},
    {"RUNTIME_BUDGET_TOOL_CALLS", GOV_TOOLS},
    {"RUNTIME_BUDGET_NETWORK_EGRESS_BYTES", GOV_EGRESS},
    {"RUNTIME_BUDGET_STORAGE_WRITE_BYTES", GOV_WRITES},
};
#define VARIABLES (sizeof variables / sizeof variables[0])

static bool variable_is_known(const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (size_t i = 0; i < VARIABLES; i++)
        if (strlen(variables[i].name) == length && strncmp(variables[i].name, entry, length) == 0)
            return true;
    return side_quality_is_variable(entry) || strncmp(entry, "RUNTIME_BUDGET_", 15) != 0;
}

/* Numbers below 1 become 1. */
static const char *variable_text(enum gov_dim dim, const char *text, char out[SIDE_UNIT_TEXT])
{
    bool minus = *text == '-' && text[1] != '\0';
    size_t digits = strspn(text + minus, "0123456789");

    if (dim == GOV_COST || digits == 0 || text[minus + digits] != '\0')
        return text;
    return side_in_unit(dim, minus || strspn(text, "0") == digits ? "1" : text, out);
}

/* Who names a model to be preferred, and one that nobody has, has named another one. */
static bool local_model_is_there(const struct side_spec *spec, struct side_error *error)
{
    const char *local = spec->quality.local_model;
    struct side_routing *routing;
    bool there = false;

    if (spec->routing[0] == '\0' || local[0] == '\0')
        return true;
    routing = side_routing_new(spec->routing, error);
    for (size_t i = 0; routing != NULL && i < routing->gov.model_count && !there; i++)
        there = strcmp(routing->gov.models[i].id, local) == 0;
    if (routing != NULL && !there)
        (void)side_fail(error, "local_model_id: the registry has no model '%s'", local);
    side_routing_free(routing);
    return there;
}

bool side_spec_env(struct side_spec *spec, const char *const *env, struct side_error *error)
{
    char text[SIDE_UNIT_TEXT];

    for (const char *const *entry = env; entry != NULL && *entry != NULL; entry++)
        if (!variable_is_known(*entry))
            return side_fail(error,
                             "%.*s: this variable is not supported by this version of Flyball",
                             (int)strcspn(*entry, "="), *entry);
    for (size_t i = 0; i < VARIABLES; i++) {
        const char *given = side_env_find(env, variables[i].name);

        if (given != NULL &&
            !side_spec_limit(spec, variables[i].dim, variable_text(variables[i].dim, given, text),
                             variables[i].name, SIDE_ENV, error))
            return false;
    }
    return side_quality_env(&spec->quality, env, error) && local_model_is_there(spec, error);
}

/* ---- labels ------------------------------------------------------------------------------- */

bool side_spec_label(struct side_spec *spec, const char *text, struct side_error *error)
{
    size_t used = strlen(spec->labels), length = strlen(text);
    const char *equals = strchr(text, '=');
    unsigned count = 0;

    if (equals == NULL || equals == text || strpbrk(text, "\n\r") != NULL)
        return side_fail(error, "--label: '%s' is not KEY=VALUE", text);
    for (const char *at = spec->labels; *at != '\0'; at++)
        count += *at == '\n';
    if (count == SIDE_LABELS_MAX || used + length + 1 >= sizeof spec->labels)
        return side_fail(error, "--label: at most %u labels, of %zu characters together",
                         SIDE_LABELS_MAX, sizeof spec->labels - 1 - SIDE_LABELS_MAX);
    memcpy(spec->labels + used, text, length);
    spec->labels[used + length] = '\n';
    return true;
}

/* ---- finishing ---------------------------------------------------------------------------- */

static void clamp_to_session(struct side_spec *spec, enum gov_dim dim)
{
    int64_t session = spec->session_limits[dim].amount;

    if (session > 0 && (spec->limits[dim].amount == 0 || spec->limits[dim].amount > session)) {
        spec->limits[dim].amount = session;
        if (!spec->policy_given[dim])
            spec->limits[dim].policy = GOV_HARD_STOP;
    }
}

/* A ceiling binds everybody, so what is softer than it does not count under one. */
static void clamp_to_ceiling(struct side_spec *spec, enum gov_dim dim)
{
    struct gov_limit *limit = &spec->limits[dim];
    int64_t ceiling = spec->ceilings[dim].amount;

    if (ceiling == 0)
        return;
    if (limit->amount == 0 || limit->amount > ceiling || limit->policy == GOV_SOFT_WARN)
        *limit = (struct gov_limit){ceiling, GOV_HARD_STOP};
}

static void soften(struct side_spec *spec, enum gov_dim dim)
{
    spec->limits[dim].policy = spec->session_limits[dim].policy = GOV_SOFT_WARN;
    for (unsigned i = 0; i < spec->window_count; i++)
        spec->windows[i].limits[dim].policy = GOV_SOFT_WARN;
}

static int by_percent(const void *a, const void *b)
{
    uint8_t one = *(const uint8_t *)a, two = *(const uint8_t *)b;

    if (one == 0 || two == 0) /* unused: last */
        return (one == 0) - (two == 0);
    return one - two;
}

void side_spec_finish(struct side_spec *spec)
{
    bool any = spec->window_count > 0;

    if (spec->profile != 0)
        profile_apply(spec);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        any = any || spec->source[dim] != SIDE_NOWHERE || spec->session_limits[dim].amount > 0;
    for (unsigned i = 0; i < SIDE_GUARDS; i++)
        any = any || spec->quality.guards[i].on;
    for (unsigned i = 0; i < SIDE_CAPS; i++)
        any = any || spec->caps[i] > 0;
    side_quality_finish(spec);
    spec->bare = !any;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        if (spec->bare)
            spec->limits[dim].amount = defaults[dim].bare;
        clamp_to_session(spec, (enum gov_dim)dim);
        if (spec->on_exhausted == SIDE_PAUSE && spec->limits[dim].policy == GOV_HARD_STOP)
            spec->limits[dim].policy = GOV_APPROVAL_REQUIRED;
        if (spec->meter_only)
            soften(spec, (enum gov_dim)dim);
        clamp_to_ceiling(spec, (enum gov_dim)dim);
    }
    qsort(spec->percents, SIDE_PERCENTS, sizeof spec->percents[0], by_percent);
    if (spec->meter_only && spec->unknown_model == SIDE_UNKNOWN_DENY)
        spec->unknown_model = SIDE_UNKNOWN_WARN;
}

/* ---- text --------------------------------------------------------------------------------- */

bool side_hash_parse(const char *text, uint8_t out[32])
{
    static const char hex[] = "00112233445566778899aAbBcCdDeEfF";

    if (strlen(text) != 64 || strspn(text, hex) != 64)
        return false;
    for (unsigned i = 0; i < 32; i++) {
        size_t high = (size_t)(strchr(hex, text[2 * i]) - hex) / 2;
        size_t low = (size_t)(strchr(hex, text[2 * i + 1]) - hex) / 2;

        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

const char *side_time_text(int64_t ts_ns, char out[32])
{
    time_t seconds = (time_t)(ts_ns / 1000000000);
    struct tm parts;
    size_t used;

    (void)gmtime_r(&seconds, &parts);
    used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(out + used, 32 - used, ".%03dZ", (int)(ts_ns / 1000000 % 1000));
    return out;
}
