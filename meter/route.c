/* SPDX-License-Identifier: Apache-2.0 */
/* Which API a request calls: lookups in tables, by provider, method and path. */
#include "meter/answer.h"
#include "meter/glob.h"
#include "meter/request.h"

#include <stdio.h>

#define PATH_ROOM 2048u

enum api_id {
    API_CHAT,
    API_COMPLETIONS,
    API_RESPONSES,
    API_COMPACT,
    API_EMBEDDINGS,
    API_IMAGES,
    API_IMAGE_EDITS,
    API_IMAGE_VARIATIONS,
    API_SPEECH,
    API_TRANSCRIPTIONS,
    API_TRANSLATIONS,
    API_MODERATIONS,
    API_RUNS,
    API_BATCHES,
    API_RERANK,
    API_OCR,
    API_MESSAGES,
    API_RAW_PREDICT,
    API_STREAM_RAW_PREDICT,
    API_RAW_CHAT,
    API_STREAM_RAW_CHAT,
    API_COMPLETE,
    API_GENERATE,
    API_STREAM_GENERATE,
    API_EMBED_CONTENT,
    API_BATCH_EMBED,
    API_PREDICT,
    API_INTERACTIONS,
    API_CONVERSE,
    API_CONVERSE_STREAM,
    API_INVOKE,
    API_INVOKE_STREAM,
    API_RETRIEVE_AND_GENERATE,
    API_OLLAMA_CHAT,
    API_OLLAMA_GENERATE,
    API_OLLAMA_EMBED,
    API_COHERE_CHAT,
    API_COHERE_CHAT_V2,
    API_COHERE_GENERATE,
    API_COHERE_EMBED,
    API_WATSONX,
    API_WATSONX_STREAM,
    API_DASHSCOPE,
    API_TGI,
    API_PREDICTIONS,
    API_RETRIEVE,
    API_RUN_RETRIEVE,
    API_INTERACTION_RETRIEVE,
    API_INPUT_TOKENS,
    API_COUNT_TOKENS,
    API_COUNT_CONTENT,
    API_MODELS,
    API_FILES,
    API_READ,
    API_NONE
};

#define BILLED(text, of, how_read, how_answered)                                                   \
    {                                                                                              \
        .name = text, .kind = METER_BILLABLE, .family = TEXT_##of, .reader = &request_##how_read,  \
        .adapter = &answer_##how_answered                                                          \
    }
#define STREAMED(text, of, how_read, how_answered)                                                 \
    {                                                                                              \
        .name = text, .kind = METER_BILLABLE, .streams = true, .family = TEXT_##of,                \
        .reader = &request_##how_read, .adapter = &answer_##how_answered                           \
    }
#define POLLED(text, of, how_answered)                                                             \
    {                                                                                              \
        .name = text, .kind = METER_POLLED, .family = TEXT_##of, .adapter = &answer_##how_answered \
    }
#define READ_ONLY(text)                                                                            \
    {                                                                                              \
        .name = text, .kind = METER_READ_ONLY                                                      \
    }

/* clang-format off */
static const struct meter_api apis[] = {
    [API_CHAT] = BILLED("chat.completions", OPENAI, chat, chat),
    [API_COMPLETIONS] = BILLED("completions", OPENAI, completions, chat),
    [API_RESPONSES] = BILLED("responses", OPENAI, responses, responses),
    [API_COMPACT] = BILLED("responses.compact", OPENAI, responses, responses),
    [API_EMBEDDINGS] = BILLED("embeddings", OPENAI, embeddings, chat),
    [API_IMAGES] = BILLED("images.generations", OPENAI, images, images),
    [API_IMAGE_EDITS] = BILLED("images.edits", OPENAI, images, images),
    [API_IMAGE_VARIATIONS] = BILLED("images.variations", OPENAI, images, images),
    [API_SPEECH] = BILLED("audio.speech", OPENAI, speech, speech),
    [API_TRANSCRIPTIONS] = BILLED("audio.transcriptions", OPENAI, transcription, transcription),
    [API_TRANSLATIONS] = BILLED("audio.translations", OPENAI, transcription, transcription),
    [API_MODERATIONS] = BILLED("moderations", OPENAI, moderation, chat),
    [API_RUNS] = BILLED("threads.runs", OPENAI, runs, runs),
    [API_BATCHES] = {.name = "batches", .kind = METER_UNKNOWN, .adapter = &answer_batch},
    [API_RERANK] = BILLED("rerank", OPENAI, rerank, cohere),
    [API_OCR] = BILLED("ocr", OPENAI, ocr, ocr),
    [API_MESSAGES] = BILLED("messages", ANTHROPIC, messages, messages),
    [API_RAW_PREDICT] = BILLED("rawPredict", ANTHROPIC, messages, messages),
    [API_STREAM_RAW_PREDICT] = STREAMED("streamRawPredict", ANTHROPIC, messages, messages),
    [API_RAW_CHAT] = BILLED("chat.rawPredict", OPENAI, chat, chat),
    [API_STREAM_RAW_CHAT] = STREAMED("chat.streamRawPredict", OPENAI, chat, chat),
    [API_COMPLETE] = BILLED("complete", ANTHROPIC, complete, messages),
    [API_GENERATE] = BILLED("generateContent", GEMINI, generate, generate),
    [API_STREAM_GENERATE] = STREAMED("streamGenerateContent", GEMINI, generate, generate),
    [API_EMBED_CONTENT] = BILLED("embedContent", GEMINI, embed_content, generate),
    [API_BATCH_EMBED] = BILLED("batchEmbedContents", GEMINI, embed_content, generate),
    [API_PREDICT] = BILLED("predict", GEMINI, predict, predict),
    [API_INTERACTIONS] = BILLED("interactions", GEMINI, interactions, interactions),
    [API_CONVERSE] = BILLED("converse", ANTHROPIC, converse, converse),
    [API_CONVERSE_STREAM] = STREAMED("converse-stream", ANTHROPIC, converse, converse),
    [API_INVOKE] = BILLED("invoke", ANTHROPIC, invoke, invoke),
    [API_INVOKE_STREAM] = STREAMED("invoke-with-response-stream", ANTHROPIC, invoke, invoke),
    [API_RETRIEVE_AND_GENERATE] = BILLED("retrieveAndGenerate", ANTHROPIC, knowledge, unknown),
    [API_OLLAMA_CHAT] = BILLED("api.chat", OPENAI, ollama, ollama),
    [API_OLLAMA_GENERATE] = BILLED("api.generate", OPENAI, ollama, ollama),
    [API_OLLAMA_EMBED] = BILLED("api.embed", OPENAI, embeddings, ollama),
    [API_COHERE_CHAT] = BILLED("v1.chat", OPENAI, cohere, cohere),
    [API_COHERE_CHAT_V2] = BILLED("v2.chat", OPENAI, cohere, cohere),
    [API_COHERE_GENERATE] = BILLED("v1.generate", OPENAI, cohere, cohere),
    [API_COHERE_EMBED] = BILLED("v2.embed", OPENAI, embeddings, cohere),
    [API_WATSONX] = BILLED("text.generation", OPENAI, watsonx, watsonx),
    [API_WATSONX_STREAM] = STREAMED("text.generation_stream", OPENAI, watsonx, watsonx),
    [API_DASHSCOPE] = BILLED("generation", OPENAI, dashscope, dashscope),
    [API_TGI] = BILLED("generate", OPENAI, tgi, tgi),
    [API_PREDICTIONS] = BILLED("predictions", OPENAI, unbounded, unknown),
    [API_RETRIEVE] = POLLED("responses.retrieve", OPENAI, responses),
    [API_RUN_RETRIEVE] = POLLED("threads.runs.retrieve", OPENAI, runs),
    [API_INTERACTION_RETRIEVE] = POLLED("interactions.get", GEMINI, interactions),
    [API_INPUT_TOKENS] = READ_ONLY("responses.input_tokens"),
    [API_COUNT_TOKENS] = READ_ONLY("messages.count_tokens"),
    [API_COUNT_CONTENT] = READ_ONLY("countTokens"),
    [API_MODELS] = READ_ONLY("models"),
    [API_FILES] = READ_ONLY("files"),
    [API_READ] = READ_ONLY("read"),
};
/* clang-format on */

const char *meter_api_name(const struct meter_api *api)
{
    return api != NULL ? api->name : "";
}

enum meter_kind meter_api_kind(const struct meter_api *api)
{
    return api->kind;
}

const struct meter_api *meter_api_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(apis); i++)
        if (strcmp(apis[i].name, name) == 0)
            return &apis[i];
    return NULL;
}

/* ---- routes ------------------------------------------------------------------------------- */

#define ANY PROVIDERS

/* What a provider's paths are, where that is not said by the paths of providers.def. The first
 * match counts. */
static const struct {
    enum provider_id provider;
    const char *method;
    const char *pattern;
    enum api_id api;
} routes[] = {
    /* Sockets that a GET opens: they cost money and nobody here reads them. */
    {PROVIDER_OPENAI, "GET", "*/realtime*", API_NONE},
    {PROVIDER_OPENAI, "GET", "*/responses", API_NONE},
    {PROVIDER_AZURE_OPENAI, "GET", "*/realtime*", API_NONE},
    {PROVIDER_XAI, "GET", "*/realtime*", API_NONE},
    {PROVIDER_GEMINI, "GET", "*BidiGenerateContent*", API_NONE},
    {PROVIDER_VERTEX, "GET", "*BidiGenerateContent*", API_NONE},
    /* Objects that are asked for again until they are done. */
    {ANY, "GET", "*/responses/*/input_items", API_READ},
    {ANY, "GET", "*/responses/*", API_RETRIEVE},
    {ANY, "GET", "*/threads/*/runs/*/steps*", API_READ},
    {ANY, "GET", "*/threads/*/runs/*", API_RUN_RETRIEVE},
    {ANY, "GET", "*/interactions/*", API_INTERACTION_RETRIEVE},
    {ANY, "GET", "*/models", API_MODELS},
    {ANY, "GET", "*/models/*", API_MODELS},
    {ANY, "GET", "*", API_READ},
    {ANY, "HEAD", "*", API_READ},
    {ANY, "DELETE", "*", API_READ},
    {ANY, "OPTIONS", "*", API_READ},
    {ANY, "POST", "*/responses/input_tokens", API_INPUT_TOKENS},
    {ANY, "POST", "*/responses/*/cancel", API_READ},
    {ANY, "POST", "*/messages/count_tokens", API_COUNT_TOKENS},
    {ANY, "POST", "*:countTokens", API_COUNT_CONTENT},
    {ANY, "POST", "*/model/*/count-tokens", API_COUNT_TOKENS},
    {PROVIDER_OPENAI, "POST", "*/files", API_FILES},
    {PROVIDER_OPENAI, "POST", "*/uploads", API_FILES},
    {PROVIDER_OPENAI, "POST", "*/uploads/*", API_FILES},
    {PROVIDER_OPENAI, "POST", "*/moderations", API_MODERATIONS},
    {PROVIDER_OPENAI, "POST", "*/batches", API_BATCHES},
    {ANY, "POST", "*/batches/*/cancel", API_READ},
    {PROVIDER_OPENAI, "POST", "*/threads/*/messages", API_READ},
    {PROVIDER_OPENAI, "POST", "*/threads/*/runs/*/cancel", API_READ},
    {PROVIDER_OPENAI, "POST", "*/v1/threads", API_READ},
    {PROVIDER_OPENAI, "POST", "*/assistants", API_READ},
    {PROVIDER_OPENAI, "POST", "*/assistants/*", API_READ},
    {PROVIDER_OPENAI, "POST", "*/conversations", API_READ},
    {PROVIDER_OPENAI, "POST", "*/conversations/*", API_READ},
    {PROVIDER_OPENAI, "POST", "*/vector_stores", API_READ},
    {PROVIDER_OPENAI, "POST", "*/vector_stores/*", API_READ},
    {PROVIDER_AZURE_OPENAI, "POST", "*/files", API_FILES},
    {PROVIDER_AZURE_OPENAI, "POST", "*/anthropic/v1/messages", API_MESSAGES},
    {PROVIDER_ANTHROPIC, "POST", "*/messages", API_MESSAGES},
    {PROVIDER_ANTHROPIC, "POST", "*/files", API_FILES},
    {PROVIDER_GEMINI, "POST", "/upload/*/files", API_FILES},
    {PROVIDER_GEMINI, "POST", "*/cachedContents", API_READ},
    {PROVIDER_VERTEX, "POST", "*:predict", API_PREDICT},
    {PROVIDER_BEDROCK, "POST", "*/guardrail/*/apply", API_READ},
    {PROVIDER_BEDROCK, "POST", "*/retrieveAndGenerate", API_RETRIEVE_AND_GENERATE},
    {PROVIDER_MISTRAL, "POST", "*/files", API_FILES},
    {PROVIDER_MISTRAL, "POST", "*/moderations", API_MODERATIONS},
    {PROVIDER_PERPLEXITY, "POST", "*/async/*", API_NONE}, /* its body is within another */
    {PROVIDER_COHERE, "POST", "*/v1/generate", API_COHERE_GENERATE},
    {PROVIDER_COHERE, "POST", "*/v1/embed", API_COHERE_EMBED},
    {PROVIDER_COHERE, "POST", "*/tokenize", API_READ},
    {PROVIDER_COHERE, "POST", "*/detokenize", API_READ},
    {PROVIDER_OPENROUTER, "POST", "*/rerank", API_RERANK},
    {PROVIDER_OLLAMA, "POST", "*/api/embed*", API_OLLAMA_EMBED},
    {PROVIDER_OLLAMA, "POST", "/api/chat", API_OLLAMA_CHAT},
    {PROVIDER_OLLAMA, "POST", "/api/generate", API_OLLAMA_GENERATE},
    {PROVIDER_OLLAMA, "POST", "/api/*", API_READ},
    {PROVIDER_WATSONX, "POST", "*/text/generation", API_WATSONX},
    {PROVIDER_WATSONX, "POST", "*/text/generation_stream", API_WATSONX_STREAM},
    {PROVIDER_WATSONX, "POST", "*/generation/text", API_WATSONX},
    {PROVIDER_WATSONX, "POST", "*/generation/text_stream", API_WATSONX_STREAM},
    {PROVIDER_WATSONX, "POST", "*/text/chat", API_CHAT},
    {PROVIDER_WATSONX, "POST", "*/text/chat_stream", API_CHAT},
    {PROVIDER_WATSONX, "POST", "*/text/tokenization", API_READ},
    {PROVIDER_DASHSCOPE, "POST", "*/services/*/generation", API_DASHSCOPE},
    {PROVIDER_DASHSCOPE, "POST", "*/services/embeddings/*", API_DASHSCOPE},
    {PROVIDER_DASHSCOPE, "POST", "*/services/rerank/*", API_DASHSCOPE},
    {PROVIDER_DASHSCOPE, "POST", "*/services/aigc/*", API_PREDICTIONS},
    {PROVIDER_HUGGINGFACE, "POST", "/", API_TGI},
    {PROVIDER_HUGGINGFACE, "POST", "/generate*", API_TGI},
    {PROVIDER_HUGGINGFACE, "POST", "*/models/*", API_TGI},
    {PROVIDER_WRITER, "POST", "*/v1/chat", API_CHAT},
    {PROVIDER_REPLICATE, "POST", "*/predictions", API_PREDICTIONS},
    {PROVIDER_REPLICATE, "POST", "*/cancel", API_READ},
};

static const struct {
    const char *pattern;
    size_t size;
    enum meter_shape shape;
    enum api_id api;
} paths[] = {
#define METER_PATH_ROW(pattern, shape, api)                                                        \
    {pattern, sizeof pattern - 1, METER_SHAPE_##shape, API_##api},
#include "meter/providers.def"
};

static int hex_pair(const char *p)
{
    int high = p[0] != '\0' ? scan_hex_digit(p[0]) : -1;
    int low = high >= 0 ? scan_hex_digit(p[1]) : -1;

    return low < 0 ? -1 : high << 4 | low;
}

/* Percent-decoded, the query and what names nothing gone: so that no spelling of a path is another
 * path. One that does not fit becomes "". */
void meter_path_decode(const char *path, char *out, size_t room)
{
    size_t used = 0;

    for (const char *p = path; *p != '\0' && *p != '?' && *p != '#'; p++) {
        int code = *p == '%' ? hex_pair(p + 1) : -1;
        char c = code > 0 ? (char)code : *p;

        p += code > 0 ? 2 : 0;
        if (used + 1 >= room) {
            used = 0;
            break;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    meter_path_flatten(out);
}

static const struct meter_api *api_at(enum api_id id, enum meter_kind *kind_out)
{
    *kind_out = id == API_NONE ? METER_UNKNOWN : apis[id].kind;
    return id == API_NONE ? NULL : &apis[id];
}

const struct meter_api *meter_route(const struct meter_provider *provider, const char *method,
                                    const char *path, enum meter_kind *kind_out)
{
    enum provider_id id = provider_id_of(provider);
    size_t length = strlen(path);

    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if ((routes[i].provider == id || routes[i].provider == ANY) &&
            strcmp(routes[i].method, method) == 0 && meter_glob(routes[i].pattern, path))
            return api_at(routes[i].api, kind_out);
    for (size_t i = 0; strcmp(method, "POST") == 0 && i < COUNT_OF(paths); i++)
        if (meter_glob_may(paths[i].pattern, paths[i].size, path, length) &&
            meter_glob(paths[i].pattern, path))
            return api_at(paths[i].api, kind_out);
    return api_at(API_NONE, kind_out);
}

bool meter_api_may_be(const struct meter_api *api, const struct meter_provider *provider,
                      const char *endpoint)
{
    char path[PATH_ROOM];
    enum meter_kind kind;
    const struct meter_api *known;

    (void)snprintf(path, sizeof path, "/%s", endpoint != NULL ? endpoint : "");
    known = meter_route(provider, "POST", path, &kind);
    return known == NULL || known == api;
}

enum meter_shape meter_shape_of(const struct meter_provider *provider, const char *path)
{
    char plain[PATH_ROOM];

    meter_path_decode(path != NULL ? path : "", plain, sizeof plain);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (meter_glob(paths[i].pattern, plain))
            return paths[i].shape;
    return provider != NULL ? provider->shape : METER_SHAPE_OPENAI;
}

/* ---- models that stand in the path -------------------------------------------------------- */

/* What a path has before and after a model; of what stands between, the last segment counts: ARNs
 * have slashes in them. wins: whatever the body says, the path decides. */
static const struct {
    const char *before;
    char after;
    bool last; /* the last of them, not the first */
    bool wins;
} model_places[] = {
    {"/publishers/", ':', true, false},
    {"/models/", ':', true, false},
    {"/model/", '/', true, true},
    {"/deployments/", '/', false, true},
};

bool meter_path_model(const char *path, char *out, size_t room, bool *wins_out)
{
    for (size_t i = 0; i < COUNT_OF(model_places); i++) {
        const char *from = strstr(path, model_places[i].before), *to, *slash;

        if (from == NULL)
            continue;
        from += strlen(model_places[i].before);
        to = model_places[i].last ? strrchr(from, model_places[i].after)
                                  : strchr(from, model_places[i].after);
        if (to == NULL || to == from)
            continue;
        slash = memrchr(from, '/', (size_t)(to - from));
        from = slash != NULL ? slash + 1 : from;
        if ((size_t)(to - from) >= room)
            return false;
        memcpy(out, from, (size_t)(to - from));
        out[to - from] = '\0';
        *wins_out = model_places[i].wins;
        return true;
    }
    return false;
}
