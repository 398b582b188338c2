/* SPDX-License-Identifier: Apache-2.0 */
/* The width and height of an image that stands in a request as base64, from its header alone: PNG,
 * GIF, WebP, BMP, JPEG. Only what these formats must have is looked at; no pixel is decoded. */
#include "meter/request.h"

#define JPEG_HEADERS_MAX (1u << 20) /* bytes of a JPEG that may stand before its frame */

/* Base64 as bytes, one after another. */
struct reader {
    const unsigned char *p, *end;
    uint32_t bits;
    unsigned count;
    size_t read;
};

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* The next byte; -1: the end. */
static int next(struct reader *reader)
{
    while (reader->count < 8 && reader->p < reader->end) {
        int digit = base64_digit(*reader->p++);

        if (digit < 0) /* "\/", a line end, padding */
            continue;
        reader->bits = reader->bits << 6 | (uint32_t)digit;
        reader->count += 6;
    }
    if (reader->count < 8)
        return -1;
    reader->count -= 8;
    reader->read++;
    return reader->bits >> reader->count & 0xff;
}

static uint64_t big_endian(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static uint64_t little_endian(const uint8_t *p, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = bytes; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static void png_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    *width = big_endian(head + 16, 4);
    *height = big_endian(head + 20, 4);
}

static void gif_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    *width = little_endian(head + 6, 2);
    *height = little_endian(head + 8, 2);
}

static void webp_lossy_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    *width = little_endian(head + 26, 2) & 0x3fff;
    *height = little_endian(head + 28, 2) & 0x3fff;
}

static void webp_lossless_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    uint64_t bits = little_endian(head + 21, 4);

    *width = (bits & 0x3fff) + 1;
    *height = (bits >> 14 & 0x3fff) + 1;
}

static void webp_extended_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    *width = little_endian(head + 24, 3) + 1;
    *height = little_endian(head + 27, 3) + 1;
}

static void bmp_size(const uint8_t *head, uint64_t *width, uint64_t *height)
{
    uint64_t rows = little_endian(head + 22, 4);

    *width = little_endian(head + 18, 4);
    *height = rows > INT32_MAX ? (1ull << 32) - rows : rows; /* negative: top down */
}

#define HEAD_BYTES 32u

static const struct {
    const char *magic;
    size_t magic_bytes;
    size_t second_at; /* where the second mark stands */
    const char *second;
    void (*size)(const uint8_t *head, uint64_t *width, uint64_t *height);
} formats[] = {
    {"\x89PNG", 4, 12, "IHDR", png_size},        {"GIF8", 4, 0, "GIF8", gif_size},
    {"RIFF", 4, 12, "VP8 ", webp_lossy_size},    {"RIFF", 4, 12, "VP8L", webp_lossless_size},
    {"RIFF", 4, 12, "VP8X", webp_extended_size}, {"BM", 2, 0, "BM", bmp_size},
};

/* Frames of a JPEG: SOF0 to SOF15 without DHT, JPG and DAC. */
static bool is_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool jpeg_size(struct reader *reader, uint64_t *width, uint64_t *height)
{
    uint8_t segment[7];

    while (reader->read < JPEG_HEADERS_MAX) {
        int marker = next(reader);

        if (marker != 0xff)
            return false;
        while (marker == 0xff)
            marker = next(reader);
        for (unsigned i = 0; i < sizeof segment; i++) {
            int byte = i < 2 || is_frame(marker) ? next(reader) : 0;

            if (byte < 0)
                return false;
            segment[i] = (uint8_t)byte;
        }
        if (is_frame(marker)) {
            *height = big_endian(segment + 3, 2);
            *width = big_endian(segment + 5, 2);
            return true;
        }
        for (uint64_t left = big_endian(segment, 2); left > 2; left--)
            if (next(reader) < 0)
                return false;
    }
    return false;
}

bool image_size(const char *base64, size_t count, uint64_t *width_out, uint64_t *height_out)
{
    struct reader reader = {(const unsigned char *)base64, (const unsigned char *)base64 + count, 0,
                            0, 0};
    struct reader start = reader;
    uint8_t head[HEAD_BYTES];

    for (unsigned i = 0; i < HEAD_BYTES; i++) {
        int byte = next(&reader);

        if (byte < 0)
            return false;
        head[i] = (uint8_t)byte;
    }
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (memcmp(head, formats[i].magic, formats[i].magic_bytes) == 0 &&
            memcmp(head + formats[i].second_at, formats[i].second, strlen(formats[i].second)) ==
                0) {
            formats[i].size(head, width_out, height_out);
            return true;
        }
    if (head[0] != 0xff || head[1] != 0xd8)
        return false;
    (void)next(&start);
    (void)next(&start);
    return jpeg_size(&start, width_out, height_out);
}
