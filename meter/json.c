/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON scanner that is fed: it stops and goes on at any byte, keeps no tree, allocates nothing,
 * and takes one look at each byte. It is strict about structure, numbers and literals, so that it
 * never reads a document otherwise than the parser it is meant for; the bytes within strings are
 * not judged. Keys that nobody wants cost one comparison of their first eight bytes. */
#include "meter/meter_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where a feed is being read. */
struct cursor {
    const char *start, *p, *end;
};

#define ROOT     1
#define IS_ARRAY 0x100 /* in the stack, beside the node */

void scan_init(struct scan *scan, const struct scan_tree *tree, const struct scan_ops *ops,
               void *ctx)
{
    memset(scan, 0, offsetof(struct scan, stack));
    scan->tree = tree;
    scan->ops = ops;
    scan->ctx = ctx;
    scan->node = ROOT;
}

void scan_restart(struct scan *scan)
{
    scan->state = AT_VALUE;
    scan->node = ROOT;
    scan->depth = 0;
    scan->base = 0;
    scan->spilled = false;
    scan->short_bytes = 0;
}

bool scan_complete(const struct scan *scan)
{
    return scan->state == AT_END;
}

bool scan_open(const struct scan *scan)
{
    return scan->state != AT_END && scan->state != AT_BAD;
}

bool scan_started(const struct scan *scan)
{
    return scan->state != AT_VALUE || scan->depth != 0;
}

/* ---- skipping ----------------------------------------------------------------------------- */

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

/* ---- matching keys ------------------------------------------------------------------------ */

/* The node of a key that no path names. Of a key that spans feeds only so much is kept: a longer
 * one ends like nothing, in one feed too. */
static uint8_t other_match(const struct scan *scan, uint8_t parent, const char *key, size_t bytes)
{
    const struct scan_node *nodes = scan->tree->nodes;
    uint8_t at = nodes[parent].any;
    size_t suffix = nodes[at].key_bytes;

    if (at != 0 && bytes >= suffix && bytes < SCAN_SHORT_MAX &&
        memcmp(key + bytes - suffix, nodes[at].key, suffix) == 0)
        return at;
    return nodes[parent].wants & SCAN_DEEP ? parent : scan->tree->rest;
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

/* The node of a member. end: how far bytes may be looked at. */
static inline uint8_t member_match(const struct scan *scan, const char *key, size_t bytes,
                                   const char *end)
{
    uint8_t parent = (uint8_t)scan->stack[scan->depth - 1];
    const struct scan_node *nodes = scan->tree->nodes;
    uint64_t head;
    uint8_t at;

    if (!nodes[parent].members)
        return other_match(scan, parent, key, bytes);
    head = head_load(key, bytes, end);
    at = nodes[parent].slots[scan_slot(head, bytes)];
    for (; at != 0; at = nodes[at].next)
        if (nodes[at].head == head && nodes[at].key_bytes == bytes &&
            (bytes <= 8 || memcmp(key + 8, nodes[at].key + 8, bytes - 8) == 0))
            return at;
    return other_match(scan, parent, key, bytes);
}

/* ---- wanted scalars ----------------------------------------------------------------------- */

static uint64_t offset_of(const struct scan *scan, const struct cursor *at)
{
    return scan->fed + (uint64_t)(at->p - at->start);
}

/* A scalar ends before stop; at->p is behind it. */
static void scalar_end(struct scan *scan, const struct cursor *at, const char *stop)
{
    const struct scan_node *node = &scan->tree->nodes[scan->node];
    struct scan_value value = {.type = (enum scan_type)scan->type, .at = scan->value_at};
    uint64_t quotes = scan->type == SCAN_STRING ? 2 : 0;

    if (!(node->wants & SCAN_END))
        return;
    value.bytes = scan->taken;
    value.count = (size_t)(stop - scan->taken);
    value.size = offset_of(scan, at) - value.at;
    value.text_bytes = scan->strings_bytes - scan->value_strings;
    if (scan->spilled) {
        scan_keep(scan, scan->taken, value.count);
        value.bytes = scan->kept;
        value.count = scan->short_bytes;
        value.cut = value.size > value.count + quotes;
    }
    scan->spilled = false;
    scan->short_bytes = 0;
    scan->ops->end(scan->ctx, node->id, &value);
}

/* The feed ends within a scalar that somebody wants, or within a key. */
static void scalar_spill(struct scan *scan, const struct cursor *at)
{
    if (scan->state < IN_STRING || (scan->state >= IN_NAME && scan->state <= IN_NAME_UNICODE))
        return;
    if (scan->tree->nodes[scan->node].wants & SCAN_END)
        scan_keep(scan, scan->taken, (size_t)(at->end - scan->taken));
}

static void scalar_begin(struct scan *scan, const struct cursor *at, enum scan_type type)
{
    scan->type = (uint8_t)type;
    scan->value_at = offset_of(scan, at);
    scan->value_strings = scan->strings_bytes;
    scan->taken = type == SCAN_STRING ? at->p + 1 : at->p;
    scan->text_first = true;
}

/* ---- values ------------------------------------------------------------------------------- */

static void document_end(struct scan *scan)
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

static bool bad(struct scan *scan)
{
    scan->state = AT_BAD;
    return false;
}

/* An object where paths name an array is read as its one element: some parsers accept that. */
static uint8_t lone_element(const struct scan *scan)
{
    const struct scan_node *node = &scan->tree->nodes[scan->node];
    bool named = node->element != 0 && node->element != scan->tree->rest;

    return named && !node->members && node->any == 0 ? node->element : scan->node;
}

static bool container_open(struct scan *scan, struct cursor *at, bool array)
{
    const struct scan_node *node;

    if (scan->depth == METER_DEPTH_MAX)
        return bad(scan);
    scan->node = array ? scan->node : lone_element(scan);
    node = &scan->tree->nodes[scan->node];
    if (scan->depth < COUNT_OF(scan->container_at))
        scan->container_at[scan->depth] = offset_of(scan, at);
    scan->stack[scan->depth++] = (uint16_t)(scan->node | (array ? IS_ARRAY : 0));
    if (node->wants & SCAN_BEGIN)
        scan->ops->begin(scan->ctx, node->id, offset_of(scan, at));
    at->p++;
    scan->state = array ? AT_FIRST_VALUE : AT_FIRST_NAME;
    scan->node = array ? node->element : 0;
    return true;
}

/* The outer array of a sequence of documents: its elements are read as if they stood alone. */
static bool elements_open(struct scan *scan, struct cursor *at)
{
    scan->base = 1;
    scan->stack[scan->depth++] = IS_ARRAY;
    at->p++;
    scan->state = AT_FIRST_VALUE;
    scan->node = ROOT;
    return true;
}

static bool elements_close(struct scan *scan, struct cursor *at)
{
    at->p++;
    scan->depth = 0;
    scan->base = 0;
    scan->state = AT_END;
    return true;
}

static bool container_close(struct scan *scan, struct cursor *at)
{
    uint16_t top = scan->depth > 0 ? scan->stack[scan->depth - 1] : 0;
    bool array = top & IS_ARRAY;
    uint64_t from;

    if (scan->depth == 0 || *at->p != (array ? ']' : '}'))
        return bad(scan);
    if (scan->depth == scan->base)
        return elements_close(scan, at);
    at->p++;
    scan->depth--;
    scan->node = (uint8_t)top;
    if (scan->tree->nodes[scan->node].wants & SCAN_END) {
        from = scan->depth < COUNT_OF(scan->container_at) ? scan->container_at[scan->depth] : 0;
        scan->ops->end(scan->ctx, scan->tree->nodes[scan->node].id,
                       &(struct scan_value){.type = array ? SCAN_ARRAY : SCAN_OBJECT,
                                            .at = from,
                                            .size = offset_of(scan, at) - from});
    }
    value_end(scan);
    return true;
}

void scan_text_pass(struct scan *scan, const char *bytes, size_t count)
{
    const struct scan_node *node = &scan->tree->nodes[scan->node];

    scan->strings_bytes += count;
    if (!(node->wants & SCAN_TEXT) || count == 0)
        return;
    scan->ops->text(scan->ctx, node->id, scan->text_first, bytes, count);
    scan->text_first = false;
}

/* An escape of one letter that is all here; false: it is longer, goes on in the next feed, or is
 * bad. */
static inline bool escape_pass(struct scan *scan, struct cursor *at)
{
    char plain = at->end - at->p >= 2 && at->p[1] != 'u' ? scan_escape(at->p[1]) : 0;

    if (plain == 0)
        return false;
    if (scan->surrogate != 0)
        scan_surrogate_flush(scan);
    scan_text_pass(scan, &plain, 1);
    at->p += 2;
    return true;
}

static bool string_go_on(struct scan *scan, struct cursor *at)
{
    const char *stop;

    do {
        stop = string_scan(at->start, at->p, at->end);
        if (scan->surrogate != 0 && (stop > at->p || (stop < at->end && *stop == '"')))
            scan_surrogate_flush(scan);
        scan_text_pass(scan, at->p, (size_t)(stop - at->p));
        at->p = stop;
        if (stop == at->end)
            return true;
    } while (*stop == '\\' && escape_pass(scan, at));
    at->p++;
    if (*stop == '\\') {
        scan->state = IN_STRING_ESCAPE;
        return true;
    }
    scalar_end(scan, at, stop);
    value_end(scan);
    return true;
}

static bool string_begin(struct scan *scan, struct cursor *at)
{
    scalar_begin(scan, at, SCAN_STRING);
    scan->surrogate = 0;
    scan->state = IN_STRING;
    at->p++;
    return string_go_on(scan, at);
}

/* ---- names -------------------------------------------------------------------------------- */

/* A key is complete; its text is at key. Most documents go on with the colon at once. */
static inline bool name_end(struct scan *scan, struct cursor *at, const char *key, size_t bytes,
                            const char *readable)
{
    scan->strings_bytes += bytes;
    scan->node = member_match(scan, key, bytes, readable);
    scan->state = AT_COLON;
    if (at->p < at->end && *at->p == ':') {
        at->p++;
        scan->state = AT_VALUE;
    }
    return true;
}

static bool name_go_on(struct scan *scan, struct cursor *at)
{
    const char *stop = string_scan(at->start, at->p, at->end);
    size_t kept;

    scan->strings_bytes += (size_t)(stop - at->p);
    scan_keep(scan, at->p, (size_t)(stop - at->p));
    at->p = stop;
    if (stop == at->end)
        return true;
    at->p++;
    if (*stop == '\\') {
        scan->state = IN_NAME_ESCAPE;
        return true;
    }
    kept = scan->short_bytes;
    scan->short_bytes = 0;
    scan->spilled = false;
    scan->strings_bytes -= kept; /* name_end counts it */
    return name_end(scan, at, scan->kept, kept, scan->kept + SCAN_SHORT_MAX);
}

static inline bool name_begin(struct scan *scan, struct cursor *at)
{
    const char *key = at->p + 1, *stop;

    if (*at->p != '"')
        return bad(scan);
    stop = string_scan(at->start, key, at->end);
    if (stop < at->end && *stop == '"') {
        at->p = stop + 1;
        return name_end(scan, at, key, (size_t)(stop - key), at->end);
    }
    at->p = key;
    scan->state = IN_NAME;
    return name_go_on(scan, at);
}

/* ---- numbers and literals ----------------------------------------------------------------- */

static bool number_go_on(struct scan *scan, struct cursor *at)
{
    enum scan_number state = (enum scan_number)scan->number;
    const char *p = at->p;

    for (; p < at->end; p++) {
        enum scan_number next = scan_number_next(state, *p);

        if (next == N_NONE)
            break;
        state = next;
    }
    scan->number = (uint8_t)state;
    at->p = p;
    if (p == at->end)
        return true;
    if (state == N_MINUS || state == N_POINT || state == N_E || state == N_SIGN)
        return bad(scan);
    scalar_end(scan, at, p);
    value_end(scan);
    return true;
}

static bool number_begin(struct scan *scan, struct cursor *at)
{
    scalar_begin(scan, at, SCAN_NUMBER);
    scan->state = IN_NUMBER;
    scan->number = N_MINUS;
    if (*at->p == '-')
        at->p++;
    return number_go_on(scan, at);
}

static const char *const literals[] = {
    [SCAN_NULL] = "null", [SCAN_FALSE] = "false", [SCAN_TRUE] = "true"};

static bool literal_go_on(struct scan *scan, struct cursor *at)
{
    const char *word = literals[scan->type];

    while (at->p < at->end && word[scan->position] != '\0')
        if (*at->p++ != word[scan->position++])
            return bad(scan);
    if (word[scan->position] != '\0')
        return true;
    scalar_end(scan, at, at->p);
    value_end(scan);
    return true;
}

static bool literal_begin(struct scan *scan, struct cursor *at, enum scan_type type)
{
    scalar_begin(scan, at, type);
    scan->state = IN_LITERAL;
    scan->position = 0;
    return literal_go_on(scan, at);
}

/* ---- the machine -------------------------------------------------------------------------- */

static inline bool value_begin(struct scan *scan, struct cursor *at)
{
    switch (*at->p) {
    case '"':
        return string_begin(scan, at);
    case '{':
        return container_open(scan, at, false);
    case '[':
        if (scan->elements && scan->depth == 0)
            return elements_open(scan, at);
        return container_open(scan, at, true);
    case 't':
        return literal_begin(scan, at, SCAN_TRUE);
    case 'f':
        return literal_begin(scan, at, SCAN_FALSE);
    case 'n':
        return literal_begin(scan, at, SCAN_NULL);
    default:
        if (*at->p == '-' || (*at->p >= '0' && *at->p <= '9'))
            return number_begin(scan, at);
        return bad(scan);
    }
}

/* After a value: a comma, or the end of what it stands in. */
static inline bool comma(struct scan *scan, struct cursor *at)
{
    uint16_t top;

    if (*at->p != ',')
        return container_close(scan, at);
    at->p++;
    top = scan->stack[scan->depth - 1];
    scan->state = top & IS_ARRAY ? AT_VALUE : AT_NAME;
    if (top & IS_ARRAY)
        scan->node = scan->depth == scan->base ? ROOT : scan->tree->nodes[top & 0xff].element;
    return true;
}

/* One step between tokens; at->p is at a byte that is not blank. */
static inline bool token(struct scan *scan, struct cursor *at)
{
    switch ((enum scan_state)scan->state) {
    case AT_FIRST_NAME:
        if (*at->p == '}')
            return container_close(scan, at);
        return name_begin(scan, at);
    case AT_NAME:
        return name_begin(scan, at);
    case AT_COLON:
        if (*at->p++ != ':')
            return bad(scan);
        scan->state = AT_VALUE;
        return true;
    case AT_FIRST_VALUE:
        if (*at->p == ']')
            return container_close(scan, at);
        return value_begin(scan, at);
    case AT_VALUE:
        return value_begin(scan, at);
    case AT_COMMA:
        return comma(scan, at);
    default: /* AT_END */
        if (!scan->many)
            return bad(scan);
        scan_restart(scan);
        return true;
    }
}

/* One step within a token that an earlier feed began, or that has an escape. */
static bool token_go_on(struct scan *scan, struct cursor *at)
{
    switch ((enum scan_state)scan->state) {
    case IN_STRING:
        return string_go_on(scan, at);
    case IN_STRING_ESCAPE:
    case IN_NAME_ESCAPE:
        return scan_escape_letter(scan, *at->p++);
    case IN_STRING_UNICODE:
    case IN_NAME_UNICODE:
        return scan_escape_digit(scan, *at->p++);
    case IN_NAME:
        return name_go_on(scan, at);
    case IN_NUMBER:
        return number_go_on(scan, at);
    default:
        return literal_go_on(scan, at);
    }
}

bool scan_feed(struct scan *scan, const char *bytes, size_t count, uint64_t *bad_at_out)
{
    struct cursor at = {bytes, bytes, bytes + count};
    bool good = scan->state != AT_BAD;

    scan->taken = bytes;
    while (good && at.p < at.end) {
        if (scan->state >= IN_STRING) {
            good = token_go_on(scan, &at);
            continue;
        }
        at.p = blanks_skip(at.p, at.end);
        if (at.p < at.end)
            good = token(scan, &at);
    }
    if (good)
        scalar_spill(scan, &at);
    else if (bad_at_out != NULL)
        *bad_at_out = offset_of(scan, &at);
    scan->fed += count;
    return good;
}
