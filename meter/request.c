/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a request: what it may cost at most. One pass over the body; each API names the paths it
 * wants (request_openai.c, request_anthropic.c, request_gemini.c), request_field.c says what they
 * mean.
 *
 * The bound. A token is at least one byte, so the text parts are bounded by their UTF-8 bytes; what
 * the vendor writes anew as JSON by three times its bytes; media by formulas. */
#include "meter/request.h"
#include "meter/glob.h"

#include <stdio.h>

#define BASE_TOKENS    1024u /* templates and hidden prompts */
#define MESSAGE_TOKENS 16u
#define TOOL_TOKENS    128u
#define JSON_FACTOR    3u /* blanks after marks, \uXXXX for letters */
#define TYPICAL_BYTES  3u /* per token, of what nobody has read */

/* What templates add in fact, for charging where nothing is reported; and whether the marks of a
 * schema are read by the model, or only its names and descriptions. */
static const struct {
    uint64_t base, message, tools, tool;
    bool marks;
} overheads[TEXT_FAMILIES] = {
    [TEXT_OPENAI] = {4, 4, 16, 6, true},
    [TEXT_ANTHROPIC] = {4, 4, 340, 40, true},
    [TEXT_GEMINI] = {0, 0, 0, 4, false},
};

/* What method, host and path tell. */
struct recognised {
    char path[2048]; /* decoded, without query */
    bool model_fixed;
};

/* ---- the scanner's side ------------------------------------------------------------------- */

static void on_begin(void *ctx, uint8_t id, uint64_t at)
{
    request_field_begin(ctx, id, at);
}

static void on_end(void *ctx, uint8_t id, const struct scan_value *value)
{
    request_field_end(ctx, id, value);
}

/* Strings that are text for the model wherever they stand; others are where a container says so. */
static const bool content[REQUEST_FIELDS] = {
    [REQUEST_CONTENT] = true, [REQUEST_MESSAGE] = true, [REQUEST_PROMPT] = true,
    [REQUEST_NUMBERS] = true, [REQUEST_SPOKEN] = true,  [REQUEST_DOCUMENT] = true,
    [REQUEST_ITEM] = true,    [REQUEST_QUERY] = true,
};

static void on_text(void *ctx, uint8_t id, bool first, const char *bytes, size_t count)
{
    struct request_read *read = ctx;

    struct text *text = content[id] || read->content_depth > 0 ? &read->text : &read->other;

    if (first)
        text_begin(text);
    text_add(text, bytes, count);
    for (size_t i = 0; id == REQUEST_SPOKEN && i < count; i++)
        read->characters += ((unsigned char)bytes[i] & 0xc0) != 0x80;
}

static void on_document(void *ctx)
{
    (void)ctx;
}

static const struct scan_ops ops = {on_begin, on_end, on_text, on_document};

/* ---- sums --------------------------------------------------------------------------------- */

void request_line_add(struct meter_request *out, const char *what, const char *why, uint64_t tokens)
{
    if (tokens == 0 || out->line_count == METER_LINES_MAX)
        return;
    out->lines[out->line_count++] =
        (struct meter_line){what, why, tokens > INT64_MAX ? INT64_MAX : (int64_t)tokens};
    out->input_tokens = meter_add(out->input_tokens, tokens);
}

uint64_t request_bound(const struct request_read *read)
{
    uint64_t sum = read->scan.strings_bytes - read->json_strings - read->media_strings;

    sum = meter_add(sum, meter_mul(read->json_bytes, JSON_FACTOR));
    for (size_t i = 0; i < COUNT_OF(read->media); i++)
        sum = meter_add(sum, read->media[i].tokens);
    sum = meter_add(sum, read->number_bytes / 2 + read->fixed_tokens);
    return meter_add(sum, TOOL_TOKENS * read->tools + MESSAGE_TOKENS * read->messages);
}

static const struct {
    enum media media;
    const char *what, *why;
} media_lines[] = {
    {MEDIA_IMAGE, "images",
     "the most that an image can be, for each; larger ones by their patches"},
    {MEDIA_PDF, "PDF files", "as many pages as they say: a window"},
    {MEDIA_AUDIO, "audio and video", "their bytes, and 10,000 for each, where these bound it"},
    {MEDIA_TEXT, "text files", "their bytes, and 10,000 for each"},
    {MEDIA_OTHER, "other files", "their bytes, and 10,000 for each"},
};

/* The request says how much the provider may put in at most, whatever the body refers to. */
static void input_capped(struct request_read *read)
{
    struct meter_request *out = read->out;

    out->context_window = false;
    out->line_count = 0;
    out->input_tokens = 0;
    request_line_add(out, "input", "the request's own bound of it", read->input_cap);
}

static void input_bound(struct request_read *read)
{
    struct meter_request *out = read->out;
    uint64_t text = read->scan.strings_bytes - read->json_strings - read->media_strings;

    request_line_add(out, "text", "one token per UTF-8 byte", text);
    request_line_add(out, "bytes that are not UTF-8", "two more for each: U+FFFD takes its place",
                     2 * read->bad_bytes);
    request_line_add(out, "tools, schemas, arguments", "three per byte: written anew as JSON",
                     meter_mul(read->json_bytes, JSON_FACTOR));
    for (size_t i = 0; i < COUNT_OF(media_lines); i++)
        request_line_add(out, media_lines[i].what, media_lines[i].why,
                         read->media[media_lines[i].media].tokens);
    request_line_add(out, "text as tokens", "one for each two bytes of the list of numbers",
                     read->number_bytes / 2);
    request_line_add(out, "built-in tools", "2,048 for each", read->fixed_tokens);
    request_line_add(out, "template", "1,024, and 16 for each message, 128 for each tool",
                     BASE_TOKENS + MESSAGE_TOKENS * read->messages + TOOL_TOKENS * read->tools);
    out->audio_input_tokens = read->elsewhere ? UINT64_MAX : read->media[MEDIA_AUDIO].tokens;
    if (read->input_cap > 0)
        input_capped(read);
}

static void input_estimates(struct request_read *read)
{
    struct meter_request *out = read->out;
    uint64_t tokens = overheads[read->family].base, media = 0;

    for (size_t i = 0; i < COUNT_OF(read->media); i++)
        media = meter_add(media, read->media[i].typical);
    if (text_empty(&read->text)) /* an API whose text stands elsewhere: all there is */
        read->text = read->other;
    if (overheads[read->family].marks)
        read->text.bytes[TEXT_MARK] += read->json_bytes - read->json_strings;
    tokens = meter_add(tokens, read->number_bytes / 5);
    tokens += overheads[read->family].message * read->messages;
    if (read->tools > 0)
        tokens += overheads[read->family].tools + overheads[read->family].tool * read->tools;
    tokens = meter_add(tokens, text_tokens(&read->text, read->family));
    out->estimated_input_tokens = meter_add(tokens, media);
}

static void search_bound(struct request_read *read)
{
    uint64_t left = read->all_uses > 0 ? read->all_uses : UINT64_MAX;

    /* The dearer ones first, where a bound holds for all together. */
    for (unsigned i = METER_WEB_SEARCHES; i <= METER_FILE_SEARCHES; i++) {
        uint64_t calls = read->search_uses[i] < left ? read->search_uses[i] : left;

        left -= calls;
        read->out->counts[i] = meter_mul(calls, read->out->choices);
    }
}

/* ---- the output cap ----------------------------------------------------------------------- */

static bool object_is_empty(const struct request_read *read, uint64_t at)
{
    return read->body[at + strspn(read->body + at, " \t\r\n")] == '}';
}

static void cap_place(struct meter_request *out, uint64_t at, uint64_t bytes, const char *prefix,
                      const char *suffix)
{
    out->rewritable = true;
    out->cap_at = (size_t)at;
    out->cap_bytes = (size_t)bytes;
    out->cap_prefix = prefix;
    out->cap_suffix = suffix;
}

/* No cap is there: it goes right after a brace, so that the rest of the body stays as it is. */
static void cap_insert(struct request_read *read)
{
    const struct request_reader *reader = read->reader;
    bool old = read->out->provider->cap != CAP_NEW && reader->old_prefix != NULL;
    const char *prefix = old ? reader->old_prefix : reader->cap_prefix;
    uint64_t at = read->root_at;

    if (prefix == NULL)
        return;

    if (reader->config_prefix != NULL && read->configs == 0) {
        if (!object_is_empty(read, at))
            cap_place(read->out, at, 0, reader->config_prefix, "},");
        return;
    }
    if (reader->config_prefix != NULL && read->config_null) {
        cap_place(read->out, read->config_at, read->config_size, reader->null_prefix, "}");
        return;
    }
    if (reader->config_prefix != NULL)
        at = read->config_at;
    if (!object_is_empty(read, at))
        cap_place(read->out, at, 0, prefix, ",");
    else if (reader->config_prefix != NULL)
        cap_place(read->out, at, 0, prefix, "");
}

/* DeepSeek, asked for 5 tokens at most by max_completion_tokens alone, makes as many as it likes.
 * Two caps are both looked at: some other provider may obey either. */
static bool is_passed_over(const struct request_read *read)
{
    return read->reader->pass_prefix != NULL && read->out->provider->cap == CAP_OLD &&
           read->cap[0].value >= 0 && read->cap[1].value < 0;
}

/* A number for the one cap that is there; the one that is passed over makes room for another. */
static void cap_set(struct request_read *read, const struct request_cap *cap)
{
    if (!is_passed_over(read))
        cap_place(read->out, cap->at, cap->size, NULL, NULL);
    else if (read->cap[1].seen == 0)
        cap_place(read->out, cap->at, cap->size, read->reader->pass_prefix, "");
}

/* Which of the caps in the body holds; a key that stands twice may hold in either reading. */
static void cap_decide(struct request_read *read)
{
    struct meter_request *out = read->out;
    bool twice = read->cap[0].seen > 1 || read->cap[1].seen > 1 || read->configs > 1;
    bool both = read->cap[0].value >= 0 && read->cap[1].value >= 0;
    unsigned which = read->cap[1].value > read->cap[0].value ||
                     (read->cap[0].seen == 0 && read->cap[1].seen > 0);

    out->output_cap = is_passed_over(read) ? -1 : read->cap[which].value;
    for (unsigned i = 0; i < 2; i++)
        if (read->cap[i].seen > 1 && read->cap[i].null)
            out->output_cap = -1;
    if (out->output_cap >= 0 && read->predicted_bytes > 0 &&
        __builtin_add_overflow(out->output_cap, (int64_t)read->predicted_bytes, &out->output_cap))
        out->output_cap = INT64_MAX;
    if (read->reader->no_output)
        out->output_cap = 0;
    if (twice || both || read->fixed || read->reader->fixed)
        return;
    if (read->cap[which].seen > 0)
        cap_set(read, &read->cap[which]);
    else
        cap_insert(read);
}

/* ---- asking for the usage ----------------------------------------------------------------- */

static void ask_place(struct meter_request *out, uint64_t at, uint64_t bytes, const char *text)
{
    out->ask_text = text;
    out->ask_at = (size_t)at;
    out->ask_bytes = (size_t)bytes;
}

static void ask_decide(struct request_read *read)
{
    struct meter_request *out = read->out;

    if (!read->ask.may || !out->stream || read->ask.asked || read->ask.twice)
        return;
    if (read->ask.flag)
        ask_place(out, read->ask.flag_at, read->ask.flag_size, "true");
    else if (read->ask.object)
        ask_place(out, read->ask.at, 0,
                  object_is_empty(read, read->ask.at) ? "\"include_usage\":true"
                                                      : "\"include_usage\":true,");
    else if (read->ask.seen)
        ask_place(out, read->ask.at, read->ask.size, "{\"include_usage\":true}");
    else
        ask_place(out, read->root_at, 0, "\"stream_options\":{\"include_usage\":true},");
}

/* ---- the tier of service ------------------------------------------------------------------ */

/* What may serve a request that does not name its tier: OpenAI takes what the project is set to,
 * Vertex and Bedrock's invoke are told in headers, which are not seen here. */
static enum meter_tier tier_unasked(const struct request_read *read)
{
    switch (provider_id_of(read->out->provider)) {
    case PROVIDER_OPENAI:
    case PROVIDER_AZURE_OPENAI:
        return read->tier_said ? METER_TIER_STANDARD : METER_TIER_PRIORITY;
    case PROVIDER_VERTEX:
        return METER_TIER_PRIORITY;
    case PROVIDER_BEDROCK:
        return read->reader == &request_invoke ? METER_TIER_FAST : METER_TIER_STANDARD;
    default:
        return METER_TIER_STANDARD;
    }
}

/* ---- entry -------------------------------------------------------------------------------- */

static enum meter_err error_set(struct meter_error *error, enum meter_err err, const char *text,
                                uint64_t at)
{
    if (error != NULL)
        (void)snprintf(error->text, sizeof error->text, "%s, at byte %llu", text,
                       (unsigned long long)at);
    return err;
}

static void tree_make(struct scan_tree *tree, const void *owner)
{
    const struct request_reader *reader = owner;

    scan_tree_make(tree, reader->paths, reader->path_count);
    if (!reader->few)
        scan_tree_all_text(tree, REQUEST_TEXT);
}

static enum meter_err body_scan(struct request_read *read, const char *body, size_t bytes,
                                struct meter_error *error)
{
    uint64_t bad_at = bytes;
    bool bom = bytes >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0;

    scan_init(&read->scan, scan_tree_of(read->reader->tree, tree_make, read->reader), &ops, read);
    read->scan.fed = bom ? 3 : 0;
    if (!scan_feed(&read->scan, body + (bom ? 3 : 0), bytes - (bom ? 3 : 0), &bad_at) ||
        !scan_complete(&read->scan) || read->root_at == 0 || body[read->root_at - 1] != '{')
        return error_set(error, METER_NOT_JSON, "the body is not a JSON object", bad_at);
    read->bad_bytes = meter_utf8_bad(body, bytes);
    return METER_OK;
}

static void read_init(struct request_read *read, struct meter_request *out, const char *body,
                      const struct request_reader *reader)
{
    memset(read, 0, sizeof *read);
    read->out = out;
    read->body = body;
    read->reader = reader;
    read->cap[0].value = read->cap[1].value = -1;
}

/* What is known before the body is read. */
static void billable_init(struct request_read *read, const struct recognised *known,
                          struct meter_request *out, const char *body,
                          struct meter_outline *outline)
{
    const struct request_reader *reader = out->api->reader;
    const char *asks = out->provider->asks;

    read_init(read, out, body, reader);
    read->family = out->api->family;
    read->model_fixed = known->model_fixed;
    read->outline = outline;
    if (outline != NULL) {
        outline->usable = true;
        outline->count = outline->mark_count = 0;
    }
    read->ask.may = reader->asks && asks != NULL && meter_glob(asks, known->path);
    out->cache_write_5m = reader->cache_write;
    out->stream |= reader->streams_by_default;
    out->counts[METER_REQUESTS] = 1;
}

static enum meter_err billable_read(const struct meter_target *target,
                                    const struct recognised *known, struct meter_request *out,
                                    const char *body, size_t bytes, struct meter_error *error)
{
    struct request_read read;
    enum meter_err err;

    billable_init(&read, known, out, body, target->outline);
    if (read.reader->form && request_is_form(target->content_type, body, bytes))
        err = request_form(&read, target->content_type, bytes, error);
    else
        err = body_scan(&read, body, bytes, error);
    if (err == METER_OK && read.err != METER_OK)
        err = error_set(error, read.err, read.err_text, read.err_at);
    if (err != METER_OK)
        return err;
    if (out->model[0] == '\0' && read.reader->model != NULL)
        (void)snprintf(out->model, sizeof out->model, "%s", read.reader->model);
    if (read.model_open)
        out->model[0] = '\0';
    if (read.prompts > 1)
        out->choices = meter_mul(out->choices, read.prompts);
    request_model_end(&read);
    out->tier_open = tier_unasked(&read);
    input_bound(&read);
    input_estimates(&read);
    search_bound(&read);
    cap_decide(&read);
    ask_decide(&read);
    request_outline_end(&read);
    if (read.reader->finish != NULL)
        read.reader->finish(&read);
    out->context_window |= out->unbounded;
    out->several = out->output_cap == 0 || read.prompts > 1 || read.documents > 0 ||
                   (read.reader == &request_invoke && read.messages == 0);
    return METER_OK;
}

/* A path that no adapter knows: its model, if it says one, and the most there can be. */
static const struct scan_path unknown_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
};
static const struct request_reader request_unknown = {.tree = SCAN_TREE_ONCE,
                                                      .paths = unknown_paths,
                                                      .path_count = COUNT_OF(unknown_paths),
                                                      .few = true};

static void unknown_read(struct meter_request *out, const char *body, size_t bytes)
{
    struct request_read read;

    read_init(&read, out, body, &request_unknown);
    if (body_scan(&read, body, bytes, NULL) != METER_OK)
        out->model[0] = '\0';
    out->context_window = true;
    request_line_add(out, "body", "one token per byte: this API is not known", bytes + BASE_TOKENS);
    out->estimated_input_tokens = bytes / TYPICAL_BYTES;
}

/* Served where the caller chose, not anywhere: by the host's first label, or by the path. */
/* Where Bedrock's list prices are those of the standard lines. */
static const char *const bedrock_homes[] = {"*.us-east-1.*", "*.us-east-2.*", "*.us-west-2.*"};

static bool is_regional(const struct meter_request *out, const char *host, const char *path)
{
    const char *location = strstr(path, "/locations/");
    bool home = false;

    for (size_t i = 0; i < COUNT_OF(bedrock_homes); i++)
        home |= meter_glob(bedrock_homes[i], host);

    switch (provider_id_of(out->provider)) {
    case PROVIDER_OPENAI:
        return meter_glob("*.api.openai.com", host);
    case PROVIDER_XAI:
        return meter_glob("*.api.x.ai", host);
    case PROVIDER_BEDROCK:
        return !home;
    case PROVIDER_VERTEX:
        return location != NULL ? strncmp(location + 11, "global/", 7) != 0
                                : strchr(host, '-') != NULL;
    default:
        return false;
    }
}

static void recognise(const struct meter_target *target, struct meter_request *out,
                      struct recognised *known)
{
    const char *method = target->method != NULL ? target->method : "POST";
    const char *host = target->host != NULL ? target->host : "";

    out->provider = target->provider;
    if (out->provider == NULL)
        out->provider = meter_provider_by_host(target->host);
    if (out->provider == NULL)
        out->provider = meter_provider_unknown();
    meter_path_decode(target->path != NULL ? target->path : "", known->path, sizeof known->path);
    out->api = meter_route(out->provider, method, known->path, &out->kind);
    known->model_fixed = false;
    (void)meter_path_model(known->path, out->model, sizeof out->model, &known->model_fixed);
    out->regional = is_regional(out, host, known->path);
    out->regional_open = provider_id_of(out->provider) == PROVIDER_ANTHROPIC;
    out->stream = out->api != NULL && out->api->streams;
}

static const struct meter_request nothing_read = {
    .output_cap = -1, .thinking_budget = -1, .choices = 1, .tier = METER_TIER_STANDARD};

void meter_request_unread(const struct meter_target *target, struct meter_request *out)
{
    struct recognised known;

    *out = nothing_read;
    recognise(target, out, &known);
    out->context_window = true;
    out->counts[METER_REQUESTS] = out->kind == METER_BILLABLE;
}

enum meter_err meter_request_read(const struct meter_target *target, const void *body,
                                  size_t body_bytes, struct meter_request *out,
                                  struct meter_error *error)
{
    const char *bytes = body != NULL ? body : "";
    struct meter_request request = nothing_read;
    struct recognised known;
    enum meter_err err = METER_OK;

    if (target->outline != NULL)
        target->outline->usable = false;
    recognise(target, &request, &known);
    if (body_bytes > METER_REQUEST_MAX)
        return error_set(error, METER_TOO_LARGE, meter_strerror(METER_TOO_LARGE),
                         METER_REQUEST_MAX);
    if (request.kind == METER_BILLABLE)
        err = billable_read(target, &known, &request, bytes, body_bytes, error);
    else if (request.kind == METER_UNKNOWN)
        unknown_read(&request, bytes, body_bytes);
    if (err == METER_OK)
        *out = request;
    return err;
}
