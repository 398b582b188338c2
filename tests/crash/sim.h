/* SPDX-License-Identifier: Apache-2.0 */
/* The simulation, inside: a plain model of the ledger, which keeps every call and adds up whenever
 * it is asked. It follows the header of the store, not its code. */
#ifndef FLYBALL_TESTS_CRASH_SIM_H
#define FLYBALL_TESTS_CRASH_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "store/window.h"
#include "tests/unit/chance.h"

#define SIM_CALLS   320u
#define SIM_RUNS    3u /* the third within the second */
#define SIM_OBJECTS 6u
#define SIM_DAYS    16
#define SIM_DAY_S   INT64_C(86400)
#define SIM_SCOPES  (SIM_RUNS + 1u) /* and a session; days stand beside */

enum sim_life { SIM_NONE, SIM_HELD, SIM_SENT, SIM_ENDED, SIM_REFUSED };

struct sim_call {
    enum sim_life life;
    unsigned run;
    int64_t hold[STORE_SEEN_DIMS];
    int64_t charged[STORE_SEEN_DIMS]; /* ended */
    int64_t ts_ns;
    int day; /* that its admission named; -1: none */
    uint8_t content, end;
    bool sent;
};

struct sim_sum {
    int64_t charged[STORE_SEEN_DIMS], held[STORE_SEEN_DIMS];
    uint32_t in_flight;
};

struct sim_day {
    bool open;
    struct sim_sum before; /* it began to count */
};

struct sim_model {
    struct sim_call calls[SIM_CALLS];
    uint64_t records;
    int64_t refused[SIM_RUNS];
    bool closed[SIM_RUNS];
    bool object_known[SIM_OBJECTS];
    struct sim_day days[SIM_DAYS];
};

/* Does the call count in that scope (below SIM_SCOPES), or else in that day? */
bool sim_in_scope(const struct sim_call *call, unsigned scope);
bool sim_in_day(const struct sim_call *call, int day);
struct sim_sum sim_sum_of(const struct sim_model *model, unsigned scope);
struct sim_sum sim_sum_of_day(const struct sim_model *model, int day);

/* A day that begins to count now. */
void sim_day_open(struct sim_model *model, int day);

struct sim_question {
    unsigned number, run;
    int64_t hold[STORE_SEEN_DIMS];
    int64_t ts_ns;
    int day;
    uint8_t content; /* another one under the same id is another call */
    int64_t limits[SIM_SCOPES][STORE_SEEN_DIMS];
    int64_t day_limits[STORE_SEEN_DIMS];
};
enum store_err sim_admit(struct sim_model *model, const struct sim_question *question);
enum store_err sim_sent(struct sim_model *model, unsigned number);
struct sim_answer {
    unsigned number;
    enum store_end end;
    int64_t tokens, cost;
    int object; /* -1: none */
    bool made;
};
enum store_err sim_settle(struct sim_model *model, const struct sim_answer *answer);
void sim_refuse(struct sim_model *model, unsigned number, unsigned run, int64_t count);
enum store_err sim_close(struct sim_model *model, unsigned run);

/* ---- the world ------------------------------------------------------------------------------ */

#define SIM_BATCH 32u
#define SIM_NS    INT64_C(1000000000)
#define SIM_DAY_0 20000 /* since the epoch; times in the model are from there on */

enum sim_kind { SIM_ADMIT, SIM_SAY_SENT, SIM_PROGRESS, SIM_SETTLE, SIM_REFUSE, SIM_CLOSE };

struct sim_message {
    int64_t due; /* which comes first is chance */
    enum sim_kind kind;
    struct sim_question question;
    struct sim_answer answer;
    int64_t count;
};

struct sim_world {
    uint64_t seed;
    struct chance chance;
    struct store *store;
    char home[2][64]; /* a crash moves the ledger from one to the other, as the disk has it */
    unsigned at;
    long writes_left; /* the crash comes at that one; -1: none is due */
    struct sim_message *queue;
    unsigned queued;
    struct sim_message batch[SIM_BATCH];
    unsigned batched;
    struct sim_model model, before; /* before: what is committed */
    int64_t now_s, latest_s;
    bool days_count;
    unsigned calls;
    unsigned crashes, torn, operations;
};
extern struct sim_world sim_world;

/* Ends the program: what is wrong, and at which seed and operation. */
void sim_wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void sim_must(enum store_err err, const char *what);

/* sim_ledger.c: the ledger and its disk. */
void sim_home_copy(void); /* to the other home */
void sim_runs_begin(void);
/* To the ledger and to the model, which has to give the same answer. */
void sim_deliver(struct sim_message *message);
void sim_key_of(unsigned scope, struct store_scope_key *out);
void sim_key_of_day(int day, struct store_scope_key *out);
void sim_id_of(char kind, uint64_t number, uint8_t out[16]);

/* sim_compare.c */
bool sim_ledger_is(const struct sim_model *model, char *why, size_t size);
void sim_compare(const struct sim_model *model, const char *when);
void sim_prove(void);
/* Of all records, and of the counters that stand beside them. */
void sim_digest(uint8_t out[32]);

#endif
