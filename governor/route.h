/* SPDX-License-Identifier: Apache-2.0 */
/* The router: which tier of models a task gets.
 *
 * The model. Three classifiers look at a task: risk (R0 to R3, by the paths it touches), complexity
 * (L0 to L3_plus, by its signals), governance (patterns of paths that have to do with the rules
 * themselves). A matrix gives the tier, T0 the highest, T4 the cheapest; governance gives T0; an
 * agent that prefers a higher one gets that. In
 * the tier the first model counts whose provider is not blocked; where there is none, the tiers
 * behind it in the fallback chain are looked at.
 *
 * Caveats. Pure, as governor.h has it. Texts belong to the caller. */
#ifndef FLYBALL_ROUTE_H
#define FLYBALL_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GOV_TIERS  5u
#define GOV_LEVELS 4u                                    /* of risk, and of complexity */
const char *gov_tier_name(unsigned tier);                /* "T0" */
unsigned gov_tier_by_name(const char *name);             /* GOV_TIERS: none */
const char *gov_risk_name(unsigned level);               /* "R0" */
const char *gov_complexity_name(unsigned level);         /* "L0" ... "L3_plus" */
unsigned gov_risk_by_name(const char *name);             /* GOV_LEVELS: none */
unsigned gov_complexity_by_name(const char *name);       /* GOV_LEVELS: none */
extern const uint8_t gov_matrix[GOV_LEVELS][GOV_LEVELS]; /* [complexity][risk]: the default one */

struct gov_task {
    const char *const *paths;
    size_t path_count;
    int64_t input_tokens, tools, files;
    bool thinking;
    unsigned preferred; /* 1 + the tier that its agent prefers; 0: none */
};

struct gov_risk_rule {
    unsigned level;
    const char *pattern; /* of a path: * within one part of it, ** over several */
};
/* All that is given holds; -1: not given. */
struct gov_complexity_rule {
    unsigned level;
    int64_t input_tokens, tools, files; /* at least */
    int thinking;
};
struct gov_model {
    unsigned tier;
    const char *id, *provider, *endpoint;
};
struct gov_routing {
    const struct gov_risk_rule *risks;
    size_t risk_count;
    const struct gov_complexity_rule *complexities;
    size_t complexity_count;
    const char *const *governance;
    size_t governance_count;
    uint8_t matrix[GOV_LEVELS][GOV_LEVELS];
    const struct gov_model *models; /* in order of preference within a tier */
    size_t model_count;
    unsigned chain[GOV_TIERS]; /* from the highest down */
    unsigned chain_count;
};

struct gov_selection {
    unsigned risk, complexity;
    const char *governance;         /* the pattern; NULL: none matches */
    int risk_rule, complexity_rule; /* their numbers; -1: none matches, so the middle is taken */
    unsigned wanted;                /* the tier by the matrix, or the agent's */
    unsigned tier;                  /* the one that has a model; GOV_TIERS: none has */
    const struct gov_model *model;  /* NULL: none */
    bool requires_approval;         /* R3, or governance */
};

/* Classifies and selects. is_blocked(data, provider): NULL: nobody is. */
void gov_select_model(const struct gov_task *task, const struct gov_routing *routing,
                      bool (*is_blocked)(const void *data, const char *provider), const void *data,
                      struct gov_selection *out);
/* The tier behind another one in the chain; GOV_TIERS: there is none. */
unsigned gov_tier_below(const struct gov_routing *routing, unsigned tier);
/* The first model of a tier that is not blocked. NULL: none. */
const struct gov_model *gov_model_of(const struct gov_routing *routing, unsigned tier,
                                     bool (*is_blocked)(const void *data, const char *provider),
                                     const void *data);
/* The tier that a model stands in; GOV_TIERS: in none. */
unsigned gov_tier_of(const struct gov_routing *routing, const char *provider, const char *model);
/* A path against a pattern. */
bool gov_path_matches(const char *pattern, const char *path);

#endif
