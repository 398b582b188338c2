/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a call, as the loop sees it: the frames of its process, and what happens when that
 * process is gone. */
#include "sidecar/side_int.h"
#include "sidecar/spare.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEARTBEATS_UNREAD (64 * 1024) /* of a socket's 208 KiB */
#define ENV_MAX           64u

/* ---- making and ending -------------------------------------------------------------------- */

static struct side_call *call_new(struct side *side, struct side_conn *conn)
{
    struct side_call *call = side_spare_take(&side_spare_calls, sizeof *call);

    if (call == NULL)
        return NULL;
    memset(call, 0, offsetof(struct side_call, path) + 1);
    call->side = side;
    call->pidfd = -1;
    call->socket = -1;
    call->conn = conn;
    if (conn != NULL) {
        conn->call = call;
        call->pid = conn->pid;
    }
    call->next = side->calls;
    call->link = &side->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    side->calls = call;
    return call;
}

void side_call_body_release(struct side_call *call)
{
    if (call->body != NULL && call->body_mapped)
        (void)munmap((void *)(uintptr_t)call->body, call->body_bytes);
    else if (call->body != call->small_body)
        free((void *)(uintptr_t)call->body);
    call->body = NULL;
}

void side_call_free(struct side_call *call)
{
    if (call->conn != NULL)
        call->conn->call = NULL;
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    if (call->death != NULL)
        event_free(call->death);
    if (call->pacing != NULL)
        event_free(call->pacing);
    if (call->pidfd >= 0)
        (void)close(call->pidfd);
    side_fd_close(call->socket);
    side_call_body_release(call);
    meter_stream_free(call->stream);
    free(call->progress);
    free(call->lead);
    side_run_drop(call->run);
    side_spare_give(&side_spare_calls, call);
}

/* ---- the question ------------------------------------------------------------------------- */

static bool body_map(struct side_call *call, int fd, uint64_t count)
{
    if (count > WIRE_BODY_MAX)
        return false;
    call->body = client_map(fd, (size_t)count, false);
    call->body_bytes = (size_t)count;
    call->body_mapped = call->body != NULL;
    return call->body_mapped;
}

static bool body_copy(struct side_call *call, const struct wire_value *value)
{
    unsigned char *copy = call->small_body;

    if (value->count == 0)
        return true;
    if (value->count > sizeof call->small_body)
        copy = malloc(value->count);
    if (copy == NULL)
        return false;
    memcpy(copy, value->bytes, value->count);
    call->body = copy;
    call->body_bytes = value->count;
    return true;
}

struct question {
    const uint8_t *call_id, *run_id, *token;
    struct wire_value body; /* in the frame */
    uint64_t body_bytes;    /* in a memfd */
    char *env[ENV_MAX + 1];
    unsigned env_count;
};

static void env_add(struct question *question, const struct wire_value *value)
{
    char *copy = question->env_count < ENV_MAX ? malloc(value->count + 1) : NULL;

    if (copy == NULL)
        return;
    memcpy(copy, value->bytes, value->count);
    copy[value->count] = '\0';
    question->env[question->env_count++] = copy;
}

static bool question_field(struct side_call *call, struct question *question,
                           const struct wire_value *value)
{
    switch (value->tag) {
    case WIRE_CALL_ID:
        question->call_id = value->bytes;
        return value->count == 16;
    case WIRE_RUN_ID:
        question->run_id = value->bytes;
        return value->count == 16;
    case WIRE_TOKEN:
        question->token = value->bytes;
        return value->count == 16;
    case WIRE_METHOD:
        return wire_text(value, call->method, sizeof call->method);
    case WIRE_HOST:
        return wire_text(value, call->host, sizeof call->host);
    case WIRE_PATH:
        return wire_text(value, call->path, sizeof call->path);
    case WIRE_CONTENT_TYPE:
        return wire_text(value, call->content_type, sizeof call->content_type);
    case WIRE_FLAGS:
        call->flags = wire_number(value);
        return true;
    case WIRE_BODY:
        question->body = *value;
        return true;
    case WIRE_BODY_BYTES:
        question->body_bytes = wire_number(value);
        return true;
    case WIRE_WAIT_MS:
        call->wait_ms = (int64_t)(wire_number(value) & INT64_MAX);
        return true;
    case WIRE_ENV:
        env_add(question, value);
        return true;
    default:
        return true; /* of a later version: not ours to judge */
    }
}

static bool question_read(struct side_call *call, struct wire_reader *r, int fd,
                          struct question *question)
{
    struct wire_value value;

    while (wire_next(r, &value))
        if (!question_field(call, question, &value))
            return false;
    if (r->left != 0 || question->call_id == NULL || call->host[0] == '\0' ||
        call->method[0] == '\0')
        return false;
    memcpy(call->id, question->call_id, sizeof call->id);
    client_uuid_text(call->id, call->id_text);
    return question->body_bytes > 0 ? body_map(call, fd, question->body_bytes)
                                    : body_copy(call, &question->body);
}

/* Its parent and its session may change in time; its start does not. */
static const struct side_process *process_of(struct side_conn *conn, bool afresh)
{
    if (!conn->process_known || afresh)
        (void)side_process_read(conn->pid, &conn->process);
    conn->process_known = true;
    return &conn->process;
}

static void ask_in_its_run(struct side_call *call, const struct question *question)
{
    struct side_error error = {{0}};
    const struct side_process *process = process_of(call->conn, question->run_id == NULL);

    call->pid_start = process->start;
    call->run = side_run_of(call->side, question->run_id, question->token, call->pid, process,
                            (const char *const *)question->env, &error);
    if (call->run == NULL)
        side_call_refuse(call, GOV_REASON_LEDGER_READ, error.text);
    else
        side_call_ask(call);
}

static bool on_admit(struct side_conn *conn, struct wire_reader *r, int fd)
{
    struct question question = {0};
    struct side_call *call = call_new(conn->side, conn);
    bool ok;

    if (call == NULL)
        return false;
    conn->told_ms = side_now_ms();
    side_fd_close(conn->poke_fd); /* of the call before: that waiting transfer is over */
    conn->poke_fd = -1;
    ok = question_read(call, r, fd, &question);
    if (ok)
        ask_in_its_run(call, &question);
    else
        side_call_free(call);
    for (unsigned i = 0; i < question.env_count; i++)
        free(question.env[i]);
    return ok;
}

/* ---- sent --------------------------------------------------------------------------------- */

static void on_sent_done(struct side *side, struct side_op *op)
{
    side_notices_tell(side, op);
    side_op_free(op);
}

static bool on_sent(struct side_call *call)
{
    struct side_op *op;

    if (call->phase != SIDE_HELD || call->sent)
        return call->phase == SIDE_HELD;
    call->sent = true;
    call->sent_mono_ms = side_now_ms();
    op = side_op_new(SIDE_OP_SENT, call->run, on_sent_done, NULL);
    if (op == NULL)
        return true; /* the end says that it was sent */
    memcpy(op->call_id, call->id, sizeof op->call_id);
    side_op_about(op, &call->request);
    op->ts_ns = side_now_ns();
    side_post(call->side, op);
    return true;
}

/* ---- a call of before a restart ----------------------------------------------------------- */

static void answer_claim(struct side_conn *conn, enum wire_decision decision, uint64_t offset)
{
    unsigned char frame[64];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_VERDICT);
    wire_put_number(&w, WIRE_DECISION, decision);
    wire_put_number(&w, WIRE_OFFSET, offset);
    side_conn_send(conn, frame, w.used, -1);
}

static struct side_call *call_find(const struct side *side, const uint8_t id[16])
{
    struct side_call *call = side->calls;

    while (call != NULL && memcmp(call->id, id, sizeof call->id) != 0)
        call = call->next;
    return call;
}

static bool on_claim(struct side_conn *conn, struct wire_reader *r)
{
    struct side_call *call = NULL;
    struct wire_value value;
    uint64_t flags = 0;

    while (wire_next(r, &value)) {
        if (value.tag == WIRE_CALL_ID && value.count == 16)
            call = call_find(conn->side, value.bytes);
        else if (value.tag == WIRE_FLAGS)
            flags = wire_number(&value);
    }
    if (call == NULL || call->phase != SIDE_HELD || call->conn != NULL || call->gone) {
        answer_claim(conn, WIRE_CLAIM_LOST, 0);
        return true;
    }
    call->conn = conn;
    conn->call = call;
    if (call->death != NULL)
        (void)event_del(call->death); /* the connection's own watch takes over */
    if ((flags & WIRE_WAS_SENT) != 0)
        (void)on_sent(call);
    answer_claim(conn, WIRE_CLAIMED, call->fed);
    return true;
}

/* The owner of a call that nobody has claimed yet is dead: whether its request left, and what
 * passed of an answer, is not known. */
static void owner_gone(struct side_call *call)
{
    call->sent = true;
    side_call_gone(call, true);
}

static void on_owner_death(evutil_socket_t fd, short what, void *data)
{
    (void)fd, (void)what;
    owner_gone(data);
}

static void progress_restore(struct side_call *call, struct store_view *view)
{
    struct meter_progress *progress = malloc(sizeof *progress);

    if (progress != NULL &&
        store_view_progress(view, call->id, progress, sizeof *progress) == STORE_OK) {
        call->progress = progress;
        call->fed = call->acked = progress->offset;
        return;
    }
    free(progress);
}

static void call_restore(struct side *side, struct store_view *view, const struct store_call *row)
{
    struct store_event *event = malloc(sizeof *event);
    struct side_run *run = side_run_by_id(side, row->run_id); /* it may outlive that */
    struct side_call *call = NULL;
    bool other_boot;

    if (event != NULL && run != NULL &&
        store_view_event(view, row->admission_seq, event) == STORE_OK)
        call = call_new(side, NULL);
    if (call != NULL) {
        call->run = run;
        call->phase = SIDE_HELD;
        memcpy(call->id, row->call_id, sizeof call->id);
        client_uuid_text(call->id, call->id_text);
        side_request_restore(&call->request, &event->admission);
        call->hold_tokens = event->admission.hold[GOV_TOKENS];
        call->hold_pusd = event->admission.hold[GOV_COST];
        call->cap_held = event->admission.cap_held;
        call->priced = (event->admission.flags & STORE_UNPRICED) == 0;
        call->read_only = (event->admission.flags & STORE_READ_ONLY_CALL) != 0;
        call->admitted_ns = event->head.ts_ns;
        call->admitted_ms = side_now_ms();
        call->pid = (pid_t)event->admission.pid;
        call->sent = row->state == STORE_CALL_SENT;
        call->sent_mono_ms = side_now_ms();
        progress_restore(call, view);
        other_boot = memcmp(event->admission.boot_id, side->boot_id, 16) != 0;
        if (!other_boot && side_pid_start(call->pid) == event->admission.pid_start)
            call->pidfd = side_pidfd(call->pid);
        if (call->pidfd >= 0)
            call->death = event_new(side->base, call->pidfd, EV_READ, on_owner_death, call);
        if (other_boot && store_was_clean(side->store))
            side_call_gone(call, true); /* every word that was said before the reboot was heard */
        else if (call->death == NULL || event_add(call->death, NULL) != 0)
            owner_gone(call);
    } else {
        side_run_drop(run);
    }
    free(event);
}

void side_calls_restore(struct side *side)
{
    struct store_view *view;
    struct store_call row;
    uint8_t id[16];
    const uint8_t *last = NULL;

    if (store_view_open(side->store, &view) != STORE_OK)
        return;
    while (store_view_next_open(view, last, &row) == STORE_OK) {
        call_restore(side, view, &row);
        memcpy(id, row.call_id, sizeof id);
        last = id;
    }
    store_view_close(view);
}

/* ---- gone --------------------------------------------------------------------------------- */

static void on_cancel_done(struct side *side, struct side_op *op)
{
    side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

void side_call_gone(struct side_call *call, bool tap_lost)
{
    const struct side_ending ending = {.broken = true,
                                       .tap_lost = tap_lost,
                                       .answered = call->status != 0,
                                       .egress = call->sent ? call->body_bytes : 0};
    struct side_op *op;

    call->conn = NULL;
    if (call->rewriting != NULL) {
        call->gone = true;
    } else if (call->phase == SIDE_HELD) {
        side_call_settle(call, &ending);
    } else if (call->phase == SIDE_ASKED) {
        call->gone = true;
        if (call->admitting == NULL && call->reading == NULL) {
            side_call_free(call);
            return;
        }
        op = side_op_new(SIDE_OP_CANCEL, NULL, on_cancel_done, NULL);
        if (op != NULL) { /* else it comes through, and is released then */
            memcpy(op->call_id, call->id, sizeof op->call_id);
            side_post(call->side, op);
        }
    }
}

/* ---- heartbeats --------------------------------------------------------------------------- */

/* It has no verdict yet. */
static bool waits(const struct side_call *call)
{
    return call->phase == SIDE_ASKED || call->pacing != NULL || call->rewriting != NULL;
}

static void heartbeat(struct side_conn *conn)
{
    const struct side_call *call = conn->call;
    unsigned char frame[64];
    struct wire_writer w;
    int unread = 0;

    /* Whoever does not read needs no more of them, and the verdict needs room. */
    if (ioctl(conn->fd, SIOCOUTQ, &unread) != 0 || unread > HEARTBEATS_UNREAD)
        return;
    wire_begin(&w, frame, sizeof frame, WIRE_HEARTBEAT);
    if (call != NULL && (call->pacing != NULL ||
                         (call->admitting != NULL && atomic_load(&call->admitting->waiting))))
        wire_put_number(&w, WIRE_FLAGS, WIRE_HELD_OPEN);
    side_conn_send(conn, frame, w.used, -1);
}

/* Most have their verdict before one is due: at a thousand callers, twice the frames and wake-ups.
 */
void side_heartbeat(struct side *side)
{
    const int64_t told = side_now_ms() - WIRE_HEARTBEAT_MS;

    for (struct side_conn *conn = side->conns; conn != NULL; conn = conn->next)
        if (conn->told_ms <= told &&
            (conn->page_of != NULL || (conn->call != NULL && waits(conn->call))))
            heartbeat(conn);
}

/* ---- frames ------------------------------------------------------------------------------- */

/* Our end of a waiting transfer; when the verdict is out already, the byte is due at once. */
static void on_poke(struct side_conn *conn, int *fd)
{
    if (conn->poke_fd >= 0 || *fd < 0)
        return;
    conn->poke_fd = *fd;
    *fd = -1;
    if (conn->call == NULL || !waits(conn->call)) {
        side_conn_poke(conn);
        return;
    }
    side_answer_forget(conn->call); /* who is to be poked is told by the loop ... */
    side_mail_open(conn->side);     /* ... unless it has just been told */
}

bool side_call_frame(struct side_conn *conn, enum wire_type type, struct wire_reader *r, int *fd)
{
    struct side_call *call = conn->call;

    if (type == WIRE_ADMIT)
        return call == NULL && conn->run == NULL && on_admit(conn, r, *fd);
    if (type == WIRE_CLAIM)
        return call == NULL && on_claim(conn, r);
    if (type == WIRE_POKE) {
        on_poke(conn, fd);
        return true;
    }
    if (call != NULL && call->phase == SIDE_ASKED) { /* the writer has told it already */
        side_mail_open(conn->side);
        call = conn->call;
    }
    if (call == NULL || call->phase != SIDE_HELD || call->rewriting != NULL)
        return call != NULL && call->phase == SIDE_SETTLING;
    switch (type) {
    case WIRE_SENT:
        if (call->socket < 0) {
            call->socket = *fd;
            *fd = -1;
        }
        return on_sent(call);
    case WIRE_RESPONSE:
        return side_call_response(call, r);
    case WIRE_DATA:
        return side_call_data(call, r);
    case WIRE_END:
        return side_call_end(call, r);
    default:
        return false;
    }
}
