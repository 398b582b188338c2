/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer knows beside the ledger: who waits, what refusals are remembered, which windows
 * count, what time it is. Only the writer's thread uses any of it. */
#ifndef FLYBALL_SIDE_BOOK_H
#define FLYBALL_SIDE_BOOK_H

#include "sidecar/side_int.h"
#include "store/window.h"

#define SIDE_BUDGETS_MAX 32u /* windows that count at the same time */

struct side_budget {
    struct store_scope_key key; /* of its present window, or part */
    int64_t end_s;
    int64_t wanted_s;             /* when a run with a limit on it asked last */
    const struct side_zone *zone; /* NULL: of before a restart, and nobody has asked since */
};

/* A refusal that is answered from memory while nothing has changed. */
struct side_repeat {
    bool used;
    uint8_t run_id[16];
    uint8_t request_hash[32];
    uint64_t run_changes, all_changes;
    struct gov_verdict verdict;
    struct side_figures figures;
    struct store_event event; /* as it was recorded */
    int64_t count;            /* since then, not recorded yet */
};

struct side_book {
    struct store *store;
    struct store_override overrides[SIDE_OVERRIDES];
    unsigned override_count;
    struct side_op *told;                    /* for the loop, beside what is done */
    struct side_op *waiting, **waiting_tail; /* the line, first come first served */
    struct side_budget budgets[SIDE_BUDGETS_MAX];
    unsigned budget_count;
    int64_t next_s; /* when the ledger is to be looked at for more of them */
    struct store_clock_row clock;
    bool clock_known; /* it was read from the ledger */
    uint8_t boot_id[16];
    int64_t wall_ns; /* the time as the clock's rules have it, at the last look */
    int64_t now_s;   /* the same, and never before the latest window that has begun */
    struct store_direct direct;
    bool direct_known; /* it was read from the ledger */
    uint64_t changes;  /* counts what may change an answer in scopes beyond a run */
    struct side_repeat repeats[SIDE_REPEATS];
    unsigned repeat_next, repeat_count; /* count: ever used */
};

struct side_scopes {
    unsigned count;
    struct store_scope_key keys[STORE_SCOPES_MAX];
    struct side_run *runs[STORE_SCOPES_MAX]; /* of a run's scope; else NULL */
    struct gov_scope gov[STORE_SCOPES_MAX];
    int64_t ends_s[STORE_SCOPES_MAX];
    const char *names[STORE_SCOPES_MAX]; /* "" none, or not known */
    /* of a rolling window, spent and held in the parts before the present one */
    int64_t older[STORE_SCOPES_MAX][STORE_SEEN_DIMS];
    /* of runs: the first that has ended, else the first that is paused, else the call's own */
    const struct side_run *decisive;
    struct store_run row;
    bool overridden; /* an override raises one of the limits */
};

/* clock.c: what time it is; a window has begun; an operator has looked at the clock. */
enum store_err side_clock_look(struct side_book *book);
enum store_err side_clock_began(struct side_book *book, int64_t start_s);
enum store_err side_clock_accept(struct side_book *book, const char *actor, const char *reason);

/* windows.c: before every admission: the next ones, for those that are over, and those of the
 * ledger that count at this time; none of them is known, until then; those that a run has limits
 * on. STORE_SCOPES: there are more than can be kept. */
enum store_err side_windows_roll(struct side_book *book);
void side_windows_forget(struct side_book *book);
/* about: of a call, for windows of whichever provider it goes to; all "" where there is none. */
enum store_err side_windows_of_run(struct side_book *book, const struct side_run *run,
                                   const struct side_about *about);
/* The present window of a kind that a run asks for, and the name of its scope. about may be NULL
 * for windows that have a name, or are global. */
void side_window_key(const struct side_run *run, const struct side_window *window,
                     const struct side_about *about, int64_t now_s, struct store_scope_key *key,
                     int64_t *end_s);
const char *side_window_name(const struct side_window *window, const struct side_about *about);
bool side_belongs(const struct side_run *run, const struct side_about *about,
                  const struct store_scope_key *key);

/* The windows that a run has limits on, into its allocation. */
void side_windows_seen(const struct side_book *book, const struct side_run *run,
                       struct store_event *event);

/* scopes.c. False: there are more of them than a call can have. */
bool side_scopes_list(const struct side_book *book, const struct side_op *op,
                      struct side_scopes *scopes);
enum store_err side_scopes_read(struct side_book *book, struct side_scopes *scopes, int64_t now_ns);
void side_scopes_line(const struct side_book *book, const struct side_op *op,
                      struct side_scopes *scopes);

/* used.c: books what was used, and warns. */
enum store_err side_use(struct side_book *book, struct side_op *op);
/* record.c: a limit of its run that the launcher found used up; thresholds after something was
 * spent; a refusal, with what it ends and remembers; the same question again, true: answered; the
 * counts of those, into the ledger. */
enum store_err side_exhaust(struct side_book *book, struct side_op *op);
enum store_err side_warn(struct side_book *book, struct side_op *op);
enum store_err side_exhausted_log(struct side_book *book, struct side_op *op,
                                  const struct side_scopes *scopes, unsigned i, enum gov_dim dim);
void side_notice_add(struct side_op *op, const struct side_notice *notice, struct side_run *run);
enum store_err side_refuse(struct side_book *book, struct side_op *op,
                           const struct side_scopes *scopes);
bool side_repeat_answers(struct side_book *book, struct side_op *op);
enum store_err side_repeats_flush(struct side_book *book);

/* direct.c: the decision on a call, under the directive that it gets; a person's choice of a
 * profile; a provider that is to be left alone, or not any more. */
enum store_err side_govern(struct side_book *book, struct side_op *op, struct side_scopes *scopes,
                           enum gov_state state, const struct gov_finding *ended);
/* The directive, into the ledger, where it is another one than its run's last. */
enum store_err side_direct_tell(struct side_book *book, struct side_op *op);
/* reroute.c: the model that is asked for comes first; true: the next one is to be tried; what was
 * chosen, and what was in the way, into the ledger; and into the admission. */
void side_route_begin(struct side_op *op);
bool side_route_next(struct side_op *op, const struct side_scopes *scopes);
enum store_err side_route_tell(struct side_book *book, struct side_op *op);
void side_route_admitted(const struct side_op *op, struct store_admission *admission);
/* Where routing downgrades at a guardrail, it does not refuse. */
void side_route_soften(struct side_op *op, struct side_scopes *scopes);
unsigned side_cooldowns_of(const struct store_direct *direct,
                           struct gov_cooldown out[STORE_COOLDOWNS]);
enum store_err side_choose(struct side_book *book, struct side_op *op);
enum store_err side_cool(struct side_book *book, struct side_op *op);

/* admit.c */
struct side_book *side_book_new(struct store *store);
void side_book_free(struct side_book *book);
/* Applies one operation in the open transaction. False: it waits; it will come back. durable_out is
 * set when the commit must be on the disk before anybody is told. */
bool side_apply(struct side_book *book, struct side_op *op, int64_t now_ms, bool *durable_out);
/* Looks at those who wait again; appends those who are through, or out of time, to *done_tail. */
void side_apply_waiting(struct side_book *book, int64_t now_ms, bool *durable_out,
                        struct side_op ***done_tail);
/* The nearest deadline of those who wait; INT64_MAX: none. */
int64_t side_book_deadline(const struct side_book *book);
/* A transaction came to nothing: forgets what was remembered of it. */
void side_book_rollback(struct side_book *book);

#endif
