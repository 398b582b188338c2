/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics: what calls have come to by provider, since the ledger's first record, and what there is
 * at the moment, in the text form that Prometheus reads. Names and labels are those of
 * OpenTelemetry's GenAI conventions where it has some. Records are added up once, by a worker. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/control.h"

#define AT_A_TIME 20000u /* records in one view, which keeps their pages from being used again */

struct metrics {
    struct side_chore chore;
    struct store_event events[2];
    uint64_t runs[GOV_STATES], in_flight, questions;
    char *text;
};

/* ---- adding up ---------------------------------------------------------------------------- */

/* False: that was all. */
static bool add_some(struct side *side, struct metrics *metrics)
{
    struct store_event *event = &metrics->events[0];
    struct store_view *view;
    unsigned i = 0;

    if (store_view_open(side->store, &view) != STORE_OK)
        return false;
    for (; i < AT_A_TIME && store_view_event(view, side->totals_seq, event) == STORE_OK; i++) {
        struct store_event *admission = &metrics->events[1];
        struct store_call call;
        struct side_sum *sum = NULL;

        if (event->head.type == STORE_REFUSAL &&
            (sum = side_sum_of(&side->totals, event->refusal.provider)) != NULL)
            sum->skipped += event->refusal.count;
        if (event->head.type == STORE_CONSUMPTION &&
            store_view_call(view, event->head.call_id, &call) == STORE_OK &&
            store_view_event(view, call.admission_seq, admission) == STORE_OK &&
            (sum = side_sum_of(&side->totals, admission->admission.provider)) != NULL)
            side_sum_add(sum, &event->consumption, event->consumption.charged_pusd);
        side->totals_seq = event->head.seq + 1;
    }
    store_view_close(view);
    return i == AT_A_TIME;
}

/* ---- text --------------------------------------------------------------------------------- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Names may come from the user's configuration. */
static const char *label(const char *name, char out[GOV_PROVIDER_TEXT + 1])
{
    size_t i = 0;

    for (; name[i] != '\0' && i < GOV_PROVIDER_TEXT; i++)
        out[i] = isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL ? name[i] : '_';
    out[i] = '\0';
    return out;
}

static void by_provider(FILE *out, const struct side_sums *sums)
{
    char name[GOV_PROVIDER_TEXT + 1], usd[METER_USD_TEXT];

#define EACH(format, ...)                                                                          \
    for (const struct side_sum *sum = sums->of; sum < sums->of + sums->count; sum++)               \
    (void)fprintf(out, format, __VA_ARGS__)
    head(out, "gen_ai_client_token_usage_total", "counter", "Tokens that providers have metered.");
    EACH(
        "gen_ai_client_token_usage_total{gen_ai_provider_name=\"%s\",gen_ai_token_type=\"input\"} "
        "%lld\n"
        "gen_ai_client_token_usage_total{gen_ai_provider_name=\"%s\",gen_ai_token_type=\"output\"} "
        "%lld\n",
        label(sum->name, name), (long long)sum->request_tokens, name,
        (long long)sum->response_tokens);
    head(out, "flyball_calls_total", "counter", "Calls that were sent and have ended, or refused.");
    EACH("flyball_calls_total{gen_ai_provider_name=\"%s\",outcome=\"answered\"} %lld\n"
         "flyball_calls_total{gen_ai_provider_name=\"%s\",outcome=\"failed\"} %lld\n"
         "flyball_calls_total{gen_ai_provider_name=\"%s\",outcome=\"refused\"} %lld\n",
         label(sum->name, name), (long long)(sum->requests - sum->failures), name,
         (long long)sum->failures, name, (long long)sum->skipped);
    head(out, "flyball_cost_usd_total", "counter", "What was charged for calls when they ended.");
    EACH("flyball_cost_usd_total{gen_ai_provider_name=\"%s\"} %s\n", label(sum->name, name),
         meter_usd_text(sum->cost_pusd, usd));
#undef EACH
}

static void at_the_moment(FILE *out, const struct metrics *metrics)
{
    head(out, "flyball_runs", "gauge", "Runs that live, by state.");
    for (unsigned state = 0; state < GOV_STATES; state++)
        (void)fprintf(out, "flyball_runs{state=\"%s\"} %llu\n",
                      gov_state_name((enum gov_state)state),
                      (unsigned long long)metrics->runs[state]);
    head(out, "flyball_calls_in_flight", "gauge", "Calls that hold some of a budget.");
    (void)fprintf(out, "flyball_calls_in_flight %llu\n", (unsigned long long)metrics->in_flight);
    head(out, "flyball_approvals_waiting", "gauge", "Questions that wait for a person.");
    (void)fprintf(out, "flyball_approvals_waiting %llu\n", (unsigned long long)metrics->questions);
    head(out, "flyball_build_info", "gauge", "The version of this sidecar.");
    (void)fprintf(out, "flyball_build_info{version=\"" FLYBALL_VERSION "\"} 1\n");
}

/* ---- the job ------------------------------------------------------------------------------ */

static void work_metrics(struct side_job *job)
{
    struct metrics *metrics = (struct metrics *)job;
    struct side *side = metrics->chore.side;
    size_t bytes;
    FILE *out;

    while (add_some(side, metrics))
        ;
    out = open_memstream(&metrics->text, &bytes);
    if (out == NULL)
        return;
    by_provider(out, &side->totals);
    at_the_moment(out, metrics);
    (void)fclose(out);
}

static void done_metrics(struct side *side, struct side_job *job)
{
    struct metrics *metrics = (struct metrics *)job;
    const struct side_query *query = side_query_named(side, metrics->chore.of);

    if (query != NULL) {
        struct side_conn *conn = query->conn;

        if (metrics->text != NULL)
            side_conn_reply(conn, metrics->text, strlen(metrics->text));
        side_conn_done(conn, metrics->text != NULL ? 0 : 3,
                       metrics->text != NULL ? NULL : "out of memory");
    }
    free(metrics->text);
    free(metrics);
}

void side_begin_metrics(struct side_query *query, struct store_view *view)
{
    const struct side *side = query->conn->side;
    struct metrics *metrics = calloc(1, sizeof *metrics);
    struct store_run row;

    for (const struct side_run *run = side->runs; metrics != NULL && run != NULL; run = run->next)
        if (!run->ended && store_view_run(view, run->id, &row) == STORE_OK &&
            row.state < GOV_STATES) {
            metrics->runs[row.state]++;
            metrics->questions += row.asked_seq != 0;
        }
    for (const struct side_call *call = side->calls; metrics != NULL && call != NULL;
         call = call->next)
        metrics->in_flight += call->phase != SIDE_ASKED;
    side_chore_begin(query, (struct side_chore *)metrics, work_metrics, done_metrics);
}
