/* SPDX-License-Identifier: Apache-2.0 */
/* The directive: how hard the brakes are on, and what follows from it for the next call.
 *
 * The model. gov_direct() looks at what is spent of every limit of a call's scopes (never at what
 * is held), at the cooldowns of providers, and at the time. Below the warning ratio nothing
 * happens; from there on calls wait a little before they leave; at a guardrail (a limit that is
 * marked so in its scope) they wait longer, and a cheaper model is to be taken. A profile that a
 * person has chosen stands instead of the one that follows from the severity.
 *
 * Caveats. Pure, as governor.h has it: the same input gives the same bytes, and nothing fails. */
#ifndef FLYBALL_DIRECTIVE_H
#define FLYBALL_DIRECTIVE_H

#include "governor/governor.h"
#include "governor/route.h"

/* Stored in the ledger, as are the next two: numbers are stable, append only. */
#define GOV_SEVERITY_MAP(X)                                                                        \
    X(GOV_OK, 0, "ok")                                                                             \
    X(GOV_WARNING, 1, "warning")                                                                   \
    X(GOV_HARD_LIMIT, 2, "hard_limit")
enum gov_severity {
#define X(name, number, text) name = number,
    GOV_SEVERITY_MAP(X)
#undef X
        GOV_SEVERITIES
};
const char *gov_severity_name(enum gov_severity severity);

#define GOV_QUALITY_MAP(X)                                                                         \
    X(GOV_PERFORMANCE, 0, "performance")                                                           \
    X(GOV_BALANCED, 1, "balanced")                                                                 \
    X(GOV_ECONOMY, 2, "economy")
enum gov_quality {
#define X(name, number, text) name = number,
    GOV_QUALITY_MAP(X)
#undef X
        GOV_QUALITIES
};
const char *gov_quality_name(enum gov_quality quality);
enum gov_quality gov_quality_by_name(const char *name); /* GOV_QUALITIES: none */

/* Bits. */
#define GOV_ACTION_MAP(X)                                                                          \
    X(GOV_PACING, 1 << 0, "intelligent_pacing")                                                    \
    X(GOV_TIGHTENING, 1 << 1, "fallback_tightening")                                               \
    X(GOV_PREFER_LOCAL, 1 << 2, "prefer_local_model")
enum gov_action {
#define X(name, number, text) name = number,
    GOV_ACTION_MAP(X)
#undef X
};
/* The name of the index-th action, in order; NULL: there are not so many. *bit_out: its bit. */
const char *gov_action_at(unsigned index, unsigned *bit_out);

#define GOV_PROVIDER_TEXT 24u
#define GOV_MODEL_TEXT    96u
#define GOV_MILLION       1000000

/* What is configured of it. */
struct gov_quality_rules {
    enum gov_quality preset; /* where nothing is wrong */
    bool by_hand;            /* a person has chosen ... */
    enum gov_quality chosen; /* ... this one */
    bool prefer_local;
    int64_t warning_ppm; /* the ratio from which on it is a warning, in millionths */
    int64_t warning_pacing_ms, hard_pacing_ms;
};

struct gov_cooldown {
    char provider[GOV_PROVIDER_TEXT];
    int64_t until_ms; /* wall clock */
};

/* All that a directive depends on. */
struct gov_standing {
    const struct gov_quality_rules *rules;
    const struct gov_scope *scopes;
    unsigned scope_count;
    const struct gov_cooldown *cooldowns;
    unsigned cooldown_count;
    const char *provider; /* the call's, whose scope GOV_PROVIDER is; "" there is no call */
    int64_t now_ms;       /* wall clock */
};

#define GOV_BLOCKED_MAX    16u
#define GOV_BLOCKED_MODELS 4u

struct gov_directive {
    enum gov_severity severity;
    enum gov_quality quality;
    unsigned actions; /* enum gov_action bits; 0: none */
    int64_t pacing_ms;
    unsigned blocked_count;
    char blocked[GOV_BLOCKED_MAX][GOV_PROVIDER_TEXT]; /* providers, in order of name */
    unsigned blocked_model_count; /* of the call's provider, in the registry's order */
    char blocked_models[GOV_BLOCKED_MODELS][GOV_MODEL_TEXT];
    unsigned reason_count;
    enum gov_reason reasons[GOV_CODES_MAX];
    bool full;             /* the call's provider is at a guardrail of its own */
    bool cooling;          /* the call's provider is to be left alone ... */
    int64_t cool_until_ms; /* ... until then */
    int64_t evaluated_ms;
};

/* Fills *out, all of its bytes. */
void gov_direct(const struct gov_standing *standing, struct gov_directive *out);
/* Where the fallback is tightened: blocks the models of a call's provider in the tier of the one
 * that it asks for, the first GOV_BLOCKED_MODELS of them, not the one named but ("": all). */
void gov_block_tier(const struct gov_routing *routing, const char *provider, unsigned tier,
                    const char *but, struct gov_directive *out);
/* Whether they differ in what a person would call a change; the time is none. */
bool gov_directive_differs(const struct gov_directive *a, const struct gov_directive *b);

/* When a provider that has answered with this status may be asked again; 0: at once.
 * retry_after_ms: what it said, -1: nothing; default_ms: what is taken then. */
int64_t gov_cooldown_until(int status, int64_t retry_after_ms, int64_t default_ms, int64_t now_ms);
#define GOV_COOLDOWN_MOST_MS INT64_C(3600000)

#endif
