/* SPDX-License-Identifier: Apache-2.0 */
/* Holds: the upper bound of a call as a line in its output cap. */
#include <stdio.h>

#include "tests/unit/price_test.h"

#define CHAT "/v1/chat/completions"
#define MESS "/v1/messages"
#define QWEN "/compatible-mode/v1/chat/completions"
#define GEMI "/v1beta/models/gemini-2.5-flash:generateContent"

/* Prices of providers that the common book has not. */
static const char more_text[] =
    "provider|model|prompt_from|service|input|output|web_search|second|request|context_tokens|"
    "output_tokens|hidden_tps|free\n"
    "openai|gpt-4o-transcribe|0|standard|2.5|10|-|-|-|16000|2000|-|-\n"
    "vertex|gemini-2.5-flash|0|standard|0.3|2.5|0.035|-|-|1048576|65536|yes|-\n"
    "vertex|gemini-2.5-flash|0|priority|0.54|4.5|0.035|-|-|1048576|65536|yes|-\n"
    "openrouter|x-ai/grok-4|0|standard|3|15|0.005|-|-|256000|256000|yes|-\n"
    "openrouter|z-ai/glm-4.5-air:free|0|standard|0|0|-|-|-|131072|96000|yes|yes\n"
    "groq|openai/gpt-oss-120b|0|standard|0.15|0.6|-|-|-|131072|65536|yes|-\n"
    "groq|whisper-large-v3|0|standard|-|-|-|0.00003|-|448|448|-|-\n"
    "dashscope|qwen3.5-plus|0|standard|0.4|2.4|-|-|-|1000000|65536|-|-\n"
    "dashscope|qwen-plus|0|standard|0.4|1.2|-|-|-|131072|32768|-|-\n"
    "dashscope|qwq-plus|0|standard|0.8|2.4|-|-|-|131072|8192|-|-\n"
    "perplexity|sonar|0|standard|1|1|-|-|0.012|127072|114364|-|-\n";

static struct meter_price_book *common;

static int load_more(void **state)
{
    struct meter_error error = {""};

    (void)load_book(state);
    common = book;
    if (parse(more_text, common, &book, &error) != METER_OK)
        fail_msg("more prices: %s", error.text);
    return 0;
}

static int drop_more(void **state)
{
    (void)drop_book(state);
    meter_price_book_free(common);
    return 0;
}

static void line_of(const char *host, const char *path, const char *body, const char *provider,
                    struct meter_request *request, struct meter_hold_line *line)
{
    struct meter_target target = {.method = "POST", .host = host, .path = path};
    struct meter_price price;
    bool priced;

    assert_int_equal(meter_request_read(&target, body, strlen(body), request, NULL), METER_OK);
    priced = find(book, provider, request->model, NOW, &price) == METER_OK;
    meter_hold_line_make(request, priced ? &price : NULL, line);
}

static const struct {
    const char *why, *host, *path, *provider, *body;
    uint64_t input; /* added to what the request says; UINT64_MAX: that alone */
    uint64_t full, smallest;
    uint64_t input_rate, output_rate; /* femto-dollars per token */
} lines[] = {
    {"the cap of the request", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":5000,\"service_tier\":\"default\"}", 0, 5000, 1024,
     2500000000, 10000000000},
    {"a small cap", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":10,\"service_tier\":\"default\"}", 0, 10, 10, 2500000000,
     10000000000},
    {"a tier that the project may be set to", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":10}", 0, 10, 10, 4250000000, 17000000000},
    {"... also where it is null", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":10,\"service_tier\":null}", 0, 10, 10, 4250000000,
     17000000000},
    {"... or that a header may name", "aiplatform.googleapis.com",
     "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-flash:generateContent",
     "vertex", "{\"generationConfig\":{\"maxOutputTokens\":10}}", 0, 10, 10, 540000000, 4500000000},
    {"the cap of the model", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"service_tier\":\"default\"}", 0, 16384, 1024, 2500000000,
     10000000000},
    {"priority", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":10,\"service_tier\":\"auto\"}", 0, 10, 10, 4250000000,
     17000000000},
    {"flex is held as standard", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-5-nano\",\"max_tokens\":10,\"service_tier\":\"flex\"}", 0, 10, 10, 50000000,
     400000000},
    {"a cache write of OpenAI's, where there is one", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-5.6-sol\",\"max_tokens\":10,\"service_tier\":\"default\"}", 0, 10, 10,
     5000000000, 20000000000},
    {"the larger of cap and thinking", "api.anthropic.com", MESS, "anthropic",
     "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":9000,\"thinking\":{\"budget_tokens\":4000}}",
     0, 9000, 5024, 1000000000, 5000000000},
    {"a cache write", "api.anthropic.com", MESS, "anthropic",
     "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":10,\"cache_control\":{}}", 0, 10, 10,
     1250000000, 5000000000},
    {"a cache write for an hour", "api.anthropic.com", MESS, "anthropic",
     "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":10,\"cache_control\":{\"ttl\":\"1h\"}}", 0, 10,
     10, 2000000000, 5000000000},
    {"the fast mode", "api.anthropic.com", MESS, "anthropic",
     "{\"model\":\"claude-opus-4-6\",\"max_tokens\":10,\"speed\":\"fast\"}", 0, 10, 10, 30000000000,
     150000000000},
    {"the whole window, at the price of its tier", "api.anthropic.com", MESS, "anthropic",
     "{\"model\":\"claude-sonnet-5-5\",\"max_tokens\":10,\"container\":\"c\"}", 1000000, 10, 10,
     2000000000, 10000000000},
    {"the dearer tier of a long prompt", "generativelanguage.googleapis.com",
     "/v1beta/models/gemini-2.5-pro:generateContent", "gemini",
     "{\"cachedContent\":\"x\",\"generationConfig\":{\"maxOutputTokens\":10}}", 1048576, 10, 10,
     2500000000, 15000000000},
    {"reasoning that the cap spares", "api.x.ai", CHAT, "xai",
     "{\"model\":\"grok-4\",\"max_completion_tokens\":10}", 0, 256010, 256010, 3000000000,
     15000000000},
    {"... is within the model's own cap", "api.x.ai", CHAT, "xai", "{\"model\":\"grok-4\"}", 0,
     256000, 256000, 3000000000, 15000000000},
    {"... and is none where a model does not reason", "api.x.ai", CHAT, "xai",
     "{\"model\":\"grok-3\",\"max_completion_tokens\":10}", 0, 10, 10, 3000000000, 15000000000},
    {"... nor where the cap counts it", "api.x.ai", "/v1/responses", "xai",
     "{\"model\":\"grok-4\",\"max_output_tokens\":10,\"input\":\"\"}", 0, 10, 10, 3000000000,
     15000000000},
    {"... nor what another sells under that name", "openrouter.ai", "/api/v1/chat/completions",
     "openrouter", "{\"model\":\"x-ai/grok-4\",\"max_tokens\":10}", 0, 256010, 256010, 3000000000,
     15000000000},
    {"thoughts beyond the cap", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwen3.5-plus\",\"max_tokens\":10}", 0, 1000010, 1000010, 400000000, 2400000000},
    {"... up to a budget", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwen3.5-plus\",\"max_tokens\":10,\"thinking_budget\":90}", 0, 100, 100,
     400000000, 2400000000},
    {"... that are off", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwen3.5-plus\",\"max_tokens\":10,\"enable_thinking\":false}", 0, 10, 10,
     400000000, 2400000000},
    {"... that never are", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwq-plus\",\"max_tokens\":10,\"enable_thinking\":false}", 0, 131082, 131082,
     800000000, 2400000000},
    {"... that are not asked for", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwen-plus\",\"max_tokens\":10}", 0, 10, 10, 400000000, 1200000000},
    {"... that are", "dashscope.aliyuncs.com", QWEN, "dashscope",
     "{\"model\":\"qwen-plus\",\"enable_thinking\":true}", 0, 32768 + 131072, 32768 + 131072,
     400000000, 1200000000},
    {"what a prediction has wrong", "api.openai.com", CHAT, "openai",
     "{\"model\":\"gpt-4o\",\"max_tokens\":10,\"service_tier\":\"default\",\"prediction\":\"abc\"}",
     0, 15, 15, 2500000000, 10000000000},
    {"sound at an address, at the rate of sound", "generativelanguage.googleapis.com", GEMI,
     "gemini",
     "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"x\"}}]}],\"generationConfig\":{"
     "\"maxOutputTokens\":10}}",
     1048576, 10, 10, 1000000000, 2500000000},
    {"pictures that a model may make", "generativelanguage.googleapis.com",
     "/v1beta/models/gemini-2.5-flash-image:generateContent", "gemini",
     "{\"a\":1,\"generationConfig\":{\"maxOutputTokens\":10}}", 0, 10, 10, 300000000, 30000000000},
};

static void holds_at_the_dearest_that_can_come(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct meter_request request;
        struct meter_hold_line line;
        uint64_t input;

        line_of(lines[i].host, lines[i].path, lines[i].body, lines[i].provider, &request, &line);
        input = lines[i].input != 0 ? lines[i].input : request.input_tokens;
        if (!line.priced || line.input_tokens != input || line.full_cap != lines[i].full ||
            line.smallest_cap != lines[i].smallest || line.output_rate != lines[i].output_rate ||
            line.input_fusd != (meter_wide)input * lines[i].input_rate)
            fail_msg("%s: input %llu at %llu, caps %llu and %llu, output at %llu", lines[i].why,
                     (unsigned long long)line.input_tokens,
                     (unsigned long long)(line.input_fusd / (input ? input : 1)),
                     (unsigned long long)line.full_cap, (unsigned long long)line.smallest_cap,
                     (unsigned long long)line.output_rate);
        assert_int_equal(meter_hold_tokens(&line, 100), input + 100);
    }
}

/* A window bounds one input: three of 8,000 bytes are not bounded by 8,192 tokens. */
static void several_inputs_have_a_window_each(void **state)
{
    static const struct {
        const char *path, *format;
        bool several;
    } rows[] = {
        {"/v1/embeddings",
         "{\"model\":\"text-embedding-3-small\",\"input\":[\"%s\",\"%s\",\"%s\"]}", true},
        {"/v1/completions",
         "{\"model\":\"text-embedding-3-small\",\"max_tokens\":1,\"prompt\":[\"%s\",\"%s\",\"%s\"]"
         "}",
         true},
        {CHAT,
         "{\"model\":\"text-embedding-3-small\",\"max_tokens\":1,\"messages\":[{\"content\":\"%s%s%"
         "s\"}]}",
         false},
    };
    static char text[8001], body[3 * sizeof text + 200];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct meter_request request;
        struct meter_hold_line line;

        (void)snprintf(body, sizeof body, rows[i].format, text, text, text);
        line_of("api.openai.com", rows[i].path, body, "openai", &request, &line);
        assert_int_equal(line.input_tokens > 24000, rows[i].several);
        assert_int_equal(line.input_tokens == 8192, !rows[i].several);
    }
}

/* What no figure bounds has no hold: under a limit it is refused. */
static void bounds_nothing_that_has_no_bound(void **state)
{
    static const struct {
        const char *why, *host, *path, *provider, *body;
        bool bounded;
    } rows[] = {
        {"a container", "api.openai.com", "/v1/responses", "openai",
         "{\"model\":\"gpt-5-nano\",\"tools\":[{\"type\":\"code_interpreter\"}]}", false},
        {"a search with a fee", "api.openai.com", "/v1/responses", "openai",
         "{\"model\":\"gpt-4o\",\"tools\":[{\"type\":\"web_search\"}]}", true},
        {"a search whose fee is not known", "api.groq.com", "/openai/v1/chat/completions", "groq",
         "{\"model\":\"openai/gpt-oss-120b\",\"tools\":[{\"type\":\"browser_search\"}]}", false},
        {"... with a free model", "openrouter.ai", "/api/v1/chat/completions", "openrouter",
         "{\"model\":\"z-ai/glm-4.5-air:free:online\"}", false},
        {"... that is none", "openrouter.ai", "/api/v1/chat/completions", "openrouter",
         "{\"model\":\"z-ai/glm-4.5-air:free\"}", true},
        {"... that is part of the call's", "api.perplexity.ai", "/chat/completions", "perplexity",
         "{\"model\":\"sonar\",\"web_search_options\":{}}", true},
        {"seconds that nobody can say", "api.groq.com", "/openai/v1/audio/transcriptions", "groq",
         "{\"model\":\"whisper-large-v3\",\"url\":\"https://x/y.mp3\"}", false},
        {"... of a model that is billed by tokens", "api.openai.com", "/v1/audio/transcriptions",
         "openai", "{\"model\":\"gpt-4o-transcribe\",\"url\":\"https://x/y.mp3\"}", true},
        {"several inputs, one at an address", "api.openai.com", "/v1/embeddings", "openai",
         "{\"model\":\"text-embedding-3-small\",\"images\":[\"https://x/y.png\"]}", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct meter_request request;
        struct meter_hold_line line;
        bool bounded;

        line_of(rows[i].host, rows[i].path, rows[i].body, rows[i].provider, &request, &line);
        bounded = line.input_tokens != UINT64_MAX && meter_hold_cost(&line, 0) != INT64_MAX;
        if (!line.priced || bounded != rows[i].bounded)
            fail_msg("%s: priced %d, input %llu", rows[i].why, line.priced,
                     (unsigned long long)line.input_tokens);
    }
}

static void holds_choices_searches_and_sound(void **state)
{
    struct meter_request request;
    struct meter_hold_line line;
    uint64_t text;

    (void)state;
    line_of("api.openai.com", CHAT,
            "{\"model\":\"gpt-4o\",\"n\":3,\"max_tokens\":10,\"web_search_options\":{}"
            ",\"service_tier\":\"default\"}",
            "openai", &request, &line);
    assert_int_equal(line.input_tokens, 128000);
    assert_int_equal(meter_hold_tokens(&line, 10), 128000 + 30);
    /* 128,000 x $2.50 + 3 searches at $0.01 + 30 x $10, per million */
    assert_int_equal(meter_hold_cost(&line, 10), 320000000000 + 30000000000 + 300000000);
    line_of("api.openai.com", CHAT,
            "{\"model\":\"gpt-audio-mini\",\"max_tokens\":10,\"messages\":[{\"content\":[{"
            "\"input_audio\":{\"data\":\"//uQRAAAAAAA\"}}]}]}",
            "openai", &request, &line);
    text = request.input_tokens - request.audio_input_tokens;
    assert_true(request.audio_input_tokens > 10000);
    assert_true(line.input_fusd == (meter_wide)text * 600000000 +
                                       (meter_wide)request.audio_input_tokens * 10000000000);
    assert_int_equal(line.output_rate, 20000000000); /* it may speak */
}

static void never_reads_no_price_as_free(void **state)
{
    struct meter_request request;
    struct meter_hold_line line;

    (void)state;
    line_of("api.openai.com", CHAT, "{\"model\":\"gpt-99\",\"max_tokens\":10}", "openai", &request,
            &line);
    assert_false(line.priced);
    assert_int_equal(meter_hold_cost(&line, 10), INT64_MAX);
    assert_int_equal(line.full_cap, 10);
    line_of("api.openai.com", CHAT, "{\"model\":\"gpt-99\"}", "openai", &request, &line);
    assert_int_equal(line.full_cap, UINT64_MAX);
    assert_int_equal(meter_hold_tokens(&line, line.full_cap), UINT64_MAX);
    /* A row that lacks the rate of output. */
    line_of("api.openai.com", CHAT, "{\"model\":\"text-embedding-3-small\",\"max_tokens\":1}",
            "openai", &request, &line);
    assert_true(line.priced);
    assert_int_equal(meter_hold_cost(&line, 1), INT64_MAX);
    /* No window is known of a model without a price. */
    line_of("api.openai.com", CHAT, "{\"model\":\"gpt-99\",\"web_search_options\":{}}", "openai",
            &request, &line);
    assert_int_equal(line.input_tokens, UINT64_MAX);
    /* A row that says it is free. */
    line_of("api.openai.com", CHAT, "{\"model\":\"omni-moderation-latest\",\"max_tokens\":9}",
            "openai", &request, &line);
    assert_int_equal(meter_hold_cost(&line, 9), 0);
}

static void saturates_towards_refusal(void **state)
{
    struct meter_hold_line line = {.priced = true, .choices = UINT64_MAX, .output_rate = 1};

    (void)state;
    assert_int_equal(meter_hold_cost(&line, 2), INT64_MAX);
    assert_int_equal(meter_hold_tokens(&line, 2), UINT64_MAX);
    line.choices = 1;
    line.output_rate = UINT64_MAX - 1;
    assert_int_equal(meter_hold_cost(&line, UINT64_MAX - 1), INT64_MAX);
    line.output_rate = METER_NO_RATE;
    assert_int_equal(meter_hold_cost(&line, 1), INT64_MAX);
    assert_int_equal(meter_hold_cost(&line, 0), 0);
    line.input_fusd = ~(meter_wide)0;
    assert_int_equal(meter_hold_cost(&line, 0), INT64_MAX);
    line.input_fusd = (meter_wide)INT64_MAX * 1000;
    assert_int_equal(meter_hold_cost(&line, 0), INT64_MAX);
    line.input_fusd = 1; /* rounded up */
    assert_int_equal(meter_hold_cost(&line, 0), 1);
}

/* The cost is a line: the governor may search for the largest cap that fits. */
static void grows_with_the_cap(void **state)
{
    struct meter_request request;
    struct meter_hold_line line;

    (void)state;
    line_of("api.openai.com", CHAT, "{\"model\":\"gpt-4o\",\"n\":2,\"service_tier\":\"default\"}",
            "openai", &request, &line);
    for (uint64_t cap = 0; cap < 16384; cap += 97)
        assert_int_equal(meter_hold_cost(&line, cap + 1) - meter_hold_cost(&line, cap), 20000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_at_the_dearest_that_can_come),
        cmocka_unit_test(several_inputs_have_a_window_each),
        cmocka_unit_test(bounds_nothing_that_has_no_bound),
        cmocka_unit_test(holds_choices_searches_and_sound),
        cmocka_unit_test(never_reads_no_price_as_free),
        cmocka_unit_test(saturates_towards_refusal),
        cmocka_unit_test(grows_with_the_cap),
    };

    return cmocka_run_group_tests(tests, load_more, drop_more);
}
