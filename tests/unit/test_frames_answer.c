/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in frames, of Bedrock's converse and invoke: what the record says of whole ones, of
 * exceptions, damage and cuts, and what is charged then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/frames.h"
#include "tests/unit/recorded.h"

#define CONVERSE  "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/converse-stream"
#define INVOKE    "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream"
#define NOVA      "/model/amazon.nova-lite-v1:0/invoke-with-response-stream"
#define LLAMA     "/model/meta.llama3-3-70b-instruct-v1:0/invoke-with-response-stream"
#define HELD_PUSD INT64_C(1000000000000)

/* A frame: "event payload"; "chunk payload": in base64; "!name payload": an exception. */
#define START     "messageStart {\"role\":\"assistant\"}"
#define DELTA     "contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hello there\"}}"
#define STOP      "messageStop {\"stopReason\":\"end_turn\"}"
#define USAGE     "metadata {\"usage\":{\"inputTokens\":11,\"outputTokens\":7,\"totalTokens\":18}}"
#define THROTTLED "!throttlingException {\"message\":\"Too many requests\"}"
#define M_START                                                                                    \
    "chunk {\"type\":\"message_start\",\"message\":{"                                              \
    "\"usage\":{\"input_tokens\":11,\"output_tokens\":1}}}"
#define M_DELTA                                                                                    \
    "chunk {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello " \
    "there\"}}"
#define M_LAST "chunk {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}"
#define M_STOP "chunk {\"type\":\"message_stop\"}"
#define METRICS                                                                                    \
    "chunk {\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":{"                      \
    "\"inputTokenCount\":11,\"outputTokenCount\":7}}"

#define WHOLE   METER_PROVIDER_REPORTED
#define BROKEN  METER_MEASURED
#define NOTHING (-1) /* no frame is damaged */

static const struct {
    const char *why, *path;
    const char *frames[9];
    int damaged; /* the number of the frame whose payload has another byte */
    const char *want;
    enum meter_provenance provenance;
} rows[] = {
    {"converse",
     CONVERSE,
     {START, DELTA, STOP, USAGE},
     NOTHING,
     "complete=1 seen=1 error=0 billable=1 begun=1 streamed=1 warnings=0 in=11 out=7 total=18 "
     "last=7 b.input=11 b.output=7",
     WHOLE},
    {"... with caches",
     CONVERSE,
     {DELTA, "metadata {\"usage\":{\"inputTokens\":11,\"outputTokens\":7,\"cacheReadInputTokens\":"
             "5,\"cacheReadInputTokenCount\":5,\"cacheWriteInputTokens\":30,\"cacheDetails\":[{"
             "\"ttl\":\"1h\",\"inputTokens\":20},{\"ttl\":\"5m\",\"inputTokens\":10}]}}"},
     NOTHING,
     "complete=1 b.input=11 b.cache_read=5 b.cache_write_5m=10 b.cache_write_1h=20 warnings=0",
     WHOLE},
    {"... with a tool",
     CONVERSE,
     {"contentBlockStart {\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"look\"}}}",
      "contentBlockDelta {\"delta\":{\"toolUse\":{\"input\":\"{\\\"a\\\":1}\"}}}", USAGE},
     NOTHING,
     "complete=1 begun=1 tool_calls=1",
     WHOLE},
    {"... without its usage",
     CONVERSE,
     {START, DELTA, STOP},
     NOTHING,
     "complete=0 seen=0 error=0 begun=1 warnings=0 in=-1 out=-1 last=-1",
     BROKEN},
    {"... with nothing but its start",
     CONVERSE,
     {START},
     NOTHING,
     "complete=0 seen=0 begun=0 streamed=1 billable=1 warnings=0",
     BROKEN},
    {"... with an exception behind some output",
     CONVERSE,
     {START, DELTA, THROTTLED},
     NOTHING,
     "complete=0 seen=0 error=1 billable=1 begun=1 warnings=0",
     BROKEN},
    {"... with an exception alone: it may have looked at the prompt",
     CONVERSE,
     {THROTTLED},
     NOTHING,
     "complete=0 seen=0 error=1 billable=1 begun=0 warnings=0",
     BROKEN},
    {"... with an exception behind the usage",
     CONVERSE,
     {START, DELTA, USAGE, THROTTLED},
     NOTHING,
     "complete=0 seen=1 error=1 billable=1 in=11 out=7",
     BROKEN},
    {"... with an exception before the usage",
     CONVERSE,
     {START, DELTA, THROTTLED, USAGE},
     NOTHING,
     "complete=1 seen=1 error=1 billable=1 in=11 out=7",
     WHOLE},
    {"... with figures in the exception",
     CONVERSE,
     {DELTA, "!modelStreamErrorException {\"usage\":{\"inputTokens\":999}}"},
     NOTHING,
     "complete=0 seen=0 in=-1 error=1",
     BROKEN},
    {"... with an exception that is no JSON",
     CONVERSE,
     {DELTA, "!internalServerException oh no"},
     NOTHING,
     "complete=0 error=1 billable=1 begun=1",
     BROKEN},
    {"... with a damaged frame in the middle",
     CONVERSE,
     {START, DELTA, DELTA, STOP, USAGE},
     2,
     "complete=0 seen=0 error=0 billable=1 begun=1 warnings=8 in=-1 out=-1",
     BROKEN},
    {"... with a damaged first frame",
     CONVERSE,
     {DELTA, USAGE},
     0,
     "complete=0 seen=0 begun=0 warnings=8 in=-1",
     BROKEN},
    {"... with damaged usage",
     CONVERSE,
     {START, DELTA, STOP, USAGE},
     3,
     "complete=0 seen=0 begun=1 warnings=8 in=-1 out=-1 last=-1",
     BROKEN},
    {"... with damage behind the usage",
     CONVERSE,
     {DELTA, USAGE, STOP},
     2,
     "complete=0 seen=1 warnings=8 in=11 out=7",
     BROKEN},
    {"... with a damaged exception",
     CONVERSE,
     {DELTA, THROTTLED},
     1,
     "complete=0 error=0 begun=1 warnings=8",
     BROKEN},
    {"... with a payload that is no JSON",
     CONVERSE,
     {DELTA, "metadata {\"usage\":", USAGE},
     NOTHING,
     "complete=1 in=11 out=7 warnings=0",
     WHOLE},
    {"... with usage that is cut within its frame",
     CONVERSE,
     {DELTA, "metadata {\"usage\":{\"inputTokens\":999,\"outputTokens\":1},"},
     NOTHING,
     "complete=0 seen=0 in=-1 begun=1 warnings=0",
     BROKEN},
    {"... with usage in a list",
     CONVERSE,
     {DELTA, "metadata [{\"usage\":{\"inputTokens\":999,\"outputTokens\":1}}]"},
     NOTHING,
     "complete=0 seen=0 in=-1 begun=1",
     BROKEN},
    {"... with events that nobody knows",
     CONVERSE,
     {"ping {}", "new [1,2]", DELTA, USAGE},
     NOTHING,
     "complete=1 in=11 warnings=0",
     WHOLE},
    {"invoke",
     INVOKE,
     {M_START, M_DELTA, M_LAST, METRICS},
     NOTHING,
     "complete=1 seen=1 error=0 billable=1 begun=1 streamed=1 warnings=0 in=11 out=7 b.input=11 "
     "b.output=7",
     WHOLE},
    {"... without the service's metrics: it has not come to its end",
     INVOKE,
     {M_START, M_DELTA, M_LAST, M_STOP},
     NOTHING,
     "complete=0 seen=1 in=11 out=7",
     BROKEN},
    {"... cut before any count of the output",
     INVOKE,
     {M_START, M_DELTA},
     NOTHING,
     "complete=0 seen=1 begun=1 in=11 out=1 counted=0 warnings=0",
     BROKEN},
    {"... with an exception behind some output",
     INVOKE,
     {M_START, M_DELTA, THROTTLED},
     NOTHING,
     "complete=0 error=1 billable=1 begun=1 in=11",
     BROKEN},
    {"... with an error of the vendor's",
     INVOKE,
     {M_START, M_DELTA, "chunk {\"type\":\"error\",\"error\":{\"type\":\"odd\"}}"},
     NOTHING,
     "complete=0 error=1 billable=1 begun=1",
     BROKEN},
    {"... with a damaged frame in the middle",
     INVOKE,
     {M_START, M_DELTA, M_LAST, METRICS},
     2,
     "complete=0 begun=1 warnings=8 in=11 out=1",
     BROKEN},
    {"... with base64 that is none",
     INVOKE,
     {M_START, "chunk64 {\"bytes\":\"%%%%\"}", "chunk64 {\"bytes\":7}", "chunk64 {}",
      "chunk64 {\"other\":\"e30=\"}", M_DELTA, METRICS},
     NOTHING,
     "complete=1 in=11 out=7 warnings=0",
     WHOLE},
    {"... with base64 that has escapes, and padding beside it",
     INVOKE,
     /* {"type":"content_block_delta","delta":{"text":"?>?"}} */
     {M_START,
      "chunk64 {\"p\":\"abcdefgh\",\"bytes\":\"eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImRlbHRhIjp7"
      "InRleHQiOiI\\/Pj8ifX0\\u003d\"}",
      METRICS},
     NOTHING,
     "complete=1 begun=1 in=11 out=7",
     WHOLE},
    {"Nova",
     NOVA,
     {"chunk {\"contentBlockDelta\":{\"delta\":{\"text\":\"Hello\"}}}",
      "chunk {\"metadata\":{\"usage\":{\"inputTokens\":11,\"outputTokens\":7,"
      "\"cacheReadInputTokenCount\":5}}}",
      "chunk {\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":11,\"outputTokenCount\":7,"
      "\"cacheReadInputTokenCount\":5}}"},
     NOTHING,
     "complete=1 begun=1 b.input=11 b.cache_read=5 b.output=7",
     WHOLE},
    {"Llama",
     LLAMA,
     {"chunk {\"generation\":\"Hello\",\"prompt_token_count\":11,\"generation_token_count\":1}",
      "chunk {\"generation\":\" there\",\"prompt_token_count\":null,\"generation_token_count\":7,"
      "\"stop_reason\":\"stop\",\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":11,"
      "\"outputTokenCount\":7}}"},
     NOTHING,
     "complete=1 begun=1 in=11 out=7 b.input=11 b.output=7 warnings=0",
     WHOLE},
};

static struct frames_made made;

static size_t base64_of(const char *text, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = strlen(text), used = 0;

    for (size_t i = 0; i < count; i += 3) {
        uint32_t bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < count ? (uint8_t)text[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            out[used++] = i + k <= count ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    out[used] = '\0';
    return used;
}

static void frame_of(const char *line)
{
    const char *payload = strchr(line, ' ') + 1;
    bool exception = *line == '!';
    char event[64], wrapped[2048], base64[1600];

    (void)snprintf(event, sizeof event, "%.*s", (int)(payload - 1 - line - exception),
                   line + exception);
    if (strcmp(event, "chunk") == 0) {
        base64_of(payload, base64);
        (void)snprintf(wrapped, sizeof wrapped, "{\"bytes\":\"%s\"}", base64);
        payload = wrapped;
    }
    if (strcmp(event, "chunk64") == 0) /* as it stands */
        event[5] = '\0';
    frame_event(&made, event, exception, payload);
}

static void answer_make(size_t row)
{
    made.count = 0;
    for (int i = 0; rows[row].frames[i] != NULL; i++) {
        frame_of(rows[row].frames[i]);
        if (i == rows[row].damaged)
            made.bytes[made.count - 6] ^= 1;
    }
}

static void request_make(const char *path, struct meter_request *out)
{
    static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]"
                               ",\"max_tokens\":500,\"inferenceConfig\":{\"maxTokens\":500}}";
    struct meter_target target = {
        .method = "POST", .host = "bedrock-runtime.us-east-1.amazonaws.com", .path = path};

    assert_int_equal(meter_request_read(&target, body, sizeof body - 1, out, NULL), METER_OK);
    assert_true(out->stream);
}

/* In pieces that end at two cuts. */
static void usage_of(const struct meter_request *request, const uint8_t *bytes, size_t count,
                     size_t a, size_t b, struct meter_usage *out)
{
    const struct meter_response response = {.status = 200,
                                            .content_type = "application/vnd.amazon.eventstream"};
    struct meter_stream *stream = meter_stream_new(request, &response);
    const size_t ends[] = {a, b, count};
    size_t at = 0;

    assert_non_null(stream);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct guarded piece = guarded_copy(bytes + at, ends[i] - at);

        assert_int_equal(meter_stream_feed(stream, piece.bytes, ends[i] - at), METER_OK);
        guarded_free(&piece);
        at = ends[i];
    }
    meter_stream_usage(stream, true, out);
    meter_stream_free(stream);
}

static void bill_of(const struct meter_request *request, const struct meter_usage *usage,
                    struct meter_bill *out)
{
    const struct meter_settling settling = {
        .request = request,
        .usage = usage,
        .book = meter_price_book_shipped(),
        .when_s = INT64_C(1795000000),
        .end = METER_END_WHOLE,
        .sent_ms = 1000,
        .held_tokens = 1000000,
        .held_pusd = HELD_PUSD,
        .held_cap = 500,
    };

    meter_bill_make(&settling, out);
}

static void says_and_charges_what_the_frames_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        struct meter_usage usage;
        struct meter_bill bill;
        char text[2048];

        request_make(rows[i].path, &request);
        answer_make(i);
        usage_of(&request, made.bytes, made.count, 0, 0, &usage);
        usage_text(&usage, text, sizeof text);
        if (!words_in(text, rows[i].want))
            fail_msg("%s:\nwant %s\ngot %s", rows[i].why, rows[i].want, text);
        bill_of(&request, &usage, &bill);
        if (bill.provenance != rows[i].provenance || bill.charged_pusd <= 0 ||
            bill.charged_pusd >= HELD_PUSD)
            fail_msg("%s: charged %lld, %s", rows[i].why, (long long)bill.charged_pusd,
                     meter_provenance_text(bill.provenance));
    }
}

static void says_the_same_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        struct meter_usage usage;
        char want[2048], got[2048];

        request_make(rows[i].path, &request);
        answer_make(i);
        usage_of(&request, made.bytes, made.count, 0, 0, &usage);
        usage_text(&usage, want, sizeof want);
        for (size_t cut = 0; cut <= made.count; cut++) {
            size_t next = cut + 3 < made.count ? cut + 3 : made.count;

            usage_of(&request, made.bytes, made.count, cut, next, &usage);
            if (strcmp(usage_text(&usage, got, sizeof got), want) != 0)
                fail_msg("%s, cut at %zu:\nwant %s\ngot %s", rows[i].why, cut, want, got);
        }
    }
}

/* Nothing of a frame counts before its last byte, and no cut is damage. */
static void counts_a_frame_only_when_it_is_whole(void **state)
{
    struct meter_request request;
    size_t begun, seen;

    (void)state;
    request_make(CONVERSE, &request);
    made.count = 0;
    frame_of(START);
    frame_of(DELTA);
    begun = made.count;
    frame_of(USAGE);
    seen = made.count;
    frame_of(STOP);
    for (size_t bytes = 0; bytes <= made.count; bytes++) {
        struct meter_usage usage;
        bool between = bytes == seen || bytes == made.count;

        usage_of(&request, made.bytes, bytes, 0, 0, &usage);
        if (usage.output_begun != (bytes >= begun) || usage.usage_seen != (bytes >= seen) ||
            usage.complete != between || usage.warnings != 0 || !usage.streamed)
            fail_msg("cut at %zu: begun %d, seen %d, complete %d, warnings %x", bytes,
                     usage.output_begun, usage.usage_seen, usage.complete, usage.warnings);
    }
}

/* The last figures of converse say nothing of the transfer's end, those of invoke do. */
static void needs_the_transfers_end_where_the_protocol_has_none(void **state)
{
    static const struct {
        const char *path, *last;
        bool complete;
    } cases[] = {{CONVERSE, USAGE, false}, {INVOKE, METRICS, true}};
    const struct meter_response response = {.status = 200};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct meter_request request;
        struct meter_stream *stream;
        struct meter_usage usage;

        request_make(cases[i].path, &request);
        made.count = 0;
        frame_of(cases[i].last);
        stream = meter_stream_new(&request, &response);
        assert_non_null(stream);
        assert_int_equal(meter_stream_feed(stream, made.bytes, made.count), METER_OK);
        meter_stream_usage(stream, false, &usage);
        assert_int_equal(usage.complete, cases[i].complete);
        meter_stream_usage(stream, true, &usage);
        assert_true(usage.complete);
        meter_stream_free(stream);
    }
}

/* A frame of 1 MB less a bit: its text counts, and the rest of the stream. */
static void reads_frames_of_any_size(void **state)
{
    static char text[FRAME_ROOM - 4096];
    struct meter_request request;
    struct meter_usage usage;
    int head;

    (void)state;
    request_make(CONVERSE, &request);
    head = snprintf(text, sizeof text, "{\"delta\":{\"text\":\"");
    memset(text + head, 'a', sizeof text - (size_t)head - 4);
    memcpy(text + sizeof text - 4, "\"}}", 4);
    made.count = 0;
    frame_event(&made, "contentBlockDelta", false, text);
    frame_of(USAGE);
    usage_of(&request, made.bytes, made.count, 50000, 900000, &usage);
    assert_true(usage.complete && usage.output_begun && usage.warnings == 0);
    assert_true(usage.delivered_tokens > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_and_charges_what_the_frames_say),
        cmocka_unit_test(says_the_same_at_every_split),
        cmocka_unit_test(counts_a_frame_only_when_it_is_whole),
        cmocka_unit_test(needs_the_transfers_end_where_the_protocol_has_none),
        cmocka_unit_test(reads_frames_of_any_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
