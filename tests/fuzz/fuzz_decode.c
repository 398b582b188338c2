/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the content encodings: any bytes, any split, the same bytes out.
 *
 *   make FLAVOUR=fuzz CC=clang build/fuzz/libmeter.a
 *   clang -fsanitize=fuzzer,address,undefined -I. -D_GNU_SOURCE tests/fuzz/fuzz_decode.c \
 *     build/fuzz/libmeter.a $(pkg-config --libs jansson libbrotlidec libzstd zlib) -o fuzz_decode
 *   mkdir -p corpus && ./fuzz_decode -max_total_time=300 corpus
 *
 * First byte: the encodings; second: size of the pieces. */
#include <stdio.h>

#include "meter/meter_int.h"

static const char *const encodings[] = {
    NULL, "gzip", "br", "zstd", "deflate", "x-gzip, deflate", "gzip,zstd", "br, br", "foo",
};

struct sum {
    uint64_t hash, bytes;
};

static void sink(void *ctx, const char *bytes, size_t count)
{
    struct sum *sum = ctx;

    for (size_t i = 0; i < count; i++)
        sum->hash = (sum->hash ^ (uint8_t)bytes[i]) * 0x100000001b3ull;
    sum->bytes += count;
}

static bool run(const uint8_t *data, size_t size, size_t step, struct sum *sum)
{
    struct decode *decode = decode_new(encodings[data[0] % COUNT_OF(encodings)], sink, sum);
    bool failed;

    *sum = (struct sum){0, 0};
    if (decode == NULL)
        abort();
    for (size_t at = 2; at < size; at += step) {
        size_t count = size - at < step ? size - at : step;
        char *copy = malloc(count);

        if (copy == NULL)
            abort();
        memcpy(copy, data + at, count);
        if (decode_feed(decode, copy, count) != METER_OK)
            abort();
        free(copy);
    }
    failed = decode_failed(decode);
    if (failed && decode_plain(decode))
        abort();
    (void)decode_ended(decode);
    decode_free(decode);
    return failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, pieces;
    bool failed;

    if (size < 2)
        return 0;
    failed = run(data, size, size, &whole);
    failed |= run(data, size, (size_t)data[1] % 29 + 1, &pieces);
    /* Damage may be noticed earlier or later, with less or more out before it, and libzstd is
     * stricter with a frame that it gets whole. */
    if (!failed && (whole.hash != pieces.hash || whole.bytes != pieces.bytes)) {
        (void)fprintf(stderr, "another result at another split\n");
        abort();
    }
    return 0;
}
