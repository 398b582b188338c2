/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: frames of an AWS event stream, made byte by byte, so that they can be made wrong.
 */
#ifndef FLYBALL_TESTS_FRAMES_H
#define FLYBALL_TESTS_FRAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FRAME_ROOM    (1u << 20)
#define HEADER_BYTES  6u
#define HEADER_STRING 7u

struct frames_made {
    uint8_t bytes[FRAME_ROOM];
    size_t count;
    size_t at;      /* of the frame that was begun last */
    size_t headers; /* bytes of its headers */
};

static inline void word_put(uint8_t *to, uint32_t word)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(word >> (24 - 8 * i));
}

static inline void frames_put(struct frames_made *made, const void *bytes, size_t count)
{
    if (count > sizeof made->bytes - made->count)
        abort();
    if (count > 0)
        memcpy(made->bytes + made->count, bytes, count);
    made->count += count;
}

static inline void frame_start(struct frames_made *made)
{
    static const uint8_t prelude[12];

    made->at = made->count;
    made->headers = 0;
    frames_put(made, prelude, sizeof prelude);
}

/* The value as it stands in the frame, a length in front of it included. */
static inline void header_raw(struct frames_made *made, const char *name, uint8_t type,
                              const void *value, size_t count)
{
    uint8_t name_bytes = (uint8_t)strlen(name);
    size_t before = made->count;

    frames_put(made, &name_bytes, 1);
    frames_put(made, name, name_bytes);
    frames_put(made, &type, 1);
    frames_put(made, value, count);
    made->headers += made->count - before;
}

/* A value of a type that tells its length. */
static inline void header_sized(struct frames_made *made, const char *name, uint8_t type,
                                const void *value, size_t count)
{
    uint8_t *both = malloc(count + 2);

    if (both == NULL)
        abort();
    both[0] = (uint8_t)(count >> 8);
    both[1] = (uint8_t)count;
    if (count > 0)
        memcpy(both + 2, value, count);
    header_raw(made, name, type, both, count + 2);
    free(both);
}

static inline void header_text(struct frames_made *made, const char *name, const char *value)
{
    header_sized(made, name, HEADER_STRING, value, strlen(value));
}

/* The checksum of what has been put since the start. */
static inline void frame_sum(struct frames_made *made)
{
    const uint8_t *frame = made->bytes + made->at;
    uint8_t crc[4];

    word_put(crc, (uint32_t)crc32(0, frame, (uInt)(made->count - made->at)));
    frames_put(made, crc, sizeof crc);
}

/* The lengths and both checksums. */
static inline void frame_seal(struct frames_made *made, uint32_t total, uint32_t headers)
{
    uint8_t *frame = made->bytes + made->at;

    word_put(frame, total);
    word_put(frame + 4, headers);
    word_put(frame + 8, (uint32_t)crc32(0, frame, 8));
    frame_sum(made);
}

static inline void frame_finish(struct frames_made *made, const void *payload, size_t count)
{
    frames_put(made, payload, count);
    frame_seal(made, (uint32_t)(made->count - made->at + 4), (uint32_t)made->headers);
}

/* As the service sends them. exception: the event is an error of this name. */
static inline void frame_event(struct frames_made *made, const char *event, bool exception,
                               const char *payload)
{
    frame_start(made);
    header_text(made, exception ? ":exception-type" : ":event-type", event);
    header_text(made, ":content-type", "application/json");
    header_text(made, ":message-type", exception ? "exception" : "event");
    frame_finish(made, payload, strlen(payload));
}

#endif
