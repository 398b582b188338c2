/* SPDX-License-Identifier: Apache-2.0 */
/* From the id of a request or an answer to a row of the book: what each provider's ids may carry
 * beside the name, and nothing else. */
#include <stdio.h>

#include "tests/unit/price_test.h"

/* '|' stands for a tab. */
static const char ids_text[] =
    "provider|model|aliases|input|output|free|search_unit\n"
    "openai|gpt-4o|-|2.5|10|-|-\n"
    "openai|gpt-4o-mini-2024-07-18|-|0.15|0.6|-|-\n"
    "openai|gpt-4-turbo|-|10|30|-|-\n"
    "openai|gpt-4-turbo-2024-04-09|-|5|15|-|-\n"
    "openai|gpt-4-turbo-preview|gpt-4-turbo-preview-20240125|10|30|-|-\n"
    "openai|gpt-4.1|-|2|8|-|-\n"
    "openai|gpt-4.1-2025-04-14|-|2|8|-|-\n"
    "openai|ft:gpt-4o-mini|-|0.3|1.2|-|-\n"
    "azure-openai|gpt-4o|GPT-4-Omni|2.5|10|-|-\n"
    "anthropic|claude-opus-4-6|-|5|25|-|-\n"
    "gemini|gemini-2.5-pro|-|1.25|10|-|-\n"
    "vertex|gemini-2.5-pro|-|1.25|10|-|-\n"
    "vertex|claude-opus-4-5|-|5|25|-|-\n"
    "vertex|llama-3.3-70b-instruct-maas|-|0.72|0.72|-|-\n"
    "bedrock|anthropic.claude-opus-4-6|anthropic.claude-opus-4-6-v1|5.5|27.5|-|-\n"
    "bedrock|eu.anthropic.claude-opus-4-6|-|5.5|27.5|-|-\n"
    "bedrock|anthropic.claude-haiku-4-5|-|1.1|5.5|-|-\n"
    "bedrock|amazon.titan-embed-text-v1|-|0.1|-|-|-\n"
    "bedrock|amazon.titan-embed-text-v2|amazon.titan-embed-text-v2:0|0.02|-|-|-\n"
    "bedrock|cohere.rerank|-|-|-|-|0.002\n"
    "bedrock|amazon.odd|-|1.000000001|2|-|-\n"
    "bedrock|us.meta.llama3-3-70b-instruct|-|0.72|0.72|-|-\n"
    "bedrock|openai.gpt-oss-20b|openai.gpt-oss-20b-1:0|0.07|0.3|-|-\n"
    "openrouter|anthropic/claude-opus-4.6|-|5|25|-|-\n"
    "openrouter|anthropic/claude-opus-4.6:batch|-|2.5|12.5|-|-\n"
    "openrouter|z-ai/glm-4.5-air|-|0.2|1.1|-|-\n"
    "openrouter|z-ai/glm-4.5-air:free|-|-|-|yes|-\n"
    "dashscope|qwen3-max|qwen3-max-2025-09-23|1.2|6|-|-\n"
    "fireworks|accounts/fireworks/models/kimi-k2p6|-|0.95|4|-|-\n"
    "huggingface|meta-llama/llama-3.3-70b-instruct|-|0.9|0.9|-|-\n"
    "huggingface|meta-llama/llama-3.3-70b-instruct:together|-|0.88|0.88|-|-\n"
    "minimax|MiniMax-M2|-|0.3|1.2|-|-\n"
    "ollama|*|-|-|-|yes|-\n"
    "ollama|gpt-oss:20b-cloud|-|0.07|0.3|-|-\n";

static struct meter_price_book *ids;

static int load_ids(void **state)
{
    struct meter_error error = {""};

    (void)state;
    if (parse(ids_text, NULL, &ids, &error) != METER_OK)
        fail_msg("the tests' own book: %s", error.text);
    return 0;
}

static int drop_ids(void **state)
{
    (void)state;
    meter_price_book_free(ids);
    return 0;
}

struct match_case {
    const char *why, *provider, *model, *want; /* want NULL: no price; "~x": x, estimated */
};

static void check_match(const struct match_case *c)
{
    struct meter_price price = {.row = "none"};
    enum meter_err err = find(ids, c->provider, c->model, NOW, &price);
    char got[METER_ROW_MAX + 1], want[METER_ROW_MAX + 1] = "none";

    (void)snprintf(got, sizeof got, "%s%s", price.estimated ? "~" : "",
                   err == METER_OK ? strchr(price.row, '/') + 1 : price.row);
    if (c->want != NULL)
        (void)snprintf(want, sizeof want, "%s", c->want);
    if (err != (c->want != NULL ? METER_OK : METER_NO_PRICE) || strcmp(got, want) != 0)
        fail_msg("%s: %s/%s gave %s, want %s", c->why, c->provider, c->model, got, want);
}

#define OPUS_BEDROCK "anthropic.claude-opus-4-6"
#define ARN          "arn:aws:bedrock:us-east-1:123456789012:"

static const struct match_case match_cases[] = {
    {"capitals", "openai", "GPT-4O", "gpt-4o"},
    {"capitals of the book", "minimax", "MiniMax-M2", "minimax-m2"},
    {"percent signs", "bedrock", "anthropic%2Eclaude-opus-4-6-v1%3A0", OPUS_BEDROCK},
    {"half a percent sign", "openai", "gpt-4o%2", NULL},
    {"a NUL", "openai", "gpt-4o%00", NULL},
    {"a deployment that is no model", "azure-openai", "my-deployment", NULL},
    {"a deployment that is one", "azure-openai", "GPT-4-Omni", "gpt-4o"},
    {"what Azure answers", "azure-openai", "gpt-4o-2024-11-20", "gpt-4o"},
    {"fine-tuned elsewhere", "azure-openai", "ft:gpt-4o-mini:a:b:c", NULL},
    {"models/ where it is none", "openai", "models/gpt-4o", NULL},
    {"models/", "gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"},
    {"a path of Vertex", "vertex",
     "projects/p/locations/eu/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"},
    {"a publisher", "vertex", "publishers/anthropic/models/claude-opus-4-5@20251101",
     "claude-opus-4-5"},
    {"a publisher in front", "vertex", "meta/llama-3.3-70b-instruct-maas",
     "llama-3.3-70b-instruct-maas"},
    {"@default", "vertex", "claude-opus-4-5@default", "claude-opus-4-5"},
    {"@ elsewhere", "anthropic", "claude-opus-4-6@default", NULL},
    {"only @", "vertex", "@default", NULL},
    {"an empty publisher", "vertex", "publishers//models/gemini-2.5-pro", NULL},
    {"a version", "bedrock", "anthropic.claude-opus-4-6-v1:0", OPUS_BEDROCK},
    {"an alias with a version", "bedrock", "anthropic.claude-opus-4-6-v1", OPUS_BEDROCK},
    {"a version and a date", "bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0",
     "anthropic.claude-haiku-4-5"},
    {"a version that is the name", "bedrock", "amazon.titan-embed-text-v2:0",
     "amazon.titan-embed-text-v2"},
    {"the other version", "bedrock", "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v1"},
    {"a version without a name", "bedrock", "amazon.titan-embed-text-v3:0", NULL},
    {"a version's name by its number", "bedrock", "openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b"},
    {"no version", "bedrock", "anthropic.claude-opus-4-6-v:0", NULL},
    {"a second version", "bedrock", "anthropic.claude-opus-4-6-v2:0", NULL},
    {"a first version, again", "bedrock", "anthropic.claude-opus-4-6-v1:17", OPUS_BEDROCK},
    {"an eleventh", "bedrock", "anthropic.claude-opus-4-6-v11:0", NULL},
    {"what else a version has", "bedrock", "anthropic.claude-opus-4-6-v1:0:48k", NULL},
    {"half a version", "bedrock", "anthropic.claude-opus-4-6-v1:", NULL},
    {"a version elsewhere", "anthropic", "claude-opus-4-6-v1:0", NULL},
    {"a region that is known", "bedrock", "eu.anthropic.claude-opus-4-6-v1:0",
     "eu.anthropic.claude-opus-4-6"},
    {"a region that is not", "bedrock", "apac.anthropic.claude-opus-4-6-v1:0", "~" OPUS_BEDROCK},
    {"a region, exactly", "bedrock", "us-gov.anthropic.claude-opus-4-6", "~" OPUS_BEDROCK},
    {"a region and a version that is the name", "bedrock", "jp.amazon.titan-embed-text-v2:0",
     "~amazon.titan-embed-text-v2"},
    {"another region's is no base", "bedrock", "eu.meta.llama3-3-70b-instruct-v1:0", NULL},
    {"two regions", "bedrock", "us.eu.anthropic.claude-opus-4-6", "~eu.anthropic.claude-opus-4-6"},
    {"no region", "bedrock", "xx.anthropic.claude-opus-4-6", NULL},
    {"a region elsewhere", "anthropic", "us.claude-opus-4-6", NULL},
    {"and on Vertex", "vertex", "us.claude-opus-4-5", NULL},
    {"an ARN", "bedrock", ARN ":foundation-model/anthropic.claude-opus-4-6-v1:0", OPUS_BEDROCK},
    {"an ARN's region", "bedrock", ARN "inference-profile/sa.anthropic.claude-opus-4-6-v1:0",
     "~" OPUS_BEDROCK},
    {"an ARN of one's own", "bedrock", ARN "application-inference-profile/abc123", NULL},
    {"an ARN without an end", "bedrock", ARN "foundation-model/", NULL},
    {"only an ARN", "bedrock", "arn:", NULL},
    {"a routing suffix", "openrouter", "anthropic/claude-opus-4.6:nitro",
     "anthropic/claude-opus-4.6"},
    {"another", "openrouter", "anthropic/claude-opus-4.6:floor", "anthropic/claude-opus-4.6"},
    {"another", "openrouter", "anthropic/claude-opus-4.6:exacto", "anthropic/claude-opus-4.6"},
    {"another", "openrouter", "Anthropic/Claude-Opus-4.6:online", "anthropic/claude-opus-4.6"},
    {"a variant of the catalogue", "openrouter", "anthropic/claude-opus-4.6:batch",
     "anthropic/claude-opus-4.6:batch"},
    {"a free one", "openrouter", "z-ai/glm-4.5-air:free", "z-ai/glm-4.5-air:free"},
    {"a variant that is not there", "openrouter", "anthropic/claude-opus-4.6:free", NULL},
    {"another", "openrouter", "anthropic/claude-opus-4.6:thinking", NULL},
    {"dashes for dots", "openrouter", "anthropic/claude-opus-4-6", NULL},
    {"no maker", "openrouter", "claude-opus-4.6", NULL},
    {"a routing suffix elsewhere", "openai", "gpt-4o:nitro", NULL},
    {"a partner", "huggingface", "meta-llama/Llama-3.3-70B-Instruct:together",
     "meta-llama/llama-3.3-70b-instruct:together"},
    {"a policy", "huggingface", "meta-llama/Llama-3.3-70B-Instruct:cheapest",
     "meta-llama/llama-3.3-70b-instruct"},
    {"a partner that is not there", "huggingface", "meta-llama/llama-3.3-70b-instruct:novita",
     NULL},
    {"a whole path", "fireworks", "accounts/fireworks/models/kimi-k2p6",
     "accounts/fireworks/models/kimi-k2p6"},
    {"half a path", "fireworks", "kimi-k2p6", NULL},
    {"a date", "openai", "gpt-4o-20241120", "gpt-4o"},
    {"a date with a price of its own", "openai", "gpt-4-turbo-2024-04-09",
     "gpt-4-turbo-2024-04-09"},
    {"a date beside it", "openai", "gpt-4-turbo-2024-04-10", NULL},
    {"in the other form", "openai", "gpt-4-turbo-20240409", NULL},
    {"a date as an alias hinders none", "openai", "gpt-4-turbo-preview-2024-04-09",
     "gpt-4-turbo-preview"},
    {"a date at the same price hinders none", "openai", "gpt-4.1-20260101", "gpt-4.1"},
    {"two dates", "openai", "gpt-4o-2024-11-20-2024-11-20", NULL},
    {"in two forms", "openai", "gpt-4o-20241120-2024-11-20", NULL},
    {"in the other order", "openai", "gpt-4o-2024-11-20-20241120", NULL},
    {"no date", "openai", "gpt-4o-2024-13-20", NULL},
    {"a date where none is taken off", "dashscope", "qwen3-max-2026-01-23", NULL},
    {"but one that is listed", "dashscope", "qwen3-max-2025-09-23", "qwen3-max"},
    {"everything", "ollama", "llama3.3:70b-instruct-q4_K_M", "*"},
    {"but one", "ollama", "gpt-oss:20b-cloud", "gpt-oss:20b-cloud"},
    {"nothing is not everything", "ollama", "", NULL},
    {"nor is a NUL", "ollama", "llama3.3%00", NULL},
    {"an asterisk elsewhere", "openai", "*", NULL},
    {"a provider without rows", "writer", "palmyra-x5", NULL},
    {"-latest", "anthropic", "claude-opus-4-6-latest", NULL},
};

static void ids_match_by_the_steps_of_their_provider(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(match_cases); i++)
        check_match(&match_cases[i]);
}

/* An id of any length, in any provider, reads no byte beyond it: the sanitizers look on. */
static void ids_of_any_length_are_survived(void **state)
{
    static const char *const providers[] = {"openai",  "gemini",     "vertex",
                                            "bedrock", "openrouter", "huggingface"};
    static const char *const patterns[] = {"/", ":",   "-v1:0", "%4",
                                           "@", "us.", "arn:/", "2026-01-01-"};

    (void)state;
    for (size_t p = 0; p < COUNT(providers); p++) {
        for (size_t i = 0; i < COUNT(patterns); i++) {
            for (size_t bytes = 0; bytes < 700; bytes++) {
                char *id = malloc(bytes + 1); /* exactly as long as said */
                struct meter_price price;

                for (size_t b = 0; b < bytes; b++)
                    id[b] = patterns[i][b % strlen(patterns[i])];
                id[bytes] = '\0';
                assert_int_equal(find(ids, providers[p], id, NOW, &price), METER_NO_PRICE);
                free(id);
            }
        }
    }
}

static void an_estimated_region_costs_six_fifths_rounded_up(void **state)
{
    static const uint64_t tokens[METER_BUCKETS] = {[METER_INPUT] = 1, [METER_CACHE_READ] = 1};
    const uint64_t counts[METER_COUNTS] = {0};
    const struct meter_price_key key = {.prompt_tokens = 2};
    struct meter_price price;
    struct meter_rates rates;
    const char *tier;
    int64_t cost;

    (void)state;
    assert_int_equal(find(ids, "bedrock", "jp." OPUS_BEDROCK, NOW, &price), METER_OK);
    meter_price_rates(&price, &key, &rates, &tier);
    assert_string_equal(tier, "estimated");
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(6600000000));
    assert_int_equal(rates.token[METER_OUTPUT], UINT64_C(33000000000));
    assert_int_equal(meter_price_cost(&rates, tokens, counts, &cost), METER_OK);
    assert_int_equal(cost, 13200000); /* the default of a cache read is the estimated input rate */
    assert_int_equal(find(ids, "bedrock", "jp.amazon.odd", NOW, &price), METER_OK);
    meter_price_rates(&price, &key, &rates, &tier);
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(1200000002));
    assert_int_equal(find(ids, "bedrock", "jp.cohere.rerank", NOW, &price), METER_OK);
    meter_price_rates(&price, &key, &rates, &tier);
    assert_int_equal(rates.count[METER_SEARCH_UNITS], UINT64_C(2400000000000));
}

static void the_shipped_book_has_the_ids_of_each_provider(void **state)
{
    static const struct match_case cases[] = {
        {"Azure", "azure-openai", "gpt-4o-2024-11-20", "azure-openai/gpt-4o-2024-11-20"},
        {"OpenAI, a date", "openai", "gpt-4o-2024-11-20", "openai/gpt-4o"},
        {"OpenAI, a date that nobody lists", "openai", "gpt-4o-2027-01-01", NULL},
        {"Vertex", "vertex", "claude-opus-4-6@default", "vertex/claude-opus-4-6"},
        {"Vertex by OpenAI's API", "vertex", "google/gemini-2.5-flash", "vertex/gemini-2.5-flash"},
        {"Bedrock", "bedrock", "eu.anthropic.claude-opus-4-6-v1:0",
         "bedrock/eu.anthropic.claude-opus-4-6"},
        {"Bedrock, a date", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
         "bedrock/us.anthropic.claude-sonnet-4-5-20250929"},
        {"Mistral", "mistral", "mistral-large-latest", "mistral/mistral-large-latest"},
        {"Cohere", "cohere", "rerank-v3.5", "cohere/rerank-v3.5"},
        {"Groq", "groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"},
        {"DeepSeek", "deepseek", "deepseek-v4-flash", "deepseek/deepseek-flash"},
        {"xAI", "xai", "grok-4.7", "xai/grok-4.7"},
        {"OpenRouter", "openrouter", "anthropic/claude-opus-4.6:nitro",
         "openrouter/anthropic/claude-opus-4.6"},
        {"OpenRouter, free", "openrouter", "qwen/qwen3-coder:free",
         "openrouter/qwen/qwen3-coder:free"},
        {"Together", "together", "moonshotai/Kimi-K3", "together/moonshotai/kimi-k3"},
        {"Fireworks", "fireworks", "accounts/fireworks/models/kimi-k3",
         "fireworks/accounts/fireworks/models/kimi-k3"},
        {"Perplexity", "perplexity", "sonar-pro", "perplexity/sonar-pro"},
        {"Ollama", "ollama", "llama3.3", "ollama/*"},
        {"Hugging Face", "huggingface", "openai/gpt-oss-120b:fastest",
         "huggingface/openai/gpt-oss-120b"},
        {"watsonx", "watsonx", "ibm/granite-4-h-small", "watsonx/ibm/granite-4-h-small"},
        {"Voyage", "voyage", "voyage-3-large", "voyage/voyage-3-large"},
        {"Cerebras", "cerebras", "gpt-oss-120b", "cerebras/gpt-oss-120b"},
        {"MiniMax", "minimax", "MiniMax-M2.7", "minimax/minimax-m2.7"},
        {"Moonshot", "moonshot", "kimi-k3", "moonshot/kimi-k3"},
        {"Z.ai", "zai", "GLM-5.2", "zai/glm-5.2"},
        {"DashScope", "dashscope", "qwen3-max", "dashscope/qwen3-max"},
        {"DashScope, a date", "dashscope", "qwen-max-2025-01-25", "dashscope/qwen-max"},
        {"DashScope, a date that nobody lists", "dashscope", "qwen-max-2024-04-28", NULL},
        {"Snowflake", "snowflake", "claude-sonnet-4-5", "snowflake/claude-sonnet-4-5"},
        {"Crusoe", "crusoe", "zai/GLM-5.2", "crusoe/zai/glm-5.2"},
        {"Replicate", "replicate", "openai/gpt-5", "replicate/openai/gpt-5"},
        {"Heroku has none", "heroku", "claude-4-sonnet", NULL},
        {"Writer has none", "writer", "palmyra-x5", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_price price = {.row = "none"};
        const char *want = cases[i].want != NULL ? cases[i].want : "none";

        (void)(find(meter_price_book_shipped(), cases[i].provider, cases[i].model, NOW, &price) ==
               METER_OK);
        if (strcmp(price.row, want) != 0)
            fail_msg("%s: %s gave %s, want %s", cases[i].why, cases[i].model, price.row, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_match_by_the_steps_of_their_provider),
        cmocka_unit_test(ids_of_any_length_are_survived),
        cmocka_unit_test(an_estimated_region_costs_six_fifths_rounded_up),
        cmocka_unit_test(the_shipped_book_has_the_ids_of_each_provider),
    };

    (void)load_book, (void)drop_book;
    return cmocka_run_group_tests(tests, load_ids, drop_ids);
}
