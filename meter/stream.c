/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as its bytes come: decoding, finding out what they are, and handing events to the
 * adapter. What they are is told by the bytes, not by the headers: errors come as JSON to who asked
 * for a stream, and streams come with any content type. */
#include "meter/meter_int.h"

static const char done[] = "[DONE]";

enum framing {
    FRAMING_NONE, /* no byte that tells yet */
    FRAMING_SSE,
    FRAMING_JSON, /* one document, lines of them, or an array of them */
    FRAMING_OTHER,
};

struct meter_stream {
    const struct meter_request *request;
    int status;
    bool skip; /* nothing in the body matters */
    bool nomem;
    enum framing framing;
    bool array; /* the JSON begins with '[' */
    uint8_t bom_bytes;
    uint8_t word_bytes; /* of an event that is a word, not JSON */
    bool in_word;
    char word[8];
    const char *feed; /* the bytes being fed; offsets are counted from them */
    size_t feed_bytes;
    uint64_t fed;      /* bytes of this feed and all before */
    uint64_t boundary; /* where a new stream may go on; 0: nowhere yet */
    struct decode *decode;
    struct sse sse;
    struct scan scan;
    struct scan_tree tree;
    struct answer_reader reader;
};

/* ---- events ------------------------------------------------------------------------------- */

static void event_forget(struct meter_stream *stream)
{
    scan_restart(&stream->scan);
    answer_event_reset(&stream->reader);
    stream->in_word = false;
    stream->word_bytes = 0;
}

/* The offset of the byte after a piece of an event; none where the piece was decoded, because it
 * does not lie in the bytes being fed. */
static void boundary_set(struct meter_stream *stream, const char *after)
{
    uintptr_t used = (uintptr_t)after - (uintptr_t)stream->feed;

    if (used <= stream->feed_bytes)
        stream->boundary = stream->fed - stream->feed_bytes + used;
}

static void word_add(struct meter_stream *stream, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && stream->word_bytes < sizeof stream->word; i++)
        stream->word[stream->word_bytes++] = bytes[i];
    /* What follows the word on its line cannot take it back: it may come in another feed. */
    if (stream->word_bytes >= sizeof done - 1 && memcmp(stream->word, done, sizeof done - 1) == 0)
        stream->reader.answer.ended = stream->reader.committed = true;
}

static void on_data(void *ctx, const char *bytes, size_t count)
{
    struct meter_stream *stream = ctx;
    const char *end = bytes + count;

    while (bytes < end && *bytes == ' ' && !stream->in_word && !scan_started(&stream->scan))
        bytes++;
    count = (size_t)(end - bytes);
    if (count > 0 && !scan_started(&stream->scan) && *bytes == *done)
        stream->in_word = true;
    if (stream->in_word)
        word_add(stream, bytes, count);
    else
        (void)scan_feed(&stream->scan, bytes, count, NULL);
    if (stream->reader.committed)
        boundary_set(stream, end);
    stream->reader.committed = false;
}

/* A document may go on in the next line of its event. One that is complete or broken does not, and
 * nothing else of its line matters: a stream that goes on from there must find the same. */
static void on_line(void *ctx)
{
    struct meter_stream *stream = ctx;

    if (stream->in_word || !scan_open(&stream->scan))
        event_forget(stream);
    else
        (void)scan_feed(&stream->scan, "\n", 1, NULL);
}

static void on_event(void *ctx)
{
    event_forget(ctx);
}

static const struct sse_ops lines = {on_data, on_line, on_event};

/* ---- framing ------------------------------------------------------------------------------ */

static const char *bom_skip(struct meter_stream *stream, const char *p, const char *end)
{
    static const char bom[] = "\xef\xbb\xbf";

    while (p < end && stream->bom_bytes < 3 && *p == bom[stream->bom_bytes]) {
        stream->bom_bytes++;
        p++;
    }
    return p;
}

static enum framing framing_of(char first)
{
    if (first == '{' || first == '[')
        return FRAMING_JSON;
    return first == '<' ? FRAMING_OTHER : FRAMING_SSE;
}

static const char *framing_find(struct meter_stream *stream, const char *p, const char *end)
{
    p = bom_skip(stream, p, end);
    while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
        p++;
    if (p < end) {
        stream->framing = framing_of(*p);
        stream->array = *p == '[';
        stream->scan.many = stream->framing == FRAMING_JSON;
    }
    return p;
}

/* Decoded bytes. */
static void on_bytes(void *ctx, const char *bytes, size_t count)
{
    struct meter_stream *stream = ctx;
    const char *p = bytes, *end = bytes + count;

    if (stream->framing == FRAMING_NONE)
        p = framing_find(stream, p, end);
    if (stream->framing == FRAMING_SSE)
        sse_feed(&stream->sse, p, (size_t)(end - p));
    else if (stream->framing == FRAMING_JSON)
        (void)scan_feed(&stream->scan, p, (size_t)(end - p), NULL);
}

/* ---- life --------------------------------------------------------------------------------- */

static const struct answer_adapter *adapter_of(const struct meter_request *request)
{
    const struct answer_adapter *adapter = request->api != NULL ? request->api->adapter : NULL;

    return adapter != NULL ? adapter : &answer_unknown;
}

struct meter_stream *meter_stream_new(const struct meter_request *request,
                                      const struct meter_response *response)
{
    const struct answer_adapter *adapter = adapter_of(request);
    const char *encoding = response->decoded ? NULL : response->content_encoding;
    struct meter_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->request = request;
    stream->status = response->status;
    stream->skip = request->kind == METER_READ_ONLY;
    stream->decode = decode_new(encoding, on_bytes, stream);
    if (stream->decode == NULL) {
        free(stream);
        return NULL;
    }
    scan_tree_make(&stream->tree, adapter->paths, adapter->path_count);
    answer_init(&stream->reader, adapter);
    sse_init(&stream->sse, &lines, stream);
    scan_init(&stream->scan, &stream->tree, &answer_ops, &stream->reader);
    stream->scan.elements = true;
    return stream;
}

enum meter_err meter_stream_feed(struct meter_stream *stream, const void *bytes, size_t count)
{
    if (stream->nomem)
        return METER_NOMEM;
    if (stream->skip || count == 0)
        return METER_OK;
    stream->feed = bytes;
    stream->feed_bytes = count;
    stream->fed += count;
    stream->nomem = decode_feed(stream->decode, bytes, count) == METER_NOMEM;
    return stream->nomem ? METER_NOMEM : METER_OK;
}

void meter_stream_free(struct meter_stream *stream)
{
    if (stream != NULL)
        decode_free(stream->decode);
    free(stream);
}

/* ---- the record --------------------------------------------------------------------------- */

static bool is_complete(const struct meter_stream *stream, bool whole)
{
    const struct answer *answer = &stream->reader.answer;

    if (stream->nomem || answer->pending)
        return false;
    if (stream->framing == FRAMING_JSON)
        return scan_complete(&stream->scan);
    if (stream->reader.adapter == &answer_unknown)
        return whole;
    return answer->ended || (whole && answer->ending && !answer->error);
}

/* Lines of events, or an array of documents that came one by one. */
static bool is_streamed(const struct meter_stream *stream)
{
    if (stream->framing == FRAMING_NONE)
        return stream->request->stream;
    return stream->framing == FRAMING_SSE || stream->array;
}

void meter_stream_usage(const struct meter_stream *stream, bool whole, struct meter_usage *out)
{
    bool failed = decode_failed(stream->decode);
    struct answer_state state = {
        .request = stream->request,
        .status = stream->status,
        .undecodable = failed || (whole && !stream->skip && !decode_ended(stream->decode)),
        .long_line = stream->sse.long_line,
    };
    struct answer answer = stream->reader.answer;

    state.complete = stream->skip || is_complete(stream, whole && !state.undecodable);
    /* One document counts its text as it comes; of a stream's last event nothing is known to have
     * reached anybody. */
    if (stream->framing == FRAMING_JSON) {
        text_merge(&answer.text, &stream->reader.event.text);
        answer.output_begun |= !text_empty(&answer.text);
    }
    answer_usage(&answer, stream->reader.adapter, &state, out);
    out->streamed = is_streamed(stream);
}

/* ---- going on in the middle --------------------------------------------------------------- */

enum figure {
    FIGURE_FLAGS = ANSWER_NUMBERS,
    FIGURE_TIER,
    FIGURE_COUNTS,
    FIGURES = FIGURE_COUNTS + METER_COUNTS
};
_Static_assert(FIGURES <= METER_FIGURES_MAX, "meter.h keeps room for every figure");

/* The switches of an answer, in the order of their bits. */
#define FLAGS 7
static void flags_list(struct answer *answer, bool *list[FLAGS])
{
    bool *const flags[FLAGS] = {&answer->error,    &answer->ended,        &answer->ending,
                                &answer->pending,  &answer->output_begun, &answer->counted_output,
                                &answer->tier_seen};

    memcpy(list, flags, sizeof flags);
}

bool meter_stream_progress(const struct meter_stream *stream, struct meter_progress *out)
{
    struct answer answer = stream->reader.answer;
    bool *flags[FLAGS];

    if (stream->framing != FRAMING_SSE || stream->boundary == 0 || stream->nomem ||
        !decode_plain(stream->decode))
        return false;
    memset(out, 0, sizeof *out);
    out->offset = stream->boundary;
    meter_stream_usage(stream, false, &out->usage);
    memcpy(out->figures, answer.number, sizeof answer.number);
    flags_list(&answer, flags);
    for (unsigned i = 0; i < FLAGS; i++)
        out->figures[FIGURE_FLAGS] |= (int64_t)*flags[i] << i;
    out->figures[FIGURE_TIER] = answer.tier;
    for (unsigned i = 0; i < METER_COUNTS; i++)
        out->figures[FIGURE_COUNTS + i] = (int64_t)answer.counts[i];
    memcpy(out->text_bytes, answer.text.bytes, sizeof answer.text.bytes);
    return true;
}

static void part_restore(struct answer_part *into, const struct meter_part *from)
{
    static const struct {
        uint8_t number, bucket;
    } pairs[] = {{ANSWER_INPUT, METER_INPUT},
                 {ANSWER_OUTPUT, METER_OUTPUT},
                 {ANSWER_CACHED, METER_CACHE_READ},
                 {ANSWER_WRITE_5M, METER_CACHE_WRITE_5M},
                 {ANSWER_WRITE_1H, METER_CACHE_WRITE_1H}};

    memcpy(into->model, from->model, sizeof into->model);
    into->main = from->in_reported;
    for (unsigned i = 0; i < ANSWER_NUMBERS; i++)
        into->number[i] = -1;
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        into->number[pairs[i].number] = (int64_t)from->tokens[pairs[i].bucket];
}

static void answer_restore(struct answer *answer, const struct meter_progress *progress)
{
    bool *flags[FLAGS];

    memcpy(answer->model, progress->usage.reported.model, sizeof answer->model);
    memcpy(answer->number, progress->figures, sizeof answer->number);
    flags_list(answer, flags);
    for (unsigned i = 0; i < FLAGS; i++)
        *flags[i] = progress->figures[FIGURE_FLAGS] >> i & 1;
    answer->tier = (enum meter_tier)progress->figures[FIGURE_TIER];
    for (unsigned i = 0; i < METER_COUNTS; i++)
        answer->counts[i] = (uint64_t)progress->figures[FIGURE_COUNTS + i];
    answer->warnings = progress->usage.warnings & (METER_WARN_BAD_USAGE | METER_WARN_UNKNOWN_FIELD);
    answer->part_count = progress->usage.part_count;
    for (unsigned i = 0; i < answer->part_count && i < ANSWER_PARTS_MAX; i++)
        part_restore(&answer->parts[i], &progress->usage.parts[i]);
    memcpy(answer->text.bytes, progress->text_bytes, sizeof answer->text.bytes);
}

void meter_stream_resume(struct meter_stream *stream, const struct meter_progress *progress)
{
    answer_restore(&stream->reader.answer, progress);
    decode_assume_plain(stream->decode);
    stream->framing = FRAMING_SSE;
    stream->fed = stream->boundary = progress->offset;
    stream->sse.long_line = (progress->usage.warnings & METER_WARN_LONG_LINE) != 0;
    sse_skip_line(&stream->sse); /* the boundary is behind the event's data, in its last line */
}
