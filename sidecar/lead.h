/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that begin like earlier ones: what was reported of those bounds these. */
#ifndef FLYBALL_SIDECAR_LEAD_H
#define FLYBALL_SIDECAR_LEAD_H

#include "meter/meter.h"
#include "store/store.h"

#define SIDE_LEADS 64u /* that a run remembers */

/* What was reported of a request that began so. */
struct side_known {
    const struct meter_provider *provider;
    char model[METER_MODEL_MAX];
    uint8_t hash[32], head[32];
    unsigned messages; /* 0: nothing is known here */
    uint64_t input_tokens;
};
struct side_leads {
    struct side_known known[SIDE_LEADS];
    unsigned next;
};

/* The beginnings of a request; free() it. outline must be usable. NULL: out of memory. */
struct side_lead *side_lead_read(const struct meter_outline *outline, const void *body,
                                 size_t bytes);
/* Adds all of the body that it was read of: what is hashed already by its hashes. */
void side_lead_hash(const struct side_lead *lead, const struct meter_outline *outline,
                    const void *body, struct store_hash *hash);
/* The most that the input can be by what is known; UINT64_MAX: nothing is. */
uint64_t side_lead_bound(const struct side_leads *leads, const struct side_lead *lead,
                         const struct meter_request *request);
/* The provider reported this input, all of it, of exactly this request. */
void side_lead_learn(struct side_leads *leads, const struct side_lead *lead,
                     const struct meter_request *request, uint64_t input_tokens);

#endif
