/* SPDX-License-Identifier: Apache-2.0 */
/* Models that do more than the body says, whatever it says: search, go on by themselves, make
 * pictures, read files that the text names, reason beyond the cap. */
#include "meter/glob.h"
#include "meter/request.h"

#include <ctype.h>

#define LARGE_IMAGE 48200u /* 2,833, and 5,667 for each of eight tiles */

enum trait { SEARCHES, GOES_ON, DRAWS, READS, REASONS_BEYOND, LARGE_IMAGES };

/* In lower case. PROVIDERS: at every provider. */
static const struct {
    enum provider_id provider;
    const char *model;
    enum trait trait;
    uint64_t searches; /* for each answer */
} models[] = {
    {PROVIDERS, "*-search-preview*", SEARCHES, 1},
    {PROVIDERS, "*-search-api*", SEARCHES, 16},
    {PROVIDER_OPENROUTER, "*:online*", SEARCHES, 16},
    {PROVIDER_OPENROUTER, "perplexity/*", SEARCHES, 16},
    {PROVIDERS, "*deep-research*", GOES_ON, 0},
    {PROVIDER_GROQ, "*compound*", GOES_ON, 0},
    {PROVIDERS, "*-image*", DRAWS, 0},
    {PROVIDER_DASHSCOPE, "qwen-long*", READS, 0},
    {PROVIDER_DASHSCOPE, "qwen-doc*", READS, 0},
    /* A cap of 10 gave 10 tokens and 125 of reasoning: recorded, of grok-4. */
    {PROVIDER_XAI, "*", REASONS_BEYOND, 0},
    {PROVIDERS, "*grok*", REASONS_BEYOND, 0},
    {PROVIDERS, "*gpt-4o-mini*", LARGE_IMAGES, 0},
};

/* DashScope's cap does not count thoughts. Its models think unless they are told not to: these only
 * where they are told to ... */
static const char *const at_once[] = {
    "qwen-*",         "qwen1*",          "qwen2*",      "*instruct*", "qwen3-max*", "qwen3-coder*",
    "qwen3-vl-plus*", "qwen3-vl-flash*", "text-embed*", "*rerank*",   "*ocr*",
};
/* ... and these whatever they are told. */
static const char *const always[] = {"*thinking*", "qwq*", "qvq*"};

static bool is_one(const char *name, const char *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (meter_glob(patterns[i], name))
            return true;
    return false;
}

static bool thinks(const struct request_read *read, const char *name)
{
    if (provider_id_of(read->out->provider) != PROVIDER_DASHSCOPE)
        return false;
    if (is_one(name, always, COUNT_OF(always)))
        return true;
    return read->thinking_said ? read->thinking : !is_one(name, at_once, COUNT_OF(at_once));
}

static void trait_add(struct request_read *read, enum trait trait, uint64_t searches)
{
    struct meter_request *out = read->out;
    struct media_count *images = &read->media[MEDIA_IMAGE];

    switch (trait) {
    case SEARCHES:
        if (read->search_uses[METER_WEB_SEARCHES] < searches)
            read->search_uses[METER_WEB_SEARCHES] = searches;
        out->context_window = out->hold_if_broken = true;
        break;
    case GOES_ON:
        out->unbounded = out->hold_if_broken = true;
        break;
    case DRAWS: /* unasked */
        out->hold_if_broken = true;
        break;
    case READS:
        out->context_window = true;
        break;
    case REASONS_BEYOND: /* but responses count it: recorded too */
        out->cap_of_text = read->reader != &request_responses;
        break;
    case LARGE_IMAGES: /* more than each message has been told to be */
        images->tokens = meter_add(images->tokens, meter_mul(read->images, LARGE_IMAGE));
        if (read->images > 0)
            request_outline_drop(read);
        break;
    }
}

void request_model_end(struct request_read *read)
{
    enum provider_id provider = provider_id_of(read->out->provider);
    char name[METER_MODEL_MAX];
    size_t i = 0;

    for (; read->out->model[i] != '\0'; i++)
        name[i] = (char)tolower((unsigned char)read->out->model[i]);
    name[i] = '\0';
    read->out->thinks = read->out->cap_of_text = thinks(read, name);
    for (i = 0; i < COUNT_OF(models); i++)
        if ((models[i].provider == PROVIDERS || models[i].provider == provider) &&
            meter_glob(models[i].model, name))
            trait_add(read, models[i].trait, models[i].searches);
}
