/* SPDX-License-Identifier: Apache-2.0 */
/* The part of store.h that is about what no call does: records of corrections, of checkpoints, of
 * directives, and the row of what directives depend on. */
#ifndef FLYBALL_STORE_DIRECT_H
#define FLYBALL_STORE_DIRECT_H

#include <stdint.h>

#include "governor/directive.h"

enum store_cause { STORE_BY_HAND = 1, STORE_REPRICED = 2 };

struct store_corrected {
    uint64_t of_seq; /* the record of the call's end */
    int64_t from_pusd, to_pusd;
    int64_t added_pusd, credited_pusd; /* by all corrections of this call, this one included */
    uint64_t before_seq;               /* the correction before this one; 0: the first */
    uint8_t cause;                     /* enum store_cause */
    uint8_t zero[7];
    char actor[32];
    char row[96]; /* the price row that it was repriced by; "" by hand */
    char reason[192];
};
_Static_assert(sizeof(struct store_corrected) == 376, "stored");

struct store_checkpoint {
    uint64_t upto;     /* the last record of those that it stands for ... */
    uint8_t head[32];  /* ... and its hash */
    uint8_t base[32];  /* of the amounts that those came to, and of the records kept of them */
    uint64_t pruned;   /* how many are gone; the others are still needed */
    int64_t before_ns; /* what was older might go */
};
_Static_assert(sizeof(struct store_checkpoint) == 88, "stored");

/* run_id is zero where a person chose, for all runs. */
struct store_transition {
    uint8_t severity, quality, actions; /* enum gov_severity, gov_quality, gov_action */
    uint8_t by_hand;                    /* the profile is a person's choice */
    uint8_t blocked_count, reason_count;
    uint8_t zero[2];
    int64_t pacing_ms;
    uint16_t reasons[GOV_CODES_MAX];
    char blocked[GOV_BLOCKED_MAX][GOV_PROVIDER_TEXT];
    char models[GOV_BLOCKED_MODELS][GOV_MODEL_TEXT]; /* "": no more of them */
    char actor[32];
    char reason[192];
};
_Static_assert(sizeof(struct store_transition) == 1040, "stored");

struct store_cooldown {
    int64_t until_ns; /* 0: it is over before its time */
    int32_t status;   /* HTTP, of the answer that was the cause; 0: a person was */
    uint8_t zero[4];
    char provider[GOV_PROVIDER_TEXT];
    char actor[32];
    char reason[192];
};
_Static_assert(sizeof(struct store_cooldown) == 264, "stored");

/* run_id and call_id are zero where `flyball route` asked. */
struct store_selected {
    uint8_t tier, risk, complexity;
    uint8_t governance, requires_approval;
    uint8_t stays; /* what was said of the task before still counts */
    uint8_t zero[2];
    char task_id[64];
    char agent[64];
    char governance_reason[64];
    char reason[96];
    char chain[96]; /* of the classifiers */
    char model[96];
    char requested[96]; /* "" none was asked for */
    char actor[32];     /* of an escalation */
    char why[192];
};
_Static_assert(sizeof(struct store_selected) == 808, "stored");

/* The last decision on a task, where it was that a person has to say yes: kept beside the chain,
 * and not forgotten with its record. */
struct store_task {
    uint32_t version;
    uint8_t risk, complexity, governance;
    uint8_t zero;
    uint64_t seq; /* of its STORE_SELECTED */
};
_Static_assert(sizeof(struct store_task) == 16, "stored");

/* What became of a call that a limit was in the way of (percent of a STORE_BREACH). */
enum store_breach { STORE_DOWNGRADED = 1, STORE_DENIED_MODEL = 2 };

#define STORE_COOLDOWNS 16u
/* What directives depend on and no scope has: kept beside the chain. */
struct store_direct {
    uint32_t version;
    uint8_t by_hand; /* a person chose ... */
    uint8_t quality; /* ... this profile (enum gov_quality) */
    uint8_t zero[2];
    struct {
        char provider[GOV_PROVIDER_TEXT]; /* "" unused */
        int64_t until_ns;
    } cooldowns[STORE_COOLDOWNS];
};
_Static_assert(sizeof(struct store_direct) == 520, "stored");

#endif
