/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 on a connection: one request after the other, read without keeping its body, answered
 * with exactly the chunks that the call says.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/replay/h1_parse.h"

enum h1_state {
    H1_HEAD,
    H1_BODY, /* of known length */
    H1_CHUNK_SIZE,
    H1_CHUNK_DATA,
    H1_CHUNK_END,
    H1_TRAILER,
    H1_ANSWER, /* what arrives now waits */
    H1_REFUSED /* what arrives now is thrown away */
};

struct h1 {
    enum h1_state state;
    char *head; /* collected lines, CRLF kept; REPLAY_HEAD_BYTES_MAX + 1 bytes */
    size_t head_bytes;
    uint64_t left; /* of the body or chunk */
    struct call *call;
    bool http10;
    bool close;
};

static void answer_go_on(struct conn *conn);

static void call_resumed(struct call *call)
{
    struct conn *conn = call->conn;

    answer_go_on(conn);
    conn_settle(conn);
}

/* ---- the answer ---------------------------------------------------------------------------- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {413, "Content Too Large"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {529, "Overloaded"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Other";
}

static enum framing framing_of(const struct h1 *h1)
{
    if (!call_is_chunked(h1->call))
        return FRAMING_LENGTH;
    return h1->http10 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}

static void head_write(struct conn *conn, struct h1 *h1)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    struct field fields[REPLAY_FIELDS_MAX + 4];
    const char *recorded = exchange_field(h1->call->exchange, "connection");
    int status = h1->call->exchange->status;
    size_t count;

    if (recorded && !evutil_ascii_strcasecmp(recorded, "close"))
        h1->close = true;
    count = call_fields(h1->call, framing_of(h1), h1->close, fields);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, reason(status));
    for (size_t i = 0; i < count; i++)
        evbuffer_add_printf(out, "%s: %s\r\n", fields[i].name, fields[i].value);
    evbuffer_add(out, "\r\n", 2);
}

/* The size line names the whole recorded chunk, even where a fault breaks it off half-way. */
static void piece_write(struct conn *conn, struct h1 *h1, const struct piece *piece)
{
    struct evbuffer *out = bufferevent_get_output(conn->bev);
    bool chunked = framing_of(h1) == FRAMING_CHUNKED;

    if (chunked && piece->opens)
        evbuffer_add_printf(out, "%zx\r\n", piece->chunk_bytes);
    evbuffer_add(out, piece->data, piece->bytes);
    if (chunked && piece->closes)
        evbuffer_add(out, "\r\n", 2);
}

static void end_write(struct conn *conn, struct h1 *h1)
{
    if (framing_of(h1) == FRAMING_CHUNKED && !h1->call->bodiless)
        bufferevent_write(conn->bev, "0\r\n\r\n", 5);
}

static void call_done(struct conn *conn, struct h1 *h1)
{
    bool refused = h1->state == H1_REFUSED;

    call_say_answered(h1->call);
    call_free(h1->call);
    h1->call = NULL;
    if (refused)
        conn->end = CONN_LINGER;
    else if (h1->close)
        conn->end = CONN_CLOSE;
    else
        h1->state = H1_HEAD;
}

static void h1_read(struct conn *conn);

/* All that was written has left: now what it led up to may happen. */
static void pending_do(struct conn *conn, struct h1 *h1)
{
    enum step step = h1->call->pending;

    h1->call->pending = STEP_WAIT;
    if (step == STEP_HOLD) {
        call_say_stalled(h1->call);
    } else if (step == STEP_CUT || step == STEP_RESET) {
        call_say_cut(h1->call);
        conn->end = step == STEP_CUT ? CONN_CUT : CONN_RESET;
    } else if (step == STEP_END) {
        call_done(conn, h1);
        if (conn->end == CONN_STAYS)
            h1_read(conn); /* the next request may be there already */
    }
}

/* Writes until the call waits or enough is unsent. */
static enum step pump(struct conn *conn, struct h1 *h1)
{
    enum step step = STEP_WAIT;
    struct piece piece;

    while (conn_unsent(conn) < REPLAY_OUT_BYTES) {
        step = call_next(h1->call, REPLAY_OUT_BYTES, &piece);
        if (step == STEP_HEAD)
            head_write(conn, h1);
        else if (step == STEP_DATA)
            piece_write(conn, h1, &piece);
        else
            break;
    }
    return step;
}

static void answer_go_on(struct conn *conn)
{
    struct h1 *h1 = conn->state;
    enum step step = pump(conn, h1);

    if (step == STEP_WAIT || step == STEP_HEAD || step == STEP_DATA)
        return; /* for the timer, or the output to leave */
    if (step == STEP_END)
        end_write(conn, h1);
    h1->call->pending = step;
    if (!conn_unsent(conn))
        pending_do(conn, h1);
}

static void h1_flushed(struct conn *conn)
{
    struct h1 *h1 = conn->state;

    if (!h1->call || h1->state < H1_ANSWER || h1->call->holding)
        return;
    if (h1->call->pending != STEP_WAIT)
        pending_do(conn, h1);
    else
        answer_go_on(conn);
}

/* ---- the request --------------------------------------------------------------------------- */

/* What is left of a refused request is not read as one: the connection ends with the answer. */
static bool refuse(struct conn *conn, struct h1 *h1, int status)
{
    if (!h1->call && !(h1->call = call_new(conn, call_resumed))) {
        conn->end = CONN_CLOSE;
        return false;
    }
    h1->state = H1_REFUSED;
    h1->close = true;
    call_refuse(h1->call, status, "malformed or oversized request");
    answer_go_on(conn);
    return false;
}

static bool request_complete(struct conn *conn, struct h1 *h1)
{
    h1->state = H1_ANSWER;
    call_ready(h1->call);
    answer_go_on(conn);
    return false;
}

/* A line without its CRLF, the caller frees it. NULL: more is needed, or *status_out is set. */
static char *line_take(struct conn *conn, size_t limit, int *status_out)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    size_t bytes;
    char *line = evbuffer_readln(in, &bytes, EVBUFFER_EOL_LF);

    *status_out = 0;
    if (!line) {
        *status_out = evbuffer_get_length(in) > limit ? 431 : 0;
        return NULL;
    }
    if (bytes > limit)
        *status_out = 431;
    else if (!bytes || line[bytes - 1] != '\r' || memchr(line, '\0', bytes))
        *status_out = 400;
    else
        line[bytes - 1] = '\0';
    if (!*status_out)
        return line;
    free(line);
    return NULL;
}

static void fields_hand_over(struct call *call, const struct h1_head *head)
{
    for (size_t i = 0; i < head->field_count; i++)
        call_field(call, head->fields[i].name, head->fields[i].value);
}

static bool body_start(struct conn *conn, struct h1 *h1, const struct h1_framing *framing)
{
    h1->left = framing->length > 0 ? (uint64_t)framing->length : 0;
    h1->state = framing->chunked ? H1_CHUNK_SIZE : H1_BODY;
    if (!framing->chunked && !h1->left)
        return request_complete(conn, h1);
    if (framing->expects_continue && !evbuffer_get_length(bufferevent_get_input(conn->bev)))
        bufferevent_write(conn->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

static bool head_complete(struct conn *conn, struct h1 *h1)
{
    struct h1_framing framing;
    struct h1_head head;
    int status;

    h1->call = call_new(conn, call_resumed);
    if (!h1->call)
        return refuse(conn, h1, 500);
    h1->head[h1->head_bytes] = '\0';
    call_head_save(h1->call, h1->head, h1->head_bytes);
    h1->head_bytes = 0;
    status = h1_head_parse(h1->head, &head);
    if (!status && (!call_method(h1->call, head.method) || !call_target(h1->call, head.target)))
        status = 400;
    if (!status)
        status = h1_framing_read(&head, &framing);
    if (status)
        return refuse(conn, h1, status);
    h1->http10 = head.minor == 0;
    h1->close = framing.close;
    fields_hand_over(h1->call, &head);
    return body_start(conn, h1, &framing);
}

static bool head_read(struct conn *conn, struct h1 *h1)
{
    int status;
    char *line = line_take(conn, REPLAY_HEAD_BYTES_MAX - 2 - h1->head_bytes, &status);
    bool blank = line && !*line;
    size_t bytes;

    if (!line)
        return status ? refuse(conn, h1, status) : false;
    if (blank &&
        !h1->head_bytes) { /* RFC 9112, 2.2: blank lines before a request are passed over */
        free(line);
        return true;
    }
    bytes = strlen(line);
    memcpy(h1->head + h1->head_bytes, line, bytes);
    memcpy(h1->head + h1->head_bytes + bytes, "\r\n", 2);
    h1->head_bytes += bytes + 2;
    free(line);
    if (h1->head_bytes > REPLAY_HEAD_BYTES_MAX - 2)
        return refuse(conn, h1, 431);
    return blank ? head_complete(conn, h1) : true;
}

/* Feeds what is there of `left`. False: above the ceiling. */
static bool body_feed(struct conn *conn, struct h1 *h1)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    struct evbuffer_iovec span;

    while (h1->left && evbuffer_peek(in, -1, NULL, &span, 1) > 0) {
        size_t bytes = span.iov_len < h1->left ? span.iov_len : (size_t)h1->left;

        if (!call_body(h1->call, span.iov_base, bytes))
            return false;
        evbuffer_drain(in, bytes);
        h1->left -= bytes;
    }
    return true;
}

static bool body_read(struct conn *conn, struct h1 *h1)
{
    if (!body_feed(conn, h1))
        return refuse(conn, h1, 413);
    return h1->left ? false : request_complete(conn, h1);
}

static bool chunk_size_read(struct conn *conn, struct h1 *h1)
{
    int status;
    char *line = line_take(conn, REPLAY_LINE_BYTES_MAX, &status);
    int64_t size = line ? h1_chunk_size(line) : 0;

    if (!line)
        return status ? refuse(conn, h1, 400) : false;
    free(line);
    if (size < 0)
        return refuse(conn, h1, 400);
    h1->left = (uint64_t)size;
    h1->state = size ? H1_CHUNK_DATA : H1_TRAILER;
    return true;
}

static bool chunk_data_read(struct conn *conn, struct h1 *h1)
{
    if (!body_feed(conn, h1))
        return refuse(conn, h1, 413);
    if (!h1->left)
        h1->state = H1_CHUNK_END;
    return !h1->left;
}

static bool chunk_end_read(struct conn *conn, struct h1 *h1)
{
    int status;
    char *line = line_take(conn, 2, &status);
    bool blank = line && !*line;

    if (!line && !status)
        return false;
    free(line);
    h1->state = H1_CHUNK_SIZE;
    return blank ? true : refuse(conn, h1, 400);
}

/* Trailer fields are passed over, within the ceiling for heads. */
static bool trailer_read(struct conn *conn, struct h1 *h1)
{
    int status;
    char *line = line_take(conn, REPLAY_HEAD_BYTES_MAX - h1->head_bytes, &status);
    bool blank = line && !*line;

    if (!line)
        return status ? refuse(conn, h1, status) : false;
    h1->head_bytes += blank ? 0 : strlen(line);
    free(line);
    if (!blank)
        return true;
    h1->head_bytes = 0;
    return request_complete(conn, h1);
}

static bool answer_wait(struct conn *conn, struct h1 *h1)
{
    (void)conn, (void)h1;
    return false;
}

static bool refused_read(struct conn *conn, struct h1 *h1)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);

    (void)h1;
    evbuffer_drain(in, evbuffer_get_length(in));
    return false;
}

/* One row per state. True: look again, there may be more to read. */
static bool (*const readers[])(struct conn *conn, struct h1 *h1) = {
    [H1_HEAD] = head_read,
    [H1_BODY] = body_read,
    [H1_CHUNK_SIZE] = chunk_size_read,
    [H1_CHUNK_DATA] = chunk_data_read,
    [H1_CHUNK_END] = chunk_end_read,
    [H1_TRAILER] = trailer_read,
    [H1_ANSWER] = answer_wait,
    [H1_REFUSED] = refused_read,
};

static void h1_read(struct conn *conn)
{
    struct h1 *h1 = conn->state;

    while (conn->end == CONN_STAYS && readers[h1->state](conn, h1))
        ;
}

static void h1_free(struct conn *conn)
{
    struct h1 *h1 = conn->state;

    call_free(h1->call);
    free(h1->head);
    free(h1);
}

bool h1_start(struct conn *conn)
{
    static const struct protocol protocol = {h1_read, h1_flushed, h1_free};
    struct h1 *h1 = calloc(1, sizeof *h1);
    char *head = malloc(REPLAY_HEAD_BYTES_MAX + 1);

    if (!h1 || !head) {
        free(head);
        free(h1);
        return false;
    }
    h1->head = head;
    conn->protocol = &protocol;
    conn->state = h1;
    return true;
}
