/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider double: answers HTTP requests with recorded exchanges, byte for byte, and misbehaves
 * when told to. README.md says how to use it.
 *
 * One process, one thread, one libevent loop; nothing here blocks but writes to stdout and files.
 * A `conn` is a client's connection. A `call` is one request and its answer: what to send next and
 * when is decided there (call_next), once for both protocols; h1.c and h2.c only put it on the
 * wire.
 *
 * Freeing: a protocol never frees its connection. It sets `conn->end`, and conn_settle(), the last
 * thing every callback does, acts on it.
 */
#ifndef TESTS_REPLAY_REPLAY_H
#define TESTS_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

/* Every ceiling of the double. */
#define REPLAY_HEAD_BYTES_MAX (64 * 1024)
#define REPLAY_BODY_BYTES_MAX ((uint64_t)256 * 1024 * 1024)
#define REPLAY_FIELDS_MAX     200
#define REPLAY_LINE_BYTES_MAX 4096
#define REPLAY_OUT_BYTES      ((size_t)64 * 1024) /* unsent bytes above which a sender waits */
#define REPLAY_LISTENERS_MAX  16
#define REPLAY_LINGER_MS      2000

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* Why something failed, for a person. */
struct why {
    char text[512];
};
void why_set(struct why *why, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- exchanges ----------------------------------------------------------------------------- */

struct field {
    const char *name;
    const char *value;
};

/* A recorded exchange, or an answer made here in the same shape. Never changes once made. */
struct exchange {
    json_t *json; /* owns the strings below, except path */
    const char *id;
    const char *provider;
    const char *method;
    char *path; /* of the request, without scheme, host and query */
    int status;
    struct field fields[REPLAY_FIELDS_MAX];
    size_t field_count;
    unsigned char *body;
    size_t body_bytes;
    size_t *chunk_ends; /* offsets, ascending, the last is body_bytes; none for an empty body */
    size_t chunk_count;
    bool chunked;  /* recorded as chunked, or streamed */
    unsigned uses; /* answers given with it, for taking turns */
};

/* Takes `json`, also on failure. NULL: not an exchange, and why. */
struct exchange *exchange_take(json_t *json, struct why *why);
struct exchange *exchange_load(const char *file, struct why *why);
void exchange_free(struct exchange *exchange);
const char *exchange_field(const struct exchange *exchange, const char *name);

/* An answer of our own; `name` may be NULL. `body` is taken, NULL is an empty body. */
struct exchange *exchange_made(int status, const char *name, const char *value, json_t *body);
/* An error in the shape of the provider that `provider` (may be NULL) or `path` points to. */
struct exchange *exchange_error(int status, const char *provider, const char *path,
                                const char *message);

/* Where the ends of the server-sent events of `body` are. The caller frees *ends_out. */
size_t sse_event_ends(const unsigned char *body, size_t bytes, size_t **ends_out);

/* The exchanges below a directory, found by id (the file's name without .json), loaded once. */
struct corpus *corpus_new(const char *dir);
void corpus_free(struct corpus *corpus);
/* Borrowed until corpus_free. NULL: none, and why. */
struct exchange *corpus_find(struct corpus *corpus, const char *id, struct why *why);
struct exchange *corpus_file(struct corpus *corpus, const char *file, struct why *why);

/* ---- faults -------------------------------------------------------------------------------- */

/* Numbers are -1 where absent. */
struct fault {
    int64_t status;
    int64_t cut_after;
    int64_t reset_after;
    int64_t stall_after;
    int64_t stall;
    int64_t repeat;
    int64_t slow_head_ms;
    int64_t retry_after_s;
    int64_t pace_ms;
    int64_t chunk_bytes;
    int64_t times; /* how many requests a --fault hits; nothing else uses it */
    char *redirect307;
    char *redirect302;
};
struct fault fault_none(void);
/* False: `spec` is not a list of faults, and why; nothing to release then. */
bool fault_parse(const char *spec, struct fault *fault_out, struct why *why);
void fault_release(struct fault *fault);
/* One line per fault. */
void fault_help(FILE *out);

/* ---- the server ---------------------------------------------------------------------------- */

struct call;
struct conn;

struct server {
    struct event_base *base;
    SSL_CTX *tls;
    struct corpus *corpus;
    struct exchange **given; /* from the command line, in order */
    size_t given_count;
    bool any_path;
    const char *fault_spec; /* NULL: none */
    int64_t fault_times;    /* requests it still hits, -1: all */
    int64_t pace_ms;
    int64_t chunk_bytes;
    const char *save_dir;
    FILE *log;
    bool exit_with_stdin;
    struct event *stdin_event;
    char command[64]; /* from stdin, so far */
    size_t command_bytes;
    unsigned call_count;
    bool ending;
    TAILQ_HEAD(calls, call) calls;
    TAILQ_HEAD(conns, conn) conns;
    struct evconnlistener *listeners[REPLAY_LISTENERS_MAX];
    size_t listener_count;
};

/* One event line, to stdout and the log file, flushed. */
void server_say(struct server *server, const char *format, ...) PRINTF_LIKE(2, 3);
/* Opens a listener at ADDR:PORT and says where it is. */
bool server_listen(struct server *server, const char *address, bool tls, struct why *why);
bool server_tls_init(struct server *server, const char *cert, const char *key, struct why *why);
/* Takes `go` and `go N` from stdin from now on. */
void server_stdin_start(struct server *server);
void server_release(struct server *server);

/* Which exchange answers; NULL: none, and why. */
struct exchange *server_pick(struct server *server, const struct call *call, struct why *why);

/* ---- calls --------------------------------------------------------------------------------- */

enum step {
    STEP_WAIT,  /* a timer runs; call->resume is called after it */
    STEP_HOLD,  /* stalled until `go`, after which call->resume is called */
    STEP_HEAD,  /* send status and fields */
    STEP_DATA,  /* send the piece */
    STEP_END,   /* the answer is complete */
    STEP_CUT,   /* break off */
    STEP_RESET, /* break off with a TCP reset */
};

struct piece {
    const unsigned char *data;
    size_t bytes;
    size_t chunk_bytes; /* of the chunk that this is a piece of */
    bool opens;         /* first of its chunk */
    bool closes;        /* last of its chunk */
};

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_H2 };

struct call {
    TAILQ_ENTRY(call) link;
    struct server *server;
    struct conn *conn;
    int32_t stream; /* HTTP/2 stream id */
    unsigned number;

    /* the request */
    char *method;
    char *path;       /* without query; NULL until known */
    char *wanted;     /* id asked for, or NULL */
    char *fault_spec; /* asked for, or NULL */
    EVP_MD_CTX *sha;
    uint64_t request_bytes;
    FILE *head_file; /* NULL unless saving */
    FILE *body_file;
    size_t head_bytes; /* HTTP/2: of names and values so far */
    int wrong;         /* HTTP/2: the status that the request deserves, 0: none */
    bool expects_continue;

    /* the answer; exchange is NULL until call_ready or call_refuse */
    const struct exchange *exchange;
    struct exchange *made; /* the same, where it is ours to free */
    struct fault fault;
    uint64_t total; /* body bytes in all */
    uint64_t at;    /* body bytes handed out */
    size_t chunk;   /* index of the recorded chunk that `at` is in */
    char total_text[24];
    char retry_after_text[24];
    bool bodiless; /* HEAD, 204, 304 */
    bool head_sent;
    bool waited;       /* the timer of the present point is over */
    bool released;     /* `go` came for the present point */
    bool holding;      /* stalled, and said so */
    bool over;         /* answered or cut, and said so */
    enum step pending; /* what happens when all that was written has left; STEP_WAIT: nothing */
    struct event *timer;
    void (*resume)(struct call *call);
};

struct call *call_new(struct conn *conn, void (*resume)(struct call *call));
/* Says `closed N` unless the answer is over. */
void call_free(struct call *call);

/* The request, in order. False: it is malformed (target) or above the ceiling (body). */
bool call_method(struct call *call, const char *method);
bool call_target(struct call *call, const char *target);
void call_field(struct call *call, const char *name, const char *value);
void call_head_save(struct call *call, const char *text, size_t bytes);
bool call_body(struct call *call, const void *data, size_t bytes);
/* The request is complete: chooses the answer and says `request N ...`. */
void call_ready(struct call *call);
/* Answers with an error of the double's own instead. */
void call_refuse(struct call *call, int status, const char *message);

/* What call_next would return; changes nothing. */
enum step call_peek(const struct call *call);
/* What to do now; at most `room` bytes (never 0) are handed out with STEP_DATA. */
enum step call_next(struct call *call, size_t room, struct piece *piece_out);
/* Whether HTTP/1.1 should send the body chunked. */
bool call_is_chunked(const struct call *call);
/* The fields to send, at most REPLAY_FIELDS_MAX + 4; borrowed from the call. */
size_t call_fields(const struct call *call, enum framing framing, bool closing,
                   struct field *fields_out);

void call_say_answered(struct call *call);
void call_say_stalled(struct call *call);
void call_say_cut(struct call *call);
/* Releases the stalled calls; number 0: all. */
void calls_go(struct server *server, unsigned number);

/* ---- connections --------------------------------------------------------------------------- */

enum conn_end { CONN_STAYS, CONN_CLOSE, CONN_LINGER, CONN_CUT, CONN_RESET };

struct protocol {
    void (*read)(struct conn *conn);    /* input arrived */
    void (*flushed)(struct conn *conn); /* all output has left */
    void (*free)(struct conn *conn);
};

struct conn {
    TAILQ_ENTRY(conn) link;
    struct server *server;
    struct bufferevent *bev;
    SSL *ssl; /* NULL: plain; owned by bev */
    const struct protocol *protocol;
    void *state; /* the protocol's */
    enum conn_end end;
    bool lingering;
    struct event *timer;
};

/* Sets protocol and state. False: out of memory. */
bool h1_start(struct conn *conn);
bool h2_start(struct conn *conn);

void conn_new(struct server *server, evutil_socket_t fd, bool tls);
void conn_free(struct conn *conn);
/* Does what conn->end says, which may free the connection: call it last. */
void conn_settle(struct conn *conn);
size_t conn_unsent(const struct conn *conn);

#endif
