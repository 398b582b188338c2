/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's question, inside: a part of side_int.h, for the files that answer (query.c,
 * listing.c, operate.c, people.c, overrides.c). */
#ifndef FLYBALL_SIDECAR_QUERIES_H
#define FLYBALL_SIDECAR_QUERIES_H

#include "sidecar/side_int.h"

struct side_verb {
    const char *name;
    /* One line as JSON, or as *text_out (to be freed), or none of both; *more false: that was all.
     * NULL: no listing. */
    json_t *(*line)(struct side_query *query, struct store_view *view, bool *more, char **text_out);
    /* NULL: a listing has no other beginning. */
    void (*begin)(struct side_query *query, struct store_view *view);
    bool (*ready)(struct side_query *query); /* before a listing; NULL: nothing to do */
    bool one;     /* begin answers for a single run, the listing for many */
    bool outside; /* refused from inside a run */
};

struct side_query {
    uint64_t number; /* no other has it, nor will */
    struct side_query *next, **link;
    struct side_conn *conn;
    const struct side_verb *verb;
    json_t *request;
    bool ready;  /* the barrier is through */
    bool asleep; /* a listing that follows the ledger has caught up */
    bool follow;
    bool all;
    char kind[16];
    uint8_t run_id[16];
    bool by_run;
    char session[64];
    struct store_index_key of; /* the calls, or the runs, of it */
    int64_t since_ns;
    uint64_t seq; /* the next record */
    uint8_t last_id[16];
    bool has_last;
    uint8_t head[32];
    bool has_head;
    unsigned pending; /* operations that it waits for */
    int code;         /* of what is done so far */
    char why[400];
    const struct meter_price_book *book; /* of `reprice` */
    struct meter_price_book *own_book;   /* NULL: it is the shipped one */
};
/* What an operation or a job has of the query that waits for it, which may have gone when that is
 * done: its name, never its address, which may be another's by then. NULL: it has gone. */
void *side_query_name(const struct side_query *query);
struct side_query *side_query_named(const struct side *side, const void *name);
/* A line; the reference is taken. */
void side_reply_json(struct side_conn *conn, json_t *json);

/* listing.c: --run ID, --session S, --all, or none of them: the newest run. False: there is no such
 * run; the other end has been told. */
bool side_select_records(struct side_query *query, const json_t *request);
/* How many runs have an id that begins so, two for more; the first of them. */
unsigned side_runs_find(struct store_view *view, const char *prefix, struct store_run *out);
/* The lines of listings: see struct side_verb. */
json_t *side_line_event(struct side_query *query, struct store_view *view, bool *more,
                        char **text_out);
json_t *side_line_receipt(struct side_query *query, struct store_view *view, bool *more,
                          char **text_out);
json_t *side_line_record(struct side_query *query, struct store_view *view, bool *more,
                         char **text_out);
json_t *side_line_decision(struct side_query *query, struct store_view *view, bool *more,
                           char **text_out);
json_t *side_line_call(struct side_query *query, struct store_view *view, bool *more,
                       char **text_out);
json_t *side_line_run(struct side_query *query, struct store_view *view, bool *more,
                      char **text_out);

/* What an id that begins so comes after. False: none can begin so. */
bool side_id_before(const char *prefix, uint8_t out[16]);
/* The next call that is asked for. False: there is none. */
bool side_next_call(struct side_query *query, struct store_view *view, struct store_call *out);

/* Of what is done by a worker: the query that waits for it. */
struct side_chore {
    struct side_job job;
    struct side *side;
    void *of; /* side_query_name */
};
/* The job in front of a chore that has been allocated with calloc; NULL: out of memory, told. */
void side_chore_begin(struct side_query *query, struct side_chore *chore,
                      void (*work)(struct side_job *job),
                      void (*done)(struct side *side, struct side_job *job));
/* whole.c: the ledger as a whole. */
void side_begin_verify(struct side_query *query, struct store_view *view);
void side_begin_backup(struct side_query *query, struct store_view *view);
void side_begin_retire(struct side_query *query, struct store_view *view);

/* operate.c: corrections. */
void side_begin_correct(struct side_query *query, struct store_view *view);
void side_begin_clock(struct side_query *query, struct store_view *view);
bool side_reprice_ready(struct side_query *query); /* false: told why */
json_t *side_line_reprice(struct side_query *query, struct store_view *view, bool *more,
                          char **text_out);

/* One event, call, run as the contract has it. NULL: out of memory, or nothing to show. */
const char *side_event_name(unsigned type); /* NULL: none */
json_t *side_event_json(struct store_view *view, const struct store_event *event);
json_t *side_call_json(struct store_view *view, const struct store_call *call);
/* lives: the same run, while it lives; else NULL. */
json_t *side_run_json(struct store_view *view, const struct store_run *run,
                      const struct side_run *lives);
/* How the windows stand that a run has, or had, limits on; the record of one's beginning. */
json_t *side_windows_json(struct store_view *view, const struct store_run *run,
                          const struct side_run *lives);
void side_begun_json(json_t *out, const struct store_begun *begun);
void side_clock_json(json_t *out, const struct store_clock *clock);
json_t *side_labels_json(const struct store_allocation *allocation);

#endif
