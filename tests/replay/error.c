/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors in the shape that each provider's clients understand: one row per shape and per status.
 */
#include <string.h>

#include "tests/replay/replay.h"

struct status_row {
    int status;
    const char *openai;
    const char *anthropic;
    const char *google;
    const char *aws;
};

/* The first row also stands for every status that has none. */
static const struct status_row statuses[] = {
    {500, "server_error", "api_error", "INTERNAL", "InternalServerException"},
    {400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT",
     "ValidationException"},
    {401, "invalid_request_error", "authentication_error", "UNAUTHENTICATED",
     "AccessDeniedException"},
    {402, "insufficient_quota", "billing_error", "FAILED_PRECONDITION", "AccessDeniedException"},
    {403, "invalid_request_error", "permission_error", "PERMISSION_DENIED",
     "AccessDeniedException"},
    {404, "invalid_request_error", "not_found_error", "NOT_FOUND", "ResourceNotFoundException"},
    {413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT", "ValidationException"},
    {429, "rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException"},
    {503, "service_unavailable_error", "api_error", "UNAVAILABLE", "ServiceUnavailableException"},
    {504, "server_error", "timeout_error", "DEADLINE_EXCEEDED", "ModelTimeoutException"},
    {529, "server_error", "overloaded_error", "UNAVAILABLE", "ServiceUnavailableException"},
};

static const struct status_row *status_row(int status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return &statuses[0];
}

static struct exchange *openai_error(int status, const char *message)
{
    return exchange_made(status, NULL, NULL,
                         json_pack("{s:{s:s, s:s, s:n, s:n}}", "error", "message", message, "type",
                                   status_row(status)->openai, "param", "code"));
}

static struct exchange *anthropic_error(int status, const char *message)
{
    return exchange_made(status, NULL, NULL,
                         json_pack("{s:s, s:{s:s, s:s}, s:n}", "type", "error", "error", "type",
                                   status_row(status)->anthropic, "message", message,
                                   "request_id"));
}

static struct exchange *google_error(int status, const char *message)
{
    return exchange_made(status, NULL, NULL,
                         json_pack("{s:{s:i, s:s, s:s}}", "error", "code", status, "message",
                                   message, "status", status_row(status)->google));
}

static struct exchange *aws_error(int status, const char *message)
{
    return exchange_made(status, "x-amzn-ErrorType", status_row(status)->aws,
                         json_pack("{s:s}", "message", message));
}

static struct exchange *message_error(int status, const char *message)
{
    return exchange_made(status, NULL, NULL, json_pack("{s:s}", "message", message));
}

static struct exchange *ollama_error(int status, const char *message)
{
    return exchange_made(status, NULL, NULL, json_pack("{s:s}", "error", message));
}

struct shape_row {
    const char *provider;
    const char *path_part;
    struct exchange *(*make)(int status, const char *message);
};

/* OpenAI-compatible doors of other providers come first; no row: OpenAI's shape. */
static const struct shape_row shapes[] = {
    {"", "/openai/", openai_error},
    {"", "/chat/completions", openai_error},
    {"anthropic", "/v1/messages", anthropic_error},
    {"gemini", "/v1beta/", google_error},
    {"vertex", ":generateContent", google_error},
    {"vertex", ":streamGenerateContent", google_error},
    {"bedrock", "/model/", aws_error},
    {"cohere", "/v2/chat", message_error},
    {"ollama", "/api/chat", ollama_error},
    {"ollama", "/api/generate", ollama_error},
};

struct exchange *exchange_error(int status, const char *provider, const char *path,
                                const char *message)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if ((provider && !strcmp(provider, shapes[i].provider)) ||
            (path && strstr(path, shapes[i].path_part)))
            return shapes[i].make(status, message);
    return openai_error(status, message);
}
