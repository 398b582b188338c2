/* SPDX-License-Identifier: Apache-2.0 */
/* Routing as configured: the rules, and the registry of models that they choose from. Serves the
 * command too. */
#ifndef FLYBALL_SIDE_ROUTING_H
#define FLYBALL_SIDE_ROUTING_H

#include "governor/route.h"
#include "sidecar/sidecar.h"

struct side_routing {
    struct gov_routing gov;
    json_t *config, *registry; /* whose texts gov points to */
    struct gov_risk_rule *risks;
    struct gov_complexity_rule *complexities;
    const char **governance;
    struct gov_model *models;
    int64_t caps[SIDE_CAPS];
};

/* A model that a call may go out with; the first is the one that it asks for. */
struct side_candidate {
    unsigned tier;
    char model[GOV_MODEL_TEXT], row[96];
    bool priced;
    struct meter_hold_line line;
};
/* The place of the local model among them, behind the one that is asked for and those below it. */
#define SIDE_LOCAL (GOV_TIERS + 1)

/* A registry file alone: *error says what is wrong with it, and where. */
bool side_registry_read(const char *path, struct side_routing *routing, struct side_error *error);
/* text: of side_spec.routing. NULL: *error says why; free with side_routing_free. */
struct side_routing *side_routing_new(const char *text, struct side_error *error);
void side_routing_free(struct side_routing *routing);

/* A task file's object. paths: of at least SIDE_TASK_PATHS; they and *id point into json. */
#define SIDE_TASK_PATHS 256u
bool side_task_read(const json_t *json, const char *paths[SIDE_TASK_PATHS], struct gov_task *out,
                    const char **id, struct side_error *error);
/* What was selected, without the time: the same task and rules give the same bytes. */
json_t *side_selection_json(const struct gov_selection *selection);
/* "1=R1,2=L1,3=none" */
#define SIDE_CHAIN_TEXT 160u
const char *side_chain_text(const struct gov_selection *selection, char out[SIDE_CHAIN_TEXT]);

#endif
