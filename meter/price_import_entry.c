/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of LiteLLM's file: whose model it is, and its costs as rows of ours. What no price can
 * be is told with the guess of what was meant; docs/PRICES.md has the rules. */
#include "meter/meter_int.h"

#include <stdarg.h>
#include <stdio.h>

#define NANO       UINT64_C(1000000000)
#define LEAST_FUSD (NANO / 1000)              /* per token: 0.001 USD per 1M */
#define MOST_FUSD  (700 * NANO)               /* per token: 700 USD per 1M */
#define MOST_FEE   (UINT64_C(1000000) * NANO) /* 1 USD */
#define LOW_FACTOR 20u                        /* times under the book's: another unit */

/* ---- saying why --------------------------------------------------------------------------- */

/* The first reason counts. */
static void __attribute__((format(printf, 3, 4)))
say(struct import_entry *entry, enum meter_import result, const char *format, ...)
{
    va_list args;

    if (entry->result != METER_IMPORT_TAKEN)
        return;
    entry->result = result;
    va_start(args, format);
    (void)vsnprintf(entry->why, sizeof entry->why, format, args);
    va_end(args);
}

/* How many of these bytes are shown. */
static int shown(size_t bytes, size_t most)
{
    return (int)(bytes < most ? bytes : most);
}

static void say_figure(struct import_entry *entry, const struct price_member *cost, const char *why)
{
    say(entry, METER_IMPORT_WRONG, "%.*s: %.*s %s", shown(cost->name_bytes, 64), cost->name,
        shown(cost->value_bytes, 32), cost->value, why);
}

/* ---- whose it is -------------------------------------------------------------------------- */

/* A name of theirs that ends in '*' stands for all that begin so. prefix: what their keys have in
 * front of the model. */
static const struct {
    const char *theirs, *ours, *prefix;
    bool inclusive;
} sources[] = {
    {"openai", "openai", "openai/", true},
    {"text-completion-openai", "openai", "text-completion-openai/", true},
    {"azure", "azure-openai", "azure/", true},
    {"azure_text", "azure-openai", "azure_text/", true},
    {"azure_ai", "azure-openai", "azure_ai/", true},
    {"anthropic", "anthropic", "anthropic/", false},
    {"gemini", "gemini", "gemini/", false},
    {"vertex_ai*", "vertex", "vertex_ai/", false},
    {"bedrock*", "bedrock", "bedrock/", false},
    {"mistral", "mistral", "mistral/", false},
    {"cohere*", "cohere", "cohere/", false},
    {"groq", "groq", "groq/", false},
    {"deepseek", "deepseek", "deepseek/", false},
    {"xai", "xai", "xai/", true},
    {"openrouter", "openrouter", "openrouter/", false},
    {"together_ai", "together", "together_ai/", false},
    {"fireworks_ai*", "fireworks", "fireworks_ai/", false},
    {"perplexity", "perplexity", "perplexity/", false},
    {"watsonx", "watsonx", "watsonx/", false},
    {"voyage", "voyage", "voyage/", false},
    {"cerebras", "cerebras", "cerebras/", false},
    {"minimax", "minimax", "minimax/", false},
    {"moonshot", "moonshot", "moonshot/", false},
    {"zai", "zai", "zai/", false},
    {"dashscope", "dashscope", "dashscope/", false},
    {"snowflake", "snowflake", "snowflake/", false},
    {"crusoe", "crusoe", "crusoe/", false},
    {"heroku", "heroku", "heroku/", false},
    {"replicate", "replicate", "replicate/", false},
    {"writer", "writer", "writer/", false},
};

/* What stands in front of a model's id and is no part of it. Which kind a deployment at Azure is,
 * no call tells: the dearest of them counts. */
static const struct {
    const char *provider, *prefix;
} places[] = {
    {"azure-openai", "global/"}, {"azure-openai", "global-standard/"},
    {"azure-openai", "us/"},     {"azure-openai", "eu/"},
    {"vertex", "meta/"},         {"vertex", "mistralai/"},
    {"vertex", "deepseek-ai/"},  {"vertex", "openai/"},
    {"vertex", "qwen/"},         {"vertex", "zai-org/"},
    {"vertex", "moonshotai/"},   {"vertex", "minimaxai/"},
    {"vertex", "xai/"},
};

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_theirs(const char *pattern, const char *theirs)
{
    size_t bytes = strlen(pattern);

    return pattern[bytes - 1] == '*' ? strncmp(theirs, pattern, bytes - 1) == 0
                                     : strcmp(theirs, pattern) == 0;
}

/* Slashes are part of the id with some providers; with the others they stand for sizes, regions and
 * terms that one row cannot have. */
static bool slashes_allowed(const struct import_entry *entry)
{
    static const char *const none[] = {"openai",  "anthropic", "gemini",
                                       "bedrock", "vertex",    "azure-openai"};

    for (size_t i = 0; i < COUNT_OF(none); i++)
        if (strcmp(entry->provider, none[i]) == 0)
            return strchr(entry->model, '/') == NULL;
    return true;
}

static void model_find(struct import_entry *entry, const char *prefix)
{
    const char *model = entry->key + (begins(entry->key, prefix) ? strlen(prefix) : 0);
    size_t bytes;

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        if (strcmp(places[i].provider, entry->provider) != 0 || !begins(model, places[i].prefix))
            continue;
        model += strlen(places[i].prefix);
    }
    bytes = strcmp(entry->provider, "vertex") == 0 ? strcspn(model, "@") : strlen(model);
    (void)snprintf(entry->model, sizeof entry->model, "%.*s", (int)bytes, model);
    for (char *c = entry->model; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c |= 0x20;
        if (*c < '!' || *c > '~' || *c == ',' || *c == '"' || *c == '\\')
            say(entry, METER_IMPORT_SKIPPED, "its name cannot be a model's");
    }
    if (bytes == 0 || bytes >= sizeof entry->model || strcmp(entry->model, "*") == 0)
        say(entry, METER_IMPORT_SKIPPED, "its name cannot be a model's");
    else if (!slashes_allowed(entry))
        say(entry, METER_IMPORT_SKIPPED, "the price of one size, region or term");
}

static void owner_find(struct import_entry *entry)
{
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        if (!is_theirs(sources[i].theirs, entry->theirs))
            continue;
        entry->provider = sources[i].ours;
        entry->inclusive = sources[i].inclusive;
        model_find(entry, sources[i].prefix);
        return;
    }
    say(entry, METER_IMPORT_SKIPPED, "another provider: %.60s",
        entry->theirs[0] != '\0' ? entry->theirs : "none");
}

/* ---- costs per token ---------------------------------------------------------------------- */

/* Longer names first: the rest of a key tells tier and service. */
static const struct {
    const char *name;
    enum meter_bucket bucket;
} stems[] = {
    {"cache_creation_input_token_cost_above_1hr", METER_CACHE_WRITE_1H},
    {"cache_creation_input_token_cost", METER_CACHE_WRITE_5M},
    {"cache_read_input_token_cost", METER_CACHE_READ},
    {"input_cost_per_audio_token", METER_AUDIO_IN},
    {"output_cost_per_audio_token", METER_AUDIO_OUT},
    {"input_cost_per_image_token", METER_IMAGE_IN},
    {"output_cost_per_image_token", METER_IMAGE_OUT},
    {"output_cost_per_reasoning_token", METER_OUTPUT}, /* the dearer of the two */
    {"input_cost_per_token", METER_INPUT},
    {"output_cost_per_token", METER_OUTPUT},
};

static const struct {
    const char *suffix;
    enum meter_tier tier;
} services[] = {
    {"", METER_TIER_STANDARD},
    {"_batches", METER_TIER_BATCH},
    {"_flex", METER_TIER_FLEX},
    {"_priority", METER_TIER_PRIORITY},
};

static uint32_t tier_start(const struct import_entry *entry, uint32_t above)
{
    return above == 0 || entry->inclusive ? above : above + 1;
}

/* "_above_272k_tokens_priority"; false: it says something else. */
static bool rest_read(const char *rest, size_t bytes, uint32_t *above_out,
                      enum meter_tier *tier_out)
{
    static const char above[] = "_above_", unit[] = "k_tokens";
    const char *end = rest + bytes;
    uint32_t size = 0;

    if (bytes > sizeof above - 1 && memcmp(rest, above, sizeof above - 1) == 0) {
        const char *p = rest + sizeof above - 1;

        for (; p < end && *p >= '0' && *p <= '9' && size < 1000000; p++)
            size = size * 10 + (uint32_t)(*p - '0');
        if (size == 0 || (size_t)(end - p) < sizeof unit - 1 ||
            memcmp(p, unit, sizeof unit - 1) != 0)
            return false;
        rest = p + sizeof unit - 1;
    }
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        if ((size_t)(end - rest) != strlen(services[i].suffix) ||
            memcmp(rest, services[i].suffix, (size_t)(end - rest)) != 0)
            continue;
        *above_out = size * 1000;
        *tier_out = services[i].tier;
        return true;
    }
    return false;
}

static struct import_row *row_of(struct import_entry *entry, uint32_t prompt_from,
                                 enum meter_tier tier)
{
    struct import_row *row;

    for (unsigned i = 0; i < entry->row_count; i++)
        if (entry->rows[i].prompt_from == prompt_from && entry->rows[i].tier == tier)
            return &entry->rows[i];
    if (entry->row_count == IMPORT_ROWS_MAX)
        return NULL;
    row = &entry->rows[entry->row_count++];
    *row = (struct import_row){.prompt_from = prompt_from, .tier = tier};
    for (unsigned i = 0; i < METER_BUCKETS; i++)
        row->rates.token[i] = METER_NO_RATE;
    for (unsigned i = 0; i < METER_COUNTS; i++)
        row->rates.count[i] = METER_NO_RATE;
    return row;
}

static void dearer_set(uint64_t *rate, uint64_t value)
{
    if (*rate == METER_NO_RATE || value > *rate)
        *rate = value;
}

/* What a figure of this size was probably meant to be. */
static void say_too_much(struct import_entry *entry, const struct price_member *cost, uint64_t fusd)
{
    bool million = fusd >= UINT64_C(100000000000000); /* 0.1 USD for one */
    char guess[METER_USD_TEXT], why[128];

    (void)snprintf(why, sizeof why, "looks like USD per %s; per token write %s",
                   million ? "1,000,000 tokens" : "1,000 tokens",
                   money_text_of(fusd / (million ? 1000000 : 1000), 15, guess));
    say_figure(entry, cost, why);
}

static void say_too_little(struct import_entry *entry, const struct price_member *cost,
                           uint64_t fusd)
{
    char guess[METER_USD_TEXT], why[128];

    (void)snprintf(why, sizeof why,
                   "is below 0.001 USD per 1,000,000 tokens; if it is a price per "
                   "token divided by 1,000,000 write %s",
                   money_text_of(fusd * 1000000, 15, guess));
    say_figure(entry, cost, why);
}

/* A figure in femto-dollars for one; 0: none, or told why not. */
static uint64_t cost_read(struct import_entry *entry, const struct price_member *cost, bool token)
{
    const char *why = "";
    uint64_t fusd;
    bool lost;

    if (cost->value_bytes == 4 && memcmp(cost->value, "null", 4) == 0)
        return 0;
    if (!import_figure(cost->value, cost->value_bytes, &fusd, &lost, &why)) {
        say_figure(entry, cost, why);
    } else if (token && fusd > MOST_FUSD) {
        say_too_much(entry, cost, fusd);
    } else if (token && fusd > 0 && fusd < LEAST_FUSD) {
        say_too_little(entry, cost, fusd);
    } else if (token && lost) {
        say_figure(entry, cost, "has more than 15 decimals");
    } else if (!token && fusd > MOST_FEE) {
        say_figure(entry, cost, "is above 1 USD for one");
    } else {
        return fusd;
    }
    return 0;
}

/* One cost of the entry, or of a tier of its list. */
static void token_read(struct import_entry *entry, const struct price_member *cost, uint32_t above)
{
    for (size_t i = 0; i < COUNT_OF(stems); i++) {
        size_t bytes = strlen(stems[i].name);
        uint32_t from;
        enum meter_tier tier;
        struct import_row *row;
        uint64_t rate;

        if (cost->name_bytes < bytes || memcmp(cost->name, stems[i].name, bytes) != 0 ||
            !rest_read(cost->name + bytes, cost->name_bytes - bytes, &from, &tier))
            continue;
        rate = cost_read(entry, cost, true);
        row = rate > 0 ? row_of(entry, tier_start(entry, above > 0 ? above : from), tier) : NULL;
        if (row != NULL)
            dearer_set(&row->rates.token[stems[i].bucket], rate);
        else if (rate > 0)
            say(entry, METER_IMPORT_SKIPPED, "too many tiers and services");
        return;
    }
}

/* "tiered_pricing": [{"range": [32000, 128000], "input_cost_per_token": ...}] */
static void tiers_read(struct import_entry *entry, const struct price_member *list)
{
    const char *at = list->value + 1, *end = list->value + list->value_bytes;
    struct price_member tier, member, first;

    while (list->value[0] == '[' && price_element_next(&at, end, &tier)) {
        const char *stop = tier.value + tier.value_bytes, *p = tier.value + 1;
        int64_t above = -1;

        if (tier.value[0] != '{')
            continue;
        while (price_member_next(&p, stop, &member) == PRICE_MEMBER) {
            const char *range = member.value + 1;

            if (price_member_is(&member, "range") && member.value[0] == '[' &&
                price_element_next(&range, member.value + member.value_bytes, &first))
                (void)meter_count_parse(first.value, first.value_bytes, &above);
        }
        p = tier.value + 1;
        while (above >= 0 && above < 1000000000 &&
               price_member_next(&p, stop, &member) == PRICE_MEMBER)
            token_read(entry, &member, (uint32_t)above);
    }
}

/* ---- costs of things ---------------------------------------------------------------------- */

static const struct {
    const char *mode; /* NULL: all */
    const char *name;
    enum meter_count count;
} things[] = {
    {"image_generation", "output_cost_per_image", METER_IMAGES},
    {"image_generation", "input_cost_per_image", METER_IMAGES},
    {"image_edit", "output_cost_per_image", METER_IMAGES},
    {"image_edit", "input_cost_per_image", METER_IMAGES},
    {"audio_transcription", "input_cost_per_second", METER_SECONDS},
    {"audio_transcription", "output_cost_per_second", METER_SECONDS},
    {"video_generation", "output_cost_per_second", METER_SECONDS},
    {"video_generation", "output_cost_per_video_per_second", METER_SECONDS},
    {"audio_speech", "input_cost_per_character", METER_CHARACTERS},
    {"ocr", "ocr_cost_per_page", METER_PAGES},
    {"rerank", "input_cost_per_query", METER_SEARCH_UNITS},
    {"search", "input_cost_per_query", METER_REQUESTS},
    {NULL, "input_cost_per_request", METER_REQUESTS},
};

static void thing_read(struct import_entry *entry, const struct price_member *cost)
{
    for (size_t i = 0; i < COUNT_OF(things); i++) {
        uint64_t fee;

        if (!price_member_is(cost, things[i].name) ||
            (things[i].mode != NULL && strcmp(things[i].mode, entry->mode) != 0))
            continue;
        fee = cost_read(entry, cost, things[i].count == METER_CHARACTERS);
        if (fee > 0)
            dearer_set(&row_of(entry, 0, METER_TIER_STANDARD)->rates.count[things[i].count], fee);
        return;
    }
}

/* "search_context_cost_per_query": {"search_context_size_high": 0.014}: the dearest. */
static void searches_read(struct import_entry *entry, const struct price_member *sizes)
{
    enum meter_count count =
        strcmp(entry->provider, "perplexity") == 0 ? METER_REQUESTS : METER_WEB_SEARCHES;
    const char *at = sizes->value + 1, *end = sizes->value + sizes->value_bytes;
    struct price_member size;

    while (sizes->value[0] == '{' && price_member_next(&at, end, &size) == PRICE_MEMBER) {
        uint64_t fee = cost_read(entry, &size, false);

        if (fee > 0)
            dearer_set(&row_of(entry, 0, METER_TIER_STANDARD)->rates.count[count], fee);
    }
}

/* ---- the entry ---------------------------------------------------------------------------- */

static uint64_t limit_of(const struct price_member *member, uint64_t before)
{
    int64_t value;

    if (!meter_count_parse(member->value, member->value_bytes, &value) || value > 1000000000)
        return before;
    return (uint64_t)value > before ? (uint64_t)value : before;
}

static void member_read(struct import_entry *entry, const struct price_member *member)
{
    if (price_member_is(member, "max_input_tokens"))
        entry->context_tokens = limit_of(member, entry->context_tokens);
    else if (price_member_is(member, "max_output_tokens"))
        entry->output_tokens = limit_of(member, entry->output_tokens);
    else if (price_member_is(member, "search_context_cost_per_query"))
        searches_read(entry, member);
    else if (price_member_is(member, "tiered_pricing"))
        tiers_read(entry, member);
    token_read(entry, member, 0);
    thing_read(entry, member);
}

static bool has(const struct import_row *row, enum meter_bucket bucket)
{
    return row->rates.token[bucket] != METER_NO_RATE;
}

/* Where tokens are the price, a price per picture or second is another way to say it. */
static void alternatives_drop(struct import_row *row)
{
    if (has(row, METER_IMAGE_OUT) || has(row, METER_OUTPUT))
        row->rates.count[METER_IMAGES] = METER_NO_RATE;
    if (!has(row, METER_INPUT))
        return;
    row->rates.count[METER_SECONDS] = row->rates.count[METER_PAGES] = METER_NO_RATE;
    row->rates.count[METER_CHARACTERS] = METER_NO_RATE;
}

static bool is_talk(const struct import_entry *entry)
{
    return strcmp(entry->mode, "chat") == 0 || strcmp(entry->mode, "completion") == 0 ||
           strcmp(entry->mode, "responses") == 0;
}

static void plain_check(struct import_entry *entry)
{
    const struct import_row *plain = &entry->rows[0];
    bool priced = has(plain, METER_INPUT);

    for (unsigned i = 0; i < METER_COUNTS; i++)
        priced = priced ||
                 (price_fee_whole((enum meter_count)i) && plain->rates.count[i] != METER_NO_RATE);
    if (!priced)
        say(entry, METER_IMPORT_SKIPPED, "no price per input token, nor per call");
    else if (is_talk(entry) && !has(plain, METER_OUTPUT))
        say(entry, METER_IMPORT_SKIPPED, "no price per output token");
}

/* Rows that lack the plain one's input or output rate: a tier takes it, a service is dropped. */
static void rows_complete(struct import_entry *entry)
{
    static const enum meter_bucket needed[] = {METER_INPUT, METER_OUTPUT};
    unsigned kept = 0;

    for (unsigned r = 0; r < entry->row_count; r++) {
        struct import_row row = entry->rows[r];
        bool complete = true;

        for (size_t i = 0; i < COUNT_OF(needed); i++) {
            if (has(&row, needed[i]) || !has(&entry->rows[0], needed[i]))
                continue;
            complete = complete && row.prompt_from > 0;
            row.rates.token[needed[i]] = entry->rows[0].rates.token[needed[i]];
        }
        for (unsigned i = 0; i < METER_COUNTS; i++)
            if (row.rates.count[i] == METER_NO_RATE)
                row.rates.count[i] = entry->rows[0].rates.count[i];
        if (complete)
            entry->rows[kept++] = row;
    }
    entry->row_count = kept;
}

/* A rate that is 20 times under the book's is another unit's. */
static void low_check(struct import_entry *entry, const struct meter_price_book *against)
{
    static const enum meter_bucket looked_at[] = {METER_INPUT, METER_OUTPUT};
    const struct meter_price_key key = {.prompt_tokens = 0};
    struct meter_price price;
    struct meter_rates known;
    const char *name;

    if (against == NULL || meter_price_find_named(against, entry->provider, entry->model, INT64_MAX,
                                                  &price) != METER_OK)
        return;
    meter_price_rates(&price, &key, &known, &name);
    for (size_t i = 0; i < COUNT_OF(looked_at); i++) {
        enum meter_bucket bucket = looked_at[i];
        uint64_t rate = entry->rows[0].rates.token[bucket];
        char said[METER_USD_TEXT], book[METER_USD_TEXT];

        if (rate == METER_NO_RATE || known.token[bucket] == METER_NO_RATE ||
            rate > known.token[bucket] / LOW_FACTOR)
            continue;
        say(entry, METER_IMPORT_WRONG,
            "%s_cost_per_token: %s is 20 times or more under the %s of the book",
            meter_bucket_name(bucket), money_text_of(rate, 15, said),
            money_text_of(known.token[bucket], 15, book));
    }
}

void import_entry_read(struct import_entry *entry, const char *at, const char *end,
                       const struct meter_price_book *against)
{
    const char *begin = at;
    struct price_member member;

    while (price_member_next(&at, end, &member) == PRICE_MEMBER) {
        if (price_member_is(&member, "litellm_provider"))
            (void)price_member_text(&member, entry->theirs, sizeof entry->theirs);
        else if (price_member_is(&member, "mode"))
            (void)price_member_text(&member, entry->mode, sizeof entry->mode);
    }
    owner_find(entry);
    if (entry->result != METER_IMPORT_TAKEN)
        return;
    (void)row_of(entry, 0, METER_TIER_STANDARD);
    for (at = begin; price_member_next(&at, end, &member) == PRICE_MEMBER;)
        member_read(entry, &member);
    for (unsigned i = 0; i < entry->row_count; i++)
        alternatives_drop(&entry->rows[i]);
    plain_check(entry);
    rows_complete(entry);
    low_check(entry, against);
}
