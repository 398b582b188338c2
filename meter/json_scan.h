/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the JSON scanner share: json.c, json_token.c. */
#ifndef FLYBALL_METER_JSON_SCAN_H
#define FLYBALL_METER_JSON_SCAN_H

#include "meter/meter_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where a feed is being read. */
struct cursor {
    const char *start, *p, *end;
};

#define SCAN_ROOT     1
#define SCAN_IS_ARRAY 0x100 /* in the stack, beside the node */

#ifdef __SSE2__
/* A bit for each of 16 bytes that is a quote or a backslash. */
static inline unsigned specials(const char *p)
{
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash));

    return (unsigned)_mm_movemask_epi8(found);
}
#endif

/* The end of a string, or an escape in it; end: neither is here. start: bytes may be looked at from
 * there on, so that the last 16 can be taken at once. */
static inline const char *string_scan(const char *start, const char *p, const char *end)
{
#ifdef __SSE2__
    unsigned mask;

    for (; end - p >= 16; p += 16) {
        mask = specials(p);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    if (end - start >= 16) {
        mask = specials(end - 16) >> (16 - (end - p));
        return mask != 0 ? p + __builtin_ctz(mask) : end;
    }
#else
    (void)start;
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *blanks_skip(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* The first count bytes in memory of a word, count < 8, on either byte order. */
static inline uint64_t low_bytes(size_t count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return ((uint64_t)1 << (8 * count)) - 1;
#else
    return count == 0 ? 0 : ~(uint64_t)0 << (64 - 8 * count);
#endif
}

static inline uint64_t head_load(const char *key, size_t bytes, const char *end)
{
    uint64_t head = 0;

    if (end - key >= 8) {
        memcpy(&head, key, 8);
        return bytes >= 8 ? head : head & low_bytes(bytes);
    }
    memcpy(&head, key, bytes < 8 ? bytes : 8);
    return head;
}

static inline uint64_t offset_of(const struct scan *scan, const struct cursor *at)
{
    return scan->fed + (uint64_t)(at->p - at->start);
}

static inline void document_end(struct scan *scan)
{
    scan->state = scan->base ? AT_COMMA : AT_END;
    scan->ops->document(scan->ctx);
}

static inline void value_end(struct scan *scan)
{
    if (scan->depth == scan->base)
        document_end(scan);
    else
        scan->state = AT_COMMA;
}

static inline bool bad(struct scan *scan)
{
    scan->state = AT_BAD;
    return false;
}

static inline void scalar_begin(struct scan *scan, const struct cursor *at, enum scan_type type)
{
    scan->type = (uint8_t)type;
    scan->value_at = offset_of(scan, at);
    scan->value_strings = scan->strings_bytes;
    scan->taken = type == SCAN_STRING ? at->p + 1 : at->p;
    scan->text_first = true;
}

/* json_token.c: a scalar that somebody wants; see scalar_end. */
void scan_scalar_pass(struct scan *scan, const struct cursor *at, const char *stop);

/* A scalar ends before stop; at->p is behind it. */
static inline void scalar_end(struct scan *scan, const struct cursor *at, const char *stop)
{
    if (scan->tree->nodes[scan->node].wants & SCAN_END)
        scan_scalar_pass(scan, at, stop);
}

/* The feed ends within a scalar that somebody wants, or within a key. */
void scan_scalar_spill(struct scan *scan, const struct cursor *at);
bool scan_number_begin(struct scan *scan, struct cursor *at);
bool scan_number_go_on(struct scan *scan, struct cursor *at);
bool scan_literal_begin(struct scan *scan, struct cursor *at, enum scan_type type);
bool scan_literal_go_on(struct scan *scan, struct cursor *at);

#endif
