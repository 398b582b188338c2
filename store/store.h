/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: what was allowed, held and spent, in LMDB.
 *
 * The model. The chain is the truth: numbered records, each with the hash of its predecessor, only
 * ever appended. Beside it stand, in the same transactions, what would be slow to recompute:
 * counters per scope, the row of every call, the row of every run, indexes. store_verify()
 * recomputes them all from the chain. A call has one hold, booked in all its scopes or none, and at
 * most one end:
 *
 *     HELD -> RELEASED              nothing was sent
 *     HELD -> SENT -> SETTLED       charged what it cost
 *                  -> UNKNOWN       charged its whole hold
 *     SETTLED, UNKNOWN -> corrected, any number of times
 *
 * Ids come from the caller; saying the same thing twice changes nothing, saying something else
 * about the same id is a conflict, and the first word stands.
 *
 * Caveats. One process opens a ledger, under a lock held for its life; in it one thread writes, any
 * number read. A write transaction is store_begin() ... store_commit(); what it did counts when the
 * commit has said STORE_OK. Never NOSYNC, WRITEMAP or DUPSORT: measured to lose or damage data.
 * After a failed sync the store refuses to write until it is opened again. A view has to be closed
 * by the thread that opened it. Amounts as in the governor. No prompts, no answers, no keys. */
#ifndef FLYBALL_STORE_H
#define FLYBALL_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "governor/calendar.h"
#include "store/direct.h"

#define STORE_MUST_CHECK __attribute__((warn_unused_result))

#define STORE_SCHEMA       4u
#define STORE_SCOPES_MAX   24u                 /* scopes of one call */
#define STORE_COUNTS       12u                 /* room for enum meter_count */
#define STORE_MAP_BYTES    ((size_t)64 << 30)  /* address space, not disk */
#define STORE_MAP_LEAST    ((size_t)256 << 20) /* where address space is short */
#define STORE_RECORD_MAX   4096u
#define STORE_PROGRESS_MAX 4096u

#define STORE_ERR_MAP(X)                                                                           \
    X(STORE_OK, 0, "ok")                                                                           \
    X(STORE_NOT_FOUND, 1, "not in the ledger")                                                     \
    X(STORE_DUPLICATE, 2, "the ledger has this already")                                           \
    X(STORE_CONFLICT, 3, "the ledger has something else under this id")                            \
    X(STORE_OVER, 4, "the hold would pass a limit")                                                \
    X(STORE_LOCKED, 5, "another process has the ledger open")                                      \
    X(STORE_FULL, 6, "the disk is full: no room for the ledger to grow")                           \
    X(STORE_READ_ONLY, 7, "the ledger's directory cannot be written")                              \
    X(STORE_DAMAGED, 8, "the ledger's file is damaged")                                            \
    X(STORE_SCHEMA_NEWER, 9, "the ledger was written by a newer Flyball")                          \
    X(STORE_IO, 10, "the disk failed")                                                             \
    X(STORE_NOMEM, 11, "out of memory")                                                            \
    X(STORE_LATCHED, 12, "a write could not be made sure; the ledger has to be opened again")      \
    X(STORE_SCHEMA_OLDER, 13, "the ledger was written by an older Flyball")                        \
    X(STORE_FILE_SYSTEM, 14, "the ledger is on a file system that cannot keep it")                 \
    X(STORE_ROLLED_BACK, 15, "an older copy of the ledger is in its place")                        \
    X(STORE_SCOPES, 16, "more limits meet in one call than can be kept together")
enum store_err {
#define X(name, number, text) name = (number),
    STORE_ERR_MAP(X)
#undef X
};
const char *store_strerror(enum store_err err);

/* First error wins: what, where, what to do. */
struct store_error {
    char text[512];
};

struct store;

/* ---- what is in it ------------------------------------------------------------------------ */

/* Which amount is meant: a scope, and for windows the one that began then. id: the run's; for names
 * the first 16 bytes of their SHA-256; zero for the whole ledger. */
struct store_scope_key {
    uint8_t kind;        /* enum gov_scope_kind */
    uint8_t window;      /* enum gov_window */
    uint16_t zone;       /* of the calendar: of its name's SHA-256; 0: the system's, or none */
    uint32_t duration_s; /* of a rolling window; start_s is its present part's */
    int64_t start_s;     /* the window's beginning, seconds since the epoch; 0: not a window */
    uint8_t id[16];
};
_Static_assert(sizeof(struct store_scope_key) == 32, "stored");

struct store_counter {
    uint32_t version;
    uint32_t in_flight;
    int64_t charged[GOV_DIMS];
    int64_t credited[GOV_DIMS]; /* by corrections; spent = charged - credited */
    int64_t held[GOV_DIMS];
    int64_t end_s;                  /* a window's end; 0: never */
    int64_t logged_limit[GOV_DIMS]; /* the limit for which thresholds were logged ... */
    uint8_t logged[GOV_DIMS];       /* ... a bit per threshold */
    uint8_t exhausted[GOV_DIMS];    /* Exhausted was logged for that limit */
    uint8_t zero[6];
    char name[64];              /* of the scope, its beginning; for people */
    int64_t extended[GOV_DIMS]; /* what people have added to the limits */
};
_Static_assert(sizeof(struct store_counter) == 464, "stored");

enum store_type {
    STORE_ALLOCATION = 1,
    STORE_ADMISSION = 2,
    STORE_REFUSAL = 3,
    STORE_CONSUMPTION = 4, /* every end of a call, RELEASED included */
    STORE_WARNING = 5,
    STORE_EXHAUSTED = 6,
    STORE_COMPLETED = 7,
    STORE_OVERRUN = 8,
    STORE_RUN_ENDED = 9, /* a hard_stop: the run's state is failed */
    STORE_CORRECTED = 10,
    STORE_CHECKPOINT = 11, /* older records are gone; this stands for them */
    STORE_CLOCK = 12,
    STORE_USED = 13,       /* what a run used without a call of its own */
    STORE_BEGUN = 14,      /* a window begins to count */
    STORE_ASKED = 16,      /* a person is asked whether a run may go on */
    STORE_ANSWERED = 17,   /* that question is over */
    STORE_EXTENDED = 18,   /* a limit is raised, for good */
    STORE_TURNED = 19,     /* a person, or a question to one, changed a run's state */
    STORE_OVERRIDE = 20,   /* a limit is raised, for a time */
    STORE_TRANSITION = 24, /* the directive of a run is another one; or a person chose a profile */
    STORE_SELECTED = 26,   /* a model was chosen */
    STORE_BREACH = 27,     /* a limit was in the way of a model */
    STORE_COOLDOWN = 25,   /* a provider is to be left alone; or not any more */
};

/* Bodies only grow, at their end: a record of an older Flyball is read as if it ended in zeros.
 *
 * The head of every record in the chain; prev is the hash of the record before. The hash of a
 * record is SHA-256 over its bytes from version on, prev included; it follows the record in the
 * file. */
struct store_record {
    uint16_t version;
    uint16_t type;
    uint16_t scope_count; /* struct store_scope_seen entries after the body */
    uint16_t zero;
    uint32_t bytes; /* head, body and scopes */
    uint32_t zero2;
    uint64_t seq;
    int64_t ts_ns; /* wall clock */
    uint8_t run_id[16];
    uint8_t call_id[16];
    uint8_t prev[32];
};
_Static_assert(sizeof(struct store_record) == 96, "stored");

/* A scope as a decision saw it: what `verify` recomputes. Steps, tokens, cost. */
#define STORE_SEEN_DIMS 3u
struct store_scope_seen {
    struct store_scope_key key;
    int64_t spent[STORE_SEEN_DIMS];
    int64_t held[STORE_SEEN_DIMS];
    int64_t limit[STORE_SEEN_DIMS]; /* 0: none */
    uint8_t policy[STORE_SEEN_DIMS];
    uint8_t zero[5];
};
_Static_assert(sizeof(struct store_scope_seen) == 112, "stored");

struct store_allocation {
    int64_t limits[GOV_DIMS];
    int64_t session_limits[GOV_DIMS];
    uint8_t policies[GOV_DIMS];
    uint8_t percents[3];
    uint8_t by_hand; /* no launcher: the session leader is the run */
    uint8_t meter_only;
    uint8_t profile, zero; /* of limits: its number, from 1 on; 0: none */
    uint8_t parent[16];    /* the run it was started in; zero: none */
    int64_t uid;
    int64_t pid;       /* the launcher's, or the session leader's */
    int64_t pid_start; /* clock ticks since boot */
    uint8_t boot_id[16];
    char session[64];
    char task[64];
    char agent[64];
    char policy[32];
    char level[16];
    char argv0[128];
    char cwd[256];
    char labels[256]; /* K=V, a line each */
};
_Static_assert(sizeof(struct store_allocation) == 1096, "stored");

enum store_call_flag {
    STORE_STREAM = 1 << 0,
    STORE_CLAMPED = 1 << 1,
    STORE_READ_ONLY_CALL = 1 << 2,
    STORE_UNPRICED = 1 << 3,
    STORE_WARNED = 1 << 4,    /* the directive's severity was not ok */
    STORE_WRITES_5M = 1 << 5, /* the request may write to a cache */
    STORE_WRITES_1H = 1 << 6,
    STORE_COUNTED = 1 << 7,         /* what it reported was counted before, with another call */
    STORE_REGIONAL = 1 << 8,        /* served in a region of the caller's choice */
    STORE_REFERS = 1 << 10,         /* to content that the body does not carry */
    STORE_HOLD_IF_BROKEN = 1 << 11, /* a part of its answer does not tell what it costs */
    STORE_MADE = 1 << 9,        /* this call made the object: it is charged, whoever reported it */
    STORE_OVERRIDDEN = 1 << 12, /* a limit of its scopes was raised by an override */
    STORE_REVIEWED = 1 << 13,   /* it waited for a person's word */
};

struct store_admission {
    int64_t hold[STORE_SEEN_DIMS]; /* steps, tokens, cost in pico-dollars */
    uint64_t cap_asked;            /* UINT64_MAX: none */
    uint64_t cap_held;             /* UINT64_MAX: none */
    uint64_t input_tokens;         /* estimated, for a charge without a report */
    int64_t pid, pid_start;
    uint8_t boot_id[16];
    uint8_t request_hash[32]; /* of method, host, path, body: the same id is the same call */
    uint32_t flags;
    uint8_t door;                  /* 0 libcurl */
    uint8_t tier, choices, zero;   /* of the request: what its bill goes by */
    uint32_t counts[STORE_COUNTS]; /* enum meter_count; the most that the request allows */
    char provider[24];
    char api[32];
    char model[96];
    char row[96];             /* the price row; "" none */
    char requested_model[96]; /* "": the one above was asked for */
    int64_t pacing_ms;
    uint8_t severity, quality, actions; /* enum gov_severity, gov_quality, gov_action */
    uint8_t level;                      /* the model's tier + 1; 0: no routing */
    uint8_t zero2[4];
};
_Static_assert(METER_COUNTS <= STORE_COUNTS, "room for every count");
_Static_assert(sizeof(struct store_admission) == 528, "stored");

struct store_refusal {
    int64_t count; /* the same question again, answered from memory, is counted here */
    int64_t spent, held, limit;
    int64_t wanted[STORE_SEEN_DIMS]; /* the smallest form of the call; cost -1: no price */
    uint16_t reasons[GOV_CODES_MAX];
    uint8_t reason_count;
    uint8_t dim; /* GOV_DIMS: none */
    uint8_t scope_kind, window;
    int32_t status; /* the HTTP status that was answered */
    int64_t pid;
    char provider[24];
    char api[32];
    char model[96];
    uint8_t asked, zero[7]; /* asked: it had waited for a person's word */
};
_Static_assert(sizeof(struct store_refusal) == 264, "stored");

enum store_end { STORE_SETTLED = 1, STORE_UNKNOWN = 2, STORE_RELEASED = 3 };

enum store_charged {                       /* whose figure the charge is */
                     STORE_BY_UNKNOWN = 0, /* an older Flyball did not say */
                     STORE_BY_PRICE = 1,
                     STORE_BY_PROVIDER = 2, /* or a gateway */
                     STORE_BY_HOLD = 3,
                     STORE_BY_CEILING = 4, /* the price would have come to more than the hold */
                     STORE_BY_NOTHING = 5, /* no price, nothing reported */
};

struct store_consumption {
    uint64_t tokens[METER_BUCKETS];
    uint64_t counts[STORE_COUNTS]; /* enum meter_count */
    int64_t tokens_total;
    int64_t cost_pusd;          /* computed; -1: no price */
    int64_t provider_cost_pusd; /* reported; -1: none */
    int64_t charged_pusd;       /* booked; 0 where nothing is known, see flags */
    int64_t egress_bytes;
    int64_t duration_ms;
    int64_t
        remaining[STORE_SEEN_DIMS]; /* of its run, after it; -1: no limit. Filled in by the store */
    uint32_t flags;                 /* enum store_call_flag */
    int32_t status;                 /* HTTP; 0: no answer */
    uint8_t end;                    /* enum store_end */
    uint8_t provenance;             /* enum meter_provenance */
    uint8_t usage_invalid;
    uint8_t error; /* an error answer: for error bursts */
    uint32_t warnings;
    char model[96]; /* served; "" as asked */
    char row[96];
    char row_from[16];
    char tier[40];
    uint8_t object[16]; /* of something that can be asked for again; zero: none */
    /* What a price is found by again; schema 2 ended before. */
    uint8_t charged_by; /* enum store_charged */
    uint8_t served;     /* enum meter_tier, as served */
    uint8_t parts;      /* parts with prices of their own, whose tokens are in the sum */
    uint8_t zero[5];
};
_Static_assert(sizeof(struct store_consumption) == 528, "stored");

struct store_threshold { /* Warning and Exhausted */
    struct store_scope_key key;
    int64_t consumed;
    int64_t limit;
    uint8_t dim;
    uint8_t percent;
    uint8_t policy;
    uint8_t zero[5];
};
_Static_assert(sizeof(struct store_threshold) == 56, "stored");

struct store_completed {
    int64_t exit; /* as a shell has it: 128 + signal */
    int64_t duration_ms;
    int64_t total[GOV_DIMS];
    uint8_t state; /* enum gov_state */
    uint8_t zero[7];
};
_Static_assert(sizeof(struct store_completed) == 96, "stored");

struct store_overrun {
    int64_t held_pusd, charged_pusd;
    int64_t held_tokens, charged_tokens;
};
_Static_assert(sizeof(struct store_overrun) == 32, "stored");

struct store_run_ended {
    uint16_t reasons[GOV_CODES_MAX];
    uint8_t reason_count;
    uint8_t zero[7];
};
_Static_assert(sizeof(struct store_run_ended) == 40, "stored");

struct store_used {
    int64_t added[GOV_DIMS]; /* below 0: credited; of the wall clock: time that does not count */
    int64_t remaining[GOV_DIMS]; /* of its run, after it; -1: no limit. Filled in by the store */
};
_Static_assert(sizeof(struct store_used) == 144, "stored");

#include "store/orders.h"

/* A window counts from here on; charged in it before, a call in flight with its hold. */
struct store_begun {
    struct store_scope_key key;
    int64_t end_s;
    int64_t charged[GOV_DIMS];
    char name[64]; /* of the scope, its beginning */
};
_Static_assert(sizeof(struct store_begun) == 176, "stored");

/* One record with its body, as read. */
struct store_event {
    struct store_record head;
    union {
        struct store_allocation allocation;
        struct store_admission admission;
        struct store_refusal refusal;
        struct store_consumption consumption;
        struct store_threshold threshold;
        struct store_completed completed;
        struct store_overrun overrun;
        struct store_run_ended run_ended;
        struct store_corrected corrected;
        struct store_checkpoint checkpoint;
        struct store_clock clock;
        struct store_used used;
        struct store_asked asked;
        struct store_answered answered;
        struct store_extended extended;
        struct store_turned turned;
        struct store_override override;
        struct store_begun begun;
        struct store_transition transition;
        struct store_cooldown cooldown;
        struct store_selected selected;
    };
    struct store_scope_seen scopes[STORE_SCOPES_MAX];
};

struct store_run {
    uint32_t version;
    uint8_t state; /* enum gov_state */
    uint8_t reason_count;
    uint16_t reasons[GOV_CODES_MAX]; /* with which it failed */
    uint8_t zero[2];
    uint8_t run_id[16];
    int64_t started_ns, ended_ns; /* ended 0: lives */
    int64_t admitted, refused, settled, estimated, in_flight;
    uint64_t allocation_seq;
    struct store_allocation allocation;
    int64_t paused_ns;       /* in all, without the pause that lasts */
    int64_t paused_since_ns; /* 0: not paused */
    uint64_t asked_seq;      /* the question that is open; 0: none */
    int64_t pid;             /* of the launcher that goes on with it; 0: the allocation's */
    int64_t pid_start;
    uint8_t boot_id[16];
    uint8_t paused_by_hand, task_approved, zero2[6]; /* approved: a person said yes to its task */
};
_Static_assert(sizeof(struct store_run) == 1280, "stored");

enum store_call_state {
    STORE_CALL_HELD = 1,
    STORE_CALL_SENT = 2,
    STORE_CALL_ENDED = 3,
    STORE_CALL_REFUSED = 4, /* never held; consumption_seq is the refusal's */
};

struct store_call {
    uint32_t version;
    uint8_t state; /* enum store_call_state */
    uint8_t zero[3];
    uint8_t call_id[16];
    uint8_t run_id[16];
    uint64_t admission_seq;
    uint64_t consumption_seq; /* 0: not ended */
    int64_t sent_ns;          /* 0: not sent */
    uint64_t later_seq;       /* the last record after its end: a correction, a refusal again */
};
_Static_assert(sizeof(struct store_call) == 72, "stored");

/* ---- opening ------------------------------------------------------------------------------ */

/* Opens the ledger in a directory, which must exist; makes it when it is not there (not with
 * read_only). STORE_LOCKED: error names the owner's pid. Other errors say what and where. */
STORE_MUST_CHECK enum store_err store_open(const char *home, bool read_only,
                                           struct store **store_out, struct store_error *error);
void store_close(struct store *store); /* NULL is fine; an open transaction is given up */
/* What is not well with the place of an open ledger; "": nothing. */
const char *store_warning(const struct store *store);
/* Whether the process that had it before closed it in order. */
bool store_was_clean(const struct store *store);

/* ---- writing: one thread ------------------------------------------------------------------ */

STORE_MUST_CHECK enum store_err store_begin(struct store *store);
/* durable: not before it is on the disk. Else the last commits may be lost in a power failure,
 * never in a crash. On any error nothing of the transaction counts. */
STORE_MUST_CHECK enum store_err store_commit(struct store *store, bool durable);
void store_abort(struct store *store);

/* About once a second, between transactions. STORE_LATCHED: the ledger is closed for writing, from
 * now on when its file was replaced, unlinked or cut. STORE_FULL: the disk is; nothing is admitted
 * until there is room again, which is looked for here; what was admitted can be settled. */
enum store_err store_tick(struct store *store);
bool store_is_full(const struct store *store);

/* A scope's counter; all zero (STORE_NOT_FOUND) when nothing was ever booked. */
enum store_err store_counter_get(struct store *store, const struct store_scope_key *key,
                                 struct store_counter *out);
STORE_MUST_CHECK enum store_err store_counter_put(struct store *store,
                                                  const struct store_scope_key *key,
                                                  const struct store_counter *counter);
enum store_err store_run_get(struct store *store, const uint8_t run_id[16], struct store_run *out);
STORE_MUST_CHECK enum store_err store_run_put(struct store *store, const struct store_run *run);
enum store_err store_call_get(struct store *store, const uint8_t call_id[16],
                              struct store_call *out);

/* Appends a record: fills in seq, version, prev, bytes. body_bytes: of the body's type. */
STORE_MUST_CHECK enum store_err store_append(struct store *store, struct store_event *event,
                                             size_t body_bytes);

/* Books a hold (STORE_FULL: the disk is full, see store_tick): event is an admission with its
 * scopes as seen now. STORE_OVER: a scope's limit that is not soft, of something that it holds,
 * would be passed (the governor should have known). STORE_DUPLICATE: this very call holds already
 * (call_out tells its state); STORE_CONFLICT: another one has the id. */
STORE_MUST_CHECK enum store_err store_admit(struct store *store, struct store_event *event,
                                            struct store_call *call_out);
/* The request's first byte leaves. STORE_DUPLICATE: known. STORE_CONFLICT: the call has ended. */
STORE_MUST_CHECK enum store_err store_sent(struct store *store, const uint8_t call_id[16],
                                           int64_t ts_ns);
/* The one end of a call: event is a consumption; call_id and run_id are taken from the call. The
 * hold goes, the charge comes, in every scope; nothing is charged for an object that another call
 * was charged for (STORE_COUNTED). STORE_DUPLICATE: it has ended (in whatever way). */
STORE_MUST_CHECK enum store_err store_settle(struct store *store, struct store_event *event);
/* Books event.used in event's scopes, of which the first is the run's own; the keys alone count. */
STORE_MUST_CHECK enum store_err store_use(struct store *store, struct store_event *event);
/* Records a refusal: event.refusal.count of them, under the first one's call id. */
STORE_MUST_CHECK enum store_err store_refuse(struct store *store, struct store_event *event);
/* Charges a call that has ended something else: event is a correction with call_id, ts_ns, to_pusd,
 * cause, actor, row, reason, and from_pusd, -1 for whatever it is; the rest is filled in, from_pusd
 * also when it says STORE_DUPLICATE: it is charged that already. STORE_CONFLICT: it has not ended,
 * nothing was sent, or it is charged something else than from_pusd. */
STORE_MUST_CHECK enum store_err store_correct(struct store *store, struct store_event *event);
/* Ends a run's row and appends RunCompleted. STORE_DUPLICATE: it has ended. */
STORE_MUST_CHECK enum store_err store_run_close(struct store *store, const uint8_t run_id[16],
                                                enum gov_state state, int64_t exit, int64_t ts_ns);

/* Where the answer of an open call stands, for a restarted sidecar; at most 4 KiB. */
STORE_MUST_CHECK enum store_err store_progress_put(struct store *store, const uint8_t call_id[16],
                                                   const void *bytes, size_t count);

/* ---- reading: any thread, each with a view of its own ------------------------------------- */

struct store_view; /* the ledger at one moment; keep it short, it holds on to disk pages */
STORE_MUST_CHECK enum store_err store_view_open(struct store *store, struct store_view **view_out);
void store_view_close(struct store_view *view);

/* The record with this number or the next one that there is. STORE_NOT_FOUND: none. STORE_DAMAGED:
 * its bytes are not those that were written. */
enum store_err store_view_event(struct store_view *view, uint64_t seq, struct store_event *out);
/* The same, as it stands in the file: what is hashed, and behind it the hash, 32 bytes; *count_out
 * of both. Not looked at. */
enum store_err store_view_raw(struct store_view *view, uint64_t seq, uint8_t out[STORE_RECORD_MAX],
                              size_t *count_out);
enum store_err store_view_call(struct store_view *view, const uint8_t call_id[16],
                               struct store_call *out);
/* STORE_NOT_FOUND: none, or of another size. */
enum store_err store_view_progress(struct store_view *view, const uint8_t call_id[16], void *bytes,
                                   size_t count);
enum store_err store_view_run(struct store_view *view, const uint8_t run_id[16],
                              struct store_run *out);
enum store_err store_view_counter(struct store_view *view, const struct store_scope_key *key,
                                  struct store_counter *out);
/* What calls and runs are found by; names are as in the records. Stored: append only. */
enum store_index {
    STORE_ANY = 0,
    STORE_CALLS_OF_RUN = 1,
    STORE_CALLS_OF_SESSION = 2,
    STORE_CALLS_OF_PROVIDER = 3,
    STORE_CALLS_OF_MODEL = 4, /* as asked for, or as served */
    STORE_RUNS_OF_SESSION = 5,
    STORE_RUNS_OF_RUN = 6, /* that were started in it */
    STORE_RUNS_ALIVE = 7,  /* not ended; of nothing */
};
struct store_index_key {
    uint8_t kind;   /* enum store_index */
    uint8_t of[16]; /* a run's id, else a name's as in a scope's key */
    uint8_t id[16]; /* the call's or run's */
};
_Static_assert(sizeof(struct store_index_key) == 33, "stored");
void store_index_name(struct store_index_key *out, enum store_index kind, const char *name);
void store_index_run(struct store_index_key *out, enum store_index kind, const uint8_t run_id[16]);

/* Walking: id is the last one seen (NULL: begin); the next one, in order of id, which is that of
 * time, or back from the newest. of: only those of it (NULL: all); its id does not matter. */
enum store_err store_view_next_run(struct store_view *view, const uint8_t *id, bool backward,
                                   struct store_run *out);
enum store_err store_view_next_call(struct store_view *view, const struct store_index_key *of,
                                    const uint8_t *id, struct store_call *out);
enum store_err store_view_next_run_of(struct store_view *view, const struct store_index_key *of,
                                      const uint8_t *id, struct store_run *out);
/* A number before which no record is from then on; their times need not be in order. */
uint64_t store_view_since(struct store_view *view, int64_t since_ns);
enum store_err store_view_next_open(struct store_view *view, const uint8_t *id,
                                    struct store_call *out);
/* The last record's number and hash; 0 and zeros when there is none. */
void store_view_head(struct store_view *view, uint64_t *seq_out, uint8_t hash_out[32]);

/* ---- proving ------------------------------------------------------------------------------ */

struct store_proof {
    bool chain, sums, caps;
    uint64_t records;
    uint64_t first_bad; /* 0: none */
    uint8_t head[32];
    bool head_known; /* the hash that was asked for is one of the chain's; else chain is false */
    char what[256];  /* the first thing that is wrong */
};
/* Recomputes the chain, every counter and row, and every admission's arithmetic. head NULL: none to
 * look for. STORE_OK: the proof is filled in, whatever it says. progress may be NULL. */
enum store_err store_verify(struct store_view *view, const uint8_t *head,
                            void (*progress)(void *data, uint64_t done, uint64_t all), void *data,
                            struct store_proof *out);

/* ---- forgetting --------------------------------------------------------------------------- */

/* In a transaction: takes away records older than before_ns, from the oldest on, at most so many,
 * with the rows that they alone stand for; a checkpoint stands for them, so that the rest is still
 * proven. What is needed of them (calls and runs that go on) stays. *count_out: how many it went
 * through; 0: not enough to be worth a checkpoint. STORE_DAMAGED: they are not proven, and stay. */
STORE_MUST_CHECK enum store_err store_prune(struct store *store, int64_t now_ns, int64_t before_ns,
                                            unsigned most, unsigned *count_out);

/* ---- whole ledgers ------------------------------------------------------------------------ */

/* Copies the ledger, as it is at one moment, into a directory, which is made if need be; a copy
 * that is there is replaced, whole. Any thread, also while others write. compact: without the pages
 * that nothing is in. Errors: the disk's, and error says where. */
STORE_MUST_CHECK enum store_err store_copy(struct store *store, const char *dir, bool compact,
                                           struct store_error *error);

struct store_replaced {
    uint64_t records;
    uint8_t head[32];
    char kept[660]; /* the name under which what was there is kept; "": it is not */
};
/* Puts a copy of the ledger in from into the place of the one in home, which nobody may have open
 * (STORE_LOCKED). STORE_DAMAGED: the other one is not proven; then, and after any other error,
 * everything is as it was. */
STORE_MUST_CHECK enum store_err store_restore(const char *home, const char *from,
                                              struct store_replaced *out,
                                              struct store_error *error);
/* The same with a compacted copy of itself; nothing is kept. */
STORE_MUST_CHECK enum store_err store_compact(const char *home, struct store_replaced *out,
                                              struct store_error *error);

/* ---- small things ------------------------------------------------------------------------- */

void store_scope_run(struct store_scope_key *out, const uint8_t run_id[16]);
void store_scope_name(struct store_scope_key *out, enum gov_scope_kind kind, const char *name);
/* SHA-256, of one piece or of many. Cannot fail, allocates nothing. */
struct store_hash {
    uint64_t state[14];
};
void store_hash_begin(struct store_hash *hash);
void store_hash_add(struct store_hash *hash, const void *bytes, size_t count);
void store_hash_end(struct store_hash *hash, uint8_t out[32]);
void store_scope_all(struct store_scope_key *out); /* everything on this ledger */
void store_sha256(const void *bytes, size_t count, uint8_t out[32]);
#define STORE_HEX_TEXT 65u /* a hash as text */
void store_hex(const uint8_t hash[32], char out[STORE_HEX_TEXT]);
int64_t store_spent(const struct store_counter *counter, enum gov_dim dim);

#endif
