/* SPDX-License-Identifier: Apache-2.0 */
/* What people decide, and are asked, in the sidecar: a part of side_int.h, for the files that deal
 * with it. A question, an extension, a state, an override is the writer's to book (orders.c), and
 * the loop's to ask for (people.c, overrides.c), to tell (report_orders.c) and to time. */
#ifndef FLYBALL_SIDECAR_ORDERS_H
#define FLYBALL_SIDECAR_ORDERS_H

#include "sidecar/queries.h"
#include "sidecar/side_book.h"

/* people.c: a run's question gets no answer after this: denied when its time is up. seq 0: there is
 * none any more. */
void side_run_expiry(struct side *side, struct side_run *run, uint64_t asked_seq);
/* Its launcher, of its state, time and question. */
void side_run_tell(struct side *side, struct side_run *run);
json_t *side_state_json(struct side *side, const struct side_notice *notice);

/* resume.c: a run that has ended, and is to go on: its row, and its budget into spec. False: *error
 * says why not. The operation that opens it again; run is the new launcher's. */
bool side_resume_read(struct side *side, const struct side_conn *conn, const json_t *request,
                      struct side_spec *spec, struct store_run *row_out, struct side_error *error);
void side_resume_fill(const struct side *side, const struct store_run *row, struct side_run *run,
                      struct side_op *op);

/* What its launcher has to know: its budget, and what it used before. */
void side_resume_tell(struct side *side, const struct side_run *run, json_t *answer);

/* limits.c. A scope's limits at this moment: as they were given, extended, overridden; true: an
 * override raised one. session: a run's. ceilings: what nothing raises them above; NULL: none. */
bool side_scope_limits(const struct store_override *overrides, unsigned count,
                       const struct store_scope_key *key, const char *session,
                       const struct gov_limit *ceilings, const struct store_counter *counter,
                       int64_t now_ns, struct gov_limit limits[GOV_DIMS]);

/* limits.c. Whether an override is of this scope; session: that of the run in question. */
bool side_override_meets(const struct store_override *override, const struct store_scope_key *key,
                         const char *session);

/* orders.c: what people decide, and what they are asked, in the writer. The person whom a call
 * waits for is asked, once for all calls of the run. The run ends, its question with it: op has
 * notices. A call has gone that waited for the run's question: the last one takes it back, and the
 * run goes on. An operation of kinds ANSWER, EXTEND, TURN, OVERRIDE. */
enum store_err side_ask(struct side_book *book, struct side_op *op,
                        const struct side_scopes *scopes, bool *durable_out);
/* Where a call might go, but the task of its run, or of one around it, was routed so that a person
 * has to say yes, and nobody has said so to that run: the verdict becomes GOV_ASK. */
enum store_err side_task_ask(struct side_book *book, struct side_op *op,
                             const struct side_scopes *scopes);
enum store_err side_withdraw(struct side_book *book, struct side_op *op,
                             const struct side_run *run);
enum store_err side_asks_no_more(struct side_book *book, struct side_op *op,
                                 const struct side_run *run);
enum store_err side_order(struct side_book *book, struct side_op *op);
/* A run's beginning in what is stopped. */
enum store_err side_begin_stopped(struct side_book *book, struct side_op *op);
void side_overrides_read(struct side_book *book);
enum store_err side_overrides_expire(struct side_book *book, int64_t now_ns);
/* What the launcher is told of its run's state. */
void side_notice_state(struct side_book *book, struct side_op *op, const struct side_run *run);

/* people.c: questions to people, and what they decide. */
void side_begin_approvals(struct side_query *query, struct store_view *view);
void side_begin_answer(struct side_query *query, struct store_view *view);
void side_begin_extend(struct side_query *query, struct store_view *view);
void side_begin_turn(struct side_query *query, struct store_view *view);
void side_begin_override_add(struct side_query *query, struct store_view *view);
void side_begin_override_list(struct side_query *query, struct store_view *view);
void side_begin_override_revoke(struct side_query *query, struct store_view *view);

/* cut.c: the streams of a run, and of those below it, end; one of them, once its answer has begun.
 */
void side_calls_cut(struct side *side, const struct side_run *run);
void side_call_cut(struct side_call *call);

/* report_orders.c: the members of their events; amounts as a map of the dimensions that have one.
 */
void side_asked_json(json_t *out, const struct store_event *event);
void side_order_json(json_t *out, const struct store_event *event);
const char *side_order_name(const struct store_event *event); /* NULL: another type */
json_t *side_amounts_json(const int64_t amounts[GOV_DIMS]);
/* limits.c. The overrides of the ledger, also those whose time is over; how many. */
unsigned side_overrides_of(struct store_view *view, struct store_override out[SIDE_OVERRIDES]);
/* limits.c. What is left of a run's time. */
int64_t side_wall_left_ms(int64_t limit_ms, const struct store_run *row,
                          const struct store_counter *counter, int64_t now_ns);
/* limits.c. A run's limits at this moment; 0: none. */
void side_limits_now(struct store_view *view, const struct store_run *run,
                     const struct gov_limit *ceilings, int64_t limits[GOV_DIMS]);

#endif
