/* SPDX-License-Identifier: Apache-2.0 */
/* Metering recorded exchanges. The recording is small and ours to parse into a tree; its bodies go
 * through the meter as the wire's bytes would. */
#include "cli/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HOST_ROOM   256u
#define HEADERS_MAX 128u
#define HEADER_ROOM 256u

static enum meter_err fail(struct meter_error *error, const char *text)
{
    if (error != NULL)
        (void)snprintf(error->text, sizeof error->text, "%s", text);
    return METER_BAD_EXCHANGE;
}

/* ---- several in a file -------------------------------------------------------------------- */

/* The end of the object that begins at p; NULL: it does not end. */
static const char *object_end(const char *p, const char *end)
{
    size_t depth = 0;
    bool in_string = false;

    for (; p < end; p++) {
        if (in_string && *p == '\\')
            p++;
        else if (*p == '"')
            in_string = !in_string;
        else if (!in_string && (*p == '{' || *p == '['))
            depth++;
        else if (!in_string && (*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
    }
    return NULL;
}

bool cli_exchange_next(const char *text, size_t bytes, size_t *at, const char **json_out,
                       size_t *json_bytes_out)
{
    const char *end = text + bytes, *p = text + *at, *stop;

    while (p < end && strchr(" \t\r\n,[]", *p) != NULL)
        p++;
    if (p >= end)
        return false;
    stop = *p == '{' ? object_end(p, end) : NULL;
    if (stop == NULL)
        stop = end; /* no exchange, which reading it will say */
    *json_out = p;
    *json_bytes_out = (size_t)(stop - p);
    *at = (size_t)(stop - text);
    return true;
}

/* ---- parts of a recording ----------------------------------------------------------------- */

static const char *header_find(const json_t *headers, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)headers, key, value)
    {
        if (strcasecmp(key, name) == 0)
            return json_string_value(value);
    }
    return NULL;
}

static int month_of(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *found = strlen(name) == 3 ? strstr(names, name) : NULL;

    return found != NULL && (found - names) % 3 == 0 ? (int)(found - names) / 3 : -1;
}

/* "Tue, 13 May 2025 14:54:09 GMT"; -1: it is none. Locales have no say in it. */
static int64_t http_date(const char *text)
{
    struct tm tm = {0};
    char month[4] = "";

    if (text == NULL || sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday,
                               month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return -1;
    tm.tm_mon = month_of(month);
    tm.tm_year -= 1900;
    return tm.tm_mon < 0 ? -1 : (int64_t)timegm(&tm);
}

static int64_t book_date(const struct meter_price_book *book)
{
    struct tm tm = {0};

    if (sscanf(meter_price_book_date(book), "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) !=
        3)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm);
}

/* Host and path of a URL. */
static bool url_split(const char *url, char host[HOST_ROOM], const char **path_out)
{
    const char *start = strstr(url, "://"), *at;
    size_t bytes;

    start = start != NULL ? start + 3 : url;
    bytes = strcspn(start, "/?#");
    at = memrchr(start, '@', bytes);
    if (at != NULL) {
        bytes -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    if (bytes == 0 || bytes >= HOST_ROOM)
        return false;
    memcpy(host, start, bytes);
    host[bytes] = '\0';
    *path_out = start[bytes] == '/' ? start + bytes : "/";
    return true;
}

/* The body's bytes: a string as it is, anything else as compact JSON. */
static bool body_text(struct cli_request *out, const json_t *body, const char **bytes_out,
                      size_t *count_out)
{
    *bytes_out = "";
    *count_out = 0;
    if (json_is_string(body)) {
        *bytes_out = json_string_value(body);
        *count_out = json_string_length(body);
    } else if (body != NULL && !json_is_null(body)) {
        out->body = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
        *bytes_out = out->body;
        *count_out = out->body != NULL ? strlen(out->body) : 0;
    }
    return *bytes_out != NULL;
}

static enum meter_err request_read(struct cli_request *out, const json_t *request,
                                   struct meter_error *error)
{
    enum meter_err err;
    const char *url = json_string_value(json_object_get(request, "url"));
    const json_t *headers = json_object_get(request, "headers");
    const char *body, *path;
    char host[HOST_ROOM];
    size_t bytes;

    if (url == NULL || !url_split(url, host, &path))
        return fail(error, "the request has no url");
    if (!body_text(out, json_object_get(request, "body"), &body, &bytes))
        return METER_NOMEM;
    struct meter_target target = {
        .method = json_string_value(json_object_get(request, "method")),
        .host = host,
        .path = path,
        .content_type = header_find(headers, "content-type"),
    };
    if (target.method == NULL)
        target.method = bytes > 0 ? "POST" : "GET";
    err = meter_request_read(&target, body, bytes, &out->request, error);
    /* What an answer said can be read without knowing what was asked. */
    out->unread = err != METER_OK;
    target.content_type = NULL;
    if (out->unread)
        (void)(meter_request_read(&target, "{}", 2, &out->request, NULL) == METER_OK);
    return err;
}

enum meter_err cli_request_read(const char *json, size_t bytes, const struct meter_price_book *book,
                                struct cli_request *out, struct meter_error *error)
{
    const json_t *request, *response;
    json_error_t why;

    memset(out, 0, sizeof *out);
    out->root = json_loadb(json, bytes, JSON_ALLOW_NUL, &why);
    if (!json_is_object(out->root))
        return fail(error, "it is not a JSON object");
    request = json_object_get(out->root, "request");
    if (!json_is_object(request))
        request = out->root;
    response = json_object_get(out->root, "response");
    out->when_s = http_date(header_find(json_object_get(response, "headers"), "date"));
    if (out->when_s < 0)
        out->when_s = book_date(book);
    return request_read(out, request, error);
}

void cli_request_release(struct cli_request *request)
{
    free(request->body);
    json_decref(request->root);
}

bool cli_price_find(const struct cli_request *request, const struct meter_price_book *book,
                    const char *model, struct meter_price *out)
{
    return model[0] != '\0' && meter_price_find(book, request->request.provider, model,
                                                request->when_s, out) == METER_OK;
}

/* ---- the body of the answer --------------------------------------------------------------- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

/* In place of text: at most three quarters of its length. */
static size_t base64_decode(const char *text, size_t count, char *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        int digit = base64_digit(text[i]);

        if (digit < 0)
            continue;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[made++] = (char)(bits >> have);
        }
    }
    return made;
}

/* Feeds the body as it was read from the wire, where the recording knows. */
static enum meter_err feed(struct meter_stream *stream, const char *bytes, size_t count,
                           const json_t *chunks)
{
    enum meter_err err = METER_OK;
    size_t at = 0;

    for (size_t i = 0; i < json_array_size(chunks) && err == METER_OK; i++) {
        json_int_t size = json_integer_value(json_array_get(chunks, i));
        size_t take = size > 0 && (uint64_t)size < count - at ? (size_t)size : count - at;

        err = meter_stream_feed(stream, bytes + at, take);
        at += take;
    }
    return err == METER_OK ? meter_stream_feed(stream, bytes + at, count - at) : err;
}

static enum meter_err body_feed(struct meter_stream *stream, const json_t *response)
{
    const json_t *text = json_object_get(response, "body_text");
    const json_t *base64 = json_object_get(response, "body_base64");
    const json_t *chunks = json_object_get(response, "chunk_sizes");
    enum meter_err err;
    char *bytes;

    if (json_is_string(text))
        return feed(stream, json_string_value(text), json_string_length(text), chunks);
    if (!json_is_string(base64))
        return METER_OK;
    bytes = malloc(json_string_length(base64) + 1);
    if (bytes == NULL)
        return METER_NOMEM;
    err = feed(stream, bytes,
               base64_decode(json_string_value(base64), json_string_length(base64), bytes), chunks);
    free(bytes);
    return err;
}

/* The headers as lines, as the wire has them. */
static const char *const *headers_list(const json_t *headers, const char *lines[HEADERS_MAX + 1],
                                       char text[HEADERS_MAX][HEADER_ROOM])
{
    size_t count = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)headers, key, value)
    {
        if (count == HEADERS_MAX || !json_is_string(value))
            continue;
        (void)snprintf(text[count], HEADER_ROOM, "%s: %s", key, json_string_value(value));
        lines[count] = text[count];
        count++;
    }
    lines[count] = NULL;
    return lines;
}

/* The record, and how the transfer ended: a recording that lacks the protocol's end was cut. */
static enum meter_err answer_read(const struct cli_request *request, const json_t *response,
                                  struct meter_usage *usage, enum meter_end *end)
{
    const json_t *headers = json_object_get(response, "headers");
    const char *lines[HEADERS_MAX + 1];
    char text[HEADERS_MAX][HEADER_ROOM];
    const struct meter_response answer = {
        .headers = headers_list(headers, lines, text),
        .status = (int)json_integer_value(json_object_get(response, "status")),
        .content_type = header_find(headers, "content-type"),
        .content_encoding = header_find(headers, "content-encoding"),
    };
    struct meter_stream *stream = meter_stream_new(&request->request, &answer);
    enum meter_err err = stream != NULL ? body_feed(stream, response) : METER_NOMEM;

    if (err == METER_OK) {
        meter_stream_usage(stream, true, usage);
        *end = usage->complete ? METER_END_WHOLE : METER_END_BROKEN;
    }
    meter_stream_free(stream);
    return err;
}

/* ---- the line ----------------------------------------------------------------------------- */

json_t *cli_usd_json(int64_t pusd)
{
    char text[METER_USD_TEXT];

    return pusd < 0 ? json_null() : json_string(meter_usd_text(pusd, text));
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *count_or_null(int64_t count)
{
    return count >= 0 ? json_integer(count) : json_null();
}

static json_t *reported_json(const struct meter_reported *reported)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "model", text_or_null(reported->model));
    (void)json_object_set_new(object, "input_tokens", count_or_null(reported->input_tokens));
    (void)json_object_set_new(object, "output_tokens", count_or_null(reported->output_tokens));
    (void)json_object_set_new(object, "cached_input_tokens",
                              count_or_null(reported->cached_input_tokens));
    (void)json_object_set_new(object, "cache_write_tokens",
                              count_or_null(reported->cache_write_tokens));
    (void)json_object_set_new(object, "reasoning_tokens",
                              count_or_null(reported->reasoning_tokens));
    (void)json_object_set_new(object, "provider_cost_usd",
                              text_or_null(reported->provider_cost_usd));
    (void)json_object_set_new(object, "total_tokens", count_or_null(reported->total_tokens));
    return object;
}

static json_t *buckets_json(const uint64_t tokens[METER_BUCKETS])
{
    json_t *object = json_object();

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        (void)json_object_set_new(object, meter_bucket_name((enum meter_bucket)i),
                                  json_integer((json_int_t)tokens[i]));
    return object;
}

static json_t *counts_json(const uint64_t counts[METER_COUNTS])
{
    json_t *object = json_object();

    for (unsigned i = 0; i < METER_COUNTS; i++)
        (void)json_object_set_new(object, meter_count_name((enum meter_count)i),
                                  json_integer((json_int_t)counts[i]));
    return object;
}

static json_t *price_json(const struct meter_bill *bill)
{
    json_t *object = json_object();

    if (bill->row[0] == '\0') {
        json_decref(object);
        return json_null();
    }
    (void)json_object_set_new(object, "row", json_string(bill->row));
    (void)json_object_set_new(object, "from", text_or_null(bill->row_from));
    (void)json_object_set_new(object, "tier", text_or_null(bill->tier));
    return object;
}

static json_t *warnings_json(unsigned warnings)
{
    json_t *array = json_array();

    for (unsigned bit = 1; bit != 0 && bit <= warnings; bit <<= 1)
        if (warnings & bit)
            (void)json_array_append_new(array,
                                        json_string(meter_warning_text((enum meter_warning)bit)));
    return array;
}

static char *line_dump(const struct cli_request *request, const struct meter_usage *usage,
                       const struct meter_bill *bill)
{
    const struct meter_request *asked = &request->request;
    const char *model = usage->reported.model[0] != '\0' ? usage->reported.model : asked->model;
    json_t *object = json_object();
    char *line;

    (void)json_object_set_new(object, "provider",
                              json_string(meter_provider_name(asked->provider)));
    (void)json_object_set_new(object, "api", text_or_null(meter_api_name(asked->api)));
    (void)json_object_set_new(object, "model", text_or_null(model));
    (void)json_object_set_new(object, "streaming", json_boolean(usage->streamed));
    (void)json_object_set_new(object, "billable", json_boolean(usage->billable));
    if (usage->reported.object_id[0] != '\0')
        (void)json_object_set_new(object, "dedupe_key", json_string(usage->reported.object_id));
    (void)json_object_set_new(object, "reported", reported_json(&usage->reported));
    (void)json_object_set_new(object, "buckets", buckets_json(bill->tokens));
    (void)json_object_set_new(object, "counts", counts_json(usage->counts));
    (void)json_object_set_new(object, "cost_usd", cli_usd_json(bill->cost_pusd));
    (void)json_object_set_new(object, "provider_cost_usd", cli_usd_json(bill->provider_cost_pusd));
    (void)json_object_set_new(object, "charged_usd", cli_usd_json(bill->charged_pusd));
    (void)json_object_set_new(object, "charged_by", json_string(bill->charged_by));
    (void)json_object_set_new(object, "price", price_json(bill));
    (void)json_object_set_new(object, "provenance",
                              json_string(meter_provenance_text(bill->provenance)));
    (void)json_object_set_new(object, "warnings", warnings_json(usage->warnings));
    line = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return line;
}

/* The bill as if the call had been held by this build, at its full cap. */
static void bill_make(const struct cli_request *request, const struct meter_price_book *book,
                      const struct meter_usage *usage, enum meter_end end, struct meter_bill *out)
{
    struct meter_price price;
    bool priced = cli_price_find(request, book, request->request.model, &price);
    struct meter_hold_line line;
    int64_t held;

    meter_hold_line_make(&request->request, priced ? &price : NULL, &line);
    held = meter_hold_cost(&line, line.full_cap);
    const struct meter_settling settling = {
        .request = &request->request,
        .usage = usage,
        .book = book,
        .when_s = request->when_s,
        .end = end,
        .held_tokens = meter_hold_tokens(&line, line.full_cap),
        .held_pusd = priced && held < INT64_MAX ? held : -1,
        .held_cap = line.full_cap,
    };
    meter_bill_make(&settling, out);
}

enum meter_err cli_exchange_meter(const char *json, size_t bytes,
                                  const struct meter_price_book *book, char **line_out,
                                  struct meter_error *error)
{
    struct cli_request request;
    struct meter_usage usage;
    struct meter_bill bill;
    enum meter_end end;
    const json_t *response;
    enum meter_err err = cli_request_read(json, bytes, book, &request, error);

    if (request.unread)
        err = METER_OK;
    response = json_object_get(request.root, "response");
    if (err == METER_OK && !json_is_object(response))
        err = fail(error, "the exchange has no response");
    if (err == METER_OK)
        err = answer_read(&request, response, &usage, &end);
    if (err == METER_OK) {
        bill_make(&request, book, &usage, end, &bill);
        *line_out = line_dump(&request, &usage, &bill);
        err = *line_out != NULL ? METER_OK : METER_NOMEM;
    }
    cli_request_release(&request);
    return err;
}
