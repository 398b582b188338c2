/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to OpenAI's APIs of text. */
#include "meter/request.h"

/* ---- chat completions --------------------------------------------------------------------- */

static const struct scan_path chat_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"stream_options", SCAN_BEGIN | SCAN_END, REQUEST_OPTIONS},
    {"stream_options.include_usage", SCAN_END, REQUEST_ASKED},
    {"model_id", SCAN_END | SCAN_MUTE, REQUEST_MODEL}, /* of watsonx */
    REQUEST_ROUTED,
    {"search_parameters", SCAN_END, REQUEST_SEARCH_OPTIONS}, /* of xAI */
    {"enable_search", SCAN_END, REQUEST_SEARCH_OPTIONS},     /* of DashScope */
    {"enable_thinking", SCAN_END, REQUEST_THINKING},
    {"thinking_budget", SCAN_END, REQUEST_BUDGET},
    {"cached_content", SCAN_END, REQUEST_REFERENCE}, /* of Google, below /openai */
    {"cachedContent", SCAN_END, REQUEST_REFERENCE},
    {"google.cached_content", SCAN_END, REQUEST_REFERENCE},
    {"google.cachedContent", SCAN_END, REQUEST_REFERENCE},
    {"extra_body.cached_content", SCAN_END, REQUEST_REFERENCE},
    {"extra_body.google.cached_content", SCAN_END, REQUEST_REFERENCE},
    {"extra_body.google.cachedContent", SCAN_END, REQUEST_REFERENCE},
    {"documents", SCAN_END, REQUEST_REFERENCE},
    {"max_completion_tokens", SCAN_END, REQUEST_CAP},
    {"max_tokens", SCAN_END, REQUEST_CAP_OLD},
    {"n", SCAN_END, REQUEST_CHOICES},
    {"service_tier", SCAN_END, REQUEST_TIER},
    {"prompt_cache_options.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"prediction", SCAN_END, REQUEST_FIXED}, /* forbids max_completion_tokens */
    {"web_search_options", SCAN_END, REQUEST_SEARCH_OPTIONS},
    {"response_format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"modalities[]", SCAN_END, REQUEST_MODALITY},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"functions[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].role", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].content[].type", SCAN_END | SCAN_MUTE, REQUEST_PART_TYPE},
    {"messages[].content[].*_url", SCAN_END, REQUEST_REFERENCE},
    {"messages[].content[].file_uri", SCAN_END, REQUEST_REFERENCE},
    {"messages[].content[].file_id", SCAN_END, REQUEST_REFERENCE},
    {"messages[].content[].video", SCAN_END, REQUEST_REFERENCE},
    {"messages[].content[].input_audio", SCAN_END | SCAN_MUTE, REQUEST_AUDIO_DATA},
    {"messages[].tool_call_id", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].tool_calls[].id", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].tool_calls[].type", SCAN_MUTE, REQUEST_TEXT},
    {"messages[].audio.id", SCAN_END, REQUEST_REFERENCE},
    {"messages[].content[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"messages[].content[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"messages[].content[].input_audio.data", SCAN_END | SCAN_MUTE, REQUEST_AUDIO_DATA},
    {"messages[].content[].file.file_data", SCAN_END | SCAN_MUTE, REQUEST_FILE_DATA},
    {"messages[].content[].file.file_id", SCAN_END, REQUEST_REFERENCE},
};

const struct request_reader request_chat = {
    .tree = SCAN_TREE_ONCE,
    .paths = chat_paths,
    .path_count = COUNT_OF(chat_paths),
    .cache_write = true,
    .asks = true,
    .cap_prefix = "\"max_completion_tokens\":",
    .old_prefix = "\"max_tokens\":",
    .pass_prefix = "null,\"max_tokens\":",
};

/* ---- what came before: completions -------------------------------------------------------- */

static const struct scan_path completions_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"stream_options", SCAN_BEGIN | SCAN_END, REQUEST_OPTIONS},
    {"stream_options.include_usage", SCAN_END, REQUEST_ASKED},
    {"max_tokens", SCAN_END, REQUEST_CAP},
    {"n", SCAN_END, REQUEST_CHOICES},
    {"best_of", SCAN_END, REQUEST_CHOICES},
    REQUEST_ROUTED,
    {"prompt", SCAN_END, REQUEST_NUMBERS},
    {"prompt[]", SCAN_END, REQUEST_PROMPT},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
};

/* A gateway's stored prompts have the same path, and are not in the body. */
static void completions_finish(struct request_read *read)
{
    if (provider_id_of(read->out->provider) == PROVIDER_PORTKEY)
        read->out->context_window = true;
}

const struct request_reader request_completions = {
    .tree = SCAN_TREE_ONCE,
    .paths = completions_paths,
    .path_count = COUNT_OF(completions_paths),
    .finish = completions_finish,
    .asks = true,
    .cap_prefix = "\"max_tokens\":",
};

/* ---- vectors ------------------------------------------------------------------------------ */

static const struct scan_path embeddings_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    REQUEST_ROUTED,
    {"input", SCAN_END, REQUEST_NUMBERS},
    {"input[]", SCAN_END, REQUEST_MESSAGE},
    {"texts[]", SCAN_END, REQUEST_MESSAGE},
    {"images[]", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"inputs[].content[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"inputs[].content[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input[].image", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input[].content[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input[].content[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
};

const struct request_reader request_embeddings = {
    .tree = SCAN_TREE_ONCE,
    .paths = embeddings_paths,
    .path_count = COUNT_OF(embeddings_paths),
    .no_output = true,
    .fixed = true,
};

/* ---- moderation --------------------------------------------------------------------------- */

static const struct scan_path moderation_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"input[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
};

const struct request_reader request_moderation = {
    .tree = SCAN_TREE_ONCE,
    .paths = moderation_paths,
    .path_count = COUNT_OF(moderation_paths),
    .model = "omni-moderation-latest",
    .no_output = true,
    .fixed = true,
};

/* ---- runs of assistants ------------------------------------------------------------------- */

static const struct scan_path runs_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"max_completion_tokens", SCAN_END, REQUEST_CAP},
    {"max_prompt_tokens", SCAN_END, REQUEST_INPUT_CAP},
    {"instructions", SCAN_TEXT, REQUEST_CONTENT},
    {"additional_messages[]", SCAN_BEGIN | SCAN_END, REQUEST_CONTENT},
    {"tools", SCAN_END, REQUEST_TOOLS},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
};

/* The thread and the assistant are the provider's; so is what its tools put in, and without a list
 * of them here, which they are. */
static void runs_finish(struct request_read *read)
{
    read->out->unbounded |= !read->tools_said;
    read->out->hold_if_broken = true; /* it goes on without the caller */
    read->out->context_window = read->input_cap == 0;
}

const struct request_reader request_runs = {
    .tree = SCAN_TREE_ONCE,
    .paths = runs_paths,
    .path_count = COUNT_OF(runs_paths),
    .finish = runs_finish,
    .cap_prefix = "\"max_completion_tokens\":",
};

/* ---- responses ---------------------------------------------------------------------------- */

/* Content parts, of messages and of what tools gave. */
/* clang-format off */
#define PARTS(list)                                                                                \
    {list "[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},                                \
    {list "[].file_data", SCAN_END | SCAN_MUTE, REQUEST_FILE_DATA},                                \
    {list "[].input_audio.data", SCAN_END | SCAN_MUTE, REQUEST_AUDIO_DATA},                        \
    {list "[].file_id", SCAN_END, REQUEST_REFERENCE},                                              \
    {list "[].*_url", SCAN_END, REQUEST_REFERENCE}
/* clang-format on */

static const struct scan_path responses_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"background", SCAN_END, REQUEST_BACKGROUND},
    {"max_output_tokens", SCAN_END, REQUEST_CAP},
    {"service_tier", SCAN_END, REQUEST_TIER},
    {"max_tool_calls", SCAN_END, REQUEST_ALL_USES},
    {"prompt_cache_options.ttl", SCAN_END, REQUEST_CACHE_TTL},
    {"previous_response_id", SCAN_END, REQUEST_REFERENCE},
    {"conversation", SCAN_END, REQUEST_REFERENCE},
    {"truncation", SCAN_END, REQUEST_UNSTEADY},
    {"context_management", SCAN_END, REQUEST_UNSTEADY},
    {"prompt", SCAN_END, REQUEST_REFERENCE},
    REQUEST_ROUTED,
    {"text.format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"tools[].environment.type", SCAN_END, REQUEST_PLACE},
    {"instructions", SCAN_TEXT, REQUEST_CONTENT},
    {"input", SCAN_TEXT, REQUEST_CONTENT},
    {"input[]", SCAN_BEGIN | SCAN_END, REQUEST_ITEM},
    {"input[].id", SCAN_MUTE, REQUEST_TEXT},
    {"input[].call_id", SCAN_MUTE, REQUEST_TEXT},
    {"input[].status", SCAN_MUTE, REQUEST_TEXT},
    {"input[].type", SCAN_END | SCAN_MUTE, REQUEST_ITEM_TYPE},
    {"input[].role", SCAN_MUTE, REQUEST_TEXT},
    {"input[].content[].type", SCAN_END | SCAN_MUTE, REQUEST_PART_TYPE},
    {"input[].content", SCAN_END, REQUEST_ITEM_BODY},
    {"input[].encrypted_content", SCAN_END, REQUEST_ITEM_SEALED},
    {"input[].tools", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"input[].result", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},
    PARTS("input[].content"),
    PARTS("input[].output"),
};

const struct request_reader request_responses = {
    .tree = SCAN_TREE_ONCE,
    .paths = responses_paths,
    .path_count = COUNT_OF(responses_paths),
    .cache_write = true,
    .cap_prefix = "\"max_output_tokens\":",
};
