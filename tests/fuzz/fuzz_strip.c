/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the filter that keeps the usage chunk from the application: the same result at any split
 * and with any pauses, and that is the stream without some whole events.
 *
 *   make FLAVOUR=fuzz CC=clang build/fuzz/fuzz/fuzz_strip
 *   mkdir -p corpus && build/fuzz/fuzz/fuzz_strip -max_total_time=300 corpus
 *
 * First two bytes: how deliveries are cut, and which are paused. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/strip.h"
#include "tests/unit/chance.h"

#define DELIVERY_MAX 16384u

static void check(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

struct application {
    uint8_t *got;
    size_t bytes, most;
    struct chance *chance; /* pauses at times; NULL: never */
};

static enum strip_gave take(void *data, const char *bytes, size_t count)
{
    struct application *app = data;

    check(count > 0 && count <= app->most, "a piece of a wrong size");
    if (app->chance != NULL && chance_one_in(app->chance, 3))
        return STRIP_PAUSED;
    memcpy(app->got + app->bytes, bytes, count);
    app->bytes += count;
    return STRIP_TAKEN;
}

/* A copy of exactly that size, so that a sanitizer sees any byte beyond. */
static struct strip_done deliver(struct strip *strip, struct application *app, const uint8_t *bytes,
                                 size_t count)
{
    char *copy = malloc(count);
    struct strip_done done;

    check(copy != NULL, "out of memory");
    memcpy(copy, bytes, count);
    app->most = count > STRIP_HOLD_MAX ? count : STRIP_HOLD_MAX;
    done = strip_write(strip, copy, count, take, app);
    check(done.from <= done.to && done.to <= count, "more than there was");
    check(done.gave != STRIP_TAKEN || done.to == count, "less than there was");
    free(copy);
    return done;
}

/* chance NULL: in deliveries as large as can be. */
static void run(const uint8_t *bytes, size_t count, struct application *app, struct chance *chance)
{
    struct strip *strip = strip_new();

    check(strip != NULL, "out of memory");
    for (size_t at = 0; at < count;) {
        size_t piece = DELIVERY_MAX;

        if (chance != NULL)
            piece = (size_t)chance_below(chance, chance_one_in(chance, 8) ? DELIVERY_MAX : 99) + 1;
        if (piece > count - at)
            piece = count - at;
        if (deliver(strip, app, bytes + at, piece).gave == STRIP_TAKEN)
            at += piece;
    }
    app->most = STRIP_HOLD_MAX;
    while (strip_end(strip, take, app) == STRIP_PAUSED)
        check(chance != NULL, "a pause that nobody made");
    strip_free(strip);
}

/* Where the line ends that begins at `at`, its end included. */
static size_t line_end(const uint8_t *bytes, size_t count, size_t at)
{
    while (at < count && bytes[at] != '\n' && bytes[at] != '\r')
        at++;
    at += at < count;
    return at < count && bytes[at - 1] == '\r' && bytes[at] == '\n' ? at + 1 : at;
}

/* Where the event ends, its blank line included; a comment in front of one is by itself. */
static size_t event_end(const uint8_t *bytes, size_t count, size_t at)
{
    bool comment = bytes[at] == ':', blank = false;

    while (at < count && !blank) {
        blank = bytes[at] == '\n' || bytes[at] == '\r' || comment;
        at = line_end(bytes, count, at);
    }
    return at;
}

static bool looks_like_the_chunk(const uint8_t *event, size_t count)
{
    return count <= STRIP_HOLD_MAX + 1 && memmem(event, count, "data:", 5) != NULL &&
           memmem(event, count, "\"choices\"", 9) != NULL &&
           memmem(event, count, "\"usage\"", 7) != NULL;
}

static void is_the_stream_without_chunks(const uint8_t *bytes, size_t count,
                                         const struct application *app)
{
    size_t seen = 0;

    for (size_t at = 0, end; at < count; at = end) {
        end = event_end(bytes, count, at);
        if (app->bytes - seen >= end - at && memcmp(app->got + seen, bytes + at, end - at) == 0)
            seen += end - at;
        else
            check(looks_like_the_chunk(bytes + at, end - at), "another event is gone");
    }
    check(seen == app->bytes, "bytes that were not there");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chance cuts, pauses;
    struct application whole = {0}, pieces = {0};

    if (size < 2)
        return 0;
    whole.got = malloc(size);
    pieces.got = malloc(size);
    check(whole.got != NULL && pieces.got != NULL, "out of memory");
    cuts.state = data[0];
    pauses.state = data[1];
    pieces.chance = data[1] % 2 == 0 ? NULL : &pauses;
    run(data + 2, size - 2, &whole, NULL);
    is_the_stream_without_chunks(data + 2, size - 2, &whole);
    run(data + 2, size - 2, &pieces, &cuts);
    check(whole.bytes == pieces.bytes && memcmp(whole.got, pieces.got, whole.bytes) == 0,
          "another result at another split");
    free(whole.got);
    free(pieces.got);
    return 0;
}
