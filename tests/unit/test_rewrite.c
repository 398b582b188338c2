/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the output cap and asking for the usage: the body stays the same JSON but for what was
 * set, and reads back as what was set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/requests.h"

#define OPENAI   "api.openai.com"
#define MISTRAL  "api.mistral.ai"
#define AZURE    "x.openai.azure.com"
#define GOOGLE   "generativelanguage.googleapis.com"
#define BEDROCK  "bedrock-runtime.us-east-1.amazonaws.com"
#define OLLAMA   "localhost:11434"
#define WATSONX  "us-south.ml.cloud.ibm.com"
#define QWEN     "dashscope.aliyuncs.com"
#define HUGGING  "router.huggingface.co"
#define COMPLETE "/v1/completions"
#define USAGE    "stream_options.include_usage"

/* The members of an object on the way to the last one are made, where they are not objects. */
static void json_put(json_t *root, const char *path, json_t *value)
{
    char names[128], *save = NULL;

    (void)snprintf(names, sizeof names, "%s", path);
    for (char *name = strtok_r(names, ".", &save), *next; name != NULL; name = next) {
        next = strtok_r(NULL, ".", &save);
        if (next == NULL)
            assert_int_equal(json_object_set_new(root, name, value), 0);
        else if (!json_is_object(json_object_get(root, name)))
            assert_int_equal(json_object_set_new(root, name, json_object()), 0);
        root = json_object_get(root, name);
    }
}

static json_t *parsed(const char *why, const char *body, size_t bytes)
{
    json_error_t error;
    json_t *root = json_loadb(body, bytes, 0, &error);

    if (root == NULL)
        fail_msg("%s: %s: %.*s", why, error.text, (int)bytes, body);
    return root;
}

static void same_request(const char *why, const struct meter_request *a,
                         const struct meter_request *b)
{
    if (strcmp(a->model, b->model) != 0 || a->api != b->api || a->provider != b->provider ||
        a->stream != b->stream || a->choices != b->choices || a->tier != b->tier ||
        a->thinking_budget != b->thinking_budget || a->context_window != b->context_window ||
        memcmp(a->counts, b->counts, sizeof a->counts) != 0)
        fail_msg("%s: another request", why);
}

/* cap -1: none is set; key: where it has to stand then. */
static void check_rewrite(const char *why, const struct meter_target *target, const char *given,
                          int64_t cap, const char *key, bool ask)
{
    const struct meter_rewrite rewrite = {
        .cap_set = cap >= 0, .cap = (uint64_t)cap, .ask_usage = ask};
    size_t given_bytes = strlen(given), bytes = 0;
    struct guarded copy = guarded_copy(given, given_bytes), made;
    struct meter_request request, again;
    json_t *want = parsed(why, given, given_bytes), *got;
    char *body = NULL;

    assert_int_equal(meter_request_read(target, copy.bytes, given_bytes, &request, NULL), METER_OK);
    if (meter_request_rewrite(&request, copy.bytes, given_bytes, &rewrite, &body, &bytes) !=
        METER_OK)
        fail_msg("%s: not rewritten", why);
    guarded_free(&copy);
    assert_int_equal(body[bytes], '\0');
    if (cap >= 0)
        json_put(want, key, json_integer(cap));
    if (ask && request.ask_text != NULL)
        json_put(want, USAGE, json_true());
    got = parsed(why, body, bytes);
    if (!json_equal(want, got))
        fail_msg("%s: got %s", why, body);
    made = guarded_copy(body, bytes);
    assert_int_equal(meter_request_read(target, made.bytes, bytes, &again, NULL), METER_OK);
    guarded_free(&made);
    same_request(why, &request, &again);
    if (cap == 0 && again.output_cap < 0)
        again.output_cap = 0; /* some take it for none */
    if (again.output_cap != (cap >= 0 ? cap : request.output_cap) ||
        (cap >= 0 && !again.rewritable))
        fail_msg("%s: read again: a cap of %lld", why, (long long)again.output_cap);
    if (ask && again.ask_text != NULL)
        fail_msg("%s: read again: asked no more", why);
    json_decref(want);
    json_decref(got);
    free(body);
}

/* ---- asking ------------------------------------------------------------------------------- */

#define S "\"stream\":true"

/* want: the whole body; NULL: it is not asked. */
static const struct {
    const char *why, *path, *body, *want;
} asks[] = {
    {"no options", CHAT, "{\"model\":\"m\"," S "}",
     "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\"," S "}"},
    {"... and blanks", CHAT, " { " S " } ",
     " {\"stream_options\":{\"include_usage\":true}, " S " } "},
    {"... of completions", COMPLETE, "{" S ",\"prompt\":\"x\"}",
     "{\"stream_options\":{\"include_usage\":true}," S ",\"prompt\":\"x\"}"},
    {"empty options", CHAT, "{" S ",\"stream_options\":{}}",
     "{" S ",\"stream_options\":{\"include_usage\":true}}"},
    {"... with blanks", CHAT, "{\"stream_options\": {\r\n} ," S "}",
     "{\"stream_options\": {\"include_usage\":true\r\n} ," S "}"},
    {"other options", CHAT, "{\"stream_options\":{\"include_obfuscation\":false}," S "}",
     "{\"stream_options\":{\"include_usage\":true,\"include_obfuscation\":false}," S "}"},
    {"options null", CHAT, "{\"stream_options\":null," S "}",
     "{\"stream_options\":{\"include_usage\":true}," S "}"},
    {"usage false", CHAT, "{" S ",\"stream_options\":{\"include_usage\":false}}",
     "{" S ",\"stream_options\":{\"include_usage\":true}}"},
    {"usage null", CHAT, "{" S ",\"stream_options\":{\"include_usage\": null }}",
     "{" S ",\"stream_options\":{\"include_usage\": true }}"},
    {"usage false under hidden names", CHAT,
     "{\"str\\u0065am_options\":{\"include\\u005fusage\":false},\"str\\u0065am\":true}",
     "{\"str\\u0065am_options\":{\"include\\u005fusage\":true},\"str\\u0065am\":true}"},
    {"usage elsewhere", CHAT,
     "{\"x\":{\"stream_options\":{\"include_usage\":true}},\"include_usage\":true," S "}",
     "{\"stream_options\":{\"include_usage\":true},\"x\":{\"stream_options\":{\"include_usage\":"
     "true}},\"include_usage\":true," S "}"},
    {"a mark of the byte order", CHAT, "\xef\xbb\xbf{" S ",\"stream_options\":null}",
     "\xef\xbb\xbf{" S ",\"stream_options\":{\"include_usage\":true}}"},
    {"usage true", CHAT, "{" S ",\"stream_options\":{\"include_usage\":true}}", NULL},
    {"options twice", CHAT, "{" S ",\"stream_options\":{},\"stream_options\":{}}", NULL},
    {"... once null", CHAT, "{" S ",\"stream_options\":null,\"stream_options\":{}}", NULL},
    {"... null behind", CHAT, "{" S ",\"stream_options\":{},\"stream_options\":null}", NULL},
    {"usage twice", CHAT,
     "{" S ",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}", NULL},
    {"... false first", CHAT,
     "{" S ",\"stream_options\":{\"include_usage\":false,\"include_usage\":false}}", NULL},
    {"options in a list", CHAT, "{" S ",\"stream_options\":[{}]}", NULL},
    {"no stream", CHAT, "{\"stream\":false,\"stream_options\":{}}", NULL},
    {"stream null", CHAT, "{\"stream\":null}", NULL},
    {"nothing of a stream", CHAT, "{\"model\":\"m\"}", NULL},
    {"an empty body", CHAT, "{}", NULL},
    {"an API that always reports", RESP, "{" S "}", NULL},
    {"another such", MESS, "{" S "}", NULL},
};

static void asks_for_the_usage_with_few_bytes(void **state)
{
    const struct meter_rewrite rewrite = {.ask_usage = true};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(asks); i++) {
        struct meter_target target = {.method = "POST", .host = OPENAI, .path = asks[i].path};
        size_t given = strlen(asks[i].body), bytes;
        struct meter_request request;
        char *body;
        enum meter_err err;

        assert_int_equal(meter_request_read(&target, asks[i].body, given, &request, NULL),
                         METER_OK);
        err = meter_request_rewrite(&request, asks[i].body, given, &rewrite, &body, &bytes);
        if (err != (asks[i].want != NULL ? METER_OK : METER_NO_REWRITE))
            fail_msg("%s: %d", asks[i].why, err);
        if (asks[i].want == NULL)
            continue;
        if (strcmp(body, asks[i].want) != 0)
            fail_msg("%s: got %s", asks[i].why, body);
        free(body);
        if (*asks[i].body != '\xef') /* jansson takes no such mark */
            check_rewrite(asks[i].why, &target, asks[i].body, -1, NULL, true);
    }
}

static const struct {
    const char *host, *path, *provider;
    bool asks;
} places[] = {
    {OPENAI, CHAT, NULL, true},
    {OPENAI, COMPLETE, NULL, true},
    {"eu.api.openai.com", "/v1/chat%2Fcompletions?x=y", NULL, true},
    {AZURE, "/openai/v1/chat/completions", NULL, true},
    {AZURE, "/openai/deployments/gpt-4o/chat/completions", NULL, false},
    {"api.x.ai", CHAT, NULL, true},
    {QWEN, "/compatible-mode/v1/chat/completions", NULL, true},
    {"api.writer.com", "/v1/chat", NULL, true},
    {OLLAMA, CHAT, NULL, true},
    {OLLAMA, "/api/chat", NULL, false},
    {HUGGING, CHAT, NULL, true},
    {HUGGING, "/nebius/v1/chat/completions", NULL, false},
    {MISTRAL, CHAT, NULL, false},
    {"api.groq.com", CHAT, NULL, false},
    {"openrouter.ai", "/api/v1/chat/completions", NULL, false},
    {"api.anthropic.com", CHAT, NULL, false},
    {"example.com", CHAT, NULL, false},
    {"example.com", CHAT, "litellm-proxy", true},
    {"example.com", CHAT, "openai", true},
    {"example.com", CHAT, "mistral", false},
    {OPENAI, CHAT, "mistral", false},
};

static void asks_where_the_provider_can_be_asked(void **state)
{
    static const char body[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[]}";

    (void)state;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct meter_target target = {
            .method = "POST", .host = places[i].host, .path = places[i].path};
        struct meter_request request;

        if (places[i].provider != NULL)
            target.provider = meter_provider_by_name(places[i].provider);
        assert_int_equal(meter_request_read(&target, body, sizeof body - 1, &request, NULL),
                         METER_OK);
        if ((request.ask_text != NULL) != places[i].asks)
            fail_msg("%s%s: %s", places[i].host, places[i].path,
                     places[i].asks ? "not asked" : "asked");
    }
}

/* ---- the cap of every API ----------------------------------------------------------------- */

#define GEN      "/v1beta/models/m:generateContent"
#define CONFIG   "generationConfig.maxOutputTokens"
#define ACTIONS  "/v1beta/interactions"
#define RUNS     "/v1/threads/t/runs"
#define FOUND    "/ml/v1/text/generation"
#define SERVICES "/api/v1/services/aigc/text-generation/generation"
#define TGI      "/models/m"

static const struct {
    const char *host, *path, *body;
    const char *key; /* NULL: the cap cannot be set */
} caps[] = {
    {OPENAI, CHAT, "{\"model\":\"m\"}", "max_completion_tokens"},
    {OPENAI, CHAT, "{\"max_tokens\":100,\"model\":\"m\"}", "max_tokens"},
    {OPENAI, CHAT, "{\"max_completion_tokens\":null}", "max_completion_tokens"},
    {OPENAI, CHAT, "{\"max_completion_tokens\":null,\"max_tokens\":9}", "max_tokens"},
    {OPENAI, CHAT, "{\"max_completion_tokens\":9,\"max_tokens\":null}", "max_completion_tokens"},
    {OPENAI, CHAT, "{\"max_tokens\":9.0e1}", "max_tokens"},
    {OPENAI, CHAT, "{\"max_tokens\":100.000000000000000000000000000000000000000}", "max_tokens"},
    {OPENAI, CHAT, "{\"n\":3,\"messages\":[{\"max_tokens\":5}],\"a\":{\"max_tokens\":5}}",
     "max_completion_tokens"},
    {AZURE, "/openai/deployments/m/chat/completions", "{\"messages\":[]}", "max_completion_tokens"},
    {MISTRAL, CHAT, "{\"model\":\"m\"}", "max_tokens"},
    {"example.com", CHAT, "{\"model\":\"m\"}", "max_tokens"},
    {OPENAI, COMPLETE, "{\"prompt\":\"x\"}", "max_tokens"},
    {OPENAI, COMPLETE, "{\"prompt\":[\"x\",\"y\"],\"max_tokens\":16}", "max_tokens"},
    {OPENAI, RESP, "{\"input\":\"x\"}", "max_output_tokens"},
    {OPENAI, RESP, "{\"max_output_tokens\":16}", "max_output_tokens"},
    {OPENAI, "/v1/responses/compact", "{\"input\":[]}", "max_output_tokens"},
    {OPENAI, RUNS, "{\"assistant_id\":\"a\"}", "max_completion_tokens"},
    {"api.anthropic.com", MESS, "{\"model\":\"m\"}", "max_tokens"},
    {"api.anthropic.com", MESS, "{\"max_tokens\":1024,\"thinking\":{\"budget_tokens\":10}}",
     "max_tokens"},
    {"api.anthropic.com", "/v1/complete", "{\"prompt\":\"x\"}", "max_tokens_to_sample"},
    {"us-east5-aiplatform.googleapis.com",
     "/v1/projects/p/locations/us-east5/publishers/anthropic/models/m:streamRawPredict",
     "{\"anthropic_version\":\"x\"}", "max_tokens"},
    {GOOGLE, GEN, "{\"contents\":[]}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":{},\"contents\":[]}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":{ \"topK\":1}}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":null}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":{\"maxOutputTokens\":8}}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":{\"maxOutputTokens\":null}}", CONFIG},
    {GOOGLE, GEN, "{\"generationConfig\":{\"maxOutputTokens\":\"4096\"}}", CONFIG},
    {GOOGLE, GEN, "{\"generation_config\":{\"max_output_tokens\":4096}}",
     "generation_config.max_output_tokens"},
    {GOOGLE, GEN, "{\"generation_config\":{}}", "generation_config.maxOutputTokens"},
    {GOOGLE, ACTIONS, "{\"input\":\"x\"}", "generation_config.max_output_tokens"},
    {GOOGLE, ACTIONS, "{\"generation_config\":{\"max_output_tokens\":8}}",
     "generation_config.max_output_tokens"},
    {"api.cohere.com", "/v1/chat", "{\"message\":\"x\"}", "max_tokens"},
    {"api.cohere.com", "/v2/chat", "{\"max_tokens\":8}", "max_tokens"},
    {"api.cohere.com", "/v1/generate", "{\"prompt\":\"x\"}", "max_tokens"},
    {OLLAMA, "/api/chat", "{\"messages\":[]}", "options.num_predict"},
    {OLLAMA, "/api/chat", "{\"options\":{}}", "options.num_predict"},
    {OLLAMA, "/api/chat", "{\"options\":null}", "options.num_predict"},
    {OLLAMA, "/api/generate", "{\"options\":{\"num_predict\":-1}}", "options.num_predict"},
    {OLLAMA, "/api/generate", "{\"options\":{\"num_predict\":-2,\"seed\":1}}",
     "options.num_predict"},
    {OLLAMA, "/api/generate", "{\"options\":{\"num_predict\":128}}", "options.num_predict"},
    {WATSONX, FOUND, "{\"input\":\"x\"}", "parameters.max_new_tokens"},
    {WATSONX, FOUND, "{\"parameters\":{\"max_new_tokens\":20}}", "parameters.max_new_tokens"},
    {WATSONX, FOUND "_stream", "{\"parameters\":{}}", "parameters.max_new_tokens"},
    {WATSONX, "/ml/v1/text/chat", "{\"model_id\":\"m\"}", "max_tokens"},
    {QWEN, SERVICES, "{\"input\":{\"prompt\":\"x\"}}", "parameters.max_tokens"},
    {QWEN, SERVICES, "{\"parameters\":{\"max_tokens\":5}}", "parameters.max_tokens"},
    {HUGGING, TGI, "{\"inputs\":\"x\"}", "parameters.max_new_tokens"},
    {HUGGING, TGI, "{\"parameters\":{\"max_new_tokens\":5}}", "parameters.max_new_tokens"},
    /* what cannot be */
    {OPENAI, CHAT, "{}", NULL},
    {OPENAI, CHAT, "{ \r\n }", NULL},
    {GOOGLE, GEN, "{}", NULL},
    {OPENAI, CHAT, "{\"max_tokens\":5,\"max_tokens\":5}", NULL},
    {OPENAI, CHAT, "{\"max_tokens\":5,\"max_completion_tokens\":5}", NULL},
    {OPENAI, CHAT, "{\"max_tokens\":null,\"max_tokens\":null}", NULL},
    {OPENAI, CHAT, "{\"prediction\":{\"type\":\"content\"}}", NULL},
    {GOOGLE, GEN, "{\"generationConfig\":{},\"generation_config\":{}}", NULL},
    {GOOGLE, GEN, "{\"generationConfig\":{},\"generationConfig\":null}", NULL},
    {GOOGLE, GEN, "{\"generationConfig\":[]}", NULL},
    {GOOGLE, GEN, "{\"generationConfig\":5}", NULL},
    {OLLAMA, "/api/chat", "{\"options\":\"x\"}", NULL},
    {OPENAI, "/v1/embeddings", "{\"input\":\"x\"}", NULL},
    {OPENAI, "/v1/images/generations", "{\"prompt\":\"x\"}", NULL},
    {OPENAI, "/v1/audio/speech", "{\"input\":\"x\"}", NULL},
    {OPENAI, "/v1/audio/transcriptions", "{\"model\":\"x\"}", NULL},
    {OPENAI, "/v1/moderations", "{\"input\":\"x\"}", NULL},
    {OPENAI, "/v1/videos", "{\"max_tokens\":5}", NULL},
    {MISTRAL, "/v1/ocr", "{\"model\":\"x\"}", NULL},
    {"api.cohere.com", "/v2/rerank", "{\"query\":\"x\"}", NULL},
    {GOOGLE, "/v1beta/models/m:embedContent", "{\"content\":{}}", NULL},
    {BEDROCK, "/model/m/converse", "{\"inferenceConfig\":{\"maxTokens\":5}}", NULL},
    {BEDROCK, "/model/m/invoke", "{\"max_tokens\":5}", NULL},
    {"api.replicate.com", "/v1/models/a/b/predictions", "{\"input\":{\"max_tokens\":5}}", NULL},
};

static void sets_the_cap_of_every_api(void **state)
{
    static const int64_t values[] = {0, 1, 777, 123456, INT64_MAX};
    const struct meter_rewrite rewrite = {.cap_set = true, .cap = 5};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        struct meter_target target = {.method = "POST", .host = caps[i].host, .path = caps[i].path};
        size_t given = strlen(caps[i].body), bytes = 0;
        struct meter_request request;
        char why[256], *body = NULL;

        (void)snprintf(why, sizeof why, "%s%s %.120s", caps[i].host, caps[i].path, caps[i].body);
        if (caps[i].key != NULL) {
            for (size_t k = 0; k < COUNT_OF(values); k++)
                check_rewrite(why, &target, caps[i].body, values[k], caps[i].key, false);
            continue;
        }
        assert_int_equal(meter_request_read(&target, caps[i].body, given, &request, NULL),
                         METER_OK);
        if (request.rewritable || meter_request_rewrite(&request, caps[i].body, given, &rewrite,
                                                        &body, &bytes) != METER_NO_REWRITE)
            fail_msg("%s: rewritten", why);
    }
}

/* A number takes the place of a number that is as long, with blanks behind it. */
static void keeps_the_length_where_it_can(void **state)
{
    static const struct {
        const char *path, *body;
        uint64_t cap;
        const char *want;
    } rows[] = {
        {CHAT, "{\"max_tokens\":4096}", 4095, "{\"max_tokens\":4095}"},
        {CHAT, "{\"max_tokens\":4096,\"n\":1}", 5, "{\"max_tokens\":5   ,\"n\":1}"},
        {CHAT, "{\"max_tokens\":4096}", 10000, "{\"max_tokens\":10000}"},
        {CHAT, "{\"max_tokens\": 9.0e1 }", 89, "{\"max_tokens\": 89    }"},
        {CHAT, "{\"max_tokens\":null}", 1024, "{\"max_tokens\":1024}"},
        {CHAT, "{\"max_tokens\":null}", 16384, "{\"max_tokens\":16384}"},
        {CHAT, "{\"max_tokens\":0}", UINT64_MAX, "{\"max_tokens\":18446744073709551615}"},
        /* of somebody who may pass over the one and obey the other, or take them both for too many
         */
        {CHAT, "{\"max_completion_tokens\":100,\"n\":1}", 7,
         "{\"max_completion_tokens\":null,\"max_tokens\":7,\"n\":1}"},
        {CHAT, "{\"max_tokens\":1000000000000000000.00000000000}", 7,
         "{\"max_tokens\":7                              }"},
        {GEN, "{\"generationConfig\":{\"maxOutputTokens\":\"100\"}}", 7,
         "{\"generationConfig\":{\"maxOutputTokens\":7    }}"},
        {GEN, "{\"generationConfig\":null}", 7, "{\"generationConfig\":{\"maxOutputTokens\":7}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct meter_request request;
        size_t given = strlen(rows[i].body), bytes;
        char *body;

        assert_int_equal(read_body(rows[i].path, rows[i].body, &request, NULL), METER_OK);
        assert_int_equal(recap(&request, rows[i].body, given, rows[i].cap, &body, &bytes),
                         METER_OK);
        if (strcmp(body, rows[i].want) != 0 || bytes != strlen(body))
            fail_msg("%s: got %s", rows[i].body, body);
        free(body);
    }
}

/* ---- both at once ------------------------------------------------------------------------- */

static const struct {
    const char *why, *host, *body, *key;
} both[] = {
    {"both go behind the brace", OPENAI, "{" S "}", "max_completion_tokens"},
    {"... at one that knows the old cap alone", QWEN, "{" S "}", "max_tokens"},
    {"a cap before the options", OPENAI, "{\"max_tokens\":900," S ",\"stream_options\":{}}",
     "max_tokens"},
    {"... behind them", OPENAI, "{\"stream_options\":{}," S ",\"max_tokens\":900}", "max_tokens"},
    {"... behind options null", OPENAI, "{\"stream_options\":null,\"max_tokens\":1," S "}",
     "max_tokens"},
    {"... before a flag", OPENAI,
     "{\"max_tokens\":1,\"stream_options\":{\"include_usage\":false}," S "}", "max_tokens"},
    {"... behind a flag", OPENAI,
     "{\"stream_options\":{\"a\":1,\"include_usage\":null}," S ",\"max_tokens\":900}",
     "max_tokens"},
    {"a cap behind the brace, other options", OPENAI, "{\"stream_options\":{\"a\":1}," S "}",
     "max_completion_tokens"},
    {"... a flag", OPENAI, "{\"stream_options\":{\"include_usage\":false}," S "}",
     "max_completion_tokens"},
    {"options behind the brace, a cap right behind", OPENAI, "{\"max_tokens\":1," S "}",
     "max_tokens"},
    {"a cap, and nothing to ask", OPENAI,
     "{\"stream_options\":{\"include_usage\":true}," S ",\"max_tokens\":900}", "max_tokens"},
    {"a cap, and no stream", OPENAI, "{\"max_tokens\":900}", "max_tokens"},
};

static void sets_and_asks_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        struct meter_target target = {.method = "POST", .host = both[i].host, .path = CHAT};

        check_rewrite(both[i].why, &target, both[i].body, 42, both[i].key, true);
        check_rewrite(both[i].why, &target, both[i].body, INT64_MAX, both[i].key, true);
    }
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void changes_nothing_that_it_cannot(void **state)
{
    static const char body[] = "{" S ",\"max_tokens\":5,\"max_completion_tokens\":5}";
    struct meter_target target = {.method = "POST", .host = OPENAI, .path = CHAT};
    struct meter_rewrite rewrite = {.cap_set = true, .cap = 3, .ask_usage = true};
    struct meter_request request;
    char *made = NULL;
    size_t bytes = 77;

    (void)state;
    assert_int_equal(meter_request_read(&target, body, sizeof body - 1, &request, NULL), METER_OK);
    assert_non_null(request.ask_text); /* but both caps are there */
    assert_int_equal(
        meter_request_rewrite(&request, body, sizeof body - 1, &rewrite, &made, &bytes),
        METER_NO_REWRITE);
    rewrite = (struct meter_rewrite){.cap = 3};
    assert_int_equal(
        meter_request_rewrite(&request, body, sizeof body - 1, &rewrite, &made, &bytes),
        METER_NO_REWRITE);
    rewrite = (struct meter_rewrite){.ask_usage = true};
    for (size_t short_of = 1; short_of < sizeof body; short_of++) { /* another body */
        enum meter_err err = meter_request_rewrite(&request, body, sizeof body - 1 - short_of,
                                                   &rewrite, &made, &bytes);

        assert_int_equal(err,
                         sizeof body - 1 - short_of < request.ask_at ? METER_NO_REWRITE : METER_OK);
        if (err == METER_OK)
            free(made);
        made = NULL;
    }
    assert_null(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_the_usage_with_few_bytes),
        cmocka_unit_test(asks_where_the_provider_can_be_asked),
        cmocka_unit_test(sets_the_cap_of_every_api),
        cmocka_unit_test(keeps_the_length_where_it_can),
        cmocka_unit_test(sets_and_asks_at_once),
        cmocka_unit_test(changes_nothing_that_it_cannot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
