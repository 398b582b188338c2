/* SPDX-License-Identifier: Apache-2.0 */
/* Ending streams that are under way, by a person's word: the caller is given the API's own error
 * event for the application; then its connection is shut down, which wakes it, whatever it waits
 * for. */
#include "sidecar/orders.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void send_cut(const struct side_call *call)
{
    static const char message[] =
        "flyball: budget_stopped: a person has stopped this run; nothing more is sent for it";
    const char *reasons[] = {gov_reason_text(GOV_REASON_STOPPED), NULL};
    const struct refusal refusal = {
        .shape = call->shape,
        .class = REFUSAL_FINAL,
        .responses_api = strcmp(meter_api_name(call->request.api), "responses") == 0,
        .message = message,
        .call_id = call->id_text,
        .run_id = call->run->id_text,
        .reasons = reasons,
        .hint = "nothing more is sent for it",
    };
    unsigned char frame[4096];
    struct wire_writer w;
    size_t bytes = 0;
    char *event = call->has_events ? refusal_event(&refusal, call->by_lines, &bytes) : NULL;

    wire_begin(&w, frame, sizeof frame, WIRE_CUT);
    wire_put_number(&w, WIRE_FLAGS, call->by_lines ? WIRE_BY_LINES : 0);
    wire_put_text(&w, WIRE_TEXT, message);
    if (event != NULL)
        wire_put(&w, WIRE_ANSWER, event, bytes);
    if (!w.overflow)
        side_conn_send(call->conn, frame, w.used, -1);
    free(event);
}

/* By what comes, whatever was asked for: by its headers, or by its bytes. */
static bool is_stream(const struct side_call *call)
{
    struct meter_usage *usage;
    bool streamed = call->request.stream || call->has_events;

    if (streamed || call->stream == NULL)
        return streamed;
    usage = malloc(sizeof *usage);
    if (usage == NULL)
        return false;
    meter_stream_usage(call->stream, false, usage);
    streamed = usage->streamed;
    free(usage);
    return streamed;
}

void side_call_cut(struct side_call *call)
{
    if (call->cut != SIDE_CUT_WANTED || call->phase != SIDE_HELD || call->conn == NULL ||
        call->status == 0 || !is_stream(call))
        return;
    call->cut = SIDE_CUT_SENT;
    send_cut(call);
    if (call->socket >= 0)
        (void)shutdown(call->socket, SHUT_RDWR);
}

static bool is_of(const struct side_call *call, const struct side_run *run)
{
    const struct side_run *above = call->run;

    while (above != NULL && above != run)
        above = above->parent;
    return above != NULL;
}

void side_calls_cut(struct side *side, const struct side_run *run)
{
    for (struct side_call *call = side->calls; call != NULL; call = call->next)
        if (call->phase == SIDE_HELD && call->cut == SIDE_CUT_NOT && !call->read_only &&
            is_of(call, run)) {
            call->cut = SIDE_CUT_WANTED;
            side_call_cut(call);
        }
}
