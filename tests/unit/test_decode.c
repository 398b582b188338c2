/* SPDX-License-Identifier: Apache-2.0 */
/* Content encodings: each of them, stacked, cut anywhere, damaged, and named by headers that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "meter/meter_int.h"
#include "tests/unit/guard.h"

static const char text[] =
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";

struct bytes {
    size_t count;
    char at[8192];
};

/* ---- encoders ----------------------------------------------------------------------------- */

static struct bytes zlib_encode(const void *bytes, size_t count, int window)
{
    struct bytes out;
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)count;
    z.next_out = (Bytef *)out.at;
    z.avail_out = sizeof out.at;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.count = z.total_out;
    (void)deflateEnd(&z);
    return out;
}

static struct bytes gzip(const void *bytes, size_t count)
{
    return zlib_encode(bytes, count, 16 + 15);
}

static struct bytes zstd(const void *bytes, size_t count)
{
    struct bytes out;

    out.count = ZSTD_compress(out.at, sizeof out.at, bytes, count, 3);
    assert_false(ZSTD_isError(out.count));
    return out;
}

static struct bytes joined(struct bytes a, struct bytes b)
{
    memcpy(a.at + a.count, b.at, b.count);
    a.count += b.count;
    return a;
}

/* Brotli has no encoder here: one that a tool made, of {"a":"b"}. */
static const unsigned char brotli[] = {0x0b, 0x04, 0x80, 0x7b, 0x22, 0x61, 0x22,
                                       0x3a, 0x22, 0x62, 0x22, 0x7d, 0x03};

/* ---- decoding ----------------------------------------------------------------------------- */

static void sink(void *ctx, const char *bytes, size_t count)
{
    struct bytes *out = ctx;

    assert_true(out->count + count <= sizeof out->at);
    memcpy(out->at + out->count, bytes, count);
    out->count += count;
}

struct result {
    struct bytes out;
    bool failed, ended, plain;
};

static void decode_pieces(const char *encodings, const void *bytes, size_t count, size_t cut,
                          struct result *result)
{
    struct guarded first = guarded_copy(bytes, cut);
    struct guarded rest = guarded_copy((const char *)bytes + cut, count - cut);
    struct decode *decode = decode_new(encodings, sink, &result->out);

    assert_non_null(decode);
    result->out.count = 0;
    assert_int_equal(decode_feed(decode, first.bytes, cut), METER_OK);
    assert_int_equal(decode_feed(decode, rest.bytes, count - cut), METER_OK);
    result->failed = decode_failed(decode);
    result->ended = decode_ended(decode);
    result->plain = decode_plain(decode);
    decode_free(decode);
    guarded_free(&first);
    guarded_free(&rest);
}

/* Wants the text, at every split. */
static void expect_text(const char *why, const char *encodings, const struct bytes *given)
{
    struct result result;

    for (size_t cut = 0; cut <= given->count; cut++) {
        decode_pieces(encodings, given->at, given->count, cut, &result);
        if (result.failed || !result.ended || result.out.count != sizeof text - 1 ||
            memcmp(result.out.at, text, sizeof text - 1) != 0)
            fail_msg("%s, cut at %zu: failed %d, ended %d, %zu bytes", why, cut, result.failed,
                     result.ended, result.out.count);
    }
}

static void undoes_every_encoding_at_every_split(void **state)
{
    size_t half = sizeof text / 2, rest = sizeof text - 1 - half;
    struct bytes plain = {.count = sizeof text - 1}, coded;

    (void)state;
    memcpy(plain.at, text, plain.count);
    expect_text("nothing", NULL, &plain);
    expect_text("identity", "identity", &plain);
    coded = gzip(text, plain.count);
    expect_text("gzip", "gzip", &coded);
    expect_text("x-gzip in capitals", "X-GZIP", &coded);
    expect_text("gzip without a header", NULL, &coded);
    coded = joined(gzip(text, half), gzip(text + half, rest));
    expect_text("gzip of two members", "gzip", &coded);
    coded = zlib_encode(text, plain.count, 15);
    expect_text("deflate", "deflate", &coded);
    coded = zlib_encode(text, plain.count, -15);
    expect_text("raw deflate", "deflate", &coded);
    coded = zstd(text, plain.count);
    expect_text("zstd", "zstd", &coded);
    expect_text("zstd without a header", "", &coded);
    coded = joined(zstd(text, half), zstd(text + half, rest));
    expect_text("zstd of two frames", "zstd", &coded);
    coded = gzip(text, plain.count);
    coded = zstd(coded.at, coded.count);
    expect_text("gzip, then zstd", "gzip, zstd", &coded);
    coded = gzip(coded.at, coded.count);
    expect_text("three of them", "gzip,zstd , gzip", &coded);
}

static void undoes_brotli(void **state)
{
    struct result result;

    (void)state;
    for (size_t cut = 0; cut <= sizeof brotli; cut++) {
        decode_pieces("br", brotli, sizeof brotli, cut, &result);
        assert_false(result.failed);
        assert_true(result.ended && !result.plain);
        assert_int_equal(result.out.count, 9);
        assert_memory_equal(result.out.at, "{\"a\":\"b\"}", 9);
    }
}

static void looks_through_headers_that_lie(void **state)
{
    static const char *const encodings[] = {"gzip", "x-gzip",       "deflate", "br",
                                            "zstd", "gzip, br",     "utf-8",   "aws-chunked",
                                            "foo",  "identity,gzip"};
    static const char *const bodies[] = {
        text, "{\"a\":1}", "[{\"a\":1}]", "event: x\ndata: {}\n\n", ": hello\n\n", "id: 1\n\n"};
    struct result result;

    (void)state;
    for (size_t e = 0; e < COUNT_OF(encodings); e++)
        for (size_t b = 0; b < COUNT_OF(bodies); b++) {
            size_t bytes = strlen(bodies[b]);

            for (size_t cut = 0; cut <= bytes; cut++) {
                decode_pieces(encodings[e], bodies[b], bytes, cut, &result);
                if (result.failed || !result.plain || result.out.count != bytes ||
                    memcmp(result.out.at, bodies[b], bytes) != 0)
                    fail_msg("%s on %s, cut at %zu", encodings[e], bodies[b], cut);
            }
        }
}

static void says_what_cannot_be_decoded(void **state)
{
    struct bytes coded = gzip(text, sizeof text - 1);
    struct result result;

    (void)state;
    for (size_t bytes = 3; bytes < coded.count; bytes++) {
        decode_pieces("gzip", coded.at, bytes, 1, &result);
        assert_false(result.failed); /* not yet */
        assert_false(result.ended);
    }
    coded.at[coded.count - 6] ^= 1; /* the check sum */
    decode_pieces("gzip", coded.at, coded.count, 9, &result);
    assert_true(result.failed);
    decode_pieces("foo", "\x01\x02\x03", 3, 0, &result);
    assert_true(result.failed);
    assert_int_equal(result.out.count, 0);
    decode_pieces("gzip,gzip,gzip,gzip,gzip", text, sizeof text - 1, 0, &result);
    assert_true(result.failed);
    decode_pieces("br", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, 3, &result);
    assert_true(result.failed);
    decode_pieces("gzip", "", 0, 0, &result); /* an empty body is whole */
    assert_true(result.ended && !result.failed);
}

static void ignores_what_follows_the_end(void **state)
{
    struct bytes coded =
        joined(gzip(text, sizeof text - 1), (struct bytes){.count = 5, .at = "\0\0\0\0\0"});

    (void)state;
    expect_text("gzip and padding", "gzip", &coded);
    coded = joined(gzip(text, sizeof text - 1),
                   (struct bytes){.count = 6, .at = "x\x1f\x8b\x1f\x1f\x8b"});
    expect_text("gzip and what looks like more", "gzip", &coded);
    coded = joined(zlib_encode(text, sizeof text - 1, 15), (struct bytes){.count = 2, .at = "xx"});
    expect_text("deflate and rubbish", "deflate", &coded);
}

static uint64_t drained;

static void drain(void *ctx, const char *bytes, size_t count)
{
    (void)ctx, (void)bytes;
    drained += count;
}

static void stops_at_a_bomb(void **state)
{
    static char zeros[1 << 20];
    size_t room = 4u << 20;
    char *bomb = malloc(room);
    z_stream z = {0};
    struct decode *decode = decode_new("gzip", drain, NULL);

    (void)state;
    assert_non_null(bomb);
    assert_non_null(decode);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + 15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)bomb;
    z.avail_out = (uInt)room;
    for (int i = 0; i < 1024; i++) { /* 1 GiB in 1 MiB */
        z.next_in = (Bytef *)zeros;
        z.avail_in = sizeof zeros;
        assert_int_equal(deflate(&z, i == 1023 ? Z_FINISH : Z_NO_FLUSH),
                         i == 1023 ? Z_STREAM_END : Z_OK);
    }
    drained = 0;
    assert_int_equal(decode_feed(decode, bomb, z.total_out), METER_OK);
    assert_true(decode_failed(decode));
    assert_true(drained < (300u << 20));
    decode_free(decode);
    (void)deflateEnd(&z);
    free(bomb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undoes_every_encoding_at_every_split),
        cmocka_unit_test(undoes_brotli),
        cmocka_unit_test(looks_through_headers_that_lie),
        cmocka_unit_test(says_what_cannot_be_decoded),
        cmocka_unit_test(ignores_what_follows_the_end),
        cmocka_unit_test(stops_at_a_bomb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
