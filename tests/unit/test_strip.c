/* SPDX-License-Identifier: Apache-2.0 */
/* The filter that keeps the usage chunk of a stream from the application: made-up streams and all
 * recorded ones, at every split, with applications that pause and refuse. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shim/strip.h"
#include "tests/unit/chance.h"
#include "tests/unit/recorded.h"

#define CHUNK        "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n"
#define DELTA        "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
#define DONE         "data: [DONE]\n\n"
#define DELIVERY_MAX 16384u /* CURL_MAX_WRITE_SIZE */

/* ---- libcurl and an application ----------------------------------------------------------- */

struct application {
    char *got;
    size_t bytes, room;
    size_t most;           /* bytes that one call may have */
    struct chance *chance; /* pauses at times; NULL: takes all */
    bool pauses;           /* always */
    size_t refuses_beyond; /* 0: never */
    unsigned calls;
};

static enum strip_gave take(void *data, const char *bytes, size_t count)
{
    struct application *app = data;

    app->calls++;
    assert_true(count > 0 && count <= app->most);
    if (app->pauses || (app->chance != NULL && chance_one_in(app->chance, 2)))
        return STRIP_PAUSED;
    if (app->refuses_beyond > 0 && app->bytes + count > app->refuses_beyond)
        return STRIP_REFUSED;
    assert_true(app->bytes + count <= app->room);
    memcpy(app->got + app->bytes, bytes, count);
    app->bytes += count;
    return STRIP_TAKEN;
}

/* A copy that ends where nobody may read on; the next one takes its place. */
static char *delivery(const char *bytes, size_t count)
{
    static const char none[DELIVERY_MAX];
    static struct guarded room;

    if (room.map == NULL)
        room = guarded_copy(none, sizeof none);
    return memcpy(room.bytes + DELIVERY_MAX - count, bytes, count);
}

/* One delivery. False: refused. What was dealt with must go on where it stopped: *known bytes of
 * this delivery had been. */
static bool deliver(struct strip *strip, struct application *app, const char *bytes, size_t count,
                    size_t *known, bool *paused)
{
    struct strip_done done;

    app->most = count > STRIP_HOLD_MAX ? count : STRIP_HOLD_MAX;
    done = strip_write(strip, delivery(bytes, count), count, take, app);
    assert_int_equal(done.from, *known < count ? *known : count);
    assert_true(done.to >= done.from && done.to <= count);
    assert_true(done.gave != STRIP_TAKEN || done.to == count);
    *paused = done.gave == STRIP_PAUSED;
    *known = *paused ? done.to : *known > count ? *known - count : 0;
    return done.gave != STRIP_REFUSED;
}

/* As libcurl does it: on a pause the same bytes come again, with more of them, or (not libcurl)
 * with less. next() says how many. */
static void run(const char *bytes, size_t count, struct application *app,
                size_t (*next)(void *data, size_t at), void *data)
{
    struct strip *strip = strip_new();
    size_t at = 0, known = 0;
    bool paused, going = strip != NULL;

    assert_true(going);
    while (going && at < count) {
        size_t piece = next(data, at);

        if (piece == 0 || piece > count - at)
            piece = count - at;
        going = deliver(strip, app, bytes + at, piece, &known, &paused);
        at += paused ? 0 : piece;
    }
    app->most = STRIP_HOLD_MAX;
    while (strip_end(strip, take, app) == STRIP_PAUSED)
        assert_true(going);
    strip_free(strip);
}

static struct application application(char *got, size_t room)
{
    return (struct application){.got = got, .room = room};
}

/* ---- splits ------------------------------------------------------------------------------- */

/* All before `cut` in one piece, then the rest; in pieces that libcurl could have. */
static size_t in_two(void *data, size_t at)
{
    size_t cut = *(size_t *)data, left = at < cut ? cut - at : DELIVERY_MAX;

    return left < DELIVERY_MAX ? left : DELIVERY_MAX;
}

static size_t one_by_one(void *data, size_t at)
{
    (void)data, (void)at;
    return 1;
}

static size_t by_chance(void *data, size_t at)
{
    struct chance *chance = data;

    (void)at;
    return (size_t)chance_below(chance, chance_one_in(chance, 4) ? DELIVERY_MAX : 40) + 1;
}

static void expect(const char *why, const char *how, const struct application *app,
                   const char *want, size_t want_bytes)
{
    if (app->bytes != want_bytes || memcmp(app->got, want, want_bytes) != 0)
        fail_msg("%s, %s: got %zu bytes, want %zu:\n%.*s\n", why, how, app->bytes, want_bytes,
                 (int)(app->bytes < 2000 ? app->bytes : 2000), app->got);
}

/* Cut in two at every place of a range. */
static void at_splits(const char *why, const char *bytes, size_t count, const char *want,
                      size_t want_bytes, size_t from, size_t to, size_t step)
{
    char *got = malloc(count + 1), how[64];

    assert_non_null(got);
    for (size_t cut = from; cut <= to; cut += step) {
        struct application app = application(got, count);

        run(bytes, count, &app, in_two, &cut);
        (void)snprintf(how, sizeof how, "cut at %zu", cut);
        expect(why, how, &app, want, want_bytes);
    }
    free(got);
}

/* In single bytes, and by chance, with pauses too. */
static void in_pieces(const char *why, const char *bytes, size_t count, const char *want,
                      size_t want_bytes)
{
    char *got = malloc(count + 1);
    struct chance chance = {count};
    struct application app;

    assert_non_null(got);
    app = application(got, count);
    run(bytes, count, &app, one_by_one, NULL);
    expect(why, "byte by byte", &app, want, want_bytes);
    for (unsigned round = 0; round < 8; round++) {
        app = application(got, count);
        app.chance = round % 2 == 0 ? NULL : &chance;
        run(bytes, count, &app, by_chance, &chance);
        expect(why, round % 2 == 0 ? "cut by chance" : "with pauses", &app, want, want_bytes);
    }
    free(got);
}

static void everywhere(const char *why, const char *given, const char *want)
{
    at_splits(why, given, strlen(given), want, strlen(want), 0, strlen(given), 1);
    in_pieces(why, given, strlen(given), want, strlen(want));
}

/* ---- made-up streams ---------------------------------------------------------------------- */

static const struct {
    const char *why, *given, *want;
} rows[] = {
    {"the chunk", DELTA CHUNK DONE, DELTA DONE},
    {"at the beginning", CHUNK DELTA DONE, DELTA DONE},
    {"alone", CHUNK, ""},
    {"twice", DELTA CHUNK CHUNK DELTA CHUNK, DELTA DELTA},
    {"none", DELTA DELTA DONE, DELTA DELTA DONE},
    {"nothing", "", ""},
    {"CRLF", "data: {\"choices\":[],\"usage\":{}}\r\n\r\ndata: x\r\n\r\n", "data: x\r\n\r\n"},
    {"CR", "data: {\"choices\":[],\"usage\":{}}\r\rdata: x\r\r", "data: x\r\r"},
    {"CRLF behind another",
     "data: x\r\n\r\ndata: {\"choices\":[],\"usage\":{}}\r\n\r\ndata: y\r\n\r\n",
     "data: x\r\n\r\ndata: y\r\n\r\n"},
    {"mixed line ends", "data: x\r\n\ndata: {\"choices\":[],\"usage\":{}}\n\r\ndata: y\n\n",
     "data: x\r\n\ndata: y\n\n"},
    {"CR, then a blank line", "data: {\"choices\":[],\"usage\":{}}\r\r\rdata: y\r\r",
     "\rdata: y\r\r"},
    {"a blank line more", CHUNK "\n" DONE, "\n" DONE},
    {"no blank behind data", "data:{\"choices\":[],\"usage\":{}}\n\n" DONE, DONE},
    {"blanks everywhere",
     "data: \t{ \"a\" : 1 , \"choices\" : [ ] , \"usage\" : {\"a\": [1, {}]} } \t\n\n" DONE, DONE},
    {"usage first", "data: {\"usage\":{\"a\":1},\"choices\":[]}\n\n" DONE, DONE},
    {"usage far behind",
     "data: {\"choices\":[],\"a\":{\"b\":[1,2,{\"c\":\"}]\"}]},\"d\":null,\"usage\":{\"e\":1},"
     "\"f\":\"g\"}\n\n" DONE,
     DONE},
    {"strings with quotes and backslashes before it",
     "data: {\"id\":\"\\\"\\\\\",\"\\\"choices\":[1],\"choices\":[],\"usage\":{}}\n\n", ""},
    {"an escaped quote before it", "data: {\"a\":\"\\\"\",\"choices\":[],\"usage\":{}}\n\n", ""},
    {"an escaped quote in a key", "data: {\"\\\"a\":1,\"choices\":[],\"usage\":{}}\n\n", ""},
    {"event and id lines",
     "event: message\nid: 7\ndata: {\"choices\":[],\"usage\":{}}\nid: 8\n\n" DONE, DONE},
    {"an event line alone", "event: ping\n\n" CHUNK DONE, "event: ping\n\n" DONE},
    {"a comment in front", ": ping\n" CHUNK DONE, ": ping\n" DONE},
    {"comments between", ": ping\n\n" CHUNK ":\n\n" DONE, ": ping\n\n:\n\n" DONE},
    {"a comment inside", "event: x\n: ping\n" CHUNK DONE, "event: x\n: ping\n" CHUNK DONE},
    {"a retry line inside", "retry: 5\n" CHUNK DONE, "retry: 5\n" CHUNK DONE},
    {"a retry line behind", "data: {\"choices\":[],\"usage\":{}}\nretry: 5\n\n" DONE,
     "data: {\"choices\":[],\"usage\":{}}\nretry: 5\n\n" DONE},
    {"data over two lines", "data: {\"choices\":[],\ndata: \"usage\":{}}\n\n" DONE,
     "data: {\"choices\":[],\ndata: \"usage\":{}}\n\n" DONE},
    {"a second data line", "data: {\"choices\":[],\"usage\":{}}\ndata: x\n\n" DONE,
     "data: {\"choices\":[],\"usage\":{}}\ndata: x\n\n" DONE},
    {"two data lines, each as it would have it",
     "data: {\"choices\":[],\"usage\":{}}\ndata: {\"choices\":[],\"usage\":{}}\n\n" DONE,
     "data: {\"choices\":[],\"usage\":{}}\ndata: {\"choices\":[],\"usage\":{}}\n\n" DONE},
    {"a line of CRLF behind another",
     "retry: 5\r\ndata: {\"choices\":[],\"usage\":{}}\r\n\r\n" DONE,
     "retry: 5\r\ndata: {\"choices\":[],\"usage\":{}}\r\n\r\n" DONE},
    {"something behind the object", "data: {\"choices\":[],\"usage\":{}}x\n\n" DONE,
     "data: {\"choices\":[],\"usage\":{}}x\n\n" DONE},
    {"Azure's first chunk",
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}],\"usage\":null}\n\n"
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"usage\":{}}]}\n\n" CHUNK,
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}],\"usage\":null}\n\n"
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"usage\":{}}]}\n\n"},
    {"usage beside choices", "data: {\"choices\":[{}],\"usage\":{}}\n\n" CHUNK,
     "data: {\"choices\":[{}],\"usage\":{}}\n\n"},
    {"usage before choices", "data: {\"usage\":{},\"choices\":[{}]}\n\n" CHUNK,
     "data: {\"usage\":{},\"choices\":[{}]}\n\n"},
    {"usage null",
     "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":1}\n\n",
     "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":1}\n\n"},
    {"choices twice", "data: {\"choices\":[],\"usage\":{},\"choices\":[{}]}\n\n" DONE,
     "data: {\"choices\":[],\"usage\":{},\"choices\":[{}]}\n\n" DONE},
    {"choices null", "data: {\"choices\":null,\"usage\":{}}\n\n" DONE,
     "data: {\"choices\":null,\"usage\":{}}\n\n" DONE},
    {"deeper", "data: {\"a\":{\"choices\":[],\"usage\":{}}}\n\n" DONE,
     "data: {\"a\":{\"choices\":[],\"usage\":{}}}\n\n" DONE},
    {"half of it deeper", "data: {\"choices\":[],\"a\":{\"usage\":{}}}\n\n" DONE,
     "data: {\"choices\":[],\"a\":{\"usage\":{}}}\n\n" DONE},
    {"names that begin alike",
     "data: {\"choice\":[],\"choicess\":[],\"usages\":{},\"usag\":{}}\n\n",
     "data: {\"choice\":[],\"choicess\":[],\"usages\":{},\"usag\":{}}\n\n"},
    {"as text",
     "data: {\"id\":\"\\\"choices\\\":[],\\\"usage\\\":{\",\"choices\":[{\"delta\":{\"content\":"
     "\"\\\"choices\\\":[],\\\"usage\\\":{}}\\n\\ndata: \"}}]}\n\n" CHUNK,
     "data: {\"id\":\"\\\"choices\\\":[],\\\"usage\\\":{\",\"choices\":[{\"delta\":{\"content\":"
     "\"\\\"choices\\\":[],\\\"usage\\\":{}}\\n\\ndata: \"}}]}\n\n"},
    {"as text of a value in the object",
     "data: {\"a\":\"\\\",\\\"choices\\\":[],\\\"usage\\\":{}\",\"b\":[\"choices\",\"usage\"]}\n\n",
     "data: "
     "{\"a\":\"\\\",\\\"choices\\\":[],\\\"usage\\\":{}\",\"b\":[\"choices\",\"usage\"]}\n\n"},
    {"an array", "data: [{\"choices\":[],\"usage\":{}}]\n\n",
     "data: [{\"choices\":[],\"usage\":{}}]\n\n"},
    {"no event stream", "{\"choices\":[],\"usage\":{}}\n\n", "{\"choices\":[],\"usage\":{}}\n\n"},
    {"other fields",
     "date: {\"choices\":[],\"usage\":{}}\n\nxdata: {\"choices\":[],\"usage\":{}}\n\n",
     "date: {\"choices\":[],\"usage\":{}}\n\nxdata: {\"choices\":[],\"usage\":{}}\n\n"},
    {"a field without a colon", "data\n\nevent\n" CHUNK, "data\n\nevent\n" CHUNK},
    {"not JSON", "data: {choices:[],\"usage\":{}}\n\ndata: {\"choices\":[],\"usage\":{}}}\n\n",
     "data: {choices:[],\"usage\":{}}\n\ndata: {\"choices\":[],\"usage\":{}}}\n\n"},
};

static void drops_the_chunk_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        everywhere(rows[i].why, rows[i].given, rows[i].want);
}

/* No byte ends a name, or a field, but what ends it in JSON, or in the line. */
static void reads_every_byte(void **state)
{
    static const char form[] =
        "data:{\"choices?\":1,\"usage?\":2}\n\ndata?:{\"choices\":[],\"usage\":{}}\n\n";
    const size_t count = sizeof form - 1;

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char given[sizeof form];

        if (byte != 0 && strchr("\"\n\r:", byte) != NULL)
            continue;
        for (size_t i = 0; i < sizeof form; i++)
            given[i] = form[i] == '?' ? (char)byte : form[i];
        at_splits("every byte", given, count, given, count, 0, count, 1);
    }
}

/* ---- where a stream is broken off --------------------------------------------------------- */

static const struct {
    const char *why, *given, *want;
} broken[] = {
    {"in another event", DELTA "data: {\"choices\":[{\"del", DELTA "data: {\"choices\":[{\"del"},
    {"before choices", DELTA "data: {\"id\":\"c\",", DELTA "data: {\"id\":\"c\","},
    {"in a field's name", DELTA "da", DELTA "da"},
    {"in the chunk", DELTA "data: {\"choices\":[],\"usage\":{\"a\":1}",
     DELTA "data: {\"choices\":[],\"usage\":{\"a\":1}"},
    {"before the chunk's line end", DELTA "data: {\"choices\":[],\"usage\":{}}", DELTA},
    {"before the chunk's blank line", DELTA "data: {\"choices\":[],\"usage\":{}}\n", DELTA},
    {"the same, CRLF", DELTA "data: {\"choices\":[],\"usage\":{}}\r\n", DELTA},
    {"behind it", DELTA CHUNK, DELTA},
};

static void gives_at_the_end_what_is_held_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        everywhere(broken[i].why, broken[i].given, broken[i].want);
}

/* ---- how long ----------------------------------------------------------------------------- */

/* The chunk, so many bytes long. */
static char *long_chunk(size_t bytes)
{
    static const char head[] = "data: {\"a\":\"", tail[] = "\",\"choices\":[],\"usage\":{}}\n\n";
    char *text = malloc(bytes + sizeof DONE);

    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + bytes - (sizeof tail - 1), tail, sizeof tail - 1);
    memcpy(text + bytes, DONE, sizeof DONE);
    return text;
}

static void a_chunk_that_is_too_long_passes_at_any_split(void **state)
{
    static const size_t sizes[] = {STRIP_HOLD_MAX - 1, STRIP_HOLD_MAX, STRIP_HOLD_MAX + 1,
                                   3 * STRIP_HOLD_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *text = long_chunk(sizes[i]);

        everywhere("a long chunk", text, sizes[i] > STRIP_HOLD_MAX ? text : DONE);
        free(text);
    }
}

/* What can no longer be the chunk is with the application at once. */
static void decides_early(void **state)
{
    static const char *const given[] = {
        "data: {\"id\":\"c\",\"object\":\"x\",\"choices\":[{",
        "data: {\"choices\":[],\"usage\":n",
        "data: [",
        "event: x\ndata: h",
        "event: ping\n\n",
        ":",
        "x",
        DELTA,
        DELTA DONE,
        DELTA DELTA "data: {\"choices\":[{",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(given); i++)
        for (size_t step = 1; step <= strlen(given[i]); step++) {
            struct strip *strip = strip_new();
            char got[512];
            struct application app = application(got, sizeof got);

            app.most = sizeof got;
            for (size_t at = 0; at < strlen(given[i]); at += step) {
                size_t left = strlen(given[i]) - at;

                (void)strip_write(strip, given[i] + at, left < step ? left : step, take, &app);
            }
            expect("decides early", given[i], &app, given[i], strlen(given[i]));
            strip_free(strip);
        }
}

/* Whole events, as they come from the network, go on in one call, from where they lie. */
static void makes_one_call_of_a_delivery(void **state)
{
    struct strip *strip = strip_new();
    char got[1024];
    struct application app = application(got, sizeof got);

    (void)state;
    app.most = sizeof got;
    (void)strip_write(strip, DELTA DELTA DONE, strlen(DELTA DELTA DONE), take, &app);
    assert_int_equal(app.calls, 1);
    (void)strip_write(strip, DELTA CHUNK DONE, strlen(DELTA CHUNK DONE), take, &app);
    assert_int_equal(app.calls, 3);
    strip_free(strip);
}

/* ---- applications ------------------------------------------------------------------------- */

/* A refusal ends it: what was taken before is the beginning of what would have been. */
static void nothing_comes_after_a_refusal(void **state)
{
    static const char given[] = DELTA CHUNK DELTA "data: {\"id\":1,\"choices\":[{}]}\n\n" DONE;
    static const char want[] = DELTA DELTA "data: {\"id\":1,\"choices\":[{}]}\n\n" DONE;
    char got[sizeof given];

    (void)state;
    for (size_t most = 1; most < sizeof want - 1; most++)
        for (size_t cut = 0; cut < sizeof given; cut++) {
            struct application app = application(got, sizeof got);

            app.refuses_beyond = most;
            run(given, sizeof given - 1, &app, in_two, &cut);
            assert_true(app.bytes <= most);
            expect("a refusal", "takes a beginning", &app, want, app.bytes);
        }
}

/* libcurl drops what an application paused on, when the transfer then fails. */
static void nothing_comes_after_a_pause_that_lasts(void **state)
{
    struct strip *strip = strip_new();
    char got[64];
    struct application app = application(got, sizeof got);

    (void)state;
    app.most = sizeof got;
    assert_int_equal(strip_write(strip, "data: {", 7, take, &app).to, 7);
    app.pauses = true;
    assert_int_equal(strip_write(strip, "}\n", 2, take, &app).gave, STRIP_PAUSED);
    app.pauses = false;
    assert_int_equal(strip_end(strip, take, &app), STRIP_TAKEN);
    assert_int_equal(app.bytes, 0);
    strip_free(strip);
}

static void another_answer_begins_anew(void **state)
{
    struct strip *strip = strip_new();
    char got[256];
    struct application app = application(got, sizeof got);

    (void)state;
    app.most = sizeof got;
    (void)strip_write(strip, "data: {\"ch", 10, take, &app);
    strip_restart(strip);
    (void)strip_write(strip, CHUNK DONE, strlen(CHUNK DONE), take, &app);
    expect("another answer", "behind a half", &app, "data: {\"ch" DONE, 10 + strlen(DONE));
    strip_free(strip);
}

/* ---- recorded streams --------------------------------------------------------------------- */

/* Where the event ends that begins at `at`: behind its blank line. */
static size_t event_end(const char *bytes, size_t count, size_t at)
{
    bool blank = true;

    while (at < count) {
        char c = bytes[at++];

        if (c == '\r' && at < count && bytes[at] == '\n')
            c = bytes[at++];
        if ((c == '\n' || c == '\r') && blank)
            return at;
        blank = c == '\n' || c == '\r';
    }
    return at;
}

/* By a real parser: one line of data, which is an object as the chunk has it. */
static bool is_chunk(const char *event, size_t count)
{
    const char *line = memchr(event, '{', count);
    json_t *json, *choices;
    bool is;

    if (count < 6 || memcmp(event, "data:", 5) != 0 || line == NULL || line - event > 6)
        return false;
    json = json_loadb(line, count - (size_t)(line - event), JSON_DISABLE_EOF_CHECK, NULL);
    choices = json_object_get(json, "choices");
    is = json_is_array(choices) && json_array_size(choices) == 0 &&
         json_is_object(json_object_get(json, "usage"));
    json_decref(json);
    return is;
}

struct tally {
    unsigned with_chunk, others;
};

/* Every split near the chunk; elsewhere one in so many. $STRIP_STEP=1: every one of the streams
 * that have it. */
#define NEAR 300u
#define STEP 499u

static void recorded_stream(const char *name, const char *bytes, size_t count, struct tally *tally)
{
    char *want = malloc(count + 1);
    size_t made = 0, from = 0, to = 0;

    assert_non_null(want);
    for (size_t at = 0; at < count;) {
        size_t end = event_end(bytes, count, at);

        if (is_chunk(bytes + at, end - at)) {
            from = at;
            to = end;
        } else {
            memcpy(want + made, bytes + at, end - at);
            made += end - at;
        }
        at = end;
    }
    at_splits(name, bytes, count, want, made, 0, count,
              to > 0 ? chance_rounds("STRIP_STEP", STEP) : STEP);
    if (to > 0)
        at_splits(name, bytes, count, want, made, from > NEAR ? from - NEAR : 0,
                  to + NEAR < count ? to + NEAR : count, 1);
    in_pieces(name, bytes, count, want, made);
    tally->with_chunk += to > 0;
    tally->others += to == 0;
    free(want);
}

static void recorded_file(const char *path, struct tally *tally)
{
    json_t *root = json_load_file(path, 0, NULL), *response = json_object_get(root, "response");
    const json_t *text = json_object_get(response, "body_text");
    const json_t *base64 = json_object_get(response, "body_base64");
    char *body = malloc(json_string_length(text) + json_string_length(base64) + 1);
    size_t count = json_string_length(text);

    assert_non_null(body);
    if (json_is_string(text))
        memcpy(body, json_string_value(text), count);
    else if (json_is_string(base64))
        count = recorded_base64(json_string_value(base64), body);
    if (count > 0)
        recorded_stream(path, body, count, tally);
    free(body);
    json_decref(root);
}

static void recorded_answers_lose_the_chunk_alone(void **state)
{
    struct tally tally = {0};
    glob_t found;

    (void)state;
    assert_int_equal(glob("tests/corpus/*/*.json", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        recorded_file(found.gl_pathv[i], &tally);
    globfree(&found);
    print_message("%u recorded answers with the chunk, %u without\n", tally.with_chunk,
                  tally.others);
    assert_true(tally.with_chunk >= 30);
    assert_true(tally.others >= 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_the_chunk_and_nothing_else),
        cmocka_unit_test(reads_every_byte),
        cmocka_unit_test(gives_at_the_end_what_is_held_back),
        cmocka_unit_test(a_chunk_that_is_too_long_passes_at_any_split),
        cmocka_unit_test(decides_early),
        cmocka_unit_test(makes_one_call_of_a_delivery),
        cmocka_unit_test(nothing_comes_after_a_refusal),
        cmocka_unit_test(nothing_comes_after_a_pause_that_lasts),
        cmocka_unit_test(another_answer_begins_anew),
        cmocka_unit_test(recorded_answers_lose_the_chunk_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
