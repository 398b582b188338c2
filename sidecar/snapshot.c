/* SPDX-License-Identifier: Apache-2.0 */
/* How a run stands: what its day, its session and the providers have come to, and the directive
 * that its next call would get. Added up from the ledger, beside the loop, in a view of its own. */
#include "sidecar/side_book.h"
#include "sidecar/side_direct.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S      INT64_C(1000000000)
#define PROVIDERS     32u
#define RECENT_EVENTS 20u

struct sum {
    char name[GOV_PROVIDER_TEXT + 1]; /* of a provider */
    int64_t requests, request_tokens, response_tokens, failures, skipped, cost_pusd;
};

struct snapshot {
    struct side_job job;
    struct side *side;
    struct side_query *query; /* not to be looked at here: it may be gone */
    uint8_t run_id[16];
    struct side_run *run; /* counted; NULL: it is over */
    struct store_event events[2];
    struct sum daily, session, providers[PROVIDERS];
    unsigned provider_count;
    json_t *json;
};

/* ---- adding up ---------------------------------------------------------------------------- */

static void sum_add(struct sum *sum, const struct store_event *event)
{
    const struct store_consumption *used = &event->consumption;

    if (event->head.type == STORE_REFUSAL) {
        sum->skipped += event->refusal.count;
        return;
    }
    if (used->end == STORE_RELEASED)
        return;
    sum->requests++;
    sum->failures += used->error || used->status == 0 || used->status >= 400;
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        *(bucket < METER_OUTPUT ? &sum->request_tokens : &sum->response_tokens) +=
            (int64_t)used->tokens[bucket];
    sum->cost_pusd += used->charged_pusd;
}

static struct sum *sum_of(struct snapshot *snapshot, const char *provider)
{
    unsigned i = 0;

    while (i < snapshot->provider_count &&
           strncmp(snapshot->providers[i].name, provider, GOV_PROVIDER_TEXT) != 0)
        i++;
    if (i == PROVIDERS)
        return NULL;
    if (i == snapshot->provider_count) {
        (void)snprintf(snapshot->providers[i].name, sizeof snapshot->providers[i].name, "%.24s",
                       provider);
        snapshot->provider_count++;
    }
    return &snapshot->providers[i];
}

/* A call belongs to the day of its admission. */
static void day_add(struct snapshot *snapshot, struct store_view *view, int64_t since_ns)
{
    struct store_event *event = &snapshot->events[0], *admission = &snapshot->events[1];

    for (uint64_t seq = store_view_since(view, since_ns);
         store_view_event(view, seq, event) == STORE_OK; seq = event->head.seq + 1) {
        const char *provider = event->refusal.provider;
        struct store_call call;
        struct sum *sum;

        if (event->head.ts_ns < since_ns)
            continue;
        if (event->head.type == STORE_CONSUMPTION) {
            if (store_view_call(view, event->head.call_id, &call) != STORE_OK ||
                store_view_event(view, call.admission_seq, admission) != STORE_OK ||
                admission->head.ts_ns < since_ns)
                continue;
            provider = admission->admission.provider;
        } else if (event->head.type != STORE_REFUSAL) {
            continue;
        }
        sum_add(&snapshot->daily, event);
        sum = sum_of(snapshot, provider);
        if (sum != NULL)
            sum_add(sum, event);
    }
}

static void session_add(struct snapshot *snapshot, struct store_view *view,
                        const struct store_run *row)
{
    struct store_index_key of;
    struct store_call call;
    uint8_t id[16];
    const uint8_t *last = NULL;

    if (row->allocation.session[0] != '\0')
        store_index_name(&of, STORE_CALLS_OF_SESSION, row->allocation.session);
    else
        store_index_run(&of, STORE_CALLS_OF_RUN, row->run_id);
    for (; store_view_next_call(view, &of, last, &call) == STORE_OK; last = id) {
        uint64_t seq = call.consumption_seq != 0 ? call.consumption_seq : call.admission_seq;

        memcpy(id, call.call_id, sizeof id);
        if (store_view_event(view, seq, &snapshot->events[0]) == STORE_OK &&
            (snapshot->events[0].head.type == STORE_CONSUMPTION ||
             snapshot->events[0].head.type == STORE_REFUSAL))
            sum_add(&snapshot->session, &snapshot->events[0]);
    }
}

/* ---- the directive ------------------------------------------------------------------------ */

static void scope_read(struct store_view *view, const struct store_scope_key *key,
                       const struct gov_limit *limits, bool guard, struct gov_scope *out)
{
    struct store_counter counter;

    memset(out, 0, sizeof *out);
    out->kind = (enum gov_scope_kind)key->kind;
    out->window = (enum gov_window)key->window;
    if (store_view_counter(view, key, &counter) != STORE_OK)
        memset(&counter, 0, sizeof counter);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        out->limits[dim] = limits[dim];
        out->guard[dim] = guard;
        out->spent[dim] = store_spent(&counter, (enum gov_dim)dim);
        out->held[dim] = counter.held[dim];
    }
}

/* The run, its session, its windows; rolling ones are left to the call itself. */
static unsigned scopes_read(const struct side_run *run, struct store_view *view, int64_t now_s,
                            struct gov_scope out[STORE_SCOPES_MAX])
{
    struct store_scope_key key;
    unsigned count = 0;
    int64_t end_s;

    store_scope_run(&key, run->id);
    scope_read(view, &key, run->spec.limits, false, &out[count]);
    out[count++].spent[GOV_WALL] = (side_now_ns() - run->started_ns) / 1000000;
    store_scope_name(&key, GOV_SESSION,
                     run->spec.session[0] != '\0' ? run->spec.session : run->id_text);
    if (run->spec.session[0] != '\0')
        scope_read(view, &key, run->spec.session_limits, false, &out[count++]);
    if (run->spec.quality.guards[SIDE_GUARD_SESSION].on) {
        struct gov_limit limits[GOV_DIMS] = {{0}};

        limits[GOV_STEPS].amount = run->spec.quality.guards[SIDE_GUARD_SESSION].requests;
        limits[GOV_TOKENS].amount = run->spec.quality.guards[SIDE_GUARD_SESSION].tokens;
        scope_read(view, &key, limits, true, &out[count++]);
    }
    for (unsigned i = 0; i < run->spec.window_count && count < STORE_SCOPES_MAX; i++) {
        const struct side_window *window = &run->spec.windows[i];

        if (window->window == GOV_ROLLING ||
            (window->scope != GOV_GLOBAL && window->name[0] == '\0'))
            continue;
        side_window_key(run, window, NULL, now_s, &key, &end_s);
        scope_read(view, &key, window->limits, window->guard, &out[count++]);
    }
    return count;
}

static json_t *directive_json(const struct side_run *run, struct store_view *view,
                              const struct store_direct *direct)
{
    struct gov_quality_rules rules = run->spec.quality.rules;
    struct gov_cooldown cooldowns[STORE_COOLDOWNS];
    struct gov_scope scopes[STORE_SCOPES_MAX];
    struct gov_standing standing = {.rules = &rules,
                                    .scopes = scopes,
                                    .cooldowns = cooldowns,
                                    .provider = "",
                                    .now_ms = side_now_ns() / 1000000};
    struct gov_directive directive;

    rules.by_hand = direct->by_hand != 0;
    rules.chosen = (enum gov_quality)direct->quality;
    standing.cooldown_count = side_cooldowns_of(direct, cooldowns);
    standing.scope_count = scopes_read(run, view, standing.now_ms / 1000, scopes);
    gov_direct(&standing, &directive);
    return side_directive_json(
        &directive,
        directive.severity == GOV_HARD_LIMIT && !run->spec.meter_only ? "deny" : "admit", NULL);
}

/* ---- blocked providers -------------------------------------------------------------------- */

/* With their guardrail, as the question has it: 0 calls or tokens are no limit. */
void side_begin_blocked(struct side_query *query, struct store_view *view)
{
    const char *name = json_string_value(json_object_get(query->request, "timezone"));
    struct side_error error = {{0}};
    const struct side_zone *zone = side_zone_find(name != NULL ? name : "", &error);
    const struct gov_quality_rules rules = {.warning_ppm = GOV_MILLION};
    const struct gov_limit limits[GOV_DIMS] = {
        [GOV_STEPS].amount = json_integer_value(json_object_get(query->request, "requests")),
        [GOV_TOKENS].amount = json_integer_value(json_object_get(query->request, "tokens"))};
    const struct meter_provider *provider = NULL;
    struct gov_cooldown cooldowns[STORE_COOLDOWNS];
    struct gov_scope scope;
    struct gov_standing standing = {.rules = &rules,
                                    .scopes = &scope,
                                    .scope_count = 1,
                                    .cooldowns = cooldowns,
                                    .now_ms = side_now_ns() / 1000000};
    struct store_direct direct;
    int64_t start_s, end_s;

    if (zone == NULL) {
        side_conn_done(query->conn, 2, error.text);
        return;
    }
    (void)store_view_direct(view, &direct); /* none: all zero */
    standing.cooldown_count = side_cooldowns_of(&direct, cooldowns);
    gov_window_at(&zone->zone, GOV_DAILY, 0, standing.now_ms / 1000, &start_s, &end_s);
    while ((provider = meter_provider_next(provider)) != NULL) {
        struct gov_directive directive;
        struct store_scope_key key;

        standing.provider = meter_provider_name(provider);
        store_scope_name(&key, GOV_PROVIDER, standing.provider);
        store_scope_window(&key, GOV_DAILY, zone->tag, 0, start_s);
        scope_read(view, &key, limits, true, &scope);
        gov_direct(&standing, &directive);
        if (directive.cooling || directive.full)
            side_reply_json(query->conn, json_pack("{s:s}", "provider", standing.provider));
    }
    side_conn_done(query->conn, 0, NULL);
}

/* ---- as JSON ------------------------------------------------------------------------------ */

static json_t *sum_json(const struct sum *sum)
{
    json_t *json = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:o}", "request_count", (json_int_t)sum->requests, "request_tokens",
        (json_int_t)sum->request_tokens, "response_tokens", (json_int_t)sum->response_tokens,
        "failure_count", (json_int_t)sum->failures, "skipped_count", (json_int_t)sum->skipped,
        "cost_usd", side_amount_json(GOV_COST, sum->cost_pusd));

    if (sum->name[0] != '\0')
        (void)json_object_set_new(json, "provider", json_string(sum->name));
    return json;
}

static json_t *providers_json(const struct snapshot *snapshot)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < snapshot->provider_count; i++)
        (void)json_array_append_new(list, sum_json(&snapshot->providers[i]));
    return list;
}

static json_t *limits_json(const struct store_allocation *allocation)
{
    json_t *map = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        if (allocation->limits[dim] > 0)
            (void)json_object_set_new(map, gov_dim_name((enum gov_dim)dim),
                                      side_amount_json((enum gov_dim)dim, allocation->limits[dim]));
    return map;
}

/* The last ones of the whole ledger, the newest last. */
static json_t *recent_json(struct snapshot *snapshot, struct store_view *view)
{
    json_t *list = json_array();
    uint8_t hash[32];
    uint64_t head;

    store_view_head(view, &head, hash);
    for (uint64_t seq = head > RECENT_EVENTS ? head - RECENT_EVENTS + 1 : 1;
         seq <= head && store_view_event(view, seq, &snapshot->events[0]) == STORE_OK;
         seq = snapshot->events[0].head.seq + 1)
        (void)json_array_append_new(list, side_event_json(view, &snapshot->events[0]));
    return list;
}

static json_t *snapshot_json(struct snapshot *snapshot, struct store_view *view,
                             const struct store_run *row)
{
    struct store_direct direct;
    char id[37];

    (void)store_view_direct(view, &direct); /* none: all zero */
    client_uuid_text(row->run_id, id);
    return json_pack(
        "{s:s,s:s%,s:s?,s:o,s:o,s:o,s:o,s:o,s:o}", "run_id", id, "session_id",
        row->allocation.session[0] != '\0' ? row->allocation.session : id,
        row->allocation.session[0] != '\0'
            ? strnlen(row->allocation.session, sizeof row->allocation.session)
            : strlen(id),
        "manual_profile",
        direct.by_hand ? gov_quality_name((enum gov_quality)direct.quality) : NULL, "limits",
        limits_json(&row->allocation), "daily", sum_json(&snapshot->daily), "session",
        sum_json(&snapshot->session), "providers", providers_json(snapshot), "directive",
        snapshot->run != NULL ? directive_json(snapshot->run, view, &direct) : json_null(),
        "recent_events", recent_json(snapshot, view));
}

/* ---- the job ------------------------------------------------------------------------------ */

static void work_snapshot(struct side_job *job)
{
    struct snapshot *snapshot = (struct snapshot *)job;
    struct store_view *view;
    struct store_run row;
    int64_t start_s = 0, end_s;

    if (store_view_open(snapshot->side->store, &view) != STORE_OK)
        return;
    if (store_view_run(view, snapshot->run_id, &row) == STORE_OK) {
        gov_window_at(snapshot->run != NULL ? &snapshot->run->zone->zone : NULL, GOV_DAILY, 0,
                      side_now_ns() / NS_PER_S, &start_s, &end_s);
        day_add(snapshot, view, start_s * NS_PER_S);
        session_add(snapshot, view, &row);
        snapshot->json = snapshot_json(snapshot, view, &row);
    }
    store_view_close(view);
}

static void done_snapshot(struct side *side, struct side_job *job)
{
    struct snapshot *snapshot = (struct snapshot *)job;

    if (side_query_lives(side, snapshot->query)) {
        struct side_conn *conn = snapshot->query->conn;

        if (snapshot->json != NULL)
            side_reply_json(conn, json_incref(snapshot->json));
        side_conn_done(conn, snapshot->json != NULL ? 0 : 3,
                       snapshot->json != NULL ? NULL : "the ledger cannot be read");
    }
    json_decref(snapshot->json);
    side_run_drop(snapshot->run);
    free(snapshot);
}

void side_begin_snapshot(struct side_query *query, struct store_view *view)
{
    struct snapshot *snapshot;
    struct side_run *run;
    struct store_run row;

    if (!side_select_records(query, query->request))
        return;
    if (!query->by_run) {
        struct store_index_key of;
        const uint8_t *last = NULL;
        uint8_t id[16];

        store_index_name(&of, STORE_RUNS_OF_SESSION, query->session);
        for (; store_view_next_run_of(view, &of, last, &row) == STORE_OK; last = id) {
            memcpy(id, row.run_id, sizeof id);
            memcpy(query->run_id, row.run_id, sizeof query->run_id);
        }
    }
    snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return;
    }
    run = side_run_find(query->conn->side, query->run_id);
    snapshot->job.work = work_snapshot;
    snapshot->job.done = done_snapshot;
    snapshot->side = query->conn->side;
    snapshot->query = query;
    memcpy(snapshot->run_id, query->run_id, sizeof snapshot->run_id);
    snapshot->run = run != NULL ? side_run_hold(run) : NULL;
    side_work(query->conn->side->chores, &snapshot->job);
}
