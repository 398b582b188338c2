/* SPDX-License-Identifier: Apache-2.0 */
/* application/vnd.amazon.eventstream, fed at any split: frames of big-endian lengths, headers, a
 * payload, and two CRC-32s (docs.aws.amazon.com, "Event stream encoding"). The payload is passed on
 * as it comes; whether it counts is known at the frame's end, from its checksum. */
#include "meter/meter_int.h"

#include <zlib.h>

#define PRELUDE     12u
#define CRC_BYTES   4u
#define FRAME_LEAST (PRELUDE + CRC_BYTES)
#define FRAME_MOST  (24u << 20) /* the service's own bound is 16 MiB of payload */

enum {
    IN_PRELUDE,
    NAME_LENGTH,
    IN_NAME_OF_HEADER,
    VALUE_TYPE,
    VALUE_LENGTH,
    IN_VALUE,
    IN_PAYLOAD,
    IN_CRC
};

/* Bytes of a header's value by its type; 255: a length of two bytes stands in front. */
static const uint8_t value_bytes[] = {0, 0, 1, 2, 4, 8, 255, 255, 8, 16};

enum { NAME_OTHER, NAME_EVENT, NAME_MESSAGE };

static const struct {
    const char *text;
    uint8_t name;
} names[] = {{":event-type", NAME_EVENT}, {":message-type", NAME_MESSAGE}};

void frames_init(struct frames *frames, const struct frame_ops *ops, void *ctx)
{
    memset(frames, 0, sizeof *frames);
    frames->ops = ops;
    frames->ctx = ctx;
}

bool frames_whole(const struct frames *frames)
{
    return !frames->damaged && frames->at == 0;
}

static uint32_t word_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void begin(struct frames *frames, uint8_t state)
{
    frames->state = state;
    frames->have = 0;
}

/* The headers are behind, or there is another. */
static void next_header(struct frames *frames)
{
    if (frames->at < PRELUDE + frames->headers) {
        begin(frames, NAME_LENGTH);
        return;
    }
    frames->damaged |= frames->at > PRELUDE + frames->headers;
    frames->ops->begin(frames->ctx, &frames->head);
    begin(frames, frames->at < frames->total - CRC_BYTES ? IN_PAYLOAD : IN_CRC);
}

static void prelude_end(struct frames *frames)
{
    uint32_t crc = (uint32_t)crc32(0, frames->word, 8);

    frames->total = word_of(frames->word);
    frames->headers = word_of(frames->word + 4);
    frames->head = (struct frame_head){0};
    if (crc != word_of(frames->word + 8) || frames->total < FRAME_LEAST ||
        frames->total > FRAME_MOST || frames->headers > frames->total - FRAME_LEAST)
        frames->damaged = true;
    else
        next_header(frames);
}

static void name_end(struct frames *frames)
{
    frames->name_is = NAME_OTHER;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strlen(names[i].text) == frames->have &&
            memcmp(names[i].text, frames->kept, frames->have) == 0)
            frames->name_is = names[i].name;
    begin(frames, VALUE_TYPE);
}

static bool kept_is(const struct frames *frames, const char *text)
{
    return frames->have == strlen(text) && memcmp(frames->kept, text, frames->have) == 0;
}

static void value_end(struct frames *frames)
{
    if (frames->name_is == NAME_EVENT)
        frames->head.chunk = kept_is(frames, "chunk");
    if (frames->name_is == NAME_MESSAGE)
        frames->head.exception = kept_is(frames, "exception") || kept_is(frames, "error");
    next_header(frames);
}

static void value_begin(struct frames *frames, uint16_t bytes)
{
    begin(frames, IN_VALUE);
    frames->left = bytes;
    if (bytes == 0)
        value_end(frames);
}

static void type_end(struct frames *frames, uint8_t type)
{
    if (type >= COUNT_OF(value_bytes))
        frames->damaged = true;
    else if (value_bytes[type] == 255)
        begin(frames, VALUE_LENGTH);
    else
        value_begin(frames, value_bytes[type]);
}

static void frame_end(struct frames *frames)
{
    frames->at = 0;
    begin(frames, IN_PRELUDE);
    if (word_of(frames->word) != frames->crc)
        frames->damaged = true;
    else
        frames->ops->end(frames->ctx);
}

/* A byte of a length or a checksum; true: all of it is here. */
static bool word_add(struct frames *frames, uint8_t byte, unsigned bytes)
{
    frames->word[frames->have++] = byte;
    return frames->have == bytes;
}

static void kept_add(struct frames *frames, uint8_t byte)
{
    if (frames->have < sizeof frames->kept)
        frames->kept[frames->have] = (char)byte;
    frames->have++;
}

/* One byte of anything but the payload; the frame's count and checksum have it already. */
static void step(struct frames *frames, uint8_t byte)
{
    switch (frames->state) {
    case IN_PRELUDE:
        if (word_add(frames, byte, PRELUDE))
            prelude_end(frames);
        break;
    case NAME_LENGTH:
        begin(frames, IN_NAME_OF_HEADER);
        frames->left = byte;
        frames->damaged |= byte == 0;
        break;
    case IN_NAME_OF_HEADER:
        kept_add(frames, byte);
        if (--frames->left == 0)
            name_end(frames);
        break;
    case VALUE_TYPE:
        type_end(frames, byte);
        break;
    case VALUE_LENGTH:
        if (word_add(frames, byte, 2))
            value_begin(frames, (uint16_t)(frames->word[0] << 8 | frames->word[1]));
        break;
    case IN_VALUE:
        kept_add(frames, byte);
        if (--frames->left == 0)
            value_end(frames);
        break;
    default:
        if (word_add(frames, byte, CRC_BYTES))
            frame_end(frames);
    }
}

static const char *payload(struct frames *frames, const char *p, const char *end)
{
    uint32_t left = frames->total - CRC_BYTES - frames->at;
    size_t count = (size_t)(end - p) < left ? (size_t)(end - p) : left;

    frames->crc = (uint32_t)crc32(frames->crc, (const Bytef *)p, (uInt)count);
    frames->at += (uint32_t)count;
    frames->ops->payload(frames->ctx, p, count);
    if (count == left)
        begin(frames, IN_CRC);
    return p + count;
}

void frames_feed(struct frames *frames, const char *bytes, size_t count)
{
    const char *p = bytes, *end = bytes + count;

    while (p < end && !frames->damaged) {
        uint8_t byte = (uint8_t)*p;

        if (frames->state == IN_PAYLOAD) {
            p = payload(frames, p, end);
            continue;
        }
        if (frames->at == 0)
            frames->crc = 0;
        if (frames->state != IN_CRC)
            frames->crc = (uint32_t)crc32(frames->crc, &byte, 1);
        frames->at++;
        p++;
        step(frames, byte);
    }
}

/* ---- base64 ------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

size_t base64_feed(struct base64 *base64, const char *bytes, size_t count, char *out)
{
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        int digit = base64_digit(bytes[i]);

        if (digit < 0)
            continue;
        base64->bits = base64->bits << 6 | (uint32_t)digit;
        base64->have = (uint8_t)(base64->have + 6);
        if (base64->have >= 8) {
            base64->have = (uint8_t)(base64->have - 8);
            out[made++] = (char)(base64->bits >> base64->have);
        }
    }
    return made;
}
