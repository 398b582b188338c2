/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/2 on a TLS connection, by nghttp2: a stream is a call; one DATA frame per chunk where frame
 * size and windows allow.
 */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "tests/replay/replay.h"

struct h2 {
    nghttp2_session *session;
    bool held; /* some call waits for the output to leave */
};

static void flushed_do(struct conn *conn)
{
    struct h2 *h2 = conn->state;
    struct call *call;

    if (!h2->held)
        return;
    h2->held = false;
    for (call = TAILQ_FIRST(&conn->server->calls); call; call = TAILQ_NEXT(call, link)) {
        if (call->conn != conn || (call->pending != STEP_HOLD && call->pending != STEP_RESET))
            continue;
        if (call->pending == STEP_HOLD) {
            call_say_stalled(call);
        } else {
            call_say_cut(call);
            conn->end = CONN_RESET;
        }
        call->pending = STEP_WAIT;
    }
}

/* Moves frames to the output until enough is unsent, and does what an empty output leads to. */
static void drive(struct conn *conn)
{
    struct h2 *h2 = conn->state;
    const uint8_t *data;
    ssize_t bytes = 0;

    while (conn_unsent(conn) < REPLAY_OUT_BYTES) {
        bytes = nghttp2_session_mem_send(h2->session, &data);
        if (bytes <= 0)
            break;
        bufferevent_write(conn->bev, data, (size_t)bytes);
    }
    if (bytes < 0)
        conn->end = CONN_CLOSE;
    if (conn_unsent(conn))
        return;
    flushed_do(conn);
    if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session))
        conn->end = CONN_CLOSE;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static ssize_t hold(struct call *call, enum step step)
{
    struct h2 *h2 = call->conn->state;

    call->pending = step;
    h2->held = true;
    return NGHTTP2_ERR_DEFERRED;
}

static ssize_t data_read(nghttp2_session *session, int32_t stream, uint8_t *room, size_t room_bytes,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct call *call = source->ptr;
    struct piece piece = {.bytes = 0};
    enum step step = call_next(call, room_bytes, &piece);

    (void)session, (void)stream, (void)arg;
    if (step == STEP_HOLD || step == STEP_RESET)
        return hold(call, step);
    if (step == STEP_WAIT)
        return NGHTTP2_ERR_DEFERRED;
    if (step == STEP_CUT) {
        call->pending = STEP_CUT;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* nghttp2 sends RST_STREAM */
    }
    if (piece.bytes)
        memcpy(room, piece.data, piece.bytes);
    if (call_peek(call) == STEP_END) {
        call->pending = STEP_END;
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)piece.bytes;
}

/* nghttp2 copies names and values and writes names in lower case. */
static nghttp2_nv nv_of(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static void head_submit(struct conn *conn, struct call *call)
{
    struct h2 *h2 = conn->state;
    struct field fields[REPLAY_FIELDS_MAX + 4];
    nghttp2_nv nvs[REPLAY_FIELDS_MAX + 5];
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = data_read};
    size_t count = call_fields(call, FRAMING_H2, false, fields);
    char status[12];

    snprintf(status, sizeof status, "%d", call->exchange->status);
    nvs[0] = nv_of(":status", status);
    for (size_t i = 0; i < count; i++)
        nvs[i + 1] = nv_of(fields[i].name, fields[i].value);
    if (call->bodiless)
        call->pending = STEP_END;
    nghttp2_submit_response(h2->session, call->stream, nvs, count + 1,
                            call->bodiless ? NULL : &body);
}

static void answer_go_on(struct conn *conn, struct call *call)
{
    struct h2 *h2 = conn->state;
    enum step step;

    if (call->head_sent) {
        nghttp2_session_resume_data(h2->session, call->stream);
        return;
    }
    step = call_next(call, 1, NULL);
    if (step == STEP_HEAD)
        head_submit(conn, call);
    else if (step == STEP_HOLD)
        hold(call, step);
}

static void call_resumed(struct call *call)
{
    struct conn *conn = call->conn;

    answer_go_on(conn, call);
    drive(conn);
    conn_settle(conn);
}

/* ---- the request --------------------------------------------------------------------------- */

static bool is_request_head(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct call *call;

    if (!is_request_head(frame))
        return 0;
    call = call_new(arg, call_resumed);
    if (!call)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    call->stream = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, call->stream, call);
    return 0;
}

static void head_line_save(struct call *call, const char *name, const char *value)
{
    call_head_save(call, name, strlen(name));
    call_head_save(call, ": ", 2);
    call_head_save(call, value, strlen(value));
    call_head_save(call, "\r\n", 2);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const char *name_text = (const char *)name, *value_text = (const char *)value;

    (void)flags, (void)arg;
    if (!call || !is_request_head(frame))
        return 0;
    call->head_bytes += name_bytes + value_bytes + 4;
    if (call->head_bytes > REPLAY_HEAD_BYTES_MAX) {
        call->wrong = 431;
        return 0;
    }
    head_line_save(call, name_text, value_text);
    if (!strcmp(name_text, ":method"))
        call_method(call, value_text);
    else if (!strcmp(name_text, ":path"))
        call->wrong = call_target(call, value_text) ? call->wrong : 400;
    else
        call_field(call, name_text, value_text);
    return 0;
}

static void request_complete(struct conn *conn, struct call *call)
{
    if (!call->method || !call->path)
        call->wrong = call->wrong ? call->wrong : 400;
    if (call->wrong)
        call_refuse(call, call->wrong, "malformed or oversized request");
    else
        call_ready(call);
    answer_go_on(conn, call);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    bool carries_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

    if (!call || !carries_end)
        return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        request_complete(arg, call);
    } else if (is_request_head(frame) && call->expects_continue) {
        nghttp2_nv nv = nv_of(":status", "100");

        nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, call->stream, NULL, &nv, 1, NULL);
    }
    return 0;
}

/* What is too much is read and dropped, and refused at its end: with an earlier answer curl 7.88
 * either loses it, where RST_STREAM follows, or waits for a RST_STREAM for ever. */
static int on_data_chunk_recv(nghttp2_session *session, uint8_t flags, int32_t stream,
                              const uint8_t *data, size_t bytes, void *arg)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)flags, (void)arg;
    if (call && !call->wrong && !call_body(call, data, bytes))
        call->wrong = 413;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);

    (void)arg;
    if (!call)
        return 0;
    if (call->pending == STEP_CUT)
        call_say_cut(call);
    else if (call->pending == STEP_END && error == NGHTTP2_NO_ERROR)
        call_say_answered(call);
    nghttp2_session_set_stream_user_data(session, stream, NULL);
    call_free(call);
    return 0;
}

/* ---- the session --------------------------------------------------------------------------- */

static void h2_read(struct conn *conn)
{
    struct h2 *h2 = conn->state;
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    struct evbuffer_iovec span;

    while (evbuffer_peek(in, -1, NULL, &span, 1) > 0) {
        if (nghttp2_session_mem_recv(h2->session, span.iov_base, span.iov_len) < 0) {
            conn->end = CONN_CLOSE;
            return;
        }
        evbuffer_drain(in, span.iov_len);
    }
    drive(conn);
}

static void h2_free(struct conn *conn)
{
    struct h2 *h2 = conn->state;
    struct call *call, *next;

    for (call = TAILQ_FIRST(&conn->server->calls); call; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->conn == conn)
            call_free(call);
    }
    nghttp2_session_del(h2->session);
    free(h2);
}

static int session_new(struct conn *conn, struct h2 *h2)
{
    nghttp2_session_callbacks *callbacks;
    int result = nghttp2_session_callbacks_new(&callbacks);

    if (result)
        return result;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    result = nghttp2_session_server_new(&h2->session, callbacks, conn);
    nghttp2_session_callbacks_del(callbacks);
    return result;
}

bool h2_start(struct conn *conn)
{
    static const struct protocol protocol = {h2_read, drive, h2_free};
    /* Windows wide enough for uploads of 100 MB and more. */
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
    };
    struct h2 *h2 = calloc(1, sizeof *h2);

    if (!h2 || session_new(conn, h2)) {
        free(h2);
        return false;
    }
    nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                            sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, 4 << 20);
    conn->state = h2;
    conn->protocol = &protocol;
    drive(conn);
    return true;
}
