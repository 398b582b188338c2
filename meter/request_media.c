/* SPDX-License-Identifier: Apache-2.0 */
/* Media in a request: base64 is no text, so its bytes leave the text's bound and a formula takes
 * their place. What stands behind an address or an id cannot be bounded by the body at all: such a
 * request may fill the whole context window. */
#include "meter/request.h"

#define PATCH            32u /* OpenAI: pixels of a patch's edge */
#define OPENAI_IMAGE_CAP 10000u
#define FILE_TOKENS      10000u /* any file: the page images and headers of a small one */

/* Per image: never more (docs/METERING.md says where the figures come from), and what is usual. */
static const struct {
    uint64_t cap, typical;
} image_tokens[TEXT_FAMILIES] = {
    [TEXT_OPENAI] = {OPENAI_IMAGE_CAP, 1105},
    [TEXT_ANTHROPIC] = {4784, 1568},
    [TEXT_GEMINI] = {2240, 1120},
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

/* Models since GPT-6 take an image at its own size: 1.2 tokens per patch, without a ceiling. */
static uint64_t openai_image(const char *base64, size_t count)
{
    uint64_t width = 0, height = 0, patches, tokens;

    /* Letters written as \u0041 would hide the header from us. */
    if (memmem(base64, count, "\\u", 2) != NULL || !image_size(base64, count, &width, &height) ||
        width == 0 || height == 0)
        tokens = count / 4 * 3;
    else {
        patches = meter_mul((width + PATCH - 1) / PATCH, (height + PATCH - 1) / PATCH);
        tokens = meter_add(patches, patches / 5 + 1);
    }
    return tokens > OPENAI_IMAGE_CAP ? tokens : OPENAI_IMAGE_CAP;
}

static struct media_count media_bound(enum text_family family, enum media media, const char *base64,
                                      size_t count)
{
    uint64_t bytes = (uint64_t)count / 4 * 3 + 3;

    switch (media) {
    case MEDIA_IMAGE:
        return (struct media_count){family == TEXT_OPENAI ? openai_image(base64, count)
                                                          : image_tokens[family].cap,
                                    image_tokens[family].typical};
    case MEDIA_PDF: /* text can be deflated to a third, and each page is an image besides */
        return (struct media_count){2 * bytes + FILE_TOKENS, bytes / 16 + 1500};
    case MEDIA_AUDIO: /* at most 263 tokens a second; no codec is below that many bytes */
        return (struct media_count){bytes + FILE_TOKENS, bytes / 500 + 1};
    default: /* text by its bytes */
        return (struct media_count){bytes + FILE_TOKENS, bytes / 4 + 1};
    }
}

static void media_add(struct request_read *read, enum media media, const char *base64, size_t count,
                      uint64_t string_bytes)
{
    struct media_count bound = media_bound(read->family, media, base64, count);
    struct media_count *sum = &read->media[media];

    if (media == MEDIA_OTHER) /* a packed file unfolds to nobody knows how much text */
        read->out->context_window = true;
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
        read->out->context_window = true;
}

/* A file's data, with or without "data:...;base64,"; without it the name's end would tell, but what
 * a name says need not be so. */
void request_file_data(struct request_read *read, const struct scan_value *value)
{
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
