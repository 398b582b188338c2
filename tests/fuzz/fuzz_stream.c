/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reading of answers of every API: any bytes, any split, the same record; and going on
 * in the middle. The input is laid out as head.h says; of the two bytes the first has flags, the
 * second the size of the pieces. With FRAMES each line of the body becomes a frame of an AWS event
 * stream: its first word is the event's type, and the checksums are right. */
#include <zlib.h>

#include "tests/fuzz/head.h"

enum { FRAMES = 1, RESUMES = 2 };

static struct meter_stream *stream_new(const struct meter_request *request, const struct head *head)
{
    const struct meter_response response = {
        .status = head->status, .content_encoding = head->encoding, .headers = head->lines};
    struct meter_stream *stream = meter_stream_new(request, &response);

    check(stream != NULL, "out of memory");
    return stream;
}

static void feed(struct meter_stream *stream, const uint8_t *bytes, size_t count)
{
    char *copy = exact_copy(bytes, count);

    (void)(meter_stream_feed(stream, copy, count) == METER_OK);
    free(copy);
}

/* ---- frames ------------------------------------------------------------------------------- */

static uint8_t *number_put(uint8_t *to, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (uint8_t)(value >> shift);
    return to;
}

static uint8_t *header_put(uint8_t *to, const char *name, const uint8_t *value, size_t count)
{
    size_t bytes = strlen(name);

    *to++ = (uint8_t)bytes;
    memcpy(to, name, bytes);
    to += bytes;
    *to++ = 7; /* a string */
    *to++ = (uint8_t)(count >> 8);
    *to++ = (uint8_t)count;
    memcpy(to, value, count);
    return to + count;
}

static uint8_t *frame_put(uint8_t *to, const uint8_t *line, size_t count)
{
    const uint8_t *blank = memchr(line, ' ', count < 64 ? count : 64);
    size_t type = blank != NULL ? (size_t)(blank - line) : 0, skip = type + (blank != NULL);
    uint8_t *begin = to, *headers;

    headers = to += 12;
    to = header_put(to, ":message-type", (const uint8_t *)"event", 5);
    to = header_put(to, ":event-type", line, type);
    number_put(begin + 4, (uint32_t)(to - headers));
    memcpy(to, line + skip, count - skip);
    to += count - skip;
    number_put(begin, (uint32_t)(to + 4 - begin));
    number_put(begin + 8, (uint32_t)crc32(0, begin, 8));
    return number_put(to, (uint32_t)crc32(0, begin, (uInt)(to - begin)));
}

/* The body of *head becomes frames; the caller frees what it returns. */
static uint8_t *framed(struct head *head)
{
    uint8_t *made = malloc(head->bytes * 129 + 128), *to = made;
    const uint8_t *at = head->body, *end = at + head->bytes;

    check(made != NULL, "out of memory");
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));

        stop = stop != NULL ? stop : end;
        to = frame_put(to, at, (size_t)(stop - at));
        at = stop + 1;
    }
    head->body = made;
    head->bytes = (size_t)(to - made);
    return made;
}

/* ---- what must hold ----------------------------------------------------------------------- */

static void sane(const struct meter_usage *usage)
{
    check(usage->part_count <= 8, "too many parts");
    check(usage->last_output_tokens >= -1, "a negative count");
    check(memchr(usage->reported.model, 0, METER_MODEL_MAX) != NULL, "a model without an end");
    check(usage->usage_seen || usage->last_output_tokens == -1, "a count of nothing");
    check(usage->provider_cost_pusd >= -1, "a negative cost");
}

static void resumed(const struct meter_request *request, const struct head *head,
                    const struct meter_stream *stream, const struct meter_usage *want)
{
    struct meter_progress progress;
    struct meter_usage got;
    struct meter_stream *second;

    if (!meter_stream_progress(stream, &progress))
        return;
    check(progress.offset <= head->bytes, "progress beyond the bytes");
    second = stream_new(request, head);
    meter_stream_resume(second, &progress);
    feed(second, head->body + progress.offset, head->bytes - progress.offset);
    meter_stream_usage(second, true, &got);
    check(memcmp(&got, want, sizeof got) == 0, "another record after going on");
    meter_stream_free(second);
}

static void compared(const struct meter_request *request, const struct head *head)
{
    struct meter_stream *stream = stream_new(request, head);
    struct meter_usage whole, pieces;
    size_t step = (size_t)head->step % 37 + 1;

    feed(stream, head->body, head->bytes);
    meter_stream_usage(stream, true, &whole);
    sane(&whole);
    meter_stream_free(stream);
    stream = stream_new(request, head);
    for (size_t at = 0; at < head->bytes; at += step) {
        feed(stream, head->body + at, head->bytes - at < step ? head->bytes - at : step);
        if (head->flags & RESUMES && at / step % (head->bytes / step / 3 + 1) == 2)
            resumed(request, head, stream, &whole);
    }
    meter_stream_usage(stream, true, &pieces);
    /* Decoders tell damage earlier or later, with less or more of the bytes before it out. */
    if (!(whole.warnings & pieces.warnings & METER_WARN_UNDECODABLE))
        check(memcmp(&whole, &pieces, sizeof whole) == 0, "another record at another split");
    meter_stream_free(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meter_request request;
    struct head head;
    uint8_t *frames = NULL;

    if (!head_read(&head, data, size))
        return 0;
    if (meter_request_read(&head.target, "{}", 2, &request, NULL) != METER_OK)
        return 0;
    if (head.flags & FRAMES)
        frames = framed(&head);
    compared(&request, &head);
    free(frames);
    return 0;
}
