/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of OpenAI's shape: chat completions and what came before them, embeddings, responses,
 * runs, batches, and the many providers that answer alike. Cached, written and audio tokens are
 * inside the input, reasoning is inside the output; some keep it outside, and only the total tells.
 */
#include "meter/answer.h"

/* ---- buckets ------------------------------------------------------------------------------ */

struct figures {
    uint64_t in, out, reasoning, audio, total;
    bool total_known;
};

static uint64_t figure(const struct answer *answer, unsigned which)
{
    return (uint64_t)answer_or_zero(answer->number[which]);
}

/* Whose reasoning is outside the output even where no total tells: xAI's, in chat completions. */
static bool reasons_outside(const struct meter_request *request)
{
    return provider_id_of(request->provider) == PROVIDER_XAI && request->api != NULL &&
           request->api->adapter == &answer_chat;
}

/* The output, reasoning included. total = in + out: inside. total = in + out + reasoning: outside.
 * Neither: the larger, and a warning. */
static uint64_t output_of(const struct figures *f, bool outside, unsigned *warnings)
{
    if (f->total_known ? f->total == f->in + f->out + f->reasoning : outside)
        return meter_add(f->out, f->reasoning);
    if (f->reasoning > f->out)
        *warnings |= METER_WARN_CLAMPED;
    if (!f->total_known || f->total == f->in + f->out)
        return f->out > f->reasoning ? f->out : f->reasoning;
    *warnings |= METER_WARN_TOTAL;
    return meter_less(f->total, f->in) > f->out ? f->total - f->in : f->out;
}

static void figures_read(const struct answer *answer, struct figures *out)
{
    *out = (struct figures){
        .in = figure(answer, ANSWER_INPUT),
        .out = figure(answer, ANSWER_OUTPUT),
        .reasoning = figure(answer, ANSWER_REASONING),
        .audio = figure(answer, ANSWER_AUDIO_IN),
        .total = figure(answer, ANSWER_TOTAL),
        .total_known = answer->number[ANSWER_TOTAL] >= 0,
    };
    /* Nothing but a total: it is all input. */
    if (answer->number[ANSWER_INPUT] < 0 && answer->number[ANSWER_OUTPUT] < 0)
        out->in = out->total;
}

void answer_openai_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    uint64_t *tokens = usage->tokens, output;
    struct figures f;

    figures_read(answer, &f);
    tokens[METER_INPUT] = f.in;
    /* Mistral's sound is beside the input, and only the total tells. */
    if (f.audio > 0 && f.total_known && f.total == f.in + f.out + f.audio) {
        tokens[METER_AUDIO_IN] = f.audio;
        f.total -= f.audio;
    } else {
        tokens[METER_AUDIO_IN] =
            answer_take(&tokens[METER_INPUT], (int64_t)f.audio, &usage->warnings);
    }
    output = output_of(&f, reasons_outside(request), &usage->warnings);
    tokens[METER_CACHE_READ] =
        answer_take(&tokens[METER_INPUT], answer_cached(answer), &usage->warnings);
    tokens[METER_CACHE_WRITE_5M] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_WRITE], &usage->warnings);
    tokens[METER_INPUT] = meter_add(tokens[METER_INPUT], figure(answer, ANSWER_TOOL_INPUT));
    tokens[METER_AUDIO_OUT] =
        answer_take(&output, answer->number[ANSWER_AUDIO_OUT], &usage->warnings);
    tokens[METER_OUTPUT] = output;
    usage->counts[METER_WEB_SEARCHES] =
        meter_add(usage->counts[METER_WEB_SEARCHES], figure(answer, ANSWER_SEARCHES));
    /* A search model of chat completions searches once for each answer, and does not say so. */
    if (request->api != NULL && request->api->adapter == &answer_chat && usage->output_begun &&
        usage->counts[METER_WEB_SEARCHES] == 0 && request->counts[METER_WEB_SEARCHES] > 0)
        usage->counts[METER_WEB_SEARCHES] = request->choices;
}

/* ---- chat completions --------------------------------------------------------------------- */

/* clang-format off */
#define CHAT_MESSAGE(path, text)                                                                   \
    {path ".content", SCAN_TEXT, text},                                                            \
    {path ".content[].text", SCAN_TEXT, text},                                                     \
    {path ".content[].thinking[].text", SCAN_TEXT, text},                                          \
    {path ".refusal", SCAN_TEXT, text},                                                            \
    {path ".reasoning", SCAN_TEXT, text},                                                          \
    {path ".reasoning_content", SCAN_TEXT, text},                                                  \
    {path ".audio.transcript", SCAN_TEXT, text},                                                   \
    {path ".audio", SCAN_BEGIN, ANSWER_MEDIA},                                                     \
    {path ".images[]", SCAN_BEGIN, ANSWER_MEDIA}, /* of OpenRouter */                              \
    {path ".function_call.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                               \
    {path ".function_call.arguments", SCAN_TEXT, text},                                            \
    {path ".tool_calls[].function.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                       \
    {path ".tool_calls[].function.arguments", SCAN_TEXT, text},                                    \
    {path ".tool_calls[].custom.name", SCAN_TEXT | SCAN_END, ANSWER_TOOL},                         \
    {path ".tool_calls[].custom.input", SCAN_TEXT, text}
/* clang-format on */

/* What gateways and providers say of the cost, in the usage. */
/* clang-format off */
#define COSTS(usage)                                                                               \
    {usage ".cost", SCAN_END, ANSWER_COST},                                                        \
    {usage ".cost.total_cost", SCAN_END, ANSWER_COST},                                             \
    {usage ".cost_in_usd_ticks", SCAN_END, ANSWER_COST_TICKS},                                     \
    {usage ".cost_details.upstream_inference_cost", SCAN_END, ANSWER_COST_UPSTREAM},               \
    {usage ".is_byok", SCAN_END, ANSWER_BYOK},                                                     \
    {usage ".pydantic_ai_gateway.cost_estimate", SCAN_END, ANSWER_COST}
/* clang-format on */

/* The names that one provider or another has for its counts. */
/* clang-format off */
#define CHAT_USAGE(usage)                                                                          \
    {usage, SCAN_BEGIN, ANSWER_USAGE},                                                             \
    {usage ".prompt_tokens", SCAN_END, ANSWER_INPUT},                                              \
    {usage ".completion_tokens", SCAN_END, ANSWER_OUTPUT},                                         \
    {usage ".total_tokens", SCAN_END, ANSWER_TOTAL},                                               \
    {usage ".prompt_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},                       \
    {usage ".prompt_tokens_details.cache_write_tokens", SCAN_END, ANSWER_WRITE},                   \
    {usage ".prompt_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_IN},                      \
    {usage ".prompt_token_details.cached_tokens", SCAN_END, ANSWER_CACHED},                        \
    {usage ".completion_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},             \
    {usage ".completion_token_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},              \
    {usage ".completion_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_OUT},                 \
    {usage ".reasoning_tokens", SCAN_END, ANSWER_REASONING},                                       \
    {usage ".citation_tokens", SCAN_END, ANSWER_TOOL_INPUT},                                       \
    {usage ".num_search_queries", SCAN_END, ANSWER_SEARCHES},                                      \
    {usage ".server_tool_use_details.web_search_requests", SCAN_END, ANSWER_SEARCHES},             \
    {usage ".num_cached_tokens", SCAN_END, ANSWER_CACHED_TOO},                                     \
    {usage ".cached_tokens", SCAN_END, ANSWER_CACHED_TOO},                                         \
    {usage ".prompt_cache_hit_tokens", SCAN_END, ANSWER_CACHED_TOO},                               \
    {usage ".prompt_cache_miss_tokens", 0, 0},                                                     \
    COSTS(usage),                                                                                  \
    {usage ".*_tokens", SCAN_END, ANSWER_OTHER_TOKENS}
/* clang-format on */

static const struct scan_path chat_paths[] = {
    {"model", SCAN_END, ANSWER_MODEL},
    {"service_tier", SCAN_END, ANSWER_TIER},
    {"error", SCAN_END, ANSWER_ERROR},
    {"error.code", SCAN_END, ANSWER_ERROR_CODE},
    {"error.type", SCAN_END, ANSWER_ERROR_CODE},
    {"base_resp.status_code", SCAN_END, ANSWER_RESULT},
    {"choices[].finish_reason", SCAN_END, ANSWER_FINISH},
    {"choices[].text", SCAN_TEXT, ANSWER_TEXT},
    {"value", SCAN_TEXT, ANSWER_TEXT}, /* of Writer's completions */
    CHAT_MESSAGE("choices[].delta", ANSWER_TEXT),
    CHAT_MESSAGE("choices[].message", ANSWER_TEXT_WHOLE),
    CHAT_USAGE("usage"),
    {"data[]", SCAN_BEGIN, ANSWER_ITEM},           /* vectors */
    {"results[]", SCAN_BEGIN, ANSWER_ITEM},        /* of moderation, of rankings */
    {"choices[].usage", SCAN_BEGIN, ANSWER_USAGE}, /* of Moonshot's streams */
    {"choices[].usage.prompt_tokens", SCAN_END, ANSWER_INPUT},
    {"choices[].usage.completion_tokens", SCAN_END, ANSWER_OUTPUT},
    {"choices[].usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"choices[].usage.cached_tokens", SCAN_END, ANSWER_CACHED},
    {"x_groq.usage", SCAN_BEGIN, ANSWER_USAGE},
    {"x_groq.usage.prompt_tokens", SCAN_END, ANSWER_INPUT},
    {"x_groq.usage.completion_tokens", SCAN_END, ANSWER_OUTPUT},
    {"x_groq.usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"x_groq.usage.prompt_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},
    {"x_groq.usage.completion_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},
};

const struct answer_adapter answer_chat = {
    .tree = SCAN_TREE_ONCE,
    .paths = chat_paths,
    .path_count = COUNT_OF(chat_paths),
    .types = answer_no_types,
    .usage_ends = true,
    .adds = 1u << METER_TOOL_CALLS,
    .buckets = answer_openai_buckets,
};

/* ---- responses ---------------------------------------------------------------------------- */

/* The response object, alone or within an event. */
/* clang-format off */
#define RESPONSE(path)                                                                             \
    {path "id", SCAN_END, ANSWER_ID},                                                              \
    {path "model", SCAN_END, ANSWER_MODEL},                                                        \
    {path "service_tier", SCAN_END, ANSWER_TIER},                                                  \
    {path "status", SCAN_END, ANSWER_STATUS},                                                      \
    {path "error", SCAN_END, ANSWER_ERROR},                                                        \
    {path "error.code", SCAN_END, ANSWER_ERROR_CODE},                                              \
    {path "output[]", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},                                         \
    {path "output[].type", SCAN_END, ANSWER_ITEM_TYPE},                                            \
    {path "output[].action.type", SCAN_END, ANSWER_ITEM_ACTION},                                   \
    {path "usage", SCAN_BEGIN, ANSWER_USAGE},                                                      \
    {path "usage.input_tokens", SCAN_END, ANSWER_INPUT},                                           \
    {path "usage.output_tokens", SCAN_END, ANSWER_OUTPUT},                                         \
    {path "usage.total_tokens", SCAN_END, ANSWER_TOTAL},                                           \
    {path "usage.input_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},                    \
    {path "usage.input_tokens_details.cache_write_tokens", SCAN_END, ANSWER_WRITE},                \
    {path "usage.input_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_IN},                   \
    {path "usage.output_tokens_details.reasoning_tokens", SCAN_END, ANSWER_REASONING},             \
    {path "usage.output_tokens_details.audio_tokens", SCAN_END, ANSWER_AUDIO_OUT},                 \
    {path "usage.server_side_tool_usage_details.x_search_calls", SCAN_END, ANSWER_SEARCHES},       \
    COSTS(path "usage"),                                                                           \
    {path "usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS}
/* clang-format on */

static const struct scan_path responses_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"delta", SCAN_TEXT, ANSWER_TEXT},
    {"item", SCAN_BEGIN | SCAN_END, ANSWER_ITEM},
    {"item.type", SCAN_END, ANSWER_ITEM_TYPE},
    {"item.action.type", SCAN_END, ANSWER_ITEM_ACTION},
    RESPONSE("response."),
    RESPONSE(""),
    {"output[].content[].text", SCAN_TEXT, ANSWER_TEXT},
    {"output[].content[].refusal", SCAN_TEXT, ANSWER_TEXT},
    {"output[].summary[].text", SCAN_TEXT, ANSWER_TEXT},
    {"output[].arguments", SCAN_TEXT, ANSWER_TEXT},
    {"output[].input", SCAN_TEXT, ANSWER_TEXT},
    {"output[].code", SCAN_TEXT, ANSWER_TEXT},
};

static const struct answer_type responses_types[] = {
    TYPE("response.completed", ANSWER_ENDS),
    TYPE("response.incomplete", ANSWER_ENDS),
    TYPE("response.cancelled", ANSWER_ENDS),
    TYPE("response.failed", ANSWER_ENDS | ANSWER_FAILS),
    TYPE("response.output_item.added", ANSWER_REPEATED),
    TYPE("response.output_item.done", ANSWER_ADDS),
    TYPE("response.audio.delta", ANSWER_SILENT),
    TYPE("response.output_audio.delta", ANSWER_SILENT),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_responses = {
    .tree = SCAN_TREE_ONCE,
    .paths = responses_paths,
    .path_count = COUNT_OF(responses_paths),
    .types = responses_types,
    .buckets = answer_openai_buckets,
};

/* ---- runs of assistants ------------------------------------------------------------------- */

/* A run's usage comes in its own object and in those of its steps: only its own counts. */
static const struct answer_type runs_types[] = {
    TYPE("thread.run.step", ANSWER_FOREIGN), TYPE("thread.run.step.delta", ANSWER_FOREIGN),
    TYPE("thread.message", ANSWER_FOREIGN),  TYPE("thread.message.delta", ANSWER_FOREIGN),
    TYPE("thread", ANSWER_FOREIGN),          {NULL, 0, 0},
};

static const struct scan_path runs_paths[] = {
    {"object", SCAN_END, ANSWER_TYPE},
    {"id", SCAN_END, ANSWER_ID},
    {"model", SCAN_END, ANSWER_MODEL},
    {"status", SCAN_END, ANSWER_STATUS},
    {"last_error", SCAN_END, ANSWER_ERROR},
    {"error", SCAN_END, ANSWER_ERROR},
    {"delta.content[].text.value", SCAN_TEXT, ANSWER_TEXT},
    {"required_action.submit_tool_outputs.tool_calls[].function.name", SCAN_TEXT | SCAN_END,
     ANSWER_TOOL},
    CHAT_USAGE("usage"),
};

const struct answer_adapter answer_runs = {
    .tree = SCAN_TREE_ONCE,
    .paths = runs_paths,
    .path_count = COUNT_OF(runs_paths),
    .types = runs_types,
    .usage_ends = true,
    .buckets = answer_openai_buckets,
};

/* ---- batches ------------------------------------------------------------------------------ */

static void no_buckets(const struct answer *answer, const struct meter_request *request,
                       struct meter_usage *usage)
{
    (void)answer, (void)request, (void)usage;
}

static const struct scan_path batch_paths[] = {{"error", SCAN_END, ANSWER_ERROR}};

const struct answer_adapter answer_batch = {
    .tree = SCAN_TREE_ONCE,
    .paths = batch_paths,
    .path_count = COUNT_OF(batch_paths),
    .types = answer_no_types,
    .later = true,
    .buckets = no_buckets,
};
