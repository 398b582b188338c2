/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals as HTTP. The statuses and types were measured on real agents (docs/REFUSALS.md): what
 * makes them stop and show the message, and what makes them retry for a minute. libc only. */
#include "shim/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct class_row {
    int status, responses_status;
    const char *phrase;
    const char *types[3]; /* by enum refusal_shape */
    bool should_not_retry;
};

static const struct class_row classes[] = {
    [REFUSAL_FINAL] = {402,
                       400,
                       "Payment Required",
                       {"insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"},
                       true},
    [REFUSAL_BUSY] = {429,
                      429,
                      "Too Many Requests",
                      {"rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"},
                      false},
    [REFUSAL_UNAVAILABLE] =
        {503, 503, "Service Unavailable", {"server_error", "api_error", "UNAVAILABLE"}, false},
};

int refusal_status(const struct refusal *refusal)
{
    const struct class_row *row = &classes[refusal->class];

    return refusal->responses_api ? row->responses_status : row->status;
}

/* ---- text --------------------------------------------------------------------------------- */

/* A JSON string, or null. */
static void add_string(FILE *text, const char *string)
{
    if (string == NULL) {
        (void)fputs("null", text);
        return;
    }
    (void)fputc('"', text);
    for (; *string != '\0'; string++) {
        unsigned char c = (unsigned char)*string;

        if (c >= 0x20 && c != '"' && c != '\\')
            (void)fputc(c, text);
        else
            (void)fprintf(text, "\\u%04x", c);
    }
    (void)fputc('"', text);
}

static void add_member(FILE *text, const char *name, const char *string)
{
    (void)fprintf(text, ",\"%s\":", name);
    add_string(text, string);
}

static void add_raw_member(FILE *text, const char *name, const char *json)
{
    (void)fprintf(text, ",\"%s\":%s", name, json != NULL ? json : "null");
}

/* ---- the body ----------------------------------------------------------------------------- */

static void add_details(FILE *text, const struct refusal *refusal)
{
    (void)fputs(",\"flyball\":{\"call_id\":", text);
    add_string(text, refusal->call_id);
    add_member(text, "run_id", refusal->run_id);
    add_member(text, "reason", refusal->reasons[0]);
    (void)fputs(",\"reasons\":[", text);
    for (size_t i = 0; refusal->reasons[i] != NULL; i++) {
        (void)fputs(i > 0 ? "," : "", text);
        add_string(text, refusal->reasons[i]);
    }
    (void)fputs("]", text);
    add_member(text, "scope", refusal->scope);
    add_member(text, "dimension", refusal->dimension);
    add_raw_member(text, "spent", refusal->spent);
    add_raw_member(text, "held", refusal->held);
    add_raw_member(text, "limit", refusal->limit);
    add_raw_member(text, "remaining", refusal->remaining);
    add_member(text, "resets_at", refusal->resets_at);
    add_member(text, "hint", refusal->hint);
    (void)fputs("}", text);
}

static void add_openai(FILE *text, const struct refusal *refusal, const char *type)
{
    (void)fputs("{\"error\":{\"message\":", text);
    add_string(text, refusal->message);
    add_member(text, "type", type);
    (void)fputs(",\"param\":null", text);
    add_member(text, "code", refusal->reasons[0]);
    (void)fputs("}", text);
}

static void add_anthropic(FILE *text, const struct refusal *refusal, const char *type)
{
    (void)fputs("{\"type\":\"error\",\"error\":{\"type\":", text);
    add_string(text, type);
    add_member(text, "message", refusal->message);
    (void)fputs("}", text);
    add_member(text, "request_id", refusal->call_id);
}

static void add_gemini(FILE *text, const struct refusal *refusal, const char *type)
{
    (void)fputs("{\"error\":{\"code\":", text);
    (void)fprintf(text, "%d", refusal_status(refusal));
    add_member(text, "message", refusal->message);
    add_member(text, "status", type);
    (void)fputs("}", text);
}

static void add_body(FILE *text, const struct refusal *refusal)
{
    static void (*const shapes[])(FILE *, const struct refusal *, const char *) = {
        [REFUSAL_OPENAI] = add_openai,
        [REFUSAL_ANTHROPIC] = add_anthropic,
        [REFUSAL_GEMINI] = add_gemini,
    };

    shapes[refusal->shape](text, refusal, classes[refusal->class].types[refusal->shape]);
    add_details(text, refusal);
    (void)fputs("}\n", text);
}

static void add_head(FILE *text, const struct refusal *refusal, size_t body_bytes)
{
    const struct class_row *row = &classes[refusal->class];
    int status = refusal_status(refusal);

    (void)fprintf(text,
                  "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
                  status, status == row->status ? row->phrase : "Bad Request", body_bytes);
    if (row->should_not_retry)
        (void)fputs("x-should-retry: false\r\n", text);
    if (refusal->retry_after_s > 0)
        (void)fprintf(text, "Retry-After: %ld\r\n", (long)refusal->retry_after_s);
    (void)fprintf(text, "x-flyball-call: %s\r\nConnection: close\r\n\r\n",
                  refusal->call_id != NULL ? refusal->call_id : "none");
}

/* Ends a text; NULL: there was not enough memory for it. */
static char *finish(FILE *text, char **at)
{
    bool failed = ferror(text) != 0;

    if (fclose(text) == 0 && !failed)
        return *at;
    free(*at);
    return NULL;
}

char *refusal_answer(const struct refusal *refusal, size_t *bytes_out)
{
    char *body = NULL, *whole = NULL;
    size_t body_bytes;
    FILE *text = open_memstream(&body, &body_bytes);

    if (text == NULL)
        return NULL;
    add_body(text, refusal);
    body = finish(text, &body);
    text = body != NULL ? open_memstream(&whole, bytes_out) : NULL;
    if (text != NULL) {
        add_head(text, refusal, body_bytes);
        (void)fwrite(body, 1, body_bytes, text);
        whole = finish(text, &whole);
    }
    free(body);
    return whole;
}

/* ---- in a stream -------------------------------------------------------------------------- */

/* SDKs of OpenAI's Responses tell events by their member `type`, and raise what has an `error`. */
static void add_responses(FILE *text, const struct refusal *refusal)
{
    (void)fputs("{\"type\":\"error\",\"sequence_number\":0,\"param\":null", text);
    add_member(text, "code", refusal->reasons[0]);
    add_member(text, "message", refusal->message);
    (void)fputs(",\"error\":{\"message\":", text);
    add_string(text, refusal->message);
    add_member(text, "type", classes[refusal->class].types[REFUSAL_OPENAI]);
    (void)fputs(",\"param\":null", text);
    add_member(text, "code", refusal->reasons[0]);
    (void)fputs("}", text);
    add_details(text, refusal);
    (void)fputs("}\n", text);
}

char *refusal_event(const struct refusal *refusal, bool by_lines, size_t *bytes_out)
{
    bool named = refusal->shape == REFUSAL_ANTHROPIC || refusal->responses_api;
    char *event = NULL;
    FILE *text = open_memstream(&event, bytes_out);

    if (text == NULL)
        return NULL;
    if (!by_lines)
        (void)fprintf(text, "%sdata: ", named ? "event: error\n" : "");
    if (refusal->responses_api)
        add_responses(text, refusal);
    else
        add_body(text, refusal);
    if (!by_lines)
        (void)fputs("\n", text);
    return finish(text, &event);
}
