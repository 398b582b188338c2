/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane: what operators ask and decide, over HTTP on loopback (docs/CONTROL.md). A part
 * of side_int.h.
 *
 * The model. A request becomes a question of the kind that the command asks, on a connection of the
 * sidecar with itself: the verbs, what they check and how they hold back are the same. Before that
 * the operator's token is compared, and the process that asks is looked for, by a thread of its
 * own: whoever is below a launcher, or cannot be found, is no operator. */
#ifndef FLYBALL_SIDECAR_CONTROL_H
#define FLYBALL_SIDECAR_CONTROL_H

#include <event2/http.h>
#include <netinet/in.h>

#include "sidecar/queries.h"

#define SIDE_CONTROL_BODY        16384u /* bytes of a request's body */
#define SIDE_CONTROL_SECONDS     10     /* for a request to come, or a piece of an answer to go */
#define SIDE_CONTROL_CONNECTIONS 64u
#define SIDE_CONTROL_STREAMS     16u

#define SIDE_CONTROL_TOKEN 64u /* hex digits */

enum side_shape { SIDE_ONE, SIDE_LIST, SIDE_PROSE, SIDE_STREAM };
struct side_route {
    enum evhttp_cmd_type method;
    const char *path; /* a '*' stands for an id */
    const char *verb; /* of the question; NULL: a field says it, or there is none */
    const char *id;   /* what the id is in the question */
    const struct side_field *fields;
    enum side_shape shape;
    const char *list; /* SIDE_LIST: the member that has the lines */
};

struct side_exchange;
struct side_guest {
    struct bufferevent *buffer; /* counted */
    int64_t until_ms;           /* monotonic: when its request has to be here; INT64_MAX: it is */
};
struct side_control {
    struct side *side;
    struct evhttp *http;
    struct evconnlistener *listener;
    struct side_worker *finder; /* NULL: nobody has asked yet */
    struct sockaddr_in address;
    char token[SIDE_CONTROL_TOKEN + 1];
    struct side_guest guests[SIDE_CONTROL_CONNECTIONS];
    unsigned connections, streams;
    struct event *sweeping; /* while there are connections */
    struct side_exchange *exchanges;
};

/* Listens; address: IP:PORT of loopback, NULL: any free port. The address is left in
 * $FLYBALL_HOME/control. False: *error says why, and side->control_error. */
bool side_control_open(struct side *side, const char *address, struct side_error *error);
/* Once. What was being answered is cut off; side->control is to be freed after the jobs that have
 * been done. */
void side_control_close(struct side *side);

/* A request is here that will be answered: it may take its time, as long as its client stays. */
void side_control_let_stay(struct side_control *control, struct evhttp_connection *connection);

/* control_ask.c: a request has come; data: the struct side_control. */
void side_control_request(struct evhttp_request *http, void *data);
/* control_answer.c: looks who asks, puts the question (taken), and answers. */
void side_exchange_begin(struct side_control *control, struct evhttp_request *http,
                         const struct side_route *route, json_t *question);
/* An answer that is the whole; the reference is taken. */
void side_control_send(struct evhttp_request *http, int status, json_t *json);
/* {"error"}; field, value: NULL, "" for none; value is borrowed. */
void side_control_error(struct evhttp_request *http, int status, const char *code,
                        const char *field, const json_t *value, const char *message);

/* owner.c: the processes that have the other end of a loopback connection of ours, into pids. 0:
 * there are none that can be seen, more than most, or it is not uid's (or root's). Slow. */
unsigned side_owners_find(const struct sockaddr_in *theirs, const struct sockaddr_in *ours,
                          uid_t uid, pid_t *pids, unsigned most);

/* metrics.c: the answer to the verb `metrics`, in Prometheus's text form. */
void side_begin_metrics(struct side_query *query, struct store_view *view);

#endif
