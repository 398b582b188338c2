/* SPDX-License-Identifier: Apache-2.0 */
/* The governor: whether a call may go, in what form, and what to say when it may not.
 *
 * The model. A call is in several scopes at once (its run, its session, the day ...). A scope has a
 * limit and a policy per dimension, and what is spent and held of it. gov_decide() looks at all of
 * them and admits, lets wait, or refuses; what it admits satisfies, in every scope whose limit is
 * not soft, spent + held + this <= limit for steps, tokens and cost. The caller books the hold in
 * the same transaction from which it read the scopes.
 *
 * Caveats. Pure: no clock, no I/O, no globals, nothing allocated; the same input gives the same
 * bytes. Nothing here fails: arithmetic saturates towards refusal. Amounts are int64_t in the
 * dimension's unit: pico-dollars, tokens, calls, milliseconds, bytes. */
#ifndef FLYBALL_GOVERNOR_H
#define FLYBALL_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "meter/meter.h"

/* The row of a table that begins with this name, in rows of row_bytes whose first member is a
 * const char *; count: none. */
unsigned gov_row_by_name(const void *rows, size_t row_bytes, unsigned count, const char *name);

/* In the order that settles ties: name, JSON name, phrase, reason in the scope of a run. */
#define GOV_DIM_MAP(X)                                                                             \
    X(GOV_STEPS, "steps", "step budget", GOV_REASON_STEPS)                                         \
    X(GOV_TOKENS, "llm_tokens", "token budget", GOV_REASON_TOKENS)                                 \
    X(GOV_COST, "cost_usd", "cost budget", GOV_REASON_COST)                                        \
    X(GOV_WALL, "wall_clock_ms", "wall clock budget", GOV_REASON_WALL)                             \
    X(GOV_TOOLS, "tool_calls", "tool call budget", GOV_REASON_TOOLS)                               \
    X(GOV_EGRESS, "network_egress_bytes", "network egress budget", GOV_REASON_EGRESS)              \
    X(GOV_WRITES, "storage_write_bytes", "storage write budget", GOV_REASON_WRITES)                \
    X(GOV_ERRORS, "error_burst", "error burst limit", GOV_REASON_ERRORS)                           \
    X(GOV_COMMAND, "long_running_command_seconds", "command time limit", GOV_REASON_COMMAND)
enum gov_dim {
#define X(name, text, phrase, reason) name,
    GOV_DIM_MAP(X)
#undef X
        GOV_DIMS
};
const char *gov_dim_name(enum gov_dim dim);
const char *gov_dim_phrase(enum gov_dim dim); /* for messages: "cost budget" */
/* The dimension of a name; GOV_DIMS: none. */
enum gov_dim gov_dim_by_name(const char *name);

#define GOV_POLICY_MAP(X)                                                                          \
    X(GOV_HARD_STOP, "hard_stop")                                                                  \
    X(GOV_APPROVAL_REQUIRED, "approval_required")                                                  \
    X(GOV_SOFT_WARN, "soft_warn")
enum gov_policy {
#define X(name, text) name,
    GOV_POLICY_MAP(X)
#undef X
        GOV_POLICIES
};
const char *gov_policy_name(enum gov_policy policy);
enum gov_policy gov_policy_by_name(const char *name); /* GOV_POLICIES: none */

/* Stored in the ledger: numbers are stable, append only. Name, phrase, reason: of a run the
 * dimension has it, of the whole ledger the window. */
#define GOV_SCOPE_MAP(X)                                                                           \
    X(GOV_RUN, 0, "run", "this run", GOV_REASON_NONE)                                              \
    X(GOV_SESSION, 1, "session", "this session", GOV_REASON_SESSION)                               \
    X(GOV_GLOBAL, 2, "global", "everything on this ledger", GOV_REASON_NONE)                       \
    X(GOV_PROVIDER, 3, "provider", "this provider", GOV_REASON_PROVIDER)                           \
    X(GOV_MODEL, 4, "model", "this model", GOV_REASON_MODEL)                                       \
    X(GOV_TASK, 5, "task", "this task", GOV_REASON_TASK)                                           \
    X(GOV_AGENT, 6, "agent", "this agent", GOV_REASON_AGENT)                                       \
    X(GOV_LABEL, 7, "label", "this label", GOV_REASON_LABEL)                                       \
    X(GOV_UID, 8, "uid", "this user", GOV_REASON_UID)                                              \
    X(GOV_PROJECT, 9, "project", "this project", GOV_REASON_PROJECT)                               \
    X(GOV_TIER, 10, "tier", "models of this tier", GOV_REASON_T0_CALLS)
enum gov_scope_kind {
#define X(name, number, text, phrase, reason) name = number,
    GOV_SCOPE_MAP(X)
#undef X
        GOV_SCOPES
};
const char *gov_scope_name(enum gov_scope_kind kind);
const char *gov_scope_phrase(enum gov_scope_kind kind);

enum gov_scope_kind gov_scope_by_name(const char *name); /* GOV_SCOPES: none */

/* Stored in the ledger: numbers are stable, append only. */
#define GOV_WINDOW_MAP(X)                                                                          \
    X(GOV_WHOLE, 0, "", "", GOV_REASON_NONE)                                                       \
    X(GOV_DAILY, 1, "daily", "this day", GOV_REASON_DAILY)                                         \
    X(GOV_WEEKLY, 2, "weekly", "this week", GOV_REASON_WEEKLY)                                     \
    X(GOV_MONTHLY, 3, "monthly", "this month", GOV_REASON_MONTHLY)                                 \
    X(GOV_ROLLING, 4, "rolling", "the rolling window", GOV_REASON_ROLLING)
enum gov_window {
#define X(name, number, text, phrase, reason) name = number,
    GOV_WINDOW_MAP(X)
#undef X
        GOV_WINDOWS
};
const char *gov_window_name(enum gov_window window); /* "daily"; "" for GOV_WHOLE */
const char *gov_window_phrase(enum gov_window window);
enum gov_window gov_window_by_name(const char *name); /* GOV_WINDOWS: none */
/* For messages, after "of": "this run", "this day", "this agent in this week". Returns out. */
#define GOV_WHOSE_TEXT 64u
const char *gov_whose(enum gov_scope_kind kind, enum gov_window window, char out[GOV_WHOSE_TEXT]);

/* Stored in the ledger: numbers are stable, append only. */
#define GOV_REASON_MAP(X)                                                                          \
    X(GOV_REASON_NONE, 0, "")                                                                      \
    X(GOV_REASON_STEPS, 1, "budget_steps_exceeded")                                                \
    X(GOV_REASON_TOKENS, 2, "budget_token_estimate_exceeded")                                      \
    X(GOV_REASON_COST, 3, "budget_cost_exceeded")                                                  \
    X(GOV_REASON_WALL, 4, "budget_wall_clock_exceeded")                                            \
    X(GOV_REASON_TOOLS, 5, "budget_tool_call_exceeded")                                            \
    X(GOV_REASON_EGRESS, 6, "budget_network_egress_exceeded")                                      \
    X(GOV_REASON_WRITES, 7, "budget_storage_write_exceeded")                                       \
    X(GOV_REASON_ERRORS, 8, "budget_error_burst_exceeded")                                         \
    X(GOV_REASON_COMMAND, 9, "budget_command_time_exceeded")                                       \
    X(GOV_REASON_SESSION, 10, "session_budget_exceeded")                                           \
    X(GOV_REASON_DAILY, 11, "daily_budget_exceeded")                                               \
    X(GOV_REASON_PRICE_UNKNOWN, 12, "price_unknown")                                               \
    X(GOV_REASON_BUSY, 13, "budget_busy")                                                          \
    X(GOV_REASON_RUN_ENDED, 14, "run_ended")                                                       \
    X(GOV_REASON_LEDGER_READ, 15, "ledger_read_failure")                                           \
    X(GOV_REASON_LEDGER_WRITE, 16, "ledger_write_failure")                                         \
    X(GOV_REASON_VERSION, 17, "version_mismatch")                                                  \
    X(GOV_REASON_UNREADABLE, 18, "request_unreadable")                                             \
    X(GOV_REASON_TOO_LARGE, 19, "request_too_large")                                               \
    X(GOV_REASON_GUARD, 20, "guard_refused")                                                       \
    X(GOV_REASON_INSIDE_RUN, 21, "inside_run")                                                     \
    X(GOV_REASON_WEEKLY, 22, "weekly_budget_exceeded")                                             \
    X(GOV_REASON_MONTHLY, 23, "monthly_budget_exceeded")                                           \
    X(GOV_REASON_ROLLING, 24, "rolling_budget_exceeded")                                           \
    X(GOV_REASON_PROVIDER, 25, "provider_budget_exceeded")                                         \
    X(GOV_REASON_MODEL, 26, "model_budget_exceeded")                                               \
    X(GOV_REASON_TASK, 27, "task_budget_exceeded")                                                 \
    X(GOV_REASON_AGENT, 28, "agent_budget_exceeded")                                               \
    X(GOV_REASON_LABEL, 29, "label_budget_exceeded")                                               \
    X(GOV_REASON_UID, 30, "uid_budget_exceeded")                                                   \
    X(GOV_REASON_PROJECT, 31, "project_budget_exceeded")                                           \
    X(GOV_REASON_CLOCK_JUMP, 32, "clock_jump")                                                     \
    X(GOV_REASON_STOPPED, 33, "budget_stopped")                                                    \
    X(GOV_REASON_DENIED, 34, "approval_denied")                                                    \
    X(GOV_REASON_APPROVAL_TIMEOUT, 35, "approval_timeout")                                         \
    X(GOV_REASON_COOLDOWN, 36, "provider_cooldown")                                                \
    X(GOV_REASON_T0_CALLS, 37, "t0_calls_exceeded")                                                \
    X(GOV_REASON_NO_MODELS, 38, "no_models_in_tier:T0")                                            \
    X(GOV_REASON_NO_MODELS_1, 39, "no_models_in_tier:T1")                                          \
    X(GOV_REASON_NO_MODELS_2, 40, "no_models_in_tier:T2")                                          \
    X(GOV_REASON_NO_MODELS_3, 41, "no_models_in_tier:T3")                                          \
    X(GOV_REASON_NO_MODELS_4, 42, "no_models_in_tier:T4")                                          \
    X(GOV_REASON_NO_TIER, 43, "budget_exhausted")                                                  \
    X(GOV_REASON_DECISION_LOG, 44, "decision_log_failure")                                         \
    X(GOV_REASON_MODEL_BLOCKED, 45, "model_blocked")                                               \
    X(GOV_REASON_TASK_ASKS, 46, "requires_approval")
enum gov_reason {
#define X(name, number, text) name = number,
    GOV_REASON_MAP(X)
#undef X
        GOV_REASONS
};
enum gov_reason gov_reason_of_dim(enum gov_dim dim); /* in the scope of a run */
/* The scope names it; of the whole ledger the window; of a run the dimension. */
enum gov_reason gov_reason_of(enum gov_scope_kind kind, enum gov_window window, enum gov_dim dim);
const char *gov_reason_text(enum gov_reason reason); /* "" for a number that is none */

#define GOV_STATE_MAP(X)                                                                           \
    X(GOV_RUNNING, 0, "running")                                                                   \
    X(GOV_PAUSED, 1, "paused")                                                                     \
    X(GOV_COMPLETED, 2, "completed")                                                               \
    X(GOV_FAILED, 3, "failed")                                                                     \
    X(GOV_CANCELLED, 4, "cancelled")                                                               \
    X(GOV_BUDGET_STOPPED, 5, "budget_stopped")
enum gov_state {
#define X(name, number, text) name = number,
    GOV_STATE_MAP(X)
#undef X
        GOV_STATES
};
const char *gov_state_name(enum gov_state state);

/* amount 0: unlimited. */
struct gov_limit {
    int64_t amount;
    enum gov_policy policy;
};

/* A scope as the ledger has it at this moment. */
struct gov_scope {
    enum gov_scope_kind kind;
    enum gov_window window;
    struct gov_limit limits[GOV_DIMS];
    int64_t spent[GOV_DIMS];
    int64_t held[GOV_DIMS];
    bool guard[GOV_DIMS];         /* this limit is a guardrail */
    bool closed;                  /* the clock is in doubt: no limit of this window can be kept */
    int64_t crossed_ns[GOV_DIMS]; /* when the limit was used up; 0: by this very call, or unknown */
    unsigned in_flight;           /* other calls with a hold here */
    unsigned in_flight_most;      /* so many at a time; 0: any number */
    unsigned ahead;               /* calls that wait here and came before */
    unsigned behind;              /* calls that wait here and came after */
};

/* The call, as estimated. */
struct gov_call {
    struct meter_hold_line line;
    bool clamp;   /* the output cap may be lowered, or set, in the request */
    bool economy; /* it takes no more than half of what is free, as if others were in flight */
};

#define GOV_CODES_MAX 16u

enum gov_outcome {
    GOV_ADMIT,
    GOV_WAIT, /* only holds are in the way */
    GOV_REFUSE,
    GOV_ASK, /* a person has to say; finding.count 0: the run is paused, that is all */
};

/* Why, and by which limit: the primary reason's scope (an index) and dimension. */
struct gov_finding {
    unsigned count;
    enum gov_reason reasons[GOV_CODES_MAX];
    unsigned scope;
    enum gov_dim dim; /* GOV_DIMS: none */
};

struct gov_verdict {
    enum gov_outcome outcome;
    uint64_t cap;           /* GOV_ADMIT: the output cap that is held */
    bool clamped;           /* it is another one than the request's own */
    int64_t hold[GOV_DIMS]; /* GOV_ADMIT: what to book */
    struct gov_finding finding;
    int64_t suggested[GOV_DIMS]; /* GOV_ASK: what to add in the finding's scope; 0: nothing */
    bool ends_run;               /* a hard_stop limit of a run is used up */
    unsigned ended_scope;        /* that run's scope */
};

/* Decides. state and ended: the run's, ended being the reasons with which it failed, was cancelled
 * or stopped. */
void gov_decide(enum gov_state state, const struct gov_finding *ended,
                const struct gov_scope *scopes, unsigned scope_count, const struct gov_call *call,
                struct gov_verdict *out);

/* Whether a limit that is not soft is used up, whatever call comes. */
bool gov_used_up(const struct gov_scope *scope, enum gov_dim dim);
/* All that is used up, and dim of the first scope, which somebody else has found to be. */
void gov_find_used_up(const struct gov_scope *scopes, unsigned scope_count, enum gov_dim dim,
                      struct gov_finding *out);

/* The output cap that is booked, and the largest that is set, where neither the request nor the
 * price book knows one. */
#define GOV_CAP_GUESS 131072u

/* Thresholds in percent that spent has reached of limit and that are not in *logged yet (a bit per
 * entry of percents); sets the bits. Returns how many, the highest last, in reached[]. */
unsigned gov_thresholds(int64_t spent, int64_t limit, const uint8_t *percents, unsigned count,
                        uint8_t *logged, uint8_t reached[]);

/* What a person can do about a dimension that runs out: a sentence for warnings. */
const char *gov_guidance(enum gov_dim dim);

#endif
