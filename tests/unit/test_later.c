/* SPDX-License-Identifier: Apache-2.0 */
/* What is ordered now and fetched later: the order is charged its hold, because its answer tells
 * nothing of the cost, and fetching is free. Answers that tell something are none of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/requests.h"

#define XAI  "api.x.ai"
#define ZAI  "api.z.ai"
#define DASH "dashscope.aliyuncs.com"
#define REPL "api.replicate.com"
#define PRED "/v1/models/a/b/predictions"
#define TASK "/api/v1/services/aigc/text-generation/generation"

enum charge { HOLD, ESTIMATE, REPORTED }; /* of what is free: nothing */

static const struct {
    const char *why, *host, *method, *path, *body;
    int status;
    const char *answer;
    enum charge want;
} cases[] = {
    {"a chat that is deferred", XAI, "POST", CHAT, "{\"deferred\":true}", 200,
     "{\"request_id\":\"r\"}", HOLD},
    {"... asked for too early", XAI, "GET", "/v1/chat/deferred-completion/r", "", 202, "",
     REPORTED},
    {"... fetched", XAI, "GET", "/v1/chat/deferred-completion/r", "", 200,
     "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":5}}", REPORTED},
    {"... that a stream was asked of", XAI, "POST", CHAT, "{\"deferred\":true,\"stream\":true}",
     200, "{\"request_id\":\"r\"}", HOLD},
    {"a chat by its path", ZAI, "POST", "/api/paas/v4/async/chat/completions", "{}", 200,
     "{\"id\":\"t\",\"model\":\"glm\",\"task_status\":\"PROCESSING\"}", HOLD},
    {"... fetched", ZAI, "GET", "/api/paas/v4/async-result/t", "", 200, "{\"choices\":[]}",
     REPORTED},
    {"a task by its header", DASH, "POST", TASK, "{}", 200,
     "{\"output\":{\"task_id\":\"t\",\"task_status\":\"PENDING\"},\"request_id\":\"r\"}", HOLD},
    {"... fetched", DASH, "GET", "/api/v1/tasks/t", "", 200, "{\"output\":{\"text\":\"a\"}}",
     REPORTED},
    {"a prediction that starts", REPL, "POST", PRED, "{}", 201,
     "{\"id\":\"p\",\"status\":\"starting\",\"input\":{\"prompt\":\"a\"},\"output\":null}", HOLD},
    {"... that was waited for", REPL, "POST", PRED, "{}", 201,
     "{\"id\":\"p\",\"status\":\"processing\",\"output\":[\"a\"]}", HOLD},
    {"... to its end", REPL, "POST", PRED, "{}", 201,
     "{\"status\":\"succeeded\",\"output\":[\"a\"]}", ESTIMATE},
    {"a prediction behind a router", "router.huggingface.co", "POST",
     "/replicate/v1/models/a/b/predictions", "{}", 201, "{\"id\":\"p\",\"status\":\"starting\"}",
     HOLD},
    {"a response in the background", "api.openai.com", "POST", RESP, "{\"background\":true}", 200,
     "{\"id\":\"r\",\"status\":\"queued\",\"usage\":null,\"output\":[]}", HOLD},
    {"nothing", XAI, "POST", CHAT, "{}", 200, "{}", HOLD},
    {"an answer of no words", XAI, "POST", CHAT, "{}", 200,
     "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}", ESTIMATE},
    {"an error", XAI, "POST", CHAT, "{}", 200, "{\"error\":{}}", ESTIMATE},
    {"a model that is loaded", "localhost:11434", "POST", "/api/generate", "{}", 200,
     "{\"done\":true}", ESTIMATE},
    {"sound", XAI, "POST", CHAT, "{}", 200, "{\"choices\":[{\"message\":{\"audio\":{}}}]}",
     ESTIMATE},
    {"pictures", XAI, "POST", "/v1/images/generations", "{\"model\":\"m\"}", 200, "{\"data\":[{}]}",
     ESTIMATE},
    {"figures alone", XAI, "POST", "/v1/responses", "{}", 200,
     "{\"usage\":{\"input_tokens\":5,\"output_tokens\":0}}", REPORTED},
    {"vectors", XAI, "POST", "/v1/embeddings", "{}", 200, "{\"data\":[{\"embedding\":[0.5]}]}",
     ESTIMATE},
    {"moderation", "api.openai.com", "POST", "/v1/moderations", "{}", 200, "{\"results\":[{}]}",
     ESTIMATE},
    {"a ranking", "api.cohere.com", "POST", "/v2/rerank", "{}", 200, "{\"results\":[{}]}",
     ESTIMATE},
    {"... at Bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "POST", "/model/cohere.r/invoke",
     "{}", 200, "{\"results\":[{\"index\":2}]}", ESTIMATE},
    {"vectors at home", "localhost:11434", "POST", "/api/embeddings", "{}", 200,
     "{\"embedding\":[0.5]}", ESTIMATE},
    {"... of several texts", "localhost:11434", "POST", "/api/embed", "{}", 200,
     "{\"embeddings\":[[0.5]]}", ESTIMATE},
};

static void usage_of(const struct meter_request *request, int status, const char *answer,
                     size_t cut, struct meter_usage *out)
{
    const struct meter_response response = {.status = status};
    struct meter_stream *stream = meter_stream_new(request, &response);

    assert_non_null(stream);
    assert_int_equal(meter_stream_feed(stream, answer, cut), METER_OK);
    assert_int_equal(meter_stream_feed(stream, answer + cut, strlen(answer) - cut), METER_OK);
    meter_stream_usage(stream, true, out);
    meter_stream_free(stream);
}

static enum charge charge_of(const struct meter_request *request, const struct meter_usage *usage)
{
    const struct meter_settling settling = {.request = request,
                                            .usage = usage,
                                            .end = METER_END_WHOLE,
                                            .held_tokens = 5000,
                                            .held_pusd = 7000,
                                            .held_cap = 100};
    struct meter_bill bill;

    meter_bill_make(&settling, &bill);
    if (bill.charged_unknown)
        assert_true(bill.charged_pusd == 7000 && bill.tokens_total == 5000);
    return bill.charged_unknown ? HOLD : bill.provenance == METER_ESTIMATED ? ESTIMATE : REPORTED;
}

static void charges_orders_and_not_what_is_fetched(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct meter_request request;
        struct meter_usage usage;
        struct meter_error error = {""};

        if (read_at(cases[i].host, cases[i].method, cases[i].path, cases[i].body,
                    strlen(cases[i].body), &request, &error) != METER_OK)
            fail_msg("%s: %s", cases[i].why, error.text);
        for (size_t cut = 0; cut <= strlen(cases[i].answer); cut++) {
            usage_of(&request, cases[i].status, cases[i].answer, cut, &usage);
            if (charge_of(&request, &usage) != cases[i].want)
                fail_msg("%s, cut at %zu: %d", cases[i].why, cut, charge_of(&request, &usage));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(charges_orders_and_not_what_is_fetched)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
