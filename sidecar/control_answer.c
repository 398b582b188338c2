/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's answers: who asks is looked for, the question is put to the sidecar over a
 * connection with itself, and what comes back is the answer, at once or as a stream. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecar/control.h"

#define OWNERS_MOST  32u
#define BEAT_SECONDS 15 /* between two signs of life on a stream */
#define PROSE_TYPE   "text/plain; version=0.0.4; charset=utf-8"

/* ---- answers ------------------------------------------------------------------------------ */

struct side_exchange {
    struct side_job job; /* looking for who asks */
    struct side_exchange *next, **link;
    struct side_control *control;
    struct evhttp_request *http; /* NULL: the client has gone */
    const struct side_route *route;
    json_t *question;
    struct sockaddr_in theirs;
    bool looking; /* the job is with the finder */
    pid_t owners[OWNERS_MOST];
    unsigned owner_count;
    int fd; /* our end of the connection with ourselves; -1: none yet */
    struct event *heard;
    struct evbuffer *lines;
    bool begun; /* the stream */
};

static void send_text(struct evhttp_request *http, int status, const char *type, const char *text)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
    struct evbuffer *out = evbuffer_new();

    (void)evhttp_add_header(headers, "Content-Type", type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "Connection", "close");
    if (out != NULL && text != NULL)
        (void)evbuffer_add(out, text, strlen(text));
    evhttp_send_reply(http, status, NULL, out);
    if (out != NULL)
        evbuffer_free(out);
}

void side_control_send(struct evhttp_request *http, int status, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    send_text(http, status, "application/json", text);
    free(text);
    json_decref(json);
}

void side_control_error(struct evhttp_request *http, int status, const char *code,
                        const char *field, const json_t *value, const char *message)
{
    json_t *error = json_pack("{s:s,s:o}", "code", code, "message", side_prose_json(message));

    if (field != NULL && *field != '\0')
        (void)json_object_set_new(error, "field", side_prose_json(field));
    if (value != NULL)
        (void)json_object_set(error, "value", (json_t *)(uintptr_t)value);
    side_control_send(http, status, json_pack("{s:o}", "error", error));
}

static void on_client_gone(struct evhttp_connection *connection, void *data);

static void exchange_free(struct side_exchange *exchange)
{
    struct evhttp_connection *connection =
        exchange->http != NULL ? evhttp_request_get_connection(exchange->http) : NULL;

    if (connection != NULL)
        evhttp_connection_set_closecb(connection, NULL, NULL);
    if (exchange->heard != NULL)
        event_free(exchange->heard);
    if (exchange->fd >= 0)
        (void)close(exchange->fd);
    if (exchange->lines != NULL)
        evbuffer_free(exchange->lines);
    exchange->control->streams -= exchange->route->shape == SIDE_STREAM;
    json_decref(exchange->question);
    *exchange->link = exchange->next;
    if (exchange->next != NULL)
        exchange->next->link = exchange->link;
    free(exchange);
}

/* A request that was still being answered is no longer the connection's when it fails. */
static void on_client_gone(struct evhttp_connection *connection, void *data)
{
    struct side_exchange *exchange = data;

    (void)connection;
    if (evhttp_request_get_connection(exchange->http) == NULL)
        evhttp_send_reply_end(exchange->http);
    exchange->http = NULL;
    if (!exchange->looking)
        exchange_free(exchange);
}

static void finish_error(struct side_exchange *exchange, int status, const char *code,
                         const char *message)
{
    struct evhttp_request *http = exchange->http;

    exchange_free(exchange);
    side_control_error(http, status, code, NULL, NULL, message);
}

/* The lines, as the route has them. NULL: one of them cannot be read, or out of memory. */
static json_t *lines_json(const struct side_route *route, struct evbuffer *lines)
{
    json_t *list = json_array(), *one;
    char *line;

    while ((line = evbuffer_readln(lines, NULL, EVBUFFER_EOL_LF)) != NULL) {
        (void)json_array_append_new(list, json_loads(line, 0, NULL));
        free(line);
    }
    if (route->shape == SIDE_LIST)
        return json_pack("{s:o}", route->list, list);
    one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one != NULL ? one : json_pack("{s:b}", "ok", 1);
}

static void finish(struct side_exchange *exchange)
{
    struct evhttp_request *http = exchange->http;
    const struct side_route *route = exchange->route;
    struct evbuffer *lines = exchange->lines;

    exchange->lines = NULL;
    exchange_free(exchange);
    if (route->shape == SIDE_PROSE && evbuffer_add(lines, "", 1) == 0)
        send_text(http, 200, PROSE_TYPE, (const char *)evbuffer_pullup(lines, -1));
    else
        side_control_send(http, 200, lines_json(route, lines));
    evbuffer_free(lines);
}

/* By the exit code that the command would have. */
static void finish_failed(struct side_exchange *exchange, int code, const char *why)
{
    static const struct {
        int status;
        const char *code;
    } rows[] = {{409, "does_not_hold"}, {400, "bad_request"}, {503, "unavailable"}};
    unsigned row = code >= 1 && code <= 3 ? (unsigned)code - 1 : 2;
    bool reads = exchange->route->method == EVHTTP_REQ_GET && row == 0;

    finish_error(exchange, reads ? 404 : rows[row].status, reads ? "not_found" : rows[row].code,
                 why);
}

/* ---- streams ------------------------------------------------------------------------------ */

static void listen_on(struct side_exchange *exchange)
{
    const struct timeval beat = {BEAT_SECONDS, 0};

    (void)event_add(exchange->heard, exchange->begun ? &beat : NULL);
}

static void on_taken(struct evhttp_connection *connection, void *data)
{
    (void)connection;
    listen_on(data);
}

/* The next is read when the client has taken these. */
static void stream_send(struct side_exchange *exchange)
{
    struct evbuffer *out = evbuffer_new();
    char *line;

    while (out != NULL &&
           (line = evbuffer_readln(exchange->lines, NULL, EVBUFFER_EOL_LF)) != NULL) {
        json_t *event = json_loads(line, 0, NULL);

        (void)evbuffer_add_printf(out, "id: %lld\ndata: %s\n\n",
                                  (long long)json_integer_value(json_object_get(event, "seq")),
                                  line);
        json_decref(event);
        free(line);
    }
    if (out != NULL && evbuffer_get_length(out) > 0)
        evhttp_send_reply_chunk_with_cb(exchange->http, out, on_taken, exchange);
    else
        listen_on(exchange);
    if (out != NULL)
        evbuffer_free(out);
}

static void stream_say(struct side_exchange *exchange, const char *text)
{
    struct evbuffer *out = evbuffer_new();

    if (out == NULL)
        return;
    (void)evbuffer_add(out, text, strlen(text));
    evhttp_send_reply_chunk_with_cb(exchange->http, out, on_taken, exchange);
    evbuffer_free(out);
}

static void stream_begin(struct side_exchange *exchange)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(exchange->http);

    (void)evhttp_add_header(headers, "Content-Type", "text/event-stream");
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "Connection", "close");
    evhttp_send_reply_start(exchange->http, 200, NULL);
    stream_say(exchange, "retry: 1000\n\n");
}

static void stream_end(struct side_exchange *exchange)
{
    struct evhttp_request *http = exchange->http;

    exchange_free(exchange);
    evhttp_send_reply_end(http);
}

/* ---- the connection with ourselves -------------------------------------------------------- */

static void hear_done(struct side_exchange *exchange, struct wire_reader *r)
{
    struct wire_value value;
    char why[1024] = "";
    int code = 0;

    while (wire_next(r, &value))
        if (value.tag == WIRE_STATUS)
            code = (int)wire_number(&value);
        else if (value.tag == WIRE_TEXT)
            (void)wire_text(&value, why, sizeof why);
    if (exchange->begun)
        stream_end(exchange);
    else if (code == 0)
        finish(exchange);
    else
        finish_failed(exchange, code, why);
}

static void on_heard(evutil_socket_t fd, short what, void *data)
{
    static unsigned char frame[WIRE_FRAME_MAX]; /* the loop's alone */
    struct side_exchange *exchange = data;
    struct wire_reader r;
    struct wire_head head;
    ssize_t count;

    if ((what & EV_TIMEOUT) != 0) {
        stream_say(exchange, ": still here\n\n");
        return;
    }
    count = recv(fd, frame, sizeof frame, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        listen_on(exchange);
    } else if (count <= 0 || !wire_open(&r, frame, (size_t)count, &head)) {
        if (exchange->begun)
            stream_end(exchange);
        else
            finish_error(exchange, 503, "unavailable", "the sidecar ends");
    } else if (head.type == WIRE_DONE) {
        hear_done(exchange, &r);
    } else {
        if (head.type == WIRE_REPLY)
            (void)evbuffer_add(exchange->lines, r.at, r.left);
        if (exchange->begun)
            stream_send(exchange);
        else
            listen_on(exchange);
    }
}

/* False: it cannot be had. */
static bool connect_to_self(struct side_exchange *exchange)
{
    struct side *side = exchange->control->side;
    struct ucred peer = {exchange->owners[0], side->uid, (gid_t)-1};
    struct side_conn *conn;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return false;
    exchange->fd = ends[0];
    exchange->lines = evbuffer_new();
    exchange->heard = event_new(side->base, ends[0], EV_READ, on_heard, exchange);
    conn = exchange->lines != NULL && exchange->heard != NULL ? side_conn_new(side, ends[1], &peer)
                                                              : NULL;
    if (conn == NULL) {
        (void)close(ends[1]);
        return false;
    }
    side_query_begin(conn, exchange->question);
    return true;
}

/* ---- who asks ----------------------------------------------------------------------------- */

static void work_find(struct side_job *job)
{
    struct side_exchange *exchange = (struct side_exchange *)job;
    const struct side_control *control = exchange->control;

    exchange->owner_count = side_owners_find(&exchange->theirs, &control->address,
                                             control->side->uid, exchange->owners, OWNERS_MOST);
}

static void done_find(struct side *side, struct side_job *job)
{
    struct side_exchange *exchange = (struct side_exchange *)job;
    bool outside = exchange->owner_count > 0;

    exchange->looking = false;
    for (unsigned i = 0; i < exchange->owner_count; i++)
        outside = outside && !side_run_above(side, exchange->owners[i]);
    if (exchange->http == NULL) {
        exchange_free(exchange);
    } else if (!outside) {
        finish_error(exchange, 403, "inside_run",
                     "inside_run: use a shell outside any run (a process that cannot be seen from "
                     "here counts as inside)");
    } else if (!connect_to_self(exchange)) {
        finish_error(exchange, 503, "unavailable", "out of memory, or of descriptors");
    } else {
        exchange->begun = exchange->route->shape == SIDE_STREAM;
        if (exchange->begun)
            stream_begin(exchange);
        else
            listen_on(exchange);
    }
}

void side_exchange_begin(struct side_control *control, struct evhttp_request *http,
                         const struct side_route *route, json_t *question)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(http);
    struct side_exchange *exchange = calloc(1, sizeof *exchange);
    ev_uint16_t port;
    char *host;

    if (control->finder == NULL)
        control->finder = side_worker_start(control->side);
    if (exchange == NULL || control->finder == NULL) {
        free(exchange);
        json_decref(question);
        side_control_error(http, 503, "unavailable", NULL, NULL, "out of memory, or of threads");
        return;
    }
    evhttp_connection_get_peer(connection, &host, &port);
    *exchange = (struct side_exchange){.job = {.work = work_find, .done = done_find},
                                       .next = control->exchanges,
                                       .link = &control->exchanges,
                                       .control = control,
                                       .http = http,
                                       .route = route,
                                       .question = question,
                                       .theirs = {.sin_family = AF_INET, .sin_port = htons(port)},
                                       .looking = true,
                                       .fd = -1};
    (void)inet_pton(AF_INET, host, &exchange->theirs.sin_addr);
    if (exchange->next != NULL)
        exchange->next->link = &exchange->next;
    control->exchanges = exchange;
    control->streams += route->shape == SIDE_STREAM;
    evhttp_connection_set_closecb(connection, on_client_gone, exchange);
    side_control_let_stay(control, connection);
    side_work(control->finder, &exchange->job);
}
