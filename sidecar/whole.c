/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about the ledger as a whole: proving it, copying it, giving it to somebody else. */
#include "sidecar/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void side_chore_begin(struct side_query *query, struct side_chore *chore,
                      void (*work)(struct side_job *job),
                      void (*done)(struct side *side, struct side_job *job))
{
    if (chore == NULL) {
        side_conn_done(query->conn, 3, "out of memory");
        return;
    }
    chore->job.work = work;
    chore->job.done = done;
    chore->side = query->conn->side;
    chore->of = side_query_name(query);
    side_work(query->conn->side->chores, &chore->job);
}

/* ---- proving ----------------------------------------------------------------------------------
 */

struct proving {
    struct side_chore chore;
    uint8_t head[32];
    bool has_head;
    enum store_err err;
    struct store_proof proof;
    char why[160]; /* "", or why there is none */
};

/* What two processes see. The view is the other one's: what it reads is not written over. */
struct shared {
    struct store_view *view;
    const uint8_t *head;
    enum store_err err;
    struct store_proof proof;
};

static int prove(void *data)
{
    struct shared *shared = data;

    shared->err = store_verify(shared->view, shared->head, NULL, NULL, &shared->proof);
    return 0;
}

static void prove_apart(struct proving *proving, struct shared *shared)
{
    int64_t bytes = side_ledger_bytes(proving->chore.side->home);
    int code = side_apart(prove, shared, bytes, proving->why, sizeof proving->why);

    proving->err = shared->err;
    proving->proof = shared->proof;
    if (code == SIDE_APART_NONE)
        proving->err = STORE_NOMEM;
    else if (code != 0) {
        proving->err = STORE_OK;
        proving->proof = (struct store_proof){0};
        (void)snprintf(proving->proof.what, sizeof proving->proof.what, "%s", proving->why);
    }
}

static void work_proving(struct side_job *job)
{
    struct proving *proving = (struct proving *)job;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    proving->err = STORE_NOMEM;
    if (shared == MAP_FAILED)
        return;
    proving->err = store_view_open(proving->chore.side->store, &shared->view);
    if (proving->err == STORE_OK) {
        shared->head = proving->has_head ? proving->head : NULL;
        prove_apart(proving, shared);
        store_view_close(shared->view);
    }
    (void)munmap(shared, sizeof *shared);
}

static void done_proving(struct side *side, struct side_job *job)
{
    struct proving *proving = (struct proving *)job;
    const struct side_query *query = side_query_named(side, proving->chore.of);

    if (query != NULL) {
        struct side_conn *conn = query->conn;
        const struct store_proof *proof = &proving->proof;
        bool holds = proof->chain && proof->sums && proof->caps;

        if (proving->err == STORE_OK)
            side_reply_json(conn, side_proof_json(proof));
        if (proving->err != STORE_OK)
            side_conn_done(conn, 3,
                           proving->why[0] != '\0' ? proving->why : store_strerror(proving->err));
        else
            side_conn_done(conn, holds ? 0 : 1, holds ? NULL : proof->what);
    }
    free(proving);
}

void side_begin_verify(struct side_query *query, struct store_view *view)
{
    struct proving *proving = calloc(1, sizeof *proving);

    (void)view;
    if (proving != NULL) {
        proving->has_head = query->has_head;
        memcpy(proving->head, query->head, sizeof proving->head);
    }
    side_chore_begin(query, (struct side_chore *)proving, work_proving, done_proving);
}

/* ---- copying ----------------------------------------------------------------------------------
 */

struct backing_up {
    struct side_chore chore;
    char dir[512];
    enum store_err err;
    struct store_error error;
};

static void work_backup(struct side_job *job)
{
    struct backing_up *backup = (struct backing_up *)job;

    backup->err = store_copy(backup->chore.side->store, backup->dir, false, &backup->error);
}

static void done_backup(struct side *side, struct side_job *job)
{
    struct backing_up *backup = (struct backing_up *)job;
    const char *text = backup->error.text;
    const struct side_query *query = side_query_named(side, backup->chore.of);

    if (query != NULL) {
        struct side_conn *conn = query->conn;

        if (backup->err == STORE_OK)
            side_conn_done(conn, 0, NULL);
        else
            side_conn_done(conn, 3, text[0] != '\0' ? text : store_strerror(backup->err));
    }
    free(backup);
}

void side_begin_backup(struct side_query *query, struct store_view *view)
{
    const char *dir = json_string_value(json_object_get(query->request, "dir"));
    struct backing_up *backup = calloc(1, sizeof *backup);

    (void)view;
    if (backup != NULL && (dir == NULL || dir[0] != '/' || strlen(dir) >= sizeof backup->dir ||
                           strcmp(dir, query->conn->side->home) == 0)) {
        side_conn_done(query->conn, 2, "another directory is expected");
        free(backup);
        return;
    }
    if (backup != NULL)
        (void)snprintf(backup->dir, sizeof backup->dir, "%s", dir);
    side_chore_begin(query, (struct side_chore *)backup, work_backup, done_backup);
}

/* ---- giving it up -----------------------------------------------------------------------------
 */

static void retire(struct side *side, void *data)
{
    (void)data;
    (void)event_base_loopexit(side->base, NULL);
}

/* Only a sidecar that nobody needs: no run lives, no call is open. */
void side_begin_retire(struct side_query *query, struct store_view *view)
{
    struct side *side = query->conn->side;
    char text[120];

    (void)view;
    if (side->calls == NULL && !side_runs_any(side)) {
        side_conn_done(query->conn, 0, NULL);
        side_later(side, retire, NULL);
        return;
    }
    (void)snprintf(text, sizeof text, "a run lives on this ledger: %s",
                   side->runs != NULL ? side->runs->id_text : "its calls are not settled yet");
    side_conn_done(query->conn, 1, text);
}
