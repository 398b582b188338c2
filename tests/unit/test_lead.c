/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that begin like earlier ones: what is the same beginning, what it bounds, and how near
 * the bound comes over a conversation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "sidecar/side_int.h"
#include "tests/unit/requests.h"

struct asked {
    struct meter_outline outline;
    struct meter_request request;
    struct side_lead *lead;
};

static void ask(const char *path, const char *body, struct asked *out)
{
    struct meter_target target = {
        .method = "POST", .host = "api.example.com", .path = path, .outline = &out->outline};
    size_t bytes = strlen(body);

    assert_int_equal(meter_request_read(&target, body, bytes, &out->request, NULL), METER_OK);
    out->lead = out->outline.usable ? side_lead_read(&out->outline, body, bytes) : NULL;
}

static uint64_t bound_after(const char *path, const char *first, const char *then)
{
    static struct side_leads leads;
    static struct asked a, b;
    uint64_t bound = 0;

    memset(&leads, 0, sizeof leads);
    ask(path, first, &a);
    ask(path, then, &b);
    if (a.lead != NULL && b.lead != NULL) {
        side_lead_learn(&leads, a.lead, &a.request, 100);
        bound = side_lead_bound(&leads, b.lead, &b.request);
    }
    free(a.lead);
    free(b.lead);
    return bound;
}

#define ONE              "{\"role\":\"user\",\"content\":\"Hello there\"}"
#define TWO              "{\"role\":\"assistant\",\"content\":\"Hi\"}"
#define BODY(head, list) "{\"model\":\"m\"," head "\"messages\":[" list "]}"

/* 0: no lead at all; UINT64_MAX: nothing is known. The report was 100, the seam is 16. */
static const struct {
    const char *why, *path, *first, *then;
    uint64_t want;
} rows[] = {
    {"the same request", CHAT, BODY("", ONE), BODY("", ONE), 116},
    {"one message more, by its bytes", CHAT, BODY("", ONE), BODY("", ONE "," TWO),
     116 + 4 + 9 + 7 + 2 + 16},
    {"another beginning", CHAT, BODY("", TWO), BODY("", ONE "," TWO), UINT64_MAX},
    {"a message less", CHAT, BODY("", ONE "," TWO), BODY("", ONE), UINT64_MAX},
    {"another model", CHAT, BODY("", ONE), "{\"model\":\"n\",\"messages\":[" ONE "]}", UINT64_MAX},
    {"a blank in a message is another message", CHAT, BODY("", ONE),
     BODY("", "{\"role\":\"user\", \"content\":\"Hello there\"}"), UINT64_MAX},
    {"another head: what it says may make more of the same messages", CHAT,
     BODY("\"tools\":[],", ONE), BODY("\"tools\":[{}],", ONE), UINT64_MAX},
    {"another cap is the same", CHAT, BODY("\"max_tokens\":1,", ONE),
     BODY("\"max_tokens\":200,", ONE), 116},
    {"... and a stream", CHAT, BODY("\"stream\":true,", ONE), BODY("\"stream\":false,", ONE), 116},
    {"a cache's mark that has moved on", MESS,
     BODY("", "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\","
              "\"cache_control\":{\"type\":\"ephemeral\"}}]}"),
     BODY("", "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]}"), 116},
    {"... and one that stands first is another message", MESS,
     BODY("", "{\"role\":\"user\",\"content\":[{\"cache_control\":{\"type\":\"ephemeral\"},"
              "\"type\":\"text\"}]}"),
     BODY("", "{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"), UINT64_MAX},
    {"what the provider may leave out bounds nothing", MESS,
     BODY("\"context_management\":{\"edits\":[]},", ONE),
     BODY("\"context_management\":{\"edits\":[]},", ONE), 0},
    {"items of responses", RESP, "{\"model\":\"m\",\"input\":[" ONE "]}",
     "{\"model\":\"m\",\"input\":[" ONE "]}", 116},
    {"a mere string has no messages", RESP, "{\"model\":\"m\",\"input\":\"x\"}",
     "{\"model\":\"m\",\"input\":\"x\"}", 0},
    {"contents", GEMI, "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}",
     "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}", 116},
};

static void knows_the_same_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t got = bound_after(rows[i].path, rows[i].first, rows[i].then);

        if (got != rows[i].want)
            fail_msg("%s: want %llu, got %llu", rows[i].why, (unsigned long long)rows[i].want,
                     (unsigned long long)got);
    }
}

/* ---- the question's hash ------------------------------------------------------------------- */

/* False: there is none of such a body. */
static bool hash_of(const char *path, const char *body, uint8_t out[32])
{
    static struct asked asked;
    struct meter_target target = {
        .method = "POST", .host = "api.example.com", .path = path, .outline = &asked.outline};
    struct store_hash hash;

    asked.lead = NULL;
    if (meter_request_read(&target, body, strlen(body), &asked.request, NULL) == METER_OK &&
        asked.outline.usable)
        asked.lead = side_lead_read(&asked.outline, body, strlen(body));
    if (asked.lead == NULL)
        return false;
    store_hash_begin(&hash);
    side_lead_hash(asked.lead, &asked.outline, body, &hash);
    store_hash_end(&hash, out);
    free(asked.lead);
    return true;
}

static const char *const hashed[] = {
    "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[ " ONE " ,  " TWO ", " ONE " ] , \"n\" : 1 } ",
    "{\"messages\":[" TWO "],\"stream\":true,\"max_tokens\":10,\"model\":\"mm\"}",
    "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
    "\"text\","
    "\"text\":\"Hello\",\"cache_control\":{\"type\":\"ephemeral\"}}]}, " TWO "]}",
};

/* Any byte of a body is another one, or gone, or there twice. */
static void every_byte_is_hashed(void **state)
{
    static const char others[] = "a0 \n2,}";
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hashed); i++) {
        size_t bytes = strlen(hashed[i]);
        uint8_t whole[32], other[32];
        char body[600];

        assert_true(hash_of(MESS, hashed[i], whole));
        for (size_t at = 0; at < bytes; at++)
            for (size_t with = 0; with < sizeof others + 1; with++) {
                (void)snprintf(body, sizeof body, "%.*s%.*s%s", (int)at, hashed[i],
                               with == sizeof others ? 2 : 1,
                               with == sizeof others
                                   ? (const char[]){hashed[i][at], hashed[i][at], 0}
                                   : (const char[]){others[with], 0},
                               hashed[i] + at + 1);
                if (strcmp(body, hashed[i]) == 0 || !hash_of(MESS, body, other))
                    continue;
                seen++;
                if (memcmp(whole, other, sizeof whole) == 0)
                    fail_msg("the same hash: %s", body);
            }
    }
    assert_true(seen > 500);
}

/* The same pieces, elsewhere. */
static void places_are_hashed(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    assert_true(hash_of(MESS, BODY("", ONE ", " TWO "," ONE), a));
    assert_true(hash_of(MESS, BODY("", ONE "," TWO " ," ONE), b));
    assert_memory_not_equal(a, b, sizeof a);
}

static void remembers_so_many(void **state)
{
    static struct side_leads leads;
    static struct asked first, other;
    char body[200];

    (void)state;
    ask(CHAT, BODY("", ONE), &first);
    side_lead_learn(&leads, first.lead, &first.request, 100);
    for (unsigned i = 1; i <= SIDE_LEADS; i++) {
        uint64_t want = i <= SIDE_LEADS ? 116 : UINT64_MAX;

        assert_int_equal(side_lead_bound(&leads, first.lead, &first.request), want);
        (void)snprintf(body, sizeof body, BODY("", "{\"role\":\"user\",\"content\":\"%u\"}"), i);
        ask(CHAT, body, &other);
        side_lead_learn(&leads, other.lead, &other.request, i);
        free(other.lead);
    }
    assert_int_equal(side_lead_bound(&leads, first.lead, &first.request), UINT64_MAX);
    free(first.lead);
}

/* ---- a conversation ----------------------------------------------------------------------- */

static char *body_of(const json_t *conversation, size_t messages)
{
    json_t *list = json_array(), *root;
    char *text;

    for (size_t i = 0; i < messages; i++)
        (void)json_array_append(list, json_array_get(json_object_get(conversation, "messages"), i));
    root =
        json_pack("{s:O,s:o}", "model", json_object_get(conversation, "model"), "messages", list);
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* Each request is bounded by what was reported of the one before; never below what it is. */
static void comes_near_over_a_conversation(void **state)
{
    json_t *conversation = json_load_file("tests/conversations/agent.json", 0, NULL), *turn;
    static struct side_leads leads;
    uint64_t bytes = 0, bounds = 0, reported = 0, last = 0;
    size_t i;

    (void)state;
    assert_non_null(conversation);
    json_array_foreach(json_object_get(conversation, "turns"), i, turn)
    {
        static struct asked asked;
        size_t messages = (size_t)json_integer_value(json_object_get(turn, "messages"));
        uint64_t input = (uint64_t)json_integer_value(json_object_get(turn, "input_tokens"));
        char *body = body_of(conversation, messages);
        uint64_t bound;

        ask(CHAT, body, &asked);
        free(body);
        assert_non_null(asked.lead);
        bound = side_lead_bound(&leads, asked.lead, &asked.request);
        bound = bound < asked.request.input_tokens ? bound : asked.request.input_tokens;
        assert_true(bound >= input);
        bytes += asked.request.input_tokens;
        bounds += bound;
        reported += input;
        last = bound * 100 / input;
        side_lead_learn(&leads, asked.lead, &asked.request, input);
        free(asked.lead);
    }
    json_decref(conversation);
    print_message("    held input / reported over %zu requests: %.2f by bytes, %.2f by beginnings, "
                  "%.2f in the last\n",
                  i, (double)bytes / (double)reported, (double)bounds / (double)reported,
                  (double)last / 100);
    assert_true(bounds * 2 < reported * 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_same_beginning),
        cmocka_unit_test(every_byte_is_hashed),
        cmocka_unit_test(places_are_hashed),
        cmocka_unit_test(remembers_so_many),
        cmocka_unit_test(comes_near_over_a_conversation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
