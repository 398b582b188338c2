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

struct text {
    char *at;
    size_t used, size;
    bool failed;
};

static void add_bytes(struct text *text, const char *bytes, size_t count)
{
    if (text->used + count + 1 > text->size && !text->failed) {
        size_t size = 2 * (text->used + count + 1);
        char *grown = realloc(text->at, size);

        text->failed = grown == NULL;
        text->at = grown != NULL ? grown : text->at;
        text->size = grown != NULL ? size : text->size;
    }
    if (text->failed)
        return;
    memcpy(text->at + text->used, bytes, count);
    text->used += count;
    text->at[text->used] = '\0';
}

static void add(struct text *text, const char *more)
{
    add_bytes(text, more, strlen(more));
}

static void add_number(struct text *text, long number)
{
    char digits[24];

    (void)snprintf(digits, sizeof digits, "%ld", number);
    add(text, digits);
}

/* A JSON string, or null. */
static void add_string(struct text *text, const char *string)
{
    char escape[8];

    if (string == NULL) {
        add(text, "null");
        return;
    }
    add(text, "\"");
    for (; *string != '\0'; string++) {
        unsigned char c = (unsigned char)*string;

        if (c >= 0x20 && c != '"' && c != '\\') {
            add_bytes(text, string, 1);
            continue;
        }
        (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        add(text, escape);
    }
    add(text, "\"");
}

static void add_member(struct text *text, const char *name, const char *string)
{
    add(text, ",\"");
    add(text, name);
    add(text, "\":");
    add_string(text, string);
}

static void add_raw_member(struct text *text, const char *name, const char *json)
{
    add(text, ",\"");
    add(text, name);
    add(text, "\":");
    add(text, json != NULL ? json : "null");
}

/* ---- the body ----------------------------------------------------------------------------- */

static void add_details(struct text *text, const struct refusal *refusal)
{
    add(text, ",\"flyball\":{\"call_id\":");
    add_string(text, refusal->call_id);
    add_member(text, "run_id", refusal->run_id);
    add_member(text, "reason", refusal->reasons[0]);
    add(text, ",\"reasons\":[");
    for (size_t i = 0; refusal->reasons[i] != NULL; i++) {
        add(text, i > 0 ? "," : "");
        add_string(text, refusal->reasons[i]);
    }
    add(text, "]");
    add_member(text, "scope", refusal->scope);
    add_member(text, "dimension", refusal->dimension);
    add_raw_member(text, "spent", refusal->spent);
    add_raw_member(text, "held", refusal->held);
    add_raw_member(text, "limit", refusal->limit);
    add_raw_member(text, "remaining", refusal->remaining);
    add_member(text, "resets_at", refusal->resets_at);
    add_member(text, "hint", refusal->hint);
    add(text, "}");
}

static void add_openai(struct text *text, const struct refusal *refusal, const char *type)
{
    add(text, "{\"error\":{\"message\":");
    add_string(text, refusal->message);
    add_member(text, "type", type);
    add(text, ",\"param\":null");
    add_member(text, "code", refusal->reasons[0]);
    add(text, "}");
}

static void add_anthropic(struct text *text, const struct refusal *refusal, const char *type)
{
    add(text, "{\"type\":\"error\",\"error\":{\"type\":");
    add_string(text, type);
    add_member(text, "message", refusal->message);
    add(text, "}");
    add_member(text, "request_id", refusal->call_id);
}

static void add_gemini(struct text *text, const struct refusal *refusal, const char *type)
{
    add(text, "{\"error\":{\"code\":");
    add_number(text, refusal_status(refusal));
    add_member(text, "message", refusal->message);
    add_member(text, "status", type);
    add(text, "}");
}

static void add_body(struct text *text, const struct refusal *refusal)
{
    static void (*const shapes[])(struct text *, const struct refusal *, const char *) = {
        [REFUSAL_OPENAI] = add_openai,
        [REFUSAL_ANTHROPIC] = add_anthropic,
        [REFUSAL_GEMINI] = add_gemini,
    };

    shapes[refusal->shape](text, refusal, classes[refusal->class].types[refusal->shape]);
    add_details(text, refusal);
    add(text, "}\n");
}

static void add_head(struct text *text, const struct refusal *refusal, size_t body_bytes)
{
    const struct class_row *row = &classes[refusal->class];
    int status = refusal_status(refusal);

    add(text, "HTTP/1.1 ");
    add_number(text, status);
    add(text, " ");
    add(text, status == row->status ? row->phrase : "Bad Request");
    add(text, "\r\nContent-Type: application/json\r\nContent-Length: ");
    add_number(text, (long)body_bytes);
    if (row->should_not_retry)
        add(text, "\r\nx-should-retry: false");
    if (refusal->retry_after_s > 0) {
        add(text, "\r\nRetry-After: ");
        add_number(text, (long)refusal->retry_after_s);
    }
    add(text, "\r\nx-flyball-call: ");
    add(text, refusal->call_id != NULL ? refusal->call_id : "none");
    add(text, "\r\nConnection: close\r\n\r\n");
}

char *refusal_answer(const struct refusal *refusal, size_t *bytes_out)
{
    struct text body = {0}, whole = {0};

    add_body(&body, refusal);
    if (!body.failed) {
        add_head(&whole, refusal, body.used);
        add_bytes(&whole, body.at, body.used);
    }
    free(body.at);
    if (body.failed || whole.failed) {
        free(whole.at);
        return NULL;
    }
    *bytes_out = whole.used;
    return whole.at;
}
