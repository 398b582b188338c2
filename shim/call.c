/* SPDX-License-Identifier: Apache-2.0 */
/* A governed transfer from its beginning to its one end. No lock is held here: a handle belongs to
 * one thread at a time. */
#include "shim/shim_int.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- in front of every request ------------------------------------------------------------ */

/* What is asked of a host by GET or HEAD costs nothing there. */
static bool is_another(const struct shim_target *hop, const struct shim_target *first)
{
    return strcmp(hop->host, first->host) != 0 ||
           (strcmp(hop->path, first->path) != 0 && strcmp(hop->method, "GET") != 0 &&
            strcmp(hop->method, "HEAD") != 0);
}

/* Reads where this request goes; true: a redirect made the transfer another call than the admitted.
 */
static bool leaves_call(const struct shim_handle *handle, struct shim_target *hop)
{
    char *url = NULL, *method = NULL;
    long redirects = 0;

    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_EFFECTIVE_URL, &url);
    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_EFFECTIVE_METHOD, &method);
    (void)handle->curl->easy_getinfo(handle->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    if (url == NULL)
        return false;
    shim_target_read(handle, url, method, hop);
    return redirects > 0 && handle->call != NULL && is_another(hop, &handle->call->target);
}

static int abort_call(struct shim_call *call, const char *text, const char *host)
{
    (void)snprintf(call->text, sizeof call->text, "flyball: %s%s", text, host);
    call->curl_error = true;
    return CURL_PREREQFUNC_ABORT;
}

/* The first byte of the request leaves next: from here on the provider may bill. The sidecar, or
 * the one after it, has to know. */
static int note_sent(struct shim_call *call)
{
    unsigned char frame[sizeof(struct wire_head)];
    struct wire_writer w;

    if (!call->sent) {
        call->sent = true;
        call->sent_ms = client_now_ms();
        wire_begin(&w, frame, sizeof frame, WIRE_SENT);
        if (client_send(&call->link, frame, w.used, shim_cut_socket(call)) != CLIENT_OK &&
            !shim_call_claim(call)) {
            call->sent = false;
            return abort_call(call, "ledger_read_failure: the sidecar is gone", "");
        }
    }
    shim_tap_restart(call);
    return CURL_PREREQFUNC_OK;
}

/* What libcurl sends next is not what was asked about. */
static bool is_stale(const struct shim_call *call)
{
    const struct shim_handle *handle = call->handle;

    return call->stale || (handle->method == SHIM_MIME && !call->hop &&
                           shim_form_changes(handle) != call->body.form_changes);
}

static int go_on(struct shim_call *call, const struct shim_target *hop, bool elsewhere)
{
    if (call->state != SHIM_CALL_ADMITTED || call->pid != getpid() || call->cut)
        return CURL_PREREQFUNC_ABORT;
    if ((elsewhere || call->settled) && hop->governed)
        return abort_call(call, "guard_refused: a governed call was redirected to ", hop->host);
    if (!elsewhere && is_stale(call))
        return abort_call(call, "guard_refused: the request was changed after it was admitted", "");
    if (!elsewhere && !call->settled)
        return note_sent(call);
    shim_tap_finish(call, CURLE_OK); /* a redirect to a plain host: the call is over */
    return CURL_PREREQFUNC_OK;
}

static struct shim_call *call_new(struct shim_handle *handle, const struct shim_target *target)
{
    struct shim_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->handle = handle;
    call->target = *target;
    call->pid = getpid();
    call->link = CLIENT_LINK_NONE;
    call->body.memfd = call->listener = call->peer = -1;
    client_uuid7(call->id);
    handle->call = call;
    return call;
}

/* A plain transfer was redirected to a governed host: it becomes a call here, in front of the
 * request. There is no way to serve a refusal in the middle of a transfer, so it fails by code. */
static int hop_begin(struct shim_handle *handle, const struct shim_target *hop)
{
    struct shim_call *call = call_new(handle, hop);
    int wait_ms = handle->multi != NULL ? SHIM_HOP_MS : INT32_MAX;

    if (call == NULL)
        return CURL_PREREQFUNC_ABORT;
    call->curl_error = call->hop = true;
    shim_multi_note(call);
    if (!shim_call_ask(call))
        return CURL_PREREQFUNC_ABORT;
    if (!shim_call_poll(call, wait_ms))
        shim_call_refuse(call, "budget_busy", "the verdict on a redirect took too long");
    call->curl_error = true;
    if (call->state != SHIM_CALL_ADMITTED)
        return CURL_PREREQFUNC_ABORT;
    shim_call_prepare(call);
    if (call->state != SHIM_CALL_ADMITTED)
        return CURL_PREREQFUNC_ABORT;
    return note_sent(call);
}

static int by_application(const struct shim_handle *handle, char *remote, char *local,
                          int remote_port, int local_port)
{
    curl_prereq_callback prereq;
    int64_t bits = shim_option(handle, SLOT_PREREQ);

    if (bits == 0)
        return CURL_PREREQFUNC_OK;
    memcpy(&prereq, &bits, sizeof prereq);
    return prereq(shim_option_pointer(handle, SLOT_PREREQ_DATA), remote, local, remote_port,
                  local_port);
}

static int on_prereq(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct shim_handle *handle = data;
    int result = by_application(handle, remote, local, remote_port, local_port);
    int saved_errno = errno;
    struct shim_target *hop;
    bool elsewhere;
    int cancel;

    if (result != CURL_PREREQFUNC_OK)
        return result;
    hop = malloc(sizeof *hop);
    if (hop == NULL)
        return CURL_PREREQFUNC_ABORT;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    handle->requested = true;
    hop->governed = false;
    handle->remote_port = remote_port;
    handle->local_port = local_port;
    elsewhere = leaves_call(handle, hop);
    if (handle->call != NULL)
        result = go_on(handle->call, hop, elsewhere);
    else if (hop->governed)
        result = hop_begin(handle, hop);
    free(hop);
    (void)pthread_setcancelstate(cancel, NULL);
    errno = saved_errno;
    return result;
}

static bool watch_requests(struct shim_handle *handle)
{
    return shim_override(handle, SLOT_PREREQ, CURLOPT_PREREQFUNCTION,
                         shim_bits((void (*)(void))on_prereq)) == CURLE_OK &&
           shim_override(handle, SLOT_PREREQ_DATA, CURLOPT_PREREQDATA, (int64_t)(intptr_t)handle) ==
               CURLE_OK;
}

/* ---- preparing a handle ------------------------------------------------------------------- */

static bool tap_install(struct shim_handle *handle)
{
    int64_t data = (int64_t)(intptr_t)handle;

    if (shim_option(handle, SLOT_HEADER) == 0 && shim_option(handle, SLOT_HEADER_DATA) != 0 &&
        (shim_override(handle, SLOT_HEADER, CURLOPT_HEADERFUNCTION,
                       shim_bits((void (*)(void))shim_tap_header)) != CURLE_OK ||
         shim_override(handle, SLOT_HEADER_DATA, CURLOPT_HEADERDATA, data) != CURLE_OK))
        return false;
    return shim_override(handle, SLOT_WRITE, CURLOPT_WRITEFUNCTION,
                         shim_bits((void (*)(void))shim_tap_write)) == CURLE_OK &&
           shim_override(handle, SLOT_WRITE_DATA, CURLOPT_WRITEDATA, data) == CURLE_OK;
}

void shim_call_prepare(struct shim_call *call)
{
    struct shim_handle *handle = call->handle;

    call->anew = false;
    if (call->state == SHIM_CALL_ADMITTED) {
        if (watch_requests(handle) && tap_install(handle) &&
            (call->hop || shim_body_install(handle, &call->body)))
            return;
        shim_call_refuse(call, "ledger_read_failure", "this libcurl cannot be watched");
    }
    if (!shim_answer_install(call)) {
        call->state = SHIM_CALL_REFUSED;
        call->curl_error = call->blocked = true;
        (void)shim_answer_block(handle);
    }
}

/* ---- beginning ---------------------------------------------------------------------------- */

/* Even a plain transfer may be redirected to a governed host, and a handle that we know nothing of
 * may go anywhere, as may one whose URL is set when it is in a multi handle already. */
static enum shim_begun pass(struct shim_handle *handle, bool multi)
{
    bool watch = shim_option(handle, SLOT_FOLLOW) != 0 || handle->blind || multi;

    if (watch && !watch_requests(handle)) {
        shim_restore(handle); /* too old a libcurl: see docs/COVERAGE.md */
        watch = false;
    }
    handle->requested = !watch;
    return SHIM_PASS;
}

static void ask_and_wait(struct shim_call *call, bool multi)
{
    if (call->handle->curl->version < SHIM_OLDEST_CURL) {
        shim_call_refuse(call, "ledger_read_failure", "this libcurl is older than 7.80");
        call->curl_error = true;
        return;
    }
    if (!shim_call_ask(call))
        return;
    (void)shim_call_poll(call, multi ? SHIM_MULTI_MS : INT32_MAX);
}

static enum shim_begun begin(struct shim_handle *handle, bool multi)
{
    struct shim_target target;
    struct shim_call *call;

    if (handle->call != NULL) /* the last transfer was left by a long jump */
        shim_call_end(handle, CURLE_ABORTED_BY_CALLBACK);
    handle->requested = false;
    handle->egress = 0;
    handle->line_bytes = shim_egress_lines(handle);
    shim_target_read(handle, NULL, NULL, &target);
    if (!target.governed)
        return pass(handle, multi);
    call = call_new(handle, &target);
    if (call == NULL)
        return SHIM_NO_MEMORY;
    ask_and_wait(call, multi);
    shim_call_prepare(call);
    return SHIM_CALL;
}

/* A thread must not be cancelled in here: locks would stay held. */
enum shim_begun shim_call_begin(struct shim_handle *handle, bool multi)
{
    enum shim_begun begun;
    int cancel;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    begun = begin(handle, multi);
    (void)pthread_setcancelstate(cancel, NULL);
    return begun;
}

void shim_call_watch(struct shim_handle *handle)
{
    int cancel;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    (void)pass(handle, true);
    (void)pthread_setcancelstate(cancel, NULL);
}

/* ---- a sidecar that was restarted --------------------------------------------------------- */

static bool send_claim(struct shim_call *call)
{
    unsigned char frame[512];
    struct wire_writer w;

    wire_begin(&w, frame, sizeof frame, WIRE_CLAIM);
    wire_put(&w, WIRE_CALL_ID, call->id, sizeof call->id);
    if (shim_env()->has_run) {
        wire_put(&w, WIRE_RUN_ID, shim_env()->run_id, sizeof shim_env()->run_id);
        wire_put(&w, WIRE_TOKEN, shim_env()->token, sizeof shim_env()->token);
    }
    wire_put_number(&w, WIRE_FLAGS, call->sent ? WIRE_WAS_SENT : 0);
    wire_put_number(&w, WIRE_OFFSET, call->tap.from);
    return client_send(&call->link, frame, w.used, -1) == CLIENT_OK;
}

#define CLAIM_LOST (-1)
#define CLAIM_MUTE (-2)
/* The offset from which the sidecar wants the bytes; CLAIM_LOST: it will not have the call;
 * CLAIM_MUTE: it does not say. */
static int64_t read_claim(struct shim_call *call, int64_t until_ms)
{
    unsigned char frame[1024];
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;
    uint64_t decision = 0, offset = 0;

    do {
        int64_t left = until_ms - client_now_ms();
        ssize_t count = 0;
        int fd = -1;

        if (left > 0)
            count = client_receive(&call->link, frame, sizeof frame, (int)left, &fd);
        if (fd >= 0)
            (void)close(fd);
        if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head))
            return CLAIM_MUTE;
    } while (head.type == WIRE_HEARTBEAT);
    while (wire_next(&r, &value)) {
        decision = value.tag == WIRE_DECISION ? wire_number(&value) : decision;
        offset = value.tag == WIRE_OFFSET ? wire_number(&value) : offset;
    }
    if (head.type != WIRE_VERDICT)
        return CLAIM_MUTE;
    return decision == WIRE_CLAIMED ? (int64_t)(offset & INT64_MAX) : CLAIM_LOST;
}

/* At the next sidecar: one that dies may still take a connection, and the one after it is to be
 * had. */
static int64_t claim(struct shim_call *call, int64_t until_ms, char *reason, size_t reason_size)
{
    int64_t offset = CLAIM_MUTE;

    for (int wait_ms = 0; offset == CLAIM_MUTE && client_now_ms() < until_ms; wait_ms = 10) {
        (void)poll(NULL, 0, wait_ms);
        client_close(&call->link);
        if (!shim_link_open(&call->link, SHIM_LINK_START, reason, reason_size))
            return CLAIM_MUTE;
        if (send_claim(call))
            offset = read_claim(call, until_ms);
    }
    return offset;
}

/* At most SHIM_CLAIM_MS, and what a sidecar takes to start; then the transfer ends as broken off.
 */
bool shim_call_claim(struct shim_call *call)
{
    struct shim_tap *tap = &call->tap;
    char reason[300];
    int64_t offset = CLAIM_LOST;

    if (call->pid == getpid())
        offset = claim(call, client_now_ms() + SHIM_CLAIM_MS, reason, sizeof reason);
    if (offset < 0 || (uint64_t)offset < tap->from || (uint64_t)offset > tap->from + tap->used) {
        client_close(&call->link);
        return false;
    }
    tap->sent = tap->acked = (uint64_t)offset;
    tap->head_sent = false;
    return true;
}

/* If the ledger has the call, it ends there, unsent. */
bool shim_call_let_go(struct shim_call *call, int64_t until_ms, char *reason_out,
                      size_t reason_size)
{
    unsigned char frame[64];
    struct wire_writer w;
    int64_t offset = claim(call, until_ms, reason_out, reason_size);

    if (offset < 0)
        return offset == CLAIM_LOST;
    wire_begin(&w, frame, sizeof frame, WIRE_END);
    wire_put_number(&w, WIRE_FLAGS, WIRE_BROKEN);
    return client_send(&call->link, frame, w.used, -1) == CLIENT_OK;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* What libcurl says of an aborted callback is not why. */
static void tell_why(struct shim_handle *handle)
{
    char *buffer = shim_option_pointer(handle, SLOT_ERROR_BUFFER);

    if (buffer != NULL && handle->call->curl_error && handle->call->text[0] != '\0')
        (void)snprintf(buffer, CURL_ERROR_SIZE, "%.*s", CURL_ERROR_SIZE - 1, handle->call->text);
}

static void end(struct shim_handle *handle, CURLcode code)
{
    struct shim_call *call = handle->call;

    if (call != NULL) {
        bool ours = call->pid == getpid();

        if (ours && call->state == SHIM_CALL_ADMITTED)
            shim_tap_finish(call, code);
        tell_why(handle);
        shim_multi_forget(call);
        shim_link_done(&call->link, ours && call->link_clean);
        shim_answer_release(call);
    }
    shim_restore(handle);
    if (call == NULL || call->pid == getpid())
        shim_egress_count(handle);
    handle->requested = false;
    if (call == NULL)
        return;
    handle->call = NULL;
    shim_body_release(&call->body);
    shim_tap_release(&call->tap);
    strip_free(call->strip);
    free(call->answer);
    free(call);
}

void shim_call_end(struct shim_handle *handle, CURLcode code)
{
    int cancel;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    end(handle, code);
    (void)pthread_setcancelstate(cancel, NULL);
}
