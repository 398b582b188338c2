/* SPDX-License-Identifier: Apache-2.0 */
/* The directive: severity from ratios, and all else from severity. */
#include "governor/directive.h"

#include <string.h>

/* ---- names -------------------------------------------------------------------------------- */

const char *gov_severity_name(enum gov_severity severity)
{
    static const char *const names[] = {
#define X(name, number, text) [number] = text,
        GOV_SEVERITY_MAP(X)
#undef X
    };

    return severity < GOV_SEVERITIES ? names[severity] : "";
}

static const char *const qualities[] = {
#define X(name, number, text) [number] = text,
    GOV_QUALITY_MAP(X)
#undef X
};

const char *gov_quality_name(enum gov_quality quality)
{
    return quality < GOV_QUALITIES ? qualities[quality] : "";
}

enum gov_quality gov_quality_by_name(const char *name)
{
    return (enum gov_quality)gov_row_by_name(qualities, sizeof qualities[0], GOV_QUALITIES, name);
}

const char *gov_action_at(unsigned index, unsigned *bit_out)
{
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = {
#define X(name, number, text) {text, number},
        GOV_ACTION_MAP(X)
#undef X
    };

    if (index >= sizeof rows / sizeof rows[0])
        return NULL;
    *bit_out = rows[index].bit;
    return rows[index].name;
}

/* ---- severity ----------------------------------------------------------------------------- */

static void reason_add(struct gov_directive *out, enum gov_reason reason)
{
    for (unsigned i = 0; i < out->reason_count; i++)
        if (out->reasons[i] == reason)
            return;
    if (out->reason_count < GOV_CODES_MAX)
        out->reasons[out->reason_count++] = reason;
}

static bool is_at(int64_t spent, int64_t limit, int64_t ppm)
{
    return limit > 0 && spent > 0 &&
           (meter_wide)(uint64_t)spent * GOV_MILLION >= (meter_wide)(uint64_t)limit * (uint64_t)ppm;
}

/* Guardrails that are reached, then the limits that are near, each in the order of the tables. */
static void look_at_scopes(const struct gov_standing *standing, struct gov_directive *out)
{
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        for (unsigned i = 0; i < standing->scope_count; i++) {
            const struct gov_scope *scope = &standing->scopes[i];
            int64_t spent = scope->spent[dim], limit = scope->limits[dim].amount;

            if (scope->guard[dim] && is_at(spent, limit, GOV_MILLION)) {
                out->severity = GOV_HARD_LIMIT;
                reason_add(out, gov_reason_of(scope->kind, scope->window, (enum gov_dim)dim));
            } else if (out->severity == GOV_OK &&
                       is_at(spent, limit, standing->rules->warning_ppm)) {
                out->severity = GOV_WARNING;
            }
        }
}

/* ---- providers ---------------------------------------------------------------------------- */

static void block(struct gov_directive *out, const char *provider)
{
    unsigned at = 0;

    while (at < out->blocked_count && strcmp(out->blocked[at], provider) < 0)
        at++;
    if (out->blocked_count == GOV_BLOCKED_MAX ||
        (at < out->blocked_count && strcmp(out->blocked[at], provider) == 0))
        return;
    memmove(out->blocked[at + 1], out->blocked[at],
            (out->blocked_count - at) * sizeof out->blocked[0]);
    memset(out->blocked[at], 0, sizeof out->blocked[at]);
    memcpy(out->blocked[at], provider, strnlen(provider, GOV_PROVIDER_TEXT - 1));
    out->blocked_count++;
}

static bool provider_is_full(const struct gov_scope *scope)
{
    bool full = false;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        full = full || (scope->kind == GOV_PROVIDER && scope->guard[dim] &&
                        is_at(scope->spent[dim], scope->limits[dim].amount, GOV_MILLION));
    return full;
}

static void look_at_providers(const struct gov_standing *standing, struct gov_directive *out)
{
    for (unsigned i = 0; i < standing->scope_count && standing->provider[0] != '\0'; i++)
        if (provider_is_full(&standing->scopes[i])) {
            out->full = true;
            block(out, standing->provider);
        }
    for (unsigned i = 0; i < standing->cooldown_count; i++) {
        const struct gov_cooldown *row = &standing->cooldowns[i];

        if (row->until_ms <= standing->now_ms)
            continue;
        block(out, row->provider);
        if (strcmp(row->provider, standing->provider) == 0) {
            out->cooling = true;
            out->cool_until_ms = row->until_ms;
        }
    }
    if (out->blocked_count > 0)
        reason_add(out, GOV_REASON_COOLDOWN);
}

int64_t gov_cooldown_until(int status, int64_t retry_after_ms, int64_t default_ms, int64_t now_ms)
{
    int64_t ms = retry_after_ms >= 0 ? retry_after_ms : default_ms;

    if (status != 429 && status != 503 && status != 529)
        return 0;
    return ms > 0 ? now_ms + (ms < GOV_COOLDOWN_MOST_MS ? ms : GOV_COOLDOWN_MOST_MS) : 0;
}

/* ---- the directive ------------------------------------------------------------------------ */

static enum gov_quality quality_of(const struct gov_quality_rules *rules,
                                   enum gov_severity severity)
{
    if (rules->by_hand)
        return rules->chosen;
    if (severity == GOV_HARD_LIMIT)
        return GOV_ECONOMY;
    return severity == GOV_WARNING && rules->preset == GOV_PERFORMANCE ? GOV_BALANCED
                                                                       : rules->preset;
}

void gov_direct(const struct gov_standing *standing, struct gov_directive *out)
{
    const struct gov_quality_rules *rules = standing->rules;
    const unsigned actions[] = {
        [GOV_OK] = 0,
        [GOV_WARNING] = GOV_PACING,
        [GOV_HARD_LIMIT] =
            GOV_PACING | GOV_TIGHTENING | (rules->prefer_local ? (unsigned)GOV_PREFER_LOCAL : 0u),
    };
    const int64_t pacing_ms[] = {
        [GOV_OK] = 0,
        [GOV_WARNING] = rules->warning_pacing_ms,
        [GOV_HARD_LIMIT] = rules->hard_pacing_ms,
    };

    memset(out, 0, sizeof *out);
    out->evaluated_ms = standing->now_ms;
    look_at_scopes(standing, out);
    look_at_providers(standing, out);
    out->quality = quality_of(rules, out->severity);
    out->actions = actions[out->severity];
    out->pacing_ms = pacing_ms[out->severity];
}

void gov_block_tier(const struct gov_routing *routing, const char *provider, unsigned tier,
                    const char *but, struct gov_directive *out)
{
    if ((out->actions & GOV_TIGHTENING) == 0)
        return;
    for (size_t i = 0; i < routing->model_count; i++) {
        const struct gov_model *model = &routing->models[i];

        if (model->tier != tier || strcmp(model->provider, provider) != 0 ||
            strcmp(model->id, but) == 0 || out->blocked_model_count == GOV_BLOCKED_MODELS)
            continue;
        memcpy(out->blocked_models[out->blocked_model_count++], model->id,
               strnlen(model->id, GOV_MODEL_TEXT - 1));
    }
}

bool gov_directive_differs(const struct gov_directive *a, const struct gov_directive *b)
{
    return a->severity != b->severity || a->quality != b->quality || a->actions != b->actions ||
           a->pacing_ms != b->pacing_ms || a->blocked_count != b->blocked_count ||
           memcmp(a->blocked, b->blocked, sizeof a->blocked) != 0 ||
           memcmp(a->blocked_models, b->blocked_models, sizeof a->blocked_models) != 0;
}
