/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reading of requests of every API, and rewriting them: what was set is what is read.
 * The input is laid out as head.h says; a first header line is the request's content type. */
#include <jansson.h>

#include "tests/fuzz/head.h"

static struct meter_outline outline, again_outline;

static enum meter_err read_copy(const struct meter_target *target, const char *body, size_t bytes,
                                struct meter_request *out)
{
    char *copy = exact_copy(body, bytes);
    struct meter_error error = {""};
    enum meter_err err = meter_request_read(target, copy, bytes, out, &error);

    check(err == METER_OK || error.text[0] != '\0', "an error that says nothing");
    free(copy);
    return err;
}

/* Whatever a strict parser takes for an object is no METER_NOT_JSON, but for what the two judge
 * differently: depth, bytes within strings, huge numbers. */
static void agrees_with_a_parser(const char *body, size_t bytes, enum meter_err err)
{
    json_t *tree = json_loadb(body, bytes, JSON_ALLOW_NUL, NULL);

    if (json_is_object(tree) && memchr(body, 0, bytes) == NULL)
        check(err != METER_NOT_JSON || bytes > 512, "JSON was not taken for it");
    json_decref(tree);
}

static void outline_is_sane(const struct meter_outline *made, size_t bytes)
{
    size_t at = 0;

    if (!made->usable)
        return;
    check(made->count <= METER_MESSAGES_MAX && made->mark_count <= METER_MARKS_MAX, "too many");
    for (unsigned i = 0; i < made->count; i++) {
        check(made->messages[i].at >= at, "messages out of order");
        at = (size_t)made->messages[i].at + made->messages[i].bytes;
        check(at <= bytes, "a message beyond the body");
    }
    at = 0;
    for (unsigned i = 0; i < made->mark_count; i++) {
        check(made->marks[i].at >= at, "marks out of order");
        at = (size_t)made->marks[i].at + made->marks[i].bytes;
        check(at <= bytes, "a mark beyond the body");
    }
}

static bool same(const struct meter_request *a, const struct meter_request *b)
{
    return strcmp(a->model, b->model) == 0 && a->input_tokens == b->input_tokens &&
           a->estimated_input_tokens == b->estimated_input_tokens &&
           a->output_cap == b->output_cap && a->choices == b->choices && a->cap_at == b->cap_at &&
           a->ask_at == b->ask_at && memcmp(a->counts, b->counts, sizeof a->counts) == 0;
}

static void rewritten(const struct meter_target *target, const struct meter_request *request,
                      const char *body, size_t bytes)
{
    const struct meter_rewrite rewrite = {
        .cap_set = request->rewritable, .cap = 12345, .ask_usage = request->ask_text != NULL};
    struct meter_request again;
    char *made;
    size_t made_bytes;

    if (meter_request_rewrite(request, body, bytes, &rewrite, &made, &made_bytes) != METER_OK)
        return;
    check(read_copy(target, made, made_bytes, &again) == METER_OK, "a body that was made is bad");
    check(!rewrite.cap_set || again.output_cap == 12345, "the cap that was set is not read");
    check(again.ask_text == NULL, "the usage that was asked for is not");
    check(again.stream == request->stream && again.choices == request->choices, "another request");
    check(strcmp(again.model, request->model) == 0, "another model");
    free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meter_request request, plain;
    struct meter_hold_line line;
    struct head head;
    const char *body;
    enum meter_err err;

    if (!head_read(&head, data, size))
        return 0;
    body = (const char *)head.body;
    head.target.content_type = head.lines[0];
    head.target.outline = &outline;
    err = read_copy(&head.target, body, head.bytes, &request);
    if (head.lines[0] == NULL && !(head.bytes >= 2 && memcmp(body, "--", 2) == 0))
        agrees_with_a_parser(body, head.bytes, err);
    if (err != METER_OK)
        return 0;
    outline_is_sane(&outline, head.bytes);
    head.target.outline = NULL;
    check(read_copy(&head.target, body, head.bytes, &plain) == METER_OK, "unreadable without one");
    check(same(&plain, &request), "an outline makes another request");
    check(request.choices >= 1 && request.output_cap >= -1, "a figure that cannot be");
    check(request.line_count <= METER_LINES_MAX, "too many lines");
    check(!request.rewritable || request.cap_at + request.cap_bytes <= head.bytes,
          "a cap beyond the body");
    check(request.ask_text == NULL || request.ask_at + request.ask_bytes <= head.bytes,
          "an ask beyond the body");
    meter_hold_line_make(&request, NULL, &line);
    check(line.smallest_cap <= line.full_cap, "the smallest form is not the smallest");
    head.target.outline = &again_outline;
    rewritten(&head.target, &request, body, head.bytes);
    return 0;
}
