/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as its bytes come: decoding, finding out what they are, and handing events to the
 * adapter. What they are is told by the bytes, not by the headers: errors come as JSON to who asked
 * for a stream, and streams come with any content type. */
#include "meter/answer.h"

static const char done[] = "[DONE]";

enum framing {
    FRAMING_NONE, /* no byte that tells yet */
    FRAMING_SSE,
    FRAMING_JSON,   /* one document, lines of them, or an array of them */
    FRAMING_FRAMES, /* of an AWS event stream */
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
    struct answer_reader reader;
    struct wrapped *wrapped; /* NULL: no frame has come yet */
};

/* Frames, and documents in base64 within documents within them. */
struct wrapped {
    struct frames frames;
    struct scan scan;
    struct base64 base64;
    bool chunk;
    bool exception;
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

/* A frame begins with a length below 16 MiB; lines of events with data, event, id, retry, or a
 * comment. */
static enum framing framing_of(char first)
{
    if (first == '{' || first == '[')
        return FRAMING_JSON;
    if (first == '\0')
        return FRAMING_FRAMES;
    return strchr("deir:", first) != NULL ? FRAMING_SSE : FRAMING_OTHER;
}

/* Sound and other data are not searched for events: those begin with "data" or "event". */
static bool looks_like_text(char first)
{
    return first == '{' || first == '[' || first == 'd' || first == 'e';
}

static const char *framing_find(struct meter_stream *stream, const char *p, const char *end)
{
    p = bom_skip(stream, p, end);
    while (p < end && strchr(" \t\r\n", *p) != NULL && *p != '\0')
        p++;
    if (p < end) {
        stream->framing = framing_of(*p);
        if (stream->reader.adapter->opaque && !looks_like_text(*p))
            stream->framing = FRAMING_OTHER;
        stream->array = *p == '[';
        stream->scan.many = stream->framing == FRAMING_JSON;
    }
    return p;
}

/* ---- AWS event streams -------------------------------------------------------------------- */

static void frame_begin(void *ctx, const struct frame_head *head)
{
    struct meter_stream *stream = ctx;
    struct wrapped *wrapped = stream->wrapped;

    event_forget(stream);
    scan_restart(&wrapped->scan);
    wrapped->base64 = (struct base64){0};
    wrapped->chunk = head->chunk;
    wrapped->exception = head->exception;
}

static void frame_payload(void *ctx, const char *bytes, size_t count)
{
    struct meter_stream *stream = ctx;
    struct scan *scan = stream->wrapped->chunk ? &stream->wrapped->scan : &stream->scan;

    (void)scan_feed(scan, bytes, count, NULL);
}

/* The checksum is right: what the payload said counts. */
static void frame_end(void *ctx)
{
    struct meter_stream *stream = ctx;

    if (stream->wrapped->exception) {
        stream->reader.touched = true;
        stream->reader.event.error = true;
        stream->reader.event.seen = 0;
    }
    if (stream->reader.ready || stream->wrapped->exception)
        answer_commit(&stream->reader);
}

static const struct frame_ops frame_ops = {frame_begin, frame_payload, frame_end};

static void chunk_nothing(void *ctx, uint8_t id, uint64_t at)
{
    (void)ctx, (void)id, (void)at;
}

static void chunk_value(void *ctx, uint8_t id, const struct scan_value *value)
{
    (void)ctx, (void)id, (void)value;
}

/* A piece of the base64 string of a chunk: the document in it goes on. */
static void chunk_text(void *ctx, uint8_t id, bool first, const char *bytes, size_t count)
{
    struct meter_stream *stream = ctx;
    char out[768 + 3];

    (void)id, (void)first;
    while (count > 0) {
        size_t take = count < 1024 ? count : 1024;
        size_t made = base64_feed(&stream->wrapped->base64, bytes, take, out);

        (void)scan_feed(&stream->scan, out, made, NULL);
        bytes += take;
        count -= take;
    }
}

static void chunk_document(void *ctx)
{
    (void)ctx;
}

static const struct scan_ops chunk_ops = {chunk_nothing, chunk_value, chunk_text, chunk_document};
static const struct scan_path chunk_paths[] = {{"bytes", SCAN_TEXT, 0}};
static struct scan_tree_once *const chunk_tree = SCAN_TREE_ONCE;

static void chunk_tree_make(struct scan_tree *tree, const void *owner)
{
    (void)owner;
    scan_tree_make(tree, chunk_paths, COUNT_OF(chunk_paths));
}

static bool frames_open(struct meter_stream *stream)
{
    struct wrapped *wrapped = stream->wrapped;

    if (wrapped != NULL)
        return true;
    stream->wrapped = wrapped = calloc(1, sizeof *wrapped);
    stream->nomem |= wrapped == NULL;
    if (wrapped == NULL)
        return false;
    frames_init(&wrapped->frames, &frame_ops, stream);
    scan_init(&wrapped->scan, scan_tree_of(chunk_tree, chunk_tree_make, NULL), &chunk_ops, stream);
    stream->reader.deferred = true;
    stream->scan.elements = false;
    return true;
}

/* Decoded bytes. */
static void on_bytes(void *ctx, const char *bytes, size_t count)
{
    struct meter_stream *stream = ctx;
    const char *p = bytes, *end = bytes + count;

    if (stream->framing == FRAMING_NONE)
        p = framing_find(stream, p, end);
    if (stream->framing == FRAMING_FRAMES && frames_open(stream))
        frames_feed(&stream->wrapped->frames, p, (size_t)(end - p));
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

/* The adapter's own paths last, so that they win. */
static void tree_make(struct scan_tree *tree, const void *owner)
{
    const struct answer_adapter *adapter = owner;

    scan_tree_make(tree, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(adapter->also) && adapter->also[i] != NULL; i++)
        scan_tree_add(tree, adapter->also[i]->paths, adapter->also[i]->path_count);
    scan_tree_add(tree, adapter->paths, adapter->path_count);
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
    answer_init(&stream->reader, adapter);
    for (size_t i = 0; response->headers != NULL && response->headers[i] != NULL; i++)
        answer_header(&stream->reader, response->headers[i]);
    sse_init(&stream->sse, &lines, stream);
    scan_init(&stream->scan, scan_tree_of(adapter->tree, tree_make, adapter), &answer_ops,
              &stream->reader);
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
    stream->nomem |= decode_feed(stream->decode, bytes, count) == METER_NOMEM;
    return stream->nomem ? METER_NOMEM : METER_OK;
}

void meter_stream_free(struct meter_stream *stream)
{
    if (stream == NULL)
        return;
    decode_free(stream->decode);
    free(stream->wrapped);
    free(stream);
}

/* ---- the record --------------------------------------------------------------------------- */

/* Of lines of documents one has to be the last by its own word. One without figures may be the
 * first of them, whatever was asked for, until no more can come. */
static bool json_is_complete(const struct meter_stream *stream, bool whole)
{
    const struct answer *answer = &stream->reader.answer;
    bool many = answer->documents > 1 || stream->request->stream;
    bool complete = scan_complete(&stream->scan);

    if (stream->array || !stream->reader.adapter->lines_end)
        return complete;
    return answer->ended || (!many && complete && (whole || answer_counted(answer)));
}

static bool is_complete(const struct meter_stream *stream, bool whole)
{
    const struct answer *answer = &stream->reader.answer;

    if (stream->nomem || answer->pending)
        return false;
    if (stream->framing == FRAMING_JSON)
        return json_is_complete(stream, whole);
    if (stream->reader.adapter == &answer_unknown || stream->reader.adapter->opaque)
        return whole;
    if (stream->framing == FRAMING_FRAMES && !frames_whole(&stream->wrapped->frames))
        return false;
    return answer->ended || (whole && answer->ending && !answer->cut);
}

/* Lines of events, or an array of documents that came one by one. */
static bool is_streamed(const struct meter_stream *stream)
{
    if (stream->framing == FRAMING_NONE)
        return stream->request->stream;
    return stream->framing == FRAMING_SSE || stream->framing == FRAMING_FRAMES || stream->array ||
           stream->reader.answer.documents > 1;
}

void meter_stream_usage(const struct meter_stream *stream, bool whole, struct meter_usage *out)
{
    bool failed = decode_failed(stream->decode);
    struct answer_state state = {
        .request = stream->request,
        .status = stream->status,
        .undecodable = failed || (whole && !stream->skip && !decode_ended(stream->decode)) ||
                       (stream->wrapped != NULL && stream->wrapped->frames.damaged),
        .long_line = stream->sse.long_line,
    };
    struct answer answer = stream->reader.answer;

    /* Its end may be megabytes away from its beginning, and was made all the same. */
    answer.wordless |= stream->reader.event.wordless;
    state.complete = stream->skip || is_complete(stream, whole && !state.undecodable);
    /* One document counts its text as it comes; of a stream's last event nothing is known to have
     * reached anybody. */
    if (stream->framing == FRAMING_JSON) {
        text_merge(&answer.text, &stream->reader.event.text);
        answer.output_begun |= !text_empty(&answer.text);
    }
    answer_usage(&answer, stream->reader.adapter, &state, out);
    out->streamed = is_streamed(stream);
    out->uncounted &= out->streamed;
    out->strange = stream->framing == FRAMING_JSON
                       ? state.complete && !answer_says(&answer)
                       : stream->framing == FRAMING_OTHER && !stream->reader.adapter->opaque;
}

/* ---- going on in the middle --------------------------------------------------------------- */

enum figure {
    FIGURE_FLAGS = ANSWER_NUMBERS,
    FIGURE_TIER,
    FIGURE_DOCUMENTS,
    FIGURE_UPSTREAM,
    FIGURE_HEADER_COST,
    FIGURE_COUNTS,
    FIGURES = FIGURE_COUNTS + METER_COUNTS
};
_Static_assert(FIGURES <= METER_FIGURES_MAX, "meter.h keeps room for every figure");

/* The switches of an answer, in the order of their bits. */
#define FLAGS 17
static void flags_list(struct answer *answer, bool *list[FLAGS])
{
    bool *const flags[FLAGS] = {&answer->error,     &answer->ended,        &answer->ending,
                                &answer->pending,   &answer->output_begun, &answer->counted_output,
                                &answer->tier_seen, &answer->unbilled,     &answer->pieces,
                                &answer->cost.byok, &answer->cut,          &answer->made,
                                &answer->reasoned,  &answer->geo_seen,     &answer->regional,
                                &answer->wordless,  &answer->uncounted};

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
    out->figures[FIGURE_DOCUMENTS] = (int64_t)answer.documents;
    out->figures[FIGURE_UPSTREAM] = answer.cost.upstream_pusd;
    out->figures[FIGURE_HEADER_COST] = answer.header_cost_pusd;
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
    if (from->unnamed) /* it follows the answer's, which may still be told */
        into->model[0] = '\0';
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
    answer->documents = (uint64_t)progress->figures[FIGURE_DOCUMENTS];
    answer->cost.upstream_pusd = progress->figures[FIGURE_UPSTREAM];
    answer->header_cost_pusd = progress->figures[FIGURE_HEADER_COST];
    answer->cost.pusd = progress->usage.reported.provider_cost_pusd;
    memcpy(answer->cost.text, progress->usage.reported.provider_cost_usd, sizeof answer->cost.text);
    memcpy(answer->id, progress->usage.reported.object_id, sizeof answer->id);
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
