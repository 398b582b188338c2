/* SPDX-License-Identifier: Apache-2.0 */
/* What the caller is told: the admission, with the request rewritten where its output cap had to be
 * lowered or its stream has to be asked for its usage, or the refusal, in words that an agent's
 * user understands. */
#include "sidecar/orders.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- out ---------------------------------------------------------------------------------- */

/* The verdict first: whoever is woken by the byte must find it. */
static void send_verdict(struct side_call *call, const struct wire_writer *w, int fd)
{
    struct side_conn *conn = call->conn;

    if (w->overflow)
        return;
    side_conn_send(conn, w->at, w->used, fd);
    side_conn_poke(conn);
}

static void send_refusal(struct side_call *call, const struct refusal *refusal)
{
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    size_t bytes = 0;
    char *answer = refusal_answer(refusal, &bytes);
    struct wire_writer w;

    if (frame != NULL && answer != NULL) {
        bool curl = call->run != NULL && call->run->spec.refuse_curl;

        wire_begin(&w, frame, WIRE_FRAME_MAX, WIRE_VERDICT);
        wire_put_number(&w, WIRE_DECISION, curl ? WIRE_REFUSED_CURL : WIRE_REFUSED);
        wire_put_text(&w, WIRE_TEXT, refusal->message);
        wire_put(&w, WIRE_ANSWER, answer, bytes);
        send_verdict(call, &w, -1);
    }
    free(answer);
    free(frame);
}

/* ---- words -------------------------------------------------------------------------------- */

struct words {
    char message[900], hint[400];
    char spent[64], held[64], limit[64], remaining[64], resets[32];
    char scope[SIDE_SCOPE_NAME + 16];
    const char *reasons[GOV_CODES_MAX + 1];
};

static void amount_json(enum gov_dim dim, int64_t amount, char *out, size_t size)
{
    char usd[METER_USD_TEXT];

    if (dim == GOV_COST)
        (void)snprintf(out, size, "\"%s\"", meter_usd_text(amount, usd));
    else
        (void)snprintf(out, size, "%lld", (long long)amount);
}

/* "the cost budget of this run is used up: $4.80 spent + $0.10 held of $5.00"; the hint is there.
 */
static void words_of_limit(const struct side_op *op, const char *how, const char *why,
                           struct words *words)
{
    const struct side_figures *figures = &op->figures;
    enum gov_dim dim = op->verdict.finding.dim;
    char spent[SIDE_AMOUNT_TEXT], held[SIDE_AMOUNT_TEXT], limit[SIDE_AMOUNT_TEXT];
    char whose[GOV_WHOSE_TEXT];
    int64_t left = figures->limit - figures->spent - figures->held;

    amount_json(dim, figures->spent, words->spent, sizeof words->spent);
    amount_json(dim, figures->held, words->held, sizeof words->held);
    amount_json(dim, figures->limit, words->limit, sizeof words->limit);
    amount_json(dim, left > 0 ? left : 0, words->remaining, sizeof words->remaining);
    if (figures->resets_s > 0)
        (void)side_time_text(figures->resets_s * INT64_C(1000000000), words->resets);
    (void)snprintf(words->scope, sizeof words->scope, "%s%s%s", gov_scope_name(figures->scope_kind),
                   figures->name[0] != '\0' ? ":" : "", figures->name);
    (void)snprintf(words->message, sizeof words->message,
                   "flyball: %s: %s of %s is %s: %s spent + %s held of %s%s; %s", words->reasons[0],
                   gov_dim_phrase(dim), gov_whose(figures->scope_kind, figures->window, whose), how,
                   side_amount_text(dim, figures->spent, spent),
                   side_amount_text(dim, figures->held, held),
                   side_amount_text(dim, figures->limit, limit), why, words->hint);
}

static void words_of_busy(const struct side_op *op, struct words *words)
{
    (void)snprintf(words->hint, sizeof words->hint, "try again when calls in flight are done");
    if (op->verdict.finding.dim != GOV_DIMS)
        words_of_limit(op, "held by calls in flight", "", words);
    else
        (void)snprintf(words->message, sizeof words->message,
                       "flyball: %s: as many calls of this agent are in flight as may be at a "
                       "time; %s",
                       words->reasons[0], words->hint);
}

static void words_of_used_up(const struct side_op *op, struct words *words)
{
    const struct side_figures *figures = &op->figures;
    bool left = figures->spent < figures->limit && op->verdict.finding.dim != GOV_WALL;

    (void)snprintf(words->hint, sizeof words->hint,
                   "stop here and tell the person who started this; %s",
                   figures->window != GOV_WHOLE ? "the limit is one of a window of time"
                                                : "only they can raise the limit");
    words_of_limit(op, "used up", left ? ", and the smallest form of this call does not fit" : "",
                   words);
}

static void words_of_clock(const struct side_op *op, struct words *words)
{
    (void)snprintf(
        words->hint, sizeof words->hint,
        "stop here and tell the person who started this; they have to look at the clock");
    words_of_limit(op, "closed", "; the clock of this machine was set ahead", words);
}

static void words_of_price(const struct side_call *call, struct words *words)
{
    const char *provider = meter_provider_name(call->request.provider);
    const char *model = call->request.model[0] != '\0' ? call->request.model : "unknown";

    if (call->request.api == NULL)
        (void)snprintf(words->hint, sizeof words->hint,
                       "%.140s%.200s is not an API that this version can price", call->host,
                       call->path);
    else if (strcmp(provider, "unknown") == 0)
        (void)snprintf(words->hint, sizeof words->hint,
                       "if it is one you know, the configuration can say so: providers: [{name: "
                       "openai, hosts: [\"%s\"]}]",
                       call->host);
    else
        (void)snprintf(words->hint, sizeof words->hint,
                       "the configuration can name a price: prices: {override: FILE}");
    (void)snprintf(words->message, sizeof words->message,
                   "flyball: price_unknown: there is no price for model %s of %s (%s), and this "
                   "run has a limit that needs one; it was not sent; %s",
                   model, provider, call->host, words->hint);
}

static void words_of_state(enum gov_reason reason, struct words *words)
{
    const char *what = reason == GOV_REASON_STOPPED  ? "a person has stopped this run"
                       : reason == GOV_REASON_DENIED ? "a person was asked, and said no"
                       : reason == GOV_REASON_APPROVAL_TIMEOUT
                           ? "a person was asked, and did not answer in time"
                           : "this run is over";

    (void)snprintf(words->hint, sizeof words->hint, "nothing more is sent for it");
    (void)snprintf(words->message, sizeof words->message, "flyball: %s: %s; %s", words->reasons[0],
                   what, words->hint);
}

static void words_of_cooldown(const struct side_call *call, const struct side_op *op,
                              struct words *words)
{
    (void)side_time_text(op->directive.cool_until_ms * INT64_C(1000000), words->resets);
    (void)snprintf(words->hint, sizeof words->hint, "try again later");
    (void)snprintf(words->message, sizeof words->message,
                   "flyball: %s: %s asked for a pause, until %s; %s", words->reasons[0],
                   meter_provider_name(call->request.provider), words->resets, words->hint);
}

static void words_of(const struct side_call *call, const struct side_op *op, struct words *words)
{
    const struct gov_finding *finding = &op->verdict.finding;

    memset(words, 0, sizeof *words);
    for (unsigned i = 0; i < finding->count; i++)
        words->reasons[i] = gov_reason_text(finding->reasons[i]);
    if (finding->reasons[0] == GOV_REASON_PRICE_UNKNOWN) {
        words_of_price(call, words);
    } else if (finding->reasons[0] == GOV_REASON_BUSY) {
        words_of_busy(op, words);
    } else if (finding->reasons[0] == GOV_REASON_COOLDOWN) {
        words_of_cooldown(call, op, words);
    } else if (finding->reasons[0] == GOV_REASON_CLOCK_JUMP) {
        words_of_clock(op, words);
    } else if (finding->dim == GOV_DIMS && finding->reasons[0] >= GOV_REASON_NO_MODELS &&
               finding->reasons[0] <= GOV_REASON_NO_TIER) {
        (void)snprintf(words->hint, sizeof words->hint,
                       "stop here and tell the person who started this");
        (void)snprintf(words->message, sizeof words->message,
                       "flyball: %s: a guardrail is reached, and there is no cheaper model; %s",
                       words->reasons[0], words->hint);
    } else if (finding->dim != GOV_DIMS) {
        words_of_used_up(op, words);
    } else {
        words_of_state(finding->reasons[0], words);
    }
}

static bool is_responses(const struct side_call *call)
{
    return strcmp(meter_api_name(call->request.api), "responses") == 0;
}

/* Longer ones are slept out silently by some clients. */
static unsigned cooldown_s(const struct gov_directive *directive)
{
    int64_t s = (directive->cool_until_ms - directive->evaluated_ms + 999) / 1000;

    return s > 30 ? 30 : s < 1 ? 1 : (unsigned)s;
}

static void tell_refusal(struct side_call *call, const struct side_op *op)
{
    const struct gov_finding *finding = &op->verdict.finding;
    bool cooling = finding->reasons[0] == GOV_REASON_COOLDOWN;
    bool busy = finding->reasons[0] == GOV_REASON_BUSY || cooling;
    struct words *words = malloc(sizeof *words);
    struct refusal refusal;

    if (words == NULL)
        return;
    words_of(call, op, words);
    refusal = (struct refusal){
        .shape = call->shape,
        .class = busy ? REFUSAL_BUSY : REFUSAL_FINAL,
        .responses_api = is_responses(call),
        .retry_after_s = cooling ? cooldown_s(&op->directive)
                         : busy  ? 1
                                 : 0,
        .message = words->message,
        .call_id = call->id_text,
        .run_id = call->run->id_text,
        .reasons = words->reasons,
        .hint = words->hint,
    };
    if (finding->dim != GOV_DIMS && words->limit[0] != '\0') {
        refusal.scope = words->scope;
        refusal.dimension = gov_dim_name(finding->dim);
        refusal.spent = words->spent;
        refusal.held = words->held;
        refusal.limit = words->limit;
        refusal.remaining = words->remaining;
    }
    refusal.resets_at = words->resets[0] != '\0' ? words->resets : NULL;
    send_refusal(call, &refusal);
    free(words);
}

/* ---- refusals that need no decision ------------------------------------------------------- */

static void on_refused(struct side *side, struct side_op *op)
{
    side_queries_wake(side);
    side_op_free(op);
}

static void record_refusal(struct side_call *call, enum gov_reason reason, int status)
{
    struct side_op *op = side_op_new(SIDE_OP_REFUSE, call->run, on_refused, NULL);
    struct store_refusal *refusal;

    if (op == NULL)
        return;
    op->event.head.type = STORE_REFUSAL;
    op->event.head.ts_ns = side_now_ns();
    memcpy(op->event.head.run_id, call->run->id, 16);
    memcpy(op->event.head.call_id, call->id, 16);
    refusal = &op->event.refusal;
    refusal->count = 1;
    refusal->reason_count = 1;
    refusal->reasons[0] = (uint16_t)reason;
    refusal->dim = GOV_DIMS;
    refusal->wanted[GOV_COST] = -1;
    refusal->status = status;
    refusal->pid = call->pid;
    (void)snprintf(refusal->provider, sizeof refusal->provider, "%s",
                   call->request.provider != NULL ? meter_provider_name(call->request.provider)
                                                  : "");
    (void)snprintf(refusal->api, sizeof refusal->api, "%s", meter_api_name(call->request.api));
    (void)snprintf(refusal->model, sizeof refusal->model, "%.95s", call->request.model);
    side_post(call->side, op);
}

void side_call_refuse(struct side_call *call, enum gov_reason reason, const char *detail)
{
    bool unavailable = reason == GOV_REASON_LEDGER_READ || reason == GOV_REASON_LEDGER_WRITE ||
                       reason == GOV_REASON_DECISION_LOG;
    const char *reasons[] = {gov_reason_text(reason), NULL};
    char message[700];
    struct refusal refusal = {
        .shape = call->shape,
        .class = unavailable ? REFUSAL_UNAVAILABLE : REFUSAL_FINAL,
        .responses_api = strstr(call->path, "/responses") != NULL,
        .message = message,
        .call_id = call->id_text,
        .run_id = call->run != NULL ? call->run->id_text : NULL,
        .reasons = reasons,
        .hint = "the call was not sent",
    };

    (void)snprintf(message, sizeof message, "flyball: %s: %s; the call was not sent", reasons[0],
                   detail);
    if (call->conn != NULL)
        send_refusal(call, &refusal);
    if (call->run != NULL && !unavailable)
        record_refusal(call, reason, refusal_status(&refusal));
    side_call_free(call);
}

/* ---- admissions --------------------------------------------------------------------------- */

/* A stream that would not report is asked to, where the caller can keep the chunk that comes of it
 * from the application. Nobody has the time to copy a body of any size for that. */
static bool asks_usage(const struct side_call *call)
{
    return call->run->spec.ask_usage && call->request.ask_text != NULL && !call->read_only &&
           call->body_bytes <= SIDE_ASK_MOST &&
           (call->flags & (WIRE_CAN_STRIP | WIRE_NO_REWRITE)) == WIRE_CAN_STRIP;
}

/* The request with what is to be changed, as a sealed memfd; -1: it could not be made, or nothing
 * is. */
static int rewritten(const struct side_call *call, const struct meter_rewrite *rewrite,
                     size_t *bytes_out)
{
    char *body = NULL;
    int fd;

    if (meter_request_rewrite(&call->request, call->body, call->body_bytes, rewrite, &body,
                              bytes_out) != METER_OK)
        return -1;
    fd = memfd_create("flyball-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 &&
        (write(fd, body, *bytes_out) != (ssize_t)*bytes_out ||
         fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    free(body);
    return fd;
}

static void release_unsent(struct side_call *call)
{
    const struct side_ending ending = {.broken = true};

    side_call_settle(call, &ending);
}

struct rewriting {
    struct side_job job;
    struct side_call *call;
    struct meter_rewrite rewrite;
    size_t bytes;
    int fd; /* -1: the request goes as it is, if it may */
};

/* In the loop, or in the worker. */
static void work_rewriting(struct side_job *job)
{
    struct rewriting *made = (struct rewriting *)job;

    made->fd = rewritten(made->call, &made->rewrite, &made->bytes);
    if (made->fd < 0 && made->rewrite.ask_usage) { /* it may go without being asked */
        made->rewrite.ask_usage = false;
        made->fd = rewritten(made->call, &made->rewrite, &made->bytes);
    }
}

static void admission_frame(struct wire_writer *w, unsigned char *frame, size_t size,
                            uint64_t flags)
{
    wire_begin(w, frame, size, WIRE_VERDICT);
    wire_put_number(w, WIRE_DECISION, WIRE_ADMITTED);
    wire_put_number(w, WIRE_FLAGS, flags);
}

static uint64_t admission_flags(const struct side_call *call)
{
    return call->request.stream || call->request.stream_open ? WIRE_WANTS_SOCKET : 0;
}

static void tell_rewritten(struct side_call *call, const struct rewriting *made)
{
    unsigned char frame[128];
    struct wire_writer w;

    if (call->gone || (made->fd < 0 && (made->rewrite.cap_set || made->rewrite.model != NULL))) {
        release_unsent(call); /* it must not go as it is */
        return;
    }
    admission_frame(&w, frame, sizeof frame,
                    admission_flags(call) | (made->rewrite.ask_usage ? WIRE_STRIP_USAGE : 0));
    if (made->fd >= 0)
        wire_put_number(&w, WIRE_BODY_BYTES, made->bytes);
    send_verdict(call, &w, made->fd);
    side_call_body_release(call);
}

static void done_rewriting(struct side *side, struct side_job *job)
{
    struct rewriting *made = (struct rewriting *)job;

    (void)side;
    made->call->rewriting = NULL;
    tell_rewritten(made->call, made);
    if (made->fd >= 0)
        (void)close(made->fd);
    free(made);
}

static void tell_admission(struct side_call *call)
{
    const struct rewriting what = {
        .job = {.work = work_rewriting, .done = done_rewriting},
        .call = call,
        .rewrite = {.cap_set = call->clamped,
                    .cap = call->cap_held,
                    .ask_usage = asks_usage(call),
                    .model = call->renamed ? call->request.model : NULL},
        .fd = -1,
    };
    struct rewriting *made;

    if (!call->clamped && !call->renamed && !what.rewrite.ask_usage) {
        tell_rewritten(call, &what);
        return;
    }
    made = malloc(sizeof *made);
    if (made == NULL) {
        release_unsent(call);
        return;
    }
    *made = what;
    call->rewriting = &made->job;
    if (call->body_bytes > SIDE_WORK_ABOVE) {
        side_work(call->side->worker, &made->job);
    } else {
        work_rewriting(&made->job);
        done_rewriting(call->side, &made->job);
    }
}

static void on_paced(evutil_socket_t fd, short what, void *data)
{
    struct side_call *call = data;

    (void)fd, (void)what;
    event_free(call->pacing);
    call->pacing = NULL;
    if (call->phase == SIDE_HELD && call->conn != NULL)
        tell_admission(call);
}

/* The hold stands while it waits. False: it need not wait. */
static bool pace(struct side_call *call, int64_t ms)
{
    const struct timeval delay = {ms / 1000, ms % 1000 * 1000};

    call->pacing = ms > 0 ? evtimer_new(call->side->base, on_paced, call) : NULL;
    return call->pacing != NULL && event_add(call->pacing, &delay) == 0;
}

static void admitted(struct side_call *call, const struct side_op *op)
{
    call->phase = SIDE_HELD;
    call->hold_tokens = op->verdict.hold[GOV_TOKENS];
    call->hold_pusd = op->verdict.hold[GOV_COST];
    call->cap_held = op->verdict.cap;
    call->clamped = op->verdict.clamped;
    if (op->candidates != NULL && op->chosen > 0) {
        call->renamed = true;
        call->priced = op->candidates[op->chosen].priced;
        memcpy(call->request.model, op->candidates[op->chosen].model,
               sizeof op->candidates[0].model);
    }
    call->admitted_ns = op->event.head.ts_ns;
    call->admitted_ms = side_now_ms();
    if (call->gone) {
        release_unsent(call);
    } else if (op->answer.given) {
        side_conn_poke(call->conn);
        side_call_body_release(call);
    } else if (!pace(call, op->directive.pacing_ms)) {
        tell_admission(call);
    }
}

void side_answer_prepare(const struct side_call *call, struct side_answer *answer)
{
    answer->may = call->conn != NULL && call->conn->unsent_used == 0 && call->conn->poke_fd < 0 &&
                  !asks_usage(call);
    answer->fd = answer->may ? call->conn->fd : -1;
    answer->flags = admission_flags(call);
}

void side_answer_forget(struct side_call *call)
{
    if (call->admitting == NULL)
        return;
    pthread_mutex_lock(&call->side->mail_lock);
    call->admitting->answer.may = false;
    pthread_mutex_unlock(&call->side->mail_lock);
}

/* What does not fit now is told by the loop. */
void side_answer_give(struct side_op *op)
{
    unsigned char frame[64];
    struct wire_writer w;

    if (!op->answer.may || op->cancelled || op->result != STORE_OK ||
        op->verdict.outcome != GOV_ADMIT || op->verdict.clamped || op->chosen > 0 ||
        op->directive.pacing_ms > 0)
        return;
    admission_frame(&w, frame, sizeof frame, op->answer.flags);
    op->answer.given =
        send(op->answer.fd, frame, w.used, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)w.used;
}

static void tell_launcher(const struct side_run *run, json_t *json) /* the reference is taken */
{
    char *text = run->launcher != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text != NULL)
        side_conn_notice(run->launcher, text);
    free(text);
    json_decref(json);
}

/* unknown_model: warn. Once for a model, not for each of its calls. */
static void tell_unpriced(const struct side_call *call, const struct store_admission *admission)
{
    struct side_run *run = call->run;

    if ((admission->flags & STORE_UNPRICED) == 0 ||
        (admission->flags & STORE_READ_ONLY_CALL) != 0 ||
        run->spec.unknown_model != SIDE_UNKNOWN_WARN ||
        strcmp(run->unpriced, admission->model) == 0)
        return;
    memcpy(run->unpriced, admission->model, sizeof run->unpriced);
    tell_launcher(run, json_pack("{s:s,s:s,s:s}", "notice", "unpriced", "model", admission->model,
                                 "host", call->host));
}

static json_t *limit_json(const struct side_notice *notice)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:i,s:I,s:I,s:b}", "notice",
                     notice->percent > 0 ? "warning" : "exhausted", "dimension",
                     gov_dim_name(notice->dim), "scope", gov_scope_name(notice->scope_kind),
                     "window", gov_window_name(notice->window), "percent", (int)notice->percent,
                     "consumed", (json_int_t)notice->consumed, "limit", (json_int_t)notice->limit,
                     "asks", notice->asks);
}

/* Warnings, endings, states, to the launchers that they concern. */
void side_notices_tell(struct side *side, struct side_op *op)
{
    for (unsigned i = 0; i < op->notice_count; i++) {
        const struct side_notice *notice = &op->notices[i];

        side_notify(side, notice);
        if (notice->turned)
            side_run_expiry(side, notice->run, notice->asked_seq);
        tell_launcher(notice->run, notice->terminate ? json_pack("{s:s}", "notice", "terminate")
                                   : notice->turned  ? side_state_json(side, notice)
                                                     : limit_json(notice));
    }
}

void side_call_decided(struct side *side, struct side_op *op)
{
    struct side_call *call = op->owner;

    call->admitting = NULL;
    side_notices_tell(side, op);
    side_queries_wake(side);
    if (op->cancelled || (call->gone && op->verdict.outcome != GOV_ADMIT) ||
        (call->gone && op->result != STORE_OK)) {
        side_call_free(call);
    } else if (op->result != STORE_OK) {
        side_call_refuse(call,
                         op->result == STORE_CONFLICT ? GOV_REASON_UNREADABLE
                         : op->candidates != NULL     ? GOV_REASON_DECISION_LOG
                                                      : GOV_REASON_LEDGER_WRITE,
                         store_strerror(op->result));
    } else if (op->verdict.outcome == GOV_ADMIT) {
        tell_unpriced(call, &op->event.admission);
        admitted(call, op);
    } else {
        tell_refusal(call, op);
        side_call_free(call);
    }
    side_op_free(op);
}
