/* SPDX-License-Identifier: Apache-2.0 */
/* LiteLLM's file as a price file: what is taken, under which name and at which rate, and what is
 * told to be wrong. */
#include <stdio.h>

#include "tests/unit/price_test.h"

/* What was told, a line each: "key result provider/model why". */
struct told {
    char text[4096];
    size_t used;
};

static void tell(void *ctx, const struct meter_import_note *note)
{
    static const char *const results[] = {"taken", "skipped", "wrong"};
    struct told *told = ctx;
    int more =
        snprintf(told->text + told->used, sizeof told->text - told->used, "%s%s %s %s/%s%s%s",
                 told->used > 0 ? "\n" : "", note->key, results[note->result], note->provider,
                 note->model, *note->why != '\0' ? ": " : "", note->why);

    told->used += more > 0 ? (size_t)more : 0;
}

/* The book of the JSON's rows; NULL: it was refused. */
static struct meter_price_book *import(const char *json, const struct meter_price_book *against,
                                       struct told *told, struct meter_error *error)
{
    struct meter_price_book *made = NULL;
    size_t bytes = strlen(json), text_bytes = 0;
    char *copy = malloc(bytes > 0 ? bytes : 1); /* exactly as long as said: no NUL behind it */
    char *text = NULL;

    memcpy(copy, json, bytes);
    memset(told, 0, sizeof *told);
    enum meter_err err =
        meter_price_import(copy, bytes, against, tell, told, &text, &text_bytes, error);
    free(copy);
    if (err != METER_OK)
        return NULL;
    assert_int_equal(text_bytes, strlen(text));
    if (meter_price_book_parse(text, text_bytes, NULL, &made, error) != METER_OK)
        fail_msg("what was imported cannot be read: %s\n%s", error->text, text);
    free(text);
    return made;
}

/* ---- what is taken ------------------------------------------------------------------------ */

#define CHAT "\"mode\":\"chat\","

static void entries_become_rows(void **state)
{
    static const char json[] =
        "{\"gpt-x\":{\"litellm_provider\":\"openai\"," CHAT "\"input_cost_per_token\":2.5e-06,"
        "\"output_cost_per_token\":0.00001,\"cache_read_input_token_cost\":2.4999999999999998e-07,"
        "\"input_cost_per_token_above_272k_tokens\":5e-06,"
        "\"output_cost_per_token_above_272k_tokens\":1.5e-05,"
        "\"input_cost_per_token_batches\":1.25e-06,\"output_cost_per_token_batches\":5e-06,"
        "\"input_cost_per_token_flex\":1e-06,\"input_cost_per_token_priority\":5e-06,"
        "\"output_cost_per_token_priority\":2e-05,\"output_cost_per_reasoning_token\":1.2e-05,"
        "\"max_input_tokens\":400000,\"max_output_tokens\":128000,\"supports_vision\":true,"
        "\"search_context_cost_per_query\":{\"search_context_size_low\":0.01,"
        "\"search_context_size_high\":0.03},\"nested\":{\"input_cost_per_token\":[\"}\",{}]}}}";
    static const struct {
        const char *why;
        uint64_t prompt;
        enum meter_tier tier;
        const char *input, *output, *read, *name;
    } cases[] = {
        {"plain; reasoning is the dearer output", 1, STD, "2.5", "12", "0.25", ""},
        {"a tier of OpenAI begins at its size", 272000, STD, "5", "15", "-", "272000+"},
        {"batch", 1, METER_TIER_BATCH, "1.25", "5", "-", "batch"},
        {"priority", 1, METER_TIER_PRIORITY, "5", "20", "-", "priority"},
        {"half of flex is none", 1, METER_TIER_FLEX, "5", "20", "5", "dearest"},
    };
    struct meter_error error = {""};
    struct meter_price price;
    struct told told;
    struct meter_price_book *made = import(json, NULL, &told, &error);

    (void)state;
    assert_string_equal(told.text, "gpt-x taken openai/gpt-x");
    assert_int_equal(find(made, "openai", "gpt-x", NOW, &price), METER_OK);
    assert_int_equal(price.context_tokens, 400000);
    assert_int_equal(price.output_tokens, 128000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct meter_price_key key = {cases[i].prompt, cases[i].tier, false, 0};
        char input[METER_USD_TEXT], output[METER_USD_TEXT], read[METER_USD_TEXT] = "-";
        struct meter_rates rates;
        const char *name;

        meter_price_rates(&price, &key, &rates, &name);
        meter_rate_text(rates.token[METER_INPUT], METER_TOKEN_DECIMALS, input);
        meter_rate_text(rates.token[METER_OUTPUT], METER_TOKEN_DECIMALS, output);
        if (rates.token[METER_CACHE_READ] != METER_NO_RATE)
            meter_rate_text(rates.token[METER_CACHE_READ], METER_TOKEN_DECIMALS, read);
        if (strcmp(input, cases[i].input) != 0 || strcmp(output, cases[i].output) != 0 ||
            strcmp(read, cases[i].read) != 0 || strcmp(name, cases[i].name) != 0 ||
            rates.count[METER_WEB_SEARCHES] != UINT64_C(30000000000000))
            fail_msg("%s: %s, %s, %s (%s)", cases[i].why, input, output, read, name);
    }
    meter_price_book_free(made);
}

static void caches_and_services_have_their_columns(void **state)
{
    static const char json[] =
        "{\"x\":{\"litellm_provider\":\"anthropic\",\"mode\":\"image_generation\","
        "\"input_cost_per_token\":5e-06,"
        "\"output_cost_per_token\":25000000000000000000e-24,\"output_cost_per_image\":0.04,"
        "\"cache_creation_input_token_cost\":6.25e-06,"
        "\"cache_creation_input_token_cost_above_1hr\":1e-05,"
        "\"input_cost_per_token_flex\":2.5e-06,\"output_cost_per_token_flex\":1.25e-05}}";
    const struct meter_price_key flex = {.prompt_tokens = 1, .tier = METER_TIER_FLEX};
    struct meter_error error = {""};
    struct meter_price price;
    struct meter_rates rates;
    struct told told;
    const char *name;
    struct meter_price_book *made = import(json, NULL, &told, &error);

    (void)state;
    assert_int_equal(find(made, "anthropic", "x", NOW, &price), METER_OK);
    plain_rates(&price, 1, &rates);
    assert_int_equal(rates.token[METER_OUTPUT], UINT64_C(25000000000));
    assert_int_equal(rates.token[METER_CACHE_WRITE_5M], UINT64_C(6250000000));
    assert_int_equal(rates.token[METER_CACHE_WRITE_1H], UINT64_C(10000000000));
    assert_true(rates.count[METER_IMAGES] == METER_NO_RATE); /* tokens are the price */
    meter_price_rates(&price, &flex, &rates, &name);
    assert_string_equal(name, "flex");
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(2500000000));
    meter_price_book_free(made);
}

static void things_are_taken_by_what_a_model_is_for(void **state)
{
    static const struct {
        const char *json, *provider, *model;
        enum meter_count count;
        uint64_t fee; /* femto-dollars for one */
    } cases[] = {
        {"{\"tts-1\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_speech\","
         "\"input_cost_per_character\":1.5e-05}}",
         "openai", "tts-1", METER_CHARACTERS, UINT64_C(15000000000)},
        {"{\"whisper-1\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_transcription\","
         "\"input_cost_per_second\":0.0001,\"output_cost_per_second\":0.0001}}",
         "openai", "whisper-1", METER_SECONDS, UINT64_C(100000000000)},
        {"{\"a\":{\"litellm_provider\":\"openai\",\"mode\":\"audio_transcription\","
         "\"input_cost_per_second\":0.0002833333333333333}}",
         "openai", "a", METER_SECONDS, UINT64_C(283333333334)},
        {"{\"azure_ai/cohere-rerank\":{\"litellm_provider\":\"azure_ai\",\"mode\":\"rerank\","
         "\"input_cost_per_query\":0.002,\"input_cost_per_token\":0.0}}",
         "azure-openai", "cohere-rerank", METER_SEARCH_UNITS, UINT64_C(2000000000000)},
        {"{\"mistral/ocr\":{\"litellm_provider\":\"mistral\",\"mode\":\"ocr\","
         "\"ocr_cost_per_page\":4e-3,\"annotation_cost_per_page\":5e-3}}",
         "mistral", "ocr", METER_PAGES, UINT64_C(4000000000000)},
        {"{\"stability.sd3\":{\"litellm_provider\":\"bedrock\",\"mode\":\"image_generation\","
         "\"output_cost_per_image\":0.08}}",
         "bedrock", "stability.sd3", METER_IMAGES, UINT64_C(80000000000000)},
        {"{\"perplexity/sonar\":{\"litellm_provider\":\"perplexity\"," CHAT
         "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":1e-06,"
         "\"search_context_cost_per_query\":{\"a\":0.005,\"b\":0.012}}}",
         "perplexity", "sonar", METER_REQUESTS, UINT64_C(12000000000000)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_error error = {""};
        struct meter_price price;
        struct meter_rates rates;
        struct told told;
        struct meter_price_book *made = import(cases[i].json, NULL, &told, &error);

        if (find(made, cases[i].provider, cases[i].model, NOW, &price) != METER_OK)
            fail_msg("%s: %s", cases[i].json, told.text);
        plain_rates(&price, 1, &rates);
        if (rates.count[cases[i].count] != cases[i].fee)
            fail_msg("%s: %llu", cases[i].model, (unsigned long long)rates.count[cases[i].count]);
        meter_price_book_free(made);
    }
}

static void tiers_in_a_list_are_tiers(void **state)
{
    static const char json[] =
        "{\"dashscope/qwen\":{\"litellm_provider\":\"dashscope\"," CHAT "\"tiered_pricing\":["
        "{\"input_cost_per_token\":1e-06,\"output_cost_per_token\":5e-06,\"range\":[0,32000.0]},"
        "{\"range\":[32000.0,128000],\"input_cost_per_token\":2e-06,"
        "\"output_cost_per_token\":9e-06}]}}";
    struct meter_error error = {""};
    struct meter_price price;
    struct meter_rates rates;
    struct told told;
    struct meter_price_book *made = import(json, NULL, &told, &error);

    (void)state;
    assert_int_equal(find(made, "dashscope", "qwen", NOW, &price), METER_OK);
    plain_rates(&price, 32000, &rates);
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(1000000000));
    plain_rates(&price, 32001, &rates);
    assert_int_equal(rates.token[METER_OUTPUT], UINT64_C(9000000000));
    meter_price_book_free(made);
}

static void the_dearer_of_two_entries_of_one_model_is_taken(void **state)
{
    static const char json[] = "{\"azure/us/gpt\":{\"litellm_provider\":\"azure\"," CHAT
                               "\"input_cost_per_token\":3e-06,\"output_cost_per_token\":8e-06},"
                               "\"azure/eu/gpt\":{\"litellm_provider\":\"azure\"," CHAT
                               "\"input_cost_per_token\":2e-06,\"output_cost_per_token\":9e-06},"
                               "\"azure/global/gpt\":{\"litellm_provider\":\"azure\"," CHAT
                               "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06},"
                               "\"azure/eu/only\":{\"litellm_provider\":\"azure\"," CHAT
                               "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":2e-06}}";
    struct meter_error error = {""};
    struct meter_price price;
    struct meter_rates rates;
    struct told told;
    struct meter_price_book *made = import(json, NULL, &told, &error);

    (void)state;
    assert_int_equal(find(made, "azure-openai", "gpt", NOW, &price), METER_OK);
    plain_rates(&price, 1, &rates);
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(3000000000));
    assert_int_equal(rates.token[METER_OUTPUT], UINT64_C(9000000000));
    assert_int_equal(find(made, "azure-openai", "only", NOW, &price), METER_OK);
    plain_rates(&price, 1, &rates);
    assert_int_equal(rates.token[METER_INPUT], UINT64_C(1000000000));
    meter_price_book_free(made);
}

/* '|' stands for a tab. */
static const char kinds_text[] =
    "provider|model|prompt_from|service|region|hours|input|output|context_tokens|output_tokens|"
    "hidden_tps\n"
    "openai|gpt|0|standard|-|-|2|8|400000|128000|yes\n"
    "openai|gpt|0|priority|-|-|4|16|400000|128000|yes\n"
    "openai|gpt|0|flex|-|-|1|4|400000|128000|yes\n"
    "openai|gpt|0|fast|-|-|1|40|400000|128000|yes\n"
    "openai|gpt|0|standard|regional|-|2.2|8.8|400000|128000|yes\n"
    "openai|gpt|0|standard|-|mon-fri 01:00-04:00|5|20|400000|128000|yes\n"
    "openai|gpt|272000|standard|-|-|6|12|400000|128000|yes\n"
    "openai|gpt|300000|standard|-|-|7|14|400000|128000|yes\n"
    "openai|same|0|standard|-|-|3|9|-|-|-\n"
    "openai|same|0|priority|-|-|6|18|-|-|-\n"
    "openai|same|0|flex|-|-|1|4|-|-|-\n";

/* A model of the file replaces the book's as a whole: what the file cannot say must not get lost.
 */
static void kinds_of_calls_that_cost_more_keep_the_books_rows(void **state)
{
    static const char json[] =
        "{\"gpt\":{\"litellm_provider\":\"openai\"," CHAT "\"max_input_tokens\":272000,"
        "\"max_output_tokens\":300000,\"input_cost_per_token\":3e-06,"
        "\"output_cost_per_token\":9e-06,\"input_cost_per_token_above_272k_tokens\":5e-06,"
        "\"output_cost_per_token_above_272k_tokens\":1.5e-05},"
        "\"same\":{\"litellm_provider\":\"openai\"," CHAT "\"input_cost_per_token\":3e-06,"
        "\"output_cost_per_token\":9e-06}}";
    static const struct {
        const char *why, *model;
        struct meter_price_key key;
        uint64_t input, output; /* USD per 1M */
    } cases[] = {
        {"the entry's own", "gpt", {.prompt_tokens = 1}, 3, 9},
        {"priority", "gpt", {.prompt_tokens = 1, .tier = METER_TIER_PRIORITY}, 4, 16},
        {"no discount on another price",
         "gpt",
         {.prompt_tokens = 1, .tier = METER_TIER_FLEX},
         4,
         40},
        {"but on the book's", "same", {.prompt_tokens = 1, .tier = METER_TIER_FLEX}, 1, 4},
        {"never below the entry's", "gpt", {.prompt_tokens = 1, .tier = METER_TIER_FAST}, 3, 40},
        {"a region", "gpt", {.prompt_tokens = 1, .regional = true}, 3, 9},
        {"hours", "gpt", {.prompt_tokens = 1, .when_s = 1796000400}, 5, 20}, /* a Monday, 01:00 */
        {"the entry's tier", "gpt", {.prompt_tokens = 272000}, 5, 15},
        {"the book's tier", "gpt", {.prompt_tokens = 300000}, 7, 14},
    };
    struct meter_error error = {""};
    struct meter_price_book *known, *made;
    struct meter_price price;
    struct told told;

    (void)state;
    assert_int_equal(parse(kinds_text, NULL, &known, &error), METER_OK);
    made = import(json, known, &told, &error);
    assert_int_equal(find(made, "openai", "gpt", NOW, &price), METER_OK);
    assert_int_equal(price.context_tokens, 400000);
    assert_int_equal(price.output_tokens, 300000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_rates rates;
        const char *name;

        assert_int_equal(find(made, "openai", cases[i].model, NOW, &price), METER_OK);
        meter_price_rates(&price, &cases[i].key, &rates, &name);
        if (rates.token[METER_INPUT] != cases[i].input * 1000000000 ||
            rates.token[METER_OUTPUT] != cases[i].output * 1000000000)
            fail_msg("%s: %llu and %llu", cases[i].why,
                     (unsigned long long)rates.token[METER_INPUT],
                     (unsigned long long)rates.token[METER_OUTPUT]);
    }
    meter_price_book_free(made);
    meter_price_book_free(known);
}

/* ---- what is told ------------------------------------------------------------------------- */

#define ENTRY(key, provider, rest)                                                                 \
    "{\"" key "\":{\"litellm_provider\":\"" provider "\"," CHAT rest "}}"
#define OUT ",\"output_cost_per_token\":1e-05"

static const struct {
    const char *why, *json, *want;
} told_cases[] = {
    {"a prefix", ENTRY("mistral/Mistral-X", "mistral", "\"input_cost_per_token\":1e-06" OUT),
     "mistral/Mistral-X taken mistral/mistral-x"},
    {"a kind of Vertex",
     ENTRY("vertex_ai/claude@20250101", "vertex_ai-anthropic_models",
           "\"input_cost_per_token\":1e-06" OUT),
     "vertex_ai/claude@20250101 taken vertex/claude"},
    {"a maker on Vertex",
     ENTRY("vertex_ai/meta/llama-maas", "vertex_ai-llama_models",
           "\"input_cost_per_token\":1e-06" OUT),
     "vertex_ai/meta/llama-maas taken vertex/llama-maas"},
    {"a maker on OpenRouter",
     ENTRY("openrouter/a/b", "openrouter", "\"input_cost_per_token\":1e-06" OUT),
     "openrouter/a/b taken openrouter/a/b"},
    {"a name with escapes", ENTRY("gpt\\u002Dx", "openai", "\"input_cost_per_token\":1e-06" OUT),
     "gpt-x taken openai/gpt-x"},
    {"another provider", ENTRY("wandb/x", "wandb", "\"input_cost_per_token\":1" OUT),
     "wandb/x skipped /: another provider: wandb"},
    {"no provider", "{\"x\":{}}", "x skipped /: another provider: none"},
    {"no model", "{\"x\":[1,2,{\"a\":\"}\"}]}", "x skipped /: it is no model"},
    {"a blank in the name", ENTRY("a b", "openai", "\"input_cost_per_token\":1e-06" OUT),
     "a b skipped openai/a b: its name cannot be a model's"},
    {"a price for all", ENTRY("*", "openai", "\"input_cost_per_token\":1e-06" OUT),
     "* skipped openai/*: its name cannot be a model's"},
    {"a size of pictures",
     ENTRY("hd/1024-x-1024/dall-e-3", "openai", "\"input_cost_per_token\":1e-06" OUT),
     "hd/1024-x-1024/dall-e-3 skipped openai/hd/1024-x-1024/dall-e-3: "
     "the price of one size, region or term"},
    {"zeros", ENTRY("x", "openai", "\"input_cost_per_token\":0,\"output_cost_per_token\":0.0"),
     "x skipped openai/x: no price per input token, nor per call"},
    {"null", ENTRY("x", "openai", "\"input_cost_per_token\":null"),
     "x skipped openai/x: no price per input token, nor per call"},
    {"half a price", ENTRY("x", "openai", "\"input_cost_per_token\":1e-06"),
     "x skipped openai/x: no price per output token"},
    {"per million", ENTRY("x", "openai", "\"input_cost_per_token\":2.5" OUT),
     "x wrong openai/x: input_cost_per_token: 2.5 looks like USD per 1,000,000 tokens; "
     "per token write 0.0000025"},
    {"per thousand", ENTRY("x", "openai", "\"input_cost_per_token\":0.0025" OUT),
     "x wrong openai/x: input_cost_per_token: 0.0025 looks like USD per 1,000 tokens; "
     "per token write 0.0000025"},
    {"divided twice", ENTRY("x", "openai", "\"input_cost_per_token\":2.5e-12" OUT),
     "x wrong openai/x: input_cost_per_token: 2.5e-12 is below 0.001 USD per 1,000,000 tokens; "
     "if it is a price per token divided by 1,000,000 write 0.0000025"},
    {"negative", ENTRY("x", "openai", "\"input_cost_per_token\":-1" OUT),
     "x wrong openai/x: input_cost_per_token: -1 is negative"},
    {"text", ENTRY("x", "openai", "\"input_cost_per_token\":\"1e-06\"" OUT),
     "x wrong openai/x: input_cost_per_token: \"1e-06\" is not a number"},
    {"beyond all", ENTRY("x", "openai", "\"input_cost_per_token\":1e300" OUT),
     "x wrong openai/x: input_cost_per_token: 1e300 is too large"},
    {"not exact", ENTRY("x", "openai", "\"input_cost_per_token\":8.33333333333e-8" OUT),
     "x wrong openai/x: input_cost_per_token: 8.33333333333e-8 has more than 15 decimals"},
    {"a fee per thousand",
     "{\"x\":{\"litellm_provider\":\"openai\",\"mode\":\"ocr\","
     "\"ocr_cost_per_page\":4}}",
     "x wrong openai/x: ocr_cost_per_page: 4 is above 1 USD for one"},
    {"20 times under the book", ENTRY("gpt-4o", "openai", "\"input_cost_per_token\":1e-07" OUT),
     "gpt-4o wrong openai/gpt-4o: input_cost_per_token: 0.0000001 is 20 times or more under "
     "the 0.0000025 of the book"},
    {"not quite", ENTRY("gpt-4o", "openai", "\"input_cost_per_token\":1.3e-07" OUT),
     "gpt-4o taken openai/gpt-4o"},
};

static void every_entry_is_told_once_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(told_cases); i++) {
        struct meter_error error = {""};
        struct told told;

        meter_price_book_free(import(told_cases[i].json, book, &told, &error));
        if (strcmp(told.text, told_cases[i].want) != 0)
            fail_msg("%s: told \"%s\", want \"%s\"; %s", told_cases[i].why, told.text,
                     told_cases[i].want, error.text);
    }
}

/* One that cannot be taken as a whole is not taken: a tier left out would be a price too low. */
static void more_tiers_than_there_is_room_for_are_not_taken(void **state)
{
    struct meter_error error = {""};
    char json[8192];
    struct told told;
    int used = snprintf(json, sizeof json,
                        "{\"x\":{\"litellm_provider\":\"openai\"," CHAT
                        "\"input_cost_per_token\":1e-06,\"output_cost_per_token\":1e-05");

    (void)state;
    for (int i = 1; i <= 40; i++)
        used += snprintf(json + used, sizeof json - (size_t)used,
                         ",\"input_cost_per_token_above_%dk_tokens\":2e-06", i);
    (void)snprintf(json + used, sizeof json - (size_t)used, "}}");
    meter_price_book_free(import(json, NULL, &told, &error));
    assert_string_equal(told.text, "x skipped openai/x: too many tiers and services");
}

static void what_is_no_object_of_models_is_refused(void **state)
{
    static const struct {
        const char *json, *want;
    } cases[] = {
        {"", "byte 1: not an object of models in JSON"},
        {"[]", "byte 1: not an object of models in JSON"},
        {" {", "byte 3: not an object of models in JSON"},
        {"{\"a\":", "byte 6: not an object of models in JSON"},
        {"{\"a\":{\"b\":1}", "byte 13: not an object of models in JSON"},
        {"{\"a\" 1}", "byte 6: not an object of models in JSON"},
        {"{\"a\":{\"b\":\"", "byte 6: not an object of models in JSON"},
        {"{\"a\":{},\"b\\\"", "byte 9: not an object of models in JSON"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct meter_error error = {""};
        struct told told;

        if (import(cases[i].json, NULL, &told, &error) != NULL ||
            strcmp(error.text, cases[i].want) != 0)
            fail_msg("%s: said \"%s\", want \"%s\"", cases[i].json, error.text, cases[i].want);
    }
}

static void an_empty_file_gives_an_empty_book(void **state)
{
    struct meter_error error = {""};
    struct told told;
    struct meter_price_book *made = import("{}", NULL, &told, &error);

    (void)state;
    assert_non_null(made);
    assert_string_equal(told.text, "");
    meter_price_book_free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_become_rows),
        cmocka_unit_test(caches_and_services_have_their_columns),
        cmocka_unit_test(things_are_taken_by_what_a_model_is_for),
        cmocka_unit_test(tiers_in_a_list_are_tiers),
        cmocka_unit_test(the_dearer_of_two_entries_of_one_model_is_taken),
        cmocka_unit_test(kinds_of_calls_that_cost_more_keep_the_books_rows),
        cmocka_unit_test(every_entry_is_told_once_with_its_reason),
        cmocka_unit_test(more_tiers_than_there_is_room_for_are_not_taken),
        cmocka_unit_test(what_is_no_object_of_models_is_refused),
        cmocka_unit_test(an_empty_file_gives_an_empty_book),
    };

    return cmocka_run_group_tests(tests, load_book, drop_book);
}
