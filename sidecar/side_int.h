/* SPDX-License-Identifier: Apache-2.0 */
/* The sidecar, inside.
 *
 * The model. Four threads, or more. The loop (main.c, conn.c, call.c, query.c) talks to everybody
 * and owns connections, calls and runs. The writer (engine.c, admit.c) owns the ledger's write
 * transaction: it takes what has queued up, decides and books it in one transaction, syncs, and
 * hands the results back to the loop; an admission that is alone it tells itself. The worker
 * (work.c) reads request bodies that would hold the loop up; a second one does chores: proving and
 * copying the ledger; a third one, once the control plane is used, finds out who asks there; one
 * for each rule of `notify:` tells people. They meet in two queues of operations; a run is shared
 * read-only, except for the part that is the writer's.
 *
 * Caveats. Verdicts leave after the commit that booked them. An operation that was handed over
 * belongs to the other side until its done() is called, in the loop. */
#ifndef FLYBALL_SIDE_INT_H
#define FLYBALL_SIDE_INT_H

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "shim/client.h"
#include "shim/page.h"
#include "shim/refusal.h"
#include "shim/wire.h"
#include "sidecar/lead.h"
#include "sidecar/notify.h"
#include "sidecar/pricing.h"
#include "sidecar/routing.h"
#include "sidecar/sidecar.h"
#include "store/store.h"

#define SIDE_WORK_ABOVE  (256u * 1024) /* request bodies above this are read by the worker */
#define SIDE_ASK_MOST    (8u << 20)    /* a larger body is not rewritten for asking alone */
#define SIDE_IDLE_MS     60000         /* an idle sidecar that was started on demand ends */
#define SIDE_ACK_BYTES   65536u        /* of an answer, between two acknowledgements */
#define SIDE_SLICE       200u          /* records that a listing reads at a time */
#define SIDE_QUEUE_BYTES (256u * 1024) /* unsent lines of a listing before it pauses */
#define SIDE_REPEATS     256u          /* refusals that are remembered */
#define SIDE_NOTICES_MAX 32u           /* of one operation: thresholds may come all at once */
#define SIDE_OVERRIDES   64u           /* that are in force at a time */

struct side;
struct side_conn;
struct side_call;
struct side_process;
struct side_notice;
struct side_control;
struct side_later;

/* ---- processes (peer.c) -------------------------------------------------------------------- */

struct side_process {
    pid_t parent, session; /* 0: not to be seen from here */
    int64_t start;         /* clock ticks since boot; -1: it is not there */
    bool dying;            /* or not there */
};

/* ---- zones (zone.c) ------------------------------------------------------------------------ */

struct side_zone {
    struct side_zone *next;
    char name[64]; /* "": the system's */
    uint16_t tag;  /* as store_scope_key has it */
    struct gov_zone zone;
    size_t count;
    unsigned char bytes[];
};
/* The zone of a name, "" the system's; it stays as long as the process. NULL: *error says why. In
 * one thread. */
const struct side_zone *side_zone_find(const char *name, struct side_error *error);
/* All of them, when nothing goes by them any more. */
void side_zones_release(void);

/* ---- what a run belongs to (windows.c) ----------------------------------------------------- */

#define SIDE_TAGS_MAX 144u
struct side_tags {
    unsigned count;
    struct {
        uint8_t kind; /* enum gov_scope_kind */
        uint8_t id[16];
    } tag[SIDE_TAGS_MAX];
};
void side_tags_of(const struct store_allocation *allocation, struct side_tags *tags);

/* ---- runs (runs.c) ------------------------------------------------------------------------ */

struct side_run {
    struct side_run *next;
    atomic_int references; /* the registry's, and one per operation and call */
    uint8_t id[16];
    uint8_t token[16];
    char id_text[37];
    struct side_spec spec;
    struct side_run *parent; /* counted; NULL: none */
    bool by_hand;
    bool ended; /* no new calls */
    pid_t pid;  /* the launcher's, or the session leader's */
    int64_t pid_start;
    int64_t started_ns;
    struct side_conn *launcher;    /* its connection; NULL: none now */
    struct event *death;           /* the pid's end */
    struct side_agent agent;       /* what the configuration says of spec.agent */
    struct side_routing *routing;  /* NULL: none is configured */
    struct meter_price_book *book; /* with the user's overrides; NULL: the shipped one */
    char unpriced[96];             /* the last model without a price that was told of */
    struct page *page; /* what its processes count in; NULL: it is over, or its launcher, which has
                          the page, is not back yet */
    int page_fd;
    uint64_t sent_posted;         /* the loop's: of what is counted there, handed to the writer */
    int64_t crossed_ns[GOV_DIMS]; /* the writer's: when each limit was used up; 0: not, or before
                                     a restart */
    struct gov_directive told;    /* the writer's: the last one that is in the ledger */
    uint64_t changes;             /* the writer's: counts what may change an answer for this run */
    struct side_leads leads;      /* the loop's */
    struct side_priced priced;
    struct side *side;            /* once there was a question */
    struct event *expiry;         /* of the question that is open; NULL: none */
    uint64_t asked_seq;           /* that question's record */
    const struct side_zone *zone; /* of its windows */
    struct side_tags tags;
};

/* No session given: a run is one of its own. */
static inline const char *side_run_session(const struct side_run *run)
{
    return run->spec.session[0] != '\0' ? run->spec.session : run->id_text;
}
struct side_run *side_run_find(struct side *side, const uint8_t id[16]);
/* A run that is over, which is in the ledger alone: not in the registry, gone with the call that
 * has the reference. NULL: no such run, or it is not over. */
struct side_run *side_run_over(struct side *side, const uint8_t id[16]);
/* One of the registry, else one that is over: a counted reference. NULL: neither. */
struct side_run *side_run_by_id(struct side *side, const uint8_t id[16]);
/* The run of a caller: by token, else by ancestry, else the session leader's own, which is made
 * from the configuration that env leads to. NULL: *error says why. A counted reference. */
struct side_run *side_run_of(struct side *side, const uint8_t *id, const uint8_t *token, pid_t pid,
                             const struct side_process *process, const char *const *env,
                             struct side_error *error);
/* The same, as far as there is one, not over. NULL: none. Not counted. */
struct side_run *side_run_known(struct side *side, const uint8_t *id, const uint8_t *token,
                                pid_t pid, const struct side_process *process);
struct side_run *side_run_hold(struct side_run *run);
void side_run_drop(struct side_run *run);
const struct meter_price_book *side_run_book(const struct side_run *run);
/* Opens a run as asked for by a launcher; the answer goes to conn when it is in the ledger. */
bool side_run_open(struct side *side, struct side_conn *conn, const json_t *request,
                   struct side_error *error);
/* A launcher is back after the sidecar was restarted. */
bool side_run_attach(struct side *side, struct side_conn *conn, const json_t *request,
                     struct side_error *error);
/* The launcher says how its command ended. */
bool side_run_finish(struct side_conn *conn, const json_t *request, struct side_error *error);
void side_run_close(struct side *side, struct side_run *run, int64_t exit, enum gov_state state);
void side_run_launcher_gone(struct side *side, struct side_conn *conn);
void side_runs_release(struct side *side);
bool side_runs_any(const struct side *side);
/* Whether a process is below a living launcher, or cannot be seen: no operator. */
bool side_run_above(struct side *side, pid_t pid);
/* A price file over the shipped book. NULL: *error says why. */
struct meter_price_book *side_book_read(const char *path, struct side_error *error);
/* A run as asked for, in nobody's list yet. NULL: *error says why. */
struct side_run *side_run_new(const struct side_spec *spec, struct side_error *error);
/* The run ends with its launcher, or session leader, however that ends. */
bool side_run_watch(struct side *side, struct side_run *run);
/* used.c: the run's page, which its launcher brings (conn; NULL, or it has none: a new one); a
 * process that asks for it; what it has that is not in the ledger yet, of the runs above as well,
 * into the ledger; what a launcher has measured, or has seen used up. */
bool side_page_open(struct side *side, struct side_run *run, struct side_conn *conn);
bool side_page_ask(struct side_conn *conn, struct wire_reader *r);
void side_used_look(struct side *side, struct side_run *run);
bool side_run_used(struct side_conn *conn, const json_t *request, struct side_error *error);
bool side_run_exhausted(struct side_conn *conn, const json_t *request, struct side_error *error);
/* kept.c: the list of configured hosts for the preloaded object; what is kept of a run while it
 * lives; the runs of before a restart. */
void side_hosts_write(struct side *side);
void side_run_keep(const struct side *side, const struct side_run *run);
void side_run_forget(const struct side *side, const struct side_run *run);
void side_runs_restore(struct side *side);
/* The provider of a host by the run's configuration; NULL: none there. */
const struct meter_provider *side_run_provider(const struct side_run *run, const char *host);

/* ---- the writer (engine.c, admit.c) ------------------------------------------------------- */

enum side_op_kind {
    SIDE_OP_RUN_OPEN, /* event: allocation */
    SIDE_OP_RUN_CLOSE,
    SIDE_OP_USED, /* event.used: what is new of egress, the whole of what a launcher measures */
    SIDE_OP_EXHAUSTED, /* event.threshold.dim: a limit that the launcher watches */
    SIDE_OP_ADMIT,     /* event: admission to be completed; call */
    SIDE_OP_CANCEL,    /* the caller with call_id is gone: other is its admission, when it waited;
                          run: of the question that it waited for, or may have (no call_id) */
    SIDE_OP_SENT,
    SIDE_OP_PROGRESS,
    SIDE_OP_SETTLE,   /* event: consumption */
    SIDE_OP_REFUSE,   /* event: a refusal that needs no decision */
    SIDE_OP_CORRECT,  /* event: a correction; from_pusd -1: from whatever it is */
    SIDE_OP_ANSWER,   /* event: an answer; amounts */
    SIDE_OP_EXTEND,   /* event: an extension, of amounts */
    SIDE_OP_TURN,     /* event: a run's state, or a stop of what is yet to come */
    SIDE_OP_OVERRIDE, /* event */
    SIDE_OP_TELL,     /* made by the writer: notices of what an operation that waits has done */
    SIDE_OP_CLOCK,    /* event: the clock as it is now is accepted: actor, reason */
    SIDE_OP_PROFILE,  /* event: a transition that a person asks for */
    SIDE_OP_SELECTED, /* event: what `flyball route` selected */
    SIDE_OP_COOLDOWN, /* event: a cooldown; status 0: a person's */
    SIDE_OP_BARRIER,  /* everything before it is in the ledger */
    SIDE_OP_STOP,
};

/* Something to tell a launcher. */
struct side_notice {
    struct side_run *run; /* counted */
    bool terminate;
    bool turned; /* the run's state, time or question is another one */
    enum gov_state state;
    bool by_hand;             /* paused without a question */
    int64_t left_ms;          /* of the wall clock; -1: no limit */
    int64_t limits[GOV_DIMS]; /* as they are now */
    uint64_t asked_seq;       /* 0: no question is open */
    enum gov_dim dim;
    enum gov_scope_kind scope_kind;
    enum gov_window window;
    uint8_t percent; /* 0: exhausted */
    uint64_t seq;    /* of its record; 0: it has none */
    bool asks;       /* a person is asked */
    int64_t consumed, limit;
};

/* Whose call it is, for windows that count those of a provider, model or tier. */
struct side_about {
    char provider[24];
    char model[96];
    char tier[4]; /* of the model, in the registry; "" in none */
};

/* What the primary reason's limit looked like. */
struct side_figures {
    int64_t spent, held, limit;
    enum gov_scope_kind scope_kind;
    enum gov_window window;
    int64_t resets_s;           /* 0: never */
    char name[SIDE_SCOPE_NAME]; /* of a window's scope; "" it has none */
};

/* How the writer itself tells a caller that it is admitted, when that is all there is to tell: one
 * wake-up less. Of the mail's lock, once the operation is posted. */
struct side_answer {
    bool may, given;
    int fd;         /* the connection's */
    uint64_t flags; /* WIRE_FLAGS of the verdict */
};

struct side_op {
    struct side_op *next;
    enum side_op_kind kind;
    void (*done)(struct side *side, struct side_op *op); /* in the loop; the op is its own then */
    void *owner;
    struct side_op *other;
    struct side_run *run; /* counted; NULL: none */
    uint8_t call_id[16];
    int64_t ts_ns;
    enum store_err result;
    /* SIDE_OP_ADMIT */
    struct side_answer answer;
    struct gov_call call;
    struct side_about about; /* also of SENT, SETTLE */
    struct gov_verdict verdict;
    struct gov_directive directive;
    struct side_candidate *candidates; /* NULL: no routing for this call; freed with the op */
    unsigned candidate_count, chosen, floor;
    bool has_local;      /* besides: candidates[SIDE_LOCAL] */
    unsigned empty_tier; /* the first one below that has no model for it; GOV_TIERS: none */
    struct gov_selection selection;
    bool breached; /* a limit was in the way of a model: ... */
    struct store_threshold breach;
    struct side_figures figures;
    int64_t deadline_ms; /* monotonic: until when it may wait */
    atomic_bool waiting; /* it is in line; heartbeats say so */
    int64_t patience_ms;
    const struct side_run *asking; /* it waits for a person's word on this run; NULL: it does not */
    bool asked;                    /* it did until now */
    bool reviewed;                 /* a question stood while it did */
    bool lifts;                    /* SIDE_OP_SELECTED: see store_select */
    bool cancelled;
    bool repeated;      /* answered from memory */
    int refused_status; /* the HTTP status of a refusal that is final */
    uint8_t request_hash[32];
    /* SIDE_OP_ANSWER, SIDE_OP_EXTEND: to be added; 0: nothing; all 0: what was suggested */
    int64_t amounts[GOV_DIMS];
    enum gov_dim dim_wrong; /* of amounts: it has no limit, or a ceiling; GOV_DIMS: none */
    int64_t ceiling;        /* ... this one; 0: none */
    /* SIDE_OP_RUN_CLOSE; SIDE_OP_TURN, SIDE_OP_EXTEND: as it was before */
    enum gov_state state;
    int64_t exit;
    /* SIDE_OP_PROGRESS */
    struct meter_progress *progress;
    bool applied; /* once, in the writer ... */
    unsigned notice_count;
    struct store_event event;
    /* What is big, and mostly not used, is not cleared in a new one: from event.scopes on. */
    struct store_event given; /* ... which fills the event in; this is as it was before */
    struct side_notice notices[SIDE_NOTICES_MAX];
};

struct side_op *side_op_new(enum side_op_kind kind, struct side_run *run,
                            void (*done)(struct side *, struct side_op *), void *owner);
void side_op_free(struct side_op *op);
/* Whose call the operation is of. */
void side_op_about(struct side_op *op, const struct meter_request *request);
/* Hands over. Order is kept. */
void side_post(struct side *side, struct side_op *op);

struct side_engine;
struct side_engine *side_engine_start(struct side *side, struct store *store);
/* After what was posted before: ends the writer, and returns when it has ended. */
void side_engine_stop(struct side_engine *engine);

/* ---- the worker (work.c) ------------------------------------------------------------------ */

struct side_job {
    struct side_job *next;
    void (*work)(struct side_job *job);                    /* in the worker */
    void (*done)(struct side *side, struct side_job *job); /* in the loop; frees it */
    void *owner;
};
struct side_worker;
struct side_worker *side_worker_start(struct side *side);
void side_worker_stop(struct side_worker *worker);
void side_work(struct side_worker *worker, struct side_job *job);

/* In the loop: calls then(side, data) when everything that other ends have said until now is read.
 */
void side_later(struct side *side, void (*then)(struct side *side, void *data), void *data);
/* From any thread: the ledger is closed for writing, so this sidecar ends. */
void side_give_up(struct side *side);
/* Into the loop, from any thread. */
void side_deliver_ops(struct side *side, struct side_op *list);
/* In the loop: what has been delivered, now. */
void side_mail_open(struct side *side);
void side_deliver_job(struct side *side, struct side_job *job);

/* ---- connections (conn.c) ----------------------------------------------------------------- */

struct side_conn {
    struct side_conn *next, **link;
    struct side *side;
    int fd;
    pid_t pid; /* 0: not to be seen from here */
    uid_t uid;
    struct event *readable, *writable, *death;
    int pidfd;
    struct side_process process; /* of pid; read once it is wanted */
    bool process_known;
    struct side_call *call;   /* a governed process's */
    struct side_query *query; /* an operator's */
    struct side_run *run;     /* a launcher's, counted */
    struct side_run *page_of; /* whose page it waits for, counted; NULL: none */
    int page_fd;              /* a page that it has brought; -1: none */
    int poke_fd;              /* a socket, for a byte when a verdict is out; -1: none */
    unsigned char *unsent; /* frames that did not fit the socket, each with its length in front */
    size_t unsent_used, unsent_size;
    bool closing;    /* once everything is sent */
    int64_t told_ms; /* monotonic: when it last asked, or was sent anything */
};

bool side_listen(struct side *side, struct side_error *error);
/* One that has been accepted; fd is taken over. NULL: it cannot be had, and fd is as it was. */
struct side_conn *side_conn_new(struct side *side, int fd, const struct ucred *peer);
/* A frame to the other end. Never blocks; what does not fit is kept. */
void side_conn_send(struct side_conn *conn, const void *frame, size_t count, int fd);
void side_conn_close(struct side_conn *conn);
/* Wakes what waits in a multi handle: a verdict is out. */
void side_conn_poke(const struct side_conn *conn);
/* Closes what others have sent: a socket that lingers makes whoever closes it wait. -1 is fine. */
void side_fd_close(int fd);
/* DONE with an exit code and, unless it is 0, why. */
void side_conn_done(struct side_conn *conn, int status, const char *text);
/* A piece of output, at most a frame's worth per frame. */
void side_conn_reply(struct side_conn *conn, const char *text, size_t count);
void side_conn_notice(struct side_conn *conn, const char *json_text);
bool side_conn_is_full(const struct side_conn *conn);

/* ---- calls (call.c, ask.c, verdict.c, settle.c) ------------------------------------------- */

enum side_phase {
    SIDE_ASKED,    /* being read, or with the writer */
    SIDE_HELD,     /* admitted */
    SIDE_SETTLING, /* over; with the writer */
};

struct side_call {
    struct side_call *next, **link;
    struct side *side;
    struct side_conn *conn; /* NULL: the caller's connection is gone */
    struct side_run *run;   /* counted */
    enum side_phase phase;
    uint8_t id[16];
    char id_text[37];
    struct meter_request request;
    char method[32], host[300], content_type[WIRE_TYPE_ROOM];
    const unsigned char *body; /* the request's; NULL: none */
    size_t body_bytes;
    bool body_mapped;       /* it is the caller's sealed memfd; else a copy */
    uint64_t flags;         /* enum wire_flag of ADMIT */
    int64_t wait_ms;        /* the caller's own patience; 0: none said */
    uint8_t hash[32];       /* of the question */
    struct side_lead *lead; /* NULL: its API has no messages, or they cannot be told */
    enum refusal_shape shape;
    struct side_op *admitting; /* with the writer */
    struct side_job *reading;  /* with the worker */
    bool gone;                 /* the caller left while we were asking, or rewriting */
    /* admitted */
    int64_t hold_pusd, hold_tokens;
    uint64_t cap_held;
    bool renamed;               /* request.model is another one than in the body */
    bool clamped;               /* cap_held is another one than the request's */
    struct event *pacing;       /* when it may leave; NULL: at once */
    struct side_job *rewriting; /* its request, with the worker; NULL: not, or done */
    bool priced, read_only;
    int64_t admitted_ns, admitted_ms;
    bool sent;
    int socket; /* the connection of a stream; -1: none */
    enum {
        SIDE_CUT_NOT,
        SIDE_CUT_WANTED, /* if a stream comes, it is to end */
        SIDE_CUT_SENT
    } cut;
    bool by_lines;        /* its answer's events are lines */
    bool has_events;      /* the framing of its answer is known */
    int64_t sent_mono_ms; /* monotonic */
    struct meter_stream *stream;
    bool resumed; /* the stream goes on from progress */
    struct meter_progress *progress;
    int status;
    uint64_t fed, acked;
    bool acking;
    bool stream_lost;
    /* a call of before a restart, until it is claimed */
    pid_t pid;
    int64_t pid_start;
    int pidfd;
    struct event *death;
    char path[4096];                /* not cleared in a new one */
    unsigned char small_body[4096]; /* nor is this: where body is, if it is not larger */
};

/* A frame of a governed process; fd: what came with it, or -1; taken over by setting it to -1.
 * False: end the connection. */
bool side_call_frame(struct side_conn *conn, enum wire_type type, struct wire_reader *r, int *fd);
/* The other end is gone. tap_lost: more of its answer may have passed than was told here. */
void side_call_gone(struct side_call *call, bool tap_lost);
void side_call_free(struct side_call *call);
void side_call_body_release(struct side_call *call);
void side_calls_restore(struct side *side);
/* To everybody who waits. */
void side_heartbeat(struct side *side);
/* ask.c: reads the question and gives it to the writer. */
void side_call_ask(struct side_call *call);
/* verdict.c: what the writer said. */
void side_call_decided(struct side *side, struct side_op *op);
/* Before it is posted: whether the writer may tell. In the writer, once it is in the ledger. */
void side_answer_prepare(const struct side_call *call, struct side_answer *answer);
void side_answer_give(struct side_op *op);
/* Its connection goes. */
void side_answer_forget(struct side_call *call);
void side_call_refuse(struct side_call *call, enum gov_reason reason, const char *detail);
/* Warnings, endings, states, to the launchers that they concern. */
void side_notices_tell(struct side *side, struct side_op *op);
/* settle.c: what came of it. */
struct side_ending {
    bool broken, tap_lost, answered;
    bool failed; /* for other reasons than the application's own */
    uint64_t egress, sent_ms;
};
void side_call_settle(struct side_call *call, const struct side_ending *ending);
bool side_call_response(struct side_call *call, struct wire_reader *r);
bool side_call_data(struct side_call *call, struct wire_reader *r);
bool side_call_end(struct side_call *call, struct wire_reader *r);
/* The request as far as the ledger knows it; enough to meter and bill its answer. */
void side_request_restore(struct meter_request *request, const struct store_admission *admission);

/* ---- the operator's questions (query.c, listing.c, operate.c, report.c, receipt.c) -------- */

void side_query_begin(struct side_conn *conn, const json_t *request);
void side_query_go_on(struct side_query *query);
void side_query_free(struct side_query *query);
/* The ledger has grown: listings that follow it go on. */
void side_queries_wake(struct side *side);

/* What calls have come to, by provider (snapshot.c). */
#define SIDE_SUMS 32u
struct side_sum {
    char name[GOV_PROVIDER_TEXT + 1];
    int64_t requests, request_tokens, response_tokens, failures, skipped, cost_pusd;
};
struct side_sums {
    struct side_sum of[SIDE_SUMS];
    unsigned count;
};
/* A call that has ended, at what is charged. */
void side_sum_add(struct side_sum *sum, const struct store_consumption *used, int64_t charged_pusd);
/* NULL: there are too many. */
struct side_sum *side_sum_of(struct side_sums *sums, const char *provider);

/* ---- looking after the ledger (anchor.c) --------------------------------------------------- */

struct side_anchor {
    struct event *timer;
    bool busy;               /* being written down */
    struct side_child child; /* by this command */
    char last[128];          /* what was */
    char error[200];         /* why not, at the last attempt; "" it was */
};
/* What a run outside all others asks for holds from now on. */
void side_keep(struct side *side, const struct side_keeping *keeping);
/* Something new is to be written down elsewhere. */
bool side_anchor_due(const struct side *side);
void side_anchor_free(struct side *side);

/* ---- small things (peer.c) ------------------------------------------------------- */

bool side_process_read(pid_t pid, struct side_process *out);
int64_t side_pid_start(pid_t pid); /* -1: it is not there */
int side_pidfd(pid_t pid);         /* -1: it is not there */
/* {"cwd"} of a process, as a launcher tells its own. NULL: not to be seen. */
json_t *side_place_json(pid_t pid);
void side_boot_id(uint8_t out[16]);
/* All of a text that fits in. text need not end within size bytes. */
void side_text_copy(char *out, size_t size, const char *text);
int64_t side_now_ns(void); /* wall clock */
int64_t side_now_ms(void); /* monotonic */

/* ---- the whole (main.c) ------------------------------------------------------------------- */

struct side {
    struct event_base *base;
    struct store *store;
    char home[512];
    uid_t uid; /* ours: others are not talked to */
    bool on_demand;
    atomic_bool gave_up; /* the ledger is closed for writing */
    int listener;
    struct event *accepting, *mail, *heartbeat, *idle, *signals;
    int mail_fd;
    pthread_mutex_t mail_lock;
    struct side_op *mail_ops, **mail_ops_tail;
    struct side_job *mail_jobs, **mail_jobs_tail;
    struct side_engine *engine;
    struct side_worker *worker;  /* what a call waits for */
    struct side_worker *chores;  /* what may take its time */
    struct side_keeping keeping; /* the loop's */
    struct side_anchor anchor;
    struct side_sums totals; /* the chores': of all records before: */
    uint64_t totals_seq;
    struct side_control *control; /* NULL: there is none, and why: */
    char control_error[200];
    char control_url[64]; /* http://IP:PORT; "" there is none */
    struct side_notify notify;
    atomic_llong retention_ms; /* the same, for the writer */
    struct side_conn *conns;
    struct side_call *calls;
    struct side_run *runs;
    uint64_t kept_seq; /* the last record of the sidecar before */
    struct side_query *queries;
    uint64_t query_count; /* so far */
    struct side_later *laters;
    uint8_t boot_id[16];
    int64_t busy_since_ms; /* for idling: the last time there was something */
};

#endif
