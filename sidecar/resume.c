/* SPDX-License-Identifier: Apache-2.0 */
/* Runs that have ended: known from the ledger alone. One that goes on with another launcher has the
 * same id, the same budget, what was spent stays spent; the time between does not count. */
#include "sidecar/orders.h"

#include <stdio.h>
#include <string.h>

/* Providers and prices are of today, the limits of then. */
static void budget_restore(struct side_spec *spec, const struct store_run *row, const char *id_text)
{
    const struct store_allocation *given = &row->allocation;

    for (unsigned dim = 0; dim < GOV_DIMS; dim++) {
        spec->limits[dim] =
            (struct gov_limit){given->limits[dim], (enum gov_policy)given->policies[dim]};
        spec->session_limits[dim].amount = given->session_limits[dim];
    }
    memcpy(spec->percents, given->percents, sizeof spec->percents);
    spec->bare = false;
    spec->meter_only = given->meter_only != 0;
    side_text_copy(spec->task, sizeof spec->task, given->task);
    side_text_copy(spec->agent, sizeof spec->agent, given->agent);
    side_text_copy(spec->policy, sizeof spec->policy, given->policy);
    side_text_copy(spec->session, sizeof spec->session, given->session);
    if (strcmp(spec->session, id_text) == 0)
        spec->session[0] = '\0'; /* one of its own */
}

/* As it was asked for, but for what of the configuration is not in the ledger. Its calls are
 * refused, whatever was asked of it; nobody needs its token to be refused. */
static struct side_run *run_over(struct side *side, const struct store_run *row)
{
    struct side_error error = {{0}};
    struct side_spec spec;
    struct side_run *run;
    char id_text[37];

    side_spec_init(&spec);
    client_uuid_text(row->run_id, id_text);
    budget_restore(&spec, row, id_text);
    run = side_run_new(&spec, &error);
    if (run == NULL)
        return NULL;
    memcpy(run->id, row->run_id, sizeof run->id);
    memcpy(run->id_text, id_text, sizeof run->id_text);
    run->started_ns = row->started_ns;
    run->ended = true;
    side_tags_of(&row->allocation, &run->tags);
    if (row->pid == 0)
        run->parent = side_run_by_id(side, row->allocation.parent);
    return run;
}

struct side_run *side_run_over(struct side *side, const uint8_t id[16])
{
    struct store_view *view;
    struct store_run row;
    bool over;

    if (store_view_open(side->store, &view) != STORE_OK)
        return NULL;
    over = store_view_run(view, id, &row) == STORE_OK && row.ended_ns != 0;
    store_view_close(view);
    return over ? run_over(side, &row) : NULL;
}

struct side_run *side_run_by_id(struct side *side, const uint8_t id[16])
{
    struct side_run *run = side_run_find(side, id);

    return run != NULL ? side_run_hold(run) : side_run_over(side, id);
}

bool side_resume_read(struct side *side, const struct side_conn *conn, const json_t *request,
                      struct side_spec *spec, struct store_run *row_out, struct side_error *error)
{
    const char *prefix = json_string_value(json_object_get(request, "resume"));
    struct store_view *view;
    char id_text[37];
    unsigned found;

    if (side_run_above(side, conn->pid))
        return side_fail(error, "inside_run: --resume is for a shell outside any run");
    if (prefix == NULL || store_view_open(side->store, &view) != STORE_OK)
        return side_fail(error, "the ledger cannot be read");
    found = side_runs_find(view, prefix, row_out);
    store_view_close(view);
    if (found != 1)
        return side_fail(error, "--resume: %s has an id that begins with '%.40s'",
                         found == 0 ? "no run" : "more than one run", prefix);
    client_uuid_text(row_out->run_id, id_text);
    if (row_out->ended_ns == 0 || side_run_find(side, row_out->run_id) != NULL)
        return side_fail(error, "--resume: run %s has not ended", id_text);
    if (row_out->allocation.by_hand)
        return side_fail(error, "--resume: run %s had no launcher", id_text);
    budget_restore(spec, row_out, id_text);
    return true;
}

void side_resume_fill(const struct side *side, const struct store_run *row, struct side_run *run,
                      struct side_op *op)
{
    struct store_turned *turned = &op->event.turned;

    memcpy(run->id, row->run_id, sizeof run->id);
    client_uuid_text(run->id, run->id_text);
    run->started_ns = row->started_ns;
    side_tags_of(&row->allocation, &run->tags);
    op->event.head.type = STORE_TURNED;
    store_scope_run(&turned->key, run->id);
    turned->word = STORE_REOPENED;
    turned->pid = run->pid;
    turned->pid_start = run->pid_start;
    memcpy(turned->boot_id, side->boot_id, sizeof turned->boot_id);
    (void)snprintf(turned->reason, sizeof turned->reason, "it goes on with another launcher");
}

void side_resume_tell(struct side *side, const struct side_run *run, json_t *answer)
{
    struct store_scope_key key;
    struct store_counter counter;
    struct store_view *view;
    json_t *used = json_object();

    (void)json_object_set_new(answer, "spec", side_spec_json(&run->spec));
    (void)json_object_set_new(answer, "used", used);
    if (store_view_open(side->store, &view) != STORE_OK)
        return;
    store_scope_run(&key, run->id);
    (void)store_view_counter(view, &key, &counter);
    store_view_close(view);
    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        (void)json_object_set_new(used, gov_dim_name((enum gov_dim)dim),
                                  json_integer(store_spent(&counter, (enum gov_dim)dim)));
}
