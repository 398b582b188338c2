/* SPDX-License-Identifier: Apache-2.0 */
/* The proof of what people decided: what became of runs, limits that were raised, orders in force.
 */
#include "store/store_int.h"

#include <string.h>

/* What a record makes of its run; a question, an answer, a state that does not follow from what was
 * before is one that nobody gave. */
void store_check_turn(struct store_check *check)
{
    const struct store_event *event = &check->event;
    static const uint8_t none[16];
    struct store_run_sum *run;

    if (memcmp(event->head.run_id, none, sizeof none) == 0) {
        check->order_count += event->turned.word == STORE_STOPPED;
        check->order_count -= event->turned.word == STORE_RESET;
        return;
    }
    run = store_check_run(check, event->head.run_id);
    if (run != NULL && !store_run_fits(&run->row, event))
        store_check_wrong(check, &check->proof->sums, event->head.seq,
                          "record %llu does not follow from its run's state",
                          (unsigned long long)event->head.seq);
    if (run != NULL)
        store_run_apply(&run->row, event);
}

void store_check_extended(struct store_check *check)
{
    const struct store_extended *extended = &check->event.extended;
    struct store_sum *sum = store_check_sum(check, &extended->key);

    if (sum == NULL)
        return;
    if (extended->dim >= GOV_DIMS || extended->additional <= 0)
        store_check_wrong(check, &check->proof->sums, check->event.head.seq,
                          "record %llu extends nothing", (unsigned long long)check->event.head.seq);
    else
        store_add_to(&sum->counter.extended[extended->dim], extended->additional);
}

/* What is in force has its row, as it was given. */
void store_check_override(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_override row, want = event->override;

    check->order_count += want.word == STORE_ADDED;
    check->order_count -= want.word != STORE_ADDED;
    want.of_seq = event->head.seq;
    if (want.word == STORE_ADDED &&
        store_get(check->view->store, check->view->txn, STORE_ORDERS, want.id, sizeof want.id, &row,
                  sizeof row) == STORE_OK &&
        memcmp(&row, &want, sizeof row) != 0)
        store_check_wrong(check, &check->proof->sums, event->head.seq,
                          "the row of the override of record %llu is another one",
                          (unsigned long long)event->head.seq);
}

static void task_selected(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_scope_key scope;
    struct store_task_sum *task;
    size_t before = check->task_count;

    store_scope_name(&scope, GOV_TASK, event->selected.task_id);
    task = store_check_entry(check, &check->tasks, scope.id, sizeof scope.id, sizeof *task,
                             store_by_id, &check->task_count);
    if (task != NULL && !store_task_apply(&task->row, check->task_count == before, event))
        store_check_forget(&check->tasks, scope.id, store_by_id, &check->task_count);
}

/* Of a run they are for the log alone, but for a cooldown, which is everybody's. */
void store_check_standing(struct store_check *check)
{
    const struct store_event *event = &check->event;
    struct store_standing *standing = &check->standing;

    if (event->head.type != STORE_COOLDOWN && !store_is_of_none(&event->head))
        return;
    switch (event->head.type) {
    case STORE_CLOCK:
        standing->jumped = event->clock.word == STORE_CLOCK_JUMPED;
        break;
    case STORE_SELECTED:
        task_selected(check);
        break;
    default:
        store_direct_apply(&standing->direct, event);
        standing->directed = 1;
        break;
    }
}

bool store_check_kept_order(struct store_check *check)
{
    const struct store_event *event = &check->event;
    const struct store_run_sum *run;

    if (event->head.type == STORE_TURNED) {
        check->order_count++;
        return store_is_stop_to_come(&event->turned);
    }
    run = store_check_run(check, event->head.run_id);
    return run == NULL || run->row.asked_seq == event->head.seq;
}
