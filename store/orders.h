/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's records of what people decide, and are asked: a part of store/store.h, which
 * includes it behind what it needs. */
#ifndef FLYBALL_STORE_ORDERS_H
#define FLYBALL_STORE_ORDERS_H

#define STORE_ACTOR_TEXT  32u
#define STORE_REASON_TEXT 192u

struct store_event;
struct store_run;
struct store_view;

enum store_clock_word { STORE_CLOCK_JUMPED = 1, STORE_CLOCK_ACCEPTED = 2 };

struct store_clock {
    int64_t expected_ns; /* what the wall clock should have said */
    int64_t found_ns;
    uint8_t boot_id[16];
    uint8_t word; /* enum store_clock_word */
    uint8_t zero[7];
    char actor[32];
    char reason[192];
};
_Static_assert(sizeof(struct store_clock) == 264, "stored");

/* Of the scope whose limits are in the way; of the run whose task a person has to say yes to. */
struct store_asked {
    uint8_t checkpoint_id[16]; /* a UUIDv7 that ends in the record's number */
    struct store_scope_key key;
    int64_t consumed[GOV_DIMS];
    int64_t limit[GOV_DIMS];
    int64_t suggested[GOV_DIMS]; /* to be added; 0: this one is not used up */
    int64_t expires_ns;
    uint8_t dim; /* the first one; GOV_DIMS: it is about the task, which is classified so: */
    uint8_t risk, complexity, governance;
    uint8_t zero[4];
};
_Static_assert(sizeof(struct store_asked) == 280, "stored");

enum store_answer {
    STORE_APPROVED = 1,
    STORE_DENIED = 2,
    STORE_TIMED_OUT = 3,
    STORE_WITHDRAWN = 4, /* nobody waits for it any more */
};

struct store_answered {
    uint8_t checkpoint_id[16];
    uint64_t of_seq;                 /* the question's record */
    uint16_t reasons[GOV_CODES_MAX]; /* denied: the run's from now on */
    uint8_t reason_count;
    uint8_t answer; /* enum store_answer */
    uint8_t dim;
    uint8_t zero[5];
    char actor[STORE_ACTOR_TEXT];
    char reason[STORE_REASON_TEXT];
};
_Static_assert(sizeof(struct store_answered) == 288, "stored");

struct store_extended {
    uint8_t checkpoint_id[16]; /* zero: nobody had asked */
    struct store_scope_key key;
    int64_t additional;
    int64_t limit; /* with it */
    uint8_t dim;
    uint8_t zero[7];
    char actor[STORE_ACTOR_TEXT];
    char reason[STORE_REASON_TEXT];
};
_Static_assert(sizeof(struct store_extended) == 296, "stored");

enum store_word {
    STORE_PAUSED = 1,
    STORE_RESUMED = 2,
    STORE_STOPPED = 3,
    STORE_RESET = 4,
    STORE_REOPENED = 5, /* a run that has ended goes on */
};

/* Of a run; or of a session or everything (run_id is zero): for runs that are yet to come. */
struct store_turned {
    struct store_scope_key key; /* what was meant */
    uint64_t of_seq;            /* STORE_RESET of a session or everything: the stop's record */
    int64_t spent[GOV_DIMS];
    int64_t held[STORE_SEEN_DIMS];
    uint8_t word;    /* enum store_word */
    uint8_t by_hand; /* STORE_PAUSED: without a question */
    uint8_t zero[6];
    int64_t pid; /* STORE_REOPENED: of the launcher, as in an allocation */
    int64_t pid_start;
    uint8_t boot_id[16];
    char actor[STORE_ACTOR_TEXT];
    char reason[STORE_REASON_TEXT];
};
_Static_assert(sizeof(struct store_turned) == 400, "stored");

enum store_override_word { STORE_ADDED = 1, STORE_REVOKED = 2, STORE_EXPIRED = 3 };

struct store_override {
    uint8_t id[16];
    struct store_scope_key key;
    int64_t delta[GOV_DIMS];
    int64_t effective[GOV_DIMS]; /* the limits with it; 0: none, or of several runs */
    int64_t expires_ns;
    uint64_t of_seq; /* of what is over, and in its row: the record that added it */
    uint8_t word;    /* enum store_override_word */
    uint8_t zero[7];
    char actor[STORE_ACTOR_TEXT];
    char reason[STORE_REASON_TEXT];
};
_Static_assert(sizeof(struct store_override) == 440, "stored");

/* What people decide, and what they are asked (orders.c). Each appends event, whose head has type,
 * ts_ns and run_id, and changes what it says.
 * store_turn: of types ASKED (a question; its checkpoint_id is made), ANSWERED (checkpoint_id and
 * dim are filled in), TURNED (spent and held are filled in), RUN_ENDED. STORE_CONFLICT: it does not
 * follow from the run's state: a second question, an answer to another one, a pause of what has
 * ended, ...
 * store_extend: of type EXTENDED; STORE_OVER: the sum is none.
 * store_override: of type OVERRIDE; STORE_DUPLICATE: it is there; STORE_NOT_FOUND: it is not. */
STORE_MUST_CHECK enum store_err store_turn(struct store *store, struct store_event *event);
STORE_MUST_CHECK enum store_err store_extend(struct store *store, struct store_event *event);
STORE_MUST_CHECK enum store_err store_override(struct store *store, struct store_event *event);
/* Whether a session, or everything, is stopped: runs that begin in it are. */
bool store_is_stopped(const struct store *store, const struct store_scope_key *key);
/* The record of this number, in the open transaction. STORE_NOT_FOUND: there is none. */
enum store_err store_event_get(struct store *store, uint64_t seq, struct store_event *out);
/* For how long a run has been paused until now_ns. */
int64_t store_paused_ns(const struct store_run *run, int64_t now_ns);
/* The number of the question with this id, whether there is one or not. */
uint64_t store_checkpoint_seq(const uint8_t checkpoint_id[16]);

/* Orders that are in force: overrides, by their id. last NULL: begin. */
enum store_err store_view_next_override(struct store_view *view, const uint8_t *last,
                                        struct store_override *out);
#endif
