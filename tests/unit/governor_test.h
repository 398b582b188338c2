/* SPDX-License-Identifier: Apache-2.0 */
/* For the governor's tests: scopes and calls made of round numbers, and what a verdict says. */
#ifndef FLYBALL_TESTS_GOVERNOR_TEST_H
#define FLYBALL_TESTS_GOVERNOR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "governor/governor.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct gov_finding not_ended = {.dim = GOV_DIMS};

/* One pico-dollar and one token per output token, 100 of each for the input: a cap of 900 is 1,000
 * tokens and 1,000 pico-dollars. */
static inline struct gov_call call_of(uint64_t full_cap, uint64_t smallest_cap, bool clamp)
{
    return (struct gov_call){.line = {.input_tokens = 100,
                                      .choices = 1,
                                      .full_cap = full_cap,
                                      .smallest_cap = smallest_cap,
                                      .priced = true,
                                      .rewritable = true,
                                      .input_fusd = 100 * 1000,
                                      .output_rate = 1000},
                             .clamp = clamp};
}

static inline struct gov_scope scope_of(enum gov_scope_kind kind)
{
    return (struct gov_scope){.kind = kind, .window = kind == GOV_GLOBAL ? GOV_DAILY : GOV_WHOLE};
}

static inline void limit_set(struct gov_scope *scope, enum gov_dim dim, int64_t amount,
                             enum gov_policy policy, int64_t spent, int64_t held)
{
    scope->limits[dim] = (struct gov_limit){amount, policy};
    scope->spent[dim] = spent;
    scope->held[dim] = held;
}

static inline struct gov_verdict decide(const struct gov_scope *scopes, unsigned count,
                                        const struct gov_call *call)
{
    struct gov_verdict verdict;

    gov_decide(GOV_RUNNING, &not_ended, scopes, count, call, &verdict);
    return verdict;
}

static inline const char *outcome_text(enum gov_outcome outcome)
{
    static const char *const texts[] = {
        [GOV_ADMIT] = "admit", [GOV_WAIT] = "wait", [GOV_REFUSE] = "refuse", [GOV_ASK] = "ask"};

    return texts[outcome];
}

/* "refuse budget_cost_exceeded,run_ended": for comparing and for messages. */
static inline const char *verdict_text(const struct gov_verdict *verdict, char out[512])
{
    size_t used = (size_t)snprintf(out, 512, "%s", outcome_text(verdict->outcome));

    for (unsigned i = 0; i < verdict->finding.count && used < 512; i++)
        used += (size_t)snprintf(out + used, 512 - used, "%s%s", i == 0 ? " " : ",",
                                 gov_reason_text(verdict->finding.reasons[i]));
    return out;
}

static inline void expect_verdict(const char *why, const struct gov_verdict *verdict,
                                  const char *want)
{
    char text[512];

    if (strcmp(verdict_text(verdict, text), want) != 0)
        fail_msg("%s: %s, wanted %s", why, text, want);
}

#endif
