/* SPDX-License-Identifier: Apache-2.0 */
/* Bad input: what a request of it is told, and what an answer of it is charged. The table in
 * docs/METERING.md ("Bad input") says the same in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

#include "meter/meter_int.h"
#include "tests/unit/guard.h"

#define HELD_PUSD INT64_C(1000000000000)

/* A body: head, so many times item, tail. */
struct body {
    const char *head, *item;
    size_t times;
    const char *tail;
};

static char *body_made(const struct body *body, size_t *bytes_out)
{
    size_t head = strlen(body->head), tail = strlen(body->tail);
    size_t item = body->item != NULL ? strlen(body->item) : 0;
    char *made = malloc(head + item * body->times + tail + 1), *to = made;

    assert_non_null(made);
    to = stpcpy(to, body->head);
    for (size_t i = 0; i < body->times; i++)
        to = mempcpy(to, body->item, item);
    to = stpcpy(to, body->tail);
    *bytes_out = (size_t)(to - made);
    return made;
}

/* ---- answers ------------------------------------------------------------------------------ */

#define CHAT  "/v1/chat/completions"
#define PRE   "{\"model\":\"gpt-4o\",\"choices\":[{\"message\":{\"content\":\"Hello, world\"}}],"
#define DELTA "data: {\"model\":\"gpt-4o\",\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"
#define LAST                                                                                       \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}\n\n"      \
    "data: [DONE]\n\n"
#define REPORTED INT64_C(3500000000) /* 1000 x 2.5e-6 + 100 x 1e-5 USD */

/* charged -1: by an estimate, above nothing and below the hold; HELD_PUSD: the hold. */
static const struct {
    const char *why;
    struct body body;
    int64_t charged;
    enum meter_provenance provenance;
} answers[] = {
    {"usage twice in a document: the later",
     {PRE "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5},"
          "\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}",
      NULL, 0, ""},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"usage twice in a stream: the later",
     {"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":9}}\n\n", DELTA,
      1, LAST},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"numbers as strings",
     {PRE "\"usage\":{\"prompt_tokens\":\"1000\",\"completion_tokens\":\"100\"}}", NULL, 0, ""},
     -1,
     METER_ESTIMATED},
    {"floats that are whole",
     {PRE "\"usage\":{\"prompt_tokens\":1000.0,\"completion_tokens\":1e2}}", NULL, 0, ""},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"floats that are not",
     {PRE "\"usage\":{\"prompt_tokens\":1000.5,\"completion_tokens\":0.1}}", NULL, 0, ""},
     -1,
     METER_ESTIMATED},
    {"1e309",
     {PRE "\"usage\":{\"prompt_tokens\":1e309,\"completion_tokens\":1e309}}", NULL, 0, ""},
     -1,
     METER_ESTIMATED},
    {"negative",
     {PRE "\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":-1}}", NULL, 0, ""},
     -1,
     METER_ESTIMATED},
    {"2^64",
     {PRE "\"usage\":{\"prompt_tokens\":18446744073709551616,\"completion_tokens\":"
          "18446744073709551616}}",
      NULL, 0, ""},
     -1,
     METER_ESTIMATED},
    {"bad UTF-8 in the text",
     {"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xc3\x28\xed\xa0\x80\"}}]}\n\n", DELTA, 1,
      LAST},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"... and no usage",
     {"data: {\"model\":\"gpt-4o\",\"choices\":[{\"delta\":{\"content\":\"\xff\xc3\x28\"}}]}\n\n",
      NULL, 0, "data: [DONE]\n\n"},
     -1,
     METER_ESTIMATED},
    {"nested 100,000 deep: a document that nobody can read",
     {"{\"model\":\"gpt-4o\",\"choices\":", "[", 100000, ""},
     HELD_PUSD,
     METER_MISSING},
    {"... before the usage of a document",
     {"{\"choices\":", "[", 100000,
      ",\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}"},
     HELD_PUSD,
     METER_MISSING},
    {"... in one event of a stream: that event says nothing",
     {"data: {\"choices\":", "[", 100000, "\n\n" LAST},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"a line of 100 MB",
     {"data: {\"choices\":[{\"delta\":{\"content\":\"", "0123456789", 10000000, "\"}}]}\n\n" LAST},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"a document of 100 MB",
     {"{\"choices\":[{\"message\":{\"content\":\"", "0123456789", 10000000,
      "\"}}],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":100}}"},
     REPORTED,
     METER_PROVIDER_REPORTED},
    {"a page of HTML with status 200",
     {"<!DOCTYPE html><html><body>Bad gateway</body></html>", NULL, 0, ""},
     HELD_PUSD,
     METER_MISSING},
    {"an error inside a 200 stream, behind some text",
     {DELTA, DELTA, 3, "data: {\"error\":{\"message\":\"stopped\",\"code\":\"server_error\"}}\n\n"},
     -1,
     METER_MEASURED},
    {"... before any text, of a kind that is not billed",
     {"data: {\"error\":{\"message\":\"no\",\"code\":\"rate_limit_exceeded\"}}\n\n", NULL, 0, ""},
     0,
     METER_PROVIDER_REPORTED},
    {"... of a kind that nobody knows",
     {"data: {\"error\":{\"message\":\"no\",\"code\":\"odd\"}}\n\n", NULL, 0, ""},
     -1,
     METER_MEASURED},
};

static void request_made(struct meter_request *out, bool stream)
{
    static const char body[] = "{\"model\":\"gpt-4o\",\"max_tokens\":4096,\"messages\":[{\"role\":"
                               "\"user\",\"content\":\"Say hello\"}],\"stream\":true}";
    struct meter_target target = {.method = "POST", .host = "api.openai.com", .path = CHAT};

    assert_int_equal(meter_request_read(&target, body, strlen(body), out, NULL), METER_OK);
    out->stream = stream;
}

static void bill_made(const struct meter_request *request, struct meter_stream *stream,
                      struct meter_bill *out)
{
    struct meter_usage usage;

    meter_stream_usage(stream, true, &usage);
    const struct meter_settling settling = {
        .request = request,
        .usage = &usage,
        .book = meter_price_book_shipped(),
        .when_s = INT64_C(1795000000),
        .end = usage.complete ? METER_END_WHOLE : METER_END_BROKEN,
        .sent_ms = 1000,
        .held_tokens = 1000000,
        .held_pusd = HELD_PUSD,
        .held_cap = 4096,
    };

    meter_bill_make(&settling, out);
}

/* In pieces as of a socket. */
static void check_answer(const char *why, const char *encoding, const char *body, size_t bytes,
                         int64_t charged, enum meter_provenance provenance)
{
    /* the content type is wrong for all of them */
    const struct meter_response response = {
        .status = 200, .content_encoding = encoding, .content_type = "image/png"};
    struct meter_request request;
    struct meter_stream *stream;
    struct meter_bill bill;
    bool right;

    request_made(&request, strncmp(body, "data:", 5) == 0);
    stream = meter_stream_new(&request, &response);
    assert_non_null(stream);
    for (size_t at = 0; at < bytes; at += 16384) {
        size_t count = bytes - at < 16384 ? bytes - at : 16384;
        struct guarded piece = guarded_copy(body + at, count);

        assert_int_equal(meter_stream_feed(stream, piece.bytes, count), METER_OK);
        guarded_free(&piece);
    }
    bill_made(&request, stream, &bill);
    meter_stream_free(stream);
    right = charged >= 0 ? bill.charged_pusd == charged
                         : bill.charged_pusd > 0 && bill.charged_pusd < HELD_PUSD;
    if (!right || bill.provenance != provenance)
        fail_msg("%s: charged %lld (%s), by %s", why, (long long)bill.charged_pusd,
                 meter_provenance_text(bill.provenance), bill.charged_by);
}

static void charges_answers_as_the_manual_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        size_t bytes;
        char *body = body_made(&answers[i].body, &bytes);

        check_answer(answers[i].why, NULL, body, bytes, answers[i].charged, answers[i].provenance);
        free(body);
    }
}

/* 1 GiB of blanks behind a begun stream, in 1 MiB. */
static void charges_a_bomb_as_broken_off(void **state)
{
    static char blanks[1 << 20];
    size_t room = 4u << 20;
    char *bomb = malloc(room);
    z_stream z = {0};

    (void)state;
    assert_non_null(bomb);
    memset(blanks, ' ', sizeof blanks);
    memcpy(blanks, DELTA, sizeof DELTA - 1);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + 15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)bomb;
    z.avail_out = (uInt)room;
    for (int i = 0; i < 1024; i++) {
        z.next_in = (Bytef *)blanks;
        z.avail_in = sizeof blanks;
        assert_int_equal(deflate(&z, i == 1023 ? Z_FINISH : Z_NO_FLUSH),
                         i == 1023 ? Z_STREAM_END : Z_OK);
        memset(blanks, ' ', sizeof blanks);
    }
    check_answer("a bomb", "gzip", bomb, z.total_out, -1, METER_MEASURED);
    (void)deflateEnd(&z);
    free(bomb);
}

/* ---- requests ----------------------------------------------------------------------------- */

#define ASK "{\"model\":\"gpt-4o\","

static const struct {
    const char *why;
    struct body body;
    enum meter_err want;
    const char *says;
} requests[] = {
    {"a cap that is a string",
     {ASK "\"max_tokens\":\"5\"}", NULL, 0, ""},
     METER_BAD_FIELD,
     "output cap"},
    {"a cap that is no whole number",
     {ASK "\"max_tokens\":5.5}", NULL, 0, ""},
     METER_BAD_FIELD,
     "output cap"},
    {"a cap of 1e309", {ASK "\"max_tokens\":1e309}", NULL, 0, ""}, METER_BAD_FIELD, "output cap"},
    {"a negative cap", {ASK "\"max_tokens\":-1}", NULL, 0, ""}, METER_BAD_FIELD, "output cap"},
    {"a cap of 2^64",
     {ASK "\"max_tokens\":18446744073709551616}", NULL, 0, ""},
     METER_BAD_FIELD,
     "output cap"},
    {"two models", {ASK "\"model\":\"gpt-4o-mini\"}", NULL, 0, ""}, METER_BAD_FIELD, "model"},
    {"bad UTF-8", {ASK "\"messages\":[{\"content\":\"\xff\"}]}", NULL, 0, ""}, METER_OK, ""},
    {"nested 100,000 deep", {ASK "\"messages\":", "[", 100000, ""}, METER_NOT_JSON, "byte 5"},
    {"nested 100,000 deep, and well",
     {ASK "\"a\":", "{\"a\":", 100000, ""},
     METER_NOT_JSON,
     "byte"},
    {"a line of 100 MB",
     {ASK "\"messages\":[{\"content\":\"", "0123456789", 10000000, "\"}]}"},
     METER_OK,
     ""},
    {"more than 256 MiB",
     {ASK "\"messages\":[{\"content\":\"", "0123456789", 27000000, "\"}]}"},
     METER_TOO_LARGE,
     "256 MiB"},
    {"HTML", {"<html></html>", NULL, 0, ""}, METER_NOT_JSON, "byte 0"},
    {"nothing", {"", NULL, 0, ""}, METER_NOT_JSON, "byte 0"},
};

static void tells_what_is_bad_in_a_request(void **state)
{
    struct meter_target target = {.method = "POST", .host = "api.openai.com", .path = CHAT};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct meter_error error = {""};
        struct meter_request request;
        size_t bytes;
        char *body = body_made(&requests[i].body, &bytes);
        enum meter_err err = meter_request_read(&target, body, bytes, &request, &error);

        if (err != requests[i].want || strstr(error.text, requests[i].says) == NULL)
            fail_msg("%s: %d, \"%s\"", requests[i].why, err, error.text);
        free(body);
    }
}

/* Broken off before a byte of the answer. */
static void charges_the_hold_where_nobody_knows_what_comes(void **state)
{
    static const struct {
        const char *said;
        enum meter_provenance provenance;
    } rows[] = {
        {"\"stream\":true", METER_MEASURED},    {"\"stream\":false", METER_MISSING},
        {"\"stream\":0", METER_MISSING},        {"\"stream\":1", METER_MISSING},
        {"\"stream\":\"true\"", METER_MISSING}, {"\"stream\":null", METER_MISSING},
        {"\"stream\":{}", METER_MISSING},       {"\"stream\":true,\"stream\":true", METER_MISSING},
    };
    struct meter_target target = {.method = "POST", .host = "api.openai.com", .path = CHAT};
    const struct meter_response response = {.status = 200};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        struct meter_stream *stream;
        struct meter_bill bill;
        char body[64];

        (void)snprintf(body, sizeof body, ASK "%s}", rows[i].said);
        assert_int_equal(meter_request_read(&target, body, strlen(body), &request, NULL), METER_OK);
        stream = meter_stream_new(&request, &response);
        assert_non_null(stream);
        bill_made(&request, stream, &bill);
        meter_stream_free(stream);
        if (bill.provenance != rows[i].provenance ||
            (bill.charged_pusd == HELD_PUSD) != (rows[i].provenance == METER_MISSING))
            fail_msg("%s: charged %lld (%s)", rows[i].said, (long long)bill.charged_pusd,
                     meter_provenance_text(bill.provenance));
    }
}

/* Whoever takes such a body puts U+FFFD in the place of a bad byte: three bytes for one. */
static void counts_bad_utf8_threefold(void **state)
{
    static const struct {
        const char *text;
        uint64_t more; /* than the same bytes of ASCII */
    } rows[] = {
        {"abcdefghijklmnopqrstuvwxyz", 0},
        {"\xc3\xa9\xe6\xb5\x8b\xf0\x9f\x98\x80\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 0},
        {"\xff", 2},
        {"\x80", 2},
        {"\xc0\x80", 4},         /* overlong */
        {"\xe0\x9f\xbf", 6},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 8}, /* overlong */
        {"\xed\xa0\x80", 6},     /* a surrogate */
        {"\xf4\x90\x80\x80", 8}, /* above U+10FFFF */
        {"\xe6\xb5", 4},         /* cut */
        {"\xe6\xb5z", 4},        /* cut by another */
        {"\xf0\x9f\x98z", 6},
        {"0123456789abcdef\xff"
         "0123456789abcdef\xfe",
         4},
    };
    struct meter_target target = {.method = "POST", .host = "api.openai.com", .path = CHAT};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request plain, request;
        char body[256];
        int bytes =
            snprintf(body, sizeof body, ASK "\"messages\":[{\"content\":\"%s\"}]}", rows[i].text);

        assert_int_equal(meter_request_read(&target, body, (size_t)bytes, &request, NULL),
                         METER_OK);
        for (int k = 0; k < bytes; k++)
            body[k] = (unsigned char)body[k] >= 0x80 ? 'x' : body[k];
        assert_int_equal(meter_request_read(&target, body, (size_t)bytes, &plain, NULL), METER_OK);
        if (request.input_tokens != plain.input_tokens + rows[i].more)
            fail_msg("row %zu: %llu, %llu", i, (unsigned long long)request.input_tokens,
                     (unsigned long long)plain.input_tokens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_answers_as_the_manual_says),
        cmocka_unit_test(charges_a_bomb_as_broken_off),
        cmocka_unit_test(tells_what_is_bad_in_a_request),
        cmocka_unit_test(charges_the_hold_where_nobody_knows_what_comes),
        cmocka_unit_test(counts_bad_utf8_threefold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
