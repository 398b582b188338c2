/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request goes to, which API it calls, and what model its path names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/glob.h"
#include "tests/unit/requests.h"

/* ---- recognising -------------------------------------------------------------------------- */

static const char *const kinds[] = {"billable", "read-only", "polled", "unknown"};

static const struct {
    const char *host, *method, *path, *want;
} calls[] = {
    {"api.openai.com", "POST", CHAT, "openai chat.completions billable"},
    {"api.openai.com:443", "POST", CHAT, "openai chat.completions billable"},
    {"API.OpenAI.com.", "POST", CHAT, "openai chat.completions billable"},
    {"us.api.openai.com", "POST", RESP, "openai responses billable"},
    {"evilapi.openai.com", "POST", RESP, "unknown responses billable"},
    {"api.openai.com.evil.com", "POST", RESP, "unknown responses billable"},
    {"api.openai.com", "POST", "/v1/chat//completions/", "openai chat.completions billable"},
    {"api.openai.com", "POST", "/v1/ch%61t/completions", "openai chat.completions billable"},
    {"api.openai.com", "POST", "/v1/responses?x=1", "openai responses billable"},
    {"api.openai.com", "POST", "/v1/responses/compact", "openai responses.compact billable"},
    {"api.openai.com", "POST", "/v1/responses/input_tokens",
     "openai responses.input_tokens read-only"},
    {"api.openai.com", "POST", "/v1/embeddings", "openai embeddings billable"},
    {"api.openai.com", "POST", "/v1/new/thing", "openai  unknown"},
    {"api.openai.com", "POST", "/v1/files", "openai files read-only"},
    {"api.openai.com", "GET", "/v1/models/gpt-4o", "openai models read-only"},
    {"api.openai.com", "GET", "/v1/responses/resp_1", "openai responses.retrieve polled"},
    {"api.openai.com", "GET", "/v1/realtime", "openai  unknown"},
    {"api.openai.com", "GET", "/v1/responses", "openai  unknown"},
    {"api.openai.com", "DELETE", "/v1/files/f", "openai read read-only"},
    {"api.openai.com", "PUT", "/v1/x", "openai  unknown"},
    {"api.anthropic.com", "POST", MESS, "anthropic messages billable"},
    {"api.anthropic.com", "POST", "/v1/messages/count_tokens",
     "anthropic messages.count_tokens read-only"},
    {"api.anthropic.com", "POST", "/v1/messages/batches", "anthropic  unknown"},
    {"api.anthropic.com", "POST", "/v1/complete", "anthropic complete billable"},
    {"generativelanguage.googleapis.com", "POST", GEMI, "gemini generateContent billable"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/models/m%3AstreamGenerateContent",
     "gemini streamGenerateContent billable"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/models/m:countTokens",
     "gemini countTokens read-only"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/openai/chat/completions",
     "gemini chat.completions billable"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/cachedContents",
     "gemini read read-only"},
    {"127.0.0.1:8080", "POST", "/proxy/v1/messages", "unknown messages billable"},
    {"x.com", "POST", "/messages", "unknown messages billable"},
    {"x.com", "POST", "/api/messages", "unknown  unknown"},
    {"x.com", "POST", "/model/a/converse", "unknown converse billable"},
    {"x.com", "GET", CHAT, "unknown read read-only"},
    {"api.openai.com", "POST", "/v1/completions", "openai completions billable"},
    {"api.openai.com", "POST", "/v1/images/edits", "openai images.edits billable"},
    {"api.openai.com", "POST", "/v1/audio/speech", "openai audio.speech billable"},
    {"api.openai.com", "POST", "/v1/audio/translations", "openai audio.translations billable"},
    {"api.openai.com", "POST", "/v1/moderations", "openai moderations billable"},
    {"api.openai.com", "POST", "/v1/threads/t/runs", "openai threads.runs billable"},
    {"api.openai.com", "GET", "/v1/threads/t/runs/r", "openai threads.runs.retrieve polled"},
    {"api.openai.com", "GET", "/v1/responses/r/input_items", "openai read read-only"},
    {"api.openai.com", "POST", "/v1/threads/t/messages", "openai read read-only"},
    {"api.openai.com", "POST", "/v1/batches", "openai batches unknown"},
    {"api.anthropic.com", "POST", "/v1/messages/batches/b/cancel", "anthropic read read-only"},
    {"api.together.ai", "POST", "/v1/batches", "together  unknown"},
    {"api.fireworks.ai", "POST", "/v1/accounts/a/batchInferenceJobs", "fireworks  unknown"},
    {"api.mistral.ai", "POST", "/v1/batch/jobs", "mistral  unknown"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/models/m:batchGenerateContent",
     "gemini  unknown"},
    {"generativelanguage.googleapis.com", "POST", "/v1beta/models/m:predictLongRunning",
     "gemini  unknown"},
    {"us-central1-aiplatform.googleapis.com", "POST",
     "/v1/projects/p/locations/l/batchPredictionJobs", "vertex  unknown"},
    {"bedrock-runtime.us-east-1.amazonaws.com", "POST", "/async-invoke", "bedrock  unknown"},
    {"bedrock.us-east-1.amazonaws.com", "POST", "/model-invocation-job", "bedrock  unknown"},
    {"api.perplexity.ai", "POST", "/async/chat/completions", "perplexity  unknown"},
    {"api.perplexity.ai", "GET", "/async/chat/completions/r", "perplexity read read-only"},
    {"r.openai.azure.com", "POST", "//openai/deployments/d/chat/completions",
     "azure-openai chat.completions billable"},
    {"r.services.ai.azure.com", "POST", "/anthropic/v1/messages", "azure-openai messages billable"},
    {"eu-aiplatform.googleapis.com", "POST",
     "/v1/projects/p/locations/eu/publishers/anthropic/models/claude-x:streamRawPredict",
     "vertex streamRawPredict billable"},
    {"eu-aiplatform.googleapis.com", "POST",
     "/v1/projects/p/locations/eu/publishers/mistralai/models/mistral-x:streamRawPredict",
     "vertex chat.streamRawPredict billable"},
    {"eu-aiplatform.googleapis.com", "POST", "/v1/projects/p/locations/eu/cachedContents",
     "vertex  unknown"}, /* billed as input, unlike at Gemini */
    {"generativelanguage.googleapis.com", "POST", "/upload/v1beta/files", "gemini files read-only"},
    {"generativelanguage.googleapis.com", "POST",
     "/upload/v1beta/fileSearchStores/x:uploadToFileSearchStore", "gemini  unknown"},
    {"aiplatform.googleapis.com", "POST",
     "/v1/projects/p/locations/global/publishers/google/models/text-embedding-005:predict",
     "vertex predict billable"},
    {"bedrock-runtime.us-east-1.amazonaws.com", "POST", "/model/a.b-v1%3A0/converse-stream",
     "bedrock converse-stream billable"},
    {"bedrock-runtime.us-east-1.amazonaws.com", "POST", "/model/a/count-tokens",
     "bedrock messages.count_tokens read-only"},
    {"bedrock-mantle.us-east-1.api.aws", "POST", "/openai/v1/responses",
     "bedrock responses billable"},
    {"api.mistral.ai", "POST", "/v1/fim/completions", "mistral completions billable"},
    {"api.mistral.ai", "POST", "/v1/ocr", "mistral ocr billable"},
    {"api.cohere.ai", "POST", "/v1/chat", "cohere v1.chat billable"},
    {"api.writer.com:443", "POST", "/v1/chat", "writer chat.completions billable"},
    {"api.groq.com", "POST", "/openai/v1/chat/completions", "groq chat.completions billable"},
    {"us-east-1.api.x.ai", "POST", RESP, "xai responses billable"},
    {"openrouter.ai", "POST", "/api/v1/chat/completions", "openrouter chat.completions billable"},
    {"localhost:11434", "POST", "/api/generate", "ollama api.generate billable"},
    {"[::1]:11434", "POST", "/api/chat", "ollama api.chat billable"},
    {"127.0.0.1:11434", "POST", "/api/show", "ollama read read-only"},
    {"127.0.0.1:11435", "POST", "/api/chat", "unknown api.chat billable"},
    {"router.huggingface.co", "POST", "/novita/v3/openai/chat/completions",
     "huggingface chat.completions billable"},
    {"us-south.ml.cloud.ibm.com", "POST", "/ml/v1/text/generation_stream",
     "watsonx text.generation_stream billable"},
    {"dashscope-intl.aliyuncs.com", "POST",
     "/api/v1/services/aigc/multimodal-generation/generation", "dashscope generation billable"},
    {"a-b.snowflakecomputing.com", "POST", "/api/v2/cortex/v1/chat/completions",
     "snowflake chat.completions billable"},
    {"api.replicate.com", "POST", "/v1/predictions", "replicate predictions billable"},
    {"us.inference.heroku.com", "POST", CHAT, "heroku chat.completions billable"},
};

static void recognises_providers_and_apis(void **state)
{
    struct meter_request request;
    char got[128];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        assert_int_equal(
            read_at(calls[i].host, calls[i].method, calls[i].path, "{}", 2, &request, NULL),
            METER_OK);
        (void)snprintf(got, sizeof got, "%s %s %s", meter_provider_name(request.provider),
                       meter_api_name(request.api), kinds[request.kind]);
        if (strcmp(got, calls[i].want) != 0)
            fail_msg("%s %s%s: want \"%s\", got \"%s\"", calls[i].method, calls[i].host,
                     calls[i].path, calls[i].want, got);
        assert_true(request.api != NULL || request.kind == METER_UNKNOWN);
    }
}

static const struct {
    const char *api, *provider, *endpoint;
    bool want;
} endpoints[] = {
    {"chat.completions", "openai", "v1/chat/completions", true},
    {"chat.completions", "openai", "v1/responses", false},
    {"chat.completions", "openai", "v1/embeddings", false},
    {"messages", "anthropic", "v1/messages", true},
    {"chat.completions", "groq", "openai/v1/chat/completions", true},
    {"api.chat", "ollama", "api/chat", true},
    {"chat.completions", "ollama", "api/chat", false},
    {"chat.completions", "openai", "models/of/ours", true}, /* nobody knows it */
    {"chat.completions", "openai", NULL, true},
};

static void endpoints_are_of_an_api(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(endpoints); i++)
        if (meter_api_may_be(meter_api_by_name(endpoints[i].api),
                             meter_provider_by_name(endpoints[i].provider),
                             endpoints[i].endpoint) != endpoints[i].want)
            fail_msg("%s of %s at %s: not %d", endpoints[i].api, endpoints[i].provider,
                     endpoints[i].endpoint != NULL ? endpoints[i].endpoint : "(none)",
                     endpoints[i].want);
}

static void takes_the_configured_provider(void **state)
{
    struct meter_target target = {.method = "POST", .host = "localhost", .path = MESS};
    struct meter_request request;

    (void)state;
    target.provider = meter_provider_by_name("anthropic");
    assert_int_equal(meter_request_read(&target, "{}", 2, &request, NULL), METER_OK);
    assert_string_equal(meter_provider_name(request.provider), "anthropic");
    assert_null(meter_provider_by_name("nobody"));
    assert_null(meter_provider_by_host("nobody.example"));
    assert_null(meter_provider_by_host(NULL));
    assert_ptr_equal(meter_api_by_name("messages"), request.api);
    assert_null(meter_api_by_name("nothing"));
    assert_string_equal(meter_api_name(NULL), "");
}

static void shapes_errors_like_the_provider(void **state)
{
    static const struct {
        const char *provider, *path;
        enum meter_shape want;
    } rows[] = {
        {"vertex", "/publishers/anthropic/models/x:streamRawPredict", METER_SHAPE_ANTHROPIC},
        {"vertex", "/publishers/mistralai/models/x:streamRawPredict", METER_SHAPE_OPENAI},
        {"gemini", CHAT, METER_SHAPE_OPENAI},
        {"openai", "/x", METER_SHAPE_OPENAI},
        {"anthropic", "/x", METER_SHAPE_ANTHROPIC},
        {"gemini", "/x", METER_SHAPE_GEMINI},
        {NULL, MESS, METER_SHAPE_ANTHROPIC},
        {NULL, GEMI, METER_SHAPE_GEMINI},
        {NULL, CHAT, METER_SHAPE_OPENAI},
        {"unknown", MESS, METER_SHAPE_ANTHROPIC},
        {NULL, "/nothing", METER_SHAPE_OPENAI},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct meter_provider *provider =
            rows[i].provider != NULL ? meter_provider_by_name(rows[i].provider) : NULL;

        assert_int_equal(meter_shape_of(provider, rows[i].path), rows[i].want);
    }
}

/* ---- the tables --------------------------------------------------------------------------- */

static void patterns_end_in_four_plain_bytes(void **state)
{
    static const char *const patterns[] = {
#define METER_HOST_ROW(id, pattern, paths)  pattern,
#define METER_PATH_ROW(pattern, shape, api) pattern,
#include "meter/providers.def"
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        size_t size = strlen(patterns[i]);

        if (size < 4 || memchr(patterns[i] + size - 4, '*', 4) != NULL)
            fail_msg("%s: hosts and paths that nobody named would not be told apart", patterns[i]);
    }
}

static void names_fit_the_ledger(void **state)
{
    const struct meter_provider *provider = NULL;
    size_t count = 0;

    (void)state;
    while ((provider = meter_provider_next(provider)) != NULL) {
        assert_true(strlen(meter_provider_name(provider)) < 24);
        assert_ptr_equal(meter_provider_by_name(meter_provider_name(provider)), provider);
        count++;
    }
    assert_int_equal(count, PROVIDERS);
}

static void reads_the_model_of_a_path(void **state)
{
    static const struct {
        const char *host, *path, *body, *want;
    } rows[] = {
        {"bedrock-runtime.us-east-1.amazonaws.com", "/model/us.a.b-v1%3A0/converse", "{}",
         "us.a.b-v1:0"},
        {"bedrock-runtime.us-east-1.amazonaws.com",
         "/model/arn%3Aaws%3Abedrock%3Aus%3A1%3Ainference-profile%2Fus.a.b/invoke", "{}", "us.a.b"},
        {"bedrock-runtime.us-east-1.amazonaws.com", "/model/a/invoke", "{\"model\":\"b\"}", "a"},
        {"r.openai.azure.com", "/openai/deployments/mine/chat/completions",
         "{\"model\":\"another\"}", "mine"},
        {"r.openai.azure.com", "/openai/v1/chat/completions", "{\"model\":\"gpt\"}", "gpt"},
        {"aiplatform.googleapis.com",
         "/v1/projects/p/locations/l/publishers/anthropic/models/claude@20250101:rawPredict", "{}",
         "claude@20250101"},
        {"api.openai.com", "/v1/moderations", "{}", "omni-moderation-latest"},
    };
    struct meter_request request;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_at(rows[i].host, "POST", rows[i].path, rows[i].body,
                                 strlen(rows[i].body), &request, NULL),
                         METER_OK);
        if (strcmp(request.model, rows[i].want) != 0)
            fail_msg("%s: want %s, got %s", rows[i].path, rows[i].want, request.model);
    }
}

static void knows_where_a_call_is_served(void **state)
{
    static const struct {
        const char *host, *path, *body;
        bool want;
    } rows[] = {
        {"api.openai.com", CHAT, "{}", false},
        {"eu.api.openai.com", CHAT, "{}", true},
        {"us-east-1.api.x.ai", CHAT, "{}", true},
        {"api.x.ai", CHAT, "{}", false},
        {"aiplatform.googleapis.com",
         "/v1/projects/p/locations/global/publishers/g/models/m:predict", "{}", false},
        {"us-central1-aiplatform.googleapis.com",
         "/v1/projects/p/locations/us-central1/publishers/g/models/m:predict", "{}", true},
        {"bedrock-runtime.us-west-2.amazonaws.com", "/model/a/converse", "{}", false},
        {"bedrock-runtime-fips.us-east-2.amazonaws.com", "/model/a/converse", "{}", false},
        {"bedrock-runtime.ap-northeast-1.amazonaws.com", "/model/a/converse", "{}", true},
        {"api.anthropic.com", MESS, "{\"inference_geo\":\"us\"}", true},
        {"api.anthropic.com", MESS, "{\"inference_geo\":\"global\"}", false},
    };
    struct meter_request request;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(read_at(rows[i].host, "POST", rows[i].path, rows[i].body,
                                 strlen(rows[i].body), &request, NULL),
                         METER_OK);
        if (request.regional != rows[i].want)
            fail_msg("%s%s %s", rows[i].host, rows[i].path, rows[i].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recognises_providers_and_apis),
        cmocka_unit_test(endpoints_are_of_an_api),
        cmocka_unit_test(takes_the_configured_provider),
        cmocka_unit_test(shapes_errors_like_the_provider),
        cmocka_unit_test(patterns_end_in_four_plain_bytes),
        cmocka_unit_test(names_fit_the_ledger),
        cmocka_unit_test(reads_the_model_of_a_path),
        cmocka_unit_test(knows_where_a_call_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
