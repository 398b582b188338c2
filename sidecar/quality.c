/* SPDX-License-Identifier: Apache-2.0 */
/* What directives follow from, as asked for: guardrails, ratio, pacing, quality profile. */
#include "governor/calendar.h"
#include "sidecar/sidecar.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define MOST_MS INT64_C(3600000) /* a longer wait is no pacing */

static const struct {
    int64_t requests, tokens;
} guard_defaults[SIDE_GUARDS] = {
    [SIDE_GUARD_DAILY] = {2400, 5000000},
    [SIDE_GUARD_SESSION] = {300, 700000},
    [SIDE_GUARD_PROVIDER] = {1000, 2200000},
};

void side_quality_init(struct side_quality *quality)
{
    memset(quality, 0, sizeof *quality);
    for (unsigned i = 0; i < SIDE_GUARDS; i++) {
        quality->guards[i].requests = guard_defaults[i].requests;
        quality->guards[i].tokens = guard_defaults[i].tokens;
    }
    quality->rules.warning_ppm = 800000;
    quality->rules.warning_pacing_ms = 250;
    quality->rules.hard_pacing_ms = 1250;
    quality->cooldown_ms = 60000;
}

void side_quality_guard_all(struct side_quality *quality)
{
    for (unsigned i = 0; i < SIDE_GUARDS; i++)
        quality->guards[i].on = true;
}

/* ---- values ------------------------------------------------------------------------------- */

/* A whole number; below 1 it becomes 1. */
static bool read_count(const char *text, void *out)
{
    bool minus = *text == '-';
    size_t digits = strspn(text + minus, "0123456789");
    int64_t value;

    if (digits == 0 || text[minus + digits] != '\0')
        return false;
    errno = 0;
    value = strtoll(text, NULL, 10);
    if (errno != 0 && !minus)
        return false;
    *(int64_t *)out = value > 0 ? value : 1;
    return true;
}

static bool read_ms(const char *text, void *out)
{
    int64_t value;

    if (!read_count(text, &value) || value > MOST_MS)
        return false;
    *(int64_t *)out = value;
    return true;
}

/* "0.8" in millionths, within 0.01 and 0.99; money has the same form. */
static bool read_ratio(const char *text, void *out)
{
    bool minus = *text == '-';
    int64_t pusd;

    if (!meter_usd_parse(text + minus, strlen(text + minus), &pusd))
        return false;
    pusd = minus ? 0 : pusd / (1000000000000 / GOV_MILLION);
    *(int64_t *)out = pusd < 10000 ? 10000 : pusd > 990000 ? 990000 : pusd;
    return true;
}

static bool read_profile(const char *text, void *out)
{
    enum gov_quality quality = gov_quality_by_name(text);

    if (quality == GOV_QUALITIES)
        return false;
    *(enum gov_quality *)out = quality;
    return true;
}

static bool read_flag(const char *text, void *out)
{
    static const char *const words[] = {"0", "1", "false", "true", "no", "yes", "off", "on"};

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0) {
            *(bool *)out = i % 2 == 1;
            return true;
        }
    return false;
}

static bool read_model(const char *text, void *out)
{
    size_t length = strlen(text);

    if (length == 0 || length >= GOV_MODEL_TEXT)
        return false;
    memcpy(out, text, length + 1);
    return true;
}

/* ---- the environment ---------------------------------------------------------------------- */

#define NO_GUARD  SIDE_GUARDS
#define AT(field) offsetof(struct side_quality, field)
#define COUNT     "a whole number, such as 300"
#define MS        "milliseconds, at most 3600000"

/* One of a guardrail's turns that guardrail on, its other half at the default. */
static const struct {
    const char *name;
    size_t at;
    bool (*read)(const char *text, void *out);
    const char *expected;
    enum side_guard guard;
} variables[] = {
    {"DAILY_REQUEST_LIMIT", AT(guards[SIDE_GUARD_DAILY].requests), read_count, COUNT,
     SIDE_GUARD_DAILY},
    {"DAILY_TOKEN_LIMIT", AT(guards[SIDE_GUARD_DAILY].tokens), read_count, COUNT, SIDE_GUARD_DAILY},
    {"SESSION_REQUEST_LIMIT", AT(guards[SIDE_GUARD_SESSION].requests), read_count, COUNT,
     SIDE_GUARD_SESSION},
    {"SESSION_TOKEN_LIMIT", AT(guards[SIDE_GUARD_SESSION].tokens), read_count, COUNT,
     SIDE_GUARD_SESSION},
    {"PROVIDER_REQUEST_LIMIT", AT(guards[SIDE_GUARD_PROVIDER].requests), read_count, COUNT,
     SIDE_GUARD_PROVIDER},
    {"PROVIDER_TOKEN_LIMIT", AT(guards[SIDE_GUARD_PROVIDER].tokens), read_count, COUNT,
     SIDE_GUARD_PROVIDER},
    {"WARNING_RATIO", AT(rules.warning_ppm), read_ratio, "a ratio, such as 0.8", NO_GUARD},
    {"WARNING_PACING_MS", AT(rules.warning_pacing_ms), read_ms, MS, NO_GUARD},
    {"HARD_PACING_MS", AT(rules.hard_pacing_ms), read_ms, MS, NO_GUARD},
    {"PROVIDER_COOLDOWN_MS", AT(cooldown_ms), read_ms, MS, NO_GUARD},
    {"DEFAULT_PROFILE", AT(rules.preset), read_profile, "performance, balanced or economy",
     NO_GUARD},
    {"PREFER_LOCAL_MODEL", AT(rules.prefer_local), read_flag, "true or false", NO_GUARD},
    {"LOCAL_MODEL_ID", AT(local_model), read_model, "the name of a model", NO_GUARD},
};
#define VARIABLES (sizeof variables / sizeof variables[0])
#define PREFIX    "RUNTIME_BUDGET_"

bool side_quality_is_variable(const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (size_t i = 0; i < VARIABLES; i++)
        if (strncmp(entry, PREFIX, sizeof PREFIX - 1) == 0 &&
            strlen(variables[i].name) == length - (sizeof PREFIX - 1) &&
            strncmp(variables[i].name, entry + sizeof PREFIX - 1, strlen(variables[i].name)) == 0)
            return true;
    return false;
}

static bool set(struct side_quality *quality, size_t i, const char *text, const char *what,
                struct side_error *error)
{
    if (!variables[i].read(text, (char *)quality + variables[i].at))
        return side_fail(error, "%s: '%s' is not %s", what, text, variables[i].expected);
    if (variables[i].guard != NO_GUARD)
        quality->guards[variables[i].guard].on = true;
    return true;
}

bool side_quality_set(struct side_quality *quality, const char *name, const char *text,
                      const char *what, struct side_error *error)
{
    size_t i = 0;

    while (i < VARIABLES && strcmp(variables[i].name, name) != 0)
        i++;
    return i < VARIABLES && set(quality, i, text, what, error);
}

bool side_quality_env(struct side_quality *quality, const char *const *env,
                      struct side_error *error)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        char name[64] = PREFIX;
        const char *given;

        memcpy(name + sizeof PREFIX - 1, variables[i].name, strlen(variables[i].name) + 1);
        given = side_env_find(env, name);
        if (given != NULL && !set(quality, i, given, name, error))
            return false;
    }
    return true;
}

/* ---- windows ------------------------------------------------------------------------------ */

static void guard_window(struct side_spec *spec, enum side_guard guard, enum gov_scope_kind scope)
{
    struct side_window *window = &spec->windows[spec->window_count];
    enum gov_policy policy = spec->meter_only ? GOV_SOFT_WARN : GOV_HARD_STOP;

    if (!spec->quality.guards[guard].on || spec->window_count == SIDE_WINDOWS_MAX)
        return;
    memset(window, 0, sizeof *window);
    window->scope = scope;
    window->window = GOV_DAILY;
    window->guard = true;
    window->limits[GOV_STEPS] = (struct gov_limit){spec->quality.guards[guard].requests, policy};
    window->limits[GOV_TOKENS] = (struct gov_limit){spec->quality.guards[guard].tokens, policy};
    spec->window_count++;
}

/* A task's counts for as long as a window can. */
static void cap_windows(struct side_spec *spec)
{
    static const struct side_window caps[SIDE_CAPS] = {
        [SIDE_CAP_DAILY] = {.scope = GOV_GLOBAL, .window = GOV_DAILY},
        [SIDE_CAP_WEEKLY] = {.scope = GOV_GLOBAL, .window = GOV_WEEKLY},
        [SIDE_CAP_TASK] = {.scope = GOV_TASK,
                           .window = GOV_ROLLING,
                           .duration_s = GOV_ROLLING_MOST_S},
        [SIDE_CAP_T0] = {.scope = GOV_TIER, .window = GOV_DAILY, .name = "T0"},
    };

    for (unsigned i = 0; i < SIDE_CAPS; i++) {
        struct side_window *window = &spec->windows[spec->window_count];

        if (spec->caps[i] == 0 || spec->window_count == SIDE_WINDOWS_MAX)
            continue;
        *window = caps[i];
        if (i == SIDE_CAP_TASK)
            memcpy(window->name, spec->task, sizeof spec->task);
        window->limits[i == SIDE_CAP_T0 ? GOV_STEPS : GOV_COST] =
            (struct gov_limit){spec->caps[i], spec->meter_only ? GOV_SOFT_WARN : GOV_HARD_STOP};
        spec->window_count++;
    }
}

/* What a task is called that nobody has named: task_YYYYMMDD_HHMMSS_XXXXXX. */
static void task_name(struct side_spec *spec)
{
    time_t now = time(NULL);
    uint32_t chance = 0;
    struct tm parts;
    size_t used;

    (void)gmtime_r(&now, &parts);
    (void)!getrandom(&chance, sizeof chance, 0);
    used = strftime(spec->task, sizeof spec->task, "task_%Y%m%d_%H%M%S", &parts);
    (void)snprintf(spec->task + used, sizeof spec->task - used, "_%06x", chance & 0xffffff);
}

void side_quality_finish(struct side_spec *spec)
{
    if (spec->routing[0] != '\0' && spec->task[0] == '\0')
        task_name(spec);
    cap_windows(spec);
    guard_window(spec, SIDE_GUARD_DAILY, GOV_GLOBAL);
    guard_window(spec, SIDE_GUARD_PROVIDER, GOV_PROVIDER);
}

/* ---- to the sidecar and back -------------------------------------------------------------- */

json_t *side_quality_json(const struct side_quality *quality)
{
    json_t *guards = json_array();

    for (unsigned i = 0; i < SIDE_GUARDS; i++)
        (void)json_array_append_new(guards, json_pack("[b,I,I]", quality->guards[i].on,
                                                      (json_int_t)quality->guards[i].requests,
                                                      (json_int_t)quality->guards[i].tokens));
    return json_pack("{s:o,s:i,s:b,s:I,s:I,s:I,s:I,s:s}", "guards", guards, "preset",
                     (int)quality->rules.preset, "prefer_local", quality->rules.prefer_local,
                     "warning_ppm", (json_int_t)quality->rules.warning_ppm, "warning_pacing_ms",
                     (json_int_t)quality->rules.warning_pacing_ms, "hard_pacing_ms",
                     (json_int_t)quality->rules.hard_pacing_ms, "cooldown_ms",
                     (json_int_t)quality->cooldown_ms, "local_model", quality->local_model);
}

bool side_quality_parse(const json_t *json, struct side_quality *quality)
{
    struct gov_quality_rules *rules = &quality->rules;
    json_int_t warning_ppm, warning_ms, hard_ms, cooldown_ms;
    int preset, prefer_local = 0; /* a kept run of an older version has none */
    const char *local_model = "";

    if (json_unpack((json_t *)(uintptr_t)json, "{s:i,s?b,s:I,s:I,s:I,s:I,s?s}", "preset", &preset,
                    "prefer_local", &prefer_local, "warning_ppm", &warning_ppm, "warning_pacing_ms",
                    &warning_ms, "hard_pacing_ms", &hard_ms, "cooldown_ms", &cooldown_ms,
                    "local_model", &local_model) != 0 ||
        preset < 0 || preset >= GOV_QUALITIES || warning_ppm < 10000 || warning_ppm > 990000 ||
        warning_ms < 0 || warning_ms > MOST_MS || hard_ms < 0 || hard_ms > MOST_MS ||
        cooldown_ms < 0 || cooldown_ms > MOST_MS || strlen(local_model) >= GOV_MODEL_TEXT)
        return false;
    for (unsigned i = 0; i < SIDE_GUARDS; i++) {
        json_int_t requests, tokens;
        int on;

        if (json_unpack(json_array_get(json_object_get(json, "guards"), i), "[b,I,I]", &on,
                        &requests, &tokens) != 0 ||
            requests < 1 || tokens < 1)
            return false;
        quality->guards[i].on = on != 0;
        quality->guards[i].requests = requests;
        quality->guards[i].tokens = tokens;
    }
    rules->preset = (enum gov_quality)preset;
    rules->prefer_local = prefer_local != 0;
    rules->warning_ppm = warning_ppm;
    rules->warning_pacing_ms = warning_ms;
    rules->hard_pacing_ms = hard_ms;
    quality->cooldown_ms = cooldown_ms;
    memcpy(quality->local_model, local_model, strlen(local_model) + 1);
    return true;
}
