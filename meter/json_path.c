/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the JSON scanner as a tree of keys, and the text of JSON strings. */
#include "meter/meter_int.h"

#include <assert.h>
#include <pthread.h>

#define ROOT 1

static uint8_t node_new(struct scan_tree *tree)
{
    assert(tree->count < SCAN_NODES_MAX); /* too many paths in a table of ours */
    memset(&tree->nodes[tree->count], 0, sizeof tree->nodes[0]);
    return (uint8_t)tree->count++;
}

static uint64_t key_head(const char *key, size_t bytes)
{
    uint64_t head = 0;

    memcpy(&head, key, bytes < 8 ? bytes : 8);
    return head;
}

static uint8_t member_find(const struct scan_tree *tree, uint8_t parent, const char *key,
                           size_t bytes)
{
    uint8_t at = tree->nodes[parent].slots[scan_slot(key_head(key, bytes), bytes)];

    while (at != 0 &&
           (tree->nodes[at].key_bytes != bytes || memcmp(tree->nodes[at].key, key, bytes) != 0))
        at = tree->nodes[at].next;
    return at;
}

static uint8_t member_add(struct scan_tree *tree, uint8_t parent, const char *key, size_t bytes)
{
    uint8_t at = member_find(tree, parent, key, bytes);
    uint8_t *slot = &tree->nodes[parent].slots[scan_slot(key_head(key, bytes), bytes)];

    if (at != 0)
        return at;
    at = node_new(tree);
    tree->nodes[at].key = key;
    tree->nodes[at].key_bytes = (uint8_t)bytes;
    tree->nodes[at].head = key_head(key, bytes);
    if (bytes > 8)
        memcpy(&tree->nodes[at].tail, key + bytes - 8, 8);
    tree->nodes[at].next = *slot;
    tree->nodes[parent].members = true;
    *slot = at;
    return at;
}

/* "*Count": members whose key ends so and that no other path names. */
static uint8_t any_add(struct scan_tree *tree, uint8_t parent, const char *suffix, size_t bytes)
{
    uint8_t at = node_new(tree);

    tree->nodes[at].key = suffix;
    tree->nodes[at].key_bytes = (uint8_t)bytes;
    tree->nodes[parent].any = at;
    return at;
}

static uint8_t element_add(struct scan_tree *tree, uint8_t parent)
{
    uint8_t at = tree->nodes[parent].element;

    if (at == 0) {
        at = node_new(tree);
        tree->nodes[parent].element = at;
    }
    return at;
}

/* One segment, "key" or "[]"; returns what follows it. */
static const char *segment_add(struct scan_tree *tree, uint8_t *at, const char *p)
{
    size_t bytes = strcspn(p, ".[");

    if (bytes > 0)
        *at = *p == '*' ? any_add(tree, *at, p + 1, bytes - 1) : member_add(tree, *at, p, bytes);
    p += bytes;
    if (*p == '[') {
        *at = element_add(tree, *at);
        p += 2;
    }
    return *p == '.' ? p + 1 : p;
}

void scan_tree_make(struct scan_tree *tree, const struct scan_path *paths, size_t count)
{
    tree->count = 0;
    tree->rest = 0;
    (void)node_new(tree);
    (void)node_new(tree);
    scan_tree_add(tree, paths, count);
}

void scan_tree_add(struct scan_tree *tree, const struct scan_path *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t at = ROOT;

        for (const char *p = paths[i].path; *p != '\0';)
            p = segment_add(tree, &at, p);
        tree->nodes[at].wants |= paths[i].wants;
        tree->nodes[at].id = paths[i].id;
        if (paths[i].wants & SCAN_DEEP)
            tree->nodes[at].element = at;
    }
}

void scan_tree_all_text(struct scan_tree *tree, uint8_t rest_id)
{
    uint8_t rest = node_new(tree);

    tree->rest = rest;
    tree->nodes[rest].id = rest_id;
    tree->nodes[rest].element = rest;
    for (unsigned i = ROOT; i < tree->count; i++) {
        if (!(tree->nodes[i].wants & SCAN_MUTE))
            tree->nodes[i].wants |= SCAN_TEXT;
        if (tree->nodes[i].element == 0)
            tree->nodes[i].element = rest;
    }
}

const struct scan_tree *scan_tree_of(struct scan_tree_once *once,
                                     void (*make)(struct scan_tree *tree, const void *owner),
                                     const void *owner)
{
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

    if (!atomic_load_explicit(&once->made, memory_order_acquire)) {
        (void)pthread_mutex_lock(&making);
        if (!atomic_load_explicit(&once->made, memory_order_relaxed))
            make(&once->tree, owner);
        atomic_store_explicit(&once->made, true, memory_order_release);
        (void)pthread_mutex_unlock(&making);
    }
    return &once->tree;
}

/* ---- the text of strings ------------------------------------------------------------------ */

/* Four hex digits; -1: there are none. */
static int32_t hex_read(const char *p, const char *end)
{
    int32_t code = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = scan_hex_digit(p[i]);

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* The code point of an escape that begins after \u; moves *p behind it, pairs included. */
static int32_t unicode_read(const char **p, const char *end)
{
    int32_t code = hex_read(*p, end), low;

    if (code < 0)
        return -1;
    *p += 4;
    if (code < 0xd800 || code > 0xdfff)
        return code;
    low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex_read(*p + 2, end) : -1;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0xfffd; /* half a pair */
    *p += 6;
    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

size_t scan_unicode_take(const char **p, const char *end, char out[4])
{
    const char *from = *p + 2;
    int32_t code = hex_read(from, end);
    bool half = code >= 0xd800 && code <= 0xdbff, escaped = from[4] == '\\' && from[5] == 'u';

    if (code < 0 || (half && escaped && hex_read(from + 6, end) < 0))
        return 0;
    if (half)
        code = unicode_read(&from, end);
    else
        from += 4;
    if (code >= 0xdc00 && code <= 0xdfff)
        code = 0xfffd; /* the other half alone */
    *p = from;
    return scan_utf8((uint32_t)code, out);
}

/* One character of a string as UTF-8; 0: it cannot be read, or is a NUL. */
static size_t character_read(const char **p, const char *end, char out[4])
{
    int32_t code;

    if (**p != '\\') {
        out[0] = *(*p)++;
        return out[0] != '\0';
    }
    if (end - *p < 2)
        return 0;
    if ((*p)[1] != 'u') {
        out[0] = scan_escape((*p)[1]);
        *p += 2;
        return out[0] != '\0';
    }
    *p += 2;
    code = unicode_read(p, end);
    return code <= 0 ? 0 : scan_utf8((uint32_t)code, out);
}

bool scan_string_copy(const char *bytes, size_t count, char *out, size_t room)
{
    const char *p = bytes, *end = bytes + count;
    size_t used = 0;
    char character[4];

    if (memchr(bytes, '\\', count) == NULL && memchr(bytes, '\0', count) == NULL && count < room) {
        memcpy(out, bytes, count);
        out[count] = '\0';
        return true;
    }
    while (p < end) {
        size_t n = character_read(&p, end, character);

        if (n == 0 || used + n >= room) {
            out[0] = '\0';
            return false;
        }
        memcpy(out + used, character, n);
        used += n;
    }
    out[used] = '\0';
    return true;
}

bool scan_string_is(const struct scan_value *value, const char *want)
{
    size_t bytes = strlen(want);
    char text[64];

    if (value->type != SCAN_STRING || value->cut || value->count < bytes)
        return false;
    if (value->count == bytes) /* escapes would make it longer */
        return memcmp(value->bytes, want, bytes) == 0;
    return memchr(value->bytes, '\\', value->count) != NULL &&
           scan_string_copy(value->bytes, value->count, text, sizeof text) &&
           strcmp(text, want) == 0;
}
