/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's requests: what may be asked, by whom as far as the request itself can say,
 * and the question that it becomes. */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sidecar/control.h"

#define ACTOR_TEXT 22u /* with " (control)" it is a record's actor */

/* ---- routes ------------------------------------------------------------------------------- */

static const char *const profiles[] = {"performance", "balanced", "economy", "auto", NULL};
static const char *const decisions[] = {"approve", "deny", NULL};
static const char *const revoke[] = {"override.revoke", NULL};

/* clang-format off */
#define BY {"reason", "reason", SIDE_FIELD_TEXT, 0, STORE_REASON_TEXT, NULL, NULL}, \
           {"actor", "actor", SIDE_FIELD_TEXT, 0, ACTOR_TEXT, NULL, NULL}
#define WHOM {"run_id", "run", SIDE_FIELD_TEXT, SIDE_FIELD_ONE, 37, NULL, NULL}, \
             {"session_id", "session", SIDE_FIELD_TEXT, SIDE_FIELD_ONE, 64, NULL, NULL}, \
             {"all", "all", SIDE_FIELD_TRUE, SIDE_FIELD_ONE, 0, NULL, NULL}
#define END {NULL, NULL, SIDE_FIELD_TEXT, 0, 0, NULL, NULL}
static const struct side_field no_fields[] = {END};
static const struct side_field snapshot_fields[] = {
    {"run_id", "run", SIDE_FIELD_TEXT, 0, 37, NULL, NULL},
    {"session_id", "session", SIDE_FIELD_TEXT, 0, 64, NULL, NULL}, END};
static const struct side_field profile_fields[] = {
    {"profile", "profile", SIDE_FIELD_WORD, SIDE_FIELD_NEEDED | SIDE_FIELD_NULL, 0, profiles, NULL},
    BY, END};
static const struct side_field answer_fields[] = {
    {"decision", "verb", SIDE_FIELD_WORD, SIDE_FIELD_NEEDED, 0, decisions, NULL},
    {"extensions", "extend", SIDE_FIELD_AMOUNTS, 0, 0, NULL, NULL}, BY, END};
static const struct side_field extend_fields[] = {
    {"extensions", "extend", SIDE_FIELD_AMOUNTS, SIDE_FIELD_NEEDED, 0, NULL, NULL}, BY, END};
static const struct side_field stop_fields[] = {
    WHOM, {"reason", "reason", SIDE_FIELD_TEXT, SIDE_FIELD_NEEDED, STORE_REASON_TEXT, NULL, NULL},
    {"actor", "actor", SIDE_FIELD_TEXT, 0, ACTOR_TEXT, NULL, NULL}, END};
static const struct side_field reset_fields[] = {
    WHOM, {"policy", "verb", SIDE_FIELD_TRUE, SIDE_FIELD_ONE, 0, revoke, NULL}, BY, END};

static const struct side_route routes[] = {
    {EVHTTP_REQ_GET, "/healthz", NULL, NULL, no_fields, SIDE_ONE, NULL},
    {EVHTTP_REQ_GET, "/budget/snapshot", "snapshot", NULL, snapshot_fields, SIDE_ONE, NULL},
    {EVHTTP_REQ_POST, "/budget/profile", "profile.set", NULL, profile_fields, SIDE_ONE, NULL},
    {EVHTTP_REQ_GET, "/approvals", "approvals", NULL, no_fields, SIDE_LIST, "approvals"},
    {EVHTTP_REQ_POST, "/approvals/*", NULL, "id", answer_fields, SIDE_ONE, NULL},
    {EVHTTP_REQ_POST, "/stop", "stop", NULL, stop_fields, SIDE_LIST, "stopped"},
    {EVHTTP_REQ_POST, "/reset", "reset", NULL, reset_fields, SIDE_LIST, "reset"},
    {EVHTTP_REQ_POST, "/runs/*/extend", "extend", "run", extend_fields, SIDE_ONE, NULL},
    {EVHTTP_REQ_GET, "/events", "events", NULL, no_fields, SIDE_STREAM, NULL},
    {EVHTTP_REQ_GET, "/metrics", "metrics", NULL, no_fields, SIDE_PROSE, NULL},
};
/* clang-format on */

/* The id that stands for the '*' into id_out. False: it is another path. */
static bool path_fits(const char *pattern, const char *path, char id_out[37])
{
    const char *star = strchr(pattern, '*');
    size_t before = star != NULL ? (size_t)(star - pattern) : 0, length;

    if (star == NULL)
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, before) != 0)
        return false;
    length = strspn(path + before, "0123456789abcdef-");
    (void)snprintf(id_out, 37, "%.*s", (int)length, path + before);
    return length > 0 && length < 37 && strcmp(path + before + length, star + 1) == 0;
}

/* ---- requests --------------------------------------------------------------------------- */

static void send_wrong_text(struct evhttp_request *http, int status, const char *code,
                            const char *field, const char *value, const char *message)
{
    json_t *text = json_string(value != NULL ? value : "");

    side_control_error(http, status, code, field, text, message);
    json_decref(text);
}

/* A page of a browser that has a name of its own resolve to us says its own name. */
static bool host_is_ours(struct evhttp_request *http)
{
    const char *host = evhttp_request_get_host(http);
    struct in_addr address;

    return host != NULL &&
           (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
            (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127));
}

/* In a time that says nothing about where they differ. */
static bool token_is_ours(const struct side_control *control, struct evhttp_request *http)
{
    const char *given = evhttp_find_header(evhttp_request_get_input_headers(http), "Authorization");
    unsigned char differs = 0;

    if (given == NULL || strncasecmp(given, "Bearer ", 7) != 0 ||
        strlen(given + 7) != SIDE_CONTROL_TOKEN)
        return false;
    for (unsigned i = 0; i < SIDE_CONTROL_TOKEN; i++)
        differs |= (unsigned char)(given[7 + i] ^ control->token[i]);
    return differs == 0;
}

/* The row; NULL: told. */
static const struct side_route *route_find(struct evhttp_request *http, char id_out[37])
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (path_fits(routes[i].path, path != NULL ? path : "", id_out)) {
            if (evhttp_request_get_command(http) == routes[i].method)
                return &routes[i];
            (void)evhttp_add_header(evhttp_request_get_output_headers(http), "Allow",
                                    routes[i].method == EVHTTP_REQ_GET ? "GET" : "POST");
            side_control_error(http, 405, "method_not_allowed", NULL, NULL,
                               "another method is expected here");
            return NULL;
        }
    send_wrong_text(http, 404, "not_found", "path", path, "there is nothing here");
    return NULL;
}

/* Each name once, with its text. NULL: it is not so, or out of memory. */
static json_t *query_json(const char *query)
{
    json_t *json = json_object();
    struct evkeyvalq pairs;
    bool ok;

    if (query == NULL || *query == '\0')
        return json;
    ok = evhttp_parse_query_str(query, &pairs) == 0;
    for (const struct evkeyval *pair = ok ? pairs.tqh_first : NULL; ok && pair != NULL;
         pair = pair->next.tqe_next)
        ok = json_object_get(json, pair->key) == NULL &&
             json_object_set_new(json, pair->key, json_string(pair->value)) == 0;
    evhttp_clear_headers(&pairs);
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

/* What was sent, as an object: of GET the query. NULL: told. */
static json_t *sent_json(struct evhttp_request *http)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(http);
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(http));
    size_t bytes = evbuffer_get_length(body);
    json_error_t error;
    json_t *json;

    if (evhttp_request_get_command(http) == EVHTTP_REQ_GET) {
        json = query_json(query);
        if (json == NULL)
            send_wrong_text(http, 400, "bad_field", "query", query,
                            "a query has each name once, with a value in UTF-8");
        return json;
    }
    if (bytes > SIDE_CONTROL_BODY) {
        side_control_error(http, 413, "too_large", NULL, NULL, "the body is larger than 16 KiB");
        return NULL;
    }
    json = json_loadb((const char *)evbuffer_pullup(body, -1), bytes,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL)
        side_control_error(http, 400, "bad_json", NULL, NULL,
                           bytes > 0 ? error.text : "a JSON object is expected");
    return json;
}

static void actor_put(json_t *question)
{
    const char *actor = json_string_value(json_object_get(question, "actor"));

    (void)json_object_set_new(question, "actor",
                              json_sprintf("%s (control)", actor != NULL ? actor : "operator"));
}

/* A stream begins where the client left off, else now. */
static void stream_ask(const struct side_control *control, struct evhttp_request *http,
                       json_t *question)
{
    const char *last = evhttp_find_header(evhttp_request_get_input_headers(http), "Last-Event-ID");
    struct store_view *view;
    uint64_t head = 0;
    uint8_t hash[32];
    char *end = NULL;

    if (store_view_open(control->side->store, &view) == STORE_OK) {
        store_view_head(view, &head, hash);
        store_view_close(view);
    }
    if (last != NULL) {
        uint64_t after = strtoull(last, &end, 10);

        head = *last >= '0' && *last <= '9' && *end == '\0' && after < head ? after : head;
    }
    (void)json_object_update_new(
        question, json_pack("{s:b,s:b,s:I}", "all", 1, "follow", 1, "after", (json_int_t)head));
}

/* NULL: told. */
static json_t *question_read(const struct side_control *control, struct evhttp_request *http,
                             const struct side_route *route, const char *id)
{
    json_t *question = json_object(), *sent = sent_json(http);
    struct side_wrong wrong = {.text = "out of memory"};
    bool ok;

    if (route->verb != NULL)
        (void)json_object_set_new(question, "verb", json_string(route->verb));
    if (route->id != NULL)
        (void)json_object_set_new(question, route->id, json_string(id));
    ok = sent != NULL && side_fields_read(route->fields, sent, question, &wrong);
    if (sent != NULL && !ok)
        side_control_error(http, 400, "bad_field", wrong.field, wrong.value, wrong.text);
    json_decref(sent);
    if (!ok) {
        json_decref(question);
        return NULL;
    }
    actor_put(question);
    if (route->shape == SIDE_STREAM)
        stream_ask(control, http, question);
    return question;
}

void side_control_request(struct evhttp_request *http, void *data)
{
    struct side_control *control = data;
    const struct side_route *route;
    json_t *question;
    char id[37] = "";

    control->side->busy_since_ms = side_now_ms();
    if (!host_is_ours(http)) {
        send_wrong_text(http, 403, "bad_host", "Host", evhttp_request_get_host(http),
                        "the host is localhost, or a loopback address");
        return;
    }
    route = route_find(http, id);
    if (route == NULL)
        return;
    if (route->verb == NULL && route->id == NULL) { /* /healthz */
        side_control_send(http, 200, json_pack("{s:b}", "ok", 1));
        return;
    }
    if (!token_is_ours(control, http)) {
        (void)evhttp_add_header(evhttp_request_get_output_headers(http), "WWW-Authenticate",
                                "Bearer realm=\"flyball\"");
        side_control_error(http, 401, "unauthorized", "Authorization", NULL,
                           "the token of $FLYBALL_HOME/operator.token is expected");
        return;
    }
    if (route->shape == SIDE_STREAM && control->streams >= SIDE_CONTROL_STREAMS) {
        side_control_error(http, 503, "unavailable", NULL, NULL, "too many streams are open");
        return;
    }
    question = question_read(control, http, route, id);
    if (question != NULL)
        side_exchange_begin(control, http, route, question);
}
