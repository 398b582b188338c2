/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reading of answers: any bytes, any split, the same record; and going on in the middle.
 *
 *   make FLAVOUR=fuzz CC=clang build/fuzz/libmeter.a
 *   clang -fsanitize=fuzzer,address,undefined -I. -D_GNU_SOURCE tests/fuzz/fuzz_stream.c \
 *     build/fuzz/libmeter.a $(pkg-config --libs jansson libbrotlidec libzstd zlib) -o fuzz_stream
 *   mkdir -p corpus && ./fuzz_stream -max_total_time=300 corpus
 *
 * First byte: API and encoding; second: status; third: size of the pieces. */
#include <stdio.h>

#include "meter/meter_int.h"

static const char *const paths[] = {
    "/v1/chat/completions", "/v1/responses",
    "/v1/messages",         "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    "/v1/embeddings",       "/v1beta/models/gemini-2.5-flash:generateContent",
};
static const char *const encodings[] = {NULL, "gzip", "br", "zstd", "deflate", "gzip, br"};
static const int statuses[] = {200, 200, 200, 400, 429, 500, 504, 0};

static void check(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static struct meter_stream *stream_new(const struct meter_request *request, const uint8_t *head)
{
    struct meter_response response = {.status = statuses[head[1] % COUNT_OF(statuses)],
                                      .content_encoding =
                                          encodings[head[0] / 6 % COUNT_OF(encodings)]};
    struct meter_stream *stream = meter_stream_new(request, &response);

    check(stream != NULL, "out of memory");
    return stream;
}

/* A copy of exactly that size, so that a sanitizer sees any byte beyond. */
static void feed(struct meter_stream *stream, const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count > 0 ? count : 1);

    check(copy != NULL, "out of memory");
    memcpy(copy, bytes, count);
    (void)(meter_stream_feed(stream, copy, count) == METER_OK);
    free(copy);
}

static void sane(const struct meter_usage *usage)
{
    check(usage->part_count <= 8, "too many parts");
    check(usage->last_output_tokens >= -1, "a negative count");
    check(memchr(usage->reported.model, 0, METER_MODEL_MAX) != NULL, "a model without an end");
    check(usage->usage_seen || usage->last_output_tokens == -1, "a count of nothing");
}

static void resumed(const struct meter_request *request, const uint8_t *head,
                    const struct meter_stream *stream, const uint8_t *bytes, size_t count,
                    const struct meter_usage *want)
{
    struct meter_progress progress;
    struct meter_usage got;
    struct meter_stream *second;

    if (!meter_stream_progress(stream, &progress))
        return;
    check(progress.offset <= count, "progress beyond the bytes");
    second = stream_new(request, head);
    meter_stream_resume(second, &progress);
    feed(second, bytes + progress.offset, count - progress.offset);
    meter_stream_usage(second, true, &got);
    check(memcmp(&got, want, sizeof got) == 0, "another record after going on");
    meter_stream_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meter_target target = {.method = "POST", .host = "x"};
    struct meter_request request;
    struct meter_usage whole, pieces;
    struct meter_stream *stream;
    size_t step;

    if (size < 3)
        return 0;
    target.path = paths[data[0] % COUNT_OF(paths)];
    check(meter_request_read(&target, "{}", 2, &request, NULL) == METER_OK, "the request");
    stream = stream_new(&request, data);
    feed(stream, data + 3, size - 3);
    meter_stream_usage(stream, true, &whole);
    sane(&whole);
    meter_stream_free(stream);
    step = (size_t)data[2] % 37 + 1;
    stream = stream_new(&request, data);
    for (size_t at = 3; at < size; at += step) {
        feed(stream, data + at, size - at < step ? size - at : step);
        if (data[2] & 0x80 && at / step % (size / step / 3 + 1) == 2)
            resumed(&request, data, stream, data + 3, size - 3, &whole);
    }
    meter_stream_usage(stream, true, &pieces);
    /* Decoders tell damage earlier or later, with less or more of the bytes before it out. */
    if (!(whole.warnings & pieces.warnings & METER_WARN_UNDECODABLE))
        check(memcmp(&whole, &pieces, sizeof whole) == 0, "another record at another split");
    meter_stream_free(stream);
    return 0;
}
