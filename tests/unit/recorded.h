/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: recorded exchanges of tests/corpus, and answers as one line of text. */
#ifndef FLYBALL_TESTS_RECORDED_H
#define FLYBALL_TESTS_RECORDED_H

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "meter/meter_int.h"
#include "tests/unit/guard.h"
#include "tests/unit/words.h"

struct recorded {
    json_t *root;
    struct meter_request request;
    struct meter_response response;
    char *body;
    size_t bytes;
    char *lines[128]; /* "name: value" */
};

static inline const char *recorded_header(const json_t *headers, const char *name)
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

static inline size_t recorded_base64(const char *text, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, have = 0;
    size_t made = 0;

    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8)
            out[made++] = (char)(bits >> (have -= 8));
    }
    return made;
}

/* Request of an exchange, its path being all after the host. */
static inline void recorded_request(struct recorded *out, const json_t *request)
{
    const char *url = json_string_value(json_object_get(request, "url"));
    const json_t *body = json_object_get(request, "body");
    const char *host = strstr(url, "://") + 3;
    size_t host_bytes = strcspn(host, "/");
    char name[128];

    (void)snprintf(name, sizeof name, "%.*s", (int)host_bytes, host);
    struct meter_target target = {.method = json_string_value(json_object_get(request, "method")),
                                  .host = name,
                                  .path = host + host_bytes};
    if (meter_request_read(&target, json_string_value(body), json_string_length(body),
                           &out->request, NULL) != METER_OK &&
        meter_request_read(&target, "{}", 2, &out->request, NULL) != METER_OK)
        abort(); /* of some the recorder kept no request */
}

static inline void recorded_lines(struct recorded *out, const json_t *headers)
{
    size_t count = 0;
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)headers, key, value)
    {
        if (count < sizeof out->lines / sizeof out->lines[0] - 1 && json_is_string(value) &&
            asprintf(&out->lines[count], "%s: %s", key, json_string_value(value)) > 0)
            count++;
    }
    out->response.headers = (const char *const *)out->lines;
}

/* The lines are those of *out: the caller moves nothing. Aborts when it cannot be had. */
static inline struct recorded recorded_open(const char *path)
{
    struct recorded out;
    const json_t *response, *text, *base64;

    memset(&out, 0, sizeof out);
    out.root = json_load_file(path, 0, NULL);
    if (out.root == NULL) {
        (void)fprintf(stderr, "%s cannot be read\n", path);
        abort();
    }
    recorded_request(&out, json_object_get(out.root, "request"));
    response = json_object_get(out.root, "response");
    out.response.status = (int)json_integer_value(json_object_get(response, "status"));
    out.response.content_encoding =
        recorded_header(json_object_get(response, "headers"), "content-encoding");
    text = json_object_get(response, "body_text");
    base64 = json_object_get(response, "body_base64");
    out.body = malloc(json_string_length(text) + json_string_length(base64) + 1);
    if (out.body == NULL)
        abort();
    if (json_is_string(text)) {
        out.bytes = json_string_length(text);
        memcpy(out.body, json_string_value(text), out.bytes);
    } else if (json_is_string(base64)) {
        out.bytes = recorded_base64(json_string_value(base64), out.body);
    }
    return out;
}

/* Headers too; after recorded_open, once *recorded lies where it will. */
static inline void recorded_headers(struct recorded *recorded)
{
    recorded_lines(recorded,
                   json_object_get(json_object_get(recorded->root, "response"), "headers"));
}

/* name: "anthropic/anthropic--messages--j--200--0335bffa". */
static inline struct recorded recorded_load(const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "tests/corpus/%s.json", name);
    return recorded_open(path);
}

static inline void recorded_free(struct recorded *recorded)
{
    for (size_t i = 0; recorded->lines[i] != NULL; i++)
        free(recorded->lines[i]);
    free(recorded->body);
    json_decref(recorded->root);
}

/* A record as text: what was reported, what it is, buckets and counts that are not zero. */
static inline const char *usage_text(const struct meter_usage *u, char *out, size_t room)
{
    const struct meter_reported *r = &u->reported;
    int n = snprintf(out, room,
                     " model=%s in=%lld out=%lld cached=%lld write=%lld reasoning=%lld total=%lld "
                     "seen=%d complete=%d error=%d billable=%d begun=%d streamed=%d warnings=%x "
                     "strange=%d wordless=%d uncounted=%d reasoned=%d regional=%d "
                     "tier=%d last=%lld counted=%d delivered=%llu cost=%lld/%d/%s id=%s",
                     r->model, (long long)r->input_tokens, (long long)r->output_tokens,
                     (long long)r->cached_input_tokens, (long long)r->cache_write_tokens,
                     (long long)r->reasoning_tokens, (long long)r->total_tokens, u->usage_seen,
                     u->complete, u->error, u->billable, u->output_begun, u->streamed, u->warnings,
                     u->strange, u->wordless, u->uncounted, u->reasoned, u->regional, (int)u->tier,
                     (long long)u->last_output_tokens, u->counted_output,
                     (unsigned long long)u->delivered_tokens, (long long)u->provider_cost_pusd,
                     (int)u->cost, r->provider_cost_usd, r->object_id);

    for (unsigned i = 0; i < METER_BUCKETS; i++)
        if (u->tokens[i] != 0)
            n +=
                snprintf(out + n, room - (size_t)n, " b.%s=%llu",
                         meter_bucket_name((enum meter_bucket)i), (unsigned long long)u->tokens[i]);
    for (unsigned i = 0; i < METER_COUNTS; i++)
        if (u->counts[i] != 0)
            n += snprintf(out + n, room - (size_t)n, " %s=%llu",
                          meter_count_name((enum meter_count)i), (unsigned long long)u->counts[i]);
    for (unsigned i = 0; i < u->part_count; i++)
        n += snprintf(out + n, room - (size_t)n, " part=%s/%llu/%llu", u->parts[i].model,
                      (unsigned long long)u->parts[i].tokens[METER_INPUT],
                      (unsigned long long)u->parts[i].tokens[METER_OUTPUT]);
    (void)snprintf(out + n, room - (size_t)n, " ");
    return out;
}

#endif
