/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call sends next, and when: the one place that knows pace, chunks and faults. Nothing here
 * knows a protocol.
 */
#include <string.h>

#include "tests/replay/replay.h"

static int64_t pace_ms(const struct call *call)
{
    return call->fault.pace_ms >= 0 ? call->fault.pace_ms : call->server->pace_ms;
}

static int64_t chunk_bytes(const struct call *call)
{
    return call->fault.chunk_bytes > 0 ? call->fault.chunk_bytes : call->server->chunk_bytes;
}

/* The chunk that `offset` (within one copy of the body) is in. */
static void chunk_bounds(const struct call *call, size_t offset, size_t *start_out, size_t *end_out)
{
    const struct exchange *exchange = call->exchange;
    size_t fixed = (size_t)chunk_bytes(call);

    if (chunk_bytes(call) > 0) {
        *start_out = offset - offset % fixed;
        *end_out =
            exchange->body_bytes - *start_out > fixed ? *start_out + fixed : exchange->body_bytes;
        return;
    }
    *start_out = call->chunk ? exchange->chunk_ends[call->chunk - 1] : 0;
    *end_out = exchange->chunk_ends[call->chunk];
}

/* Between two chunks, so that what was sent is there a while before what follows, faults too. */
static bool is_paced(const struct call *call)
{
    size_t offset, start, end;

    if (pace_ms(call) <= 0 || call->waited || !call->at || call->at == call->total)
        return false;
    offset = (size_t)(call->at % call->exchange->body_bytes);
    chunk_bounds(call, offset, &start, &end);
    return offset == start;
}

static enum step head_peek(const struct call *call)
{
    if (call->fault.stall > 0 && !call->released)
        return STEP_HOLD;
    if (call->fault.slow_head_ms > 0 && !call->waited)
        return STEP_WAIT;
    return STEP_HEAD;
}

static bool is_at(const struct call *call, int64_t mark)
{
    return mark >= 0 && (uint64_t)mark == call->at;
}

enum step call_peek(const struct call *call)
{
    if (!call->head_sent)
        return head_peek(call);
    if (call->bodiless)
        return STEP_END;
    if (is_at(call, call->fault.stall_after) && !call->released)
        return STEP_HOLD;
    if (is_paced(call))
        return STEP_WAIT;
    if (is_at(call, call->fault.cut_after))
        return STEP_CUT;
    if (is_at(call, call->fault.reset_after))
        return STEP_RESET;
    if (call->at == call->total)
        return STEP_END;
    return STEP_DATA;
}

static void timer_over(evutil_socket_t fd, short what, void *arg)
{
    struct call *call = arg;

    (void)fd, (void)what;
    call->waited = true;
    call->resume(call);
}

static void timer_start(struct call *call)
{
    int64_t wait_ms = call->head_sent ? pace_ms(call) : call->fault.slow_head_ms;
    struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};

    if (!call->timer)
        call->timer = evtimer_new(call->server->base, timer_over, call);
    if (call->timer && !evtimer_pending(call->timer, NULL))
        evtimer_add(call->timer, &wait);
}

static void limit(const struct call *call, int64_t mark, size_t *bytes)
{
    if (mark > 0 && (uint64_t)mark > call->at && (uint64_t)mark - call->at < *bytes)
        *bytes = (size_t)((uint64_t)mark - call->at);
}

static void piece_take(struct call *call, size_t room, struct piece *piece)
{
    const struct exchange *exchange = call->exchange;
    size_t offset = (size_t)(call->at % exchange->body_bytes), start, end;

    chunk_bounds(call, offset, &start, &end);
    *piece = (struct piece){.data = exchange->body + offset,
                            .bytes = end - offset < room ? end - offset : room,
                            .chunk_bytes = end - start,
                            .opens = offset == start};
    limit(call, call->fault.stall_after, &piece->bytes);
    limit(call, call->fault.cut_after, &piece->bytes);
    limit(call, call->fault.reset_after, &piece->bytes);
    piece->closes = offset + piece->bytes == end;
    call->at += piece->bytes;
    call->waited = false;
    if (piece->closes)
        call->chunk = end == exchange->body_bytes ? 0 : call->chunk + 1;
}

enum step call_next(struct call *call, size_t room, struct piece *piece_out)
{
    enum step step = call_peek(call);

    if (step == STEP_WAIT)
        timer_start(call);
    else if (step == STEP_DATA)
        piece_take(call, room, piece_out);
    else if (step == STEP_HEAD) {
        call->head_sent = true;
        call->waited = call->released = false; /* both were about the head */
    }
    return step;
}
