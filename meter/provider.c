/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request goes to and which API it calls: lookups in tables, by host, method and path. */
#include "meter/glob.h"
#include "meter/meter_int.h"

#define PATH_ROOM 2048u

const char *meter_strerror(enum meter_err err)
{
    switch (err) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        METER_ERR_MAP(X)
#undef X
    }
    return "an error that this build does not know";
}

/* ---- providers ---------------------------------------------------------------------------- */

enum provider_id {
#define METER_PROVIDER_ROW(id, name, shape) PROVIDER_##id,
#include "meter/providers.def"
    PROVIDERS
};

static const struct meter_provider providers[] = {
#define METER_PROVIDER_ROW(id, name, shape) {name, METER_SHAPE_##shape},
#include "meter/providers.def"
};

static const struct {
    enum provider_id provider;
    const char *pattern;
} hosts[] = {
#define METER_HOST_ROW(id, pattern) {PROVIDER_##id, pattern},
#include "meter/providers.def"
};

const struct meter_provider *meter_provider_unknown(void)
{
    return &providers[PROVIDER_UNKNOWN];
}

const struct meter_provider *meter_provider_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(providers); i++)
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    return NULL;
}

const char *meter_provider_name(const struct meter_provider *provider)
{
    return provider->name;
}

/* A host without its port and the dot of a fully qualified name, in lower case. */
static bool host_plain(const char *host, char *out, size_t room)
{
    size_t bytes = strcspn(host, ":");

    while (bytes > 0 && host[bytes - 1] == '.')
        bytes--;
    if (bytes >= room)
        return false;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i]);
    out[bytes] = '\0';
    return true;
}

const struct meter_provider *meter_provider_by_host(const char *host)
{
    char plain[256];

    if (host == NULL || !host_plain(host, plain, sizeof plain))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        if (meter_glob(hosts[i].pattern, plain))
            return &providers[hosts[i].provider];
    return NULL;
}

/* ---- APIs --------------------------------------------------------------------------------- */

enum api_id {
    API_CHAT,
    API_RESPONSES,
    API_MESSAGES,
    API_GENERATE,
    API_STREAM_GENERATE,
    API_RETRIEVE,
    API_INPUT_TOKENS,
    API_COUNT_TOKENS,
    API_COUNT_CONTENT,
    API_MODELS,
    API_FILES,
    API_READ,
    API_NONE
};

#define READ_ONLY(text)                                                                            \
    {                                                                                              \
        .name = text, .kind = METER_READ_ONLY                                                      \
    }

static const struct meter_api apis[] = {
    [API_CHAT] = {.name = "chat.completions",
                  .kind = METER_BILLABLE,
                  .family = TEXT_OPENAI,
                  .reader = &request_chat,
                  .adapter = &answer_chat},
    [API_RESPONSES] = {.name = "responses",
                       .kind = METER_BILLABLE,
                       .family = TEXT_OPENAI,
                       .reader = &request_responses,
                       .adapter = &answer_responses},
    [API_MESSAGES] = {.name = "messages",
                      .kind = METER_BILLABLE,
                      .cache_write = true,
                      .family = TEXT_ANTHROPIC,
                      .reader = &request_messages,
                      .adapter = &answer_messages},
    [API_GENERATE] = {.name = "generateContent",
                      .kind = METER_BILLABLE,
                      .family = TEXT_GEMINI,
                      .reader = &request_generate,
                      .adapter = &answer_generate},
    [API_STREAM_GENERATE] = {.name = "streamGenerateContent",
                             .kind = METER_BILLABLE,
                             .streams = true,
                             .family = TEXT_GEMINI,
                             .reader = &request_generate,
                             .adapter = &answer_generate},
    [API_RETRIEVE] = READ_ONLY("responses.retrieve"),
    [API_INPUT_TOKENS] = READ_ONLY("responses.input_tokens"),
    [API_COUNT_TOKENS] = READ_ONLY("messages.count_tokens"),
    [API_COUNT_CONTENT] = READ_ONLY("countTokens"),
    [API_MODELS] = READ_ONLY("models"),
    [API_FILES] = READ_ONLY("files"),
    [API_READ] = READ_ONLY("read"),
};

const char *meter_api_name(const struct meter_api *api)
{
    return api != NULL ? api->name : "";
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
    {PROVIDER_GEMINI, "GET", "*BidiGenerateContent*", API_NONE},
    {PROVIDER_OPENAI, "GET", "*/responses/*", API_RETRIEVE},
    {ANY, "GET", "*/models", API_MODELS},
    {ANY, "GET", "*/models/*", API_MODELS},
    {ANY, "GET", "*", API_READ},
    {ANY, "HEAD", "*", API_READ},
    {ANY, "DELETE", "*", API_READ},
    {ANY, "OPTIONS", "*", API_READ},
    {PROVIDER_OPENAI, "POST", "*/responses/input_tokens", API_INPUT_TOKENS},
    {PROVIDER_OPENAI, "POST", "*/responses/*/cancel", API_READ},
    {PROVIDER_OPENAI, "POST", "*/files", API_FILES},
    {PROVIDER_OPENAI, "POST", "*/uploads", API_FILES},
    {PROVIDER_OPENAI, "POST", "*/uploads/*", API_FILES},
    {PROVIDER_ANTHROPIC, "POST", "*/messages/count_tokens", API_COUNT_TOKENS},
    {PROVIDER_ANTHROPIC, "POST", "*/messages", API_MESSAGES},
    {PROVIDER_ANTHROPIC, "POST", "*/files", API_FILES},
    {PROVIDER_GEMINI, "POST", "*:countTokens", API_COUNT_CONTENT},
    {PROVIDER_GEMINI, "POST", "/upload/*", API_FILES},
    {PROVIDER_GEMINI, "POST", "*/openai/*", API_NONE},
};

static const struct {
    const char *pattern;
    enum meter_shape shape;
    enum api_id api;
} paths[] = {
#define METER_PATH_ROW(pattern, shape, api) {pattern, METER_SHAPE_##shape, API_##api},
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
    enum provider_id id = (enum provider_id)(provider - providers);

    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if ((routes[i].provider == id || routes[i].provider == ANY) &&
            strcmp(routes[i].method, method) == 0 && meter_glob(routes[i].pattern, path))
            return api_at(routes[i].api, kind_out);
    for (size_t i = 0; strcmp(method, "POST") == 0 && i < COUNT_OF(paths); i++)
        if (meter_glob(paths[i].pattern, path))
            return api_at(paths[i].api, kind_out);
    return api_at(API_NONE, kind_out);
}

enum meter_shape meter_shape_of(const struct meter_provider *provider, const char *path)
{
    char plain[PATH_ROOM];

    if (provider != NULL && provider != meter_provider_unknown())
        return provider->shape;
    meter_path_decode(path != NULL ? path : "", plain, sizeof plain);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (meter_glob(paths[i].pattern, plain))
            return paths[i].shape;
    return METER_SHAPE_OPENAI;
}
