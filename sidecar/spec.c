/* SPDX-License-Identifier: Apache-2.0 */
/* A run as asked for: amounts, the default table, profiles, and the form in which it travels. */
#include "sidecar/sidecar.h"

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

/* What this version holds. The other dimensions of the table are refused where they are asked for,
 * rather than accepted and not kept. */
static const struct {
    enum gov_dim dim;
    int64_t bare;
    enum gov_policy policy;
} defaults[] = {
    {GOV_STEPS, 50, GOV_HARD_STOP},
    {GOV_TOKENS, 180000, GOV_APPROVAL_REQUIRED},
    {GOV_COST, INT64_C(500000000000), GOV_HARD_STOP}, /* $0.50 */
    {GOV_WALL, 1800000, GOV_HARD_STOP},
};
#define DEFAULTS (sizeof defaults / sizeof defaults[0])

static bool is_kept(enum gov_dim dim)
{
    for (size_t i = 0; i < DEFAULTS; i++)
        if (defaults[i].dim == dim)
            return true;
    return false;
}

void side_spec_init(struct side_spec *spec)
{
    memset(spec, 0, sizeof *spec);
    spec->clamp = true;
    spec->ask_usage = true;
    spec->busy_wait_ms = SIDE_BUSY_WAIT_MS;
    spec->percents[0] = 50;
    spec->percents[1] = 80;
    spec->percents[2] = 100;
    for (size_t i = 0; i < DEFAULTS; i++)
        spec->limits[defaults[i].dim].policy = defaults[i].policy;
}

/* ---- amounts ------------------------------------------------------------------------------ */

struct unit {
    const char *name;
    int64_t ms;
};

bool side_duration_parse(const char *text, int64_t *ms_out)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *first = text;
    int64_t total = 0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789"), letters;
        int64_t scale = 0, part;

        if (digits == 0 || digits > 15)
            return false;
        part = strtoll(text, NULL, 10);
        letters = strspn(text + digits, "abcdefghijklmnopqrstuvwxyz");
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strlen(units[i].name) == letters &&
                strncmp(units[i].name, text + digits, letters) == 0)
                scale = units[i].ms;
        if (letters == 0 && text[digits] == '\0' && text == first)
            scale = 1000; /* a bare number is seconds */
        if (scale == 0 || __builtin_mul_overflow(part, scale, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        text += digits + letters;
    }
    *ms_out = total;
    return true;
}

/* Digits; between them '_', or ',' in front of every three. */
static bool is_separator(const char *text, const char *at)
{
    size_t digits = strspn(at + 1, "0123456789");

    if (at == text || digits == 0 || at[-1] < '0' || at[-1] > '9')
        return false;
    return *at == '_' || (*at == ',' && digits == 3 && (at[4] == '\0' || at[4] == ',') &&
                          strcspn(text, ",") <= 3);
}

static bool count_parse(const char *text, int64_t *out)
{
    char digits[32];
    size_t used = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (is_separator(text, at))
            continue;
        if (*at < '0' || *at > '9' || used + 1 >= sizeof digits)
            return false;
        digits[used++] = *at;
    }
    digits[used] = '\0';
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return used > 0 && errno == 0;
}

static bool amount_parse(enum gov_dim dim, const char *text, int64_t *out)
{
    if (dim == GOV_COST)
        return meter_usd_parse(text + (*text == '$'), strlen(text + (*text == '$')), out);
    if (dim == GOV_WALL)
        return side_duration_parse(text, out);
    return count_parse(text, out);
}

static const char *expected(enum gov_dim dim)
{
    return dim == GOV_COST   ? "an amount in USD, such as 5.00"
           : dim == GOV_WALL ? "a duration, such as 45s, 30m or 1h30m"
                             : "a whole number, such as 50";
}

static bool fail_not_kept(enum gov_dim dim, const char *what, struct side_error *error)
{
    return side_fail(error, "%s: %s is not governed by this version of Flyball", what,
                     gov_dim_name(dim));
}

bool side_spec_limit(struct side_spec *spec, enum gov_dim dim, const char *text, const char *what,
                     enum side_source source, struct side_error *error)
{
    int64_t amount;

    if (!is_kept(dim))
        return fail_not_kept(dim, what, error);
    if (!amount_parse(dim, text, &amount))
        return side_fail(error, "%s: '%s' is not %s", what, text, expected(dim));
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

    if (!is_kept(dim))
        return fail_not_kept(dim, what, error);
    if (policy == GOV_POLICIES)
        return side_fail(error, "%s: '%s' is none of hard_stop, approval_required, soft_warn", what,
                         text);
    spec->limits[dim].policy = policy;
    spec->policy_given[dim] = true;
    return true;
}

/* The soft ratio of a profile stands instead of 80 %, or of another profile's. */
static void soft_ratio(struct side_spec *spec, uint8_t percent)
{
    for (unsigned i = 0; i < SIDE_PERCENTS; i++)
        if (spec->percents[i] == 75 || spec->percents[i] == 80 || spec->percents[i] == 85)
            spec->percents[i] = percent;
}

bool side_spec_profile(struct side_spec *spec, const char *name, struct side_error *error)
{
    static const struct {
        const char *name;
        int64_t wall_ms, tokens;
        uint8_t soft;
    } profiles[] = {
        {"conservative", 900000, 80000, 75},
        {"balanced", 1800000, 180000, 80},
        {"extended", 3600000, 360000, 85},
    };

    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) != 0)
            continue;
        spec->limits[GOV_WALL].amount = profiles[i].wall_ms;
        spec->limits[GOV_TOKENS].amount = profiles[i].tokens;
        spec->source[GOV_WALL] = spec->source[GOV_TOKENS] = SIDE_FLAG;
        if (!spec->policy_given[GOV_WALL])
            spec->limits[GOV_WALL].policy = GOV_HARD_STOP;
        if (!spec->policy_given[GOV_TOKENS])
            spec->limits[GOV_TOKENS].policy = GOV_HARD_STOP;
        soft_ratio(spec, profiles[i].soft);
        return true;
    }
    return side_fail(error, "--limits: '%s' is none of conservative, balanced, extended", name);
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
    return strncmp(entry, "RUNTIME_BUDGET_", 15) != 0;
}

const char *side_in_unit(enum gov_dim dim, const char *text, char out[SIDE_UNIT_TEXT])
{
    size_t digits = strspn(text, "0123456789");

    if (dim != GOV_WALL || digits == 0 || text[digits] != '\0' || digits > SIDE_UNIT_TEXT - 3)
        return text;
    (void)snprintf(out, SIDE_UNIT_TEXT, "%sms", text);
    return out;
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

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        any = any || spec->source[dim] != SIDE_NOWHERE || spec->session_limits[dim].amount > 0;
    spec->bare = !any;
    for (size_t i = 0; i < DEFAULTS && spec->bare; i++)
        spec->limits[defaults[i].dim].amount = defaults[i].bare;
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        clamp_to_session(spec, (enum gov_dim)dim);
        if (spec->on_exhausted == SIDE_PAUSE && spec->limits[dim].policy == GOV_HARD_STOP)
            spec->limits[dim].policy = GOV_APPROVAL_REQUIRED;
        if (spec->meter_only) {
            spec->limits[dim].policy = spec->session_limits[dim].policy = GOV_SOFT_WARN;
            for (unsigned i = 0; i < spec->window_count; i++)
                spec->windows[i].limits[dim].policy = GOV_SOFT_WARN;
        }
    }
    qsort(spec->percents, SIDE_PERCENTS, sizeof spec->percents[0], by_percent);
    if (spec->meter_only && spec->unknown_model == SIDE_UNKNOWN_DENY)
        spec->unknown_model = SIDE_UNKNOWN_WARN;
}

/* ---- text --------------------------------------------------------------------------------- */

json_t *side_amount_json(enum gov_dim dim, int64_t amount)
{
    char text[METER_USD_TEXT];

    return dim == GOV_COST ? json_string(meter_usd_text(amount, text)) : json_integer(amount);
}

static void grouped(int64_t number, char *out, size_t size)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number);
    size_t used = 0;

    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

static void duration(int64_t ms, char *out, size_t size)
{
    if (ms % 3600000 == 0 && ms > 0)
        (void)snprintf(out, size, "%lldh", (long long)(ms / 3600000));
    else if (ms % 60000 == 0 && ms > 0)
        (void)snprintf(out, size, "%lldm", (long long)(ms / 60000));
    else if (ms % 1000 == 0)
        (void)snprintf(out, size, "%llds", (long long)(ms / 1000));
    else
        (void)snprintf(out, size, "%lldms", (long long)ms);
}

const char *side_amount_text(enum gov_dim dim, int64_t amount, char out[SIDE_AMOUNT_TEXT])
{
    char usd[METER_USD_TEXT];
    const char *dot;

    if (dim == GOV_WALL) {
        duration(amount, out, SIDE_AMOUNT_TEXT);
    } else if (dim != GOV_COST) {
        grouped(amount, out, SIDE_AMOUNT_TEXT);
    } else {
        (void)meter_usd_text(amount, usd);
        dot = strchr(usd, '.'); /* at least cents: $5.00, $0.50 */
        (void)snprintf(out, SIDE_AMOUNT_TEXT, "$%s%s", usd,
                       dot == NULL ? ".00" : (strlen(dot) == 2 ? "0" : ""));
    }
    return out;
}

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
