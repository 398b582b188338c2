/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON scanner that is fed: it stops and goes on at any byte, keeps no tree, allocates nothing,
 * and takes one look at each byte. It is strict about structure, numbers and literals, so that it
 * never reads a document otherwise than the parser it is meant for; the bytes within strings are
 * not judged. Keys that nobody wants cost one comparison of their first eight bytes. */
#include "meter/json_scan.h"

void scan_init(struct scan *scan, const struct scan_tree *tree, const struct scan_ops *ops,
               void *ctx)
{
    memset(scan, 0, offsetof(struct scan, stack));
    scan->tree = tree;
    scan->ops = ops;
    scan->ctx = ctx;
    scan->node = SCAN_ROOT;
}

void scan_restart(struct scan *scan)
{
    scan->state = AT_VALUE;
    scan->node = SCAN_ROOT;
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

/* The node of a member. end: how far bytes may be looked at. */
static inline uint8_t member_match(const struct scan *scan, const char *key, size_t bytes,
                                   const char *end)
{
    uint8_t parent = (uint8_t)scan->stack[scan->depth - 1];
    const struct scan_node *nodes = scan->tree->nodes;
    uint64_t head, tail = 0;
    uint8_t at = 0;

    if (nodes[parent].members) {
        head = head_load(key, bytes, end);
        at = nodes[parent].slots[scan_slot(head, bytes)];
        if (bytes > 8)
            memcpy(&tail, key + bytes - 8, 8);
        for (; at != 0; at = nodes[at].next)
            if (nodes[at].head == head && nodes[at].tail == tail && nodes[at].key_bytes == bytes &&
                (bytes <= 16 || memcmp(key, nodes[at].key, bytes) == 0))
                return at;
    }
    if (nodes[parent].any == 0 && !(nodes[parent].wants & SCAN_DEEP))
        return scan->tree->rest;
    return other_match(scan, parent, key, bytes);
}

/* ---- values ------------------------------------------------------------------------------- */

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
    scan->stack[scan->depth++] = (uint16_t)(scan->node | (array ? SCAN_IS_ARRAY : 0));
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
    scan->stack[scan->depth++] = SCAN_IS_ARRAY;
    at->p++;
    scan->state = AT_FIRST_VALUE;
    scan->node = SCAN_ROOT;
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
    bool array = top & SCAN_IS_ARRAY;
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

/* An escape that is all here, as UTF-8; 0: it goes on in the next feed, or is bad. Moves *p. */
static inline size_t escape_take(const char **p, const char *end, char out[4])
{
    char plain = end - *p >= 2 ? scan_escape((*p)[1]) : 0;

    if (plain != 0) {
        out[0] = plain;
        *p += 2;
        return 1;
    }
    return end - *p >= 12 && (*p)[1] == 'u' ? scan_unicode_take(p, end, out) : 0;
}

/* Escapes and the short text between them, as far as they are here; false: none is. */
static bool escapes_pass(struct scan *scan, struct cursor *at)
{
    enum { SHORT = 16 };
    char made[256];
    size_t count = 0, taken;
    const char *p = at->p, *stop;

    if (scan->surrogate != 0 && (at->end - p < 2 || p[1] == 'u'))
        return false; /* it may be the other half */
    scan_surrogate_flush(scan);
    while (count + 4 + SHORT <= sizeof made && p < at->end && *p == '\\') {
        taken = escape_take(&p, at->end, made + count);
        if (taken == 0)
            break;
        count += taken;
        stop = string_scan(at->start, p, at->end);
        if (stop - p > SHORT)
            break;
        memcpy(made + count, p, (size_t)(stop - p));
        count += (size_t)(stop - p);
        p = stop;
    }
    scan_text_pass(scan, made, count);
    at->p = p;
    return count > 0;
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
    } while (*stop == '\\' && escapes_pass(scan, at));
    at->p++;
    if (*stop == '\\') {
        scan->state = IN_STRING_ESCAPE;
        return true;
    }
    scalar_end(scan, at, stop);
    value_end(scan);
    return true;
}

/* A string that nobody wants, if all of it is here and it has no escape. */
static inline bool string_skip(struct scan *scan, struct cursor *at)
{
    const char *stop;

    if (scan->tree->nodes[scan->node].wants != 0)
        return false;
    stop = string_scan(at->start, at->p + 1, at->end);
    if (stop == at->end || *stop != '"')
        return false;
    scan->strings_bytes += (size_t)(stop - at->p) - 1;
    at->p = stop + 1;
    value_end(scan);
    return true;
}

static bool string_begin(struct scan *scan, struct cursor *at)
{
    if (string_skip(scan, at))
        return true;
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

/* A whole number that nobody wants, if all of it is here. */
static inline bool number_skip(struct scan *scan, struct cursor *at)
{
    const char *p = at->p;

    if (scan->tree->nodes[scan->node].wants != 0)
        return false;
    while (p < at->end && *p >= '0' && *p <= '9')
        p++;
    if (p == at->end || (*p != ',' && *p != '}' && *p != ']') || (*at->p == '0' && p - at->p > 1) ||
        p == at->p)
        return false;
    at->p = p;
    value_end(scan);
    return true;
}

/* ---- the machine -------------------------------------------------------------------------- */

static inline bool value_begin(struct scan *scan, struct cursor *at)
{
    if (*at->p == '"') /* most are */
        return string_begin(scan, at);
    switch (*at->p) {
    case '{':
        return container_open(scan, at, false);
    case '[':
        if (scan->elements && scan->depth == 0)
            return elements_open(scan, at);
        return container_open(scan, at, true);
    case 't':
        return scan_literal_begin(scan, at, SCAN_TRUE);
    case 'f':
        return scan_literal_begin(scan, at, SCAN_FALSE);
    case 'n':
        return scan_literal_begin(scan, at, SCAN_NULL);
    default:
        if (*at->p == '-' || (*at->p >= '0' && *at->p <= '9'))
            return number_skip(scan, at) || scan_number_begin(scan, at);
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
    scan->state = top & SCAN_IS_ARRAY ? AT_VALUE : AT_NAME;
    if (top & SCAN_IS_ARRAY)
        scan->node = scan->depth == scan->base ? SCAN_ROOT : scan->tree->nodes[top & 0xff].element;
    return true;
}

/* Whether a name comes next, with nothing before it but its comma; moves there. */
static inline bool name_follows(struct scan *scan, struct cursor *at)
{
    const char *p = at->p;

    if (at->end - p < 2)
        return false;
    if (scan->state == AT_FIRST_NAME)
        return *p == '"';
    if (scan->state != AT_COMMA || p[0] != ',' || p[1] != '"' ||
        scan->stack[scan->depth - 1] & SCAN_IS_ARRAY)
        return false;
    at->p++;
    return true;
}

/* Members, one after the other, as long as nothing stands between the tokens: most documents. */
static bool members(struct scan *scan, struct cursor *at)
{
    do {
        if (!name_begin(scan, at))
            return false;
        if (scan->state != AT_VALUE || at->p == at->end || is_blank(*at->p))
            return true;
        if (!value_begin(scan, at))
            return false;
        while (scan->state == AT_COMMA) {
            at->p = blanks_skip(at->p, at->end);
            if (at->p == at->end || *at->p != '}')
                break;
            if (!container_close(scan, at))
                return false;
        }
    } while (name_follows(scan, at));
    return true;
}

/* One step between tokens; at->p is at a byte that is not blank. */
static inline bool token(struct scan *scan, struct cursor *at)
{
    switch ((enum scan_state)scan->state) {
    case AT_FIRST_NAME:
        if (*at->p == '}')
            return container_close(scan, at);
        return members(scan, at);
    case AT_NAME:
        return members(scan, at);
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
        return scan_number_go_on(scan, at);
    default:
        return scan_literal_go_on(scan, at);
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
        scan_scalar_spill(scan, &at);
    else if (bad_at_out != NULL)
        *bad_at_out = offset_of(scan, &at);
    scan->fed += count;
    return good;
}
