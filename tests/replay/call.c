/* SPDX-License-Identifier: Apache-2.0
 *
 * A call: its request is taken in here, its answer chosen, and what happened to it said. The
 * request's body is counted and hashed, never kept.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#include "tests/replay/replay.h"

static FILE *save_open(const struct call *call, const char *what)
{
    char name[4096];
    FILE *file;

    if (!call->server->save_dir)
        return NULL;
    snprintf(name, sizeof name, "%s/%u.%s", call->server->save_dir, call->number, what);
    file = fopen(name, "wbe");
    if (!file)
        perror(name);
    return file;
}

static void save_close(FILE **file)
{
    if (*file && fclose(*file))
        perror("replay: --save");
    *file = NULL;
}

struct call *call_new(struct conn *conn, void (*resume)(struct call *call))
{
    struct call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    call->sha = EVP_MD_CTX_new();
    if (!call->sha || !EVP_DigestInit_ex(call->sha, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(call->sha);
        free(call);
        return NULL;
    }
    call->conn = conn;
    call->server = conn->server;
    call->resume = resume;
    call->pending = STEP_WAIT;
    call->number = ++call->server->call_count;
    call->head_file = save_open(call, "head");
    call->body_file = save_open(call, "body");
    TAILQ_INSERT_TAIL(&call->server->calls, call, link);
    return call;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    if (!call->over && !call->server->ending)
        server_say(call->server, "closed %u", call->number);
    TAILQ_REMOVE(&call->server->calls, call, link);
    save_close(&call->head_file);
    save_close(&call->body_file);
    if (call->timer)
        event_free(call->timer);
    fault_release(&call->fault);
    exchange_free(call->made);
    EVP_MD_CTX_free(call->sha);
    free(call->method);
    free(call->path);
    free(call->wanted);
    free(call->fault_spec);
    free(call);
}

/* ---- the request --------------------------------------------------------------------------- */

static void text_set(char **text, char *value)
{
    free(*text);
    *text = value;
}

bool call_method(struct call *call, const char *method)
{
    text_set(&call->method, strdup(method));
    return call->method;
}

/* The decoded value of a query parameter, or NULL; the caller frees it. */
static char *query_value(const char *query, const char *name)
{
    size_t name_bytes = strlen(name);

    for (const char *at = query; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, name, name_bytes) || at[name_bytes] != '=')
            continue;
        at += name_bytes + 1;
        char *raw = strndup(at, strcspn(at, "&"));
        char *value = raw ? evhttp_uridecode(raw, 1, NULL) : NULL;

        free(raw);
        return value;
    }
    return NULL;
}

static const char *target_path(const char *target)
{
    const char *host = strstr(target, "://"), *path;

    if (*target == '/' || !strcmp(target, "*"))
        return target;
    if (!host)
        return NULL;
    path = strchr(host + 3, '/'); /* the absolute form, as sent to proxies */
    return path ? path : "/";
}

bool call_target(struct call *call, const char *target)
{
    const char *path = target_path(target);
    size_t path_bytes = path ? strcspn(path, "?#") : 0;

    for (const char *at = target; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    if (!path)
        return false;
    text_set(&call->path, strndup(path, path_bytes));
    if (path[path_bytes] == '?') {
        text_set(&call->wanted, query_value(path + path_bytes + 1, "replay"));
        text_set(&call->fault_spec, query_value(path + path_bytes + 1, "fault"));
    }
    return call->path;
}

void call_field(struct call *call, const char *name, const char *value)
{
    if (!evutil_ascii_strcasecmp(name, "x-replay"))
        text_set(&call->wanted, strdup(value));
    else if (!evutil_ascii_strcasecmp(name, "x-replay-fault"))
        text_set(&call->fault_spec, strdup(value));
    else if (!evutil_ascii_strcasecmp(name, "expect"))
        call->expects_continue = !evutil_ascii_strcasecmp(value, "100-continue");
}

void call_head_save(struct call *call, const char *text, size_t bytes)
{
    if (call->head_file)
        fwrite(text, 1, bytes, call->head_file);
}

bool call_body(struct call *call, const void *data, size_t bytes)
{
    if (bytes > REPLAY_BODY_BYTES_MAX - call->request_bytes)
        return false;
    call->request_bytes += bytes;
    if (call->body_file)
        fwrite(data, 1, bytes, call->body_file);
    return EVP_DigestUpdate(call->sha, data, bytes);
}

/* ---- the choice of the answer -------------------------------------------------------------- */

static void answer_set(struct call *call, const struct exchange *exchange)
{
    uint64_t repeat = call->fault.repeat > 0 && !call->made ? (uint64_t)call->fault.repeat : 1;

    call->exchange = exchange;
    call->total = exchange->body_bytes * repeat;
    call->bodiless = (call->method && !strcmp(call->method, "HEAD")) || exchange->status == 204 ||
                     exchange->status == 304;
    snprintf(call->total_text, sizeof call->total_text, "%ju", (uintmax_t)call->total);
    snprintf(call->retry_after_text, sizeof call->retry_after_text, "%jd",
             (intmax_t)call->fault.retry_after_s);
}

static void answer_set_made(struct call *call, struct exchange *made)
{
    static struct exchange nothing = {.id = "-", .status = 500};

    exchange_free(call->made);
    call->made = made;
    answer_set(call, made ? made : &nothing);
}

void call_refuse(struct call *call, int status, const char *message)
{
    struct exchange *made = exchange_error(status, NULL, call->path, message);

    fault_release(&call->fault);
    call->fault = fault_none();
    /* A message with bytes that are not UTF-8 does not fit into JSON. */
    answer_set_made(call, made ? made : exchange_error(status, NULL, NULL, "bad request"));
}

static const char *fault_spec_of(const struct call *call)
{
    struct server *server = call->server;

    if (call->fault_spec)
        return call->fault_spec;
    if (!server->fault_spec || !server->fault_times)
        return "none";
    if (server->fault_times > 0)
        server->fault_times--;
    return server->fault_spec;
}

static struct exchange *status_made(struct call *call)
{
    struct why why;
    struct exchange *named = call->wanted ? server_pick(call->server, call, &why) : NULL;
    char message[64];

    snprintf(message, sizeof message, "status %d, as told", (int)call->fault.status);
    return exchange_error((int)call->fault.status, named ? named->provider : NULL, call->path,
                          message);
}

static void answer_choose(struct call *call)
{
    struct why why;
    const struct exchange *exchange;

    if (!fault_parse(fault_spec_of(call), &call->fault, &why))
        call_refuse(call, 400, why.text);
    else if (call->fault.status > 0)
        answer_set_made(call, status_made(call));
    else if (call->fault.redirect307)
        answer_set_made(call, exchange_made(307, "Location", call->fault.redirect307, NULL));
    else if (call->fault.redirect302)
        answer_set_made(call, exchange_made(302, "Location", call->fault.redirect302, NULL));
    else if ((exchange = server_pick(call->server, call, &why)))
        answer_set(call, exchange);
    else
        call_refuse(call, 404, why.text);
}

static void digest_text(struct call *call, char text_out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_DigestFinal_ex(call->sha, digest, NULL);
    for (size_t i = 0; i < 32; i++)
        snprintf(text_out + 2 * i, 3, "%02x", digest[i]);
}

void call_ready(struct call *call)
{
    char digest[65];

    /* Whoever reads the line may read the files. */
    save_close(&call->head_file);
    save_close(&call->body_file);
    digest_text(call, digest);
    answer_choose(call);
    server_say(call->server, "request %u %s %s %s %ju %s", call->number, call->method, call->path,
               call->exchange->id, (uintmax_t)call->request_bytes, digest);
}

/* ---- what happened ------------------------------------------------------------------------- */

void call_say_answered(struct call *call)
{
    call->over = true;
    server_say(call->server, "answered %u %s %d %ju", call->number, call->exchange->id,
               call->exchange->status, (uintmax_t)call->at);
}

void call_say_stalled(struct call *call)
{
    call->holding = true;
    if (call->head_sent)
        server_say(call->server, "stalled %u %s %ju", call->number, call->exchange->id,
                   (uintmax_t)call->at);
    else
        server_say(call->server, "stalled %u %s head", call->number, call->exchange->id);
}

void call_say_cut(struct call *call)
{
    call->over = true;
    server_say(call->server, "cut %u %s %ju", call->number, call->exchange->id,
               (uintmax_t)call->at);
}

static struct call *holding_find(struct server *server, unsigned number)
{
    struct call *call;

    for (call = TAILQ_FIRST(&server->calls); call; call = TAILQ_NEXT(call, link))
        if (call->holding && (!number || call->number == number))
            return call;
    return NULL;
}

/* Resuming may free any number of calls, so the search starts anew each time. */
void calls_go(struct server *server, unsigned number)
{
    struct call *call;

    while ((call = holding_find(server, number))) {
        call->holding = false;
        call->released = true;
        call->resume(call);
    }
}
