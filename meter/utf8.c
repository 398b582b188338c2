/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629). */
#include "meter/meter_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* To the first byte that is not ASCII. */
static const uint8_t *ascii_skip(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    while (end - p >= 16 &&
           _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p)) == 0)
        p += 16;
#endif
    while (p < end && *p < 0x80)
        p++;
    return p;
}

/* Bytes of the well-formed sequence that begins with a byte above ASCII; 0: none does. The second
 * byte's range keeps out overlong forms, surrogates and what is above U+10FFFF. */
static size_t sequence(const uint8_t *p, const uint8_t *end)
{
    uint8_t least = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
    uint8_t most = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;
    size_t bytes = *p < 0xc2 || *p > 0xf4 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    if (bytes == 0 || (size_t)(end - p) < bytes || p[1] < least || p[1] > most)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

uint64_t meter_utf8_bad(const char *bytes, size_t count)
{
    const uint8_t *p = (const uint8_t *)bytes, *end = p + count;
    uint64_t bad = 0;

    while ((p = ascii_skip(p, end)) < end) {
        size_t good = sequence(p, end);

        bad += good == 0;
        p += good > 0 ? good : 1;
    }
    return bad;
}
