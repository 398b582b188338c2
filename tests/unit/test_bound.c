/* SPDX-License-Identifier: Apache-2.0 */
/* Reading requests: the bound of their input, setting their output cap, and large bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/request.h"
#include "tests/unit/requests.h"

/* ---- the bound ---------------------------------------------------------------------------- */

static const struct {
    const char *why, *path, *body;
    uint64_t want; /* without the template's 1,024 */
} bounds[] = {
    {"keys and strings by their bytes", CHAT, "{\"model\":\"gpt\",\"user\":\"me\"}", 5 + 3 + 4 + 2},
    {"escapes by what they stand for", CHAT, "{\"a\":\"\\n\\u00e9\\ud83d\\ude00\"}", 1 + 1 + 2 + 4},
    {"16 for a message", CHAT, "{\"messages\":[{\"role\":\"u\"}]}", 8 + 4 + 1 + 16},
    {"three times the JSON of a tool, and 128", CHAT, "{\"tools\":[{\"a\":1}]}", 5 + 3 * 7 + 128},
    {"three times a schema", CHAT, "{\"response_format\":{\"a\":1}}", 15 + 3 * 7},
    {"three times arguments", MESS, "{\"messages\":[{\"content\":[{\"input\":{\"a\":\"b\"}}]}]}",
     8 + 7 + 5 + 3 * 9 + 16},
    {"2,048 for a built-in tool", MESS, "{\"tools\":[{\"type\":\"bash_1\"}]}",
     5 + 3 * 17 + 128 + 2048},
    {"Anthropic's most for an image", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"media_type\":\"image/png\",\"data\":\"" PNG_1X1
     "\"}}]}]}",
     8 + 7 + 6 + 10 + 9 + 4 + 16 + 4784},
    {"... with the type last", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"data\":\"" PNG_1X1
     "\",\"media_type\":\"image/png\"}}]}]}",
     8 + 7 + 6 + 10 + 9 + 4 + 16 + 4784},
    {"a text document by its bytes", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
     "\"data\":\"abcde\"}}]}]}",
     8 + 7 + 6 + 4 + 4 + 10 + 10 + 4 + 5 + 16},
    {"OpenAI's most for an image", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64," PNG_1X1
     "\"}}]}]}",
     8 + 7 + 9 + 3 + 16 + 10000},
    {"a larger image by its patches", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64," PNG_8K
     "\"}}]}]}",
     8 + 7 + 9 + 3 + 16 + 65536 * 5 / 2 + 1},
    {"Gemini's most for an image", GEMI,
     "{\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":\"" PNG_1X1
     "\"}}]}]}",
     8 + 5 + 11 + 9 + 9 + 4 + 16 + 4128},
    {"... by its tiles", GEMI,
     "{\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":\"" PNG_8K
     "\"}}]}]}",
     8 + 5 + 11 + 9 + 9 + 4 + 16 + 11 * 11 * 258},
    {"48,200 more for one, of a model that makes as much of it", CHAT,
     "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"content\":[{\"image_url\":{\"url\":"
     "\"data:image/png;base64," PNG_1X1 "\"}}]}]}",
     5 + 11 + 8 + 7 + 9 + 3 + 16 + 10000 + 48200},
    {"a query with each document", "/v1/rerank", "{\"query\":\"abc\",\"documents\":[\"d\",\"e\"]}",
     5 + 3 + 9 + 2 + 2 * (3 + 16)},
    {"more than a window for a PDF", CHAT,
     "{\"messages\":[{\"content\":[{\"file\":{\"file_data\":\"data:application/pdf;base64," PDF
     "\"}}]}]}",
     8 + 7 + 4 + 9 + 16 + METER_ANY_WINDOW},
    {"audio by its bytes, and 10,000", CHAT,
     "{\"messages\":[{\"content\":[{\"input_audio\":{\"data\":\"" MP3_BASE64 "\"}}]}]}",
     8 + 7 + 11 + 4 + 16 + 9 + 3 + 10000},
};

static void bounds_the_input(void **state)
{
    struct meter_request request;
    struct meter_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        uint64_t lines = 0;

        assert_int_equal(read_body(bounds[i].path, bounds[i].body, &request, &error), METER_OK);
        if (request.input_tokens != bounds[i].want + 1024)
            fail_msg("%s: want %llu, got %llu", bounds[i].why, (unsigned long long)bounds[i].want,
                     (unsigned long long)request.input_tokens - 1024);
        for (unsigned k = 0; k < request.line_count; k++)
            lines += (uint64_t)request.lines[k].tokens;
        assert_int_equal(lines, request.input_tokens);
    }
    assert_int_equal(request.audio_input_tokens, 9 + 3 + 10000);
}

/* Base64 of headers, made by hand: the first 32 bytes, or a JPEG up to its frame. */
static void reads_the_size_of_images(void **state)
{
    static const struct {
        const char *why, *base64;
        bool told;
        unsigned width, height;
    } rows[] = {
        {"PNG", PNG_8K, true, 8192, 8192},
        {"GIF", "R0lGODlhAAIAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", true, 512, 256},
        {"BMP", "Qk0AAAAAAAAAADYAAAAoAAAAAAIAAAD///8BABgAAAAA", true, 512, 256},
        {"JPEG", "/9j/4AAQSkZJRgABAQEASABIAAD/wAARCAEAAgADASIAAhEBAxEB/9sAQwAAAAAAAAAA", true, 512,
         256},
        {"WebP, lossy", "UklGRgAAAABXRUJQVlA4IAAAAAAAAACdASoAAgABAAAAAAAA", true, 512, 256},
        {"WebP, lossless", "UklGRgAAAABXRUJQVlA4TAAAAAAv/8E/AAAAAAAAAAAAAAA=", true, 512, 256},
        {"WebP, extended", "UklGRgAAAABXRUJQVlA4WAoAAAAAAAAA/wEA/wAAAAAAAAAA", true, 512, 256},
        {"nothing", "", false, 0, 0},
        {"text", "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=", false, 0, 0},
        {"a JPEG that is cut", "/9j/4AAQSkZJRgABAQEASABIAAD/4AAQSkZJRgABAQEASABI", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct guarded copy = guarded_copy(rows[i].base64, strlen(rows[i].base64));
        uint64_t width = 0, height = 0;
        bool told = image_size(copy.bytes, strlen(rows[i].base64), &width, &height);

        guarded_free(&copy);
        if (told != rows[i].told || width != rows[i].width || height != rows[i].height)
            fail_msg("%s: want %d %ux%u, got %d %llux%llu", rows[i].why, rows[i].told,
                     rows[i].width, rows[i].height, told, (unsigned long long)width,
                     (unsigned long long)height);
    }
}

/* Whether a second of sound has bytes enough. */
static void tells_sound_that_bounds_its_length(void **state)
{
#define WAV(kind, channels, rate, width)                                                           \
    "RIFF\0\0\0\0WAVEfmt \x10\0\0\0" kind channels rate "\0\0\0\0\0\0" width "data"
    static const struct {
        const char *why, *bytes;
        size_t count;
        bool dense;
    } rows[] = {
        {"MP3", "\xff\xfb\x90\x44", 4, true},
        {"MP3 of a low rate", "\xff\xe3\x10\x44", 4, true},
        {"MP3 of any rate", "\xff\xfb\x00\x44", 4, false},
        {"a rate that is none", "\xff\xfb\xf0\x44", 4, false},
        {"AAC", "\xff\xf1\x50\x80", 4, false},
        {"MP3 behind a tag", "ID3\4\0\0\0\0\0\2ab\xff\xfb\x90\x44", 16, true},
        {"FLAC behind a tag", "ID3\4\0\0\0\0\0\2abfLaC", 16, false},
        {"a tag without an end", "ID3\4\0\0\0\0\1\2ab\xff\xfb\x90\x44", 16, false},
        {"WAV", WAV("\1\0", "\1\0", "\x40\x1f\0\0", "\x10\0"), 40, true},
        {"WAV, the slowest", WAV("\1\0", "\1\0", "\xf4\1\0\0", "\4\0"), 40, true},
        {"WAV, too slow", WAV("\1\0", "\1\0", "\xf3\1\0\0", "\x8\0"), 40, false},
        {"WAV, packed", WAV("\x11\0", "\1\0", "\x40\x1f\0\0", "\x10\0"), 40, false},
        {"WAV, cut", WAV("\1\0", "\1\0", "\x40\x1f\0\0", "\x10\0"), 39, false},
        {"Ogg", "OggS\0\2", 6, false},
        {"nothing", "", 0, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct guarded copy = guarded_copy(rows[i].bytes, rows[i].count);
        bool dense = sound_bytes_are_dense(copy.bytes, rows[i].count);

        guarded_free(&copy);
        if (dense != rows[i].dense)
            fail_msg("%s: got %d", rows[i].why, dense);
    }
    assert_true(sound_is_dense(MP3_BASE64, strlen(MP3_BASE64)));
    assert_true(sound_is_dense("\\/\\/uQRAAA", 11)); /* as JSON may write it */
    assert_false(sound_is_dense("//uQRAAA\\u0041", 14));
}

/* ---- setting the cap ---------------------------------------------------------------------- */

static const struct {
    const char *why, *path, *body;
    uint64_t cap;
    const char *want; /* NULL: METER_NO_REWRITE */
} recaps[] = {
    {"a smaller one keeps the length", CHAT, "{\"max_tokens\":128000,\"x\":1}", 500,
     "{\"max_tokens\":500   ,\"x\":1}"},
    {"one of the same length", CHAT, "{\"max_tokens\":1000}", 2000, "{\"max_tokens\":2000}"},
    {"a longer one", CHAT, "{\"max_tokens\":5}", 100, "{\"max_tokens\":100}"},
    {"in the place of null", CHAT, "{\"max_tokens\":null}", 100, "{\"max_tokens\":100 }"},
    {"none is there: chat", CHAT, "{\"model\":\"m\"}", 9,
     "{\"max_completion_tokens\":9,\"model\":\"m\"}"},
    {"none is there: responses", RESP, " { \"model\":\"m\"}", 9,
     " {\"max_output_tokens\":9, \"model\":\"m\"}"},
    {"none is there: messages", MESS, "{\"model\":\"m\"}", 9, "{\"max_tokens\":9,\"model\":\"m\"}"},
    {"none is there: Gemini", GEMI, "{\"contents\":[]}", 9,
     "{\"generationConfig\":{\"maxOutputTokens\":9},\"contents\":[]}"},
    {"into the config", GEMI, "{\"generationConfig\":{\"seed\":1}}", 9,
     "{\"generationConfig\":{\"maxOutputTokens\":9,\"seed\":1}}"},
    {"into an empty config", GEMI, "{\"generation_config\":{ }}", 9,
     "{\"generation_config\":{\"maxOutputTokens\":9 }}"},
    {"in the place of a null config", GEMI, "{\"generationConfig\":null,\"a\":1}", 9,
     "{\"generationConfig\":{\"maxOutputTokens\":9},\"a\":1}"},
    {"in the place of a quoted one", GEMI, "{\"generationConfig\":{\"maxOutputTokens\":\"99\"}}", 5,
     "{\"generationConfig\":{\"maxOutputTokens\":5   }}"},
    {"two of them", CHAT, "{\"max_tokens\":5,\"max_tokens\":5}", 1, NULL},
    {"an empty body", CHAT, "{}", 1, NULL},
};

static void sets_the_cap(void **state)
{
    struct meter_request request;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(recaps); i++) {
        const char *given = recaps[i].body;
        char *body = NULL;
        size_t bytes = 0;
        enum meter_err err;

        assert_int_equal(
            read_at("api.openai.com", "POST", recaps[i].path, given, strlen(given), &request, NULL),
            METER_OK);
        err = recap(&request, given, strlen(given), recaps[i].cap, &body, &bytes);
        if (err != (recaps[i].want != NULL ? METER_OK : METER_NO_REWRITE))
            fail_msg("%s: got %d", recaps[i].why, err);
        if (recaps[i].want == NULL)
            continue;
        if (strcmp(body, recaps[i].want) != 0 || bytes != strlen(recaps[i].want))
            fail_msg("%s: want %s, got %s", recaps[i].why, recaps[i].want, body);
        /* What was written is read as it was meant. */
        assert_int_equal(
            read_at("api.openai.com", "POST", recaps[i].path, body, bytes, &request, NULL),
            METER_OK);
        assert_int_equal(request.output_cap, recaps[i].cap);
        free(body);
    }
}

/* ---- large bodies ------------------------------------------------------------------------- */

static char *repeat(const char *head, const char *item, const char *tail, size_t want,
                    size_t *bytes_out)
{
    size_t one = strlen(item), many = want / one;
    char *body = malloc(strlen(head) + many * one + strlen(tail) + 1), *p = body;

    assert_non_null(body);
    p = mempcpy(p, head, strlen(head));
    for (size_t i = 0; i < many; i++)
        p = mempcpy(p, item, one);
    p = stpcpy(p, tail);
    *bytes_out = (size_t)(p - body);
    return body;
}

/* Bodies that are large in every way there is; bench/meter tells how long they take. */
static void reads_200_mb(void **state)
{
    static const struct {
        const char *why, *head, *item, *tail;
        enum meter_err want;
    } rows[] = {
        {"one long string", "{\"messages\":[{\"content\":\"", "the quick brown fox ", "\"}]}",
         METER_OK},
        {"one string of escapes", "{\"messages\":[{\"content\":\"", "\\n\\\"\\u00e9", "\"}]}",
         METER_OK},
        {"many messages", "{\"messages\":[{}",
         ",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}", "]}",
         METER_OK},
        {"many tools", "{\"tools\":[{}", ",{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
         "]}", METER_OK},
        {"deep nesting", "{\"messages\":", "[", "", METER_NOT_JSON},
        {"many keys", "{\"a\":1", ",\"max_tokenz\":[1,2,{\"b\":null}]", "}", METER_OK},
    };
    struct meter_target target = {.method = "POST", .host = "x", .path = CHAT};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        size_t bytes;
        char *body = repeat(rows[i].head, rows[i].item, rows[i].tail, 200u << 20, &bytes);

        if (meter_request_read(&target, body, bytes, &request, NULL) != rows[i].want)
            fail_msg("%s", rows[i].why);
        free(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_the_input),
        cmocka_unit_test(reads_the_size_of_images),
        cmocka_unit_test(tells_sound_that_bounds_its_length),
        cmocka_unit_test(sets_the_cap),
        cmocka_unit_test(reads_200_mb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
