/* SPDX-License-Identifier: Apache-2.0 */
/* Calls inside a multi handle. One that waits for a verdict is in it as a transfer to ourselves;
 * when the verdict is there it is taken out, restored, and added again for what it is: before
 * libcurl, or the application, sees anything of it. One that has ended is settled at once: many
 * programs ask for the messages only when everything is over, and would hold up their own waiting
 * calls. So while a multi handle has calls its messages are read here, and handed out when the
 * application asks. */
#include "shim/shim_int.h"

#include <stdlib.h>

struct shim_message {
    struct shim_message *next;
    CURLMsg message;
    bool given; /* the application has it */
};

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

    if (multi != NULL && multi->calls > 0)
        multi->calls--;
    while (link != NULL && *link != NULL && *link != call)
        link = &(*link)->next_waiting;
    if (link != NULL && *link == call)
        *link = call->next_waiting;
}

void shim_multi_note(const struct shim_call *call)
{
    struct shim_multi *multi =
        call->handle->multi != NULL ? shim_multi_find(call->handle->multi) : NULL;

    if (multi != NULL)
        multi->calls++;
}

/* False: not now: the application has called us from within a callback, which libcurl refuses. */
static bool change_over(struct shim_multi *multi, struct shim_call *call)
{
    struct shim_handle *handle = call->handle;

    if (multi->curl->multi_remove_handle(multi->multi, handle->easy) != CURLM_OK)
        return false;
    shim_answer_release(call);
    shim_restore(handle);
    shim_body_rewind(&call->body);
    shim_call_prepare(call);
    (void)multi->curl->multi_add_handle(multi->multi, handle->easy);
    return true;
}

bool shim_multi_turn(struct shim_multi *multi)
{
    struct shim_call **link = &multi->waiting;
    bool changed = false;

    while (*link != NULL) {
        struct shim_call *call = *link;

        bool decided = shim_call_poll(call, 0);
        bool changes = (decided || call->anew) && change_over(multi, call);

        if (decided && changes)
            *link = call->next_waiting;
        else
            link = &call->next_waiting;
        changed |= changes;
    }
    return changed;
}

/* ---- messages ----------------------------------------------------------------------------- */

/* A transfer that we had to block is told apart from one that libcurl could not do. */
static void ended(CURLMsg *message)
{
    struct shim_handle *handle = shim_handle_find(message->easy_handle);

    if (handle == NULL || message->msg != CURLMSG_DONE)
        return;
    if (handle->call != NULL && handle->call->blocked)
        message->data.result = CURLE_ABORTED_BY_CALLBACK;
    message->data.result = shim_tap_rest(handle, message->data.result);
    shim_call_end(handle, message->data.result);
}

static void append(struct shim_multi *multi, struct shim_message *kept)
{
    if (multi->messages == NULL)
        multi->messages_tail = &multi->messages;
    *multi->messages_tail = kept;
    multi->messages_tail = &kept->next;
}

static unsigned kept_count(const struct shim_multi *multi)
{
    unsigned count = 0;

    for (const struct shim_message *kept = multi->messages; kept != NULL; kept = kept->next)
        count += !kept->given;
    return count;
}

/* A transfer that waits ended because the sidecar did, which had its other end: it begins anew, as
 * what the next sidecar says, or to wait for that. */
static bool waits_on(struct shim_multi *multi, const CURLMsg *message)
{
    struct shim_handle *handle = shim_handle_find(message->easy_handle);
    struct shim_call *call = handle != NULL ? handle->call : NULL;
    CURLcode code = message->data.result;
    struct shim_call **link = &multi->waiting;
    bool decided;

    while (*link != NULL && *link != call)
        link = &(*link)->next_waiting;
    if (message->msg != CURLMSG_DONE || *link == NULL ||
        (code != CURLE_GOT_NOTHING && code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR))
        return false;
    decided = shim_call_poll(call, WIRE_SILENCE_MS);
    if (!change_over(multi, call))
        return false;
    if (decided)
        *link = call->next_waiting;
    return true;
}

/* To the end, once it has begun: the count of what is left is told with every message. */
bool shim_multi_settle(struct shim_multi *multi)
{
    CURLMsg *message;
    bool anew = false;
    int left;

    if (multi->calls == 0 && kept_count(multi) == 0)
        return false;
    for (;;) {
        struct shim_message *kept = calloc(1, sizeof *kept);

        if (kept == NULL) /* the application will ask libcurl itself */
            return anew;
        message = multi->curl->multi_info_read(multi->multi, &left);
        if (message == NULL) {
            free(kept);
            return anew;
        }
        if (waits_on(multi, message)) {
            free(kept);
            anew = true;
            continue;
        }
        ended(message);
        kept->message = *message;
        append(multi, kept);
    }
}

CURLMsg *shim_multi_message(struct shim_multi *multi, int *left)
{
    struct shim_message *kept = multi->messages, *found;
    CURLMsg *message;

    while (kept != NULL && kept->given)
        kept = kept->next;
    found = kept;
    if (found == NULL) {
        message = multi->curl->multi_info_read(multi->multi, left);
        if (message != NULL)
            ended(message);
        return message;
    }
    found->given = true;
    *left = (int)kept_count(multi);
    return &found->message;
}

static void let_go(struct shim_message *kept)
{
    struct shim_handle *handle = kept->given ? shim_handle_find(kept->message.easy_handle) : NULL;

    if (handle != NULL) {
        free(handle->message);
        handle->message = kept;
    } else {
        free(kept);
    }
}

void shim_multi_leave(struct shim_multi *multi, const CURL *easy)
{
    struct shim_message **link = &multi->messages;

    while (*link != NULL) {
        struct shim_message *kept = *link;

        if (easy == NULL || kept->message.easy_handle == easy) {
            *link = kept->next;
            let_go(kept);
        } else {
            link = &kept->next;
        }
    }
    multi->messages_tail = link;
}
