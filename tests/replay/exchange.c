/* SPDX-License-Identifier: Apache-2.0
 *
 * Exchanges: from the files of the corpus (its README describes the format) and made here. A file
 * that does not say what the format promises is refused, never guessed at.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/replay/replay.h"

void why_set(struct why *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
}

const char *exchange_field(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->field_count; i++)
        if (!evutil_ascii_strcasecmp(exchange->fields[i].name, name))
            return exchange->fields[i].value;
    return NULL;
}

static const char *text_at(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static char *path_of_url(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = strchr(host ? host + 3 : url, '/');

    return path ? strndup(path, strcspn(path, "?#")) : strdup("/");
}

static bool request_read(struct exchange *exchange, struct why *why)
{
    json_t *request = json_object_get(exchange->json, "request");
    const char *url = text_at(request, "url");

    exchange->method = text_at(request, "method");
    exchange->path = url ? path_of_url(url) : NULL;
    if (!exchange->method || !exchange->path)
        why_set(why, "no request method or url");
    return exchange->method && exchange->path;
}

static bool fields_read(struct exchange *exchange, json_t *headers, struct why *why)
{
    for (void *at = json_object_iter(headers); at; at = json_object_iter_next(headers, at)) {
        const char *name = json_object_iter_key(at);
        const char *value = json_string_value(json_object_iter_value(at));

        if (!value || exchange->field_count == REPLAY_FIELDS_MAX) {
            why_set(why, "response header %s: not a string, or too many headers", name);
            return false;
        }
        exchange->fields[exchange->field_count++] = (struct field){name, value};
    }
    return true;
}

static bool body_decode(struct exchange *exchange, json_t *base64)
{
    const char *text = json_string_value(base64);
    size_t length = json_string_length(base64);
    size_t padding = length && text[length - 1] == '=' ? 1 + (text[length - 2] == '=') : 0;
    int bytes;

    exchange->body = malloc(length + 1);
    if (!exchange->body || length % 4 || length > INT32_MAX)
        return false;
    bytes = EVP_DecodeBlock(exchange->body, (const unsigned char *)text, (int)length);
    if (bytes < 0)
        return false;
    exchange->body_bytes = (size_t)bytes - padding;
    return true;
}

static bool body_copy(struct exchange *exchange, json_t *text)
{
    exchange->body_bytes = json_string_length(text);
    exchange->body = malloc(exchange->body_bytes + 1);
    if (exchange->body)
        memcpy(exchange->body, json_string_value(text), exchange->body_bytes);
    return exchange->body;
}

static bool body_read(struct exchange *exchange, json_t *response, struct why *why)
{
    json_t *text = json_object_get(response, "body_text");
    json_t *base64 = json_object_get(response, "body_base64");
    bool good = json_is_string(text)     ? body_copy(exchange, text)
                : json_is_string(base64) ? body_decode(exchange, base64)
                                         : false;

    if (!good)
        why_set(why, "no readable body_text or body_base64");
    return good;
}

static bool chunks_recorded(struct exchange *exchange, json_t *sizes, struct why *why)
{
    size_t count = json_array_size(sizes), end = 0;

    exchange->chunk_ends = calloc(count + 1, sizeof *exchange->chunk_ends);
    if (!exchange->chunk_ends)
        return false;
    for (size_t i = 0; i < count; i++) {
        json_int_t bytes = json_integer_value(json_array_get(sizes, i));

        if (bytes <= 0 || (size_t)bytes > exchange->body_bytes - end)
            break;
        exchange->chunk_ends[exchange->chunk_count++] = end += (size_t)bytes;
    }
    if (end == exchange->body_bytes && exchange->chunk_count == count)
        return true;
    why_set(why, "chunk_sizes do not sum up to the body");
    return false;
}

static bool chunks_read(struct exchange *exchange, json_t *response, bool sse, struct why *why)
{
    json_t *sizes = json_object_get(response, "chunk_sizes");

    if (json_is_array(sizes))
        return chunks_recorded(exchange, sizes, why);
    if (sse && !exchange_field(exchange, "content-encoding")) {
        exchange->chunk_count =
            sse_event_ends(exchange->body, exchange->body_bytes, &exchange->chunk_ends);
        return exchange->chunk_ends;
    }
    exchange->chunk_ends = malloc(sizeof *exchange->chunk_ends);
    if (!exchange->chunk_ends)
        return false;
    exchange->chunk_ends[0] = exchange->body_bytes;
    exchange->chunk_count = exchange->body_bytes > 0;
    return true;
}

static bool response_read(struct exchange *exchange, struct why *why)
{
    json_t *response = json_object_get(exchange->json, "response");
    const char *framing = text_at(json_object_get(exchange->json, "metering"), "stream_framing");
    const char *coding;

    exchange->status = (int)json_integer_value(json_object_get(response, "status"));
    if (exchange->status < 200 || exchange->status > 999) {
        why_set(why, "no final response status");
        return false;
    }
    if (!fields_read(exchange, json_object_get(response, "headers"), why) ||
        !body_read(exchange, response, why))
        return false;
    coding = exchange_field(exchange, "transfer-encoding");
    exchange->chunked = framing || (coding && !evutil_ascii_strcasecmp(coding, "chunked"));
    return chunks_read(exchange, response, framing && !strcmp(framing, "sse"), why);
}

struct exchange *exchange_take(json_t *json, struct why *why)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);

    why_set(why, "out of memory");
    if (!exchange) {
        json_decref(json);
        return NULL;
    }
    exchange->json = json;
    exchange->id = text_at(json, "id");
    exchange->provider = text_at(json, "provider");
    if (!exchange->id)
        why_set(why, "no id");
    if (!exchange->id || !request_read(exchange, why) || !response_read(exchange, why)) {
        exchange_free(exchange);
        return NULL;
    }
    return exchange;
}

struct exchange *exchange_load(const char *file, struct why *why)
{
    json_error_t error;
    json_t *json = json_load_file(file, JSON_ALLOW_NUL, &error);
    struct exchange *exchange;
    struct why inner;

    if (!json) {
        why_set(why, "%s: %s", file, error.text);
        return NULL;
    }
    exchange = exchange_take(json, &inner);
    if (!exchange)
        why_set(why, "%s: %s", file, inner.text);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    free(exchange->chunk_ends);
    free(exchange->body);
    free(exchange->path);
    json_decref(exchange->json);
    free(exchange);
}

struct exchange *exchange_made(int status, const char *name, const char *value, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_t *fields = json_object();
    struct why why;

    if (body)
        json_object_set_new(fields, "Content-Type", json_string("application/json"));
    if (name)
        json_object_set_new(fields, name, json_string(value));
    json_t *made = json_pack("{s:s, s:{s:s, s:s}, s:{s:i, s:o, s:s}}", "id", "-", "request",
                             "method", "-", "url", "/", "response", "status", status, "headers",
                             fields, "body_text", text ? text : "");
    free(text);
    json_decref(body);
    return made ? exchange_take(made, &why) : NULL;
}
