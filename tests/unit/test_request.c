/* SPDX-License-Identifier: Apache-2.0 */
/* Reading requests: recognising them, the fields that decide cost, what an agent cannot hide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/requests.h"

/* ---- fields ------------------------------------------------------------------------------- */

static const char *const tiers[METER_TIERS] = {"standard", "priority", "flex", "batch", "fast"};

static void summary_write(const struct meter_request *r, char *out, size_t room)
{
    (void)snprintf(
        out, room,
        " m=%s stream=%d window=%d w5=%d w1=%d tier=%s cap=%lld budget=%lld n=%llu "
        "search=%llu set=%d ",
        r->model, r->stream, r->context_window, r->cache_write_5m, r->cache_write_1h,
        tiers[r->tier], (long long)r->output_cap, (long long)r->thinking_budget,
        (unsigned long long)r->choices,
        (unsigned long long)(r->counts[METER_WEB_SEARCHES] + r->counts[METER_FILE_SEARCHES]),
        r->rewritable);
}

/* Every word of want stands in the summary. */
static bool summary_has(const char *summary, const char *want)
{
    char words[256], *save = NULL, probe[128];
    bool all = true;

    (void)snprintf(words, sizeof words, "%s", want);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        (void)snprintf(probe, sizeof probe, " %s ", word);
        all &= strstr(summary, probe) != NULL;
    }
    return all;
}

static const struct {
    const char *why, *path, *body, *want;
} fields[] = {
    {"nothing", CHAT, "{}", "m= stream=0 window=0 w5=1 cap=-1 budget=-1 n=1 search=0 set=0"},
    {"the usual chat", CHAT,
     "{\"model\":\"gpt-4o\",\"messages\":[],\"stream\":true,\"max_tokens\":100,\"n\":3}",
     "m=gpt-4o stream=1 cap=100 n=3 tier=standard set=1"},
    {"the newer cap", CHAT, "{\"max_completion_tokens\":7}", "cap=7 set=1"},
    {"both caps", CHAT, "{\"max_tokens\":5,\"max_completion_tokens\":7}", "cap=7 set=0"},
    {"both caps, one null", CHAT, "{\"max_tokens\":5,\"max_completion_tokens\":null}",
     "cap=5 set=1"},
    {"a null cap", CHAT, "{\"max_tokens\":null}", "cap=-1 set=1"},
    {"a cap twice", CHAT, "{\"max_tokens\":9,\"max_tokens\":5}", "cap=9 set=0"},
    {"a cap twice, null last", CHAT, "{\"max_tokens\":9,\"max_tokens\":null}", "cap=-1 set=0"},
    {"a hidden cap", CHAT, "{\"max\\u005ftokens\":9,\"max_tokens\":5}", "cap=9 set=0"},
    {"a hidden model", CHAT, "{\"mod\\u0065l\":\"gpt\\u002d4o\"}", "m=gpt-4o"},
    {"a cap as a float", CHAT, "{\"max_tokens\":6.0}", "cap=6"},
    {"a cap elsewhere", CHAT, "{\"x\":{\"max_tokens\":6},\"messages\":[{\"max_tokens\":6}]}",
     "cap=-1 set=1"},
    {"a prediction", CHAT, "{\"model\":\"m\",\"prediction\":{\"content\":\"x\"}}", "set=0"},
    {"the same model twice", CHAT, "{\"model\":\"m\",\"model\":\"m\"}", "m=m"},
    {"stream twice", CHAT, "{\"stream\":true,\"stream\":false}", "stream=1"},
    {"n twice", CHAT, "{\"n\":4,\"n\":1}", "n=4"},
    {"n null", CHAT, "{\"n\":null}", "n=1"},
    {"tier auto", CHAT, "{\"service_tier\":\"auto\"}", "tier=priority"},
    {"tier priority", RESP, "{\"service_tier\":\"priority\"}", "tier=priority"},
    {"tier fast, another name of priority", CHAT, "{\"service_tier\":\"fast\"}", "tier=priority"},
    {"tier flex", RESP, "{\"service_tier\":\"flex\"}", "tier=standard"},
    {"tier null", RESP, "{\"service_tier\":null}", "tier=standard"},
    {"a tier nobody knows", RESP, "{\"service_tier\":\"ultrafast\"}", "tier=fast"},
    {"tier twice", RESP, "{\"service_tier\":\"priority\",\"service_tier\":\"flex\"}",
     "tier=priority"},
    {"a function", CHAT, "{\"tools\":[{\"type\":\"function\",\"function\":{}}]}", "window=0"},
    {"a tool that runs there", RESP, "{\"tools\":[{\"type\":\"code_interpreter\"}]}",
     "window=1 search=0"},
    {"a tool as an object", RESP, "{\"tools\":{\"type\":\"code_interpreter\"}}", "window=1"},
    {"a hidden tool", RESP, "{\"tools\":[{\"\\u0074ype\":\"\\u006dcp\"}]}", "window=1"},
    {"a search", RESP, "{\"tools\":[{\"type\":\"web_search_preview\"}]}", "window=1 search=16"},
    {"searches with a bound", RESP,
     "{\"tools\":[{\"type\":\"web_search\"},{\"type\":\"file_search\"}],\"max_tool_calls\":3}",
     "window=1 search=3"},
    {"chat's search", CHAT, "{\"web_search_options\":{},\"n\":2}", "window=1 search=2"},
    {"no search", CHAT, "{\"web_search_options\":null}", "window=0 search=0"},
    {"an earlier response", RESP, "{\"previous_response_id\":\"r\"}", "window=1"},
    {"no earlier response", RESP, "{\"previous_response_id\":null}", "window=0"},
    {"a conversation", RESP, "{\"conversation\":{\"id\":\"c\"}}", "window=1"},
    {"a stored prompt", RESP, "{\"prompt\":{\"id\":\"p\"}}", "window=1"},
    {"a remote image", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"https://x/y.png\"}}]}]}", "window=1"},
    {"a remote image, as a string", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":\"https://x/y.png\"}]}]}", "window=1"},
    {"an image in the body", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64," PNG_1X1
     "\"}}]}]}",
     "window=0"},
    {"a file by its id", CHAT, "{\"messages\":[{\"content\":[{\"file\":{\"file_id\":\"f\"}}]}]}",
     "window=1"},
    {"a packed file", RESP,
     "{\"input\":[{\"role\":\"user\",\"content\":[{\"file_data\":\"UEsDBBQABgAI\"}]}]}",
     "window=1"},
    {"an image that a tool gave", RESP,
     "{\"input\":[{\"type\":\"function_call_output\",\"output\":[{\"image_url\":\"http://x\"}]}]}",
     "window=1"},
    {"text alone", RESP, "{\"input\":\"hello\",\"max_output_tokens\":5}", "window=0 cap=5 set=1"},
    {"messages", RESP, "{\"input\":[{\"role\":\"user\",\"content\":\"x\"}]}", "window=0"},
    {"a reference to an item", RESP, "{\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]}",
     "window=1"},
    {"a reference without a type", RESP, "{\"input\":[{\"id\":\"i\"}]}", "window=1"},
    {"reasoning kept elsewhere", RESP, "{\"input\":[{\"type\":\"reasoning\",\"id\":\"i\"}]}",
     "window=1"},
    {"reasoning in the body", RESP,
     "{\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"abc\"}]}", "window=0"},
    {"the usual messages", MESS,
     "{\"model\":\"claude\",\"max_tokens\":5,\"thinking\":{\"budget_tokens\":2000}}",
     "m=claude cap=5 budget=2000 w5=0 w1=0 tier=standard set=1"},
    {"a cache write", MESS,
     "{\"system\":[{\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}]}", "w5=1 w1=0"},
    {"a cache write for an hour", MESS,
     "{\"messages\":[{\"content\":[{\"cache_control\":{\"ttl\":\"1h\"}}]}]}", "w5=1 w1=1"},
    {"a cache write of five minutes", MESS, "{\"cache_control\":{\"ttl\":\"5m\"}}", "w5=1 w1=0"},
    {"a cache write of tools", MESS, "{\"tools\":[{\"name\":\"t\",\"cache_control\":{}}]}",
     "w5=1 window=0"},
    {"the fast mode", MESS, "{\"speed\":\"fast\"}", "tier=fast"},
    {"the usual speed", MESS, "{\"speed\":\"standard\",\"service_tier\":\"auto\"}",
     "tier=standard"},
    {"a search with a bound of its own", MESS,
     "{\"tools\":[{\"type\":\"web_search_20250305\",\"max_uses\":4}]}", "window=1 search=4"},
    {"a search without", MESS, "{\"tools\":[{\"type\":\"web_search_20250305\"}]}",
     "window=1 search=10"},
    {"tools that the client runs", MESS,
     "{\"tools\":[{\"type\":\"bash_20250124\"},{\"type\":\"custom\"},{\"name\":\"x\"}]}",
     "window=0"},
    {"an advisor", MESS, "{\"tools\":[{\"type\":\"advisor_20260301\"}]}", "window=1"},
    {"servers of tools", MESS, "{\"mcp_servers\":[{\"url\":\"x\"}]}", "window=1"},
    {"no servers of tools", MESS, "{\"mcp_servers\":[]}", "window=0"},
    {"a document by its address", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"type\":\"url\",\"url\":\"x\"}}]}]}", "window=1"},
    {"an image of a tool's, by address", MESS,
     "{\"messages\":[{\"content\":[{\"content\":[{\"source\":{\"url\":\"x\"}}]}]}]}", "window=1"},
    {"the usual Gemini", GEMI,
     "{\"contents\":[],\"generationConfig\":{\"maxOutputTokens\":9,\"candidateCount\":2,"
     "\"thinkingConfig\":{\"thinkingBudget\":128}}}",
     "m=gemini-2.5-flash cap=9 n=2 budget=128 set=1 w5=0"},
    {"the other spelling", GEMI,
     "{\"generation_config\":{\"max_output_tokens\":9,\"thinking_config\":{\"thinking_budget\":-1}}"
     "}",
     "cap=9 budget=-1 set=1"},
    {"both spellings", GEMI,
     "{\"generation_config\":{\"max_output_tokens\":9},\"generationConfig\":{\"maxOutputTokens\":8}"
     "}",
     "cap=9 set=0"},
    {"a cap in quotes", GEMI, "{\"generationConfig\":{\"maxOutputTokens\":\"9\"}}", "cap=9 set=1"},
    {"a config that is none", GEMI, "{\"generationConfig\":[1]}", "set=0"},
    {"a search by Google", GEMI, "{\"tools\":[{\"googleSearch\":{}}]}", "window=1 search=16"},
    {"a tool nobody knows", GEMI, "{\"tools\":[{\"newTool\":{}}]}", "window=1 search=0"},
    {"a tool that is off", GEMI, "{\"tools\":[{\"codeExecution\":null}]}", "window=0"},
    {"functions", GEMI, "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]}", "window=0"},
    {"a lone tool", GEMI, "{\"tools\":{\"url_context\":{}}}", "window=1"},
    {"cached content", GEMI, "{\"cachedContent\":\"c\"}", "window=1"},
    {"a stored file", GEMI, "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"x\"}}]}]}",
     "window=1"},
    {"a stored file in lone objects", GEMI,
     "{\"contents\":{\"parts\":{\"file_data\":{\"file_uri\":\"x\"}}}}", "window=1"},
    {"a stream", "/v1beta/models/m:streamGenerateContent", "{}", "stream=1 m=m"},
    {"an API nobody reads", "/v1/videos", "{\"model\":\"e\",\"stream\":true}",
     "m=e stream=1 window=1 set=0"},
    {"... and not JSON", "/v1/videos", "--x\r\n", "m= window=1"},
};

static void reads_the_fields_that_decide_cost(void **state)
{
    struct meter_request request;
    struct meter_error error = {""};
    char summary[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        enum meter_err err = read_body(fields[i].path, fields[i].body, &request, &error);

        if (err != METER_OK)
            fail_msg("%s: %s: %s", fields[i].why, meter_strerror(err), error.text);
        summary_write(&request, summary, sizeof summary);
        if (!summary_has(summary, fields[i].want))
            fail_msg("%s: want \"%s\", got \"%s\"", fields[i].why, fields[i].want, summary);
    }
}

static const struct {
    const char *why, *path, *body;
    enum meter_err want;
} errors[] = {
    {"no body", CHAT, "", METER_NOT_JSON},
    {"no JSON", CHAT, "hello", METER_NOT_JSON},
    {"half a body", CHAT, "{\"model\":\"m\"", METER_NOT_JSON},
    {"two bodies", CHAT, "{}{}", METER_NOT_JSON},
    {"an array", CHAT, "[{\"model\":\"m\"}]", METER_NOT_JSON},
    {"a string", CHAT, "\"x\"", METER_NOT_JSON},
    {"single quotes", GEMI, "{'contents':[]}", METER_NOT_JSON},
    {"a compressed body", CHAT, "\x1f\x8b\x08", METER_NOT_JSON},
    {"a cap of -1", CHAT, "{\"max_tokens\":-1}", METER_BAD_FIELD},
    {"an endless cap", CHAT, "{\"max_tokens\":1e309}", METER_BAD_FIELD},
    {"a cap of 1.5", CHAT, "{\"max_tokens\":1.5}", METER_BAD_FIELD},
    {"a cap of 2^64", CHAT, "{\"max_tokens\":18446744073709551616}", METER_BAD_FIELD},
    {"a cap in quotes", CHAT, "{\"max_tokens\":\"12\"}", METER_BAD_FIELD},
    {"a cap that is true", MESS, "{\"max_tokens\":true}", METER_BAD_FIELD},
    {"a cap that is a list", MESS, "{\"max_tokens\":[1]}", METER_BAD_FIELD},
    {"-1 choices", CHAT, "{\"n\":-1}", METER_BAD_FIELD},
    {"a negative budget", MESS, "{\"thinking\":{\"budget_tokens\":-5}}", METER_BAD_FIELD},
    {"a model that is a number", CHAT, "{\"model\":1}", METER_BAD_FIELD},
    {"a model that is null", CHAT, "{\"model\":null}", METER_BAD_FIELD},
    {"an empty model", CHAT, "{\"model\":\"\"}", METER_BAD_FIELD},
    {"a model with a NUL", CHAT, "{\"model\":\"a\\u0000b\"}", METER_BAD_FIELD},
    {"two models", CHAT, "{\"model\":\"a\",\"model\":\"b\"}", METER_BAD_FIELD},
    {"two models, one hidden", MESS, "{\"model\":\"a\",\"mode\\u006c\":\"b\"}", METER_BAD_FIELD},
    {"a long model", CHAT,
     "{\"model\":"
     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""
     "}",
     METER_BAD_FIELD},
};

static void refuses_what_it_cannot_bound(void **state)
{
    struct meter_request request;
    struct meter_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        enum meter_err err;

        error.text[0] = '\0';
        memset(&request, 0x5a, sizeof request);
        err = read_body(errors[i].path, errors[i].body, &request, &error);
        if (err != errors[i].want || strstr(error.text, "at byte") == NULL)
            fail_msg("%s: want %d, got %d (%s)", errors[i].why, errors[i].want, err, error.text);
        assert_int_equal(request.model[0], 0x5a); /* untouched */
    }
}

static void refuses_a_body_above_256_mib(void **state)
{
    struct meter_target target = {.method = "POST", .host = "x", .path = CHAT};
    struct meter_request request;
    struct meter_error error;

    (void)state; /* the size alone decides: the bytes are not looked at */
    assert_int_equal(
        meter_request_read(&target, "{}", (size_t)METER_REQUEST_MAX + 1, &request, &error),
        METER_TOO_LARGE);
}

static void accepts_a_byte_order_mark(void **state)
{
    struct meter_request request;
    char *body;
    size_t bytes;

    (void)state;
    assert_int_equal(read_body(CHAT, "\xef\xbb\xbf{\"max_tokens\":77}", &request, NULL), METER_OK);
    assert_int_equal(recap(&request, "\xef\xbb\xbf{\"max_tokens\":77}", 20, 5, &body, &bytes),
                     METER_OK);
    assert_string_equal(body, "\xef\xbb\xbf{\"max_tokens\":5 }");
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_fields_that_decide_cost),
        cmocka_unit_test(refuses_what_it_cannot_bound),
        cmocka_unit_test(refuses_a_body_above_256_mib),
        cmocka_unit_test(accepts_a_byte_order_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
