/* SPDX-License-Identifier: Apache-2.0 */
/* What one evaluation of the governor costs: directive and decision over ten scopes, all of whose
 * limits have room. Prints a line of JSON. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "governor/directive.h"

#define SCOPES 10u
#define ROUNDS 200000u

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(void)
{
    static const struct gov_finding not_ended = {.dim = GOV_DIMS};
    const struct gov_quality_rules rules = {
        .warning_ppm = 800000, .warning_pacing_ms = 250, .hard_pacing_ms = 1250};
    const struct gov_cooldown cooldowns[] = {{"anthropic", 1}, {"gemini", 2}};
    const struct gov_call call = {.line = {.input_tokens = 500,
                                           .choices = 1,
                                           .full_cap = 4096,
                                           .smallest_cap = 1024,
                                           .priced = true,
                                           .rewritable = true,
                                           .input_fusd = 500000,
                                           .output_rate = 2000},
                                  .clamp = true};
    struct gov_scope scopes[SCOPES] = {0};
    struct gov_standing standing = {.rules = &rules,
                                    .scopes = scopes,
                                    .scope_count = SCOPES,
                                    .cooldowns = cooldowns,
                                    .cooldown_count = 2,
                                    .provider = "openai"};
    struct gov_directive directive;
    struct gov_verdict verdict;
    unsigned admitted = 0;
    int64_t began;

    for (unsigned i = 0; i < SCOPES; i++) {
        scopes[i].kind = (enum gov_scope_kind)(i % GOV_SCOPES);
        for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
            scopes[i].limits[dim].amount = INT64_MAX / 4;
            scopes[i].spent[dim] = 1000 * (int64_t)dim;
        }
    }
    began = now_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        standing.now_ms = i;
        scopes[i % SCOPES].spent[GOV_COST] += i;
        gov_direct(&standing, &directive);
        gov_decide(GOV_RUNNING, &not_ended, scopes, SCOPES, &call, &verdict);
        admitted += verdict.outcome == GOV_ADMIT && directive.severity == GOV_OK;
    }
    (void)printf("{\"scopes\":%u,\"evaluation_ns\":%lld}\n", SCOPES,
                 (long long)(now_ns() - began) / ROUNDS);
    return admitted == ROUNDS ? 0 : 1;
}
