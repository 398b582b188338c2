/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a stream: going on in the middle, memory that does not grow, and none at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/recorded.h"

/* ---- an allocator that counts and fails --------------------------------------------------- */

static int fail_after = -1; /* allocations that still succeed; -1: all do */
static size_t allocated;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#define OWN_ALLOCATOR                                                                              \
    !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                       \
      __has_feature(memory_sanitizer))
#else
#define OWN_ALLOCATOR 1
#endif

#if OWN_ALLOCATOR
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);

static bool may_allocate(size_t bytes)
{
    if (fail_after == 0)
        return false;
    if (fail_after > 0)
        fail_after--;
    allocated += bytes;
    return true;
}

void *malloc(size_t bytes)
{
    return may_allocate(bytes) ? __libc_malloc(bytes) : NULL;
}

void *calloc(size_t count, size_t bytes)
{
    return may_allocate(count * bytes) ? __libc_calloc(count, bytes) : NULL;
}

void *realloc(void *old, size_t bytes)
{
    return may_allocate(bytes) ? __libc_realloc(old, bytes) : NULL;
}
#endif

/* ---- going on in the middle --------------------------------------------------------------- */

static const char *const streams[] = {
    "openai/openai--chat.completions--s--200--72b6508e",
    "openai/openai--chat.completions--s--200--612fce06",
    "openai/openai--responses--s--200--7fc505d4",
    "openai/openai--responses--s--200--1cd3d5e1",
    "openai/derived--sse-crlf--openai--responses--s--200--3fdb293b",
    "openai/derived--sse-cr--openai--responses--s--200--3fdb293b",
    "anthropic/anthropic--messages--s--200--b3a13881",
    "anthropic/anthropic--messages--s--200--a774a1ea",
    "anthropic/anthropic--messages--s--200--489f6541",
    "anthropic/anthropic--messages--s--200--0fea2c50",
    "gemini/gemini--streamgeneratecontent--s--200--71e8bcc5",
    "gemini/gemini--streamgeneratecontent--s--200--63659492",
};

static struct meter_stream *fed(const struct recorded *r, size_t from, size_t to,
                                const struct meter_progress *progress)
{
    struct meter_stream *stream = meter_stream_new(&r->request, &r->response);

    assert_non_null(stream);
    if (progress != NULL)
        meter_stream_resume(stream, progress);
    assert_int_equal(meter_stream_feed(stream, r->body + from, to - from), METER_OK);
    return stream;
}

static void record_of(struct meter_stream *stream, bool whole, char text[2048])
{
    struct meter_usage usage;

    meter_stream_usage(stream, whole, &usage);
    usage_text(&usage, text, 2048);
}

static void goes_on_where_progress_stood(void **state)
{
    char want[2048], got[2048];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(streams); i++) {
        struct recorded r = recorded_load(streams[i]);
        struct meter_stream *whole = fed(&r, 0, r.bytes, NULL);
        size_t step = r.bytes / 500 + 1;
        unsigned taken = 0;

        record_of(whole, true, want);
        for (size_t cut = 0; cut <= r.bytes; cut += step) {
            struct meter_stream *first = fed(&r, 0, cut, NULL), *second;
            struct meter_progress progress, again;

            if (meter_stream_progress(first, &progress)) {
                assert_true(progress.offset > 0 && progress.offset <= cut);
                second = fed(&r, progress.offset, r.bytes, &progress);
                record_of(second, true, got);
                if (strcmp(want, got) != 0)
                    fail_msg("%s cut at %zu, on from %zu:\nwant %s\ngot  %s", streams[i], cut,
                             (size_t)progress.offset, want, got);
                assert_true(meter_stream_progress(second, &again));
                assert_true(again.offset >= progress.offset);
                meter_stream_free(second);
                taken++;
            }
            meter_stream_free(first);
        }
        if (taken == 0)
            fail_msg("%s: no place to go on from", streams[i]);
        meter_stream_free(whole);
        recorded_free(&r);
    }
}

/* A stream of body as far as cut, and how far it has come by then. The first exchange has room. */
static struct meter_progress progress_at(struct recorded *r, const char *body, size_t cut)
{
    struct meter_progress progress;
    struct meter_stream *stream;

    *r = recorded_load(streams[0]);
    memcpy(r->body, body, strlen(body));
    stream = fed(r, 0, cut, NULL);
    assert_true(meter_stream_progress(stream, &progress));
    meter_stream_free(stream);
    return progress;
}

/* Another stream goes on with body from there, to its end; closed: the answer has ended. */
static struct meter_usage gone_on(const char *body, size_t cut, bool closed, uint64_t *offset_out)
{
    struct recorded r;
    struct meter_progress progress = progress_at(&r, body, cut);
    struct meter_stream *stream = fed(&r, progress.offset, strlen(body), &progress);
    struct meter_usage usage;

    meter_stream_usage(stream, closed, &usage);
    meter_stream_free(stream);
    recorded_free(&r);
    *offset_out = progress.offset;
    return usage;
}

/* The record at the boundary, not beyond it: what comes after is fed again. */
static void progress_is_that_of_the_last_whole_event(void **state)
{
    static const char body[] = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n"
                               "data: {\"choices\":[{\"delta\":{\"content\":\"two\"}}]}\n\n";
    struct recorded r;
    struct meter_progress first = progress_at(&r, body, (size_t)(strstr(body, "two") - body)), all;

    (void)state;
    recorded_free(&r);
    assert_int_equal(first.offset, strstr(body, "\n\n") - body);
    all = progress_at(&r, body, sizeof body - 1);
    recorded_free(&r);
    assert_true(all.usage.delivered_tokens > first.usage.delivered_tokens);
}

/* Cut in the middle of the last word: the word is fed again. */
static void goes_on_before_half_a_word(void **state)
{
    static const char body[] = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n"
                               "data: [DONE]\n\n";
    uint64_t offset;

    (void)state;
    assert_true(gone_on(body, (size_t)(strstr(body, "NE]") - body), false, &offset).complete);
    assert_int_equal(offset, strstr(body, "\n\n") - body);
}

/* What follows a document on its line is rubbish, for a stream that goes on from there too. */
static void goes_on_behind_the_line(void **state)
{
    static const char body[] = "data: {\"choices\":[]}data: {\"usage\":{\"prompt_tokens\":5}}\n\n";
    size_t cut = (size_t)(strstr(body, "}data") + 1 - body);
    uint64_t offset;

    (void)state;
    assert_int_equal(gone_on(body, cut, true, &offset).reported.input_tokens, -1);
    assert_int_equal(offset, cut);
}

/* Sound that went by before is not forgotten. */
static void goes_on_behind_sound(void **state)
{
    static const char body[] =
        "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"QQ==\"}}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n";
    struct meter_usage usage;
    uint64_t offset;

    (void)state;
    usage = gone_on(body, sizeof body - 1, false, &offset);
    assert_true(usage.wordless && usage.output_begun);
}

static void cannot_go_on_in_some_answers(void **state)
{
    static const char *const others[] = {
        "openai/openai--chat.completions--j--200--034c2dbf",                /* one document */
        "openai/derived--zstd--openai--chat.completions--s--200--da7ac4e2", /* compressed */
        "openai/synthetic--openai-503-html",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct recorded r = recorded_load(others[i]);
        struct meter_stream *stream = fed(&r, 0, r.bytes, NULL);
        struct meter_progress progress;

        memset(&progress, 0x5a, sizeof progress);
        assert_false(meter_stream_progress(stream, &progress));
        assert_int_equal(progress.offset, 0x5a5a5a5a5a5a5a5a); /* untouched */
        meter_stream_free(stream);
        stream = fed(&r, 0, 0, NULL);
        assert_false(meter_stream_progress(stream, &progress));
        meter_stream_free(stream);
        recorded_free(&r);
    }
}

/* ---- before the end ------------------------------------------------------------------------ */

/* One line, where nobody knows whether more would come. */
static void takes_no_first_line_for_the_answer(void **state)
{
    static const struct {
        const char *asked, *body;
        bool whole, complete;
    } rows[] = {
        {"\"stream\":true,\"stream\":false", "{\"response\":\"a\",\"done\":false}\n", false, false},
        {"\"stream\":false", "{\"response\":\"a\"}", false, false},
        {"\"stream\":false", "{\"response\":\"a\"}", true, true},
        {"\"stream\":false", "{\"response\":\"a\",\"done\":true}", false, true},
        {"\"stream\":false", "{\"response\":\"a\",\"eval_count\":5}", false, true},
        {"\"stream\":true", "{\"response\":\"a\",\"eval_count\":5}", true, false},
    };
    struct meter_target target = {.method = "POST", .host = "x", .path = "/api/generate"};
    struct meter_response response = {.status = 200};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        struct meter_stream *stream;
        struct meter_usage usage;
        char asked[64];

        (void)snprintf(asked, sizeof asked, "{%s}", rows[i].asked);
        assert_int_equal(meter_request_read(&target, asked, strlen(asked), &request, NULL),
                         METER_OK);
        stream = meter_stream_new(&request, &response);
        assert_non_null(stream);
        assert_int_equal(meter_stream_feed(stream, rows[i].body, strlen(rows[i].body)), METER_OK);
        meter_stream_usage(stream, rows[i].whole, &usage);
        meter_stream_free(stream);
        if (usage.complete != rows[i].complete)
            fail_msg("asked %s, got %s: complete=%d", rows[i].asked, rows[i].body, usage.complete);
    }
}

/* ---- memory ------------------------------------------------------------------------------- */

static void keeps_at_most_256_kib(void **state)
{
    static const struct {
        const char *why, *head, *item;
    } rows[] = {
        {"a line of 10 MB", "data: {\"choices\":[{\"delta\":{\"content\":\"",
         "xxxxxxxxxxxxxxxxxxxx"},
        {"a comment of 10 MB", ": ", "xxxxxxxxxxxxxxxxxxxx"},
        {"a field's name of 10 MB", "data", "xxxxxxxxxxxxxxxxxxxx"},
        {"a key of 10 MB", "data: {\"", "xxxxxxxxxxxxxxxxxxxx"},
        {"a model's name of 10 MB", "data: {\"model\":\"", "xxxxxxxxxxxxxxxxxxxx"},
        {"a number of 10 MB", "data: {\"usage\":{\"prompt_tokens\":1", "00000000000000000000"},
        {"100,000 events", "", "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"},
        {"100,000 empty lines", "", "\n\n\n\n\n\n\n\n\n\n"},
        {"one document", "{\"choices\":[{\"message\":{\"content\":\"", "xxxxxxxxxxxxxxxxxxxx"},
        {"deep nesting", "{\"a\":", "[[[[[[[[[[[[[[[[[[[["},
    };
    struct recorded r = recorded_load(streams[0]);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_usage usage;
        struct meter_stream *stream;

        allocated = 0;
        stream = meter_stream_new(&r.request, &r.response);
        assert_non_null(stream);
        assert_int_equal(meter_stream_feed(stream, rows[i].head, strlen(rows[i].head)), METER_OK);
        for (unsigned k = 0; k < 500000; k++)
            if (meter_stream_feed(stream, rows[i].item, strlen(rows[i].item)) != METER_OK)
                fail_msg("%s", rows[i].why);
        meter_stream_usage(stream, false, &usage);
        if (allocated > 256 * 1024)
            fail_msg("%s: %zu bytes", rows[i].why, allocated);
        if (strstr(rows[i].why, "of 10 MB") != NULL)
            assert_true(usage.warnings & METER_WARN_LONG_LINE);
        meter_stream_free(stream);
    }
    recorded_free(&r);
}

/* Fails the first, the second ... allocation until none is left to fail. */
static void survives_without_memory(void **state)
{
    static const char *const coded[] = {
        "openai/derived--gzip-then-br--openai--chat.completions--s--200--da7ac4e2",
        "openai/derived--zstd--openai--chat.completions--s--200--da7ac4e2",
        "openai/derived--gzip-two-members--openai--chat.completions--s--200--da7ac4e2",
        "anthropic/anthropic--messages--s--200--b3a13881",
    };

    (void)state;
    for (size_t i = 0; OWN_ALLOCATOR && i < COUNT_OF(coded); i++) {
        struct recorded r = recorded_load(coded[i]);
        bool lost = true;

        for (int after = 0; lost; after++) {
            struct meter_stream *stream;
            struct meter_usage usage;
            enum meter_err err = METER_NOMEM;

            fail_after = after;
            stream = meter_stream_new(&r.request, &r.response);
            if (stream != NULL)
                err = meter_stream_feed(stream, r.body, r.bytes);
            lost = err != METER_OK;
            if (stream != NULL && lost) { /* and so it stays */
                fail_after = -1;
                assert_int_equal(err, METER_NOMEM);
                assert_int_equal(meter_stream_feed(stream, r.body, r.bytes), METER_NOMEM);
                meter_stream_usage(stream, true, &usage);
                assert_false(usage.complete);
            }
            fail_after = -1;
            if (!lost) { /* or nothing is */
                meter_stream_usage(stream, true, &usage);
                assert_true(usage.complete && usage.usage_seen && usage.warnings == 0);
            }
            meter_stream_free(stream);
            assert_true(after < 100);
        }
        recorded_free(&r);
    }
}

static void frees_nothing(void **state)
{
    (void)state;
    meter_stream_free(NULL);
    decode_free(NULL);
}

/* ---- texts -------------------------------------------------------------------------------- */

static void has_a_text_for_every_number(void **state)
{
    (void)state;
#define X(name, number, text) assert_string_equal(meter_strerror((enum meter_err)number), text);
    METER_ERR_MAP(X)
#undef X
    assert_non_null(meter_strerror((enum meter_err)9999));
    for (unsigned bit = METER_WARN_TOTAL; bit <= METER_WARN_MODEL; bit <<= 1)
        assert_non_null(meter_warning_text((enum meter_warning)bit));
    assert_null(meter_warning_text((enum meter_warning)0x8000));
}

/* A read-only call costs nothing, whatever its answer says. */
static void reads_nothing_of_read_only_calls(void **state)
{
    static const char body[] = "{\"model\":\"m\",\"usage\":{\"input_tokens\":5}}";
    struct meter_target target = {.method = "GET", .host = "api.openai.com", .path = "/v1/models"};
    struct meter_response response = {.status = 200};
    struct meter_request request;
    struct meter_usage usage;
    struct meter_stream *stream;

    (void)state;
    assert_int_equal(meter_request_read(&target, NULL, 0, &request, NULL), METER_OK);
    stream = meter_stream_new(&request, &response);
    assert_int_equal(meter_stream_feed(stream, body, sizeof body - 1), METER_OK);
    meter_stream_usage(stream, true, &usage);
    assert_false(usage.billable || usage.usage_seen || usage.output_begun);
    assert_true(usage.complete);
    assert_int_equal(usage.reported.input_tokens, -1);
    meter_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_where_progress_stood),
        cmocka_unit_test(progress_is_that_of_the_last_whole_event),
        cmocka_unit_test(goes_on_before_half_a_word),
        cmocka_unit_test(goes_on_behind_the_line),
        cmocka_unit_test(goes_on_behind_sound),
        cmocka_unit_test(cannot_go_on_in_some_answers),
        cmocka_unit_test(takes_no_first_line_for_the_answer),
        cmocka_unit_test(keeps_at_most_256_kib),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(frees_nothing),
        cmocka_unit_test(has_a_text_for_every_number),
        cmocka_unit_test(reads_nothing_of_read_only_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
