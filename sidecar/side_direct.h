/* SPDX-License-Identifier: Apache-2.0 */
/* Directives, cooldowns, profiles, in the loop (steer.c) and as JSON (report_direct.c). */
#ifndef FLYBALL_SIDE_DIRECT_H
#define FLYBALL_SIDE_DIRECT_H

#include "sidecar/queries.h"

/* What a provider's answer says about asking it again. retry_after: the header's value; NULL: none.
 */
void side_cooldown_look(struct side_call *call, int status, const char *retry_after);
void side_begin_profile(struct side_query *query, struct store_view *view);
void side_begin_profile_set(struct side_query *query, struct store_view *view);
void side_begin_cooldowns(struct side_query *query, struct store_view *view);
void side_begin_cooldown_set(struct side_query *query, struct store_view *view);
void side_begin_snapshot(struct side_query *query, struct store_view *view); /* snapshot.c */
void side_begin_blocked(struct side_query *query, struct store_view *view);  /* there too */
void side_begin_selected(struct side_query *query, struct store_view *view);
json_t *side_directive_json(const struct gov_directive *directive, const char *verdict,
                            const char *model);
json_t *side_admitted_json(const struct store_admission *admission);
/* Of an event of these kinds, its own members. */
void side_directed_json(json_t *out, const struct store_event *event);

#endif
