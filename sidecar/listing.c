/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing lists: which records an operator asked for, and the line that each is. */
#include "sidecar/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEK_BEFORE_NS (INT64_C(3600) * 1000000000)

/* ---- which records ------------------------------------------------------------------------ */

static bool wanted_run(const struct side_query *query, struct store_view *view,
                       const uint8_t run_id[16])
{
    struct store_run run;

    if (query->by_run)
        return memcmp(query->run_id, run_id, 16) == 0;
    if (query->session[0] == '\0')
        return true;
    return store_view_run(view, run_id, &run) == STORE_OK &&
           strncmp(run.allocation.session, query->session, sizeof run.allocation.session) == 0;
}

static bool is_prefix_of(const char *prefix, const uint8_t run_id[16])
{
    char text[37];

    client_uuid_text(run_id, text);
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The least id that begins so, without one. False: none can. */
static bool least_of_prefix(const char *prefix, uint8_t out[16])
{
    unsigned digits = 0;

    memset(out, 0, 16);
    for (; *prefix != '\0'; prefix++) {
        char digit[2] = {*prefix, '\0'};

        if (*prefix == '-')
            continue;
        if (digits == 32 || strspn(digit, "0123456789abcdef") != 1)
            return false;
        out[digits / 2] |= (uint8_t)(strtoul(digit, NULL, 16) << (digits % 2 == 0 ? 4 : 0));
        digits++;
    }
    return true;
}

bool side_id_before(const char *prefix, uint8_t out[16])
{
    static const uint8_t zeros[16]; /* no id */

    if (!least_of_prefix(prefix, out))
        return false;
    if (memcmp(out, zeros, sizeof zeros) == 0)
        return true;
    for (int i = 15; i >= 0 && out[i]-- == 0; i--)
        continue;
    return true;
}

unsigned side_runs_find(struct store_view *view, const char *prefix, struct store_run *out)
{
    struct store_run run;
    uint8_t id[16];
    unsigned found = 0;
    enum store_err err;

    if (!side_id_before(prefix, id))
        return 0;
    err = store_view_next_run(view, id, false, &run);
    while (found < 2 && err == STORE_OK && is_prefix_of(prefix, run.run_id)) {
        if (found++ == 0)
            *out = run;
        memcpy(id, run.run_id, sizeof id);
        err = store_view_next_run(view, id, false, &run);
    }
    return found;
}

static void select_run(struct side_query *query, const struct store_run *run)
{
    query->by_run = true;
    memcpy(query->run_id, run->run_id, sizeof query->run_id);
    store_index_run(&query->of, STORE_CALLS_OF_RUN, run->run_id);
    if (query->seq < run->allocation_seq)
        query->seq = run->allocation_seq; /* nothing of it stands before */
}

static bool select_session(struct side_query *query, struct store_view *view, const char *session)
{
    struct store_run run;

    (void)snprintf(query->session, sizeof query->session, "%s", session);
    store_index_name(&query->of, STORE_RUNS_OF_SESSION, query->session);
    if (store_view_next_run_of(view, &query->of, NULL, &run) != STORE_OK)
        return false;
    if (query->verb->line == side_line_call)
        query->of.kind = STORE_CALLS_OF_SESSION;
    return true;
}

/* Ids begin with their time, and a call's is made before its record is: somewhat before is soon
 * enough. */
static void seek(struct side_query *query)
{
    int64_t ms = (query->since_ns - SEEK_BEFORE_NS) / 1000000;

    if (ms <= 0)
        return;
    for (int i = 0; i < 6; i++)
        query->last_id[i] = (uint8_t)(ms >> (40 - 8 * i));
    query->has_last = true;
}

/* --run ID, --session S, --all, or none of them: the newest run. False: there is no such run; the
 * other end has been told. */
bool side_select_records(struct side_query *query, const json_t *request)
{
    const char *run_text = json_string_value(json_object_get(request, "run"));
    const char *session = json_string_value(json_object_get(request, "session"));
    struct store_view *view;
    struct store_run run;
    char text[200] = "there is no run yet; start one with `flyball run -- CMD`";
    unsigned found;

    seek(query);
    if (store_view_open(query->conn->side->store, &view) != STORE_OK) {
        side_conn_done(query->conn, 3, "the ledger cannot be read");
        return false;
    }
    query->seq = query->since_ns != 0
                     ? store_view_since(view, query->since_ns)
                     : (uint64_t)json_integer_value(json_object_get(request, "after")) + 1;
    if (query->all)
        found = 1;
    else if (run_text != NULL)
        found = side_runs_find(view, run_text, &run);
    else if (session != NULL)
        found = select_session(query, view, session);
    else
        found = store_view_next_run(view, NULL, true, &run) == STORE_OK;
    store_view_close(view);
    if (query->all)
        return true;
    if (found == 1 && session == NULL)
        select_run(query, &run);
    else if (found > 1)
        (void)snprintf(
            text, sizeof text,
            "more than one run has an id that begins with '%.40s'; `flyball runs` lists them",
            run_text);
    else if (run_text != NULL)
        (void)snprintf(text, sizeof text,
                       "no run has an id that begins with '%.40s'; `flyball runs` lists them",
                       run_text);
    else if (session != NULL)
        (void)snprintf(text, sizeof text, "no run belongs to a session '%.80s'", session);
    if (found != 1)
        side_conn_done(query->conn, 1, text);
    return found == 1;
}

/* ---- lines -------------------------------------------------------------------------------- */

static bool next_event(struct side_query *query, struct store_view *view, struct store_event *event)
{
    if (store_view_event(view, query->seq, event) != STORE_OK)
        return false;
    query->seq = event->head.seq + 1;
    return true;
}

json_t *side_line_event(struct side_query *query, struct store_view *view, bool *more,
                        char **text_out)
{
    struct store_event *event = malloc(sizeof *event);
    json_t *line = NULL;

    (void)text_out;
    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns &&
        wanted_run(query, view, event->head.run_id))
        line = side_event_json(view, event);
    free(event);
    return line;
}

static void hex_of(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
}

/* What anybody can hash again: the record's bytes end with the hash of the one before. */
json_t *side_line_record(struct side_query *query, struct store_view *view, bool *more,
                         char **text_out)
{
    struct store_event *event = malloc(sizeof *event);
    uint8_t bytes[STORE_RECORD_MAX];
    char hex[2 * STORE_RECORD_MAX + 1], hash[65], prev[65], when[32];
    size_t count = 0;

    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns &&
        store_view_raw(view, event->head.seq, bytes, &count) == STORE_OK && count > 32) {
        const char *name = side_event_name(event->head.type);

        hex_of(bytes, count - 32, hex);
        hex_of(bytes + count - 32, 32, hash);
        hex_of(event->head.prev, 32, prev);
        if (asprintf(text_out,
                     "{\"seq\":%llu,\"ts\":\"%s\",\"event\":\"%s\",\"prev\":\"%s\",\"hash\":\"%s\","
                     "\"record\":\"%s\"}",
                     (unsigned long long)event->head.seq, side_time_text(event->head.ts_ns, when),
                     name != NULL ? name : "", prev, hash, hex) < 0)
            *text_out = NULL;
    }
    free(event);
    return NULL;
}

json_t *side_line_decision(struct side_query *query, struct store_view *view, bool *more,
                           char **text_out)
{
    struct store_event *event = malloc(sizeof *event);
    json_t *line = NULL;

    (void)text_out;
    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns &&
        (event->head.type == STORE_ADMISSION || event->head.type == STORE_REFUSAL))
        line = side_event_json(view, event);
    free(event);
    return line;
}

json_t *side_line_receipt(struct side_query *query, struct store_view *view, bool *more,
                          char **text_out)
{
    struct store_event *event = malloc(sizeof *event);

    *more = event != NULL && next_event(query, view, event);
    if (*more && event->head.ts_ns >= query->since_ns &&
        wanted_run(query, view, event->head.run_id))
        *text_out = side_receipt_lines(view, event, query->kind);
    free(event);
    return NULL;
}

static bool since(const struct side_query *query, struct store_view *view,
                  const struct store_call *call)
{
    struct store_event *event;
    uint64_t seq = call->admission_seq != 0 ? call->admission_seq : call->consumption_seq;
    bool later = true;

    if (query->since_ns == 0)
        return true;
    event = malloc(sizeof *event);
    if (event != NULL && store_view_event(view, seq, event) == STORE_OK)
        later = event->head.ts_ns >= query->since_ns;
    free(event);
    return later;
}

bool side_next_call(struct side_query *query, struct store_view *view, struct store_call *out)
{
    if (store_view_next_call(view, &query->of, query->has_last ? query->last_id : NULL, out) !=
        STORE_OK)
        return false;
    memcpy(query->last_id, out->call_id, sizeof query->last_id);
    query->has_last = true;
    return true;
}

json_t *side_line_call(struct side_query *query, struct store_view *view, bool *more,
                       char **text_out)
{
    struct store_call call;

    (void)text_out;
    *more = side_next_call(query, view, &call);
    if (!*more)
        return NULL;
    return wanted_run(query, view, call.run_id) && since(query, view, &call)
               ? side_call_json(view, &call)
               : NULL;
}

json_t *side_line_run(struct side_query *query, struct store_view *view, bool *more,
                      char **text_out)
{
    const uint8_t *last = query->has_last ? query->last_id : NULL;
    struct store_run run;

    (void)text_out;
    *more = (query->of.kind == STORE_RUNS_OF_SESSION
                 ? store_view_next_run_of(view, &query->of, last, &run)
                 : store_view_next_run(view, last, false, &run)) == STORE_OK;
    if (!*more)
        return NULL;
    memcpy(query->last_id, run.run_id, sizeof query->last_id);
    query->has_last = true;
    return wanted_run(query, view, run.run_id) && run.started_ns >= query->since_ns
               ? side_run_json(view, &run, side_run_find(query->conn->side, run.run_id))
               : NULL;
}
