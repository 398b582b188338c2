/* SPDX-License-Identifier: Apache-2.0 */
/* What directives depend on and no scope has: the profile that a person chose, the providers that
 * are to be left alone, the tasks that a person has to say yes to. Rows beside the chain, which has
 * every change of them. */
#include "store/store_int.h"
#include "store/window.h"

#include <string.h>

#define DIRECT_VERSION 1u
#define TASK_KEY       20u

enum store_err store_direct_get(struct store *store, struct store_direct *out)
{
    enum store_err err = store_get(store, store->txn, STORE_META, "direct", 6, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_view_direct(struct store_view *view, struct store_direct *out)
{
    enum store_err err =
        store_get(view->store, view->txn, STORE_META, "direct", 6, out, sizeof *out);

    if (err == STORE_NOT_FOUND)
        memset(out, 0, sizeof *out);
    return err;
}

enum store_err store_direct_put(struct store *store, const struct store_direct *row)
{
    struct store_direct stored = *row;

    stored.version = DIRECT_VERSION;
    return store_put(store, STORE_META, "direct", 6, &stored, sizeof stored);
}

/* ---- tasks -------------------------------------------------------------------------------- */

static void task_key(const char *task, uint8_t out[TASK_KEY])
{
    struct store_scope_key scope;

    store_scope_name(&scope, GOV_TASK, task);
    memcpy(out, "task", TASK_KEY - sizeof scope.id);
    memcpy(out + TASK_KEY - sizeof scope.id, scope.id, sizeof scope.id);
}

enum store_err store_task_get(struct store *store, const char *task, struct store_task *out)
{
    uint8_t key[TASK_KEY];

    task_key(task, key);
    return store_get(store, store->txn, STORE_META, key, sizeof key, out, sizeof *out);
}

enum store_err store_select(struct store *store, struct store_event *event, bool lifts)
{
    struct store_selected *selected = &event->selected;
    struct store_task row;
    uint8_t key[TASK_KEY];
    enum store_err err = store_task_get(store, selected->task_id, &row);
    bool stays = err == STORE_OK && !lifts;

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    task_key(selected->task_id, key);
    if (!stays)
        row = (struct store_task){.version = DIRECT_VERSION,
                                  .risk = selected->risk,
                                  .complexity = selected->complexity,
                                  .governance = selected->governance};
    selected->requires_approval |= stays;
    err = store_append(store, event, sizeof *selected);
    row.seq = event->head.seq;
    if (err == STORE_OK && selected->requires_approval)
        err = store_put(store, STORE_META, key, sizeof key, &row, sizeof row);
    else if (err == STORE_OK)
        err = store_delete(store, STORE_META, key, sizeof key);
    return store_spoil(store, err == STORE_NOT_FOUND ? STORE_OK : err);
}

enum store_err store_view_task(struct store_view *view, const char *task, struct store_task *out)
{
    uint8_t key[TASK_KEY];

    task_key(task, key);
    return store_get(view->store, view->txn, STORE_META, key, sizeof key, out, sizeof *out);
}
