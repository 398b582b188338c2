/* SPDX-License-Identifier: Apache-2.0 */
/* What of the runs is written beside the ledger: the list of hosts for the preloaded object, and
 * what a sidecar needs to take over the runs of one that was killed. */
#include "sidecar/orders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COME_BACK_S 5 /* for calls to be asked again after a restart */

/* ---- the hosts that the preloaded object must know ---------------------------------------- */

static void hosts_of(const struct side_run *run, FILE *file)
{
    for (unsigned i = 0; i < run->spec.provider_count; i++)
        (void)fprintf(file, "%s %d\n", run->spec.providers[i].host,
                      (int)meter_shape_of(meter_provider_by_name(run->spec.providers[i].name), ""));
}

/* All runs' together: a host too many is asked about, a host too few is not governed. */
void side_hosts_write(struct side *side)
{
    char path[600], fresh[620];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/hosts", side->home);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "we");
    if (file == NULL)
        return;
    for (const struct side_run *run = side->runs; run != NULL; run = run->next)
        if (!run->ended)
            hosts_of(run, file);
    if (fclose(file) == 0)
        (void)rename(fresh, path);
}

/* ---- what is kept for after a restart ----------------------------------------------------- */

static void run_path(const struct side *side, const struct side_run *run, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/runs/%s.json", side->home, run->id_text);
}

static json_t *run_json(const struct side_run *run)
{
    char token[37];

    client_uuid_text(run->token, token);
    return json_pack("{s:s,s:o}", "token", token, "spec", side_spec_json(&run->spec));
}

void side_run_keep(const struct side *side, const struct side_run *run)
{
    char path[600], fresh[620];
    json_t *json = run_json(run);
    int fd;

    (void)snprintf(path, sizeof path, "%s/runs", side->home);
    (void)mkdir(path, 0700);
    run_path(side, run, path, sizeof path);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && json_dumpfd(json, fd, JSON_COMPACT) == 0)
        (void)rename(fresh, path);
    if (fd >= 0)
        (void)close(fd);
    json_decref(json);
}

void side_run_forget(const struct side *side, const struct side_run *run)
{
    char path[600];

    run_path(side, run, path, sizeof path);
    (void)unlink(path);
}

/* ---- after a restart ---------------------------------------------------------------------- */

/* What the launcher asked for and the token; without them the run can only be closed. */
static bool kept_read(const struct side *side, const char *id_text, struct side_spec *spec,
                      uint8_t token[16])
{
    struct side_error error = {{0}};
    char path[600];
    const char *token_text;
    json_t *kept;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/runs/%s.json", side->home, id_text);
    kept = json_load_file(path, 0, NULL);
    token_text = json_string_value(json_object_get(kept, "token"));
    ok = token_text != NULL && client_hex16(token_text, token) &&
         side_spec_parse(json_object_get(kept, "spec"), spec, &error);
    json_decref(kept);
    return ok;
}

static void run_restore(struct side *side, const struct store_run *row)
{
    static const uint8_t no_run[sizeof row->allocation.parent];
    struct side_error error = {{0}};
    char id_text[37];
    uint8_t token[16];
    struct side_spec *spec = malloc(sizeof *spec);
    struct side_run *run;
    bool kept, resumed = row->pid != 0;

    if (spec == NULL)
        return;
    side_spec_init(spec);
    client_uuid_text(row->run_id, id_text);
    kept = kept_read(side, id_text, spec, token);
    run = side_run_new(spec, &error);
    free(spec);
    if (run == NULL)
        return;
    memcpy(run->id, row->run_id, sizeof run->id);
    memcpy(run->id_text, id_text, sizeof run->id_text);
    if (kept)
        memcpy(run->token, token, sizeof run->token);
    if (kept && row->allocation.by_hand == 0 &&
        memcmp(row->allocation.parent, no_run, sizeof no_run) == 0)
        side_keep(side, &run->spec.keeping);
    run->started_ns = row->started_ns;
    side_tags_of(&row->allocation, &run->tags);
    run->by_hand = row->allocation.by_hand != 0;
    run->pid = (pid_t)(resumed ? row->pid : row->allocation.pid);
    run->pid_start = resumed ? row->pid_start : row->allocation.pid_start;
    run->next = side->runs;
    side->runs = run;
    if ((run->by_hand && !side_page_open(side, run, NULL)) || !kept ||
        memcmp(resumed ? row->boot_id : row->allocation.boot_id, side->boot_id,
               sizeof side->boot_id) != 0 ||
        side_pid_start(run->pid) != run->pid_start || !side_run_watch(side, run))
        side_run_close(side, run, -1, run->by_hand ? GOV_COMPLETED : GOV_CANCELLED);
    else
        side_run_expiry(side, run, row->asked_seq);
}

/* Parents are older than their children, so they are there when those are linked. A run that goes
 * on with another launcher is below that one, and in no other run any more. */
static void parents_link(struct side *side, struct store_view *view)
{
    for (struct side_run *run = side->runs; run != NULL; run = run->next) {
        struct store_run row;

        if (store_view_run(view, run->id, &row) == STORE_OK && row.pid == 0)
            run->parent = side_run_by_id(side, row.allocation.parent);
    }
}

static void on_withdrawn(struct side *side, struct side_op *op)
{
    side_notices_tell(side, op);
    side_queries_wake(side);
    side_op_free(op);
}

/* Whoever waits for the answer to a question has come back by now. */
static void on_expected(evutil_socket_t fd, short what, void *data)
{
    struct side *side = data;

    (void)fd, (void)what;
    for (struct side_run *run = side->runs; run != NULL; run = run->next) {
        struct side_op *op = run->asked_seq != 0 && run->asked_seq <= side->kept_seq
                                 ? side_op_new(SIDE_OP_CANCEL, run, on_withdrawn, NULL)
                                 : NULL;

        if (op != NULL) /* else it stays open until its time is up */
            side_post(side, op);
    }
}

void side_runs_restore(struct side *side)
{
    struct store_view *view;
    const struct store_index_key alive = {.kind = STORE_RUNS_ALIVE};
    struct store_run row;
    uint8_t id[16], hash[32];
    const uint8_t *last = NULL;
    const struct timeval later = {COME_BACK_S, 0};

    if (store_view_open(side->store, &view) != STORE_OK)
        return;
    while (store_view_next_run_of(view, &alive, last, &row) == STORE_OK) {
        run_restore(side, &row);
        memcpy(id, row.run_id, sizeof id);
        last = id;
    }
    parents_link(side, view);
    store_view_head(view, &side->kept_seq, hash);
    store_view_close(view);
    (void)event_base_once(side->base, -1, EV_TIMEOUT, on_expected, side, &later);
    side_hosts_write(side);
}
