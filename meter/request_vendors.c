/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to the APIs of pictures, sound and documents, and to providers with
 * shapes of their own. */
#include "meter/request.h"

#define QUERY_TOKENS 16u /* around a query and a document */
#define SECOND_BYTES                                                                               \
    500u /* no codec that a provider takes has fewer bytes for a second of sound                   \
          */
#define SECONDS_UNSEEN 3600u /* where a charge has nothing to go by */
#define UNIT_DOCUMENTS 100u  /* one unit of search: a query with so many documents ... */
#define DOCUMENT_BYTES 500u  /* ... each of so many tokens; a longer one counts as several */
#define NOTED_PAGE     3u    /* pages that one with annotations costs like */

/* ---- pictures ----------------------------------------------------------------------------- */

static const struct scan_path images_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"n", SCAN_END, REQUEST_CHOICES},
    {"prompt", SCAN_TEXT, REQUEST_CONTENT},
    {"images[].image_url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"images[].file_id", SCAN_END, REQUEST_REFERENCE},
    {"mask", SCAN_END, REQUEST_REFERENCE},
    {"image.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
};

static void images_finish(struct request_read *read)
{
    read->out->counts[METER_IMAGES] = read->out->choices;
}

const struct request_reader request_images = {
    .tree = SCAN_TREE_ONCE,
    .paths = images_paths,
    .path_count = COUNT_OF(images_paths),
    .finish = images_finish,
    .model = "dall-e-2",
    .form = true,
    .files = MEDIA_IMAGE,
    .fixed = true,
};

/* ---- sound -------------------------------------------------------------------------------- */

static const struct scan_path speech_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"input", SCAN_TEXT, REQUEST_SPOKEN},
    {"instructions", SCAN_TEXT, REQUEST_CONTENT},
};

static void speech_finish(struct request_read *read)
{
    read->out->counts[METER_CHARACTERS] = read->characters;
}

const struct request_reader request_speech = {
    .tree = SCAN_TREE_ONCE,
    .paths = speech_paths,
    .path_count = COUNT_OF(speech_paths),
    .finish = speech_finish,
    .fixed = true,
};

static const struct scan_path transcription_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
};

/* Sound that stands elsewhere, or in a body without a form, or in bytes that bound no length, is of
 * any length. */
static void transcription_finish(struct request_read *read)
{
    struct meter_request *out = read->out;

    if (read->files == 0)
        request_elsewhere(read);
    out->seconds_open = out->context_window;
    if (out->seconds_open)
        out->audio_input_tokens = UINT64_MAX;
    out->counts[METER_SECONDS] =
        read->files == 0 ? SECONDS_UNSEEN : read->file_bytes / SECOND_BYTES + 1;
}

const struct request_reader request_transcription = {
    .tree = SCAN_TREE_ONCE,
    .paths = transcription_paths,
    .path_count = COUNT_OF(transcription_paths),
    .finish = transcription_finish,
    .form = true,
    .files = MEDIA_AUDIO,
    .fixed = true,
};

/* ---- documents ---------------------------------------------------------------------------- */

static const struct scan_path rerank_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"query", SCAN_BEGIN | SCAN_END, REQUEST_QUERY},
    {"documents[]", SCAN_BEGIN | SCAN_END, REQUEST_DOCUMENT},
};

/* The query goes with each document, and counts with it. */
void request_rerank_units(struct request_read *read)
{
    uint64_t pieces = meter_add(read->documents, read->scan.strings_bytes / DOCUMENT_BYTES);

    if (read->documents > 0)
        read->out->counts[METER_SEARCH_UNITS] = pieces / UNIT_DOCUMENTS + 1;
}

/* Where tokens are billed, the query is read with each document. */
static void queries_add(struct request_read *read)
{
    uint64_t query = meter_add(read->query_bytes, QUERY_TOKENS);

    request_line_add(read->out, "the query", "again with each document, and 16",
                     meter_mul(query, read->documents));
}

static void rerank_finish(struct request_read *read)
{
    request_rerank_units(read);
    queries_add(read);
}

const struct request_reader request_rerank = {
    .tree = SCAN_TREE_ONCE,
    .paths = rerank_paths,
    .path_count = COUNT_OF(rerank_paths),
    .finish = rerank_finish,
    .no_output = true,
    .fixed = true,
};

static const struct scan_path ocr_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"document.document_url", SCAN_MUTE, REQUEST_TEXT},
    {"document.image_url", SCAN_MUTE, REQUEST_TEXT},
    {"pages[]", SCAN_END, REQUEST_PAGES},
    {"document_annotation_format", SCAN_END, REQUEST_NOTES},
    {"bbox_annotation_format", SCAN_END, REQUEST_NOTES},
};

static void ocr_finish(struct request_read *read)
{
    uint64_t pages = read->pages > 0 ? read->pages : REQUEST_PAGES_MOST;

    read->out->counts[METER_PAGES] = meter_mul(pages, read->noted ? NOTED_PAGE : 1);
}

const struct request_reader request_ocr = {
    .tree = SCAN_TREE_ONCE,
    .paths = ocr_paths,
    .path_count = COUNT_OF(ocr_paths),
    .finish = ocr_finish,
    .no_output = true,
    .fixed = true,
};

/* ---- Cohere ------------------------------------------------------------------------------- */

static const struct scan_path cohere_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"max_tokens", SCAN_END, REQUEST_CAP},
    {"num_generations", SCAN_END, REQUEST_CHOICES},
    {"connectors", SCAN_END, REQUEST_REFERENCE},
    {"conversation_id", SCAN_END, REQUEST_REFERENCE},
    {"message", SCAN_TEXT, REQUEST_CONTENT},
    {"preamble", SCAN_TEXT, REQUEST_CONTENT},
    {"prompt", SCAN_TEXT, REQUEST_CONTENT},
    {"thinking.token_budget", SCAN_END, REQUEST_BUDGET},
    {"chat_history[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].content[].image_url.url", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"response_format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"documents[]", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
};

const struct request_reader request_cohere = {
    .tree = SCAN_TREE_ONCE,
    .paths = cohere_paths,
    .path_count = COUNT_OF(cohere_paths),
    .model = "command",
    .cap_prefix = "\"max_tokens\":",
};

/* ---- Ollama ------------------------------------------------------------------------------- */

static const struct scan_path ollama_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"options", SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},
    {"options.num_predict", SCAN_END, REQUEST_CAP_OR_NONE},
    {"images[]", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},
    {"context", SCAN_END, REQUEST_NUMBERS},
    {"prompt", SCAN_TEXT, REQUEST_CONTENT},
    {"system", SCAN_TEXT, REQUEST_CONTENT},
    {"suffix", SCAN_TEXT, REQUEST_CONTENT},
    {"format", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"messages[].images[]", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_DATA},
    {"messages[].tool_calls[].function.arguments", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
    {"tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
};

const struct request_reader request_ollama = {
    .tree = SCAN_TREE_ONCE,
    .paths = ollama_paths,
    .path_count = COUNT_OF(ollama_paths),
    .streams_by_default = true,
    .cap_prefix = "\"num_predict\":",
    .config_prefix = "\"options\":{\"num_predict\":",
    .null_prefix = "{\"num_predict\":",
};

/* ---- watsonx ------------------------------------------------------------------------------ */

static const struct scan_path watsonx_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model_id", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"parameters", SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},
    {"parameters.max_new_tokens", SCAN_END, REQUEST_CAP},
    {"input", SCAN_TEXT, REQUEST_CONTENT},
    {"moderations", SCAN_BEGIN | SCAN_END, REQUEST_JSON},
};

const struct request_reader request_watsonx = {
    .tree = SCAN_TREE_ONCE,
    .paths = watsonx_paths,
    .path_count = COUNT_OF(watsonx_paths),
    .cap_prefix = "\"max_new_tokens\":",
    .config_prefix = "\"parameters\":{\"max_new_tokens\":",
    .null_prefix = "{\"max_new_tokens\":",
};

/* ---- DashScope ---------------------------------------------------------------------------- */

static const struct scan_path dashscope_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"parameters", SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},
    {"parameters.max_tokens", SCAN_END, REQUEST_CAP},
    {"parameters.n", SCAN_END, REQUEST_CHOICES},
    {"parameters.enable_thinking", SCAN_END, REQUEST_THINKING},
    {"parameters.thinking_budget", SCAN_END, REQUEST_BUDGET},
    {"parameters.enable_search", SCAN_END, REQUEST_SEARCH_OPTIONS},
    {"parameters.tools[]", SCAN_BEGIN | SCAN_END, REQUEST_TOOL},
    {"parameters.tools[].type", SCAN_END, REQUEST_TOOL_TYPE},
    {"input.messages[]", SCAN_BEGIN | SCAN_END, REQUEST_MESSAGE},
    {"input.messages[].content[].image", SCAN_END | SCAN_MUTE, REQUEST_IMAGE_URL},
    {"input.messages[].content[].video", SCAN_END, REQUEST_REFERENCE},
    {"input.messages[].content[].audio", SCAN_END, REQUEST_REFERENCE},
    {"input.prompt", SCAN_TEXT, REQUEST_CONTENT},
    {"input.url", SCAN_END, REQUEST_PLACE}, /* a file of nobody knows how many texts */
    {"input.query", SCAN_BEGIN | SCAN_END, REQUEST_QUERY},
    {"input.texts[]", SCAN_BEGIN | SCAN_END, REQUEST_DOCUMENT},
    {"input.documents[]", SCAN_BEGIN | SCAN_END, REQUEST_DOCUMENT},
};

const struct request_reader request_dashscope = {
    .tree = SCAN_TREE_ONCE,
    .paths = dashscope_paths,
    .path_count = COUNT_OF(dashscope_paths),
    .finish = queries_add,
    .cap_prefix = "\"max_tokens\":",
    .config_prefix = "\"parameters\":{\"max_tokens\":",
    .null_prefix = "{\"max_tokens\":",
};

/* ---- text generation of Hugging Face ------------------------------------------------------ */

static const struct scan_path tgi_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"stream", SCAN_END, REQUEST_STREAM},
    {"inputs", SCAN_TEXT, REQUEST_CONTENT},
    {"parameters", SCAN_BEGIN | SCAN_END, REQUEST_CONFIG},
    {"parameters.max_new_tokens", SCAN_END, REQUEST_CAP},
    {"parameters.best_of", SCAN_END, REQUEST_CHOICES},
};

const struct request_reader request_tgi = {
    .tree = SCAN_TREE_ONCE,
    .paths = tgi_paths,
    .path_count = COUNT_OF(tgi_paths),
    .cap_prefix = "\"max_new_tokens\":",
    .config_prefix = "\"parameters\":{\"max_new_tokens\":",
    .null_prefix = "{\"max_new_tokens\":",
};

/* ---- what runs at the provider for as long as it likes ------------------------------------- */

static const struct scan_path unbounded_paths[] = {
    {"", SCAN_BEGIN, REQUEST_ROOT},
    {"model", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"version", SCAN_END | SCAN_MUTE, REQUEST_MODEL},
    {"input", SCAN_END, REQUEST_REFERENCE},
};

const struct request_reader request_unbounded = {
    .tree = SCAN_TREE_ONCE,
    .paths = unbounded_paths,
    .path_count = COUNT_OF(unbounded_paths),
    .fixed = true,
};
