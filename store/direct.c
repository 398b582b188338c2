/* SPDX-License-Identifier: Apache-2.0 */
/* What directives depend on and no scope has: the profile that a person chose, the providers that
 * are to be left alone, the tasks that a person has to say yes to. Rows beside the chain, which has
 * every change of them. */
#include "store/store_int.h"
#include "store/window.h"

#include <string.h>

#define DIRECT_VERSION 1u

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

bool store_is_of_none(const struct store_record *head)
{
    static const uint8_t none[16];

    return memcmp(head->run_id, none, sizeof none) == 0 &&
           memcmp(head->call_id, none, sizeof none) == 0;
}

/* Its place, else a free one, else that of the one that is over first. */
unsigned store_cooldown_place(const struct store_direct *direct, const char *provider)
{
    unsigned best = 0;

    for (unsigned i = 0; i < STORE_COOLDOWNS; i++)
        if (strcmp(direct->cooldowns[i].provider, provider) == 0)
            return i;
    for (unsigned i = 0; i < STORE_COOLDOWNS; i++)
        if (direct->cooldowns[i].until_ns < direct->cooldowns[best].until_ns)
            best = i;
    return best;
}

void store_direct_apply(struct store_direct *row, const struct store_event *event)
{
    const struct store_cooldown *cooldown = &event->cooldown;
    unsigned at;

    row->version = DIRECT_VERSION;
    if (event->head.type == STORE_TRANSITION) {
        row->by_hand = event->transition.by_hand;
        row->quality = event->transition.quality;
        return;
    }
    at = store_cooldown_place(row, cooldown->provider);
    memset(&row->cooldowns[at], 0, sizeof row->cooldowns[at]);
    if (cooldown->until_ns == 0)
        return;
    memcpy(row->cooldowns[at].provider, cooldown->provider, sizeof cooldown->provider);
    row->cooldowns[at].until_ns = cooldown->until_ns;
}

enum store_err store_direct_change(struct store *store, struct store_event *event,
                                   struct store_direct *row)
{
    enum store_err err = store_append(store, event, store_body_bytes(event->head.type));

    store_direct_apply(row, event);
    return err == STORE_OK ? store_put(store, STORE_META, "direct", 6, row, sizeof *row) : err;
}

/* ---- tasks -------------------------------------------------------------------------------- */

static void task_key(const char *task, uint8_t out[STORE_TASK_KEY])
{
    struct store_scope_key scope;

    store_scope_name(&scope, GOV_TASK, task);
    memcpy(out, "task", STORE_TASK_KEY - sizeof scope.id);
    memcpy(out + STORE_TASK_KEY - sizeof scope.id, scope.id, sizeof scope.id);
}

enum store_err store_task_get(struct store *store, const char *task, struct store_task *out)
{
    uint8_t key[STORE_TASK_KEY];

    task_key(task, key);
    return store_get(store, store->txn, STORE_META, key, sizeof key, out, sizeof *out);
}

bool store_task_apply(struct store_task *row, bool known, const struct store_event *event)
{
    const struct store_selected *selected = &event->selected;

    if (!selected->requires_approval)
        return false;
    if (!known || !selected->stays)
        *row = (struct store_task){.version = DIRECT_VERSION,
                                   .risk = selected->risk,
                                   .complexity = selected->complexity,
                                   .governance = selected->governance};
    row->seq = event->head.seq;
    return true;
}

enum store_err store_select(struct store *store, struct store_event *event, bool lifts)
{
    struct store_selected *selected = &event->selected;
    struct store_task row;
    uint8_t key[STORE_TASK_KEY];
    enum store_err err = store_task_get(store, selected->task_id, &row);
    bool known = err == STORE_OK;

    if (err != STORE_OK && err != STORE_NOT_FOUND)
        return err;
    task_key(selected->task_id, key);
    selected->stays = known && !lifts;
    selected->requires_approval |= selected->stays;
    err = store_append(store, event, sizeof *selected);
    if (err == STORE_OK && store_task_apply(&row, known, event))
        err = store_put(store, STORE_META, key, sizeof key, &row, sizeof row);
    else if (err == STORE_OK)
        err = store_delete(store, STORE_META, key, sizeof key);
    return store_spoil(store, err == STORE_NOT_FOUND ? STORE_OK : err);
}

enum store_err store_view_task(struct store_view *view, const char *task, struct store_task *out)
{
    uint8_t key[STORE_TASK_KEY];

    task_key(task, key);
    return store_get(view->store, view->txn, STORE_META, key, sizeof key, out, sizeof *out);
}
