/* SPDX-License-Identifier: Apache-2.0 */
/* What keeping the usage chunk from the application costs: `strip FILE [DELIVERY]`. Passes the
 * bytes of a stream through the filter, in deliveries of that many bytes, again and again, and
 * prints megabytes per second beside those of a copy. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/strip.h"

#define ENOUGH (UINT64_C(512) << 20)

static char sink[16384];

static enum strip_gave take(void *data, const char *bytes, size_t count)
{
    (void)data;
    memcpy(sink, bytes, count);
    return STRIP_TAKEN;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double pass(struct strip *strip, const char *bytes, size_t count, size_t delivery)
{
    double began = seconds();
    uint64_t passed = 0;

    for (; passed < ENOUGH; passed += count)
        for (size_t at = 0; at < count; at += delivery) {
            size_t piece = count - at < delivery ? count - at : delivery;

            if (strip != NULL)
                (void)strip_write(strip, bytes + at, piece, take, NULL);
            else
                (void)take(NULL, bytes + at, piece);
        }
    return (double)passed / 1e6 / (seconds() - began);
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    size_t delivery = argc > 2 ? (size_t)atol(argv[2]) : sizeof sink, count;
    char *bytes = malloc(1 << 20);
    struct strip *strip = strip_new();

    if (file == NULL || delivery == 0 || delivery > sizeof sink || bytes == NULL || strip == NULL) {
        (void)fputs("usage: strip FILE [BYTES OF A DELIVERY, at most 16384]\n", stderr);
        return 2;
    }
    count = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    (void)printf("%zu bytes by %zu: %.0f MB/s, a copy %.0f MB/s\n", count, delivery,
                 pass(strip, bytes, count, delivery), pass(NULL, bytes, count, delivery));
    strip_free(strip);
    free(bytes);
    return 0;
}
