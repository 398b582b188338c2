/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reading of requests, and setting their cap: what was set is what is read.
 *
 *   make FLAVOUR=fuzz CC=clang build/fuzz/libmeter.a
 *   clang -fsanitize=fuzzer,address,undefined -I. -D_GNU_SOURCE tests/fuzz/fuzz_request.c \
 *     build/fuzz/libmeter.a $(pkg-config --libs jansson libbrotlidec libzstd zlib) -o fuzz_request
 *   mkdir -p corpus && ./fuzz_request -max_total_time=300 corpus
 *
 * First byte: the API; the rest is the body. */
#include <jansson.h>
#include <stdio.h>

#include "meter/meter_int.h"

static const char *const paths[] = {
    "/v1/chat/completions", "/v1/responses",
    "/v1/messages",         "/v1beta/models/gemini-2.5-flash:generateContent",
    "/v1/embeddings",
};

static void check(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

static enum meter_err read_copy(const char *path, const char *body, size_t bytes,
                                struct meter_request *out)
{
    struct meter_target target = {.method = "POST", .host = "x", .path = path};
    char *copy = malloc(bytes > 0 ? bytes : 1);
    struct meter_error error;
    enum meter_err err;

    check(copy != NULL, "out of memory");
    memcpy(copy, body, bytes);
    err = meter_request_read(&target, copy, bytes, out, &error);
    free(copy);
    return err;
}

/* Whatever a strict parser takes for an object is no METER_NOT_JSON, and the reverse, but for what
 * the two judge differently: depth, bytes within strings, huge numbers. */
static void agrees_with_a_parser(const char *body, size_t bytes, enum meter_err err)
{
    json_t *tree = json_loadb(body, bytes, JSON_ALLOW_NUL, NULL);

    if (json_is_object(tree) && memchr(body, 0, bytes) == NULL)
        check(err != METER_NOT_JSON || bytes > 512, "JSON was not taken for it");
    json_decref(tree);
}

static void recapped(const char *path, const struct meter_request *request, const char *body,
                     size_t bytes)
{
    const struct meter_rewrite rewrite = {.cap_set = true, .cap = 12345, .ask_usage = true};
    struct meter_request again;
    char *made;
    size_t made_bytes;

    if (meter_request_rewrite(request, body, bytes, &rewrite, &made, &made_bytes) != METER_OK)
        return;
    check(read_copy(path, made, made_bytes, &again) == METER_OK, "a body that was made is bad");
    check(again.output_cap == 12345, "the cap that was set is not read");
    check(again.stream == request->stream && again.choices == request->choices, "another request");
    check(strcmp(again.model, request->model) == 0, "another model");
    free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path, *body = (const char *)data + 1;
    struct meter_request request;
    struct meter_hold_line line;
    enum meter_err err;

    if (size < 1)
        return 0;
    path = paths[data[0] % COUNT_OF(paths)];
    err = read_copy(path, body, size - 1, &request);
    if (data[0] % COUNT_OF(paths) != 4)
        agrees_with_a_parser(body, size - 1, err);
    if (err != METER_OK)
        return 0;
    check(request.choices >= 1 && request.output_cap >= -1, "a figure that cannot be");
    check(request.line_count <= METER_LINES_MAX, "too many lines");
    check(!request.rewritable || request.cap_at + request.cap_bytes < size,
          "a cap beyond the body");
    meter_hold_line_make(&request, NULL, &line);
    check(line.smallest_cap <= line.full_cap, "the smallest form is not the smallest");
    recapped(path, &request, body, size - 1);
    return 0;
}
