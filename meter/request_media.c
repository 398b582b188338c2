/* SPDX-License-Identifier: Apache-2.0 */
/* Media in a request: base64 is no text, so its bytes leave the text's bound and a formula takes
 * their place. What stands behind an address or an id cannot be bounded by the body at all: such a
 * request may fill the whole context window. */
#include "meter/request.h"

#define PATCH 32u /* OpenAI: pixels of a patch's edge */
#define TILE_TOKENS                                                                                \
    258u /* Gemini: of a tile, whose edge is two thirds of the shorter side, but ... */
#define TILE_LEAST  256u /* ... at least so many pixels */
#define TILE_MOST   768u
#define FILE_TOKENS 10000u /* any file: the page images and headers of a small one */

/* Per image: what a large one is at least held at, by its size more (docs/METERING.md), and what is
 * usual. */
static const struct {
    uint64_t floor, typical;
} image_tokens[TEXT_FAMILIES] = {
    [TEXT_OPENAI] = {10000, 1105},
    [TEXT_ANTHROPIC] = {4784, 1568},
    [TEXT_GEMINI] = {16 * TILE_TOKENS, 1120},
};

static const struct {
    const char *prefix;
    enum media media;
} mimes[] = {
    {"image/", MEDIA_IMAGE},
    {"application/pdf", MEDIA_PDF},
    {"audio/", MEDIA_AUDIO},
    {"video/", MEDIA_AUDIO},
    {"text/", MEDIA_TEXT},
    {"application/json", MEDIA_TEXT},
    {"application/x-pdf", MEDIA_PDF},
};

static enum media media_of(const char *mime, size_t bytes)
{
    for (size_t i = 0; i < COUNT_OF(mimes); i++) {
        size_t want = strlen(mimes[i].prefix);

        if (bytes >= want && strncasecmp(mime, mimes[i].prefix, want) == 0)
            return mimes[i].media;
    }
    return MEDIA_OTHER;
}

/* Patches: 2.46 tokens for each of the dearest known model, and no ceiling with some. */
static uint64_t patches_tokens(uint64_t width, uint64_t height)
{
    uint64_t patches = meter_mul((width + PATCH - 1) / PATCH, (height + PATCH - 1) / PATCH);

    return meter_add(meter_mul(patches, 2), patches / 2 + 1);
}

static uint64_t tiles_tokens(uint64_t width, uint64_t height)
{
    uint64_t edge = (width < height ? width : height) * 2 / 3;

    edge = edge < TILE_LEAST ? TILE_LEAST : edge > TILE_MOST ? TILE_MOST : edge;
    return meter_mul(meter_mul((width + edge - 1) / edge, (height + edge - 1) / edge), TILE_TOKENS);
}

/* Claude makes large images smaller itself; everybody else may count them as they are. */
static bool is_claude(const struct request_read *read)
{
    return read->family == TEXT_ANTHROPIC &&
           (provider_id_of(read->out->provider) != PROVIDER_BEDROCK ||
            strstr(read->out->model, "claude") != NULL);
}

static uint64_t image_bound(struct request_read *read, const char *base64, size_t count)
{
    enum text_family family = read->family == TEXT_GEMINI ? TEXT_GEMINI : TEXT_OPENAI;
    uint64_t width = 0, height = 0, most = image_tokens[family].floor, tokens;

    read->images++;
    if (is_claude(read))
        return image_tokens[TEXT_ANTHROPIC].floor;
    /* Letters written as \u0041 would hide the header from us. */
    if (memmem(base64, count, "\\u", 2) != NULL || !image_size(base64, count, &width, &height) ||
        width == 0 || height == 0)
        return METER_ANY_WINDOW;
    tokens = tiles_tokens(width, height);
    most = tokens > most ? tokens : most;
    tokens = family == TEXT_OPENAI ? patches_tokens(width, height) : 0;
    return tokens > most ? tokens : most;
}

/* Pages are as many as a packed list of them says; a packed file, or one with a clock in it, is
 * nobody knows how much. What is in the body is so much only until it has been reported once. */
static struct media_count media_bound(struct request_read *read, enum media media,
                                      const char *base64, size_t count)
{
    uint64_t bytes = (uint64_t)count / 4 * 3 + 3;

    switch (media) {
    case MEDIA_IMAGE:
        return (struct media_count){image_bound(read, base64, count),
                                    image_tokens[read->family].typical};
    case MEDIA_PDF:
        return (struct media_count){METER_ANY_WINDOW, bytes / 16 + 1500};
    case MEDIA_AUDIO: /* at most 263 tokens a second */
        return (struct media_count){sound_is_dense(base64, count) ? bytes + FILE_TOKENS
                                                                  : METER_ANY_WINDOW,
                                    bytes / 500 + 1};
    case MEDIA_OTHER:
        request_elsewhere(read);
        break;
    case MEDIA_TEXT:
        break;
    }
    return (struct media_count){bytes + FILE_TOKENS, bytes / 4 + 1};
}

static void media_add(struct request_read *read, enum media media, const char *base64, size_t count,
                      uint64_t string_bytes)
{
    struct media_count bound = media_bound(read, media, base64, count);
    struct media_count *sum = &read->media[media];

    sum->tokens = meter_add(sum->tokens, bound.tokens);
    sum->typical = meter_add(sum->typical, bound.typical);
    read->media_strings += string_bytes;
}

/* "data:image/png;base64,iVBOR...": the rest of the string after the comma is the media. */
static bool data_url(struct request_read *read, const struct scan_value *value,
                     enum media otherwise)
{
    const char *comma = NULL;
    enum media media;

    if (value->count >= 5 && strncasecmp(value->bytes, "data:", 5) == 0)
        comma = memchr(value->bytes, ',', value->count < 256 ? value->count : 256);
    if (comma == NULL)
        return false;
    media = media_of(value->bytes + 5, (size_t)(comma - value->bytes - 5));
    if (media == MEDIA_OTHER)
        media = otherwise;
    media_add(read, media, comma + 1, value->count - (size_t)(comma + 1 - value->bytes),
              value->text_bytes);
    return true;
}

void request_image_url(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_STRING && !data_url(read, value, MEDIA_IMAGE))
        request_elsewhere(read);
}

/* A file's data, with or without "data:...;base64,"; without it the name's end would tell, but what
 * a name says need not be so. */
void request_file_data(struct request_read *read, const struct scan_value *value)
{
    /* OpenRouter may have pages read at a fee for each. */
    read->out->unbounded |= provider_id_of(read->out->provider) == PROVIDER_OPENROUTER;
    if (value->type != SCAN_STRING || data_url(read, value, MEDIA_OTHER))
        return;
    media_add(read,
              value->count >= 5 && memcmp(value->bytes, "JVBER", 5) == 0 ? MEDIA_PDF : MEDIA_OTHER,
              value->bytes, value->count, value->text_bytes);
}

void request_audio_data(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_STRING)
        media_add(read, MEDIA_AUDIO, value->bytes, value->count, value->text_bytes);
}

void request_image_data(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_STRING)
        media_add(read, MEDIA_IMAGE, value->bytes, value->count, value->text_bytes);
}

/* Files of a form, of which no more is known than their sizes. */
void request_form_files(struct request_read *read)
{
    enum media media = read->reader->files;
    uint64_t fixed = meter_mul(read->files, FILE_TOKENS);
    struct media_count *sum = &read->media[media];

    sum->tokens = media == MEDIA_IMAGE ? fixed : meter_add(fixed, read->file_bytes);
    sum->typical = media == MEDIA_IMAGE ? meter_mul(read->files, image_tokens[TEXT_OPENAI].typical)
                                        : read->file_bytes / 500 + 1;
}

/* ---- objects of media: the data may stand before or after what says what it is ------------- */

void request_source_begin(struct request_read *read)
{
    read->source = MEDIA_OTHER;
    read->source_plain = false;
    memset(&read->source_data, 0, sizeof read->source_data);
}

/* The type of a source: "text" says that its data are plain text. */
void request_source_type(struct request_read *read, const struct scan_value *value)
{
    if (scan_string_is(value, "text"))
        read->source_plain = true;
}

void request_source_mime(struct request_read *read, const struct scan_value *value)
{
    if (value->type == SCAN_STRING)
        read->source = media_of(value->bytes, value->count);
}

void request_source_data(struct request_read *read, const struct scan_value *value)
{
    /* Of two data the later counts as media, the earlier stays text: the dearer reading. */
    if (value->type == SCAN_STRING)
        read->source_data = *value;
}

void request_source_end(struct request_read *read)
{
    const struct scan_value *data = &read->source_data;

    if (data->bytes == NULL)
        return;
    if (read->source_plain) { /* it was kept from the text until it was clear what it is */
        text_begin(&read->text);
        text_add(&read->text, data->bytes, data->count);
        return;
    }
    media_add(read, read->source, data->bytes, data->count, data->text_bytes);
}
