/* SPDX-License-Identifier: Apache-2.0 */
/* How a run stands: what its day, its session and the providers have come to, and the directive
 * that its next call would get. Added up from the ledger, beside the loop, in a view of its own. */
#include "sidecar/orders.h"
#include "sidecar/side_book.h"
#include "sidecar/side_direct.h"
#include "store/window.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S      INT64_C(1000000000)
#define RECENT_EVENTS 20u

struct looking {
    struct store_view *view;
    struct store_override overrides[SIDE_OVERRIDES];
    unsigned override_count;
};

struct snapshot {
    struct side_job job;
    struct side *side;
    void *of; /* side_query_name */
    uint8_t run_id[16];
    struct side_run *run; /* counted; NULL: it is over */
    const struct side_zone *zone;
    struct store_event events[3];
    struct looking at;
    struct side_sum daily, session;
    struct side_sums providers;
    json_t *json;
};

/* ---- adding up ---------------------------------------------------------------------------- */

/* What a call is charged now. scratch: room for a record. */
static int64_t charged_pusd(struct store_view *view, const struct store_call *call,
                            const struct store_consumption *used, struct store_event *scratch)
{
    if (call->later_seq != 0 && store_view_event(view, call->later_seq, scratch) == STORE_OK &&
        scratch->head.type == STORE_CORRECTED)
        return scratch->corrected.to_pusd;
    return used->charged_pusd;
}

void side_sum_add(struct side_sum *sum, const struct store_consumption *used, int64_t charged)
{
    if (used->end == STORE_RELEASED)
        return;
    sum->requests++;
    sum->failures += used->error || used->status == 0 || used->status >= 400;
    for (unsigned bucket = 0; bucket < METER_BUCKETS; bucket++)
        *(bucket < METER_OUTPUT ? &sum->request_tokens : &sum->response_tokens) +=
            (int64_t)used->tokens[bucket];
    sum->cost_pusd += charged;
}

struct side_sum *side_sum_of(struct side_sums *sums, const char *provider)
{
    unsigned i = 0;

    while (i < sums->count && strncmp(sums->of[i].name, provider, GOV_PROVIDER_TEXT) != 0)
        i++;
    if (i == SIDE_SUMS)
        return NULL;
    if (i == sums->count) {
        (void)snprintf(sums->of[i].name, sizeof sums->of[i].name, "%.24s", provider);
        sums->count++;
    }
    return &sums->of[i];
}

/* A call belongs to the day of its admission. */
static void day_call_add(struct snapshot *snapshot, struct store_view *view, int64_t since_ns)
{
    const struct store_event *event = &snapshot->events[0];
    struct store_event *admission = &snapshot->events[1];
    struct store_call call;
    struct side_sum *sum;
    int64_t charged;

    if (store_view_call(view, event->head.call_id, &call) != STORE_OK ||
        store_view_event(view, call.admission_seq, admission) != STORE_OK ||
        admission->head.ts_ns < since_ns)
        return;
    charged = charged_pusd(view, &call, &event->consumption, &snapshot->events[2]);
    side_sum_add(&snapshot->daily, &event->consumption, charged);
    sum = side_sum_of(&snapshot->providers, admission->admission.provider);
    if (sum != NULL)
        side_sum_add(sum, &event->consumption, charged);
}

static void day_add(struct snapshot *snapshot, struct store_view *view, int64_t since_ns)
{
    struct store_event *event = &snapshot->events[0];

    for (uint64_t seq = store_view_since(view, since_ns);
         store_view_event(view, seq, event) == STORE_OK; seq = event->head.seq + 1) {
        struct side_sum *sum;

        if (event->head.ts_ns < since_ns)
            continue;
        if (event->head.type == STORE_CONSUMPTION)
            day_call_add(snapshot, view, since_ns);
        if (event->head.type != STORE_REFUSAL)
            continue;
        snapshot->daily.skipped += event->refusal.count;
        sum = side_sum_of(&snapshot->providers, event->refusal.provider);
        if (sum != NULL)
            sum->skipped += event->refusal.count;
    }
}

static void session_add(struct snapshot *snapshot, struct store_view *view,
                        const struct store_run *row)
{
    struct store_index_key of;
    struct store_call call;
    struct store_run run;
    uint8_t id[16];
    const uint8_t *last = NULL;

    store_index_name(&of, STORE_CALLS_OF_SESSION, row->allocation.session);
    for (; store_view_next_call(view, &of, last, &call) == STORE_OK; last = id) {
        const struct store_consumption *used = &snapshot->events[0].consumption;

        memcpy(id, call.call_id, sizeof id);
        if (call.consumption_seq != 0 &&
            store_view_event(view, call.consumption_seq, &snapshot->events[0]) == STORE_OK &&
            snapshot->events[0].head.type == STORE_CONSUMPTION)
            side_sum_add(&snapshot->session, used,
                         charged_pusd(view, &call, used, &snapshot->events[2]));
    }
    store_index_name(&of, STORE_RUNS_OF_SESSION, row->allocation.session);
    for (last = NULL; store_view_next_run_of(view, &of, last, &run) == STORE_OK; last = id) {
        memcpy(id, run.run_id, sizeof id);
        snapshot->session.skipped += run.refused;
    }
}

/* ---- the directive ------------------------------------------------------------------------ */

static void look(struct looking *at, struct store_view *view)
{
    at->view = view;
    at->override_count = side_overrides_of(view, at->overrides);
}

/* run: whose own scope it is; NULL: of another kind. */
static void scope_read(const struct looking *at, const struct side_run *run,
                       const struct store_scope_key *key, const struct gov_limit *limits,
                       bool guard, struct gov_scope *out)
{
    struct store_counter counter;

    memset(out, 0, sizeof *out);
    out->kind = (enum gov_scope_kind)key->kind;
    out->window = (enum gov_window)key->window;
    if (store_view_counter(at->view, key, &counter) != STORE_OK)
        memset(&counter, 0, sizeof counter);
    memcpy(out->limits, limits, sizeof out->limits);
    (void)side_scope_limits(
        at->overrides, at->override_count, key, run != NULL ? side_run_session(run) : "",
        run != NULL ? run->spec.ceilings : NULL, &counter, side_now_ns(), out->limits);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        out->guard[dim] = guard;
        out->spent[dim] = store_spent(&counter, (enum gov_dim)dim);
        out->held[dim] = counter.held[dim];
    }
}

/* The run, its session, its windows; rolling ones are left to the call itself. */
static unsigned scopes_read(const struct looking *at, const struct side_run *run,
                            const struct store_run *row, int64_t now_ns,
                            struct gov_scope out[STORE_SCOPES_MAX])
{
    struct store_scope_key key;
    unsigned count = 0;
    int64_t end_s;

    store_scope_run(&key, run->id);
    scope_read(at, run, &key, run->spec.limits, false, &out[count]);
    out[count++].spent[GOV_WALL] +=
        (now_ns - run->started_ns - store_paused_ns(row, now_ns)) / 1000000;
    store_scope_name(&key, GOV_SESSION,
                     run->spec.session[0] != '\0' ? run->spec.session : run->id_text);
    if (run->spec.session[0] != '\0')
        scope_read(at, NULL, &key, run->spec.session_limits, false, &out[count++]);
    if (run->spec.quality.guards[SIDE_GUARD_SESSION].on) {
        struct gov_limit limits[GOV_DIMS] = {{0}};

        limits[GOV_STEPS].amount = run->spec.quality.guards[SIDE_GUARD_SESSION].requests;
        limits[GOV_TOKENS].amount = run->spec.quality.guards[SIDE_GUARD_SESSION].tokens;
        scope_read(at, NULL, &key, limits, true, &out[count++]);
    }
    for (unsigned i = 0; i < run->spec.window_count && count < STORE_SCOPES_MAX; i++) {
        const struct side_window *window = &run->spec.windows[i];

        if (window->window == GOV_ROLLING ||
            (window->scope != GOV_GLOBAL && window->name[0] == '\0'))
            continue;
        side_window_key(run, window, NULL, now_ns / NS_PER_S, &key, &end_s);
        scope_read(at, NULL, &key, window->limits, window->guard, &out[count++]);
    }
    return count;
}

/* As side_task_ask has it. */
static bool task_asks(struct store_view *view, const struct side_run *run)
{
    struct store_task task;
    struct store_run row;

    for (; run != NULL; run = run->parent)
        if (run->spec.task[0] != '\0' && !run->spec.meter_only &&
            store_view_task(view, run->spec.task, &task) == STORE_OK &&
            store_view_run(view, run->id, &row) == STORE_OK && row.task_approved == 0)
            return true;
    return false;
}

static const char *verdict_of(struct store_view *view, const struct side_run *run,
                              const struct gov_directive *directive)
{
    if (task_asks(view, run))
        return "approve";
    if (directive->severity != GOV_HARD_LIMIT || run->spec.meter_only)
        return "admit";
    return run->routing != NULL ? "downgrade" : "deny";
}

static json_t *directive_json(const struct snapshot *snapshot, const struct store_run *row,
                              const struct store_direct *direct)
{
    const struct side_run *run = snapshot->run;
    struct gov_quality_rules rules = run->spec.quality.rules;
    struct gov_cooldown cooldowns[STORE_COOLDOWNS];
    struct gov_scope scopes[STORE_SCOPES_MAX];
    int64_t now_ns = side_now_ns();
    struct gov_standing standing = {.rules = &rules,
                                    .scopes = scopes,
                                    .cooldowns = cooldowns,
                                    .provider = "",
                                    .now_ms = now_ns / 1000000};
    struct gov_directive directive;

    rules.by_hand = direct->by_hand != 0;
    rules.chosen = (enum gov_quality)direct->quality;
    standing.cooldown_count = side_cooldowns_of(direct, cooldowns);
    standing.scope_count = scopes_read(&snapshot->at, run, row, now_ns, scopes);
    gov_direct(&standing, &directive);
    return side_directive_json(&directive, verdict_of(snapshot->at.view, run, &directive), NULL);
}

/* ---- blocked providers -------------------------------------------------------------------- */

/* The zone that the question names, else the system's. NULL: it is answered. */
static const struct side_zone *zone_asked(const struct side_query *query)
{
    const char *name = json_string_value(json_object_get(query->request, "timezone"));
    struct side_error error = {{0}};
    const struct side_zone *zone = side_zone_find(name != NULL ? name : "", &error);

    if (zone == NULL)
        side_conn_done(query->conn, 2, error.text);
    return zone;
}

/* With their guardrail, as the question has it: 0 calls or tokens are no limit. */
void side_begin_blocked(struct side_query *query, struct store_view *view)
{
    const struct side_zone *zone = zone_asked(query);
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
    struct looking at;
    int64_t start_s, end_s;

    if (zone == NULL)
        return;
    look(&at, view);
    (void)store_view_direct(view, &direct); /* none: all zero */
    standing.cooldown_count = side_cooldowns_of(&direct, cooldowns);
    gov_window_at(&zone->zone, GOV_DAILY, 0, standing.now_ms / 1000, &start_s, &end_s);
    while ((provider = meter_provider_next(provider)) != NULL) {
        struct gov_directive directive;
        struct store_scope_key key;

        standing.provider = meter_provider_name(provider);
        store_scope_name(&key, GOV_PROVIDER, standing.provider);
        store_scope_window(&key, GOV_DAILY, zone->tag, 0, start_s);
        scope_read(&at, NULL, &key, limits, true, &scope);
        gov_direct(&standing, &directive);
        if (directive.cooling || directive.full)
            side_reply_json(query->conn, json_pack("{s:s}", "provider", standing.provider));
    }
    side_conn_done(query->conn, 0, NULL);
}

/* ---- as JSON ------------------------------------------------------------------------------ */

static json_t *sum_json(const struct side_sum *sum)
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

    for (unsigned i = 0; i < snapshot->providers.count; i++)
        (void)json_array_append_new(list, sum_json(&snapshot->providers.of[i]));
    return list;
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
    const struct side_run *run = snapshot->run;
    int64_t limits[GOV_DIMS];
    struct store_direct direct;
    char id[37];

    side_limits_now(view, row, run != NULL ? run->spec.ceilings : NULL, limits);
    (void)store_view_direct(view, &direct); /* none: all zero */
    client_uuid_text(row->run_id, id);
    return json_pack("{s:s,s:s%,s:s?,s:o,s:o,s:o,s:o,s:o,s:o}", "run_id", id, "session_id",
                     row->allocation.session[0] != '\0' ? row->allocation.session : id,
                     row->allocation.session[0] != '\0'
                         ? strnlen(row->allocation.session, sizeof row->allocation.session)
                         : strlen(id),
                     "manual_profile",
                     direct.by_hand ? gov_quality_name((enum gov_quality)direct.quality) : NULL,
                     "limits", side_amounts_json(limits), "daily", sum_json(&snapshot->daily),
                     "session", sum_json(&snapshot->session), "providers", providers_json(snapshot),
                     "directive",
                     run != NULL ? directive_json(snapshot, row, &direct) : json_null(),
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
        look(&snapshot->at, view);
        gov_window_at(&snapshot->zone->zone, GOV_DAILY, 0, side_now_ns() / NS_PER_S, &start_s,
                      &end_s);
        day_add(snapshot, view, start_s * NS_PER_S);
        session_add(snapshot, view, &row);
        snapshot->json = snapshot_json(snapshot, view, &row);
    }
    store_view_close(view);
}

static void done_snapshot(struct side *side, struct side_job *job)
{
    struct snapshot *snapshot = (struct snapshot *)job;
    const struct side_query *query = side_query_named(side, snapshot->of);

    if (query != NULL) {
        struct side_conn *conn = query->conn;

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
    const struct side_zone *zone;
    struct side_run *run;
    struct store_run row;

    if (!side_select_records(query, query->request))
        return;
    zone = zone_asked(query);
    if (zone == NULL)
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
    snapshot->of = side_query_name(query);
    memcpy(snapshot->run_id, query->run_id, sizeof snapshot->run_id);
    snapshot->run = run != NULL ? side_run_hold(run) : NULL;
    snapshot->zone = run != NULL ? run->zone : zone;
    side_work(query->conn->side->chores, &snapshot->job);
}
