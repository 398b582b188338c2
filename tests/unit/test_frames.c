/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of an AWS event stream: well-formed ones at every split, and lies of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/frames.h"
#include "tests/unit/guard.h"

/* What the callbacks said, as text: "<c" of a chunk, "<!" of an exception, the payload, ">". */
struct heard {
    char text[FRAME_ROOM];
    size_t count;
    unsigned ends;
};

static void hear(struct heard *heard, const char *bytes, size_t count)
{
    assert_true(count <= sizeof heard->text - heard->count);
    memcpy(heard->text + heard->count, bytes, count);
    heard->count += count;
}

static void on_begin(void *ctx, const struct frame_head *head)
{
    hear(ctx, "<", 1);
    hear(ctx, "c", head->chunk);
    hear(ctx, "!", head->exception);
}

static void on_payload(void *ctx, const char *bytes, size_t count)
{
    hear(ctx, bytes, count);
}

static void on_end(void *ctx)
{
    struct heard *heard = ctx;

    hear(heard, ">", 1);
    heard->ends++;
}

static const struct frame_ops ops = {on_begin, on_payload, on_end};
static struct frames_made made;
static struct heard heard;

/* Feeds pieces that end at the cuts, each at an unreadable page. */
static struct frames feed(const void *bytes, size_t count, const size_t *cuts, size_t cut_count)
{
    struct frames frames;
    size_t at = 0;

    heard.count = heard.ends = 0;
    frames_init(&frames, &ops, &heard);
    for (size_t i = 0; i <= cut_count; i++) {
        size_t next = i < cut_count ? cuts[i] : count;
        struct guarded piece = guarded_copy((const char *)bytes + at, next - at);

        frames_feed(&frames, piece.bytes, next - at);
        guarded_free(&piece);
        at = next;
    }
    return frames;
}

static void expect_heard(const char *why, const char *want)
{
    if (heard.count != strlen(want) || memcmp(heard.text, want, heard.count) != 0)
        fail_msg("%s: want \"%s\", got \"%.*s\"", why, want, (int)heard.count, heard.text);
}

/* ---- well-formed -------------------------------------------------------------------------- */

#define THREE "<{\"a\":1}><c{\"bytes\":\"eyJ9\"}><!no><>"

static void three_make(void)
{
    made.count = 0;
    frame_event(&made, "metadata", false, "{\"a\":1}");
    frame_event(&made, "chunk", false, "{\"bytes\":\"eyJ9\"}");
    frame_event(&made, "throttlingException", true, "no");
    frame_start(&made); /* the smallest there is */
    frame_finish(&made, NULL, 0);
}

static void says_the_same_at_every_split(void **state)
{
    struct frames frames;

    (void)state;
    three_make();
    for (size_t a = 0; a <= made.count; a++)
        for (size_t b = a; b <= made.count; b += 7) {
            const size_t cuts[] = {a, b};

            frames = feed(made.bytes, made.count, cuts, 2);
            expect_heard("two cuts", THREE);
            assert_true(frames_whole(&frames));
        }
}

static void says_the_same_byte_by_byte(void **state)
{
    static size_t cuts[FRAME_ROOM];
    struct frames frames;

    (void)state;
    three_make();
    for (size_t i = 0; i < made.count; i++)
        cuts[i] = i;
    frames = feed(made.bytes, made.count, cuts, made.count);
    expect_heard("byte by byte", THREE);
    assert_true(frames_whole(&frames));
}

/* Only a frame that is all there has an end, and only between two of them the stream is whole. */
static void ends_no_frame_that_is_cut(void **state)
{
    size_t ends[4], count = 0;

    (void)state;
    made.count = 0;
    frame_event(&made, "metadata", false, "{\"a\":1}");
    ends[count++] = made.count;
    frame_event(&made, "chunk", false, "{}");
    ends[count++] = made.count;
    frame_event(&made, "e", true, "");
    ends[count++] = made.count;
    for (size_t bytes = 0; bytes <= made.count; bytes++) {
        struct frames frames = feed(made.bytes, bytes, NULL, 0);
        unsigned want = 0;
        bool between = bytes == 0;

        for (size_t i = 0; i < count; i++) {
            want += ends[i] <= bytes;
            between |= ends[i] == bytes;
        }
        if (heard.ends != want || frames_whole(&frames) != between || frames.damaged)
            fail_msg("cut at %zu: %u ends, whole %d, damaged %d", bytes, heard.ends,
                     frames_whole(&frames), frames.damaged);
    }
}

/* ---- headers ------------------------------------------------------------------------------ */

static const struct {
    const char *why, *name;
    uint8_t type;
    const char *value;
    size_t bytes;
} odd_headers[] = {
    {"true", "b", 0, "", 0},
    {"false", "b", 1, "", 0},
    {"a byte", "b", 2, "\x7f", 1},
    {"a short", "b", 3, "\x01\x02", 2},
    {"an int", "b", 4, "\0\0\0\x01", 4},
    {"a long", "b", 5, "\0\0\0\0\0\0\0\x01", 8},
    {"bytes", "b", 6, "\0\x03xyz", 5},
    {"no bytes", "b", 6, "\0", 2},
    {"a string", "b", 7, "\0\x03xyz", 5},
    {"an empty string", "b", 7, "\0", 2},
    {"a timestamp", "b", 8, "\0\0\x01\x80\0\0\0\0", 8},
    {"a UUID", "b", 9, "0123456789abcdef", 16},
    {"an event's name that is true", ":event-type", 0, "", 0},
    {"an event's name that is a long", ":event-type", 5, "\0\0\0chunk", 8},
    {"an event's name that is longer", ":event-type", 7,
     "\0\x06"
     "chunky",
     8},
    {"a name that is longer", ":event-types", 7, "\0\x01x", 3},
    {"a name that is shorter", ":event-typ", 7, "\0\x01x", 3},
};

/* A header before and one behind, so that one that is misread loses the next. */
static void skips_headers_of_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(odd_headers); i++) {
        made.count = 0;
        frame_start(&made);
        header_text(&made, ":message-type", "exception");
        header_raw(&made, odd_headers[i].name, odd_headers[i].type, odd_headers[i].value,
                   odd_headers[i].bytes);
        header_text(&made, ":event-type", "chunk");
        frame_finish(&made, "p", 1);
        for (size_t cut = 0; cut <= made.count; cut++) {
            struct frames frames = feed(made.bytes, made.count, &cut, 1);

            expect_heard(odd_headers[i].why, "<c!p>");
            assert_true(frames_whole(&frames));
        }
    }
}

static void tells_what_a_frame_is_by_name_and_value(void **state)
{
    static const struct {
        const char *why, *name;
        uint8_t type;
        const char *value, *want;
    } rows[] = {
        {"a chunk", ":event-type", HEADER_STRING, "chunk", "<c>"},
        {"... as bytes", ":event-type", HEADER_BYTES, "chunk", "<c>"},
        {"a longer name", ":event-type", HEADER_STRING, "chunks", "<>"},
        {"a shorter name", ":event-type", HEADER_STRING, "chun", "<>"},
        {"an empty one", ":event-type", HEADER_STRING, "", "<>"},
        {"another header", "event-type", HEADER_STRING, "chunk", "<>"},
        {"an exception", ":message-type", HEADER_STRING, "exception", "<!>"},
        {"an error", ":message-type", HEADER_STRING, "error", "<!>"},
        {"an event", ":message-type", HEADER_STRING, "event", "<>"},
        {"a name that is its beginning", ":event-typ", HEADER_STRING, "chunk", "<>"},
        {"a name that it begins", ":message-types", HEADER_STRING, "error", "<>"},
        {"an exception's name alone", ":exception-type", HEADER_STRING, "exception", "<>"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        made.count = 0;
        frame_start(&made);
        header_sized(&made, rows[i].name, rows[i].type, rows[i].value, strlen(rows[i].value));
        frame_finish(&made, NULL, 0);
        (void)feed(made.bytes, made.count, NULL, 0);
        expect_heard(rows[i].why, rows[i].want);
    }
}

/* What one frame was says nothing of the next. */
static void forgets_what_the_frame_before_was(void **state)
{
    (void)state;
    made.count = 0;
    frame_start(&made);
    header_text(&made, ":event-type", "chunk");
    header_text(&made, ":message-type", "error");
    frame_finish(&made, "x", 1);
    frame_start(&made);
    frame_finish(&made, "y", 1);
    (void)feed(made.bytes, made.count, NULL, 0);
    expect_heard("two frames", "<c!x><y>");
}

static void reads_many_headers_and_long_ones(void **state)
{
    char name[256], *value = malloc(65536);
    struct frames frames;

    (void)state;
    assert_non_null(value);
    memset(name, 'n', 255);
    name[255] = '\0';
    memset(value, 'v', 65535);
    value[65535] = '\0';
    made.count = 0;
    frame_start(&made);
    for (unsigned i = 0; i < 500; i++)
        header_text(&made, "another", "header");
    header_text(&made, name, value);
    header_text(&made, ":event-type", value);
    header_text(&made, ":event-type", "chunk");
    header_text(&made, name, "");
    frame_finish(&made, "p", 1);
    free(value);
    for (size_t cut = 0; cut <= made.count; cut += 997) {
        frames = feed(made.bytes, made.count, &cut, 1);
        expect_heard("many headers", "<cp>");
        assert_true(frames_whole(&frames));
    }
}

/* ---- damage ------------------------------------------------------------------------------- */

#define RIGHT UINT32_MAX /* the length as it is */

static const struct {
    const char *why;
    uint32_t total, headers;
    const char *header; /* instead of the one there is: bytes ... */
    size_t header_bytes;
    size_t flip;  /* ... 0: none; else this byte, counted from 1, is another */
    int64_t back; /* ... counted from the frame's end */
    bool bare;    /* there is no payload, and the length is one less */
} lies[] = {
    {"a checksum of the prelude", RIGHT, RIGHT, NULL, 0, 12, 0, false},
    {"a length that is not what was summed up", RIGHT, RIGHT, NULL, 0, 4, 0, false},
    {"a length of headers that is not what was summed up", RIGHT, RIGHT, NULL, 0, 8, 0, false},
    {"a checksum of the frame", RIGHT, RIGHT, NULL, 0, 0, 1, false},
    {"... its first byte", RIGHT, RIGHT, NULL, 0, 0, 4, false},
    {"another payload", RIGHT, RIGHT, NULL, 0, 0, 5, false},
    {"another header", RIGHT, RIGHT, NULL, 0, 20, 0, false},
    {"a frame of nothing", 0, 0, NULL, 0, 0, 0, false},
    {"... of a byte less than there must be", 15, 0, NULL, 0, 0, 0, false},
    {"... of a byte less than the headers need", 28, 13, NULL, 0, 0, 0, false},
    {"... of 2^31 bytes", UINT32_C(1) << 31, 0, NULL, 0, 0, 0, false},
    {"... of a byte more than anybody sends", (24u << 20) + 1, 0, NULL, 0, 0, 0, false},
    {"... of 2^32 - 2 bytes", UINT32_MAX - 1, 0, NULL, 0, 0, 0, false},
    {"headers of 2^31 bytes", RIGHT, UINT32_C(1) << 31, NULL, 0, 0, 0, false},
    {"headers of 2^32 - 2 bytes", RIGHT, UINT32_MAX - 1, NULL, 0, 0, 0, false},
    {"headers a byte beyond the frame", 64, 49, NULL, 0, 0, 0, false},
    {"a header without a name", RIGHT, RIGHT, "\0\x07\0\x01x", 5, 0, 0, false},
    {"a type that there is not", RIGHT, RIGHT, "\x01n\x0a", 3, 0, 0, false},
    {"... the last that there could be", RIGHT, RIGHT, "\x01n\xff", 3, 0, 0, false},
    {"a name a byte beyond the headers", RIGHT, RIGHT, "\x03nn", 3, 0, 0, false},
    {"a value a byte beyond the headers", RIGHT, RIGHT, "\x01n\x07\0\x02x", 6, 0, 0, false},
    {"a value of eight bytes beyond them", RIGHT, RIGHT, "\x01n\x05\0\0\0\0\0\0\0", 10, 0, 0,
     false},
    {"a length cut by their end", RIGHT, RIGHT, "\x01n\x07\0", 4, 0, 0, false},
    {"headers that end behind a name", RIGHT, RIGHT, "\x01n", 2, 0, 0, false},
    {"a length of 15, all else being right", RIGHT, RIGHT, "", 0, 0, 0, true},
    {"headers that reach into the checksum", RIGHT, RIGHT, "\x01n\x07\0\x01x", 6, 0, 0, true},
};

static void lie_make(size_t row)
{
    static const char payload[] = "{\"this\":\"is a payload that is long enough to hide in\"}";
    uint32_t total = lies[row].total, headers = lies[row].headers;

    made.count = 0;
    frame_event(&made, "before", false, "1");
    frame_start(&made);
    if (lies[row].header != NULL) {
        frames_put(&made, lies[row].header, lies[row].header_bytes);
        made.headers = lies[row].header_bytes;
    } else {
        header_text(&made, ":event-type", "chunk");
    }
    if (!lies[row].bare)
        frames_put(&made, payload, sizeof payload - 1);
    if (total == RIGHT)
        total = (uint32_t)(made.count - made.at + 4 - lies[row].bare);
    frame_seal(&made, total, headers != RIGHT ? headers : (uint32_t)made.headers);
    if (lies[row].flip > 0)
        made.bytes[made.at + lies[row].flip - 1] ^= 0x10;
    if (lies[row].flip > 0 && lies[row].flip <= 12) { /* but for the prelude all is right */
        made.count -= 4;
        frame_sum(&made);
    }
    if (lies[row].back > 0)
        made.bytes[made.count - (size_t)lies[row].back] ^= 0x10;
    frame_event(&made, "behind", false, "2");
}

/* The frame before counts, the damaged one does not, and nothing behind it is read. */
static void reads_nothing_beyond_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        lie_make(i);
        for (size_t cut = 0; cut <= made.count; cut++) {
            struct frames frames = feed(made.bytes, made.count, &cut, 1);

            if (heard.ends != 1 || !frames.damaged || frames_whole(&frames) ||
                memchr(heard.text, '2', heard.count) != NULL)
                fail_msg("%s, cut at %zu: %u ends, damaged %d, \"%.*s\"", lies[i].why, cut,
                         heard.ends, frames.damaged, (int)heard.count, heard.text);
        }
    }
}

/* The largest frame is no lie, and nothing is kept for it. */
static void takes_lengths_up_to_the_bound(void **state)
{
    static const struct {
        uint32_t total, headers;
    } rows[] = {{16, 0}, {64, 48}, {24u << 20, 0}, {24u << 20, (24u << 20) - 16}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct frames frames;

        made.count = 0;
        frame_start(&made);
        frame_seal(&made, rows[i].total, rows[i].headers);
        frames = feed(made.bytes, 12, NULL, 0);
        if (frames.damaged || frames_whole(&frames))
            fail_msg("%u, %u: damaged %d", rows[i].total, rows[i].headers, frames.damaged);
    }
}

/* ---- base64 ------------------------------------------------------------------------------- */

static void decodes_base64_at_every_split(void **state)
{
    static const struct {
        const char *why, *given, *want;
    } rows[] = {
        {"nothing", "", ""},
        {"whole groups", "Zm9vYmFy", "foobar"},
        {"two left", "Zm9vYg==", "foob"},
        {"three left", "Zm9vYmE=", "fooba"},
        {"without padding", "Zm9vYg", "foob"},
        {"every bit", "+/+/", "\xfb\xff\xbf"},
        {"the other alphabet", "-_-_", "\xfb\xff\xbf"},
        {"line ends within", "Zm9v\r\nYmFy\n", "foobar"},
        {"a digit alone says nothing", "Z", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t cut = 0, count = strlen(rows[i].given); cut <= count; cut++) {
            struct base64 base64 = {0};
            char out[16] = "";
            size_t used = base64_feed(&base64, rows[i].given, cut, out);

            assert_true(used <= cut / 4 * 3 + 3);
            used += base64_feed(&base64, rows[i].given + cut, count - cut, out + used);
            if (used != strlen(rows[i].want) || memcmp(out, rows[i].want, used) != 0)
                fail_msg("%s, cut at %zu: %zu bytes", rows[i].why, cut, used);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_the_same_at_every_split),
        cmocka_unit_test(says_the_same_byte_by_byte),
        cmocka_unit_test(ends_no_frame_that_is_cut),
        cmocka_unit_test(skips_headers_of_every_type),
        cmocka_unit_test(tells_what_a_frame_is_by_name_and_value),
        cmocka_unit_test(forgets_what_the_frame_before_was),
        cmocka_unit_test(reads_many_headers_and_long_ones),
        cmocka_unit_test(reads_nothing_beyond_damage),
        cmocka_unit_test(takes_lengths_up_to_the_bound),
        cmocka_unit_test(decodes_base64_at_every_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
