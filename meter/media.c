/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are pictures, sound, or what was read in documents. */
#include "meter/answer.h"

static uint64_t figure(const struct answer *answer, unsigned which)
{
    return (uint64_t)answer_or_zero(answer->number[which]);
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* Models that count tokens price text and pictures apart; where the output is not split, it is the
 * picture. */
static void images_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    uint64_t *tokens = usage->tokens, output = figure(answer, ANSWER_OUTPUT);
    int64_t image_out = answer->number[ANSWER_IMAGE_OUT];

    (void)request;
    tokens[METER_INPUT] = figure(answer, ANSWER_INPUT);
    tokens[METER_CACHE_READ] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_CACHED], &usage->warnings);
    tokens[METER_IMAGE_IN] =
        answer_take(&tokens[METER_INPUT], answer->number[ANSWER_IMAGE_IN], &usage->warnings);
    tokens[METER_IMAGE_OUT] =
        answer_take(&output, image_out >= 0 ? image_out : (int64_t)output, &usage->warnings);
    tokens[METER_OUTPUT] = output;
}

static const struct scan_path images_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"error", SCAN_END, ANSWER_ERROR},
    {"data[]", SCAN_END, ANSWER_IMAGE},
    {"usage", SCAN_BEGIN, ANSWER_USAGE},
    {"usage.input_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.output_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"usage.input_tokens_details.image_tokens", SCAN_END, ANSWER_IMAGE_IN},
    {"usage.input_tokens_details.cached_tokens", SCAN_END, ANSWER_CACHED},
    {"usage.output_tokens_details.image_tokens", SCAN_END, ANSWER_IMAGE_OUT},
    {"usage.cost_in_usd_ticks", SCAN_END, ANSWER_COST_TICKS},
    {"usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS},
};

static const struct answer_type images_types[] = {
    TYPE("image_generation.completed", ANSWER_ENDS),
    TYPE("image_edit.completed", ANSWER_ENDS),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_images = {
    .tree = SCAN_TREE_ONCE,
    .paths = images_paths,
    .path_count = COUNT_OF(images_paths),
    .types = images_types,
    .wordless = true,
    .buckets = images_buckets,
};

/* ---- speech ------------------------------------------------------------------------------- */

/* The answer is sound and says nothing: what was asked for is what was spoken. */
static void speech_buckets(const struct answer *answer, const struct meter_request *request,
                           struct meter_usage *usage)
{
    answer_openai_buckets(answer, request, usage);
    usage->counts[METER_CHARACTERS] = request->counts[METER_CHARACTERS];
}

static const struct scan_path speech_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"error", SCAN_END, ANSWER_ERROR},
    {"usage", SCAN_BEGIN, ANSWER_USAGE},
    {"usage.input_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.output_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
};

static const struct answer_type speech_types[] = {TYPE("speech.audio.done", ANSWER_ENDS),
                                                  {NULL, 0, 0}};

const struct answer_adapter answer_speech = {
    .tree = SCAN_TREE_ONCE,
    .paths = speech_paths,
    .path_count = COUNT_OF(speech_paths),
    .types = speech_types,
    .opaque = true,
    .wordless = true,
    .buckets = speech_buckets,
};

/* ---- transcription ------------------------------------------------------------------------ */

/* Billed by tokens or by seconds. An answer that tells neither is text: the most that was held. */
static void transcription_buckets(const struct answer *answer, const struct meter_request *request,
                                  struct meter_usage *usage)
{
    answer_openai_buckets(answer, request, usage);
    usage->counts[METER_SECONDS] = figure(answer, ANSWER_SECONDS);
    if (answer->number[ANSWER_SECONDS] < 0 && !usage->usage_seen)
        usage->counts[METER_SECONDS] = request->counts[METER_SECONDS];
}

static const struct scan_path transcription_paths[] = {
    {"type", SCAN_END, ANSWER_TYPE},
    {"error", SCAN_END, ANSWER_ERROR},
    {"model", SCAN_END, ANSWER_MODEL},
    {"text", SCAN_TEXT, ANSWER_TEXT_WHOLE},
    {"delta", SCAN_TEXT, ANSWER_TEXT},
    {"duration", SCAN_END, ANSWER_SECONDS},
    {"usage", SCAN_BEGIN, ANSWER_USAGE},
    {"usage.seconds", SCAN_END, ANSWER_SECONDS},
    {"usage.input_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.output_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.total_tokens", SCAN_END, ANSWER_TOTAL},
    {"usage.input_token_details.audio_tokens", SCAN_END, ANSWER_AUDIO_IN},
    {"usage.prompt_tokens", SCAN_END, ANSWER_INPUT},
    {"usage.completion_tokens", SCAN_END, ANSWER_OUTPUT},
    {"usage.prompt_audio_seconds", SCAN_END, ANSWER_SECONDS},
    {"usage.*_tokens", SCAN_END, ANSWER_OTHER_TOKENS},
};

static const struct answer_type transcription_types[] = {
    TYPE("transcript.text.done", ANSWER_ENDS),
    TYPE("error", ANSWER_FAILS),
    {NULL, 0, 0},
};

const struct answer_adapter answer_transcription = {
    .tree = SCAN_TREE_ONCE,
    .paths = transcription_paths,
    .path_count = COUNT_OF(transcription_paths),
    .types = transcription_types,
    .opaque = true,
    .buckets = transcription_buckets,
};

/* ---- documents ---------------------------------------------------------------------------- */

static void ocr_buckets(const struct answer *answer, const struct meter_request *request,
                        struct meter_usage *usage)
{
    answer_openai_buckets(answer, request, usage);
    usage->counts[METER_PAGES] = figure(answer, ANSWER_PAGES);
}

static const struct scan_path ocr_paths[] = {
    {"model", SCAN_END, ANSWER_MODEL},
    {"error", SCAN_END, ANSWER_ERROR},
    {"pages[].markdown", SCAN_TEXT, ANSWER_TEXT},
    {"usage_info", SCAN_BEGIN, ANSWER_USAGE},
    {"usage_info.pages_processed", SCAN_END, ANSWER_PAGES},
};

const struct answer_adapter answer_ocr = {
    .tree = SCAN_TREE_ONCE,
    .paths = ocr_paths,
    .path_count = COUNT_OF(ocr_paths),
    .types = answer_no_types,
    .buckets = ocr_buckets,
};
