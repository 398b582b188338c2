/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a verdict inside a multi handle. The handle is in the multi as a transfer to
 * ourselves; when the verdict is there it is taken out, restored, and added again for what it is:
 * before libcurl, or the application, sees anything of it. */
#include "shim/shim_int.h"

#include <stddef.h>

void shim_multi_wait(struct shim_multi *multi, struct shim_call *call)
{
    call->next_waiting = multi->waiting;
    multi->waiting = call;
}

void shim_multi_forget(struct shim_call *call)
{
    struct shim_multi *multi =
        call->handle->multi != NULL ? shim_multi_find(call->handle->multi) : NULL;
    struct shim_call **link = multi != NULL ? &multi->waiting : NULL;

    while (link != NULL && *link != NULL && *link != call)
        link = &(*link)->next_waiting;
    if (link != NULL && *link == call)
        *link = call->next_waiting;
}

static void change_over(struct shim_multi *multi, struct shim_call *call)
{
    struct shim_handle *handle = call->handle;

    (void)multi->curl->multi_remove_handle(multi->multi, handle->easy);
    shim_answer_release(call);
    shim_restore(handle);
    shim_body_rewind(&call->body);
    shim_call_prepare(call);
    (void)multi->curl->multi_add_handle(multi->multi, handle->easy);
}

bool shim_multi_turn(struct shim_multi *multi)
{
    struct shim_call **link = &multi->waiting;
    bool changed = false;

    while (*link != NULL) {
        struct shim_call *call = *link;

        if (!shim_call_poll(call, 0)) {
            link = &call->next_waiting;
            continue;
        }
        *link = call->next_waiting;
        change_over(multi, call);
        changed = true;
    }
    return changed;
}
