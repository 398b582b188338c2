/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the bytes of a sound file bound its length. Silence packs to nothing in most formats, and
 * in containers a clock says how long a sound is. Plain WAV and MP3 have a rate that their headers
 * tell and that cannot fall: everything else is of any length. */
#include "meter/request.h"

#define HEAD_BYTES   40u
#define DENSE_BYTES  500u /* a second; no provider makes more tokens of one */
#define WAV_RATE_AT  24u
#define WAV_WIDTH_AT 34u

/* A file as bytes, or as base64. */
struct sound {
    const char *p, *end;
    bool plain;
    struct base64 base64;
};

static bool next(struct sound *sound, uint8_t *out)
{
    while (sound->p < sound->end) {
        char made[4];

        if (sound->plain) {
            *out = (uint8_t)*sound->p++;
            return true;
        }
        if (base64_feed(&sound->base64, sound->p++, 1, made) == 1) {
            *out = (uint8_t)made[0];
            return true;
        }
    }
    return false;
}

static size_t next_bytes(struct sound *sound, uint8_t *out, size_t want)
{
    size_t have = 0;

    while (have < want && next(sound, &out[have]))
        have++;
    return have;
}

static uint32_t little_endian(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = bytes; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

/* Samples that are numbers of their own: PCM, floating point, A-law, mu-law. */
static bool wav_is_dense(const uint8_t *head)
{
    uint32_t kind = little_endian(head + 20, 2), channels = little_endian(head + 22, 2);
    uint64_t width = (little_endian(head + WAV_WIDTH_AT, 2) + 7) / 8;

    return (kind == 1 || kind == 3 || kind == 6 || kind == 7) &&
           meter_mul(little_endian(head + WAV_RATE_AT, 4), channels * width) >= DENSE_BYTES;
}

/* A frame of MP3 that names its rate: 8 kbit/s at least. */
static bool is_mp3(const uint8_t *frame)
{
    unsigned version = frame[1] >> 3 & 3, layer = frame[1] >> 1 & 3, rate = frame[2] >> 4;

    return frame[0] == 0xff && frame[1] >= 0xe0 && version != 1 && layer != 0 && rate != 0 &&
           rate != 15 && (frame[2] >> 2 & 3) != 3;
}

/* Tags may stand before the first frame of an MP3. */
static bool is_dense(struct sound *sound)
{
    uint8_t head[HEAD_BYTES];
    size_t have = next_bytes(sound, head, 10);
    uint32_t tag;

    if (have < 3)
        return false;
    if (memcmp(head, "ID3", 3) != 0) {
        have += next_bytes(sound, head + have, HEAD_BYTES - have);
        return is_mp3(head) || (have == HEAD_BYTES && memcmp(head, "RIFF", 4) == 0 &&
                                memcmp(head + 8, "WAVEfmt ", 8) == 0 && wav_is_dense(head));
    }
    tag = (uint32_t)(head[6] & 0x7f) << 21 | (uint32_t)(head[7] & 0x7f) << 14 |
          (uint32_t)(head[8] & 0x7f) << 7 | (head[9] & 0x7f);
    while (tag > 0 && next(sound, head))
        tag--;
    return have == 10 && next_bytes(sound, head, 3) == 3 && is_mp3(head);
}

bool sound_bytes_are_dense(const char *bytes, size_t count)
{
    struct sound sound = {.p = bytes, .end = bytes + count, .plain = true};

    return is_dense(&sound);
}

bool sound_is_dense(const char *base64, size_t count)
{
    struct sound sound = {.p = base64, .end = base64 + count};

    /* Letters written as \u0041 would hide the header from us. */
    return memmem(base64, count, "\\u", 2) == NULL && is_dense(&sound);
}
