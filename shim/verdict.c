/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the sidecar. One question per call; while it is open the sidecar says that it lives, and
 * whether the wait is as it should be. Silence, a closed connection, an answer that cannot be read:
 * the call is refused, here, with the reason. */
#include "shim/shim_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- refusing without a sidecar ----------------------------------------------------------- */

void shim_call_refuse(struct shim_call *call, const char *reason, const char *detail)
{
    const char *const reasons[] = {reason, NULL};
    char call_id[37], run_id[37] = "";
    struct refusal refusal = {
        .shape = call->target.shape,
        .class = REFUSAL_UNAVAILABLE,
        .message = call->text,
        .call_id = call_id,
        .run_id = shim_env()->has_run ? run_id : NULL,
        .reasons = reasons,
        .hint = "the call was not sent",
    };

    client_uuid_text(call->id, call_id);
    client_uuid_text(shim_env()->run_id, run_id);
    (void)snprintf(call->text, sizeof call->text,
                   "flyball: %s: the spending of this call cannot be recorded: %s; it was not sent",
                   reason, detail);
    free(call->answer);
    call->answer = refusal_answer(&refusal, &call->answer_bytes);
    call->curl_error = call->answer == NULL;
    call->state = SHIM_CALL_REFUSED;
    client_close(&call->link);
}

/* ---- the question ------------------------------------------------------------------------- */

/* A body that is signed, or whose length the application has fixed in a header, must go as it is.
 */
static bool must_not_rewrite(const struct shim_handle *handle)
{
    static const char *const fixed[] = {
        "content-length:", "content-md5:",          "digest:",
        "content-digest:", "x-amz-content-sha256:", "content-encoding:"};
    const struct curl_slist *line = shim_option_pointer(handle, SLOT_HEADERS);

    if (shim_option_text(handle, SLOT_SIGV4) != NULL)
        return true;
    for (; line != NULL; line = line->next)
        for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
            if (strncasecmp(line->data, fixed[i], strlen(fixed[i])) == 0)
                return true;
    return handle->method == SHIM_MIME || handle->method == SHIM_FORM;
}

/* Does this line of the application's ask for an encoding that libcurl will not undo? */
static bool is_encoding(const char *line)
{
    static const char name[] = "accept-encoding:";
    const char *value = line + sizeof name - 1;

    if (strncasecmp(line, name, sizeof name - 1) != 0)
        return false;
    value += strspn(value, " \t");
    return *value != '\0' && strcasecmp(value, "identity") != 0;
}

/* The chunk of a stream that the application did not ask for can be kept from it where the bytes
 * come plain: no encoding that it undoes itself, no framing that it reads itself. */
static bool can_strip(const struct shim_handle *handle)
{
    const struct curl_slist *line = shim_option_pointer(handle, SLOT_HEADERS);

    if (handle->blind || shim_option(handle, SLOT_UNCHUNKING) == 0)
        return false;
    if (shim_tap_decodes(handle))
        return true;
    for (; line != NULL; line = line->next)
        if (is_encoding(line->data))
            return false;
    return shim_option_text(handle, SLOT_ENCODING) == NULL;
}

static void type_add(char type[WIRE_TYPE_ROOM], const char *between, const char *text)
{
    size_t used = strlen(type);

    (void)snprintf(type + used, WIRE_TYPE_ROOM - used, "%s%s", between, text);
}

/* As it is sent: all lines of it; libcurl puts the boundary of its own forms behind the caller's
 * type. */
static void put_content_type(const struct shim_handle *handle, struct wire_writer *w)
{
    static const char name[] = "content-type:";
    const struct curl_slist *line = shim_option_pointer(handle, SLOT_HEADERS);
    char type[WIRE_TYPE_ROOM] = "";

    for (; line != NULL; line = line->next) {
        const char *value = line->data + sizeof name - 1;

        if (strncasecmp(line->data, name, sizeof name - 1) != 0)
            continue;
        value += strspn(value, " \t");
        if (*value != '\0')
            type_add(type, type[0] != '\0' ? ", " : "", value);
    }
    if (handle->method == SHIM_MIME)
        type_add(type, type[0] != '\0' ? "" : "multipart/form-data", "; boundary=flyball-form");
    if (type[0] != '\0')
        wire_put_text(w, WIRE_CONTENT_TYPE, type);
}

static int64_t timeout_of(const struct shim_handle *handle)
{
    int64_t timeout = shim_option(handle, SLOT_TIMEOUT);

    return handle->slots[SLOT_TIMEOUT].option == CURLOPT_TIMEOUT ? timeout * 1000 : timeout;
}

static void put_env(void *data, const char *entry)
{
    wire_put_text(data, WIRE_ENV, entry);
}

static void put_run(struct wire_writer *w)
{
    const struct shim_env *env = shim_env();

    if (env->has_run) {
        wire_put(w, WIRE_RUN_ID, env->run_id, sizeof env->run_id);
        wire_put(w, WIRE_TOKEN, env->token, sizeof env->token);
    } else {
        shim_env_each(put_env, w);
    }
}

static void put_question(const struct shim_call *call, struct wire_writer *w, uint64_t flags)
{
    const struct shim_handle *handle = call->handle;
    const struct shim_target *target = &call->target;

    if (must_not_rewrite(handle) || call->hop)
        flags |= WIRE_NO_REWRITE;
    if (shim_option(handle, SLOT_CONNECT_ONLY) != 0)
        flags |= WIRE_RAW_SOCKET;
    if (can_strip(handle))
        flags |= WIRE_CAN_STRIP;
    wire_put(w, WIRE_CALL_ID, call->id, sizeof call->id);
    put_run(w);
    wire_put_text(w, WIRE_METHOD, target->method);
    wire_put_text(w, WIRE_HOST, target->host);
    wire_put_text(w, WIRE_PATH, target->path);
    put_content_type(handle, w);
    wire_put_number(w, WIRE_FLAGS, flags);
    if (call->body.memfd >= 0)
        wire_put_number(w, WIRE_BODY_BYTES, call->body.count);
    else if (call->body.here)
        wire_put(w, WIRE_BODY, call->body.bytes, call->body.count);
    if (timeout_of(handle) > 0)
        wire_put_number(w, WIRE_WAIT_MS, (uint64_t)timeout_of(handle));
}

/* The body is the sidecar's now; libcurl sends from memory. */
static void body_handed_over(struct shim_body *body)
{
    if (body->memfd >= 0)
        (void)close(body->memfd);
    body->memfd = -1;
}

/* CLIENT_FULL: another sidecar could not be asked either. */
static enum client_result ask(const struct shim_call *call, char *reason, size_t reason_size)
{
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    enum client_result result = CLIENT_FULL;
    struct wire_writer w;

    if (frame == NULL)
        return result;
    wire_begin(&w, frame, WIRE_FRAME_MAX, WIRE_ADMIT);
    put_question(call, &w, call->flags);
    if (w.overflow)
        (void)snprintf(reason, reason_size, "the question to the sidecar is too long");
    else
        result = client_send(&call->link, frame, w.used, call->body.memfd);
    if (result == CLIENT_LOST)
        (void)snprintf(reason, reason_size, "the sidecar closed the connection");
    free(frame);
    return result;
}

/* The sidecar went before it said yes or no: the next one is asked, about another call, because the
 * first may stand in the ledger. Nothing of that was sent. A request that has changed meanwhile is
 * not sent either, and its body may be gone. */
static bool ask_again(struct shim_call *call, char *reason, size_t reason_size)
{
    enum client_result result = CLIENT_LOST;

    if (call->stale)
        return false;
    if (call->again_ms == 0)
        call->again_ms = client_now_ms() + SHIM_CLAIM_MS;
    while (result == CLIENT_LOST && shim_call_let_go(call, call->again_ms, reason, reason_size)) {
        client_uuid7(call->id);
        call->heard_ms = call->asked_ms = client_now_ms();
        call->anew = true;
        result = ask(call, reason, reason_size);
    }
    return result == CLIENT_OK;
}

bool shim_call_ask(struct shim_call *call)
{
    static const uint64_t flags[] = {
        [SHIM_BODY_OK] = 0,
        [SHIM_BODY_UNREADABLE] = WIRE_BODY_UNREADABLE,
        [SHIM_BODY_TOO_LARGE] = WIRE_BODY_TOO_LARGE,
        [SHIM_BODY_NO_MEMORY] = WIRE_BODY_UNREADABLE,
        [SHIM_BODY_ABORTED] = 0,
    };
    char reason[400] = "out of memory";
    enum shim_body_result body = shim_body_collect(call->handle, call->hop, &call->body);

    if (body == SHIM_BODY_ABORTED) { /* nobody wants it any more: it ends as it would have */
        (void)snprintf(call->text, sizeof call->text, "operation aborted by callback");
        call->state = SHIM_CALL_REFUSED;
        call->curl_error = true;
        return false;
    }
    call->flags = flags[body];
    if ((shim_link_open(&call->link, SHIM_LINK_KEPT | SHIM_LINK_START, reason, sizeof reason) &&
         ask(call, reason, sizeof reason) == CLIENT_OK) ||
        ask_again(call, reason, sizeof reason)) {
        call->heard_ms = call->asked_ms = client_now_ms();
        return true;
    }
    shim_call_refuse(call, "ledger_read_failure", reason);
    return false;
}

/* ---- the answer --------------------------------------------------------------------------- */

static void take_refusal(struct shim_call *call, const struct wire_value *answer)
{
    char *copy = answer->count > 0 ? malloc(answer->count) : NULL;

    call->state = SHIM_CALL_REFUSED;
    call->link_clean = true;
    if (copy == NULL) {
        call->curl_error = true;
        return;
    }
    memcpy(copy, answer->bytes, answer->count);
    free(call->answer);
    call->answer = copy;
    call->answer_bytes = answer->count;
}

static void take_admission(struct shim_call *call, uint64_t flags, uint64_t body_bytes, int *fd)
{
    if ((flags & WIRE_STRIP_USAGE) != 0) {
        call->strip = strip_new();
        if (call->strip == NULL) {
            shim_call_refuse(call, "ledger_read_failure", "out of memory");
            return;
        }
    }
    if (*fd >= 0) {
        int memfd = client_fd_away(*fd);

        *fd = -1;
        if (!shim_body_replace(&call->body, memfd, (size_t)body_bytes)) {
            shim_call_refuse(call, "ledger_read_failure", "the rewritten request cannot be mapped");
            return;
        }
    }
    call->wants_socket = (flags & WIRE_WANTS_SOCKET) != 0;
    call->state = SHIM_CALL_ADMITTED;
}

static void take_verdict(struct shim_call *call, struct wire_reader *r, int *fd)
{
    struct wire_value value, answer = {0, NULL, 0};
    uint64_t decision = 0, body_bytes = 0, flags = 0;

    while (wire_next(r, &value)) {
        if (value.tag == WIRE_DECISION)
            decision = wire_number(&value);
        else if (value.tag == WIRE_ANSWER)
            answer = value;
        else if (value.tag == WIRE_BODY_BYTES)
            body_bytes = wire_number(&value);
        else if (value.tag == WIRE_FLAGS)
            flags = wire_number(&value);
        else if (value.tag == WIRE_TEXT)
            (void)wire_text(&value, call->text, sizeof call->text);
    }
    if (decision == WIRE_ADMITTED && body_bytes > 0 && *fd < 0) {
        shim_call_refuse(call, "ledger_read_failure", "the rewritten request was lost on its way");
    } else if (decision == WIRE_ADMITTED) {
        shim_egress_look(false);
        take_admission(call, flags, body_bytes, fd);
    } else if (decision == WIRE_REFUSED || decision == WIRE_REFUSED_CURL) {
        call->curl_error = decision == WIRE_REFUSED_CURL;
        take_refusal(call, &answer);
    } else {
        shim_call_refuse(call, "ledger_read_failure", "the sidecar's verdict cannot be read");
    }
}

/* A frame that says so, or one that cannot be read here. */
static void take_mismatch(struct shim_call *call, struct wire_reader *r,
                          const struct wire_head *head)
{
    struct wire_value value;
    uint64_t version = head->version;
    char detail[160];

    while (head->type == WIRE_MISMATCH && wire_next(r, &value))
        if (value.tag == WIRE_VERSION_IS)
            version = wire_number(&value);
    (void)snprintf(detail, sizeof detail,
                   "this libflyball.so speaks version %u, the running flyballd version %u; end the "
                   "old one",
                   WIRE_VERSION, (unsigned)version);
    shim_call_refuse(call, "version_mismatch", detail);
}

static void take_frame(struct shim_call *call, const unsigned char *frame, size_t count, int *fd)
{
    struct wire_reader r;
    struct wire_head head;
    struct wire_value value;

    call->heard_ms = client_now_ms();
    if (!wire_open(&r, frame, count, &head)) {
        shim_call_refuse(call, "ledger_read_failure", "the sidecar speaks another language");
    } else if (head.type == WIRE_MISMATCH || head.version != WIRE_VERSION) {
        take_mismatch(call, &r, &head);
    } else if (head.type == WIRE_VERDICT) {
        take_verdict(call, &r, fd);
        body_handed_over(&call->body);
    } else if (head.type == WIRE_HEARTBEAT) {
        call->again_ms = 0; /* it has the question: others may be asked, should this one go */
        while (wire_next(&r, &value))
            if (value.tag == WIRE_FLAGS && (wire_number(&value) & WIRE_HELD_OPEN) != 0)
                call->asked_ms = call->heard_ms;
    }
}

/* Alive but mute, or alive and never done. */
static void check_patience(struct shim_call *call)
{
    int64_t now = client_now_ms();

    if (now - call->heard_ms > WIRE_SILENCE_MS)
        shim_call_refuse(call, "ledger_read_failure", "the sidecar does not answer");
    else if (now - call->asked_ms > WIRE_PATIENCE_MS)
        shim_call_refuse(call, "ledger_write_failure", "the ledger did not answer for 10 s");
}

bool shim_call_poll(struct shim_call *call, int wait_ms)
{
    unsigned char *frame = malloc(WIRE_FRAME_MAX);
    int64_t until = client_now_ms() + wait_ms;
    char reason[400] = "the sidecar closed the connection";

    if (frame == NULL)
        shim_call_refuse(call, "ledger_read_failure", "out of memory");
    else if (call->pid != getpid())
        shim_call_refuse(call, "ledger_read_failure", "the call belongs to the parent process");
    while (call->state == SHIM_CALL_WAITING) {
        int64_t left = until - client_now_ms();
        int ask_ms = left > WIRE_SILENCE_MS ? WIRE_SILENCE_MS + 1 : (int)(left > 0 ? left : 0), fd;
        ssize_t count = client_receive(&call->link, frame, WIRE_FRAME_MAX, ask_ms, &fd);

        if (count > 0)
            take_frame(call, frame, (size_t)count, &fd);
        else if (count < 0 && !ask_again(call, reason, sizeof reason))
            shim_call_refuse(call, "ledger_read_failure", reason);
        if (call->state == SHIM_CALL_WAITING)
            check_patience(call);
        if (fd >= 0)
            (void)close(fd);
        if (count == 0 && client_now_ms() >= until)
            break;
    }
    free(frame);
    return call->state != SHIM_CALL_WAITING;
}
