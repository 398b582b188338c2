/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: recorded ones at every split and cut anywhere, odd ones by table, and going on in the
 * middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/recorded.h"

/* ---- recorded answers --------------------------------------------------------------------- */

static const char *const names[] = {
    "openai/openai--chat.completions--j--200--034c2dbf",
    "openai/openai--chat.completions--j--200--693de3c9",
    "openai/openai--chat.completions--s--200--72b6508e",
    "openai/openai--chat.completions--s--200--13ce7690",
    "openai/openai--chat.completions--j--401--39e10cdb",
    "openai/openai--responses--j--200--61e0f1cb",
    "openai/openai--responses--j--200--9b3d5202",
    "openai/openai--responses--s--200--7fc505d4",
    "openai/openai--responses--s--200--1cd3d5e1",
    "openai/derived--gzip-then-br--openai--chat.completions--s--200--da7ac4e2",
    "openai/derived--gzip-two-members--openai--chat.completions--s--200--da7ac4e2",
    "openai/derived--zstd--openai--chat.completions--s--200--da7ac4e2",
    "openai/derived--deflate-raw--openai--chat.completions--s--200--da7ac4e2",
    "openai/derived--sse-cr--openai--responses--s--200--3fdb293b",
    "openai/derived--sse-bom--openai--responses--s--200--3fdb293b",
    "openai/derived--gzip-truncated--openai--chat.completions--j--200--7fc73a04",
    "openai/synthetic--openai-503-html",
    "anthropic/anthropic--messages--j--200--810dd71f",
    "anthropic/anthropic--messages--j--200--e7323212",
    "anthropic/anthropic--messages--s--200--b3a13881",
    "anthropic/anthropic--messages--s--200--e034770b",
    "anthropic/derived--gzip-sse-flushed--anthropic--messages--s--200--b3f90e75",
    "anthropic/synthetic--anthropic-midstream-overloaded",
    "gemini/gemini--generatecontent--j--200--443dc135",
    "gemini/gemini--streamgeneratecontent--s--200--63659492",
    "gemini/gemini--streamgeneratecontent--s--200--71e8bcc5",
};

/* Feeds pieces of at most cuts + 1; each ends at an unreadable page. */
static void meter_pieces(const struct recorded *r, const size_t *cuts, unsigned count,
                         struct meter_usage *out)
{
    struct meter_stream *stream = meter_stream_new(&r->request, &r->response);
    size_t at = 0;

    assert_non_null(stream);
    for (unsigned i = 0; i <= count; i++) {
        size_t next = i < count ? cuts[i] : r->bytes;
        struct guarded piece = guarded_copy(r->body + at, next - at);

        assert_int_equal(meter_stream_feed(stream, piece.bytes, next - at), METER_OK);
        guarded_free(&piece);
        at = next;
    }
    meter_stream_usage(stream, true, out);
    meter_stream_free(stream);
}

static void expect_same(const char *name, const struct meter_usage *want,
                        const struct meter_usage *got, size_t cut)
{
    char a[2048], b[2048];

    usage_text(want, a, sizeof a);
    usage_text(got, b, sizeof b);
    if (strcmp(a, b) != 0)
        fail_msg("%s cut at %zu:\nwant %s\ngot  %s", name, cut, a, b);
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return (x > y) - (x < y);
}

static void random_cuts(uint32_t *seed, size_t bytes, size_t cuts[8])
{
    for (unsigned i = 0; i < 8; i++)
        cuts[i] = random_next(seed) % (bytes + 1);
    qsort(cuts, 8, sizeof *cuts, by_size);
}

static void gives_the_same_record_at_every_split(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct recorded r = recorded_load(names[i]);
        struct meter_usage whole, got;

        meter_pieces(&r, NULL, 0, &whole);
        for (size_t cut = 0; r.bytes <= 4096 && cut <= r.bytes; cut++) {
            meter_pieces(&r, &cut, 1, &got);
            expect_same(names[i], &whole, &got, cut);
        }
        for (unsigned k = 0; k < 200; k++) {
            size_t cuts[8];

            random_cuts(&seed, r.bytes, cuts);
            meter_pieces(&r, cuts, 8, &got);
            expect_same(names[i], &whole, &got, cuts[0]);
        }
        recorded_free(&r);
    }
}

static void gives_the_same_record_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct recorded r = recorded_load(names[i]);
        struct meter_stream *stream = meter_stream_new(&r.request, &r.response);
        struct meter_usage whole, got;

        meter_pieces(&r, NULL, 0, &whole);
        for (size_t at = 0; at < r.bytes; at++)
            assert_int_equal(meter_stream_feed(stream, r.body + at, 1), METER_OK);
        meter_stream_usage(stream, true, &got);
        meter_stream_free(stream);
        expect_same(names[i], &whole, &got, 0);
        recorded_free(&r);
    }
}

/* Cut anywhere: never complete before the end, nothing reported but what the whole reports or an
 * earlier event did, and tokens that fit their figures. */
static void gives_a_sane_record_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct recorded r = recorded_load(names[i]);
        size_t step = r.bytes / 400 + 1;
        struct meter_usage got;

        for (size_t bytes = 0; bytes < r.bytes; bytes += step) {
            struct recorded cut = r;

            cut.bytes = bytes;
            meter_pieces(&cut, NULL, 0, &got);
            assert_true(got.reported.output_tokens >= -1 && got.last_output_tokens >= -1);
            assert_true(got.tokens[METER_OUTPUT] < 100000 && got.tokens[METER_INPUT] < 100000);
            assert_true(got.delivered_tokens < 10000);
            if (!r.request.stream && got.complete && r.response.status == 200)
                if (bytes + 32 <= r.bytes) /* but for line ends and check sums */
                    fail_msg("%s: complete after %zu of %zu", names[i], bytes, r.bytes);
        }
        recorded_free(&r);
    }
}

/* The events of a stream end where two line ends meet; the record is that of the events before. */
static void counts_an_event_only_when_it_is_whole(void **state)
{
    static const char body[] =
        "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hello there\"}}]}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\n";
    size_t first = (size_t)(strstr(body, "\n\n") - body), usage = sizeof body - 1 - 2;
    struct recorded r = recorded_load(names[2]);
    struct meter_usage got;

    (void)state;
    memcpy(r.body, body, sizeof body - 1);
    for (size_t bytes = 0; bytes < sizeof body; bytes++) {
        r.bytes = bytes;
        meter_pieces(&r, NULL, 0, &got);
        assert_int_equal(got.output_begun, bytes >= first);
        assert_int_equal(got.reported.output_tokens, bytes >= usage ? 7 : -1);
    }
    recorded_free(&r);
}

/* ---- odd answers -------------------------------------------------------------------------- */

#define CHAT "/v1/chat/completions"
#define RESP "/v1/responses"
#define MESS "/v1/messages"
#define GEMI "/v1beta/models/gemini-2.5-flash:generateContent"
#define GSTR "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
#define POLL "/v1/responses/r"
#define START                                                                                      \
    "data: "                                                                                       \
    "{\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":9,"      \
    "\"output_tokens\":1,\"cache_creation_input_tokens\":4}}}\n\n"
#define DELTA(text)                                                                                \
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"" text  \
    "\"}}\n\n"

#define CONTENT(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define COUNTED       "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"

static const struct {
    const char *why, *path;
    int status;
    const char *body, *want;
} odd[] = {
    /* figures that are none */
    {"1e309", CHAT, 200, "{\"usage\":{\"prompt_tokens\":1e309,\"completion_tokens\":3}}",
     "in=-1 out=3 seen=1 warnings=4"},
    {"-1", CHAT, 200, "{\"usage\":{\"prompt_tokens\":-1}}", "in=-1 seen=0 warnings=4"},
    {"a string", RESP, 200, "{\"usage\":{\"input_tokens\":\"12\",\"output_tokens\":1}}",
     "in=-1 out=1 warnings=4"},
    {"1.5", MESS, 200, "{\"usage\":{\"input_tokens\":1.5}}", "in=-1 warnings=4"},
    {"2^64", GEMI, 200, "{\"usageMetadata\":{\"promptTokenCount\":18446744073709551616}}",
     "in=-1 warnings=4"},
    {"true", GEMI, 200, "{\"usageMetadata\":{\"promptTokenCount\":true}}", "in=-1 warnings=4"},
    {"a list", CHAT, 200, "{\"usage\":{\"prompt_tokens\":[1]}}", "in=-1 warnings=4"},
    {"6.0", CHAT, 200, "{\"usage\":{\"prompt_tokens\":6.0,\"completion_tokens\":1}}",
     "in=6 warnings=0"},
    {"null", CHAT, 200, "{\"usage\":{\"prompt_tokens\":null}}", "in=-1 warnings=0 seen=0"},
    {"usage null", CHAT, 200, "{\"usage\":null}", "in=-1 warnings=0 seen=0 complete=1 billable=1"},
    {"usage twice: the later", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":1},\"usage\":{\"prompt_tokens\":7}}",
     "in=7 out=-1"},
    {"a key twice: the later", CHAT, 200, "{\"usage\":{\"prompt_tokens\":6,\"prompt_tokens\":7}}",
     "in=7"},
    {"a field nobody knows", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":1,\"dream_tokens\":5}}", "warnings=20"},
    {"... that is 0", CHAT, 200, "{\"usage\":{\"prompt_tokens\":6,\"dream_tokens\":0}}",
     "warnings=0"},
    {"usage elsewhere", CHAT, 200,
     "{\"choices\":[{\"message\":{\"usage\":{\"prompt_tokens\":6}}}]}", "in=-1"},
    {"usage of a choice", CHAT, 200,
     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
     "data: "
     "{\"choices\":[{\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":19,\"completion_"
     "tokens\":"
     "13,\"total_tokens\":32,\"cached_tokens\":16}}]}\n\ndata: [DONE]\n\n",
     "in=19 out=13 cached=16 complete=1 b.input=3 b.cache_read=16 b.output=13 warnings=0"},
    {"zeros beside an answer", CHAT, 200,
     "{\"choices\":[{\"message\":{\"content\":\"hello\"}}],\"usage\":{\"prompt_tokens\":0,"
     "\"completion_tokens\":0,\"total_tokens\":0}}",
     "in=0 out=0 total=0 seen=0 complete=1 last=-1"},
    /* buckets */
    {"cached and written are inside", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9,\"total_tokens\":109,"
     "\"prompt_tokens_details\":{\"cached_tokens\":60,\"cache_write_tokens\":30,\"audio_tokens\":5}"
     ","
     "\"completion_tokens_details\":{\"audio_tokens\":4,\"reasoning_tokens\":3}}}",
     "b.input=5 b.cache_read=60 b.cache_write_5m=30 b.audio_in=5 b.output=5 b.audio_out=4 "
     "warnings=0 last=9"},
    {"cached above the input", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,\"prompt_tokens_details\":{"
     "\"cached_tokens\":64}}}",
     "b.cache_read=10 warnings=2 cached=64"},
    {"reasoning outside, by the total", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":1,\"total_tokens\":241,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":228}}}",
     "b.output=229 warnings=0"},
    {"hidden output, by the total", CHAT, 200,
     "{\"usage\":{\"prompt_tokens\":35,\"completion_tokens\":12,\"total_tokens\":109}}",
     "b.output=74 warnings=1"},
    {"thoughts and tools of Gemini", GEMI, 200,
     "{\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":5,"
     "\"thoughtsTokenCount\":7,\"toolUsePromptTokenCount\":3,\"cachedContentTokenCount\":4,"
     "\"totalTokenCount\":25}}",
     "b.input=9 b.cache_read=4 b.output=12 warnings=0 last=12 in=10 reasoning=7"},
    {"modalities of Gemini", GEMI, 200,
     "{\"usageMetadata\":{\"promptTokenCount\":100,\"cachedContentTokenCount\":20,"
     "\"candidatesTokenCount\":50,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":"
     "10},"
     "{\"tokenCount\":60,\"modality\":\"AUDIO\"},{\"modality\":2,\"tokenCount\":30}],"
     "\"cacheTokensDetails\":[{\"modality\":\"AUDIO\",\"tokenCount\":20}],"
     "\"candidatesTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount\":40}]}}",
     "b.input=10 b.cache_read=20 b.audio_in=40 b.image_in=30 b.output=10 b.image_out=40"},
    {"a total that does not fit", GEMI, 200,
     "{\"usageMetadata\":{\"promptTokenCount\":10,\"totalTokenCount\":11}}", "warnings=1"},
    {"writes of an hour", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"cache_creation_input_tokens\":20,"
     "\"cache_creation\":{\"ephemeral_5m_input_tokens\":5,\"ephemeral_1h_input_tokens\":12}}}",
     "b.cache_write_5m=8 b.cache_write_1h=12 write=20"},
    {"more writes than there are", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"cache_creation_input_tokens\":10,"
     "\"cache_creation\":{\"ephemeral_1h_input_tokens\":12}}}",
     "b.cache_write_1h=10 warnings=2"},
    {"a pass of another model", MESS, 200,
     "{\"model\":\"a\",\"usage\":{\"input_tokens\":10,\"output_tokens\":3,\"iterations\":["
     "{\"type\":\"message\",\"input_tokens\":6,\"output_tokens\":1},"
     "{\"type\":\"advisor_message\",\"model\":\"b\",\"input_tokens\":70,\"output_tokens\":8},"
     "{\"type\":\"compaction\",\"input_tokens\":500,\"output_tokens\":9},"
     "{\"type\":\"message\",\"model\":\"d\",\"input_tokens\":4,\"output_tokens\":2}]}}",
     "b.input=6 b.output=1 part=b/70/8 part=a/500/9 part=d/4/2"},
    /* what it is */
    {"an error by status", CHAT, 429, "{\"error\":{\"message\":\"x\"}}",
     "error=1 billable=0 seen=0 streamed=0"},
    {"an error to who asked for a stream", GSTR, 400, "[{\"error\":{\"code\":400}}]",
     "error=1 billable=0"},
    {"an error inside a 200 may be billed: the prompt was looked at", CHAT, 200,
     "{\"error\":{\"message\":\"filter\"}}", "error=1 billable=1 complete=1"},
    {"... unless its name says that nothing was made", CHAT, 200,
     "{\"error\":{\"code\":\"insufficient_quota\"}}", "error=1 billable=0 complete=1"},
    {"no error", RESP, 200, "{\"error\":null,\"status\":\"completed\"}", "error=0 billable=1"},
    {"overloaded", MESS, 529, "{\"type\":\"error\",\"error\":{}}", "error=1 billable=0"},
    {"a page of a proxy", CHAT, 503, "<html>", "error=1 billable=0 complete=0 streamed=0"},
    {"a mark of the byte order", CHAT, 200, "\xef\xbb\xbf{\"usage\":{\"prompt_tokens\":6}}",
     "in=6"},
    {"... before a stream", CHAT, 200,
     "\xef\xbb\xbf"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n",
     "in=5 streamed=1"},
    {"a page for an answer", CHAT, 200, "<html>", "billable=1 complete=0 streamed=0 strange=1"},
    {"a fragment of a document", CHAT, 200, "5}}", "streamed=0 strange=1 seen=0"},
    {"a guard before a document", CHAT, 200, ")]}'\n{\"usage\":{\"prompt_tokens\":6}}",
     "streamed=0 strange=1 seen=0"},
    {"the frame of a chunk before it", CHAT, 200, "1f\r\n{\"usage\":{\"prompt_tokens\":6}}",
     "streamed=0 strange=1 seen=0"},
    {"a comment before a stream", CHAT, 200,
     ": hello\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n", "in=5 strange=0"},
    {"pictures", "/v1/images/generations", 200, "{\"data\":[{\"b64_json\":\"QQ\"}]}",
     "wordless=1 images=1 complete=1"},
    {"... of which one has begun", "/v1/images/generations", 200,
     "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"QQ\"}\n\n",
     "wordless=1 complete=0"},
    {"sound that is text", "/v1/audio/transcriptions", 200, "{\"text\":\"Hello\"}", "wordless=0"},
    {"... of its own kind", "/v1/audio/transcriptions", 200, "1\n00:00", "wordless=1"},
    {"thoughts", MESS, 200,
     "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"thinking\","
     "\"thinking\":\"\"}}\n\n",
     "reasoned=1"},
    {"... none", MESS, 200,
     "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\"}}\n\n",
     "reasoned=0"},
    {"where it was served", MESS, 200, "{\"usage\":{\"input_tokens\":1,\"inference_geo\":\"us\"}}",
     "regional=1"},
    {"... anywhere", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"inference_geo\":\"not_available\"}}", "regional=0"},
    {"a gateway that gave up", CHAT, 504, "<html>", "error=1 billable=1"},
    {"... by the provider's own word", CHAT, 504, "{\"error\":{}}", "error=1 billable=0"},
    {"a redirection", CHAT, 301, "", "billable=0"},
    {"an empty answer", CHAT, 200, "", "billable=1 complete=0 error=0"},
    {"an error with tokens", CHAT, 500,
     "{\"error\":{},\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}",
     "error=1 billable=1 in=5"},
    {"an error before any output", CHAT, 200, "data: {\"error\":{\"message\":\"x\"}}\n\n",
     "error=1 billable=1 streamed=1"},
    {"an error after some output", MESS, 200,
     START DELTA("Hello") "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n",
     "error=1 billable=1 complete=0 begun=1 in=9 out=1 b.cache_write_5m=4"},
    {"a failed response", RESP, 200,
     "data: "
     "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\"},\"usage\":"
     "null}}"
     "\n\n",
     "error=1 billable=0"},
    {"... after it had made something", RESP, 200,
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"reasoning\"}}\n\n"
     "data: "
     "{\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\"}}}\n\n",
     "error=1 billable=1 reasoned=1"},
    {"a response in the queue", RESP, 200, "{\"model\":\"m\",\"status\":\"queued\",\"usage\":null}",
     "complete=0 billable=1 model=m"},
    {"a poll of one that is made still", POLL, 200,
     "{\"status\":\"in_progress\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}",
     "complete=0 billable=0 in=5"},
    {"... that is done", POLL, 200,
     "{\"status\":\"completed\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}",
     "complete=1 billable=1"},
    {"... of half its events", POLL, 200,
     "data: {\"response\":{\"id\":\"r\",\"usage\":{\"input_tokens\":5}}}\n\n",
     "complete=0 billable=0 in=5"},
    {"an event stream for one document", GEMI, 200,
     "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
     "\"promptTokenCount\":4}}\r\n\r\n",
     "streamed=1 in=4 complete=1"},
    {"one document for an event stream", MESS, 200,
     "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}],\"usage\":{"
     "\"input_tokens\":4,\"output_tokens\":2}}",
     "streamed=0 in=4 complete=1 begun=1"},
    {"an array of elements", GSTR, 200,
     "[{\"usageMetadata\":{\"promptTokenCount\":19,\"candidatesTokenCount\":3}}\n,\r\n"
     "{\"usageMetadata\":{\"trafficType\":\"x\"}},{\"usageMetadata\":{\"promptTokenCount\":18}}]",
     "streamed=1 in=18 out=-1 complete=1"},
    {"half an array", GSTR, 200,
     "[{\"usageMetadata\":{\"promptTokenCount\":19}}\n,\r\n{\"usageMetadata\":",
     "in=19 complete=0"},
    {"half a document: its text, not its figures", CHAT, 200,
     "{\"model\":\"m\",\"usage\":{\"prompt_tokens\":5},\"choices\":[{\"message\":{\"content\":"
     "\"Hel",
     "model= in=-1 begun=1 complete=0"},
    {"a figure stays until it comes again", MESS, 200,
     START "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":12}}\n\n"
           "data: {\"type\":\"message_stop\"}\n\n",
     "in=9 out=12 write=4 complete=1"},
    {"input may rise", MESS, 200,
     START
     "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":99,\"output_tokens\":2}}\n\n",
     "in=99 complete=1"},
    {"the start alone is not the end", MESS, 200, START, "in=9 out=1 complete=0 last=1 counted=0"},
    {"a count after the output began", MESS, 200,
     START DELTA("x") "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":2}}\n\n",
     "counted=1 last=2"},
    {"a count before the text", CHAT, 200, COUNTED CONTENT("a") "data: [DONE]\n\n",
     "out=1 complete=1 uncounted=1"},
    {"... which is not the end of the answer", CHAT, 200, COUNTED CONTENT("a"),
     "out=1 complete=0 last=1"},
    {"... and behind it again", CHAT, 200, CONTENT("a") COUNTED CONTENT("a") COUNTED,
     "out=1 complete=1 uncounted=0"},
    {"... with no text behind it", CHAT, 200, CONTENT("a") COUNTED CONTENT(""),
     "out=1 complete=1 uncounted=0"},
    {"the end of one choice, and text of another", CHAT, 200,
     "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n" CONTENT("a"), "complete=0"},
    {"in one document the order says nothing", CHAT, 200,
     "{\"usage\":{\"completion_tokens\":1},\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
     "out=1 complete=1 uncounted=0"},
    {"zeros at the end, where the beginning told", MESS, 200,
     START DELTA("x") "data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":0,"
                      "\"cache_creation_input_tokens\":0,\"output_tokens\":2}}\n\n",
     "in=9 write=4 out=2 complete=1"},
    {"no [DONE], but the usage", CHAT, 200,
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n",
     "complete=1 in=5"},
    {"[DONE] without usage", CHAT, 200,
     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n",
     "complete=1 seen=0 begun=1"},
    {"neither", CHAT, 200, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
     "complete=0 begun=1"},
    {"priority by its other name", CHAT, 200, "{\"service_tier\":\"fast\"}", "tier=1 complete=1"},
    {"the tier that was served", RESP, 200,
     "data: {\"type\":\"response.created\",\"response\":{\"service_tier\":\"auto\"}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"service_tier\":\"flex\"}}\n\n",
     "tier=2 complete=1"},
    {"the fast mode", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"speed\":\"fast\",\"service_tier\":\"standard\"}}", "tier=4"},
    {"capacity that is bought apart", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"service_tier\":\"priority\"}}", "tier=0"},
    {"another model", CHAT, 200, "{\"model\":\"other\"}", "warnings=40"},
    {"the same model with a date", CHAT, 200, "{\"model\":\"gpt-x-2026-01-01\"}", "warnings=0"},
    {"an event that is no JSON", CHAT, 200,
     "data: {oops\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n", "in=5"},
    {"data over two lines", CHAT, 200,
     "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":5}}\n\n", "in=5"},
    {"two documents in one event", CHAT, 200,
     "data: {\"choices\":[]}x\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n", "in=5"},
    {"two documents in one line: the first", CHAT, 200,
     "data: {\"usage\":{\"prompt_tokens\":5}}{\"usage\":{\"prompt_tokens\":6}}\n\n", "in=5"},
    {"sound is no text", RESP, 200,
     "data: {\"type\":\"response.audio.delta\",\"delta\":\"QUJD\"}\n\n",
     "begun=0 delivered=0 wordless=1"},
    {"... of a chat", CHAT, 200,
     "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"QUJD\",\"transcript\":\"a\"}}}]}\n\n"
     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
     "begun=1 wordless=1 complete=0"},
    {"... of which half a piece came", CHAT, 200,
     "data: {\"choices\":[{\"delta\":{\"audio\":{\"data\":\"QUJD", "begun=0 wordless=1"},
    {"... none", CHAT, 200, "data: {\"choices\":[{\"delta\":{\"audio\":null}}]}\n\n", "wordless=0"},
    {"a picture of a chat", CHAT, 200,
     "{\"choices\":[{\"message\":{\"images\":[{\"image_url\":{\"url\":\"data:\"}}]}}]}",
     "wordless=1 complete=1"},
    {"a picture of Gemini", GSTR, 200,
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"inlineData\":{\"data\":\"QUJD\"}}]}}]}\n\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n",
     "begun=1 wordless=1 complete=0"},
    {"... whatever the order", RESP, 200,
     "data: {\"delta\":\"QUJD\",\"type\":\"response.audio.delta\"}\n\n", "begun=0 delivered=0"},
    /* calls */
    {"calls of chat", CHAT, 200,
     "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"\"}}]}}]}\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{"
     "\"arguments\":\"{}\"}}]}}]}\n\ndata: "
     "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{"
     "\"name\":\"g\"}}]}}]}\n\n",
     "tool_calls=2 begun=1"},
    {"calls of a response, as they end", RESP, 200,
     "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"function_call\"}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\"}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\","
     "\"action\":{\"type\":\"search\"}}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\","
     "\"action\":{\"type\":\"open_page\"}}}\n\n",
     "tool_calls=1 web_searches=1"},
    {"... and the list of them all", RESP, 200,
     "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"file_search_call\"}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":"
     "\"file_search_call\"},{\"type\":\"mcp_call\"},{\"type\":\"message\"}]}}\n\n",
     "file_searches=1 tool_calls=1"},
    {"calls of messages", MESS, 200,
     "data: "
     "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\"}}"
     "\n\ndata: "
     "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"server_tool_use\"}}\n\n",
     "tool_calls=1"},
    {"searches of messages", MESS, 200,
     "{\"usage\":{\"input_tokens\":1,\"server_tool_use\":{\"web_search_requests\":3}}}",
     "web_searches=3"},
    {"calls of Gemini", GSTR, 200,
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{"
     "\"a\":\"b\"}}}]}}]}\n\ndata: "
     "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]},"
     "\"groundingMetadata\":{\"webSearchQueries\":[\"\",\"a\",\"b\"]}}]}\n\n",
     "tool_calls=2 web_searches=1"},
};

static void usage_of(const char *path, int status, const char *body, size_t cut,
                     struct meter_usage *out)
{
    const char *method = strcmp(path, POLL) == 0 ? "GET" : "POST";
    struct meter_target target = {.method = method, .host = "x", .path = path};
    struct meter_response response = {.status = status};
    struct meter_request request;
    struct meter_stream *stream;
    const char *asked = strncmp(path, "/v1beta", 7) == 0 ? "{}" : "{\"model\":\"gpt-x\"}";

    assert_int_equal(meter_request_read(&target, asked, strlen(asked), &request, NULL), METER_OK);
    if (*asked != '\0' && strstr(body, "\"other\"") == NULL && strstr(body, "gpt-x") == NULL &&
        asked[1] != '}')
        request.model[0] = '\0'; /* most answers here name none */
    stream = meter_stream_new(&request, &response);
    assert_non_null(stream);
    assert_int_equal(meter_stream_feed(stream, body, cut), METER_OK);
    struct guarded rest = guarded_copy(body + cut, strlen(body) - cut);
    assert_int_equal(meter_stream_feed(stream, rest.bytes, strlen(body) - cut), METER_OK);
    guarded_free(&rest);
    meter_stream_usage(stream, true, out);
    meter_stream_free(stream);
}

static void reads_odd_answers(void **state)
{
    struct meter_usage usage;
    char text[2048];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        for (size_t cut = 0; cut <= strlen(odd[i].body); cut++) {
            usage_of(odd[i].path, odd[i].status, odd[i].body, cut, &usage);
            if (!words_in(usage_text(&usage, text, sizeof text), odd[i].want))
                fail_msg("%s, cut at %zu:\nwant %s\ngot %s", odd[i].why, cut, odd[i].want, text);
        }
}

static void leaves_nothing_behind_a_shorter_name(void **state)
{
    static const char body[] =
        "data: {\"type\":\"message_start\",\"message\":{\"model\":\"a-longer-name\"}}\n\n"
        "data: {\"type\":\"message_delta\",\"model\":\"short\",\"usage\":{\"input_tokens\":1,"
        "\"iterations\":[{\"type\":\"compaction\",\"input_tokens\":5}]}}\n\n";
    static const char zeros[METER_MODEL_MAX];
    struct meter_usage usage;

    (void)state;
    usage_of(MESS, 200, body, 0, &usage);
    assert_int_equal(usage.part_count, 1);
    assert_string_equal(usage.parts[0].model, "short");
    assert_memory_equal(usage.parts[0].model + 5, zeros, METER_MODEL_MAX - 5);
}

static void ends_open_streams_as_broken(void **state)
{
    static const char body[] = START DELTA("Hello");
    struct meter_usage usage;

    (void)state;
    usage_of(MESS, 200, body, 0, &usage);
    assert_true(usage.delivered_tokens >= 1 && usage.delivered_tokens <= 10);
    assert_false(usage.complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_same_record_at_every_split),
        cmocka_unit_test(gives_the_same_record_byte_by_byte),
        cmocka_unit_test(gives_a_sane_record_wherever_it_is_cut),
        cmocka_unit_test(counts_an_event_only_when_it_is_whole),
        cmocka_unit_test(reads_odd_answers),
        cmocka_unit_test(leaves_nothing_behind_a_shorter_name),
        cmocka_unit_test(ends_open_streams_as_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
